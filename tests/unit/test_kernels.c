/* The numeric kernels: every fast one against its plain reference at awkward
 * shapes, and the same bytes from every instruction set, every number of
 * threads and every cut into blocks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "sae/blas.h"
#include "sae/decode.h"
#include "sae/encode.h"
#include "sae/norm.h"
#include "sae/plant.h"
#include "sae/topk.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define POOLS 3

static struct err err;
static struct pool *pools[POOLS]; /* of 1, 2 and 3 threads */
static const struct simd *tables[4];
static size_t ntables;

static void *
need(size_t n)
{
	void *p = mem_alloc(n);

	if (!p) {
		printf("Bail out! out of memory\n");
		exit(1);
	}
	return memset(p, 0, n);
}

static float *
normals(struct rng *r, size_t n)
{
	float *p = need(n * sizeof *p);
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (float)rng_normal(r);
	return p;
}

/* Small whole numbers: sums of products are exact and ties are many. */
static void
whole(struct rng *r, float *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (float)rng_below(r, 5) - 2;
}

/* Normals strewn with the numbers that break kernels; none so large that the
 * sum of two products is NaN. */
static float *
awkward(struct rng *r, size_t n)
{
	static const float odd[] = {0.0f, -0.0f, 1e-45f, -1e-45f, 1e-39f, 1.17549435e-38f, 1e18f, -1e18f, 1, 1, 0.5f};
	float *p = normals(r, n);
	size_t i;

	for (i = 0; i < n; i++)
		if (rng_below(r, 3) == 0)
			p[i] = odd[rng_below(r, COUNT(odd))];
	return p;
}

static int
same(const void *a, const void *b, size_t bytes)
{
	return !bytes || !memcmp(a, b, bytes);
}

static int
csr_same(const struct csr *a, const struct csr *b)
{
	return a->rows == b->rows && a->cols == b->cols && same(a->ptr, b->ptr, (a->rows + 1) * 4) &&
	       same(a->idx, b->idx, a->ptr[a->rows] * 4ul) && same(a->val, b->val, a->ptr[a->rows] * 4ul);
}

/* Is it a proper csr: ascending, in range, without zeros, at most k a row? */
static int
csr_sound(const struct csr *c, size_t k)
{
	size_t r, i;

	if (c->ptr[0])
		return 0;
	for (r = 0; r < c->rows; r++) {
		if (c->ptr[r + 1] < c->ptr[r] || c->ptr[r + 1] - c->ptr[r] > k)
			return 0;
		for (i = c->ptr[r]; i < c->ptr[r + 1]; i++)
			if (c->idx[i] >= c->cols || c->val[i] == 0 || (i > c->ptr[r] && c->idx[i] <= c->idx[i - 1]))
				return 0;
	}
	return 1;
}

/* ---- simd ---- */

struct lanes {
	float *a, *b, *c, *d;
	uint32_t *idx;
	size_t n;
};

static int
check_elementwise(const struct simd *s, const struct simd *plain, const struct lanes *l)
{
	size_t bytes = l->n * sizeof(float), i;
	int ok = 1;

	for (i = 0; i < 5; i++) {
		memcpy(l->c, l->a, bytes);
		memcpy(l->d, l->a, bytes);
		switch (i) {
		case 0: s->add(l->c, l->b, l->n), plain->add(l->d, l->b, l->n); break;
		case 1: s->gate(l->c, l->b, l->n), plain->gate(l->d, l->b, l->n); break;
		case 2: s->shift_scale(l->c, l->c, l->b, 0.37f, l->n), plain->shift_scale(l->d, l->a, l->b, 0.37f, l->n); break;
		case 3: s->unscale_shift(l->c, l->c, l->b, 0.37f, l->n), plain->unscale_shift(l->d, l->a, l->b, 0.37f, l->n); break;
		case 4: s->axpy(l->c, -1.7f, l->b, l->n), plain->axpy(l->d, -1.7f, l->b, l->n); break;
		}
		ok &= same(l->c, l->d, bytes);
	}
	return ok;
}

/* Also with val in place of p, which it may be. */
static int
check_compress(const struct simd *s, const struct lanes *l, float t)
{
	size_t n = 0, c, i;
	int ok = 1;

	c = s->compress_above(l->a, l->n, t, 5, l->idx, l->c);
	for (i = 0; i < l->n; i++)
		if (l->a[i] > t) {
			ok &= n < c && l->idx[n] == i + 5 && same(l->c + n, l->a + i, sizeof(float));
			n++;
		}
	ok &= n == c && s->count_above(l->a, l->n, t) == n;
	ok &= s->few_above(l->a, l->n, t, 7, l->idx, l->d) == n && same(l->d, l->c, n * sizeof(float));
	for (i = 0; i < n; i++)
		ok &= l->idx[i] >= 7 && same(l->a + l->idx[i] - 7, l->c + i, sizeof(float)) && (!i || l->idx[i] > l->idx[i - 1]);
	memcpy(l->d, l->a, l->n * sizeof(float));
	for (i = 0; i < l->n; i++)
		l->idx[i] = (uint32_t)(3 * i);
	ok &= s->keep_above(l->idx, l->d, l->n, t) == n && same(l->d, l->c, n * sizeof(float));
	for (i = 0; i < n; i++)
		ok &= l->idx[i] % 3 == 0 && same(l->a + l->idx[i] / 3, l->c + i, sizeof(float));
	memcpy(l->d, l->a, l->n * sizeof(float));
	return ok && s->compress_above(l->d, l->n, t, 0, l->idx, l->d) == n && same(l->d, l->c, n * sizeof(float));
}

