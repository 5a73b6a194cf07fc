/* What encoding costs beside the one matrix product it contains, made by the
 * same threads in the same run; with more threads, fewer rows, more latents.
 *
 *   bench/encode [-j THREADS] [-n TURNS]
 *
 * Rows and weights are normal numbers: harder for the screen than embeddings.
 * All ways take turns; times are by the clock, the median of the turns. Exits
 * with 1 when a limit was missed.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "sae/blas.h"
#include "sae/encode.h"

#include "keep.h"

#define ROWS 4096
#define D 768
#define M 6144
#define K 64
#define MOST_TURNS 31
#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct err err;
static size_t turns = 7;
static int missed;

static void *
need(size_t n)
{
	void *p = mem_alloc(n);

	if (!p) {
		fprintf(stderr, "bench/encode: out of memory\n");
		exit(75);
	}
	return p;
}

static void
check(int failed)
{
	if (failed) {
		fprintf(stderr, "bench/encode: %s\n", err.text);
		exit(err.code ? err.code : 70);
	}
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int
by_size(const void *a, const void *b)
{
	const double *p = a, *q = b;

	return (*p > *q) - (*p < *q);
}

static double
median(double *t)
{
	qsort(t, turns, sizeof *t, by_size);
	return t[turns / 2];
}

/* ratio <= limit, or >=; limit 0: none. */
static void
verdict(const char *what, double v, const char *unit, const char *relation, double limit)
{
	int ok = *relation == '<' ? v <= limit : v >= limit;

	printf("  %-58s %9.2f %-6s", what, v, unit);
	if (limit > 0) {
		printf(" limit %s %-6.2f %s", relation, limit, ok ? "ok" : "MISSED");
		missed += !ok;
	}
	keep("encode", what, v, unit, relation, limit, ok);
	putchar('\n');
	fflush(stdout);
}

static void
normals(struct rng *r, float *p, size_t n, float by)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (float)rng_normal(r) * by;
}

/* Columns of length about 1; a bias that leaves a third of p above zero. */
static struct sae
model_of(struct rng *r, size_t d, size_t m)
{
	struct sae s;
	size_t j;

	check(sae_init(&s, d, m, 0, &err));
	normals(r, s.W_enc, d * m, 1 / sqrtf((float)d));
	for (j = 0; j < m; j++)
		s.b_enc[j] = -.4f;
	return s;
}

struct product {
	const struct sae *s;
	const float *x;
	float *p;
	size_t rows, each;
};

static void
product_job(void *arg, size_t job, unsigned thread)
{
	const struct product *g = arg;
	size_t at = job * g->each, n = g->rows - at < g->each ? g->rows - at : g->each;

	(void)thread;
	blas_gemm(n, g->s->m, g->s->d, g->x + at * g->s->d, g->s->d, g->s->W_enc, g->s->m, g->p + at * g->s->m, g->s->m);
}

static double
time_product(struct product *g, struct pool *pool)
{
	double t = now();

	pool_run(pool, product_job, g, (g->rows + g->each - 1) / g->each);
	return now() - t;
}

static double
time_encode(struct encoder *enc, const float *x, size_t n, size_t k, struct csr *z)
{
	double t = now();

	check(encode(enc, x, n, k, z, &err));
	return now() - t;
}

/* One way of encoding in the comparison. */
struct way {
	const char *name;
	enum encode_way way;
	size_t k;
	int fast;
	double limit;
	struct encoder *enc;
	double t[MOST_TURNS];
};

static void
report_way(struct way *w, double product)
{
	struct encode_counts c = encoder_counts(w->enc);
	double t = median(w->t);
	char text[128];

	snprintf(text, sizeof text, "%s: %.0f rows/s", w->name, ROWS / t);
	verdict(text, t / product, "x", "<=", w->limit);
	if (c.screened)
		printf("    %.1f %% of the rows screened, %.0f of %d latents computed for each\n", 100 * (double)c.screened / (double)c.rows,
		       (double)c.computed / (double)c.screened, M);
	if (c.wanted)
		printf("    recall %.6f\n", (double)c.found / (double)c.wanted);
}

static void
compare(const struct sae *s, const float *x, struct pool *pool, const struct simd *simd)
{
	struct way way[] = {{.name = "all latents in float32, -k 64", .way = ENCODE_ALL, .k = K, .limit = 1.15},
	                    {.name = "as -k 64 does it", .way = ENCODE_BEST, .k = K, .limit = simd->byte_tile ? .6 : 1.15},
	                    {.name = "screened by the BLAS, -k 64", .way = ENCODE_BLAS, .k = K},
	                    {.name = "--fast, -k 64", .way = ENCODE_BEST, .k = K, .fast = 1},
	                    {.name = "without -k", .way = ENCODE_BEST, .limit = 1.15}};
	struct product g = {s, x, need(sizeof(float) * ROWS * M), ROWS, (ROWS + pool_threads(pool) - 1) / pool_threads(pool)};
	struct csr z = {0};
	double t[MOST_TURNS], product;
	size_t i, j;

	for (j = 0; j < COUNT(way); j++) {
		way[j].enc = encoder_new_way(s, pool, simd, way[j].way, &err);
		check(!way[j].enc);
		if (way[j].fast)
			encoder_be_fast(way[j].enc);
		time_encode(way[j].enc, x, ROWS, way[j].k, &z);
	}
	time_product(&g, pool);
	for (i = 0; i < turns; i++) {
		t[i] = time_product(&g, pool);
		for (j = 0; j < COUNT(way); j++)
			way[j].t[i] = time_encode(way[j].enc, x, ROWS, way[j].k, &z);
	}
	product = median(t);
	printf("%d rows, %d -> %d, %u threads, over their sgemm: %.1f ms, %.0f GFLOP/s, %s\n", ROWS, D, M, pool_threads(pool), 1e3 * product,
	       2e-9 * ROWS * D * M / product, blas_describe());
	for (j = 0; j < COUNT(way); j++) {
		report_way(&way[j], product);
		encoder_free(way[j].enc);
	}
	csr_free(&z);
	mem_free(g.p);
}

