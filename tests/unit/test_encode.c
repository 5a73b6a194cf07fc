/* The defined value of a code, and the ways that lead to it: every kernel gives
 * the bits of dot_plain, bounds of screens hold, and screened codes are those
 * of all latents, on a million rows made to be hard. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "sae/encode.h"
#include "sae/screen.h"
#include "sae/topk.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct err err;
static struct pool *pool;
static const struct simd *tables[4];
static size_t ntables;

static void *
need(size_t n)
{
	void *p = mem_alloc(n + 1);

	if (!p) {
		printf("Bail out! out of memory\n");
		exit(1);
	}
	return memset(p, 0, n + 1);
}

static void
check(int failed)
{
	if (failed) {
		printf("Bail out! %s\n", err.text);
		exit(1);
	}
}

static void
normals(struct rng *r, float *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (float)rng_normal(r);
}

static int
same(const struct csr *a, const struct csr *b)
{
	size_t n = a->ptr[a->rows];

	return a->rows == b->rows && !memcmp(a->ptr, b->ptr, (a->rows + 1) * sizeof *a->ptr) &&
	       (!n || (!memcmp(a->idx, b->idx, n * sizeof *a->idx) && !memcmp(a->val, b->val, n * sizeof *a->val)));
}

/* ---- kernels ---- */

static int
check_tile(const struct simd *s, struct rng *r, size_t rows, size_t cols, size_t width)
{
	size_t ld = cols + 3, n = rows * cols, i, j;
	float *x = need(rows * width * 4), *w = need(cols * width * 4), *p = need(rows * ld * 4 + 4), *q = need(n * 4 + 4), right;
	struct dot_pair *pair = need(n * sizeof *pair + 1);
	int ok = 1;

	normals(r, x, rows * width);
	normals(r, w, cols * width);
	for (i = 0; i < rows * ld; i++)
		p[i] = -7;
	s->dot_tile(x, rows, w, cols, width, p, ld);
	for (i = 0; i < n; i++)
		pair[i] = (struct dot_pair){(uint32_t)((n - 1 - i) / cols), (uint32_t)((n - 1 - i) % cols), (uint32_t)(n - 1 - i)};
	s->dot_pairs(x, w, width, pair, n, q);
	for (i = 0; i < rows; i++) {
		for (j = 0; j < cols; j++) {
			right = dot_plain(x + i * width, w + j * width, width);
			ok &= !memcmp(&right, &p[i * ld + j], 4) && !memcmp(&right, &q[i * cols + j], 4);
		}
		for (; j < ld; j++)
			ok &= p[i * ld + j] == -7;
	}
	mem_free(x);
	mem_free(w);
	mem_free(p);
	mem_free(q);
	mem_free(pair);
	return ok;
}

static void
test_dots(const struct simd *s)
{
	static const size_t rows[] = {0, 1, 2, 3, 4, 5, 9, 13}, cols[] = {0, 1, 2, 3, 5, 6, 7, 12, 25}, width[] = {16, 32, 48, 528};
	struct rng r;
	size_t i, j, k;
	int ok = 1;

	rng_seed(&r, 1, 0);
	for (i = 0; i < COUNT(rows); i++)
		for (j = 0; j < COUNT(cols); j++)
			for (k = 0; k < COUNT(width); k++)
				ok &= check_tile(s, &r, rows[i], cols[j], width[k]);
	tap_ok(ok, "%s: products of tiles and of pairs are the bits of the plain dot product", s->name);
}

static void
test_turn(void)
{
	static const size_t shape[][2] = {{1, 1}, {16, 3}, {17, 40}, {33, 65}, {100, 31}};
	size_t i, j, k, d, m, width;
	float *a, *b;
	int ok = 1;

	for (i = 0; i < COUNT(shape); i++) {
		d = shape[i][0], m = shape[i][1], width = dot_width(d);
		a = need(d * m * 4);
		b = need(width * m * 4);
		for (j = 0; j < d * m; j++)
			a[j] = (float)j + 1;
		memset(b, 1, width * m * 4);
		dot_weights(b, a, d, m);
		for (j = 0; j < m; j++)
			for (k = 0; k < width; k++)
				ok &= b[j * width + k] == (k < d ? a[k * m + j] : 0);
		mem_free(a);
		mem_free(b);
	}
	tap_ok(ok, "weights are turned, zeros behind each row");
}

