#include "jobs/namer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "files/concepts.h"
#include "sae/rowform.h"

#define OTHERWISE 3 /* times as long, or as short: another normalisation */

typedef unsigned long long ull;

/* What the decoder sees of a raw row [d]. */
static void
seen_from_bias(const struct namer *n, float *x)
{
	const struct sae *s = n->model;
	size_t i;

	norm_apply(x, x, 1, s->d, s->mean, s->scale, n->simd);
	if (s->row_norm)
		rowform_apply(s, x, x, 1, NULL);
	for (i = 0; i < s->d; i++)
		x[i] -= s->b_dec[i];
}

int
namer_data(struct namer *n, const float *x, size_t count, struct err *e)
{
	const struct sae *s = n->model;

	if (!n->encoder) {
		n->encoder = encoder_new(s, n->pool, n->simd, e);
		if (!n->encoder || strongest_init(&n->strongest, s->m, n->o.strongest, e))
			return e->code;
	}
	if (mat_resize(&n->x, count, s->d, "rows", e))
		return e->code;
	norm_apply(n->x.data, x, count, s->d, s->mean, s->scale, n->simd);
	if (encode(n->encoder, n->x.data, count, sae_keep(s), &n->z, e))
		return e->code;
	strongest_codes(&n->strongest, csr_view(&n->z), n->encoded);
	n->encoded += count;
	return 0;
}

/* Rows brought to unit length, say, where the model was trained on others, give
 * codes without meaning that look like any. Their mean then points where the
 * model's does, but is far longer or shorter. */
static int
check_length(const struct namer *n, struct err *e)
{
	const struct sae *s = n->model;
	float *mean = mem_alloc(s->d * sizeof *mean), scale;
	double ours = 0, theirs = 0, both = 0;
	size_t i;

	if (!mean)
		return err_memory(e, "mean", s->d * sizeof *mean);
	norm_fit_result(&n->rows.sums, mean, &scale);
	for (i = 0; i < s->d; i++) {
		theirs += (double)mean[i] * mean[i];
		ours += (double)s->mean[i] * s->mean[i];
		both += (double)mean[i] * s->mean[i];
	}
	mem_free(mean);
	theirs = sqrt(theirs), ours = sqrt(ours);
	if (both > .8 * ours * theirs && (theirs > OTHERWISE * ours || ours > OTHERWISE * theirs))
		return err_set(e, CODE_DATA, "the data: its mean is %.3g long, that of the rows the model was trained on %.3g: "
		               "the rows were normalised otherwise (to unit length, say, or not)", theirs, ours);
	return 0;
}

static int
directions_of_data(struct namer *n, struct err *e)
{
	const struct sae *s = n->model;
	uint64_t row;

	if (!n->encoded)
		return err_set(e, CODE_DATA, "the data: no rows to name from");
	if (check_length(n, e) || strongest_order(&n->strongest, e) || mat_resize(&n->x, 1, s->d, "row", e))
		return e->code;
	memset(n->directions.data, 0, s->m * s->d * sizeof(float));
	while ((row = strongest_next(&n->strongest)) != STRONGEST_END) {
		if (rowset_read(&n->rows, row, 1, n->x.data, e))
			return e->code;
		seen_from_bias(n, n->x.data);
		strongest_add(&n->strongest, n->x.data, s->d, n->directions.data);
	}
	return 0;
}

static void
directions_of_decoder(struct namer *n)
{
	const struct sae *s = n->model;
	size_t i, j;
	float v;

	for (j = 0; j < s->m; j++)
		for (i = 0; i < s->d; i++) {
			v = s->W_dec[j * s->d + i] + (n->o.use_bias ? s->b_dec[i] : 0);
			n->directions.data[j * s->d + i] = n->o.published ? v / s->scale + s->mean[i] : v;
		}
}

int
namer_begin(struct namer *n, struct err *e)
{
	n->texts.max = NAMER_TEXTS;
	if (norm_fit_init(&n->words, n->model->d, e) || mat_resize(&n->directions, n->model->m, n->model->d, "directions", e))
		return e->code;
	n->result.rows = n->encoded;
	if (n->o.by_data)
		return directions_of_data(n, e);
	directions_of_decoder(n);
	return 0;
}

static bool
all_zero(const float *x, size_t d)
{
	while (d && !(*x > 0) && !(*x < 0))
		x++, d--;
	return !d;
}

int
namer_look(struct namer *n, const float *x, const char *const *texts, size_t count, struct err *e)
{
	size_t d = n->model->d, i;
	uint64_t known;
	char shown[80];

	for (i = 0; i < count; i++) {
		text_printable(shown, sizeof shown, texts[i], strlen(texts[i]));
		if (all_zero(x + i * d, d))
			return err_set(e, CODE_DATA, "word %llu, \"%s\": its embedding is zero", (ull)(n->result.words + i), shown);
		known = n->texts.used + n->texts.other;
		if (strcount_add(&n->texts, texts[i], strlen(texts[i]), e))
			return e->code;
		if (n->texts.used + n->texts.other == known)
			return err_set(e, CODE_DATA, "word %llu, \"%s\", came before: each word should be there once", (ull)(n->result.words + i), shown);
	}
	n->result.words += count;
	norm_fit_rows(&n->words, x, count);
	return 0;
}

