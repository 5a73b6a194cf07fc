/* Minimising a smooth function of many numbers with its gradient: L-BFGS
 * (Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 3.1) in
 * double, a step a call.
 *
 *   lbfgs_init(&l, n, history, &err);   l.x [n] may be set: where it starts
 *   lbfgs_begin(&l, function, arg, &err);
 *   while ((more = lbfgs_step(&l, &err)) > 0 && l.gradient > enough) ...
 *   lbfgs_free(&l);
 *
 * A step goes along the direction that `history` pairs of past steps and
 * gradient changes give, halving until the function falls enough (Armijo, c =
 * 1e-4; by the parabola through what is known). Convex functions have all of
 * their curvature conditions for nothing. Memory: (2 history + 5) n doubles.
 */
#ifndef SAE_LBFGS_H
#define SAE_LBFGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* *f and g [n] at x [n]; 0 or a code with e filled. */
typedef int (*lbfgs_function)(void *arg, const double *x, double *f, double *g, struct err *e);

struct lbfgs {
	size_t n;
	unsigned history, used, newest; /* pairs: room, how many there are, which is the last */
	double *x, f, *g;       /* where it is; the caller may read all three */
	double gradient;        /* |g|_2 */
	double *at, *g_at, *step; /* tried; direction */
	double *s, *y;          /* [history,n] */
	double *rho, *alpha;    /* [history] */
	double *block;          /* what all of these lie in */
	uint64_t calls, steps;
	lbfgs_function function;
	void *arg;
};

int lbfgs_init(struct lbfgs *l, size_t n, unsigned history, struct err *e);
/* Evaluates at l->x; what was learned of an earlier function is forgotten. */
int lbfgs_begin(struct lbfgs *l, lbfgs_function function, void *arg, struct err *e);
/* 1; 0 when no step makes the function any smaller, as at its minimum, or as
 * near to it as its rounding lets one come; -1 with e filled. */
int lbfgs_step(struct lbfgs *l, struct err *e);
void lbfgs_free(struct lbfgs *l);

#endif
