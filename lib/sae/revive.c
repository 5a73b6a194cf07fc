#include "sae/revive.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "sae/train_parts.h"

#define LONGER 2  /* of a newcomer's encoder over the mean of the others, at most */
#define ABOVE 1.2 /* of a newcomer's code over the smallest of its row */

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

/* The rows that latents start anew from. */
struct worst {
	const float *x;
	float *xhat;
	size_t n, d;
	double *weight; /* [n] |x - xhat|^4; 0 once drawn */
	double *least;  /* [n] what a code has to reach */
	bool *drawn;    /* [n] */
};

static void
weigh(struct worst *w, size_t r)
{
	const float *x = w->x + r * w->d, *xhat = w->xhat + r * w->d;
	double square = 0, e;
	size_t i;

	for (i = 0; i < w->d; i++) {
		e = (double)x[i] - xhat[i];
		square += e * e;
	}
	w->weight[r] = w->drawn[r] ? 0 : square * square;
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

/* The smallest code of rows first..end-1; HUGE_VAL for none. */
static double
least_code(struct csr_view z, size_t first, size_t end)
{
	double least = HUGE_VAL;
	size_t i;

	for (i = z.ptr[first]; i < z.ptr[end]; i++)
		least = fmin(least, z.val[i]);
	return least;
}

static void
fill_worst(struct worst *w, struct csr_view z)
{
	double least = least_code(z, 0, z.rows);
	size_t r;

	for (r = 0; r < w->n; r++) {
		w->least[r] = z.ptr[r + 1] > z.ptr[r] ? least_code(z, r, r + 1) : least;
		w->drawn[r] = false;
		weigh(w, r);
	}
}

/* Mean length of the encoders of latents that are not silent; 0 for none. */
static double
living_length(const struct trainer *t, uint64_t silent)
{
	size_t d = t->model->d, m = t->model->m, i, j, n = 0;
	double *square = t->latent_norm, sum = 0; /* free until the next step */

	memset(square, 0, m * sizeof *square);
	for (i = 0; i < d; i++)
		for (j = 0; j < m; j++)
			square[j] += (double)t->model->W_enc[i * m + j] * t->model->W_enc[i * m + j];
	for (j = 0; j < m; j++)
		if (!is_silent(t, j, silent)) {
			sum += sqrt(square[j]);
			n++;
		}
	return n ? sum / (double)n : 0;
}

/* How long an encoder along row r's residual has to be; *norm: the residual.
 * HUGE_VAL when it points away from the row. */
static double
length_for(const struct trainer *t, const struct worst *w, size_t r, double *norm)
{
	const float *x = w->x + r * w->d, *xhat = w->xhat + r * w->d;
	double square = 0, along = 0, e;
	size_t i;

	for (i = 0; i < w->d; i++) {
		e = (double)x[i] - xhat[i];
		square += e * e;
		along += e * ((double)x[i] - t->model->b_dec[i]);
	}
	*norm = sqrt(square);
	return along > 0 ? fmin(ABOVE * w->least[r], *norm) * *norm / along : HUGE_VAL;
}

static void
restart(struct trainer *t, size_t j, const struct worst *w, size_t r, double norm, double length)
{
	const struct sae *s = t->model;
	const float *x = w->x + r * w->d, *xhat = w->xhat + r * w->d;
	size_t d = s->d, m = s->m, i;

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

/* What latent j now says goes into the reconstructions. */
static void
speak(const struct trainer *t, size_t j, double length, struct worst *w)
{
	const float *dec = t->model->W_dec + j * w->d, *x;
	double code;
	size_t r, i;

	for (r = 0; r < w->n; r++) {
		x = w->x + r * w->d;
		code = 0;
		for (i = 0; i < w->d; i++)
			code += (double)dec[i] * ((double)x[i] - t->model->b_dec[i]);
		code *= length;
		if (code < w->least[r] || !(code > 0))
			continue;
		for (i = 0; i < w->d; i++)
			w->xhat[r * w->d + i] += (float)(code * dec[i]);
		weigh(w, r);
	}
}

int
trainer_revive(struct trainer *t, uint64_t silent, size_t most, const float *x, struct csr_view z, float *xhat, uint64_t seed,
               size_t *revived, struct err *e)
{
	struct worst w = {.x = x, .xhat = xhat, .n = z.rows, .d = t->model->d};
	double longest, length = 0, norm = 0;
	struct rng rng;
	size_t j, r;

	*revived = 0;
	w.weight = mem_alloc(w.n * sizeof *w.weight);
	w.least = mem_alloc(w.n * sizeof *w.least);
	w.drawn = mem_alloc(w.n * sizeof *w.drawn);
	if (!w.weight || !w.least || !w.drawn)
		err_memory(e, "weights of rows", w.n * 2 * sizeof *w.weight);
	else
		fill_worst(&w, z);
	rng_seed(&rng, seed, t->steps);
	longest = LONGER * living_length(t, silent);
	for (j = 0, r = 0; j < t->model->m && *revived < most && !e->code && r < w.n; j++) {
		if (!is_silent(t, j, silent))
			continue;
		/* a row whose residual takes too long an encoder is no one to start from */
		while ((r = draw_row(w.weight, w.n, &rng)) < w.n) {
			w.drawn[r] = true;
			length = length_for(t, &w, r, &norm);
			if (length <= longest)
				break;
		}
		if (r == w.n)
			break; /* all were drawn, or nothing is missing anywhere */
		restart(t, j, &w, r, norm, length);
		speak(t, j, length, &w);
		++*revived;
	}
	mem_free(w.weight);
	mem_free(w.least);
	mem_free(w.drawn);
	return e->code;
}
