/* Latents that are never active learn nothing. Reviving starts them anew where
 * the model is worst (after the neuron resampling of Bricken et al., "Towards
 * Monosemanticity", 2023, with what is missing in the place of what is there):
 * a latent that was silent for a while takes the direction of a row's residual,
 * rows being drawn with probability |residual|^4, no row twice while there are
 * others. Its encoder is the same direction, so long that on that row its code
 * is what is missing (at most as long as the decoder row, 1); bias and Adam's
 * moments become 0. */
#ifndef SAE_REVIVE_H
#define SAE_REVIVE_H

#include "sae/train.h"

/* How many latents were not active in the last `silent` rows. */
size_t trainer_silent(const struct trainer *t, uint64_t silent);

/* Revives them from rows x [n,d] and their reconstructions xhat [n,d], both of
 * the model as it is. Draws depend on seed and the number of steps done.
 * Returns how many were revived, which then count as active just now.
 * CODE_TRYAGAIN when memory (2 n numbers) is short. */
int trainer_revive(struct trainer *t, uint64_t silent, const float *x, const float *xhat, size_t n, uint64_t seed,
                   size_t *revived, struct err *e);

#endif
