#include "sae/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "sae/blas.h"
#include "sae/train_parts.h"

#define ROWS_A_PRODUCT 1024
#define COLUMNS_A_PRODUCT 512
#define SMALLEST_WEIGHT 0.001 /* of a batch in BATCHTOPK's running threshold */

/* ---- options ---- */

void
train_weights(struct train_opts *o, bool reverse)
{
	size_t i;

	for (i = 0; i < o->levels; i++)
		o->weights[i] = reverse ? (double)(o->levels - i) : 1;
}

void
train_defaults(struct train_opts *o, enum sae_arch arch, size_t m)
{
	size_t k;

	*o = (struct train_opts){
		.arch = arch, .batch = 4096, .k = least(64, m), .threshold = .001, .bandwidth = .001,
		.clip = 1, .beta1 = .9, .beta2 = .999, .eps = 6.25e-10,
	};
	for (k = 64; arch == ARCH_MSAE && k < m && o->levels + 1 < SAE_MAX_LEVELS; k *= 2)
		o->nesting[o->levels++] = k;
	if (arch == ARCH_MSAE)
		o->nesting[o->levels++] = m;
	train_weights(o, false);
}

static int
check_levels(const struct train_opts *o, size_t m, struct err *e)
{
	double sum = 0;
	size_t i;

	if (!o->levels || o->levels > SAE_MAX_LEVELS)
		return err_set(e, CODE_USAGE, "nesting: %zu levels; 1 to %d are possible", o->levels, SAE_MAX_LEVELS);
	for (i = 0; i < o->levels; i++) {
		if (o->nesting[i] < 1 || o->nesting[i] > m || (i && o->nesting[i] <= o->nesting[i - 1]))
			return err_set(e, CODE_USAGE, "nesting: level %zu keeps %zu; levels ascend from 1 to %zu",
			               i + 1, o->nesting[i], m);
		if (!(o->weights[i] >= 0) || !isfinite(o->weights[i]))
			return err_set(e, CODE_USAGE, "weights: %g at level %zu; 0 or more was expected", o->weights[i], i + 1);
		sum += o->weights[i];
	}
	return sum > 0 ? 0 : err_set(e, CODE_USAGE, "weights: all 0");
}

static int
check_opts(const struct sae *s, const struct train_opts *o, struct err *e)
{
	bool topk = o->arch == ARCH_TOPK || o->arch == ARCH_BATCHTOPK;

	if (!s->d || !s->m || s->m > UINT32_MAX / 2 || !o->batch)
		return err_set(e, CODE_USAGE, "training: %zu inputs, %zu latents, batches of %zu", s->d, s->m, o->batch);
	if (o->arch == ARCH_MSAE && check_levels(o, s->m, e))
		return e->code;
	if (topk && (o->k < 1 || o->k > s->m))
		return err_set(e, CODE_USAGE, "k: %zu of %zu latents", o->k, s->m);
	if (!(o->l1 >= 0) || !(o->l0 >= 0) || !(o->soft_cap >= 0) || !(o->clip >= 0) || !isfinite(o->l1 + o->l0 + o->soft_cap))
		return err_set(e, CODE_USAGE, "training: a penalty, cap or clip is negative or not finite");
	if (o->l0 > 0 && o->arch != ARCH_JUMPRELU)
		return err_set(e, CODE_USAGE, "l0: only jumprelu has a gradient for it");
	if (o->arch == ARCH_JUMPRELU && (!s->threshold || !(o->bandwidth > 0) || !(o->threshold > 0) || o->soft_cap > 0))
		return err_set(e, CODE_USAGE, "jumprelu: needs thresholds, a bandwidth above 0, and no soft cap");
	if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1 && o->eps > 0))
		return err_set(e, CODE_USAGE, "adam: beta %g %g, eps %g", o->beta1, o->beta2, o->eps);
	return 0;
}

/* ---- memory: one block, laid out twice, first to learn its size ---- */

struct layout {
	char *base; /* NULL: only counting */
	size_t used;
	bool overflow;
};

static void *
take(struct layout *l, size_t count, size_t size)
{
	size_t bytes, padded, at = l->used;

	if (!size_mul(count, size, &bytes) || !size_add(bytes, MEM_ALIGN - 1, &padded) ||
	    !size_add(l->used, padded - padded % MEM_ALIGN, &l->used))
		l->overflow = true;
	return l->base ? l->base + at : NULL;
}

