/* regex.c - see regex.h; the only user of PCRE2. */
#include "text/regex.h"

#include <retort/memory.h>
#include <retort/text.h>

#include <stdbool.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
	MAX_PATTERN = 1 << 16,
	MATCH_LIMIT = 50 * 1000 * 1000, /* calls of match(): seconds, not hours */
	HEAP_LIMIT = 256 * 1024,        /* KiB */
	STACK_START = 32 * 1024,
	STACK_MAX = 1024 * 1024
};

struct regex {
	pcre2_code *code;
	bool        jit;
};

struct regex_match {
	pcre2_match_data    *data;
	pcre2_match_context *context;
	pcre2_jit_stack     *stack;
};

static void *take(PCRE2_SIZE n, void *arg)
{
	(void)arg;
	return rt_alloc(1, n);
}

static void drop(void *p, void *arg)
{
	(void)arg;
	rt_free(p);
}

/* What Oniguruma's \s and \w are, to be written inside a class.  PCRE2's \s has U+180E too, and
 * its \w depends on its version.  In a class of the pattern, Oniguruma's \w lacks fractions and
 * the like. */
#define SPACES                                                                                     \
	"\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{"     \
	"202f}"                                                                                    \
	"\\x{205f}\\x{3000}"
#define WORDS "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}"

/* Rewrite \s, \S, \w and \W where a class can say the same. */
static void translate(const char *p, size_t n, struct rt_text *out)
{
	int depth = 0; /* of [ ] */

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\\' && i + 1 < n) {
			const char  c = p[++i];
			const char *set = c == 's' || c == 'S'   ? SPACES
			                  : c == 'w' || c == 'W' ? WORDS
			                                         : NULL;
			const bool  negative = c == 'S' || c == 'W';

			if (set && depth == 0)
				rt_text_printf(out, "[%s%s%s]", negative ? "^" : "", set,
				               c == 'w' || c == 'W' ? "\\p{No}" : "");
			else if (set && !negative)
				rt_text_add(out, set);
			else
				rt_text_add_n(out, p + i - 1, 2);
			continue;
		}
		if (p[i] == '[' && depth == 0) {
			depth = 1;
			rt_text_add_char(out, '[');
			if (i + 1 < n && p[i + 1] == '^')
				rt_text_add_char(out, p[++i]);
			if (i + 1 < n && p[i + 1] == ']')
				rt_text_add(out, "\\]"), i++;
			continue;
		}
		if (p[i] == ']')
			depth = 0;
		rt_text_add_char(out, p[i]);
	}
}

static int compile(struct regex *re, const struct rt_text *pattern, struct rt_error *err)
{
	pcre2_general_context *general = pcre2_general_context_create(take, drop, NULL);
	pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;
	PCRE2_SIZE             at = 0;
	PCRE2_UCHAR            why[160];
	int                    code = 0, r = 0;

	if (!context) {
		r = rt_fail_nomem(err, "a regular expression");
		goto out;
	}
	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	re->code = pcre2_compile((PCRE2_SPTR)pattern->data, pattern->len,
	                         PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_UTF_CHECK |
	                                 PCRE2_NEVER_BACKSLASH_C,
	                         &code, &at, context);
	if (!re->code && code == PCRE2_ERROR_NOMEMORY)
		r = rt_fail_nomem(err, "a regular expression");
	else if (!re->code && code == 121) /* "failed to allocate heap memory" while compiling */
		r = rt_fail_nomem(err, "a regular expression");
	else if (!re->code) {
		pcre2_get_error_message(code, why, sizeof why);
		r = rt_fail(err, RT_E_FORMAT,
		            "the regular expression '%.300s' does not compile: %s", pattern->data,
		            (char *)why);
	} else {
		re->jit = pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE) == 0;
	}
out:
	pcre2_compile_context_free(context);
	pcre2_general_context_free(general);
	return r;
}

int regex_new(struct regex **ret, const char *pattern, size_t n, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	struct regex  *re;
	int            r;

	if (n > MAX_PATTERN)
		return rt_fail(err, RT_E_RANGE, "a regular expression of %zu bytes (at most %d)", n,
		               MAX_PATTERN);
	if (rt_utf8_check(pattern, n) != n)
		return rt_fail(err, RT_E_FORMAT, "a regular expression is not UTF-8");
	re = rt_alloc(1, sizeof *re);
	translate(pattern, n, &t);
	if (!re || t.failed)
		r = rt_fail_nomem(err, "a regular expression");
	else
		r = compile(re, &t, err);
	rt_text_free(&t);
	if (r == 0)
		*ret = re;
	else
		regex_free(re);
	return r;
}

void regex_free(struct regex *re)
{
	if (re)
		pcre2_code_free(re->code);
	rt_free(re);
}

int regex_match_new(struct regex_match **ret, struct rt_error *err)
{
	pcre2_general_context *general = pcre2_general_context_create(take, drop, NULL);
	struct regex_match    *m = general ? rt_alloc(1, sizeof *m) : NULL;

	if (m) {
		m->data = pcre2_match_data_create(1, general);
		m->context = pcre2_match_context_create(general);
		m->stack = pcre2_jit_stack_create(STACK_START, STACK_MAX, general);
	}
	pcre2_general_context_free(general);
	if (!m || !m->data || !m->context) {
		regex_match_free(m);
		return rt_fail_nomem(err, "matching");
	}
	pcre2_set_match_limit(m->context, MATCH_LIMIT);
	pcre2_set_heap_limit(m->context, HEAP_LIMIT);
	if (m->stack)
		pcre2_jit_stack_assign(m->context, NULL, m->stack);
	*ret = m;
	return 0;
}

void regex_match_free(struct regex_match *m)
{
	if (!m)
		return;
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->context);
	pcre2_jit_stack_free(m->stack);
	rt_free(m);
}

int regex_find(const struct regex *re, struct regex_match *m, const char *s, size_t n, size_t from,
               size_t *ret_start, size_t *ret_end, struct rt_error *err)
{
	PCRE2_UCHAR why[160];
	PCRE2_SIZE *at;
	int         r = PCRE2_ERROR_JIT_STACKLIMIT;

	if (re->jit)
		r = pcre2_jit_match(re->code, (PCRE2_SPTR)s, n, from, 0, m->data, m->context);
	if (r == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter keeps its stack on the heap */
		r = pcre2_match(re->code, (PCRE2_SPTR)s, n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
		                m->data, m->context);
	if (r == PCRE2_ERROR_NOMATCH)
		return 0;
	if (r == PCRE2_ERROR_NOMEMORY)
		return rt_fail_nomem(err, "matching");
	if (r < 0) {
		pcre2_get_error_message(r, why, sizeof why);
		return rt_fail(err, RT_E_RANGE,
		               "a regular expression gave up at byte %zu of the text: %s", from,
		               (char *)why);
	}
	at = pcre2_get_ovector_pointer(m->data);
	*ret_start = at[0];
	*ret_end = at[1] < at[0] ? at[0] : at[1]; /* \K in a look-ahead can turn them round */
	return 1;
}
