#include "files/modelfile.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "files/infile.h"
#include "files/ptfile.h"
#include "files/safetensors.h"
#include "files/slots.h"

#define VERSION "1"
#define VERSION_VARIANT "2" /* says that a plain reader would compute something else */
#define MAX_SLOTS 10

/* Which tensors there are beyond those that all models have. */
struct further {
	bool threshold, gate, skip;
};

static size_t
slots_of(struct sae *s, struct further has, struct slot t[MAX_SLOTS])
{
	size_t n = 0;

	t[n++] = (struct slot){"W_enc", 2, {s->d, s->m}, s->W_enc};
	t[n++] = (struct slot){"b_enc", 1, {s->m, 0}, s->b_enc};
	t[n++] = (struct slot){"W_dec", 2, {s->m, s->d_out}, s->W_dec};
	t[n++] = (struct slot){"b_dec", 1, {s->d_out, 0}, s->b_dec};
	t[n++] = (struct slot){"mean", 1, {s->d, 0}, s->mean};
	t[n++] = (struct slot){"scale", 1, {1, 0}, &s->scale};
	if (has.threshold)
		t[n++] = (struct slot){"threshold", 1, {s->m, 0}, s->threshold};
	if (has.gate) {
		t[n++] = (struct slot){"W_gate", 2, {s->d, s->m}, s->W_gate};
		t[n++] = (struct slot){"b_gate", 1, {s->m, 0}, s->b_gate};
	}
	if (has.skip)
		t[n++] = (struct slot){"W_skip", 2, {s->d, s->d_out}, s->W_skip};
	return n;
}

static int
check_scale(float scale, struct err *e)
{
	return scale > 0 ? 0 : err_set(e, CODE_DATA, "scale is %g; it must be greater than 0", (double)scale);
}

/* Rising whole numbers up to that of the latents. */
static bool
parse_rising(const struct sae *s, const char *p, size_t out[SAE_MAX_LEVELS], size_t *n)
{
	uint64_t v, last = 0;

	while (*p) {
		if (*n == SAE_MAX_LEVELS || !meta_take_count(&p, &v) || v <= last || v > s->m)
			return false;
		out[(*n)++] = (size_t)v;
		last = v;
	}
	return *n > 0;
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

	if ((v = st_meta(f, "groups")) && !parse_rising(s, v, s->groups, &s->ngroups))
		return meta_bad("groups", v, "whole numbers, rising, not beyond the number of latents, at most 32 of them", e);
	if ((v = st_meta(f, "nesting")) && !parse_rising(s, v, s->nesting, &s->levels))
		return meta_bad("nesting", v, "whole numbers, rising, not beyond the number of latents, at most 32 of them", e);
	if ((v = st_meta(f, "weighting")) && !weighting_ok(v))
		return meta_bad("weighting", v, "rw, uw or a list of numbers", e);
	if (v)
		strcpy(s->weighting, v);
	if ((v = st_meta(f, "soft_cap")) && !meta_real(v, strlen(v), &s->soft_cap))
		return meta_bad("soft_cap", v, "a number from 0 on", e);
	if ((v = st_meta(f, "trained_on")))
		text_printable(s->trained_on, sizeof s->trained_on, v, strlen(v));
	if ((v = st_meta(f, "folded")))
		text_printable(s->folded, sizeof s->folded, v, strlen(v));
	v = st_meta(f, "library");
	snprintf(s->library, sizeof s->library, "%s", v && text_is_printable(v, strlen(v)) ? v : "msae");
	return 0;
}

