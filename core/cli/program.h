/* cli/program.h - the program as a function, so that retort itself is one line. */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int rt_main(int argc, char **argv);

#endif