/* A sum by itself, in lanes, is not what any other order gives. */
static void
test_plain(void)
{
	float x[32], w[32], s;
	size_t i;

	for (i = 0; i < 32; i++) {
		x[i] = i % 16 == 0 ? 1e8f : 1;
		w[i] = i < 16 ? 1 : -1;
	}
	w[17] = 3;
	s = dot_plain(x, w, 32);
	tap_ok(s == 4, "the plain dot product sums in sixteen lanes: %g", s);
}

static int
check_round(const struct simd *s, const float *x, size_t n)
{
	int8_t *q = need(n);
	struct rounded got = s->round_row(x, n, q);
	double xx = 0, ee = 0, e;
	int32_t sum = 0;
	size_t i;
	int ok = 1;

	for (i = 0; i < n; i++) {
		e = x[i] - (double)got.scale * q[i];
		xx += (double)x[i] * x[i];
		ee += e * e;
		sum += q[i];
		ok &= q[i] >= -127;
		if (!isnan(got.length))
			ok &= fabs(e) <= got.scale * .50001;
	}
	ok &= sum == got.sum;
	if (!isnan(got.length))
		ok &= fabs(got.length - sqrt(xx)) <= 1e-5 * sqrt(xx) && fabs(got.rest - sqrt(ee)) <= 1e-5 * sqrt(xx);
	mem_free(q);
	return ok;
}

static void
test_round(const struct simd *s)
{
	static const float odd[] = {0, 1e-45f, 1e-30f, 1e-17f, 1, 1e17f, 1e30f, INFINITY, NAN};
	struct rng r;
	float x[96];
	size_t i, j;
	int ok = 1;

	rng_seed(&r, 2, 0);
	for (i = 0; i < COUNT(odd); i++)
		for (j = 0; j < 6; j++) {
			normals(&r, x, 96);
			if (j < 3)
				memset(x, 0, sizeof x);
			x[j * 17] = j % 2 ? -odd[i] : odd[i];
			ok &= check_round(s, x, 16 * (1 + j));
		}
	tap_ok(ok, "%s: rows are rounded to bytes, within half a step; what is out of range is left", s->name);
}

/* ---- models and rows that are hard ---- */

enum kind { EVEN, CLONES, WHOLE, SPREAD, OUTLIER, BIASED, GATED, KINDS };
static const char *const kind_name[] = {"even", "clones a bit apart", "whole numbers, ties", "lengths from 1e-6 to 1e6",
                                        "one input a thousand times the others", "large biases", "thresholds"};

static struct sae
hard_model(struct rng *r, enum kind kind, size_t d, size_t m)
{
	struct sae s;
	size_t i, j;

	check(sae_init(&s, d, m, kind == GATED, &err));
	normals(r, s.W_enc, d * m);
	normals(r, s.b_enc, m);
	normals(r, s.b_dec, d);
	for (j = 0; j < m; j++) {
		if (kind == GATED)
			s.threshold[j] = (float)sqrt((double)d) * 1.5f + (float)rng_normal(r) - (j % 50 == 0 ? 1000 : 0);
		if (kind == BIASED)
			s.b_enc[j] = 1e6f + (float)(j % 3);
		if (kind == CLONES)
			s.b_enc[j] = 0;
		for (i = 0; i < d; i++)
			switch (kind) {
			case CLONES:
				s.W_enc[i * m + j] = s.W_enc[i * m + j % 5] * (i == 0 ? 1 + (float)(j / 5 % 4) * 0x1p-23f : 1);
				break;
			case WHOLE:
				s.W_enc[i * m + j] = (float)rng_below(r, 5) - 2;
				break;
			case SPREAD:
				s.W_enc[i * m + j] *= powf(10, (float)(j % 13) - 6);
				break;
			case OUTLIER:
				if (i == 1)
					s.W_enc[i * m + j] *= 50;
				break;
			default:
				break;
			}
	}
	for (j = 0; j < m && kind == WHOLE; j++)
		s.b_enc[j] = (float)rng_below(r, 3);
	for (i = 0; i < d && kind == WHOLE; i++)
		s.b_dec[i] = (float)rng_below(r, 3);
	return s;
}

