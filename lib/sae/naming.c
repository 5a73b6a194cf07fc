#include "sae/naming.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sae/blas.h"

#define WORDS_A_BLOCK 256
#define LATENTS_A_JOB 512

static double
length(const float *x, size_t d)
{
	double s = 0;
	size_t i;

	for (i = 0; i < d; i++)
		s += (double)x[i] * x[i];
	return sqrt(s);
}

/* Latents as columns of length 1; a row of zeros stays. */
static void
fill_latents(struct naming *n, enum naming_how how)
{
	const struct sae *s = n->model;
	float *row = n->unit.data; /* there is room for more than a row */
	size_t i, j;
	double len;

	for (j = 0; j < s->m; j++) {
		for (i = 0; i < s->d; i++)
			row[i] = how == NAMING_PUBLISHED ? s->W_dec[j * s->d + i] / s->scale + s->mean[i] : s->W_dec[j * s->d + i];
		len = length(row, s->d);
		for (i = 0; i < s->d; i++)
			n->latents[i * s->m + j] = len > 0 ? (float)(row[i] / len) : 0;
	}
}

int
naming_init(struct naming *n, const struct sae *model, enum naming_how how, const float *words_mean, size_t best,
            struct pool *pool, struct err *e)
{
	size_t d = model->d, m = model->m;

	*n = (struct naming){.model = model, .pool = pool, .best = best};
	n->latents = mem_alloc(d * m * sizeof *n->latents);
	n->count = calloc(m, sizeof *n->count);
	n->words = calloc(m, best * sizeof *n->words);
	n->mean = how == NAMING_CENTRED ? mem_alloc(d * sizeof *n->mean) : NULL;
	if (!n->latents || !n->count || !n->words || (how == NAMING_CENTRED && !n->mean))
		err_memory(e, "names", (unsigned long long)m * (d * sizeof *n->latents + best * sizeof *n->words));
	else if (!mat_resize(&n->unit, WORDS_A_BLOCK, d, "words", e))
		mat_resize(&n->cosines, WORDS_A_BLOCK, m, "cosines", e);
	if (e->code) {
		naming_free(n);
		return e->code;
	}
	if (n->mean)
		memcpy(n->mean, words_mean, d * sizeof *n->mean);
	fill_latents(n, how);
	return 0;
}

void
naming_free(struct naming *n)
{
	size_t i;

	for (i = 0; n->words && i < n->model->m * n->best; i++)
		free(n->words[i].text);
	free(n->words);
	free(n->count);
	mem_free(n->latents);
	mem_free(n->mean);
	mat_free(&n->unit);
	mat_free(&n->cosines);
	*n = (struct naming){0};
}

/* Takes text up among latent j's best; false when memory is short. */
static bool
offer(struct naming *n, size_t j, float cosine, const char *text)
{
	struct naming_word *w = n->words + j * n->best;
	size_t count = n->count[j], at, from;
	char *copy;

	if (count == n->best && !(cosine > w[count - 1].cosine))
		return true;
	for (from = 0; from < count && strcmp(w[from].text, text); from++)
		;
	if (from < count && !(cosine > w[from].cosine))
		return true;
	copy = strdup(text);
	if (!copy)
		return false;
	if (from == count) /* a new one, in place of the last when there is no room */
		from = count < n->best ? n->count[j]++ : count - 1;
	free(w[from].text);
	for (at = from; at > 0 && cosine > w[at - 1].cosine; at--)
		w[at] = w[at - 1];
	w[at] = (struct naming_word){cosine, copy};
	return true;
}

struct work {
	struct naming *n;
	const char *const *texts;
	size_t count;
	bool *failed; /* [jobs] */
};

static void
offer_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	struct naming *n = w->n;
	size_t m = n->model->m, first = job * LATENTS_A_JOB, end = first + LATENTS_A_JOB < m ? first + LATENTS_A_JOB : m, i, j;
	float *c = n->cosines.data;

	(void)thread;
	blas_gemm(w->count, end - first, n->model->d, n->unit.data, n->model->d, n->latents + first, m, c + first, m);
	for (i = 0; i < w->count; i++)
		for (j = first; j < end; j++)
			w->failed[job] |= !offer(n, j, c[i * m + j], w->texts[i]);
}

static void
fill_words(struct naming *n, const float *x, size_t count)
{
	size_t d = n->model->d, r, i;
	double len;
	float *u;

	for (r = 0; r < count; r++) {
		u = n->unit.data + r * d;
		for (i = 0; i < d; i++)
			u[i] = x[r * d + i] - (n->mean ? n->mean[i] : 0);
		len = length(u, d);
		for (i = 0; i < d; i++)
			u[i] = len > 0 ? (float)(u[i] / len) : 0;
	}
}

int
naming_words(struct naming *n, const float *x, const char *const *texts, size_t count, struct err *e)
{
	size_t jobs = (n->model->m + LATENTS_A_JOB - 1) / LATENTS_A_JOB, some, i;
	bool *failed = calloc(jobs, sizeof *failed), any = !failed;

	for (; count && !any; count -= some, x += some * n->model->d, texts += some) {
		some = count < WORDS_A_BLOCK ? count : WORDS_A_BLOCK;
		fill_words(n, x, some);
		pool_run(n->pool, offer_job, &(struct work){n, texts, some, failed}, jobs);
		for (i = 0; i < jobs; i++)
			any |= failed[i];
	}
	free(failed);
	return any ? err_memory(e, "names", n->model->m) : 0;
}

const struct naming_word *
naming_best(const struct naming *n, size_t latent, size_t *count)
{
	*count = n->count[latent];
	return n->words + latent * n->best;
}
