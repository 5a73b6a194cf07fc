/* Writing embeddings and codes for others to read: npy, npz, safetensors.
 *
 * The number of rows is known only at the end; the file appears whole at
 * _finish or not at all. _append returns 0 or a code, _finish frees the writer
 * always, _abort takes NULL. path "-", and a path that is a pipe or a device, is
 * written at _finish by way of a spool in $TMPDIR; when a reader went away errno
 * is EPIPE then. */
#ifndef FILES_MATWRITER_H
#define FILES_MATWRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/dtype.h"
#include "base/error.h"

enum matwriter_format { MATWRITER_NPY, MATWRITER_NPZ, MATWRITER_SAFETENSORS };

/* By what a path ends in: .npz, .safetensors, else npy. */
enum matwriter_format matwriter_format_of(const char *path);

/* A dense array: rows C-ordered, of `row_bytes` each; dtype is a numpy name
 * ("<f4"), the shape behind the rows is dims[ndims] (ndims 0: a 1-d array). They
 * are written as `to` (DT_F4, DT_F2: rounded to nearest, CODE_DATA naming the row
 * that is beyond its range), or as they are: DT_NONE. name is the array's, in
 * files that have names for arrays. "bfloat16" becomes |V2 in npy. */
struct matwriter;
struct matwriter *matwriter_create(const char *path, enum matwriter_format format, const char *name, const char *dtype,
                                   const uint64_t *dims, unsigned ndims, enum dtype to, struct err *e);
int matwriter_append(struct matwriter *w, const void *rows, uint64_t n, size_t row_bytes, struct err *e);
int matwriter_finish(struct matwriter *w, struct err *e);
void matwriter_abort(struct matwriter *w);

/* Sparse rows as an npz of the members that scipy.sparse.load_npz knows as CSR:
 * indices, indptr (int32, or int64 where that is too small), format, shape,
 * data (DT_F4, or DT_F2 rounded to nearest: CODE_DATA beyond its range). */
struct csrwriter;
struct csrwriter *csrwriter_create(const char *path, uint64_t cols, enum dtype values, struct err *e);
int csrwriter_append(struct csrwriter *w, const struct csr_view *rows, struct err *e);
int csrwriter_finish(struct csrwriter *w, struct err *e);
void csrwriter_abort(struct csrwriter *w);

#endif
