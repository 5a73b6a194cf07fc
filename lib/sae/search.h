/* Which rows are nearest to each of some queries, by cosine, out of any number
 * of rows that come block by block.
 *
 *   search_init(&s, queries, n, pool, simd, &err);
 *   search_directions(&s, q, d, &err)  or  search_weights(&s, w, &err);
 *   search_rows(&s, x, rows, first, &err)  or  search_codes(&s, z, first, &err);
 *   ... s.best[i] is query i's; fresh[i] whether this call changed it ...
 *   search_free(&s);
 *
 * The answer is exact: a matrix product in float32 says which rows can be among
 * the best, and those alone are measured in double, one sum after another. So
 * it is the same for every number of threads, frame size, BLAS and instruction
 * set. Memory: the queries, their n best, and a block of products.
 */
#ifndef SAE_SEARCH_H
#define SAE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/best.h"
#include "base/csr.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/pool.h"
#include "sae/simd.h"

#define SEARCH_MAX_QUERIES 65536

struct search {
	size_t queries;
	struct best *best; /* [queries] */
	bool *fresh;       /* [queries] */
	struct err *failed; /* [queries] */
	struct pool *pool;
	const struct simd *simd;
	size_t block;      /* rows whose products are held at once */
	/* directions */
	struct mat q;      /* [queries,d] of length 1 */
	double *length;    /* [queries] of them, or of the weights */
	struct mat c, norms; /* products [queries,block], lengths of rows [block] */
	/* weights, turned: the queries of each latent */
	size_t m;
	size_t *at;        /* [m+1] */
	uint32_t *query;
	float *weight;
	double *dots, *row_length; /* [block,queries], [block] */
};

/* 1 <= queries <= SEARCH_MAX_QUERIES, n >= 1. */
int search_init(struct search *s, size_t queries, size_t n, struct pool *pool, const struct simd *simd, struct err *e);
/* What is looked for, at first or anew (the best stay): q [queries,d], or
 * weights on latents w [queries,m]. CODE_BUG when one is zero or not finite. */
int search_directions(struct search *s, const float *q, size_t d, struct err *e);
int search_weights(struct search *s, struct csr_view w, struct err *e);
void search_free(struct search *s);

/* Finite rows x [n,d], numbered first, first + 1 ...; a row of zeros is like
 * nothing and never a hit. Ties go to the lower number. */
int search_rows(struct search *s, const float *x, size_t n, uint64_t first, struct err *e);
/* The same for codes: a row whose inner product with the query is 0, as when
 * they share no latent, is never a hit. */
int search_codes(struct search *s, struct csr_view z, uint64_t first, struct err *e);

#endif
