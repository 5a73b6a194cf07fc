/* What a training run tells while it runs: JSON lines for programs, one line
 * for people. NaN becomes null. */
#ifndef VIEW_RUNLOG_H
#define VIEW_RUNLOG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct runlog_step {
	uint64_t step, steps, epoch, rows; /* done so far, of how many; rows: trained on */
	double epochs, seconds;            /* of this run, and those of this process */
	uint64_t steps_here;               /* steps done in those seconds */
	double rows_a_second, lr, loss, fvu, l0, l1, grad_norm;
	uint64_t dead, revived;
	const double *levels;              /* [nlevels] loss of each */
	size_t nlevels;
};

struct runlog_quality {
	size_t k; /* 0: the model as it is used */
	double fvu, fvu_data, cosine, mae, l0, zeros;
};

/* {"step":...} */
void runlog_step(FILE *to, const struct runlog_step *s);
/* {"epoch":...,"valid":{...,"at":[{"k":16,...},...]}}; q[0] is as used. */
void runlog_valid(FILE *to, uint64_t epoch, uint64_t step, uint64_t rows, uint64_t silent, const struct runlog_quality *q, size_t n);
/* {"event":what,"step":...}: resumed, stopped, done ... */
void runlog_event(FILE *to, const char *what, uint64_t step);
/* "epoch 3 of 30, step 27 of 300, 12,400 rows/s, loss 0.31, FVU 0.31, L0 2034,
 * 12 dead, 1:03 left" into out. Returns out. */
char *runlog_line(const struct runlog_step *s, char *out, size_t size);
/* "FVU 0.0812, cosine 0.961, L0 2012 (51 % zeros), 3 latents silent". */
char *runlog_quality_line(const struct runlog_quality *q, uint64_t silent, char *out, size_t size);

#endif
