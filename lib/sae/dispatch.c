/* Which of the tables compiled from simd.c this CPU can run. */
#include <stdbool.h>
#include <string.h>

#include "sae/simd.h"

extern const struct simd simd_plain;

#if defined(__x86_64__)

extern const struct simd simd_avx2, simd_avx512, simd_avx512vnni;

static const struct simd *const tables[] = {&simd_avx512vnni, &simd_avx512, &simd_avx2, &simd_plain};

/* F16C is not asked for: clang 14 does not know the name, and every CPU with
 * AVX2 and FMA has it. */
static bool
runs(const struct simd *s)
{
	if (s == &simd_avx512vnni && !__builtin_cpu_supports("avx512vnni"))
		return false;
	if (s == &simd_avx512 || s == &simd_avx512vnni)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("fma");
	if (s == &simd_avx2)
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	return true;
}

#else

static const struct simd *const tables[] = {&simd_plain};

static bool
runs(const struct simd *s)
{
	(void)s;
	return true;
}

#endif

const struct simd *
simd_for(const char *force)
{
	size_t i;

	for (i = 0; i < sizeof tables / sizeof *tables; i++)
		if ((!force || !strcmp(force, tables[i]->name)) && runs(tables[i]))
			return tables[i];
	return NULL;
}

int
simd_pick(const struct simd **out, const char *force, struct err *e)
{
	*out = simd_for(force);
	return *out ? 0 : err_set(e, CODE_USAGE, "MSAE_CPU=%s: this machine or build does not have it; plain always works", force);
}
