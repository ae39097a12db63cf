/* options.c - see command.h: the command line against a table. */
#include "cli/command.h"

#include <retort/text.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No command has more options. */
enum { MAX_OPTIONS = 32, HELP_COLUMN = 26 };

static const struct option *find(const struct option *o, const char *name, size_t n)
{
	for (; o->name; o++)
		if ((n == 1 && o->letter == *name) ||
		    (strncmp(o->name, name, n) == 0 && o->name[n] == '\0'))
			return o;
	return NULL;
}

static int unknown(const struct command *c, const struct option *o, const char *word,
                   struct rt_error *err)
{
	const char *names[MAX_OPTIONS + 1], *guess;
	char        name[64];
	int         n = 0;

	for (; o->name && n < MAX_OPTIONS - 1; o++)
		names[n++] = o->name;
	names[n++] = "help";
	names[n] = NULL;
	snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
	guess = word[1] == '-' ? rt_suggest(name, names) : NULL;
	return rt_fail(err, RT_E_USAGE, "%s: no option %s%s%s%s", c->name, word,
	               guess ? "; did you mean --" : "; see --help", guess ? guess : "",
	               guess ? "?" : "");
}

static int store(const struct command *c, const struct option *o, const char *value,
                 struct rt_error *err)
{
	struct option_list *list = o->into;
	long long           n;
	double              x;
	char               *end;

	if ((o->type == OPT_TEXT || o->type == OPT_LIST) && !*value)
		return rt_fail(err, RT_E_USAGE, "%s: --%s is empty", c->name, o->name);
	switch (o->type) {
	case OPT_FLAG: *(bool *)o->into = true; return 0;
	case OPT_TEXT:
	case OPT_ANY_TEXT: *(const char **)o->into = value; return 0;
	case OPT_LIST:
		if (list->n == (int64_t)(sizeof list->at / sizeof *list->at))
			return rt_fail(err, RT_E_USAGE, "%s: --%s may be given %lld times", c->name,
			               o->name, (long long)list->n);
		list->at[list->n++] = value;
		return 0;
	case OPT_REAL:
		x = strtod(value, &end);
		if (*end || end == value || !(x >= (double)o->min && x <= (double)o->max))
			return rt_fail(err, RT_E_USAGE,
			               "%s: --%s %s: must be a number from %lld to %lld", c->name,
			               o->name, value, (long long)o->min, (long long)o->max);
		*(double *)o->into = x;
		return 0;
	default:
		errno = 0;
		n = strtoll(value, &end, 10);
		if (errno || *end || end == value || n < o->min || n > o->max)
			return rt_fail(err, RT_E_USAGE,
			               "%s: --%s %s: must be a whole number from %lld to %lld",
			               c->name, o->name, value, (long long)o->min,
			               (long long)o->max);
		*(int64_t *)o->into = n;
		return 0;
	}
}

static void print_help(const struct command *c, const struct option *o)
{
	printf("usage: retort %s [OPTION...]%s%s\n\n%s\n", c->name, *c->arguments ? " " : "",
	       c->arguments, c->summary);
	if (o->name)
		printf("\noptions:\n");
	for (; o->name; o++) {
		char left[64];
		int  n = snprintf(left, sizeof left, "  --%s%s%s", o->name, o->value ? " " : "",
                                 o->value ? o->value : "");

		if (o->letter)
			n += snprintf(left + n, sizeof left - (size_t)n, ", -%c", o->letter);
		printf("%-*s%s\n", HELP_COLUMN, left, o->help);
	}
	if (c->help)
		printf("\n%s", c->help);
}

/* What is read, and how far. */
struct reader {
	const struct command *c;
	const struct option  *options;
	int                   argc;
	char                **argv;
	bool                  given[MAX_OPTIONS];
};

/* A value that another would replace without a word. */
static bool is_second(struct reader *d, const struct option *o)
{
	bool      *given = &d->given[o - d->options];
	const bool before = *given;

	*given = true;
	return before && o->type != OPT_FLAG && o->type != OPT_LIST;
}

/* One option at argv[i]; *i moves past a value that stands alone. */
static int read_one(struct reader *d, int *i, struct rt_error *err)
{
	const struct command *c = d->c;
	const char           *word = d->argv[*i], *eq = strchr(word, '=');
	const char           *name = word[1] == '-' ? word + 2 : word + 1;
	const struct option  *o;

	if (word[1] != '-' && word[2] != '\0')
		return unknown(c, d->options, word, err);
	o = find(d->options, name, eq ? (size_t)(eq - name) : strlen(name));
	if (!o || (word[1] == '-' && strlen(name) == 1))
		return unknown(c, d->options, word, err);
	if (is_second(d, o))
		return rt_fail(err, RT_E_USAGE, "%s: --%s is given twice", c->name, o->name);
	if (o->type == OPT_FLAG)
		return eq ? rt_fail(err, RT_E_USAGE, "%s: --%s takes no value", c->name, o->name)
		          : store(c, o, NULL, err);
	if (eq)
		return store(c, o, eq + 1, err);
	if (*i + 1 >= d->argc)
		return rt_fail(err, RT_E_USAGE, "%s: --%s needs a value: %s", c->name, o->name,
		               o->value);
	return store(c, o, d->argv[++*i], err);
}

/* As many as the command takes, each of them something. */
static int check_arguments(const struct command *c, int n, char **argv, int min, int max,
                           struct rt_error *err)
{
	const char *what = n < min   ? "an argument is missing"
	                   : n > max ? "too many arguments"
	                             : NULL;

	for (int i = 0; !what && i < n; i++)
		if (!*argv[i])
			what = "an argument is empty";
	return what ? rt_fail(err, RT_E_USAGE, "%s: %s; usage: retort %s [OPTION...]%s%s", c->name,
	                      what, c->name, *c->arguments ? " " : "", c->arguments)
	            : 0;
}

int options_read(const struct command *c, const struct option *options, int *argc, char **argv,
                 int min, int max, struct rt_error *err)
{
	struct reader d = { .c = c, .options = options, .argc = *argc, .argv = argv };
	bool          ended = false;
	int           n = 0, r;

	for (int i = 0; i < *argc; i++) {
		if (ended || argv[i][0] != '-' || argv[i][1] == '\0') {
			argv[n++] = argv[i];
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			ended = true;
			continue;
		}
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_help(c, options);
			return 1;
		}
		r = read_one(&d, &i, err);
		if (r < 0)
			return r;
	}
	*argc = n;
	return check_arguments(c, n, argv, min, max, err);
}
