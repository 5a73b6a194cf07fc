#include "sae/naming.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "sae/blas.h"

#define WORDS_A_BLOCK 256
#define DIRECTIONS_A_JOB 512

/* out[d] = x[d] at length 1; zeros stay. */
static void
to_unit(float *out, const float *x, size_t d)
{
	double s = 0;
	size_t i;

	for (i = 0; i < d; i++)
		s += (double)x[i] * x[i];
	s = sqrt(s);
	for (i = 0; i < d; i++)
		out[i] = s > 0 ? (float)(x[i] / s) : 0;
}

static void
fill_directions(struct naming *n, const float *rows)
{
	size_t m = n->of.m, d = n->of.d, i, j;
	float *row = n->unit.data; /* there is room for more than a row */

	for (j = 0; j < m; j++) {
		to_unit(row, rows + j * d, d);
		for (i = 0; i < d; i++)
			n->directions[i * m + j] = row[i];
	}
}

int
naming_init(struct naming *n, const struct naming_of *of, struct pool *pool, struct err *e)
{
	size_t m = of->m, d = of->d;

	*n = (struct naming){.of = *of, .pool = pool};
	n->directions = mem_alloc(d * m * sizeof *n->directions);
	n->count = calloc(m, sizeof *n->count);
	n->words = calloc(m, of->best * sizeof *n->words);
	n->mixed = calloc(m, (of->mixes + 1) * sizeof *n->mixed);
	n->mean = of->mean ? mem_alloc(d * sizeof *n->mean) : NULL;
	if (!n->directions || !n->count || !n->words || !n->mixed || (of->mean && !n->mean))
		err_memory(e, "names", (unsigned long long)m * (d * sizeof *n->directions + of->best * sizeof *n->words));
	else if (!mat_resize(&n->unit, WORDS_A_BLOCK, d, "words", e) && !mat_resize(&n->mixture, WORDS_A_BLOCK, d, "words", e) &&
	         !mat_resize(&n->recent, NAMING_RECENT, d, "words", e))
		mat_resize(&n->cosines, WORDS_A_BLOCK, m, "cosines", e);
	if (e->code) {
		naming_free(n);
		return e->code;
	}
	if (n->mean)
		memcpy(n->mean, of->mean, d * sizeof *n->mean);
	fill_directions(n, of->directions);
	return 0;
}

void
naming_free(struct naming *n)
{
	size_t i;

	for (i = 0; n->words && i < n->of.m * n->of.best; i++)
		free(n->words[i].text);
	free(n->words);
	free(n->count);
	free(n->mixed);
	mem_free(n->directions);
	mem_free(n->mean);
	mat_free(&n->unit);
	mat_free(&n->mixture);
	mat_free(&n->recent);
	mat_free(&n->cosines);
	*n = (struct naming){0};
}

/* Takes text up among the best of direction j; false when memory is short. */
static bool
offer(struct naming *n, size_t j, float cosine, const char *text)
{
	struct naming_word *w = n->words + j * n->of.best;
	size_t count = n->count[j], at, from;
	char *copy;

	if (count == n->of.best && !(cosine > w[count - 1].cosine))
		return true;
	for (from = 0; from < count && strcmp(w[from].text, text); from++)
		;
	if (from < count && !(cosine > w[from].cosine))
		return true;
	copy = strdup(text);
	if (!copy)
		return false;
	if (from == count) /* a new one, in place of the last when there is no room */
		from = count < n->of.best ? n->count[j]++ : count - 1;
	free(w[from].text);
	for (at = from; at > 0 && cosine > w[at - 1].cosine; at--)
		w[at] = w[at - 1];
	w[at] = (struct naming_word){cosine, copy};
	return true;
}

struct work {
	struct naming *n;
	const float *rows;        /* [count,d] */
	size_t count;
	const char *const *texts; /* of words; NULL: mixtures */
	float *mixed;             /* [m] of this round of mixtures */
	bool *failed;             /* [jobs] */
};

static void
compare_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	struct naming *n = w->n;
	size_t m = n->of.m, first = job * DIRECTIONS_A_JOB, end = first + DIRECTIONS_A_JOB < m ? first + DIRECTIONS_A_JOB : m, i, j;
	float *c = n->cosines.data;

	(void)thread;
	blas_gemm(w->count, end - first, n->of.d, w->rows, n->of.d, n->directions + first, m, c + first, m);
	for (i = 0; i < w->count; i++, c += m)
		for (j = first; j < end; j++)
			if (w->texts)
				w->failed[job] |= !offer(n, j, c[j], w->texts[i]);
			else if (c[j] > w->mixed[j])
				w->mixed[j] = c[j];
}

