/* From pre-activations to codes by level. */
#include <math.h>
#include <string.h>

#include "sae/select.h"
#include "sae/train_parts.h"

#define LIGHT 16 /* a level that keeps fewer than m/LIGHT latents is light */
#define RANK_ROWS 16 /* rows of a job */

/* ---- where levels end ---- */

/* For n > k positive v: the least number that is not among the k largest's
 * inferiors, so that v >= it keeps k -- or more where ties are, of which *equal
 * are to be kept (UINT32_MAX: no ties). */
static float
cut_at(const struct simd *simd, const float *v, size_t n, size_t k, uint32_t *equal, bool *ties)
{
	size_t above;
	uint32_t high = select_cut(simd, v, n, k, 0, &above);

	if (above == k) {
		*equal = UINT32_MAX;
		return select_float(high + 1);
	}
	*equal = (uint32_t)(k - above);
	*ties = true;
	return select_float(high);
}

/* Cuts of a row whose positive values are v[n], v being used up: the largest
 * level first, as the others lie within it. */
static void
rank_row(const struct trainer *t, float *v, size_t n, uint32_t *wide, struct cuts *c)
{
	size_t kept[SAE_MAX_LEVELS], l;

	c->ties = false;
	for (l = t->levels; l-- > 0;) {
		c->low[l] = select_float(1); /* the smallest positive number */
		c->equal[l] = UINT32_MAX;
		if (t->keep[l] < n) {
			c->low[l] = cut_at(t->simd, v, n, t->keep[l], &c->equal[l], &c->ties);
			/* ties stay: more than keep[l] may */
			n = t->simd->compress_above(v, n, select_float(select_bits(c->low[l]) - 1), 0, wide, v);
		}
		kept[l] = least(n, t->keep[l]);
	}
	for (l = 0; l < t->levels; l++)
		c->count[l] = (uint32_t)(kept[l] - (l ? kept[l - 1] : 0));
}

static void
rank_jump(const struct trainer *t, const float *p, struct cuts *c)
{
	uint32_t n = 0;
	size_t j;

	for (j = 0; j < t->model->m; j++)
		n += p[j] > t->lower[j];
	*c = (struct cuts){.count = {n}};
}

static void
rank_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	struct lists *own = &t->lists[thread];
	size_t m = t->model->m, r, n, end = least((job + 1) * RANK_ROWS, t->rows);
	const float *p;
	struct cuts *c;

	for (r = job * RANK_ROWS; r < end; r++) {
		p = t->p + (t->at + r) * m;
		c = &t->cuts[r];
		if (t->o.arch == ARCH_JUMPRELU) {
			rank_jump(t, p, c);
			continue;
		}
		if (t->o.arch == ARCH_BATCHTOPK) {
			*c = (struct cuts){.ties = t->batch_ties};
			c->low[0] = t->batch_cut;
			c->equal[0] = t->row_equal[t->at + r];
			c->count[0] = (uint32_t)least(t->o.k, m);
			continue;
		}
		n = t->simd->compress_above(p, m, 0, 0, own->wide, own->values);
		rank_row(t, own->values, n, own->wide, c);
	}
}

/* ---- which levels share a part ---- */

/* Wide enough for lists of about ten, which pay for what surrounds them. */
static size_t
tile_for(double density)
{
	size_t tile = TILE_MIN;

	while (tile < TILE_MAX && density * (double)tile < 12)
		tile *= 2;
	return tile;
}

static void
choose_parts(struct trainer *t)
{
	size_t count[SAE_MAX_LEVELS] = {0}, m = t->model->m, n, levels, l, r, i;
	double area = (double)t->rows * (double)m;
	struct part *part;

	for (r = 0; r < t->rows; r++)
		for (l = 0; l < t->levels; l++)
			count[l] += t->cuts[r].count[l];
	for (i = 0; i < PARTS; i++) {
		part = &t->parts[i];
		n = levels = 0;
		for (l = 0; l < t->levels; l++) {
			part->has[l] = count[l] && ((double)count[l] * LIGHT >= area) == (i == 1);
			levels += part->has[l];
			n += part->has[l] ? count[l] : 0;
		}
		part->used = levels > 0;
		if (!levels)
			continue;
		part->tile = tile_for((double)n / (double)levels / area);
		part->tiles = pieces(m, part->tile);
	}
}

