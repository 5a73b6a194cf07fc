/* The sparse passes: sums of each level; gradients of codes and of W_dec, which
 * take the same rows; gradients of W_enc. Each walks tiles of latents
 * (train_parts.h). */
#include <string.h>

#include "sae/train_parts.h"

#define JOIN 256             /* latents of a job: as many as share what is gathered */
#define GATHERED (768 << 10) /* bytes of G that stay in the second-level cache beside their sums */
#define LIST 8              /* entries that pay for loading and storing a sum */

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

/* ---- lists: the codes of some latents, latent by latent ---- */

/* The latents of a job, and where each part has them. */
struct range {
	struct trainer *t;
	size_t first, latents;
};

static size_t
range_latents(const struct trainer *t)
{
	size_t n = JOIN, i;

	for (i = 0; i < PARTS; i++)
		if (t->parts[i].used && t->parts[i].tile > n)
			n = t->parts[i].tile;
	return n;
}

static struct range
range_of(struct trainer *t, size_t job)
{
	size_t n = range_latents(t);

	return (struct range){t, job * n, least(n, t->model->m - job * n)};
}

/* Begins lists: mark[0] where each latent's begins. */
static void
count_lists(const struct range *g, struct lists *own)
{
	uint32_t sum = 0, *mark = own->mark[0], *part, count;
	const struct part *p;
	struct codes z;
	size_t at, r, i;

	memset(mark, 0, g->latents * sizeof *mark);
	for (p = g->t->parts; p < g->t->parts + PARTS; p++)
		for (at = 0; p->used && at < g->latents; at += p->tile) {
			part = mark + at;
			for (r = 0; r < g->t->rows; r++) {
				z = codes_of(g->t, p, (g->first + at) / p->tile, r);
				for (i = z.end[0]; i < z.end[g->t->levels]; i++)
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
fill_row(const struct trainer *t, const struct codes *z, size_t r, uint32_t *next, struct lists *own)
{
	size_t l, i;
	uint32_t at;

	for (l = 0; l < t->levels; l++)
		for (i = z->end[l]; i < z->end[l + 1]; i++) {
			at = next[z->idx[i]]++;
			own->row[at] = (uint16_t)r;
			own->level_row[at] = (uint16_t)(l * BLOCK + r);
			own->z[at] = z->val[i];
			own->dz[at] = 0;
		}
}

/* mark[s][j] .. mark[s+1][j]: entries of latent j from the s-th span of rows. */
static void
fill_lists(const struct range *g, struct lists *own)
{
	struct trainer *t = g->t;
	const struct part *p;
	struct codes z;
	size_t s, r, at;
	uint32_t *next;

	count_lists(g, own);
	for (s = 0; s * SPAN < t->rows; s++) {
		next = own->mark[s + 1];
		memcpy(next, own->mark[s], g->latents * sizeof *next);
		for (p = t->parts; p < t->parts + PARTS; p++)
			for (at = 0; p->used && at < g->latents; at += p->tile)
				for (r = s * SPAN; r < least((s + 1) * SPAN, t->rows); r++) {
					z = codes_of(t, p, (g->first + at) / p->tile, r);
					fill_row(t, &z, r, next + at, own);
				}
	}
}

/* ---- from dz to dp, thresholds, b_enc ---- */

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

/* Entries from..to, of latent j. */
static void
finish_codes(struct trainer *t, const struct lists *own, size_t j, size_t from, size_t to)
{
	float z, *dz, c = (float)t->o.soft_cap;
	double sum = 0;
	size_t i, fired = 0;

	for (i = from; i < to; i++) {
		z = own->z[i];
		dz = &own->dz[i];
		if (t->o.l1 > 0 && z > 0)
			*dz += t->push[own->row[i]];
		if (t->theta)
			t->sum_threshold[j] += threshold_gradient(t, j, z, *dz);
		if (c > 0)
			*dz *= 1 - z / c * (z / c);
		if (!(z > 0))
			*dz = 0;
		sum += *dz;
		fired += z > 0;
	}
	t->sum_b_enc[j] += sum;
	t->fired[j] += fired;
}

/* ---- gradients of codes and of the two matrices ---- */

/* Chunk c of dz_j = G_level(j) . D_j and of dD_j = sum of z_j G_level(j) at
 * once, as both take the same rows of G. */
static void
decoder_chunk(const struct range *g, const struct lists *own, size_t c)
{
	struct trainer *t = g->t;
	size_t width = chunk_width(t, c), spans = pieces(t->rows, SPAN), s, j;
	const float *dec = chunk_row(t, t->dec, t->model->m, c, g->first), *G = level_row(t, c, 0, 0);
	const uint32_t *from, *to;

	memset(own->sums, 0, g->latents * width * sizeof *own->sums);
	for (s = 0; s < spans; s += t->dec_step) {
		from = own->mark[s];
		to = own->mark[least(s + t->dec_step, spans)];
		for (j = 0; j < g->latents; j++)
			if (to[j] > from[j])
				t->kernels->dot_and_add(own->dz + from[j], own->sums + j * width, dec + j * width, width, G, width,
				                        own->level_row + from[j], own->z + from[j], to[j] - from[j]);
	}
	for (j = 0; j < g->latents; j++)
		t->simd->add(t->g_dec + (g->first + j) * t->model->d + c * t->chunk, own->sums + j * width, width);
}

static void
encoder_chunk(const struct range *g, const struct lists *own, size_t c)
{
	struct trainer *t = g->t;
	size_t width = chunk_width(t, c), spans = pieces(t->rows, SPAN), s, j;
	const float *x = chunk_row(t, t->xb, BLOCK, c, 0);
	const uint32_t *from, *to;

	memset(own->sums, 0, g->latents * width * sizeof *own->sums);
	for (s = 0; s < spans; s += t->enc_step) {
		from = own->mark[s];
		to = own->mark[least(s + t->enc_step, spans)];
		for (j = 0; j < g->latents; j++)
			if (to[j] > from[j])
				t->kernels->add_rows(own->sums + j * width, width, x, width,
				                     own->row + from[j], own->dz + from[j], to[j] - from[j]);
	}
	for (j = 0; j < g->latents; j++)
		t->simd->add(t->g_enc + (g->first + j) * t->model->d + c * t->chunk, own->sums + j * width, width);
}

static void
latents_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	struct lists *own = &t->lists[thread];
	struct range g = range_of(t, job);
	size_t c, j, spans = pieces(t->rows, SPAN);

	fill_lists(&g, own);
	for (c = 0; c < t->chunks; c++)
		decoder_chunk(&g, own, c);
	for (j = 0; j < g.latents; j++)
		finish_codes(t, own, g.first + j, own->mark[0][j], own->mark[spans][j]);
	for (c = 0; c < t->chunks; c++)
		encoder_chunk(&g, own, c);
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

/* How many spans to gather from at a time. Sums of G are bound by arithmetic
 * even from the second-level cache, as each number is used twice; sums of x
 * are not, so that few rows are better while lists stay long enough. */
static void
choose_steps(struct trainer *t)
{
	size_t entries = 0, levels = 0, spans = BLOCK / SPAN, count, l, r;

	for (l = 0; l < t->levels; l++) {
		for (count = r = 0; r < t->rows; r++)
			count += t->cuts[r].count[l];
		levels += count > 0;
		entries += count;
	}
	t->dec_step = GATHERED / (SPAN * t->chunk * sizeof(float)) / (levels ? levels : 1);
	t->dec_step = t->dec_step < 1 ? 1 : least(t->dec_step, spans);
	for (t->enc_step = 1; t->enc_step < spans; t->enc_step *= 2)
		if (entries * t->enc_step * SPAN >= LIST * t->rows * t->model->m)
			break;
}

void
gradients(struct trainer *t)
{
	size_t r;

	for (r = 0; r < t->rows; r++)
		t->push[r] = t->o.l1 > 0 ? (float)(t->o.l1 / ((double)t->n * t->row_norm[t->at + r])) : 0;
	choose_steps(t);
	pool_run(t->pool, latents_job, t, pieces(t->model->m, range_latents(t)));
	pool_run(t->pool, b_dec_job, t, t->chunks);
}
