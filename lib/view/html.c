/* The report as one HTML page: no network, no library, light and dark, and
 * plain tables where scripts do not run. All text goes through view_escaped. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "view/private.h"
#include "view/table.h"

static const char style[] =
	":root{color-scheme:light dark;--fg:#1d2330;--mute:#667085;--bg:#fbfbfd;--card:#fff;--line:#e4e7ec;--bar:#3b6fd8}"
	"@media(prefers-color-scheme:dark){:root{--fg:#e6e9ef;--mute:#98a2b3;--bg:#14171d;--card:#1c2028;--line:#303642;--bar:#6d9bf5}}"
	"*{box-sizing:border-box}body{margin:0 auto;max-width:68rem;padding:1.5rem;font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg)}"
	"h1{font-size:1.6rem;margin:.2rem 0}h2{font-size:1.1rem;margin:2rem 0 .6rem}.mute,th{color:var(--mute)}"
	".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.8rem;margin:1.2rem 0}"
	".card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.7rem .9rem}"
	".card b{display:block;font-size:1.35rem;font-weight:600}"
	".wide{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.6rem}"
	"table{border-collapse:collapse;width:100%}th,td{padding:.35rem .7rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}"
	"tr:last-child td{border-bottom:0}th{font-weight:500;font-size:.85rem;white-space:nowrap}.r{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
	"th[data-k]{cursor:pointer}th[data-k]:hover{color:var(--fg)}"
	".bar{display:inline-block;height:.6rem;border-radius:.2rem;background:var(--bar);min-width:1px}"
	"code{font:13px/1.6 ui-monospace,monospace;overflow-wrap:anywhere}ol{padding-left:1.4rem;margin:.4rem 0}"
	"svg{width:100%;height:auto;display:block}svg text{fill:var(--mute);font:11px system-ui,sans-serif}svg rect{fill:var(--bar)}svg line{stroke:var(--line)}"
	"input{font:inherit;padding:.35rem .6rem;border:1px solid var(--line);border-radius:.4rem;background:var(--card);color:inherit;width:18rem;max-width:100%;margin:0 0 .6rem}";

/* Sorting by a click on a heading, filtering by name: conveniences only. */
static const char script[] =
	"document.querySelectorAll('table.sort').forEach(t=>{const b=t.tBodies[0];t.querySelectorAll('th').forEach((h,i)=>{h.dataset.k=i;"
	"h.onclick=()=>{const d=h.dataset.d=h.dataset.d==='1'?'-1':'1';const v=r=>{const c=r.cells[i];return c.dataset.v!==undefined?+c.dataset.v:c.textContent};"
	"[...b.rows].sort((x,y)=>{const p=v(x),q=v(y);return(p<q?1:p>q?-1:0)*d}).forEach(r=>b.append(r))}})});"
	"const f=document.getElementById('filter');if(f){f.hidden=false;f.oninput=()=>{const q=f.value.toLowerCase();"
	"document.querySelectorAll('#latents tbody tr').forEach(r=>{r.hidden=!r.textContent.toLowerCase().includes(q)})}}";

static void
card(FILE *to, const char *what, const char *value, const char *note)
{
	fputs("<div class=card><span class=mute>", to);
	view_escaped(to, what);
	fputs("</span><b>", to);
	view_escaped(to, value);
	fputs("</b><span class=mute>", to);
	view_escaped(to, note);
	fputs("</span></div>\n", to);
}

static void
cards(FILE *to, const struct report *r)
{
	const struct report_codes *c = r->codes;
	char a[64], b[64], n[96];

	fputs("<div class=cards>\n", to);
	snprintf(n, sizeof n, "in %s frames, %.1f MB", view_count(b, r->frames), (double)r->bytes / 1e6);
	card(to, "rows", view_count(a, r->rows), n);
	if (c) {
		snprintf(n, sizeof n, "of %s latents; %zu never, %zu always", view_count(b, c->m), c->never, c->always);
		card(to, "active latents", view_count(a, c->nlatents), n);
		snprintf(a, sizeof a, "%.1f", c->l0_mean);
		snprintf(n, sizeof n, "± %.1f; %" PRIu64 " to %" PRIu64, c->l0_sd, c->l0_min, c->l0_max);
		card(to, "active in a row (L0)", a, n);
		snprintf(n, sizeof n, "of the %s numbers a row has", view_count(b, c->m));
		card(to, "zeros", view_percent(a, c->rows ? 1 - c->l0_mean / (double)c->m : 1), n);
		if (c->named)
			card(to, "named", view_count(a, c->named), "of the active latents");
	}
	fputs("</div>\n", to);
}

