/* Rows that are read many times, each time in another order: what training
 * reads from. Over files (a fileset) or over a spool of float32 rows.
 *
 *   rowstore_files(&s, paths, n, &opts, &err)     or
 *   rowstore_spool(&s, cols, &err), rowstore_add(&s, x, n, &err) as often as needed
 *   rowstore_order(&s, shuffle, window, seed, &err);
 *   rowstore_seek(&s, epoch, row, &err);
 *   while (!rowstore_next(&s, most, x, &n, &err) && n) ...   one epoch
 *   rowstore_close(&s);
 *
 * Shuffling holds a window of rows in memory: blocks of ROWSTORE_BLOCK
 * neighbouring rows come in random order from all over the files, and within
 * the window all rows are shuffled. Rows that fit one window are shuffled
 * perfectly, and read from disk once. The order depends on seed, epoch, window
 * and number of rows alone. Memory is that of the window.
 */
#ifndef FILES_ROWSTORE_H
#define FILES_ROWSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/model.h"
#include "base/shuffle.h"
#include "files/fileset.h"

#define ROWSTORE_BLOCK 64

struct rowstore {
	uint64_t rows, cols;
	struct fileset files;
	int spool;              /* -1: files */
	bool shuffled;
	uint64_t seed, epoch, at; /* the next row's place in the epoch */
	size_t window_rows;     /* a multiple of ROWSTORE_BLOCK */
	struct shuffle blocks;  /* of this epoch */
	struct mat window;
	uint32_t *pick;         /* [window_rows] order within the window */
	uint64_t loaded;        /* window number that is loaded; UINT64_MAX: none */
	size_t held;            /* rows in it */
	uint64_t held_from;     /* place in the epoch of its first row */
	bool all;               /* all rows are in the window, in file order */
};

/* paths must outlive s. Nothing to close after a failure. */
int rowstore_files(struct rowstore *s, char **paths, size_t n, const struct matfile_opts *o, struct err *e);
/* An empty spool in $TMPDIR. */
int rowstore_spool(struct rowstore *s, uint64_t cols, struct err *e);
int rowstore_add(struct rowstore *s, const float *x, size_t n, struct err *e);
void rowstore_close(struct rowstore *s);

/* Rows first..first+n-1 as they lie, into x [n,cols]. */
int rowstore_read(struct rowstore *s, uint64_t first, size_t n, float *x, struct err *e);

/* window: bytes of rows to shuffle together. Takes that much memory. */
int rowstore_order(struct rowstore *s, bool shuffle, uint64_t window, uint64_t seed, struct err *e);
/* The next row will be the one at place `row` of the epoch. */
void rowstore_seek(struct rowstore *s, uint64_t epoch, uint64_t row);
/* The next rows of the epoch, at most `most`, into x; *n is 0 at its end. */
int rowstore_next(struct rowstore *s, size_t most, float *x, size_t *n, struct err *e);

/* What tells one set of rows from another: SHA-256 (hex) over their number,
 * their width, and the first, the middle and the last row. */
int rowstore_print(struct rowstore *s, char out[SHA256_HEX], struct err *e);

#endif
