#include "sae/search.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sae/blas.h"

#define BLOCK 512             /* rows, when queries are few */
#define PRODUCTS (4u << 20)   /* products held at once, about */
#define TILE 128              /* rows in one call of BLAS */
#define QUERIES_A_JOB 16      /* a cache line of dots and more */
#define ROWS_A_JOB 32
#define CHUNK 32              /* products looked at together */
#define LEAST_NORM 1e-15f     /* squares of shorter rows, or */
#define MOST_NORM 1e18f       /* longer ones, may leave float32 */

int
search_init(struct search *s, size_t queries, size_t n, struct pool *pool, const struct simd *simd, struct err *e)
{
	size_t i;

	*s = (struct search){.queries = queries, .pool = pool, .simd = simd};
	s->block = PRODUCTS / queries < BLOCK ? PRODUCTS / queries : BLOCK;
	s->best = calloc(queries, sizeof *s->best);
	s->fresh = calloc(queries, sizeof *s->fresh);
	s->failed = calloc(queries, sizeof *s->failed);
	s->length = calloc(queries, sizeof *s->length);
	if (!s->best || !s->fresh || !s->failed || !s->length) {
		search_free(s);
		return err_memory(e, "search", queries * sizeof *s->best);
	}
	for (i = 0; i < queries; i++)
		s->best[i].max = n;
	return 0;
}

static void
free_queries(struct search *s)
{
	mat_free(&s->q);
	mat_free(&s->c);
	mat_free(&s->norms);
	mem_free(s->at);
	mem_free(s->query);
	mem_free(s->weight);
	mem_free(s->dots);
	mem_free(s->row_length);
	s->at = NULL;
	s->query = NULL;
	s->weight = NULL;
	s->dots = s->row_length = NULL;
}

void
search_free(struct search *s)
{
	size_t i;

	for (i = 0; s->best && i < s->queries; i++)
		best_free(&s->best[i]);
	free(s->best);
	free(s->fresh);
	free(s->failed);
	free(s->length);
	free_queries(s);
	*s = (struct search){0};
}

static int
check_length(double length, size_t i, struct err *e)
{
	return length > 0 && isfinite(length) ? 0 : err_set(e, CODE_BUG, "search: query %zu has no direction", i);
}

int
search_directions(struct search *s, const float *q, size_t d, struct err *e)
{
	struct compared c;
	double length;
	size_t i, j;

	free_queries(s);
	if (mat_resize(&s->q, s->queries, d, "queries", e) || mat_resize(&s->c, s->queries, s->block, "products", e) ||
	    mat_resize(&s->norms, 1, s->block, "lengths", e))
		return e->code;
	for (i = 0; i < s->queries; i++) {
		s->simd->compare(q + i * d, q + i * d, d, &c);
		length = sqrt(c.yy);
		if (check_length(length, i, e))
			return e->code;
		for (j = 0; j < d; j++)
			s->q.data[i * d + j] = (float)(q[i * d + j] / length);
		s->simd->compare(s->q.data + i * d, s->q.data + i * d, d, &c);
		s->length[i] = sqrt(c.yy);
	}
	return 0;
}

int
search_weights(struct search *s, struct csr_view w, struct err *e)
{
	size_t nnz = w.ptr[w.rows], i, j, to;
	double sum;

	free_queries(s);
	s->m = w.cols;
	s->at = mem_alloc((s->m + 2) * sizeof *s->at);
	s->query = mem_alloc((nnz + 1) * sizeof *s->query);
	s->weight = mem_alloc((nnz + 1) * sizeof *s->weight);
	s->dots = mem_alloc(s->block * s->queries * sizeof *s->dots);
	s->row_length = mem_alloc(s->block * sizeof *s->row_length);
	if (!s->at || !s->query || !s->weight || !s->dots || !s->row_length)
		return err_memory(e, "search", s->block * s->queries * sizeof *s->dots);
	memset(s->at, 0, (s->m + 2) * sizeof *s->at);
	for (i = 0; i < nnz; i++)
		s->at[w.idx[i] + 2]++;
	for (i = 2; i < s->m + 2; i++)
		s->at[i] += s->at[i - 1];
	for (i = 0; i < w.rows; i++) {
		for (sum = 0, j = w.ptr[i]; j < w.ptr[i + 1]; j++) {
			sum += (double)w.val[j] * w.val[j];
			to = s->at[w.idx[j] + 1]++;
			s->query[to] = (uint32_t)i;
			s->weight[to] = w.val[j];
		}
		s->length[i] = sqrt(sum);
		if (check_length(s->length[i], i, e))
			return e->code;
	}
	return 0;
}

/* A block of rows, dense or sparse, and what the jobs make of it. */
struct work {
	struct search *s;
	const float *x;
	struct csr_view z;
	size_t begin, n; /* of z, of the block */
	uint64_t first;  /* number of the block's first row */
};

/* Takes row i of the block among the best of query q, if it is. */
static void
offer(struct work *w, size_t q, size_t i, double score)
{
	struct search *s = w->s;

	if (!best_takes(&s->best[q], score, w->first + i))
		return;
	s->fresh[q] = true;
	best_put(&s->best[q], score, w->first + i, &s->failed[q]);
}

