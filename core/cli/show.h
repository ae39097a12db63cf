/* cli/show.h - what retort show can show besides models, and what a model takes. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <retort/model.h>

/* Figures of a dataset and of a tokenizer, as JSON; text is printed from it. */
int show_dataset(const char *path, struct rt_json **ret, struct rt_error *err);
int show_tokenizer(const struct rt_tokenizer *t, const char *path, struct rt_json **ret,
                   struct rt_error *err);

/* Keys and values of one token, f32, as generation keeps them. */
int64_t show_cache_bytes(const struct rt_model_shape *s);

#endif
