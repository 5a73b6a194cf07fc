/* The four sparse passes: sums of each level, gradients of codes, gradients of
 * the two matrices. Each walks tiles of latents (train_parts.h). */
#include <string.h>

#include "sae/train_parts.h"

#define TILES_A_JOB 16

struct work {
	struct trainer *t;
	struct part *part;
};

/* ---- what each level adds to the reconstruction ---- */

static void
sum_codes(const struct work *w, size_t tile, size_t r, size_t c)
{
	struct trainer *t = w->t;
	struct codes z = codes_of(t, w->part, tile, r);
	size_t width = chunk_width(t, c), l;
	const float *dec = chunk_row(t, t->dec, t->model->m, c, tile * w->part->tile);

	for (l = 0; l < t->levels; l++)
		if (z.end[l + 1] > z.end[l])
			t->kernels->add_rows(level_row(t, c, l, r), width, dec, width,
			                     z.idx + z.end[l], z.val + z.end[l], (size_t)(z.end[l + 1] - z.end[l]));
}

static void
sum_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	struct trainer *t = w->t;
	size_t c = job % t->chunks, first = job / t->chunks * t->stripe, end = least(first + t->stripe, t->rows), tile, r;

	(void)thread;
	for (tile = 0; tile < w->part->tiles; tile++)
		for (r = first; r < end; r++)
			sum_codes(w, tile, r, c);
}

void
sum_levels(struct trainer *t)
{
	size_t i;

	for (i = 0; i < PARTS; i++)
		if (t->parts[i].used)
			pool_run(t->pool, sum_job, &(struct work){t, &t->parts[i]}, pieces(t->rows, t->stripe) * t->chunks);
}

/* ---- gradients of codes: dz_j = G_level(j) . D_j ---- */

static void
dot_codes(const struct work *w, size_t tile, size_t r, size_t c)
{
	struct trainer *t = w->t;
	struct codes z = codes_of(t, w->part, tile, r);
	size_t width = chunk_width(t, c), l;
	const float *dec = chunk_row(t, t->dec, t->model->m, c, tile * w->part->tile);

	for (l = 0; l < t->levels; l++)
		if (z.end[l + 1] > z.end[l])
			t->kernels->dots(z.dz + z.end[l], level_row(t, c, l, r), width, dec, width,
			                 z.idx + z.end[l], (size_t)(z.end[l + 1] - z.end[l]));
}

static void
dot_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	struct trainer *t = w->t;
	size_t ranges = pieces(w->part->tiles, TILES_A_JOB), first = job / ranges * t->stripe;
	size_t end = least(first + t->stripe, t->rows), from = job % ranges * TILES_A_JOB, c, tile, r;

	(void)thread;
	for (c = 0; c < t->chunks; c++)
		for (tile = from; tile < least(from + TILES_A_JOB, w->part->tiles); tile++)
			for (r = first; r < end; r++)
				dot_codes(w, tile, r, c);
}

void
code_gradients(struct trainer *t)
{
	size_t i;

	for (i = 0; i < PARTS; i++)
		if (t->parts[i].used)
			pool_run(t->pool, dot_job, &(struct work){t, &t->parts[i]},
			         pieces(t->rows, t->stripe) * pieces(t->parts[i].tiles, TILES_A_JOB));
}

/* ---- one tile: from dz to dp, thresholds, b_enc ---- */

/* JUMPRELU, latent j: what this code says about log threshold (train.h). */
static double
threshold_gradient(const struct trainer *t, size_t j, float z, float dz)
{
	double w = t->o.bandwidth, theta = t->theta[j], factor = t->o.jump == JUMP_EXACT ? theta : 1, g = 0;
	bool below = !(z > 0); /* in the window, or it were not here */
	bool inside = z - theta < w / 2;

	if (below || inside)
		g -= factor * theta / w * dz;
	if (below ? t->o.jump == JUMP_EXACT || theta < w / 2 : inside)
		g -= factor / w * t->o.l0 / (double)t->n;
	return g;
}

static void
finish_codes(const struct work *w, size_t tile, size_t r)
{
	struct trainer *t = w->t;
	struct codes codes = codes_of(t, w->part, tile, r);
	float push = t->o.l1 > 0 ? (float)(t->o.l1 / ((double)t->n * t->row_norm[t->at + r])) : 0;
	float z, *dz, c = (float)t->o.soft_cap;
	size_t i, j;

	for (i = codes.end[0]; i < codes.end[t->levels]; i++) {
		z = codes.val[i];
		dz = &codes.dz[i];
		j = tile * w->part->tile + codes.idx[i];
		*dz += z > 0 ? push : 0;
		if (t->theta)
			t->sum_threshold[j] += threshold_gradient(t, j, z, *dz);
		if (c > 0)
			*dz *= 1 - z / c * (z / c);
		if (!(z > 0))
			*dz = 0;
		t->sum_b_enc[j] += *dz;
		t->fired[j] += z > 0;
	}
}

/* ---- one tile: gradients of its rows of W_dec and columns of W_enc ---- */

/* Joined tiles and their latents. */
struct range {
	size_t tile, tiles, first, latents;
};

