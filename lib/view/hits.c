#include "view/hits.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "view/private.h"
#include "view/table.h"

static int
copy(char **to, const char *s, struct err *e)
{
	free(*to);
	*to = s ? strdup(s) : NULL;
	return s && !*to ? err_memory(e, "hits", strlen(s)) : 0;
}

int
hits_put(struct hits *h, size_t slot, uint64_t row, const char *id, const char *label, struct err *e)
{
	size_t cap = h->cap ? h->cap : 16;
	struct hit *more;

	if (slot >= h->cap) {
		while (cap <= slot)
			cap *= 2;
		more = realloc(h->at, cap * sizeof *more);
		if (!more)
			return err_memory(e, "hits", cap * sizeof *more);
		memset(more + h->cap, 0, (cap - h->cap) * sizeof *more);
		h->at = more;
		h->cap = cap;
	}
	h->at[slot].row = row;
	return copy(&h->at[slot].id, id, e) ? e->code : copy(&h->at[slot].label, label, e);
}

void
hits_free(struct hits *h)
{
	size_t i;

	for (i = 0; i < h->cap; i++) {
		free(h->at[i].id);
		free(h->at[i].label);
	}
	free(h->at);
	*h = (struct hits){0};
}

/* ---- text ---- */

static const char *
printable(char *out, size_t size, const char *s)
{
	return s ? text_printable(out, size, s, strlen(s)) : "";
}

static void
table_of(const struct hits *h, bool ids, bool labels, FILE *to)
{
	const char *const headings[] = {"rank", "row", "score", labels ? "label" : "id", "id"};
	char rank[24], row[24], score[32], label[300], id[300];
	struct table t;
	size_t i;

	table_columns_of(&t, ids && labels ? "rrrll" : ids || labels ? "rrrl" : "rrr", headings);
	for (i = 0; i < h->best->n; i++) {
		const struct best_item *b = &h->best->items[i];
		const struct hit *hit = &h->at[b->slot];
		const char *cells[5] = {rank, row, score, "", ""};

		snprintf(rank, sizeof rank, "%zu", i + 1);
		snprintf(row, sizeof row, "%" PRIu64, hit->row);
		snprintf(score, sizeof score, "%.4f", b->score);
		if (labels)
			cells[3] = printable(label, sizeof label, hit->label);
		if (ids)
			cells[labels ? 4 : 3] = printable(id, sizeof id, hit->id);
		table_row_of(&t, cells);
	}
	table_print(&t, "  ", to);
	table_free(&t);
}

static void
text(const struct hits *h, FILE *to)
{
	bool ids = false, labels = false;
	char query[300];
	size_t i;

	fprintf(to, "%s\n", printable(query, sizeof query, h->query));
	for (i = 0; i < h->best->n; i++) {
		ids |= h->at[h->best->items[i].slot].id != NULL;
		labels |= h->at[h->best->items[i].slot].label != NULL;
	}
	if (h->best->n)
		table_of(h, ids, labels, to);
	else
		fputs("  no row has anything of it\n", to);
}

/* ---- JSON and CSV ---- */

static json_t *
maybe(const char *s)
{
	return s ? json_string(s) : NULL;
}

static int
json(const char *query, size_t rank, double score, const struct hit *hit, FILE *to)
{
	char rounded[32];
	json_t *line;
	int failed;

	snprintf(rounded, sizeof rounded, "%.6f", score);
	line = json_pack("{s:o?, s:I, s:I, s:f, s:o*, s:o*}", "query", json_string(query), "rank", (json_int_t)rank, "row", (json_int_t)hit->row,
	                 "score", strtod(rounded, NULL), "id", maybe(hit->id), "label", maybe(hit->label));
	failed = !line || json_dumpf(line, to, JSON_COMPACT | JSON_REAL_PRECISION(9)) || putc('\n', to) == EOF;
	json_decref(line);
	return failed ? -1 : 0;
}

static int
csv(const char *query, size_t rank, double score, const struct hit *hit, FILE *to)
{
	view_csv(query, to);
	fprintf(to, ",%zu,%" PRIu64 ",%.6f,", rank, hit->row, score);
	view_csv(hit->id ? hit->id : "", to);
	putc(',', to);
	view_csv(hit->label ? hit->label : "", to);
	return putc('\n', to) == EOF ? -1 : 0;
}

int
hits_write(const struct hits *h, size_t n, enum hits_form form, FILE *to)
{
	size_t q, i;
	int failed = 0;

	if (form == HITS_CSV)
		fputs("query,rank,row,score,id,label\n", to);
	for (q = 0; q < n; q++) {
		if (form == HITS_TEXT && q)
			putc('\n', to);
		if (form == HITS_TEXT)
			text(&h[q], to);
		for (i = 0; form != HITS_TEXT && i < h[q].best->n && !failed; i++)
			failed = (form == HITS_JSON ? json : csv)(h[q].query, i + 1, h[q].best->items[i].score, &h[q].at[h[q].best->items[i].slot], to);
	}
	return failed || ferror(to) ? -1 : 0;
}
