/* CKNNA: how alike the neighbourhoods of rows are in two spaces (Huh et al.
 * 2024, "The Platonic Representation Hypothesis", as the MSAE paper uses it).
 * Kernels K = X X^T and L = Z Z^T, linear; a row's neighbours are the k others
 * of largest kernel value; only pairs that are neighbours in both spaces count:
 *
 *   CKNNA = HSIC(K, L) / (sqrt(HSIC(K, K) HSIC(L, L)) + 1e-6)
 *
 * with the unbiased HSIC (Song et al. 2012) of the masked kernels. HSIC's matrix
 * products are sums of columns times sums of rows, so that beside the kernels'
 * own products everything is O(n k^2), and no kernel is ever whole in memory.
 */
#ifndef SAE_CKNNA_H
#define SAE_CKNNA_H

#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/pool.h"
#include "sae/simd.h"

/* The k nearest of each of n rows, itself left out: largest first, ties to the
 * lower row. Start from {0}. */
struct nearest {
	size_t n, k;
	uint32_t *row; /* [n,k] */
	float *value;  /* [n,k]: the kernel's */
};

/* Of x [n,d]. n > k >= 1 and n >= 4 (CODE_DATA else). */
int nearest_rows(struct nearest *out, const float *x, size_t n, size_t d, size_t k, struct pool *pool, const struct simd *simd, struct err *e);
/* Of sparse rows: by their common codes where those are few, else as dense
 * pieces. Memory: at most 128 MiB and a transposed z. */
int nearest_codes(struct nearest *out, struct csr_view z, size_t k, struct pool *pool, const struct simd *simd, struct err *e);
void nearest_free(struct nearest *v);

/* NaN where HSIC of one space is not positive: it has no structure to compare. */
int cknna(double *out, const struct nearest *x, const struct nearest *z, struct err *e);

/* The reference, by the formula: dense kernels [n,n] in double. x [n,d], z [n,m]. */
int cknna_plain(double *out, const float *x, size_t d, const float *z, size_t m, size_t n, size_t k, struct err *e);

#endif
