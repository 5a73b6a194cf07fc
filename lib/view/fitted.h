/* How a probe was fitted, told as text or JSON. */
#ifndef VIEW_FITTED_H
#define VIEW_FITTED_H

#include <stdbool.h>

#include "view/score.h"

struct fitted_try { double l2, log_loss; };

struct fitted {
	const char *path;
	size_t d, classes;
	char *const *names;
	const uint64_t *rows;     /* [classes] that trained */
	uint64_t training, set_aside, ignored, few;
	size_t few_classes;
	double l2;
	bool chosen;              /* l2 was not given */
	const struct fitted_try *tries; /* [ntries]; ntries 0: there was nothing to choose by */
	size_t ntries;
	uint64_t steps, calls;
	double loss, gradient;    /* objective, and its gradient as a share of what it was at W = 0 */
	bool converged, balanced;
	uint64_t seed;
	const struct score *score; /* on the rows held out */
};

/* 0, or -1 when writing or memory failed. */
int fitted_write(const struct fitted *f, bool json, FILE *to);

#endif
