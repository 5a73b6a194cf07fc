/* Instruction sets for which some files are compiled more than once (Makefile). */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#include <stdbool.h>

/* Whether this CPU runs what was compiled for "plain", "avx2" (with FMA and
 * F16C), "avx512" (F, BW, DQ, VL) or "avx512vnni"; false for other names. */
bool cpu_runs(const char *name);

/* For a loop that waits for another thread and means to wait shortly. */
static inline void
cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
