/* The header of an .npy array, as a file or an archive member holds it:
 * \x93NUMPY, version, length, and a Python dict literal, of which exactly the
 * form numpy writes (and has ever written) is understood. */
#ifndef FILES_NPY_H
#define FILES_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/error.h"

#define NPY_MAGIC "\x93NUMPY"
#define NPY_PRELUDE 12                       /* enough bytes for npy_prelude */
#define NPY_MAX_HEADER ((size_t)1 << 20)
#define NPY_KEPT_DIMS 8
#define NPY_MAX_COLS ((uint64_t)1 << 24)

struct npy_header {
	enum dtype dtype;
	bool swap, fortran;
	unsigned ndim;
	uint64_t shape[NPY_KEPT_DIMS]; /* the first ones of ndim */
};

/* First bytes of the array p[n] (n may be less than NPY_PRELUDE at the end of
 * a file): where its dict starts and how long that is. CODE_DATA for another
 * version or a header beyond NPY_MAX_HEADER. */
int npy_prelude(const unsigned char *p, size_t n, size_t *start, size_t *len, struct err *e);

/* The dict text[n]. void2 says what "|V2" means (DT_NONE: refused). Refused
 * too, always: Python objects, text, complex, structured arrays. */
int npy_parse(const char *text, size_t n, enum dtype void2, struct npy_header *h, struct err *e);

/* Rows and columns of a parsed header: a 1-d array is one row. CODE_DATA for
 * 0 and more than 2 dimensions, no columns or more than NPY_MAX_COLS, and
 * more bytes than 64 bits count. */
int npy_shape(const struct npy_header *h, uint64_t *rows, uint64_t *cols, struct err *e);

#endif
