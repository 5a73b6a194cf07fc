/* Inner loops of training, compiled for each instruction set from
 * train_body.h. Every table gives the same bytes: sums run in the order of
 * their terms or in sixteen fixed lanes, and no product is fused. */
#ifndef SAE_TRAIN_KERNELS_H
#define SAE_TRAIN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "sae/simd.h"

struct adam {
	float beta1, beta2; /* m = beta1 m + rest1 g, v = beta2 v + rest2 g g */
	float rest1, rest2;
	float step, root, eps; /* p -= step m / (sqrt(v) / root + eps) */
	float clip;            /* g is multiplied by it first */
};

struct train_kernels {
	/* acc[width] += sum over t, in order, of val[t] * src[idx[t]*ld ...] */
	void (*add_rows)(float *acc, size_t width, const float *src, size_t ld,
	                 const uint16_t *idx, const float *val, size_t n);
	/* out[t] += row[width] . src[idx[t]*ld ...], and add_rows of the same: two
	 * multiplications and additions for each number of src that is read */
	void (*dot_and_add)(float *out, float *acc, const float *row, size_t width, const float *src, size_t ld,
	                    const uint16_t *idx, const float *val, size_t n);
	/* idx/val of every p[i] >= low that is not >= high, in order of i, n <= 65536;
	 * a high of NaN takes all. Writes not beyond what it returns. */
	size_t (*place)(const float *p, size_t n, float low, float high, uint16_t *idx, float *val);
	/* One parameter tensor's piece of n; p = p * scale first. */
	void (*adam)(float *p, float *m, float *v, const float *g, size_t n, const struct adam *a);
	/* sum of a[i]^2, in sixteen running sums of doubles */
	double (*square_sum)(const float *a, size_t n);
	double (*total)(const float *a, size_t n); /* likewise of a[i] */
};

const struct train_kernels *train_kernels_for(const struct simd *simd);

#endif
