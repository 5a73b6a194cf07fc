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

/* What all files have in common, or what s is told by the first. */
static int
take_file(struct fileset *s, size_t i, const struct matfile *f, struct err *e)
{
	const char *odd;

	if (i && f->cols != s->cols)
		return err_set(e, CODE_DATA, "%s: %llu columns, but %s has %llu", s->paths[i], (ull)f->cols, s->paths[0], (ull)s->cols);
	odd = i && f->has_ids != s->has_ids ? "row keys" : i && f->has_labels != s->has_labels ? "labels" : NULL;
	if (odd)
		return err_set(e, CODE_DATA, "%s: only one of it and %s has %s", s->paths[i], s->paths[0], odd);
	s->cols = f->cols;
	s->has_ids = f->has_ids;
	s->has_labels = f->has_labels;
	if (s->random && !f->random) {
		s->random = false;
		s->ordered = i;
	}
	s->rereadable &= f->rereadable;
	s->first[i + 1] = s->first[i] == MATFILE_UNKNOWN || f->rows == MATFILE_UNKNOWN ? MATFILE_UNKNOWN : s->first[i] + f->rows;
	return 0;
}

int
fileset_open(struct fileset *s, char **paths, size_t n, const struct matfile_opts *o, struct err *e)
{
	struct matfile f;
	size_t i;

	*s = (struct fileset){.paths = paths, .n = n, .opts = *o, .open = n, .random = true, .rereadable = true};
	s->first = calloc(n + 1, sizeof *s->first);
	if (!s->first)
		return err_memory(e, "list of files", (n + 1) * sizeof *s->first);
	for (i = 0; i < n; i++) {
		if (n > 1 && !strcmp(paths[i], "-")) {
			err_set(e, CODE_USAGE, "-: standard input cannot be one of several files");
			goto fail;
		}
		if (matfile_open(&f, paths[i], o, e))
			goto fail;
		if (take_file(s, i, &f, e)) {
			matfile_close(&f);
			goto fail;
		}
		if (n > 1)
			matfile_close(&f);
	}
	if (n == 1) { /* stays open: a pipe cannot be opened twice */
		s->file = f;
		s->open = 0;
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
	if (s->file.cols != s->cols || s->file.has_ids != s->has_ids || s->file.has_labels != s->has_labels ||
	    (s->first[i + 1] != MATFILE_UNKNOWN && s->file.rows != MATFILE_UNKNOWN && s->file.rows != s->first[i + 1] - s->first[i]))
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

/* The file of the next row is over: the number of its rows is known now. */
static int
next_file(struct fileset *s, struct err *e)
{
	if (s->first[s->now + 1] != MATFILE_UNKNOWN && s->first[s->now + 1] != s->at)
		return err_set(e, CODE_DATA, "%s: changed while it was read", s->paths[s->now]);
	s->now++;
	s->first[s->now] = s->at;
	return 0;
}

int
fileset_next(struct fileset *s, size_t most, float *x, struct matnames *names, size_t *got, struct err *e)
{
	size_t n;

	for (*got = 0; *got < most && s->now < s->n;) {
		if (open_file(s, s->now, e))
			return e->code;
		if (s->file.random)
			s->file.at = s->at - s->first[s->now];
		if (matfile_next(&s->file, most - *got, x + *got * (size_t)s->cols, names, &n, e))
			return e->code;
		*got += n;
		s->at += n;
		if (!n && next_file(s, e))
			return e->code;
	}
	return 0;
}

int
fileset_seek(struct fileset *s, uint64_t row, struct err *e)
{
	uint64_t before;

	if (s->rows != MATFILE_UNKNOWN && row >= s->rows)
		row = s->rows;
	if (s->random) {
		s->at = row;
		s->now = row == s->rows ? s->n : file_of(s, row);
		return 0;
	}
	while (s->at < row && s->now < s->n) {
		/* over files that need not be read for it */
		if (s->first[s->now + 1] != MATFILE_UNKNOWN && s->first[s->now + 1] <= row && s->rereadable) {
			s->at = s->first[++s->now];
			continue;
		}
		if (open_file(s, s->now, e))
			return e->code;
		before = s->file.at;
		if (s->file.random)
			s->file.at = before = s->at - s->first[s->now];
		if (matfile_skip(&s->file, row - s->at, e))
			return e->code;
		s->at += s->file.at - before;
		if (s->at < row && next_file(s, e))
			return e->code;
	}
	return 0;
}

int
fileset_count(struct fileset *s, struct err *e)
{
	uint64_t rows;
	size_t i;

	if (s->rows != MATFILE_UNKNOWN)
		return 0;
	if (!s->rereadable)
		return err_set(e, CODE_USAGE, "standard input: its number of rows is known only at its end, and is needed before (for --shard); give a file");
	for (i = 0; i < s->n; i++) {
		if (matfile_count(s->paths[i], &s->opts, &rows, e))
			return e->code;
		s->first[i + 1] = s->first[i] + rows;
	}
	s->rows = s->first[s->n];
	return 0;
}

int
fileset_need_random(const struct fileset *s, struct err *e)
{
	if (s->random)
		return 0;
	return err_set(e, CODE_DATA, "%s: its rows come in order only, and are needed in any order; pipe them: read-embeddings FILE... |", s->paths[s->ordered]);
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

int
fileset_print(struct fileset *s, uint64_t from, uint64_t to, const float *x, size_t n, struct buf *b, struct err *e)
{
	uint64_t counts[3] = {s->rows, from, to};
	size_t row = (size_t)s->cols * sizeof(float), i;
	struct mat one = {0};

	if (buf_append(b, counts, sizeof counts, e))
		return e->code;
	for (i = 0; i < s->n; i++)
		if (buf_append(b, s->paths[i], strlen(s->paths[i]) + 1, e))
			return e->code;
	if (!s->random)
		return buf_append(b, x, n * sizeof *x, e);
	if (mat_resize(&one, 1, (size_t)s->cols, "row", e))
		return e->code;
	e->code = 0;
	for (i = 0; i < 2 && from < to && !e->code; i++)
		if (!fileset_read(s, i ? to - 1 : from, 1, one.data, e))
			buf_append(b, one.data, row, e);
	mat_free(&one);
	return e->code;
}

void
fileset_close(struct fileset *s)
{
	if (s->first && s->open < s->n)
		matfile_close(&s->file);
	free(s->first);
	*s = (struct fileset){0};
}
