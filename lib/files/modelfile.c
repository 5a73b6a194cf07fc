#include "files/modelfile.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "files/infile.h"
#include "files/safetensors.h"
#include "files/slots.h"

#define VERSION "1"
#define MAX_SLOTS 7

static size_t
slots_of(struct sae *s, bool with_threshold, struct slot t[MAX_SLOTS])
{
	size_t n = 0;

	t[n++] = (struct slot){"W_enc", 2, {s->d, s->m}, s->W_enc};
	t[n++] = (struct slot){"b_enc", 1, {s->m, 0}, s->b_enc};
	t[n++] = (struct slot){"W_dec", 2, {s->m, s->d}, s->W_dec};
	t[n++] = (struct slot){"b_dec", 1, {s->d, 0}, s->b_dec};
	t[n++] = (struct slot){"mean", 1, {s->d, 0}, s->mean};
	t[n++] = (struct slot){"scale", 1, {1, 0}, &s->scale};
	if (with_threshold)
		t[n++] = (struct slot){"threshold", 1, {s->m, 0}, s->threshold};
	return n;
}

static int
check_scale(float scale, struct err *e)
{
	return scale > 0 ? 0 : err_set(e, CODE_DATA, "scale is %g; it must be greater than 0", (double)scale);
}

static bool
parse_nesting(struct sae *s, const char *p)
{
	uint64_t v, last = 0;

	while (*p) {
		if (s->levels == SAE_MAX_LEVELS || !meta_take_count(&p, &v) || v <= last || v > s->m)
			return false;
		s->nesting[s->levels++] = (size_t)v;
		last = v;
	}
	return s->levels > 0;
}

/* "rw", "uw" or one number a level. */
static bool
weighting_ok(const char *p)
{
	float v;
	size_t n;

	if (!strcmp(p, "rw") || !strcmp(p, "uw"))
		return true;
	if (strlen(p) >= sizeof ((struct sae *)0)->weighting)
		return false;
	for (;; p += n + 1) {
		n = strcspn(p, ",");
		if (!meta_real(p, n, &v))
			return false;
		if (!p[n])
			return true;
	}
}

static int
load_counts(struct sae *s, const struct st_file *f, struct err *e)
{
	bool uses_k = s->arch == ARCH_TOPK || s->arch == ARCH_BATCHTOPK;
	const char *v;
	uint64_t k = 0;

	if ((v = st_meta(f, "rows")) && !meta_count(v, &s->rows))
		return meta_bad("rows", v, "a whole number", e);
	if ((v = st_meta(f, "seed")) && !meta_count(v, &s->seed))
		return meta_bad("seed", v, "a whole number", e);
	if (!(v = st_meta(f, "k")))
		return 0;
	if (!meta_count(v, &k) || (uses_k && (k < 1 || k > s->m)))
		return meta_bad("k", v, "a whole number from 1 to the number of latents", e);
	/* elsewhere it says nothing about encoding */
	s->k = uses_k ? (size_t)k : 0;
	return 0;
}

static int
load_rest(struct sae *s, const struct st_file *f, struct err *e)
{
	const char *v;

	if ((v = st_meta(f, "nesting")) && !parse_nesting(s, v))
		return meta_bad("nesting", v, "whole numbers, rising, not beyond the number of latents, at most 32 of them", e);
	if ((v = st_meta(f, "weighting")) && !weighting_ok(v))
		return meta_bad("weighting", v, "rw, uw or a list of numbers", e);
	if (v)
		strcpy(s->weighting, v);
	if ((v = st_meta(f, "soft_cap")) && !meta_real(v, strlen(v), &s->soft_cap))
		return meta_bad("soft_cap", v, "a number from 0 on", e);
	if ((v = st_meta(f, "trained_on")))
		text_printable(s->trained_on, sizeof s->trained_on, v, strlen(v));
	return 0;
}

/* What the architecture needs beyond the tensors all have; for what is loaded
 * and for what is about to be saved. */
static int
check_arch(const struct sae *s, struct err *e)
{
	size_t i;

	if (s->arch == ARCH_TOPK && !s->k)
		return err_set(e, CODE_DATA, "metadata k is missing: architecture topk needs it");
	if (s->arch == ARCH_BATCHTOPK && !s->k && !s->threshold)
		return err_set(e, CODE_DATA, "neither metadata k nor tensor threshold: architecture batchtopk needs one");
	if (s->arch == ARCH_JUMPRELU && !s->threshold)
		return err_set(e, CODE_DATA, "tensor threshold is missing: architecture jumprelu needs it");
	if (s->k > s->m)
		return err_set(e, CODE_DATA, "k is %zu; there are %zu latents", s->k, s->m);
	for (i = 0; i < s->levels; i++)
		if (s->nesting[i] <= (i ? s->nesting[i - 1] : 0) || s->nesting[i] > s->m)
			return err_set(e, CODE_DATA, "nesting must rise and not go beyond the %zu latents", s->m);
	return check_scale(s->scale, e);
}

