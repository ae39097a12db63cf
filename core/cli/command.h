/* cli/command.h - what a command of the program is: its words, its options, its function. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <retort/error.h>

#include <stdbool.h>
#include <stdint.h>

/* OPT_ANY_TEXT may be empty.  All other texts name something: one that is empty is a variable of a
 * script that was never set, and an error. */
enum option_type { OPT_FLAG, OPT_TEXT, OPT_ANY_TEXT, OPT_INT, OPT_REAL, OPT_LIST };

/* Every value of a repeated option, in order. */
struct option_list {
	const char *at[64];
	int64_t     n;
};

struct option {
	const char      *name;   /* "runs" for --runs */
	char             letter; /* or 0 */
	const char      *value;  /* what help calls its value, NULL for a flag */
	const char      *help;   /* one line */
	enum option_type type;
	void            *into;     /* bool, const char *, int64_t, double, struct option_list */
	int64_t          min, max; /* OPT_INT, OPT_REAL */
};

#define OPTION_END                                                                                 \
	{                                                                                          \
		.name = NULL                                                                       \
	}

struct command {
	const char *name;
	const char *arguments; /* "FILE", "[KIND-NAME]" */
	const char *summary;   /* one line for the list of commands */
	const char *help;      /* what --help says below usage and options; NULL: nothing more */
	int (*run)(const struct command *self, int argc, char **argv, struct rt_error *err);
};

extern const struct command *const commands[];

/* Read options into their places, and leave the arguments: argv[0..*argc), none of them empty.
 * Options and arguments may be mixed; "--" ends options; --opt=value and --opt value.  Only flags
 * and lists may be given more than once.  --help prints the command's help and returns 1.  Errors
 * are RT_E_USAGE, with "did you mean". */
int options_read(const struct command *c, const struct option *options, int *argc, char **argv,
                 int min, int max, struct rt_error *err);

/* The commands, each in a file of its own. */
extern const struct command command_check, command_plan, command_run, command_runs;
extern const struct command command_plugins, command_new_plugin, command_test_plugin;
extern const struct command command_tokenize, command_render, command_score, command_convert;
extern const struct command command_show, command_generate, command_report, command_bench;

/* Options of the program itself that commands look at. */
extern const char *program_plugin_path; /* --plugin-path, or NULL */

/* Flush standard output; a full disk or closed pipe is an error like any other. */
int program_flush(struct rt_error *err);

/* Exit status of a result: 0 done, 1 failed, 2 usage, 3 gate, 130 interrupted. */
int program_status(int result);

#endif
