#include "view/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "view/private.h"
#include "view/table.h"

#define BAR 24

/* A latent is judged by its mean only when that mean is of something. */
static bool
rare(const struct report_latent *l, uint64_t rows)
{
	return l->rows < 2 || (double)l->rows < 1e-3 * (double)rows;
}

struct keyed { double key; bool late; const struct report_latent *l; };

static int
by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	if (x->late != y->late)
		return x->late ? 1 : -1;
	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	return (x->l->latent > y->l->latent) - (x->l->latent < y->l->latent);
}

void
report_sort(const struct report_codes *c, enum report_order how, const struct report_latent **out)
{
	struct keyed *k = malloc((c->nlatents + 1) * sizeof *k);
	size_t i;

	for (i = 0; i < c->nlatents; i++) {
		const struct report_latent *l = &c->latents[i];

		out[i] = l;
		if (k)
			k[i] = (struct keyed){how == REPORT_FREQUENT ? (double)l->rows : l->mean, how == REPORT_STRONG && rare(l, c->rows), l};
	}
	if (!k)
		return;
	qsort(k, c->nlatents, sizeof *k, by_key);
	for (i = 0; i < c->nlatents; i++)
		out[i] = k[i].l;
	free(k);
}

/* ---- text ---- */

static void
heading(FILE *to, const char *s)
{
	fprintf(to, "\n%s\n", s);
}

void
report_examples(const struct report_latent *l, char *out, size_t size)
{
	size_t i, j, same, n = 0;

	out[0] = 0;
	for (i = 0; i < l->nexamples && n < size; i++) {
		const struct report_example *x = &l->examples[i];
		bool by_label = x->label[0] && !x->id[0], seen = false;

		for (same = 1, j = 0; by_label && j < l->nexamples; j++) {
			seen |= j < i && !strcmp(l->examples[j].label, x->label);
			same += j > i && !strcmp(l->examples[j].label, x->label);
		}
		if (seen)
			continue;
		n += (size_t)snprintf(out + n, size - n, "%s", n ? ", " : "");
		if (n >= size)
			break;
		if (by_label)
			n += (size_t)snprintf(out + n, size - n, same > 1 ? "%s ×%zu" : "%s", x->label, same);
		else if (x->id[0])
			n += (size_t)snprintf(out + n, size - n, "%s", x->id);
		else
			n += (size_t)snprintf(out + n, size - n, "#%" PRIu64, x->row);
	}
}

static void
latents_table(const struct report *r, enum report_order how, FILE *to)
{
	const struct report_codes *c = r->codes;
	const struct report_latent **order = malloc((c->nlatents + 1) * sizeof *order);
	struct table t;
	double most = 0;
	size_t i;

	if (!order)
		return;
	report_sort(c, how, order);
	if (c->named)
		table_columns(&t, "rlrlrrl", "latent", "concept", "rows", "", "mean", "max", "strongest in");
	else
		table_columns(&t, "rrlrrl", "latent", "rows", "", "mean", "max", "strongest in");
	for (i = 0; i < c->nlatents && i < r->top; i++)
		if ((double)order[i]->rows > most)
			most = (double)order[i]->rows;
	for (i = 0; i < c->nlatents && i < r->top; i++) {
		const struct report_latent *l = order[i];
		char latent[16], share[32], bar[4 * BAR], mean[32], max[32], where[REPORT_EXAMPLES * 96];

		snprintf(latent, sizeof latent, "%" PRIu32, l->latent);
		snprintf(mean, sizeof mean, "%.2f", l->mean);
		snprintf(max, sizeof max, "%.2f", l->max);
		report_examples(l, where, sizeof where);
		view_percent(share, (double)l->rows / (double)c->rows);
		view_bar(bar, (double)l->rows / most, BAR / 2);
		if (c->named)
			table_row(&t, latent, l->name ? l->name : "(unnamed)", share, bar, mean, max, where);
		else
			table_row(&t, latent, share, bar, mean, max, where);
	}
	table_print(&t, "  ", to);
	table_free(&t);
	free(order);
}

