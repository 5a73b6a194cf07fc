/* The training step: against golden vectors of an independent implementation
 * (tests/golden/README.md; the directory is argv[1], else $GOLDEN, else
 * tests/golden), against the plain reference at awkward shapes, the reference
 * against finite differences, and the same bytes from every number of threads
 * and every instruction set. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "sae/train.h"
#include "tap.h"

/* Both sides are float32. Gradients are sums of some hundred products, each off
 * by 6e-8 of itself; the golden float32 run is itself up to 3e-7 of the largest
 * entry from its float64 twin, and 5e-7 after ten steps. 2e-6 of the largest
 * entry leaves a factor of four; a wrong formula is off by a thousand times
 * that. */
#define TOLERANCE 2e-6

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define POOLS 3
#define D 32   /* of the golden model */
#define M 256
#define SAVED 64 /* every fourth latent is in the golden files */

static const char *dir = "tests/golden";
static struct err err;
static struct pool *pools[POOLS];
static const struct simd *tables[3];
static size_t ntables;

static _Noreturn void
bail(const char *what)
{
	printf("Bail out! %s %s\n", what, err.text);
	exit(1);
}

static void *
need(size_t n)
{
	void *p = mem_alloc(n);

	if (!p)
		bail("out of memory");
	return memset(p, 0, n);
}

/* ---- golden vectors ---- */

/* rows x cols of "<f4" from dir/sub/name.npy. */
static float *
npy(const char *sub, const char *name, size_t count)
{
	unsigned char head[10];
	char path[1024], text[512];
	float *p = need(count * sizeof *p);
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s/%s.npy", dir, sub, name);
	f = fopen(path, "rb");
	if (!f || fread(head, 1, 10, f) != 10 || memcmp(head, "\223NUMPY\001", 7))
		bail(path);
	n = head[8] + 256u * head[9];
	if (n >= sizeof text || fread(text, 1, n, f) != n)
		bail(path);
	text[n] = 0;
	if (!strstr(text, "'<f4'") || strstr(text, "'fortran_order': True") ||
	    fread(p, sizeof *p, count, f) != count || fgetc(f) != EOF)
		bail(path);
	fclose(f);
	return p;
}

static void
load(float *to, const char *name, size_t n)
{
	float *p = npy("forward", name, n);

	memcpy(to, p, n * sizeof *p);
	mem_free(p);
}

static struct sae
golden_model(void)
{
	struct sae s;

	if (sae_init(&s, D, M, 1, &err))
		bail("model");
	load(s.W_enc, "encoder", D * M);
	load(s.b_enc, "latent_bias", M);
	load(s.W_dec, "decoder", D * M);
	load(s.b_dec, "pre_bias", D);
	return s;
}

struct golden_case {
	const char *name;
	enum sae_arch arch;
	bool reverse;
	enum train_loss loss;
	double lr, l1, l0, soft_cap;
	size_t k;
};

static const struct golden_case cases[] = {
	{"msae-uw-nmse", ARCH_MSAE, false, LOSS_NMSE, 1e-4, 0, 0, 0, 0},
	{"msae-rw-nmse", ARCH_MSAE, true, LOSS_NMSE, 1e-4, 0, 0, 0, 0},
	{"msae-rw-mse", ARCH_MSAE, true, LOSS_MSE, 1e-4, 0, 0, 0, 0},
	{"msae-rw-softcap", ARCH_MSAE, true, LOSS_NMSE, 1e-4, 0, 0, 1.5, 0},
	{"topk16-nmse", ARCH_TOPK, false, LOSS_NMSE, 5e-4, 0, 0, 0, 16},
	{"batchtopk8-nmse", ARCH_BATCHTOPK, false, LOSS_NMSE, 5e-4, 0, 0, 0, 8},
	{"relu-l1-nmse", ARCH_RELU, false, LOSS_NMSE, 5e-5, .03, 0, 0, 0},
	{"jumprelu-l0-nmse", ARCH_JUMPRELU, false, LOSS_NMSE, 5e-5, 0, .003, 0, 0},
};

static struct train_opts
golden_opts(const struct golden_case *c)
{
	static const size_t nesting[] = {8, 16, 32, 64, 128, 256};
	struct train_opts o;

	train_defaults(&o, c->arch, M);
	o.batch = 64;
	o.levels = COUNT(nesting);
	memcpy(o.nesting, nesting, sizeof nesting);
	train_weights(&o, c->reverse);
	o.loss = c->loss;
	o.l1 = c->l1;
	o.l0 = c->l0;
	o.soft_cap = c->soft_cap;
	if (c->k)
		o.k = c->k;
	o.threshold = .2;
	o.bandwidth = .3;
	o.jump = JUMP_PUBLISHED;
	return o;
}

/* What a golden file holds, from parameters or gradients in double: rows of
 * latents 0, 4, 8 ..., each W_enc's column, W_dec's row, b_enc, log threshold;
 * a row of sums over all latents; b_dec. */
struct table {
	double v[SAVED + 2][2 * D + 2];
};

