/* From a screen's approximate rows to certain codes, in two rounds.
 *
 * The k latents with the largest approximations are computed. The least of
 * these values is a floor: the k-th largest code is no smaller. Then all
 * latents whose upper bound reaches the floor are computed, and the k largest
 * of both rounds are the codes. The first round makes the second one small: its
 * floor is a true value, where a bound's floor would lie a bound lower.
 *
 * The latents of many rows are computed latent by latent, so that W_enc passes
 * by once for all of them while their x stays in cache. */
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

/* Approximations of latents from..to-1 of rows first..: to the rows' lists of
 * likely latents, and in 16 bits to where all of them are kept. */
static void
look(const struct encoder *enc, struct encode_room *own, size_t rows, size_t from, size_t to, size_t k, uint16_t *all, struct list *likely)
{
	const struct sae *s = enc->model;
	size_t i;
	float *a;

	for (i = 0; i < rows; i++) {
		a = own->a + i * SCREEN_COLS;
		enc->simd->shorten(all + i * s->m + from, a, to - from);
		if (!k)
			continue;
		if (s->threshold)
			enc->simd->gate(a, s->threshold + from, to - from);
		select_gather(enc->simd, &likely[i], from, a, to - from, k);
	}
}

/* The k latents of each row with the largest approximations above their
 * threshold. Latents pass by in bands whose bytes stay in cache for all rows. */
static void
find_likely(const struct encoder *enc, struct encode_room *own, size_t first, size_t end, size_t k, uint16_t *all, struct list *likely)
{
	size_t m = enc->model->m, step = screen_step(enc->screen), from, to, r, n;

	for (r = first; r < end; r++)
		likely[r - first] = (struct list){own->idx + (r - first) * own->stride, own->val + (r - first) * own->stride, 0, 0};
	for (from = 0; from < m; from = to) {
		to = m - from < SCREEN_COLS ? m : from + SCREEN_COLS;
		for (r = first; r < end; r += n) {
			n = end - r < step ? end - r : step;
			screen_product(enc->screen, &enc->seen, r, r + n, from, to, own->a);
			look(enc, own, n, from, to, k, all + (r - first) * m, likely + (r - first));
		}
	}
	for (r = first; r < end && k; r++)
		select_settle(enc->simd, &likely[r - first], k);
}

/* What a code of at least floor is above; of 0, what any code is above. */
static float
below_floor(float floor)
{
	return floor > 0 ? select_float(select_bits(floor) - 1) : 0;
}

/* Latents of row r, other than the n of `known`, whose code may reach the
 * floor, or be positive at all when that is 0. enc->most + 1: too many. Room in
 * out for SECOND_ROOM more. */
static size_t
possible(const struct encoder *enc, struct encode_room *own, size_t r, const uint16_t *a, float floor, const uint32_t *known, size_t n, uint32_t *out)
{
	float below = below_floor(floor);
	const struct sae *s = enc->model;
	size_t found = 0, next = 0, j, len;

	for (j = 0; j < s->m; j += len) {
		len = s->m - j < SCREEN_COLS ? s->m - j : SCREEN_COLS;
		screen_upper(enc->screen, &enc->seen, r, j, len, a + j, own->u);
		if (s->threshold)
			enc->simd->gate(own->u, s->threshold + j, len);
		for (; next < n && known[next] < j + len; next++)
			own->u[known[next] - j] = -INFINITY;
		found += enc->simd->compress_above(own->u, len, below, (uint32_t)j, out + found, own->u);
		if (found > enc->most)
			return enc->most + 1;
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

/* The codes of both rounds for row i of the group, merged, into row r's list. Few
 * of the second round reach the floor, which is the first's least, so that most
 * of the merging is copying. */
static void
settle(struct encoder *enc, const struct encode_room *own, size_t i, size_t r, float floor)
{
	const struct wanted *a = &own->first, *b = &own->second;
	struct list l = {enc->idx + r * enc->stride, enc->val + r * enc->stride, 0, 0};
	const uint32_t *second = b->idx + b->at[i];
	/* the room of likely latents is free by now */
	size_t n = enc->simd->compress_above(b->val + b->at[i], b->at[i + 1] - b->at[i], below_floor(floor), 0, own->idx, own->val), x = a->at[i], y = 0;

	while (x < a->at[i + 1] || y < n) {
		if (y == n || (x < a->at[i + 1] && a->idx[x] < second[own->idx[y]])) {
			l.idx[l.n] = a->idx[x];
			l.val[l.n] = a->val[x++];
		} else {
			l.idx[l.n] = second[own->idx[y]];
			l.val[l.n] = own->val[y++];
		}
		l.n += l.val[l.n] > l.floor;
		if (enc->k && l.n == 2 * enc->k + SELECT_SLACK)
			select_settle(enc->simd, &l, enc->k);
	}
	if (enc->k)
		select_settle(enc->simd, &l, enc->k);
	enc->count[r] = (uint32_t)l.n;
}

/* The first round's latents, for some rows of the group at a time: their lists
 * are in cache. */
static void
first_round(struct encoder *enc, struct encode_room *own, size_t first, size_t end, size_t k)
{
	struct wanted *a = &own->first;
	struct list likely[LIKELY_ROWS];
	size_t r, i, n, rows;

	a->at[0] = 0;
	for (r = first; r < end; r += rows) {
		rows = end - r < LIKELY_ROWS ? end - r : LIKELY_ROWS;
		find_likely(enc, own, r, r + rows, k, own->all + (r - first) * enc->model->m, likely);
		for (i = 0; i < rows; i++) {
			enc->count[r + i] = isnan(enc->seen.length[r + i]) ? UNDECIDED : 0;
			n = enc->count[r + i] ? 0 : likely[i].n;
			memcpy(a->idx + a->at[r - first + i], likely[i].idx, n * sizeof *a->idx);
			a->at[r - first + i + 1] = a->at[r - first + i] + n;
		}
	}
}

void
certify(struct encoder *enc, size_t first, size_t end, unsigned thread)
{
	struct encode_room *own = &enc->room[thread];
	size_t k = enc->fast ? enc->k + enc->k / 4 + 8 : enc->k, m = enc->model->m, rows = end - first, i, n;
	struct wanted *a = &own->first, *b = &own->second;
	float floor[SCREEN_ROWS];

	if (k > m)
		k = m;
	first_round(enc, own, first, end, k);
	compute(enc, own, first, rows, a);
	b->at[0] = 0;
	for (i = 0; i < rows; i++) {
		floor[i] = enc->fast || enc->count[first + i] ? 0 : floor_of(a, i, k);
		n = enc->fast || enc->count[first + i] ? 0
		    : possible(enc, own, first + i, own->all + i * m, floor[i], a->idx + a->at[i], a->at[i + 1] - a->at[i], b->idx + b->at[i]);
		if (n > enc->most) {
			enc->count[first + i] = UNDECIDED;
			n = 0;
		}
		b->at[i + 1] = b->at[i] + n;
	}
	compute(enc, own, first, rows, b);
	for (i = 0; i < rows; i++)
		if (!enc->count[first + i]) {
			settle(enc, own, i, first + i, floor[i]);
			own->counts.screened++;
		}
}
