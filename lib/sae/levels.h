/* Codes by level: the k largest of each row for several k, as steps from one
 * level to the next. */
#ifndef SAE_LEVELS_H
#define SAE_LEVELS_H

#include "base/csr.h"
#include "base/error.h"
#include "base/pool.h"
#include "sae/simd.h"

/* 16, 32, 64 ... and m itself last, into ks[room]. Returns how many. */
size_t levels_doubling(size_t m, size_t *ks, size_t room);

/* steps[i] [z.rows,m]: the codes that are among the ks[i] largest of their row
 * and not among the ks[i-1] largest (ties: lowest latent first); steps[nks]:
 * what is beyond the last level. ks ascend. cut: scratch, two that grow. */
int levels_cut(struct csr_view z, const size_t *ks, size_t nks, struct pool *pool, const struct simd *simd,
               struct csr *cut, struct csr *steps, struct err *e);

#endif
