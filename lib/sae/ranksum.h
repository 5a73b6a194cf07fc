/* How two groups of rows differ in one latent, by ranks: an effect with its
 * interval, and a p-value that holds for codes, most of which are 0.
 *
 *   ranksum_begin(&s, na, nb);
 *   ranksum_tied(&s, a, b);     the rows of both that have the largest code, then
 *                               those of the next, ...: never more than there are
 *   ranksum_end(&s, &result);   all other rows have no code: they are tied at 0
 *
 * Memory is constant, and so is the work for a block of ties.
 */
#ifndef SAE_RANKSUM_H
#define SAE_RANKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The p-value is exact where the active rows (of both groups) times those of them that the smaller group has room for
 * are no more: up to 24 active rows, or up to 192 where the smaller group has 3 rows. */
#define RANKSUM_EXACT 576

struct ranksum {
	int64_t n[2], active[2];
	int64_t twice;       /* twice the pairs where a is above b, ties by halves */
	double decided;      /* pairs that are not tied */
	double square[2];    /* sums over the rows of each group of their d^2 */
	double ties;         /* sum of t^3 - t over what is tied and active */
	unsigned blocks;     /* how many the first RANKSUM_EXACT active rows make, */
	uint16_t size[RANKSUM_EXACT]; /* and their sizes, largest code first */
};

struct ranksum_result {
	/* Cliff's delta: P(a > b) - P(a < b) for a row of each group, -1 to 1. The area under the ROC curve is
	 * (1 + delta) / 2. */
	double delta;
	double low, high; /* 95 % interval */
	double log_p;     /* natural logarithm of the two-sided p-value, <= 0 */
};

/* na, nb > 0, na * nb < 2^62. */
void ranksum_begin(struct ranksum *s, uint64_t na, uint64_t nb);
void ranksum_tied(struct ranksum *s, uint64_t a, uint64_t b);

/* delta's interval is that of Cliff (1996), (d - d^3 +- z s sqrt((1 - d^2)^2 + z^2 s^2)) / (1 - d^2 + z^2 s^2),
 * with the unbiased variance s^2 and its lower bound (Cliff 1993). Where s^2 cannot be estimated, because a group
 * has one row or all rows of one are above all of the other, it is Wilson's for the area with as many trials as
 * the smaller group has rows: no variance of the area is larger (Birnbaum and Klose 1957).
 *
 * p is that of the permutation distribution of the Mann-Whitney statistic, ties and all; twice the smaller tail.
 * Permuted, the number of active rows that fall into group a is hypergeometric, and given that number which of
 * them do is a Mann-Whitney experiment among the active rows alone. So
 *     P(U >= u) = sum_k P(k active rows in a) P(U >= u | k),
 * where the first factor is exact, and the second is counted within RANKSUM_EXACT, and beyond by the
 * normal distribution (ties and continuity corrected). The usual normal approximation for all rows at once
 * is wrong by orders of magnitude where few rows of the smaller group are active, as they mostly are here. */
void ranksum_end(struct ranksum *s, struct ranksum_result *out);

#endif