static int
load_arch(const struct st_file *f, enum sae_arch *arch, struct err *e)
{
	const char *name = st_meta(f, "architecture");
	int a;

	if (meta_format(f, "msae", VERSION, "an msae model file", "sae-convert reads the models of other tools", e))
		return e->code;
	a = name ? sae_arch_parse(name) : -1;
	if (a < 0)
		return meta_bad("architecture", name ? name : "", "msae, topk, batchtopk, relu or jumprelu", e);
	*arch = (enum sae_arch)a;
	return 0;
}

static int
load_size(const struct st_file *f, size_t *d, size_t *m, struct err *e)
{
	const struct st_tensor *t = st_find(f, "W_enc");
	char text[96];

	if (!t)
		return err_set(e, CODE_DATA, "tensor W_enc is missing");
	if (t->ndim != 2 || !t->shape[0] || !t->shape[1] || t->shape[0] > UINT32_MAX || t->shape[1] > UINT32_MAX)
		return err_set(e, CODE_DATA, "tensor W_enc has shape [%s], expected [inputs,latents]",
		               slot_shape(text, sizeof text, t->shape, t->ndim));
	*d = (size_t)t->shape[0];
	*m = (size_t)t->shape[1];
	return 0;
}

/* All shapes, before anything is allocated on their word. */
static int
check_shapes(const struct st_file *f, size_t d, size_t m, struct err *e)
{
	struct sae dims = {.d = d, .m = m};
	const struct st_tensor *t;
	struct slot slots[MAX_SLOTS];
	char why[96];
	size_t n, i;

	n = slots_of(&dims, st_find(f, "threshold") != NULL, slots);
	snprintf(why, sizeof why, " as W_enc is [%zu,%zu]", d, m);
	for (i = 0; i < n; i++)
		if (slot_find(f, &slots[i], why, &t, e))
			return e->code;
	return 0;
}

static int
load_tensors(struct sae *s, const struct st_file *f, struct err *e)
{
	struct slot slots[MAX_SLOTS];
	size_t n = slots_of(s, s->threshold != NULL, slots), i;

	for (i = 0; i < n; i++)
		if (slot_read(f, &slots[i], "", e))
			return e->code;
	return 0;
}

static int
load_open(struct sae *s, const struct st_file *f, struct err *e)
{
	enum sae_arch arch = ARCH_MSAE;
	size_t d = 0, m = 0;

	if (load_arch(f, &arch, e) || load_size(f, &d, &m, e) || check_shapes(f, d, m, e) ||
	    sae_init(s, d, m, st_find(f, "threshold") != NULL, e))
		return infile_blame(e, f->path);
	s->arch = arch;
	if (load_tensors(s, f, e))
		return e->code;
	if (load_counts(s, f, e) || load_rest(s, f, e) || check_arch(s, e))
		return infile_blame(e, f->path);
	memcpy(s->sha256, f->sha256, sizeof s->sha256);
	return 0;
}

int
model_load(struct sae *s, const char *path, struct err *e)
{
	struct st_file f;

	memset(s, 0, sizeof *s);
	if (st_open_as(&f, path, "an msae model file", e))
		return e->code;
	e->code = 0;
	if (load_open(s, &f, e))
		sae_free(s);
	st_close(&f);
	return e->code;
}

/* Metadata being gathered; text holds what had to be printed. */
struct pairs {
	struct st_meta *pair;
	size_t n;
	char text[6][24 * SAE_MAX_LEVELS];
};

static void
add_pair(struct pairs *p, const char *key, const char *value)
{
	/* st_save reads them only */
	p->pair[p->n++] = (struct st_meta){(char *)(uintptr_t)key, (char *)(uintptr_t)value};
}

static void
gather(struct pairs *p, const struct sae *s)
{
	uint64_t levels[SAE_MAX_LEVELS];
	size_t i;

	add_pair(p, "format", "msae");
	add_pair(p, "version", VERSION);
	add_pair(p, "architecture", sae_arch_name(s->arch));
	if (s->k) {
		snprintf(p->text[0], sizeof p->text[0], "%zu", s->k);
		add_pair(p, "k", p->text[0]);
	}
	for (i = 0; i < s->levels; i++)
		levels[i] = s->nesting[i];
	if (s->levels)
		add_pair(p, "nesting", slot_shape(p->text[1], sizeof p->text[1], levels, (unsigned)s->levels));
	if (s->weighting[0])
		add_pair(p, "weighting", s->weighting);
	if (s->soft_cap > 0) {
		snprintf(p->text[2], sizeof p->text[2], "%.9g", (double)s->soft_cap);
		add_pair(p, "soft_cap", p->text[2]);
	}
	if (s->trained_on[0])
		add_pair(p, "trained_on", s->trained_on);
	snprintf(p->text[3], sizeof p->text[3], "%llu", (unsigned long long)s->rows);
	add_pair(p, "rows", p->text[3]);
	snprintf(p->text[4], sizeof p->text[4], "%llu", (unsigned long long)s->seed);
	add_pair(p, "seed", p->text[4]);
}

