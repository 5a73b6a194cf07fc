#include "sae/quality.h"

#include <math.h>
#include <string.h>

#include "sae/decode.h"
#include "sae/levels.h"
#include "sae/norm.h"
#include "sae/rowform.h"
#include "sae/topk.h"

#define ROWS_A_JOB 32
#define ERROR QUALITY_MEASURES /* where |x - xhat|^2 stands among a row's numbers */
#define NUMBERS (QUALITY_MEASURES + 1)
#define T95_31 2.039513446396408 /* Student's, 31 degrees of freedom: QUALITY_PARTS - 1 */

static size_t
nlevels(const struct quality *q)
{
	return q->nks + 1;
}

int
quality_init(struct quality *q, const struct sae *model, const size_t *ks, size_t nks, struct pool *pool, const struct simd *simd, struct err *e)
{
	unsigned able = SAE_ROW_NORM | SAE_GROUPS | (nks ? 0 : SAE_SIGNED | SAE_OWN_ORDER);
	size_t i;

	*q = (struct quality){.model = model, .pool = pool, .simd = simd, .open = *model};
	if (sae_require(model, able, nks ? "an evaluation by levels" : "an evaluation", e))
		return e->code;
	if (sae_features(model) & (SAE_SIGNED | SAE_OWN_ORDER))
		q->fixed = sae_keep(model);
	for (i = 0; i < nks && i < QUALITY_MAX_KS; i++)
		if (ks[i] <= model->m)
			q->ks[q->nks++] = ks[i];
	/* a soft cap would have to be undone before the threshold is asked */
	if (model->arch == ARCH_BATCHTOPK && !(model->soft_cap > 0))
		q->open.threshold = NULL;
	q->encoder = encoder_new(&q->open, pool, simd, e);
	q->row = mem_alloc(QUALITY_BLOCK * nlevels(q) * NUMBERS * sizeof *q->row);
	q->zero = mem_alloc(model->d * sizeof *q->zero);
	q->x_sum = mem_alloc(QUALITY_PARTS * model->d * sizeof *q->x_sum);
	q->fired = mem_alloc(nlevels(q) * model->m * sizeof *q->fired);
	if (rowform_needed(model) && (mat_resize(&q->form, QUALITY_BLOCK, 2, "rows", e) || mat_resize(&q->back, QUALITY_BLOCK, model->d, "rows", e))) {
		quality_free(q);
		return e->code;
	}
	if (!q->encoder || !q->row || !q->zero || !q->x_sum || !q->fired || mat_resize(&q->xhat, QUALITY_BLOCK, model->d, "reconstructions", e)) {
		if (!e->code)
			err_memory(e, "evaluation", model->m * sizeof *q->fired);
		quality_free(q);
		return e->code;
	}
	memset(q->zero, 0, model->d * sizeof *q->zero);
	quality_reset(q);
	return 0;
}

void
quality_reset(struct quality *q)
{
	encoder_renew(q->encoder);
	memset(q->levels, 0, sizeof q->levels);
	memset(q->x_sum, 0, QUALITY_PARTS * q->model->d * sizeof *q->x_sum);
	memset(q->fired, 0, nlevels(q) * q->model->m * sizeof *q->fired);
	memset(q->x_square, 0, sizeof q->x_square);
	memset(q->part_rows, 0, sizeof q->part_rows);
	q->rows = q->flat = 0;
}

void
quality_free(struct quality *q)
{
	size_t i;

	encoder_free(q->encoder);
	csr_free(&q->z);
	csr_free(&q->cut[0]);
	csr_free(&q->cut[1]);
	csr_free(&q->used);
	for (i = 0; i < QUALITY_MAX_KS + 1; i++)
		csr_free(&q->steps[i]);
	mat_free(&q->xhat);
	mat_free(&q->raw[0]);
	mat_free(&q->raw[1]);
	mat_free(&q->form);
	mat_free(&q->back);
	mem_free(q->row);
	mem_free(q->zero);
	mem_free(q->x_sum);
	mem_free(q->fired);
	*q = (struct quality){0};
}

/* ---- rows ---- */

bool
quality_chosen(const struct quality *q)
{
	return !q->fixed && (sae_keep(q->model) || q->model->threshold != q->open.threshold);
}

struct csr_view
quality_all(const struct quality *q)
{
	return csr_view(&q->z);
}

