#include "sae/lbfgs.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

#define LANES 8
#define ENOUGH 1e-4    /* Armijo's share of what the slope promises */
#define MAX_TRIES 30
#define FLAT 1e-12     /* a pair that bends less than this teaches nothing */

int
lbfgs_init(struct lbfgs *l, size_t n, unsigned history, struct err *e)
{
	size_t all, bytes;

	*l = (struct lbfgs){.n = n, .history = history};
	if (!size_mul(n, 2 * (size_t)history + 5, &all) || !size_mul(all, sizeof *l->x, &bytes) || !(l->block = mem_alloc(bytes)) ||
	    !(l->rho = mem_alloc(2 * history * sizeof *l->rho))) {
		lbfgs_free(l);
		return err_memory(e, "optimiser", (2ull * history + 5) * n * sizeof *l->x);
	}
	memset(l->block, 0, bytes);
	l->x = l->block;
	l->g = l->x + n;
	l->at = l->g + n;
	l->g_at = l->at + n;
	l->step = l->g_at + n;
	l->s = l->step + n;
	l->y = l->s + history * n;
	l->alpha = l->rho + history;
	return 0;
}

void
lbfgs_free(struct lbfgs *l)
{
	mem_free(l->block);
	mem_free(l->rho);
	*l = (struct lbfgs){0};
}

/* In eight running sums, so that it vectorises the same way everywhere. */
static double
dot(const double *a, const double *b, size_t n)
{
	double s[LANES] = {0};
	size_t i, j;

	for (i = 0; i + LANES <= n; i += LANES)
		for (j = 0; j < LANES; j++)
			s[j] += a[i + j] * b[i + j];
	for (; i < n; i++)
		s[0] += a[i] * b[i];
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

static void
add(double *y, double a, const double *x, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		y[i] += a * x[i];
}

int
lbfgs_begin(struct lbfgs *l, lbfgs_function function, void *arg, struct err *e)
{
	l->function = function;
	l->arg = arg;
	l->used = l->newest = 0;
	l->calls = 1;
	l->steps = 0;
	if (function(arg, l->x, &l->f, l->g, e))
		return e->code;
	l->gradient = sqrt(dot(l->g, l->g, l->n));
	return 0;
}

static unsigned
pair(const struct lbfgs *l, unsigned back)
{
	return (l->newest + l->history - back) % l->history;
}

/* step = -H g by the two-loop recursion; with no pairs yet, down the slope. */
static void
direction(struct lbfgs *l)
{
	size_t n = l->n, i;
	unsigned k, p = l->newest;
	double scale;

	for (i = 0; i < n; i++)
		l->step[i] = -l->g[i];
	for (k = 0; k < l->used; k++) {
		p = pair(l, k);
		l->alpha[p] = l->rho[p] * dot(l->s + p * n, l->step, n);
		add(l->step, -l->alpha[p], l->y + p * n, n);
	}
	p = l->newest;
	scale = l->used ? 1 / (l->rho[p] * dot(l->y + p * n, l->y + p * n, n)) : 1 / l->gradient;
	for (i = 0; i < n; i++)
		l->step[i] *= scale;
	for (k = l->used; k-- > 0;) {
		p = pair(l, k);
		add(l->step, l->alpha[p] - l->rho[p] * dot(l->y + p * n, l->step, n), l->s + p * n, n);
	}
}

/* From x to at: what that taught goes in place of the oldest pair. */
static void
learn(struct lbfgs *l)
{
	unsigned p = l->used ? (l->newest + 1) % l->history : 0;
	double *s = l->s + p * l->n, *y = l->y + p * l->n, bend;
	size_t i;

	for (i = 0; i < l->n; i++) {
		s[i] = l->at[i] - l->x[i];
		y[i] = l->g_at[i] - l->g[i];
	}
	bend = dot(s, y, l->n);
	if (!(bend > FLAT * sqrt(dot(s, s, l->n) * dot(y, y, l->n))))
		return;
	l->rho[p] = 1 / bend;
	l->newest = p;
	l->used += l->used < l->history;
}

/* Goes along step: 1 when f fell enough, 0 when it would not, -1. */
static int
search(struct lbfgs *l, double *f, struct err *e)
{
	double slope = dot(l->g, l->step, l->n), t = 1, next;
	unsigned tries;

	if (!(slope < 0))
		return 0;
	for (tries = 0; tries < MAX_TRIES; tries++) {
		memcpy(l->at, l->x, l->n * sizeof *l->at);
		add(l->at, t, l->step, l->n);
		l->calls++;
		if (l->function(l->arg, l->at, f, l->g_at, e))
			return -1;
		if (*f <= l->f + ENOUGH * t * slope)
			return *f < l->f;
		next = -slope * t * t / (2 * (*f - l->f - slope * t)); /* where the parabola is lowest */
		t = next > 0.1 * t && next < 0.5 * t ? next : next >= 0.5 * t ? 0.5 * t : 0.1 * t;
	}
	return 0;
}

int
lbfgs_step(struct lbfgs *l, struct err *e)
{
	double f, *swap;
	int got;

	if (!(l->gradient > 0))
		return 0;
	direction(l);
	got = search(l, &f, e);
	if (!got && l->used) { /* what was learned may mislead: once more, down the slope */
		l->used = l->newest = 0;
		direction(l);
		got = search(l, &f, e);
	}
	if (got <= 0)
		return got;
	learn(l);
	swap = l->x, l->x = l->at, l->at = swap;
	swap = l->g, l->g = l->g_at, l->g_at = swap;
	l->f = f;
	l->gradient = sqrt(dot(l->g, l->g, l->n));
	l->steps++;
	return 1;
}
