/* Latents that are never active learn nothing. Reviving starts them anew where
 * the model is worst (neuron resampling: Bricken et al., "Towards
 * Monosemanticity", 2023): a latent that was silent for a while takes the
 * direction of a row of the last batch, drawn with probability loss squared,
 * with an encoder a fifth as long as those of the others, bias 0, and Adam's
 * moments 0. */
#ifndef SAE_REVIVE_H
#define SAE_REVIVE_H

#include "sae/train.h"

/* Behind trainer_step, whose batch must still be in place. Latents not active
 * in the last `silent` rows. Draws depend on seed and the number of steps done.
 * Returns how many were revived; they count as active from now. */
size_t trainer_revive(struct trainer *t, uint64_t silent, uint64_t seed);

#endif
