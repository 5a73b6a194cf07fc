#include "sae/encode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sae/dot.h"
#include "sae/encode_parts.h"
#include "sae/variant.h"

#define MOST_ROWS 1024          /* of a block */
#define MOST_BYTES (64u << 20)  /* of its lists */
#define ALL_ROWS 252            /* of a job that computes all latents: they stay in the second cache */
#define TILE 96                 /* latents whose products lie in cache between two selections */
#define CACHE (2304u << 10)     /* bytes of x of a job that is screened: W_enc passes by twice for each */
#define APPROXIMATE (16u << 20) /* and of its approximations */
#define CHECKED 64              /* when fast, one row in this many is looked at twice */
#define WASTED 3                /* blocks mostly undecided before the screen is given up */

/* Rows on their way: of a block, or those of it that are done again. */
struct part {
	struct encoder *enc;
	const float *from;       /* [rows,d] as they came, before they are centred */
	const float *x;          /* [rows,width] */
	const size_t *row_of;    /* which row of the block each is; NULL: the same */
	size_t rows, each;       /* each: rows of a job */
	size_t splits, latents;  /* a row's latents shared out among jobs: so many each */
	const uint32_t *ptr;     /* where rows begin in z */
	struct csr *z;
};

static void
room_free(struct encode_room *own)
{
	mem_free(own->p);
	mem_free(own->a);
	mem_free(own->u);
	mem_free(own->all);
	mem_free(own->idx);
	mem_free(own->val);
	mem_free(own->first.idx);
	mem_free(own->first.val);
	mem_free(own->second.idx);
	mem_free(own->second.val);
	mem_free(own->pair);
	mem_free(own->begin);
	memset(own, 0, sizeof *own);
}

/* What is made for one k goes; what encoders count stays. */
static void
forget(struct encoder *enc)
{
	struct encode_counts c;
	unsigned t;

	for (t = 0; t < pool_threads(enc->pool); t++) {
		c = enc->room[t].counts;
		room_free(&enc->room[t]);
		enc->room[t].counts = c;
	}
	mat_free(&enc->x);
	mat_free(&enc->redo);
	mem_free(enc->row_of);
	mem_free(enc->idx);
	mem_free(enc->val);
	mem_free(enc->count);
	screen_rows_free(&enc->seen);
	enc->row_of = NULL;
	enc->idx = enc->count = NULL;
	enc->val = NULL;
	enc->ready = false;
}

void
encoder_free(struct encoder *enc)
{
	if (!enc)
		return;
	variant_free(enc->variant);
	if (enc->room)
		forget(enc);
	if (!enc->of) {
		screen_free(enc->screen);
		mem_free(enc->wt);
	}
	free(enc->room);
	free(enc);
}

static int
make_screen(struct encoder *enc, const float *x, size_t n, struct err *e)
{
	enum screen_kind kind = enc->way == ENCODE_BLAS ? SCREEN_BLAS : SCREEN_BYTES;

	if (enc->way == ENCODE_ALL)
		return 0;
	if (enc->way == ENCODE_BEST && !enc->simd->byte_tile) {
		if (enc->simd->quick)
			return 0;
		kind = SCREEN_BLAS;
	}
	return screen_new(&enc->screen, enc->model, enc->wt, x, n, kind, enc->simd, e);
}

/* Turns the weights, and makes the screen of them for rows like x [n,d]. */
static int
learn(struct encoder *enc, const float *x, size_t n, struct err *e)
{
	const struct sae *s = enc->model;
	size_t count, bytes;

	if (!enc->wt) {
		if (size_mul(s->m, enc->width, &count) && size_mul(count, sizeof *enc->wt, &bytes))
			enc->wt = mem_alloc_large(bytes);
		if (!enc->wt)
			return err_memory(e, "encoder", (unsigned long long)s->m * enc->width * sizeof *enc->wt);
	}
	dot_weights(enc->wt, s->W_enc, s->d, s->m);
	screen_free(enc->screen);
	enc->screen = NULL;
	enc->misses = 0;
	enc->ready = false;
	if (make_screen(enc, x, n, e))
		return e->code;
	enc->learned = true;
	enc->tuned = n >= SCREEN_TELLING || !enc->screen;
	return 0;
}

