/* golden.h - results of third parties that tests compare with.
 *
 * They lie in tests/golden, or in the folder that $RETORT_GOLDEN names, which may hold more
 * folders of the same form. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <check.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A file below the golden folder, whole, with a terminator after it; NULL when there is none. */
static inline char *golden_read(const char *name, size_t *ret_size)
{
	const char *root = getenv("RETORT_GOLDEN");
	char        path[4096];
	FILE       *f;
	char       *data;
	long        size;

	snprintf(path, sizeof path, "%s/%s", root && *root ? root : GOLDEN_DIR, name);
	f = fopen(path, "rb");
	if (!f)
		return NULL;
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	data = malloc((size_t)size + 1);
	ck_assert_ptr_nonnull(data);
	ck_assert_uint_eq(fread(data, 1, (size_t)size, f), (size_t)size);
	fclose(f);
	data[size] = '\0';
	if (ret_size)
		*ret_size = (size_t)size;
	return data;
}

static inline json_t *golden_json(const char *name)
{
	char   *text = golden_read(name, NULL);
	json_t *j = text ? json_loads(text, 0, NULL) : NULL;

	free(text);
	return j;
}

/* obj[key] as a number; the test fails where there is none. */
static inline int64_t golden_int(const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);

	ck_assert_msg(json_is_integer(v), "no integer %s", key);
	return json_integer_value(v);
}

#endif
