/* A training run from its rows to its model: steps in order, evaluation each
 * epoch, log, checkpoints, going on from one.
 *
 *   struct training t = {.o = {...}, .pool = pool, .simd = simd};
 *   t.rows filled (rowset.h), training_norm if they came normalised
 *   training_begin(&t, &err);
 *   while ((more = training_step(&t, &err)) > 0)
 *       show t.last; to stop: training_checkpoint(&t, &err)
 *   training_finish(&t, &err);             writes the model
 *   training_free(&t);
 *
 * A run depends on the recipe and the rows alone: not on threads, on how often
 * it was stopped, or on what was evaluated and logged meanwhile.
 */
#ifndef JOBS_TRAINING_H
#define JOBS_TRAINING_H

#include <stdbool.h>
#include <stdio.h>

#include "jobs/rowset.h"
#include "sae/quality.h"
#include "sae/recipe.h"
#include "view/runlog.h"

struct training_opts {
	struct recipe recipe;
	const char *model;      /* where the model goes */
	const char *init, *resume, *checkpoint, *valid, *log; /* NULL: none */
	uint64_t every;         /* steps from one checkpoint to the next; 0: only when stopped */
	const char *trained_on; /* for the model's description */
	bool as_is;             /* rows are taken as they are: mean 0, scale 1 */
};

struct training {
	struct training_opts o;
	struct pool *pool;
	const struct simd *simd;
	struct rowset rows;
	bool head_seen;
	size_t head_d;    /* numbers in head_mean */
	float *head_mean, head_scale; /* training_norm's */
	/* What is worth saying on the way, for people; may be NULL. */
	void (*warn)(void *arg, const char *text);
	void (*note)(void *arg, const char *text);
	void *arg;

	/* of the run */
	struct plan plan;
	struct sae model;
	struct trainer *trainer;
	uint64_t *steps, *rows_seen; /* in the trainer */
	struct mat x;
	struct rowset valid;
	char *valid_path[1];
	struct quality quality;
	FILE *log;
	bool log_failed, checkpoint_failed;
	char print[SHA256_HEX]; /* of the rows */
	char default_checkpoint[1024];
	uint64_t first_step, revived;
	double began, busy_rows;
	struct runlog_step last;
	double levels[SAE_MAX_LEVELS];
	struct runlog_quality at[QUALITY_MAX_KS + 1]; /* of the last evaluation; at[0]: as used */
	uint64_t silent; /* latents never active in that evaluation */
};

/* The rows that follow were normalised by these (mean NULL: not at all). Takes
 * over mean [d], which is from mem_alloc, also when it fails: a second call that
 * says otherwise than the first is CODE_DATA. Before training_begin. */
int training_norm(struct training *t, float *mean, size_t d, float scale, struct err *e);
/* Loads what there is to load, decides on recipe and normalisation, makes the
 * model and the trainer. Also checks that model, log and checkpoint can be
 * written, before hours are spent. */
int training_begin(struct training *t, struct err *e);
/* One step and what comes behind it: 1, 0 when there are no more, -1. A step
 * whose loss is not finite: CODE_DATA, naming step and last checkpoint. */
int training_step(struct training *t, struct err *e);
/* Where a checkpoint goes: --checkpoint, or MODEL.checkpoint. */
const char *training_checkpoint_path(const struct training *t);
int training_checkpoint(struct training *t, struct err *e);
int training_finish(struct training *t, struct err *e);
void training_free(struct training *t);

#endif