/* The largest of each group, and the least and the greatest bits. */
static int
check_extremes(const struct simd *s, const struct lanes *l)
{
	float most[80], want;
	int32_t low, high, lowest = INT32_MAX, highest = INT32_MIN, bits;
	size_t groups, g, i;
	int ok = 1;

	for (groups = 16; groups <= 80; groups += 16) {
		s->maxima(l->a, l->n, most, groups);
		for (g = 0; g < groups; g++) {
			for (want = 0, i = g; i < l->n; i += groups)
				want = l->a[i] > want ? l->a[i] : want;
			ok &= same(&want, most + g, sizeof want);
		}
	}
	for (i = 0; i < l->n; i++) {
		memcpy(&bits, l->a + i, sizeof bits);
		lowest = bits < lowest ? bits : lowest;
		highest = bits > highest ? bits : highest;
	}
	s->extremes(l->a, l->n, &low, &high);
	return ok && low == lowest && high == highest;
}

static int
check_gather(const struct simd *s, const struct simd *plain, const struct lanes *l, struct rng *r)
{
	enum { ROWS = 7 };
	size_t ld = l->n + rng_below(r, 3), nnz = rng_below(r, 6), i;
	float *W = awkward(r, ROWS * ld + 1);
	uint32_t idx[6];
	float val[6];
	int ok;

	for (i = 0; i < nnz; i++) {
		idx[i] = (uint32_t)rng_below(r, ROWS);
		val[i] = (float)rng_normal(r);
	}
	s->gather_rows(l->c, l->b, W, ld, l->n, idx, val, nnz);
	plain->gather_rows(l->d, l->b, W, ld, l->n, idx, val, nnz);
	ok = same(l->c, l->d, l->n * sizeof(float));
	mem_free(W);
	return ok;
}

static void
test_simd(const struct simd *s)
{
	static const float special[] = {INFINITY, -INFINITY, NAN, 3e38f};
	const struct simd *plain = simd_for("plain");
	int elements = 1, compress = 1, gather = 1, extremes = 1;
	struct lanes l;
	struct rng r;
	size_t n, room;

	rng_seed(&r, 11, 0);
	for (n = 0; n < 300; n += n < 80 ? 1 : 37) {
		room = n + 32; /* from an odd address on */
		float *a = awkward(&r, room), *b = awkward(&r, room), *c = need(room * 4), *d = need(room * 4);
		uint32_t *idx = need(room * 4);

		l = (struct lanes){a + 1, b + 3, c + 1, d + 2, idx + 1, n};
		elements &= check_elementwise(s, plain, &l);
		gather &= check_gather(s, plain, &l, &r);
		if (n)
			l.a[rng_below(&r, n)] = special[n % COUNT(special)];
		compress &= check_compress(s, &l, 0) && check_compress(s, &l, 1) && check_compress(s, &l, -1e30f) &&
		            check_compress(s, &l, INFINITY) && check_compress(s, &l, 1e-45f) && check_compress(s, &l, 1.8f);
		extremes &= check_extremes(s, &l);
		mem_free(a);
		mem_free(b);
		mem_free(c);
		mem_free(d);
		mem_free(idx);
	}
	tap_ok(elements, "%s: add, gate, shift_scale, unscale_shift, axpy give the plain table's bytes", s->name);
	tap_ok(compress, "%s: count_above, compress_above, few_above and keep_above find what a loop finds", s->name);
	tap_ok(extremes, "%s: maxima and extremes are those of a loop", s->name);
	tap_ok(gather, "%s: gather_rows gives the plain table's bytes", s->name);
}

/* ---- blas ---- */

struct gemm {
	const float *a, *b;
	float *c;
	size_t rows, cols, inner;
};

static void
gemm_job(void *arg, size_t job, unsigned thread)
{
	struct gemm *g = arg;

	(void)thread;
	blas_gemm(g->rows, g->cols, g->inner, g->a, g->inner, g->b, g->cols, g->c + job * g->rows * g->cols, g->cols);
}

static int
check_gemm(struct rng *r, size_t rows, size_t cols, size_t inner)
{
	float *a = normals(r, rows * inner + 1), *b = normals(r, inner * cols + 1), *c = need(8 * rows * cols * 4 + 4);
	float *bt = need(inner * cols * 4 + 4), *nt = need(rows * cols * 4 + 4);
	struct gemm g = {a, b, c, rows, cols, inner};
	size_t i, j, l;
	double s, size;
	int ok = 1;

	memset(c, 0xff, 8 * rows * cols * 4);
	pool_run(pools[2], gemm_job, &g, 8);
	for (i = 0; i < inner; i++)
		for (j = 0; j < cols; j++)
			bt[j * inner + i] = b[i * cols + j];
	memset(nt, 0xff, rows * cols * 4);
	blas_gemm_nt(rows, cols, inner, a, inner, bt, inner, nt, cols);
	for (i = 0; i < rows; i++)
		for (j = 0; j < cols; j++) {
			for (s = size = 0, l = 0; l < inner; l++) {
				s += (double)a[i * inner + l] * b[l * cols + j];
				size += fabs((double)a[i * inner + l] * b[l * cols + j]);
			}
			ok &= fabs(s - c[i * cols + j]) <= 1e-6 * size && fabs(s - nt[i * cols + j]) <= 1e-6 * size;
		}
	for (i = 1; i < 8; i++)
		ok &= same(c, c + i * rows * cols, rows * cols * 4);
	mem_free(a);
	mem_free(b);
	mem_free(bt);
	mem_free(nt);
	mem_free(c);
	return ok;
}

static int
check_solve(struct rng *r, size_t n, size_t rhs)
{
	double *a = need(n * n * 8 + 8), *full = need(n * n * 8 + 8), *b = need(n * rhs * 8 + 8), *x = need(n * rhs * 8 + 8);
	float *m = normals(r, n * n + 1);
	double s;
	size_t i, j, l;
	int ok = 1;

	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++) {
			for (l = 0; l < n; l++)
				full[i * n + j] += (double)m[i * n + l] * m[j * n + l];
			full[i * n + j] += i == j;
			a[i * n + j] = j <= i ? full[i * n + j] : NAN; /* the upper half is nobody's business */
		}
	for (i = 0; i < n * rhs; i++)
		b[i] = x[i] = rng_normal(r);
	ok &= blas_solve_spd(n, a, x, rhs) == 0;
	for (i = 0; i < n; i++)
		for (j = 0; j < rhs; j++) {
			for (s = 0, l = 0; l < n; l++)
				s += full[i * n + l] * x[l * rhs + j];
			ok &= fabs(s - b[i * rhs + j]) < 1e-9;
		}
	mem_free(a);
	mem_free(full);
	mem_free(b);
	mem_free(x);
	mem_free(m);
	return ok;
}

