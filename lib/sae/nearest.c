/* The nearest of each row by inner products, without the matrix of them. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "sae/blas.h"
#include "sae/cknna.h"

#define TILE 1024              /* rows whose products with as many others are made at once */
#define PIECE (64u << 20)      /* bytes a tile may take as dense codes */
#define STRIPE 256             /* rows of a tile in one call of BLAS: BLAS packs the other tile anew for each */
#define COLUMNS 16             /* of a square that are turned at once */
#define SCATTERED 80           /* multiplications of a dense product in the time of one scattered one */

/* ---- lists ---- */

static int
nearest_init(struct nearest *v, size_t n, size_t k, struct err *e)
{
	size_t i;

	*v = (struct nearest){.n = n, .k = k};
	if (!k || n <= k || n < 4)
		return err_set(e, CODE_DATA, "neighbours: %zu rows are too few for the %zu nearest of each", n, k);
	if (n >= UINT32_MAX)
		return err_set(e, CODE_DATA, "neighbours: %zu rows are too many at once", n);
	v->row = mem_alloc(n * k * sizeof *v->row);
	v->value = mem_alloc(n * k * sizeof *v->value);
	if (!v->row || !v->value) {
		nearest_free(v);
		return err_memory(e, "neighbours", n * k * sizeof *v->row);
	}
	for (i = 0; i < n * k; i++) {
		v->row[i] = UINT32_MAX;
		v->value[i] = -INFINITY;
	}
	return 0;
}

void
nearest_free(struct nearest *v)
{
	mem_free(v->row);
	mem_free(v->value);
	*v = (struct nearest){0};
}

/* 0 when every list is full. Only what is no number never gets into one. */
static int
nearest_check(struct nearest *v, struct err *e)
{
	size_t i;

	for (i = 0; i < v->n && !e->code; i++)
		if (v->row[(i + 1) * v->k - 1] == UINT32_MAX)
			err_set(e, CODE_DATA, "neighbours: the products of row %zu of the group with others are no numbers, or beyond float32", i);
	if (e->code)
		nearest_free(v);
	return e->code;
}

/* Row i has a neighbour j: it takes its place in i's list, if it has one. The
 * order does not depend on when it comes. */
static void
offer(struct nearest *v, size_t i, uint32_t j, float value)
{
	uint32_t *row = v->row + i * v->k;
	float *best = v->value + i * v->k;
	size_t at = v->k;

	if (i == j)
		return;
	for (; at > 0 && (value > best[at - 1] || (value == best[at - 1] && j < row[at - 1])); at--)
		if (at < v->k) {
			best[at] = best[at - 1];
			row[at] = row[at - 1];
		}
	if (at < v->k) {
		best[at] = value;
		row[at] = j;
	}
}

/* The rows first.. of value[n] as neighbours of row i. idx, val: room for n + 16. */
static void
offer_row(struct nearest *v, const struct simd *simd, size_t i, size_t first, const float *value, size_t n, uint32_t *idx, float *val)
{
	float last = v->value[i * v->k + v->k - 1];
	size_t found = simd->compress_above(value, n, nextafterf(last, -INFINITY), (uint32_t)first, idx, val), t;

	for (t = 0; t < found; t++)
		offer(v, i, idx[t], val[t]);
	/* before the list is full nothing is above minus infinity's neighbour */
	if (last == -INFINITY)
		for (t = 0; t < n; t++)
			if (value[t] == -INFINITY)
				offer(v, i, (uint32_t)(first + t), value[t]);
}

/* ---- dense ---- */

/* Rows that are dense already, or are made so a tile at a time. */
struct rows {
	const float *x;     /* or NULL */
	struct csr_view z;
	size_t n, d, tile;
};

struct square {
	struct nearest *out;
	const struct rows *rows;
	const struct simd *simd;
	const float *a, *b;        /* two tiles */
	size_t at_a, at_b, na, nb; /* their first rows, and how many */
	float *c;                  /* [tile,tile] products */
	float *column;             /* [threads, COLUMNS * tile] */
	uint32_t *idx;             /* [threads, tile + 16] */
	float *val;
};

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void
product_job(void *arg, size_t job, unsigned thread)
{
	struct square *s = arg;
	size_t first = job * STRIPE, end = least(first + STRIPE, s->na), tile = s->rows->tile, d = s->rows->d, r;

	blas_gemm_nt(end - first, s->nb, d, s->a + first * d, d, s->b, d, s->c + first * tile, tile);
	for (r = first; r < end; r++)
		offer_row(s->out, s->simd, s->at_a + r, s->at_b, s->c + r * tile, s->nb,
		          s->idx + thread * (tile + 16), s->val + thread * (tile + 16));
}

