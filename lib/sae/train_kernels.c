#include "sae/train_kernels.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define REPEAT_1(X) X(0)
#define REPEAT_4(X) REPEAT_1(X) X(1) X(2) X(3)
#define REPEAT_6(X) REPEAT_4(X) X(4) X(5)
#define REPEAT_8(X) REPEAT_6(X) X(6) X(7)
#define REPEAT_12(X) REPEAT_6(X) X(6) X(7) X(8) X(9) X(10) X(11)
#define REPEAT_24(X) REPEAT_12(X) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23)

#define LOAD_ACC(i) s[i] = *(const VEC *)(acc + i * VL);
#define ADD_ACC(i) s[i] += v * *(const VEC *)(w + i * VL);
#define LOAD_ROW(i) d[i] = *(const VEC *)(row + i * VL);
/* g is used twice but read once: left alone, compilers read it again to save an
 * instruction, and reading is what bounds the loop. */
#define DOT_ACC(i) g = *(const VEC *)(w + i * VL); __asm__("" : "+v"(g)); s[i] += v * g; sum += g * d[i];
#define STORE_ACC(i) *(VEC *)(acc + i * VL) = s[i];

/* Sixteen lanes whatever the width of a register: dot products have to add up
 * in the same order everywhere. */
typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));

/* The first and the last two lanes of each quarter of a and b, alternating;
 * the first and last halves of a and b; even and odd quarters. */
#if defined(__clang__)
#define FRONT(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define BACK(a, b) __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOWER(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
#define UPPER(a, b) __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define ODD(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
#else
typedef int32_t places __attribute__((vector_size(64)));
#define FRONT(a, b) __builtin_shuffle(a, b, (places){0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29})
#define BACK(a, b) __builtin_shuffle(a, b, (places){2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31})
#define LOWER(a, b) __builtin_shuffle(a, b, (places){0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23})
#define UPPER(a, b) __builtin_shuffle(a, b, (places){8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31})
#define EVEN(a, b) __builtin_shuffle(a, b, (places){0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27})
#define ODD(a, b) __builtin_shuffle(a, b, (places){4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31})
#endif
#define PAIRS(a, b) (FRONT(a, b) + BACK(a, b))

#define TARGET
#define NAME(f) f##_plain
#define BYTES 16
#include "sae/train_body.h"

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2")))
#define NAME(f) f##_avx2
#define BYTES 32
#include "sae/train_body.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define NAME(f) f##_avx512
#define BYTES 64
#define WIDE
#include "sae/train_body.h"
#endif

const struct train_kernels *
train_kernels_for(const struct simd *simd)
{
#if defined(__x86_64__)
	if (!strcmp(simd->name, "avx512"))
		return &table_avx512;
	if (!strcmp(simd->name, "avx2"))
		return &table_avx2;
#endif
	(void)simd;
	return &table_plain;
}