static void
test_blas(void)
{
	static const size_t shape[][3] = {{1, 1, 1}, {3, 5, 7}, {17, 33, 65}, {1, 100, 31}, {64, 1, 9}, {0, 4, 4}, {4, 0, 4},
	                                  {4, 4, 0}, {130, 120, 110}};
	double indefinite[] = {1, 0, 2, 1}, b[] = {1, 1};
	struct rng r;
	size_t i;
	int ok = 1;

	rng_seed(&r, 12, 0);
	for (i = 0; i < COUNT(shape); i++)
		ok &= check_gemm(&r, shape[i][0], shape[i][1], shape[i][2]);
	tap_ok(ok, "blas_gemm is the product, the same in eight calls at once, and so is blas_gemm_nt (%s)", blas_describe());
	ok = check_solve(&r, 1, 1) && check_solve(&r, 5, 3) && check_solve(&r, 33, 70) && check_solve(&r, 0, 0) && check_solve(&r, 4, 0);
	tap_ok(ok, "blas_solve_spd solves, reading the lower half only");
	tap_ok(blas_solve_spd(2, indefinite, b, 1) == -1, "blas_solve_spd refuses what is not positive definite");
}

/* ---- encode, decode ---- */

static struct sae
model_of(struct rng *r, size_t d, size_t m, int whole_numbers, int with_threshold)
{
	struct sae s;
	float *part[6];
	size_t size[] = {d * m, m, m * d, d, d, m}, i, j;

	if (sae_init(&s, d, m, with_threshold, &err)) {
		printf("Bail out! %s\n", err.text);
		exit(1);
	}
	memcpy(part, (float *[]){s.W_enc, s.b_enc, s.W_dec, s.b_dec, s.mean, s.threshold}, sizeof part);
	for (i = 0; i < 6; i++)
		for (j = 0; part[i] && j < size[i]; j++)
			part[i][j] = (float)rng_normal(r);
	for (i = 0; whole_numbers && i < 6; i++)
		if (part[i])
			whole(r, part[i], size[i]);
	return s;
}

static struct csr
run_encode(const struct sae *s, struct pool *pool, const struct simd *simd, const float *x, size_t n, size_t k)
{
	struct encoder *enc = encoder_new(s, pool, simd, &err);
	struct csr z = {0};

	if (!enc || encode(enc, x, n, k, &z, &err)) {
		printf("Bail out! %s\n", err.text);
		exit(1);
	}
	encoder_free(enc);
	return z;
}

/* Every row of z is the row of the dense reference, exactly. */
static int
equals_dense(const struct csr *z, const double *dense)
{
	size_t r, j, i;
	int ok = csr_sound(z, z->cols);

	for (r = 0; ok && r < z->rows; r++)
		for (i = z->ptr[r], j = 0; j < z->cols; j++)
			if (i < z->ptr[r + 1] && z->idx[i] == j)
				ok &= z->val[i++] == dense[r * z->cols + j];
			else
				ok &= dense[r * z->cols + j] == 0;
	return ok;
}

/* Whole numbers: the product is exact, so codes and ties must be too. */
static int
check_encode_exact(struct rng *r, size_t n, size_t d, size_t m, size_t k, int with_threshold, int ramp)
{
	struct sae s = model_of(r, d, m, 1, with_threshold);
	float *x = need(n * d * 4 + 4);
	double *dense = need(n * m * 8 + 8);
	struct csr first = {0}, z;
	size_t p, t;
	int ok = 1;

	whole(r, x, n * d);
	for (p = 0; p < m && ramp; p++)
		s.b_enc[p] += (float)(p / 100); /* better ones keep coming: many selections a row */
	encode_plain(&s, x, n, k, dense);
	for (p = 0; p < POOLS; p++)
		for (t = 0; t < ntables; t++) {
			z = run_encode(&s, pools[p], tables[t], x, n, k);
			ok &= z.rows == n && z.cols == m && equals_dense(&z, dense);
			if (!first.ptr) {
				first = z;
				continue;
			}
			ok &= csr_same(&first, &z);
			csr_free(&z);
		}
	csr_free(&first);
	mem_free(x);
	mem_free(dense);
	sae_free(&s);
	return ok;
}

static double
kth_of(const double *p, size_t m, size_t k)
{
	size_t i, j, above;
	double best = 0;

	for (i = 0; i < m; i++) {
		for (above = 0, j = 0; j < m; j++)
			above += p[j] > p[i];
		if (above + 1 == k)
			best = p[i];
	}
	return best;
}

/* Random numbers: values within rounding of the reference, and what is kept
 * right but for what lies within rounding of the k-th. */
static int
check_encode_near(struct rng *r, size_t n, size_t d, size_t m, size_t k)
{
	struct sae s = model_of(r, d, m, 0, 0);
	float *x = normals(r, n * d + 1);
	double *dense = need(n * m * 8 + 8), cut, tol = 2e-6 * (double)(d + 10), *p;
	struct csr z = run_encode(&s, pools[1], tables[0], x, n, k), other;
	size_t row, j, i;
	int ok = csr_sound(&z, k ? k : m);

	encode_plain(&s, x, n, 0, dense);
	for (row = 0; row < n; row++) {
		p = dense + row * m;
		cut = k ? kth_of(p, m, k) : 0;
		for (i = z.ptr[row], j = 0; j < m; j++)
			if (i < z.ptr[row + 1] && z.idx[i] == j)
				ok &= fabs(z.val[i++] - p[j]) < tol && p[j] > cut - tol;
			else
				ok &= p[j] < cut + tol;
	}
	other = run_encode(&s, pools[2], tables[ntables - 1], x, n, k);
	ok &= csr_same(&z, &other);
	csr_free(&z);
	csr_free(&other);
	mem_free(x);
	mem_free(dense);
	sae_free(&s);
	return ok;
}

