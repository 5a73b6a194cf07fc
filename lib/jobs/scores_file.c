#include "jobs/scores_file.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "files/infile.h"
#include "files/jsonin.h"

#define WHAT "what sae-eval --json wrote"
#define MAX_BYTES ((uint64_t)256 << 20)
#define MAX_DEPTH 8
#define MAX_VALUES ((size_t)1 << 24)

static double
number_or_nan(const json_t *v)
{
	return json_is_number(v) ? json_number_value(v) : NAN;
}

static void
text_of(char *out, size_t size, const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	text_printable(out, size, s ? s : "", s ? strlen(s) : 0);
}

static int
count_of(uint64_t *out, const json_t *o, const char *key, struct err *e)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return err_set(e, CODE_DATA, "not " WHAT ": \"%s\" is no whole number", key);
	*out = (uint64_t)json_integer_value(v);
	return 0;
}

/* {"mean":..., "sd":..., "ci95":[low, high]}, null where it could not be told */
static struct estimate
estimate_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key), *ci = json_object_get(v, "ci95");

	return (struct estimate){number_or_nan(json_object_get(v, "mean")), number_or_nan(json_object_get(v, "sd")),
	                         (number_or_nan(json_array_get(ci, 1)) - number_or_nan(json_array_get(ci, 0))) / 2};
}

static void
level_of(struct scores_level *l, size_t k, const json_t *o)
{
	static const struct { enum score_kind kind; const char *key; } kinds[] = {
		{SCORE_FVU, "fvu"}, {SCORE_FVU_DATA, "fvu_data"}, {SCORE_COSINE, "cosine"}, {SCORE_MAE, "mae"}, {SCORE_L0, "l0"}, {SCORE_SPARSITY, "sparsity"},
		{SCORE_CKNNA, "cknna"}, {SCORE_LP_KL, "lp_kl"}, {SCORE_LP_ACC, "lp_acc"},
	};
	size_t i;

	l->k = k;
	for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
		l->of[kinds[i].kind] = estimate_of(o, kinds[i].key);
}

static int
levels_of(struct scores *s, const json_t *o, struct err *e)
{
	const json_t *used = json_object_get(o, "as_used"), *at = json_object_get(o, "at");
	uint64_t k = 0, last = 0;
	size_t i;

	if (!json_is_object(used))
		return err_set(e, CODE_DATA, "not " WHAT ": no \"as_used\"");
	level_of(&s->levels[s->nlevels++], 0, used);
	for (i = 0; i < json_array_size(at); i++) {
		if (count_of(&k, json_array_get(at, i), "k", e))
			return e->code;
		if (k <= last || k > s->m || s->nlevels == SCORES_MAX_LEVELS)
			return err_set(e, CODE_DATA, "not " WHAT ": \"k\" must rise up to the number of latents, in at most %d levels", SCORES_MAX_LEVELS - 1);
		level_of(&s->levels[s->nlevels++], (size_t)k, json_array_get(at, i));
		last = k;
	}
	return 0;
}

static int
model_of(struct scores_file *f, const json_t *o, struct err *e)
{
	struct scores *s = &f->scores;
	uint64_t d = 0, m = 0;

	if (count_of(&d, o, "inputs", e) || count_of(&m, o, "latents", e) || count_of(&s->rows, o, "rows", e))
		return e->code;
	s->d = (size_t)d;
	s->m = (size_t)m;
	text_of(f->name, sizeof f->name, o, "model");
	text_of(f->arch, sizeof f->arch, o, "architecture");
	text_of(f->sha256, sizeof f->sha256, o, "sha256");
	text_of(f->rows_are, sizeof f->rows_are, o, "rows_are");
	s->name = f->name;
	s->arch = f->arch;
	s->sha256 = f->sha256;
	s->rows_are = f->rows_are;
	s->overlap = number_or_nan(json_object_get(o, "do"));
	return levels_of(s, o, e);
}

static bool
is_of(const json_t *o, const char *model)
{
	const char *s = json_string_value(json_object_get(o, "sha256"));

	return !model || (s && !strcmp(s, model));
}

/* The one object that is of the model; the only one there is where that is not known. */
static int
choose(const json_t *root, const char *model, const json_t **out, struct err *e)
{
	const json_t *models = json_object_get(root, "models");
	size_t n = json_array_size(models), i;
	char sha[20];

	*out = models ? json_array_get(models, 0) : root;
	if (!json_is_object(root) || !json_is_object(*out))
		return err_set(e, CODE_DATA, "not " WHAT);
	if (n > 1 && !model)
		return err_set(e, CODE_DATA, "holds %zu models, and the stream does not say which of them made its codes", n);
	for (i = 1; i < n && !is_of(*out, model); i++)
		*out = json_array_get(models, i);
	if (is_of(*out, model))
		return 0;
	text_of(sha, sizeof sha, *out, "sha256");
	if (n > 1 || !*sha)
		return err_set(e, CODE_DATA, "says nothing of model %.12s..., which made these codes", model);
	return err_set(e, CODE_DATA, "is of model %s, these codes were made with %.12s...", sha, model);
}

int
scores_load(struct scores_file *s, const char *path, const char *model, struct err *e)
{
	const json_t *one;
	json_t *root;

	memset(s, 0, sizeof *s);
	if (jsonin_load(path, WHAT, MAX_BYTES, MAX_DEPTH, MAX_VALUES, &root, e))
		return e->code;
	e->code = 0;
	if (choose(root, model, &one, e) || model_of(s, one, e))
		infile_blame(e, path);
	json_decref(root);
	return e->code;
}
