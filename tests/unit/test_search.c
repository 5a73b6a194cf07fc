/* Searching, against measuring and sorting everything. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/csr.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "sae/search.h"
#include "tap.h"

struct pair { double score; uint64_t row; };

static int
best_first(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return x->score != y->score ? (x->score < y->score ? 1 : -1) : (x->row > y->row) - (x->row < y->row);
}

/* The n best of all rows for one query, by the definition; returns how many. */
static size_t
plain(const float *x, size_t rows, const float *q, size_t d, bool codes, struct pair *out)
{
	size_t r, i, found = 0;

	for (r = 0; r < rows; r++) {
		double dot = 0, xx = 0, qq = 0;

		for (i = 0; i < d; i++) {
			dot += (double)x[r * d + i] * q[i];
			xx += (double)x[r * d + i] * x[r * d + i];
			qq += (double)q[i] * q[i];
		}
		if (xx > 0 && !(codes && dot == 0))
			out[found++] = (struct pair){dot / sqrt(xx * qq), r};
	}
	qsort(out, found, sizeof *out, best_first);
	return found;
}

static void
to_csr(const float *x, size_t rows, size_t m, struct csr *z)
{
	struct err e = {0};
	size_t r, j, at = 0;

	csr_resize(z, rows, m, rows * m, &e);
	for (r = 0; r < rows; r++) {
		for (j = 0; j < m; j++)
			if (x[r * m + j] != 0) {
				z->idx[at] = (uint32_t)j;
				z->val[at++] = x[r * m + j];
			}
		z->ptr[r + 1] = (uint32_t)at;
	}
}

struct world {
	size_t rows, d, queries;
	float *x, *q;
};

static struct world
world(size_t rows, size_t d, size_t queries, double density, uint64_t seed)
{
	struct world w = {rows, d, queries, mem_alloc((rows + 1) * d * sizeof(float)), mem_alloc(queries * d * sizeof(float))};
	struct rng r = {0};
	size_t i;

	rng_seed(&r, seed, 0);
	for (i = 0; i < rows * d; i++)
		w.x[i] = rng_uniform(&r) < density ? (float)rng_normal(&r) : 0;
	for (i = 0; i < queries * d; i++)
		w.q[i] = rng_uniform(&r) < density ? (float)rng_normal(&r) : 0;
	for (i = 0; i < queries; i++) /* none without a direction */
		w.q[i * d + i % d] = 1;
	/* the same row several times, a row of zeros, rows of odd lengths */
	for (i = 0; i + 7 < rows; i += 5)
		memcpy(w.x + i * d, w.x + (i + 7) * d, d * sizeof(float));
	for (i = 0; rows > 20 && i < d; i++) {
		w.x[3 * d + i] = 0;
		w.x[11 * d + i] *= 1e-22f;
		w.x[12 * d + i] *= 1e25f;
	}
	return w;
}

static void
world_free(struct world *w)
{
	mem_free(w->x);
	mem_free(w->q);
}

/* All rows in frames of `frame`, and whether every query's best are right. */
static unsigned
wrong_in(const struct world *w, bool codes, size_t n, size_t frame, struct pool *pool, const struct simd *simd, struct pair *hits)
{
	struct pair *want = malloc((w->rows + 1) * sizeof *want);
	struct search s;
	struct csr z = {0}, wq = {0};
	struct err e = {0};
	size_t r, q, i, count, some;
	unsigned wrong = 0;

	to_csr(w->q, w->queries, w->d, &wq);
	wrong += search_init(&s, w->queries, n, pool, simd, &e) != 0;
	wrong += (codes ? search_weights(&s, csr_view(&wq), &e) : search_directions(&s, w->q, w->d, &e)) != 0;
	for (r = 0; r < w->rows; r += some) {
		some = w->rows - r < frame ? w->rows - r : frame;
		to_csr(w->x + r * w->d, some, w->d, &z);
		wrong += (codes ? search_codes(&s, csr_view(&z), r, &e) : search_rows(&s, w->x + r * w->d, some, r, &e)) != 0;
		for (q = 0; q < w->queries; q++) /* what is new is said to be new */
			for (i = 0; i < s.best[q].n; i++)
				wrong += s.best[q].items[i].number >= r && !s.fresh[q];
	}
	for (q = 0; q < w->queries; q++) {
		count = plain(w->x, w->rows, w->q + q * w->d, w->d, codes, want);
		count = count < n ? count : n;
		best_sort(&s.best[q]);
		wrong += s.best[q].n != count;
		for (i = 0; i < count && i < s.best[q].n; i++) {
			const struct best_item *b = &s.best[q].items[i];

			/* queries are rounded to unit length: where scores are that near, either order */
			wrong += fabs(b->score - want[i].score) > 1e-6 || (b->number != want[i].row &&
			         !(i + 1 < count && want[i + 1].score > want[i].score - 2e-7) && !(i && want[i - 1].score < want[i].score + 2e-7) && i + 1 < count);
			hits[q * n + i] = (struct pair){b->score, b->number};
		}
	}
	search_free(&s);
	csr_free(&z);
	csr_free(&wq);
	free(want);
	return wrong;
}

