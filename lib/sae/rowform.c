#include "sae/rowform.h"

#include <math.h>

#include "sae/blas.h"

#define SKIP_ROWS 64 /* of a product */

bool
rowform_needed(const struct sae *model)
{
	return model->row_norm && !model->transcoder;
}

static double
mean(const float *x, size_t d)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < d; i++)
		sum += (double)x[i];
	return sum / (double)d;
}

/* sum of (x - shift)^2 */
static double
square(const float *x, size_t d, double shift)
{
	double sum = 0, v;
	size_t i;

	for (i = 0; i < d; i++) {
		v = (double)x[i] - shift;
		sum += v * v;
	}
	return sum;
}

void
rowform_apply(const struct sae *model, float *out, const float *x, size_t n, float *form)
{
	size_t d = model->d, r, i;
	double shift, factor, by;

	for (r = 0; r < n; r++, x += d, out += d) {
		shift = 0;
		if (model->row_norm == ROWS_LAYER) {
			shift = mean(x, d);
			factor = d > 1 ? sqrt(square(x, d, shift) / (double)(d - 1)) : 0;
			by = 1 / (factor + (double)SAE_ROW_EPS);
		} else {
			factor = sqrt(square(x, d, 0) / (double)d);
			by = factor > 0 ? 1 / factor : 1;
		}
		for (i = 0; i < d; i++)
			out[i] = (float)(((double)x[i] - shift) * by);
		if (form) {
			form[2 * r] = (float)shift;
			form[2 * r + 1] = (float)factor;
		}
	}
}

void
rowform_restore(float *out, const float *xhat, size_t n, size_t d, const float *form)
{
	size_t r, i;

	for (r = 0; r < n; r++)
		for (i = 0; i < d; i++)
			out[r * d + i] = xhat[r * d + i] * form[2 * r + 1] + form[2 * r];
}

struct skip {
	const struct sae *model;
	const float *x;
	size_t n;
	float *out;
};

static void
skip_job(void *arg, size_t job, unsigned thread)
{
	const struct skip *s = arg;
	size_t first = job * SKIP_ROWS, rows = s->n - first < SKIP_ROWS ? s->n - first : SKIP_ROWS;
	size_t d = s->model->d, wide = s->model->d_out;

	(void)thread;
	blas_gemm(rows, wide, d, s->x + first * d, d, s->model->W_skip, wide, s->out + first * wide, wide);
}

void
rowform_skip(const struct sae *model, const float *x, size_t n, struct pool *pool, float *out)
{
	struct skip s = {model, x, n, out};

	pool_run(pool, skip_job, &s, (n + SKIP_ROWS - 1) / SKIP_ROWS);
}
