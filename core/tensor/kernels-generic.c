/* kernels-generic.c - the kernels for portable C. */
#define KERNELS      kernels_generic
#define ISA          "generic"
#define VBYTES       16
#define FMA(a, b, c) ((a) * (b) + (c))
#define MR           4
#define NV           2

#include "tensor/kernels.inc.c"
