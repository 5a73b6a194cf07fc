#include "jobs/probefit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"
#include "sae/logistic.h"
#include "sae/norm.h"
#include "sae/probe.h"

#define MAX_LABELS ((size_t)1 << 20) /* different ones, before the small classes go */
#define SET_ASIDE .2    /* of the rows that train, to choose l2 by */
#define NO_CLASS UINT32_MAX
#define HISTORY 10
#define BLOCK 256       /* rows of one product */
#define GROUP 16        /* blocks whose gradients are added together, in order */
#define STRIPE 4096     /* numbers of a gradient one job adds */
#define ROUGH 100       /* how much less exact fits are that only choose */
#define UNCHOSEN .01    /* l2 where no row can be set aside */
#define STILL 1e-6      /* a column that varies less, as a share of its mean, does so by rounding */

/* What a row is for, and its label, in one float (exact: labels < 2^20). */
enum part { TRAINS, SET_ASIDE_PART, HELD_OUT, PARTS };

static float
mark(size_t label, enum part part)
{
	return (float)(label * PARTS + part);
}

/* ---- rows on their way in ---- */

/* True for one of every 1/share rows of a class, the seed says which; never for
 * the first, so that each class trains. k: which row of its class. */
static bool
drawn(double share, uint64_t k, uint64_t seed, uint64_t which, size_t label)
{
	double group, first, last;
	struct rng r;

	if (!k || !(share > 0))
		return false;
	k--;
	group = floor((double)k * share);
	first = ceil(group / share);
	last = ceil((group + 1) / share); /* rows first..last-1 are those of the group */
	rng_seed(&r, seed, (uint64_t)group * MAX_LABELS * 2 + label * 2 + which);
	return (double)k == first + (double)rng_below(&r, (uint64_t)(last - first));
}

static enum part
part_of(const struct probefit *f, const struct strcount_entry *label)
{
	uint64_t k = label->n - 1;

	if (drawn(f->o.held_out, k, f->o.seed, 0, label->id))
		return HELD_OUT;
	return isnan(f->o.l2) && drawn(SET_ASIDE, k, f->o.seed, 1, label->id) ? SET_ASIDE_PART : TRAINS;
}

int
probefit_rows(struct probefit *f, const float *x, const char *const *labels, uint64_t first, size_t n, size_t d, struct err *e)
{
	struct strcount_entry *label;
	size_t i, held = 0;
	float norm, *row;

	if (!f->d) {
		f->labels.max = MAX_LABELS;
		f->d = d;
		if (rowstore_spool(&f->store, d + 1, e))
			return e->code;
	}
	if (mat_resize(&f->block, n, d + 1, "rows", e))
		return e->code;
	for (i = 0; i < n; i++, x += d) {
		if (!*labels[i] || (f->o.ignore && !strcmp(labels[i], f->o.ignore))) {
			f->ignored++;
			continue;
		}
		if (strcount_entry(&f->labels, labels[i], strlen(labels[i]), &label, e))
			return e->code;
		if (!label)
			return err_set(e, CODE_DATA, "more than %zu different labels: are they classes?", MAX_LABELS);
		row = f->block.data + held++ * (d + 1);
		norm_l2(row, x, 1, d, &norm);
		if (!(norm > 0))
			return err_set(e, CODE_DATA, "row %llu is all zeros: it has no direction; leave such rows out", (unsigned long long)(first + i));
		row[d] = mark(label->id, part_of(f, label));
	}
	return rowstore_add(&f->store, f->block.data, held, e);
}

/* ---- passes over the rows ---- */

/* Scratch of the blocks of one group. */
struct probefit_work {
	struct probefit *f;
	unsigned parts;        /* which parts take part: a bit each */
	uint64_t first;        /* row of the store where the group begins */
	float *rows, *x;       /* [GROUP BLOCK,d+1] as they lie; [GROUP BLOCK,d] those that take part */
	uint32_t *y;           /* [GROUP BLOCK] */
	float *logits;         /* [threads,BLOCK,classes] */
	float *theta;          /* [(d+1) classes] what is evaluated */
	float *gradients;      /* [GROUP,(d+1) classes] */
	double *gradient;      /* [(d+1) classes] the sum; NULL: not wanted */
	size_t n[GROUP], blocks;
	double loss[GROUP];
};

