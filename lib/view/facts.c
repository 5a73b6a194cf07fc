#include "view/facts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void
facts_init(struct facts *f, size_t want_samples, bool together)
{
	memset(f, 0, sizeof *f);
	f->together = together;
	f->labels.max = FACTS_MAX_LABELS;
	f->want_samples = want_samples < FACTS_MAX_SAMPLES ? want_samples : FACTS_MAX_SAMPLES;
}

void
facts_model(struct facts *f, const struct sae *model)
{
	struct report_model *m = &f->model;

	*m = (struct report_model){.architecture = sae_arch_name(model->arch), .trained_on = f->trained_on, .inputs = model->d, .latents = model->m,
	                           .k = model->k, .nlevels = model->levels, .rows = model->rows, .seed = model->seed};
	memcpy(m->nesting, model->nesting, sizeof m->nesting);
	memcpy(f->trained_on, model->trained_on, sizeof f->trained_on);
	f->report.about = m;
}

void
facts_stage(struct facts *f, const char *program, const char *version, const char *command)
{
	f->report.stages = f->stages;
	if (f->report.nstages < FACTS_MAX_STAGES)
		f->stages[f->report.nstages++] = (struct report_stage){program, version, command};
}

void
facts_column(struct facts *f, const char *name, const char *dtype, const char *shape)
{
	f->report.columns = f->columns;
	if (f->report.ncolumns < FACTS_MAX_COLUMNS)
		f->columns[f->report.ncolumns++] = (struct report_column){name, dtype, shape};
}

int
facts_codes_begin(struct facts *f, size_t m, struct err *e)
{
	if (f->names)
		return m == f->tally.m ? 0 : err_set(e, CODE_DATA, "codes of %zu latents here, of %zu before", m, f->tally.m);
	if (f->report.about && m != f->model.latents)
		return err_set(e, CODE_DATA, "codes of %zu latents; the model has %zu", m, f->model.latents);
	if (tally_init(&f->tally, m, f->model.nlevels, e) || (f->together && cofire_init(&f->cofire, m, e)))
		return e->code;
	f->names = calloc(m + 1, sizeof *f->names);
	return f->names ? 0 : err_memory(e, "names", (unsigned long long)m * sizeof *f->names);
}

/* A printable copy, at most size (up to TALLY_ID) bytes with its end. */
static char *
printable(const char *s, size_t n, size_t size)
{
	char text[TALLY_ID];

	return strdup(text_printable(text, size, s, n));
}

void
facts_name(struct facts *f, uint32_t latent, const char *text, size_t n, double score, double ratio)
{
	if (latent < f->tally.m && !f->names[latent].text)
		f->names[latent] = (struct facts_name){printable(text, n, TALLY_LABEL), score, ratio};
}

int
facts_dense(struct facts *f, const char *column, const float *x, size_t n, size_t d, struct err *e)
{
	size_t i;

	for (i = 0; i < f->ndense && strcmp(f->dense[i].name, column); i++)
		;
	if (i == FACTS_MAX_DENSE)
		return 0;
	if (i == f->ndense)
		snprintf(f->dense[f->ndense++].name, sizeof f->dense[i].name, "%s", column);
	return rowstats_rows(&f->dense[i].stats, x, n, d, e) ? err_add(e, "column %s", column) : 0;
}

static bool
stronger(const struct csr_view *z, uint32_t a, uint32_t b)
{
	return z->val[a] != z->val[b] ? z->val[a] > z->val[b] : z->idx[a] < z->idx[b];
}

/* What row i is made of, strongest first. */
static void
take_sample(struct facts *f, const struct facts_rows *rows, size_t i, size_t l0, struct csr_view best)
{
	struct report_sample *p = &f->samples[f->report.nsamples++];
	uint32_t order[REPORT_SAMPLE_CODES], t;
	size_t j;

	*p = (struct report_sample){.row = rows->row + i, .l0 = l0};
	p->id = rows->ids ? printable(rows->ids[i], strlen(rows->ids[i]), TALLY_ID) : NULL;
	p->label = rows->labels ? printable(rows->labels[i], strlen(rows->labels[i]), TALLY_LABEL) : NULL;
	for (t = best.ptr[i]; t < best.ptr[i + 1]; t++) {
		if (p->n == REPORT_SAMPLE_CODES && !stronger(&best, t, order[p->n - 1]))
			continue;
		for (j = p->n < REPORT_SAMPLE_CODES ? p->n++ : p->n - 1; j && stronger(&best, t, order[j - 1]); j--)
			order[j] = order[j - 1];
		order[j] = t;
	}
	for (j = 0; j < p->n; j++) {
		p->codes[j].latent = best.idx[order[j]];
		p->codes[j].name = f->names[best.idx[order[j]]].text;
		p->codes[j].value = (double)best.val[order[j]];
	}
}

static bool
wants_samples(const struct facts *f)
{
	return f->report.nsamples < f->want_samples;
}

bool
facts_wants_best(const struct facts *f)
{
	return f->together || wants_samples(f);
}

int
facts_codes(struct facts *f, const struct facts_rows *rows, struct csr_view z, struct csr_view best, struct err *e)
{
	size_t i;

	if (tally_rows(&f->tally, z, rows->row, rows->ids, rows->labels, e))
		return e->code;
	if (f->together)
		cofire_rows(&f->cofire, best);
	for (i = 0; i < z.rows && wants_samples(f); i++)
		take_sample(f, rows, i, z.ptr[i + 1] - z.ptr[i], best);
	return 0;
}

void
facts_level(struct facts *f, size_t level, struct csr_view codes)
{
	tally_level(&f->tally, level, codes);
}

