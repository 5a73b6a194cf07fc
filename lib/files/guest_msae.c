/* MSAE (the published code of the paper): {model, mean_center, scaling_factor,
 * target_norm}; the configuration is the file's name:
 * {n}_{d}_{act}[_{k or l1}][_RW|_UW]_{tied}_{normalize}_{softcap}_{dataset}.pth */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "files/guest_parts.h"

#define FIELDS 8
#define WIDE 40

struct named {
	uint64_t n, d, number; /* number: k of TopK */
	char act[WIDE], weighting[4], data[160];
	bool normalize;
	double soft_cap;
	bool given; /* by name or settings */
};

static bool
match(struct guest *g)
{
	return guest_find(g, "pre_bias") && guest_find(g, "encoder") && guest_find(g, "latent_bias");
}

static bool
digits(const char *s, uint64_t *v)
{
	size_t n = strspn(s, "0123456789");

	*v = n && n < 19 ? strtoull(s, NULL, 10) : 0;
	return n && n < 19 && !s[n];
}

/* The next field into out; false when there is none or it is too long. */
static bool
next_field(const char **p, char *out, size_t size)
{
	size_t n = strcspn(*p, "_");

	if (!n || n >= size)
		return false;
	memcpy(out, *p, n);
	out[n] = 0;
	*p += n + ((*p)[n] == '_');
	return true;
}

/* The activation and its number, as in names and in --set activation=TopKReLU_64. */
static bool
take_activation(const char **p, struct named *c)
{
	char field[WIDE];
	const char *at;

	if (!next_field(p, c->act, sizeof c->act))
		return false;
	at = *p;
	if (next_field(&at, field, sizeof field) && digits(field, &c->number))
		*p = at;
	at = *p;
	if (next_field(&at, field, sizeof field) && (!strcmp(field, "RW") || !strcmp(field, "UW"))) {
		snprintf(c->weighting, sizeof c->weighting, "%c%c", field[0] == 'R' ? 'r' : 'u', 'w');
		*p = at;
	}
	return true;
}

static bool
parse_name(const char *name, struct named *c)
{
	char field[WIDE], *end;
	const char *p = name;
	size_t n = strlen(name);

	if (!next_field(&p, field, sizeof field) || !digits(field, &c->n) || !next_field(&p, field, sizeof field) || !digits(field, &c->d) ||
	    !take_activation(&p, c) || !next_field(&p, field, sizeof field) || (strcmp(field, "True") && strcmp(field, "False")) ||
	    !next_field(&p, field, sizeof field) || (strcmp(field, "True") && strcmp(field, "False")))
		return false;
	c->normalize = !strcmp(field, "True");
	if (!next_field(&p, field, sizeof field))
		return false;
	c->soft_cap = strtod(field, &end);
	n = strlen(p);
	if (n > 4 && !strcmp(p + n - 4, ".pth"))
		n -= 4;
	snprintf(c->data, sizeof c->data, "%.*s", n < 150 ? (int)n : 150, p);
	return end != field && (!*end || !strcmp(end, ".pth")) && c->soft_cap >= 0 && isfinite(c->soft_cap);
}

static int
configuration(struct guest *g, struct named *c, struct err *e)
{
	const char *act = guest_text(g, "activation", NULL);

	c->given = parse_name(g->name, c);
	if (c->given)
		guest_decides(g, "name", g->name);
	else
		*c = (struct named){0};
	if (act) {
		c->number = 0;
		c->weighting[0] = 0;
		if (!take_activation(&act, c) || *act)
			return guest_unknown("activation", act, "ReLU, TopK_64, TopKReLU_64, BatchTopKReLU_64, JumpReLU, with _RW or _UW behind a Matryoshka's", e);
		c->given = true;
	}
	if (!c->given)
		return err_set(e, CODE_DATA, "its configuration is the file's name, and %.60s says none; name it as it was, or say it with: "
		               "sae-convert --set activation=TopKReLU_64_RW [--set normalize=true] [--set soft_cap=2]", g->name);
	return guest_flag(g, "normalize", c->normalize, &c->normalize, e) || guest_real(g, "soft_cap", c->soft_cap, &c->soft_cap, e) ? e->code : 0;
}

/* 64, 128 ... below m, and m: the levels the published code trains. */
static void
levels(struct sae *s)
{
	size_t k;

	for (k = 64; k < s->m && s->levels + 1 < SAE_MAX_LEVELS; k *= 2)
		s->nesting[s->levels++] = k;
	s->nesting[s->levels++] = s->m;
}

static int
activation(struct guest *g, struct sae *s, const struct named *c, struct err *e)
{
	bool topk = strstr(c->act, "TopK") != NULL;

	if (topk && (c->number < 1 || c->number > s->m))
		return err_set(e, CODE_DATA, "k of %.30s is %llu; there are %zu latents", c->act, (unsigned long long)c->number, s->m);
	if (!strcmp(c->act, "ReLU"))
		s->arch = ARCH_RELU;
	else if (!strcmp(c->act, "JumpReLU"))
		s->arch = ARCH_JUMPRELU;
	else if (!strcmp(c->act, "BatchTopKReLU"))
		s->arch = ARCH_BATCHTOPK;
	else if (!strcmp(c->act, "TopKReLU") || !strcmp(c->act, "TopK"))
		s->arch = ARCH_TOPK;
	else
		return guest_unknown("its activation", c->act, "ReLU, TopK, TopKReLU, BatchTopKReLU, JumpReLU", e);
	s->k = topk ? (size_t)c->number : 0;
	if (!strcmp(c->act, "TopK"))
		s->rule = RULE_SIGNED;
	if (s->arch == ARCH_JUMPRELU && guest_log_threshold(g, s, "activation.log_threshold", false, e))
		return e->code;
	if (s->arch == ARCH_BATCHTOPK)
		snprintf(s->note, sizeof s->note, "its codes depend on the whole batch; here they are all positive ones: choose with `topk --batch -k %zu`, or -k", s->k);
	if (c->weighting[0]) {
		s->keep = s->arch == ARCH_TOPK ? s->k : 0;
		s->arch = ARCH_MSAE;
		s->k = 0;
		levels(s);
		memcpy(s->weighting, c->weighting, sizeof c->weighting);
	}
	return 0;
}