static void
lay_out_part(struct trainer *t, struct part *p, struct layout *l)
{
	size_t slots = pieces(t->model->m, TILE_MIN) * BLOCK, places = pieces(t->model->m, TILE_MAX) * TILE_MAX * BLOCK;

	p->idx = take(l, places, sizeof *p->idx);
	p->val = take(l, places, sizeof *p->val);
	p->end = take(l, slots * (t->levels + 1), sizeof *p->end);
}

static void
lay_out_lists(struct trainer *t, struct lists *own, struct layout *l)
{
	size_t m = t->model->m, places = (size_t)BLOCK * TILE_MAX;

	own->row = take(l, places, sizeof *own->row);
	own->level_row = take(l, places, sizeof *own->level_row);
	own->z = take(l, places, sizeof *own->z);
	own->dz = take(l, places, sizeof *own->dz);
	own->mark = take(l, BLOCK / SPAN + 1, sizeof *own->mark);
	own->wide = take(l, m + 16, sizeof *own->wide);
	own->values = take(l, m + 16, sizeof *own->values);
	own->error = take(l, t->model->d, sizeof *own->error);
	own->sums = take(l, TILE_MAX * t->chunk, sizeof *own->sums);
	own->histogram = take(l, t->o.arch == ARCH_BATCHTOPK ? 1 << 16 : 0, sizeof *own->histogram);
}

static void
lay_out_state(struct trainer *t, struct layout *l, const size_t size[P_COUNT])
{
	size_t i;

	for (i = 0; i < P_COUNT; i++) {
		t->adam_m[i] = take(l, size[i], sizeof(float));
		t->adam_v[i] = take(l, size[i], sizeof(float));
	}
	t->log_threshold = take(l, size[P_LOG_THRESHOLD], sizeof(float));
	t->active = take(l, t->model->m, sizeof *t->active);
	t->last_active = take(l, t->model->m, sizeof *t->last_active);
	t->theta = take(l, size[P_LOG_THRESHOLD], sizeof(float));
	t->lower = take(l, size[P_LOG_THRESHOLD], sizeof(float));
	if (!size[P_LOG_THRESHOLD])
		t->theta = t->lower = t->log_threshold = NULL;
}

static void
lay_out_gradients(struct trainer *t, struct layout *l, const size_t size[P_COUNT])
{
	size_t m = t->model->m, d = t->model->d;

	t->g_dec = take(l, size[P_W_DEC], sizeof(float));
	t->g_enc = take(l, size[P_W_ENC], sizeof(float));
	t->g_small[P_B_ENC] = take(l, m, sizeof(float));
	t->g_small[P_B_DEC] = take(l, d, sizeof(float));
	t->g_small[P_LOG_THRESHOLD] = take(l, size[P_LOG_THRESHOLD], sizeof(float));
	t->sum_b_enc = take(l, m, sizeof(double));
	t->sum_b_dec = take(l, d, sizeof(double));
	t->sum_threshold = take(l, m, sizeof(double));
	t->latent_norm = take(l, m, sizeof(double));
	t->norm = take(l, m, sizeof(float));
	t->fired = take(l, m, sizeof *t->fired);
}

static void
lay_out_batch(struct trainer *t, struct layout *l)
{
	size_t batch = t->o.batch, bd, bm;

	if (!size_mul(batch, t->model->d, &bd) || !size_mul(batch, t->model->m, &bm)) {
		l->overflow = true;
		return;
	}
	t->p = take(l, bm, sizeof(float));
	t->xc = take(l, bd, sizeof(float));
	t->dec = take(l, t->model->m * t->model->d, sizeof(float));
	t->xb = take(l, BLOCK * t->model->d, sizeof(float));
	t->G = take(l, t->levels * BLOCK * t->model->d, sizeof(float));
	t->push = take(l, BLOCK, sizeof *t->push);
	t->cuts = take(l, BLOCK, sizeof *t->cuts);
	t->row_loss = take(l, batch * t->levels, sizeof(double));
	t->row_fvu = take(l, batch, sizeof(double));
	t->row_l1 = take(l, batch, sizeof(double));
	t->row_weight = take(l, batch, sizeof(double));
	t->row_norm = take(l, batch, sizeof(double));
	t->row_l0 = take(l, batch, sizeof *t->row_l0);
	t->row_equal = take(l, batch, sizeof *t->row_equal);
}

