#include "sae/align.h"

#include <math.h>

#include "sae/blas.h"
#include "sae/norm.h"

#define ROWS_A_JOB 128

int
align_directions(struct mat *out, const struct sae *s, enum align_by by, size_t *without, struct err *e)
{
	float *norms = mem_alloc(s->m * sizeof *norms);
	size_t j;

	*without = 0;
	if (!norms)
		return err_memory(e, "directions", s->m * sizeof *norms);
	if (!mat_resize(out, s->m, s->d, "directions", e)) {
		if (by == ALIGN_ENCODER)
			mat_transpose(out->data, s->W_enc, s->d, s->m);
		norm_l2(out->data, by == ALIGN_ENCODER ? out->data : s->W_dec, s->m, s->d, norms);
		for (j = 0; j < s->m; j++)
			*without += !(norms[j] > 0);
	}
	mem_free(norms);
	return e->code;
}

struct product {
	const struct mat *a, *b;
	struct mat *out;
};

static void
product_job(void *arg, size_t job, unsigned thread)
{
	const struct product *p = arg;
	size_t first = job * ROWS_A_JOB, left = p->a->rows - first, rows = left < ROWS_A_JOB ? left : ROWS_A_JOB, i;
	size_t d = p->a->cols, n = p->b->rows;
	float *c = p->out->data + first * n;

	(void)thread;
	blas_gemm_nt(rows, n, d, p->a->data + first * d, d, p->b->data, d, c, n);
	for (i = 0; i < rows * n; i++) /* rounding goes a little beyond 1 */
		c[i] = c[i] > 1 ? 1 : c[i] < -1 ? -1 : c[i];
}

int
align_cosines(struct mat *out, const struct mat *a, const struct mat *b, struct pool *pool, struct err *e)
{
	struct product p = {a, b, out};

	if (mat_resize(out, a->rows, b->rows, "cosines", e))
		return e->code;
	pool_run(pool, product_job, &p, (a->rows + ROWS_A_JOB - 1) / ROWS_A_JOB);
	return 0;
}

void
align_nearest(const struct mat *cosines, float *of_rows, float *of_cols)
{
	size_t i, j;

	for (j = 0; j < cosines->cols; j++)
		of_cols[j] = -INFINITY;
	for (i = 0; i < cosines->rows; i++) {
		const float *c = cosines->data + i * cosines->cols;
		float most = -INFINITY;

		for (j = 0; j < cosines->cols; j++) {
			most = c[j] > most ? c[j] : most;
			of_cols[j] = c[j] > of_cols[j] ? c[j] : of_cols[j];
		}
		of_rows[i] = most;
	}
}