/* How many rows the group that begins at w->first has. */
static size_t
group_rows(const struct probefit_work *w)
{
	uint64_t left = w->f->store.rows - w->first;

	return left < GROUP * BLOCK ? (size_t)left : GROUP * BLOCK;
}

/* Those rows of a block that take part, standardised. */
static void
pick_rows(struct probefit_work *w, size_t block)
{
	const struct probefit *f = w->f;
	size_t d = f->d, all = group_rows(w), at = block * BLOCK, to = at, end = at + BLOCK < all ? at + BLOCK : all, i;

	for (; at < end; at++) {
		const float *row = w->rows + at * (d + 1);
		uint32_t code = (uint32_t)row[d], class = f->class_of[code / PARTS];
		float *x = w->x + to * d;

		if (class == NO_CLASS || !(w->parts >> code % PARTS & 1))
			continue;
		for (i = 0; i < d; i++)
			x[i] = (row[i] - f->mean[i]) * f->inverse[i];
		w->y[to++] = class;
	}
	w->n[block] = to - block * BLOCK;
}

static void
block_job(void *arg, size_t block, unsigned thread)
{
	struct probefit_work *w = arg;
	const struct probefit *f = w->f;
	size_t size = (f->d + 1) * f->classes;

	pick_rows(w, block);
	w->loss[block] = logistic_block(w->x + block * BLOCK * f->d, w->y + block * BLOCK, w->n[block], f->d, f->classes, f->weights, w->theta,
	                                w->logits + (size_t)thread * BLOCK * f->classes, w->gradient ? w->gradients + block * size : NULL);
}

/* The group's gradients are added in the order of its blocks. */
static void
add_job(void *arg, size_t stripe, unsigned thread)
{
	struct probefit_work *w = arg;
	size_t size = (w->f->d + 1) * w->f->classes, from = stripe * STRIPE, to = from + STRIPE < size ? from + STRIPE : size, b, i;

	(void)thread;
	for (b = 0; b < w->blocks; b++)
		for (i = from; i < to; i++)
			w->gradient[i] += (double)w->gradients[b * size + i];
}

/* Sum of losses, and of gradients where they are wanted, at w->theta over all
 * rows of those parts. */
static int
pass(struct probefit_work *w, unsigned parts, double *loss, struct err *e)
{
	struct probefit *f = w->f;
	size_t size = (f->d + 1) * f->classes, n, b;

	w->parts = parts;
	*loss = 0;
	for (w->first = 0; w->first < f->store.rows; w->first += GROUP * BLOCK) {
		n = group_rows(w);
		w->blocks = (n + BLOCK - 1) / BLOCK;
		if (rowstore_read(&f->store, w->first, n, w->rows, e))
			return e->code;
		pool_run(f->pool, block_job, w, w->blocks);
		if (w->gradient)
			pool_run(f->pool, add_job, w, (size + STRIPE - 1) / STRIPE);
		for (b = 0; b < w->blocks; b++)
			*loss += w->loss[b];
	}
	return 0;
}

/* What l-bfgs minimises. */
static int
objective(void *arg, const double *x, double *value, double *gradient, struct err *e)
{
	struct probefit_work *w = arg;
	struct probefit *f = w->f;
	size_t features = f->d * f->classes, size = features + f->classes, i;
	double n = (double)(f->choosing ? f->training - f->set_aside : f->training), square = 0;

	for (i = 0; i < size; i++) {
		w->theta[i] = (float)x[i];
		gradient[i] = 0;
	}
	w->gradient = gradient;
	if (pass(w, f->choosing ? 1u << TRAINS : 1u << TRAINS | 1u << SET_ASIDE_PART, value, e))
		return e->code;
	*value /= n;
	for (i = 0; i < size; i++)
		gradient[i] /= n;
	for (i = 0; i < features; i++) {
		square += x[i] * x[i];
		gradient[i] += f->l2 * x[i];
	}
	*value += f->l2 / 2 * square;
	return 0;
}

/* ---- what the rows are ---- */

static int
by_name(const void *a, const void *b)
{
	return text_natural_cmp((*(const struct strcount_entry *const *)a)->s, (*(const struct strcount_entry *const *)b)->s);
}

