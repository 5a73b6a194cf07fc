#include "stream/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* The string of key in map m, printable, owned; "" when there is none. */
static char *
text_of(struct mp m, const char *key)
{
	char out[2048] = "";
	struct mp at;
	const char *s;
	size_t n;

	if (mp_find(m, key, &at) && mp_str(&at, &s, &n))
		text_printable(out, sizeof out, s, n);
	return strdup(out);
}

static int
read_stages(struct description *d, struct mp list, struct err *e)
{
	struct mp m;
	uint64_t n;

	if (!mp_array(&list, &n))
		return 0;
	d->all_stages = n;
	d->stages = calloc(DESCRIBE_MAX, sizeof *d->stages);
	if (!d->stages)
		return err_memory(e, "provenance", DESCRIBE_MAX * sizeof *d->stages);
	for (; d->nstages < n && d->nstages < DESCRIBE_MAX; d->nstages++) {
		struct described_stage *s = &d->stages[d->nstages];

		m = list;
		if (!mp_skip(&list))
			break;
		s->program = text_of(m, "program");
		s->version = text_of(m, "version");
		s->command = text_of(m, "command");
		if (!s->program || !s->version || !s->command) {
			d->nstages++; /* what it got is freed with the others */
			return err_memory(e, "provenance", 2048);
		}
	}
	return 0;
}

/* "512" or "one value" or "3 x 4": one row's shape. */
static char *
shape_of(struct mp m)
{
	char out[128] = "one value";
	struct mp at;
	uint64_t n, i, v;
	size_t len = 0;

	if (mp_find(m, "shape", &at) && mp_array(&at, &n))
		for (i = 0; i < n && len < 100 && mp_uint(&at, &v); i++)
			len += (size_t)snprintf(out + len, sizeof out - len, "%s%llu", i ? " x " : "", (unsigned long long)v);
	return strdup(out);
}

static int
read_columns(struct description *d, struct mp map, struct err *e)
{
	struct mp m;
	uint64_t n;
	const char *s;
	size_t len;

	if (!mp_map(&map, &n))
		return 0;
	d->all_columns = n;
	d->columns = calloc(DESCRIBE_MAX, sizeof *d->columns);
	if (!d->columns)
		return err_memory(e, "columns", DESCRIBE_MAX * sizeof *d->columns);
	while (d->ncolumns < n && d->ncolumns < DESCRIBE_MAX) {
		struct described_column *c = &d->columns[d->ncolumns];

		if (!mp_str(&map, &s, &len))
			break;
		d->ncolumns++;
		m = map;
		c->name = malloc(256);
		c->dtype = text_of(m, "dtype");
		c->shape = shape_of(m);
		if (!c->name || !c->dtype || !c->shape)
			return err_memory(e, "columns", 256);
		text_printable(c->name, 256, s, len);
		if (!mp_skip(&map))
			break;
	}
	return 0;
}

int
describe_head(struct description *d, const struct head *h, struct err *e)
{
	struct mp m;
	char *how;

	describe_free(d);
	head_get_str(h, "stream", d->stream, sizeof d->stream);
	head_get_str(h, "model", d->model, sizeof d->model);
	if (head_is_set(h, "norm") && head_get(h, "norm", &m)) {
		how = text_of(m, "how");
		snprintf(d->norm, sizeof d->norm, "%s", how && *how ? how : "someone");
		free(how);
	}
	if (head_get(h, "prov", &m) && read_stages(d, m, e))
		return e->code;
	return head_get(h, "cols", &m) ? read_columns(d, m, e) : 0;
}

void
describe_free(struct description *d)
{
	size_t i;

	for (i = 0; i < d->nstages; i++) {
		free(d->stages[i].program);
		free(d->stages[i].version);
		free(d->stages[i].command);
	}
	for (i = 0; i < d->ncolumns; i++) {
		free(d->columns[i].name);
		free(d->columns[i].dtype);
		free(d->columns[i].shape);
	}
	free(d->stages);
	free(d->columns);
	memset(d, 0, sizeof *d);
}