void
encoder_renew(struct encoder *enc)
{
	enc->learned = false;
}

struct encoder *
encoder_new_way(const struct sae *model, struct pool *pool, const struct simd *simd, enum encode_way way, struct err *e)
{
	struct encoder *enc = calloc(1, sizeof *enc);

	if (enc && variant_needed(model)) {
		enc->variant = variant_new(model, pool, simd, e);
		if (enc->variant)
			return enc;
		free(enc);
		return NULL;
	}
	if (enc)
		enc->room = calloc(pool_threads(pool), sizeof *enc->room);
	if (!enc || !enc->room) {
		free(enc);
		err_memory(e, "encoder", sizeof *enc);
		return NULL;
	}
	enc->model = model;
	enc->pool = pool;
	enc->simd = simd;
	enc->way = way;
	enc->width = dot_width(model->d);
	return enc;
}

struct encoder *
encoder_new(const struct sae *model, struct pool *pool, const struct simd *simd, struct err *e)
{
	return encoder_new_way(model, pool, simd, ENCODE_BEST, e);
}

struct encoder *
encoder_share(struct encoder *of, struct err *e)
{
	struct encoder *enc;

	if (of->variant || (!of->learned && learn(of, NULL, 0, e)))
		return NULL;
	enc = encoder_new_way(of->model, NULL, of->simd, of->way, e);
	if (!enc)
		return NULL;
	of->lent = true;
	enc->of = of;
	enc->misses = of->misses;
	enc->fast = of->fast;
	enc->wt = of->wt;
	enc->screen = of->screen;
	enc->learned = enc->tuned = true;
	return enc;
}

void
encoder_be_fast(struct encoder *enc)
{
	enc->fast = true;
	enc->ready = false;
}

void
encoder_at(struct encoder *enc, uint64_t row)
{
	enc->done = row;
}

/* What enc has counted goes to whose weights it shares. */
static void
hand_in(struct encoder *enc)
{
	struct encode_counts c = encoder_counts(enc);
	struct encode_sums *to = &enc->of->shared;

	atomic_fetch_add(&to->rows, c.rows);
	atomic_fetch_add(&to->screened, c.screened);
	atomic_fetch_add(&to->computed, c.computed);
	atomic_fetch_add(&to->wanted, c.wanted);
	atomic_fetch_add(&to->found, c.found);
	enc->counts = enc->room[0].counts = (struct encode_counts){0};
}

struct encode_counts
encoder_counts(const struct encoder *enc)
{
	struct encode_counts c = enc->counts;
	unsigned t;

	c.rows += enc->shared.rows;
	c.screened += enc->shared.screened;
	c.computed += enc->shared.computed;
	c.wanted += enc->shared.wanted;
	c.found += enc->shared.found;
	for (t = 0; enc->room && t < pool_threads(enc->pool); t++) {
		c.screened += enc->room[t].counts.screened;
		c.computed += enc->room[t].counts.computed;
	}
	return c;
}

/* Whether the screen is worth its while: a few of many latents are wanted. */
static bool
screens(const struct encoder *enc, size_t k)
{
	const struct sae *s = enc->model;

	return enc->screen && (enc->fast || enc->misses < WASTED) && (k || (s->threshold && !enc->fast)) && k <= s->m / 16;
}

/* Rows of a job: a multiple of what kernels take at once. */
static size_t
most_each(const struct encoder *enc)
{
	size_t n = CACHE / (enc->width * sizeof(float)), m = enc->model->m;

	if (n > APPROXIMATE / (m * sizeof(uint16_t)))
		n = APPROXIMATE / (m * sizeof(uint16_t));
	return n > SCREEN_ROWS ? SCREEN_ROWS : n < 12 ? 12 : n / 12 * 12;
}

static bool
wanted_new(struct wanted *w, size_t n)
{
	w->idx = mem_alloc(n * sizeof *w->idx);
	w->val = mem_alloc(n * sizeof *w->val);
	return w->idx && w->val;
}

