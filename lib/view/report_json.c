/* The report for programs. */
#include <jansson.h>
#include <math.h>

#include "base/dtype.h"
#include "view/private.h"

static json_t *
maybe(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *
real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *
counts(const uint64_t *n, size_t size)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < size; i++)
		json_array_append_new(a, json_integer((json_int_t)n[i]));
	return a;
}

static json_t *
examples_json(const struct report_latent *l)
{
	json_t *examples = json_array();
	size_t i;

	for (i = 0; i < l->nexamples; i++) {
		const struct report_example *x = &l->examples[i];

		json_array_append_new(examples, json_pack("{s:I, s:o, s:o, s:f}", "row", (json_int_t)x->row, "id", x->id[0] ? json_string(x->id) : json_null(),
		                                          "label", x->label[0] ? json_string(x->label) : json_null(), "value", f32_shortest((float)x->value)));
	}
	return examples;
}

static json_t *
together_json(const struct report_latent *l)
{
	json_t *together = json_array();
	size_t i;

	for (i = 0; i < l->ntogether; i++) {
		const struct report_together *t = &l->together[i];

		json_array_append_new(together, json_pack("{s:I, s:o, s:I, s:f, s:f}", "latent", (json_int_t)t->latent, "name", maybe(t->name),
		                                          "rows", (json_int_t)t->rows, "overlap", t->overlap, "lift", t->lift));
	}
	return together;
}

static json_t *
latent_json(const struct report_codes *c, const struct report_model *about, const struct report_latent *l)
{
	json_t *o = json_pack("{s:I, s:o, s:o, s:o, s:I, s:f, s:f, s:f}", "latent", (json_int_t)l->latent, "name", maybe(l->name),
	                      "score", real(l->score), "ratio", real(l->ratio), "rows", (json_int_t)l->rows,
	                      "frequency", (double)l->rows / (double)c->rows, "mean", l->mean, "max", f32_shortest((float)l->max));

	json_object_set_new(o, "histogram", json_pack("{s:f, s:o, s:I}", "width", l->bin_width, "rows", counts(l->bins, l->nbins), "negative", (json_int_t)l->negative));
	if (about && about->nlevels) {
		json_object_set_new(o, "level", l->level ? json_integer((json_int_t)l->level) : json_null());
		json_object_set_new(o, "level_rows", counts(l->level_rows, about->nlevels));
	}
	json_object_set_new(o, "examples", examples_json(l));
	if (c->drawn) {
		json_object_set_new(o, "fired", json_integer((json_int_t)l->fired));
		json_object_set_new(o, "together", together_json(l));
	}
	return o;
}

/* [[L0, rows], ...] of those there are. */
static json_t *
l0_json(const struct report_codes *c)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i <= c->m; i++)
		if (c->l0_rows[i])
			json_array_append_new(a, json_pack("[I, I]", (json_int_t)i, (json_int_t)c->l0_rows[i]));
	return a;
}

static json_t *
codes_json(const struct report_codes *c, const struct report_model *about)
{
	json_t *latents = json_array(), *o;
	size_t i;

	for (i = 0; i < c->nlatents; i++)
		json_array_append_new(latents, latent_json(c, about, &c->latents[i]));
	o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:{s:f, s:f, s:f, s:I, s:I}, s:o}", "latents", (json_int_t)c->m,
	                 "active", (json_int_t)c->nlatents, "never_active", (json_int_t)c->never, "always_active", (json_int_t)c->always,
	                 "named", (json_int_t)c->named, "sparsity", c->rows ? 1 - c->l0_mean / (double)c->m : 1.0, "l0", "mean", c->l0_mean,
	                 "sd", c->l0_sd, "median", c->l0_median, "min", (json_int_t)c->l0_min, "max", (json_int_t)c->l0_max, "active_latents", latents);
	json_object_set_new(json_object_get(o, "l0"), "rows", l0_json(c));
	if (c->drawn)
		json_object_set_new(o, "together_rows", json_integer((json_int_t)c->drawn));
	return o;
}

static json_t *
about_json(const struct report_model *m)
{
	json_t *nesting = json_array();
	size_t i;

	for (i = 0; i < m->nlevels; i++)
		json_array_append_new(nesting, json_integer((json_int_t)m->nesting[i]));
	return json_pack("{s:s, s:I, s:I, s:I, s:o, s:s, s:I, s:I}", "architecture", m->architecture, "inputs", (json_int_t)m->inputs, "latents", (json_int_t)m->latents,
	                 "k", (json_int_t)m->k, "nesting", nesting, "trained_on", m->trained_on, "rows", (json_int_t)m->rows, "seed", (json_int_t)m->seed);
}

static json_t *
sample_json(const struct report_sample *s)
{
	json_t *codes = json_array();
	size_t i;

	for (i = 0; i < s->n; i++)
		json_array_append_new(codes, json_pack("{s:I, s:o, s:f}", "latent", (json_int_t)s->codes[i].latent, "name", maybe(s->codes[i].name),
		                                       "value", f32_shortest((float)s->codes[i].value)));
	return json_pack("{s:I, s:o, s:o, s:I, s:o}", "row", (json_int_t)s->row, "id", maybe(s->id), "label", maybe(s->label), "l0", (json_int_t)s->l0, "strongest", codes);
}

int
report_json(const struct report *r, FILE *to)
{
	json_t *stages = json_array(), *columns = json_array(), *dense = json_array(), *labels = json_array(), *samples = json_array(), *all;
	size_t i;
	int failed;

	for (i = 0; i < r->nstages; i++)
		json_array_append_new(stages, json_pack("{s:s, s:s, s:s}", "program", r->stages[i].program, "version", r->stages[i].version, "command", r->stages[i].command));
	for (i = 0; i < r->ncolumns; i++)
		json_array_append_new(columns, json_pack("{s:s, s:s, s:s}", "name", r->columns[i].name, "dtype", r->columns[i].dtype, "row", r->columns[i].shape));
	for (i = 0; i < r->ndense; i++) {
		const struct report_dense *d = &r->dense[i];

		json_array_append_new(dense, json_pack("{s:s, s:I, s:{s:f, s:f, s:f, s:f}, s:f, s:I}", "column", d->name, "width", (json_int_t)d->width, "norm",
		                                       "mean", d->norm_mean, "sd", d->norm_sd, "min", d->norm_min, "max", d->norm_max, "norm_of_mean", d->mean_norm, "nonfinite_rows", (json_int_t)d->nonfinite));
	}
	for (i = 0; i < r->nlabels; i++)
		json_array_append_new(labels, json_pack("{s:s, s:I}", "label", r->labels[i].label, "rows", (json_int_t)r->labels[i].rows));
	for (i = 0; i < r->nsamples; i++)
		json_array_append_new(samples, sample_json(&r->samples[i]));
	all = json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "streams", (json_int_t)r->streams, "frames", (json_int_t)r->frames,
	                "rows", (json_int_t)r->rows, "bytes", (json_int_t)r->bytes, "stream", maybe(r->stream), "model", maybe(r->model), "normalised", maybe(r->norm),
	                "stages", stages, "columns", columns, "dense", dense, "labels", labels,
	                "codes", r->codes ? codes_json(r->codes, r->about) : json_null(), "examples", samples);
	if (r->about)
		json_object_set_new(all, "architecture", about_json(r->about));
	failed = !all || json_dumpf(all, to, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) || putc('\n', to) == EOF;
	json_decref(all);
	return failed || ferror(to) ? -1 : 0;
}
