/* fuzz.h - what a fuzz target is: one function that must survive any bytes. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A path under which the bytes can be opened as a regular file; fuzz_close(fd) afterwards. */
int  fuzz_file(const uint8_t *data, size_t size, char path[64]);
void fuzz_close(int fd);

#endif
