#include "view/facts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void
facts_init(struct facts *f, size_t want_samples)
{
	memset(f, 0, sizeof *f);
	f->labels.max = FACTS_MAX_LABELS;
	f->want_samples = want_samples < FACTS_MAX_SAMPLES ? want_samples : FACTS_MAX_SAMPLES;
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
	if (tally_init(&f->tally, m, e))
		return e->code;
	f->names = calloc(m + 1, sizeof *f->names);
	return f->names ? 0 : err_memory(e, "names", (unsigned long long)m * sizeof *f->names);
}

static char *
printable(const char *s, size_t n)
{
	char text[128];

	return strdup(text_printable(text, sizeof text, s, n));
}

void
facts_name(struct facts *f, uint32_t latent, const char *name, size_t n)
{
	if (latent < f->tally.m && !f->names[latent])
		f->names[latent] = printable(name, n);
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
	p->id = rows->ids ? printable(rows->ids[i], strlen(rows->ids[i])) : NULL;
	p->label = rows->labels ? printable(rows->labels[i], strlen(rows->labels[i])) : NULL;
	for (t = best.ptr[i]; t < best.ptr[i + 1] && p->n < REPORT_SAMPLE_CODES; t++) {
		for (j = p->n++; j && stronger(&best, t, order[j - 1]); j--)
			order[j] = order[j - 1];
		order[j] = t;
	}
	for (j = 0; j < p->n; j++) {
		p->codes[j].latent = best.idx[order[j]];
		p->codes[j].name = f->names[best.idx[order[j]]];
		p->codes[j].value = (double)best.val[order[j]];
	}
}

bool
facts_wants_samples(const struct facts *f)
{
	return f->report.nsamples < f->want_samples;
}

void
facts_codes(struct facts *f, const struct facts_rows *rows, struct csr_view z, struct csr_view best)
{
	size_t i;

	tally_rows(&f->tally, z, rows->row, rows->ids, rows->labels);
	for (i = 0; i < z.rows && facts_wants_samples(f); i++)
		take_sample(f, rows, i, z.ptr[i + 1] - z.ptr[i], best);
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

static void
fill_latent(struct facts *f, uint32_t j, struct report_latent *out)
{
	const struct tally_latent *l = &f->tally.latents[j];
	unsigned i;

	*out = (struct report_latent){.latent = j, .name = f->names[j], .rows = l->rows, .mean = l->sum / (double)l->rows,
	                              .max = (double)l->max, .nexamples = l->nexamples};
	for (i = 0; i < l->nexamples; i++)
		out->examples[i] = (struct report_example){l->best[i].id, l->best[i].label, l->best[i].row, (double)l->best[i].value};
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
	*c = (struct report_codes){.m = t->m, .rows = t->rows, .l0_max = t->max, .latents = f->latents};
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
		c->named += f->names[j] != NULL;
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
		free(f->names[i]);
	free(f->names);
	for (i = 0; i < f->ndense; i++)
		rowstats_free(&f->dense[i].stats);
	for (i = 0; i < f->report.nsamples; i++) {
		free((char *)(uintptr_t)f->samples[i].id);
		free((char *)(uintptr_t)f->samples[i].label);
	}
	strcount_free(&f->labels);
	tally_free(&f->tally);
	free(f->latents);
	free(f->labels_out);
}