static void
fill_words(struct naming *n, const float *x, size_t count)
{
	size_t d = n->of.d, r, i;
	float *u = n->unit.data;

	for (r = 0; r < count; r++, u += d) {
		for (i = 0; i < d; i++)
			u[i] = x[r * d + i] - (n->mean ? n->mean[i] : 0);
		to_unit(u, u, d);
	}
}

/* Each word of the block with one of those before it; which depends on its
 * number and the round alone. The very first word has none. */
static void
fill_mixtures(struct naming *n, size_t count, size_t round)
{
	size_t d = n->of.d, r, i;
	uint64_t word, with;
	const float *u, *v;
	float *out = n->mixture.data;
	struct rng rng;

	for (r = 0; r < count; r++, out += d) {
		word = n->seen + r;
		u = v = n->unit.data + r * d;
		if (word) {
			rng_seed(&rng, round, word);
			with = word - 1 - rng_below(&rng, word < NAMING_RECENT ? word : NAMING_RECENT);
			v = with >= n->seen ? n->unit.data + (with - n->seen) * d : n->recent.data + with % NAMING_RECENT * d;
		}
		for (i = 0; i < d; i++)
			out[i] = word ? u[i] + v[i] : 0;
		to_unit(out, out, d);
	}
}

static void
keep_recent(struct naming *n, size_t count)
{
	size_t d = n->of.d, r;

	for (r = 0; r < count; r++, n->seen++)
		memcpy(n->recent.data + n->seen % NAMING_RECENT * d, n->unit.data + r * d, d * sizeof(float));
}

int
naming_words(struct naming *n, const float *x, const char *const *texts, size_t count, struct err *e)
{
	size_t jobs = (n->of.m + DIRECTIONS_A_JOB - 1) / DIRECTIONS_A_JOB, some, round, i;
	bool *failed = calloc(jobs, sizeof *failed), any = !failed;
	struct work w = {.n = n, .failed = failed};

	for (; count && !any; count -= some, x += some * n->of.d, texts += some) {
		some = count < WORDS_A_BLOCK ? count : WORDS_A_BLOCK;
		fill_words(n, x, some);
		w.rows = n->unit.data, w.count = some, w.texts = texts;
		pool_run(n->pool, compare_job, &w, jobs);
		for (i = 0; i < jobs; i++)
			any |= failed[i];
		w.rows = n->mixture.data, w.texts = NULL;
		for (round = 0; round < n->of.mixes; round++) {
			fill_mixtures(n, some, round);
			w.mixed = n->mixed + round * n->of.m;
			pool_run(n->pool, compare_job, &w, jobs);
		}
		keep_recent(n, some);
	}
	free(failed);
	return any ? err_memory(e, "names", n->of.m) : 0;
}

const struct naming_word *
naming_best(const struct naming *n, size_t j, size_t *count)
{
	*count = n->count[j];
	return n->words + j * n->of.best;
}

size_t
naming_passing(const struct naming *n, double cosine)
{
	size_t j, passing = 0;

	for (j = 0; j < n->of.m; j++)
		passing += n->count[j] && (double)n->words[j * n->of.best].cosine >= cosine;
	return passing;
}

double
naming_false(const struct naming *n, double cosine)
{
	size_t i, passing = 0;

	for (i = 0; i < n->of.mixes * n->of.m; i++)
		passing += (double)n->mixed[i] >= cosine;
	return n->of.mixes ? (double)passing / (double)n->of.mixes : 0;
}

static int
descending(const void *a, const void *b)
{
	const float x = *(const float *)a, y = *(const float *)b;

	return (x < y) - (x > y);
}

int
naming_threshold(const struct naming *n, double share, double *cosine, struct err *e)
{
	size_t m = n->of.m, total = n->of.mixes * m, i, at = 0;
	float *best = malloc((m + 1) * sizeof *best), *mixed = malloc((total + 1) * sizeof *mixed);

	if (!best || !mixed) {
		free(best);
		free(mixed);
		return err_memory(e, "names", (total + m) * sizeof *best);
	}
	for (i = 0; i < m; i++)
		best[i] = n->count[i] ? n->words[i * n->of.best].cosine : 0;
	memcpy(mixed, n->mixed, total * sizeof *mixed);
	qsort(best, m, sizeof *best, descending);
	qsort(mixed, total, sizeof *mixed, descending);
	*cosine = INFINITY;
	for (i = 0; i < m && best[i] > 0; i++) {
		while (at < total && mixed[at] >= best[i])
			at++;
		/* of equal ones the last counts them all */
		if ((i + 1 == m || best[i + 1] < best[i]) && (double)at <= share * (double)(i + 1) * (double)n->of.mixes)
			*cosine = best[i];
	}
	free(best);
	free(mixed);
	return 0;
}