static void
lay_out(struct trainer *t, struct layout *l)
{
	size_t d = t->model->d, m = t->model->m, jump = t->o.arch == ARCH_JUMPRELU ? m : 0, i;
	const size_t size[P_COUNT] = {d * m, m, d * m, d, jump};

	lay_out_state(t, l, size);
	t->state_bytes = l->used;
	lay_out_gradients(t, l, size);
	lay_out_batch(t, l);
	for (i = 0; i < PARTS; i++)
		lay_out_part(t, &t->parts[i], l);
	t->lists = take(l, pool_threads(t->pool), sizeof *t->lists);
	for (i = 0; i < pool_threads(t->pool); i++)
		lay_out_lists(t, l->base ? &t->lists[i] : &(struct lists){0}, l);
}

/* ---- a trainer ---- */

static void
set_levels(struct trainer *t)
{
	double sum = 0;
	size_t i;

	t->levels = t->o.arch == ARCH_MSAE ? t->o.levels : 1;
	for (i = 0; i < t->levels; i++)
		sum += t->o.arch == ARCH_MSAE ? t->o.weights[i] : 1;
	for (i = 0; i < t->levels; i++) {
		t->share[i] = (t->o.arch == ARCH_MSAE ? t->o.weights[i] : 1) / sum;
		t->keep[i] = t->o.arch == ARCH_MSAE ? t->o.nesting[i] : t->o.arch == ARCH_TOPK ? t->o.k : t->model->m;
	}
}

static void
start_thresholds(struct trainer *t)
{
	float *theta = t->model->threshold;
	size_t j;

	for (j = 0; t->theta && j < t->model->m; j++) {
		if (!(theta[j] > 0))
			theta[j] = (float)t->o.threshold;
		t->log_threshold[j] = logf(theta[j]);
	}
}

struct trainer *
trainer_new(struct sae *model, const struct train_opts *o, struct pool *pool, const struct simd *simd, struct err *e)
{
	struct trainer *t;
	struct layout l = {0};
	size_t bytes;

	if (check_opts(model, o, e))
		return NULL;
	t = calloc(1, sizeof *t);
	if (!t) {
		err_memory(e, "trainer", sizeof *t);
		return NULL;
	}
	t->model = model;
	t->o = *o;
	t->pool = pool;
	t->simd = simd;
	t->kernels = train_kernels_for(simd);
	t->chunk = model->d % 192 ? 128 : 192; /* both have kernels of their own */
	t->chunks = pieces(model->d, t->chunk);
	/* each stripe reads all of W_dec: as few as keep the threads busy */
	t->stripe = pool_threads(pool) <= 4 ? BLOCK : BLOCK / 4;
	set_levels(t);
	lay_out(t, &l);
	bytes = l.used;
	l = (struct layout){.base = l.overflow ? NULL : mem_alloc(bytes)};
	if (!l.base) {
		err_memory(e, "trainer", bytes);
		free(t);
		return NULL;
	}
	t->block = l.base;
	memset(t->block, 0, t->state_bytes); /* the rest is filled before it is read, as far as it is used */
	lay_out(t, &l);
	start_thresholds(t);
	return t;
}

void
trainer_free(struct trainer *t)
{
	if (!t)
		return;
	mem_free(t->block);
	free(t);
}

void
train_init(struct sae *s, uint64_t seed)
{
	struct rng r;
	double sum;
	float *row;
	size_t i, j;

	for (j = 0; j < s->m; j++) {
		rng_seed(&r, seed, j);
		row = s->W_dec + j * s->d;
		sum = 0;
		for (i = 0; i < s->d; i++) {
			row[i] = (float)(2 * rng_uniform(&r) - 1);
			sum += (double)row[i] * row[i];
		}
		for (i = 0; i < s->d; i++) {
			row[i] = sum > 0 ? (float)(row[i] * .1 / sqrt(sum)) : 0;
			s->W_enc[i * s->m + j] = row[i];
		}
	}
	memset(s->b_enc, 0, s->m * sizeof *s->b_enc);
	memset(s->b_dec, 0, s->d * sizeof *s->b_dec);
}