static int
check_saved(const struct sae *s, const struct slot *t, size_t n, struct err *e)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (slot_check_finite(t[i].name, t[i].data, slot_count(&t[i]), e))
			return e->code;
	if (s->weighting[0] && !weighting_ok(s->weighting))
		return meta_bad("weighting", s->weighting, "rw, uw or a list of numbers", e);
	return check_arch(s, e);
}

int
model_save(struct sae *s, const char *path, const char *const *extra, struct err *e)
{
	return model_save_with(s, path, extra, NULL, 0, e);
}

int
model_save_with(struct sae *s, const char *path, const char *const *extra, const struct st_out *more, size_t nmore, struct err *e)
{
	struct slot slots[MAX_SLOTS];
	struct st_out out[MAX_SLOTS + MODEL_MAX_MORE];
	struct pairs p = {0};
	size_t n = slots_of(s, s->threshold != NULL, slots), nextra = 0, i;

	/* what could not be loaded again is not written */
	if (check_saved(s, slots, n, e))
		return infile_blame(e, path);
	for (i = 0; i < n; i++)
		out[i] = slot_out(&slots[i]);
	for (i = 0; i < nmore && i < MODEL_MAX_MORE; i++)
		out[n++] = more[i];
	while (extra && extra[2 * nextra])
		nextra++;
	p.pair = calloc(16 + nextra, sizeof *p.pair);
	if (!p.pair)
		return err_memory(e, path, nextra * sizeof *p.pair);
	gather(&p, s);
	for (i = 0; i < nextra; i++)
		add_pair(&p, extra[2 * i], extra[2 * i + 1]);
	st_save(path, out, n, p.pair, p.n, s->sha256, e);
	free(p.pair);
	return e->code;
}

static int
load_stats(const struct st_file *f, float **mean, size_t *d, float *scale, struct err *e)
{
	const struct st_tensor *t = st_find(f, "mean");
	struct slot slot = {"mean", 1, {0, 0}, NULL};
	char text[96];
	size_t bytes;

	if (!t)
		err_set(e, CODE_DATA, "tensor mean is missing");
	else if (t->ndim != 1 || !t->shape[0] || t->shape[0] > SIZE_MAX || !size_mul((size_t)t->shape[0], sizeof **mean, &bytes))
		err_set(e, CODE_DATA, "tensor mean has shape [%s], expected [inputs]", slot_shape(text, sizeof text, t->shape, t->ndim));
	else if (!(*mean = mem_alloc(bytes)))
		err_memory(e, "mean", bytes);
	if (!*mean)
		return infile_blame(e, f->path);
	*d = (size_t)t->shape[0];
	slot.shape[0] = *d;
	slot.data = *mean;
	if (slot_read(f, &slot, "", e))
		return e->code;
	slot = (struct slot){"scale", 1, {1, 0}, scale};
	if (slot_read(f, &slot, "", e))
		return e->code;
	return check_scale(*scale, e) ? infile_blame(e, f->path) : 0;
}

int
stats_load(const char *path, float **mean, size_t *d, float *scale, struct err *e)
{
	struct st_file f;

	*mean = NULL;
	if (st_open_as(&f, path, "a file of normalisation statistics", e))
		return e->code;
	e->code = 0;
	if (load_stats(&f, mean, d, scale, e)) {
		mem_free(*mean);
		*mean = NULL;
	}
	st_close(&f);
	return e->code;
}

int
stats_save(const char *path, const float *mean, size_t d, float scale, uint64_t rows, struct err *e)
{
	const struct st_out out[] = {{"mean", DT_F4, 1, {d}, mean}, {"scale", DT_F4, 1, {1}, &scale}};
	char count[24], version[] = VERSION, format[] = "msae-stats";
	const struct st_meta meta[] = {{"format", format}, {"version", version}, {"rows", count}};

	snprintf(count, sizeof count, "%llu", (unsigned long long)rows);
	if (slot_check_finite("mean", mean, d, e) || slot_check_finite("scale", &scale, 1, e) || check_scale(scale, e))
		return infile_blame(e, path);
	return st_save(path, out, 2, meta, 3, NULL, e);
}
