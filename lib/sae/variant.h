/* Encoding with models that are not plain: rules of other libraries that sets
 * of thresholds and a k do not express, and rows normalised one by one.
 * encoder_new and encode hand such models over; nobody else needs this.
 * Formulae: base/model.h. */
#ifndef SAE_VARIANT_H
#define SAE_VARIANT_H

#include <stdbool.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/model.h"
#include "base/pool.h"
#include "sae/simd.h"

struct variant;

bool variant_needed(const struct sae *model);

/* As encoder_new. Memory: VARIANT_ROWS x m floats, twice that with a gate. */
#define VARIANT_ROWS 512
struct variant *variant_new(const struct sae *model, struct pool *pool, const struct simd *simd, struct err *e);
void variant_free(struct variant *v); /* NULL is fine */

/* As encode: k = 0 keeps all that the rule lets through, else k counts in the
 * rule's own order (LISTA needs a k). Products are of a fixed number of rows, so
 * codes depend neither on threads nor on frames. Codes that are 0 are not stored. */
int variant_encode(struct variant *v, const float *x, size_t n, size_t k, struct csr *z, struct err *e);

/* The readable reference, in double: z_dense [n,m]. For tests. */
void variant_plain(const struct sae *model, const float *x, size_t n, size_t k, double *z_dense);

#endif