/* ---- where the time goes ---- */

const char *
train_phase_name(enum train_phase phase)
{
	static const char *const name[TRAIN_PHASES] = {
		"product", "ranking", "sums", "loss", "gradients", "update",
	};

	return phase < TRAIN_PHASES ? name[phase] : NULL;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What went by since *since was this phase's. */
static void
lap(struct train_result *out, enum train_phase phase, double *since)
{
	double t = now();

	out->seconds[phase] += t - *since;
	*since = t;
}

/* ---- one step ---- */

static void
centre_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	size_t d = t->model->d, r;
	double square;

	(void)thread;
	for (r = job * GROUP; r < least((job + 1) * GROUP, t->n); r++) {
		t->simd->shift_scale(t->xc + r * d, t->x + r * d, t->model->b_dec, 1, d);
		square = t->kernels->square_sum(t->x + r * d, d);
		t->row_norm[r] = sqrt(square);
		t->row_weight[r] = 2 / ((double)t->n * (t->o.loss == LOSS_NMSE ? square : (double)d));
	}
}

/* A tile of p = xc W_enc + b_enc. */
static void
product_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	size_t d = t->model->d, m = t->model->m, tiles = pieces(m, COLUMNS_A_PRODUCT), r;
	size_t row = job / tiles * ROWS_A_PRODUCT, rows = least(ROWS_A_PRODUCT, t->n - row);
	size_t col = job % tiles * COLUMNS_A_PRODUCT, cols = least(COLUMNS_A_PRODUCT, m - col);
	float *p = t->p + row * m + col;

	(void)thread;
	blas_gemm(rows, cols, d, t->xc + row * d, d, t->model->W_enc + col, m, p, m);
	for (r = 0; r < rows; r++)
		t->simd->add(p + r * m, t->model->b_enc + col, cols);
}

/* src [rows,d] into chunks of `of` rows. */
struct split {
	struct trainer *t;
	const float *src;
	float *dst;
	size_t rows, of;
};

static void
split_job(void *arg, size_t job, unsigned thread)
{
	struct split *s = arg;
	struct trainer *t = s->t;
	size_t r, c;

	(void)thread;
	for (r = job * GROUP; r < least((job + 1) * GROUP, s->rows); r++)
		for (c = 0; c < t->chunks; c++)
			memcpy(chunk_row(t, s->dst, s->of, c, r), s->src + r * t->model->d + c * t->chunk,
			       chunk_width(t, c) * sizeof *s->dst);
}

static void
split(struct trainer *t, const float *src, size_t rows, float *dst, size_t of)
{
	pool_run(t->pool, split_job, &(struct split){t, src, dst, rows, of}, pieces(rows, GROUP));
}

/* var(x - xhat) / var(x) of one row, err = xhat - x. */
static double
fvu(const float *x, const float *err, size_t d)
{
	double mx = 0, me = 0, vx = 0, ve = 0;
	size_t i;

	for (i = 0; i < d; i++) {
		mx += x[i] / (double)d;
		me += err[i] / (double)d;
	}
	for (i = 0; i < d; i++) {
		vx += (x[i] - mx) * (x[i] - mx);
		ve += (err[i] - me) * (err[i] - me);
	}
	return ve / vx;
}

/* Row r of the block: sums of levels become xhat_l - x. */
static void
errors_of_row(struct trainer *t, size_t r, double square[SAE_MAX_LEVELS])
{
	size_t c, l, i, width;
	const float *below;
	float *g;

	memset(square, 0, SAE_MAX_LEVELS * sizeof *square);
	for (c = 0; c < t->chunks; c++) {
		width = chunk_width(t, c);
		below = chunk_row(t, t->xb, BLOCK, c, r);
		for (l = 0; l < t->levels; l++) {
			g = level_row(t, c, l, r);
			for (i = 0; i < width; i++)
				g[i] = l ? g[i] + below[i] : g[i] - below[i];
			square[l] += t->kernels->square_sum(g, width);
			below = g;
		}
	}
}

/* Those become the gradients of xhat_l, and they the sums of the gradients of
 * levels l and up. */