int
facts_labels(struct facts *f, const struct facts_rows *rows, struct err *e)
{
	char text[128];
	size_t i;

	for (i = 0; rows->labels && i < rows->n; i++) {
		text_printable(text, sizeof text, rows->labels[i], strlen(rows->labels[i]));
		if (strcount_add(&f->labels, text, strlen(text), e))
			return e->code;
	}
	return 0;
}

/* See struct report_latent. */
static size_t
level_of(const struct report_model *m, const uint64_t *level_rows, uint64_t rows)
{
	uint64_t within = 0;
	size_t i;

	for (i = 0; i < m->nlevels; i++) {
		within += level_rows[i];
		if (within >= rows - within)
			return m->nesting[i];
	}
	return 0;
}

static void
fill_together(struct facts *f, struct report_latent *out)
{
	struct cofire_pair best[COFIRE_BEST];
	size_t i;

	out->fired = cofire_fired(&f->cofire, out->latent);
	out->ntogether = cofire_of(&f->cofire, out->latent, best);
	for (i = 0; i < out->ntogether; i++)
		out->together[i] = (struct report_together){best[i].latent, f->names[best[i].latent].text, best[i].rows, best[i].overlap, best[i].lift};
}

static void
fill_latent(struct facts *f, uint32_t j, struct report_latent *out)
{
	const struct tally_latent *l = &f->tally.latents[j];
	const struct facts_name *name = &f->names[j];
	unsigned i;

	*out = (struct report_latent){.latent = j, .name = name->text, .score = name->text ? name->score : NAN, .ratio = name->text ? name->ratio : NAN,
	                              .rows = l->rows, .mean = l->sum / (double)l->rows, .max = (double)l->max, .nexamples = l->nexamples,
	                              .bins = l->bins.n, .nbins = TALLY_BINS, .bin_width = ldexp(1, l->bins.exponent), .negative = l->negative};
	while (out->nbins && !out->bins[out->nbins - 1])
		out->nbins--;
	for (i = 0; i < l->nexamples; i++)
		out->examples[i] = (struct report_example){l->best[i].id ? l->best[i].id : "", l->best[i].label ? l->best[i].label : "",
		                                           l->best[i].row, (double)l->best[i].value};
	if (f->tally.nlevels) {
		out->level_rows = f->tally.levels + (size_t)j * f->tally.nlevels;
		out->level = level_of(&f->model, out->level_rows, l->rows);
	}
	if (f->together)
		fill_together(f, out);
}

static int
report_codes(struct facts *f, struct err *e)
{
	const struct tally *t = &f->tally;
	struct report_codes *c = &f->codes;
	double n = (double)t->rows;
	size_t j;

	f->latents = calloc(t->m + 1, sizeof *f->latents);
	if (!f->latents)
		return err_memory(e, "report", (unsigned long long)t->m * sizeof *f->latents);
	*c = (struct report_codes){.m = t->m, .rows = t->rows, .l0_max = t->max, .l0_rows = t->l0, .latents = f->latents};
	if (f->together) {
		if (cofire_index(&f->cofire, e))
			return e->code;
		c->drawn = cofire_drawn(&f->cofire);
	}
	if (t->rows) {
		c->l0_min = t->min;
		c->l0_mean = (double)t->nnz / n;
		c->l0_sd = t->rows > 1 ? sqrt(fmax(0, (t->square - n * c->l0_mean * c->l0_mean) / (n - 1))) : 0;
		c->l0_median = (double)tally_quantile(t, 0.5);
	}
	for (j = 0; j < t->m; j++) {
		if (!t->latents[j].rows) {
			c->never++;
			continue;
		}
		c->always += t->latents[j].rows == t->rows;
		c->named += f->names[j].text != NULL;
		fill_latent(f, (uint32_t)j, &f->latents[c->nlatents++]);
	}
	f->report.codes = c;
	return 0;
}

int
facts_report(struct facts *f, struct err *e)
{
	size_t i;

	for (i = 0; i < f->ndense; i++) {
		const struct rowstats *s = &f->dense[i].stats;

		f->dense_out[i] = (struct report_dense){f->dense[i].name, s->d, s->norm.mean, moments_sd(&s->norm), s->norm.min, s->norm.max, rowstats_mean_norm(s), s->nonfinite};
	}
	f->report.dense = f->dense_out;
	f->report.ndense = f->ndense;
	f->report.samples = f->samples;
	strcount_sort(&f->labels);
	f->labels_out = calloc(f->labels.used + 1, sizeof *f->labels_out);
	if (!f->labels_out)
		return err_memory(e, "labels", (unsigned long long)f->labels.used * sizeof *f->labels_out);
	for (i = 0; i < f->labels.used; i++)
		f->labels_out[i] = (struct report_label){f->labels.slots[i].s, f->labels.slots[i].n};
	f->report.labels = f->labels_out;
	f->report.nlabels = f->labels.used;
	f->report.other_labels = f->labels.other;
	return f->names ? report_codes(f, e) : 0;
}

void
facts_free(struct facts *f)
{
	size_t i;

	for (i = 0; f->names && i < f->tally.m; i++)
		free(f->names[i].text);
	free(f->names);
	for (i = 0; i < f->ndense; i++)
		rowstats_free(&f->dense[i].stats);
	for (i = 0; i < f->report.nsamples; i++) {
		free((char *)(uintptr_t)f->samples[i].id);
		free((char *)(uintptr_t)f->samples[i].label);
	}
	strcount_free(&f->labels);
	tally_free(&f->tally);
	cofire_free(&f->cofire);
	free(f->latents);
	free(f->labels_out);
}
