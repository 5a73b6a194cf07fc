/* Keeping the largest. Ties at the last place go to the lowest index, so that
 * the answer does not depend on machine, threads or order of work. */
#ifndef SAE_TOPK_H
#define SAE_TOPK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/pool.h"
#include "sae/simd.h"

/* Reorders nothing: picks from the n pairs (idx ascending, val) the k first
 * under (value descending, index ascending) -- by |val| when abs -- and writes
 * them, ascending index, to idx_out/val_out (which may be idx/val themselves).
 * Returns how many: min(k, n). scratch: n uint64_t. */
size_t topk_pick(const uint32_t *idx, const float *val, size_t n, size_t k, bool abs,
                 uint32_t *idx_out, float *val_out, uint64_t *scratch);

/* Row by row: the k largest of each row's `cols` numbers, where what is not
 * stored is 0. Zeros outrank negative values and are never stored, so a row
 * may keep fewer than k. With abs, magnitudes are compared. */
int topk_rows(struct csr_view in, size_t k, bool abs, struct pool *pool, const struct simd *simd, struct csr *out, struct err *e);

/* The same for a dense matrix x [n,cols]. */
int topk_dense(const float *x, size_t n, size_t cols, size_t k, bool abs, struct pool *pool, const struct simd *simd, struct csr *out, struct err *e);

/* The k*rows largest of the whole block (ties: earliest row, then lowest
 * index): BatchTopK's rule. Stored non-zeros only; negative values only when
 * abs, else positive ones only. */
int topk_batch(struct csr_view in, size_t k, bool abs, struct csr *out, struct err *e);

/* References for tests: sort everything. */
int topk_rows_plain(struct csr_view in, size_t k, bool abs, struct csr *out, struct err *e);
int topk_batch_plain(struct csr_view in, size_t k, bool abs, struct csr *out, struct err *e);

#endif
