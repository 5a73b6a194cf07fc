/* Instruction sets for which some files are compiled more than once (Makefile). */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#include <stdbool.h>

/* Whether this CPU runs what was compiled for "plain", "avx2" (with FMA and
 * F16C), "avx512" (F, BW, DQ, VL) or "avx512vnni"; false for other names. */
bool cpu_runs(const char *name);

#endif