static void
test_encode_shapes(void)
{
	static const size_t shape[][3] = {{0, 3, 5}, {1, 1, 1}, {1, 7, 33}, {5, 16, 16}, {17, 9, 31}, {33, 20, 257}, {2, 3, 1100},
	                                  {19, 2, 1536}, {1030, 2, 40}};
	struct rng r;
	size_t i, j;
	int exact = 1, near = 1;

	rng_seed(&r, 13, 0);
	for (i = 0; i < COUNT(shape); i++) {
		size_t m = shape[i][2], k[] = {0, 1, 2, m / 20 + 1, m / 2, m - 1, m, m + 9};

		for (j = 0; j < COUNT(k); j++)
			exact &= check_encode_exact(&r, shape[i][0], shape[i][1], m, k[j], j % 2, 0) &&
			         check_encode_exact(&r, shape[i][0], shape[i][1], m, k[j], 0, 1);
	}
	tap_ok(exact, "encode, whole numbers: exactly the reference, ties to the lowest latent; every table, 1 to 3 threads");
	for (i = 0; i < COUNT(shape); i++)
		for (j = 0; j < 3; j++)
			near &= check_encode_near(&r, shape[i][0] % 100, shape[i][1] + 40, shape[i][2], j * 7);
	tap_ok(near, "encode, random numbers: the reference within rounding, the same bytes from 2 and 3 threads");
}

/* All pre-activations equal; none positive; not all numbers. */
static void
test_encode_ties(void)
{
	static const size_t k[] = {1, 2, 63, 64, 65, 500, 699, 700};
	static const float level[] = {1, 1e-45f, 1e-39f, 3e38f};
	struct rng r;
	struct sae s;
	struct csr z;
	float x[4] = {0};
	size_t i, j, l;
	int ok = 1;

	rng_seed(&r, 14, 0);
	s = model_of(&r, 1, 700, 1, 0);
	memset(s.W_enc, 0, 700 * 4);
	for (l = 0; l < COUNT(level); l++)
		for (i = 0; i < COUNT(k); i++) {
			for (j = 0; j < 700; j++)
				s.b_enc[j] = level[l];
			z = run_encode(&s, NULL, tables[l % ntables], x, 4, k[i]);
			for (j = 0; j < 4 * k[i]; j++)
				ok &= z.ptr[4] == 4 * k[i] && z.idx[j] == j % k[i] && z.val[j] == level[l];
			csr_free(&z);
		}
	tap_ok(ok, "encode, all equal (one, subnormal, huge): the first k");
	for (j = 0; j < 700; j++)
		s.b_enc[j] = j % 3 ? -0.0f : -1e-45f;
	z = run_encode(&s, NULL, tables[0], x, 4, 5);
	tap_ok(z.ptr[4] == 0, "encode, nothing above zero: empty rows");
	csr_free(&z);
	for (j = 0; j < 700; j++)
		s.b_enc[j] = j % 5 == 0 ? NAN : j % 7 ? 2 : INFINITY;
	z = run_encode(&s, NULL, tables[0], x, 1, 150);
	for (ok = z.ptr[1] == 150, j = 0; ok && j < 150; j++)
		ok &= z.val[j] > 0 && z.idx[j] % 5 != 0;
	tap_ok(ok, "encode: NaN is not above zero, infinity is the largest");
	csr_free(&z);
	sae_free(&s);
}

static void
test_encode_cap(void)
{
	struct rng r;
	struct sae s;
	struct csr z, c;
	float *x;
	size_t i;
	int ok = 1;

	rng_seed(&r, 15, 0);
	s = model_of(&r, 24, 90, 0, 0);
	x = normals(&r, 24 * 50);
	s.b_enc[3] = 1e30f; /* saturates */
	z = run_encode(&s, pools[1], tables[0], x, 50, 9);
	s.soft_cap = 1.5f;
	c = run_encode(&s, pools[1], tables[0], x, 50, 9);
	ok = z.ptr[50] == c.ptr[50] && same(z.idx, c.idx, z.ptr[50] * 4ul);
	for (i = 0; ok && i < z.ptr[50]; i++)
		ok &= fabs(c.val[i] - 1.5 * tanh(z.val[i] / 1.5)) < 1e-6 && c.val[i] > 0 && c.val[i] <= 1.5f;
	tap_ok(ok, "encode: the soft cap changes values, not choices");
	csr_free(&z);
	csr_free(&c);
	memset(s.W_enc, 0, 24 * 90 * 4);
	for (i = 0; i < 90; i++)
		s.b_enc[i] = 1e-45f;
	s.soft_cap = 100;
	c = run_encode(&s, NULL, tables[0], x, 1, 0);
	tap_ok(c.ptr[1] == 90 && c.val[0] > 0, "encode: the soft cap leaves no zeros");
	csr_free(&c);
	mem_free(x);
	sae_free(&s);
}

/* An encoder and its codes are used again and again, larger and smaller. */
static void
test_encode_again(void)
{
	static const size_t n[] = {3, 2500, 0, 1, 1024, 1025, 7};
	struct rng r;
	struct sae s;
	struct encoder *enc;
	struct csr z = {0}, once;
	float *x;
	size_t i;
	int ok = 1;

	rng_seed(&r, 16, 0);
	s = model_of(&r, 10, 70, 1, 0);
	x = need(2500 * 10 * 4);
	whole(&r, x, 2500 * 10);
	enc = encoder_new(&s, pools[2], tables[0], &err);
	for (i = 0; i < 2 * COUNT(n); i++) {
		ok &= encode(enc, x, n[i / 2], i % 2 ? 5 : 0, &z, &err) == 0;
		once = run_encode(&s, NULL, tables[ntables - 1], x, n[i / 2], i % 2 ? 5 : 0);
		ok &= csr_same(&z, &once);
		csr_free(&once);
	}
	tap_ok(ok, "encode: one encoder for frames of many sizes");
	encoder_free(enc);
	csr_free(&z);
	mem_free(x);
	sae_free(&s);
}

