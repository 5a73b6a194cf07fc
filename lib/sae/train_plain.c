/* The training step as the paper and its code state it: every level has its
 * own codes, reconstruction and gradients, in double. Nothing is shared. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sae/train.h"

/* One forward pass and what comes back. */
struct pass {
	struct train_plain *t;
	const float *x;
	size_t n;
	double *p, *z, *dz, *dp;  /* [n,m] */
	double *xhat, *g;         /* [n,d] */
};

int
train_plain_init(struct train_plain *t, const struct sae *s, const struct train_opts *o, struct err *e)
{
	const float *from[P_COUNT] = {s->W_enc, s->b_enc, s->W_dec, s->b_dec, s->threshold};
	size_t total = 0, i, j;
	double *at;

	*t = (struct train_plain){.o = *o, .d = s->d, .m = s->m, .eps_norm = FLT_EPSILON};
	t->size[P_W_ENC] = t->size[P_W_DEC] = s->d * s->m;
	t->size[P_B_ENC] = s->m;
	t->size[P_B_DEC] = s->d;
	t->size[P_LOG_THRESHOLD] = o->arch == ARCH_JUMPRELU ? s->m : 0;
	for (i = 0; i < P_COUNT; i++)
		total += t->size[i];
	at = t->block = calloc(4 * total, sizeof *at);
	if (!at)
		return err_memory(e, "plain trainer", 4 * total * sizeof *at);
	for (i = 0; i < P_COUNT; i++) {
		t->param[i] = at;
		t->grad[i] = at + t->size[i];
		t->adam_m[i] = at + 2 * t->size[i];
		t->adam_v[i] = at + 3 * t->size[i];
		at += 4 * t->size[i];
		for (j = 0; j < t->size[i]; j++)
			t->param[i][j] = i == P_LOG_THRESHOLD ? log(from[i][j] > 0 ? from[i][j] : o->threshold) : from[i][j];
	}
	return 0;
}

void
train_plain_free(struct train_plain *t)
{
	free(t->block);
	*t = (struct train_plain){0};
}

/* ---- which codes a level keeps ---- */

/* Position of the largest positive of v[n] that is not taken; n for none. */
static size_t
largest(const double *v, const double *taken, size_t n)
{
	size_t best = n, i;

	for (i = 0; i < n; i++)
		if (v[i] > 0 && taken[i] == 0 && (best == n || v[i] > v[best]))
			best = i;
	return best;
}

/* z = the k largest positive of p, else 0. */
static void
keep(const double *p, double *z, size_t n, size_t k)
{
	size_t i, best;

	memset(z, 0, n * sizeof *z);
	for (i = 0; i < k && (best = largest(p, z, n)) < n; i++)
		z[best] = p[best];
}

/* z of one level, before the soft cap. */
static void
codes(struct pass *w, size_t k)
{
	const struct train_plain *t = w->t;
	size_t m = t->m, i;

	if (t->o.arch == ARCH_BATCHTOPK) {
		keep(w->p, w->z, w->n * m, k * w->n);
		return;
	}
	for (i = 0; t->o.arch != ARCH_JUMPRELU && i < w->n; i++)
		keep(w->p + i * m, w->z + i * m, m, k);
	for (i = 0; t->o.arch == ARCH_JUMPRELU && i < w->n * m; i++)
		w->z[i] = w->p[i] > exp(t->param[P_LOG_THRESHOLD][i % m]) ? w->p[i] : 0;
}

/* ---- forward ---- */

static void
encode_rows(struct pass *w)
{
	const struct train_plain *t = w->t;
	size_t b, i, j;
	double s;

	for (b = 0; b < w->n; b++)
		for (j = 0; j < t->m; j++) {
			s = t->param[P_B_ENC][j];
			for (i = 0; i < t->d; i++)
				s += (w->x[b * t->d + i] - t->param[P_B_DEC][i]) * t->param[P_W_ENC][i * t->m + j];
			w->p[b * t->m + j] = s;
		}
}

static void
decode_rows(struct pass *w)
{
	const struct train_plain *t = w->t;
	size_t b, i, j;
	double s;

	for (b = 0; b < w->n; b++)
		for (i = 0; i < t->d; i++) {
			s = t->param[P_B_DEC][i];
			for (j = 0; j < t->m; j++)
				s += w->z[b * t->m + j] * t->param[P_W_DEC][j * t->d + i];
			w->xhat[b * t->d + i] = s;
		}
}

static double
square(const float *x, size_t n)
{
	double s = 0;
	size_t i;

	for (i = 0; i < n; i++)
		s += (double)x[i] * x[i];
	return s;
}

