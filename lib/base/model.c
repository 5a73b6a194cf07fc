#include "base/model.h"

#include <string.h>

#include "base/mem.h"

static const char *const arch_names[] = {"msae", "topk", "batchtopk", "relu", "jumprelu", NULL};
static const char *const rule_names[] = {"positive", "signed", "magnitude", "groupmax", "gate", "lista", NULL};
static const char *const row_norm_names[] = {"none", "layer", "length", NULL};

static float *
zeros(size_t a, size_t b, struct err *e)
{
	size_t n, bytes;
	float *p = NULL;

	if (size_mul(a, b, &n) && size_mul(n, sizeof *p, &bytes))
		p = mem_alloc_large(bytes);
	if (!p) {
		err_memory(e, "model", (unsigned long long)a * b * sizeof *p);
		return NULL;
	}
	memset(p, 0, bytes);
	return p;
}

int
sae_add(float **p, size_t a, size_t b, struct err *e)
{
	if (!*p)
		*p = zeros(a, b, e);
	return *p ? 0 : e->code;
}

int
sae_init_wide(struct sae *s, size_t d, size_t m, size_t d_out, int with_threshold, struct err *e)
{
	memset(s, 0, sizeof *s);
	s->d = d;
	s->m = m;
	s->d_out = d_out;
	s->transcoder = 1;
	s->scale = 1;
	if (sae_add(&s->W_enc, d, m, e) || sae_add(&s->b_enc, m, 1, e) || sae_add(&s->W_dec, m, d_out, e) ||
	    sae_add(&s->b_dec, d_out, 1, e) || sae_add(&s->mean, d, 1, e) || sae_add(&s->b_in, d, 1, e) ||
	    (with_threshold && sae_add(&s->threshold, m, 1, e))) {
		sae_free(s);
		return e->code;
	}
	return 0;
}

int
sae_init(struct sae *s, size_t d, size_t m, int with_threshold, struct err *e)
{
	if (sae_init_wide(s, d, m, d, with_threshold, e))
		return e->code;
	mem_free(s->b_in);
	s->b_in = s->b_dec;
	s->transcoder = 0;
	return 0;
}

int
sae_subtract_nothing(struct sae *s, struct err *e)
{
	if (s->b_in == s->b_dec)
		s->b_in = NULL;
	return sae_add(&s->b_in, s->d, 1, e);
}

void
sae_free(struct sae *s)
{
	mem_free(s->W_enc);
	mem_free(s->b_enc);
	mem_free(s->W_dec);
	if (s->b_in != s->b_dec)
		mem_free(s->b_in);
	mem_free(s->b_dec);
	mem_free(s->mean);
	mem_free(s->threshold);
	mem_free(s->W_gate);
	mem_free(s->b_gate);
	mem_free(s->W_skip);
	mem_free(s->fired);
	memset(s, 0, sizeof *s);
}

size_t
sae_keep(const struct sae *s)
{
	return s->arch == ARCH_TOPK ? s->k : s->keep;
}

int
sae_takes_raw(const struct sae *s)
{
	size_t i;

	for (i = 0; i < s->d; i++)
		if (s->mean[i] != 0)
			return 0;
	return !(s->scale < 1) && !(s->scale > 1);
}

unsigned
sae_features(const struct sae *s)
{
	unsigned f = s->row_norm ? SAE_ROW_NORM : 0;

	if (s->rule == RULE_SIGNED || s->rule == RULE_MAGNITUDE)
		f |= SAE_SIGNED;
	if (s->rule == RULE_GATE || s->rule == RULE_LISTA)
		f |= SAE_OWN_ORDER;
	if (s->rule == RULE_GROUPMAX)
		f |= SAE_GROUPS;
	if (s->W_skip)
		f |= SAE_SKIP;
	return s->transcoder ? f | SAE_TRANSCODER : f;
}

int
sae_require(const struct sae *s, unsigned able, const char *who, struct err *e)
{
	static const char *const what[] = {
		"it normalises each row by itself", "its codes may be negative", "it chooses codes by more than their size",
		"it has a skip connection past the codes", "it is a transcoder: what it makes is not what it takes",
		"it keeps one code of each group of latents"
	};
	unsigned over = sae_features(s) & ~able, i;

	for (i = 0; i < sizeof what / sizeof *what; i++)
		if (over & 1u << i)
			return err_set(e, CODE_DATA, "%s, which %s cannot do", what[i], who);
	return 0;
}

static int
find(const char *const *names, const char *name)
{
	int i;

	for (i = 0; names[i]; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

const char *
sae_arch_name(enum sae_arch a)
{
	return arch_names[a];
}

int
sae_arch_parse(const char *name)
{
	return find(arch_names, name);
}

const char *
sae_rule_name(enum sae_rule r)
{
	return rule_names[r];
}

int
sae_rule_parse(const char *name)
{
	return find(rule_names, name);
}

const char *
sae_row_norm_name(enum sae_row_norm n)
{
	return row_norm_names[n];
}

int
sae_row_norm_parse(const char *name)
{
	return find(row_norm_names, name);
}
