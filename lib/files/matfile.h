/* Matrix files: rows of numbers in a file, read as float32 by row number.
 *
 *   struct matfile f;
 *   matfile_open(&f, path, &opts, &err);     header checked against the size
 *   matfile_read(&f, first, n, x, &err);     x [n, f.cols]
 *   matfile_close(&f);
 *
 * Memory is bounded by the block asked for, whatever the file's size and
 * order: rows are read with pread, never mapped. One reader a format behind
 * the struct; matfile_open tells formats apart by content first, then by name.
 * Understood now: npy 1.0-3.0 (both byte orders, C and Fortran order, f2 f4 f8
 * i1..i8 u1..u8 b1, bfloat16 as |V2 with opts.dtype), headerless float32 files
 * whose name ends in _ROWS_DIM.npy, raw files with opts.dim.
 */
#ifndef FILES_MATFILE_H
#define FILES_MATFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/mem.h"

struct matfile_opts {
	enum dtype dtype; /* what |V2 or raw bytes mean; DT_NONE: float32 / refuse |V2 */
	uint64_t dim;     /* raw: columns; 0: the file must say */
	const char *key;  /* member name in files that hold several; NULL */
};

struct matfile {
	char *path;
	uint64_t rows, cols;
	enum dtype dtype;
	bool swap, fortran;
	uint64_t data_at; /* offset of the first element */
	int fd;
	struct buf block; /* scratch of the size of one read */
};

/* CODE_NOINPUT when it cannot be opened, CODE_DATA when it is not what it says
 * it is. Nothing needs closing after a failure. A 1-d array is one row.
 * 0 rows are fine; 0 columns, more than 2^24 and 3 dimensions are not. Regular
 * files only; bytes behind the array are ignored, as numpy does. opts.dim must
 * be what a header says, and decides before a _ROWS_DIM name. o may be NULL. */
int matfile_open(struct matfile *f, const char *path, const struct matfile_opts *o, struct err *e);

/* Rows first..first+n-1 (inside the file) as float32 into x [n, cols]. */
int matfile_read(struct matfile *f, uint64_t first, size_t n, float *x, struct err *e);
void matfile_close(struct matfile *f);

/* Writing an .npy whose row count is known only at the end. The file appears
 * whole at npy_finish or not at all. dtype is a numpy name ("<f4"); rows are
 * C-ordered, `row_bytes` each; shape behind the rows is dims[ndims] (ndims 0:
 * a 1-d array). path "-", and a path that is a pipe or device, is written at
 * npy_finish by way of a spool in $TMPDIR. "bfloat16" becomes |V2. When a reader
 * went away errno is EPIPE behind npy_finish. */
struct npy_writer;
struct npy_writer *npy_create(const char *path, const char *dtype, const uint64_t *dims, unsigned ndims, struct err *e);
int npy_append(struct npy_writer *w, const void *rows, uint64_t n, size_t row_bytes, struct err *e);
int npy_finish(struct npy_writer *w, struct err *e); /* frees w, always */
void npy_abort(struct npy_writer *w);                /* NULL is fine */

#endif
