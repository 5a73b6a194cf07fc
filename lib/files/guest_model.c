/* Steps that readers of several libraries have in common. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "base/mem.h"
#include "files/guest_parts.h"

int
guest_begin(struct guest *g, struct sae *s, const char *encoder, bool turned, bool threshold, struct err *e)
{
	size_t d, m;

	if (turned ? guest_sizes(g, encoder, &m, &d, e) : guest_sizes(g, encoder, &d, &m, e))
		return e->code;
	return sae_init(s, d, m, threshold, e);
}

int
guest_weights(struct guest *g, struct sae *s, const char *encoder, bool enc_turned, const char *decoder, bool dec_turned, struct err *e)
{
	return guest_matrix(g, encoder, s->d, s->m, enc_turned, s->W_enc, e) ? e->code
	     : guest_matrix(g, decoder, s->m, s->d_out, dec_turned, s->W_dec, e);
}

int
guest_topk(struct guest *g, struct sae *s, const char *path, bool signed_codes, struct err *e)
{
	s->arch = ARCH_TOPK;
	s->rule = signed_codes ? RULE_SIGNED : RULE_POSITIVE;
	return guest_count(g, path, 1, s->m, &s->k, e);
}

/* The largest float32 from which `above` tells what t tells: p > t, or p >= t. */
static float
bound(double t, bool or_equal)
{
	float f = (float)t;

	if ((double)f > t || (or_equal && (double)f >= t))
		f = nextafterf(f, -INFINITY);
	return f;
}

int
guest_threshold(struct sae *s, double t, bool or_equal, struct err *e)
{
	size_t j;

	if (!isfinite(t))
		return err_set(e, CODE_DATA, "its threshold is not a finite number");
	if (sae_add(&s->threshold, s->m, 1, e))
		return e->code;
	for (j = 0; j < s->m; j++)
		s->threshold[j] = t > 0 ? bound(t, or_equal) : (float)t;
	return 0;
}

int
guest_log_threshold(struct guest *g, struct sae *s, const char *name, bool or_equal, struct err *e)
{
	size_t j;

	if (sae_add(&s->threshold, s->m, 1, e) || guest_vector(g, name, s->m, s->threshold, e))
		return e->code;
	for (j = 0; j < s->m; j++) {
		s->threshold[j] = expf(s->threshold[j]);
		if (or_equal)
			s->threshold[j] = nextafterf(s->threshold[j], -INFINITY);
	}
	return 0;
}

/* q + gate > 0 is q exp(r) + mag > mag - gate exp(r). */
int
guest_gated(struct guest *g, struct sae *s, const char *r, const char *gate, const char *mag, struct err *e)
{
	float *scale = NULL;
	size_t i, j;

	if (sae_add(&s->threshold, s->m, 1, e) || sae_add(&scale, s->m, 1, e))
		return e->code;
	if (!guest_vector(g, r, s->m, scale, e) && !guest_vector(g, gate, s->m, s->threshold, e) && !guest_vector(g, mag, s->m, s->b_enc, e)) {
		for (j = 0; j < s->m; j++) {
			scale[j] = expf(scale[j]);
			s->threshold[j] = s->b_enc[j] - s->threshold[j] * scale[j];
		}
		for (i = 0; i < s->d; i++)
			for (j = 0; j < s->m; j++)
				s->W_enc[i * s->m + j] *= scale[j];
		s->arch = ARCH_JUMPRELU;
		snprintf(s->folded, sizeof s->folded, "gate and magnitude into one threshold a latent");
	}
	mem_free(scale);
	return e->code;
}

