/* stream.h - the text of an answer as its tokens come, and stop strings in it. */
#ifndef ENGINE_STREAM_H
#define ENGINE_STREAM_H

#include <retort/tokenizer.h>

struct stream {
	struct rt_decoder *decoder;
	struct rt_text     text;
	const char *const *stop; /* or NULL */
	size_t             sent; /* bytes that went out */
	size_t            *ends; /* [most] length of the text after each token */
	int64_t            n, most;
	size_t             cut; /* where a stop string begins; SIZE_MAX: nowhere */
};

int  stream_init(struct stream *s, const struct rt_tokenizer *t, const char *const *stop,
                 int64_t most, struct rt_error *err);
void stream_fini(struct stream *s);

/* One more token.  Afterwards s->cut says whether a stop string has come. */
int stream_put(struct stream *s, int32_t id, struct rt_error *err);

/* Text that may go out now: not what may yet become a stop string, unless this is the end. */
const char *stream_take(struct stream *s, bool end, size_t *ret_n);

/* Tokens of which at least one byte stands in front of the stop string; the text is cut there. */
int64_t stream_end(struct stream *s, struct rt_error *err);

#endif
