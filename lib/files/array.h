/* Numbers that lie in a file (or in memory) at regular distances, read as
 * float32 rows in any order: what npy, safetensors, PyTorch, stored npz, fvecs
 * and raw files all come down to.
 *
 *   element (r, c) is at byte  at + r * row_step + c * col_step
 *
 * Memory is bounded by the rows asked for and a block. Whoever fills a struct
 * array has checked that all elements are inside the file. */
#ifndef FILES_ARRAY_H
#define FILES_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/mem.h"

struct array {
	int fd;
	const unsigned char *mem; /* read from here, not from fd, when not NULL */
	uint64_t at, rows, cols;
	uint64_t row_step, col_step; /* bytes */
	enum dtype dtype;
	bool swap;
	/* fvecs: before each row stands its width as 32 bits, which is checked */
	bool counted;
	/* A checksum over bytes from..from+bytes of fd, looked at when rows were read
	 * in order from the first to the last, or at row 0 where they do not lie in order. */
	bool summed;
	uint64_t from, bytes;
	uint32_t crc;
	/* private: how far the checksum is */
	uint64_t sum_at;
	uint32_t sum;
	bool sum_done;
	struct buf block;
};

/* C order, no gaps: row_step and col_step out of cols and dtype. */
void array_dense(struct array *a);
/* Fortran order, likewise. */
void array_fortran(struct array *a);

/* Rows first..first+n-1, which exist, as float32 into x [n, cols]. CODE_DATA
 * when the file ends early or the checksum is wrong. */
int array_read(struct array *a, uint64_t first, size_t n, float *x, struct err *e);
/* Reads all bytes of the checksum and compares; nothing where there is none. */
int array_verify(struct array *a, struct err *e);
void array_free(struct array *a);

#endif