static void
codes_text(const struct report *r, FILE *to)
{
	const struct report_codes *c = r->codes;
	char a[32], b[32], p[32];
	double zeros = c->rows ? 1 - c->l0_mean / (double)c->m : 1;

	heading(to, "Codes");
	fprintf(to, "  latents        %s, %s active in some row, %zu in none, %zu in all\n", view_count(a, c->m), view_count(b, c->nlatents), c->never, c->always);
	fprintf(to, "  L0             mean %.1f ± %.1f a row (median %.0f, %" PRIu64 " to %" PRIu64 "); %s zeros\n", c->l0_mean, c->l0_sd,
	        c->l0_median, c->l0_min, c->l0_max, view_percent(p, zeros));
	if (c->named)
		fprintf(to, "  named          %zu of the latents that are active\n", c->named);
	if (!c->nlatents)
		return;
	heading(to, c->named ? "Most frequent concepts" : "Most frequent latents");
	latents_table(r, REPORT_FREQUENT, to);
	heading(to, c->named ? "Strongest concepts (mean where active)" : "Strongest latents (mean where active)");
	latents_table(r, REPORT_STRONG, to);
}

static void
samples_text(const struct report *r, FILE *to)
{
	struct table t;
	size_t i, j;

	if (!r->nsamples)
		return;
	heading(to, "Example rows");
	table_columns(&t, "lrl", r->nlabels ? "row (label)" : "row", "L0", "strongest");
	for (i = 0; i < r->nsamples; i++) {
		const struct report_sample *s = &r->samples[i];
		char who[300], l0[32], what[REPORT_SAMPLE_CODES * 192];
		size_t n = 0;

		snprintf(l0, sizeof l0, "%zu", s->l0);
		if (s->id)
			snprintf(who, sizeof who, "%s%s%s%s", s->id, s->label ? " (" : "", s->label ? s->label : "", s->label ? ")" : "");
		else
			snprintf(who, sizeof who, "#%" PRIu64 "%s%s%s", s->row, s->label ? " (" : "", s->label ? s->label : "", s->label ? ")" : "");
		what[0] = 0;
		for (j = 0; j < s->n && n < sizeof what; j++) {
			if (s->codes[j].name)
				n += (size_t)snprintf(what + n, sizeof what - n, "%s%s %.1f", j ? ", " : "", s->codes[j].name, s->codes[j].value);
			else
				n += (size_t)snprintf(what + n, sizeof what - n, "%s%" PRIu32 " %.1f", j ? ", " : "", s->codes[j].latent, s->codes[j].value);
		}
		table_row(&t, who, l0, what);
	}
	table_print(&t, "  ", to);
	table_free(&t);
}

static void
labels_text(const struct report *r, FILE *to)
{
	struct table t;
	size_t i, shown = r->nlabels < r->top ? r->nlabels : r->top;
	char n[32], share[32];

	if (!r->nlabels)
		return;
	heading(to, "Labels");
	table_columns(&t, "lrr", "label", "rows", "");
	for (i = 0; i < shown; i++)
		table_row(&t, r->labels[i].label, view_count(n, r->labels[i].rows), view_percent(share, (double)r->labels[i].rows / (double)r->rows));
	table_print(&t, "  ", to);
	if (r->nlabels > shown)
		fprintf(to, "  and %zu more\n", r->nlabels - shown);
	if (r->other_labels)
		fprintf(to, "  and %s rows of labels that were too many to count\n", view_count(n, r->other_labels));
	table_free(&t);
}

