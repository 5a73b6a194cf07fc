#include "view/cofire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define SEED 0x636f66697265 /* any: the same rows are drawn in every run */

int
cofire_init(struct cofire *c, size_t m, struct err *e)
{
	memset(c, 0, sizeof *c);
	c->m = m;
	/* calloc: rows that never come never cost memory */
	c->codes = calloc((size_t)COFIRE_ROWS * COFIRE_CODES, sizeof *c->codes);
	c->n = calloc(COFIRE_ROWS, 1);
	if (c->codes && c->n)
		return 0;
	cofire_free(c);
	return err_memory(e, "a sample of rows", (unsigned long long)COFIRE_ROWS * COFIRE_CODES * sizeof *c->codes);
}

void
cofire_free(struct cofire *c)
{
	free(c->codes);
	free(c->n);
	free(c->start);
	free(c->in_rows);
	free(c->count);
	free(c->touched);
	memset(c, 0, sizeof *c);
}

size_t
cofire_drawn(const struct cofire *c)
{
	return c->rows < COFIRE_ROWS ? (size_t)c->rows : COFIRE_ROWS;
}

void
cofire_rows(struct cofire *c, struct csr_view strongest)
{
	uint64_t place;
	struct rng draw;
	uint32_t n;
	size_t i;

	for (i = 0; i < strongest.rows; i++, c->rows++) {
		/* a reservoir: row r takes the place of another with probability
		 * COFIRE_ROWS/(r+1) (Vitter 1985, algorithm R) */
		place = c->rows;
		if (place >= COFIRE_ROWS) {
			rng_seed(&draw, SEED, c->rows);
			place = rng_below(&draw, c->rows + 1);
			if (place >= COFIRE_ROWS)
				continue;
		}
		n = strongest.ptr[i + 1] - strongest.ptr[i];
		n = n < COFIRE_CODES ? n : COFIRE_CODES;
		if (n)
			memcpy(c->codes + place * COFIRE_CODES, strongest.idx + strongest.ptr[i], n * sizeof *c->codes);
		c->n[place] = (unsigned char)n;
	}
}

int
cofire_index(struct cofire *c, struct err *e)
{
	size_t rows = cofire_drawn(c), i, j, t, nnz = 0;

	for (i = 0; i < rows; i++)
		nnz += c->n[i];
	c->start = calloc(c->m + 2, sizeof *c->start);
	c->in_rows = calloc(nnz + 1, sizeof *c->in_rows);
	c->count = calloc(c->m + 1, sizeof *c->count);
	c->touched = calloc(c->m + 1, sizeof *c->touched);
	if (!c->start || !c->in_rows || !c->count || !c->touched)
		return err_memory(e, "latents that fire together", (unsigned long long)(nnz + 3 * c->m) * sizeof *c->start);
	/* start[j + 2] counts, then start[j + 1] is where the next row of j goes */
	for (i = 0; i < rows; i++)
		for (t = 0; t < c->n[i]; t++)
			c->start[c->codes[i * COFIRE_CODES + t] + 2]++;
	for (j = 2; j < c->m + 2; j++)
		c->start[j] += c->start[j - 1];
	for (i = 0; i < rows; i++)
		for (t = 0; t < c->n[i]; t++)
			c->in_rows[c->start[c->codes[i * COFIRE_CODES + t] + 1]++] = (uint32_t)i;
	return 0;
}

uint32_t
cofire_fired(const struct cofire *c, uint32_t latent)
{
	return c->start[latent + 1] - c->start[latent];
}

/* Puts p where it belongs among the n best. */
static size_t
keep(struct cofire_pair *best, size_t n, struct cofire_pair p)
{
	size_t i = n;

	while (i && (best[i - 1].overlap < p.overlap || (best[i - 1].overlap == p.overlap && best[i - 1].latent > p.latent)))
		i--;
	if (i == COFIRE_BEST)
		return n;
	n = n < COFIRE_BEST ? n + 1 : n;
	memmove(best + i + 1, best + i, (n - 1 - i) * sizeof *best);
	best[i] = p;
	return n;
}

size_t
cofire_of(struct cofire *c, uint32_t latent, struct cofire_pair out[COFIRE_BEST])
{
	double fired = cofire_fired(c, latent), rows = (double)cofire_drawn(c);
	size_t touched = 0, n = 0, t, i;
	uint32_t at;

	for (at = c->start[latent]; at < c->start[latent + 1]; at++) {
		const uint32_t *codes = c->codes + (size_t)c->in_rows[at] * COFIRE_CODES;

		for (t = 0; t < c->n[c->in_rows[at]]; t++)
			if (!c->count[codes[t]]++)
				c->touched[touched++] = codes[t];
	}
	for (i = 0; i < touched; i++) {
		uint32_t j = c->touched[i], both = c->count[j];
		double others = cofire_fired(c, j);
		struct cofire_pair p = {j, both, both / sqrt(fired * others), both * rows / (fired * others)};

		c->count[j] = 0;
		if (j != latent && both > 1 && p.lift > 1)
			n = keep(out, n, p);
	}
	return n;
}
