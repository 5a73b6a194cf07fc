/* csv and tsv (RFC 4180): a record a row, its fields the numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "files/matback.h"

#define MAX_RECORD ((size_t)1 << 25)
#define MAX_FIELDS ((size_t)1 << 20)
#define NO_COLUMN SIZE_MAX

struct field {
	char *s; /* NUL-terminated, quotes undone */
	size_t n;
};

struct csv {
	char sep; /* ' ': any number of spaces */
	struct buf record;
	size_t scanned; /* bytes of it that is_open has seen */
	bool quoted;    /* they end inside quotes */
	struct field *fields;
	size_t n, cap;     /* fields of the record just read */
	size_t width;      /* fields every record must have */
	size_t id, label;  /* NO_COLUMN */
	uint64_t line;     /* of the record's first line */
	uint64_t next;     /* the next line's number */
	bool held;         /* the record just read is the first row, not yet given out */
	char **names;      /* [width] heading, or NULL: for messages */
};

static int
at_line(const struct csv *c, struct err *e)
{
	return err_add(e, "line %llu", (unsigned long long)c->line);
}

static int
add_field(struct csv *c, char *s, size_t n, struct err *e)
{
	size_t cap = c->cap ? 2 * c->cap : 64;
	struct field *more;

	if (c->n == MAX_FIELDS)
		return err_set(e, CODE_DATA, "more than %zu columns", MAX_FIELDS);
	if (c->n == c->cap) {
		more = realloc(c->fields, cap * sizeof *more);
		if (!more)
			return err_memory(e, "fields", cap * sizeof *more);
		c->fields = more;
		c->cap = cap;
	}
	c->fields[c->n++] = (struct field){s, n};
	return 0;
}

/* Undoes the quotes of the field that begins at p[0] == '"'; *to is where its
 * text ends then. Returns what is behind the closing quote, NULL when there is
 * none before end. */
static char *
unquote(char *p, char *end, char **to)
{
	char *out = ++p;

	for (; p < end; *out++ = *p++)
		if (*p == '"') {
			if (p + 1 == end || p[1] != '"') {
				*to = out;
				return p + 1;
			}
			p++;
		}
	return NULL;
}

static bool
is_end(const struct csv *c, const char *p, const char *end)
{
	return p == end || *p == c->sep || *p == '\n' || *p == '\r';
}

/* Looks at what came new in the record: true when it ends inside quotes, and so
 * goes on in the next line. */
static bool
is_open(struct csv *c)
{
	const unsigned char *p = c->record.data;

	if (!c->quoted && !memchr(p + c->scanned, '"', c->record.len - c->scanned))
		c->scanned = c->record.len;
	for (; c->scanned < c->record.len; c->scanned++) {
		if (c->quoted && p[c->scanned] == '"') {
			if (c->scanned + 1 < c->record.len && p[c->scanned + 1] == '"')
				c->scanned++;
			else
				c->quoted = false;
		} else if (!c->quoted) {
			c->quoted = p[c->scanned] == '"' && (!c->scanned || p[c->scanned - 1] == (unsigned char)c->sep);
		}
	}
	return c->quoted;
}

/* Parts the record at its separators. The record is changed. */
static int
split(struct csv *c, struct err *e)
{
	char *p = (char *)c->record.data, *end = p + c->record.len, *start, *to;

	while (end > p && (end[-1] == '\n' || end[-1] == '\r'))
		end--;
	*end = 0;
	for (c->n = 0;; p++) {
		if (c->sep == ' ')
			while (p < end && (*p == ' ' || *p == '\t'))
				p++;
		if (c->sep == ' ' && p == end && c->n)
			return 0;
		start = p;
		if (p < end && *p == '"') {
			p = unquote(p, end, &to);
			if (!p || !is_end(c, p, end))
				return err_set(e, CODE_DATA, "column %zu: %s", c->n + 1, p ? "something follows the closing quote" : "a quote is not closed");
			start++;
		} else {
			while (p < end && *p != c->sep)
				p++;
			to = p;
		}
		if (add_field(c, start, (size_t)(to - start), e))
			return e->code;
		if (p == end) {
			*to = 0;
			return 0;
		}
		*to = 0;
	}
}

