/* isa.c - which table of kernels this process uses. */
#include "tensor/kernels.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool always(void)
{
	return true;
}

#if defined(TENSOR_X86)
#include <cpuid.h>

static bool has_avx2(void)
{
	__builtin_cpu_init();
	unsigned a, b, c = 0, d;

	/* clang 14 does not know "f16c", which came two years before AVX2. */
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
	       __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}

static bool has_avx512(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vl");
}

static bool has_vnni(void)
{
	return has_avx512() && __builtin_cpu_supports("avx512vnni");
}

static bool has_bf16(void)
{
	return has_vnni() && __builtin_cpu_supports("avx512bf16");
}
#endif

const struct isa isa_all[] = {
#if defined(TENSOR_X86)
	{ &kernels_bf16, "avx512", has_bf16 },     { &kernels_vnni, "avx512", has_vnni },
	{ &kernels_avx512, "avx512", has_avx512 }, { &kernels_avx2, "avx2", has_avx2 },
#elif defined(TENSOR_NEON)
	{ &kernels_neon, "neon", always },
#endif
	{ &kernels_generic, "generic", always },   { NULL, NULL, NULL },
};

static const struct kernels *_Atomic chosen;

/* The best usable one; of those that answer to wish, if there is a wish. */
static const struct kernels *find(const char *wish)
{
	for (const struct isa *i = isa_all; i->kernels; i++)
		if ((!wish || strcmp(wish, i->wish) == 0) && i->usable())
			return i->kernels;
	return NULL;
}

static bool known(const char *wish)
{
	static const char *const names[] = { "generic", "avx2", "avx512", "neon" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], wish) == 0)
			return true;
	return false;
}

static const char *wish_of_user(void)
{
	const char *wish = getenv("RETORT_ISA");

	return wish && *wish ? wish : NULL;
}

int rt_isa_init(struct rt_error *err)
{
	const char           *wish = wish_of_user();
	const struct kernels *k = find(wish);

	if (!k && known(wish))
		return rt_fail(
			err, RT_E_USAGE,
			"RETORT_ISA=%s: this processor or this build lacks it; the best here "
			"is %s",
			wish, find(NULL)->isa);
	if (!k)
		return rt_fail(err, RT_E_USAGE,
		               "RETORT_ISA=%s is unknown; use generic, avx2, avx512 or neon", wish);
	atomic_store(&chosen, k);
	return 0;
}

const struct kernels *kernels(void)
{
	const struct kernels *k = atomic_load_explicit(&chosen, memory_order_acquire);

	if (k)
		return k;
	if (rt_isa_init(NULL) != 0)
		atomic_store(&chosen, find(NULL));
	return atomic_load(&chosen);
}

void kernels_set(const struct kernels *k)
{
	atomic_store(&chosen, k);
}

const char *rt_isa(void)
{
	return kernels()->isa;
}