/* ---- codes to their places ---- */

/* The level of v among n cuts with ties; seen[l] of those that equal low[l]
 * came before. levels when none keeps it. */
static size_t
level_of(const struct cuts *c, float v, size_t levels, uint32_t *seen)
{
	size_t level = levels, l;

	for (l = levels; l-- > 0;) {
		if (v > c->low[l] || (v == c->low[l] && seen[l] < c->equal[l]))
			level = l;
		seen[l] += v == c->low[l];
	}
	return level;
}

/* A row with ties, one value after another, once for each level: seen counts
 * over the tiles. */
static void
place_ties(struct trainer *t, const struct cuts *c, const float *p, size_t n, const struct part *part,
           struct codes *z, uint32_t *seen)
{
	uint32_t mine[SAE_MAX_LEVELS];
	size_t at = z->end[0], l, i;

	for (l = 0; l < t->levels; l++) {
		memcpy(mine, seen, sizeof mine);
		for (i = 0; i < n; i++)
			if (level_of(c, p[i], t->levels, mine) == l && part->has[l] && p[i] > 0) {
				z->idx[at] = (uint16_t)i;
				z->val[at++] = p[i];
			}
		z->end[l + 1] = (uint16_t)at;
	}
	memcpy(seen, mine, sizeof mine);
}

static void
place_levels(struct trainer *t, const struct cuts *c, const float *p, size_t n, const struct part *part, struct codes *z)
{
	size_t at = z->end[0], l;

	for (l = 0; l < t->levels; l++) {
		if (part->has[l])
			at += t->kernels->place(p, n, c->low[l], l ? c->low[l - 1] : NAN, z->idx + at, z->val + at);
		z->end[l + 1] = (uint16_t)at;
	}
}

/* JUMPRELU: what is active and what is in the window below the threshold,
 * whose code is 0. */
static size_t
place_jump(struct trainer *t, const float *p, size_t first, size_t n, struct codes *z)
{
	size_t at = z->end[0], zeros = 0, i;

	for (i = 0; i < n; i++) {
		if (!(p[i] > t->lower[first + i]))
			continue;
		z->idx[at] = (uint16_t)i;
		z->val[at] = p[i] > t->theta[first + i] ? p[i] : 0;
		zeros += !(z->val[at++] > 0);
	}
	z->end[1] = (uint16_t)at;
	return zeros;
}

static void
cap(float *v, size_t n, float c)
{
	size_t i;

	for (i = 0; i < n; i++)
		v[i] = c * tanhf(v[i] / c);
}

static void
place_row(struct trainer *t, size_t r, struct part *part)
{
	uint32_t seen[SAE_MAX_LEVELS] = {0};
	const struct cuts *c = &t->cuts[r];
	size_t m = t->model->m, tile, first, n, stored, zeros = 0;
	const float *p;
	struct codes z;
	float *val;

	for (tile = 0; tile < part->tiles; tile++) {
		first = tile * part->tile;
		n = least(part->tile, m - first);
		p = t->p + (t->at + r) * m + first;
		z = codes_of(t, part, tile, r);
		z.end[0] = r % GROUP ? z.end[-1] : 0; /* behind the row before */
		if (t->o.arch == ARCH_JUMPRELU)
			zeros = place_jump(t, p, first, n, &z);
		else if (c->ties)
			place_ties(t, c, p, n, part, &z, seen);
		else
			place_levels(t, c, p, n, part, &z);
		val = z.val + z.end[0];
		stored = z.end[t->levels] - z.end[0];
		if (t->o.soft_cap > 0)
			cap(val, stored, (float)t->o.soft_cap);
		t->row_l0[t->at + r] += stored - zeros;
		t->row_l1[t->at + r] += t->kernels->total(val, stored);
	}
}

static void
place_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	size_t end = least((job + 1) * GROUP, t->rows), r, c, l, i;

	(void)thread;
	for (r = job * GROUP; r < end; r++) {
		t->row_l0[t->at + r] = 0;
		t->row_l1[t->at + r] = 0;
		for (c = 0; c < t->chunks; c++)
			for (l = 0; l < t->levels; l++)
				memset(level_row(t, c, l, r), 0, chunk_width(t, c) * sizeof *t->G);
		for (i = 0; i < PARTS; i++)
			if (t->parts[i].used)
				place_row(t, r, &t->parts[i]);
	}
}

