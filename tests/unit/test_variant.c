/* Encoding by the rules of other libraries, against the plain reference; rows
 * brought to a form and back. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "sae/encode.h"
#include "sae/rowform.h"
#include "sae/variant.h"
#include "tap.h"

static struct rng rng;

/* Small whole numbers, so that float32 is exact and there are ties; or any. */
static void
fill(float *v, size_t n, int whole)
{
	size_t i;

	for (i = 0; i < n; i++)
		v[i] = whole ? (float)((int)(rng_uniform(&rng) * 5) - 2) : (float)rng_normal(&rng);
}

static struct sae
model_of(size_t d, size_t m, enum sae_rule rule, enum sae_row_norm norm, float cap, int whole)
{
	struct err e = {0};
	struct sae s;

	if (sae_init(&s, d, m, 0, &e))
		printf("Bail out! %s\n", e.text);
	fill(s.W_enc, d * m, whole);
	fill(s.b_enc, m, whole);
	fill(s.W_dec, m * d, whole);
	fill(s.b_dec, d, whole);
	s.arch = ARCH_TOPK;
	s.k = m;
	s.rule = rule;
	s.row_norm = norm;
	for (s.group = m < 7 ? m : 7; m % s.group; s.group--)
		;
	if (rule == RULE_GATE) {
		sae_add(&s.W_gate, d, m, &e);
		sae_add(&s.b_gate, m, 1, &e);
		fill(s.W_gate, d * m, whole);
		fill(s.b_gate, m, whole);
	}
	s.lista_steps = 2;
	s.lista_eta = .25f;
	s.soft_cap = cap;
	return s;
}

/* Largest difference of two dense rows of codes, relative to the largest; a code
 * that only one has counts as far off, unless rounding can have made it. */
static double
off(const struct csr *z, const double *want, int whole)
{
	size_t r, j, at;
	double worst = 0, most = 1, got;

	for (j = 0; j < z->rows * z->cols; j++)
		most = fmax(most, fabs(want[j]));
	for (r = 0; r < z->rows; r++)
		for (at = z->ptr[r], j = 0; j < z->cols; j++) {
			got = at < z->ptr[r + 1] && z->idx[at] == j ? (double)z->val[at++] : 0;
			worst = fmax(worst, fabs(got - want[r * z->cols + j]) / most);
			if (whole && (got != 0) != (want[r * z->cols + j] != 0))
				worst = 9;
		}
	return worst;
}

static int
same_codes(const struct csr *a, const struct csr *b)
{
	size_t n = a->ptr[a->rows];

	return a->rows == b->rows && !memcmp(a->ptr, b->ptr, (a->rows + 1) * sizeof *a->ptr) && !memcmp(a->idx, b->idx, n * sizeof *a->idx) &&
	       !memcmp(a->val, b->val, n * sizeof *a->val);
}

static void
check(size_t d, size_t m, size_t n, size_t k, enum sae_rule rule, enum sae_row_norm norm, float cap)
{
	int whole = norm == ROWS_AS_THEY_ARE && rule != RULE_LISTA;
	struct sae s = model_of(d, m, rule, norm, cap, whole);
	struct err e = {0};
	struct pool *pool = pool_new(3, &e);
	struct encoder *one = encoder_new(&s, NULL, simd_for("plain"), &e), *many = encoder_new(&s, pool, simd_for(NULL), &e);
	struct csr z = {0}, zz = {0};
	float *x = calloc(n * d, sizeof *x);
	double *want = calloc(n * m, sizeof *want), worst;

	fill(x, n * d, whole);
	encode_plain(&s, x, n, k, want);
	encode(one, x, n, k, &z, &e);
	encode(many, x, n, k, &zz, &e);
	worst = off(&z, want, whole);
	tap_ok(!e.code && worst < 1e-5 && same_codes(&z, &zz), "%s, rows %s: %zu rows, %zu -> %zu, k %zu: as the reference (%.1e), for any threads",
	       sae_rule_name(rule), sae_row_norm_name(norm), n, d, m, k, worst);
	encoder_free(one);
	encoder_free(many);
	pool_free(pool);
	csr_free(&z);
	csr_free(&zz);
	free(x);
	free(want);
	sae_free(&s);
}

static void
rules(void)
{
	static const struct { size_t d, m, n, k; } shapes[] = {{1, 1, 1, 1}, {3, 7, 5, 2}, {5, 14, 66, 0}, {17, 130, 65, 9}, {8, 33, 600, 40}};
	size_t i;
	int rule;

	for (i = 0; i < sizeof shapes / sizeof *shapes; i++)
		for (rule = RULE_SIGNED; rule <= RULE_LISTA; rule++)
			check(shapes[i].d, shapes[i].m, shapes[i].n, shapes[i].k, (enum sae_rule)rule, ROWS_AS_THEY_ARE, i == 3 ? 1.5f : 0);
	check(6, 20, 70, 4, RULE_POSITIVE, ROWS_LAYER, 0);
	check(6, 20, 70, 0, RULE_POSITIVE, ROWS_LENGTH, 2);
	check(1, 3, 2, 0, RULE_POSITIVE, ROWS_LAYER, 0);
	check(6, 20, 70, 4, RULE_SIGNED, ROWS_LAYER, 0);
}

