/* Memory: overflow-checked sizes, 64-byte aligned blocks, capped buffers and
 * row-major float matrices. Everything here is owned by the caller and freed
 * with its own _free. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define MEM_ALIGN 64

/* *out = a*b or a+b; false (and *out untouched) when that does not fit. */
bool size_mul(size_t a, size_t b, size_t *out);
bool size_add(size_t a, size_t b, size_t *out);

/* A block of n bytes on a MEM_ALIGN boundary, not cleared; NULL when there is
 * none. mem_free(NULL) does nothing. */
void *mem_alloc(size_t n);
void mem_free(void *p);
/* The same for blocks that are written once and stay, such as a model's tensors:
 * in large pages where the system has them, since half a million page faults
 * cost more than reading a 2 GB file. */
void *mem_alloc_large(size_t n);

/* Has the allocator keep freed blocks of up to 32 MiB, 128 MiB in all, instead
 * of giving them back at once, in one heap of huge pages where the system has
 * them: where blocks of a MiB come and go a thousand times a second, their page
 * faults cost more than copying them. For the whole process, from its first
 * thread before there are others; where the C library cannot, nothing. */
void mem_keep_large(void);

/* A growing byte buffer that never exceeds max bytes (0: no cap). data is
 * MEM_ALIGN aligned. Start from {0} or with .max set. */
struct buf {
	unsigned char *data;
	size_t len, cap, max;
};

/* Room for n more bytes behind len. Fails with CODE_DATA beyond max, with
 * CODE_TRYAGAIN when memory is short; the contents stay. */
int buf_reserve(struct buf *b, size_t n, struct err *e);
int buf_append(struct buf *b, const void *p, size_t n, struct err *e);
/* len = n exactly, contents undefined: for buffers that are refilled. */
int buf_resize(struct buf *b, size_t n, struct err *e);
void buf_free(struct buf *b);

/* data[rows*cols], row-major, MEM_ALIGN aligned. */
struct mat {
	float *data;
	size_t rows, cols, cap; /* cap: floats allocated */
};

/* Makes m rows x cols, keeping its block when that is large enough. Contents
 * are undefined. what names the matrix in the error. */
int mat_resize(struct mat *m, size_t rows, size_t cols, const char *what, struct err *e);
void mat_free(struct mat *m);

/* to [cols,rows] = from [rows,cols] transposed. */
void mat_transpose(float *to, const float *from, size_t rows, size_t cols);

#endif
