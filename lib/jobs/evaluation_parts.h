/* Between the files of an evaluation only. */
#ifndef JOBS_EVALUATION_PARTS_H
#define JOBS_EVALUATION_PARTS_H

#include "jobs/evaluation.h"

/* Everything but what depends on the model's weights, for v->model. */
int evaluation_make(struct evaluation *v, const size_t *ks, size_t nks, struct err *e);
/* No row waits any more, all sums are where they are saved from. */
int evaluation_settle(struct evaluation *v, struct err *e);

#endif
