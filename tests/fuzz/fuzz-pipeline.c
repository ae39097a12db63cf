/* fuzz-pipeline.c - a pipeline file of any bytes is read or refused with a sentence.
 *
 * A line that begins with "--set " is taken out of the file and applied to it.  Plugins are those
 * of the build, which is the working directory. */
#include "fuzz.h"

#include "pipeline/pipeline.h"
#include "plugin/registry.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SETS = 4 };

static void start(void)
{
	static bool started;

	if (started)
		return;
	started = true;
	if (registry_init(".libs", NULL) < 0)
		abort();
}

/* Split off the --set lines; what is left stays in text. */
static int64_t take_sets(char *text, const char *sets[MAX_SETS])
{
	int64_t n = 0;

	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			next++;
		if (strncmp(line, "--set ", 6) != 0 || n == MAX_SETS)
			continue;
		if (next)
			next[-1] = '\0';
		sets[n] = rt_strdup(line + 6);
		if (sets[n])
			n++;
		memset(line, ' ', strlen(line));
		if (next)
			next[-1] = '\n';
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char                   *text = rt_strndup((const char *)data, size), path[64];
	const char             *sets[MAX_SETS];
	struct pipeline_options options = { sets, 0 };
	struct rt_error         err = RT_ERROR_INIT;
	struct pipeline         p;
	struct report           report;
	int                     fd, r;

	if (!text)
		return 0;
	start();
	options.n_set = take_sets(text, sets);
	fd = fuzz_file((const uint8_t *)text, size, path);
	r = pipeline_read(path, &options, &p, &report, &err);
	if (r < 0 && !*err.msg)
		abort(); /* an error without a sentence */
	if (r == 0 && (p.n == 0 || !p.name))
		abort(); /* nothing that could be run */
	pipeline_free(&p);
	fuzz_close(fd);
	for (int64_t i = 0; i < options.n_set; i++)
		rt_free((char *)sets[i]);
	rt_free(text);
	return 0;
}