static void
hard_rows(struct rng *r, enum kind kind, float *x, size_t n, size_t d)
{
	static const float scale[] = {1, 1, 1, 0, 1e-3f, 1e3f, 1e-12f, 1e12f, 1e-30f, 1e20f};
	size_t i, j;
	float by;

	normals(r, x, n * d);
	for (i = 0; i < n; i++) {
		by = kind == WHOLE ? 1 : scale[rng_below(r, COUNT(scale))];
		for (j = 0; j < d; j++)
			x[i * d + j] = kind == WHOLE ? (float)rng_below(r, 5) - 2 : x[i * d + j] * by;
		if (kind == OUTLIER && d > 1)
			x[i * d + 1] *= 1000;
	}
}

/* ---- screens ---- */

/* Whether the bound of latent j of a row holds, a as it is kept in 16 bits. */
static int
bound_holds(double p, float a, uint16_t kept, float u)
{
	uint32_t bits = (uint32_t)kept << 16;
	float near;

	memcpy(&near, &bits, sizeof near);
	return fabs((double)near - a) <= fabs(a) * 0x1p-8 && u >= p && near - (u - near) * 1.000001 <= p;
}

/* Latents from..to-1 of rows first..end-1. Adds bound over |x||w| to total. */
static int
check_band(const struct simd *simd, const struct sae *s, const struct screen *screen, const struct screen_rows *w, const float *wt,
           const size_t at[4], double *total, size_t *seen)
{
	size_t n = at[3] - at[2], width = w->width, i, j;
	float *a = need((at[1] - at[0] + BYTE_ROWS) * SCREEN_COLS * 4), u[SCREEN_COLS], *row;
	uint16_t kept[SCREEN_COLS];
	double p;
	int ok = 1;

	screen_product(screen, w, at[0], at[1], at[2], at[3], a);
	for (i = at[0]; i < at[1]; i++) {
		if (isnan(w->length[i]))
			continue;
		row = a + (i - at[0]) * SCREEN_COLS;
		simd->shorten(kept, row, n);
		screen_upper(screen, w, i, at[2], n, kept, u);
		for (j = 0; j < n; j++) {
			p = (double)(dot_plain(w->x + i * width, wt + (at[2] + j) * width, width) + s->b_enc[at[2] + j]);
			ok &= bound_holds(p, row[j], kept[j], u[j]);
			if (w->length[i] > .1 && w->length[i] < 1e5) {
				*total += ((double)u[j] - row[j]) / (w->length[i] * sqrt((double)s->d));
				++*seen;
			}
		}
	}
	mem_free(a);
	return ok;
}

/* Whether the bounds of all latents of n rows hold; and the mean of bound over
 * what products come to, |x||w|. */
static int
check_bounds(const struct simd *simd, enum screen_kind how, enum kind kind, struct rng *r, size_t n, size_t d, size_t m, double *mean)
{
	struct sae s = hard_model(r, kind, d, m);
	size_t width = dot_width(d), at[4], i, j, seen = 0;
	float *x = need((n + BYTE_ROWS) * width * 4), *wt = need(m * width * 4), *rows = need(n * d * 4);
	struct screen_rows w;
	struct screen *screen;
	double total = 0;
	int ok = 1;

	hard_rows(r, kind, rows, n, d);
	for (i = 0; i < n; i++)
		for (j = 0; j < d; j++)
			x[i * width + j] = rows[i * d + j];
	dot_weights(wt, s.W_enc, d, m);
	check(screen_new(&screen, &s, wt, rows, n, how, simd, &err) || screen_rows_new(&w, n, d, 1, &err));
	w.x = x;
	if (screen) {
		screen_take(screen, &w, 0, n, 0);
		for (at[2] = 0; at[2] < m; at[2] = at[3]) {
			at[3] = m - at[2] < SCREEN_COLS ? m : at[2] + SCREEN_COLS;
			for (at[0] = 0; at[0] < n; at[0] = at[1]) {
				at[1] = n - at[0] < screen_step(screen) ? n : at[0] + screen_step(screen);
				ok &= check_band(simd, &s, screen, &w, wt, at, &total, &seen);
			}
		}
	}
	*mean = seen ? total / (double)seen : 0;
	screen_free(screen);
	screen_rows_free(&w);
	mem_free(x);
	mem_free(wt);
	mem_free(rows);
	sae_free(&s);
	return ok;
}