struct view { /* W_enc[i*si + j*sj] */
	double (*at)(const void *p, size_t i);
	const void *p[P_COUNT];
	size_t si, sj;
};

static double
at_float(const void *p, size_t i)
{
	return ((const float *)p)[i];
}

static double
at_double(const void *p, size_t i)
{
	return ((const double *)p)[i];
}

static void
tabulate(struct table *t, const struct view *w, double factor)
{
	size_t i, j;
	double row[2 * D + 2];

	memset(t, 0, sizeof *t);
	for (j = 0; j < M; j++) {
		for (i = 0; i < D; i++) {
			row[i] = factor * w->at(w->p[P_W_ENC], i * w->si + j * w->sj);
			row[D + i] = factor * w->at(w->p[P_W_DEC], j * D + i);
		}
		row[2 * D] = factor * w->at(w->p[P_B_ENC], j);
		row[2 * D + 1] = w->p[P_LOG_THRESHOLD] ? factor * w->at(w->p[P_LOG_THRESHOLD], j) : 0;
		for (i = 0; i < COUNT(row); i++) {
			t->v[SAVED][i] += row[i];
			if (j % 4 == 0)
				t->v[j / 4][i] = row[i];
		}
	}
	for (i = 0; i < D; i++)
		t->v[SAVED + 1][i] = factor * w->at(w->p[P_B_DEC], i);
}

/* Largest difference over the largest entry, for each kind of parameter and
 * for the sums, of which a rounding of each of 256 terms is asked. */
static double
table_off(const struct table *t, const float *golden)
{
	const size_t cols = 2 * D + 2;
	double most[6] = {0}, off[6] = {0}, worst = 0;
	size_t r, c, kind;

	for (r = 0; r < SAVED + 2; r++)
		for (c = 0; c < cols; c++) {
			kind = r == SAVED + 1 ? 4 : r == SAVED ? 5 : c < D ? 0 : c < 2 * D ? 1 : c == 2 * D ? 2 : 3;
			most[kind] = fmax(most[kind], fabs(golden[r * cols + c]));
			off[kind] = fmax(off[kind], fabs(golden[r * cols + c] - t->v[r][c]));
		}
	for (kind = 0; kind < 6; kind++)
		if (most[kind] > 0)
			worst = fmax(worst, off[kind] / most[kind]);
	return worst;
}

static double
against(const char *name, const char *stage, const struct view *w, double factor)
{
	struct table t;
	char file[64];
	float *golden;
	double off;

	snprintf(file, sizeof file, "%s.%s", name, stage);
	golden = npy("train", file, sizeof t.v / sizeof(double));
	tabulate(&t, w, factor);
	off = table_off(&t, golden);
	mem_free(golden);
	return off;
}

/* Loss, sparsity term and gradient norm of ten steps. */
static void
golden_steps(const char *name, double want[10][3])
{
	char path[1024], line[256], is[64];
	double v[3];
	int step, n = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/train/steps.tsv", dir);
	f = fopen(path, "r");
	if (!f)
		bail(path);
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%63s %d %lf %lf %lf", is, &step, &v[0], &v[1], &v[2]) == 5 && !strcmp(is, name) &&
		    step >= 1 && step <= 10) {
			memcpy(want[step - 1], v, sizeof v);
			n++;
		}
	fclose(f);
	if (n != 10)
		bail(path);
}

static double
result_off(const struct train_opts *o, const struct train_result *r, const double want[3])
{
	double sparse = o->arch == ARCH_JUMPRELU ? r->l0 : r->l1;

	return fmax(fmax(fabs(r->loss / want[0] - 1), fabs(sparse / want[1] - 1)), fabs(r->grad_norm / want[2] - 1));
}

static struct view
trainer_view(struct trainer *t, const struct sae *s, bool gradients, double *clip)
{
	struct tensor out[TRAIN_MAX_TENSORS];
	struct view w = {at_float, {s->W_enc, s->b_enc, s->W_dec, s->b_dec, NULL}, s->m, 1};
	size_t n, i;

	if (gradients) {
		w.si = 1;
		w.sj = s->d;
		n = trainer_gradients(t, out, clip);
		for (i = 0; i < n; i++)
			w.p[i] = out[i].data;
		return w;
	}
	n = trainer_state(t, out);
	for (i = 0; i < n; i++)
		if (!strcmp(out[i].name, "log_threshold"))
			w.p[P_LOG_THRESHOLD] = out[i].data;
	return w;
}

