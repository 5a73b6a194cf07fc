/* Which latents fire together, in memory that grows neither with the rows nor
 * with m^2: counted exactly among COFIRE_ROWS rows, drawn evenly from all there
 * were (all of them, while there are not more), and among the COFIRE_CODES
 * strongest latents of each. At most 17 MiB and 20 m bytes.
 *
 *   cofire_init(&c, m, &err); cofire_rows(&c, strongest); ...
 *   cofire_index(&c, &err); n = cofire_of(&c, latent, out); ... cofire_free(&c);
 */
#ifndef VIEW_COFIRE_H
#define VIEW_COFIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"

#define COFIRE_ROWS 32768
#define COFIRE_CODES 64
#define COFIRE_BEST 8

/* Of latents i and j, firing in n_i and n_j of the R rows that were drawn, in
 * n_ij of them together. */
struct cofire_pair {
	uint32_t latent;  /* j */
	uint32_t rows;    /* n_ij */
	double overlap;   /* n_ij / sqrt(n_i n_j): 1 when they always fire together (Ochiai 1957) */
	double lift;      /* n_ij R / (n_i n_j): 1 when one says nothing of the other */
};

struct cofire {
	size_t m;
	uint64_t rows;        /* seen */
	uint32_t *codes;      /* [COFIRE_ROWS,COFIRE_CODES] */
	unsigned char *n;     /* [COFIRE_ROWS]: how many of them */
	/* by cofire_index: rows of latent j are in_rows[start[j] .. start[j+1]-1] */
	uint32_t *start, *in_rows;
	uint32_t *count, *touched; /* [m] each: scratch */
};

int cofire_init(struct cofire *c, size_t m, struct err *e);
/* The next rows: latents that fire, at most COFIRE_CODES a row (more are left
 * out). Which rows are drawn depends on nothing but their number. */
void cofire_rows(struct cofire *c, struct csr_view strongest);
/* Rows drawn so far. */
size_t cofire_drawn(const struct cofire *c);
/* After the last row. */
int cofire_index(struct cofire *c, struct err *e);
/* Rows drawn in which a latent fires. */
uint32_t cofire_fired(const struct cofire *c, uint32_t latent);
/* Those that fire with a latent in 2 rows at least and oftener than chance would
 * have it (lift > 1), by overlap, ties by latent; into out. Returns how many. */
size_t cofire_of(struct cofire *c, uint32_t latent, struct cofire_pair out[COFIRE_BEST]);
void cofire_free(struct cofire *c);

#endif
