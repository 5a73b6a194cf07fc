/* Aligned tables for people: columns as wide as their widest cell, numbers to
 * the right, UTF-8 counted in characters.
 *
 *   struct table t = {0};
 *   table_columns(&t, "rlr", "latent", "name", "freq");
 *   table_row(&t, "17", "zebra", "4.1 %");
 *   table_print(&t, "  ", stdout); table_free(&t);
 */
#ifndef VIEW_TABLE_H
#define VIEW_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_MAX_COLS 12

struct table {
	char align[TABLE_MAX_COLS + 1]; /* 'l' or 'r' a column */
	size_t cols, rows, cap;
	char **cells; /* rows x cols, owned; row 0 is the heading */
};

/* One heading a letter of align. */
void table_columns(struct table *t, const char *align, ...);
/* As many strings as columns; copied. Out of memory drops the row. */
void table_row(struct table *t, ...);
/* The same from arrays of t->cols strings: for tables whose columns are chosen. */
void table_columns_of(struct table *t, const char *align, const char *const *headings);
void table_row_of(struct table *t, const char *const *cells);
/* Prints with indent before each line; cells over max wide are cut. */
void table_print(const struct table *t, const char *indent, FILE *to);
void table_free(struct table *t);

/* Characters in s (UTF-8 code points). */
size_t view_width(const char *s);

/* A bar of at most `width` characters for share (0..1), in eighths, into
 * out[3*width+4]. Returns out. */
char *view_bar(char *out, double share, unsigned width);

/* 1234567 -> "1,234,567" into out[32]. Returns out. */
char *view_count(char *out, unsigned long long n);
/* s as one field of CSV (RFC 4180): quoted where it has to be. */
void view_csv(const char *s, FILE *to);
/* A share as per cent with sensible digits: "4.1 %", "0.03 %", "100 %". */
char *view_percent(char *out, double share);

#endif
