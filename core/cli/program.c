/* program.c - find the command, run it, turn its result into a status. */
#include "cli/program.h"

#include "base/fault.h"
#include "base/pool.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "plugin/context.h"
#include "plugin/registry.h"

#include <retort/tensor.h>
#include <retort/text.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *program_plugin_path;

const struct command *const commands[] = {
	&command_run,      &command_check,      &command_plan,        &command_runs,
	&command_tokenize, &command_render,     &command_score,       &command_convert,
	&command_show,     &command_generate,   &command_bench,       &command_report,
	&command_plugins,  &command_new_plugin, &command_test_plugin, NULL
};

static void usage(FILE *to)
{
	fputs("usage: retort [--plugin-path FOLDER[:FOLDER...]] COMMAND [OPTION...] "
	      "[ARGUMENT...]\n\n",
	      to);
	for (int i = 0; commands[i]; i++)
		fprintf(to, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n  --version    print the version\n  --help       print this; after a command, "
	      "what that does\n\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage or description, 3 a quality gate not "
	      "met,\n"
	      "130 interrupted.\n",
	      to);
}

int program_flush(struct rt_error *err)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return rt_fail_errno(err, "cannot write to standard output");
	return 0;
}

int program_status(int result)
{
	switch (result) {
	case RT_E_USAGE: return 2;
	case RT_E_GATE: return 3;
	case RT_E_CANCEL: return 130;
	default: return result < 0 ? 1 : 0;
	}
}

static const struct command *find_command(const char *name, struct rt_error *err)
{
	const char *names[32], *guess;
	int         n = 0;

	for (; commands[n] && n < 31; n++) {
		if (strcmp(commands[n]->name, name) == 0)
			return commands[n];
		names[n] = commands[n]->name;
	}
	names[n] = NULL;
	guess = rt_suggest(name, names);
	rt_fail(err, RT_E_USAGE, "there is no command '%s'%s%s%s", name,
	        guess ? "; did you mean '" : "; see --help", guess ? guess : "", guess ? "'?" : "");
	return NULL;
}

/* Options in front of the command; the index of the command, or a negative error. */
static int program_options(int argc, char **argv, struct rt_error *err)
{
	static const char path[] = "--plugin-path";
	int               i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strncmp(argv[i], path, sizeof path - 1) == 0 && argv[i][sizeof path - 1] == '=')
			program_plugin_path = argv[i] + sizeof path;
		else if (strcmp(argv[i], path) == 0 && i + 1 < argc)
			program_plugin_path = argv[++i];
		else if (strcmp(argv[i], path) == 0)
			return rt_fail(err, RT_E_USAGE, "%s needs a value: FOLDER[:FOLDER...]",
			               path);
		else
			return rt_fail(err, RT_E_USAGE,
			               "no option %s in front of the command; see --help", argv[i]);
	}
	if (i >= argc)
		return rt_fail(err, RT_E_USAGE, "which command? see --help");
	return i;
}

static int run(int argc, char **argv, struct rt_error *err)
{
	const struct command *c;
	int                   i = program_options(argc, argv, err), r;

	if (i < 0)
		return i;
	c = find_command(argv[i], err);
	if (!c)
		return RT_E_USAGE;
	r = c->run(c, argc - i - 1, argv + i + 1, err);
	return r < 0 ? r : program_flush(err);
}

int rt_main(int argc, char **argv)
{
	struct rt_error err = RT_ERROR_INIT;
	int             r;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("retort " RETORT_VERSION);
		return program_status(program_flush(&err));
	}
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return program_status(program_flush(&err));
	}
	r = fault_set(getenv("RETORT_FAULT"), &err);
	if (r == 0)
		r = rt_isa_init(&err);
	if (r == 0)
		r = pool_check(&err);
	if (r == 0)
		r = run(argc, argv, &err);
	registry_exit();
	progress_clear();
	if (r >= 0)
		return 0;
	fflush(stdout);
	context_redact(err.msg);
	fprintf(stderr, "retort: %s\n", *err.msg ? err.msg : rt_code_text(r));
	return program_status(r);
}
