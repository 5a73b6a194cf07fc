/* The page's plain parts: cards of numbers, where the stream comes from, tables
 * of example rows and of labels. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "view/private.h"
#include "view/table.h"

#define MAX_LABELS 500 /* of a page; --json has all */

/* note: already fit for a page. */
static void
card(FILE *to, const char *what, const char *value, const char *note)
{
	fprintf(to, "<div class=card><span class=mute>%s</span><b>%s</b><span class=mute>%s</span></div>\n", what, value, note);
}

static void
quality_cards(FILE *to, const struct scores *s)
{
	const struct estimate *fvu = &s->levels[0].of[SCORE_FVU], *cosine = &s->levels[0].of[SCORE_COSINE];
	char value[64], note[96];

	snprintf(value, sizeof value, "%.4f", fvu->mean);
	snprintf(note, sizeof note, "unexplained, as the model is used; ±&nbsp;%.4f", fvu->sd);
	if (isfinite(fvu->mean))
		card(to, "FVU", value, note);
	snprintf(value, sizeof value, "%.4f", cosine->mean);
	snprintf(note, sizeof note, "of x and reconstruction; ±&nbsp;%.4f", cosine->sd);
	if (isfinite(cosine->mean))
		card(to, "cosine", value, note);
}

void
page_cards(const struct report *r, FILE *to)
{
	const struct report_codes *c = r->codes;
	char a[64], b[64], n[160], never[32], always[32];
	size_t i;

	fputs("<div class=cards>\n", to);
	snprintf(n, sizeof n, "in %s frames, %.1f MB", view_count(b, r->frames), (double)r->bytes / 1e6);
	card(to, "rows", view_count(a, r->rows), n);
	if (c) {
		snprintf(a, sizeof a, "%.1f", c->l0_mean);
		snprintf(n, sizeof n, "active in a row; ±&nbsp;%.1f, %" PRIu64 " to %" PRIu64, c->l0_sd, c->l0_min, c->l0_max);
		card(to, "L0", a, n);
		snprintf(n, sizeof n, "of the %s numbers of a row", view_count(b, c->m));
		card(to, "zeros", view_percent(a, c->rows ? 1 - c->l0_mean / (double)c->m : 1), n);
		snprintf(n, sizeof n, "of %s; %s never, %s always", view_count(b, c->m), view_count(never, c->never), view_count(always, c->always));
		card(to, "active latents", view_count(a, c->nlatents), n);
		if (c->named)
			card(to, "named", view_count(a, c->named), "of the active latents");
	}
	if (r->eval)
		quality_cards(to, r->eval);
	for (i = 0; !c && i < r->ndense; i++) {
		snprintf(a, sizeof a, "%.3f", r->dense[i].norm_mean);
		snprintf(n, sizeof n, "±&nbsp;%.3f; %zu numbers a row", r->dense[i].norm_sd, r->dense[i].width);
		card(to, "norm of rows", a, n);
	}
	fputs("</div>\n", to);
}

static void
fact(FILE *to, const char *what, const char *value)
{
	fprintf(to, "<dt>%s<dd><code>", what);
	view_escaped(to, value);
	fputs("</code>\n", to);
}

static void
about(FILE *to, const struct report_model *m)
{
	char rows[32];
	size_t i;

	fprintf(to, "<dt>architecture<dd>%s, %zu inputs, %zu latents", m->architecture, m->inputs, m->latents);
	if (m->k)
		fprintf(to, ", k %zu", m->k);
	fputs(m->nlevels ? "\n<dt>nesting levels<dd>" : "\n<dt>nesting levels<dd>none", to);
	for (i = 0; i < m->nlevels; i++)
		fprintf(to, i ? ", %zu" : "%zu", m->nesting[i]);
	fprintf(to, "\n<dt>trained on<dd>%s rows, seed %" PRIu64 " ", view_count(rows, m->rows), m->seed);
	view_escaped(to, m->trained_on);
	putc('\n', to);
}

static void
columns(const struct report *r, FILE *to)
{
	size_t i, j;

	fputs("<div class=wide><table><thead><tr><th>column<th>type<th>a row<th>norm of rows</tr></thead><tbody>\n", to);
	for (i = 0; i < r->ncolumns; i++) {
		fputs("<tr><td>", to);
		view_escaped(to, r->columns[i].name);
		fputs("<td>", to);
		view_escaped(to, r->columns[i].dtype);
		fputs("<td>", to);
		view_escaped(to, r->columns[i].shape);
		fputs("<td>", to);
		for (j = 0; j < r->ndense; j++)
			if (!strcmp(r->dense[j].name, r->columns[i].name))
				fprintf(to, "%.3f ± %.3f", r->dense[j].norm_mean, r->dense[j].norm_sd);
		fputs("</tr>\n", to);
	}
	fputs("</tbody></table></div>\n", to);
}

