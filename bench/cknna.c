/* What CKNNA costs: finding the nearest of 10,000 rows and of their codes, over
 * the two dense products X X^T and Z Z^T that the formula asks for, made by the
 * same threads in the same run.
 *
 *   bench/cknna [-j THREADS] [-n ROWS] [DxM SHARE ...]
 *
 * SHARE: of latents active in a row. Exits with 1 when the limit, twice the
 * products, was missed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "keep.h"
#include "sae/blas.h"
#include "sae/cknna.h"

#define TILE 1000
#define NEIGHBOURS 10
#define LIMIT 2.

struct product { const float *x; size_t n, d; float *c; };

static void *
need(size_t n)
{
	void *p = mem_alloc(n);

	if (!p) {
		fprintf(stderr, "bench/cknna: out of memory\n");
		exit(75);
	}
	return p;
}

static void
product_job(void *arg, size_t job, unsigned thread)
{
	struct product *p = arg;
	size_t tiles = (p->n + TILE - 1) / TILE, a = job / tiles * TILE, b = job % tiles * TILE;
	size_t na = p->n - a < TILE ? p->n - a : TILE, nb = p->n - b < TILE ? p->n - b : TILE;

	blas_gemm_nt(na, nb, p->d, p->x + a * p->d, p->d, p->x + b * p->d, p->d, p->c + (size_t)thread * TILE * TILE, TILE);
}

static double
product(const float *x, size_t n, size_t d, struct pool *pool)
{
	struct product p = {x, n, d, need(pool_threads(pool) * (size_t)TILE * TILE * sizeof(float))};
	size_t tiles = (n + TILE - 1) / TILE;
	double t = clock_now();

	pool_run(pool, product_job, &p, tiles * tiles);
	t = clock_now() - t;
	mem_free(p.c);
	return t;
}

/* Codes with a latent's own frequency, so that some are frequent and most rare. */
static void
codes(struct rng *r, float *dense, struct csr *z, size_t n, size_t m, double share, struct err *e)
{
	uint32_t at = 0;
	size_t i, j;

	memset(dense, 0, n * m * sizeof *dense);
	for (i = 0; i < n; i++)
		for (j = 0; j < m; j++)
			if (rng_uniform(r) < share * 2 * (double)(j + 1) / (double)(m + 1))
				dense[i * m + j] = (float)rng_uniform(r) + .01f;
	if (csr_resize(z, n, m, n * m, e))
		return;
	for (i = 0; i < n; i++) {
		for (j = 0; j < m; j++)
			if (dense[i * m + j] != 0) {
				z->idx[at] = (uint32_t)j;
				z->val[at++] = dense[i * m + j];
			}
		z->ptr[i + 1] = at;
	}
}

static bool
measure(size_t n, size_t d, size_t m, double share, struct pool *pool)
{
	const struct simd *simd = simd_for(NULL);
	float *x = need(n * d * sizeof *x), *dense = need(n * m * sizeof *dense);
	struct nearest nx, nz;
	struct err e = {0};
	struct csr z = {0};
	double t, px, pz, value;
	char name[96];
	struct rng r;
	size_t i;

	rng_seed(&r, 1, 0);
	for (i = 0; i < n * d; i++)
		x[i] = (float)rng_normal(&r);
	codes(&r, dense, &z, n, m, share, &e);
	px = product(x, n, d, pool);
	pz = product(dense, n, m, pool);
	t = clock_now();
	if (!e.code && !nearest_rows(&nx, x, n, d, NEIGHBOURS, pool, simd, &e) &&
	    !nearest_codes(&nz, csr_view(&z), NEIGHBOURS, pool, simd, &e) && !cknna(&value, &nx, &nz, &e)) {
		t = clock_now() - t;
		printf("  CKNNA of %zu rows, %zux%zu, %4.1f %% on: %6.2f s; the two products %5.2f + %5.2f s: %5.2f x    limit <= %g  %s\n", n, d, m, 100 * share,
		       t, px, pz, t / (px + pz), LIMIT, t <= LIMIT * (px + pz) ? "ok" : "MISSED");
		snprintf(name, sizeof name, "CKNNA of %zu rows, %zux%zu, %.1f %% on: over the products", n, d, m, 100 * share);
		keep("cknna", name, t / (px + pz), "x", "<=", LIMIT, t <= LIMIT * (px + pz));
		nearest_free(&nx);
		nearest_free(&nz);
	} else {
		fprintf(stderr, "bench/cknna: %s\n", e.text);
		exit(70);
	}
	csr_free(&z);
	mem_free(x);
	mem_free(dense);
	return t <= LIMIT * (px + pz);
}

int
main(int argc, char **argv)
{
	size_t n = 10000, d, m;
	unsigned threads = 2;
	struct err e = {0};
	struct pool *pool;
	bool fine = true;
	int c;

	while ((c = getopt(argc, argv, "j:n:")) != -1)
		if (c == 'j')
			threads = (unsigned)atoi(optarg);
		else if (c == 'n')
			n = (size_t)atol(optarg);
		else
			return 64;
	pool = pool_new(threads, &e);
	if (!pool)
		return 75;
	for (; optind + 1 < argc; optind += 2)
		if (sscanf(argv[optind], "%zux%zu", &d, &m) == 2)
			fine = measure(n, d, m, atof(argv[optind + 1]), pool) && fine;
	pool_free(pool);
	return !fine;
}