static void
gradients_of_row(struct trainer *t, size_t r)
{
	size_t c, l, i, width;
	const float *above = NULL;
	float *g, weight;

	for (c = 0; c < t->chunks; c++) {
		width = chunk_width(t, c);
		for (l = t->levels; l-- > 0; above = g) {
			g = level_row(t, c, l, r);
			weight = (float)(t->row_weight[t->at + r] * t->share[l]);
			for (i = 0; i < width; i++)
				g[i] = l + 1 < t->levels ? weight * g[i] + above[i] : weight * g[i];
		}
	}
}

static void
loss_row(struct trainer *t, size_t r, float *error)
{
	double square[SAE_MAX_LEVELS], mean = t->row_weight[t->at + r] / 2 * (double)t->n;
	size_t d = t->model->d, c, l;

	errors_of_row(t, r, square);
	for (l = 0; l < t->levels; l++)
		t->row_loss[(t->at + r) * t->levels + l] = mean * square[l];
	for (c = 0; c < t->chunks; c++)
		memcpy(error + c * t->chunk, level_row(t, c, t->levels - 1, r), chunk_width(t, c) * sizeof *error);
	t->row_fvu[t->at + r] = fvu(t->x + (t->at + r) * d, error, d);
	gradients_of_row(t, r);
}

static void
loss_job(void *arg, size_t job, unsigned thread)
{
	struct trainer *t = arg;
	size_t r;

	for (r = job * 16; r < least((job + 1) * 16, t->rows); r++)
		loss_row(t, r, t->lists[thread].error);
}

static void
sum_up(const struct trainer *t, struct train_result *out)
{
	double n = (double)t->n;
	size_t r, l;

	for (r = 0; r < t->n; r++) {
		for (l = 0; l < t->levels; l++)
			out->level_loss[l] += t->row_loss[r * t->levels + l] / n;
		out->fvu += t->row_fvu[r] / n;
		out->l0 += (double)t->row_l0[r] / n;
		out->l1 += t->row_l1[r] / t->row_norm[r] / n;
	}
	for (l = 0; l < t->levels; l++)
		out->loss += t->share[l] * out->level_loss[l];
	out->loss += (t->o.l1 > 0 ? t->o.l1 * out->l1 : 0) + (t->o.l0 > 0 ? t->o.l0 * out->l0 : 0);
}

static void
begin(struct trainer *t)
{
	size_t d = t->model->d, m = t->model->m, j;

	memset(t->g_dec, 0, d * m * sizeof *t->g_dec);
	memset(t->g_enc, 0, d * m * sizeof *t->g_enc);
	memset(t->sum_b_enc, 0, m * sizeof *t->sum_b_enc);
	memset(t->sum_b_dec, 0, d * sizeof *t->sum_b_dec);
	memset(t->sum_threshold, 0, m * sizeof *t->sum_threshold);
	memset(t->fired, 0, m * sizeof *t->fired);
	for (j = 0; t->theta && j < m; j++) {
		t->theta[j] = expf(t->log_threshold[j]);
		t->lower[j] = t->theta[j] - (float)(t->o.bandwidth / 2);
		if (t->o.jump == JUMP_PUBLISHED && t->theta[j] < t->o.bandwidth / 2)
			t->lower[j] = -INFINITY; /* relu(p) is in the window for all p below */
	}
	pool_run(t->pool, centre_job, t, pieces(t->n, GROUP));
	split(t, t->model->W_dec, m, t->dec, m);
}

static void
finish(struct trainer *t)
{
	float *theta = t->model->threshold;
	double weight;
	size_t j;

	t->rows_seen += t->n;
	for (j = 0; j < t->model->m; j++) {
		t->active[j] += t->fired[j];
		if (t->fired[j])
			t->last_active[j] = t->rows_seen;
	}
	if (t->o.arch != ARCH_BATCHTOPK || !theta)
		return;
	/* the first step's codes are of another scale: rows were not yet unit */
	weight = t->steps < 3 ? 1 : fmax(1 / (double)(t->steps - 1), SMALLEST_WEIGHT);
	for (j = 0; j < t->model->m; j++)
		theta[j] += (float)(weight * (t->batch_cut - theta[j]));
}

