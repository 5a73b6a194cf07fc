/* Training, one step at a time.
 *
 *   train_init(&model, seed);
 *   struct trainer *t = trainer_new(&model, &opts, pool, simd, &err);
 *   trainer_step(t, x, n, lr, &result, &err);     as often as wanted
 *   trainer_free(t);
 *
 * The model is Zaigrajew, Baniecki, Biecek, "Interpreting CLIP with
 * Hierarchical Sparse Autoencoders", ICML 2025, and the other architectures
 * its authors compare with. Shapes: B rows x [B,d] (normalised: model->mean and
 * scale are not used here), m latents, h levels.
 *
 *   p = (x - b_dec) W_enc + b_enc                               [B,m]
 *   z_i = what level i keeps of p, soft-capped c tanh(z/c)      [B,m]
 *         MSAE       the k_i largest positive of each row, i = 0..h-1
 *         TOPK       the k largest positive of each row
 *         BATCHTOPK  the k*B largest positive of the batch
 *         RELU       all positive
 *         JUMPRELU   p where p > threshold
 *         (ties: earliest row, then lowest latent)
 *   xhat_i = z_i W_dec + b_dec                                  [B,d]
 *   loss = sum_i a_i l(xhat_i, x) / sum_i a_i
 *          + l1 * mean_b |z|_1 / |x|_2 + l0 * mean_b |z|_0
 *   l: LOSS_NMSE mean over rows of |xhat - x|^2 / |x|^2,
 *      LOSS_MSE mean over rows and columns of (xhat - x)^2;
 *   the penalties see the codes of the last level.
 *
 * A step is what the authors' public code does, in its order: gradients g of
 * all parameters; rows of W_dec to unit norm, their norms moving into the
 * columns of W_enc, b_enc and the thresholds; g_j -= (g_j . D_j) D_j for the
 * rows of W_dec; all of g times min(1, clip / (|g| + 1e-6)); Adam (Kingma and
 * Ba, 2015) with bias correction:
 *   m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
 *   theta -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * Cost: one dense product and four sparse passes over the active codes, two of
 * them at once, whatever the number of levels. Those are prefixes of one
 * ranking: xhat_i adds to xhat_(i-1) what enters at level i, and a code that
 * enters at level i sees the sum of the gradients of levels i and up.
 *
 * Results are the same bytes for every number of threads, and of every
 * instruction set as far as BLAS's are. Memory, all taken by trainer_new: three
 * and a half times the model (moments, gradients, a copy of W_dec), B (m + d)
 * floats, 6 KB m, of which what codes need is touched, 2 KB h d, and 4 MB a thread.
 *
 * CPU time of a step over that of its encoder product, AVX-512, B = 4096,
 * d = 768, m = 6144 (`make bench`): TOPK 64 and BATCHTOPK 32 1.7; where half of
 * the latents are active, as at the start, RELU 4.6 to 5.2 and MSAE with 8 levels
 * 5.7 to 6.2, the higher when other programs share the caches; MSAE with a fifth
 * active 3.5. The sparse passes run at half to three quarters of what the FMA
 * units could.
 */
#ifndef SAE_TRAIN_H
#define SAE_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/model.h"
#include "base/pool.h"
#include "base/tensor.h"
#include "sae/simd.h"

enum train_loss { LOSS_NMSE, LOSS_MSE };

/* How thresholds learn. Both give a rectangle of width w around the threshold
 * t to the derivative of the step (Rajamanoharan et al., "Jumping Ahead",
 * 2024); with log t as the parameter and W = [|p - t| < w/2]:
 *   JUMP_EXACT      -t^2/w sum W dz  - l0 t/w mean W
 *   JUMP_PUBLISHED  -t/w   sum V dz  - l0 1/w mean [|z - t| < w/2],
 *                   V = [|relu(p) - t| < w/2]
 * The second is the MSAE authors' code: without the factor t of d t/d log t,
 * and for l0 with z in p's place, so that of the window only the half above
 * the threshold is seen. (In a window that reaches below 0 it then sees all
 * that is not active.) */
enum train_jump { JUMP_EXACT, JUMP_PUBLISHED };

struct train_opts {
	enum sae_arch arch;
	size_t batch;                    /* most rows of a step */
	size_t nesting[SAE_MAX_LEVELS], levels; /* MSAE: ascending, each in 1..m */
	double weights[SAE_MAX_LEVELS];  /* MSAE: a_i >= 0, not all 0 */
	size_t k;                        /* TOPK, BATCHTOPK */
	enum train_loss loss;
	double l1, l0;                   /* l0: JUMPRELU only */
	double threshold, bandwidth;     /* JUMPRELU: where thresholds start, w */
	enum train_jump jump;
	double soft_cap;                 /* 0: none; not with JUMPRELU */
	double clip;                     /* largest gradient norm; 0: any */
	double beta1, beta2, eps;
};

