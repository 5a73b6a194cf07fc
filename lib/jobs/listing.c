#include "jobs/listing.h"

#include <string.h>

#include "base/text.h"
#include "view/table.h"

static void
add(struct table *t, const char *path, const char *format, const struct matlist *l)
{
	char file[256], name[256], shape[160];
	size_t i;

	text_printable(file, sizeof file, path, strlen(path));
	for (i = 0; i < l->n; i++) {
		text_printable(name, sizeof name, l->v[i].name, strlen(l->v[i].name));
		table_row(t, file, format, name, matlist_shape(&l->v[i], shape, sizeof shape), l->v[i].dtype);
	}
	if (!l->n)
		table_row(t, file, format, "(no arrays)", "", "");
}

int
listing_print(char *const *paths, size_t n, const struct matfile_opts *o, FILE *to, struct err *e)
{
	struct table t = {0};
	struct matlist l = {0};
	const char *format = "";
	size_t i;
	int code = 0;

	table_columns(&t, "lllll", "file", "format", "array", "shape", "type");
	for (i = 0; i < n && !code; i++) {
		code = matfile_list(paths[i], o, &l, &format, e);
		if (!code)
			add(&t, paths[i], format, &l);
		matlist_free(&l);
	}
	if (!code)
		table_print(&t, "", to);
	table_free(&t);
	return code;
}
