#include "sae/screen.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sae/blas.h"
#include "sae/dot.h"

/* Numbers beyond these could leave float's range in a product or a sum. */
#define MOST 1e15f
#define LEAST 1e-15f
#define BYTES_MOST 60000 /* numbers of a row whose products fit a sum of 32 bits */
#define UNIT 0x1p-24     /* of rounding */
#define ROWS_LOOKED 256
#define LATENTS_LOOKED 4096
#define SHIFT_MOST 16    /* the largest power of two that an input is divided by */

struct screen {
	const struct sae *model;
	const struct simd *simd;
	enum screen_kind kind;
	size_t d, width, m, cols;
	float *by;            /* bytes: [width] powers of two, which rows are multiplied by; NULL: ones */
	uint8_t *w;           /* bytes: panels of BYTE_COLS latents */
	float *scale, *bias;  /* [cols] */
	float *by_x, *by_rest, *fixed; /* [cols] */
};

/* ---- the model's side ---- */

/* Mean squares of each input, of rows that are made equally long. */
static void
row_squares(const struct screen *s, const float *x, size_t n, double *square)
{
	size_t looked = n < ROWS_LOOKED ? n : ROWS_LOOKED, r, i;
	double v, length;

	for (r = 0; r < looked; r++) {
		for (i = 0, length = DBL_MIN; i < s->d; i++) {
			v = (double)x[r * s->d + i] - s->model->b_in[i];
			length += v * v;
		}
		for (i = 0; i < s->d; i++) {
			v = (double)x[r * s->d + i] - s->model->b_in[i];
			square[i] += v * v / length;
		}
	}
}

static void
weight_squares(const struct screen *s, const float *wt, double *square)
{
	size_t step = s->m / LATENTS_LOOKED + 1, j, i;

	for (j = 0; j < s->m; j += step)
		for (i = 0; i < s->d; i++)
			square[i] += (double)wt[j * s->width + i] * wt[j * s->width + i];
}

/* An input that is larger than the others makes the steps wide in which all of a
 * row are rounded. It is divided by a power of two, and its weights multiplied:
 * products stay what they are, without rounding. The best factor is the root of
 * how much larger the input is over how much larger its weights are. */
static int
choose_shifts(struct screen *s, const float *wt, const float *x, size_t n, struct err *e)
{
	double *rows = mem_alloc(2 * s->width * sizeof *rows), *weights = rows + s->width, least = INFINITY, most = -INFINITY, shift;
	bool any = false;
	size_t i;

	s->by = mem_alloc(s->width * sizeof *s->by);
	if (!rows || !s->by) {
		mem_free(rows);
		return err_memory(e, "encoder", s->width * 20);
	}
	memset(rows, 0, 2 * s->width * sizeof *rows);
	row_squares(s, x, n, rows);
	weight_squares(s, wt, weights);
	for (i = 0; i < s->d; i++) {
		rows[i] = rows[i] > 0 && weights[i] > 0 && weights[i] < INFINITY ? log2(rows[i] / weights[i]) / 4 : -INFINITY;
		least = rows[i] > -INFINITY && rows[i] < least ? rows[i] : least;
		most = rows[i] > most ? rows[i] : most;
	}
	least = most - least > SHIFT_MOST ? most - SHIFT_MOST : least;
	for (i = 0; i < s->width; i++) {
		shift = i < s->d && rows[i] > least ? rint(rows[i] - least) : 0;
		s->by[i] = (float)ldexp(1, -(int)shift);
		any = any || shift > 0;
	}
	if (!any) {
		mem_free(s->by);
		s->by = NULL;
	}
	mem_free(rows);
	return 0;
}

/* Upwards to a float, so that a bound stays one. */
static float
up(double v)
{
	float f = (float)v;

	return f < v ? nextafterf(f, INFINITY) : f;
}

/* Row j of wt as bytes, into its panel. */
static double
pack_latent(struct screen *s, size_t j, const int8_t *q)
{
	uint8_t *to = s->w + j / BYTE_COLS * BYTE_COLS * s->width + j % BYTE_COLS / 16 * 64 + j % 16 * 4;
	double sum = 0;
	size_t i;

	for (i = 0; i < s->width; i++) {
		to[i / 4 * 128 + i % 4] = (uint8_t)(q[i] + 128);
		sum += (double)q[i] * q[i];
	}
	return sqrt(sum);
}

/* What bounds the error of latent j. length and rest are of its weights,
 * bytes the length of what stands for them. */
static void
bound_latent(struct screen *s, size_t j, double length, double rest, double bytes)
{
	double n = (double)(s->width / DOT_LANES), defined = n + 8, b = fabs((double)s->model->b_enc[j]);

	if (s->kind == SCREEN_BLAS)
		s->by_x[j] = up(1.01 * UNIT * (defined + (double)s->d + 8) * length);
	else
		s->by_x[j] = up(1.001 * rest + 1.01 * UNIT * ((defined + 4) * length + 8 * bytes));
	s->by_rest[j] = up(1.001 * bytes);
	s->fixed[j] = up(8 * UNIT * b + FLT_MIN);
}

