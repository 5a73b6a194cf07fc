#include "view/card.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "base/text.h"
#include "view/table.h"

#define LONG 256

/* Smallest, middle and largest of n numbers. */
struct spread { double least, middle, most; };

struct facts_of {
	struct spread norms, thresholds;
	size_t silent;  /* latents that cannot fire or say nothing: no encoder or no decoder */
	size_t unfired; /* of those that are counted in s->fired */
	double mean;    /* |mean| */
};

static int
by_value(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static struct spread
spread_of(float *v, size_t n)
{
	qsort(v, n, sizeof *v, by_value);
	return (struct spread){(double)v[0], ((double)v[(n - 1) / 2] + (double)v[n / 2]) / 2, (double)v[n - 1]};
}

static double
norm(const float *v, size_t n)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += (double)v[i] * v[i];
	return sqrt(sum);
}

/* -1: no memory. */
static int
look(const struct sae *s, struct facts_of *f)
{
	float *v = malloc(s->m * sizeof *v);
	unsigned char *seen = calloc(s->m, 1);
	size_t i, j;

	*f = (struct facts_of){.mean = norm(s->mean, s->d)};
	if (!v || !seen) {
		free(v);
		free(seen);
		return -1;
	}
	for (i = 0; i < s->d; i++)
		for (j = 0; j < s->m; j++)
			seen[j] |= s->W_enc[i * s->m + j] < 0 || s->W_enc[i * s->m + j] > 0;
	for (j = 0; j < s->m; j++) {
		v[j] = (float)norm(s->W_dec + j * s->d_out, s->d_out);
		f->silent += !seen[j] || !(v[j] > 0);
		f->unfired += s->fired && !s->fired[j];
	}
	f->norms = spread_of(v, s->m);
	if (s->threshold) {
		memcpy(v, s->threshold, s->m * sizeof *v);
		f->thresholds = spread_of(v, s->m);
	}
	free(v);
	free(seen);
	return 0;
}

/* How codes come about, in a line. */
static const char *
rule_text(const struct sae *s, char out[LONG])
{
	size_t at = 0, k = sae_keep(s);
	static const char *const rules[] = {"relu(p)", "p, negative ones too", "p by |p|, with their sign", "relu(p)", "relu(p) sigmoid(q)", "relu(p), explained away"};

	at += (size_t)snprintf(out + at, LONG - at, "%s%s", rules[s->rule], s->threshold ? " above thresholds" : "");
	if (s->rule == RULE_GROUPMAX)
		at += (size_t)snprintf(out + at, LONG - at, ", the largest of each of %zu groups", s->group);
	else if (k)
		at += (size_t)snprintf(out + at, LONG - at, ", the %zu %s of a row", k, s->rule == RULE_GATE ? "of largest gate q" : "largest");
	if (s->rule == RULE_LISTA)
		at += (size_t)snprintf(out + at, LONG - at, " after %u steps of %.3g", s->lista_steps, (double)s->lista_eta);
	if (s->soft_cap > 0)
		snprintf(out + at, LONG - at, ", capped softly at %.4g", (double)s->soft_cap);
	return out;
}

static const char *
rows_text(const struct sae *s, const struct facts_of *f, char out[LONG])
{
	static const char *const inside[] = {"", "each brought to mean 0 and deviation 1", "each brought to length sqrt(inputs)"};
	size_t at = 0;

	if (!sae_takes_raw(s))
		at = (size_t)snprintf(out, LONG, "(raw - mean) * scale: |mean| %.4g, scale %.6g%s", f->mean, (double)s->scale, s->row_norm ? "; then " : "");
	snprintf(out + at, LONG - at, "%s", s->row_norm ? inside[s->row_norm] : at ? "" : "as they come");
	return out;
}

static const char *
list_text(const size_t *v, size_t n, char out[LONG])
{
	size_t at = 0, i;

	for (out[0] = 0, i = 0; i < n && at < LONG; i++)
		at += (size_t)snprintf(out + at, LONG - at, "%s%zu", i ? ", " : "", v[i]);
	return out;
}

static void
spread_row(struct table *t, const char *what, const struct spread *v)
{
	char text[LONG];

	snprintf(text, sizeof text, "%.4g to %.4g, median %.4g", v->least, v->most, v->middle);
	table_row(t, what, text);
}

