/* A sparse autoencoder in memory: what files/ loads and sae/ computes with.
 * Names and orientation are SAELens's; rows are row vectors.
 *
 *   p = (x - b_in) W_enc + b_enc           [m]
 *   z = relu(p), soft-capped c tanh(z/c) where soft_cap = c > 0,
 *       p where p > threshold else 0 for the architectures that have one,
 *       then the k largest where k is asked for
 *   xhat = z W_dec + b_dec                 [d_out]
 *
 * x here is already normalised: (raw - mean) * scale. b_in is b_dec, or zeros.
 *
 * That is a plain model. What other libraries have beyond it (sae_features says
 * what a model has of it):
 *
 *   row_norm   x is first brought to form row by row, u = (x - shift) / factor:
 *              LAYER: shift = mean of the row, factor = its deviation (divisor
 *              d-1) + 1e-5; LENGTH: shift = 0, factor = |x| / sqrt(d). What is
 *              reconstructed is taken back (xhat factor + shift, where LAYER's
 *              factor is the deviation alone), but for transcoders
 *   rule       SIGNED: the k largest of p, negative ones too (k = 0: all of p)
 *              MAGNITUDE: the k of largest |p|, with their sign
 *              GROUPMAX: of each of `group` runs of m/group latents the largest
 *              of relu(p)
 *              GATE: the k latents of largest q = (u - b_in) W_gate + b_gate,
 *              z = relu(p) / (1 + exp(-q))
 *              LISTA: a = the 4k largest of relu(p); lista_steps times
 *              a = relu(a - lista_eta (a W_dec W_dec^T - a |W_dec_j|^2)); then
 *              the k largest of a
 *   W_skip     xhat += x W_skip, of the x that came
 *   transcoder makes something else than x, d_out wide
 */
#ifndef BASE_MODEL_H
#define BASE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum sae_arch { ARCH_MSAE, ARCH_TOPK, ARCH_BATCHTOPK, ARCH_RELU, ARCH_JUMPRELU };

enum sae_row_norm { ROWS_AS_THEY_ARE, ROWS_LAYER, ROWS_LENGTH };
enum sae_rule { RULE_POSITIVE, RULE_SIGNED, RULE_MAGNITUDE, RULE_GROUPMAX, RULE_GATE, RULE_LISTA };
#define SAE_ROW_EPS 1e-5f

/* What is not plain, one bit each. */
enum sae_feature {
	SAE_ROW_NORM = 1,    /* rows are normalised one by one inside */
	SAE_SIGNED = 2,      /* codes may be negative */
	SAE_OWN_ORDER = 4,   /* which codes stay does not follow from their values */
	SAE_SKIP = 8,
	SAE_TRANSCODER = 16,
	SAE_GROUPS = 32      /* GROUPMAX */
};

#define SAE_MAX_LEVELS 32
#define SHA256_HEX 65 /* with the terminating NUL */

struct sae {
	size_t d, m;      /* inputs, latents */
	size_t d_out;     /* outputs: d, but for transcoders */
	int transcoder;   /* makes something else than x */
	float *W_enc;     /* [d,m] */
	float *b_enc;     /* [m] */
	float *W_dec;     /* [m,d_out] */
	float *b_dec;     /* [d_out] */
	float *b_in;      /* [d]: b_dec itself, or zeros (sae_subtract_nothing) */
	float *mean;      /* [d] */
	float scale;
	float *threshold; /* [m], or NULL */
	enum sae_arch arch;
	size_t k;         /* topk, batchtopk; else 0 */
	size_t keep;      /* the k of sae-encode by default where it is not topk's; 0: all */
	size_t nesting[SAE_MAX_LEVELS], levels; /* msae */
	size_t groups[SAE_MAX_LEVELS], ngroups; /* where the nested dictionaries of other
	                      * libraries' Matryoshka models end, in latents, rising */
	char weighting[64];   /* "rw", "uw", or a list; "" when unknown */
	float soft_cap;       /* 0: none */
	char trained_on[256]; /* free text */
	uint64_t rows, seed;  /* rows trained on */
	char sha256[SHA256_HEX]; /* of the file it came from; "" before saving */

	enum sae_row_norm row_norm;
	enum sae_rule rule;
	size_t group;          /* GROUPMAX: how many */
	float *W_gate, *b_gate; /* GATE: [d,m], [m]; else NULL */
	float *W_skip;         /* [d,d_out], or NULL */
	unsigned lista_steps;
	float lista_eta;

	/* how it came here: for people */
	char library[24];     /* "msae" for our own files, "SAELens" ... */
	char note[192];       /* what to warn of, or "" */
	char folded[192];     /* what was folded into the weights, or "" */
	uint64_t *fired;      /* [m], how often latents fired in training; or NULL */
};

/* Allocates the tensors for d x m (threshold too when with_threshold), zeroed,
 * scale 1; everything else zero. Owned by the caller, sae_free frees. */
int sae_init(struct sae *s, size_t d, size_t m, int with_threshold, struct err *e);
/* The same for a transcoder, with nothing subtracted. */
int sae_init_wide(struct sae *s, size_t d, size_t m, size_t d_out, int with_threshold, struct err *e);
void sae_free(struct sae *s);
/* *p = a x b zeros, where it is NULL. */
int sae_add(float **p, size_t a, size_t b, struct err *e);
/* b_in becomes zeros of its own. */
int sae_subtract_nothing(struct sae *s, struct err *e);

/* How many codes a row has at most where nobody says; 0: no limit. */
size_t sae_keep(const struct sae *s);
/* Is x as it comes what the model wants: mean 0, scale 1? */
int sae_takes_raw(const struct sae *s);
/* Bits of enum sae_feature; 0 for a plain model. */
unsigned sae_features(const struct sae *s);
/* CODE_DATA naming what the model has beyond `able`, as something `who` does not
 * do ("sae-train", "an evaluation by levels"). */
int sae_require(const struct sae *s, unsigned able, const char *who, struct err *e);

/* "msae", "topk", ...; sae_arch_parse returns -1 for an unknown name. */
const char *sae_arch_name(enum sae_arch a);
int sae_arch_parse(const char *name);
/* "positive", "signed", ...; "none", "layer", "length". -1 likewise. */
const char *sae_rule_name(enum sae_rule r);
int sae_rule_parse(const char *name);
const char *sae_row_norm_name(enum sae_row_norm n);
int sae_row_norm_parse(const char *name);

#endif