/* Each row by itself, as sparse or dense as it is, is the row it is among all. */
static int
rows_alone(const struct sae *s, const struct csr *z, const float *xhat)
{
	float *one = need(s->d * 4);
	size_t r;
	int ok = 1;

	for (r = 0; r < z->rows; r++) {
		uint32_t at = z->ptr[r], ptr[2] = {0, z->ptr[r + 1] - at};

		decode(s, (struct csr_view){1, z->cols, ptr, z->idx + at, z->val + at}, NULL, tables[0], one);
		ok &= same(one, xhat + r * s->d, s->d * 4);
	}
	mem_free(one);
	return ok;
}

/* Rows of 0 to m codes in one block. */
static int
check_decode_mixed(struct rng *r)
{
	enum { N = 70, D = 300, M = 200 };
	struct sae s = model_of(r, D, M, 0, 0);
	struct csr z = {0};
	float *xhat = need(N * D * 4);
	size_t n = 0, i, j;
	int ok = csr_resize(&z, N, M, N * M, &err) == 0;

	for (i = 0; ok && i < N; i++) {
		for (j = 0; j < M; j++)
			if (rng_below(r, N) < (i < 40 ? i : 2)) {
				z.idx[n] = (uint32_t)j;
				z.val[n++] = (float)rng_normal(r);
			}
		z.ptr[i + 1] = (uint32_t)n;
	}
	decode(&s, csr_view(&z), pools[1], tables[0], xhat);
	ok &= rows_alone(&s, &z, xhat);
	csr_free(&z);
	mem_free(xhat);
	sae_free(&s);
	return ok;
}

static void
test_decode(void)
{
	static const size_t shape[][3] = {{0, 4, 4}, {1, 1, 1}, {3, 200, 5}, {40, 33, 70}, {17, 640, 9}, {50, 7, 300}};
	struct rng r;
	size_t i, p, t, j;
	int near = 1, bytes = 1;

	rng_seed(&r, 18, 0);
	for (i = 0; i < COUNT(shape); i++) {
		size_t n = shape[i][0], d = shape[i][1], m = shape[i][2];
		struct sae s = model_of(&r, d, m, 0, 0);
		float *x = normals(&r, n * d + 1), *first = need(n * d * 4 + 4), *out = need(n * d * 4 + 4);
		double *plain = need(n * d * 8 + 8);
		struct csr z = run_encode(&s, NULL, tables[0], x, n, i % 2 ? 0 : 4);

		decode_plain(&s, csr_view(&z), plain);
		for (p = 0; p < POOLS; p++)
			for (t = 0; t < ntables; t++) {
				decode(&s, csr_view(&z), pools[p], tables[t], p + t ? out : first);
				bytes &= p + t == 0 || same(first, out, n * d * 4);
			}
		for (j = 0; j < n * d; j++)
			near &= fabs(first[j] - plain[j]) < 1e-5 * (double)(m + d);
		csr_free(&z);
		mem_free(x);
		mem_free(first);
		mem_free(out);
		mem_free(plain);
		sae_free(&s);
	}
	tap_ok(near, "decode: the reference within rounding, empty rows too");
	tap_ok(bytes, "decode: the same bytes from every table and 1 to 3 threads");
	tap_ok(check_decode_mixed(&r), "decode: a row's bytes do not depend on its neighbours, sparse or dense");
}

/* ---- topk ---- */

/* Rows of few distinct values, negative ones, zeros of both signs. */
static struct csr
random_csr(struct rng *r, size_t rows, size_t cols, unsigned kind)
{
	static const float odd[] = {0.0f, -0.0f, 1e-45f, -1e-45f, 3e38f, -3e38f, INFINITY, -INFINITY};
	struct csr c = {0};
	size_t i, j, n = 0;

	if (csr_resize(&c, rows, cols, rows * cols, &err))
		exit(1);
	for (i = 0; i < rows; i++) {
		for (j = 0; j < cols; j++) {
			if (rng_below(r, 4) == 0 || i % 5 == 3)
				continue;
			c.idx[n] = (uint32_t)j;
			c.val[n] = kind == 0 ? (float)rng_normal(r) : kind == 1 ? (float)rng_below(r, 7) - 3 : 2;
			if (kind == 0 && rng_below(r, 5) == 0)
				c.val[n] = odd[rng_below(r, COUNT(odd))];
			n++;
		}
		c.ptr[i + 1] = (uint32_t)n;
	}
	return c;
}

static float *
dense_of(const struct csr *c)
{
	float *x = need(c->rows * c->cols * 4 + 4);
	size_t r, i;

	for (r = 0; r < c->rows; r++)
		for (i = c->ptr[r]; i < c->ptr[r + 1]; i++)
			x[r * c->cols + c->idx[i]] = c->val[i];
	return x;
}

static int
check_topk(const struct csr *in, size_t k, bool abs)
{
	struct csr plain = {0}, out = {0};
	float *x = dense_of(in);
	static const char *const names[] = {"plain", "avx2", "avx512"};
	const struct simd *simd;
	size_t p, i;
	int ok = topk_rows_plain(csr_view(in), k, abs, &plain, &err) == 0 && csr_sound(&plain, k);

	for (i = 0; i < COUNT(names); i++)
		for (p = 0; p < POOLS && (simd = simd_for(names[i])); p++) {
			ok &= topk_rows(csr_view(in), k, abs, pools[p], simd, &out, &err) == 0 && csr_same(&plain, &out);
			ok &= topk_dense(x, in->rows, in->cols, k, abs, pools[p], simd, &out, &err) == 0 && csr_same(&plain, &out);
		}
	csr_free(&plain);
	csr_free(&out);
	mem_free(x);
	return ok;
}

