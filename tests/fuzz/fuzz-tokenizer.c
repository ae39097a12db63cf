/* fuzz-tokenizer.c - any JSON as a tokenizer.json: what opens encodes, decodes and streams, and
 * every id is one that it has. */
#include "fuzz.h"

#include <retort/tokenizer.h>

#include <stdlib.h>
#include <string.h>

static const char text[] = "Hello, world!  it's 12345 \xc3\xa9\xe2\x96\x81 <s> a\tb\n\n "
			   "\xf0\x9f\x98\x80 <|im_end|> e\xcc\x81";

static void stream(const struct rt_tokenizer *t, const struct rt_ids *ids)
{
	struct rt_text     out = RT_TEXT_INIT;
	struct rt_decoder *d;

	if (rt_decoder_new(&d, t, 0, NULL) < 0)
		return;
	for (size_t i = 0; i < ids->len; i++)
		if (rt_decoder_put(d, ids->data[i], &out, NULL) < 0)
			break;
	rt_decoder_finish(d, &out, NULL);
	if (!out.failed && rt_utf8_check(out.data, out.len) < out.len)
		abort(); /* half a character came out */
	rt_decoder_free(d);
	rt_text_free(&out);
}

static void use(const struct rt_tokenizer *t, unsigned flags)
{
	struct rt_ids  ids = RT_IDS_INIT;
	struct rt_text out = RT_TEXT_INIT;

	if (rt_tokenizer_encode(t, text, sizeof text - 1, flags, &ids, NULL) == 0) {
		for (size_t i = 0; i < ids.len; i++)
			if (ids.data[i] < 0 || ids.data[i] >= rt_tokenizer_size(t))
				abort(); /* no such token */
		rt_tokenizer_decode(t, ids.data, ids.len, 0, &out, NULL);
		stream(t, &ids);
	}
	rt_ids_free(&ids);
	rt_text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rt_json      *j;
	struct rt_tokenizer *t;

	if (rt_json_parse((const char *)data, size, "tokenizer.json", 1, &j, NULL) < 0)
		return 0;
	if (rt_tokenizer_from_json(&t, j, NULL) == 0) {
		use(t, 0);
		use(t, RT_ENCODE_SPECIAL | RT_ENCODE_TEMPLATE);
		rt_tokenizer_free(t);
	}
	rt_json_free(j);
	return 0;
}