/* What makes a model other than plain. */
static int
load_variant(struct sae *s, const struct st_file *f, struct err *e)
{
	const char *rule = st_meta(f, "rule"), *norm = st_meta(f, "row_norm"), *v;
	uint64_t n = 0;

	if (rule && sae_rule_parse(rule) < 0)
		return meta_bad("rule", rule, "positive, signed, magnitude, groupmax, gate or lista", e);
	if (norm && sae_row_norm_parse(norm) < 0)
		return meta_bad("row_norm", norm, "none, layer or length", e);
	s->rule = rule ? (enum sae_rule)sae_rule_parse(rule) : RULE_POSITIVE;
	s->row_norm = norm ? (enum sae_row_norm)sae_row_norm_parse(norm) : ROWS_AS_THEY_ARE;
	if ((v = st_meta(f, "keep")) && (!meta_count(v, &n) || n < 1 || n > s->m))
		return meta_bad("keep", v, "a whole number from 1 to the number of latents", e);
	s->keep = v ? (size_t)n : 0;
	if ((v = st_meta(f, "group")) && (!meta_count(v, &n) || n < 1 || n > s->m))
		return meta_bad("group", v, "a whole number from 1 to the number of latents", e);
	s->group = v ? (size_t)n : 0;
	if ((v = st_meta(f, "lista_steps")) && (!meta_count(v, &n) || n > 1000))
		return meta_bad("lista_steps", v, "a whole number up to 1000", e);
	s->lista_steps = v ? (unsigned)n : 0;
	if ((v = st_meta(f, "lista_eta")) && !meta_real(v, strlen(v), &s->lista_eta))
		return meta_bad("lista_eta", v, "a number from 0 on", e);
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
	if (s->rule == RULE_GROUPMAX && (!s->group || s->m % s->group))
		return err_set(e, CODE_DATA, "metadata group is %zu: %zu latents must part into that many equal groups", s->group, s->m);
	if ((s->rule == RULE_GATE) != (s->W_gate != NULL))
		return err_set(e, CODE_DATA, "tensors W_gate and b_gate belong to rule gate");
	if (s->rule != RULE_POSITIVE && s->threshold)
		return err_set(e, CODE_DATA, "tensor threshold and rule %s do not go together", sae_rule_name(s->rule));
	if (s->k > s->m)
		return err_set(e, CODE_DATA, "k is %zu; there are %zu latents", s->k, s->m);
	for (i = 0; i < s->levels; i++)
		if (s->nesting[i] <= (i ? s->nesting[i - 1] : 0) || s->nesting[i] > s->m)
			return err_set(e, CODE_DATA, "nesting must rise and not go beyond the %zu latents", s->m);
	return check_scale(s->scale, e);
}

int
model_check(const struct sae *s, struct err *e)
{
	if (s->weighting[0] && !weighting_ok(s->weighting))
		return meta_bad("weighting", s->weighting, "rw, uw or a list of numbers", e);
	if (!(s->soft_cap >= 0) || !isfinite(s->soft_cap))
		return err_set(e, CODE_DATA, "soft_cap is %g; it must be a number from 0 on", (double)s->soft_cap);
	return check_arch(s, e);
}

