/* sparsify and latent-sae: a directory with cfg.json and sae.safetensors. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "files/guest_parts.h"

static int
begin(struct guest *g, struct sae *s, const char *encoder, struct err *e)
{
	size_t d, m;
	bool transcode;

	if (guest_sizes(g, encoder, &m, &d, e) || guest_agree(g, "d_in", d, "inputs", e) || guest_flag(g, "transcode", false, &transcode, e))
		return e->code;
	if (transcode ? sae_init_wide(s, d, m, d, false, e) : sae_init(s, d, m, false, e))
		return e->code;
	return guest_weights(g, s, encoder, true, "W_dec", false, e) || guest_vector(g, "b_dec", s->d_out, s->b_dec, e) ? e->code : 0;
}

/* ---- sparsify ---- */

static bool
match_sparsify(struct guest *g)
{
	return guest_find(g, "encoder.weight") && guest_find(g, "W_dec") && guest_find(g, "b_dec");
}

static int
load_sparsify(struct guest *g, struct sae *s, struct err *e)
{
	const char *act = guest_text(g, "activation", "topk");
	bool by_size, skip, multi;
	size_t k;

	if (begin(g, s, "encoder.weight", e) || guest_vector(g, "encoder.bias", s->m, s->b_enc, e) || guest_flag(g, "signed", false, &by_size, e) ||
	    guest_flag(g, "skip_connection", false, &skip, e) || guest_flag(g, "use_multi_topk", false, &multi, e) || guest_topk(g, s, "k", false, e))
		return e->code;
	if (skip && (sae_add(&s->W_skip, s->d, s->d_out, e) || guest_matrix(g, "W_skip", s->d, s->d_out, true, s->W_skip, e)))
		return e->code;
	k = s->k;
	if (multi)
		s->k = 4 * k < s->m ? 4 * k : s->m;
	if (by_size) {
		s->rule = RULE_MAGNITUDE;
	} else if (!strcmp(act, "groupmax")) {
		if (s->m % k)
			return err_set(e, CODE_DATA, "%zu latents do not part into k = %zu equal groups", s->m, k);
		s->rule = RULE_GROUPMAX;
		s->group = k;
	} else if (strcmp(act, "topk") != 0) {
		return guest_unknown("activation", act, "topk, groupmax", e);
	}
	return 0;
}

const struct guest_kind guest_sparsify = {"sparsify", match_sparsify, load_sparsify};

/* ---- latent-sae ---- */

static bool
match_latentsae(struct guest *g)
{
	return guest_find(g, "W_dec") && guest_find(g, "b_dec") && (guest_find(g, "encoder.weight") || guest_find(g, "W_gate.weight")) && guest_get(g, "sae_type");
}

/* The last of "2,4,9". */
static int
last_k(struct guest *g, struct sae *s, struct err *e)
{
	const char *ks = guest_text(g, "matryoshka_ks", ""), *last = strrchr(ks, ',');
	unsigned long long k = 0;

	if (sscanf(last ? last + 1 : ks, "%9llu", &k) != 1 || k < 1 || k > s->m)
		return guest_unknown("matryoshka_ks", ks, "numbers up to that of the latents, parted by commas", e);
	s->k = (size_t)k;
	s->arch = ARCH_TOPK;
	return 0;
}

static int
load_gated(struct guest *g, struct sae *s, struct err *e)
{
	size_t i, j;
	float *r = NULL;

	if (begin(g, s, "W_mag.weight", e) || sae_add(&s->W_gate, s->d, s->m, e) || sae_add(&s->b_gate, s->m, 1, e) || sae_add(&r, s->m, 1, e))
		return e->code;
	e->code = 0;
	if (!guest_matrix(g, "W_gate.weight", s->d, s->m, true, s->W_gate, e) && !guest_vector(g, "W_gate.bias", s->m, s->b_gate, e) &&
	    !guest_vector(g, "r_mag", s->m, r, e) && !guest_topk(g, s, "k", false, e)) {
		for (i = 0; i < s->d; i++)
			for (j = 0; j < s->m; j++)
				s->W_enc[i * s->m + j] *= expf(r[j]);
		s->rule = RULE_GATE;
	}
	mem_free(r);
	return e->code;
}

static int
load_jumprelu(struct guest *g, struct sae *s, struct err *e)
{
	size_t k;

	if (guest_count(g, "k", 1, s->m, &k, e) || guest_log_threshold(g, s, "log_threshold", false, e))
		return e->code;
	s->arch = ARCH_JUMPRELU;
	s->keep = 4 * k < s->m ? 4 * k : 0;
	return 0;
}

static int
load_batchtopk(struct guest *g, struct sae *s, struct err *e)
{
	double t;

	if (guest_scalar(g, "batchtopk_threshold", &t, e) || guest_threshold(s, t, true, e) || guest_count(g, "k", 1, s->m, &s->keep, e))
		return e->code;
	s->arch = ARCH_JUMPRELU;
	return 0;
}

static int
load_lista(struct guest *g, struct sae *s, struct err *e)
{
	size_t steps;
	double eta;

	if (guest_topk(g, s, "k", false, e) || guest_count(g, "lista_steps", 0, 1000, &steps, e) || guest_real(g, "lista_eta", .1, &eta, e))
		return e->code;
	if (!(eta >= 0) || !isfinite((float)eta))
		return err_set(e, CODE_DATA, "lista_eta is %g; it must not be negative", eta);
	s->rule = RULE_LISTA;
	s->lista_steps = (unsigned)steps;
	s->lista_eta = (float)eta;
	return 0;
}

static int
load_latentsae(struct guest *g, struct sae *s, struct err *e)
{
	const char *given = guest_text(g, "sae_type", "");
	char type[24];
	bool batch;
	size_t i;

	/* names of an enum; its values are lower case */
	for (i = 0; given[i] && i + 1 < sizeof type; i++)
		type[i] = (char)tolower((unsigned char)given[i]);
	type[i] = 0;
	if (!strcmp(type, "gated"))
		return load_gated(g, s, e);
	if (begin(g, s, "encoder.weight", e) || guest_vector(g, "encoder.bias", s->m, s->b_enc, e) || guest_flag(g, "matryoshka_use_batchtopk", false, &batch, e))
		return e->code;
	if (!strcmp(type, "topk"))
		return guest_topk(g, s, "k", false, e);
	if (!strcmp(type, "jumprelu"))
		return load_jumprelu(g, s, e);
	if (!strcmp(type, "batchtopk"))
		return load_batchtopk(g, s, e);
	if (!strcmp(type, "lista"))
		return load_lista(g, s, e);
	if (strcmp(type, "matryoshka") != 0)
		return guest_unknown("sae_type", given, "topk, batchtopk, gated, jumprelu, lista, matryoshka", e);
	return batch ? err_set(e, CODE_DATA, "a matryoshka by batches (matryoshka_use_batchtopk) is not understood here") : last_k(g, s, e);
}

const struct guest_kind guest_latentsae = {"latent-sae", match_latentsae, load_latentsae};
