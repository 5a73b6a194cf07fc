/* The inner loops, compiled several times from lib/sae/simd.c and products.c:
 * plain C, and on x86-64 also with AVX2+FMA+F16C, AVX-512, and AVX-512 with VNNI.
 * simd_for() hands out a table; every table gives the same bytes (fused
 * multiply-adds only where sae/dot.h defines them, fixed order), but for the
 * last bits of what is marked approximate. */
#ifndef SAE_SIMD_H
#define SAE_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "sae/dot.h"

/* What two rows x and y have to do with each other: e = x - y, |.| by element. */
struct compared {
	double e, ee, abs, yy, xy; /* sums of e, e^2, |e|, y^2, x y */
};

/* Rows rounded to bytes, x = scale[r] q: four rows make a group [depth][4][4],
 * where depth fours of numbers make a row. offset[r] = 128 sum(q). */
struct byte_rows {
	const int8_t *x;
	const float *scale;    /* [rows] */
	const int32_t *offset; /* [rows] */
	size_t depth;
};
#define BYTE_ROWS 4  /* rows of a group */
#define BYTE_COLS 32 /* latents of a panel, [depth][2][16][4] bytes, each q + 128 */

/* What rounding a row to bytes was like; lengths are approximate, and NaN for a
 * row that was left at q = 0 as its numbers are too large or too small. */
struct rounded {
	float scale;
	int32_t sum;   /* of all q */
	float length;  /* of the row */
	float rest;    /* of row - scale q */
};

struct simd {
	const char *name; /* "plain", "avx2", "avx512", "avx512vnni" */
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
	/* first + i and p[i] of every p[i] > t, in order of i; room for count_above
	 * + 16, which may be overwritten. val may be p. Returns how many. */
	size_t (*compress_above)(const float *p, size_t n, float t, uint32_t first, uint32_t *idx, float *val);
	/* The same, quicker where few are and p comes from memory; p apart from val. */
	size_t (*few_above)(const float *p, size_t n, float t, uint32_t first, uint32_t *idx, float *val);
	/* Leaves of the n pairs idx, val those with val > t, in their order; up to 16
	 * behind those may be overwritten. Returns how many. */
	size_t (*keep_above)(uint32_t *idx, float *val, size_t n, float t);
	/* most[g] = the largest of 0 and p[g], p[g+groups], p[g+2*groups] ..., passing
	 * over NaN */
	void (*maxima)(const float *p, size_t n, float *most, size_t groups);
	/* The least and the greatest of v[n] by bits as whole numbers: of positive
	 * numbers that is their order; negative ones are negative, and n > 0 */
	void (*extremes)(const float *v, size_t n, int32_t *least, int32_t *most);
	/* y[i] = y[i] + a * x[i] */
	void (*axpy)(float *y, float a, const float *x, size_t n);
	/* out[i] = b[i] + sum over t, in order, of val[t] * W[idx[t]*ld + i], for i in 0..d-1;
	 * b may be out */
	void (*gather_rows)(float *out, const float *b, const float *W, size_t ld, size_t d,
	                    const uint32_t *idx, const float *val, size_t nnz);
	/* sums over i, in double, in eight lanes */
	void (*compare)(const float *x, const float *y, size_t n, struct compared *out);
	bool quick; /* dot_tile is about as quick as a BLAS, or quicker */
	/* p[r*ld + j] = dot of sae/dot.h of x [rows,width] and w [cols,width] */
	void (*dot_tile)(const float *x, size_t rows, const float *w, size_t cols, size_t width, float *p, size_t ld);
	/* out[pair.at] = the same dot of x [.,width] and w [.,width], rows pair.row and pair.latent */
	void (*dot_pairs)(const float *x, const float *w, size_t width, const struct dot_pair *pair, size_t n, float *out);
	/* q[i] = x[i] / scale rounded, |q| <= 127; n is a multiple of DOT_LANES */
	struct rounded (*round_row)(const float *x, size_t n, int8_t *q);
	/* Approximate: a[r*ld + j] = (x_r . w_j by bytes) * b->scale[r] * scale[j] + bias[j] for
	 * rows first.. of b, a multiple of BYTE_ROWS, and cols latents, a multiple of BYTE_COLS.
	 * Exact sums in 32 bits; four roundings after that. NULL where bytes are not quicker. */
	void (*byte_tile)(const struct byte_rows *b, size_t first, size_t rows, const uint8_t *w, size_t cols,
	                  const float *scale, const float *bias, float *a, size_t ld);
	/* to[i] = from[i] rounded to the 16 bits of bfloat16: by at most 2^-8 of it */
	void (*shorten)(uint16_t *to, const float *from, size_t n);
	/* u[i] = a[i] + |a[i]| 2^-8 + ((x * by_x[i] + rest * by_rest[i]) + fixed[i]), a in 16 bits */
	void (*upper)(float *u, const uint16_t *a, const float *by_x, const float *by_rest, const float *fixed, float x, float rest, size_t n);
};

/* The best table this CPU has; force (a name, or NULL) asks
 * for one: NULL is returned when the CPU or the build does not have it. */
const struct simd *simd_for(const char *force);
/* The same with an error for a person: CODE_USAGE when force is not to be had. */
int simd_pick(const struct simd **out, const char *force, struct err *e);

#endif
