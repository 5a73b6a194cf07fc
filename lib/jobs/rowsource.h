/* Rows of files of embeddings with their strings, block by block: what was
 * asked for of them, keys and labels from files of lines or from the embeddings'
 * own, rows that are not finite refused or left out.
 *
 *   rowsource_open(&s, paths, n, &opts, &err);   nothing is read yet
 *   rowsource_begin(&s, batch, &err);            reads the first block
 *   for (; s.n; rowsource_next(&s, &err)) ...    s.x [n, cols], s.names
 *   rowsource_close(&s);
 */
#ifndef JOBS_ROWSOURCE_H
#define JOBS_ROWSOURCE_H

#include <stdbool.h>

#include "files/fileset.h"
#include "files/lines.h"

struct rowsource_opts {
	struct matfile_opts file;
	const char *shard;        /* "I/N" of the rows that skip and limit leave, or NULL */
	const char *ids, *labels; /* files of lines, or NULL */
	uint64_t skip, limit;     /* limit UINT64_MAX: none */
	bool skip_nan;            /* leave rows out that are not finite */
};

struct rowsource {
	struct rowsource_opts opts; /* paths in it must outlive s */
	struct fileset files;
	uint64_t from, to;        /* rows asked for; to MATFILE_UNKNOWN: all there are */
	bool has_ids, has_labels;
	struct lines ids, labels;
	struct mat x;             /* the rows just read */
	size_t n;
	struct matnames names;    /* theirs: n C strings each, one behind the other */
	struct matnames found;    /* what the files say of all rows of the block */
	uint64_t row;             /* number of the first of them, those left out not counted */
	uint64_t skipped, first_skipped; /* rows left out so far, and the first one */
	struct buf print;         /* tells these rows from others: see fileset_print */
};

/* paths must outlive s. CODE_USAGE: a shard that is none, or one of standard
 * input. Nothing to close after a failure. */
int rowsource_open(struct rowsource *s, char **paths, size_t n, const struct rowsource_opts *o, struct err *e);
/* Goes to the first row and reads the first block, of `batch` rows at most as
 * all that follow. */
int rowsource_begin(struct rowsource *s, uint64_t batch, struct err *e);
/* The next block; s->n is 0 only at the end. CODE_DATA names file and row that
 * hold NaN or infinity. */
int rowsource_next(struct rowsource *s, struct err *e);
/* Rows that were asked for, or 0 when nobody can know; and how many of them were read. */
uint64_t rowsource_total(const struct rowsource *s);
uint64_t rowsource_done(const struct rowsource *s);
void rowsource_close(struct rowsource *s);

#endif
