/* A cheap look at all latents of a row, with the error that it may have.
 *
 * A screen approximates pre-activations: a[j] = p[j] + error, and bounds the
 * error for each row and latent,
 *
 *   |a[j] - p[j]| <= X by_x[j] + R by_rest[j] + fixed[j]
 *
 * where p is the defined value of sae/dot.h. X and R belong to the row. With
 * u[j] = a[j] + bound, no latent with u[j] < t has a p of t or more: whoever
 * knows that k latents have p >= t computes p for those with u[j] >= t alone.
 *
 * By bytes: x = s q + Dx and w_j = s_j q_j + Dw_j, so that
 *   x.w_j = s s_j q.q_j + x.Dw_j + Dx.(s_j q_j)
 * and by Cauchy and Schwarz the last two are at most |x||Dw_j| + |Dx||s_j q_j|.
 * X = |x|, R = |Dx|, where the larger inputs of x have been divided by powers of
 * two and those of w_j multiplied by them, which changes no product. By floats:
 * the product of a BLAS, in whatever order; R = 0.
 * docs/ENCODING.md derives both, with what rounding adds.
 */
#ifndef SAE_SCREEN_H
#define SAE_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/model.h"
#include "sae/simd.h"

enum screen_kind { SCREEN_BYTES, SCREEN_BLAS };

struct screen;

/* wt [m,dot_width(d)]: the model's encoder, turned (dot_weights). Both must
 * outlive the screen. x [n,d]: rows like those to come, before b_in is taken from
 * them; SCREEN_TELLING or more decide how well it works, not whether bounds hold.
 * *out is NULL, without an error, for a model whose numbers are too large or too
 * many for the bound, or on a CPU without the kernel. */
int screen_new(struct screen **out, const struct sae *model, const float *wt, const float *x, size_t n, enum screen_kind kind,
               const struct simd *simd, struct err *e);
void screen_free(struct screen *s);

/* Latents that are looked at in one go, and rows: the most, for which a
 * product is quickest. */
#define SCREEN_COLS 512
#define SCREEN_ROWS 768
#define SCREEN_TELLING 32 /* rows that tell how large inputs are */
size_t screen_step(const struct screen *s);

/* What a screen knows of rows. Room for `rows`, rounded up to BYTE_ROWS. */
struct screen_rows {
	size_t width;
	const float *x;   /* [rows,width] */
	int8_t *q;        /* [rows,width], in groups */
	int8_t *one;      /* [threads,width] */
	float *shifted;   /* [threads,width] */
	float *scale, *length, *rest; /* [rows] */
	int32_t *offset;  /* [rows] */
};

int screen_rows_new(struct screen_rows *w, size_t rows, size_t d, unsigned threads, struct err *e);
void screen_rows_free(struct screen_rows *w);

/* Looks at rows first..end-1 of w->x, first a multiple of BYTE_ROWS: their
 * lengths, and their bytes. A row too long or too short for the bound gets a
 * length of NaN: it has to be done without. */
void screen_take(const struct screen *s, struct screen_rows *w, size_t first, size_t end, unsigned thread);

/* a[(r - first)*SCREEN_COLS + j - from] for rows first..end-1 and latents
 * from..to-1: at most screen_step rows, first a multiple of BYTE_ROWS; at most
 * SCREEN_COLS latents, `from` a multiple of it. Up to BYTE_ROWS - 1 rows behind
 * the last, and all SCREEN_COLS columns, may be overwritten. */
void screen_product(const struct screen *s, const struct screen_rows *w, size_t first, size_t end, size_t from, size_t to, float *a);

/* Upper bounds u[0..n-1] of latents from.. of row r, whose a, shortened to 16
 * bits (simd.h), are given. */
void screen_upper(const struct screen *s, const struct screen_rows *w, size_t r, size_t from, size_t n, const uint16_t *a, float *u);

#endif