static void
test_bounds(const struct simd *simd, enum screen_kind how)
{
	static const size_t shape[][3] = {{1, 1, 1}, {3, 17, 33}, {29, 100, 70}, {6, 768, 200}, {17, 20, 1100}};
	struct rng r;
	double mean, even = 0;
	size_t i, k;
	int ok = 1;

	rng_seed(&r, 3, how);
	for (i = 0; i < COUNT(shape); i++)
		for (k = 0; k < KINDS; k++) {
			ok &= check_bounds(simd, how, (enum kind)k, &r, shape[i][0], shape[i][1], shape[i][2], &mean);
			if (k == EVEN)
				even = mean;
		}
	tap_ok(ok, "%s: bounds of the screen by %s hold", simd->name, how == SCREEN_BLAS ? "BLAS" : "bytes");
	tap_ok(even > 0 && even < (how == SCREEN_BLAS ? .002 : .04), "and are no wider than they should be: %.5f of the lengths", even);
}

/* ---- ways ---- */

static struct csr
codes_of(const struct sae *s, const struct simd *simd, enum encode_way way, const float *x, size_t n, size_t k, struct encode_counts *c)
{
	struct encoder *enc = encoder_new_way(s, pool, simd, way, &err);
	struct csr z = {0};

	check(!enc || encode(enc, x, n, k, &z, &err));
	*c = encoder_counts(enc);
	encoder_free(enc);
	return z;
}

/* n rows by every way of every table; how many the screens decided. */
static int
check_ways(enum kind kind, size_t n, size_t d, size_t m, size_t k, uint64_t *screened)
{
	struct rng r;
	struct sae s;
	struct csr right, z;
	struct encode_counts c;
	float *x = need(n * d * 4);
	size_t t, way;
	int ok = 1;

	rng_seed(&r, 4, (uint64_t)kind);
	s = hard_model(&r, kind, d, m);
	hard_rows(&r, kind, x, n, d);
	right = codes_of(&s, tables[0], ENCODE_ALL, x, n, k, &c);
	ok &= c.screened == 0 && c.rows == n;
	for (t = 0; t < ntables; t++)
		for (way = ENCODE_BEST; way <= ENCODE_BLAS; way++) {
			if ((way == ENCODE_ALL && t == 0) || (way == ENCODE_BYTES && !tables[t]->byte_tile) || (n > 10000 && t > 0))
				continue;
			z = codes_of(&s, tables[t], (enum encode_way)way, x, n, k, &c);
			if (!same(&right, &z)) {
				ok = 0;
				printf("# %s, way %zu, %s, %zu rows, %zu -> %zu, k %zu: other codes\n", tables[t]->name, way, kind_name[kind], n, d, m, k);
			}
			*screened += c.screened;
			csr_free(&z);
		}
	csr_free(&right);
	mem_free(x);
	sae_free(&s);
	return ok;
}

static void
test_ways(enum kind kind)
{
	static const size_t shape[][4] = {{1, 16, 512, 8}, {7, 40, 700, 1}, {23, 33, 1100, 0}, {300, 24, 320, 20}, {50, 70, 2000, 125}, {2, 5, 513, 32}};
	uint64_t screened = 0;
	size_t i;
	int ok = 1;

	for (i = 0; i < COUNT(shape); i++)
		ok &= check_ways(kind, shape[i][0], shape[i][1], shape[i][2], shape[i][3], &screened);
	tap_ok(ok, "%s: the same codes by every way and table", kind_name[kind]);
	tap_ok(screened > 0, "and screens decided %llu rows", (unsigned long long)screened);
}

/* A million rows in all. */
static void
test_million(void)
{
	static const size_t k[KINDS] = {8, 3, 8, 8, 8, 8, 0};
	uint64_t screened = 0;
	size_t kind;
	int ok = 1;

	for (kind = 0; kind < KINDS; kind++)
		ok &= check_ways((enum kind)kind, 143000, 16, 128, k[kind], &screened);
	tap_ok(ok && screened > 100000, "a million rows: the same codes, %llu times by a screen", (unsigned long long)screened);
}

