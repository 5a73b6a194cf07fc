/* Sparse rows, compressed: row i holds idx/val[ptr[i] .. ptr[i+1]-1], latents
 * in ascending order, no explicit zeros. The shape of codes z everywhere. */
#ifndef BASE_CSR_H
#define BASE_CSR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A view: nothing owned. */
struct csr_view {
	size_t rows, cols; /* cols = m latents */
	const uint32_t *ptr; /* [rows+1], ptr[0] = 0 */
	const uint32_t *idx; /* [ptr[rows]], each < cols */
	const float *val;    /* [ptr[rows]] */
};

/* An owned, growing one. Start from {0}. */
struct csr {
	size_t rows, cols;
	uint32_t *ptr, *idx;
	float *val;
	size_t ptr_cap, nnz_cap;
};

/* Makes room for rows and nnz non-zeros and sets rows, cols; contents are
 * undefined except ptr[0] = 0. nnz must fit 32 bits (CODE_DATA else). */
int csr_resize(struct csr *c, size_t rows, size_t cols, size_t nnz, struct err *e);
int csr_copy(struct csr *to, struct csr_view from, struct err *e);
/* Adds rows first..end-1 of from below what is there (cols alike). */
int csr_append(struct csr *to, struct csr_view from, size_t first, size_t end, struct err *e);
/* Takes out what is not below latent `limit`; columns stay as many. */
void csr_below(struct csr *c, uint32_t limit);
/* Whether all of idx[n] are below cols <= 2^31. */
bool csr_within(const uint32_t *idx, size_t n, uint32_t cols);
void csr_free(struct csr *c);
struct csr_view csr_view(const struct csr *c);

#endif