void
rank_block(struct trainer *t)
{
	pool_run(t->pool, rank_job, t, pieces(t->rows, RANK_ROWS));
	choose_parts(t);
	pool_run(t->pool, place_job, t, pieces(t->rows, GROUP));
}

/* ---- BATCHTOPK: one cut for all rows, by two passes over the bits ---- */

#define SAMPLE 16 /* every so manyth row says what is too small to count */

struct count {
	struct trainer *t;
	size_t step;     /* of rows */
	uint32_t least;  /* bits of the smallest that is counted */
	uint32_t prefix; /* upper half of the bits, for the second pass */
	bool second;
};

/* Adds rows to the thread's histogram: counts are whole numbers, so that who
 * counts what does not matter. */
static void
count_job(void *arg, size_t job, unsigned thread)
{
	struct count *c = arg;
	struct trainer *t = c->t;
	struct lists *own = &t->lists[thread];
	float below = c->least ? select_float(c->least - 1) : 0;
	size_t m = t->model->m, r, n, i;
	uint32_t bits;

	for (r = job * GROUP; r < least((job + 1) * GROUP, t->n); r += c->step) {
		n = t->simd->compress_above(t->p + r * m, m, below, 0, own->wide, own->values);
		for (i = 0; i < n; i++) {
			bits = select_bits(own->values[i]);
			if (!c->second)
				own->histogram[bits >> 16]++;
			else if (bits >> 16 == c->prefix)
				own->histogram[bits & 0xffff]++;
		}
	}
}

/* The largest bin with at least *want at and above it, or 0; *want becomes what
 * is wanted of that bin, *in how many it has. */
static uint32_t
count_down(struct count *c, uint64_t *want, uint64_t *in)
{
	struct trainer *t = c->t;
	unsigned threads = pool_threads(t->pool), i;
	uint32_t bin = 1 << 16;
	uint64_t sum;

	for (i = 0; i < threads; i++)
		memset(t->lists[i].histogram, 0, (1 << 16) * sizeof(uint32_t));
	pool_run(t->pool, count_job, c, pieces(t->n, GROUP));
	while (bin-- > 0) {
		sum = 0;
		for (i = 0; i < threads; i++)
			sum += t->lists[i].histogram[bin];
		*in = sum;
		if (sum >= *want)
			return bin;
		*want -= sum;
	}
	*in = 0;
	return 0;
}

static void
equal_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	size_t m = t->model->m, r, j;
	const float *p;
	uint32_t n;

	(void)thread;
	for (r = job * GROUP; r < least((job + 1) * GROUP, t->n); r++) {
		p = t->p + r * m;
		n = 0;
		for (j = 0; j < m; j++)
			n += p[j] == t->batch_cut;
		t->row_equal[r] = n;
	}
}

void
rank_batch(struct trainer *t)
{
	struct count c = {.t = t, .step = SAMPLE};
	uint64_t all = (uint64_t)t->o.k * t->n, want = 2 * t->o.k * pieces(t->n, SAMPLE), in, left;
	uint32_t low;
	size_t r;

	t->batch_cut = select_float(1);
	t->batch_ties = false;
	for (r = 0; r < t->n; r++)
		t->row_equal[r] = UINT32_MAX;
	c.least = count_down(&c, &want, &in) << 16;
	c.step = 1;
	want = all;
	c.prefix = count_down(&c, &want, &in);
	if (!in && c.least) { /* the sample misled */
		c.least = 0;
		want = all;
		c.prefix = count_down(&c, &want, &in);
	}
	if (!in) /* fewer are positive */
		return;
	c.second = true;
	c.least = c.prefix << 16;
	low = count_down(&c, &want, &in);
	t->batch_cut = select_float(c.prefix << 16 | low);
	t->batch_ties = in > want;
	if (!t->batch_ties)
		return;
	pool_run(t->pool, equal_job, t, pieces(t->n, GROUP));
	for (left = want, r = 0; r < t->n; r++) {
		t->row_equal[r] = (uint32_t)least(t->row_equal[r], left);
		left -= t->row_equal[r];
	}
}
