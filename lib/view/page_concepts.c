/* The page's concepts: as data for its script, and as one plain table where
 * scripts do not run. However many latents there are and however long their
 * rows' ids, the page stays below 10 MB: what goes beyond the budgets is left
 * out, the rarest of the latents first. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "view/private.h"
#include "view/table.h"

#define LIST_BYTES ((size_t)2 << 20)    /* names and numbers of latents */
#define SECTION_BYTES ((size_t)5 << 20) /* what their sections show */
#define PLAIN_BYTES ((size_t)2 << 20)   /* the plain table */

typedef void writer(const struct report *r, const struct report_latent *l, FILE *to);

/* What write makes, if it fits in what is left: 1, 0, or -1 without memory. Once
 * something did not fit nothing does. */
static int
within(size_t *left, writer *write, const struct report *r, const struct report_latent *l, FILE *to)
{
	char *text = NULL;
	size_t n = 0;
	FILE *mem = *left ? open_memstream(&text, &n) : NULL;
	bool failed;

	if (!mem)
		return *left ? -1 : 0;
	write(r, l, mem);
	failed = ferror(mem);
	if (fclose(mem) || failed) {
		free(text);
		return -1;
	}
	*left = n <= *left ? *left - n : 0;
	if (*left)
		fwrite(text, 1, n, to);
	free(text);
	return *left != 0;
}

/* ---- data: arrays, in the order that the script knows them by ---- */

static void
real(FILE *to, double v, int digits)
{
	if (isfinite(v))
		fprintf(to, "%.*g,", digits, v);
	else
		fputs("null,", to);
}

/* [latent, name, cosine, ratio, rows, mean, max, level */
static void
list_item(const struct report *r, const struct report_latent *l, FILE *to)
{
	(void)r;
	fprintf(to, ",\n[%" PRIu32 ",", l->latent);
	if (l->name)
		view_json(to, l->name);
	else
		putc('0', to);
	putc(',', to);
	real(to, l->score, 4);
	real(to, l->ratio, 4);
	fprintf(to, "%" PRIu64 ",", l->rows);
	real(to, l->mean, 4);
	real(to, l->max, 4);
	fprintf(to, "%zu", l->level);
}

/* [value, row, id, label, address of its picture]; 1: the id is the address */
static void
example(const struct report *r, const struct report_example *x, FILE *to)
{
	char address[1024];

	fprintf(to, "[%.4g,%" PRIu64 ",", x->value, x->row);
	view_json(to, x->id);
	putc(',', to);
	view_json(to, x->label);
	if (r->thumbs && thumb_address(x->id, address, sizeof address)) {
		putc(',', to);
		if (strcmp(address, x->id))
			view_json(to, address);
		else
			putc('1', to);
	}
	putc(']', to);
}

/* ,[width, negative, bins], examples, [[latent, rows, overlap, lift]], level rows, fired */
static void
section(const struct report *r, const struct report_latent *l, FILE *to)
{
	size_t i;

	fprintf(to, ",[%.9g,%" PRIu64 ",[", l->bin_width, l->negative);
	for (i = 0; i < l->nbins; i++)
		fprintf(to, i ? ",%" PRIu64 : "%" PRIu64, l->bins[i]);
	fputs("]],[", to);
	for (i = 0; i < l->nexamples; i++) {
		if (i)
			putc(',', to);
		example(r, &l->examples[i], to);
	}
	fputs("],[", to);
	for (i = 0; i < l->ntogether; i++)
		fprintf(to, "%s[%" PRIu32 ",%" PRIu64 ",%.2f,%.3g]", i ? "," : "", l->together[i].latent, l->together[i].rows, l->together[i].overlap, l->together[i].lift);
	fputs("],[", to);
	for (i = 0; l->level_rows && i < r->about->nlevels; i++)
		fprintf(to, i ? ",%" PRIu64 : "%" PRIu64, l->level_rows[i]);
	fprintf(to, "],%" PRIu64, l->fired);
}

