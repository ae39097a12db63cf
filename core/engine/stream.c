/* stream.c - see stream.h */
#include "engine/stream.h"

#include <retort/memory.h>

#include <string.h>

int stream_init(struct stream *s, const struct rt_tokenizer *t, const char *const *stop,
                int64_t most, struct rt_error *err)
{
	*s = (struct stream){ .text = RT_TEXT_INIT, .stop = stop, .most = most, .cut = SIZE_MAX };
	s->ends = rt_alloc((size_t)most, sizeof *s->ends);
	if (!s->ends)
		return rt_fail_nomem(err, "an answer");
	return t ? rt_decoder_new(&s->decoder, t, 0, err) : 0;
}

void stream_fini(struct stream *s)
{
	rt_decoder_free(s->decoder);
	rt_text_free(&s->text);
	rt_free(s->ends);
	*s = (struct stream){ 0 };
}

/* The first stop string at or behind `from`. */
static void look(struct stream *s, size_t from)
{
	for (int i = 0; s->stop && s->stop[i]; i++) {
		const size_t n = strlen(s->stop[i]);

		for (size_t at = from > n ? from - n : 0; n && at + n <= s->text.len; at++)
			if (at < s->cut && memcmp(s->text.data + at, s->stop[i], n) == 0)
				s->cut = at;
	}
}

int stream_put(struct stream *s, int32_t id, struct rt_error *err)
{
	const size_t before = s->text.len;
	int          r = s->decoder ? rt_decoder_put(s->decoder, id, &s->text, err) : 0;

	if (r < 0 || s->text.failed)
		return r < 0 ? r : rt_fail_nomem(err, "an answer");
	s->ends[s->n++] = s->text.len;
	look(s, before);
	return 0;
}

/* Bytes at the end that a stop string may begin with. */
static size_t held(const struct stream *s)
{
	size_t most = 0;

	for (int i = 0; s->stop && s->stop[i]; i++) {
		const size_t n = strlen(s->stop[i]);

		for (size_t k = n < s->text.len ? n : s->text.len; k > most; k--)
			if (k < n && memcmp(s->text.data + s->text.len - k, s->stop[i], k) == 0)
				most = k;
	}
	return most;
}

const char *stream_take(struct stream *s, bool end, size_t *ret_n)
{
	const size_t from = s->sent;
	size_t       to = end ? s->text.len : s->text.len - held(s);

	if (to > s->cut)
		to = s->cut;
	s->sent = to > from ? to : from;
	*ret_n = s->sent - from;
	return s->text.data + from;
}

int64_t stream_end(struct stream *s, struct rt_error *err)
{
	int64_t n = s->n;

	if (s->cut == SIZE_MAX) {
		int r = s->decoder ? rt_decoder_finish(s->decoder, &s->text, err) : 0;

		return r < 0 ? r : s->text.failed ? rt_fail_nomem(err, "an answer") : n;
	}
	while (n > 0 && (n > 1 ? s->ends[n - 2] : 0) >= s->cut)
		n--;
	s->text.len = s->cut;
	s->text.data[s->text.len] = '\0';
	return n;
}