/* Numbers the labels that have enough rows by their names. */
static int
find_classes(struct probefit *f, struct err *e)
{
	const struct strcount_entry **order = malloc((f->labels.used + 1) * sizeof *order);
	size_t i;

	f->class_of = malloc((f->labels.used + 1) * sizeof *f->class_of);
	if (!order || !f->class_of) {
		free(order);
		return err_memory(e, "classes", f->labels.used * sizeof *order);
	}
	for (i = 0; i < f->labels.cap; i++) {
		const struct strcount_entry *label = &f->labels.slots[i];

		if (!label->s)
			continue;
		f->class_of[label->id] = NO_CLASS;
		if (label->n < f->o.min_rows) {
			f->few += label->n;
			f->few_classes++;
		} else {
			order[f->classes++] = label;
		}
	}
	qsort(order, f->classes, sizeof *order, by_name);
	f->names = calloc(f->classes + 1, sizeof *f->names);
	for (i = 0; f->names && i < f->classes; i++) {
		f->names[i] = order[i]->s;
		f->class_of[order[i]->id] = (uint32_t)i;
	}
	free(order);
	return f->names ? 0 : err_memory(e, "classes", f->classes * sizeof *f->names);
}

static int
check_classes(const struct probefit *f, struct err *e)
{
	if (f->classes > PROBE_MAX_CLASSES)
		return err_set(e, CODE_DATA, "%zu different labels: at most %d classes; are they classes? --min-rows leaves out those with few rows", f->classes, PROBE_MAX_CLASSES);
	if (f->classes == 1)
		return err_set(e, CODE_DATA, "all labels are \"%s\": two classes are needed at least", f->names[0]);
	if (!f->classes && f->few)
		return err_set(e, CODE_DATA, "none of %zu labels has %llu rows (--min-rows)", f->few_classes, (unsigned long long)f->o.min_rows);
	return f->classes ? 0 : err_set(e, CODE_DATA, "no labelled rows to learn from");
}

/* What one row of the store adds to counts and to the sums of columns. */
static void
look_at(struct probefit *f, const float *row, double *sum, double *square)
{
	uint32_t code = (uint32_t)row[f->d], class = f->class_of[code / PARTS];
	size_t i;

	if (class == NO_CLASS)
		return;
	if (code % PARTS == HELD_OUT) {
		f->held++;
		return;
	}
	f->training++;
	f->set_aside += code % PARTS == SET_ASIDE_PART;
	f->rows[class]++;
	for (i = 0; i < f->d; i++) {
		sum[i] += (double)row[i];
		square[i] += (double)row[i] * row[i];
	}
}

/* Mean and deviation of the rows that train. A column that varies no more than
 * rounding makes it is left out: its weight stays 0. */
static void
standardise(struct probefit *f, const double *sum, const double *square)
{
	double n = (double)f->training, mean, deviation;
	size_t i;

	for (i = 0; i < f->d; i++) {
		mean = sum[i] / n;
		deviation = sqrt(fmax(0, square[i] / n - mean * mean));
		f->mean[i] = (float)mean;
		f->inverse[i] = deviation > STILL * fabs(mean) && deviation > 0 ? (float)(1 / deviation) : 0;
	}
}

static int
look_over(struct probefit *f, struct err *e)
{
	struct probefit_work *w = f->work;
	double *sum = calloc(2 * f->d, sizeof *sum);
	size_t n, i;

	if (!sum)
		return err_memory(e, "columns", 2 * f->d * sizeof *sum);
	for (w->first = 0; w->first < f->store.rows && !e->code; w->first += n) {
		n = group_rows(w);
		if (rowstore_read(&f->store, w->first, n, w->rows, e))
			break;
		for (i = 0; i < n; i++)
			look_at(f, w->rows + i * (f->d + 1), sum, sum + f->d);
	}
	standardise(f, sum, sum + f->d);
	free(sum);
	return e->code;
}

static int
weigh(struct probefit *f, struct err *e)
{
	size_t i;

	if (!f->o.balance)
		return 0;
	f->weights = mem_alloc(f->classes * sizeof *f->weights);
	if (!f->weights)
		return err_memory(e, "weights", f->classes * sizeof *f->weights);
	for (i = 0; i < f->classes; i++)
		f->weights[i] = (float)((double)f->training / ((double)f->classes * (double)f->rows[i]));
	return 0;
}