/* The next record that is not empty: 1, 0 at the end, -1. */
static int
read_record(struct csv *c, struct source *src, struct err *e)
{
	int got;

	do {
		c->line = c->next;
		c->record.len = c->scanned = 0;
		c->quoted = false;
		do {
			got = source_line(src, &c->record, MAX_RECORD, e);
			if (got < 0)
				return e->code == CODE_DATA ? at_line(c, e), -1 : -1;
			c->next += got > 0;
		} while (got && is_open(c));
		if (!c->record.len)
			return 0;
		if (c->line == 1 && c->record.len >= 3 && !memcmp(c->record.data, "\xef\xbb\xbf", 3)) {
			c->record.len -= 3; /* the mark Windows puts in front of UTF-8 */
			memmove(c->record.data, c->record.data + 3, c->record.len);
		}
		if (buf_reserve(&c->record, 1, e) || memchr(c->record.data, 0, c->record.len)) {
			if (!e->code)
				err_set(e, CODE_DATA, "holds a NUL byte: not a text file");
			at_line(c, e);
			return -1;
		}
	} while (c->record.data[0] == '\n' || !memcmp(c->record.data, "\r\n", c->record.len < 2 ? c->record.len : 2));
	if (!split(c, e))
		return 1;
	at_line(c, e);
	return -1;
}

/* A decimal number, nan or inf, with blanks around it at most. */
static bool
parse_number(const struct field *f, float *v)
{
	char *end;

	if (!f->n || strpbrk(f->s, "xX")) /* no hexadecimal */
		return false;
	*v = strtof(f->s, &end);
	if (end == f->s)
		return false;
	while (*end == ' ' || *end == '\t')
		end++;
	return end == f->s + f->n;
}

static size_t
by_number(const char *spec, size_t n)
{
	unsigned long v;
	char *end;

	if (!spec || *spec < '1' || *spec > '9')
		return NO_COLUMN;
	v = strtoul(spec, &end, 10);
	return *end || v > n ? NO_COLUMN : (size_t)v - 1;
}

/* The column that spec names: by its number, from 1, or by the heading. */
static size_t
find_column(const struct csv *c, const char *spec)
{
	size_t i = by_number(spec, c->n);

	if (i != NO_COLUMN || !spec)
		return i;
	for (i = 0; i < c->n; i++)
		if (!strcmp(c->fields[i].s, spec))
			return i;
	return NO_COLUMN;
}

/* spec is a name, which only a heading can hold. */
static bool
names_heading(const struct csv *c, const char *spec)
{
	return spec && by_number(spec, c->n) == NO_COLUMN;
}

/* 0, 1, 2 ...: what pandas calls columns without names. */
static bool
counts_up(const struct csv *c)
{
	char digits[24];
	size_t i, k = 0;

	for (i = 0; i < c->n; i++) {
		if (i == c->id || i == c->label)
			continue;
		snprintf(digits, sizeof digits, "%zu", k++);
		if (strcmp(c->fields[i].s, digits))
			return false;
	}
	return k > 1;
}

/* Whether the first record is a heading: when something in it should be a number
 * and is none. */
static int
decide_heading(const struct csv *c, const struct matfile_opts *o, bool *heading, struct err *e)
{
	size_t i;
	float v;

	*heading = o->heading == MATFILE_HEADING || names_heading(c, o->id) || names_heading(c, o->label) ||
	           (c->id != NO_COLUMN && !c->fields[c->id].n);
	for (i = 0; i < c->n && !*heading; i++)
		*heading = i != c->id && i != c->label && !parse_number(&c->fields[i], &v);
	if (o->heading == MATFILE_NO_HEADING)
		*heading = false;
	else if (!*heading && counts_up(c))
		return err_set(e, CODE_DATA, "line %llu counts 0, 1, 2 ...: say --header yes if that is a heading, --header no if it is a row",
		               (unsigned long long)c->line);
	return 0;
}

static int
find_columns(struct csv *c, const struct matfile_opts *o, bool *heading, struct err *e)
{
	char text[96];
	const char *lost;
	size_t i;

	c->id = find_column(c, o->id);
	c->label = find_column(c, o->label);
	lost = o->id && c->id == NO_COLUMN ? o->id : o->label && c->label == NO_COLUMN ? o->label : NULL;
	if (lost)
		return err_set(e, CODE_DATA, "line %llu: no column is called \"%s\", nor is there one of that number",
		               (unsigned long long)c->line, text_printable(text, sizeof text, lost, strlen(lost)));
	if (decide_heading(c, o, heading, e))
		return e->code;
	for (i = 0; i < c->n && *heading; i++)
		if (!c->fields[i].n && i != c->id && i != c->label)
			return err_set(e, CODE_DATA, "line %llu: column %zu has no name, as the row numbers that pandas adds; "
			               "make it row keys with --id-column %zu, or write the file without", (unsigned long long)c->line, i + 1, i + 1);
	return 0;
}

static int
keep_names(struct csv *c, struct err *e)
{
	size_t i;

	c->names = calloc(c->n + 1, sizeof *c->names);
	for (i = 0; c->names && i < c->n; i++)
		if (!(c->names[i] = strdup(c->fields[i].s)))
			break;
	return c->names && i == c->n ? 0 : err_memory(e, "heading", c->n * sizeof *c->names);
}