/* Long rows, for which the one before is a bad guide: each its own scale, some
 * with few positive numbers, of few values, of NaN and infinities. */
static int
check_long(struct rng *r, size_t cols, size_t k)
{
	struct csr in = {0};
	size_t rows = 75, i, j, at = 0;
	float scale;
	int ok;

	if (csr_resize(&in, rows, cols, rows * cols, &err))
		exit(1);
	for (i = 0; i < rows; i++) {
		scale = i % 7 == 3 ? 1e30f : i % 7 == 4 ? 1e-30f : 1 + (float)rng_uniform(r);
		for (j = 0; j < cols; j++, at++) {
			in.idx[at] = (uint32_t)j;
			in.val[at] = scale * (float)rng_normal(r);
			if (i % 9 == 5 || (i % 11 == 6 && j % 100 == 0))
				in.val[at] = i % 2 ? (float)rng_below(r, 3) : rng_below(r, 20) ? -1 : INFINITY;
			if (i % 13 == 8 && j % 3 == 0)
				in.val[at] = NAN;
		}
		in.ptr[i + 1] = (uint32_t)at;
	}
	ok = check_topk(&in, k, false);
	csr_free(&in);
	return ok;
}

static int
check_batch(const struct csr *in, size_t k, bool abs)
{
	struct csr plain = {0}, out = {0};
	int ok = topk_batch_plain(csr_view(in), k, abs, &plain, &err) == 0 &&
	         topk_batch(csr_view(in), k, abs, &out, &err) == 0 && csr_same(&plain, &out) &&
	         out.ptr[out.rows] <= k * in->rows;

	csr_free(&plain);
	csr_free(&out);
	return ok;
}

static void
test_topk(void)
{
	static const size_t shape[][2] = {{0, 5}, {1, 1}, {1, 40}, {7, 3}, {70, 33}, {9, 300}};
	struct csr in;
	struct rng r;
	size_t i, j;
	unsigned kind;
	int rows = 1, batch = 1, guesses = 1;

	rng_seed(&r, 19, 0);
	for (i = 0; i < 8; i++)
		guesses &= check_long(&r, 300 + 211 * i, (size_t)1 << i);
	tap_ok(guesses, "topk_rows, topk_dense: long rows that differ much");
	for (i = 0; i < COUNT(shape); i++)
		for (kind = 0; kind < 3; kind++) {
			size_t m = shape[i][1], k[] = {0, 1, 2, m / 2, m - 1, m, m + 3};

			in = random_csr(&r, shape[i][0], m, kind);
			for (j = 0; j < 2 * COUNT(k); j++) {
				rows &= check_topk(&in, k[j / 2], j % 2);
				batch &= check_batch(&in, k[j / 2], j % 2);
			}
			csr_free(&in);
		}
	tap_ok(rows, "topk_rows, topk_dense: what sorting gives, ties, negatives and zeros too; 1 to 3 threads");
	tap_ok(batch, "topk_batch: what sorting gives");
}

static void
test_pick(void)
{
	uint32_t idx[] = {2, 3, 5, 8, 9, 30};
	float val[] = {1, -4, 1, 1, 0, -0.0f};
	uint64_t scratch[6];
	uint32_t out[6];
	float v[6];

	tap_ok(topk_pick(idx, val, 6, 2, false, out, v, scratch) == 2 && out[0] == 2 && out[1] == 5, "topk_pick: first of equals");
	tap_ok(topk_pick(idx, val, 6, 4, false, out, v, scratch) == 4 && out[3] == 9, "topk_pick: 0 and -0 are equal");
	tap_ok(topk_pick(idx, val, 6, 9, false, out, v, scratch) == 6 && out[5] == 30 && v[1] == -4, "topk_pick: k beyond n");
	tap_ok(topk_pick(idx, val, 6, 2, true, idx, val, scratch) == 2 && idx[0] == 2 && idx[1] == 3 && val[1] == -4,
	       "topk_pick: by magnitude, in place");
	tap_ok(topk_pick(idx, val, 0, 3, true, out, v, scratch) == 0 && topk_pick(idx, val, 6, 0, true, out, v, scratch) == 0,
	       "topk_pick: nothing of nothing");
}

/* ---- norm ---- */

static void
test_norm_fit(void)
{
	enum { N = 137, D = 29 };
	static const size_t cut[] = {1, 3, 64, N};
	struct norm_fit f;
	struct rng r;
	float *x, mean[D], first[D], scale, first_scale = 0, one[D];
	double mu[D] = {0}, square = 0;
	size_t i, j, at, n;
	int ok = 1;

	rng_seed(&r, 20, 0);
	x = normals(&r, N * D);
	for (i = 0; i < N * D; i++)
		x[i] = x[i] * 0.01f + 1000; /* far from the origin */
	for (i = 0; i < COUNT(cut); i++) {
		norm_fit_init(&f, D, &err);
		for (at = 0; at < N; at += n) {
			n = N - at < cut[i] ? N - at : cut[i];
			norm_fit_rows(&f, x + at * D, n);
			norm_fit_rows(&f, x, 0);
		}
		ok &= norm_fit_result(&f, mean, &scale) == 0;
		if (!i) {
			memcpy(first, mean, sizeof first);
			first_scale = scale;
		}
		ok &= same(first, mean, sizeof mean) && scale == first_scale;
		norm_fit_free(&f);
	}
	tap_ok(ok, "norm_fit: the same bytes however rows are cut");
	for (i = 0; i < N * D; i++)
		mu[i % D] += x[i] / (double)N;
	for (i = 0; i < N * D; i++)
		square += (x[i] - mu[i % D]) * (x[i] - mu[i % D]) / N;
	for (ok = fabs(scale * sqrt(square / D) - 1) < 1e-6, j = 0; j < D; j++)
		ok &= fabs(mean[j] - mu[j]) <= 1e-7 * 1000;
	tap_ok(ok, "norm_fit: mean and scale of two passes, far from the origin");
	norm_fit_init(&f, D, &err);
	ok = norm_fit_result(&f, one, &scale) == 1 && scale == 1 && one[0] == 0;
	for (i = 0; i < 9; i++)
		norm_fit_rows(&f, x, 1);
	ok &= norm_fit_result(&f, one, &scale) == 1 && scale == 1 && same(one, x, sizeof one);
	tap_ok(ok, "norm_fit: no rows, and rows that do not vary, are told");
	norm_fit_free(&f);
	mem_free(x);
}

