/* Fitting a linear probe (base/probe.h) to labelled rows, of which there may be
 * more than memory holds: rows are kept in a spool under $TMPDIR and gone over
 * as often as the optimiser asks.
 *
 *   struct probefit f = {.o = {...}, .pool = pool, .simd = simd};
 *   probefit_rows(&f, x, labels, first, n, d, &err)   as often as there are rows
 *   probefit_begin(&f, &err);
 *   while ((more = probefit_step(&f, &err)) > 0)  show f.step, f.loss
 *   probefit_finish(&f, &probe, &score, &err);
 *   probefit_free(&f);
 *
 * What is minimised, over the rows that train, is
 *
 *   mean of w_y -log p(y) + l2/2 |W|^2
 *
 * with W [d,classes] for features that are standardised on those rows (mean 0,
 * deviation 1), of embeddings of unit length; b is free of charge. Then
 * standardisation is folded into W and b. Of each class a share of the rows is
 * held out, chosen by the seed, and the probe is scored on them. Where l2 is to
 * be chosen, as large a share of the others is set aside: 1, .1, .01 ... are
 * tried, each starting where the one before ended, until log-loss there gets
 * worse; then all that train do so with the best. The same rows, options and
 * seed give the same bytes for every number of threads.
 *
 * Memory: (25 + 16 / classes) d x classes doubles or so, and 4,096 rows.
 */
#ifndef JOBS_PROBEFIT_H
#define JOBS_PROBEFIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/pool.h"
#include "base/probe.h"
#include "base/strcount.h"
#include "files/rowstore.h"
#include "sae/lbfgs.h"
#include "sae/simd.h"
#include "view/fitted.h"

#define PROBEFIT_TRIES 8 /* strengths tried, from 1 down */

struct probefit_opts {
	double l2;          /* NAN: to be chosen */
	double held_out;    /* share of the rows, 0 to .5 */
	uint64_t seed;
	uint64_t min_rows;  /* classes with fewer are left out */
	uint64_t max_steps; /* of each fit */
	double enough;      /* a fit ends when the gradient is this small a part of what it was at W = 0 */
	bool balance;       /* every class weighs the same: w = rows / (classes x rows of the class) */
	const char *ignore; /* rows with this label are left out; NULL: none */
};

struct probefit {
	struct probefit_opts o;
	struct pool *pool;
	const struct simd *simd;

	/* what came */
	size_t d;
	struct rowstore store;    /* [rows,d+1]: unit rows, and what each is for */
	struct strcount labels;
	struct mat block;         /* rows on their way into the store */
	uint64_t ignored;         /* rows that came with no label, or the one to ignore */
	uint64_t few;             /* rows of classes with too few */
	size_t few_classes;

	/* the classes, by name */
	size_t classes;
	char **names;             /* [classes], in labels */
	uint32_t *class_of;       /* [labels.used]; UINT32_MAX: left out */
	uint64_t *rows;           /* [classes] that train */
	float *weights;           /* [classes]; NULL: all 1 */
	float *mean, *inverse;    /* [d] standardisation */
	uint64_t training, held, set_aside; /* rows */

	/* the fit under way */
	bool choosing;
	struct fitted_try tries[PROBEFIT_TRIES];
	size_t ntries;
	double l2, first_gradient, *best; /* [(d+1) classes] the best W yet, while choosing */
	uint64_t step, steps, calls; /* of this fit; of all */
	double loss;              /* objective */
	bool converged;           /* the last fit */
	struct lbfgs opt;
	struct probefit_work *work;
};

/* x [n,d] raw and finite, d always the same; labels [n]. first is the number of
 * the first row, for the error of a row of zeros (CODE_DATA): it has no direction. */
int probefit_rows(struct probefit *f, const float *x, const char *const *labels, uint64_t first, size_t n, size_t d, struct err *e);
/* Counts, splits, standardises. CODE_DATA: fewer than two classes, or more than
 * PROBE_MAX_CLASSES. */
int probefit_begin(struct probefit *f, struct err *e);
/* One step of the optimiser: 1, 0 when the fit is done, -1. */
int probefit_step(struct probefit *f, struct err *e);
/* Where it is, for people. Returns out. */
#define PROBEFIT_LINE 128
char *probefit_line(const struct probefit *f, char out[PROBEFIT_LINE]);
/* The probe (the caller's: probe_free), and its score on the rows held out
 * (finished, the caller's; rows 0 when none were; its names are the probe's). */
int probefit_finish(struct probefit *f, struct probe *p, struct score *s, struct err *e);
/* How it went, for view/fitted.h; points into f, p and s. */
struct fitted probefit_told(const struct probefit *f, const struct probe *p, const struct score *s, const char *path);
void probefit_free(struct probefit *f);

#endif