struct csr_view
quality_used(const struct quality *q)
{
	return csr_view(quality_chosen(q) ? &q->used : &q->z);
}

const float *
quality_compared(const struct quality *q, const float *x)
{
	return q->mean ? q->raw[0].data : x;
}

/* What is above the model's thresholds. */
static int
keep_above(const float *threshold, struct csr_view z, struct csr *out, struct err *e)
{
	size_t r;
	uint32_t i, at = 0;

	if (csr_resize(out, z.rows, z.cols, z.ptr[z.rows], e))
		return e->code;
	for (r = 0; r < z.rows; r++) {
		for (i = z.ptr[r]; i < z.ptr[r + 1]; i++) {
			out->idx[at] = z.idx[i];
			out->val[at] = z.val[i];
			at += z.val[i] > threshold[z.idx[i]];
		}
		out->ptr[r + 1] = at;
	}
	return 0;
}

int
quality_choose(const struct quality *q, struct csr_view z, struct csr *out, struct err *e)
{
	const struct sae *s = q->model;

	if (!quality_chosen(q))
		return 0;
	if (sae_keep(s))
		return topk_rows(z, sae_keep(s), false, q->pool, q->simd, out, e);
	return keep_above(s->threshold, z, out, e);
}

struct work {
	struct quality *q;
	const float *x, *given;    /* as they are compared; as they came */
	size_t n;
	const struct compared *cx; /* [n] of x beside zero, so that its e is x */
	struct csr_view z;         /* what is decoded ... */
	const float *onto;         /* ... and to what it is added: decode_rows */
	size_t level, before;      /* the level it makes; the one before */
};

static double *
numbers(const struct quality *q, size_t r, size_t level)
{
	return q->row + (r * nlevels(q) + level) * NUMBERS;
}

static void
measure(const struct compared *cx, const struct compared *c, size_t d, double *out)
{
	double n = (double)d, vx = cx->ee - cx->e * cx->e / n, ve = c->ee - c->e * c->e / n;

	out[ERROR] = c->ee;
	/* what rounding leaves of a row of equal numbers is no variance */
	out[QUALITY_FVU] = vx > 1e-12 * cx->ee ? ve / vx : NAN;
	out[QUALITY_COSINE] = c->yy > 0 ? c->xy / sqrt(cx->ee * c->yy) : 0;
	out[QUALITY_MAE] = c->abs / cx->abs;
}

/* Some rows of a level. Where nothing is added to them it is as the one before. */
static void
level_job(void *arg, size_t job, unsigned thread)
{
	const struct work *w = arg;
	struct quality *q = w->q;
	size_t first = job * ROWS_A_JOB, end = first + ROWS_A_JOB < w->n ? first + ROWS_A_JOB : w->n, d = q->model->d, r;
	bool nothing = w->onto && w->z.ptr[end] == w->z.ptr[first];
	struct compared c;
	double *out, codes;
	const float *xhat;

	(void)thread;
	if (!nothing)
		decode_rows(q->model, w->z, first, end, q->simd, w->onto, q->xhat.data);
	for (r = first; r < end; r++) {
		out = numbers(q, r, w->level);
		codes = w->onto ? numbers(q, r, w->before)[QUALITY_L0] : 0;
		if (nothing) {
			memcpy(out, numbers(q, r, w->before), NUMBERS * sizeof *out);
		} else {
			xhat = q->xhat.data + r * d;
			if (q->form.data) {
				rowform_restore(q->back.data + r * d, xhat, 1, d, q->form.data + 2 * r);
				xhat = q->back.data + r * d;
			}
			if (q->mean) {
				q->simd->unscale_shift(q->raw[1].data + r * d, xhat, q->mean, q->scale, d);
				xhat = q->raw[1].data + r * d;
			}
			q->simd->compare(w->x + r * d, xhat, d, &c);
			measure(&w->cx[r], &c, d, out);
		}
		out[QUALITY_L0] = codes + (w->z.ptr[r + 1] - w->z.ptr[r]);
	}
}

static int
level(struct work *w, struct err *e)
{
	struct quality *q = w->q;

	pool_run(q->pool, level_job, w, (w->n + ROWS_A_JOB - 1) / ROWS_A_JOB);
	if (!q->each)
		return 0;
	return q->each(q->each_arg, w->level, w->onto && !w->z.ptr[w->n] ? w->before : SIZE_MAX, w->given, q->form.data ? q->back.data : q->xhat.data, w->n, e);
}

