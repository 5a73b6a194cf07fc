/* What simd.c takes from products.c, which is compiled for the same
 * instruction sets. To be called by way of struct simd. */
#ifndef SAE_PRODUCTS_H
#define SAE_PRODUCTS_H

#include <stddef.h>
#include <stdint.h>

#include "sae/simd.h"

#ifndef SIMD
#define SIMD plain
#endif
#define SIMD_JOIN2(a, b) a##b
#define SIMD_JOIN(a, b) SIMD_JOIN2(a, b)
#define PRODUCT(name) SIMD_JOIN(name##_, SIMD)

void PRODUCT(dot_tile)(const float *x, size_t rows, const float *w, size_t cols, size_t width, float *p, size_t ld);
void PRODUCT(dot_pairs)(const float *x, const float *w, size_t width, const struct dot_pair *pair, size_t n, float *out);
void PRODUCT(byte_tile)(const struct byte_rows *b, size_t first, size_t rows, const uint8_t *w, size_t cols,
                        const float *scale, const float *bias, float *a, size_t ld);

#endif
