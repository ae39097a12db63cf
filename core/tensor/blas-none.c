/* blas-none.c - in place of blas.c where the build has no BLAS: our own kernels do it all. */
#include "tensor/gemm.h"

bool blas_usable(void)
{
	return false;
}

bool blas_preferred(void)
{
	return false;
}

bool blas_takes(const struct product *p)
{
	(void)p;
	return false;
}

void blas_gemm(const struct product *p)
{
	(void)p;
}

const char *rt_blas(void)
{
	return "own kernels: built without a BLAS";
}
