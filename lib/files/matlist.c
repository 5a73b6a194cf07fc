#include "files/matlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct matlist_entry *
matlist_add(struct matlist *l, const char *name, struct err *e)
{
	size_t cap = l->cap ? 2 * l->cap : 16;
	struct matlist_entry *m;

	if (l->n == l->cap) {
		m = realloc(l->v, cap * sizeof *m);
		if (!m) {
			err_memory(e, "list of arrays", cap * sizeof *m);
			return NULL;
		}
		l->v = m;
		l->cap = cap;
	}
	m = &l->v[l->n];
	*m = (struct matlist_entry){.name = strdup(name)};
	if (!m->name) {
		err_memory(e, "list of arrays", strlen(name));
		return NULL;
	}
	l->n++;
	return m;
}

void
matlist_free(struct matlist *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
	*l = (struct matlist){0};
}

const char *
matlist_shape(const struct matlist_entry *m, char *out, size_t size)
{
	size_t n = 0;
	unsigned i;

	snprintf(out, size, m->ndim ? "" : "one number");
	for (i = 0; i < m->ndim && i < MATLIST_DIMS && n < size; i++)
		n += (size_t)(m->shape[i] == UINT64_MAX ? snprintf(out + n, size - n, i ? " x ?" : "?")
		                                        : snprintf(out + n, size - n, i ? " x %llu" : "%llu", (unsigned long long)m->shape[i]));
	return out;
}

/* "a (5 x 7), b (5)", as much as fits. */
static const char *
enumerate(const struct matlist *l, char *out, size_t size)
{
	char name[64], shape[64], one[160];
	size_t i, n = 0, len;

	out[0] = 0;
	for (i = 0; i < l->n; i++) {
		len = (size_t)snprintf(one, sizeof one, "%s%s (%s)", i ? ", " : "", text_printable(name, sizeof name, l->v[i].name, strlen(l->v[i].name)),
		                       matlist_shape(&l->v[i], shape, sizeof shape));
		if (n + len + 5 > size) {
			strcpy(out + n, " ...");
			break;
		}
		memcpy(out + n, one, len + 1);
		n += len;
	}
	return out;
}

const struct matlist_entry *
matlist_pick(const struct matlist *l, const char *key, struct err *e)
{
	const struct matlist_entry *found = NULL;
	char text[64], all[320];
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		if (key ? !strcmp(l->v[i].name, key) : l->v[i].ndim == 2) {
			found = &l->v[i];
			n++;
		}
	if (n == 1 || (key && n))
		return found;
	if (!key && !n && l->n == 1)
		return &l->v[0];
	enumerate(l, all, sizeof all);
	if (!l->n)
		err_set(e, CODE_DATA, "holds no array of numbers");
	else if (key)
		err_set(e, CODE_DATA, "no array \"%s\" here; it holds %s", text_printable(text, sizeof text, key, strlen(key)), all);
	else
		err_set(e, CODE_DATA, "holds %zu arrays%s; name one with --key: %s", l->n, n ? "" : ", none of two dimensions", all);
	return NULL;
}
