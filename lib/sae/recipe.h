/* How a model is to be trained, as a person says it, and what that means.
 *
 *   struct recipe r = RECIPE_UNSET;       fields set from options
 *   recipe_complete(&r, d, init, &err);   what was left open gets its default
 *   recipe_plan(&r, d, rows, &plan, &err);
 *
 * Numbers left open are RECIPE_NONE or NaN, words NULL. A complete recipe says
 * everything that decides a run (with the rows): its text is kept in
 * checkpoints.
 */
#ifndef SAE_RECIPE_H
#define SAE_RECIPE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/model.h"
#include "sae/train.h"

#define RECIPE_NONE UINT64_MAX

struct recipe {
	const char *preset, *arch, *nesting, *weights, *loss, *schedule, *jump, *start, *init_bias, *dead, *shuffle;
	uint64_t latents, k, epochs, steps, batch, seed, window;
	double expansion, l1, l0, threshold, bandwidth, soft_cap, lr, decay_from, warmup, clip, beta2, jitter;
	char words[2048]; /* what words set by recipe_merge and presets point to */
	size_t used;
};

#define RECIPE_UNSET \
	{.latents = RECIPE_NONE, .k = RECIPE_NONE, .epochs = RECIPE_NONE, .steps = RECIPE_NONE, .batch = RECIPE_NONE, \
	 .seed = RECIPE_NONE, .window = RECIPE_NONE, .expansion = NAN, .l1 = NAN, .l0 = NAN, .threshold = NAN, \
	 .bandwidth = NAN, .soft_cap = NAN, .lr = NAN, .decay_from = NAN, .warmup = NAN, .clip = NAN, .beta2 = NAN, .jitter = NAN}

#define RECIPE_TEXT 2048

/* "arch=msae-rw latents=4096 ...": the fields that are set. Returns out. */
char *recipe_text(const struct recipe *r, char out[RECIPE_TEXT]);
/* In place of recipe_complete: takes over what text says, of a run on rows of d
 * numbers. A field that is set in r and says otherwise is CODE_USAGE, as is one
 * that text does not have; a text that is not a complete recipe is CODE_DATA.
 * `whose` ("the checkpoint a.ck") says whose text it is. */
int recipe_resume(struct recipe *r, const char *text, const char *whose, size_t d, struct err *e);
/* Fills what is open: from the preset, from init (a model to start from, or
 * NULL) for the architecture, and with what the paper has. */
int recipe_complete(struct recipe *r, size_t d, const struct sae *init, struct err *e);

enum schedule { SCHEDULE_LINEAR_DECAY, SCHEDULE_COSINE_WARMUP, SCHEDULE_CONSTANT };

struct plan {
	struct train_opts opts;
	size_t m;
	bool shuffle, revive, median, data; /* data: latents start as rows */
	uint64_t seed, window;
	uint64_t epoch_steps, steps; /* of an epoch, whose last may be smaller; of the run */
	double epochs;               /* of the schedule */
	enum schedule schedule;
	double lr, decay_from, warmup, jitter;
};

/* r complete. CODE_USAGE for what makes no sense, CODE_DATA when there are
 * fewer rows than a batch takes. */
int recipe_plan(const struct recipe *r, size_t d, uint64_t rows, struct plan *p, struct err *e);

/* The rate of step 0, 1, ...:
 *   linear decay   lr in the epochs before decay_from * epochs, then on a line
 *                  to 0 at the end, changed once an epoch (the paper's; its
 *                  code has the line too steep unless 5 divides epochs)
 *   cosine warmup  on a line from 0 during the first warmup * steps, then half
 *                  a cosine down to 0; changed every step
 *   constant       lr */
double plan_rate(const struct plan *p, uint64_t step);

/* The model's description of itself: arch, k, nesting, weighting, soft cap. */
void plan_describe(const struct plan *p, const struct recipe *r, struct sae *model);

#endif
