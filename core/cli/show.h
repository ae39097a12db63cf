/* cli/show.h - what retort show can show besides models. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <retort/json.h>
#include <retort/tokenizer.h>

/* Figures of a dataset and of a tokenizer, as JSON; text is printed from it. */
int show_dataset(const char *path, struct rt_json **ret, struct rt_error *err);
int show_tokenizer(const struct rt_tokenizer *t, const char *path, struct rt_json **ret,
                   struct rt_error *err);

#endif
