/* What is measured of models: each metric against its formula written out, and
 * against golden values of the authors' functions (tests/golden/README.md). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "golden.h"
#include "sae/cknna.h"
#include "sae/encode.h"
#include "sae/latents.h"
#include "sae/levels.h"
#include "sae/quality.h"
#include "sae/topk.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct err err;
static struct pool *pools[3]; /* of 1, 2 and 3 threads */
static const struct simd *tables[3];
static size_t ntables;

static void *
need(size_t n)
{
	void *p = mem_alloc(n ? n : 1);

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

static float *
golden(const char *name, size_t n)
{
	struct array a = golden_npy("metrics", name);
	float *p = need(n * sizeof *p);
	size_t i;

	if (a.rows * a.cols != n)
		golden_bail("metrics", name, "another size than expected");
	for (i = 0; i < n; i++)
		p[i] = (float)a.v[i];
	mem_free(a.v);
	return p;
}

static bool
near(double a, double b, double tolerance)
{
	return fabs(a - b) <= tolerance * (fabs(b) > 1 ? fabs(b) : 1);
}

/* ---- compare ---- */

static void
test_compare(void)
{
	struct rng r;
	struct compared c, first;
	float x[70], y[70];
	double e, ee, a, yy, xy;
	size_t n, i, t;
	bool right = true, same = true;

	rng_seed(&r, 1, 0);
	for (n = 0; n < COUNT(x); n++) {
		for (i = 0, e = ee = a = yy = xy = 0; i < n; i++) {
			x[i] = (float)rng_normal(&r);
			y[i] = (float)rng_normal(&r);
			e += (double)x[i] - y[i];
			ee += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
			a += fabs((double)x[i] - y[i]);
			yy += (double)y[i] * y[i];
			xy += (double)x[i] * y[i];
		}
		for (t = 0; t < ntables; t++) {
			tables[t]->compare(x, y, n, &c);
			if (!t)
				first = c;
			same = same && !memcmp(&c, &first, sizeof c);
			right = right && near(c.e, e, 1e-13) && near(c.ee, ee, 1e-13) && near(c.abs, a, 1e-13) && near(c.yy, yy, 1e-13) && near(c.xy, xy, 1e-13);
		}
	}
	tap_ok(right, "compare: sums of rows of 0 to 69 numbers");
	tap_ok(same, "compare: the same bytes from every instruction set");
}

/* ---- levels ---- */

static bool
same_csr(struct csr_view a, struct csr_view b)
{
	return a.rows == b.rows && !memcmp(a.ptr, b.ptr, (a.rows + 1) * sizeof *a.ptr) &&
	       !memcmp(a.idx, b.idx, a.ptr[a.rows] * sizeof *a.idx) && !memcmp(a.val, b.val, a.ptr[a.rows] * sizeof *a.val);
}

/* The union of two sets of codes of the same rows, which have none in common. */
static void
unite(struct csr_view a, struct csr_view b, struct csr *out)
{
	size_t r;
	uint32_t i, j, at = 0;

	csr_resize(out, a.rows, a.cols, a.ptr[a.rows] + b.ptr[b.rows], &err);
	for (r = 0; r < a.rows; r++) {
		for (i = a.ptr[r], j = b.ptr[r]; i < a.ptr[r + 1] || j < b.ptr[r + 1]; at++)
			if (j == b.ptr[r + 1] || (i < a.ptr[r + 1] && a.idx[i] < b.idx[j])) {
				out->idx[at] = a.idx[i];
				out->val[at] = a.val[i++];
			} else {
				out->idx[at] = b.idx[j];
				out->val[at] = b.val[j++];
			}
		out->ptr[r + 1] = at;
	}
}

/* Codes with many ties and some empty rows. */
static void
some_codes(struct csr *z, size_t rows, size_t m, double share, struct rng *r)
{
	size_t i, j;
	uint32_t at = 0;

	csr_resize(z, rows, m, rows * m, &err);
	for (i = 0; i < rows; i++) {
		for (j = 0; j < m && i % 5 != 3; j++)
			if (rng_uniform(r) < share) {
				z->idx[at] = (uint32_t)j;
				z->val[at++] = (float)(1 + rng_below(r, 4));
			}
		z->ptr[i + 1] = at;
	}
}

static void
test_levels(size_t rows, size_t m, double share, const size_t *ks, size_t nks)
{
	struct csr z = {0}, cut[2] = {{0}, {0}}, steps[8] = {{0}}, sum = {0}, next = {0}, want = {0};
	struct rng r;
	bool right = true;
	size_t i;

	rng_seed(&r, 2, 0);
	some_codes(&z, rows, m, share, &r);
	levels_cut(csr_view(&z), ks, nks, pools[2], tables[0], cut, steps, &err);
	csr_copy(&sum, csr_view(&steps[0]), &err);
	for (i = 0; i <= nks; i++) {
		topk_rows_plain(csr_view(&z), i < nks ? ks[i] : m, false, &want, &err);
		right = right && same_csr(csr_view(&sum), csr_view(&want));
		if (i < nks) {
			unite(csr_view(&sum), csr_view(&steps[i + 1]), &next);
			csr_copy(&sum, csr_view(&next), &err);
		}
	}
	tap_ok(right && !err.code, "levels: the steps of %zu levels add up to the k largest, %zu rows of %zu", nks, rows, m);
	csr_free(&z);
	csr_free(&sum);
	csr_free(&next);
	csr_free(&want);
	for (i = 0; i < 8; i++)
		csr_free(&steps[i]);
	csr_free(&cut[0]);
	csr_free(&cut[1]);
}

/* ---- quality ---- */

static struct sae
some_model(size_t d, size_t m, enum sae_arch arch, struct rng *r)
{
	struct sae s;
	size_t i;

	if (sae_init(&s, d, m, arch == ARCH_BATCHTOPK, &err)) {
		printf("Bail out! %s\n", err.text);
		exit(1);
	}
	s.arch = arch;
	s.k = arch == ARCH_TOPK || arch == ARCH_BATCHTOPK ? 3 : 0;
	for (i = 0; i < d * m; i++) {
		s.W_enc[i] = (float)rng_normal(r);
		s.W_dec[i] = (float)rng_normal(r) / (float)d;
	}
	for (i = 0; i < m; i++) {
		s.b_enc[i] = (float)rng_normal(r) - 1;
		if (s.threshold)
			s.threshold[i] = 1.5f;
	}
	for (i = 0; i < d; i++)
		s.b_dec[i] = (float)rng_normal(r);
	return s;
}

struct expected {
	double sum[QUALITY_MEASURES], error, spread;
	uint64_t silent;
};

/* Level k (0: as used) by the formulae, of dense codes in double. */
static struct expected
expect(const struct sae *s, const float *x, size_t n, size_t k)
{
	struct sae open = *s;
	double *z = need(n * s->m * sizeof *z), *xhat = need(s->d * sizeof *xhat), *mean = need(s->d * sizeof *mean), out[QUALITY_MEASURES];
	struct expected e = {{0}, 0, 0, 0};
	size_t r, i, j;

	if (k)
		open.threshold = NULL;
	encode_plain(&open, x, n, k ? k : s->arch == ARCH_TOPK ? s->k : 0, z);
	for (r = 0; r < n; r++)
		for (i = 0; i < s->d; i++)
			mean[i] += x[r * s->d + i] / (double)n;
	for (r = 0; r < n; r++) {
		for (i = 0; i < s->d; i++) {
			xhat[i] = s->b_dec[i];
			for (j = 0; j < s->m; j++)
				xhat[i] += z[r * s->m + j] * s->W_dec[j * s->d + i];
			e.error += (x[r * s->d + i] - xhat[i]) * (x[r * s->d + i] - xhat[i]);
			e.spread += (x[r * s->d + i] - mean[i]) * (x[r * s->d + i] - mean[i]);
		}
		quality_plain(x + r * s->d, xhat, s->d, out);
		out[QUALITY_L0] = 0;
		for (j = 0; j < s->m; j++)
			out[QUALITY_L0] += z[r * s->m + j] != 0;
		for (i = 0; i < QUALITY_MEASURES; i++)
			e.sum[i] += out[i] / (double)n;
	}
	for (j = 0; j < s->m; j++) {
		for (r = 0; r < n && z[r * s->m + j] == 0; r++)
			;
		e.silent += r == n;
	}
	mem_free(z);
	mem_free(xhat);
	mem_free(mean);
	return e;
}

static void
test_quality(size_t n, size_t d, size_t m, enum sae_arch arch, const size_t *ks, size_t nks)
{
	struct rng r;
	struct sae s;
	struct quality q[4];
	struct quality_result got, other;
	struct expected want;
	bool right = true, same = true, merged = true;
	size_t i, j, t;
	float *x;

	rng_seed(&r, 3, 0);
	s = some_model(d, m, arch, &r);
	x = normals(&r, n * d);
	for (t = 0; t < 4; t++)
		if (quality_init(&q[t], &s, ks, nks, pools[t % 3], tables[t % ntables], &err))
			printf("Bail out! %s\n", err.text);
	for (t = 0; t < 3; t++)
		quality_rows(&q[t], x, n, 0, &err);
	/* the same in two passes */
	quality_rows(&q[3], x, n / 3, 0, &err);
	quality_reset(&q[2]);
	quality_rows(&q[2], x + n / 3 * d, n - n / 3, n / 3, &err);
	quality_merge(&q[3], &q[2]);
	for (i = 0; i <= q[0].nks; i++) {
		quality_result(&q[0], i, &got);
		want = expect(&s, x, n, i ? q[0].ks[i - 1] : 0);
		for (j = 0; j < QUALITY_MEASURES; j++)
			right = right && near(got.of[j].mean, want.sum[j], 1e-5);
		right = right && (want.spread > 0 ? near(got.fvu_data, want.error / want.spread, 1e-5) : isnan(got.fvu_data)) && got.silent == want.silent;
		quality_result(&q[1], i, &other);
		same = same && !memcmp(&got, &other, sizeof got);
		quality_result(&q[3], i, &other);
		for (j = 0; j < QUALITY_MEASURES; j++)
			merged = merged && near(other.of[j].mean, got.of[j].mean, 1e-12);
		merged = merged && (isnan(got.fvu_data) || near(other.fvu_data, got.fvu_data, 1e-12)) && other.silent == got.silent && other.rows == got.rows &&
		         (isnan(got.fvu_data_half) || near(other.fvu_data_half, got.fvu_data_half, 1e-12));
	}
	tap_ok(right && !err.code, "quality: %s, %zu rows, %zu -> %zu, every level as the formulae say", sae_arch_name(arch), n, d, m);
	tap_ok(same, "quality: %s, %zu rows: the same bytes for other threads and instructions", sae_arch_name(arch), n);
	tap_ok(merged, "quality: %s, %zu rows: two passes added are one", sae_arch_name(arch), n);
	for (t = 0; t < 4; t++)
		quality_free(&q[t]);
	mem_free(x);
	sae_free(&s);
}

/* How often the interval of the mean cosine, and that of the data set's FVU,
 * hold what all of `times` samples of n rows together say. */
static void
count_holds(size_t times, size_t n, unsigned *mean, unsigned *data)
{
	enum { D = 6, M = 12 };
	struct rng r;
	struct sae s;
	struct quality q;
	struct quality_result one, all;
	size_t t;
	float *x;

	rng_seed(&r, 4, 0);
	s = some_model(D, M, ARCH_RELU, &r);
	x = normals(&r, times * n * D);
	if (quality_init(&q, &s, NULL, 0, pools[1], tables[0], &err))
		printf("Bail out! %s\n", err.text);
	quality_rows(&q, x, times * n, 0, &err);
	quality_result(&q, 0, &all);
	*mean = *data = 0;
	for (t = 0; t < times; t++) {
		quality_reset(&q);
		quality_rows(&q, x + t * n * D, n, t * n, &err);
		quality_result(&q, 0, &one);
		*mean += fabs(one.of[QUALITY_COSINE].mean - all.of[QUALITY_COSINE].mean) <= one.of[QUALITY_COSINE].half;
		*data += fabs(one.fvu_data - all.fvu_data) <= one.fvu_data_half;
	}
	quality_free(&q);
	mem_free(x);
	sae_free(&s);
}

static void
test_intervals(void)
{
	unsigned mean, data;

	count_holds(200, 1024, &mean, &data);
	tap_ok(mean > 180 && mean < 199, "quality: the cosine's 95 %% interval holds %u of 200", mean);
	tap_ok(data > 176, "quality: the jackknife's interval holds the data set's FVU %u times of 200", data);
	/* 100 rows fill 13 of 32 parts, so the jackknife has nothing to say */
	count_holds(10, 100, &mean, &data);
	tap_ok(data == 0, "quality: no interval of the data set's FVU from too few rows");
}

static void
test_flat(void)
{
	struct rng r;
	struct sae s;
	struct quality q;
	struct quality_result got;
	float x[4 * 8] = {0};
	size_t i;

	rng_seed(&r, 6, 0);
	s = some_model(8, 16, ARCH_MSAE, &r);
	for (i = 0; i < 8; i++) {
		x[8 + i] = .1f;      /* does not vary */
		x[16 + i] = (float)i;
	}
	if (quality_init(&q, &s, NULL, 0, NULL, tables[0], &err) || quality_rows(&q, x, 4, 0, &err))
		printf("Bail out! %s\n", err.text);
	quality_result(&q, 0, &got);
	tap_ok(got.flat == 3 && got.rows == 4 && isfinite(got.of[QUALITY_FVU].mean) && isfinite(got.of[QUALITY_MAE].mean),
	       "quality: rows of zeros and of equal numbers are counted and left out");
	quality_reset(&q);
	quality_rows(&q, x, 2, 0, &err);
	quality_result(&q, 0, &got);
	tap_ok(got.flat == 2 && isnan(got.of[QUALITY_FVU].mean) && isfinite(got.of[QUALITY_L0].mean), "quality: no FVU of nothing but such rows");
	quality_free(&q);
	sae_free(&s);
}

static void
test_golden_rows(void)
{
	float *a = golden("A.npy", 96 * 32), *b = golden("B.npy", 96 * 32);
	struct array fvu = golden_npy("metrics", "explained_variance_full.npy"), mae = golden_npy("metrics", "nmae.npy");
	double out[QUALITY_MEASURES], xhat[32], cosine = 0;
	bool right = true;
	size_t r, i;

	for (r = 0; r < 96; r++) {
		for (i = 0; i < 32; i++)
			xhat[i] = b[r * 32 + i];
		quality_plain(a + r * 32, xhat, 32, out);
		right = right && near(out[QUALITY_FVU], fvu.v[r], 1e-12) && near(out[QUALITY_MAE], mae.v[r], 1e-12);
		cosine += out[QUALITY_COSINE] / 96;
	}
	tap_ok(right, "golden: FVU and MAE of every row");
	tap_ok(near(cosine, 0.9601708369998629, 1e-12), "golden: mean cosine");
	mem_free(a);
	mem_free(b);
	mem_free(fvu.v);
	mem_free(mae.v);
}

/* ---- CKNNA ---- */

/* Sparse rows of the dense x [n,m]. */
static void
sparsify(struct csr *z, const float *x, size_t n, size_t m)
{
	uint32_t at = 0;
	size_t i, j;

	csr_resize(z, n, m, n * m, &err);
	for (i = 0; i < n; i++) {
		for (j = 0; j < m; j++)
			if (x[i * m + j] != 0) {
				z->idx[at] = (uint32_t)j;
				z->val[at++] = x[i * m + j];
			}
		z->ptr[i + 1] = at;
	}
}

static void
test_golden_cknna(void)
{
	static const struct { size_t k; double ab, ac; } want[] = {
		{2, 0.8074684901726001, 0.3517700723461696}, {5, 0.8663682927000486, 0.5244505845254807},
		{10, 0.8922039197350944, 0.5828090816902389}, {20, 0.9467651603930791, 0.6795712063025519},
	};
	float *a = golden("A.npy", 96 * 32), *b = golden("B.npy", 96 * 32), *c = golden("C.npy", 96 * 48);
	struct nearest na, nb, nc;
	struct csr z = {0};
	double ab, ac, aa;
	bool right = true;
	size_t i;

	sparsify(&z, c, 96, 48);
	for (i = 0; i < COUNT(want); i++) {
		nearest_rows(&na, a, 96, 32, want[i].k, pools[1], tables[0], &err);
		nearest_rows(&nb, b, 96, 32, want[i].k, pools[1], tables[0], &err);
		nearest_codes(&nc, csr_view(&z), want[i].k, pools[1], tables[0], &err);
		cknna(&ab, &na, &nb, &err);
		cknna(&ac, &na, &nc, &err);
		cknna(&aa, &na, &na, &err);
		right = right && near(ab, want[i].ab, 2e-6) && near(ac, want[i].ac, 2e-6) && (want[i].k != 10 || near(aa, 0.9999998154266945, 2e-7));
		nearest_free(&na);
		nearest_free(&nb);
		nearest_free(&nc);
	}
	tap_ok(right && !err.code, "golden: CKNNA with 2, 5, 10 and 20 neighbours, dense and sparse");
	mem_free(a);
	mem_free(b);
	mem_free(c);
	csr_free(&z);
}

/* Sparse codes z [n,m] beside x [n,d]: by the library with every table and
 * number of threads, and by the formula. */
static void
test_cknna(size_t n, size_t d, size_t m, double share, size_t k, bool ties)
{
	struct rng r;
	struct nearest nx, nz, first = {0};
	struct csr z = {0};
	float *x, *dense = need(n * m * sizeof *dense);
	double got, want;
	bool right = true, same = true;
	size_t i, t;

	rng_seed(&r, 7, 0);
	x = normals(&r, n * d);
	for (i = 0; i < n * d && ties; i++)
		x[i] = (float)rng_below(&r, 3) - 1;
	for (i = 0; i < n * m; i++)
		dense[i] = rng_uniform(&r) < share ? (float)(1 + rng_below(&r, ties ? 2 : 1000)) : 0;
	sparsify(&z, dense, n, m);
	cknna_plain(&want, x, d, dense, m, n, k, &err);
	for (t = 0; t < 3; t++) {
		nearest_rows(&nx, x, n, d, k, pools[t], tables[t % ntables], &err);
		nearest_codes(&nz, csr_view(&z), k, pools[t], tables[t % ntables], &err);
		cknna(&got, &nx, &nz, &err);
		right = right && ((isnan(got) && isnan(want)) || near(got, want, 1e-5));
		if (!t)
			first = nz;
		else
			same = same && !memcmp(nz.row, first.row, n * k * sizeof *nz.row) && !memcmp(nz.value, first.value, n * k * sizeof *nz.value);
		nearest_free(&nx);
		if (t)
			nearest_free(&nz);
	}
	nearest_free(&first);
	tap_ok(right && !err.code, "cknna: %zu rows, %zu wide beside %zu, %.0f %% on, %zu nearest%s: %.4f as the formula says",
	       n, d, m, 100 * share, k, ties ? ", ties" : "", want);
	tap_ok(same, "cknna: the same bytes for other threads and instructions");
	mem_free(x);
	mem_free(dense);
	csr_free(&z);
}

static void
test_cknna_limits(void)
{
	struct err e = {0};
	struct nearest v;
	float x[5 * 2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	double out;

	tap_ok(nearest_rows(&v, x, 3, 2, 1, NULL, tables[0], &e) == CODE_DATA && strstr(e.text, "too few"), "cknna: three rows are refused: %s", e.text);
	e = (struct err){0};
	tap_ok(nearest_rows(&v, x, 5, 2, 5, NULL, tables[0], &e) == CODE_DATA, "cknna: as many neighbours as rows are refused");
	e = (struct err){0};
	memset(x, 0, sizeof x);
	tap_ok(!nearest_rows(&v, x, 5, 2, 2, NULL, tables[0], &e) && !cknna(&out, &v, &v, &e) && isnan(out), "cknna: rows of zeros have none: NaN");
	nearest_free(&v);
	x[0] = 1;
	x[2] = (float)NAN;
	tap_ok(nearest_rows(&v, x, 5, 2, 4, NULL, tables[0], &e) == CODE_DATA, "cknna: products that are no numbers are refused: %s", e.text);
}

/* ---- latents ---- */

static void
test_latents(size_t n, size_t d, size_t m, double share)
{
	struct rng r;
	struct latent_sums s[3], part;
	struct csr z = {0};
	float *x, *dense = need(n * m * sizeof *dense);
	double *e = need(n * d * sizeof *e), up, down, dot, norm, a, b;
	bool right = true, same = true, zero_ok = true;
	size_t i, j, t, c, at, some;

	rng_seed(&r, 8, 0);
	x = normals(&r, n * d);
	if (n > 2)
		memset(x + d, 0, d * sizeof *x); /* a row of zeros */
	for (i = 0; i < n * m; i++)
		dense[i] = rng_uniform(&r) < share ? (float)rng_uniform(&r) + .1f : 0;
	for (t = 0; t < 3; t++) {
		latents_init(&s[t], m, d, pool_threads(pools[t]), &err);
		for (at = 0; at < n; at += some) {
			some = n - at < LATENTS_ROWS ? n - at : LATENTS_ROWS;
			sparsify(&z, dense + at * m, some, m);
			latents_rows(&s[t], x + at * d, csr_view(&z), pools[t], tables[t % ntables]);
		}
		latents_settle(&s[t]);
		same = same && !memcmp(s[t].direction, s[0].direction, m * d * sizeof(double)) && !memcmp(s[t].sum, s[0].sum, m * sizeof(double));
	}
	for (i = 0; i < n; i++) {
		for (j = 0, norm = 0; j < d; j++)
			norm += (double)x[i * d + j] * x[i * d + j];
		for (j = 0; j < d; j++)
			e[i * d + j] = norm > 0 ? x[i * d + j] / sqrt(norm) : 0;
	}
	for (c = 0; c < m; c++) {
		up = down = 0;
		for (i = 0; i < n; i++)
			for (j = 0; j < n; j++) {
				a = n > 2 && i == 1 ? 0 : dense[i * m + c];
				b = n > 2 && j == 1 ? 0 : dense[j * m + c];
				if (i == j || a == 0 || b == 0)
					continue;
				for (t = 0, dot = 0; t < d; t++)
					dot += e[i * d + t] * e[j * d + t];
				up += a * b * dot;
				down += a * b;
			}
		a = latents_monosemanticity(&s[0], c);
		right = right && (down > 0 ? near(a, up / down, 1e-5) : isnan(a));
	}
	latents_init(&part, m, d, 1, &err);
	latents_merge(&part, &s[0]);
	zero_ok = !memcmp(part.direction, s[0].direction, m * d * sizeof(double));
	tap_ok(right && !err.code, "latents: monosemanticity of %zu latents over %zu rows is the mean weighted cosine of pairs", m, n);
	tap_ok(same && zero_ok, "latents: the same bytes for other threads, instructions, and merged into nothing");
	for (t = 0; t < 3; t++)
		latents_free(&s[t]);
	latents_free(&part);
	csr_free(&z);
	mem_free(x);
	mem_free(dense);
	mem_free(e);
}

static void
test_overlap(void)
{
	float *w = golden("W1.npy", 64 * 32), *a = golden("A.npy", 96 * 32);
	double got;

	decoder_overlap(&got, w, 64, 32, &err);
	tap_ok(near(got, 0.029730423312515505, 1e-12), "golden: decoder overlap of unit rows");
	decoder_overlap(&got, a, 96, 32, &err);
	tap_ok(near(got, 15.175701253671699, 1e-12), "golden: decoder overlap of rows of any length");
	decoder_overlap(&got, a, 1, 32, &err);
	tap_ok(near(got, 0, 1e-9), "decoder overlap of one row is nothing");
	mem_free(w);
	mem_free(a);
}

int
main(int argc, char **argv)
{
	static const char *const names[] = {"plain", "avx2", "avx512"};
	static const size_t ks[] = {1, 3, 4, 9}, one[] = {5};
	size_t i;

	if (argc > 1)
		golden_dir = argv[1];
	for (i = 0; i < 3; i++) {
		pools[i] = pool_new((unsigned)i + 1, &err);
		tables[ntables] = simd_for(names[i]);
		ntables += tables[ntables] != NULL;
	}
	test_compare();
	test_levels(1, 1, 1, one, 0);
	test_levels(7, 12, .5, ks, 4);
	test_levels(130, 40, .3, ks, 4);
	test_levels(3, 9, 0, ks, 4);
	test_quality(1, 5, 7, ARCH_MSAE, ks, 4);
	test_quality(530, 20, 31, ARCH_MSAE, ks, 4);
	test_quality(70, 33, 90, ARCH_RELU, NULL, 0);
	test_quality(600, 16, 40, ARCH_TOPK, ks, 4);
	test_quality(100, 16, 40, ARCH_BATCHTOPK, ks, 4);
	test_intervals();
	test_flat();
	test_golden_rows();
	test_golden_cknna();
	test_cknna(4, 3, 5, .5, 1, false);
	test_cknna(40, 5, 20, .3, 39, false);
	test_cknna(300, 7, 50, .5, 10, false);
	test_cknna(300, 7, 400, .02, 10, false);
	test_cknna(120, 6, 12, .4, 10, true);
	test_cknna(1100, 3, 6, .6, 3, false);
	test_cknna_limits();
	test_latents(1, 4, 3, 1);
	test_latents(2, 4, 3, 1);
	test_latents(70, 20, 30, .3);
	test_latents(600, 300, 20, .2);
	test_overlap();
	for (i = 0; i < 3; i++)
		pool_free(pools[i]);
	return tap_done();
}
