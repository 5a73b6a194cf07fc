/* Text files with one entry a line: ids, labels, words. UTF-8; LF or CRLF;
 * the last line may lack its end; a byte order mark in front is dropped.
 * Constant memory. */
#ifndef FILES_LINES_H
#define FILES_LINES_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

#define LINE_MAX_BYTES 65536

struct lines {
	char *path;
	FILE *f;
	uint64_t line;  /* number of the last line read, from 1 */
	uint64_t count; /* lines in the file when it is a regular file, else UINT64_MAX */
	char *text;     /* the last line, without its end */
	size_t cap, len;
};

int lines_open(struct lines *l, const char *path, struct err *e);
/* 1: a line is in l->text (l->len bytes); 0: end; -1: e filled (not UTF-8, NUL
 * byte, too long: file and line number in the text). */
int lines_next(struct lines *l, struct err *e);
/* For lines that belong to the rows of something: opens, checks that there are
 * as many (where the file can be counted, and rows is not UINT64_MAX, unknown),
 * and skips those of the first rows. */
int lines_open_rows(struct lines *l, const char *path, uint64_t rows, uint64_t skip, struct err *e);
/* The line of the next row; its absence is CODE_DATA. */
int lines_row(struct lines *l, struct err *e);
/* No more rows come; a line too many is CODE_DATA. */
int lines_end(struct lines *l, struct err *e);
void lines_close(struct lines *l);

#endif
