/* main.c - the retort command: everything it does lives in libretort, where plugins find the
 * same thread pool, logs and counters. */
#include "cli/program.h"

int main(int argc, char **argv)
{
	return rt_main(argc, argv);
}
