#include "sae/ranksum.h"

#include <math.h>
#include <string.h>

#include "base/stats.h"

#define NEGLIGIBLE 45 /* e^-45 of the largest term adds nothing */
#define MOST 24                      /* k of n active rows: n k <= RANKSUM_EXACT, so k <= 24 */
#define SUMS (2 * RANKSUM_EXACT + 1) /* and their midranks are n at most: twice their sum is <= 2 n k */
_Static_assert(MOST * MOST == RANKSUM_EXACT, "room for all ways");

void
ranksum_begin(struct ranksum *s, uint64_t na, uint64_t nb)
{
	*s = (struct ranksum){.n = {(int64_t)na, (int64_t)nb}};
}

/* Rows a and b are tied; `active` ones of each are above. A row's d is the share
 * of the other group that is below it, less the share above. */
static void
count(struct ranksum *s, int64_t a, int64_t b)
{
	double above_b = (double)(s->n[1] - 2 * s->active[1] - b) / (double)s->n[1];
	double above_a = (double)(s->n[0] - 2 * s->active[0] - a) / (double)s->n[0];

	s->twice += a * (2 * (s->n[1] - s->active[1]) - b);
	s->decided += (double)a * (double)(s->n[1] - b);
	s->square[0] += (double)a * above_b * above_b;
	s->square[1] += (double)b * above_a * above_a;
}

void
ranksum_tied(struct ranksum *s, uint64_t a, uint64_t b)
{
	double t = (double)(a + b);

	count(s, (int64_t)a, (int64_t)b);
	if ((uint64_t)(s->active[0] + s->active[1]) + a + b <= RANKSUM_EXACT)
		s->size[s->blocks++] = (uint16_t)(a + b);
	s->active[0] += (int64_t)a;
	s->active[1] += (int64_t)b;
	s->ties += t * t * t - t;
}

/* ---- the p-value ---- */

/* The active rows of both groups, without saying which are whose. */
struct pooled {
	int64_t active;
	double ties;
	bool exact;
	int64_t most; /* of them that the smaller group has room for */
	/* [k][s]: in how many ways k of the active rows have midranks that add up to s/2 */
	double ways[MOST + 1][SUMS];
};

static void
count_ways(struct pooled *p, const struct ranksum *s)
{
	int64_t block, rank = 0, row, k, sum, midrank;

	memset(p->ways, 0, sizeof p->ways);
	p->ways[0][0] = 1;
	for (block = s->blocks; block-- > 0; rank += s->size[block]) {
		midrank = 2 * rank + s->size[block] + 1; /* twice it */
		for (row = rank; row < rank + s->size[block]; row++)
			for (k = row < p->most ? row + 1 : p->most; k > 0; k--)
				for (sum = 2 * p->active * k; sum >= midrank; sum--)
					p->ways[k][sum] += p->ways[k - 1][sum - midrank];
	}
}

/* The same for k rows of the group that `smaller` says it is: P(2 U >= least), counted. */
static double
log_counted(const struct pooled *p, int64_t k, int64_t least, bool smaller)
{
	int64_t n = p->active, mine = smaller ? k : n - k, from = least + k * (k + 1), to = 2 * k * (n - k) - least + mine * (mine + 1), sum;
	double ways = 0;

	/* of the larger group, U >= u where that of the smaller one is no more than pairs - u */
	for (sum = smaller ? from : 0; sum < (smaller ? SUMS : to + 1); sum++)
		ways += p->ways[mine][sum];
	return log(ways) - stats_log_choose((double)n, (double)k);
}

/* log P(2 U >= least) for U of k of the active rows against the others; smaller: they
 * belong to the smaller group. */
static double
log_given(const struct pooled *p, int64_t k, int64_t least, bool smaller)
{
	int64_t n = p->active, pairs = k * (n - k);
	double variance, c;

	if (least <= 0 || least > 2 * pairs)
		return least <= 0 ? 0 : -INFINITY;
	if (p->exact)
		return log_counted(p, k, least, smaller);
	c = p->ties > 0 ? (double)least / 2 - .25 : ceil((double)least / 2) - .5; /* U goes by halves, or by ones */
	if (!(p->ties > 0) && (k == 1 || k == n - 1)) /* any rank is as likely */
		return log(((double)n - .5 - c) / (double)n);
	variance = (double)pairs / 12 * ((double)n + 1 - p->ties / ((double)n * ((double)n - 1)));
	if (variance <= 0)
		return least <= pairs ? 0 : -INFINITY;
	return stats_log_upper((c - (double)pairs / 2) / sqrt(variance));
}

