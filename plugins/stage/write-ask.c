/* write-ask.c - see write-ask.h */
#include "write-ask.h"

#include <retort/memory.h>
#include <retort/row.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char write_instruction[] =
	"Here are messages that users wrote to an assistant:\n"
	"\n"
	"{examples}\n"
	"\n"
	"Write {count} new messages that users of the same assistant might write. Each asks for "
	"something of its own, in other words than the ones above, as a real person would. Answer "
	"with a JSON list of {count} strings and nothing else.";

const char *write_example(const struct rt_json *row, size_t *ret_at)
{
	const struct rt_json *messages = rt_json_get(row, "messages");

	for (size_t i = rt_row_prompt(row); i-- > 0;) {
		const struct rt_json *m = rt_json_at(messages, i);
		const char           *role = rt_json_string(rt_json_get(m, "role"));

		if (role && strcmp(role, "user") == 0) {
			*ret_at = i;
			return rt_json_string(rt_json_get(m, "content"));
		}
	}
	return NULL;
}

/* ---- requests ---- */

static void add_list(struct rt_text *t, const struct rt_json *const *examples, int64_t n)
{
	size_t at;

	for (int64_t i = 0; i < n; i++) {
		const char *s = write_example(examples[i], &at);

		rt_text_add(t, i ? "\n- " : "- ");
		for (; s && *s; s++)
			rt_text_add_char(t, *s == '\n' ? ' ' : *s);
	}
}

static struct rt_json *one_message(const char *role, const char *content)
{
	struct rt_json *list = rt_json_new_array(), *o = rt_json_new_object();
	int             r = list && o ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_json_set(o, "role", rt_json_new_string(role));
		r |= rt_json_set(o, "content", rt_json_new_string(content));
		r |= rt_json_append(list, rt_json_ref(o));
	}
	rt_json_free(o);
	if (r == 0)
		return list;
	rt_json_free(list);
	return NULL;
}

struct rt_json *write_ask(const char *instruction, const struct rt_json *const *examples, int64_t n,
                          int64_t count)
{
	static const char list[] = "{examples}", number[] = "{count}";
	struct rt_text    t = RT_TEXT_INIT;
	struct rt_json   *messages;

	for (const char *s = instruction; *s;) {
		if (strncmp(s, list, sizeof list - 1) == 0) {
			add_list(&t, examples, n);
			s += sizeof list - 1;
		} else if (strncmp(s, number, sizeof number - 1) == 0) {
			rt_text_printf(&t, "%lld", (long long)count);
			s += sizeof number - 1;
		} else {
			rt_text_add_char(&t, *s++);
		}
	}
	messages = t.failed ? NULL : one_message("user", t.data);
	rt_text_free(&t);
	return messages;
}

struct rt_json *write_front(const struct ask_files *f, const struct rt_json *example)
{
	struct rt_json *prompt = ask_prompt(f, example), *front = rt_json_new_array();
	size_t          own = rt_row_prompt(example), at = 0;
	int             r = prompt && front && write_example(example, &at) ? 0 : RT_E_NOMEM;

	/* A system message in front moves all of them by one. */
	for (size_t i = 0; r == 0 && i < at + rt_json_length(prompt) - own; i++)
		r = rt_json_append(front, rt_json_ref(rt_json_at(prompt, i)));
	rt_json_free(prompt);
	if (r == 0)
		return front;
	rt_json_free(front);
	return NULL;
}

/* ---- replies ---- */

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Give [s, s + n) without blanks around it, unless nothing is left. */
static int give(const char *s, size_t n, bool whole, write_fn *each, void *arg,
                struct rt_error *err)
{
	char *text;
	int   r;

	while (n > 0 && blank(s[n - 1]))
		n--;
	while (n > 0 && blank(*s))
		s++, n--;
	if (n == 0)
		return 0;
	text = rt_strndup(s, n);
	r = text ? each(arg, text, whole, err) : rt_fail_nomem(err, "a message");
	rt_free(text);
	return r;
}

/* 1: it is a list of JSON, and its texts were given; 0: it is none. */
static int read_json(const char *s, size_t n, write_fn *each, void *arg, struct rt_error *err)
{
	struct rt_json *list = NULL;
	int             r = rt_json_parse(s, n, "reply", 1, &list, NULL);

	if (r < 0)
		return r == RT_E_NOMEM ? rt_fail_nomem(err, "a reply") : 0;
	if (!rt_json_is(list, RT_JSON_ARRAY)) {
		rt_json_free(list);
		return 0;
	}
	for (size_t i = 0; r == 0 && i < rt_json_length(list); i++) {
		const struct rt_json *item = rt_json_at(list, i);
		const char           *text = rt_json_string(item);

		if (!text) /* { "content": ... } is what some give */
			text = rt_json_string(rt_json_get(item, "content"));
		if (text)
			r = give(text, strlen(text), true, each, arg, err);
	}
	rt_json_free(list);
	return r < 0 ? r : 1;
}

/* Behind "- ", "* ", "12. " and "12) ". */
static const char *behind_marker(const char *s, const char *end)
{
	const char *p = s;

	while (p < end && blank(*p))
		p++;
	if (p + 1 < end && (*p == '-' || *p == '*') && p[1] == ' ')
		return p + 2;
	while (p < end && isdigit((unsigned char)*p))
		p++;
	if (p > s && p + 1 < end && isdigit((unsigned char)p[-1]) && (*p == '.' || *p == ')') &&
	    p[1] == ' ')
		return p + 2;
	return s;
}

/* A line in quotes is a string of JSON; one that begins like a list and is no JSON, and the fences
 * around code, hold nothing. */
static int read_line(const char *s, const char *end, bool whole, write_fn *each, void *arg,
                     struct rt_error *err)
{
	char *list;
	int   r;

	s = behind_marker(s, end);
	while (s < end && blank(*s))
		s++;
	while (end > s && (blank(end[-1]) || end[-1] == ','))
		end--;
	if (s == end || *s == '[' || *s == ']' || *s == '`' || *s == '{' || *s == '}')
		return 0;
	if (*s != '"')
		return give(s, (size_t)(end - s), whole, each, arg, err);
	list = rt_asprintf("[%.*s]", (int)(end - s), s);
	r = list ? read_json(list, strlen(list), each, arg, err) : rt_fail_nomem(err, "a reply");
	rt_free(list);
	return r < 0 ? r : 0;
}

int write_read_list(const char *content, bool whole, write_fn *each, void *arg,
                    struct rt_error *err)
{
	const char *from = strchr(content, '['), *to = strrchr(content, ']');
	int r = from && to > from ? read_json(from, (size_t)(to - from) + 1, each, arg, err) : 0;

	if (r != 0)
		return r < 0 ? r : 0;
	for (const char *s = content; r == 0 && *s;) {
		const char *end = s + strcspn(s, "\n");

		r = read_line(s, end, whole || *end, each, arg, err);
		s = *end ? end + 1 : end;
	}
	return r;
}

int write_read_choices(const struct rt_json *choices, write_fn *each, void *arg,
                       struct rt_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < rt_json_length(choices); i++) {
		const struct rt_json *c = rt_json_at(choices, i);
		const char           *text =
			rt_json_string(rt_json_get(rt_json_get(c, "message"), "content"));
		const char *why = rt_json_string(rt_json_get(c, "finish_reason"));

		if (text)
			r = give(text, strlen(text), !why || strcmp(why, "length") != 0, each, arg,
			         err);
	}
	return r;
}
