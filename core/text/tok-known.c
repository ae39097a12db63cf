/* tok-known.c - see tok-known.h */
#include "text/tok-known.h"
#include "text/tok.h"

#include <string.h>

#define LETTERS "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define REST    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const char qwen2[] = LETTERS "\\p{N}" REST;
static const char llama3[] = LETTERS "\\p{N}{1,3}" REST;
static const char tekken[] =
	"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|"
	"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|"
	"\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static const struct {
	const char *name, *pattern;
	bool        nfc, digits, ignore_merges;
} known[] = {
	{ "GPT2Tokenizer", tok_gpt2_pattern, false, false, false },
	{ "GPT2TokenizerFast", tok_gpt2_pattern, false, false, false },
	{ "Qwen2Tokenizer", qwen2, true, false, false },
	{ "Qwen2TokenizerFast", qwen2, true, false, false },
	{ "default", tok_gpt2_pattern, false, false, false },
	{ "gpt-2", tok_gpt2_pattern, false, false, false },
	{ "gpt2", tok_gpt2_pattern, false, false, false },
	{ "qwen2", qwen2, true, false, false },
	{ "deepseek-r1-qwen", qwen2, true, false, false },
	{ "llama-bpe", llama3, false, false, true },
	{ "llama3", llama3, false, false, true },
	{ "llama-v3", llama3, false, false, true },
	{ "smaug-bpe", llama3, false, false, false },
	{ "tekken", tekken, false, false, true },
	{ "smollm", tok_gpt2_pattern, false, true, false },
};

/* The library wants every key there, also where it does nothing. */
static struct rt_json *byte_level(bool all)
{
	struct rt_json *o = rt_json_new_object();
	int             r = rt_json_set(o, "type", rt_json_new_string("ByteLevel"));

	r |= rt_json_set(o, "add_prefix_space", rt_json_new_bool(all));
	r |= rt_json_set(o, "trim_offsets", rt_json_new_bool(true));
	r |= rt_json_set(o, "use_regex", rt_json_new_bool(all));
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int chain(struct rt_json *all, const char *pattern, bool nfc, bool digits)
{
	struct rt_json *pre = rt_json_new_object(), *list = rt_json_new_array(),
		       *o = rt_json_new_object();
	struct rt_json *p = rt_json_new_object();
	int             r = 0;

	if (digits) {
		struct rt_json *d = rt_json_new_object();

		r |= rt_json_set(d, "type", rt_json_new_string("Digits"));
		r |= rt_json_set(d, "individual_digits", rt_json_new_bool(true));
		r |= rt_json_append(list, d);
	}
	r |= rt_json_set(p, "Regex", rt_json_new_string(pattern));
	r |= rt_json_set(o, "type", rt_json_new_string("Split"));
	r |= rt_json_set(o, "pattern", p);
	r |= rt_json_set(o, "behavior", rt_json_new_string("Isolated"));
	r |= rt_json_set(o, "invert", rt_json_new_bool(false));
	r |= rt_json_append(list, o);
	r |= rt_json_append(list, byte_level(false));
	r |= rt_json_set(pre, "type", rt_json_new_string("Sequence"));
	r |= rt_json_set(pre, "pretokenizers", list);
	r |= rt_json_set(all, "pre_tokenizer", pre);
	r |= rt_json_set(all, "decoder", byte_level(true));
	if (nfc) {
		o = rt_json_new_object();
		r |= rt_json_set(o, "type", rt_json_new_string("NFC"));
		r |= rt_json_set(all, "normalizer", o);
	}
	return r;
}

static int set(const char *name, const char *what, struct rt_json *all, struct rt_error *err)
{
	int r;

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].name, name) == 0) {
			r = chain(all, known[i].pattern, known[i].nfc, known[i].digits);
			if (known[i].ignore_merges)
				r |= rt_json_set(all, "ignore_merges", rt_json_new_bool(true));
			return r ? rt_fail_nomem(err, "a tokenizer") : 0;
		}
	return rt_fail(err, RT_E_UNSUP,
	               "%s '%.60s' is not supported: a tokenizer.json would say what it does", what,
	               name);
}

int tok_known_class(const char *class, struct rt_json *all, struct rt_error *err)
{
	return set(class, "the tokenizer_class", all, err);
}

int tok_known_split(const char *pre, struct rt_json *all, struct rt_error *err)
{
	return set(pre, "the tokenizer.ggml.pre", all, err);
}

int tok_known_llama(bool add_space, struct rt_json *all, struct rt_error *err)
{
	static const char with[] =
		"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\","
		"\"prepend\":\"\xe2\x96\x81\"},"
		"{\"type\":\"Replace\",\"pattern\":{\"String\":\" "
		"\"},\"content\":\"\xe2\x96\x81\"}]},"
		"\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
		"\"pattern\":{\"String\":\"\xe2\x96\x81\"},"
		"\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
		"{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}}";
	static const char without[] =
		"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" "
		"\"},\"content\":\"\xe2\x96\x81\"},"
		"\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
		"\"pattern\":{\"String\":\"\xe2\x96\x81\"},"
		"\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]}}";
	const char     *text = add_space ? with : without;
	struct rt_json *j = NULL;
	int             r = rt_json_parse(text, strlen(text), "llama", 1, &j, err);

	if (r == 0 && (rt_json_set(all, "normalizer", rt_json_ref(rt_json_get(j, "normalizer"))) ||
	               rt_json_set(all, "decoder", rt_json_ref(rt_json_get(j, "decoder")))))
		r = rt_fail_nomem(err, "a tokenizer");
	rt_json_free(j);
	return r;
}
