#include "view/scored.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/dtype.h"

static json_t *
concepts_of(const struct scored_row *r)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < r->n; i++)
		json_array_append_new(list, json_pack("{s:I, s:s?, s:f}", "latent", (json_int_t)r->codes[i].latent,
		                                      "name", r->codes[i].name, "value", f32_shortest(r->codes[i].value)));
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
scored_csv_head(FILE *to)
{
	fputs("row,id,label,latent,name,value\n", to);
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
		fprintf(to, ",%.9g\n", f32_shortest(c->value));
	}
	return !ferror(to);
}
