/* Counterfactuals of a stream: concepts whose codes are set to each of some
 * values in every row, and what a probe says then (sae/sweep.h).
 *
 *   struct sweeps s = {0};
 *   sweeps_add(&s, "beard=0:8:5", &names, &concepts, &err);   as often as wanted, or
 *   sweeps_add_latent(&s, 17, "beard", &err);
 *   sweeps_begin(&s, &probe, &model, most, pool, &err);
 *   sweeps_stream(&s, scale, &err);         how its rows were normalised
 *   sweeps_rows(&s, raw, z, rows, n, &err);  as often as wanted
 *   sweeps_finish(&s);                       s.told is there then
 *   sweeps_free(&s);
 *
 * Memory does not grow with the rows, and sums are taken row after row: the
 * same bytes for every number of threads and rows a frame.
 */
#ifndef JOBS_SWEEPS_H
#define JOBS_SWEEPS_H

#include <stdbool.h>

#include "base/csr.h"
#include "base/pool.h"
#include "files/concepts.h"
#include "sae/sweep.h"
#include "view/audited.h"

#define SWEEPS_MAX 64
#define SWEEPS_STEPS 11   /* where it is not said */
#define SWEEPS_MAX_STEPS 1000

struct sweeps {
	struct sweeps_item {
		char *concept;      /* its name, or "#17" */
		uint32_t *latents;
		size_t nlatents, nsteps;
		double from, to;    /* to NAN: up to the largest code there is */
		double *steps;
		struct sweep kernel; /* .w NULL: not aimed yet */
		double *sums;       /* [4, 1 + nsteps, classes]: of p, p^2, change, change^2 */
		uint64_t *predicted, active;
		struct estimate *p, *change; /* [1 + nsteps, classes] */
	} *items;
	size_t n;
	const struct probe *probe;
	const struct sae *model;
	struct pool *pool;
	uint64_t rows;
	size_t each, chunk;     /* numbers of one row's answers; rows answered at once */
	double *answers, *scratch; /* [chunk,each], [threads,d + classes] */
	struct audited_sweep *told; /* [n], from sweeps_finish */
};

/* NAME, or NAME=FROM:TO, or NAME=FROM:TO:STEPS, 0 <= FROM < TO, 2 to SWEEPS_MAX_STEPS steps. A name may have an '=' of its
 * own. All latents that carry it validly are set together. CODE_USAGE says what is wrong. names and concepts may be
 * empty: then #17 is a name. */
int sweeps_add(struct sweeps *s, const char *text, const struct lexicon *names, const struct concepts *concepts, struct err *e);
/* One latent alone; name NULL: it has none. */
int sweeps_add_latent(struct sweeps *s, uint32_t latent, const char *name, struct err *e);
/* most [model->m]: the largest code of each latent, for ranges that were not given: CODE_DATA where that is 0. Probe
 * and model, of the same width, must outlive s. */
int sweeps_begin(struct sweeps *s, const struct probe *probe, const struct sae *model, const float *most, struct pool *pool, struct err *e);
/* For the rows that follow: what they were multiplied by when they were normalised. */
int sweeps_stream(struct sweeps *s, float scale, struct err *e);
/* Rows `rows` [n] of raw [.,d], embeddings as their encoder made them, and of their codes z. */
void sweeps_rows(struct sweeps *s, const float *raw, struct csr_view z, const uint32_t *rows, size_t n);
int sweeps_finish(struct sweeps *s, struct err *e);
void sweeps_free(struct sweeps *s);

#endif