/* Lengths in double: they bound. */
static double
length_of(const float *w, size_t n, float scale, const int8_t *q)
{
	double sum = 0, v;
	size_t i;

	for (i = 0; i < n; i++) {
		v = w[i] - (q ? (double)scale * q[i] : 0);
		sum += v * v;
	}
	return sqrt(sum);
}

static bool
fits(float v)
{
	return fabsf(v) <= MOST;
}

/* Whether all went well for latent j. */
static bool
take_latent(struct screen *s, size_t j, const float *w, float *shifted, int8_t *q)
{
	double length, rest = 0, bytes = 0;
	struct rounded got;
	size_t i;

	if (s->by) {
		for (i = 0; i < s->width; i++)
			shifted[i] = w[i] / s->by[i];
		w = shifted;
	}
	length = length_of(w, s->width, 0, NULL);

	if (s->kind == SCREEN_BYTES && length < (double)MOST) {
		got = s->simd->round_row(w, s->width, q);
		bytes = pack_latent(s, j, q) * got.scale;
		rest = length_of(w, s->width, got.scale, q);
		s->scale[j] = got.scale;
		s->bias[j] = s->model->b_enc[j];
	}
	bound_latent(s, j, length, rest, bytes);
	return fits((float)length) && fits(s->model->b_enc[j]) && fits(s->by_x[j]) && fits(s->by_rest[j]);
}

static bool
take_latents(struct screen *s, const float *wt, float *shifted, int8_t *q)
{
	size_t j;

	for (j = 0; j < s->m; j++)
		if (!take_latent(s, j, wt + j * s->width, shifted, q))
			return false;
	for (; j < s->cols && s->kind == SCREEN_BYTES; j++) {
		memset(q, 0, s->width);
		pack_latent(s, j, q);
		s->scale[j] = 0;
		s->bias[j] = -INFINITY;
	}
	return true;
}

static int
allocate(struct screen *s, float **shifted, int8_t **q, struct err *e)
{
	size_t floats = s->cols * sizeof(float), bytes = s->kind == SCREEN_BYTES ? s->cols * s->width : 0;

	s->w = mem_alloc(bytes);
	s->scale = mem_alloc(floats);
	s->bias = mem_alloc(floats);
	s->by_x = mem_alloc(floats);
	s->by_rest = mem_alloc(floats);
	s->fixed = mem_alloc(floats);
	*q = mem_alloc(s->width);
	*shifted = mem_alloc(s->width * sizeof **shifted);
	if (*shifted && s->w && s->scale && s->bias && s->by_x && s->by_rest && s->fixed && *q)
		return 0;
	return err_memory(e, "encoder", bytes + 5 * floats + s->width);
}

int
screen_new(struct screen **out, const struct sae *model, const float *wt, const float *x, size_t n, enum screen_kind kind,
           const struct simd *simd, struct err *e)
{
	struct screen *s;
	float *shifted = NULL;
	int8_t *q = NULL;
	int code;

	*out = NULL;
	if (kind == SCREEN_BYTES && (!simd->byte_tile || model->d > BYTES_MOST))
		return 0;
	s = calloc(1, sizeof *s);
	if (!s)
		return err_memory(e, "encoder", sizeof *s);
	s->model = model;
	s->simd = simd;
	s->kind = kind;
	s->d = model->d;
	s->width = dot_width(model->d);
	s->m = model->m;
	s->cols = (model->m + BYTE_COLS - 1) / BYTE_COLS * BYTE_COLS;
	code = allocate(s, &shifted, &q, e);
	if (!code && kind == SCREEN_BYTES && n >= SCREEN_TELLING)
		code = choose_shifts(s, wt, x, n, e);
	if (!code && take_latents(s, wt, shifted, q))
		*out = s;
	else
		screen_free(s);
	mem_free(shifted);
	mem_free(q);
	return code;
}

void
screen_free(struct screen *s)
{
	if (!s)
		return;
	mem_free(s->by);
	mem_free(s->w);
	mem_free(s->scale);
	mem_free(s->bias);
	mem_free(s->by_x);
	mem_free(s->by_rest);
	mem_free(s->fixed);
	free(s);
}

/* Bytes: rows that a kernel takes at once. A BLAS packs what it multiplies,
 * anew in each call. */
size_t
screen_step(const struct screen *s)
{
	return s->kind == SCREEN_BYTES ? 12 : SCREEN_ROWS;
}

/* ---- the rows' side ---- */

