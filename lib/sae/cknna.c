#include "sae/cknna.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

#define EPSILON 1e-6

/* ---- the unbiased HSIC of masked kernels ---- */

/* Pairs (i,j) that are neighbours in both spaces, with both kernel values; for
 * one space with itself both are the same. */
struct masked {
	size_t n, k;
	uint32_t *count, *row; /* [n], [n,k] */
	double *a, *b;         /* [n,k] */
};

static void
masked_free(struct masked *m)
{
	mem_free(m->count);
	mem_free(m->row);
	mem_free(m->a);
	mem_free(m->b);
}

static size_t
find(const uint32_t *list, size_t n, size_t row)
{
	size_t i;

	for (i = 0; i < n && list[i] != row; i++)
		;
	return i;
}

static int
mask(struct masked *m, const struct nearest *a, const struct nearest *b, struct err *e)
{
	size_t k = a->k, i, j, at, to;

	*m = (struct masked){.n = a->n, .k = k};
	m->count = mem_alloc(m->n * sizeof *m->count);
	m->row = mem_alloc(m->n * k * sizeof *m->row);
	m->a = mem_alloc(m->n * k * sizeof *m->a);
	m->b = mem_alloc(m->n * k * sizeof *m->b);
	if (!m->count || !m->row || !m->a || !m->b) {
		masked_free(m);
		return err_memory(e, "neighbours", m->n * k * sizeof *m->a);
	}
	for (i = 0; i < m->n; i++) {
		m->count[i] = 0;
		for (j = 0; j < k; j++) {
			at = find(b->row + i * k, k, a->row[i * k + j]);
			if (at == k)
				continue;
			to = i * k + m->count[i]++;
			m->row[to] = a->row[i * k + j];
			m->a[to] = a->value[i * k + j];
			m->b[to] = b->value[i * k + at];
		}
	}
	return 0;
}

/* Song et al. 2012, eq. 5: [ tr(K L) + 1'K1 1'L1 / ((n-1)(n-2)) - 2 1'KL1 / (n-2) ]
 * / (n (n-3)), K and L without diagonals; the published code takes the sum over
 * K_ij L_ji for the trace, and so do we: masked kernels are not symmetric. */
static double
hsic(const struct masked *m, double *columns)
{
	double n = (double)m->n, trace = 0, all_a = 0, all_b = 0, product = 0, rows;
	size_t i, j, at, back;

	memset(columns, 0, m->n * sizeof *columns);
	for (i = 0; i < m->n; i++)
		for (j = 0; j < m->count[i]; j++) {
			at = i * m->k + j;
			columns[m->row[at]] += m->a[at];
			all_a += m->a[at];
			all_b += m->b[at];
			back = find(m->row + m->row[at] * m->k, m->count[m->row[at]], i);
			if (back < m->count[m->row[at]])
				trace += m->a[at] * m->b[m->row[at] * m->k + back];
		}
	for (i = 0; i < m->n; i++) {
		for (j = 0, rows = 0; j < m->count[i]; j++)
			rows += m->b[i * m->k + j];
		product += columns[i] * rows;
	}
	return (trace + all_a * all_b / ((n - 1) * (n - 2)) - 2 * product / (n - 2)) / (n * (n - 3));
}

static int
hsic_of(double *out, const struct nearest *a, const struct nearest *b, double *columns, struct err *e)
{
	struct masked m;

	if (mask(&m, a, b, e))
		return e->code;
	*out = hsic(&m, columns);
	masked_free(&m);
	return 0;
}

int
cknna(double *out, const struct nearest *x, const struct nearest *z, struct err *e)
{
	double *columns = mem_alloc(x->n * sizeof *columns), xz, xx, zz;

	if (!columns)
		return err_memory(e, "neighbours", x->n * sizeof *columns);
	if (!hsic_of(&xz, x, z, columns, e) && !hsic_of(&xx, x, x, columns, e) && !hsic_of(&zz, z, z, columns, e))
		*out = xx > 0 && zz > 0 ? xz / (sqrt(xx * zz) + EPSILON) : NAN;
	mem_free(columns);
	return e->code;
}

/* ---- the reference ---- */

static void
kernel_plain(double *out, const float *x, size_t n, size_t d)
{
	size_t i, j, t;

	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++) {
			out[i * n + j] = 0;
			for (t = 0; t < d; t++)
				out[i * n + j] += (double)x[i * d + t] * x[j * d + t];
		}
}

/* Whether j is among the k nearest of i. */
static int
near_plain(const double *kernel, size_t n, size_t k, size_t i, size_t j)
{
	size_t before = 0, t;

	for (t = 0; t < n; t++)
		before += t != i && (kernel[i * n + t] > kernel[i * n + j] || (kernel[i * n + t] == kernel[i * n + j] && t < j));
	return i != j && before < k;
}

static double
hsic_plain(const double *a, const double *b, const char *both, size_t n)
{
	double trace = 0, all_a = 0, all_b = 0, product = 0, f = (double)n;
	size_t i, j, l;

	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++) {
			if (!both[i * n + j])
				continue;
			all_a += a[i * n + j];
			all_b += b[i * n + j];
			if (both[j * n + i])
				trace += a[i * n + j] * b[j * n + i];
			for (l = 0; l < n; l++)
				if (both[j * n + l])
					product += a[i * n + j] * b[j * n + l];
		}
	return (trace + all_a * all_b / ((f - 1) * (f - 2)) - 2 * product / (f - 2)) / (f * (f - 3));
}

int
cknna_plain(double *out, const float *x, size_t d, const float *z, size_t m, size_t n, size_t k, struct err *e)
{
	double *a = mem_alloc(2 * n * n * sizeof *a), *b = a + n * n, xx, zz, xz;
	char *near_x = mem_alloc(3 * n * n), *near_z = near_x + n * n, *both = near_z + n * n;
	size_t i, j, at;

	if (a && near_x) {
		kernel_plain(a, x, n, d);
		kernel_plain(b, z, n, m);
		for (i = 0; i < n; i++)
			for (j = 0; j < n; j++) {
				at = i * n + j;
				near_x[at] = (char)near_plain(a, n, k, i, j);
				near_z[at] = (char)near_plain(b, n, k, i, j);
				both[at] = near_x[at] && near_z[at];
			}
		xz = hsic_plain(a, b, both, n);
		xx = hsic_plain(a, a, near_x, n);
		zz = hsic_plain(b, b, near_z, n);
		*out = xx > 0 && zz > 0 ? xz / (sqrt(xx * zz) + EPSILON) : NAN;
	} else {
		err_memory(e, "kernels", 2 * n * n * sizeof *a);
	}
	mem_free(a);
	mem_free(near_x);
	return e->code;
}