static void
test_norm_apply(void)
{
	enum { N = 13, D = 37 };
	struct rng r;
	float *x, *y, *back, *mean, norms[N];
	size_t i, j;
	int ok = 1, unit = 1;
	double len;

	rng_seed(&r, 21, 0);
	x = normals(&r, N * D);
	mean = normals(&r, D);
	y = need(N * D * 4);
	back = need(N * D * 4);
	norm_apply(y, x, N, D, mean, 2.75f, tables[0]);
	norm_undo(back, y, N, D, mean, 2.75f, tables[0]);
	for (i = 0; i < N * D; i++)
		ok &= fabs(back[i] - x[i]) <= 4 * 6e-8 * (fabs(x[i]) + fabs(mean[i % D])) && y[i] == (x[i] - mean[i % D]) * 2.75f;
	memcpy(back, x, N * D * 4);
	norm_apply(back, back, N, D, mean, 2.75f, tables[0]);
	tap_ok(ok && same(back, y, N * D * 4), "norm_apply, norm_undo: there and back within rounding, in place too");
	memset(x + 2 * D, 0, D * 4);
	for (j = 0; j < D; j++) {
		x[3 * D + j] *= 1e30f;
		x[4 * D + j] *= 1e-42f;
	}
	norm_l2(y, x, N, D, norms);
	norm_l2_undo(back, y, N, D, norms);
	for (i = 0; i < N; i++) {
		for (len = 0, j = 0; j < D; j++) {
			len += (double)y[i * D + j] * y[i * D + j];
			unit &= fabs(back[i * D + j] - x[i * D + j]) <= 2e-7 * norms[i] + 1e-45;
		}
		unit &= fabs(sqrt(len) - (i != 2)) < 1e-6;
	}
	tap_ok(unit && norms[2] == 0, "norm_l2: unit rows, huge, subnormal and zero ones too, and back");
	mem_free(x);
	mem_free(y);
	mem_free(back);
	mem_free(mean);
}

/* ---- plant ---- */

static int
names_are_good(void)
{
	static char name[600][32];
	size_t i, j;
	int ok = 1;

	for (i = 0; i < 600; i++) {
		ok &= plant_name(i, name[i]) == name[i] && strlen(name[i]) > 2 && strlen(name[i]) < 24;
		ok &= name[i][0] >= 'a' && name[i][0] <= 'z' && (i < 256) == !strchr(name[i], ' ');
		for (j = 0; j < i; j++)
			ok &= strcmp(name[i], name[j]) != 0;
	}
	return ok;
}

static void
test_plant_rows(const struct plant *p)
{
	enum { N = 500 };
	size_t d = p->o.d, at, n, i, j;
	float *x = need(N * d * 4), *part = need(N * d * 4);
	struct csr truth = {0}, some = {0};
	double dot, len;
	int ok = 1;

	plant_rows(p, 1000, N, pools[0], x, &truth, &err);
	for (at = 0; at < N; at += n) {
		n = 1 + at % 90 < N - at ? 1 + at % 90 : N - at;
		ok &= plant_rows(p, 1000 + at, n, pools[at % POOLS], part, at % 2 ? &some : NULL, &err) == 0;
		ok &= same(part, x + at * d, n * d * 4);
		if (at % 2)
			ok &= same(some.val, truth.val + truth.ptr[at], some.ptr[n] * 4ul) &&
			      some.ptr[n] == truth.ptr[at + n] - truth.ptr[at];
	}
	tap_ok(ok, "plant_rows: a row does not depend on block, threads or whether the truth is asked for");
	for (ok = csr_sound(&truth, truth.cols), i = 0; i < N; i++)
		ok &= truth.ptr[i + 1] > truth.ptr[i];
	for (i = 0; i < truth.ptr[N]; i++)
		ok &= truth.val[i] >= 1;
	tap_ok(ok, "plant_rows: every row has a concept, of strength 1 or more");
	for (ok = 1, j = 0; j < p->o.concepts; j++) {
		for (dot = len = 0, i = 0; i < d; i++) {
			dot += (double)p->dictionary[j * d + i] * p->offset[i];
			len += (double)p->dictionary[j * d + i] * p->dictionary[j * d + i];
		}
		ok &= fabs(dot) < 1e-6 && fabs(len - 1) < 1e-6;
	}
	tap_ok(ok, "plant: directions of length 1, orthogonal to the offset");
	ok = plant_rows(p, 7, 0, NULL, x, &some, &err) == 0 && some.rows == 0 && some.ptr[0] == 0;
	tap_ok(ok, "plant_rows: no rows");
	csr_free(&truth);
	csr_free(&some);
	mem_free(x);
	mem_free(part);
}

/* On concepts found, false alarms of the worst latent, and whether the data is
 * what the model was told. */
