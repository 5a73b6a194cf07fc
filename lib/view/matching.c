#include "view/matching.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "base/text.h"
#include "view/table.h"

#define BAR 24
#define PATH_SHOWN 512

static double
mean(const struct matching *m)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < m->npairs; i++)
		sum += (double)m->pairs[i].cosine;
	return sum / (double)m->npairs;
}

/* How many pairs have at least this cosine. */
static size_t
from(const struct matching *m, double cosine)
{
	size_t n = 0, i;

	for (i = 0; i < m->npairs; i++)
		n += (double)m->pairs[i].cosine >= cosine;
	return n;
}

static int
by_value(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of an even number the mean of the two in the middle. -1: no memory. */
static int
median(const struct matching *m, double *out)
{
	float *c = malloc(m->npairs * sizeof *c);
	size_t i, n = m->npairs;

	if (!c)
		return -1;
	for (i = 0; i < n; i++)
		c[i] = m->pairs[i].cosine;
	qsort(c, n, sizeof *c, by_value);
	*out = ((double)c[(n - 1) / 2] + (double)c[n / 2]) / 2;
	free(c);
	return 0;
}

/* ---- text ---- */

static void
model_row(struct table *t, const char *name, const struct matching_model *model, const struct matching *m)
{
	char path[PATH_SHOWN], latents[32], inputs[32], over[32], nearest[32];

	snprintf(nearest, sizeof nearest, "%.4f", model->nearest);
	table_row(t, name, text_printable(path, sizeof path, model->path, strlen(model->path)), model->architecture,
	          view_count(inputs, m->inputs), view_count(latents, model->latents), view_count(over, model->latents - m->npairs), nearest);
}

static void
note_without(const char *name, const struct matching_model *model, FILE *to)
{
	char n[32];

	if (model->without)
		fprintf(to, "%s latents of %s are all zeros: with no direction, they count as cosine 0.\n", view_count(n, model->without), name);
}

/* How many pairs there are in each tenth, the closest first. */
static void
histogram(const struct matching *m, FILE *to)
{
	size_t above = 0, upto, most = 0, in[11];
	struct table t;
	int i;

	for (i = 10; i >= 0; i--) {
		upto = i ? from(m, (i - 1) / 10.0) : m->npairs;
		in[i] = upto - above;
		most = in[i] > most ? in[i] : most;
		above = upto;
	}
	table_columns(&t, "lrlrr", "cosine", "pairs", "", "share", "and above");
	for (above = 0, i = 10; i >= 0; i--) {
		char range[32], n[32], bar[4 * BAR], share[32], total[32];

		above += in[i];
		snprintf(range, sizeof range, i ? "%.1f to %.1f" : "below 0", (i - 1) / 10.0, i / 10.0);
		table_row(&t, range, view_count(n, in[i]), view_bar(bar, (double)in[i] / (double)most, BAR),
		          view_percent(share, (double)in[i] / (double)m->npairs), view_percent(total, (double)above / (double)m->npairs));
	}
	table_print(&t, "  ", to);
	table_free(&t);
}

static int
matching_text(const struct matching *m, FILE *to)
{
	struct table t;
	double middle;
	char n[32];

	if (median(m, &middle))
		return -1;
	table_columns(&t, "lllrrrr", "", "model", "architecture", "inputs", "latents", "left over", "nearest");
	model_row(&t, "A", &m->a, m);
	model_row(&t, "B", &m->b, m);
	table_print(&t, "", to);
	table_free(&t);
	fprintf(to, "\nscore %.4f: mean cosine of %s pairs of latents, matched one to one by %s (median %.4f)\n\n",
	        mean(m), view_count(n, m->npairs), m->by, middle);
	histogram(m, to);
	fputs("\nnearest: mean over a model's latents of their largest cosine with any of the other's\n", to);
	note_without("A", &m->a, to);
	note_without("B", &m->b, to);
	return ferror(to) ? -1 : 0;
}

/* ---- JSON, CSV ---- */

static json_t *
model_json(const struct matching_model *model, const struct matching *m)
{
	char path[PATH_SHOWN];

	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f}", "file", text_printable(path, sizeof path, model->path, strlen(model->path)),
	                 "model", model->sha256, "architecture", model->architecture, "latents", (json_int_t)model->latents,
	                 "without_direction", (json_int_t)model->without, "left_over", (json_int_t)(model->latents - m->npairs),
	                 "nearest", model->nearest);
}

static double
share_from(const struct matching *m, double cosine)
{
	return (double)from(m, cosine) / (double)m->npairs;
}

/* The matching itself goes out pair by pair, without a JSON value for each. */
static int
matching_json(const struct matching *m, FILE *to)
{
	json_t *facts;
	double middle;
	int failed;
	size_t i;

	if (median(m, &middle))
		return -1;
	facts = json_pack("{s:o, s:o, s:I, s:s, s:I, s:f, s:f, s:{s:f, s:f, s:f}}", "a", model_json(&m->a, m), "b", model_json(&m->b, m),
	                  "inputs", (json_int_t)m->inputs, "by", m->by, "pairs", (json_int_t)m->npairs, "score", mean(m), "median", middle,
	                  "share_from", "0.5", share_from(m, .5), "0.7", share_from(m, .7), "0.9", share_from(m, .9));
	fputc('{', to);
	failed = !facts || json_dumpf(facts, to, JSON_COMPACT | JSON_REAL_PRECISION(9) | JSON_EMBED);
	json_decref(facts);
	fputs(",\"matching\":[", to);
	for (i = 0; i < m->npairs && !failed; i++)
		failed = fprintf(to, "%s\n[%" PRIu32 ",%" PRIu32 ",%.9g]", i ? "," : "", m->pairs[i].a, m->pairs[i].b, f32_shortest(m->pairs[i].cosine)) < 0;
	fputs("\n]}\n", to);
	return failed || ferror(to) ? -1 : 0;
}

static int
matching_csv(const struct matching *m, FILE *to)
{
	size_t i;

	fputs("a,b,cosine\n", to);
	for (i = 0; i < m->npairs && !ferror(to); i++)
		fprintf(to, "%" PRIu32 ",%" PRIu32 ",%.9g\n", m->pairs[i].a, m->pairs[i].b, f32_shortest(m->pairs[i].cosine));
	return ferror(to) ? -1 : 0;
}

int
matching_write(const struct matching *m, enum matching_form form, FILE *to)
{
	switch (form) {
	case MATCHING_TEXT: return matching_text(m, to);
	case MATCHING_JSON: return matching_json(m, to);
	case MATCHING_CSV: break;
	}
	return matching_csv(m, to);
}
