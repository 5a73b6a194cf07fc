/* The page's plots: how many latents a row has, how often latents are active,
 * and how well they reconstruct. */
#include <inttypes.h>
#include <math.h>

#include "view/plot.h"
#include "view/private.h"
#include "view/table.h"

#define BINS 36

static void
figure(FILE *to, const char *title)
{
	fprintf(to, "<figure class=card><figcaption>%s</figcaption>\n", title);
}

/* Bins are whole numbers wide, so that none has more of them than another. */
static void
l0(const struct report_codes *c, FILE *to)
{
	uint64_t wide = (c->l0_max - c->l0_min) / BINS + 1, counts[BINS] = {0}, k;
	double edges[BINS + 1];
	struct plot_bars bars = {.edges = edges, .counts = counts, .unit = "rows"};
	struct plot_panel panel = {.x_label = "active latents of a row", .y_label = "rows", .bars = &bars};

	figure(to, "L0: active latents of a row");
	if (c->l0_min == c->l0_max) {
		fprintf(to, "<p class=empty>Every row has %" PRIu64 ".</p></figure>\n", c->l0_max);
		return;
	}
	for (k = c->l0_min; k <= c->l0_max; k++)
		counts[(k - c->l0_min) / wide] += c->l0_rows[k];
	bars.n = (size_t)((c->l0_max - c->l0_min) / wide) + 1;
	for (k = 0; k <= bars.n; k++)
		edges[k] = (double)(c->l0_min + k * wide) - .5;
	plot_panel(&panel, "histogram of the number of active latents of a row", to);
	fprintf(to, "<p class=note>mean %.1f ± %.1f, median %.0f</p></figure>\n", c->l0_mean, c->l0_sd, c->l0_median);
}

/* From the power of ten below one row to all of them. */
static void
frequencies(const struct report_codes *c, FILE *to)
{
	double low = -floor(log10((double)c->rows) + 1), edges[BINS + 1];
	uint64_t counts[BINS] = {0};
	struct plot_bars bars = {BINS, edges, counts, "latents"};
	struct plot_panel panel = {.x_label = "share of rows where a latent is active, %", .y_label = "latents", .log_x = true, .bars = &bars};
	char never[32], always[32];
	size_t i;
	int b;

	for (i = 0; i <= BINS; i++)
		edges[i] = 100 * pow(10, low - low * (double)i / BINS);
	for (i = 0; i < c->nlatents; i++) {
		b = (int)((log10((double)c->latents[i].rows / (double)c->rows) - low) / -low * BINS);
		counts[b < 0 ? 0 : b >= BINS ? BINS - 1 : b]++;
	}
	figure(to, "How often latents are active");
	plot_panel(&panel, "histogram of activation frequency", to);
	fprintf(to, "<p class=note>%s never active (not drawn), %s in every row</p></figure>\n", view_count(never, c->never), view_count(always, c->always));
}

static void
quality(const struct scores *s, FILE *to)
{
	char rows[32];

	figure(to, "FVU against codes kept");
	if (!scores_panel(s, to))
		fputs("<p class=empty>Not measured by level; <code>sae-eval --progressive</code> does.</p>\n", to);
	fprintf(to, "<p class=note>over %s rows, ", view_count(rows, s->rows));
	view_escaped(to, s->rows_are);
	fputs("</p></figure>\n", to);
}

void
page_plots(const struct report *r, FILE *to)
{
	bool codes = r->codes && r->codes->nlatents;

	if (!codes && !r->eval)
		return;
	fputs("<div class=plots>\n", to);
	if (codes) {
		l0(r->codes, to);
		frequencies(r->codes, to);
	}
	if (r->eval)
		quality(r->eval, to);
	fputs("</div>\n", to);
}