static int
get_work(struct probefit *f, struct err *e)
{
	struct probefit_work *w = f->work = calloc(1, sizeof *w);
	size_t size = (f->d + 1) * f->classes, rows = GROUP * BLOCK, threads = pool_threads(f->pool);

	if (w) {
		w->f = f;
		w->rows = mem_alloc(rows * (f->d + 1) * sizeof *w->rows);
		w->x = mem_alloc(rows * f->d * sizeof *w->x);
		w->y = mem_alloc(rows * sizeof *w->y);
		w->logits = mem_alloc(threads * BLOCK * f->classes * sizeof *w->logits);
		w->theta = mem_alloc(size * sizeof *w->theta);
		w->gradients = mem_alloc(GROUP * size * sizeof *w->gradients);
	}
	f->rows = calloc(f->classes, sizeof *f->rows);
	f->mean = mem_alloc(f->d * sizeof *f->mean);
	f->inverse = mem_alloc(f->d * sizeof *f->inverse);
	f->best = mem_alloc(size * sizeof *f->best);
	if (w && w->rows && w->x && w->y && w->logits && w->theta && w->gradients && f->rows && f->mean && f->inverse && f->best)
		return lbfgs_init(&f->opt, size, HISTORY, e);
	return err_memory(e, "probe", GROUP * size * sizeof *w->gradients);
}

/* ---- one fit after another ---- */

static int
begin_fit(struct probefit *f, double l2, struct err *e)
{
	f->l2 = l2;
	f->step = 0;
	if (lbfgs_begin(&f->opt, objective, f->work, e))
		return e->code;
	f->calls++;
	f->loss = f->opt.f;
	if (!(f->first_gradient > 0))
		f->first_gradient = f->opt.gradient;
	return 0;
}

int
probefit_begin(struct probefit *f, struct err *e)
{
	e->code = 0;
	if (find_classes(f, e) || check_classes(f, e) || get_work(f, e) || look_over(f, e) || weigh(f, e))
		return e->code;
	f->choosing = isnan(f->o.l2) && f->set_aside;
	return begin_fit(f, f->choosing ? 1 : isnan(f->o.l2) ? UNCHOSEN : f->o.l2, e);
}

/* How the fit that has ended does on the rows set aside. */
static int
try_out(struct probefit *f, double *log_loss, struct err *e)
{
	struct probefit_work *w = f->work;
	size_t size = f->opt.n, i;

	for (i = 0; i < size; i++)
		w->theta[i] = (float)f->opt.x[i];
	w->gradient = NULL;
	if (pass(w, 1u << SET_ASIDE_PART, log_loss, e))
		return e->code;
	*log_loss /= (double)f->set_aside;
	return 0;
}

/* A fit to choose by has ended: the next one, or the last, with the best. */
static int
next_try(struct probefit *f, struct err *e)
{
	struct fitted_try *t = &f->tries[f->ntries];
	bool better;

	t->l2 = f->l2;
	if (try_out(f, &t->log_loss, e))
		return e->code;
	better = !f->ntries || t->log_loss < f->tries[f->ntries - 1].log_loss;
	f->ntries++;
	if (better)
		memcpy(f->best, f->opt.x, f->opt.n * sizeof *f->best);
	if (better && f->ntries < PROBEFIT_TRIES)
		return begin_fit(f, f->l2 / 10, e);
	memcpy(f->opt.x, f->best, f->opt.n * sizeof *f->best);
	f->choosing = false;
	return begin_fit(f, better ? f->l2 : f->tries[f->ntries - 2].l2, e);
}

int
probefit_step(struct probefit *f, struct err *e)
{
	double enough = f->first_gradient * f->o.enough * (f->choosing ? ROUGH : 1);
	uint64_t calls = f->opt.calls;
	int more = 1;

	e->code = 0;
	if (f->opt.gradient > enough && f->step < f->o.max_steps) {
		more = lbfgs_step(&f->opt, e);
		if (more < 0)
			return -1;
		f->calls += f->opt.calls - calls;
		f->loss = f->opt.f;
		f->step += (uint64_t)more;
		f->steps += (uint64_t)more;
	}
	if (more && f->opt.gradient > enough && f->step < f->o.max_steps)
		return 1;
	f->converged = !more || f->opt.gradient <= enough;
	if (!f->choosing)
		return 0;
	return next_try(f, e) ? -1 : 1;
}

char *
probefit_line(const struct probefit *f, char out[PROBEFIT_LINE])
{
	snprintf(out, PROBEFIT_LINE, "%s, penalty %g: step %llu, objective %.4f", f->choosing ? "choosing" : "fitting", f->l2,
	         (unsigned long long)f->step, f->loss);
	return out;
}

/* ---- the probe ---- */