static int
data(const struct report *r, const struct report_latent *const *order, FILE *to)
{
	const struct report_codes *c = r->codes;
	size_t list = LIST_BYTES, sections = SECTION_BYTES, i;
	int got = 1;

	fprintf(to, "<script type=application/json id=data>{\"rows\":%" PRIu64 ",\"active\":%zu,\"named\":%zu,\"drawn\":%" PRIu64 ",\"levels\":[", c->rows, c->nlatents, c->named, c->drawn);
	for (i = 0; r->about && i < r->about->nlevels; i++)
		fprintf(to, i ? ",%zu" : "%zu", r->about->nesting[i]);
	/* a first one that is none: so each begins with a comma */
	fputs("],\"concepts\":[0", to);
	for (i = 0; i < c->nlatents && got > 0; i++) {
		got = within(&list, list_item, r, order[i], to);
		if (got > 0 && within(&sections, section, r, order[i], to) < 0)
			got = -1;
		if (got)
			putc(']', to);
	}
	fputs("]}</script>\n", to);
	return got < 0 ? -1 : 0;
}

/* ---- plain ---- */

static void
number(FILE *to, double v)
{
	fprintf(to, isfinite(v) ? "<td class=r>%.2f" : "<td>", v);
}

/* The histogram as eight heights of a block. */
static void
sparkline(FILE *to, const struct report_latent *l)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	uint64_t most = 1;
	size_t i;

	for (i = 0; i < l->nbins; i++)
		most = l->bins[i] > most ? l->bins[i] : most;
	for (i = 0; i < l->nbins; i++)
		fputs(l->bins[i] ? blocks[(size_t)(7.0 * (double)l->bins[i] / (double)most)] : " ", to);
}

static void
plain_row(const struct report *r, const struct report_latent *l, FILE *to)
{
	const struct report_codes *c = r->codes;
	char share[32], where[REPORT_WHERE];
	size_t i;

	fprintf(to, "<tr><td class=r>%" PRIu32, l->latent);
	if (c->named) {
		fputs("<td>", to);
		view_escaped(to, l->name ? l->name : "");
		number(to, l->score);
		number(to, l->ratio);
	}
	fprintf(to, "<td class=r>%s", view_percent(share, (double)l->rows / (double)c->rows));
	number(to, l->mean);
	number(to, l->max);
	fputs("<td class=spark>", to);
	sparkline(to, l);
	if (r->about && r->about->nlevels)
		fprintf(to, l->level ? "<td class=r>%zu" : "<td>", l->level);
	fputs("<td class=id>", to);
	report_examples(l, where, sizeof where);
	view_escaped(to, where);
	fputs("<td>", to);
	for (i = 0; i < l->ntogether && i < REPORT_FEW; i++) {
		fputs(i ? ", <bdi>" : "<bdi>", to);
		if (l->together[i].name)
			view_escaped(to, l->together[i].name);
		else
			fprintf(to, "%" PRIu32, l->together[i].latent);
		fprintf(to, "</bdi> %.2f", l->together[i].overlap);
	}
	fputs("</tr>\n", to);
}

static int
plain(const struct report *r, const struct report_latent *const *order, FILE *to)
{
	const struct report_codes *c = r->codes;
	size_t left = PLAIN_BYTES, i;
	int got = 1;

	fprintf(to, "<noscript><div class=wide><table><thead><tr><th class=r>latent%s<th class=r>rows<th class=r>mean<th class=r>max<th>values%s<th>strongest in<th>fires with</tr></thead><tbody>\n",
	        c->named ? "<th>concept<th class=r>cosine<th class=r>ratio" : "", r->about && r->about->nlevels ? "<th class=r>level" : "");
	for (i = 0; i < c->nlatents && got > 0; i++)
		got = within(&left, plain_row, r, order[i], to);
	fputs("</tbody></table></div>\n", to);
	if (got <= 0)
		fprintf(to, "<p class=note>The first %zu of %zu; report --json has all.</p>\n", i - 1, c->nlatents);
	fputs("</noscript>\n", to);
	return got < 0 ? -1 : 0;
}

int
page_concepts(const struct report *r, FILE *to)
{
	const struct report_codes *c = r->codes;
	const struct report_latent **order = malloc((c->nlatents + 1) * sizeof *order);
	int failed;

	if (!order)
		return -1;
	report_sort(c, REPORT_NAMED, order);
	fprintf(to, "<h2>%s</h2>\n<div id=concepts></div>\n", c->named ? "Concepts" : "Latents");
	failed = plain(r, order, to) || data(r, order, to);
	free(order);
	return failed ? -1 : 0;
}
