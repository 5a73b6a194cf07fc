#include "view/scored.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "base/text.h"
#include "view/table.h"

/* NULL where shares are not told. */
static json_t *
share_json(const struct scored_row *r, double share)
{
	return !r->shares ? NULL : isfinite(share) ? json_real(share) : json_null();
}

static json_t *
concepts_of(const struct scored_row *r)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < r->n; i++)
		json_array_append_new(list, json_pack("{s:I, s:s?, s:f, s:o*}", "latent", (json_int_t)r->codes[i].latent,
		                                      "name", r->codes[i].name, "value", f32_shortest(r->codes[i].value),
		                                      "share", share_json(r, r->codes[i].share)));
	return list;
}

bool
scored_json(FILE *to, const struct scored_row *r)
{
	json_t *row = json_object();
	bool failed;

	json_object_set_new(row, "row", json_integer((json_int_t)r->row));
	if (r->id.s)
		json_object_set_new(row, "id", json_stringn(r->id.s, r->id.n));
	if (r->label.s)
		json_object_set_new(row, "label", json_stringn(r->label.s, r->label.n));
	if (r->shares)
		json_object_set_new(row, "explained", share_json(r, r->explained));
	json_object_set_new(row, "concepts", concepts_of(r));
	failed = json_dumpf(row, to, JSON_COMPACT | JSON_REAL_PRECISION(9)) || putc('\n', to) == EOF;
	json_decref(row);
	return !failed;
}

/* A field, in quotes where it needs them. */
static void
put_field(FILE *to, const char *s, size_t n)
{
	size_t i;
	bool quote = false;

	for (i = 0; i < n && !quote; i++)
		quote = strchr("\",\r\n", s[i]) != NULL; /* NUL too: it is the end of that list */
	if (quote)
		putc('"', to);
	for (i = 0; i < n; i++) {
		if (s[i] == '"')
			putc('"', to);
		putc(s[i], to);
	}
	if (quote)
		putc('"', to);
}

bool
scored_csv_head(FILE *to, bool shares)
{
	fputs(shares ? "row,id,label,latent,name,value,share\n" : "row,id,label,latent,name,value\n", to);
	return !ferror(to);
}

bool
scored_csv(FILE *to, const struct scored_row *r)
{
	const struct scored_code *c;
	size_t i;

	for (i = 0; i < r->n; i++) {
		c = &r->codes[i];
		fprintf(to, "%" PRIu64 ",", r->row);
		put_field(to, r->id.s, r->id.s ? r->id.n : 0);
		putc(',', to);
		put_field(to, r->label.s, r->label.s ? r->label.n : 0);
		fprintf(to, ",%" PRIu32 ",", c->latent);
		put_field(to, c->name, c->name ? strlen(c->name) : 0);
		fprintf(to, ",%.9g", f32_shortest(c->value));
		if (r->shares && isfinite(c->share))
			fprintf(to, ",%.6g", c->share);
		fputs(r->shares && !isfinite(c->share) ? ",\n" : "\n", to);
	}
	return !ferror(to);
}

/* ---- for people ---- */

#define NAME 60 /* bytes of a text shown */

static void
heading(FILE *to, const struct scored_row *r)
{
	char text[NAME];

	fprintf(to, "row %" PRIu64, r->row);
	if (r->id.s)
		fprintf(to, "  %s", text_printable(text, sizeof text, r->id.s, r->id.n));
	if (r->label.s)
		fprintf(to, "  %s", text_printable(text, sizeof text, r->label.s, r->label.n));
	putc('\n', to);
}

static char *
share_text(char out[32], double share)
{
	if (!isfinite(share))
		return strcpy(out, "-");
	snprintf(out, 32, "%.1f %%", 100 * share);
	return out;
}

bool
scored_table(FILE *to, const struct scored_row *r)
{
	const char *const headings[] = {"latent", "concept", "code", "explains"};
	char latent[16], code[32], name[NAME], share[32], all[32];
	const char *cells[4] = {latent, name, code, share};
	struct table t;
	size_t i;

	heading(to, r);
	table_columns_of(&t, r->shares ? "rlrr" : "rlr", headings);
	for (i = 0; i < r->n; i++) {
		snprintf(latent, sizeof latent, "%" PRIu32, r->codes[i].latent);
		snprintf(code, sizeof code, "%.3g", (double)r->codes[i].value);
		text_printable(name, sizeof name, r->codes[i].name ? r->codes[i].name : "", r->codes[i].name ? strlen(r->codes[i].name) : 0);
		share_text(share, r->codes[i].share);
		table_row_of(&t, cells);
	}
	if (r->n)
		table_print(&t, "  ", to);
	table_free(&t);
	fprintf(to, "  %s codes in all", view_count(all, r->all));
	if (r->shares)
		fprintf(to, ", which explain %s of the row", share_text(share, r->explained));
	fputs("\n", to);
	return !ferror(to);
}