/* Everything that takes one block of rows after another. */
static void
blocks(struct trainer *t, struct train_result *out, double *since)
{
	for (t->at = 0; t->at < t->n; t->at += BLOCK) {
		t->rows = least(BLOCK, t->n - t->at);
		split(t, t->xc + t->at * t->model->d, t->rows, t->xb, BLOCK);
		rank_block(t);
		lap(out, PHASE_RANKING, since);
		sum_levels(t);
		lap(out, PHASE_SUMS, since);
		pool_run(t->pool, loss_job, t, pieces(t->rows, 16));
		lap(out, PHASE_LOSS, since);
		gradients(t);
		lap(out, PHASE_GRADIENTS, since);
	}
}

int
trainer_step(struct trainer *t, const float *x, size_t n, double lr, struct train_result *out, struct err *e)
{
	struct train_result mine, *result = out ? out : &mine;
	double since = now();

	if (n < 1 || n > t->o.batch)
		return err_set(e, CODE_USAGE, "training: %zu rows in a step of 1 to %zu", n, t->o.batch);
	t->x = x;
	t->n = n;
	t->lr = lr;
	*result = (struct train_result){0};
	begin(t);
	pool_run(t->pool, product_job, t, pieces(n, ROWS_A_PRODUCT) * pieces(t->model->m, COLUMNS_A_PRODUCT));
	lap(result, PHASE_PRODUCT, &since);
	if (t->o.arch == ARCH_BATCHTOPK)
		rank_batch(t);
	blocks(t, result, &since);
	sum_up(t, result);
	if (!isfinite(result->loss))
		return err_set(e, CODE_DATA, "training: the loss is %g: rows that are not finite%s, or a rate too high",
		               result->loss, t->o.loss == LOSS_NMSE || t->o.l1 > 0 ? " or zero" : "");
	result->grad_norm = gradient_norm(t);
	if (!isfinite(result->grad_norm))
		return err_set(e, CODE_DATA, "training: the gradient's norm is %g: a smaller rate may help", result->grad_norm);
	t->steps++;
	update(t);
	finish(t);
	lap(result, PHASE_UPDATE, &since);
	return 0;
}

/* ---- what is inside ---- */

static const char *const names[3][P_COUNT] = {
	{"adam_m.W_enc", "adam_m.b_enc", "adam_m.W_dec", "adam_m.b_dec", "adam_m.log_threshold"},
	{"adam_v.W_enc", "adam_v.b_enc", "adam_v.W_dec", "adam_v.b_dec", "adam_v.log_threshold"},
	{"W_enc", "b_enc", "W_dec", "b_dec", "log_threshold"},
};

static size_t
add_tensors(const struct trainer *t, struct tensor *out, size_t n, const char *const name[P_COUNT],
            float *const data[P_COUNT])
{
	size_t d = t->model->d, m = t->model->m, i;
	const size_t shape[P_COUNT][2] = {{d, m}, {m, 1}, {m, d}, {d, 1}, {m, 1}};

	for (i = 0; i < P_COUNT; i++)
		if (i != P_LOG_THRESHOLD || t->theta)
			out[n++] = (struct tensor){name[i], DT_F4, shape[i][0], shape[i][1], data[i]};
	return n;
}

size_t
trainer_state(struct trainer *t, struct tensor out[TRAIN_MAX_TENSORS])
{
	size_t m = t->model->m, n = 0;

	out[n++] = (struct tensor){"steps", DT_U8, 1, 1, &t->steps};
	out[n++] = (struct tensor){"rows", DT_U8, 1, 1, &t->rows_seen};
	out[n++] = (struct tensor){"active", DT_U8, m, 1, t->active};
	out[n++] = (struct tensor){"last_active", DT_U8, m, 1, t->last_active};
	n = add_tensors(t, out, n, names[0], t->adam_m);
	n = add_tensors(t, out, n, names[1], t->adam_v);
	if (t->theta)
		out[n++] = (struct tensor){"log_threshold", DT_F4, m, 1, t->log_threshold};
	return n;
}

size_t
trainer_gradients(struct trainer *t, struct tensor out[TRAIN_MAX_TENSORS], double *clip)
{
	float *data[P_COUNT] = {t->g_enc, t->g_small[P_B_ENC], t->g_dec, t->g_small[P_B_DEC], t->g_small[P_LOG_THRESHOLD]};
	size_t n = add_tensors(t, out, 0, names[2], data);

	out[0].rows = t->model->m; /* transposed */
	out[0].cols = t->model->d;
	*clip = t->clip;
	return n;
}