static int
load_arch(const struct st_file *f, enum sae_arch *arch, struct err *e)
{
	const char *name = st_meta(f, "architecture");
	int a;

	const char *version = st_meta(f, "version");
	bool variant = version && !strcmp(version, VERSION_VARIANT);

	if (meta_format(f, "msae", variant ? VERSION_VARIANT : VERSION, "an msae model file", NULL, e))
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

/* A transcoder says so, and its decoder how wide. */
static int
load_width(const struct st_file *f, size_t d, size_t *d_out, bool *transcoder, struct err *e)
{
	const char *v = st_meta(f, "transcoder");
	const struct st_tensor *t = st_find(f, "W_dec");

	*transcoder = v && !strcmp(v, "yes");
	*d_out = d;
	if (v && !*transcoder)
		return meta_bad("transcoder", v, "yes", e);
	if (*transcoder && t && t->ndim == 2 && t->shape[1] && t->shape[1] <= UINT32_MAX)
		*d_out = (size_t)t->shape[1];
	return 0;
}

/* All shapes, before anything is allocated on their word. */
static int
check_shapes(const struct st_file *f, const struct sae *sizes, struct further has, struct err *e)
{
	struct sae dims = *sizes;
	const struct st_tensor *t;
	struct slot slots[MAX_SLOTS];
	char why[96];
	size_t n, i;

	n = slots_of(&dims, has, slots);
	snprintf(why, sizeof why, " as W_enc is [%zu,%zu]", dims.d, dims.m);
	for (i = 0; i < n; i++)
		if (slot_find(f, &slots[i], why, &t, e))
			return e->code;
	return 0;
}

static int
load_tensors(struct sae *s, const struct st_file *f, struct further has, struct err *e)
{
	struct slot slots[MAX_SLOTS];
	size_t n = slots_of(s, has, slots), i;

	for (i = 0; i < n; i++)
		if (slot_read(f, &slots[i], "", e))
			return e->code;
	return 0;
}

static int
make_room(struct sae *s, const struct sae *dims, bool transcoder, bool bare, struct further has, struct err *e)
{
	if (transcoder ? sae_init_wide(s, dims->d, dims->m, dims->d_out, has.threshold, e) : sae_init(s, dims->d, dims->m, has.threshold, e))
		return e->code;
	if ((has.gate && (sae_add(&s->W_gate, s->d, s->m, e) || sae_add(&s->b_gate, s->m, 1, e))) ||
	    (has.skip && sae_add(&s->W_skip, s->d, s->d_out, e)) || (bare && !transcoder && sae_subtract_nothing(s, e)))
		return e->code;
	return 0;
}

static int
load_open(struct sae *s, const struct st_file *f, struct err *e)
{
	const char *subtract = st_meta(f, "subtract");
	struct further has = {st_find(f, "threshold") != NULL, st_find(f, "W_gate") != NULL, st_find(f, "W_skip") != NULL};
	enum sae_arch arch = ARCH_MSAE;
	struct sae dims = {0};
	bool transcoder = false;

	if (load_arch(f, &arch, e) || load_size(f, &dims.d, &dims.m, e) || load_width(f, dims.d, &dims.d_out, &transcoder, e) || check_shapes(f, &dims, has, e) ||
	    (subtract && strcmp(subtract, "nothing") && meta_bad("subtract", subtract, "nothing", e)) || make_room(s, &dims, transcoder, subtract != NULL, has, e))
		return infile_blame(e, f->path);
	s->arch = arch;
	if (load_tensors(s, f, has, e))
		return e->code;
	if (load_counts(s, f, e) || load_rest(s, f, e) || load_variant(s, f, e) || model_check(s, e))
		return infile_blame(e, f->path);
	memcpy(s->sha256, f->sha256, sizeof s->sha256);
	return 0;
}

static int
load_native(struct sae *s, const char *path, struct err *e)
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

static bool
is_torch(const unsigned char *head, size_t n)
{
	return pt_begins(head, n) || (n > 4 && !memcmp(head, "PK\3\4", 4));
}

/* Is it another library's? Not where it has the tensor `unless` (may be NULL);
 * what is nobody's is for load_native to say. */
static bool
is_guest(const char *path, const char *unless)
{
	unsigned char head[INFILE_SNIFF];
	struct err ignored = {0};
	struct st_file f;
	struct stat st;
	const char *format;
	uint64_t size;
	size_t n;
	int fd;
	bool is;

	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return true;
	if (infile_open(path, &fd, &size, &ignored))
		return false;
	n = size < sizeof head ? (size_t)size : sizeof head;
	if (infile_read_at(fd, head, n, 0, &ignored) || n < 9 || is_torch(head, n) || head[8] != '{') {
		is = n >= 9 && (is_torch(head, n) || head[0] == '{');
		close(fd);
		return is;
	}
	if (st_open_fd(&f, fd, size, &ignored))
		return false;
	format = st_meta(&f, "format");
	is = (!format || strncmp(format, "msae", 4) != 0) && !(unless && st_find(&f, unless));
	st_close(&f);
	return is;
}

int
model_load_as(struct sae *s, const char *path, const struct guest_opts *o, struct err *e)
{
	if (o && o->from ? !strcmp(o->from, "msae") : !is_guest(path, NULL)) {
		if (o && o->nset)
			return err_set(e, CODE_USAGE, "--set %.80s: models of msae hold all that can be set", o->set[0]);
		return load_native(s, path, e);
	}
	return guest_load(s, path, o, e);
}

int
model_load(struct sae *s, const char *path, struct err *e)
{
	return model_load_as(s, path, NULL, e);
}

/* Metadata being gathered; text holds what had to be printed. */
struct pairs {
	struct st_meta *pair;
	size_t n;
	char text[10][24 * SAE_MAX_LEVELS];
};

static void
add_pair(struct pairs *p, const char *key, const char *value)
{
	/* st_save reads them only */
	p->pair[p->n++] = (struct st_meta){(char *)(uintptr_t)key, (char *)(uintptr_t)value};
}

static void
add_size(struct pairs *p, size_t at, const char *key, size_t v)
{
	snprintf(p->text[at], sizeof p->text[at], "%zu", v);
	add_pair(p, key, p->text[at]);
}

static bool
is_variant(const struct sae *s)
{
	return sae_features(s) || s->keep || s->b_in != s->b_dec;
}

/* Only what there is: files of plain models are as they always were. */
static void
gather_variant(struct pairs *p, const struct sae *s)
{
	uint64_t ends[SAE_MAX_LEVELS];
	size_t i;

	if (s->keep)
		add_size(p, 5, "keep", s->keep);
	for (i = 0; i < s->ngroups; i++)
		ends[i] = s->groups[i];
	if (s->ngroups)
		add_pair(p, "groups", slot_shape(p->text[6], sizeof p->text[6], ends, (unsigned)s->ngroups));
	if (s->rule)
		add_pair(p, "rule", sae_rule_name(s->rule));
	if (s->row_norm)
		add_pair(p, "row_norm", sae_row_norm_name(s->row_norm));
	if (s->group)
		add_size(p, 7, "group", s->group);
	if (s->rule == RULE_LISTA) {
		add_size(p, 8, "lista_steps", s->lista_steps);
		snprintf(p->text[9], sizeof p->text[9], "%.9g", (double)s->lista_eta);
		add_pair(p, "lista_eta", p->text[9]);
	}
	if (s->transcoder)
		add_pair(p, "transcoder", "yes");
	else if (s->b_in != s->b_dec)
		add_pair(p, "subtract", "nothing");
	if (s->library[0] && strcmp(s->library, "msae") != 0)
		add_pair(p, "library", s->library);
	if (s->folded[0])
		add_pair(p, "folded", s->folded);
}

static void
gather(struct pairs *p, const struct sae *s)
{
	uint64_t levels[SAE_MAX_LEVELS];
	size_t i;

	add_pair(p, "format", "msae");
	add_pair(p, "version", is_variant(s) ? VERSION_VARIANT : VERSION);
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
	gather_variant(p, s);
}

static int
check_saved(const struct sae *s, const struct slot *t, size_t n, struct err *e)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (slot_check_finite(t[i].name, t[i].data, slot_count(&t[i]), e))
			return e->code;
	return model_check(s, e);
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
	size_t n = slots_of(s, (struct further){s->threshold != NULL, s->W_gate != NULL, s->W_skip != NULL}, slots), nextra = 0, i;

	/* what could not be loaded again is not written */
	if (check_saved(s, slots, n, e))
		return infile_blame(e, path);
	for (i = 0; i < n; i++)
		out[i] = slot_out(&slots[i]);
	for (i = 0; i < nmore && i < MODEL_MAX_MORE; i++)
		out[n++] = more[i];
	while (extra && extra[2 * nextra])
		nextra++;
	p.pair = calloc(24 + nextra, sizeof *p.pair);
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

/* Of another library's model, which has to be understood for it. */
static int
guest_stats(const char *path, float **mean, size_t *d, float *scale, struct err *e)
{
	struct sae s;

	if (guest_load(&s, path, NULL, e))
		return e->code;
	*mean = s.mean;
	*d = s.d;
	*scale = s.scale;
	s.mean = NULL;
	sae_free(&s);
	return 0;
}

int
stats_load(const char *path, float **mean, size_t *d, float *scale, struct err *e)
{
	struct st_file f;

	*mean = NULL;
	if (is_guest(path, "mean"))
		return guest_stats(path, mean, d, scale, e);
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
