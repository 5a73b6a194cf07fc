#include "sae/quality.h"

#include <math.h>
#include <string.h>

#include "sae/decode.h"
#include "sae/topk.h"

#define MEASURES 4
#define ROWS_A_JOB 16

int
quality_init(struct quality *q, const struct sae *model, const size_t *ks, size_t nks, struct pool *pool, const struct simd *simd, struct err *e)
{
	size_t i;

	*q = (struct quality){.model = model, .pool = pool, .simd = simd};
	for (i = 0; i < nks && i < QUALITY_MAX_KS; i++)
		if (ks[i] <= model->m)
			q->ks[q->nks++] = ks[i];
	q->used_k = model->arch == ARCH_TOPK ? model->k : 0;
	q->encoder = encoder_new(model, pool, simd, e);
	q->row = mem_alloc(QUALITY_BLOCK * MEASURES * sizeof *q->row);
	q->sum = mem_alloc(model->d * sizeof *q->sum);
	q->fired = mem_alloc(model->m * sizeof *q->fired);
	if (!q->encoder || !q->row || !q->sum || !q->fired || mat_resize(&q->xhat, QUALITY_BLOCK, model->d, "reconstructions", e)) {
		if (!e->code)
			err_memory(e, "evaluation", model->m * sizeof *q->fired);
		quality_free(q);
		return e->code;
	}
	quality_reset(q);
	return 0;
}

void
quality_reset(struct quality *q)
{
	memset(q->sums, 0, sizeof q->sums);
	memset(q->sum, 0, q->model->d * sizeof *q->sum);
	memset(q->fired, 0, q->model->m * sizeof *q->fired);
	q->square = 0;
	q->rows = q->flat = 0;
}

void
quality_free(struct quality *q)
{
	encoder_free(q->encoder);
	csr_free(&q->z);
	csr_free(&q->cut[0]);
	csr_free(&q->cut[1]);
	mat_free(&q->xhat);
	mem_free(q->row);
	mem_free(q->sum);
	mem_free(q->fired);
	*q = (struct quality){0};
}

struct work {
	const float *x, *xhat;
	size_t n, d;
	double *out; /* fvu (NAN: the row does not vary), cosine, mae, |x - xhat|^2 */
};

static void
measure_row(const float *x, const float *y, size_t d, double out[MEASURES])
{
	double mx = 0, me = 0, vx = 0, ve = 0, xx = 0, yy = 0, xy = 0, ax = 0, ae = 0, e;
	size_t i;

	for (i = 0; i < d; i++) {
		e = (double)x[i] - y[i];
		mx += x[i];
		me += e;
		xx += (double)x[i] * x[i];
		yy += (double)y[i] * y[i];
		xy += (double)x[i] * y[i];
		ax += fabs((double)x[i]);
		ae += fabs(e);
	}
	out[3] = 0;
	for (i = 0; i < d; i++) {
		e = (double)x[i] - y[i];
		vx += (x[i] - mx / (double)d) * (x[i] - mx / (double)d);
		ve += (e - me / (double)d) * (e - me / (double)d);
		out[3] += e * e;
	}
	out[0] = vx > 0 ? ve / vx : NAN;
	out[1] = xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
	out[2] = ax > 0 ? ae / ax : 0;
}

static void
measure_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	size_t r, end = (job + 1) * ROWS_A_JOB < w->n ? (job + 1) * ROWS_A_JOB : w->n;

	(void)thread;
	for (r = job * ROWS_A_JOB; r < end; r++)
		measure_row(w->x + r * w->d, w->xhat + r * w->d, w->d, w->out + r * MEASURES);
}

static void
add(struct quality *q, const float *x, struct csr_view z, struct quality_sums *s)
{
	struct work w = {x, q->xhat.data, z.rows, q->model->d, q->row};
	size_t r;

	decode(q->model, z, q->pool, q->simd, q->xhat.data);
	pool_run(q->pool, measure_job, &w, (z.rows + ROWS_A_JOB - 1) / ROWS_A_JOB);
	for (r = 0; r < z.rows; r++) {
		s->fvu += isnan(q->row[r * MEASURES]) ? 0 : q->row[r * MEASURES];
		s->cosine += q->row[r * MEASURES + 1];
		s->mae += q->row[r * MEASURES + 2];
		s->square += q->row[r * MEASURES + 3];
	}
	s->codes += z.ptr[z.rows];
}

static void
add_rows(struct quality *q, const float *x, size_t n)
{
	size_t d = q->model->d, r, i;

	q->rows += n;
	for (r = 0; r < n; r++) {
		for (i = 0; i < d; i++) {
			q->sum[i] += x[r * d + i];
			q->square += (double)x[r * d + i] * x[r * d + i];
		}
		q->flat += isnan(q->row[r * MEASURES]);
	}
}

static void
add_fired(struct quality *q, struct csr_view z)
{
	size_t i;

	for (i = 0; i < z.ptr[z.rows]; i++)
		q->fired[z.idx[i]] += z.val[i] > 0;
}

static int
add_block(struct quality *q, const float *x, size_t n, struct err *e)
{
	struct csr_view left, used;
	size_t i;

	if (encode(q->encoder, x, n, 0, &q->z, e))
		return e->code;
	used = left = csr_view(&q->z);
	if (q->used_k) {
		if (topk_rows(left, q->used_k, false, q->pool, q->simd, &q->cut[0], e))
			return e->code;
		used = csr_view(&q->cut[0]);
	}
	add(q, x, used, &q->sums[0]);
	add_fired(q, used);
	add_rows(q, x, n);
	for (i = q->nks; i-- > 0;) { /* each from the one before, which is longer */
		if (topk_rows(left, q->ks[i], false, q->pool, q->simd, &q->cut[i % 2], e))
			return e->code;
		left = csr_view(&q->cut[i % 2]);
		add(q, x, left, &q->sums[i + 1]);
	}
	return 0;
}

int
quality_rows(struct quality *q, const float *x, size_t n, struct err *e)
{
	size_t some;

	for (; n; n -= some, x += some * q->model->d) {
		some = n < QUALITY_BLOCK ? n : QUALITY_BLOCK;
		if (add_block(q, x, some, e))
			return e->code;
	}
	return 0;
}

void
quality_result(const struct quality *q, size_t i, struct quality_result *out)
{
	const struct quality_sums *s = &q->sums[i];
	double n = (double)q->rows, spread = q->square;
	size_t j;

	*out = (struct quality_result){.rows = q->rows};
	for (j = 0; j < q->model->d; j++)
		spread -= q->sum[j] / n * q->sum[j];
	out->fvu = s->fvu / (double)(q->rows - q->flat);
	out->fvu_data = s->square / spread;
	out->cosine = s->cosine / n;
	out->mae = s->mae / n;
	out->l0 = s->codes / n;
	out->zeros = 1 - out->l0 / (double)q->model->m;
	for (j = 0; !i && j < q->model->m; j++)
		out->silent += !q->fired[j];
}
