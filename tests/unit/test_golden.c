/* Codes and reconstructions against golden vectors of an independent
 * implementation: tests/golden/README.md. The directory is argv[1], else
 * $GOLDEN, else tests/golden. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sae/decode.h"
#include "sae/encode.h"
#include "sae/topk.h"
#include "golden.h"
#include "tap.h"

/* Both sides are float32: a dot product of 32 terms is off by about
 * sqrt(32) * 6e-8 = 3.4e-7 of the sizes summed on either side, a reconstruction
 * from up to 256 codes by somewhat more. 2e-6 of the largest entry leaves a
 * factor of about three; a wrong formula is off by a thousand times that. */
#define TOLERANCE 2e-6

#define SAVED_ROWS 16 /* of the 64 in x, the codes of so many are kept */

static struct err err;
static struct pool *pool;

static float *
floats(const char *name, size_t n)
{
	struct array a = golden_npy("forward", name);
	float *p = mem_alloc(n * sizeof *p);
	size_t i;

	if (a.rows * a.cols != n)
		golden_bail("forward", name, "another size than expected");
	for (i = 0; i < n; i++)
		p[i] = (float)a.v[i];
	mem_free(a.v);
	return p;
}

static void
load(float *to, const char *name, size_t n)
{
	float *p = floats(name, n);

	memcpy(to, p, n * sizeof *p);
	mem_free(p);
}

static struct sae
model(int with_threshold)
{
	struct array dec = golden_npy("forward", "decoder.npy");
	struct sae s;

	if (sae_init(&s, dec.cols, dec.rows, with_threshold, &err))
		golden_bail("forward", "decoder.npy", err.text);
	load(s.W_enc, "encoder.npy", s.d * s.m);
	load(s.b_enc, "latent_bias.npy", s.m);
	load(s.W_dec, "decoder.npy", s.d * s.m);
	load(s.b_dec, "pre_bias.npy", s.d);
	mem_free(dec.v);
	return s;
}

/* Largest difference of z and the golden dense codes, over the largest golden;
 * 1 when they are not non-zero in the same places. */
static double
codes_off(const struct csr *z, const struct array *golden)
{
	double most = 0, off = 0, v;
	size_t r, j, i;

	for (r = 0; r < golden->rows; r++)
		for (i = z->ptr[r], j = 0; j < golden->cols; j++) {
			v = golden->v[r * golden->cols + j];
			most = fmax(most, fabs(v));
			if ((i < z->ptr[r + 1] && z->idx[i] == j) != (v != 0))
				return 1;
			if (v != 0)
				off = fmax(off, fabs(v - z->val[i++]));
		}
	return off / most;
}

static double
dense_off(const float *x, const struct array *golden)
{
	double most = 0, off = 0;
	size_t i;

	for (i = 0; i < golden->rows * golden->cols; i++) {
		most = fmax(most, fabs(golden->v[i]));
		off = fmax(off, fabs(golden->v[i] - x[i]));
	}
	return off / most;
}

/* Codes of s with the k largest (0: all) of the first rows of x, and what they
 * decode to, against two golden files. */
static void
check(const struct sae *s, const float *x, size_t k, const char *codes, const char *recons, const char *what)
{
	struct encoder *enc = encoder_new(s, pool, simd_for(NULL), &err);
	struct array z_golden = golden_npy("forward", codes), x_golden = golden_npy("forward", recons);
	float *xhat = mem_alloc(SAVED_ROWS * s->d * sizeof *xhat);
	struct csr z = {0};
	double off;

	if (!enc || encode(enc, x, SAVED_ROWS, k, &z, &err) || z_golden.rows != SAVED_ROWS || x_golden.rows != SAVED_ROWS)
		golden_bail("forward", codes, "cannot encode");
	off = codes_off(&z, &z_golden);
	tap_ok(off < TOLERANCE, "%s: codes (off by %.1e)", what, off);
	decode(s, csr_view(&z), pool, simd_for(NULL), xhat);
	off = dense_off(xhat, &x_golden);
	tap_ok(off < TOLERANCE, "%s: reconstructions (off by %.1e)", what, off);
	csr_free(&z);
	mem_free(z_golden.v);
	mem_free(x_golden.v);
	mem_free(xhat);
	encoder_free(enc);
}

/* encode_plain at k = 0 is relu of the golden pre-activations. */
static void
check_plain(const struct sae *s, const float *x)
{
	struct array golden = golden_npy("forward", "pre_act.npy");
	double *z = mem_alloc(SAVED_ROWS * s->m * sizeof *z), most = 0, off = 0;
	size_t i;

	encode_plain(s, x, SAVED_ROWS, 0, z);
	for (i = 0; i < SAVED_ROWS * s->m; i++) {
		most = fmax(most, fabs(golden.v[i]));
		off = fmax(off, fabs(z[i] - fmax(golden.v[i], 0)));
	}
	tap_ok(off < TOLERANCE * most, "the plain encoder: relu of the pre-activations (off by %.1e)", off / most);
	mem_free(golden.v);
	mem_free(z);
}

/* BatchTopK chooses among all 64 rows at once. */
static void
check_batch(const struct sae *s, const float *x)
{
	struct encoder *enc = encoder_new(s, pool, simd_for(NULL), &err);
	struct array golden = golden_npy("forward", "batchtopk8_latents.npy");
	struct csr all = {0}, z = {0};
	double off;

	if (!enc || encode(enc, x, golden.rows, 0, &all, &err) || topk_batch(csr_view(&all), 8, false, &z, &err))
		golden_bail("forward", "batchtopk8_latents.npy", err.text);
	off = codes_off(&z, &golden);
	tap_ok(off < TOLERANCE && z.ptr[golden.rows] == 8 * golden.rows, "BatchTopK 8: codes (off by %.1e)", off);
	csr_free(&all);
	csr_free(&z);
	mem_free(golden.v);
	encoder_free(enc);
}

int
main(int argc, char **argv)
{
	static const unsigned level[] = {8, 16, 32, 64, 128, 256};
	char codes[64], recons[64], what[64];
	struct sae s, jump;
	float *x;
	size_t i;

	if (argc > 1)
		golden_dir = argv[1];
	else if (getenv("GOLDEN"))
		golden_dir = getenv("GOLDEN");
	pool = pool_new(2, &err);
	s = model(0);
	x = floats("x.npy", 64 * s.d);
	check_plain(&s, x);
	check(&s, x, 0, "latents_k256.npy", "recons_k256.npy", "ReLU");
	for (i = 0; i < 6; i++) {
		snprintf(codes, sizeof codes, "latents_k%u.npy", level[i]);
		snprintf(recons, sizeof recons, "recons_k%u.npy", level[i]);
		snprintf(what, sizeof what, "MSAE level %u", level[i]);
		check(&s, x, level[i], codes, recons, what);
	}
	check_batch(&s, x);
	s.soft_cap = 1.5f;
	check(&s, x, 16, "softcap_latents_k16.npy", "softcap_recons_k16.npy", "soft cap 1.5, k = 16");
	jump = model(1);
	load(jump.threshold, "jumprelu_log_threshold.npy", jump.m);
	for (i = 0; i < jump.m; i++)
		jump.threshold[i] = expf(jump.threshold[i]);
	jump.arch = ARCH_JUMPRELU;
	check(&jump, x, 0, "jumprelu_latents.npy", "jumprelu_recons.npy", "JumpReLU");
	mem_free(x);
	sae_free(&s);
	sae_free(&jump);
	pool_free(pool);
	return tap_done();
}
