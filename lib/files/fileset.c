#include "files/fileset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

typedef unsigned long long ull;

static int
natural(const void *a, const void *b)
{
	return text_natural_cmp(*(char *const *)a, *(char *const *)b);
}

void
fileset_sort(char **paths, size_t n)
{
	qsort(paths, n, sizeof *paths, natural);
}

int
fileset_open(struct fileset *s, char **paths, size_t n, const struct matfile_opts *o, struct err *e)
{
	struct matfile f;
	size_t i;

	*s = (struct fileset){.paths = paths, .n = n, .opts = *o, .open = n};
	s->first = calloc(n + 1, sizeof *s->first);
	if (!s->first)
		return err_memory(e, "list of files", (n + 1) * sizeof *s->first);
	for (i = 0; i < n; i++) {
		if (matfile_open(&f, paths[i], o, e))
			goto fail;
		s->first[i + 1] = s->first[i] + f.rows;
		if (i && f.cols != s->cols)
			err_set(e, CODE_DATA, "%s: %llu columns, but %s has %llu", paths[i], (ull)f.cols, paths[0], (ull)s->cols);
		s->cols = f.cols;
		matfile_close(&f);
		if (e->code)
			goto fail;
	}
	s->rows = s->first[n];
	return 0;
fail:
	fileset_close(s);
	return e->code;
}

/* The file holding row: the last whose first row is not behind it. */
static size_t
file_of(const struct fileset *s, uint64_t row)
{
	size_t lo = 0, hi = s->n, mid;

	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if (s->first[mid] <= row)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static int
open_file(struct fileset *s, size_t i, struct err *e)
{
	if (s->open == i)
		return 0;
	if (s->open < s->n)
		matfile_close(&s->file);
	s->open = s->n;
	if (matfile_open(&s->file, s->paths[i], &s->opts, e))
		return e->code;
	s->open = i;
	if (s->file.cols != s->cols || s->file.rows != s->first[i + 1] - s->first[i])
		return err_set(e, CODE_DATA, "%s: changed while it was read", s->paths[i]);
	return 0;
}

int
fileset_read(struct fileset *s, uint64_t first, size_t n, float *x, struct err *e)
{
	size_t i, take;

	while (n) {
		i = file_of(s, first);
		if (open_file(s, i, e))
			return e->code;
		take = s->first[i + 1] - first < n ? (size_t)(s->first[i + 1] - first) : n;
		if (matfile_read(&s->file, first - s->first[i], take, x, e))
			return e->code;
		first += take;
		n -= take;
		x += take * (size_t)s->cols;
	}
	return 0;
}

const char *
fileset_where(const struct fileset *s, uint64_t row, uint64_t *inside)
{
	size_t i = file_of(s, row);

	*inside = row - s->first[i];
	return s->paths[i];
}

int
fileset_shard(const char *spec, uint64_t *from, uint64_t *to)
{
	ull part, parts;
	char after;
	uint64_t n = *to - *from, each, rest;

	if (!(*spec >= '0' && *spec <= '9') || sscanf(spec, "%llu/%llu%c", &part, &parts, &after) != 2 ||
	    strchr(spec, '-') || strchr(spec, '+') || part >= parts || parts > UINT32_MAX)
		return -1;
	each = n / parts;
	rest = n % parts; /* spread evenly */
	*to = *from + each * (part + 1) + rest * (part + 1) / parts;
	*from += each * part + rest * part / parts;
	return 0;
}

void
fileset_close(struct fileset *s)
{
	if (s->first && s->open < s->n)
		matfile_close(&s->file);
	free(s->first);
	*s = (struct fileset){0};
}