/* l(xhat, x); g = weight times its gradient. */
static double
loss_rows(struct pass *w, double weight)
{
	const struct train_plain *t = w->t;
	double loss = 0, over, diff;
	size_t b, i;

	for (b = 0; b < w->n; b++) {
		over = (double)w->n * (t->o.loss == LOSS_NMSE ? square(w->x + b * t->d, t->d) : (double)t->d);
		for (i = b * t->d; i < (b + 1) * t->d; i++) {
			diff = w->xhat[i] - w->x[i];
			loss += diff * diff / over;
			w->g[i] = weight * 2 * diff / over;
		}
	}
	return loss;
}

static double
fvu_rows(const struct pass *w)
{
	size_t d = w->t->d, b, i;
	double sum = 0, me, mx, ve, vx, e;

	for (b = 0; b < w->n; b++) {
		me = mx = ve = vx = 0;
		for (i = b * d; i < (b + 1) * d; i++) {
			me += (w->x[i] - w->xhat[i]) / (double)d;
			mx += w->x[i] / (double)d;
		}
		for (i = b * d; i < (b + 1) * d; i++) {
			e = w->x[i] - w->xhat[i] - me;
			ve += e * e;
			vx += (w->x[i] - mx) * (w->x[i] - mx);
		}
		sum += ve / vx;
	}
	return sum / (double)w->n;
}

/* ---- backward, one level: g -> dz -> dp, and into the gradients ---- */

static double
penalty(const struct pass *w, size_t b)
{
	return w->t->o.l1 ? w->t->o.l1 / ((double)w->n * sqrt(square(w->x + b * w->t->d, w->t->d))) : 0;
}

static void
back_codes(struct pass *w, bool last)
{
	const struct train_plain *t = w->t;
	double cap = t->o.soft_cap, s, slope, z;
	size_t b, i, j;

	for (b = 0; b < w->n; b++)
		for (j = 0; j < t->m; j++) {
			z = w->z[b * t->m + j];
			s = last && z > 0 ? penalty(w, b) : 0;
			for (i = 0; i < t->d; i++)
				s += w->g[b * t->d + i] * t->param[P_W_DEC][j * t->d + i];
			slope = z > 0 ? (cap > 0 ? 1 - z / cap * (z / cap) : 1) : 0;
			w->dz[b * t->m + j] = s;
			w->dp[b * t->m + j] = s * slope;
		}
}

static void
back_parameters(struct pass *w)
{
	struct train_plain *t = w->t;
	size_t b, i, j;
	double g, dp, z, xc;

	for (b = 0; b < w->n; b++)
		for (j = 0; j < t->m; j++) {
			z = w->z[b * t->m + j];
			dp = w->dp[b * t->m + j];
			t->grad[P_B_ENC][j] += dp;
			for (i = 0; i < t->d; i++) {
				xc = w->x[b * t->d + i] - t->param[P_B_DEC][i];
				t->grad[P_W_DEC][j * t->d + i] += z * w->g[b * t->d + i];
				t->grad[P_W_ENC][i * t->m + j] += xc * dp;
				t->grad[P_B_DEC][i] -= dp * t->param[P_W_ENC][i * t->m + j];
			}
		}
	for (b = 0; b < w->n; b++)
		for (i = 0; i < t->d; i++) {
			g = w->g[b * t->d + i];
			t->grad[P_B_DEC][i] += g;
		}
}

static void
back_thresholds(struct pass *w)
{
	struct train_plain *t = w->t;
	bool exact = t->o.jump == JUMP_EXACT;
	double width = t->o.bandwidth, theta, factor, seen;
	size_t b, j, at;

	for (b = 0; b < w->n; b++)
		for (j = 0; j < t->m; j++) {
			at = b * t->m + j;
			theta = exp(t->param[P_LOG_THRESHOLD][j]);
			factor = exact ? theta : 1;
			seen = exact ? w->p[at] : fmax(w->p[at], 0);
			if (fabs(seen - theta) < width / 2)
				t->grad[P_LOG_THRESHOLD][j] -= factor * theta / width * w->dz[at];
			seen = exact ? w->p[at] : w->z[at];
			if (fabs(seen - theta) < width / 2)
				t->grad[P_LOG_THRESHOLD][j] -= factor / width * t->o.l0 / (double)w->n;
		}
}

static void
penalties(const struct pass *w, struct train_result *out)
{
	size_t b, j;
	double s;

	for (b = 0; b < w->n; b++) {
		s = 0;
		for (j = 0; j < w->t->m; j++) {
			s += w->z[b * w->t->m + j];
			out->l0 += (w->z[b * w->t->m + j] > 0) / (double)w->n;
		}
		out->l1 += s / sqrt(square(w->x + b * w->t->d, w->t->d)) / (double)w->n;
	}
	out->loss += (w->t->o.l1 ? w->t->o.l1 * out->l1 : 0) + w->t->o.l0 * out->l0;
}