/* The k largest of all codes are the codes of k. */
static void
test_topk(void)
{
	enum { N = 90, D = 50, M = 1500 };
	struct encode_counts c;
	struct csr all, z, best = {0};
	struct rng r;
	struct sae s;
	float *x = need(N * D * 4);
	size_t t, k;
	int ok = 1;

	rng_seed(&r, 5, 0);
	s = hard_model(&r, CLONES, D, M);
	normals(&r, x, N * D);
	for (t = 0; t < ntables; t++)
		for (k = 1; k < 400; k = k * 3 + 1) {
			all = codes_of(&s, tables[t], ENCODE_BEST, x, N, 0, &c);
			z = codes_of(&s, tables[ntables - 1 - t], ENCODE_BEST, x, N, k, &c);
			check(topk_rows(csr_view(&all), k, false, pool, tables[t], &best, &err));
			ok &= same(&best, &z);
			csr_free(&all);
			csr_free(&z);
		}
	tap_ok(ok, "the k largest of all codes are the codes of k, bit for bit");
	csr_free(&best);
	mem_free(x);
	sae_free(&s);
}

/* Codes of rows 0..n-1 by themselves are those they have among more rows. */
static void
test_frames(void)
{
	enum { D = 52, M = 1300, N = 1300 };
	static const size_t cut[] = {1, 2, 3, 5, 8, 13, 100, 511, 512, 513};
	struct encode_counts c;
	struct csr all, z;
	struct rng r;
	struct sae s;
	float *x = need(N * D * 4);
	size_t i, j, k, from;
	int ok = 1;

	rng_seed(&r, 6, 0);
	s = hard_model(&r, EVEN, D, M);
	normals(&r, x, N * D);
	for (k = 0; k < 13; k += 12) {
		all = codes_of(&s, tables[0], ENCODE_BEST, x, N, k, &c);
		for (i = 0; i < COUNT(cut); i++)
			for (from = 0; from + cut[i] <= N && from < 700; from += 173) {
				z = codes_of(&s, tables[i % ntables], ENCODE_BEST, x + from * D, cut[i], k, &c);
				for (j = 0; ok && j <= cut[i]; j++)
					ok &= z.ptr[j] == all.ptr[from + j] - all.ptr[from];
				ok = ok && !memcmp(z.idx, all.idx + all.ptr[from], z.ptr[cut[i]] * 4ul) &&
				     !memcmp(z.val, all.val + all.ptr[from], z.ptr[cut[i]] * 4ul);
				csr_free(&z);
			}
		csr_free(&all);
	}
	tap_ok(ok, "a row's codes do not depend on the frame it is in");
	mem_free(x);
	sae_free(&s);
}

/* Weights that change are noticed when that is said. */
static void
test_renew(void)
{
	enum { N = 30, D = 20, M = 640, K = 9 };
	struct encode_counts c;
	struct encoder *enc;
	struct csr a, b, z = {0};
	struct rng r;
	struct sae s;
	float *x = need(N * D * 4);

	rng_seed(&r, 8, 0);
	s = hard_model(&r, EVEN, D, M);
	normals(&r, x, N * D);
	enc = encoder_new(&s, pool, tables[0], &err);
	check(!enc);
	a = codes_of(&s, tables[0], ENCODE_ALL, x, N, K, &c);
	check(encode(enc, x, N, K, &z, &err));
	tap_ok(same(&a, &z), "an encoder gives the codes of its model");
	normals(&r, s.W_enc, D * M);
	b = codes_of(&s, tables[0], ENCODE_ALL, x, N, K, &c);
	encoder_renew(enc);
	check(encode(enc, x, N, K, &z, &err));
	tap_ok(!same(&a, &b) && same(&b, &z), "and those of other weights once it is told");
	encoder_free(enc);
	csr_free(&a);
	csr_free(&b);
	csr_free(&z);
	mem_free(x);
	sae_free(&s);
}

/* What is kept when fast has the right values, and nearly all is found. */
/* Inputs that are much larger or smaller than the others, in frames short and
 * long, by encoders that share weights. */
