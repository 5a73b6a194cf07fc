/* What an audit found, told as text, JSON, CSV and a picture: how groups of rows
 * differ in each latent, and what a probe says when a concept's code is changed.
 * The caller fills plain structs; what they point to is borrowed. */
#ifndef VIEW_AUDITED_H
#define VIEW_AUDITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/moments.h"

#define AUDITED_MAX_SIDES 32
#define AUDITED_LEVEL .05 /* of q */

/* A group, and what it was compared with. */
struct audited_side {
	const char *group[2]; /* [1] NULL: all others */
	uint64_t rows[2];
};

struct audited_test {
	uint32_t latent, side; /* side: which comparison */
	const char *name;      /* a valid one, or NULL */
	uint64_t active[2];    /* rows of both groups where the code is not 0 */
	double mean[2];        /* of the code, over all rows of the group */
	double delta, low, high; /* Cliff's delta and its 95 % interval: above 0 where the first group has more */
	double log_p, log_q;   /* natural logarithms: p of Mann-Whitney, q of Benjamini-Hochberg */
};

/* Probabilities of `classes` classes, as rows are and at each step: all arrays
 * but steps are [1 + nsteps][classes]. */
struct audited_sweep {
	const char *concept;
	const uint32_t *latents;
	size_t nlatents, nsteps;
	const double *steps;          /* [nsteps] what the codes were set to */
	uint64_t rows, active;        /* swept; where one of the latents was active */
	const struct estimate *p;
	const struct estimate *change; /* against the row as it is; of [0], zeros */
	const uint64_t *predicted;    /* rows where the class is the most probable */
};

struct audited {
	const char *by;               /* the column that told the groups apart; NULL: the probe did */
	const char *probe;            /* its path; NULL: none */
	char *const *classes;         /* [nclasses] of it */
	size_t nclasses;
	const char *of;               /* the group that was swept, or NULL: all */
	const struct audited_side *sides;
	size_t nsides;
	uint64_t rows, ignored, others; /* compared; without a label or with one to ignore; of groups nobody asked for */
	size_t latents, tested;       /* of the model; active in some row compared */
	const struct audited_test *tests; /* [ntests] by q, then |delta|, then latent and side */
	size_t ntests, significant;   /* q <= AUDITED_LEVEL */
	const struct audited_sweep *sweeps;
	size_t nsweeps;
	bool names, only_valid;       /* there are names; tests of latents without one are not told */
	size_t top;                   /* tests told of each comparison */
};

enum audited_form { AUDITED_TEXT, AUDITED_JSON, AUDITED_CSV };

/* Text: a table a comparison, a table a sweep. JSON: one object, a line a test. CSV: a line a test, no sweeps.
 * 0, or -1 when writing or memory failed. */
int audited_write(const struct audited *a, enum audited_form form, FILE *to);

/* The sweeps (one at least) beside each other, probability against code. 0, or -1. */
int audited_plot(const struct audited *a, FILE *to);

/* Between audited.c, audited_sweeps.c and audited_json.c. */

/* e^log as text with that many digits, however small: "1.2e-400", "0.034". */
#define AUDITED_NUMBER 32
char *audited_number(char out[AUDITED_NUMBER], double log_value, int digits);
/* Going through the tests that are told, `top` of each comparison: start from {0}. */
struct audited_walk { size_t at, told[AUDITED_MAX_SIDES], all; };
/* The next test of a comparison (SIZE_MAX: of any), NULL at the end. */
const struct audited_test *audited_next(const struct audited *a, size_t side, struct audited_walk *w);
/* What the probe is called: the last part of its path. */
const char *audited_probe(const struct audited *a);
void audited_sweeps(const struct audited *a, FILE *to);
int audited_json(const struct audited *a, FILE *to);

#endif