static bool
room_new(struct encoder *enc, struct encode_room *own, size_t k)
{
	size_t m = enc->model->m, group = most_each(enc), list;

	own->p = mem_alloc(ALL_ROWS * TILE * sizeof *own->p);
	if (!own->p || !screens(enc, enc->k))
		return own->p;
	own->stride = SELECT_ROOM(k, SCREEN_COLS);
	own->a = mem_alloc((screen_step(enc->screen) + BYTE_ROWS) * SCREEN_COLS * sizeof *own->a);
	own->u = mem_alloc((SCREEN_COLS + 16) * sizeof *own->u);
	own->all = mem_alloc(group * m * sizeof *own->all);
	list = LIKELY_ROWS * own->stride > enc->most + 16 ? LIKELY_ROWS * own->stride : enc->most + 16;
	own->idx = mem_alloc(list * sizeof *own->idx);
	own->val = mem_alloc(list * sizeof *own->val);
	own->pair = mem_alloc(group * (k > enc->most ? k : enc->most) * sizeof *own->pair);
	own->begin = mem_alloc((m + 1) * sizeof *own->begin);
	return own->a && own->u && own->all && own->idx && own->val && own->pair && own->begin && wanted_new(&own->first, group * k) &&
	       wanted_new(&own->second, group * enc->most + SECOND_ROOM);
}

/* Rows that `each` bytes allow, in a block of at most MOST_ROWS. */
static size_t
rows_for(size_t each)
{
	size_t n = MOST_BYTES / (each ? each : 1);

	return n > MOST_ROWS ? MOST_ROWS : n < 16 ? 16 : n;
}

/* Sizes of a block for k, and its room. */
static int
prepare(struct encoder *enc, size_t k, struct err *e)
{
	const struct sae *s = enc->model;
	bool screened = screens(enc, k), ok = true;
	size_t wide = k + k / 4 + 8, codes, n;
	unsigned t;

	forget(enc);
	enc->k = k;
	enc->stride = k ? SELECT_ROOM(k, TILE) : s->m + 16;
	enc->most = s->m / 4 > 8 * k + 1024 && k ? 8 * k + 1024 : s->m / 4;
	codes = enc->stride * (sizeof *enc->idx + sizeof *enc->val);
	n = rows_for(codes);
	enc->rows = n;
	if (mat_resize(&enc->x, n + BYTE_ROWS, enc->width, "encoder", e) || mat_resize(&enc->redo, n, enc->width, "encoder", e))
		return e->code;
	if (screened && screen_rows_new(&enc->seen, n, s->d, pool_threads(enc->pool), e))
		return e->code;
	enc->seen.x = enc->x.data;
	enc->row_of = mem_alloc(n * sizeof *enc->row_of);
	enc->count = mem_alloc(n * sizeof *enc->count);
	enc->idx = mem_alloc(n * enc->stride * sizeof *enc->idx);
	enc->val = mem_alloc(n * enc->stride * sizeof *enc->val);
	for (t = 0; t < pool_threads(enc->pool); t++)
		ok = ok && room_new(enc, &enc->room[t], wide < s->m ? wide : s->m);
	if (!enc->row_of || !enc->count || !enc->idx || !enc->val || !ok)
		return err_memory(e, "encoder", n * codes);
	enc->ready = true;
	return 0;
}

/* Shares rows out: jobs of up to `most` rows, equal, as many as there are threads
 * or a multiple. When rows are few, jobs may share their latents instead. */
static struct part
share(struct encoder *enc, const float *x, size_t rows, size_t most, bool latents)
{
	size_t threads = pool_threads(enc->pool), jobs = (rows + most - 1) / most, m = enc->model->m, cuts;
	struct part b = {.enc = enc, .x = x, .rows = rows, .splits = 1, .latents = m};

	jobs = (jobs + threads - 1) / threads * threads;
	b.each = (rows + jobs - 1) / jobs;
	b.each = (b.each + 11) / 12 * 12;
	if (b.each > most)
		b.each = most;
	if (!latents || rows >= 12 * threads || rows > enc->rows / threads)
		return b;
	cuts = (m + SCREEN_COLS - 1) / SCREEN_COLS;
	b.each = most;
	b.latents = (cuts + threads - 1) / threads * SCREEN_COLS;
	b.splits = (m + b.latents - 1) / b.latents;
	return b;
}

static size_t
groups(const struct part *b)
{
	return (b->rows + b->each - 1) / b->each;
}

static size_t
end_of(const struct part *b, size_t job)
{
	return (job + 1) * b->each < b->rows ? (job + 1) * b->each : b->rows;
}

