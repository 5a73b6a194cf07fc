/* The inner loops, compiled several times from lib/sae/simd.c: plain C, and
 * on x86-64 also with AVX2+FMA+F16C and AVX-512. simd_for() hands out a table;
 * every table gives the same bytes (no fused multiply-add, fixed order). */
#ifndef SAE_SIMD_H
#define SAE_SIMD_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What two rows x and y have to do with each other: e = x - y, |.| by element. */
struct compared {
	double e, ee, abs, yy, xy; /* sums of e, e^2, |e|, y^2, x y */
};

struct simd {
	const char *name; /* "plain", "avx2", "avx512" */
	/* p[i] = p[i] + b[i]: bias added to pre-activations of one row */
	void (*add)(float *p, const float *b, size_t n);
	/* p[i] = p[i] > t[i] ? p[i] : 0: thresholds of one row */
	void (*gate)(float *p, const float *t, size_t n);
	/* out[i] = (x[i] - mean[i]) * scale; out may be x, here and below */
	void (*shift_scale)(float *out, const float *x, const float *mean, float scale, size_t n);
	/* out[i] = x[i] / scale + mean[i] */
	void (*unscale_shift)(float *out, const float *x, const float *mean, float scale, size_t n);
	/* how many p[i] > t */
	size_t (*count_above)(const float *p, size_t n, float t);
	/* idx/val of every p[i] > t, in order of i; room for count_above + 16,
	 * which may be overwritten. val may be p. Returns how many. */
	size_t (*compress_above)(const float *p, size_t n, float t, uint32_t *idx, float *val);
	/* y[i] = y[i] + a * x[i] */
	void (*axpy)(float *y, float a, const float *x, size_t n);
	/* out[i] = b[i] + sum over t, in order, of val[t] * W[idx[t]*ld + i], for i in 0..d-1;
	 * b may be out */
	void (*gather_rows)(float *out, const float *b, const float *W, size_t ld, size_t d,
	                    const uint32_t *idx, const float *val, size_t nnz);
	/* sums over i, in double, in eight lanes */
	void (*compare)(const float *x, const float *y, size_t n, struct compared *out);
};

/* The best table this CPU has; force ("plain", "avx2", "avx512" or NULL) asks
 * for one: NULL is returned when the CPU or the build does not have it. */
const struct simd *simd_for(const char *force);
/* The same with an error for a person: CODE_USAGE when force is not to be had. */
int simd_pick(const struct simd **out, const char *force, struct err *e);

#endif
