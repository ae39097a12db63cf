/* test-plugin.c - retort test-plugin: hold a plugin against the contract of its kind. */
#include "cli/command.h"
#include "plugin/conform.h"
#include "plugin/registry.h"

#include <stdio.h>
#include <string.h>

struct count {
	int64_t passed, failed, skipped;
};

static void say(void *arg, enum trial_result result, const char *check, const char *reason)
{
	struct count *n = arg;
	const char   *word = result == TRIAL_PASS ? "ok" : result == TRIAL_FAIL ? "FAIL" : "skip";

	n->passed += result == TRIAL_PASS;
	n->failed += result == TRIAL_FAIL;
	n->skipped += result == TRIAL_SKIP;
	printf("%-5s %s%s%s\n", word, check, *reason ? ": " : "", reason);
}

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	struct option_list      set = { .n = 0 };
	const struct option     options[] = { { "set", 0, "KEY=VALUE",
		                                "a parameter, where one cannot be made up", OPT_LIST,
		                                &set, 0, 0 },
		                              OPTION_END };
	const struct rt_plugin *p;
	struct count            n = { 0 };
	const char             *texts[sizeof set.at / sizeof *set.at + 1] = { NULL };
	int                     r = options_read(self, options, &argc, argv, 1, 1, err);

	if (r != 0)
		return r < 0 ? r : 0;
	memcpy(texts, set.at, (size_t)set.n * sizeof *texts);
	r = registry_init(program_plugin_path, err);
	if (r == 0)
		r = registry_open_file(argv[0], &p, err);
	if (r < 0)
		return r;
	say(&n, TRIAL_PASS, "its descriptor is sound", "");
	r = conform_plugin(p, texts, say, &n, err);
	if (r < 0)
		return r;
	printf("%s-%s: %lld passed, %lld failed, %lld skipped\n", kind_name(p->kind), p->name,
	       (long long)n.passed, (long long)n.failed, (long long)n.skipped);
	return n.failed ? rt_fail(err, RT_E_INVAL,
	                          "%s does not keep the contract of %s, see <retort/%s.h>", argv[0],
	                          kind_with_article(p->kind), kind_name(p->kind))
	                : 0;
}

const struct command command_test_plugin = {
	.name = "test-plugin",
	.arguments = "FILE",
	.summary = "Check that a plugin keeps the contract of its kind.",
	.help = "FILE is a shared object KIND-NAME.so.  It is opened with its parameters at their "
		"limits,\n"
		"closed again, left without memory, given pages that it must not touch, and its "
		"results are\n"
		"held against what the kind's header promises.  Exit status 1 when a check "
		"fails.\n",
	.run = run,
};