static void
check_golden(const struct golden_case *c, const float *x)
{
	struct train_opts o = golden_opts(c);
	struct sae s = golden_model();
	struct trainer *t = trainer_new(&s, &o, pools[1], simd_for(NULL), &err);
	struct train_result r;
	struct view w;
	double want[10][3], off = 0, grad = 0, step1 = 0, clip;
	size_t i;

	if (!t)
		bail(c->name);
	golden_steps(c->name, want);
	for (i = 0; i < 10; i++) {
		if (trainer_step(t, x, 64, c->lr, &r, &err))
			bail(c->name);
		off = fmax(off, result_off(&o, &r, want[i]));
		if (i)
			continue;
		w = trainer_view(t, &s, true, &clip);
		grad = against(c->name, "grad", &w, clip);
		w = trainer_view(t, &s, false, NULL);
		step1 = against(c->name, "step1", &w, 1);
	}
	tap_ok(off < TOLERANCE, "%s: loss, sparsity and gradient norm of ten steps (off by %.1e)", c->name, off);
	tap_ok(grad < TOLERANCE, "%s: gradients (off by %.1e)", c->name, grad);
	tap_ok(step1 < TOLERANCE, "%s: parameters after a step (off by %.1e)", c->name, step1);
	w = trainer_view(t, &s, false, NULL);
	off = against(c->name, "step10", &w, 1);
	tap_ok(off < TOLERANCE, "%s: parameters after ten steps (off by %.1e)", c->name, off);
	trainer_free(t);
	sae_free(&s);
}

static void
check_golden_plain(const struct golden_case *c, const float *x)
{
	struct train_opts o = golden_opts(c);
	struct sae s = golden_model();
	struct train_plain t;
	struct train_result r;
	struct view w = {at_double, {0}, M, 1};
	double want[10][3], off = 0;
	size_t i;

	if (train_plain_init(&t, &s, &o, &err))
		bail(c->name);
	golden_steps(c->name, want);
	for (i = 0; i < 10; i++) {
		if (train_step_plain(&t, x, 64, c->lr, &r, &err))
			bail(c->name);
		off = fmax(off, result_off(&o, &r, want[i]));
		memcpy(w.p, i ? t.param : t.grad, sizeof w.p);
		if (!t.size[P_LOG_THRESHOLD])
			w.p[P_LOG_THRESHOLD] = NULL;
		if (!i)
			off = fmax(off, against(c->name, "grad", &w, 1));
	}
	off = fmax(off, against(c->name, "step10", &w, 1));
	tap_ok(off < TOLERANCE, "%s: the plain step (off by %.1e)", c->name, off);
	train_plain_free(&t);
	sae_free(&s);
}

/* ---- awkward shapes: fast against plain ---- */

struct shape {
	size_t n, d, m, k; /* k: of TopK; the middle level of MSAE */
	double bias;       /* of b_enc: far below 0, nothing is active */
};

static const struct shape shapes[] = {
	{1, 8, 16, 3, 0}, {1, 2, 1, 1, .5}, {3, 5, 7, 7, 0}, {70, 33, 65, 9, 0}, {130, 24, 200, 150, 0},
	{5, 17, 1100, 40, 0}, {9, 20, 70, 2, -100}, {64, 100, 130, 5, -1}, {520, 16, 70, 20, 0}, {6, 400, 600, 500, 0},
	{90, 192, 70, 30, 0},
};

static struct train_opts
shape_opts(enum sae_arch arch, const struct shape *s)
{
	struct train_opts o;

	train_defaults(&o, arch, s->m);
	o.batch = s->n + 2;
	o.k = s->k;
	o.levels = 0;
	if (s->k > 1)
		o.nesting[o.levels++] = 1;
	o.nesting[o.levels++] = s->k;
	if (s->m > s->k)
		o.nesting[o.levels++] = s->m;
	train_weights(&o, true);
	o.l1 = arch == ARCH_TOPK ? 0 : .02;
	o.l0 = arch == ARCH_JUMPRELU ? .01 : 0;
	o.soft_cap = arch == ARCH_JUMPRELU || s->d % 2 ? 0 : 2;
	o.loss = s->n % 2 ? LOSS_NMSE : LOSS_MSE;
	o.threshold = .1;
	o.bandwidth = s->k % 2 ? .15 : .3; /* the second reaches below 0 */
	o.jump = s->m % 4 ? JUMP_EXACT : JUMP_PUBLISHED;
	/* with a small eps Adam's first step is lr times the sign of the
	 * gradient, and of entries near 0 the sign is rounding */
	o.eps = 1e-2;
	return o;
}

static void
fill(struct rng *r, float *p, size_t n, double scale)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (float)(scale * rng_normal(r));
}

static struct sae
random_model(const struct shape *shape, struct rng *r)
{
	struct sae s;
	size_t j;

	if (sae_init(&s, shape->d, shape->m, 1, &err))
		bail("model");
	fill(r, s.W_enc, s.d * s.m, 1 / sqrt((double)s.d));
	fill(r, s.W_dec, s.d * s.m, 1 / sqrt((double)s.d));
	fill(r, s.b_enc, s.m, .2);
	fill(r, s.b_dec, s.d, .2);
	for (j = 0; j < s.m; j++)
		s.b_enc[j] += (float)shape->bias;
	return s;
}

/* Largest difference over the largest entry of any tensor of that kind. */
static double
floats_off(const double *plain, const float *fast, size_t d, size_t m, bool transposed)
{
	double most = 0, off = 0;
	size_t i, j, at;

	for (i = 0; i < d; i++)
		for (j = 0; j < m; j++) {
			at = transposed ? j * d + i : i * m + j;
			most = fmax(most, fabs(plain[i * m + j]));
			off = fmax(off, fabs(plain[i * m + j] - fast[at]));
		}
	return off <= 1e-9 ? 0 : off / most;
}

