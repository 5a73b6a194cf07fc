/* What encode.c and certify.c share. */
#ifndef SAE_ENCODE_PARTS_H
#define SAE_ENCODE_PARTS_H

#include <stdatomic.h>

#include "base/mem.h"
#include "sae/encode.h"
#include "sae/screen.h"
#include "sae/select.h"

#define LIKELY_ROWS 96 /* of these, whose lists of likely latents grow together */
#define UNDECIDED UINT32_MAX
#define SECOND_ROOM (SCREEN_COLS + 16) /* behind what the second round wants */

/* Latents of rows that are to be computed, one row behind the other. */
struct wanted {
	uint32_t *idx;
	float *val;
	size_t at[SCREEN_ROWS + 1]; /* where each row of the group begins */
};

/* A thread's own room. */
struct encode_room {
	float *p;              /* [rows of a job, TILE of encode.c] values of all latents */
	float *a, *u;          /* [rows of a step, SCREEN_COLS] approximations; [SCREEN_COLS] bounds */
	uint16_t *all;         /* [rows of the group, m] approximations in 16 bits */
	uint32_t *idx;         /* [LIKELY_ROWS, stride] likely latents; later what of a second round matters */
	float *val;
	size_t stride;
	struct wanted first, second;
	struct dot_pair *pair;
	uint32_t *begin;       /* [m+1]: where a latent's pairs begin */
	struct encode_counts counts;
};

/* encode_counts of encoders that share another's weights, added up. */
struct encode_sums {
	atomic_uint_fast64_t rows, screened, computed, wanted, found;
};

struct encoder {
	struct variant *variant; /* does it all for a model that is not plain; else NULL */
	struct encoder *of;      /* whose wt and screen these are; NULL: its own */
	const struct sae *model;
	struct pool *pool;
	const struct simd *simd;
	enum encode_way way;
	bool fast;
	size_t width;          /* of rows: d in whole lanes */
	bool learned;          /* the next two are of the weights as they are */
	bool tuned, lent;      /* by enough rows; others look at them */
	float *wt;             /* [m,width] W_enc turned */
	struct screen *screen; /* NULL: all latents */
	unsigned misses;       /* blocks that the screen left mostly undecided */
	uint64_t done;         /* number of the block's first row */
	/* of a block, made for one k */
	bool ready;
	size_t k, rows;
	size_t stride;         /* of a row's list */
	size_t most;           /* latents that a row may want in the second round */
	struct mat x, redo;    /* [rows,width] */
	size_t *row_of;        /* [rows] whose row redo[i] is */
	struct screen_rows seen;
	uint32_t *idx, *count; /* lists of codes [rows][stride]; how many */
	float *val;
	struct encode_room *room; /* [threads] */
	struct encode_counts counts;
	struct encode_sums shared;
};

/* The screened way for rows first..end-1 of a block: their lists and counts,
 * UNDECIDED where it could not tell. */
void certify(struct encoder *enc, size_t first, size_t end, unsigned thread);

/* p of latent j, or 0 where its threshold is not exceeded. */
static inline float
encode_gate(const struct sae *s, uint32_t j, float p)
{
	return s->threshold && !(p > s->threshold[j]) ? 0 : p;
}

#endif