/* A separator that the first line holds, by preference. */
static char
guess_separator(const unsigned char *head, size_t n)
{
	static const char by_preference[] = {',', ';', '\t', ' '};
	const unsigned char *end;
	size_t i;

	while (n && (*head == '#' || *head == '\n' || *head == '\r')) {
		end = memchr(head, '\n', n);
		if (!end)
			break;
		n -= (size_t)(end + 1 - head);
		head = end + 1;
	}
	end = memchr(head, '\n', n);
	n = end ? (size_t)(end - head) : n;
	for (i = 0; i < sizeof by_preference; i++)
		if (memchr(head, by_preference[i], n))
			return by_preference[i];
	return ',';
}

/* The record as numbers (all but id and label) into x. */
static int
take_record(struct csv *c, float *x, struct matnames *names, struct err *e)
{
	char what[64], column[64];
	size_t i;

	if (c->n != c->width)
		return err_set(e, CODE_DATA, "%zu columns, where %zu are expected", c->n, c->width);
	for (i = 0; i < c->n; i++) {
		if (i == c->id || i == c->label) {
			if (names && matnames_put(i == c->id ? &names->id : &names->label, c->fields[i].s, c->fields[i].n, e))
				return err_add(e, "column %zu", i + 1);
			continue;
		}
		if (!parse_number(&c->fields[i], x++))
			return err_set(e, CODE_DATA, "column %zu%s%s: \"%s\" is no number; text goes into --id-column or --label-column", i + 1, c->names ? " " : "",
			               c->names ? text_printable(column, sizeof column, c->names[i], strlen(c->names[i])) : "",
			               text_printable(what, sizeof what, c->fields[i].s, c->fields[i].n));
	}
	return 0;
}

static int
next_csv(struct matfile *f, size_t most, float *x, struct matnames *names, size_t *got, struct err *e)
{
	struct csv *c = f->state;
	int more;

	for (*got = 0; *got < most; ++*got, x += f->cols) {
		if (!c->held) {
			more = read_record(c, f->src, e);
			if (more <= 0)
				return more ? e->code : 0;
		}
		c->held = false;
		if (take_record(c, x, names, e))
			return at_line(c, e);
		/* id and label of one column: both get it */
		if (names && c->id == c->label && c->id != NO_COLUMN && matnames_put(&names->label, c->fields[c->id].s, c->fields[c->id].n, e))
			return at_line(c, e);
	}
	return 0;
}

static void
close_csv(struct matfile *f)
{
	struct csv *c = f->state;
	size_t i;

	if (!c)
		return;
	for (i = 0; c->names && i < c->width; i++)
		free(c->names[i]);
	free(c->names);
	buf_free(&c->record);
	free(c->fields);
	free(c);
}

static const struct matback csv_back = {next_csv, close_csv};

static int
first_record(struct csv *c, struct source *src, struct err *e)
{
	int got;

	do
		got = read_record(c, src, e);
	while (got > 0 && c->fields[0].s[0] == '#'); /* comments, as numpy.savetxt writes its header */
	if (got < 0)
		return e->code;
	return got ? 0 : err_set(e, CODE_DATA, "no lines in it");
}

static int
open_separated(struct matfile *f, char sep, const struct matfile_opts *o, struct err *e)
{
	struct csv *c = f->state = calloc(1, sizeof *c);
	const unsigned char *head;
	bool heading = false;
	size_t n, taken;
	int got = 1;

	f->back = &csv_back;
	if (!c)
		return err_memory(e, "csv", sizeof *c);
	c->next = 1;
	head = source_peek(f->src, SOURCE_PEEK, &n, e);
	if (!head)
		return e->code;
	c->sep = sep ? sep : guess_separator(head, n);
	if (first_record(c, f->src, e) || find_columns(c, o, &heading, e))
		return e->code;
	c->width = c->n;
	taken = (c->id != NO_COLUMN) + (c->label != NO_COLUMN && c->label != c->id);
	f->cols = c->width - taken;
	if (mat_check_cols(f->cols, e))
		return e->code;
	if (heading && (keep_names(c, e) || (got = read_record(c, f->src, e)) < 0))
		return e->code;
	c->held = got > 0;
	f->rows = got ? MATFILE_UNKNOWN : 0;
	f->has_ids = o->id != NULL;
	f->has_labels = o->label != NULL;
	return 0;
}

int
mat_open_csv(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	return open_separated(f, 0, o, e);
}

int
mat_open_tsv(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	return open_separated(f, '\t', o, e);
}