int
screen_rows_new(struct screen_rows *w, size_t rows, size_t d, unsigned threads, struct err *e)
{
	size_t room = (rows + BYTE_ROWS - 1) / BYTE_ROWS * BYTE_ROWS, floats = room * sizeof(float);

	*w = (struct screen_rows){.width = dot_width(d)};
	w->q = mem_alloc(room * w->width);
	w->one = mem_alloc(threads * w->width);
	w->shifted = mem_alloc(threads * w->width * sizeof *w->shifted);
	w->scale = mem_alloc(floats);
	w->length = mem_alloc(floats);
	w->rest = mem_alloc(floats);
	w->offset = mem_alloc(room * sizeof *w->offset);
	if (w->q && w->one && w->shifted && w->scale && w->length && w->rest && w->offset)
		return 0;
	screen_rows_free(w);
	return err_memory(e, "encoder", room * w->width + 4 * floats);
}

void
screen_rows_free(struct screen_rows *w)
{
	mem_free(w->q);
	mem_free(w->one);
	mem_free(w->shifted);
	mem_free(w->scale);
	mem_free(w->length);
	mem_free(w->rest);
	mem_free(w->offset);
	memset(w, 0, sizeof *w);
}

static bool
all_zero(const float *x, size_t n)
{
	size_t i;

	for (i = 0; i < n && x[i] == 0; i++)
		;
	return i == n;
}

/* Lengths were summed in float32, in lanes: of n / 16 + 16 roundings each. */
static void
take_row(const struct screen *s, struct screen_rows *w, size_t r, float *shifted, int8_t *one)
{
	const float *x = w->x + r * w->width;
	struct rounded got;
	float slack = 1 + (float)(w->width / DOT_LANES + 64) * 0x1p-23f;
	int8_t *to = w->q + r / BYTE_ROWS * BYTE_ROWS * w->width + r % BYTE_ROWS * 4;
	size_t i;

	if (s->by) {
		for (i = 0; i < w->width; i++)
			shifted[i] = x[i] * s->by[i];
		x = shifted;
	}
	got = s->simd->round_row(x, w->width, one);
	w->scale[r] = got.scale;
	w->offset[r] = 128 * got.sum;
	w->length[r] = got.length * slack;
	/* each x - scale q was rounded twice, relative to x */
	w->rest[r] = s->kind == SCREEN_BYTES ? got.rest * slack + w->length[r] * 0x1p-22f : 0;
	/* a row so small that shifting left nothing of it is none of zeros */
	if (got.length == 0 ? !all_zero(w->x + r * w->width, w->width) : !(got.length > LEAST && got.length < MOST))
		w->length[r] = NAN;
	for (i = 0; i < w->width / 4 && s->kind == SCREEN_BYTES; i++)
		memcpy(to + i * 16, one + i * 4, 4);
}

/* A row that fills up the last group. */
static void
take_zeros(struct screen_rows *w, size_t r)
{
	int8_t *to = w->q + r / BYTE_ROWS * BYTE_ROWS * w->width + r % BYTE_ROWS * 4;
	size_t i;

	w->scale[r] = 0;
	w->offset[r] = 0;
	for (i = 0; i < w->width / 4; i++)
		memset(to + i * 16, 0, 4);
}

void
screen_take(const struct screen *s, struct screen_rows *w, size_t first, size_t end, unsigned thread)
{
	float *shifted = w->shifted + thread * w->width;
	int8_t *one = w->one + thread * w->width;
	size_t r;

	for (r = first; r < end; r++)
		take_row(s, w, r, shifted, one);
	for (; r % BYTE_ROWS && s->kind == SCREEN_BYTES; r++)
		take_zeros(w, r);
}

/* ---- both ---- */

void
screen_product(const struct screen *s, const struct screen_rows *w, size_t first, size_t end, size_t from, size_t to, float *a)
{
	const struct byte_rows b = {w->q, w->scale, w->offset, s->width / 4};
	size_t rows = (end - first + BYTE_ROWS - 1) / BYTE_ROWS * BYTE_ROWS, cols = (to - from + BYTE_COLS - 1) / BYTE_COLS * BYTE_COLS, r;

	if (s->kind == SCREEN_BYTES) {
		s->simd->byte_tile(&b, first, rows, s->w + from * s->width, cols, s->scale + from, s->bias + from, a, SCREEN_COLS);
		return;
	}
	blas_gemm(end - first, to - from, s->d, w->x + first * w->width, w->width, s->model->W_enc + from, s->m, a, SCREEN_COLS);
	for (r = 0; r < end - first; r++)
		s->simd->add(a + r * SCREEN_COLS, s->model->b_enc + from, to - from);
}

void
screen_upper(const struct screen *s, const struct screen_rows *w, size_t r, size_t from, size_t n, const uint16_t *a, float *u)
{
	s->simd->upper(u, a, s->by_x + from, s->by_rest + from, s->fixed + from, w->length[r], w->rest[r], n);
}