static void
test_shapes(bool codes)
{
	static const size_t shapes[][4] = {
		{1, 1, 1, 1}, {1, 7, 3, 5}, {40, 3, 1, 1}, {40, 8, 17, 5}, {700, 19, 5, 10}, {1500, 64, 40, 25}, {1030, 33, 9, 2000}, {300, 129, 1, 3},
	};
	struct err e = {0};
	struct pool *pool = pool_new(3, &e);
	const struct simd *simd = simd_for(NULL), *simple = simd_for("plain");
	unsigned wrong = 0, differ = 0;
	size_t i, frame;

	for (i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		struct world w = world(shapes[i][0], shapes[i][1], shapes[i][2], codes ? .2 : 1, i);
		size_t bytes = w.queries * shapes[i][3] * sizeof(struct pair);
		struct pair *first = calloc(1, bytes), *hits = calloc(1, bytes);

		wrong += wrong_in(&w, codes, shapes[i][3], 10000, NULL, simd, first);
		for (frame = 1; frame < 600; frame = frame * 7 + 1) {
			memset(hits, 0, bytes);
			wrong += wrong_in(&w, codes, shapes[i][3], frame, pool, frame % 2 ? simple : simd, hits);
			differ += memcmp(first, hits, bytes) != 0;
		}
		free(first);
		free(hits);
		world_free(&w);
	}
	tap_ok(!wrong, "%s: the best are those that measuring and sorting give", codes ? "codes" : "rows");
	tap_ok(!differ, "%s: the same bits for every frame size, thread and instruction set", codes ? "codes" : "rows");
	pool_free(pool);
}

/* Rows all alike to the last bits of float32: only double tells them apart. */
static void
test_near_ties(void)
{
	size_t rows = 600, d = 48, r, i;
	struct world w = world(rows, d, 2, 1, 9);
	struct search s;
	struct err e = {0};
	uint64_t want[2];
	unsigned wrong = 0;
	double best;

	for (r = 0; r < rows; r++)
		for (i = 0; i < d; i++)
			w.x[r * d + i] = 1 + (i == r % d ? (float)(r * 7 % 599) * 1.2e-7f : 0);
	search_init(&s, 2, 1, NULL, simd_for(NULL), &e);
	search_directions(&s, w.q, d, &e);
	search_rows(&s, w.x, rows, 0, &e);
	for (i = 0; i < 2; i++) {
		struct compared c;

		best = -2;
		want[i] = 0;
		for (r = 0; r < rows; r++) {
			simd_for(NULL)->compare(s.q.data + i * d, w.x + r * d, d, &c);
			if (c.xy / sqrt(c.yy) / s.length[i] > best) {
				best = c.xy / sqrt(c.yy) / s.length[i];
				want[i] = r;
			}
		}
		wrong += s.best[i].n != 1 || s.best[i].items[0].number != want[i] || s.best[i].items[0].score != best;
	}
	tap_ok(!wrong, "what float32 cannot tell apart, double does");
	search_free(&s);
	world_free(&w);
}

static void
test_refused(void)
{
	uint32_t ptr[] = {0, 1, 1}, idx[] = {2};
	float val[] = {1}, q[] = {1, 0, 0, 0, 0, 0}, nan[] = {1, 0, 0, 0, NAN, 0};
	struct csr_view w = {2, 3, ptr, idx, val};
	struct err e = {0};
	struct search s;

	search_init(&s, 2, 1, NULL, simd_for(NULL), &e);
	tap_ok(search_directions(&s, q, 3, &e) == CODE_BUG, "a direction of zeros");
	tap_ok(search_directions(&s, nan, 3, &e) == CODE_BUG, "a direction of NaN");
	tap_ok(search_weights(&s, w, &e) == CODE_BUG, "a query without weights");
	search_free(&s);
}

int
main(void)
{
	test_shapes(false);
	test_shapes(true);
	test_near_ties();
	test_refused();
	return tap_done();
}