static double
views_off(const struct train_plain *t, double *const plain[P_COUNT], const struct view *w)
{
	double off = 0;
	size_t i;

	for (i = 0; i < P_COUNT; i++)
		if (t->size[i])
			off = fmax(off, i == P_W_ENC ? floats_off(plain[i], w->p[i], t->d, t->m, w->si == 1)
			                             : floats_off(plain[i], w->p[i], 1, t->size[i], false));
	return off;
}

static double
results_off(const struct train_result *a, const struct train_result *b, size_t levels)
{
	double off = fmax(fabs(a->loss - b->loss) / b->loss, fabs(a->l1 - b->l1) / (b->l1 + 1e-9));
	size_t l;

	off = fmax(off, fabs(a->l0 - b->l0));
	if (isfinite(b->fvu))
		off = fmax(off, fabs(a->fvu / b->fvu - 1));
	off = fmax(off, fabs(a->grad_norm - b->grad_norm) / (b->grad_norm + 1e-6));
	for (l = 0; l < levels; l++)
		off = fmax(off, fabs(a->level_loss[l] / b->level_loss[l] - 1));
	return off;
}

static double
shape_off(enum sae_arch arch, const struct shape *shape, uint64_t seed)
{
	struct train_opts o = shape_opts(arch, shape);
	struct train_plain plain;
	struct train_result a, b;
	struct trainer *t;
	struct rng r;
	struct sae s;
	struct view w;
	float *x = need(shape->n * shape->d * sizeof *x);
	double off = 0, clip;
	size_t step, i, j;

	rng_seed(&r, seed, (uint64_t)arch);
	s = random_model(shape, &r);
	if (train_plain_init(&plain, &s, &o, &err) ||
	    !(t = trainer_new(&s, &o, pools[seed % POOLS], tables[seed % ntables], &err)))
		bail("trainer");
	for (step = 0; step < 3; step++) {
		fill(&r, x, shape->n * shape->d, 1);
		if (trainer_step(t, x, shape->n, 1e-3, &a, &err) || train_step_plain(&plain, x, shape->n, 1e-3, &b, &err))
			bail("step");
		off = fmax(off, results_off(&a, &b, arch == ARCH_MSAE ? o.levels : 1));
		w = trainer_view(t, &s, true, &clip);
		for (i = 0; i < P_COUNT; i++) /* Adam's, clipped; the trainer's are not */
			for (j = 0; j < plain.size[i]; j++)
				plain.grad[i][j] /= clip;
		off = fmax(off, views_off(&plain, plain.grad, &w));
		w = trainer_view(t, &s, false, NULL);
		off = fmax(off, views_off(&plain, plain.param, &w));
	}
	trainer_free(t);
	train_plain_free(&plain);
	sae_free(&s);
	mem_free(x);
	return off;
}

static void
check_shapes(enum sae_arch arch)
{
	double off = 0, here;
	size_t i, worst = 0;

	for (i = 0; i < COUNT(shapes); i++) {
		here = shape_off(arch, &shapes[i], i);
		if (!(here <= off)) {
			off = here;
			worst = i;
		}
	}
	/* three steps from random parameters, sums of up to 1100 terms */
	tap_ok(off < 2 * TOLERANCE, "%s: fast against plain, %zu shapes, three steps (off by %.1e at shape %zu)",
	       sae_arch_name(arch), COUNT(shapes), off, worst);
}

/* Whole numbers: ties at every place. Fast and plain must keep the same. */
static void
check_ties(enum sae_arch arch)
{
	struct shape shape = {12, 4, 40, 6, 0};
	struct train_opts o = shape_opts(arch, &shape);
	struct train_plain plain;
	struct train_result a, b;
	struct trainer *t;
	struct rng r;
	struct sae s;
	float x[12 * 4];
	double clip, off;
	struct view w;
	size_t i;

	o.soft_cap = 0;
	rng_seed(&r, 5, 5);
	s = random_model(&shape, &r);
	memset(s.b_enc, 0, s.m * sizeof *s.b_enc);
	memset(s.b_dec, 0, s.d * sizeof *s.b_dec);
	for (i = 0; i < s.d * s.m; i++)
		s.W_enc[i] = (float)rng_below(&r, 3) - 1;
	for (i = 0; i < COUNT(x); i++)
		x[i] = (float)rng_below(&r, 3) - (i % 4 != 0);
	for (i = 0; i < 12; i++)
		x[i * 4] += 1; /* no row of zeros */
	if (train_plain_init(&plain, &s, &o, &err) || !(t = trainer_new(&s, &o, pools[1], tables[0], &err)))
		bail("trainer");
	if (trainer_step(t, x, 12, 1e-3, &a, &err) || train_step_plain(&plain, x, 12, 1e-3, &b, &err))
		bail("step");
	w = trainer_view(t, &s, false, &clip);
	off = fmax(views_off(&plain, plain.param, &w), results_off(&a, &b, arch == ARCH_MSAE ? o.levels : 1));
	tap_ok(off < TOLERANCE, "%s: ties go to the earliest (off by %.1e)", sae_arch_name(arch), off);
	trainer_free(t);
	train_plain_free(&plain);
	sae_free(&s);
}

