/* From a screen's approximate rows to certain codes, in two rounds.
 *
 * The k latents with the largest approximations are computed. The least of
 * these values is a floor: the k-th largest code is no smaller. Then all
 * latents whose upper bound reaches the floor are computed, and the k largest
 * of both rounds are the codes. The first round makes the second one small: its
 * floor is a true value, where a bound's floor would lie a bound lower.
 *
 * The latents of many rows are computed latent by latent, so that W_enc passes
 * by once for all of them while their x stays in the second cache. */
#include <math.h>
#include <string.h>

#include "sae/dot.h"
#include "sae/encode_parts.h"

/* The values of all that is wanted of rows first..first+rows-1. */
static void
compute(const struct encoder *enc, struct encode_room *own, size_t first, size_t rows, struct wanted *w)
{
	const struct sae *s = enc->model;
	uint32_t *begin = own->begin;
	size_t r, i, j;

	memset(begin, 0, (s->m + 1) * sizeof *begin);
	for (i = 0; i < w->at[rows]; i++)
		begin[w->idx[i] + 1]++;
	for (j = 0; j < s->m; j++)
		begin[j + 1] += begin[j];
	for (r = 0; r < rows; r++)
		for (i = w->at[r]; i < w->at[r + 1]; i++)
			own->pair[begin[w->idx[i]]++] = (struct dot_pair){(uint32_t)r, w->idx[i], (uint32_t)i};
	enc->simd->dot_pairs(enc->x.data + first * enc->width, enc->wt, enc->width, own->pair, w->at[rows], w->val);
	for (i = 0; i < w->at[rows]; i++)
		w->val[i] = encode_gate(s, w->idx[i], w->val[i] + s->b_enc[w->idx[i]]);
	own->counts.computed += w->at[rows];
}

/* The k latents of a row with the largest approximations above their threshold. */
static size_t
likely(const struct encoder *enc, struct encode_room *own, const float *a, size_t k)
{
	const struct sae *s = enc->model;
	struct list l = {own->idx, own->val, 0, 0};
	const float *p;
	size_t j, n;

	for (j = 0; j < s->m; j += n) {
		n = s->m - j < SCREEN_CUT ? s->m - j : SCREEN_CUT;
		p = a + j;
		if (s->threshold) {
			memcpy(own->u, p, n * sizeof *p);
			enc->simd->gate(own->u, s->threshold + j, n);
			p = own->u;
		}
		select_gather(enc->simd, &l, j, p, n, k);
	}
	select_settle(enc->simd, &l, k);
	return l.n;
}

/* Latents of row r, other than the n of `known`, whose code may reach the
 * floor, or be positive at all when that is 0. Enc->most + 1: too many. */
static size_t
possible(const struct encoder *enc, struct encode_room *own, size_t r, const float *a, float floor, const uint32_t *known, size_t n, uint32_t *out)
{
	float below = floor > 0 ? select_float(select_bits(floor) - 1) : 0;
	const struct sae *s = enc->model;
	size_t found = 0, next = 0, j, len, got, i;

	for (j = 0; j < s->m; j += len) {
		len = s->m - j < SCREEN_CUT ? s->m - j : SCREEN_CUT;
		screen_upper(enc->screen, &enc->seen, r, j, len, a, own->u);
		if (s->threshold)
			enc->simd->gate(own->u, s->threshold + j, len);
		got = enc->simd->compress_above(own->u, len, below, own->idx, own->val);
		for (i = 0; i < got; i++) {
			for (; next < n && known[next] < own->idx[i] + j; next++)
				;
			if (next < n && known[next] == own->idx[i] + j)
				continue;
			if (found == enc->most)
				return found + 1;
			out[found++] = own->idx[i] + (uint32_t)j;
		}
	}
	return found;
}

/* The least of the values of row r, which are k; 0 when some are not codes. */
static float
floor_of(const struct wanted *w, size_t r, size_t k)
{
	float least = INFINITY;
	size_t i;

	if (!k || w->at[r + 1] - w->at[r] < k)
		return 0;
	for (i = w->at[r]; i < w->at[r + 1]; i++)
		if (!(w->val[i] >= least))
			least = w->val[i];
	return least > 0 ? least : 0;
}

/* The codes of both rounds for row i of the group, merged, into row r's list. */
static void
settle(struct encoder *enc, const struct encode_room *own, size_t i, size_t r)
{
	const struct wanted *a = &own->first, *b = &own->second, *from;
	struct list l = {enc->idx + r * enc->stride, enc->val + r * enc->stride, 0, 0};
	size_t x = a->at[i], y = b->at[i], at;

	while (x < a->at[i + 1] || y < b->at[i + 1]) {
		from = y == b->at[i + 1] || (x < a->at[i + 1] && a->idx[x] < b->idx[y]) ? a : b;
		at = from == a ? x++ : y++;
		l.idx[l.n] = from->idx[at];
		l.val[l.n] = from->val[at];
		l.n += from->val[at] > l.floor;
		if (enc->k && l.n == 2 * enc->k + SELECT_SLACK)
			select_settle(enc->simd, &l, enc->k);
	}
	if (enc->k)
		select_settle(enc->simd, &l, enc->k);
	enc->count[r] = (uint32_t)l.n;
}

void
certify(struct encoder *enc, size_t first, size_t end, const float *approximate, unsigned thread)
{
	struct encode_room *own = &enc->room[thread];
	size_t k = enc->fast ? enc->k + enc->k / 4 + 8 : enc->k, rows = end - first, cols = enc->a.cols, i, n;
	struct wanted *a = &own->first, *b = &own->second;

	if (k > enc->model->m)
		k = enc->model->m;
	a->at[0] = b->at[0] = 0;
	for (i = 0; i < rows; i++) {
		enc->count[first + i] = isnan(enc->seen.length[first + i]) ? UNDECIDED : 0;
		n = !k || enc->count[first + i] ? 0 : likely(enc, own, approximate + i * cols, k);
		memcpy(a->idx + a->at[i], own->idx, n * sizeof *a->idx);
		a->at[i + 1] = a->at[i] + n;
	}
	compute(enc, own, first, rows, a);
	for (i = 0; i < rows; i++) {
		n = enc->fast || enc->count[first + i] ? 0
		    : possible(enc, own, first + i, approximate + i * cols, floor_of(a, i, k), a->idx + a->at[i], a->at[i + 1] - a->at[i], b->idx + b->at[i]);
		if (n > enc->most) {
			enc->count[first + i] = UNDECIDED;
			n = 0;
		}
		b->at[i + 1] = b->at[i] + n;
	}
	compute(enc, own, first, rows, b);
	for (i = 0; i < rows; i++)
		if (!enc->count[first + i]) {
			settle(enc, own, i, first + i);
			own->counts.screened++;
		}
}