/* x - b_in, zeros behind, and what the screen wants to know. */
static void
take_job(void *arg, size_t job, unsigned thread)
{
	struct part *b = arg;
	struct encoder *enc = b->enc;
	size_t d = enc->model->d, first = job * b->each, end = end_of(b, job), i;
	float *x;

	for (i = first; i < end; i++) {
		x = enc->x.data + i * enc->width;
		enc->simd->shift_scale(x, b->from + i * d, enc->model->b_in, 1, d);
		memset(x + d, 0, (enc->width - d) * sizeof *x);
	}
	if (screens(enc, enc->k))
		screen_take(enc->screen, &enc->seen, first, end, thread);
}

/* ---- all latents ---- */

/* A row's list in the part of its latents that is this job's. */
static struct list
list_of(const struct part *b, size_t row, size_t split, uint32_t **count)
{
	struct encoder *enc = b->enc;
	size_t at = b->splits > 1 ? row * b->splits + split : b->row_of ? b->row_of[row] : row;

	*count = &enc->count[at];
	return (struct list){enc->idx + at * enc->stride, enc->val + at * enc->stride, 0, 0};
}

/* Bias, thresholds and selection for one row of a tile. */
static void
select_row(const struct encoder *enc, struct list *l, float *p, size_t from, size_t cols)
{
	const struct sae *s = enc->model;

	enc->simd->add(p, s->b_enc + from, cols);
	if (s->threshold)
		enc->simd->gate(p, s->threshold + from, cols);
	if (enc->k) {
		select_gather(enc->simd, l, from, p, cols, enc->k);
		return;
	}
	l->n += enc->simd->compress_above(p, cols, 0, (uint32_t)from, l->idx + l->n, l->val + l->n);
}

static void
all_job(void *arg, size_t job, unsigned thread)
{
	struct part *b = arg;
	struct encoder *enc = b->enc;
	size_t split = job % b->splits, group = job / b->splits, first = group * b->each, rows = end_of(b, group) - first;
	size_t from = split * b->latents, to = from + b->latents < enc->model->m ? from + b->latents : enc->model->m, cols, i;
	struct list list[ALL_ROWS];
	uint32_t *count[ALL_ROWS];
	float *p = enc->room[thread].p;

	for (i = 0; i < rows; i++)
		list[i] = list_of(b, first + i, split, &count[i]);
	for (; from < to; from += cols) {
		cols = to - from < TILE ? to - from : TILE;
		enc->simd->dot_tile(b->x + first * enc->width, rows, enc->wt + from * enc->width, cols, enc->width, p, TILE);
		for (i = 0; i < rows; i++)
			select_row(enc, &list[i], p + i * TILE, from, cols);
	}
	for (i = 0; i < rows; i++) {
		if (enc->k)
			select_settle(enc->simd, &list[i], enc->k);
		*count[i] = (uint32_t)list[i].n;
	}
}

/* The parts of a row's list in the first of them. With k = 0 there is room, as
 * each part's list could hold all latents. */
static void
join(struct encoder *enc, const struct part *b, size_t row)
{
	size_t at = row * b->splits, s, i;
	struct list l = {enc->idx + at * enc->stride, enc->val + at * enc->stride, enc->count[at], 0};
	const uint32_t *idx;
	const float *val;

	for (s = 1; s < b->splits; s++) {
		idx = l.idx + s * enc->stride;
		val = l.val + s * enc->stride;
		for (i = 0; i < enc->count[at + s]; i++) {
			l.idx[l.n] = idx[i];
			l.val[l.n++] = val[i];
		}
		if (enc->k)
			select_settle(enc->simd, &l, enc->k);
	}
	memmove(enc->idx + row * enc->stride, l.idx, l.n * sizeof *l.idx);
	memmove(enc->val + row * enc->stride, l.val, l.n * sizeof *l.val);
	enc->count[row] = (uint32_t)l.n;
}

static void
run_all(struct part *b)
{
	size_t r;

	pool_run(b->enc->pool, all_job, b, groups(b) * b->splits);
	for (r = 0; r < b->rows && b->splits > 1; r++)
		join(b->enc, b, r);
}

/* ---- screened ---- */

