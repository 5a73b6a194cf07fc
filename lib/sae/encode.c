#include "sae/encode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sae/blas.h"
#include "sae/select.h"

/* Columns of a tile of the product: narrow enough to share out a frame among
 * many threads, wide enough that BLAS packing x anew for each costs 3 %. A tile
 * of p lies in one piece; in rows of m floats it would cost another 4 %. */
#define TILE 512
/* OpenBLAS has another kernel, with other rounding, for products of up to 10^6
 * multiplications. Small blocks get rows of zeros, so that they take the same
 * road as large ones: a row's codes then do not depend on the frame it is in
 * (with OpenBLAS's AVX-512 kernels; its AVX2 ones round by a row's place). */
#define LEAST_WORK (1u << 20)
#define GROUP 16 /* rows a job selects from */

struct encoder {
	const struct sae *model;
	struct pool *pool;
	const struct simd *simd;
	struct mat xc;     /* [ENCODE_BLOCK, d] */
	struct mat p;      /* tiles, each [ENCODE_BLOCK, its columns] */
	uint32_t *idx;     /* [threads, stride] */
	float *val;        /* [threads, stride] */
	size_t stride;
	struct choice choice[ENCODE_BLOCK]; /* which of a row's numbers become codes */
	uint32_t count[ENCODE_BLOCK];       /* and how many */
};

/* One block on its way. */
struct block {
	struct encoder *enc;
	const float *x; /* [rows, d] */
	size_t rows, padded, k;
	uint32_t *ptr;  /* where its rows begin: ptr[0..rows] of z */
	uint32_t *idx;
	float *val;
};

struct encoder *
encoder_new(const struct sae *model, struct pool *pool, const struct simd *simd, struct err *e)
{
	struct encoder *enc = calloc(1, sizeof *enc);
	size_t n;

	if (!enc) {
		err_memory(e, "encoder", sizeof *enc);
		return NULL;
	}
	enc->model = model;
	enc->pool = pool;
	enc->simd = simd;
	enc->stride = (model->m / 16 + 2) * 16; /* compress_above wants 16 more */
	if (mat_resize(&enc->xc, ENCODE_BLOCK, model->d, "encoder", e) ||
	    mat_resize(&enc->p, ENCODE_BLOCK, model->m, "encoder", e)) {
		encoder_free(enc);
		return NULL;
	}
	n = enc->stride * pool_threads(pool);
	enc->idx = mem_alloc(n * sizeof *enc->idx);
	enc->val = mem_alloc(n * sizeof *enc->val);
	if (!enc->idx || !enc->val) {
		err_memory(e, "encoder", n * (sizeof *enc->idx + sizeof *enc->val));
		encoder_free(enc);
		return NULL;
	}
	return enc;
}

void
encoder_free(struct encoder *enc)
{
	if (!enc)
		return;
	mat_free(&enc->xc);
	mat_free(&enc->p);
	mem_free(enc->idx);
	mem_free(enc->val);
	free(enc);
}

/* Tiles that m columns make; the last one takes what remains. */
static size_t
tiles(size_t m)
{
	return m < 2 * TILE ? 1 : m / TILE;
}

/* Tile number t: its first column, its columns and its part of p. */
struct tile {
	size_t at, cols;
	float *p;
};

static struct tile
tile_of(const struct encoder *enc, size_t t)
{
	size_t m = enc->model->m, at = t * TILE;

	return (struct tile){at, t + 1 == tiles(m) ? m - at : TILE, enc->p.data + at * ENCODE_BLOCK};
}

static size_t
groups(size_t rows)
{
	return (rows + GROUP - 1) / GROUP;
}

/* xc = x - b_dec for one group of rows; those beyond the last are zeros. */
static void
centre_job(void *arg, size_t job, unsigned thread)
{
	struct block *b = arg;
	struct encoder *enc = b->enc;
	size_t d = enc->model->d, i;
	float *xc;

	(void)thread;
	for (i = job * GROUP; i < (job + 1) * GROUP && i < b->padded; i++) {
		xc = enc->xc.data + i * d;
		if (i < b->rows)
			enc->simd->shift_scale(xc, b->x + i * d, enc->model->b_dec, 1, d);
		else
			memset(xc, 0, d * sizeof *xc);
	}
}

/* One tile of p = xc W_enc. */
static void
product_job(void *arg, size_t job, unsigned thread)
{
	struct block *b = arg;
	struct encoder *enc = b->enc;
	struct tile t = tile_of(enc, job);

	(void)thread;
	blas_gemm(b->padded, t.cols, enc->model->d, enc->xc.data, enc->model->d,
	          enc->model->W_enc + t.at, enc->model->m, t.p, t.cols);
}

/* Bias and thresholds for row r of a tile. */
static void
finish(const struct encoder *enc, const struct tile *t, size_t r)
{
	const struct sae *s = enc->model;
	float *p = t->p + r * t->cols;

	enc->simd->add(p, s->b_enc + t->at, t->cols);
	if (s->threshold)
		enc->simd->gate(p, s->threshold + t->at, t->cols);
}

