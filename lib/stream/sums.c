/* Which of the tables compiled from sum.c this CPU can run. */
#include <string.h>

#include "base/cpu.h"
#include "stream/sum.h"

extern const struct sum sum_plain;
#if defined(__x86_64__)
extern const struct sum sum_avx2, sum_avx512;
static const struct sum *const tables[] = {&sum_avx512, &sum_avx2, &sum_plain};
#else
static const struct sum *const tables[] = {&sum_plain};
#endif

const struct sum *
sum_for(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof tables / sizeof *tables; i++)
		if ((!name || !strcmp(name, tables[i]->name)) && cpu_runs(tables[i]->name))
			return tables[i];
	return NULL;
}
