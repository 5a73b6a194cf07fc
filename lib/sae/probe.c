#include "sae/probe.h"

#include <math.h>

#include "sae/norm.h"

#define ROWS_A_JOB 16

struct work {
	const struct probe *p;
	const struct simd *simd;
	const float *unit; /* [n,d] */
	size_t n;
	uint32_t *all;     /* 0..d-1: every row of W */
	float *out;
};

static void
log_softmax(float *v, size_t n)
{
	double most = v[0], sum = 0;
	size_t i;

	for (i = 1; i < n; i++)
		most = v[i] > most ? v[i] : most;
	for (i = 0; i < n; i++)
		sum += exp(v[i] - most);
	most += log(sum);
	for (i = 0; i < n; i++)
		v[i] = (float)(v[i] - most);
}

static void
job(void *arg, size_t number, unsigned thread)
{
	struct work *w = arg;
	size_t d = w->p->d, c = w->p->classes, end = (number + 1) * ROWS_A_JOB, r;

	(void)thread;
	for (r = number * ROWS_A_JOB; r < end && r < w->n; r++) {
		w->simd->gather_rows(w->out + r * c, w->p->b, w->p->W, c, c, w->all, w->unit + r * d, d);
		log_softmax(w->out + r * c, c);
	}
}

int
probe_logp(const struct probe *p, const float *x, size_t n, struct pool *pool, const struct simd *simd,
           struct mat *scratch, float *out, struct err *e)
{
	struct work w = {.p = p, .simd = simd, .n = n, .out = out};
	size_t i;

	if (mat_resize(scratch, n, p->d + 1, "rows", e))
		return e->code;
	w.all = mem_alloc(p->d * sizeof *w.all);
	if (!w.all)
		return err_memory(e, "probe", p->d * sizeof *w.all);
	for (i = 0; i < p->d; i++)
		w.all[i] = (uint32_t)i;
	norm_l2(scratch->data, x, n, p->d, scratch->data + n * p->d);
	w.unit = scratch->data;
	pool_run(pool, job, &w, (n + ROWS_A_JOB - 1) / ROWS_A_JOB);
	mem_free(w.all);
	return 0;
}

void
probe_logp_plain(const struct probe *p, const float *x, double *out)
{
	double square = 0, most = -INFINITY, sum = 0;
	size_t i, j;

	for (i = 0; i < p->d; i++)
		square += (double)x[i] * x[i];
	for (j = 0; j < p->classes; j++) {
		out[j] = p->b[j];
		for (i = 0; square > 0 && i < p->d; i++)
			out[j] += x[i] / sqrt(square) * p->W[i * p->classes + j];
		most = fmax(most, out[j]);
	}
	for (j = 0; j < p->classes; j++)
		sum += exp(out[j] - most);
	for (j = 0; j < p->classes; j++)
		out[j] -= most + log(sum);
}
