/* A sparse autoencoder in memory: what files/ loads and sae/ computes with.
 * Names and orientation are SAELens's; rows are row vectors.
 *
 *   p = (x - b_dec) W_enc + b_enc          [m]
 *   z = relu(p), soft-capped c tanh(z/c) where soft_cap = c > 0,
 *       p where p > threshold else 0 for the architectures that have one,
 *       then the k largest where k is asked for
 *   xhat = z W_dec + b_dec                 [d]
 *
 * x here is already normalised: (raw - mean) * scale.
 */
#ifndef BASE_MODEL_H
#define BASE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum sae_arch { ARCH_MSAE, ARCH_TOPK, ARCH_BATCHTOPK, ARCH_RELU, ARCH_JUMPRELU };

#define SAE_MAX_LEVELS 32
#define SHA256_HEX 65 /* with the terminating NUL */

struct sae {
	size_t d, m;      /* inputs, latents */
	float *W_enc;     /* [d,m] */
	float *b_enc;     /* [m] */
	float *W_dec;     /* [m,d] */
	float *b_dec;     /* [d] */
	float *mean;      /* [d] */
	float scale;
	float *threshold; /* [m], or NULL */
	enum sae_arch arch;
	size_t k;         /* topk, batchtopk; else 0 */
	size_t nesting[SAE_MAX_LEVELS], levels; /* msae */
	char weighting[64];   /* "rw", "uw", or a list; "" when unknown */
	float soft_cap;       /* 0: none */
	char trained_on[256]; /* free text */
	uint64_t rows, seed;  /* rows trained on */
	char sha256[SHA256_HEX]; /* of the file it came from; "" before saving */
};

/* Allocates the tensors for d x m (threshold too when with_threshold), zeroed,
 * scale 1; everything else zero. Owned by the caller, sae_free frees. */
int sae_init(struct sae *s, size_t d, size_t m, int with_threshold, struct err *e);
void sae_free(struct sae *s);

/* "msae", "topk", ...; sae_arch_parse returns -1 for an unknown name. */
const char *sae_arch_name(enum sae_arch a);
int sae_arch_parse(const char *name);

#endif
