#include "sae/revive.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "sae/train_parts.h"

#define LENGTH 0.2 /* of a revived encoder beside the mean of the others */

static bool
silent_for(const struct trainer *t, size_t j, uint64_t rows)
{
	return t->rows_seen - t->last_active[j] >= rows;
}

/* Mean length of the encoders of latents that are not silent; 1 for none. */
static double
living_length(const struct trainer *t, uint64_t rows, double *square)
{
	size_t d = t->model->d, m = t->model->m, i, j, n = 0;
	double sum = 0;

	memset(square, 0, m * sizeof *square);
	for (i = 0; i < d; i++)
		for (j = 0; j < m; j++)
			square[j] += (double)t->model->W_enc[i * m + j] * t->model->W_enc[i * m + j];
	for (j = 0; j < m; j++)
		if (!silent_for(t, j, rows)) {
			sum += sqrt(square[j]);
			n++;
		}
	return n ? sum / (double)n : 1;
}

/* A row of the batch by its loss squared; total: of all rows. */
static size_t
draw_row(const struct trainer *t, double total, struct rng *r)
{
	double want = rng_uniform(r) * total, loss;
	size_t i;

	for (i = 0; i + 1 < t->n; i++) {
		loss = t->row_loss[i * t->levels + t->levels - 1];
		want -= loss * loss;
		if (want < 0)
			break;
	}
	return i;
}

static void
restart(struct trainer *t, size_t j, const float *x, double length)
{
	size_t d = t->model->d, m = t->model->m, i;
	double square = 0, norm;

	for (i = 0; i < d; i++)
		square += (double)x[i] * x[i];
	norm = square > 0 ? sqrt(square) : 1;
	for (i = 0; i < d; i++) {
		t->model->W_dec[j * d + i] = (float)(x[i] / norm);
		t->model->W_enc[i * m + j] = (float)(x[i] / norm * length);
		t->adam_m[P_W_DEC][j * d + i] = t->adam_v[P_W_DEC][j * d + i] = 0;
		t->adam_m[P_W_ENC][i * m + j] = t->adam_v[P_W_ENC][i * m + j] = 0;
	}
	t->model->b_enc[j] = 0;
	t->adam_m[P_B_ENC][j] = t->adam_v[P_B_ENC][j] = 0;
	if (t->theta) {
		t->model->threshold[j] = (float)t->o.threshold;
		t->log_threshold[j] = logf((float)t->o.threshold);
		t->adam_m[P_LOG_THRESHOLD][j] = t->adam_v[P_LOG_THRESHOLD][j] = 0;
	}
	t->last_active[j] = t->rows_seen;
}

size_t
trainer_revive(struct trainer *t, uint64_t silent, uint64_t seed)
{
	double total = 0, length = LENGTH * living_length(t, silent, t->latent_norm), loss;
	size_t d = t->model->d, j, r, n = 0;
	struct rng rng;

	for (r = 0; r < t->n; r++) {
		loss = t->row_loss[r * t->levels + t->levels - 1];
		total += loss * loss;
	}
	for (j = 0; j < t->model->m; j++) {
		if (!silent_for(t, j, silent))
			continue;
		rng_seed(&rng, seed ^ t->steps << 32, j);
		restart(t, j, t->xc + draw_row(t, total, &rng) * d, length);
		n++;
	}
	return n;
}
