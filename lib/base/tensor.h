/* A tensor by name, as one room hands it to another: what a trainer has to keep
 * and what a checkpoint or an evaluation's state holds. */
#ifndef BASE_TENSOR_H
#define BASE_TENSOR_H

#include <stddef.h>

#include "base/dtype.h"

struct tensor {
	const char *name;
	enum dtype dtype;  /* DT_F4, DT_F8, DT_U4 or DT_U8 */
	size_t rows, cols; /* cols 1: a vector */
	void *data;        /* whose it is, who hands it over says */
};

#endif
