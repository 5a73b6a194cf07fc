#include "view/table.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CELL_MAX 100

size_t
view_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

/* Room for one more row; NULL without memory. */
static char **
new_row(struct table *t)
{
	char **cells;
	size_t cap;

	if (t->rows == t->cap) {
		cap = t->cap ? 2 * t->cap : 16;
		cells = realloc(t->cells, cap * t->cols * sizeof *cells);
		if (!cells)
			return NULL;
		t->cells = cells;
		t->cap = cap;
	}
	return t->cells + t->rows++ * t->cols;
}

void
table_row_of(struct table *t, const char *const *cells)
{
	char **row = new_row(t);
	size_t i;

	for (i = 0; row && i < t->cols; i++)
		row[i] = strdup(cells[i]);
}

static void
add_cells(struct table *t, va_list ap)
{
	const char *cells[TABLE_MAX_COLS];
	size_t i;

	for (i = 0; i < t->cols; i++)
		cells[i] = va_arg(ap, const char *);
	table_row_of(t, cells);
}

static void
begin(struct table *t, const char *align)
{
	memset(t, 0, sizeof *t);
	snprintf(t->align, sizeof t->align, "%s", align);
	t->cols = strlen(t->align);
}

void
table_columns_of(struct table *t, const char *align, const char *const *headings)
{
	begin(t, align);
	table_row_of(t, headings);
}

void
table_columns(struct table *t, const char *align, ...)
{
	va_list ap;

	begin(t, align);
	va_start(ap, align);
	add_cells(t, ap);
	va_end(ap);
}

void
table_row(struct table *t, ...)
{
	va_list ap;

	va_start(ap, t);
	add_cells(t, ap);
	va_end(ap);
}

static const char *
cell(const struct table *t, size_t row, size_t col)
{
	const char *s = t->cells[row * t->cols + col];

	return s ? s : "";
}

/* Cuts at CELL_MAX characters, prints, pads. */
static void
print_cell(const char *s, size_t width, char align, int last, FILE *to)
{
	size_t n = view_width(s), bytes = strlen(s), shown = n > CELL_MAX ? CELL_MAX : n, count = 0;

	if (n > CELL_MAX) {
		for (bytes = 0; count < CELL_MAX - 1 || (s[bytes] & 0xc0) == 0x80; bytes++)
			count += (s[bytes + 1] & 0xc0) != 0x80;
	}
	if (align == 'r')
		fprintf(to, "%*s", (int)(width - shown), "");
	fprintf(to, "%.*s%s", (int)bytes, s, n > CELL_MAX ? "…" : "");
	if (align != 'r' && !last)
		fprintf(to, "%*s", (int)(width - shown), "");
}

void
table_print(const struct table *t, const char *indent, FILE *to)
{
	size_t width[TABLE_MAX_COLS] = {0}, i, j, n, cols;

	for (i = 0; i < t->rows; i++)
		for (j = 0; j < t->cols; j++) {
			n = view_width(cell(t, i, j));
			n = n > CELL_MAX ? CELL_MAX : n;
			width[j] = n > width[j] ? n : width[j];
		}
	for (i = 0; i < t->rows; i++) {
		fputs(indent, to);
		for (cols = t->cols; cols && !*cell(t, i, cols - 1); cols--)
			; /* no blanks at the end of a line */
		for (j = 0; j < cols; j++) {
			if (j)
				fputs("  ", to);
			print_cell(cell(t, i, j), width[j], t->align[j], j + 1 == cols, to);
		}
		putc('\n', to);
	}
}

void
table_free(struct table *t)
{
	size_t i;

	for (i = 0; i < t->rows * t->cols; i++)
		free(t->cells[i]);
	free(t->cells);
	memset(t, 0, sizeof *t);
}

char *
view_bar(char *out, double share, unsigned width)
{
	static const char *const part[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	unsigned eighths, i;

	share = share < 0 || isnan(share) ? 0 : share > 1 ? 1 : share;
	eighths = (unsigned)(share * width * 8 + 0.5);
	if (share > 0 && !eighths)
		eighths = 1;
	out[0] = 0;
	for (i = 0; i < eighths / 8; i++)
		strcat(out, "█");
	return strcat(out, part[eighths % 8]);
}

char *
view_count(char *out, unsigned long long n)
{
	char digits[32];
	size_t len = (size_t)snprintf(digits, sizeof digits, "%llu", n), i, o = 0;

	for (i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			out[o++] = ',';
		out[o++] = digits[i];
	}
	out[o] = 0;
	return out;
}

char *
view_percent(char *out, double share)
{
	double p = 100 * share;
	int digits = p == 0 || p >= 99.95 ? 0 : p >= 0.995 ? 1 : p >= 0.0995 ? 2 : 3;

	snprintf(out, 32, "%.*f %%", digits, p);
	return out;
}

void
view_csv(const char *s, FILE *to)
{
	if (!strpbrk(s, ",\"\r\n")) {
		fputs(s, to);
		return;
	}
	putc('"', to);
	for (; *s; s++) {
		if (*s == '"')
			putc('"', to);
		putc(*s, to);
	}
	putc('"', to);
}