static int
all_levels(struct work *w, struct err *e)
{
	struct quality *q = w->q;
	size_t i, steps = quality_chosen(q) ? q->nks : q->nks + 1;

	if (quality_chosen(q)) {
		w->z = csr_view(&q->used);
		if (level(w, e))
			return e->code;
	}
	for (i = 0; i < steps; i++) {
		w->z = csr_view(&q->steps[i]);
		w->onto = i ? q->xhat.data : NULL;
		w->before = w->level;
		w->level = i < q->nks ? i + 1 : 0; /* what is beyond all ks completes what is used */
		if (level(w, e))
			return e->code;
	}
	return 0;
}

/* Rows go to the parts in runs of 8. */
static size_t
part_of(uint64_t row)
{
	return (size_t)(row / 8 % QUALITY_PARTS);
}

static void
add_x(struct quality *q, const float *x, double square, size_t part)
{
	double *sum = q->x_sum + part * q->model->d;
	size_t i;

	q->x_square[part] += square;
	q->part_rows[part]++;
	for (i = 0; i < q->model->d; i++)
		sum[i] += x[i];
}

static void
add_level(struct quality_level *l, const double *number, size_t part)
{
	size_t i;

	l->error[part] += number[ERROR];
	for (i = 0; i < QUALITY_MEASURES; i++)
		if (i == QUALITY_L0 || !isnan(number[QUALITY_FVU])) {
			l->sum[i] += number[i];
			l->square[i] += number[i] * number[i];
		}
}

static void
add_fired(uint64_t *fired, struct csr_view z)
{
	size_t i;

	for (i = 0; i < z.ptr[z.rows]; i++)
		fired[z.idx[i]]++;
}

static void
add_block(const struct work *w, uint64_t row)
{
	struct quality *q = w->q;
	size_t m = q->model->m, r, l, part;

	for (r = 0; r < w->n; r++) {
		part = part_of(row + r);
		add_x(q, w->x + r * q->model->d, w->cx[r].ee, part);
		for (l = 0; l < nlevels(q); l++)
			add_level(&q->levels[l], numbers(q, r, l), part);
		q->flat += isnan(numbers(q, r, 0)[QUALITY_FVU]);
	}
	q->rows += w->n;
	for (l = 0; l < q->nks; l++) /* each level's own step; quality_result adds them up */
		add_fired(q->fired + (l + 1) * m, csr_view(&q->steps[l]));
	add_fired(q->fired, quality_used(q));
}

static int
block(struct quality *q, const float *x, size_t n, uint64_t row, struct err *e)
{
	struct compared cx[QUALITY_BLOCK];
	struct work w = {.q = q, .x = x, .given = x, .n = n, .cx = cx};
	size_t r;

	if (q->mean) {
		if (mat_resize(&q->raw[0], QUALITY_BLOCK, q->model->d, "raw rows", e) || mat_resize(&q->raw[1], QUALITY_BLOCK, q->model->d, "raw rows", e))
			return e->code;
		norm_undo(q->raw[0].data, x, n, q->model->d, q->mean, q->scale, q->simd);
		w.x = q->raw[0].data;
	}
	if (q->form.data)
		rowform_apply(q->model, q->xhat.data, x, n, q->form.data);
	if (encode(q->encoder, x, n, q->fixed, &q->z, e) || quality_choose(q, csr_view(&q->z), &q->used, e) ||
	    levels_cut(csr_view(&q->z), q->ks, q->nks, q->pool, q->simd, q->cut, q->steps, e))
		return e->code;
	for (r = 0; r < n; r++)
		q->simd->compare(w.x + r * q->model->d, q->zero, q->model->d, &cx[r]);
	if (all_levels(&w, e))
		return e->code;
	add_block(&w, row);
	return 0;
}

int
quality_rows(struct quality *q, const float *x, size_t n, uint64_t row, struct err *e)
{
	size_t some;

	for (; n; n -= some, x += some * q->model->d, row += some) {
		some = n < QUALITY_BLOCK ? n : QUALITY_BLOCK;
		if (block(q, x, some, row, e))
			return e->code;
	}
	return 0;
}

static void
add_all(double *to, const double *from, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		to[i] += from[i];
}

