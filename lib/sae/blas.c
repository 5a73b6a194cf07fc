#include "sae/blas.h"

#include <cblas.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *description = "CBLAS";
#ifdef OPENBLAS_VERSION
static int each_thread; /* must ask for one thread on its own */
#endif

/* OpenBLAS's own threads would fight with the pool's for the same cores. Its
 * description sits in a buffer that each asking rewrites: asked once. */
static void
set_up(void)
{
#ifdef OPENBLAS_VERSION
	const char *text;

	openblas_set_num_threads(1);
	each_thread = openblas_get_parallel() == OPENBLAS_OPENMP;
	text = openblas_get_config();
	if (text && *text)
		description = text;
#endif
}

/* Before each call. The number of threads belongs to the process, but in the
 * OpenMP build to the thread that asks. */
static void
one_thread(void)
{
	pthread_once(&once, set_up);
#ifdef OPENBLAS_VERSION
	if (each_thread)
		openblas_set_num_threads(1);
#endif
}

static void
gemm(CBLAS_TRANSPOSE turn_a, CBLAS_TRANSPOSE turn_b, size_t rows, size_t cols, size_t inner, const float *a, size_t lda,
     const float *b, size_t ldb, float *c, size_t ldc)
{
	size_t i;

	one_thread();
	if (!rows || !cols)
		return;
	if (!inner) {
		for (i = 0; i < rows; i++)
			memset(c + i * ldc, 0, cols * sizeof *c);
		return;
	}
	cblas_sgemm(CblasRowMajor, turn_a, turn_b, (int)rows, (int)cols, (int)inner, 1,
	            a, (int)lda, b, (int)ldb, 0, c, (int)ldc);
}

void
blas_gemm(size_t rows, size_t cols, size_t inner, const float *a, size_t lda,
          const float *b, size_t ldb, float *c, size_t ldc)
{
	gemm(CblasNoTrans, CblasNoTrans, rows, cols, inner, a, lda, b, ldb, c, ldc);
}

void
blas_gemm_nt(size_t rows, size_t cols, size_t inner, const float *a, size_t lda,
             const float *b, size_t ldb, float *c, size_t ldc)
{
	gemm(CblasNoTrans, CblasTrans, rows, cols, inner, a, lda, b, ldb, c, ldc);
}

void
blas_gemm_tn(size_t rows, size_t cols, size_t inner, const float *a, size_t lda,
             const float *b, size_t ldb, float *c, size_t ldc)
{
	gemm(CblasTrans, CblasNoTrans, rows, cols, inner, a, lda, b, ldb, c, ldc);
}

void
blas_gram(size_t n, size_t d, const double *a, double *c)
{
	one_thread();
	if (n && d)
		cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)n, 1, a, (int)d, 1, c, (int)d);
}

/* Eight running sums, so that the loop vectorises without reassociation. */
static double
dot(const double *a, const double *b, size_t n)
{
	double s[8] = {0};
	size_t i, j;

	for (i = 0; i + 8 <= n; i += 8)
		for (j = 0; j < 8; j++)
			s[j] += a[i + j] * b[i + j];
	for (; i < n; i++)
		s[0] += a[i] * b[i];
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/* A = L L^T, row by row (Cholesky-Banachiewicz); L replaces the lower half. */
static int
cholesky(size_t n, double *a)
{
	double *row, pivot;
	size_t i, j;

	for (i = 0; i < n; i++) {
		row = a + i * n;
		for (j = 0; j < i; j++)
			row[j] = (row[j] - dot(row, a + j * n, j)) / a[j * n + j];
		pivot = row[i] - dot(row, row, i);
		if (!(pivot > 0) || !isfinite(pivot))
			return -1;
		row[i] = sqrt(pivot);
	}
	return 0;
}

int
blas_solve_spd(size_t n, double *a, double *b, size_t r)
{
	one_thread();
	if (cholesky(n, a))
		return -1;
	if (!n || !r)
		return 0;
	cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (int)n, (int)r, 1,
	            a, (int)n, b, (int)r);
	cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, (int)n, (int)r, 1,
	            a, (int)n, b, (int)r);
	return 0;
}

const char *
blas_describe(void)
{
	pthread_once(&once, set_up);
	return description;
}
