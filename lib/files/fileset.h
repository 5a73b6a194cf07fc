/* Many matrix files as one: rows numbered over all of them, in order.
 *
 *   fileset_open(&s, paths, n, &opts, &err);   every header is checked
 *   fileset_read(&s, first, n, x, &err);       x [n, s.cols], across files
 *   fileset_close(&s);
 *
 * One file is open at a time; memory is bounded by the block asked for.
 */
#ifndef FILES_FILESET_H
#define FILES_FILESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "files/matfile.h"

struct fileset {
	char **paths;    /* the caller's */
	size_t n;
	uint64_t *first; /* [n+1]: number of each file's first row; first[n] = rows */
	uint64_t rows, cols;
	struct matfile_opts opts;
	struct matfile file;
	size_t open; /* which file is open; n: none */
};

/* Puts paths in natural order (part2 before part10). */
void fileset_sort(char **paths, size_t n);

/* n >= 1; paths must outlive s. Files of different widths: CODE_DATA naming
 * both. Nothing to close after a failure. */
int fileset_open(struct fileset *s, char **paths, size_t n, const struct matfile_opts *o, struct err *e);
int fileset_read(struct fileset *s, uint64_t first, size_t n, float *x, struct err *e);
/* The file that holds a row, and the row's number inside it. */
const char *fileset_where(const struct fileset *s, uint64_t row, uint64_t *inside);
/* Cuts [*from,*to) down to the part that "I/N" names, the I-th of N nearly
 * equal ones, I from 0; -1 when spec is no such thing. */
int fileset_shard(const char *spec, uint64_t *from, uint64_t *to);
void fileset_close(struct fileset *s);

#endif
