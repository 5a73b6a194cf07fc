#include "jobs/rowsource.h"

#include <string.h>

/* Which rows: counted first where a part of all is asked for. */
static int
range(struct rowsource *s, struct err *e)
{
	const struct rowsource_opts *o = &s->opts;
	uint64_t rows;

	if (o->shard && fileset_count(&s->files, e))
		return e->code;
	rows = s->files.rows; /* MATFILE_UNKNOWN is larger than any number */
	s->from = o->skip < rows ? o->skip : rows;
	s->to = o->limit < rows - s->from ? s->from + o->limit : rows;
	if (o->shard && fileset_shard(o->shard, &s->from, &s->to))
		return err_set(e, CODE_USAGE, "--shard %s: I/N with I from 0 to N-1, such as 0/4", o->shard);
	return 0;
}

int
rowsource_open(struct rowsource *s, char **paths, size_t n, const struct rowsource_opts *o, struct err *e)
{
	*s = (struct rowsource){.opts = *o};
	if (fileset_open(&s->files, paths, n, &o->file, e))
		return e->code;
	s->has_ids = o->ids || s->files.has_ids;
	s->has_labels = o->labels || s->files.has_labels;
	if (!range(s, e) && (!o->ids || !lines_open_rows(&s->ids, o->ids, s->files.rows, s->from, e)) &&
	    (!o->labels || !lines_open_rows(&s->labels, o->labels, s->files.rows, s->from, e)))
		return 0;
	rowsource_close(s);
	return e->code;
}

/* The string of the next row, from lines or out of what its file says from *at
 * on, goes to `to` if it is kept. */
static int
take_string(struct lines *l, bool lines, const struct buf *found, size_t *at, struct buf *to, bool keep, struct err *e)
{
	const char *text;
	size_t n;

	if (lines) {
		if (lines_row(l, e))
			return e->code;
		text = l->text;
		n = l->len + 1;
	} else {
		text = (const char *)found->data + *at;
		n = strlen(text) + 1;
		*at += n;
	}
	return keep ? buf_append(to, text, n, e) : 0;
}

/* n rows from number `first` on were read: checks them and takes their strings,
 * closing up over rows that are left out. */
static int
accept(struct rowsource *s, uint64_t first, size_t n, struct err *e)
{
	size_t d = (size_t)s->files.cols, i, id_at = 0, label_at = 0;
	float *from = s->x.data, *to = s->x.data;
	bool any = f32_nonfinite(from, n * d) != 0, good;
	const char *path;
	uint64_t row;

	for (i = 0; i < n; i++, from += d) {
		good = !any || !f32_nonfinite(from, d);
		path = fileset_where(&s->files, first + i, &row);
		if (!good && !s->opts.skip_nan)
			return err_set(e, CODE_DATA, "%s: row %llu holds NaN or infinity; --nan=skip leaves such rows out", path, (unsigned long long)row);
		if (!good && !s->skipped++)
			s->first_skipped = first + i;
		if ((s->has_ids && take_string(&s->ids, s->opts.ids, &s->found.id, &id_at, &s->names.id, good, e)) ||
		    (s->has_labels && take_string(&s->labels, s->opts.labels, &s->found.label, &label_at, &s->names.label, good, e)))
			return e->code;
		if (!good)
			continue;
		if (to != from)
			memcpy(to, from, d * sizeof *to);
		to += d;
	}
	s->n = (size_t)(to - s->x.data) / d;
	return 0;
}

/* No row is left. Files of lines that are too long could not be told before
 * where nobody knew the number of rows. */
static int
end(struct rowsource *s, struct err *e)
{
	if (s->files.rows != MATFILE_UNKNOWN || s->to != MATFILE_UNKNOWN)
		return 0;
	return (s->opts.ids && lines_end(&s->ids, e)) || (s->opts.labels && lines_end(&s->labels, e)) ? e->code : 0;
}

int
rowsource_next(struct rowsource *s, struct err *e)
{
	uint64_t left;
	size_t n = 1;

	s->row += s->n;
	s->names.id.len = s->names.label.len = 0;
	for (s->n = 0; n && !s->n;) {
		s->found.id.len = s->found.label.len = 0;
		left = s->to == MATFILE_UNKNOWN ? s->x.rows : s->to - s->files.at;
		if (fileset_next(&s->files, left < s->x.rows ? (size_t)left : s->x.rows, s->x.data, &s->found, &n, e) ||
		    accept(s, s->files.at - n, n, e))
			return e->code;
	}
	return s->n ? 0 : end(s, e);
}

int
rowsource_begin(struct rowsource *s, uint64_t batch, struct err *e)
{
	bool random = s->files.random;

	if (mat_resize(&s->x, (size_t)batch, (size_t)s->files.cols, "x", e))
		return e->code;
	/* looks at rows by itself, so before others are read; if it can */
	if (random && fileset_print(&s->files, s->from, s->to, NULL, 0, &s->print, e))
		return e->code;
	if (fileset_seek(&s->files, s->from, e))
		return e->code;
	s->row = s->files.at; /* before `from` when there are fewer rows */
	if (rowsource_next(s, e))
		return e->code;
	return random ? 0 : fileset_print(&s->files, s->from, s->to, s->x.data, s->n * (size_t)s->files.cols, &s->print, e);
}

uint64_t
rowsource_total(const struct rowsource *s)
{
	return s->to == MATFILE_UNKNOWN ? 0 : s->to - s->from;
}

uint64_t
rowsource_done(const struct rowsource *s)
{
	return s->files.at - s->from;
}

void
rowsource_close(struct rowsource *s)
{
	lines_close(&s->ids);
	lines_close(&s->labels);
	matnames_free(&s->names);
	matnames_free(&s->found);
	buf_free(&s->print);
	mat_free(&s->x);
	fileset_close(&s->files);
}
