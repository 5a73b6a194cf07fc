/* The inside of a trainer, shared by the train*.c files and nobody else.
 *
 * A step computes p for the whole batch, then takes BLOCK rows at a time
 * through ranking, reconstruction, loss and gradients. The codes of a block lie
 * in at most two parts: levels that keep few latents, and levels that keep
 * many. A part cuts the latents into tiles and the rows into groups; the codes
 * of a tile and a group lie together, row by row, in a row level by level, in a
 * level by latent (struct codes).
 *
 * Sums of sparse rows are bound by where those rows come from: most of the
 * machine's peak from the first-level cache, half from the second, a fifth from
 * the third. So whatever is gathered from -- W_dec, G, x - b_dec -- is kept in
 * chunks of columns, [chunk][rows][width], narrow enough that the rows of a tile
 * or of a span lie together in the first-level cache; or in the second, for G,
 * each of whose numbers is used twice.
 */
#ifndef SAE_TRAIN_PARTS_H
#define SAE_TRAIN_PARTS_H

#include "sae/train.h"
#include "sae/train_kernels.h"

#define BLOCK 512      /* rows */
#define GROUP 64       /* rows of a job */
#define TILE_MIN 32
#define TILE_MAX 512   /* latents of a tile; GROUP * TILE_MAX has 16 bits */
#define SPAN 32        /* rows that lists know apart */
#define PARTS 2

struct part {
	bool used, has[SAE_MAX_LEVELS]; /* the levels in it */
	size_t tile, tiles;  /* latents of a tile, tiles */
	uint16_t *idx, *end; /* latent - first of the tile; where levels end */
	float *val;          /* z */
};

/* How a row of p becomes codes: level l is what is >= low[l] and not of an
 * earlier level; of the values that equal low[l], the first equal[l]. */
struct cuts {
	float low[SAE_MAX_LEVELS];
	uint32_t equal[SAE_MAX_LEVELS], count[SAE_MAX_LEVELS]; /* count: of level l alone */
	bool ties; /* some equal low[l] and do not belong to l */
};

/* A thread's scratch: the codes of some latents, latent by latent. */
struct lists {
	uint16_t *row, *level_row; /* [BLOCK*TILE_MAX] r, l*BLOCK + r of each code */
	float *z, *dz;             /* its gradient, later that of p */
	uint32_t (*mark)[TILE_MAX]; /* [BLOCK/SPAN+1] where each span of rows begins */
	uint32_t *wide; /* [m+16] scratch of ranking */
	float *values;  /* [m+16] */
	float *error;   /* [d] */
	float *sums;    /* [TILE_MAX,chunk] */
	uint32_t *histogram; /* [65536], BATCHTOPK */
};

struct trainer {
	struct sae *model;
	struct train_opts o;
	struct pool *pool;
	const struct simd *simd;
	const struct train_kernels *kernels;
	size_t stripe;        /* rows of a job that takes W_dec tile by tile */
	size_t chunk, chunks; /* columns of a chunk (the last may have fewer), chunks of d */
	size_t levels;        /* 1 for all but MSAE */
	size_t keep[SAE_MAX_LEVELS]; /* k of each level; m where all positive count */
	double share[SAE_MAX_LEVELS]; /* a_i / sum a_i */

	/* what a checkpoint holds */
	float *adam_m[P_COUNT], *adam_v[P_COUNT], *log_threshold;
	uint64_t *active, *last_active, steps, rows_seen;

	/* the step at work */
	const float *x;
	size_t n, at, rows;  /* of the batch; the block's first row and rows */
	float *p;            /* [batch,m] */
	float *xc;           /* [batch,d] x - b_dec */
	float *dec;          /* W_dec in chunks of m rows */
	float *xb;           /* xc's block in chunks of BLOCK rows */
	float *G;            /* in chunks of levels*BLOCK rows: sums of level l; then their gradients */
	struct cuts *cuts;   /* [BLOCK] */
	struct part parts[PARTS];
	struct lists *lists; /* [threads] */
	size_t dec_step, enc_step; /* spans gathered from at a time, for either matrix's gradient */
	float *push;         /* [BLOCK] gradient of the l1 penalty */
	float *theta, *lower; /* [m] JUMPRELU: threshold, above what p matters */
	double *row_loss;    /* [batch,levels] */
	double *row_fvu, *row_l1, *row_weight, *row_norm; /* [batch]; 2/(n |x|^2), |x| */
	size_t *row_l0;      /* [batch] */
	float batch_cut;     /* BATCHTOPK: low of every row */
	uint32_t *row_equal; /* [batch] how many of a row equal it, then are kept */
	bool batch_ties;

	/* gradients; W_enc's transposed, [m,d] */
	float *g_dec, *g_enc, *g_small[P_COUNT];
	double *sum_b_enc, *sum_b_dec, *sum_threshold; /* [m], [d], [m] */
	double *latent_norm; /* [m] squared gradient norm of W_dec's and W_enc's latent */
	float *norm;         /* [m] of W_dec's rows, and an epsilon */
	uint64_t *fired;     /* [m] rows in this batch */
	double clip, lr;
	void *block;         /* all of the above, the checkpoint's first */
	size_t state_bytes;  /* of that */
};

static inline size_t
chunk_width(const struct trainer *t, size_t c)
{
	return c + 1 < t->chunks ? t->chunk : t->model->d - c * t->chunk;
}

/* Row r, chunk c, of what is kept in chunks of so many rows. */
static inline float *
chunk_row(const struct trainer *t, float *p, size_t rows, size_t c, size_t r)
{
	return p + c * t->chunk * rows + r * chunk_width(t, c);
}

static inline float *
level_row(const struct trainer *t, size_t c, size_t l, size_t r)
{
	return chunk_row(t, t->G, t->levels * BLOCK, c, l * BLOCK + r);
}

/* A row's codes in one tile: level l is places end[l] .. end[l+1] of each. */
struct codes {
	uint16_t *idx, *end;
	float *val;
};

static inline struct codes
codes_of(const struct trainer *t, const struct part *p, size_t tile, size_t r)
{
	size_t first = (tile * BLOCK + r / GROUP * GROUP) * p->tile;

	return (struct codes){p->idx + first, p->end + (tile * BLOCK + r) * (t->levels + 1), p->val + first};
}

/* train_rank.c */
void rank_batch(struct trainer *t);
void rank_block(struct trainer *t);

/* train_sparse.c */
void sum_levels(struct trainer *t);
void gradients(struct trainer *t);

/* train_adam.c: the gradient's norm, and t->clip; the update */
double gradient_norm(struct trainer *t);
void update(struct trainer *t);

static inline size_t
pieces(size_t n, size_t size)
{
	return (n + size - 1) / size;
}

static inline size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

#endif