/* ---- the reference against finite differences of its loss ---- */

static double
slope(struct train_plain *t, double *at, const float *x, size_t n)
{
	struct train_result up, down;
	double was = *at, h = 1e-6;

	*at = was + h;
	if (train_plain_gradients(t, x, n, &up, &err))
		bail("plain");
	*at = was - h;
	if (train_plain_gradients(t, x, n, &down, &err))
		bail("plain");
	*at = was;
	return (up.loss - down.loss) / (2 * h);
}

static void
check_differences(enum sae_arch arch, enum train_loss loss, double soft_cap)
{
	const struct shape shape = {4, 6, 20, 5, .3};
	struct train_opts o = shape_opts(arch, &shape);
	struct train_plain t;
	struct train_result out;
	struct rng r;
	struct sae s;
	float x[4 * 6];
	double *grad, off = 0, most = 0;
	size_t i, j;

	o.loss = loss;
	o.soft_cap = soft_cap;
	rng_seed(&r, 77, (uint64_t)arch);
	s = random_model(&shape, &r);
	fill(&r, x, COUNT(x), 1);
	if (train_plain_init(&t, &s, &o, &err))
		bail("plain");
	/* a threshold's gradient is a smoothed one: not the slope of the loss */
	for (i = 0; i < P_LOG_THRESHOLD; i++) {
		grad = need(t.size[i] * sizeof *grad);
		if (train_plain_gradients(&t, x, shape.n, &out, &err))
			bail("plain");
		memcpy(grad, t.grad[i], t.size[i] * sizeof *grad);
		for (j = 0; j < t.size[i]; j++) {
			off = fmax(off, fabs(grad[j] - slope(&t, &t.param[i][j], x, shape.n)));
			most = fmax(most, fabs(grad[j]));
		}
		mem_free(grad);
	}
	tap_ok(off < 1e-6 * most, "%s: gradients are slopes of the loss, %s%s (off by %.1e)", sae_arch_name(arch),
	       loss == LOSS_MSE ? "mse" : "nmse", soft_cap > 0 ? ", soft cap" : "", off / most);
	train_plain_free(&t);
	sae_free(&s);
}

/* The exact rule's threshold gradient against the slope of the loss: one input,
 * one latent, rows spread evenly, so that the loss is smooth in the threshold.
 * The loss is a parabola in z, so dz halfway between on and off, which is what
 * the window averages, times the jump is its change: exact as the window
 * narrows, here to 1 %. */
static void
check_threshold(void)
{
	enum { N = 40000 };
	struct train_opts o;
	struct train_plain t;
	struct train_result up, down, mid;
	struct sae s;
	float *x = need(N * sizeof *x);
	double h = .01, grad, want;
	size_t i;

	if (sae_init(&s, 1, 1, 1, &err))
		bail("model");
	s.W_enc[0] = 1;
	s.W_dec[0] = .7f;
	s.threshold[0] = 1;
	for (i = 0; i < N; i++)
		x[i] = (float)(.5 + (i + .5) / N);
	train_defaults(&o, ARCH_JUMPRELU, 1);
	o.loss = LOSS_MSE;
	o.l0 = .3;
	o.bandwidth = .02;
	if (train_plain_init(&t, &s, &o, &err) || train_plain_gradients(&t, x, N, &mid, &err))
		bail("plain");
	grad = t.grad[P_LOG_THRESHOLD][0];
	t.param[P_LOG_THRESHOLD][0] = h;
	train_plain_gradients(&t, x, N, &up, &err);
	t.param[P_LOG_THRESHOLD][0] = -h;
	train_plain_gradients(&t, x, N, &down, &err);
	want = (up.loss - down.loss) / (2 * h);
	tap_ok(fabs(grad - want) < .01 * want, "jumprelu: the exact rule is the slope of the loss (%.3f, %.3f)", grad, want);
	train_plain_free(&t);
	sae_free(&s);
	mem_free(x);
}

/* ---- the same bytes ---- */

static uint64_t
hash(uint64_t h, const void *p, size_t n)
{
	const unsigned char *c = p;

	while (n--)
		h = (h ^ *c++) * 0x100000001b3u;
	return h;
}

static uint64_t
hash_model(uint64_t h, const struct sae *s)
{
	h = hash(h, s->W_enc, s->d * s->m * sizeof(float));
	h = hash(h, s->W_dec, s->d * s->m * sizeof(float));
	h = hash(h, s->b_enc, s->m * sizeof(float));
	h = hash(h, s->b_dec, s->d * sizeof(float));
	return hash(h, s->threshold, s->m * sizeof(float));
}

