#include "sae/revive.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "sae/train_parts.h"

static bool
is_silent(const struct trainer *t, size_t j, uint64_t rows)
{
	return t->rows_seen - t->last_active[j] >= rows;
}

size_t
trainer_silent(const struct trainer *t, uint64_t silent)
{
	size_t n = 0, j;

	for (j = 0; j < t->model->m; j++)
		n += is_silent(t, j, silent);
	return n;
}

static void
fill_weights(double *weight, const float *x, const float *xhat, size_t n, size_t d)
{
	double square;
	size_t r, i;

	for (r = 0; r < n; r++) {
		square = 0;
		for (i = 0; i < d; i++)
			square += ((double)x[r * d + i] - xhat[r * d + i]) * ((double)x[r * d + i] - xhat[r * d + i]);
		weight[r] = square * square;
	}
}

/* A row by its weight, which is then 0; n when all are. */
static size_t
draw_row(double *weight, size_t n, struct rng *rng)
{
	double total = 0, want;
	size_t r, last = n;

	for (r = 0; r < n; r++)
		total += weight[r];
	want = rng_uniform(rng) * total;
	for (r = 0; r < n; r++) {
		if (!(weight[r] > 0))
			continue;
		last = r;
		want -= weight[r];
		if (want < 0)
			break;
	}
	if (last < n)
		weight[last] = 0;
	return last;
}

static void
restart(struct trainer *t, size_t j, const float *x, const float *xhat)
{
	const struct sae *s = t->model;
	size_t d = s->d, m = s->m, i;
	double square = 0, along = 0, norm, length;

	for (i = 0; i < d; i++) {
		square += ((double)x[i] - xhat[i]) * ((double)x[i] - xhat[i]);
		along += ((double)x[i] - xhat[i]) * ((double)x[i] - s->b_dec[i]);
	}
	norm = sqrt(square);
	length = along > square ? square / along : 1;
	for (i = 0; i < d; i++) {
		s->W_dec[j * d + i] = (float)((x[i] - xhat[i]) / norm);
		s->W_enc[i * m + j] = (float)((x[i] - xhat[i]) / norm * length);
		t->adam_m[P_W_DEC][j * d + i] = t->adam_v[P_W_DEC][j * d + i] = 0;
		t->adam_m[P_W_ENC][i * m + j] = t->adam_v[P_W_ENC][i * m + j] = 0;
	}
	s->b_enc[j] = 0;
	t->adam_m[P_B_ENC][j] = t->adam_v[P_B_ENC][j] = 0;
	if (t->theta) {
		s->threshold[j] = (float)t->o.threshold;
		t->log_threshold[j] = logf((float)t->o.threshold);
		t->adam_m[P_LOG_THRESHOLD][j] = t->adam_v[P_LOG_THRESHOLD][j] = 0;
	}
	t->last_active[j] = t->rows_seen;
}

int
trainer_revive(struct trainer *t, uint64_t silent, const float *x, const float *xhat, size_t n, uint64_t seed,
               size_t *revived, struct err *e)
{
	size_t d = t->model->d, j, r;
	double *weight = mem_alloc(n * sizeof *weight);
	struct rng rng;

	*revived = 0;
	if (!weight)
		return err_memory(e, "weights of rows", n * sizeof *weight);
	rng_seed(&rng, seed, t->steps);
	fill_weights(weight, x, xhat, n, d);
	for (j = 0; j < t->model->m; j++) {
		if (!is_silent(t, j, silent))
			continue;
		r = draw_row(weight, n, &rng);
		if (r == n) { /* all were drawn */
			fill_weights(weight, x, xhat, n, d);
			r = draw_row(weight, n, &rng);
		}
		if (r == n)
			break; /* nothing is missing anywhere */
		restart(t, j, x + r * d, xhat + r * d);
		++*revived;
	}
	mem_free(weight);
	return 0;
}
