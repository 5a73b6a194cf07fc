/* Which of the tables compiled from simd.c this CPU can run. */
#include <string.h>

#include "base/cpu.h"
#include "sae/simd.h"

extern const struct simd simd_plain;
#if defined(__x86_64__)
extern const struct simd simd_avx2, simd_avx512, simd_avx512vnni;
static const struct simd *const tables[] = {&simd_avx512vnni, &simd_avx512, &simd_avx2, &simd_plain};
#else
static const struct simd *const tables[] = {&simd_plain};
#endif

const struct simd *
simd_for(const char *force)
{
	size_t i;

	for (i = 0; i < sizeof tables / sizeof *tables; i++)
		if ((!force || !strcmp(force, tables[i]->name)) && cpu_runs(tables[i]->name))
			return tables[i];
	return NULL;
}

int
simd_pick(const struct simd **out, const char *force, struct err *e)
{
	*out = simd_for(force);
	return *out ? 0 : err_set(e, CODE_USAGE, "MSAE_CPU=%s: this machine or build does not have it; plain always works", force);
}
