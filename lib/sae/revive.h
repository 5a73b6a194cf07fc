/* Latents that are never active learn nothing. Reviving starts them anew where
 * the model is worst (after the neuron resampling of Bricken et al., "Towards
 * Monosemanticity", 2023, with what is missing in the place of what is there):
 * a latent that was silent for a while takes the direction of a row's residual,
 * rows being drawn with probability |residual|^4. Its encoder is the same
 * direction, so long that its code there is a little above the row's smallest
 * (the batch's, for a row without codes; and no more than what is missing).
 * Rows for which that would be over twice the mean length of the others' are
 * passed over. Bias and Adam's moments become 0. What the newcomer says to all rows counts
 * for those that follow, or hundreds would say the same where rows are alike. */
#ifndef SAE_REVIVE_H
#define SAE_REVIVE_H

#include "base/csr.h"
#include "sae/train.h"

/* How many latents were not active in the last `silent` rows. */
size_t trainer_silent(const struct trainer *t, uint64_t silent);

/* Revives at most `most` of them, the lowest first, from rows x [n,d], their
 * codes z [n,m] and reconstructions xhat [n,d], all of the model as it is; xhat
 * gets what the newcomers add. No row serves twice. Draws depend on seed and the
 * number of steps done. *revived: how many, which then count as active just now.
 * CODE_TRYAGAIN when memory (2 n numbers) is short. */
int trainer_revive(struct trainer *t, uint64_t silent, size_t most, const float *x, struct csr_view z, float *xhat, uint64_t seed,
                   size_t *revived, struct err *e);

#endif
