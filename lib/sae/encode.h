/* Embeddings to codes. Formulae: base/model.h; the value of a code: sae/dot.h.
 *
 *   struct encoder *enc = encoder_new(&model, pool, simd, &err);
 *   encode(enc, x, n, k, &z, &err);          as often as wanted
 *   encoder_free(enc);
 *
 * Every code is the one dot product of sae/dot.h, and which codes are kept is
 * decided on these values. So codes are the same bytes for every instruction
 * set, number of threads, size of a frame, and machine; and the k largest are
 * the k largest of all codes, bit for bit.
 *
 * Two ways lead there. All latents: the product in tiles that stay in cache,
 * bias, thresholds and selection applied to a tile before the next is made.
 * Or screened (sae/screen.h): an approximate product finds the few latents that
 * may be among the k largest, or above their threshold, and only these are
 * computed; rows that it cannot decide take the first way.
 *
 * Memory: W_enc again, turned; bytes of it, a quarter of that; and rows x m
 * floats or codes, 64 MiB at most; the latter again for each that shares weights.
 */
#ifndef SAE_ENCODE_H
#define SAE_ENCODE_H

#include <stdbool.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/model.h"
#include "base/pool.h"
#include "sae/simd.h"

struct encoder;

/* model, pool and simd must outlive it. Its weights are read at the first
 * encode, whose rows tell how to be quick with those that follow, and again at
 * the first after encoder_renew: to be called when they have changed. NULL with e
 * filled on failure. */
struct encoder *encoder_new(const struct sae *model, struct pool *pool, const struct simd *simd, struct err *e);
void encoder_renew(struct encoder *enc);
void encoder_free(struct encoder *enc);

/* Another, without a pool, that reads the weights of `of`, which must outlive it
 * and must not be renewed; the better when `of` has encoded something. Each has
 * room of its own, and a thread of its own may use it while nobody uses `of`;
 * what it does is counted as done by `of`. NULL with e empty: not this model. */
struct encoder *encoder_share(struct encoder *of, struct err *e);

/* Which way, for tests and measurements; bytes do not depend on it. */
enum encode_way {
	ENCODE_BEST,  /* bytes where the CPU has them, all latents where that is quick, else BLAS */
	ENCODE_ALL,   /* all latents */
	ENCODE_BYTES, /* screened, where there is a kernel for it */
	ENCODE_BLAS
};
struct encoder *encoder_new_way(const struct sae *model, struct pool *pool, const struct simd *simd, enum encode_way way, struct err *e);

/* z [n,m] = codes of the finite x [n,d]; k > 0 keeps the k largest of each row
 * (ties: lowest latent first), k = 0 keeps all positive ones. Latents ascend.
 * A model with thresholds gives p where p > threshold and p > 0; the soft cap
 * comes last, so that what it makes equal is still told apart. One encoder
 * serves one caller at a time. */
int encode(struct encoder *enc, const float *x, size_t n, size_t k, struct csr *z, struct err *e);

/* From now on the screen alone decides: of its k + k/4 + 8 most likely latents
 * the k largest are kept, with their right values. Of each 64th row all latents
 * are computed too: the next encode's first row has the number `row`. */
void encoder_be_fast(struct encoder *enc);
void encoder_at(struct encoder *enc, uint64_t row);

/* What an encoder, and those that share its weights, have done since they were made. */
struct encode_counts {
	uint64_t rows;
	uint64_t screened;  /* rows that the screen decided */
	uint64_t computed;  /* latents computed for these */
	uint64_t wanted, found; /* when fast: codes of the rows looked at twice, and those of them kept */
};
struct encode_counts encoder_counts(const struct encoder *enc);

/* The readable reference, double accumulation, one row at a time:
 * z_dense [n,m]. Slow; for tests. */
void encode_plain(const struct sae *model, const float *x, size_t n, size_t k, double *z_dense);

#endif
