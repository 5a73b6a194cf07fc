/* Everything that is measured of a model on rows, in one pass and in memory
 * that does not grow with them.
 *
 *   evaluation_begin(&v, &model, &opts, pool, simd, &err);
 *   evaluation_stream(&v, &norm, as_is, &err);      what was done to the rows to come
 *   evaluation_rows(&v, x, n, row, &err);           row: number of the first
 *   evaluation_finish(&v, &err); evaluation_scores(&v, &scores, &err);
 *   evaluation_free(&v);
 *
 * Passes over shards are saved instead of finished, and added up:
 *
 *   evaluation_save(&v, "0.state", &err);
 *   evaluation_load(&v, "0.state", pool, simd, &err);
 *   evaluation_load(&w, "1.state", ...); evaluation_merge(&v, &w, &err); ...
 */
#ifndef JOBS_EVALUATION_H
#define JOBS_EVALUATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/model.h"
#include "base/probe.h"
#include "jobs/groups.h"
#include "sae/latents.h"
#include "sae/quality.h"
#include "view/scores.h"

struct evaluation_opts {
	bool progressive;        /* levels 16, 32 ... m */
	bool raw;                /* compare raw embeddings, as the published code does */
	bool cknna;
	size_t group, neighbours;
	const struct probe *probe; /* or NULL */
	const char *name;          /* of the model, for people */
};

/* What a stream says was done to its rows: (raw - mean) * scale. */
struct evaluation_norm {
	const float *mean; /* [d]; NULL: nothing */
	float scale;
	bool by_model;     /* it was a model's mean and scale */
};

struct probe_sums { double kl, kl_square, same; };

struct evaluation {
	const struct sae *model;
	struct sae shell;        /* the model as far as a state knows it: no weights */
	char name[256], rows_are[256], probe_sha[SHA256_HEX];
	struct pool *pool;
	const struct simd *simd;
	struct quality quality;
	struct latent_sums latents;
	bool compare_raw, cknna;
	struct groups groups;
	double overlap;
	bool any;                /* rows came */
	uint64_t first_row, next_row; /* their numbers */
	/* rows waiting for a whole block */
	struct mat x;
	size_t waiting;
	uint64_t first;
	/* how rows of the stream become the model's, and raw again for the probe */
	float *mean, scale;      /* the stream's; mean NULL: none */
	bool undo, own;          /* first take that back; normalise by the model's own */
	const struct probe *probe;
	struct probe_sums lp[QUALITY_MAX_KS + 1], lp_block[QUALITY_MAX_KS + 1];
	struct mat raw, logp_x, logp_y, scratch;
	/* what scores point into */
	double *mono, *strength;
};

/* The model and what opts point to must outlive it, but for the texts. */
int evaluation_begin(struct evaluation *v, const struct sae *model, const struct evaluation_opts *o, struct pool *pool, const struct simd *simd, struct err *e);
/* Before the first rows of each stream. Raw rows, and rows that another model's
 * mean and scale normalised, are normalised by this model's own; as_is takes raw
 * rows as they are. CODE_DATA when that is not how the stream before was. */
int evaluation_stream(struct evaluation *v, const struct evaluation_norm *norm, bool as_is, struct err *e);
/* x [n,d] finite, as it stands in the stream. */
int evaluation_rows(struct evaluation *v, const float *x, size_t n, uint64_t row, struct err *e);
int evaluation_finish(struct evaluation *v, struct err *e);
/* Borrowed from v. CODE_DATA when there were no rows. */
int evaluation_scores(struct evaluation *v, struct scores *out, struct err *e);
void evaluation_free(struct evaluation *v);

/* The state so far, atomically. */
int evaluation_save(struct evaluation *v, const char *path, struct err *e);
int evaluation_load(struct evaluation *v, const char *path, struct pool *pool, const struct simd *simd, struct err *e);
/* Adds what other saw, whose rows come after. CODE_DATA when it was of another
 * model or asked other things. path: other's, for errors. */
int evaluation_merge(struct evaluation *v, struct evaluation *other, const char *path, struct err *e);
/* Loads and adds up n > 0 states, in the order of their rows where no two have
 * the same, so that groups that shards cut become whole; else as given. */
int evaluation_load_all(struct evaluation *v, char *const *paths, size_t n, struct pool *pool, const struct simd *simd, struct err *e);

#endif