/* What the other tile's rows have of it: the square is turned. */
static void
turned_job(void *arg, size_t job, unsigned thread)
{
	struct square *s = arg;
	size_t tile = s->rows->tile, first = job * COLUMNS, cols = least(COLUMNS, s->nb - first), r, c;
	float *column = s->column + thread * COLUMNS * tile;

	for (r = 0; r < s->na; r++)
		for (c = 0; c < cols; c++)
			column[c * tile + r] = s->c[r * tile + first + c];
	for (c = 0; c < cols; c++)
		offer_row(s->out, s->simd, s->at_b + first + c, s->at_a, column + c * tile, s->na,
		          s->idx + thread * (tile + 16), s->val + thread * (tile + 16));
}

struct dense { const struct rows *rows; size_t first, n; float *to; };

static void
dense_job(void *arg, size_t job, unsigned thread)
{
	struct dense *w = arg;
	const struct csr_view *z = &w->rows->z;
	size_t end = least((job + 1) * COLUMNS, w->n), r, t;
	float *row;

	(void)thread;
	for (r = job * COLUMNS; r < end; r++) {
		row = memset(w->to + r * w->rows->d, 0, w->rows->d * sizeof *row);
		for (t = z->ptr[w->first + r]; t < z->ptr[w->first + r + 1]; t++)
			row[z->idx[t]] = z->val[t];
	}
}

/* n rows from row first, in `room` unless they are dense already. */
static const float *
tile_of(const struct rows *rows, size_t first, size_t n, float *room, struct pool *pool)
{
	struct dense w = {rows, first, n, room};

	if (rows->x)
		return rows->x + first * rows->d;
	pool_run(pool, dense_job, &w, (n + COLUMNS - 1) / COLUMNS);
	return room;
}

static void
squares(struct square *s, float *room, struct pool *pool)
{
	const struct rows *rows = s->rows;
	size_t tile = rows->tile;

	for (s->at_b = 0; s->at_b < rows->n; s->at_b += tile) {
		s->nb = least(tile, rows->n - s->at_b);
		s->b = tile_of(rows, s->at_b, s->nb, room, pool);
		for (s->at_a = 0; s->at_a <= s->at_b; s->at_a += tile) {
			s->na = least(tile, rows->n - s->at_a);
			s->a = s->at_a == s->at_b ? s->b : tile_of(rows, s->at_a, s->na, room + tile * rows->d, pool);
			pool_run(pool, product_job, s, (s->na + STRIPE - 1) / STRIPE);
			if (s->at_a < s->at_b)
				pool_run(pool, turned_job, s, (s->nb + COLUMNS - 1) / COLUMNS);
		}
	}
}

static int
nearest_dense(struct nearest *out, struct rows *rows, struct pool *pool, const struct simd *simd, struct err *e)
{
	size_t threads = pool_threads(pool), tile = least(TILE, PIECE / sizeof(float) / rows->d);
	struct square s = {.out = out, .rows = rows, .simd = simd};
	float *room = NULL;

	rows->tile = tile = tile < COLUMNS ? COLUMNS : tile;
	if (!rows->x)
		room = mem_alloc(2 * tile * rows->d * sizeof *room);
	s.c = mem_alloc(tile * tile * sizeof *s.c);
	s.column = mem_alloc(threads * COLUMNS * tile * sizeof *s.column);
	s.idx = mem_alloc(threads * (tile + 16) * sizeof *s.idx);
	s.val = mem_alloc(threads * (tile + 16) * sizeof *s.val);
	if ((!rows->x && !room) || !s.c || !s.column || !s.idx || !s.val)
		err_memory(e, "neighbours", 2 * tile * rows->d * sizeof *room);
	else
		squares(&s, room, pool);
	mem_free(room);
	mem_free(s.c);
	mem_free(s.column);
	mem_free(s.idx);
	mem_free(s.val);
	return e->code;
}