static void
certify_job(void *arg, size_t job, unsigned thread)
{
	struct part *b = arg;

	certify(b->enc, job * b->each, end_of(b, job), thread);
}

/* When fast: the codes of a row, kept before all its latents were looked at,
 * that are among the k largest. */
static void
check_row(struct encoder *enc, size_t row, const uint32_t *kept, size_t n)
{
	const uint32_t *right = enc->idx + row * enc->stride;
	size_t i, j = 0;

	enc->counts.wanted += enc->count[row];
	for (i = 0; i < enc->count[row]; i++) {
		while (j < n && kept[j] < right[i])
			j++;
		enc->counts.found += j < n && kept[j] == right[i];
	}
}

/* Rows of the block that are done again, by all their latents. */
static size_t
gather_again(struct encoder *enc, const struct part *b)
{
	size_t n = 0, r;

	for (r = 0; r < b->rows; r++)
		if (enc->count[r] == UNDECIDED || (enc->fast && (enc->done + r) % CHECKED == 0)) {
			memcpy(enc->redo.data + n * enc->width, enc->x.data + r * enc->width, enc->width * sizeof(float));
			enc->row_of[n++] = r;
		}
	return n;
}

/* Keeps the codes that the screen found, does the rows again, and compares. */
static int
check_again(struct encoder *enc, struct part *again, struct err *e)
{
	size_t i, k = enc->k;
	uint32_t *kept = mem_alloc(again->rows * (k + 1) * sizeof *kept), *one;

	if (!kept)
		return err_memory(e, "encoder", again->rows * (k + 1) * sizeof *kept);
	for (i = 0; i < again->rows; i++) {
		one = kept + i * (k + 1);
		one[k] = enc->count[again->row_of[i]];
		if (one[k] != UNDECIDED)
			memcpy(one, enc->idx + again->row_of[i] * enc->stride, one[k] * sizeof *one);
	}
	run_all(again);
	for (i = 0; i < again->rows; i++) {
		one = kept + i * (k + 1);
		if (one[k] != UNDECIDED)
			check_row(enc, again->row_of[i], one, one[k]);
	}
	mem_free(kept);
	return 0;
}

static int
run_screened(struct part *b, struct err *e)
{
	struct encoder *enc = b->enc;
	struct part again;
	size_t n;

	pool_run(enc->pool, certify_job, b, groups(b));
	n = gather_again(enc, b);
	enc->misses = n > b->rows / 2 ? enc->misses + 1 : 0;
	if (!n)
		return 0;
	again = share(enc, enc->redo.data, n, ALL_ROWS, false);
	again.row_of = enc->row_of;
	if (enc->fast)
		return check_again(enc, &again, e);
	run_all(&again);
	return 0;
}

/* ---- both ---- */

/* c tanh(z/c) of codes; what would vanish in rounding is small enough for
 * tanh(t) = t, and stays: a stored code is never 0. */
static void
cap(float *val, size_t n, float c)
{
	float v;
	size_t i;

	for (i = 0; i < n; i++) {
		v = c * tanhf(val[i] / c);
		if (v > 0)
			val[i] = v;
	}
}

/* Lists go to their places in z. */
static void
store_job(void *arg, size_t job, unsigned thread)
{
	struct part *b = arg;
	const struct encoder *enc = b->enc;
	size_t r, n;

	(void)thread;
	for (r = job * b->each; r < end_of(b, job); r++) {
		n = enc->count[r];
		memcpy(b->z->idx + b->ptr[r], enc->idx + r * enc->stride, n * sizeof *b->z->idx);
		memcpy(b->z->val + b->ptr[r], enc->val + r * enc->stride, n * sizeof *b->z->val);
		if (enc->model->soft_cap > 0)
			cap(b->z->val + b->ptr[r], n, enc->model->soft_cap);
	}
}