static uint64_t
shape_fingerprint(enum sae_arch arch, const struct shape *shape, struct pool *pool, const struct simd *simd)
{
	struct train_opts o = shape_opts(arch, shape);
	struct train_result out;
	struct trainer *t;
	struct rng r;
	struct sae s;
	float *x = need(shape->n * shape->d * sizeof *x);
	uint64_t h = 0xcbf29ce484222325u;
	size_t i;

	rng_seed(&r, 11, (uint64_t)arch);
	s = random_model(shape, &r);
	fill(&r, x, shape->n * shape->d, 1);
	if (!(t = trainer_new(&s, &o, pool, simd, &err)))
		bail("trainer");
	for (i = 0; i < 3; i++) {
		if (trainer_step(t, x, shape->n, 1e-3, &out, &err))
			bail("step");
		memset(out.seconds, 0, sizeof out.seconds);
		h = hash(h, &out, sizeof out);
	}
	h = hash_model(h, &s);
	trainer_free(t);
	sae_free(&s);
	mem_free(x);
	return h;
}

/* Widths with kernels of their own, and others. */
static uint64_t
fingerprint(enum sae_arch arch, struct pool *pool, const struct simd *simd)
{
	static const struct shape some[] = {{600, 40, 700, 90, 0}, {70, 192, 300, 40, 0}, {40, 300, 150, 40, 0}};
	uint64_t h = 0;
	size_t i;

	for (i = 0; i < COUNT(some); i++)
		h = h * 31 + shape_fingerprint(arch, &some[i], pool, simd);
	return h;
}

static void
check_same_bytes(enum sae_arch arch)
{
	uint64_t first = fingerprint(arch, pools[0], tables[0]);
	size_t i;
	int threads = 1, sets = 1;

	for (i = 1; i < POOLS; i++)
		threads &= fingerprint(arch, pools[i], tables[0]) == first;
	for (i = 1; i < ntables; i++)
		sets &= fingerprint(arch, pools[i % POOLS], tables[i]) == first;
	tap_ok(threads, "%s: the same bytes from 1, 2 and 3 threads", sae_arch_name(arch));
	tap_ok(sets, "%s: the same bytes from %zu instruction sets", sae_arch_name(arch), ntables);
}

/* ---- errors, checkpoints, the start ---- */

static void
check_refused(const char *what, float bad, size_t at, enum train_loss loss)
{
	const struct shape shape = {6, 10, 30, 4, 0};
	struct train_opts o = shape_opts(ARCH_MSAE, &shape);
	struct trainer *t;
	struct rng r;
	struct sae s;
	float x[60];
	uint64_t before;
	size_t i;
	int rc;

	o.loss = loss;
	o.soft_cap = 0;
	rng_seed(&r, 3, 3);
	s = random_model(&shape, &r);
	fill(&r, x, 60, 1);
	if (!(t = trainer_new(&s, &o, pools[1], tables[0], &err)))
		bail("trainer");
	before = hash_model(1, &s);
	if (at < 60)
		x[at] = bad;
	else
		for (i = 0; i < 10; i++)
			x[20 + i] = bad;
	rc = trainer_step(t, x, 6, 1e-3, NULL, &err);
	tap_ok(rc == CODE_DATA && hash_model(1, &s) == before, "%s: refused, the model untouched", what);
	fill(&r, x, 60, 1);
	tap_ok(!trainer_step(t, x, 6, 1e-3, NULL, &err), "%s: and training goes on", what);
	trainer_free(t);
	sae_free(&s);
}

static void
save(struct trainer *from, struct trainer *to)
{
	struct tensor a[TRAIN_MAX_TENSORS], b[TRAIN_MAX_TENSORS];
	size_t n = trainer_state(from, a), i;

	if (n != trainer_state(to, b))
		bail("another number of tensors");
	for (i = 0; i < n; i++)
		memcpy(b[i].data, a[i].data, a[i].rows * a[i].cols * dtype_size(a[i].dtype));
}

static void
copy_model(struct sae *to, const struct sae *from)
{
	memcpy(to->W_enc, from->W_enc, from->d * from->m * sizeof(float));
	memcpy(to->W_dec, from->W_dec, from->d * from->m * sizeof(float));
	memcpy(to->b_enc, from->b_enc, from->m * sizeof(float));
	memcpy(to->b_dec, from->b_dec, from->d * sizeof(float));
	memcpy(to->threshold, from->threshold, from->m * sizeof(float));
}

/* Two steps, a checkpoint into another trainer, and one step of both. */
static void
check_resumes(enum sae_arch arch)
{
	const struct shape shape = {20, 12, 50, 6, 0};
	struct train_opts o = shape_opts(arch, &shape);
	struct trainer *t, *u;
	struct rng r;
	struct sae s, copy;
	float *x = need(20 * 12 * sizeof *x);

	rng_seed(&r, 9, 9);
	s = random_model(&shape, &r);
	copy = random_model(&shape, &r);
	fill(&r, x, 20 * 12, 1);
	if (!(t = trainer_new(&s, &o, pools[0], tables[0], &err)) || !(u = trainer_new(&copy, &o, pools[1], tables[0], &err)))
		bail("trainer");
	if (trainer_step(t, x, 20, 1e-2, NULL, &err) || trainer_step(t, x, 20, 1e-2, NULL, &err))
		bail("step");
	copy_model(&copy, &s);
	save(t, u);
	if (trainer_step(t, x, 20, 1e-2, NULL, &err) || trainer_step(u, x, 20, 1e-2, NULL, &err))
		bail("step");
	tap_ok(hash_model(1, &s) == hash_model(1, &copy), "%s: a checkpoint resumes to the same bytes", sae_arch_name(arch));
	trainer_free(t);
	trainer_free(u);
	sae_free(&s);
	sae_free(&copy);
	mem_free(x);
}