/* How often latents are active: a histogram over log10 of the frequency. */
static void
histogram(FILE *to, const struct report_codes *c)
{
	enum { BINS = 36, W = 720, H = 150, BASE = 125 };
	size_t bins[BINS] = {0}, most = 1, i;
	double lo = -floor(log10((double)c->rows) + 1), x;
	int b, tick;

	for (i = 0; i < c->nlatents; i++) {
		x = log10((double)c->latents[i].rows / (double)c->rows);
		b = (int)((x - lo) / -lo * BINS);
		b = b < 0 ? 0 : b >= BINS ? BINS - 1 : b;
		if (++bins[b] > most)
			most = bins[b];
	}
	fprintf(to, "<h2>How often latents are active</h2>\n<div class=card><svg viewBox='0 0 %d %d' role=img aria-label='histogram of activation frequency'>\n", W, H);
	fprintf(to, "<line x1=0 x2=%d y1=%d y2=%d />\n", W, BASE, BASE);
	for (i = 0; i < BINS; i++) {
		double h = (double)bins[i] / (double)most * (BASE - 14);

		if (bins[i])
			fprintf(to, "<rect x=%.1f y=%.1f width=%.1f height=%.1f><title>%zu latents</title></rect>\n", (double)i * W / BINS + 1, BASE - h, (double)W / BINS - 2, h, bins[i]);
	}
	for (tick = (int)lo; tick <= 0; tick++)
		fprintf(to, "<text x=%.1f y=%d text-anchor='%s'>%g %%</text>\n", (tick - lo) / -lo * W, H - 6,
		        tick == (int)lo ? "start" : tick ? "middle" : "end", 100 * pow(10, tick));
	fprintf(to, "<text x=0 y=11>%zu latents</text></svg><span class=mute>share of rows a latent is active in, log scale</span></div>\n", most);
}

static void
latent_row(FILE *to, const struct report_codes *c, const struct report_latent *l, double most)
{
	char p[32], where[REPORT_EXAMPLES * 96];

	fprintf(to, "<tr><td class=r data-v=%" PRIu32 ">%" PRIu32, l->latent, l->latent);
	if (c->named) {
		fputs("<td>", to);
		if (l->name)
			view_escaped(to, l->name);
		else
			fputs("<span class=mute>unnamed</span>", to);
	}
	fprintf(to, "<td class=r data-v=%" PRIu64 ">%s<td data-v=%" PRIu64 "><span class=bar style='width:%.1frem'></span><td class=r data-v=%.9g>%.2f<td class=r data-v=%.9g>%.2f<td>",
	        l->rows, view_percent(p, (double)l->rows / (double)c->rows), l->rows, 6 * (double)l->rows / most, l->mean, l->mean, l->max, l->max);
	report_examples(l, where, sizeof where);
	view_escaped(to, where);
	fputs("</tr>\n", to);
}

#define HTML_LATENTS 2000 /* rows of the page's table: more slow a browser down */

static int
latents(FILE *to, const struct report_codes *c)
{
	const struct report_latent **order = malloc((c->nlatents + 1) * sizeof *order);
	size_t i;

	if (!order)
		return -1;
	report_sort(c, REPORT_FREQUENT, order);
	fprintf(to, "<h2>%s</h2>\n<input id=filter hidden placeholder='filter, by name or row' aria-label='filter'>\n"
	        "<div class=wide><table class=sort id=latents><thead><tr><th class=r>latent%s<th class=r>rows<th><th class=r>mean<th class=r>max<th>strongest in</tr></thead><tbody>\n",
	        c->named ? "Concepts" : "Latents", c->named ? "<th>concept" : "");
	for (i = 0; i < c->nlatents && i < HTML_LATENTS; i++)
		latent_row(to, c, order[i], (double)order[0]->rows);
	fputs("</tbody></table></div>\n", to);
	if (c->nlatents > HTML_LATENTS)
		fprintf(to, "<p class=mute>The %d most frequent of %zu; report --json has all.</p>\n", HTML_LATENTS, c->nlatents);
	free(order);
	return 0;
}