static void
count_row(struct table *t, const char *what, size_t n, size_t of)
{
	char a[32], b[32], text[LONG];

	snprintf(text, sizeof text, "%s of %s", view_count(a, n), view_count(b, of));
	table_row(t, what, text);
}

int
card_text(const struct sae *s, const char *path, FILE *to)
{
	struct table t = {0};
	struct facts_of f;
	char text[LONG], n[32];

	if (look(s, &f))
		return -1;
	table_columns(&t, "ll", text_printable(text, sizeof text, path, strlen(path)), "");
	table_row(&t, "library", s->library);
	table_row(&t, "architecture", sae_arch_name(s->arch));
	table_row(&t, "inputs", view_count(n, s->d));
	if (s->transcoder)
		table_row(&t, "outputs", view_count(n, s->d_out));
	table_row(&t, "latents", view_count(n, s->m));
	table_row(&t, "rows", rows_text(s, &f, text));
	table_row(&t, "subtracts", s->b_in == s->b_dec ? "b_dec" : "nothing");
	table_row(&t, "codes", rule_text(s, text));
	if (s->threshold)
		spread_row(&t, "thresholds", &f.thresholds);
	if (s->levels)
		table_row(&t, "levels", list_text(s->nesting, s->levels, text));
	if (s->ngroups)
		table_row(&t, "nested to", list_text(s->groups, s->ngroups, text));
	if (s->W_skip)
		table_row(&t, "skip", "x W_skip is added to what is decoded");
	spread_row(&t, "decoder norms", &f.norms);
	count_row(&t, "dead latents", f.silent, s->m);
	if (s->fired)
		count_row(&t, "never fired", f.unfired, s->m);
	if (s->folded[0])
		table_row(&t, "folded", s->folded);
	if (s->trained_on[0])
		table_row(&t, "trained on", s->trained_on);
	if (s->weighting[0])
		table_row(&t, "weighting", s->weighting);
	if (s->rows)
		table_row(&t, "rows seen", view_count(n, s->rows));
	table_row(&t, "sha256", s->sha256);
	table_print(&t, "", to);
	table_free(&t);
	return ferror(to) ? -1 : 0;
}

static json_t *
list_json(const size_t *v, size_t n)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		json_array_append_new(a, json_integer((json_int_t)v[i]));
	return a;
}

static json_t *
spread_json(const struct spread *v)
{
	return json_pack("{s:f, s:f, s:f}", "min", v->least, "median", v->middle, "max", v->most);
}

int
card_json(const struct sae *s, const char *path, FILE *to)
{
	struct facts_of f;
	char text[LONG];
	json_t *o;
	int failed;

	if (look(s, &f))
		return -1;
	o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:b, s:s, s:s, s:I, s:o, s:o, s:f, s:f, s:o, s:I, s:s, s:s, s:I, s:s, s:s}",
	              "file", text_printable(text, sizeof text, path, strlen(path)), "library", s->library, "architecture", sae_arch_name(s->arch),
	              "inputs", (json_int_t)s->d, "outputs", (json_int_t)s->d_out, "latents", (json_int_t)s->m, "subtracts_b_dec", s->b_in == s->b_dec,
	              "row_norm", sae_row_norm_name(s->row_norm), "rule", sae_rule_name(s->rule), "k", (json_int_t)sae_keep(s),
	              "nesting", list_json(s->nesting, s->levels), "groups", list_json(s->groups, s->ngroups), "mean_norm", f.mean,
	              "scale", f32_shortest(s->scale), "decoder_norms", spread_json(&f.norms), "dead", (json_int_t)f.silent, "folded", s->folded,
	              "trained_on", s->trained_on, "rows", (json_int_t)s->rows, "note", s->note, "sha256", s->sha256);
	if (o && s->threshold)
		json_object_set_new(o, "thresholds", spread_json(&f.thresholds));
	if (o && s->fired)
		json_object_set_new(o, "never_fired", json_integer((json_int_t)f.unfired));
	if (o && s->soft_cap > 0)
		json_object_set_new(o, "soft_cap", json_real(f32_shortest(s->soft_cap)));
	failed = !o || json_dumpf(o, to, JSON_COMPACT | JSON_REAL_PRECISION(9)) || fputc('\n', to) == EOF;
	json_decref(o);
	return failed ? -1 : 0;
}
