/* The report as tables for a terminal. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "view/private.h"
#include "view/table.h"

#define BAR 24

static void
heading(FILE *to, const char *s)
{
	fprintf(to, "\n%s\n", s);
}

/* Adds a column to a row of the table being made. */
struct cells { const char *at[TABLE_MAX_COLS]; char align[TABLE_MAX_COLS + 1]; size_t n; };

static void
cell(struct cells *c, char align, const char *text)
{
	c->align[c->n] = align;
	c->at[c->n++] = text;
	c->align[c->n] = 0;
}

static bool
any_score(const struct report_codes *c)
{
	size_t i;

	for (i = 0; i < c->nlatents && !isfinite(c->latents[i].score); i++)
		;
	return i < c->nlatents;
}

static char *
decimal(char out[32], double v)
{
	out[0] = 0;
	if (isfinite(v))
		snprintf(out, 32, "%.2f", v);
	return out;
}

/* The heading, where l is NULL, or the row of a latent. most: rows of the most
 * frequent one shown. */
static void
latent_cells(const struct report *r, const struct report_latent *l, double most, struct table *t)
{
	char latent[16] = "latent", share[32] = "rows", bar[4 * BAR] = "", mean[32] = "mean", max[32] = "max";
	char cosine[32] = "cosine", level[32] = "level", where[REPORT_WHERE] = "strongest in";
	const char *name = "concept";
	struct cells c = {.n = 0};

	if (l) {
		snprintf(latent, sizeof latent, "%" PRIu32, l->latent);
		snprintf(level, sizeof level, l->level ? "%zu" : "-", l->level);
		view_percent(share, (double)l->rows / (double)r->codes->rows);
		view_bar(bar, (double)l->rows / most, BAR / 2);
		decimal(cosine, l->score);
		decimal(mean, l->mean);
		decimal(max, l->max);
		report_examples(l, where, sizeof where);
		name = l->name ? l->name : "(unnamed)";
	}
	cell(&c, 'r', latent);
	if (r->codes->named)
		cell(&c, 'l', name);
	if (any_score(r->codes))
		cell(&c, 'r', cosine);
	cell(&c, 'r', share);
	cell(&c, 'l', bar);
	cell(&c, 'r', mean);
	cell(&c, 'r', max);
	if (r->about && r->about->nlevels)
		cell(&c, 'r', level);
	cell(&c, 'l', where);
	if (l)
		table_row_of(t, c.at);
	else
		table_columns_of(t, c.align, c.at);
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
	for (i = 0; i < c->nlatents && i < r->top; i++)
		if ((double)order[i]->rows > most)
			most = (double)order[i]->rows;
	latent_cells(r, NULL, most, &t);
	for (i = 0; i < c->nlatents && i < r->top; i++)
		latent_cells(r, order[i], most, &t);
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
		char who[700], l0[32], what[REPORT_SAMPLE_CODES * 192];
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
	table_columns(&t, "lrr", "label", "rows", "share");
	for (i = 0; i < shown; i++)
		table_row(&t, r->labels[i].label, view_count(n, r->labels[i].rows), view_percent(share, (double)r->labels[i].rows / (double)r->rows));
	table_print(&t, "  ", to);
	if (r->nlabels > shown)
		fprintf(to, "  and %zu more\n", r->nlabels - shown);
	if (r->other_labels)
		fprintf(to, "  and %s rows of labels that were too many to count\n", view_count(n, r->other_labels));
	table_free(&t);
}

static void
about_text(const struct report_model *m, FILE *to)
{
	char rows[32];
	size_t i;

	fprintf(to, "  architecture   %s, %zu to %zu", m->architecture, m->inputs, m->latents);
	if (m->rows)
		fprintf(to, ", trained on %s rows", view_count(rows, m->rows));
	putc('\n', to);
	fputs(m->nlevels ? "  levels         " : "  levels         none: it is not nested", to);
	for (i = 0; i < m->nlevels; i++)
		fprintf(to, i ? ", %zu" : "%zu", m->nesting[i]);
	putc('\n', to);
}

int
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
	if (r->about)
		about_text(r->about, to);
	if (r->eval && isfinite(r->eval->levels[0].of[SCORE_FVU].mean))
		fprintf(to, "  measured       FVU %.4f, cosine %.4f over %s rows\n", r->eval->levels[0].of[SCORE_FVU].mean,
		        r->eval->levels[0].of[SCORE_COSINE].mean, view_count(rows, r->eval->rows));
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
