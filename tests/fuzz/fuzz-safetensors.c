/* fuzz-safetensors.c - a file of any bytes: tensors inside the file that can be read to their last
 * byte, or an error that names the file. */
#include "fuzz.h"

#include <retort/safetensors.h>

#include <stdlib.h>
#include <string.h>

static volatile unsigned sum; /* so that nothing is left out */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char                  path[64];
	int                   fd = fuzz_file(data, size, path);
	struct rt_error       err = RT_ERROR_INIT;
	struct rt_safetensors s;

	if (rt_safetensors_open(&s, path, &err) < 0) {
		if (!strstr(err.msg, path))
			abort(); /* which file? */
	} else {
		for (int64_t i = 0; i < s.n; i++) {
			const struct rt_tensor *t = &s.tensors[i].tensor;
			const unsigned char    *bytes = t->data;
			const int64_t           n = rt_bytes(t);

			if (n > (int64_t)size || strlen(s.tensors[i].name) > size)
				abort(); /* more than there is */
			for (int64_t k = 0; k < n; k++)
				sum += bytes[k];
		}
		rt_safetensors_close(&s);
	}
	fuzz_close(fd);
	return 0;
}
