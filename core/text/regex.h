/* regex.h - regular expressions over UTF-8, by way of PCRE2, in the dialect of tokenizer.json.
 *
 * Patterns are written for Oniguruma: \s, \w and \d are Unicode's, ^ and $ look at lines.
 * Compiled once, then used by any number of threads, each with a match of its own. */
#ifndef TEXT_REGEX_H
#define TEXT_REGEX_H

#include <retort/error.h>

#include <stddef.h>

struct regex;
struct regex_match;

int  regex_new(struct regex **ret, const char *pattern, size_t n, struct rt_error *err);
void regex_free(struct regex *re);

int  regex_match_new(struct regex_match **ret, struct rt_error *err);
void regex_match_free(struct regex_match *m);

/* The first match that starts at `from` or later in n bytes of valid UTF-8.  1 with the place
 * of the match, 0 when there is none, or a code: a search that takes too many steps is
 * RT_E_RANGE. */
int regex_find(const struct regex *re, struct regex_match *m, const char *s, size_t n, size_t from,
               size_t *ret_start, size_t *ret_end, struct rt_error *err);

#endif
