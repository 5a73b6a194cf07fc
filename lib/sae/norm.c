#include "sae/norm.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

#define LANES 8
#define NEAREST 1e-30 /* a row where the median is does not weigh infinitely */

int
norm_fit_init(struct norm_fit *f, size_t d, struct err *e)
{
	size_t bytes;

	*f = (struct norm_fit){.d = d};
	if (!size_mul(d, sizeof *f->shift, &bytes))
		return err_memory(e, "normalisation", (unsigned long long)d * sizeof *f->shift);
	f->shift = mem_alloc(bytes);
	f->sum = mem_alloc(bytes);
	if (!f->shift || !f->sum) {
		norm_fit_free(f);
		return err_memory(e, "normalisation", bytes);
	}
	memset(f->shift, 0, bytes);
	memset(f->sum, 0, bytes);
	return 0;
}

void
norm_fit_free(struct norm_fit *f)
{
	mem_free(f->shift);
	mem_free(f->sum);
	*f = (struct norm_fit){0};
}

/* sum += row - shift; returns |row - shift|^2, in eight running sums that
 * belong to the row, so that how rows are cut does not matter. */
static double
add_row(struct norm_fit *f, const float *x)
{
	double s[LANES] = {0}, v;
	size_t i, j;

	for (i = 0; i + LANES <= f->d; i += LANES)
		for (j = 0; j < LANES; j++) {
			v = x[i + j] - f->shift[i + j];
			f->sum[i + j] += v;
			s[j] += v * v;
		}
	for (; i < f->d; i++) {
		v = x[i] - f->shift[i];
		f->sum[i] += v;
		s[0] += v * v;
	}
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

void
norm_fit_rows(struct norm_fit *f, const float *x, size_t n)
{
	size_t i;

	if (!f->rows && n)
		for (i = 0; i < f->d; i++)
			f->shift[i] = x[i];
	for (i = 0; i < n; i++)
		f->square += add_row(f, x + i * f->d);
	f->rows += n;
}

/* mean|x - mean|^2 = mean|x - shift|^2 - |mean - shift|^2. */
int
norm_fit_result(const struct norm_fit *f, float *mean, float *scale)
{
	double n = f->rows ? (double)f->rows : 1, spread = f->square / n, delta;
	size_t i;

	for (i = 0; i < f->d; i++) {
		delta = f->sum[i] / n;
		mean[i] = (float)(f->shift[i] + delta);
		spread -= delta * delta;
	}
	*scale = (float)(sqrt((double)f->d) / sqrt(spread));
	if (spread > 0 && *scale > 0 && *scale <= FLT_MAX)
		return 0;
	*scale = 1;
	return 1;
}

/* One iteration: each row weighs as much as it is near. sum [d] is scratch;
 * *moved gets how far the point went, the result is the mean distance. */
static double
median_step(double *point, double *sum, const float *x, size_t n, size_t d, double *moved)
{
	double weights = 0, distances = 0, square, far, delta;
	size_t r, i;

	memset(sum, 0, d * sizeof *sum);
	for (r = 0; r < n; r++, x += d) {
		square = 0;
		for (i = 0; i < d; i++) {
			delta = x[i] - point[i];
			square += delta * delta;
		}
		far = fmax(sqrt(square), NEAREST);
		distances += far;
		weights += 1 / far;
		for (i = 0; i < d; i++)
			sum[i] += x[i] / far;
	}
	square = 0;
	for (i = 0; i < d; i++) {
		delta = sum[i] / weights - point[i];
		square += delta * delta;
		point[i] += delta;
	}
	*moved = sqrt(square);
	return distances / (double)n;
}

int
norm_median(float *out, const float *x, size_t n, size_t d, struct err *e)
{
	double *point = mem_alloc(2 * d * sizeof *point), far, moved;
	size_t r, i, turns = 0;

	if (!point)
		return err_memory(e, "median", 2 * d * sizeof *point);
	memset(point, 0, d * sizeof *point);
	for (r = 0; r < n; r++)
		for (i = 0; i < d; i++)
			point[i] += x[r * d + i] / (double)n;
	do
		far = median_step(point, point + d, x, n, d, &moved);
	while (moved > 1e-6 * far && ++turns < 100);
	for (i = 0; i < d; i++)
		out[i] = (float)point[i];
	mem_free(point);
	return 0;
}

void
norm_apply(float *out, const float *x, size_t n, size_t d, const float *mean, float scale, const struct simd *simd)
{
	size_t i;

	for (i = 0; i < n; i++)
		simd->shift_scale(out + i * d, x + i * d, mean, scale, d);
}

void
norm_undo(float *out, const float *x, size_t n, size_t d, const float *mean, float scale, const struct simd *simd)
{
	size_t i;

	for (i = 0; i < n; i++)
		simd->unscale_shift(out + i * d, x + i * d, mean, scale, d);
}

static double
length(const float *x, size_t d)
{
	double s[LANES] = {0};
	size_t i, j;

	for (i = 0; i + LANES <= d; i += LANES)
		for (j = 0; j < LANES; j++)
			s[j] += (double)x[i + j] * x[i + j];
	for (; i < d; i++)
		s[0] += (double)x[i] * x[i];
	return sqrt(((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])));
}

const float *
undo_rows(struct undo *u, const float *x, size_t n, const struct simd *simd, struct err *e)
{
	if (!u->mean)
		return x;
	if (mat_resize(&u->raw, n, u->d, "raw rows", e))
		return NULL;
	norm_undo(u->raw.data, x, n, u->d, u->mean, u->scale, simd);
	return u->raw.data;
}

void
undo_free(struct undo *u)
{
	mem_free(u->mean);
	mat_free(&u->raw);
	*u = (struct undo){0};
}

void
norm_l2(float *out, const float *x, size_t n, size_t d, float *norms)
{
	double len;
	size_t i, j;

	for (i = 0; i < n; i++) {
		len = length(x + i * d, d);
		norms[i] = (float)len;
		for (j = 0; j < d; j++)
			out[i * d + j] = len > 0 ? (float)(x[i * d + j] / len) : x[i * d + j];
	}
}

void
norm_l2_undo(float *out, const float *x, size_t n, size_t d, const float *norms)
{
	size_t i, j;

	for (i = 0; i < n; i++)
		for (j = 0; j < d; j++)
			out[i * d + j] = x[i * d + j] * norms[i];
}