static int
run(struct work *w, pool_job measure, size_t rows_a_job, pool_job choose, struct err *e)
{
	struct search *s = w->s;
	size_t q;

	pool_run(s->pool, measure, w, (w->n + rows_a_job - 1) / rows_a_job);
	pool_run(s->pool, choose, w, (s->queries + QUERIES_A_JOB - 1) / QUERIES_A_JOB);
	for (q = 0; q < s->queries; q++)
		if (s->failed[q].code)
			*e = s->failed[q];
	return e->code;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* ---- dense ---- */

/* About the length of a row, in float32: NAN where that may be far off. */
static float
rough_length(const float *x, size_t d)
{
	float s[16] = {0}, sum = 0;
	size_t i, j;

	for (i = 0; i + 16 <= d; i += 16)
		for (j = 0; j < 16; j++)
			s[j] += x[i + j] * x[i + j];
	for (; i < d; i++)
		s[0] += x[i] * x[i];
	for (j = 0; j < 16; j++)
		sum += s[j];
	sum = sqrtf(sum);
	return sum > LEAST_NORM && sum < MOST_NORM ? sum : NAN;
}

static void
product_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	struct search *s = w->s;
	size_t d = s->q.cols, from = job * TILE, n = least(TILE, w->n - from), i;
	const float *x = w->x + from * d;

	(void)thread;
	blas_gemm_nt(s->queries, n, d, s->q.data, d, x, d, s->c.data + from, s->block);
	for (i = 0; i < n; i++)
		s->norms.data[from + i] = rough_length(x + i * d, d);
}

/* Which rows may beat the worst of query q's best: those whose product is not
 * clearly below. Any order of summing d products in float32 errs by at most
 * d 2^-24 |x||q| (Higham, Accuracy and Stability, 3.1); lengths by less. */
static float
limit_of(const struct search *s, size_t q)
{
	const struct best *b = &s->best[q];
	double slack = 4 * ((double)s->q.cols + 16) * 0x1p-24;

	return b->n < b->max ? -FLT_MAX : (float)(b->items[0].score - slack);
}

static void
measure_row(struct work *w, size_t q, size_t i)
{
	struct search *s = w->s;
	size_t d = s->q.cols;
	struct compared c;

	s->simd->compare(s->q.data + q * d, w->x + i * d, d, &c);
	if (c.yy > 0)
		offer(w, q, i, c.xy / sqrt(c.yy) / s->length[q]);
}

static void
choose_rows(struct work *w, size_t q)
{
	const struct search *s = w->s;
	const float *c = s->c.data + q * s->block, *norm = s->norms.data;
	float limit = limit_of(s, q);
	size_t i, j, end;
	int any;

	for (i = 0; i < w->n; i = end) {
		end = least(i + CHUNK, w->n);
		for (any = 0, j = i; j < end; j++)
			any |= !(c[j] < limit * norm[j]); /* true for NAN too */
		for (j = i; any && j < end; j++)
			if (!(c[j] < limit * norm[j])) {
				measure_row(w, q, j);
				limit = limit_of(s, q);
			}
	}
}

static void
choose_rows_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	size_t q;

	(void)thread;
	for (q = job * QUERIES_A_JOB; q < least((job + 1) * QUERIES_A_JOB, w->s->queries); q++)
		choose_rows(w, q);
}

int
search_rows(struct search *s, const float *x, size_t n, uint64_t first, struct err *e)
{
	struct work w = {.s = s};
	size_t at;

	memset(s->fresh, 0, s->queries * sizeof *s->fresh);
	for (at = 0; at < n; at += s->block) {
		w.x = x + at * s->q.cols;
		w.n = least(s->block, n - at);
		w.first = first + at;
		if (run(&w, product_job, TILE, choose_rows_job, e))
			return e->code;
	}
	return 0;
}

/* ---- sparse ---- */

/* Dots of some rows with all queries, code by code in ascending order. */
static void
dots_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	struct search *s = w->s;
	size_t i, j, t;
	double *dots, v, sum;

	(void)thread;
	for (i = job * ROWS_A_JOB; i < least((job + 1) * ROWS_A_JOB, w->n); i++) {
		dots = memset(s->dots + i * s->queries, 0, s->queries * sizeof *dots);
		sum = 0;
		for (j = w->z.ptr[w->begin + i]; j < w->z.ptr[w->begin + i + 1]; j++) {
			v = w->z.val[j];
			sum += v * v;
			for (t = s->at[w->z.idx[j]]; t < s->at[w->z.idx[j] + 1]; t++)
				dots[s->query[t]] += v * s->weight[t];
		}
		s->row_length[i] = sqrt(sum);
	}
}

static void
choose_codes_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	struct search *s = w->s;
	size_t q, i;
	double dot;

	(void)thread;
	for (i = 0; i < w->n; i++)
		for (q = job * QUERIES_A_JOB; q < least((job + 1) * QUERIES_A_JOB, s->queries); q++) {
			dot = s->dots[i * s->queries + q];
			if (dot != 0)
				offer(w, q, i, dot / s->row_length[i] / s->length[q]);
		}
}

int
search_codes(struct search *s, struct csr_view z, uint64_t first, struct err *e)
{
	struct work w = {.s = s, .z = z};

	memset(s->fresh, 0, s->queries * sizeof *s->fresh);
	for (w.begin = 0; w.begin < z.rows; w.begin += s->block) {
		w.n = least(s->block, z.rows - w.begin);
		w.first = first + w.begin;
		if (run(&w, dots_job, ROWS_A_JOB, choose_codes_job, e))
			return e->code;
	}
	return 0;
}
