#include "base/model.h"

#include <string.h>

#include "base/mem.h"

static const char *const arch_names[] = {"msae", "topk", "batchtopk", "relu", "jumprelu"};

static float *
zeros(size_t a, size_t b, struct err *e)
{
	size_t n, bytes;
	float *p = NULL;

	if (size_mul(a, b, &n) && size_mul(n, sizeof *p, &bytes))
		p = mem_alloc(bytes);
	if (!p) {
		err_memory(e, "model", (unsigned long long)a * b * sizeof *p);
		return NULL;
	}
	memset(p, 0, bytes);
	return p;
}

int
sae_init(struct sae *s, size_t d, size_t m, int with_threshold, struct err *e)
{
	memset(s, 0, sizeof *s);
	s->d = d;
	s->m = m;
	s->scale = 1;
	if (!(s->W_enc = zeros(d, m, e)) || !(s->b_enc = zeros(m, 1, e)) ||
	    !(s->W_dec = zeros(m, d, e)) || !(s->b_dec = zeros(d, 1, e)) ||
	    !(s->mean = zeros(d, 1, e)) || (with_threshold && !(s->threshold = zeros(m, 1, e)))) {
		sae_free(s);
		return e->code;
	}
	return 0;
}

void
sae_free(struct sae *s)
{
	mem_free(s->W_enc);
	mem_free(s->b_enc);
	mem_free(s->W_dec);
	mem_free(s->b_dec);
	mem_free(s->mean);
	mem_free(s->threshold);
	memset(s, 0, sizeof *s);
}

const char *
sae_arch_name(enum sae_arch a)
{
	return arch_names[a];
}

int
sae_arch_parse(const char *name)
{
	int i;

	for (i = 0; i < (int)(sizeof arch_names / sizeof *arch_names); i++)
		if (!strcmp(name, arch_names[i]))
			return i;
	return -1;
}