static void
level(struct pass *w, size_t l, size_t levels, struct train_result *out)
{
	struct train_plain *t = w->t;
	bool msae = t->o.arch == ARCH_MSAE, last = l + 1 == levels;
	double sum = 0, weight;
	size_t i;

	for (i = 0; i < levels; i++)
		sum += msae ? t->o.weights[i] : 1;
	weight = msae ? t->o.weights[l] / sum : 1;
	codes(w, msae ? t->o.nesting[l] : t->o.arch == ARCH_RELU ? t->m : t->o.k);
	for (i = 0; t->o.soft_cap > 0 && i < w->n * t->m; i++)
		w->z[i] = t->o.soft_cap * tanh(w->z[i] / t->o.soft_cap);
	decode_rows(w);
	out->level_loss[l] = loss_rows(w, weight);
	out->loss += weight * out->level_loss[l];
	back_codes(w, last);
	back_parameters(w);
	if (t->size[P_LOG_THRESHOLD])
		back_thresholds(w);
	if (last) {
		out->fvu = fvu_rows(w);
		penalties(w, out);
	}
}

int
train_plain_gradients(struct train_plain *t, const float *x, size_t n, struct train_result *out, struct err *e)
{
	size_t nm = n * t->m, nd = n * t->d, levels = t->o.arch == ARCH_MSAE ? t->o.levels : 1, l;
	struct pass w = {.t = t, .x = x, .n = n};
	double *block = calloc(4 * nm + 2 * nd, sizeof *block);

	if (!block)
		return err_memory(e, "plain trainer", (4 * nm + 2 * nd) * sizeof *block);
	w.p = block;
	w.z = w.p + nm;
	w.dz = w.z + nm;
	w.dp = w.dz + nm;
	w.xhat = w.dp + nm;
	w.g = w.xhat + nd;
	*out = (struct train_result){0};
	for (l = 0; l < P_COUNT; l++)
		memset(t->grad[l], 0, t->size[l] * sizeof *t->grad[l]);
	encode_rows(&w);
	for (l = 0; l < levels; l++)
		level(&w, l, levels, out);
	free(block);
	return 0;
}

/* ---- the step ---- */

static void
to_unit_norm(struct train_plain *t)
{
	size_t i, j;
	double norm;

	for (j = 0; j < t->m; j++) {
		norm = 0;
		for (i = 0; i < t->d; i++)
			norm += t->param[P_W_DEC][j * t->d + i] * t->param[P_W_DEC][j * t->d + i];
		norm = sqrt(norm) + t->eps_norm;
		for (i = 0; i < t->d; i++) {
			t->param[P_W_DEC][j * t->d + i] /= norm;
			t->param[P_W_ENC][i * t->m + j] *= norm;
		}
		t->param[P_B_ENC][j] *= norm;
		if (t->size[P_LOG_THRESHOLD])
			t->param[P_LOG_THRESHOLD][j] += log(norm);
	}
}

static void
project(struct train_plain *t)
{
	double *g, *p, s;
	size_t i, j;

	for (j = 0; j < t->m; j++) {
		g = t->grad[P_W_DEC] + j * t->d;
		p = t->param[P_W_DEC] + j * t->d;
		s = 0;
		for (i = 0; i < t->d; i++)
			s += g[i] * p[i];
		for (i = 0; i < t->d; i++)
			g[i] -= s * p[i];
	}
}

static double
clip(struct train_plain *t)
{
	double norm = 0, factor;
	size_t i, j;

	for (i = 0; i < P_COUNT; i++)
		for (j = 0; j < t->size[i]; j++)
			norm += t->grad[i][j] * t->grad[i][j];
	norm = sqrt(norm);
	factor = t->o.clip > 0 ? fmin(1, t->o.clip / (norm + 1e-6)) : 1;
	for (i = 0; i < P_COUNT; i++)
		for (j = 0; j < t->size[i]; j++)
			t->grad[i][j] *= factor;
	return norm;
}

static void
adam(struct train_plain *t, double lr)
{
	double c1 = 1 - pow(t->o.beta1, (double)t->steps), c2 = 1 - pow(t->o.beta2, (double)t->steps), g, *m, *v;
	size_t i, j;

	for (i = 0; i < P_COUNT; i++)
		for (j = 0; j < t->size[i]; j++) {
			g = t->grad[i][j];
			m = t->adam_m[i] + j;
			v = t->adam_v[i] + j;
			*m = t->o.beta1 * *m + (1 - t->o.beta1) * g;
			*v = t->o.beta2 * *v + (1 - t->o.beta2) * g * g;
			t->param[i][j] -= lr / c1 * *m / (sqrt(*v) / sqrt(c2) + t->o.eps);
		}
}

int
train_step_plain(struct train_plain *t, const float *x, size_t n, double lr, struct train_result *out, struct err *e)
{
	if (train_plain_gradients(t, x, n, out, e))
		return e->code;
	to_unit_norm(t);
	project(t);
	out->grad_norm = clip(t);
	t->steps++;
	adam(t, lr);
	return 0;
}