void
quality_merge(struct quality *q, const struct quality *other)
{
	size_t i;

	for (i = 0; i < nlevels(q); i++) {
		add_all(q->levels[i].sum, other->levels[i].sum, QUALITY_MEASURES);
		add_all(q->levels[i].square, other->levels[i].square, QUALITY_MEASURES);
		add_all(q->levels[i].error, other->levels[i].error, QUALITY_PARTS);
	}
	add_all(q->x_square, other->x_square, QUALITY_PARTS);
	add_all(q->x_sum, other->x_sum, QUALITY_PARTS * q->model->d);
	for (i = 0; i < QUALITY_PARTS; i++)
		q->part_rows[i] += other->part_rows[i];
	for (i = 0; i < nlevels(q) * q->model->m; i++)
		q->fired[i] += other->fired[i];
	q->rows += other->rows;
	q->flat += other->flat;
}

/* ---- results ---- */

/* The data set's FVU of the rows that are not in part `without` (QUALITY_PARTS:
 * of all). */
static double
fvu_data(const struct quality *q, const struct quality_level *l, size_t without)
{
	double n = 0, error = 0, spread = 0, sum;
	size_t p, i;

	for (p = 0; p < QUALITY_PARTS; p++)
		if (p != without) {
			n += (double)q->part_rows[p];
			error += l->error[p];
			spread += q->x_square[p];
		}
	for (i = 0; i < q->model->d && n > 0; i++) {
		for (p = 0, sum = 0; p < QUALITY_PARTS; p++)
			sum += p == without ? 0 : q->x_sum[p * q->model->d + i];
		spread -= sum / n * sum;
	}
	return spread > 0 ? error / spread : NAN;
}

/* Half a 95 % interval by leaving out one part after another. */
static double
jackknife(const struct quality *q, const struct quality_level *l)
{
	double value[QUALITY_PARTS], mean = 0, sum = 0;
	size_t p;

	for (p = 0; p < QUALITY_PARTS; p++) {
		if (!q->part_rows[p])
			return NAN;
		value[p] = fvu_data(q, l, p);
		mean += value[p] / QUALITY_PARTS;
	}
	for (p = 0; p < QUALITY_PARTS; p++)
		sum += (value[p] - mean) * (value[p] - mean);
	return T95_31 * sqrt(sum * (QUALITY_PARTS - 1) / QUALITY_PARTS);
}

void
quality_result(const struct quality *q, size_t i, struct quality_result *out)
{
	const struct quality_level *l = &q->levels[i];
	size_t m = q->model->m, j, k;
	uint64_t fired;

	*out = (struct quality_result){.rows = q->rows, .flat = q->flat};
	for (j = 0; j < QUALITY_MEASURES; j++)
		out->of[j] = estimate_mean(l->sum[j], l->square[j], (double)(j == QUALITY_L0 ? q->rows : q->rows - q->flat));
	out->fvu_data = fvu_data(q, l, QUALITY_PARTS);
	out->fvu_data_half = jackknife(q, l);
	out->zeros = 1 - out->of[QUALITY_L0].mean / (double)m;
	for (j = 0; j < m; j++) {
		fired = q->fired[i * m + j];
		for (k = 1; k < i; k++)
			fired += q->fired[k * m + j];
		out->silent += !fired;
		out->always += fired == q->rows;
	}
}

/* ---- the reference ---- */

bool
quality_plain(const float *x, const double *xhat, size_t d, double *out)
{
	double mx = 0, me = 0, vx = 0, ve = 0, xx = 0, yy = 0, xy = 0, ax = 0, ae = 0;
	size_t i;

	for (i = 0; i < d; i++) {
		mx += x[i] / (double)d;
		me += (x[i] - xhat[i]) / (double)d;
		xx += (double)x[i] * x[i];
		yy += xhat[i] * xhat[i];
		xy += x[i] * xhat[i];
		ax += fabs((double)x[i]);
		ae += fabs(x[i] - xhat[i]);
	}
	for (i = 0; i < d; i++) {
		vx += (x[i] - mx) * (x[i] - mx);
		ve += (x[i] - xhat[i] - me) * (x[i] - xhat[i] - me);
	}
	out[QUALITY_FVU] = ve / vx;
	out[QUALITY_COSINE] = yy > 0 ? xy / sqrt(xx * yy) : 0;
	out[QUALITY_MAE] = ae / ax;
	return vx > 0;
}