static void
check_activity(void)
{
	const struct shape shape = {20, 12, 50, 6, 0};
	struct train_opts o = shape_opts(ARCH_TOPK, &shape);
	struct tensor state[TRAIN_MAX_TENSORS];
	const uint64_t *active, *last;
	struct train_result out;
	struct trainer *t;
	struct rng r;
	struct sae s;
	float *x = need(20 * 12 * sizeof *x);
	uint64_t sum = 0;
	size_t j;
	int sound = 1;

	rng_seed(&r, 4, 9);
	s = random_model(&shape, &r);
	s.b_enc[7] = -1e3f;
	fill(&r, x, 20 * 12, 1);
	if (!(t = trainer_new(&s, &o, pools[0], tables[0], &err)) || trainer_step(t, x, 20, 1e-3, &out, &err) ||
	    trainer_step(t, x, 10, 1e-3, &out, &err))
		bail("step");
	trainer_state(t, state);
	active = state[2].data;
	last = state[3].data;
	for (j = 0; j < s.m; j++) {
		sum += active[j];
		sound &= active[j] ? last[j] == 20 || last[j] == 30 : !last[j];
	}
	tap_ok(sum == 6 * 30 && sound && !active[7] && *(uint64_t *)state[1].data == 30 && *(uint64_t *)state[0].data == 2,
	       "activity: counts, last rows, steps");
	trainer_free(t);
	sae_free(&s);
	mem_free(x);
}

static void
check_opts(void)
{
	struct sae s;
	struct train_opts good, o;
	size_t i, refused = 0;

	if (sae_init(&s, 4, 9, 0, &err))
		bail("model");
	train_defaults(&good, ARCH_MSAE, 9);
	for (i = 0; i < 9; i++) {
		o = good;
		switch (i) {
		case 0: o.levels = 0; break;
		case 1: o.nesting[0] = 10; break;
		case 2: o.weights[0] = 0; break;
		case 3: o.arch = ARCH_TOPK; o.k = 0; break;
		case 4: o.arch = ARCH_BATCHTOPK; o.k = 10; break;
		case 5: o.arch = ARCH_JUMPRELU; break; /* no thresholds */
		case 6: o.l0 = 1; break;
		case 7: o.batch = 0; break;
		case 8: o.beta2 = 1; break;
		}
		refused += !trainer_new(&s, &o, pools[0], tables[0], &err) && err.code == CODE_USAGE;
	}
	tap_ok(refused == 9, "options that make no sense are refused (%zu of 9)", refused);
	o = good;
	o.batch = SIZE_MAX / 4;
	tap_ok(!trainer_new(&s, &o, pools[0], tables[0], &err) && err.code == CODE_TRYAGAIN, "a batch beyond memory is refused");
	sae_free(&s);
	train_defaults(&o, ARCH_MSAE, 6144);
	tap_ok(o.levels == 8 && o.nesting[6] == 4096 && o.nesting[7] == 6144, "nesting of 6144 latents: 64 128 ... 4096 6144");
}

/* Every phase has a name, and a step took time. */
static void
check_phases(void)
{
	const struct shape shape = {20, 12, 50, 6, 0};
	struct train_opts o = shape_opts(ARCH_MSAE, &shape);
	struct train_result out;
	struct trainer *t;
	struct rng r;
	struct sae s;
	float *x = need(20 * 12 * sizeof *x);
	double sum = 0;
	int i, sound = 1;

	rng_seed(&r, 6, 9);
	s = random_model(&shape, &r);
	fill(&r, x, 20 * 12, 1);
	if (!(t = trainer_new(&s, &o, pools[1], tables[0], &err)) || trainer_step(t, x, 20, 1e-3, &out, &err))
		bail("step");
	for (i = 0; i < TRAIN_PHASES; i++) {
		sound &= train_phase_name((enum train_phase)i) != NULL && out.seconds[i] >= 0;
		sum += out.seconds[i];
	}
	tap_ok(sound && sum > 0 && !train_phase_name(TRAIN_PHASES), "phases: named and timed");
	trainer_free(t);
	sae_free(&s);
	mem_free(x);
}