static int
begin_words(struct namer *n, struct err *e)
{
	const struct sae *s = n->model;
	float *mean = mem_alloc(s->d * sizeof *mean), scale;

	strcount_free(&n->texts);
	if (!mean)
		return err_memory(e, "mean", s->d * sizeof *mean);
	if (!n->words.rows)
		err_set(e, CODE_DATA, "no words");
	else if (norm_fit_result(&n->words, mean, &scale) && !n->o.uncentred)
		err_set(e, CODE_DATA, "%llu word%s, but all with the same embedding: nothing is left when their mean is taken off (--uncentred)",
		        (ull)n->words.rows, n->words.rows == 1 ? "" : "s");
	else
		naming_init(&n->naming, &(struct naming_of){.directions = n->directions.data, .m = s->m, .d = s->d,
		            .mean = n->o.uncentred ? NULL : mean, .best = n->o.best, .mixes = n->o.mixes}, n->pool, e);
	mem_free(mean);
	mat_free(&n->directions);
	return e->code;
}

int
namer_words(struct namer *n, const float *x, const char *const *texts, size_t count, struct err *e)
{
	if (!n->naming.directions && begin_words(n, e))
		return e->code;
	return naming_words(&n->naming, x, texts, count, e);
}

/* The second best's cosine may be nothing or less: then the best stands out.
 * words has room for as many as are kept. */
static void
name_latent(const struct namer *n, size_t j, struct concept *c, struct concept_word *words)
{
	size_t count, i;
	const struct naming_word *w = naming_best(&n->naming, j, &count);

	*c = (struct concept){.latent = (uint32_t)j, .name = w[0].text, .score = w[0].cosine, .ratio = NAN, .words = words, .nwords = count};
	for (i = 0; i < count; i++)
		words[i] = (struct concept_word){w[i].text, w[i].cosine};
	if (count > 1 && w[1].cosine > 0)
		c->ratio = (double)w[0].cosine / w[1].cosine;
	c->valid = c->score >= n->result.min_sim && (isnan(c->ratio) || c->ratio >= n->o.min_ratio);
}

/* How it was done, as JSON. */
static void
describe(const struct namer *n, char *out, size_t size)
{
	const struct namer_opts *o = &n->o;
	const struct namer_result *r = &n->result;
	int at = snprintf(out, size, "{\"by\":\"%s\",\"words\":%llu,\"centred\":%s", o->by_data ? "data" : "decoder", (ull)r->words, o->uncentred ? "false" : "true");

	if (o->by_data)
		at += snprintf(out + at, size - (size_t)at, ",\"rows\":%llu,\"strongest\":%zu", (ull)r->rows, o->strongest);
	else
		at += snprintf(out + at, size - (size_t)at, ",\"published\":%s,\"use_bias\":%s", o->published ? "true" : "false", o->use_bias ? "true" : "false");
	if (isfinite(r->min_sim))
		at += snprintf(out + at, size - (size_t)at, ",\"min_sim\":%.9g", r->min_sim);
	at += snprintf(out + at, size - (size_t)at, ",\"min_ratio\":%.9g,\"null\":%zu", o->min_ratio, o->mixes);
	if (isnan(o->min_sim))
		at += snprintf(out + at, size - (size_t)at, ",\"max_false\":%.9g", o->max_false);
	at += snprintf(out + at, size - (size_t)at, ",\"valid\":%zu", r->valid);
	if (!isnan(r->expected_false))
		at += snprintf(out + at, size - (size_t)at, ",\"expected_false\":%.4f", r->expected_false);
	snprintf(out + at, size - (size_t)at, "}");
}

/* From which cosine on names are valid, and how many of those are false. */
static int
set_threshold(struct namer *n, struct err *e)
{
	struct namer_result *r = &n->result;
	size_t passing;

	r->min_sim = n->o.min_sim;
	r->expected_false = NAN;
	if (isnan(r->min_sim) && naming_threshold(&n->naming, n->o.max_false, &r->min_sim, e))
		return e->code;
	passing = naming_passing(&n->naming, r->min_sim);
	if (n->o.mixes && passing)
		r->expected_false = fmin(1, naming_false(&n->naming, r->min_sim) / (double)passing);
	return 0;
}

static int
count_names(struct namer *n, const struct concepts *all, struct err *e)
{
	struct strcount names = {.max = SIZE_MAX};
	size_t i;

	for (i = 0; i < all->n && !e->code; i++)
		if (all->items[i].valid) {
			n->result.valid++;
			strcount_add(&names, all->items[i].name, strlen(all->items[i].name), e);
		}
	n->result.names = names.used;
	strcount_free(&names);
	return e->code;
}

int
namer_finish(struct namer *n, const char *path, struct err *e)
{
	struct concepts all = {0};
	struct concept_word *words;
	size_t m = n->model->m, j;
	char how[400];

	if (!n->naming.directions && begin_words(n, e))
		return e->code;
	all.items = calloc(m, sizeof *all.items);
	words = calloc(m, n->o.best * sizeof *words);
	memcpy(all.model, n->model->sha256, sizeof all.model);
	if (!all.items || !words)
		err_memory(e, "concepts", m * (sizeof *all.items + n->o.best * sizeof *words));
	else if (!set_threshold(n, e)) {
		for (j = 0; j < m; j++)
			if (!n->o.by_data || n->strongest.count[j]) /* never active: no row says what it means */
				name_latent(n, j, &all.items[all.n++], words + j * n->o.best);
		if (!count_names(n, &all, e)) {
			describe(n, how, sizeof how);
			concepts_save(&all, path, how, e);
		}
	}
	free(all.items);
	free(words);
	return e->code;
}

void
namer_free(struct namer *n)
{
	rowset_close(&n->rows);
	encoder_free(n->encoder);
	strongest_free(&n->strongest);
	csr_free(&n->z);
	mat_free(&n->x);
	mat_free(&n->directions);
	norm_fit_free(&n->words);
	strcount_free(&n->texts);
	naming_free(&n->naming);
}