static struct range
range_of(const struct work *w, size_t job)
{
	struct range g = {.tile = job * w->part->join};

	g.tiles = least(w->part->join, w->part->tiles - g.tile);
	g.first = g.tile * w->part->tile;
	g.latents = least(g.tiles * w->part->tile, w->t->model->m - g.first);
	return g;
}

/* Begins lists: mark[0] where each latent's begins. */
static void
count_lists(const struct work *w, const struct range *g, struct lists *own)
{
	uint32_t sum = 0, *mark = own->mark[0], *part, count;
	struct codes z;
	size_t k, r, i;

	memset(mark, 0, g->latents * sizeof *mark);
	for (k = 0; k < g->tiles; k++) {
		part = mark + k * w->part->tile;
		for (r = 0; r < w->t->rows; r++) {
			z = codes_of(w->t, w->part, g->tile + k, r);
			for (i = z.end[0]; i < z.end[w->t->levels]; i++)
				part[z.idx[i]]++;
		}
	}
	for (i = 0; i < g->latents; i++) {
		count = mark[i];
		mark[i] = sum;
		sum += count;
	}
}

static void
fill_row(const struct work *w, size_t tile, size_t r, uint32_t *next, struct lists *own)
{
	struct codes z = codes_of(w->t, w->part, tile, r);
	size_t l, i;
	uint32_t at;

	for (l = 0; l < w->t->levels; l++)
		for (i = z.end[l]; i < z.end[l + 1]; i++) {
			at = next[z.idx[i]]++;
			own->row[at] = (uint16_t)r;
			own->level_row[at] = (uint16_t)(l * BLOCK + r);
			own->z[at] = z.val[i];
			own->dp[at] = z.dz[i];
		}
}

/* mark[s][j] .. mark[s+1][j]: entries of latent j from the s-th span of rows. */
static void
fill_lists(const struct work *w, const struct range *g, struct lists *own)
{
	size_t span = w->part->span, s, r, k;
	uint32_t *next;

	count_lists(w, g, own);
	for (s = 0; s * span < w->t->rows; s++) {
		next = own->mark[s + 1];
		memcpy(next, own->mark[s], g->latents * sizeof *next);
		for (k = 0; k < g->tiles; k++)
			for (r = s * span; r < least((s + 1) * span, w->t->rows); r++)
				fill_row(w, g->tile + k, r, next + k * w->part->tile, own);
	}
}

/* What lists gather, and where to. */
struct gather {
	float *src;          /* in chunks of so many rows */
	size_t rows;
	const uint16_t *row; /* of each entry */
	const float *val;
	size_t step;         /* spans taken together */
	float *acc;          /* [m,d] */
};

/* sums [latents,width] = chunk c of what the lists gather. */
static void
sum_lists(const struct work *w, const struct range *g, const struct lists *own, const struct gather *f, size_t c)
{
	struct trainer *t = w->t;
	size_t width = chunk_width(t, c), spans = pieces(t->rows, w->part->span), s, j;
	const float *src = chunk_row(t, f->src, f->rows, c, 0);
	const uint32_t *from, *to;

	memset(own->sums, 0, g->latents * width * sizeof *own->sums);
	for (s = 0; s < spans; s += f->step) {
		from = own->mark[s];
		to = own->mark[least(s + f->step, spans)];
		for (j = 0; j < g->latents; j++)
			if (to[j] > from[j])
				t->kernels->add_rows(own->sums + j * width, width, src, width,
				                     f->row + from[j], f->val + from[j], to[j] - from[j]);
	}
}

static void
add_lists(const struct work *w, const struct range *g, const struct lists *own, const struct gather *f)
{
	struct trainer *t = w->t;
	size_t width, c, j;

	for (c = 0; c < t->chunks; c++) {
		sum_lists(w, g, own, f, c);
		width = chunk_width(t, c);
		for (j = 0; j < g->latents; j++)
			t->simd->add(f->acc + (g->first + j) * t->model->d + c * t->chunk, own->sums + j * width, width);
	}
}

static void
latents_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	struct trainer *t = w->t;
	struct lists *own = &t->lists[thread];
	struct range g = range_of(w, job);
	struct gather dec = {t->G, t->levels * BLOCK, own->level_row, own->z, w->part->dec_step, t->g_dec};
	struct gather enc = {t->xb, BLOCK, own->row, own->dp, w->part->enc_step, t->g_enc};
	size_t k, r;

	for (k = 0; k < g.tiles; k++)
		for (r = 0; r < t->rows; r++)
			finish_codes(w, g.tile + k, r);
	fill_lists(w, &g, own);
	add_lists(w, &g, own, &dec);
	add_lists(w, &g, own, &enc);
}

/* b_dec without what goes through p: the sum of G of the first level. */
static void
b_dec_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	const float *g;
	size_t i, r;

	(void)thread;
	for (r = 0; r < t->rows; r++) {
		g = level_row(t, job, 0, r);
		for (i = 0; i < chunk_width(t, job); i++)
			t->sum_b_dec[job * t->chunk + i] += g[i];
	}
}

void
parameter_gradients(struct trainer *t)
{
	size_t i;

	for (i = 0; i < PARTS; i++)
		if (t->parts[i].used)
			pool_run(t->pool, latents_job, &(struct work){t, &t->parts[i]},
			         pieces(t->parts[i].tiles, t->parts[i].join));
	pool_run(t->pool, b_dec_job, t, t->chunks);
}
