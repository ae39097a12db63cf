/* replay.c - the main() of a fuzz target in make check: every file of its corpus, and variants.
 *
 * [FOLDER], else the target's own in the source tree.  Each file as it is, cut at every place (up
 * to 512), and changed at random places by a generator that starts the same every time.  `make
 * fuzz` looks for new ones. */
#include "fuzz.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/random.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CUTS = 512, CHANGED = 300 };

static int64_t inputs;

static void one(const void *data, size_t n)
{
	uint8_t *copy = rt_alloc(n, 1); /* of exactly this size, so that a sanitizer sees the end */

	if (copy) {
		memcpy(copy, data, n);
		LLVMFuzzerTestOneInput(copy, n);
		inputs++;
	}
	rt_free(copy);
}

static void change(uint8_t *data, size_t n, uint64_t stream)
{
	static const char words[] = "{}()[]\";:=,.#/*\\@-+eELx0129\n\0\xff\xc3\x80";
	const uint64_t    times = 1 + rt_random_below(1, stream, 0, 8);

	for (uint64_t i = 1; i <= times; i++) {
		const size_t at = rt_random_below(1, stream, 2 * i, n);

		data[at] = (uint8_t)words[rt_random_below(1, stream, 2 * i + 1, sizeof words)];
	}
}

static void variants(const char *data, size_t n)
{
	for (size_t i = 0; i < n && i < CUTS; i++)
		one(data, n <= CUTS ? i : i * (n / CUTS));
	for (uint64_t k = 0; n > 0 && k < CHANGED; k++) {
		char *copy = rt_strndup(data, n);

		if (!copy)
			return;
		change((uint8_t *)copy, n, k);
		one(copy, n);
		rt_free(copy);
	}
}

static int replay_file(void *arg, const char *name, bool is_dir, struct rt_error *err)
{
	struct rt_text t = RT_TEXT_INIT;
	char          *path = rt_path_join(arg, name);
	int            r = path && !is_dir ? rt_file_read(path, 0, &t, err) : 0;

	if (r == 0 && !is_dir) {
		one(t.data, t.len);
		variants(t.data, t.len);
	}
	rt_text_free(&t);
	rt_free(path);
	return r;
}

/* The corpus of "fuzz-NAME": NAME's folder in the source tree. */
static char *corpus_of(const char *program)
{
	const char *name = strstr(program, "fuzz-"), *top = getenv("srcdir");

	while (name && strstr(name + 1, "fuzz-"))
		name = strstr(name + 1, "fuzz-");
	return name ? rt_asprintf("%s/tests/fuzz/corpus/%s", top ? top : ".", name + 5) : NULL;
}

int main(int argc, char **argv)
{
	struct rt_error err = RT_ERROR_INIT;
	char           *folder = argc > 1 ? rt_strdup(argv[1]) : corpus_of(argv[0]);
	int             r = folder ? rt_list_dir(folder, replay_file, folder, &err) : RT_E_NOENT;

	if (r < 0 || inputs == 0)
		fprintf(stderr, "%s: %s\n", folder ? folder : "?",
		        *err.msg ? err.msg : "no corpus");
	else
		printf("ok - %lld inputs\n", (long long)inputs);
	rt_free(folder);
	return r < 0 || inputs == 0;
}