static int
normalisation(struct guest *g, struct sae *s, struct err *e)
{
	const struct value *mean = guest_beside(g, "mean_center");
	double v;

	if (!mean)
		return 0;
	if (mean->kind == VALUE_TENSOR && mean->as.tensor->ndim == 1 && mean->as.tensor->shape[0] == s->d) {
		if (pt_read_f32(&g->pt, mean, s->mean, e))
			return e->code;
	} else if (!pt_number(&g->pt, mean, "mean_center", &v, e)) {
		return e->code;
	} else {
		for (size_t i = 0; i < s->d; i++)
			s->mean[i] = (float)v;
	}
	if (!pt_number(&g->pt, value_get(g->pt.root, "scaling_factor"), "scaling_factor", &v, e))
		return e->code;
	if (!(v > 0) || !isfinite((float)v))
		return err_set(e, CODE_DATA, "scaling_factor is %g; it must be a number greater than 0", v);
	s->scale = (float)v;
	return 0;
}

/* How often latents fired, where the file says. */
static int
frequencies(struct guest *g, struct sae *s, struct err *e)
{
	const struct guest_tensor *t = guest_find(g, "latents_activation_frequency");
	float *v;
	size_t j;

	if (!t || t->ndim != 1 || t->shape[0] != s->m)
		return 0;
	v = mem_alloc(s->m * sizeof *v);
	s->fired = mem_alloc(s->m * sizeof *s->fired);
	if (!v || !s->fired) {
		mem_free(v);
		return err_memory(e, "frequencies", s->m * sizeof *s->fired);
	}
	e->code = 0;
	if (!guest_numbers(g, t, v, e))
		for (j = 0; j < s->m; j++)
			s->fired[j] = v[j] > 0 && v[j] < 1e18F ? (uint64_t)v[j] + (v[j] < 1) : 0;
	mem_free(v);
	return e->code;
}

static int
load(struct guest *g, struct sae *s, struct err *e)
{
	bool tied = !guest_find(g, "decoder");
	struct named c = {0};

	if (configuration(g, &c, e) || guest_begin(g, s, "encoder", false, false, e))
		return e->code;
	if ((c.n && c.n != s->m) || (c.d && c.d != s->d))
		return err_set(e, CODE_DATA, "the file's name says %llu latents of %llu inputs, its tensors %zu of %zu", (unsigned long long)c.n,
		               (unsigned long long)c.d, s->m, s->d);
	if (guest_weights(g, s, "encoder", false, tied ? "encoder" : "decoder", tied, e) || guest_vector(g, "latent_bias", s->m, s->b_enc, e) ||
	    guest_vector(g, "pre_bias", s->d, s->b_dec, e) || activation(g, s, &c, e) || normalisation(g, s, e) || frequencies(g, s, e))
		return e->code;
	s->soft_cap = (float)c.soft_cap;
	s->row_norm = c.normalize ? ROWS_LAYER : ROWS_AS_THEY_ARE;
	snprintf(s->trained_on, sizeof s->trained_on, "%s", c.data);
	return 0;
}

const struct guest_kind guest_msae = {"MSAE", match, load};

/* ---- OpenAI's sparse_autoencoder, which has much the same ---- */

static bool
match_openai(struct guest *g)
{
	return guest_find(g, "pre_bias") && guest_find(g, "encoder.weight") && guest_find(g, "latent_bias");
}

static int
load_openai(struct guest *g, struct sae *s, struct err *e)
{
	const char *act = guest_text(g, "activation", NULL), *post;

	if (guest_begin(g, s, "encoder.weight", true, false, e) || guest_weights(g, s, "encoder.weight", true, "decoder.weight", true, e) ||
	    guest_vector(g, "latent_bias", s->m, s->b_enc, e) || guest_vector(g, "pre_bias", s->d, s->b_dec, e) || frequencies(g, s, e))
		return e->code;
	s->arch = ARCH_RELU;
	if (act && !strcmp(act, "TopK")) {
		post = guest_text(g, "activation_state_dict.postact_fn", "ReLU");
		if (strcmp(post, "ReLU") != 0 && strcmp(post, "Identity") != 0)
			return guest_unknown("postact_fn", post, "ReLU, Identity", e);
		s->row_norm = ROWS_LAYER;
		return guest_topk(g, s, "activation_state_dict.k", !strcmp(post, "Identity"), e);
	}
	if (act && !strcmp(act, "Identity"))
		s->rule = RULE_SIGNED;
	else if (!act || strcmp(act, "ReLU") != 0)
		return guest_unknown("activation", act ? act : "", "ReLU, TopK, Identity", e);
	return 0;
}

const struct guest_kind guest_openai = {"OpenAI", match_openai, load_openai};
