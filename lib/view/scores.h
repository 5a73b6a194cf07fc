/* What an evaluation found, for people and machines: aligned tables, JSON, CSV,
 * and the pictures of it. The caller fills plain structs; all borrowed. NaN is
 * what could not be told, and is shown as such. */
#ifndef VIEW_SCORES_H
#define VIEW_SCORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/moments.h"

enum score_kind {
	SCORE_FVU, SCORE_FVU_DATA, SCORE_COSINE, SCORE_MAE, SCORE_L0, SCORE_SPARSITY, SCORE_CKNNA, SCORE_LP_KL, SCORE_LP_ACC,
	SCORE_KINDS
};

#define SCORES_MAX_LEVELS 32
#define SCORES_BINS 8

struct scores_level {
	size_t k; /* 0: as the model is used */
	struct estimate of[SCORE_KINDS];
	uint64_t never, always; /* latents active in no row, in every row */
};

struct scores {
	const char *name, *arch, *sha256, *rows_are; /* how the rows came to be as they are */
	size_t d, m;
	uint64_t rows, flat;           /* flat: do not vary, left out of FVU, cosine, MAE */
	struct scores_level levels[SCORES_MAX_LEVELS]; /* [0]: as used */
	size_t nlevels;
	double overlap;                /* DO */
	size_t group, neighbours;      /* CKNNA's; group 0: not measured */
	uint64_t groups, undefined, group_rows, left_out;
	const char *probe;             /* NULL: no LP */
	/* per latent, as used */
	const uint64_t *active;        /* [m] rows */
	const double *strength;        /* [m] mean activation where active; NaN: never */
	const double *mono;            /* [m] monosemanticity; NaN: undefined */
	uint64_t bins[SCORES_BINS];    /* latents by frequency: scores_bin */
	size_t mono_defined;
	double mono_mean, mono_quartile[3];
};

/* Where a frequency belongs: 0 never; then below 1e-5, 1e-4, .001, .01, .1, 1;
 * 7 always. scores_bin_name says so. */
size_t scores_bin(double frequency);
const char *scores_bin_name(size_t bin);

enum scores_form { SCORES_TEXT, SCORES_JSON, SCORES_CSV };

/* n models over the same rows: one in full, several beside each other. 0, or -1
 * when writing or memory failed. */
int scores_write(const struct scores *s, size_t n, enum scores_form form, FILE *to);
/* Per latent: model, latent, rows, frequency, strength, monosemanticity. CSV. */
int scores_latents(const struct scores *s, size_t n, FILE *to);
/* One model: FVU and cosine against k, on a logarithmic axis. Several: FVU and
 * cosine against L0, each model as it is used and, where measured, by level. SVG. */
int scores_plot(const struct scores *s, size_t n, FILE *to);
/* The first of one model's, for a page (see plot_panel); false, and nothing is
 * drawn, where there are no levels to draw. */
bool scores_panel(const struct scores *s, FILE *to);

#endif
