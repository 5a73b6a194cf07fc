/* Many files of embeddings as one: rows numbered over all of them, in order.
 *
 *   fileset_open(&s, paths, n, &opts, &err);   every file is looked at
 *   fileset_read(&s, first, n, x, &err);       any rows, where s.random
 *   fileset_next(&s, n, x, names, &got, &err); or the next ones, always
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
	uint64_t *first; /* [n+1]: number of each file's first row, MATFILE_UNKNOWN
	                    behind a file that does not know its rows yet */
	uint64_t rows;   /* of all files, or MATFILE_UNKNOWN */
	uint64_t cols;
	bool random;     /* all files are */
	size_t ordered;  /* the first that is not */
	bool has_ids, has_labels; /* all files have; see matfile.h */
	bool rereadable; /* all files are */
	struct matfile_opts opts;
	struct matfile file;
	size_t open; /* which file is open; n: none */
	size_t now;  /* which file the next row is in */
	uint64_t at; /* number of the next row */
};

/* Puts paths in natural order (part2 before part10). */
void fileset_sort(char **paths, size_t n);

/* n >= 1; paths must outlive s. Files of different widths, and files of which
 * some have row keys and others not: CODE_DATA naming two. "-", standard input,
 * must be alone. Nothing to close after a failure. */
int fileset_open(struct fileset *s, char **paths, size_t n, const struct matfile_opts *o, struct err *e);
int fileset_read(struct fileset *s, uint64_t first, size_t n, float *x, struct err *e);
/* The next rows, `most` of them but at the end: *got. names as in matfile_next. */
int fileset_next(struct fileset *s, size_t most, float *x, struct matnames *names, size_t *got, struct err *e);
/* The next row will be number `row`, which is not behind s->at unless the set is
 * random; or the end, if there are fewer. */
int fileset_seek(struct fileset *s, uint64_t row, struct err *e);
/* Finds out s->rows, by reading files that do not say: CODE_USAGE for standard
 * input, which can be read once only. */
int fileset_count(struct fileset *s, struct err *e);
/* Makes sure that rows can be read in any order: CODE_DATA names a file whose
 * rows come in order only, and says what to do. */
int fileset_need_random(const struct fileset *s, struct err *e);
/* The file that holds a row, and the row's number inside it. */
const char *fileset_where(const struct fileset *s, uint64_t row, uint64_t *inside);
/* Appends what tells these files' rows from..to from others to b: names, counts,
 * and rows. These are the first and the last, which it reads, in a set that is
 * random; else the x [n] that the caller has read first. */
int fileset_print(struct fileset *s, uint64_t from, uint64_t to, const float *x, size_t n, struct buf *b, struct err *e);
/* Cuts [*from,*to) down to the part that "I/N" names, the I-th of N nearly
 * equal ones, I from 0; -1 when spec is no such thing. */
int fileset_shard(const char *spec, uint64_t *from, uint64_t *to);
void fileset_close(struct fileset *s);

#endif