/* Seconds for n rows, the median of some turns, each long enough to be timed. */
static double
seconds(struct encoder *enc, const float *x, size_t n, size_t k)
{
	size_t again = ROWS / 8 / n + 1, i, j;
	struct csr z = {0};
	double t[MOST_TURNS];

	time_encode(enc, x, n, k, &z);
	for (i = 0; i < turns; i++) {
		t[i] = now();
		for (j = 0; j < again; j++)
			time_encode(enc, x, n, k, &z);
		t[i] = (now() - t[i]) / (double)again;
	}
	csr_free(&z);
	return median(t);
}

static void
threads(const struct sae *s, const float *x, const struct simd *simd, unsigned most)
{
	struct pool *one = pool_new(1, &err), *two = pool_new(2, &err);
	struct encoder *a = encoder_new(s, one, simd, &err), *b = encoder_new(s, two, simd, &err);

	check(!a || !b);
	if (most >= 2)
		verdict("two threads over one, -k 64", seconds(a, x, ROWS, K) / seconds(b, x, ROWS, K), "x", ">=", 1.9);
	encoder_free(a);
	encoder_free(b);
	pool_free(one);
	pool_free(two);
}

/* Few rows at a time, beside many: by the row, and against reading once what
 * the encoder has to read, at the rate at which memory can be copied. */
static void
batches(const struct sae *s, const float *x, struct pool *pool, const struct simd *simd)
{
	static const size_t n[] = {1, 2, 4, 8, 16, 64, 341, 1024, ROWS};
	struct encoder *enc = encoder_new(s, pool, simd, &err);
	double many, t, read, limit, sum = 0;
	char text[128];
	size_t i;

	check(!enc);
	many = seconds(enc, x, ROWS, K) / ROWS;
	read = now();
	for (i = 0; i < (size_t)D * M; i += 16)
		sum += s->W_enc[i];
	read = now() - read;
	printf("few rows at a time, -k %d (W_enc once, read by one thread: %.0f us%s)\n", K, 1e6 * read, sum > 1e30 ? "!" : "");
	for (i = 0; i < COUNT(n); i++) {
		t = seconds(enc, x, n[i], K);
		/* half of the rate of many rows, or as long as reading W_enc once takes */
		limit = 2 * many * (double)n[i] > read ? 2 * many * (double)n[i] : read;
		snprintf(text, sizeof text, "%zu rows: %.0f us, %.1f a row", n[i], 1e6 * t, 1e6 * t / (double)n[i]);
		verdict(text, t / limit, "x", "<=", 1);
	}
	encoder_free(enc);
}

static void
sizes(struct rng *r, const float *x, struct pool *pool, const struct simd *simd)
{
	static const size_t m[] = {4096, 8192, 16384, 32768, 65536};
	struct encoder *enc;
	double each = 0, t;
	char text[128];
	struct sae s;
	size_t i;

	printf("more latents, -k %d, 1024 rows\n", K);
	for (i = 0; i < COUNT(m); i++) {
		s = model_of(r, D, m[i]);
		enc = encoder_new(&s, pool, simd, &err);
		check(!enc);
		t = seconds(enc, x, 1024, K) / (double)m[i];
		each = i ? each : t;
		snprintf(text, sizeof text, "%zu latents: %.1f ns a row and latent", m[i], 1e9 * t / 1024);
		verdict(text, t / each, "x", "<=", 1.25);
		encoder_free(enc);
		sae_free(&s);
	}
}

int
main(int argc, char **argv)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = cores > 0 ? (unsigned)cores : 1;
	const struct simd *simd;
	struct pool *pool;
	struct rng r;
	struct sae s;
	float *x;
	int c;

	while ((c = getopt(argc, argv, "j:n:")) != -1)
		if (c == 'j')
			n = (unsigned)atoi(optarg);
		else if (c == 'n')
			turns = (size_t)atoi(optarg);
		else
			return 64;
	if (!n || !turns || turns > MOST_TURNS)
		return 64;
	check(simd_pick(&simd, getenv("MSAE_CPU"), &err));
	pool = pool_new(n, &err);
	check(!pool);
	rng_seed(&r, 1, 0);
	s = model_of(&r, D, M);
	x = need(sizeof(float) * ROWS * D);
	normals(&r, x, ROWS * D, 1);
	printf("encoding, kernels for %s\n", simd->name);
	compare(&s, x, pool, simd);
	threads(&s, x, simd, n);
	batches(&s, x, pool, simd);
	sizes(&r, x, pool, simd);
	mem_free(x);
	sae_free(&s);
	pool_free(pool);
	return missed != 0;
}