static void
samples(FILE *to, const struct report *r)
{
	size_t i, j;

	if (!r->nsamples)
		return;
	fputs("<h2>Example rows</h2>\n<div class=wide><table><thead><tr><th>row<th>label<th class=r>L0<th>strongest</tr></thead><tbody>\n", to);
	for (i = 0; i < r->nsamples; i++) {
		const struct report_sample *s = &r->samples[i];

		fputs("<tr><td>", to);
		if (s->id)
			view_escaped(to, s->id);
		else
			fprintf(to, "#%" PRIu64, s->row);
		fputs("<td>", to);
		view_escaped(to, s->label ? s->label : "");
		fprintf(to, "<td class=r>%zu<td>", s->l0);
		for (j = 0; j < s->n; j++) {
			fputs(j ? ", " : "", to);
			if (s->codes[j].name)
				view_escaped(to, s->codes[j].name);
			else
				fprintf(to, "%" PRIu32, s->codes[j].latent);
			fprintf(to, " <span class=mute>%.1f</span>", s->codes[j].value);
		}
		fputs("</tr>\n", to);
	}
	fputs("</tbody></table></div>\n", to);
}

static void
labels(FILE *to, const struct report *r)
{
	char n[32], p[32];
	size_t i;

	if (!r->nlabels)
		return;
	fputs("<h2>Labels</h2>\n<div class=wide><table><thead><tr><th>label<th class=r>rows<th class=r>share</tr></thead><tbody>\n", to);
	for (i = 0; i < r->nlabels && i < r->top; i++) {
		fputs("<tr><td>", to);
		view_escaped(to, r->labels[i].label);
		fprintf(to, "<td class=r>%s<td class=r>%s</tr>\n", view_count(n, r->labels[i].rows), view_percent(p, (double)r->labels[i].rows / (double)r->rows));
	}
	fputs("</tbody></table></div>\n", to);
	if (r->nlabels > r->top)
		fprintf(to, "<p class=mute>and %zu more</p>\n", r->nlabels - r->top);
}

static void
origin(FILE *to, const struct report *r)
{
	size_t i;

	fputs("<h2>How it was made</h2>\n<div class=card><ol>\n", to);
	for (i = 0; i < r->nstages; i++) {
		fputs("<li><code>", to);
		view_escaped(to, r->stages[i].command);
		fputs("</code> <span class=mute>", to);
		view_escaped(to, r->stages[i].version);
		fputs("</span>\n", to);
	}
	fputs("</ol>\n", to);
	if (r->model) {
		fputs("<span class=mute>model</span> <code>", to);
		view_escaped(to, r->model);
		fputs("</code><br>\n", to);
	}
	if (r->stream) {
		fputs("<span class=mute>stream</span> <code>", to);
		view_escaped(to, r->stream);
		fputs("</code>\n", to);
	}
	fputs("</div>\n<div class=wide style='margin-top:.8rem'><table><thead><tr><th>column<th>type<th>a row<th>norm of rows</tr></thead><tbody>\n", to);
	for (i = 0; i < r->ncolumns; i++) {
		size_t j;

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

int
report_html(const struct report *r, FILE *to)
{
	fputs("<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>\n<title>", to);
	view_escaped(to, r->title);
	fprintf(to, "</title>\n<style>%s</style></head><body>\n<h1>", style);
	view_escaped(to, r->title);
	fputs("</h1>\n", to);
	cards(to, r);
	if (r->codes && r->codes->nlatents) {
		histogram(to, r->codes);
		if (latents(to, r->codes))
			return -1;
	}
	samples(to, r);
	labels(to, r);
	origin(to, r);
	fprintf(to, "<script>%s</script>\n</body></html>\n", script);
	return ferror(to) ? -1 : 0;
}