int
nearest_rows(struct nearest *out, const float *x, size_t n, size_t d, size_t k, struct pool *pool, const struct simd *simd, struct err *e)
{
	struct rows rows = {.x = x, .n = n, .d = d};

	if (nearest_init(out, n, k, e))
		return e->code;
	nearest_dense(out, &rows, pool, simd, e);
	return nearest_check(out, e);
}

/* ---- sparse ---- */

/* z turned: the rows of each latent. */
struct turned {
	size_t *at;    /* [m+1] */
	uint32_t *row; /* [nnz] */
	float *val;
};

static int
turn(struct turned *t, struct csr_view z, struct err *e)
{
	size_t nnz = z.ptr[z.rows], r, i, to;

	t->at = mem_alloc((z.cols + 2) * sizeof *t->at);
	t->row = mem_alloc((nnz + 1) * sizeof *t->row);
	t->val = mem_alloc((nnz + 1) * sizeof *t->val);
	if (!t->at || !t->row || !t->val)
		return err_memory(e, "neighbours", nnz * 8);
	memset(t->at, 0, (z.cols + 2) * sizeof *t->at);
	for (i = 0; i < nnz; i++)
		t->at[z.idx[i] + 2]++;
	for (i = 2; i < z.cols + 2; i++)
		t->at[i] += t->at[i - 1];
	for (r = 0; r < z.rows; r++)
		for (i = z.ptr[r]; i < z.ptr[r + 1]; i++) {
			to = t->at[z.idx[i] + 1]++;
			t->row[to] = (uint32_t)r;
			t->val[to] = z.val[i];
		}
	return 0;
}

struct sparse {
	struct nearest *out;
	const struct simd *simd;
	struct csr_view z;
	struct turned t;
	float *sum; /* [threads,n] */
	uint32_t *idx;
	float *val; /* [threads,n+16] */
};

/* Products of one row with all: latent by latent, ascending. */
static void
sparse_job(void *arg, size_t r, unsigned thread)
{
	struct sparse *s = arg;
	float *sum = memset(s->sum + thread * s->z.rows, 0, s->z.rows * sizeof *sum), a;
	size_t i, t;

	for (i = s->z.ptr[r]; i < s->z.ptr[r + 1]; i++) {
		a = s->z.val[i];
		for (t = s->t.at[s->z.idx[i]]; t < s->t.at[s->z.idx[i] + 1]; t++)
			sum[s->t.row[t]] += a * s->t.val[t];
	}
	offer_row(s->out, s->simd, r, 0, sum, s->z.rows, s->idx + thread * (s->z.rows + 16), s->val + thread * (s->z.rows + 16));
}

static int
nearest_sparse(struct sparse *s, struct pool *pool, struct err *e)
{
	size_t threads = pool_threads(pool), n = s->z.rows;

	s->sum = mem_alloc(threads * n * sizeof *s->sum);
	s->idx = mem_alloc(threads * (n + 16) * sizeof *s->idx);
	s->val = mem_alloc(threads * (n + 16) * sizeof *s->val);
	if (!s->sum || !s->idx || !s->val)
		err_memory(e, "neighbours", threads * n * 12);
	else
		pool_run(pool, sparse_job, s, n);
	mem_free(s->sum);
	mem_free(s->idx);
	mem_free(s->val);
	return e->code;
}

/* Multiplications if codes are taken as they are: what each latent's rows have
 * with each other. */
static double
scattered(const struct turned *t, size_t m)
{
	double sum = 0, rows;
	size_t j;

	for (j = 0; j < m; j++) {
		rows = (double)(t->at[j + 1] - t->at[j]);
		sum += rows * rows;
	}
	return sum;
}

int
nearest_codes(struct nearest *out, struct csr_view z, size_t k, struct pool *pool, const struct simd *simd, struct err *e)
{
	struct sparse s = {.out = out, .simd = simd, .z = z};
	struct rows rows = {.z = z, .n = z.rows, .d = z.cols};
	double dense = (double)z.rows * (double)z.rows * (double)z.cols;

	if (nearest_init(out, z.rows, k, e))
		return e->code;
	if (!turn(&s.t, z, e)) {
		if (scattered(&s.t, z.cols) * SCATTERED < dense)
			nearest_sparse(&s, pool, e);
		else
			nearest_dense(out, &rows, pool, simd, e);
	}
	mem_free(s.t.at);
	mem_free(s.t.row);
	mem_free(s.t.val);
	return nearest_check(out, e);
}
