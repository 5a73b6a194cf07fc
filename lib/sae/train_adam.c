/* After the gradients: the decoder's rows to unit norm, projection, the norm
 * of it all, Adam. Nothing changes before the norm is known to be finite. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "sae/train_parts.h"

#define LATENTS 64 /* of a job */
#define SIDE 16    /* rows of W_enc of a job: a cache line of the transposed gradient */

/* In double, in eight running sums. */
static double
dot(const float *a, const float *b, size_t n)
{
	double s[8] = {0};
	size_t i, j;

	for (i = 0; i + 8 <= n; i += 8)
		for (j = 0; j < 8; j++)
			s[j] += (double)a[i + j] * b[i + j];
	for (; i < n; i++)
		s[0] += (double)a[i] * b[i];
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/* Projects the gradient of W_dec's row j, with u = D_j / (|D_j| + eps) for the
 * scaled row that is not there yet: g -= (g . u) u. */
static void
project(struct trainer *t, size_t j)
{
	const float *row = t->model->W_dec + j * t->model->d;
	float *g = t->g_dec + j * t->model->d, inverse, s;
	size_t d = t->model->d;

	t->norm[j] = (float)sqrt(t->kernels->square_sum(row, d)) + FLT_EPSILON;
	inverse = 1 / t->norm[j];
	s = (float)(dot(g, row, d) * inverse * inverse);
	t->simd->axpy(g, -s, row, d);
}

static void
norm_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	size_t d = t->model->d, j;

	(void)thread;
	for (j = job * LATENTS; j < least((job + 1) * LATENTS, t->model->m); j++) {
		project(t, j);
		t->latent_norm[j] = t->kernels->square_sum(t->g_dec + j * d, d) + t->kernels->square_sum(t->g_enc + j * d, d);
		t->g_small[P_B_ENC][j] = (float)t->sum_b_enc[j];
		if (t->theta)
			t->g_small[P_LOG_THRESHOLD][j] = (float)t->sum_threshold[j];
	}
}

/* db_dec = sum of G_0 - W_enc db_enc, as dp W_enc^T summed over rows. */
static void
b_dec_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	size_t m = t->model->m, i;

	(void)thread;
	for (i = job * SIDE; i < least((job + 1) * SIDE, t->model->d); i++)
		t->g_small[P_B_DEC][i] = (float)(t->sum_b_dec[i] - dot(t->g_small[P_B_ENC], t->model->W_enc + i * m, m));
}

double
gradient_norm(struct trainer *t)
{
	size_t d = t->model->d, m = t->model->m, j;
	double sum, norm;

	pool_run(t->pool, norm_job, t, pieces(m, LATENTS));
	pool_run(t->pool, b_dec_job, t, pieces(d, SIDE));
	sum = t->kernels->square_sum(t->g_small[P_B_DEC], d) + t->kernels->square_sum(t->g_small[P_B_ENC], m);
	if (t->theta)
		sum += t->kernels->square_sum(t->g_small[P_LOG_THRESHOLD], m);
	for (j = 0; j < m; j++)
		sum += t->latent_norm[j];
	norm = sqrt(sum);
	t->clip = t->o.clip > 0 ? fmin(1, t->o.clip / (norm + 1e-6)) : 1;
	return norm;
}

static struct adam
adam_of(const struct trainer *t)
{
	double n = (double)t->steps;

	return (struct adam){
		.beta1 = (float)t->o.beta1, .beta2 = (float)t->o.beta2,
		.rest1 = (float)(1 - t->o.beta1), .rest2 = (float)(1 - t->o.beta2),
		.step = (float)(t->lr / (1 - pow(t->o.beta1, n))), .root = (float)sqrt(1 - pow(t->o.beta2, n)),
		.eps = (float)t->o.eps, .clip = (float)t->clip,
	};
}

static void
decoder_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	struct adam a = adam_of(t);
	size_t d = t->model->d, i, j, at;
	float *row;

	(void)thread;
	for (j = job * LATENTS; j < least((job + 1) * LATENTS, t->model->m); j++) {
		at = j * d;
		row = t->model->W_dec + at;
		for (i = 0; i < d; i++)
			row[i] /= t->norm[j];
		t->kernels->adam(row, t->adam_m[P_W_DEC] + at, t->adam_v[P_W_DEC] + at, t->g_dec + at, d, &a);
	}
}

/* SIDE rows of W_enc, a square of the transposed gradient at a time. */
static void
encoder_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	struct adam a = adam_of(t);
	size_t d = t->model->d, m = t->model->m, first = job * SIDE, rows = least(SIDE, d - first), i, j, c, n, at;
	float g[SIDE][LATENTS], *w;

	(void)thread;
	for (j = 0; j < m; j += n) {
		n = least(LATENTS, m - j);
		for (c = 0; c < n; c++)
			for (i = 0; i < rows; i++)
				g[i][c] = t->g_enc[(j + c) * d + first + i];
		for (i = 0; i < rows; i++) {
			at = (first + i) * m + j;
			w = t->model->W_enc + at;
			for (c = 0; c < n; c++)
				w[c] *= t->norm[j + c];
			t->kernels->adam(w, t->adam_m[P_W_ENC] + at, t->adam_v[P_W_ENC] + at, g[i], n, &a);
		}
	}
}

static void
update_small(struct trainer *t)
{
	struct adam a = adam_of(t);
	struct sae *s = t->model;
	size_t j;

	for (j = 0; j < s->m; j++)
		s->b_enc[j] *= t->norm[j];
	t->kernels->adam(s->b_enc, t->adam_m[P_B_ENC], t->adam_v[P_B_ENC], t->g_small[P_B_ENC], s->m, &a);
	t->kernels->adam(s->b_dec, t->adam_m[P_B_DEC], t->adam_v[P_B_DEC], t->g_small[P_B_DEC], s->d, &a);
	if (!t->theta)
		return;
	for (j = 0; j < s->m; j++)
		t->log_threshold[j] += logf(t->norm[j]);
	t->kernels->adam(t->log_threshold, t->adam_m[P_LOG_THRESHOLD], t->adam_v[P_LOG_THRESHOLD],
	                 t->g_small[P_LOG_THRESHOLD], s->m, &a);
	for (j = 0; j < s->m; j++)
		s->threshold[j] = expf(t->log_threshold[j]);
}

void
update(struct trainer *t)
{
	pool_run(t->pool, decoder_job, t, pieces(t->model->m, LATENTS));
	pool_run(t->pool, encoder_job, t, pieces(t->model->d, SIDE));
	update_small(t);
}
