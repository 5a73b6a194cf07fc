/* What a search costs beside the one matrix product it needs: the products of
 * all rows with all queries, frame by frame, made by the same threads in the
 * same run, the quicker of both ways round.
 *
 *   bench/search [-j THREADS] [-n ROWS] [DxQUERIES ...]
 *
 * CPU time, the best of some turns. Exits with 1 when a limit was missed: 1.3
 * products from 16 queries on; with fewer it is a matter of reading the rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "keep.h"
#include "sae/blas.h"
#include "sae/search.h"

#define FRAME_BYTES (1u << 20)
#define HITS 10
#define TURNS 5
#define LIMIT 1.3
#define LIMIT_FROM 16 /* queries */

struct product {
	const float *x, *q;
	float *c;
	size_t n, d, queries, part;
	bool turned;
};

static void *
need(size_t n)
{
	void *p = mem_alloc(n);

	if (!p) {
		fprintf(stderr, "bench/search: out of memory\n");
		exit(75);
	}
	return p;
}

static double
cpu_now(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static void
product_job(void *arg, size_t job, unsigned thread)
{
	struct product *p = arg;
	size_t from = job * p->part, n = p->n - from < p->part ? p->n - from : p->part;

	(void)thread;
	if (p->turned)
		blas_gemm_nt(p->queries, n, p->d, p->q, p->d, p->x + from * p->d, p->d, p->c + from, p->n);
	else
		blas_gemm_nt(n, p->queries, p->d, p->x + from * p->d, p->d, p->q, p->d, p->c + from * p->queries, p->queries);
}

static double
products(const float *x, size_t rows, size_t frame, const float *q, size_t queries, size_t d, bool turned, struct pool *pool)
{
	struct product p = {.q = q, .c = need(frame * queries * sizeof(float)), .d = d, .queries = queries, .turned = turned};
	double t = cpu_now();
	size_t at;

	for (at = 0; at < rows; at += frame) {
		p.x = x + at * d;
		p.n = rows - at < frame ? rows - at : frame;
		p.part = (p.n + pool_threads(pool) - 1) / pool_threads(pool);
		pool_run(pool, product_job, &p, pool_threads(pool));
	}
	t = cpu_now() - t;
	mem_free(p.c);
	return t;
}

static double
searching(const float *x, size_t rows, size_t frame, const float *q, size_t queries, size_t d, struct pool *pool)
{
	struct search s;
	struct err e = {0};
	double t = cpu_now();
	size_t at;

	if (!search_init(&s, queries, HITS, pool, simd_for(NULL), &e) && !search_directions(&s, q, d, &e))
		for (at = 0; at < rows && !e.code; at += frame)
			search_rows(&s, x + at * d, rows - at < frame ? rows - at : frame, at, &e);
	t = cpu_now() - t;
	search_free(&s);
	if (e.code) {
		fprintf(stderr, "bench/search: %s\n", e.text);
		exit(70);
	}
	return t;
}

static bool
measure(size_t rows, size_t d, size_t queries, struct pool *pool)
{
	float *x = need(rows * d * sizeof *x), *q = need(queries * d * sizeof *q);
	size_t frame = FRAME_BYTES / sizeof(float) / d, i;
	double t, product = 1e9, search = 1e9;
	struct rng r = {0};
	char name[96];
	bool fine;

	rng_seed(&r, 1, 0);
	for (i = 0; i < rows * d; i++)
		x[i] = (float)rng_uniform(&r) - .5f;
	for (i = 0; i < queries * d; i++)
		q[i] = (float)rng_uniform(&r) - .5f;
	for (i = 0; i < 3 * TURNS; i++) {
		t = i % 3 == 2 ? searching(x, rows, frame, q, queries, d, pool) : products(x, rows, frame, q, queries, d, i % 3 == 1, pool);
		if (i % 3 == 2)
			search = t < search ? t : search;
		else
			product = t < product ? t : product;
	}
	fine = queries < LIMIT_FROM || search <= LIMIT * product;
	printf("  %4zu queries, %zu rows of %zu: %6.3f s CPU; the product %6.3f s: %5.2f x    ", queries, rows, d, search, product, search / product);
	if (queries < LIMIT_FROM)
		printf("no limit\n");
	else
		printf("limit <= %g  %s\n", LIMIT, fine ? "ok" : "MISSED");
	snprintf(name, sizeof name, "%zu queries, %zu rows of %zu: search over product", queries, rows, d);
	keep("search", name, search / product, "x", "<=", queries < LIMIT_FROM ? 0 : LIMIT, fine);
	mem_free(x);
	mem_free(q);
	return fine;
}

int
main(int argc, char **argv)
{
	size_t rows = 40000, d, queries;
	unsigned threads = 2;
	struct err e = {0};
	struct pool *pool;
	bool fine = true;
	int c;

	while ((c = getopt(argc, argv, "j:n:")) != -1)
		if (c == 'j')
			threads = (unsigned)atoi(optarg);
		else if (c == 'n')
			rows = (size_t)atol(optarg);
		else
			return 64;
	pool = pool_new(threads, &e);
	if (!pool)
		return 75;
	for (; optind < argc; optind++)
		if (sscanf(argv[optind], "%zux%zu", &d, &queries) == 2)
			fine = measure(rows, d, queries, pool) && fine;
	pool_free(pool);
	return !fine;
}
