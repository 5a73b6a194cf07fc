#include "base/cpu.h"

#include <string.h>

#if defined(__x86_64__)

/* F16C is not asked for: clang 14 does not know the name, and every CPU with
 * AVX2 and FMA has it. */
bool
cpu_runs(const char *name)
{
	bool fma = __builtin_cpu_supports("fma");
	bool wide = fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");

	if (!strcmp(name, "avx512vnni"))
		return wide && __builtin_cpu_supports("avx512vnni");
	if (!strcmp(name, "avx512"))
		return wide;
	if (!strcmp(name, "avx2"))
		return fma && __builtin_cpu_supports("avx2");
	return !strcmp(name, "plain");
}

#else

bool
cpu_runs(const char *name)
{
	return !strcmp(name, "plain");
}

#endif
