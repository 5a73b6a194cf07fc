/* What models of other libraries do to single rows beside their codes: rows
 * brought to a form before they are encoded, and taken back when they are
 * decoded; a skip connection past the codes. Formulae: base/model.h.
 *
 * A reconstruction needs two numbers of each row for that, which codes do not
 * hold: form [n,2], shift and factor, restored = xhat factor + shift. */
#ifndef SAE_ROWFORM_H
#define SAE_ROWFORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/model.h"
#include "base/pool.h"

/* Does decoding need form? */
bool rowform_needed(const struct sae *model);

/* out [n,d] = x [n,d] in the form the model wants; out may be x. form [n,2], or
 * NULL. Sums in double. A row of zeros stays one. */
void rowform_apply(const struct sae *model, float *out, const float *x, size_t n, float *form);
/* xhat [n,d] as it would be of the rows as they came; out may be xhat. */
void rowform_restore(float *out, const float *xhat, size_t n, size_t d, const float *form);

/* out [n,d_out] = x W_skip for finite x [n,d], as it came. Blocks of a fixed
 * number of rows: the same bytes for every number of threads. */
void rowform_skip(const struct sae *model, const float *x, size_t n, struct pool *pool, float *out);

#endif