/* No rows; more frames than one; a plain model that subtracts nothing. */
static void
edges(void)
{
	struct sae s = model_of(6, 20, RULE_SIGNED, ROWS_AS_THEY_ARE, 0, 1);
	struct err e = {0};
	struct encoder *enc = encoder_new(&s, NULL, simd_for(NULL), &e);
	struct csr all = {0}, parts = {0}, z = {0};
	float x[700 * 6];
	double want[2 * 20];

	fill(x, 700 * 6, 1);
	encode(enc, x, 0, 5, &z, &e);
	tap_ok(!e.code && !z.rows && z.cols == 20, "no rows: no codes");
	encode(enc, x, 700, 5, &all, &e);
	encode(enc, x, 513, 5, &parts, &e);
	encode(enc, x + 513 * 6, 187, 5, &z, &e);
	csr_append(&parts, csr_view(&z), 0, 187, &e);
	tap_ok(!e.code && same_codes(&all, &parts), "codes do not depend on the frame rows are in");
	encoder_free(enc);
	s.rule = RULE_POSITIVE;
	sae_subtract_nothing(&s, &e);
	enc = encoder_new(&s, NULL, simd_for(NULL), &e);
	encode(enc, x, 2, 0, &z, &e);
	encode_plain(&s, x, 2, 0, want);
	tap_ok(!sae_features(&s) && off(&z, want, 1) < 1e-6, "a model that subtracts nothing is plain");
	encoder_free(enc);
	csr_free(&all);
	csr_free(&parts);
	csr_free(&z);
	sae_free(&s);
}

static void
forms(void)
{
	struct sae s = model_of(33, 4, RULE_POSITIVE, ROWS_LAYER, 0, 0);
	struct err e = {0};
	float x[5 * 33], u[5 * 33], back[5 * 33], form[10], out[5 * 7], lone[7];
	double worst = 0, mean = 0, square = 0, sum;
	size_t i, j, r;

	fill(x, 5 * 33, 0);
	memset(x + 33, 0, 33 * sizeof *x);
	rowform_apply(&s, u, x, 5, form);
	rowform_restore(back, u, 5, 33, form);
	for (i = 0; i < 5 * 33; i++)
		worst = fmax(worst, fabs((double)back[i] - (double)x[i]));
	for (i = 0; i < 33; i++) {
		mean += (double)u[i] / 33;
		square += (double)u[i] * u[i] / 32;
	}
	tap_ok(worst < 1e-4 && fabs(mean) < 1e-6 && fabs(square - 1) < 1e-3, "layer: mean 0, deviation 1, and back");
	s.row_norm = ROWS_LENGTH;
	rowform_apply(&s, u, x, 5, form);
	rowform_restore(back, u, 5, 33, form);
	for (worst = 0, i = 0; i < 5 * 33; i++)
		worst = fmax(worst, fabs((double)back[i] - (double)x[i]));
	for (square = 0, i = 0; i < 33; i++)
		square += (double)u[i] * u[i];
	tap_ok(worst < 1e-5 && fabs(square - 33) < 1e-3 && u[33] <= 0 && u[33] >= 0, "length: sqrt(d), and back; zeros stay zeros");
	sae_free(&s);

	sae_init_wide(&s, 33, 4, 7, 0, &e);
	sae_add(&s.W_skip, 33, 7, &e);
	fill(s.W_skip, 33 * 7, 0);
	rowform_skip(&s, x, 5, NULL, out);
	for (worst = 0, r = 0; r < 5; r++)
		for (j = 0; j < 7; j++) {
			for (sum = 0, i = 0; i < 33; i++)
				sum += (double)x[r * 33 + i] * s.W_skip[i * 7 + j];
			worst = fmax(worst, fabs(sum - (double)out[r * 7 + j]));
		}
	rowform_skip(&s, x + 2 * 33, 1, NULL, lone);
	tap_ok(worst < 1e-4, "a skip connection is a product");
	tap_ok(s.transcoder && sae_features(&s) == (SAE_TRANSCODER | SAE_SKIP) && sae_require(&s, SAE_SKIP, "this", &e) == CODE_DATA &&
	       strstr(e.text, "transcoder") && !sae_require(&s, SAE_SKIP | SAE_TRANSCODER, "this", &e), "what a model has beyond a plain one is named");
	sae_free(&s);
}

int
main(void)
{
	rng_seed(&rng, 11, 0);
	rules();
	edges();
	forms();
	return tap_done();
}