/* What the authors' code takes: batch 4096, clip 1, beta .9 and .999, eps
 * 6.25e-10, bandwidth .001, threshold .001; for MSAE nesting 64 128 256 ...
 * below m, then m, with weights all 1; k 64 (at most m). */
void train_defaults(struct train_opts *o, enum sae_arch arch, size_t m);
/* a_i = 1 (UW), or h - i for i = 0..h-1 (RW: the first level weighs most). */
void train_weights(struct train_opts *o, bool reverse);

/* Where a step's time goes. */
enum train_phase {
	PHASE_PRODUCT,   /* centred rows, p */
	PHASE_RANKING,   /* which codes count, at which level */
	PHASE_SUMS,      /* xhat of each level */
	PHASE_LOSS,      /* losses, their gradients */
	PHASE_GRADIENTS,  /* of codes and of parameters */
	PHASE_UPDATE,    /* unit rows, projection, norm, clipping, Adam */
	TRAIN_PHASES
};

/* "product", "ranking", ...; NULL from TRAIN_PHASES on. */
const char *train_phase_name(enum train_phase phase);

struct train_result {
	double loss;                         /* with penalties */
	double level_loss[SAE_MAX_LEVELS];   /* l(xhat_i, x) */
	double fvu;       /* last level: mean of var(x - xhat) / var(x) over rows */
	double l0;        /* last level: mean number of non-zeros in a row */
	double l1;        /* last level: mean of |z|_1 / |x|_2 */
	double grad_norm; /* before clipping */
	double seconds[TRAIN_PHASES]; /* by the clock on the wall; the only ones that differ between runs */
};

struct trainer;

/* W_dec [m,d] uniform rows of norm 0.1 (Kaiming's bound drops out), W_enc its
 * transpose, biases 0. The same for every machine. */
void train_init(struct sae *model, uint64_t seed);

/* The trainer changes model's W_enc, b_enc, W_dec, b_dec and, for JUMPRELU and
 * BATCHTOPK, threshold, which must be there for JUMPRELU (entries that are not
 * positive start at o->threshold). BATCHTOPK's, where there is one, follows the
 * smallest code kept in a batch, as a running mean with weight 1/1000: with it
 * a row's codes need no batch. model, pool and simd must outlive the trainer; o
 * is copied. NULL with e filled: CODE_USAGE for options that make no sense,
 * CODE_TRYAGAIN when memory is short. */
struct trainer *trainer_new(struct sae *model, const struct train_opts *o, struct pool *pool,
                            const struct simd *simd, struct err *e);
void trainer_free(struct trainer *t);

/* One step on x [n,d], 1 <= n <= batch. out may be NULL. When loss or gradient
 * norm are not finite (so for NMSE when a row is zero): CODE_DATA, and nothing
 * has changed. Allocates nothing. */
int trainer_step(struct trainer *t, const float *x, size_t n, double lr, struct train_result *out, struct err *e);

/* What a checkpoint has to hold beside the model: float32 (DT_F4) and uint64
 * (DT_U8) tensors, in a fixed order; data points into the trainer. Restoring
 * is filling them, in a trainer made with the same options, before a step. */
#define TRAIN_MAX_TENSORS 20
/* Fills out and returns how many. "active" [m] counts the rows in which a
 * latent was not zero, "last_active" [m] is the value of "rows" (rows trained
 * on) after the latest step with such a row, 0 for never. */
size_t trainer_state(struct trainer *t, struct tensor out[TRAIN_MAX_TENSORS]);
/* The same for the latest step's gradients, as Adam saw them but for the
 * clipping factor *clip: "W_enc" comes transposed, [m,d]. For tests. */
size_t trainer_gradients(struct trainer *t, struct tensor out[TRAIN_MAX_TENSORS], double *clip);

/* ---- the reference: double, dense, one level after another; for tests ---- */

enum { P_W_ENC, P_B_ENC, P_W_DEC, P_B_DEC, P_LOG_THRESHOLD, P_COUNT };

struct train_plain {
	struct train_opts o;
	size_t d, m;
	uint64_t steps;
	double eps_norm;       /* added to norms that divide; FLT_EPSILON */
	size_t size[P_COUNT];  /* 0: there is none */
	double *param[P_COUNT], *grad[P_COUNT], *adam_m[P_COUNT], *adam_v[P_COUNT];
	double *block;         /* all of them */
};

/* Copies the model's parameters. */
int train_plain_init(struct train_plain *t, const struct sae *model, const struct train_opts *o, struct err *e);
void train_plain_free(struct train_plain *t);
/* Fills out (but grad_norm) and t->grad with the raw gradients; changes no
 * parameter. CODE_TRYAGAIN when memory is short. */
int train_plain_gradients(struct train_plain *t, const float *x, size_t n, struct train_result *out, struct err *e);
/* A step; afterwards t->grad holds the gradients as Adam saw them. */
int train_step_plain(struct train_plain *t, const float *x, size_t n, double lr, struct train_result *out, struct err *e);

#endif