static void
check_init(void)
{
	struct sae s;
	double norm, off = 0;
	size_t i, j;
	int tied = 1;

	if (sae_init(&s, 10, 30, 0, &err))
		bail("model");
	train_init(&s, 42);
	for (j = 0; j < s.m; j++) {
		for (norm = 0, i = 0; i < s.d; i++) {
			norm += pow(s.W_dec[j * s.d + i], 2);
			tied &= s.W_dec[j * s.d + i] == s.W_enc[i * s.m + j];
		}
		off = fmax(off, fabs(sqrt(norm) - .1));
	}
	tap_ok(off < 1e-7 && tied && s.b_enc[3] == 0 && s.b_dec[3] == 0, "the start: rows of norm 0.1, encoder their transpose");
	sae_free(&s);
}

/* BATCHTOPK takes a look at every sixteenth row before it counts: here they are
 * a hundred times as large as the others. */
static void
check_sample(void)
{
	const struct shape shape = {40, 12, 50, 6, 0};
	struct train_opts o = shape_opts(ARCH_BATCHTOPK, &shape);
	struct train_plain plain;
	struct train_result a, b;
	struct trainer *t;
	struct rng r;
	struct sae s;
	float *x = need(40 * 12 * sizeof *x);
	double off;
	size_t i;

	o.soft_cap = 0;
	rng_seed(&r, 2, 8);
	s = random_model(&shape, &r);
	fill(&r, x, 40 * 12, .01);
	for (i = 0; i < 40; i += 16)
		fill(&r, x + i * 12, 12, 1);
	if (train_plain_init(&plain, &s, &o, &err) || !(t = trainer_new(&s, &o, pools[1], tables[0], &err)))
		bail("trainer");
	if (trainer_step(t, x, 40, 1e-3, &a, &err) || train_step_plain(&plain, x, 40, 1e-3, &b, &err))
		bail("step");
	off = results_off(&a, &b, 1);
	tap_ok(off < 2 * TOLERANCE && a.l0 > 5.9, "batchtopk: rows that are not like the others (off by %.1e)", off);
	trainer_free(t);
	train_plain_free(&plain);
	sae_free(&s);
	mem_free(x);
}

/* The threshold of BATCHTOPK keeps about k codes a row without a batch. */
static void
check_batch_threshold(void)
{
	const struct shape shape = {200, 16, 64, 4, 0};
	struct train_opts o = shape_opts(ARCH_BATCHTOPK, &shape);
	struct trainer *t;
	struct rng r;
	struct sae s;
	float *x = need(200 * 16 * sizeof *x);
	double p, above = 0;
	size_t step, b, i, j;

	o.soft_cap = 0;
	rng_seed(&r, 8, 8);
	s = random_model(&shape, &r);
	if (!(t = trainer_new(&s, &o, pools[0], tables[0], &err)))
		bail("trainer");
	for (step = 0; step < 40; step++) {
		fill(&r, x, 200 * 16, 1);
		if (trainer_step(t, x, 200, 1e-3, NULL, &err))
			bail("step");
	}
	for (b = 0; b < 200; b++)
		for (j = 0; j < s.m; j++) {
			for (p = s.b_enc[j], i = 0; i < s.d; i++)
				p += (x[b * s.d + i] - s.b_dec[i]) * s.W_enc[i * s.m + j];
			above += p > s.threshold[j];
		}
	tap_ok(fabs(above / 200 - 4) < .4, "batchtopk: the learned threshold keeps %.2f codes a row of 4", above / 200);
	trainer_free(t);
	sae_free(&s);
	mem_free(x);
}

int
main(int argc, char **argv)
{
	static const char *const sets[] = {"plain", "avx2", "avx512"};
	float *x;
	size_t i;

	if (argc > 1)
		dir = argv[1];
	else if (getenv("GOLDEN"))
		dir = getenv("GOLDEN");
	for (i = 0; i < COUNT(sets); i++)
		if (simd_for(sets[i]))
			tables[ntables++] = simd_for(sets[i]);
	for (i = 0; i < POOLS; i++)
		if (!(pools[i] = pool_new((unsigned)i + 1, &err)))
			bail("threads");
	x = npy("forward", "x", 64 * D);
	for (i = 0; i < COUNT(cases); i++) {
		check_golden(&cases[i], x);
		check_golden_plain(&cases[i], x);
	}
	for (i = 0; i < 5; i++) {
		check_shapes((enum sae_arch)i);
		check_same_bytes((enum sae_arch)i);
		check_resumes((enum sae_arch)i);
		check_differences((enum sae_arch)i, i % 2 ? LOSS_NMSE : LOSS_MSE, 0);
	}
	for (i = ARCH_MSAE; i <= ARCH_BATCHTOPK; i++)
		check_ties((enum sae_arch)i);
	check_differences(ARCH_MSAE, LOSS_NMSE, 1.3);
	check_threshold();
	check_refused("NaN in a row", NAN, 17, LOSS_NMSE);
	check_refused("infinity in a row", INFINITY, 17, LOSS_MSE);
	check_refused("a row too large to square", 1e30f, 17, LOSS_MSE);
	check_refused("a row of zeros under nmse", 0, 60, LOSS_NMSE);
	check_activity();
	check_opts();
	check_phases();
	check_init();
	check_sample();
	check_batch_threshold();
	mem_free(x);
	for (i = 0; i < POOLS; i++)
		pool_free(pools[i]);
	return tap_done();
}