static int
report_text(const struct report *r, FILE *to)
{
	struct table t;
	char rows[32], frames[32], mb[32];
	size_t i;

	snprintf(mb, sizeof mb, "%.1f MB", (double)r->bytes / 1e6);
	fprintf(to, "%s\n", r->title);
	fprintf(to, "  rows           %s in %s frames, %s%s\n", view_count(rows, r->rows), view_count(frames, r->frames), mb,
	        r->streams > 1 ? ", several streams" : "");
	if (r->stream)
		fprintf(to, "  stream         %s\n", r->stream);
	if (r->model)
		fprintf(to, "  model          %.16s…\n", r->model);
	if (r->norm)
		fprintf(to, "  normalised     by %s\n", r->norm);
	if (r->nstages) {
		heading(to, "Made by");
		for (i = 0; i < r->nstages; i++)
			fprintf(to, "  %zu. %s\n", i + 1, r->stages[i].command);
		if (r->more_stages)
			fprintf(to, "  and %" PRIu64 " more\n", r->more_stages);
	}
	heading(to, "Columns");
	table_columns(&t, "lll", "name", "type", "a row");
	for (i = 0; i < r->ncolumns; i++)
		table_row(&t, r->columns[i].name, r->columns[i].dtype, r->columns[i].shape);
	table_print(&t, "  ", to);
	table_free(&t);
	if (r->ndense) {
		heading(to, "Rows");
		for (i = 0; i < r->ndense; i++) {
			const struct report_dense *d = &r->dense[i];

			fprintf(to, "  %-14s norm %.3f ± %.3f (%.3f to %.3f); norm of the mean row %.3f\n", d->name, d->norm_mean, d->norm_sd,
			        d->norm_min, d->norm_max, d->mean_norm);
			if (d->nonfinite)
				fprintf(to, "  %-14s %" PRIu64 " rows hold NaN or infinity and are left out here\n", "", d->nonfinite);
		}
	}
	labels_text(r, to);
	if (r->codes)
		codes_text(r, to);
	samples_text(r, to);
	return ferror(to) ? -1 : 0;
}

/* ---- JSON ---- */

static json_t *
maybe(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *
latent_json(const struct report_codes *c, const struct report_latent *l)
{
	json_t *examples = json_array();
	size_t i;

	for (i = 0; i < l->nexamples; i++) {
		const struct report_example *x = &l->examples[i];

		json_array_append_new(examples, json_pack("{s:I, s:o, s:o, s:f}", "row", (json_int_t)x->row, "id", x->id[0] ? json_string(x->id) : json_null(),
		                                          "label", x->label[0] ? json_string(x->label) : json_null(), "value", f32_shortest((float)x->value)));
	}
	return json_pack("{s:I, s:o, s:I, s:f, s:f, s:f, s:o}", "latent", (json_int_t)l->latent, "name", maybe(l->name), "rows", (json_int_t)l->rows,
	                 "frequency", (double)l->rows / (double)c->rows, "mean", l->mean, "max", f32_shortest((float)l->max), "examples", examples);
}

static json_t *
codes_json(const struct report_codes *c)
{
	json_t *latents = json_array();
	size_t i;

	for (i = 0; i < c->nlatents; i++)
		json_array_append_new(latents, latent_json(c, &c->latents[i]));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:{s:f, s:f, s:f, s:I, s:I}, s:o}", "latents", (json_int_t)c->m,
	                 "active", (json_int_t)c->nlatents, "never_active", (json_int_t)c->never, "always_active", (json_int_t)c->always,
	                 "named", (json_int_t)c->named, "sparsity", c->rows ? 1 - c->l0_mean / (double)c->m : 1.0, "l0", "mean", c->l0_mean,
	                 "sd", c->l0_sd, "median", c->l0_median, "min", (json_int_t)c->l0_min, "max", (json_int_t)c->l0_max, "active_latents", latents);
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

static int
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
	                "codes", r->codes ? codes_json(r->codes) : json_null(), "examples", samples);
	failed = !all || json_dumpf(all, to, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) || putc('\n', to) == EOF;
	json_decref(all);
	return failed || ferror(to) ? -1 : 0;
}

int
report_write(const struct report *r, enum report_form form, FILE *to)
{
	switch (form) {
	case REPORT_TEXT: return report_text(r, to);
	case REPORT_JSON: return report_json(r, to);
	case REPORT_HTML: break;
	}
	return report_html(r, to);
}
