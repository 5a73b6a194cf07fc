/* How much of a row each of its codes explains. */
#ifndef SAE_EXPLAIN_H
#define SAE_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/model.h"

/* share [n] of the codes idx, val [n] of the normalised row x [d]: z_j W_dec[j].(x - b_dec) / |x - b_dec|^2, the part of
 * the row, seen from where no latent is active, that the latent's direction times its code covers along it. Shares of
 * all codes add up to (xhat - b_dec).(x - b_dec) / |x - b_dec|^2, which is returned: 1 for a perfect reconstruction.
 * A code may have less than 0, where others make up for it. A row that is b_dec has NANs. In double. */
double explain_row(const struct sae *model, const float *x, const uint32_t *idx, const float *val, size_t n, double *share);

#endif