/* The k largest of row r; how many there are. */
static uint32_t
choose(struct encoder *enc, size_t r, size_t k, uint32_t *idx, float *val)
{
	struct choice *choice = &enc->choice[r];
	struct tile t;
	size_t n = 0, i;

	for (i = 0; i < tiles(enc->model->m); i++) {
		t = tile_of(enc, i);
		n = select_gather(enc->simd, choice, t.p + r * t.cols, t.cols, k, idx, val, n);
	}
	return (uint32_t)select_settle(enc->simd, choice, k, idx, val, n);
}

/* A group of rows: first along each tile, as memory lies, then along each row,
 * which is in cache by then. */
static void
select_job(void *arg, size_t job, unsigned thread)
{
	struct block *b = arg;
	struct encoder *enc = b->enc;
	size_t first = job * GROUP, end = first + GROUP < b->rows ? first + GROUP : b->rows;
	size_t own = thread * enc->stride, i, r;
	struct tile t;

	for (r = first; r < end; r++) {
		enc->choice[r] = (struct choice){0, 0};
		enc->count[r] = 0;
	}
	for (i = 0; i < tiles(enc->model->m); i++) {
		t = tile_of(enc, i);
		for (r = first; r < end; r++) {
			finish(enc, &t, r);
			if (!b->k)
				enc->count[r] += (uint32_t)enc->simd->count_above(t.p + r * t.cols, t.cols, 0);
		}
	}
	for (r = first; r < end && b->k; r++)
		enc->count[r] = choose(enc, r, b->k, enc->idx + own, enc->val + own);
}

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

/* The chosen codes of row r in one tile; `equal` more ties may be taken. */
static size_t
collect(const struct encoder *enc, const struct tile *t, size_t r, uint32_t *equal, uint32_t *idx, float *val)
{
	size_t n, i;

	n = select_collect(enc->simd, &enc->choice[r], equal, t->p + r * t->cols, t->cols, idx, val);
	for (i = 0; i < n; i++)
		idx[i] += (uint32_t)t->at;
	if (enc->model->soft_cap > 0)
		cap(val, n, enc->model->soft_cap);
	return n;
}

/* Codes of a group of rows go to their places in z, again along each tile, by
 * way of the thread's own buffer, as compress_above writes beyond its end. */
static void
store_job(void *arg, size_t job, unsigned thread)
{
	struct block *b = arg;
	struct encoder *enc = b->enc;
	uint32_t *idx = enc->idx + thread * enc->stride, equal[GROUP], to[GROUP];
	float *val = enc->val + thread * enc->stride;
	size_t first = job * GROUP, rows = b->rows - first < GROUP ? b->rows - first : GROUP, i, r, n;
	struct tile t;

	for (r = 0; r < rows; r++) {
		equal[r] = enc->choice[first + r].equal;
		to[r] = b->ptr[first + r];
	}
	for (i = 0; i < tiles(enc->model->m); i++) {
		t = tile_of(enc, i);
		for (r = 0; r < rows; r++) {
			n = collect(enc, &t, first + r, &equal[r], idx, val);
			memcpy(b->idx + to[r], idx, n * sizeof *idx);
			memcpy(b->val + to[r], val, n * sizeof *val);
			to[r] += (uint32_t)n;
		}
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

/* How many rows a product needs to be more than LEAST_WORK. */
static size_t
least_rows(const struct sae *s)
{
	size_t work = s->d * (s->m < TILE ? s->m : TILE);

	return work > LEAST_WORK / ENCODE_BLOCK ? LEAST_WORK / work + 1 : ENCODE_BLOCK;
}

static int
encode_block(struct encoder *enc, const float *x, size_t at, size_t rows, size_t k, struct csr *z, struct err *e)
{
	struct block b = {.enc = enc, .x = x, .rows = rows, .k = k, .ptr = z->ptr + at};
	size_t least = least_rows(enc->model), total = z->ptr[at], i;

	b.padded = rows < least ? least : rows;
	pool_run(enc->pool, centre_job, &b, groups(b.padded));
	pool_run(enc->pool, product_job, &b, tiles(enc->model->m));
	pool_run(enc->pool, select_job, &b, groups(rows));
	for (i = 0; i < rows; i++)
		total += enc->count[i];
	if (reserve(z, z->ptr[at], total, e))
		return e->code;
	for (i = 0; i < rows; i++)
		b.ptr[i + 1] = b.ptr[i] + enc->count[i];
	b.idx = z->idx;
	b.val = z->val;
	pool_run(enc->pool, store_job, &b, groups(rows));
	return 0;
}

int
encode(struct encoder *enc, const float *x, size_t n, size_t k, struct csr *z, struct err *e)
{
	size_t at, rows;

	if (csr_resize(z, n, enc->model->m, 0, e))
		return e->code;
	for (at = 0; at < n; at += rows) {
		rows = n - at < ENCODE_BLOCK ? n - at : ENCODE_BLOCK;
		if (encode_block(enc, x + at * enc->model->d, at, rows, k, z, e))
			return e->code;
	}
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

	for (r = 0; r < n; r++) {
		p = z_dense + r * m;
		for (j = 0; j < m; j++) {
			p[j] = model->b_enc[j];
			for (i = 0; i < d; i++)
				p[j] += ((double)x[r * d + i] - model->b_dec[i]) * model->W_enc[i * m + j];
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