/* Standardisation goes into the weights. */
static void
fold(const struct probefit *f, struct probe *p)
{
	size_t i, c;
	double w, b;

	for (c = 0; c < f->classes; c++) {
		b = f->opt.x[f->d * f->classes + c];
		for (i = 0; i < f->d; i++) {
			w = f->opt.x[i * f->classes + c] * (double)f->inverse[i];
			p->W[i * f->classes + c] = (float)w;
			b -= w * (double)f->mean[i];
		}
		p->b[c] = (float)b;
	}
}

static int
make_probe(const struct probefit *f, struct probe *p, struct err *e)
{
	size_t c;

	if (probe_init(p, f->d, f->classes, e))
		return e->code;
	for (c = 0; c < f->classes; c++) {
		p->names[c] = strdup(f->names[c]);
		p->rows[c] = f->rows[c];
		if (!p->names[c])
			return err_memory(e, "class names", strlen(f->names[c]));
	}
	p->l2 = f->l2;
	p->seed = f->o.seed;
	fold(f, p);
	return 0;
}

/* Those rows of the group that were held out, to the front of x; how many. */
static size_t
held_rows(struct probefit_work *w, size_t n)
{
	const struct probefit *f = w->f;
	size_t i, to = 0;

	for (i = 0; i < n; i++) {
		const float *row = w->rows + i * (f->d + 1);
		uint32_t code = (uint32_t)row[f->d];

		if (code % PARTS != HELD_OUT || f->class_of[code / PARTS] == NO_CLASS)
			continue;
		memcpy(w->x + to * f->d, row, f->d * sizeof *row);
		w->y[to++] = f->class_of[code / PARTS];
	}
	return to;
}

static int
score_held(struct probefit *f, const struct probe *p, struct score *s, struct err *e)
{
	struct probefit_work *w = f->work;
	struct mat scratch = {0}, logp = {0};
	size_t n, held;

	for (w->first = 0; f->held && w->first < f->store.rows && !e->code; w->first += n) {
		n = group_rows(w);
		if (rowstore_read(&f->store, w->first, n, w->rows, e))
			break;
		held = held_rows(w, n);
		if (!mat_resize(&logp, held, f->classes, "probabilities", e) && !probe_logp(p, w->x, held, f->pool, f->simd, &scratch, logp.data, e))
			score_rows(s, w->y, logp.data, held, e);
	}
	mat_free(&scratch);
	mat_free(&logp);
	return e->code ? e->code : score_finish(s, e);
}

int
probefit_finish(struct probefit *f, struct probe *p, struct score *s, struct err *e)
{
	e->code = 0;
	*s = (struct score){0};
	if (make_probe(f, p, e) || score_init(s, p->names, p->classes, e) || score_held(f, p, s, e)) {
		score_free(s);
		probe_free(p);
		return e->code;
	}
	p->held_out = s->rows;
	p->accuracy = s->accuracy;
	p->log_loss = s->log_loss;
	return 0;
}

struct fitted
probefit_told(const struct probefit *f, const struct probe *p, const struct score *s, const char *path)
{
	return (struct fitted){
		.path = path, .d = f->d, .classes = f->classes, .names = p->names, .rows = p->rows,
		.training = f->training, .set_aside = f->set_aside, .ignored = f->ignored, .few = f->few, .few_classes = f->few_classes,
		.l2 = f->l2, .chosen = isnan(f->o.l2), .tries = f->tries, .ntries = f->ntries,
		.steps = f->steps, .calls = f->calls, .loss = f->loss, .gradient = f->opt.gradient / f->first_gradient,
		.converged = f->converged, .balanced = f->o.balance, .seed = f->o.seed, .score = s,
	};
}

void
probefit_free(struct probefit *f)
{
	struct probefit_work *w = f->work;

	if (f->d)
		rowstore_close(&f->store);
	if (w) {
		mem_free(w->rows);
		mem_free(w->x);
		mem_free(w->y);
		mem_free(w->logits);
		mem_free(w->theta);
		mem_free(w->gradients);
		free(w);
	}
	lbfgs_free(&f->opt);
	strcount_free(&f->labels);
	mat_free(&f->block);
	free(f->names);
	free(f->class_of);
	free(f->rows);
	mem_free(f->weights);
	mem_free(f->mean);
	mem_free(f->inverse);
	mem_free(f->best);
	*f = (struct probefit){0};
}