/* Room for `need` codes of which `used` are there and stay. */
static int
reserve(struct csr *z, size_t used, size_t need, struct err *e)
{
	size_t room = need + need / 4 + 1;
	uint32_t *idx;
	float *val;

	if (need > UINT32_MAX)
		return err_set(e, CODE_DATA, "codes: %zu non-zeros in one block are too many; use smaller frames", need);
	if (need <= z->nnz_cap)
		return 0;
	idx = mem_alloc(room * sizeof *idx);
	val = mem_alloc(room * sizeof *val);
	if (!idx || !val) {
		mem_free(idx);
		mem_free(val);
		return err_memory(e, "codes", room * (sizeof *idx + sizeof *val));
	}
	memcpy(idx, z->idx, used * sizeof *idx);
	memcpy(val, z->val, used * sizeof *val);
	mem_free(z->idx);
	mem_free(z->val);
	z->idx = idx;
	z->val = val;
	z->nnz_cap = room;
	return 0;
}

static int
encode_block(struct encoder *enc, const float *x, size_t at, size_t rows, struct csr *z, struct err *e)
{
	bool screened = screens(enc, enc->k);
	struct part b = share(enc, enc->x.data, rows, screened ? most_each(enc) : ALL_ROWS, !screened);
	uint32_t *ptr = z->ptr + at;
	size_t total = ptr[0], i;

	b.from = x;
	b.ptr = ptr;
	b.z = z;
	pool_run(enc->pool, take_job, &b, groups(&b));
	if (!screened)
		run_all(&b);
	else if (run_screened(&b, e))
		return e->code;
	enc->done += rows;
	enc->counts.rows += rows;
	for (i = 0; i < rows; i++)
		total += enc->count[i];
	if (reserve(z, ptr[0], total, e))
		return e->code;
	for (i = 0; i < rows; i++)
		ptr[i + 1] = ptr[i] + enc->count[i];
	pool_run(enc->pool, store_job, &b, groups(&b));
	return 0;
}

/* At first, and once more at the first rows that tell more than those did. */
static bool
wants_to_learn(const struct encoder *enc, size_t n)
{
	return !enc->learned || (!enc->tuned && !enc->lent && n >= SCREEN_TELLING);
}

int
encode(struct encoder *enc, const float *x, size_t n, size_t k, struct csr *z, struct err *e)
{
	size_t at, rows;

	if (enc->variant)
		return variant_encode(enc->variant, x, n, k, z, e);
	if (csr_resize(z, n, enc->model->m, 0, e) || (wants_to_learn(enc, n) && learn(enc, x, n, e)) || ((!enc->ready || enc->k != k) && prepare(enc, k, e)))
		return e->code;
	for (at = 0; at < n; at += rows) {
		rows = n - at < enc->rows ? n - at : enc->rows;
		if (encode_block(enc, x + at * enc->model->d, at, rows, z, e))
			return e->code;
	}
	if (enc->of)
		hand_in(enc);
	return 0;
}

/* Row p [m]: whether a comes before b among the largest. */
static int
before(const double *p, size_t a, size_t b)
{
	return p[a] > p[b] || (p[a] == p[b] && a < b);
}

/* Sets all but the k first to 0: finds the k-th, one after another. */
static void
keep_plain(double *p, size_t m, size_t k)
{
	size_t last = m, best, i, j;

	for (i = 0; i < k; i++, last = best) {
		best = m;
		for (j = 0; j < m; j++)
			if (p[j] > 0 && (last == m || before(p, last, j)) && (best == m || before(p, j, best)))
				best = j;
		if (best == m)
			return; /* fewer than k are positive */
	}
	for (j = 0; j < m; j++)
		if (j != last && !before(p, j, last))
			p[j] = 0;
}

void
encode_plain(const struct sae *model, const float *x, size_t n, size_t k, double *z_dense)
{
	size_t d = model->d, m = model->m, r, i, j;
	double *p, least;

	if (variant_needed(model)) {
		variant_plain(model, x, n, k, z_dense);
		return;
	}
	for (r = 0; r < n; r++) {
		p = z_dense + r * m;
		for (j = 0; j < m; j++) {
			p[j] = model->b_enc[j];
			for (i = 0; i < d; i++)
				p[j] += ((double)x[r * d + i] - model->b_in[i]) * model->W_enc[i * m + j];
			least = model->threshold && model->threshold[j] > 0 ? model->threshold[j] : 0;
			if (!(p[j] > least))
				p[j] = 0;
		}
		if (k)
			keep_plain(p, m, k);
		for (j = 0; j < m && model->soft_cap > 0; j++)
			p[j] = model->soft_cap * tanh(p[j] / model->soft_cap);
	}
}