static void
test_plant_model(double noise, double power)
{
	enum { N = 4000 };
	struct plant_opts o = {64, 48, 5, 4, power, noise};
	struct plant p;
	struct sae s;
	struct csr truth = {0}, z;
	float *x = need(N * 64 * 4), *xhat = need(N * 64 * 4);
	size_t wrong[48] = {0}, found = 0, worst = 0, r, i, j;
	double square = 0, left = 0;

	if (plant_init(&p, &o, &err) || plant_model(&p, &s, &err)) {
		printf("Bail out! %s\n", err.text);
		exit(1);
	}
	plant_rows(&p, 0, N, pools[1], x, &truth, &err);
	norm_apply(x, x, N, 64, s.mean, s.scale, tables[0]);
	z = run_encode(&s, pools[1], tables[0], x, N, 0);
	for (r = 0; r < N; r++)
		for (j = truth.ptr[r], i = z.ptr[r]; i < z.ptr[r + 1]; i++) {
			while (j < truth.ptr[r + 1] && truth.idx[j] < z.idx[i])
				j++;
			if (j < truth.ptr[r + 1] && truth.idx[j] == z.idx[i])
				found++;
			else
				wrong[z.idx[i]]++;
		}
	for (j = 0; j < 48; j++)
		worst = wrong[j] > worst ? wrong[j] : worst;
	decode(&s, csr_view(&z), pools[1], tables[0], xhat);
	for (i = 0; i < N * 64; i++) {
		square += (double)x[i] * x[i];
		left += ((double)x[i] - xhat[i]) * ((double)x[i] - xhat[i]);
	}
	tap_ok((double)found > 0.95 * truth.ptr[N] && worst < N / 100,
	       "plant_model, noise %g, power %g: %zu of %u concepts found, at most %zu false of %d in a latent",
	       noise, power, found, truth.ptr[N], worst, N);
	tap_ok(fabs(square / (64.0 * N) - 1) < 0.02 && left < 0.05 * square && s.arch == ARCH_RELU && !strcmp(s.trained_on, "planted"),
	       "plant_model: rows of norm sqrt(d), %.1f %% unexplained", 100 * left / square);
	csr_free(&truth);
	csr_free(&z);
	mem_free(x);
	mem_free(xhat);
	sae_free(&s);
	plant_free(&p);
}

static void
test_plant(void)
{
	struct plant_opts o = {33, 70, 99, 6, 1, 0.2}, bad;
	struct plant p;
	double sum = 0, on = 0;
	struct csr truth = {0};
	float *x = need(4000 * 33 * 4);
	size_t j;
	int ok = 1;

	tap_ok(plant_init(&p, &o, &err) == 0, "plant_init");
	for (j = 0; j < 70; j++) {
		sum += p.frequency[j];
		ok &= p.frequency[j] > 0 && p.frequency[j] <= 0.5 && (!j || p.frequency[j] <= p.frequency[j - 1]);
	}
	tap_ok(ok && fabs(sum - 6) < 1e-9, "plant: frequencies fall, stay below a half and sum to `active`");
	plant_rows(&p, 0, 4000, pools[2], x, &truth, &err);
	on = truth.ptr[4000] / 4000.0;
	tap_ok(fabs(on - 6) < 0.15, "plant_rows: %.2f concepts a row", on);
	csr_free(&truth);
	mem_free(x);
	test_plant_rows(&p);
	plant_free(&p);
	for (ok = 1, j = 0; j < 6; j++) {
		bad = o;
		if (j == 0) bad.d = 1;
		if (j == 1) bad.concepts = 0;
		if (j == 2) bad.active = 36;
		if (j == 3) bad.active = 0;
		if (j == 4) bad.noise = -1;
		if (j == 5) bad.power = NAN;
		ok &= plant_init(&p, &bad, &err) == CODE_USAGE && !p.dictionary;
	}
	tap_ok(ok, "plant_init refuses options that make no sense");
	tap_ok(names_are_good(), "plant_name: 256 nouns, then numbered, all different");
	test_plant_model(0.1, 1);
	test_plant_model(0.3, 1);
	test_plant_model(0.3, 0.5);
}

/* In one dimension the geometric median is a median; far points do not draw it
 * as they draw the mean; where it lies, unit vectors to the rows sum to 0. */
static void
test_median(void)
{
	const float line[] = {1, 2, 3, 4, 1000}, same[] = {2, 2, 2, 2};
	float out[5] = {0}, x[40 * 5];
	double sum[5] = {0}, far, most = 0;
	struct rng r;
	size_t i, j;

	tap_ok(!norm_median(out, line, 5, 1, &err) && fabs(out[0] - 3) < 0.1, "median: of numbers %g", (double)out[0]);
	tap_ok(!norm_median(out, same, 2, 2, &err) && out[0] == 2 && out[1] == 2, "median: of equal rows");
	rng_seed(&r, 1, 1);
	for (i = 0; i < 200; i++)
		x[i] = (float)(rng_normal(&r) * (i < 20 ? 50 : 1));
	tap_ok(!norm_median(out, x, 40, 5, &err), "median: of rows");
	for (i = 0; i < 40; i++) {
		far = 0;
		for (j = 0; j < 5; j++)
			far += (x[i * 5 + j] - (double)out[j]) * (x[i * 5 + j] - (double)out[j]);
		for (j = 0; j < 5; j++)
			sum[j] += (x[i * 5 + j] - (double)out[j]) / sqrt(far);
	}
	for (j = 0; j < 5; j++)
		most = fmax(most, fabs(sum[j]));
	tap_ok(most < 1e-3, "median: the pulls cancel (%g)", most);
}

int
main(void)
{
	static const char *const name[] = {"avx512vnni", "avx512", "avx2", "plain"};
	unsigned i;

	for (i = 0; i < 4; i++)
		if (simd_for(name[i]))
			tables[ntables++] = simd_for(name[i]);
	for (i = 0; i < POOLS; i++)
		pools[i] = pool_new(i + 1, &err);
	tap_ok(simd_for(NULL) == tables[0] && !simd_for("mmx") && !strcmp(tables[ntables - 1]->name, "plain"),
	       "simd_for: the best is %s", tables[0]->name);
	for (i = 0; i < ntables; i++)
		test_simd(tables[i]);
	test_blas();
	test_encode_shapes();
	test_encode_ties();
	test_encode_cap();
	test_encode_again();
	test_decode();
	test_topk();
	test_pick();
	test_norm_fit();
	test_norm_apply();
	test_median();
	test_plant();
	for (i = 0; i < POOLS; i++)
		pool_free(pools[i]);
	return tap_done();
}
