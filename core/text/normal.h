/* normal.h - Unicode normal forms and classes of characters, by way of utf8proc.
 *
 * Time is linear in the text, also for long runs of combining marks. */
#ifndef TEXT_NORMAL_H
#define TEXT_NORMAL_H

#include <retort/error.h>
#include <retort/text.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum normal_form { NORMAL_NFC, NORMAL_NFD, NORMAL_NFKC, NORMAL_NFKD };

/* Append the normal form of n bytes of valid UTF-8. */
int  normal_form(enum normal_form form, const char *s, size_t n, struct rt_text *out,
                 struct rt_error *err);
void normal_lower(const char *s, size_t n, struct rt_text *out); /* each character by itself */
void normal_upper(const char *s, size_t n, struct rt_text *out);

bool normal_is_space(uint32_t c);   /* White_Space */
bool normal_is_word(uint32_t c);    /* letters, marks, decimal digits, connectors */
bool normal_is_numeric(uint32_t c); /* N* */
bool normal_is_punct(uint32_t c);   /* P*, and the symbols of ASCII */
bool normal_is_mark(uint32_t c);    /* Mn */

#endif