void
guest_fold_norms(struct sae *s)
{
	size_t d = s->d_out, i, j;
	double square;
	float norm, *row;

	for (j = 0; j < s->m; j++) {
		row = s->W_dec + j * d;
		for (square = 0, i = 0; i < d; i++)
			square += (double)row[i] * row[i];
		norm = (float)sqrt(square);
		if (!(norm > 0))
			continue;
		for (i = 0; i < d; i++)
			row[i] /= norm;
		for (i = 0; i < s->d; i++)
			s->W_enc[i * s->m + j] *= norm;
		s->b_enc[j] *= norm;
	}
	snprintf(s->folded, sizeof s->folded, "the length of decoder rows into the encoder");
}

/* ---- numbers that are none ---- */

static bool
finite_row(const float *v, size_t n, size_t step)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!isfinite(v[i * step]))
			return false;
	return true;
}

static void
leave_out(struct sae *s, size_t j)
{
	size_t i;

	for (i = 0; i < s->d; i++)
		s->W_enc[i * s->m + j] = 0;
	for (i = 0; s->W_gate && i < s->d; i++)
		s->W_gate[i * s->m + j] = 0;
	memset(s->W_dec + j * s->d_out, 0, s->d_out * sizeof *s->W_dec);
	s->b_enc[j] = 0;
	if (s->b_gate)
		s->b_gate[j] = 0;
	if (s->threshold)
		s->threshold[j] = 0;
}

/* Columns of W [rows,m] with NaN or infinity: marks them. */
static void
mark_columns(const float *w, size_t rows, size_t m, unsigned char *bad)
{
	size_t i, j;

	for (i = 0; i < rows; i++, w += m)
		if (!finite_row(w, m, 1))
			for (j = 0; j < m; j++)
				bad[j] |= !isfinite(w[j]);
}

/* Nearly always so; a large model is looked at only once then. */
static bool
all_finite(const struct sae *s)
{
	return !f32_nonfinite(s->W_enc, s->d * s->m) && !f32_nonfinite(s->W_dec, s->m * s->d_out) && !f32_nonfinite(s->b_enc, s->m) &&
	       !(s->threshold && f32_nonfinite(s->threshold, s->m)) && !(s->W_gate && f32_nonfinite(s->W_gate, s->d * s->m)) &&
	       !(s->b_gate && f32_nonfinite(s->b_gate, s->m));
}

int
guest_settle(struct sae *s, struct err *e)
{
	unsigned char *bad;
	size_t n = 0, first = 0, j;

	if (!finite_row(s->b_dec, s->d_out, 1) || !finite_row(s->mean, s->d, 1) || !finite_row(s->b_in, s->d, 1) ||
	    (s->W_skip && !finite_row(s->W_skip, s->d * s->d_out, 1)))
		return err_set(e, CODE_DATA, "a bias, mean or skip connection holds NaN or infinity, which every row would become");
	if (!(s->scale > 0) || !isfinite(s->scale))
		return err_set(e, CODE_DATA, "scaling by %g; it must be a number greater than 0", (double)s->scale);
	if (all_finite(s))
		return 0;
	bad = mem_alloc(s->m);
	if (!bad)
		return err_memory(e, "model", s->m);
	memset(bad, 0, s->m);
	mark_columns(s->W_enc, s->d, s->m, bad);
	mark_columns(s->b_enc, 1, s->m, bad);
	if (s->W_gate)
		mark_columns(s->W_gate, s->d, s->m, bad);
	if (s->b_gate)
		mark_columns(s->b_gate, 1, s->m, bad);
	if (s->threshold)
		mark_columns(s->threshold, 1, s->m, bad);
	for (j = 0; j < s->m; j++) {
		if (!bad[j] && finite_row(s->W_dec + j * s->d_out, s->d_out, 1))
			continue;
		leave_out(s, j);
		if (!n++)
			first = j;
	}
	mem_free(bad);
	if (n == s->m)
		return err_set(e, CODE_DATA, "every latent has weights that are NaN or infinity");
	if (n)
		snprintf(s->note, sizeof s->note, "%zu of %zu latents, #%zu first, have weights that are NaN or infinity: they are left out and never fire", n, s->m, first);
	return 0;
}