void
page_origin(const struct report *r, FILE *to)
{
	size_t i;

	fputs("<details class=card><summary>How it was made", to);
	for (i = 0; i < r->nstages; i++) {
		fputs(i ? " <span class=mute>→</span> <code>" : ": <code>", to);
		view_escaped(to, r->stages[i].program);
		fputs("</code>", to);
	}
	fputs("</summary>\n<ol>\n", to);
	for (i = 0; i < r->nstages; i++) {
		fputs("<li><code>", to);
		view_escaped(to, r->stages[i].command);
		fputs("</code> <span class=mute>", to);
		view_escaped(to, r->stages[i].version);
		fputs("</span>\n", to);
	}
	fputs("</ol>\n", to);
	if (r->more_stages)
		fprintf(to, "<p class=mute>and %" PRIu64 " more</p>\n", r->more_stages);
	fputs("<dl>\n", to);
	if (r->stream)
		fact(to, "stream", r->stream);
	if (r->norm)
		fact(to, "normalised by", r->norm);
	if (r->model)
		fact(to, "model", r->model);
	if (r->about)
		about(to, r->about);
	fputs("</dl>\n", to);
	columns(r, to);
	fputs("</details>\n", to);
}

/* The row's id, or its number; its picture instead where that is wanted. */
static void
who(FILE *to, bool thumbs, const char *id, uint64_t row)
{
	char address[1024];

	if (id && thumbs && thumb_address(id, address, sizeof address)) {
		fputs("<img class=thumb loading=lazy decoding=async referrerpolicy=no-referrer alt=\"", to);
		view_escaped(to, id);
		fputs("\" src=\"", to);
		view_escaped(to, address);
		fputs("\"> ", to);
	}
	if (id)
		view_escaped(to, id);
	else
		fprintf(to, "#%" PRIu64, row);
}

void
page_samples(const struct report *r, FILE *to)
{
	size_t i, j;

	if (!r->nsamples)
		return;
	fprintf(to, "<h2>Example rows</h2>\n<div class=wide><table><thead><tr><th>row%s<th class=r>L0<th>strongest</tr></thead><tbody>\n", r->nlabels ? "<th>label" : "");
	for (i = 0; i < r->nsamples; i++) {
		const struct report_sample *s = &r->samples[i];

		fputs("<tr><td class=id>", to);
		who(to, r->thumbs, s->id, s->row);
		if (r->nlabels) {
			fputs("<td class=id>", to);
			view_escaped(to, s->label ? s->label : "");
		}
		fprintf(to, "<td class=r>%zu<td>", s->l0);
		for (j = 0; j < s->n; j++) {
			fprintf(to, "%s<bdi><a href='#latent-%" PRIu32 "'>", j ? ", " : "", s->codes[j].latent);
			if (s->codes[j].name)
				view_escaped(to, s->codes[j].name);
			else
				fprintf(to, "%" PRIu32, s->codes[j].latent);
			fprintf(to, "</a></bdi> <span class=mute>%.1f</span>", s->codes[j].value);
		}
		fputs("</tr>\n", to);
	}
	fputs("</tbody></table></div>\n", to);
}

void
page_labels(const struct report *r, FILE *to)
{
	size_t shown = r->top < MAX_LABELS ? r->top : MAX_LABELS, i;
	char n[32], p[32];

	if (!r->nlabels)
		return;
	shown = shown < r->nlabels ? shown : r->nlabels;
	fputs("<h2>Labels</h2>\n<div class=wide><table><thead><tr><th>label<th class=r>rows<th class=r>share<th></tr></thead><tbody>\n", to);
	for (i = 0; i < shown; i++) {
		fputs("<tr><td class=id>", to);
		view_escaped(to, r->labels[i].label);
		fprintf(to, "<td class=r>%s<td class=r>%s<td class=bars><i class=bar style='width:%.0f%%'></i></tr>\n", view_count(n, r->labels[i].rows),
		        view_percent(p, (double)r->labels[i].rows / (double)r->rows), 100 * (double)r->labels[i].rows / (double)r->labels[0].rows);
	}
	fputs("</tbody></table></div>\n", to);
	if (r->nlabels > shown)
		fprintf(to, "<p class=note>and %zu more</p>\n", r->nlabels - shown);
	if (r->other_labels)
		fprintf(to, "<p class=note>and %s rows of labels that were too many to count</p>\n", view_count(n, r->other_labels));
}
