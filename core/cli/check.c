/* check.c - retort check: find every mistake before anything runs. */
#include "cli/command.h"
#include "cli/describe.h"

#include <stdio.h>

static int run(const struct command *self, int argc, char **argv, struct rt_error *err)
{
	struct option_list  set = { .n = 0 };
	bool                quiet = false;
	const struct option options[] = {
		{ "set", 0, "STAGE.KEY=VALUE", "set a parameter, over what the file says", OPT_LIST,
		  &set, 0, 0 },
		{ "quiet", 'q', NULL, "say nothing when all is well", OPT_FLAG, &quiet, 0, 0 },
		OPTION_END
	};
	int r = options_read(self, options, &argc, argv, 1, 1 << 16, err);

	if (r != 0)
		return r < 0 ? r : 0;
	for (int i = 0; i < argc; i++) {
		struct pipeline p;
		int             k = describe_pipeline(argv[i], &set, &p, err);

		if (k == 0 && !quiet)
			printf("%s: pipeline %s, %lld stage%s, no mistakes\n", argv[i], p.name,
			       (long long)p.n, p.n == 1 ? "" : "s");
		pipeline_free(&p);
		r = k < 0 ? k : r;
	}
	return r;
}

const struct command command_check = {
	.name = "check",
	.arguments = "FILE...",
	.summary = "Read pipeline files and report every mistake; run nothing.",
	.help = "Checks keys, types, ranges, plugins, inputs and their types, cycles, files and\n"
		"credentials.  Exit status 2 when there is a mistake.\n",
	.run = run,
};