/* The terms of the sum from k on, upwards or downwards, on top of `sum`; the
 * first is e^log_k times that given k. They rise once at most, and fall. */
static double
add_terms(const struct pooled *p, int64_t na, int64_t nb, int64_t twice, int64_t k, int step, double log_k, double sum)
{
	int64_t n = p->active, end = step > 0 ? (na < n ? na : n) : (n > nb ? n - nb : 0);
	double term, last = -INFINITY;

	for (;; k += step, last = term) {
		/* with k active rows, (na + k)(nb - n + k) of `twice` is from pairs with a row that is not */
		term = log_k + log_given(p, k, twice - (na + k) * (nb - n + k), na <= nb);
		sum = stats_log_add(sum, term);
		if (k == end || (term < last && term < sum - NEGLIGIBLE) || (step < 0 && term == -INFINITY))
			return sum;
		log_k += step > 0 ? log((double)(na - k) * (double)(n - k) / ((double)(k + 1) * (double)(nb - n + k + 1)))
		                  : log((double)k * (double)(nb - n + k) / ((double)(na - k + 1) * (double)(n - k + 1)));
	}
}

/* log P(twice U >= twice), where k of na rows were active; k is possible. */
static double
log_tail(const struct pooled *p, int64_t na, int64_t nb, int64_t twice, int64_t k)
{
	double n = (double)p->active, all = (double)na + (double)nb;
	double log_k = stats_log_choose(n, (double)k) + stats_log_choose(all - n, (double)(na - k)) - stats_log_choose(all, (double)na);
	double sum = add_terms(p, na, nb, twice, k, 1, log_k, -INFINITY);

	if (k == 0 || k + nb == p->active)
		return sum;
	log_k += log((double)k * (double)(nb - p->active + k) / ((double)(na - k + 1) * (double)(p->active - k + 1)));
	return add_terms(p, na, nb, twice, k - 1, -1, log_k, sum);
}

static double
log_p(const struct ranksum *s)
{
	int a = s->twice < s->n[0] * s->n[1]; /* the group whose codes are larger */
	struct pooled p;
	double tail;

	p.active = s->active[0] + s->active[1];
	p.ties = s->ties;
	p.most = s->n[0] < s->n[1] ? s->n[0] : s->n[1];
	p.most = p.most < p.active ? p.most : p.active;
	p.exact = p.active * p.most <= RANKSUM_EXACT;
	if (p.exact)
		count_ways(&p, s);
	tail = log_tail(&p, s->n[a], s->n[!a], a ? 2 * s->n[0] * s->n[1] - s->twice : s->twice, s->active[a]);
	return fmin(0, log(2) + tail);
}

/* ---- the effect ---- */

static void
interval(const struct ranksum *s, struct ranksum_result *out)
{
	double na = (double)s->n[0], nb = (double)s->n[1], d = out->delta, z = STATS_Z95, pairs, var, root, below;

	if (na < 2 || nb < 2 || fabs(d) >= 1) {
		stats_wilson((d + 1) / 2 * fmin(na, nb), fmin(na, nb), &out->low, &out->high);
		out->low = 2 * out->low - 1;
		out->high = 2 * out->high - 1;
		return;
	}
	pairs = s->decided - na * nb * d * d;
	var = (nb * nb * (s->square[0] - na * d * d) + na * na * (s->square[1] - nb * d * d) - pairs) / (na * nb * (na - 1) * (nb - 1));
	var = fmax(var, (1 - d * d) / (na * nb - 1));
	root = z * sqrt(var) * sqrt((1 - d * d) * (1 - d * d) + z * z * var);
	below = 1 - d * d + z * z * var;
	out->low = (d - d * d * d - root) / below;
	out->high = (d - d * d * d + root) / below;
}

void
ranksum_end(struct ranksum *s, struct ranksum_result *out)
{
	count(s, s->n[0] - s->active[0], s->n[1] - s->active[1]);
	out->delta = (double)(s->twice - s->n[0] * s->n[1]) / ((double)s->n[0] * (double)s->n[1]);
	interval(s, out);
	out->log_p = log_p(s);
}