static void
test_shifts(void)
{
	enum { N = 300, D = 250, M = 2000, K = 16, SHORT = 5 };
	const struct simd *best = simd_for(NULL);
	struct encode_counts first, then;
	struct encoder *enc, *other;
	struct csr right, z = {0};
	struct rng r;
	struct sae s;
	float *x = need(N * D * 4);
	size_t i, j;
	int ok;

	rng_seed(&r, 9, 0);
	check(sae_init(&s, D, M, 0, &err));
	normals(&r, s.W_enc, D * M);
	normals(&r, x, N * D);
	for (i = 0; i < N; i++) {
		for (j = 0; j < 3; j++)
			x[i * D + 70 * j] *= 30;
		x[i * D + 1] *= 1e-10f;
	}
	right = codes_of(&s, tables[0], ENCODE_ALL, x, N, K, &first);
	enc = encoder_new(&s, pool, best, &err);
	check(!enc || encode(enc, x, SHORT, K, &z, &err) || encode(enc, x, N, K, &z, &err));
	first = encoder_counts(enc);
	ok = same(&right, &z);
	other = encoder_share(enc, &err);
	check(!other || encode(other, x, N, K, &z, &err));
	then = encoder_counts(enc);
	tap_ok(ok && same(&right, &z) && then.rows == first.rows + N, "encoders that share weights give the same codes, counted together");
	if (best->byte_tile)
		tap_ok(then.screened - first.screened == N && then.computed - first.computed < N * 150, "large inputs do not spoil the screen: %llu latents a row",
		       (unsigned long long)(then.computed - first.computed) / N);
	encoder_free(other);
	encoder_free(enc);
	csr_free(&right);
	/* all that is left of a row vanishes when it is divided */
	memset(x, 0, D * sizeof *x);
	x[0] = 1e-42f;
	for (j = 0; j < D * M; j++)
		s.W_enc[j] = j < K ? 1e5f : s.W_enc[j] * 1e9f;
	for (j = 0; j < K; j++)
		s.b_enc[j] = 1e-36f;
	right = codes_of(&s, tables[0], ENCODE_ALL, x, N, K, &first);
	enc = encoder_new(&s, pool, best, &err);
	check(!enc || encode(enc, x, N, K, &z, &err));
	tap_ok(same(&right, &z), "a row too small to be divided is done by all latents");
	encoder_free(enc);
	csr_free(&right);
	csr_free(&z);
	mem_free(x);
	sae_free(&s);
}

static void
test_fast(void)
{
	enum { N = 1000, D = 60, M = 1600, K = 20 };
	struct encoder *enc;
	struct encode_counts c;
	struct csr right, z = {0};
	struct rng r;
	struct sae s;
	float *x = need(N * D * 4);
	size_t i, j, hit = 0, row;
	int ok = 1;

	rng_seed(&r, 7, 0);
	s = hard_model(&r, EVEN, D, M);
	normals(&r, x, N * D);
	right = codes_of(&s, tables[0], ENCODE_ALL, x, N, K, &c);
	enc = encoder_new_way(&s, pool, tables[0], tables[0]->byte_tile ? ENCODE_BYTES : ENCODE_BLAS, &err);
	check(!enc);
	encoder_be_fast(enc);
	check(encode(enc, x, N, K, &z, &err));
	c = encoder_counts(enc);
	for (row = 0; row < N; row++)
		for (i = z.ptr[row], j = right.ptr[row]; i < z.ptr[row + 1]; i++) {
			while (j < right.ptr[row + 1] && right.idx[j] < z.idx[i])
				j++;
			if (j == right.ptr[row + 1] || right.idx[j] != z.idx[i])
				continue;
			ok &= right.val[j] == z.val[i];
			hit++;
		}
	tap_ok(ok && z.ptr[N] == N * K && hit > N * K * .999, "fast: %zu of %d codes, with the right values", hit, N * K);
	tap_ok(c.wanted == (N + 63) / 64 * K && c.found <= c.wanted && c.found > c.wanted * .99,
	       "and of one row in 64, %llu of %llu were found", (unsigned long long)c.found, (unsigned long long)c.wanted);
	encoder_free(enc);
	csr_free(&right);
	csr_free(&z);
	mem_free(x);
	sae_free(&s);
}

int
main(void)
{
	static const char *const name[] = {"avx512vnni", "avx512", "avx2", "plain"};
	size_t i;

	for (i = 0; i < COUNT(name); i++)
		if (simd_for(name[i]))
			tables[ntables++] = simd_for(name[i]);
	pool = pool_new(2, &err);
	check(!pool);
	test_plain();
	test_turn();
	for (i = 0; i < ntables; i++) {
		test_dots(tables[i]);
		test_round(tables[i]);
		if (tables[i]->byte_tile)
			test_bounds(tables[i], SCREEN_BYTES);
		test_bounds(tables[i], SCREEN_BLAS);
	}
	for (i = 0; i < KINDS; i++)
		test_ways((enum kind)i);
	test_million();
	test_topk();
	test_frames();
	test_renew();
	test_shifts();
	test_fast();
	pool_free(pool);
	return tap_done();
}
