/* The only door to BLAS. One call uses one thread: rows and columns are split
 * over lib/base/pool by the callers, in pieces that do not depend on the
 * number of threads, so that results do not either. */
#ifndef SAE_BLAS_H
#define SAE_BLAS_H

#include <stddef.h>

/* c[rows,cols] = a[rows,inner] b[inner,cols]; lda, ldb, ldc are row strides. */
void blas_gemm(size_t rows, size_t cols, size_t inner, const float *a, size_t lda,
               const float *b, size_t ldb, float *c, size_t ldc);

/* c[rows,cols] = a[rows,inner] b[cols,inner]^T. */
void blas_gemm_nt(size_t rows, size_t cols, size_t inner, const float *a, size_t lda,
                  const float *b, size_t ldb, float *c, size_t ldc);

/* c[rows,cols] = a[inner,rows]^T b[inner,cols]. */
void blas_gemm_tn(size_t rows, size_t cols, size_t inner, const float *a, size_t lda,
                  const float *b, size_t ldb, float *c, size_t ldc);

/* The lower half of c[d,d] += a[n,d]^T a, in double. */
void blas_gram(size_t n, size_t d, const double *a, double *c);

/* Solves A X = B for symmetric positive definite A [n,n] (its lower half is
 * read and destroyed) and B = X [n,r] row-major, in double, by Cholesky's
 * factors. 0, or -1 when A is not positive definite. */
int blas_solve_spd(size_t n, double *a, double *b, size_t r);

/* "OpenBLAS 0.3.21 ... SkylakeX": for --version. Never NULL. */
const char *blas_describe(void);

#endif
