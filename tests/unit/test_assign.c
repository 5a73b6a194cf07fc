/* Linear sum assignment against all permutations, against the textbook's
 * Hungarian method, and against its own proof of being optimal. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "sae/assign.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct err err;

static _Noreturn void
bail(const char *what)
{
	printf("Bail out! %s %s\n", what, err.text);
	exit(1);
}

static void *
need(size_t n)
{
	void *p = mem_alloc(n + 1);

	if (!p)
		bail("out of memory");
	return memset(p, 0, n + 1);
}

/* ---- what the costs are ---- */

enum kind { UNIFORM, SIGNED, FEW, BITS, EQUAL, PRODUCT, POINTS, HUGE_RANGE, TINY, LIKE_COLUMNS, KINDS };
static const char *const kind_name[] = {"uniform", "signed", "whole numbers 0 to 3", "0 or 1", "all equal", "i j",
                                        "distances on a line", "1e-30 to 1e30", "denormal", "columns alike"};

static float *
costs(enum kind kind, size_t rows, size_t cols, uint64_t seed)
{
	float *c = need(rows * cols * sizeof *c);
	struct rng r;
	size_t i, j;
	float v = 0;

	rng_seed(&r, seed, kind);
	for (i = 0; i < rows; i++)
		for (j = 0; j < cols; j++) {
			double u = rng_uniform(&r);

			switch (kind) {
			case UNIFORM: v = (float)u; break;
			case SIGNED: v = (float)rng_normal(&r); break;
			case FEW: v = (float)rng_below(&r, 4); break;
			case BITS: v = (float)rng_below(&r, 2); break;
			case EQUAL: v = -2.5f; break;
			case PRODUCT: v = (float)((i + 1) * (j + 1)); break;
			case POINTS: v = fabsf((float)(i * 37 % 101) - (float)(j * 53 % 103)); break;
			case HUGE_RANGE: v = (float)((u < .5 ? -1 : 1) * pow(10, 60 * rng_uniform(&r) - 30)); break;
			case TINY: v = (float)(u * 1e-39); break;
			case LIKE_COLUMNS: v = j % 3 && j ? c[i * cols + j - 1] : (float)u; break;
			case KINDS: break;
			}
			c[i * cols + j] = v;
		}
	return c;
}

/* ---- the references ---- */

struct brute {
	const float *c;
	size_t rows, cols;
	double sign, best;
};

/* All ways to give row i and those after it columns that are not in taken;
 * with more rows than columns a row may go without. */
static void
permute(struct brute *b, size_t i, unsigned taken, size_t without, double sum)
{
	size_t j;

	if (i == b->rows) {
		b->best = sum < b->best ? sum : b->best;
		return;
	}
	for (j = 0; j < b->cols; j++)
		if (!(taken >> j & 1))
			permute(b, i + 1, taken | 1u << j, without, sum + b->sign * (double)b->c[i * b->cols + j]);
	if (without)
		permute(b, i + 1, taken, without - 1, sum);
}

static double
brute_total(const float *c, size_t rows, size_t cols, enum assign_goal goal)
{
	struct brute b = {c, rows, cols, goal == ASSIGN_MOST ? -1 : 1, INFINITY};

	permute(&b, 0, 0, rows > cols ? rows - cols : 0, 0);
	return b.sign * b.best;
}

/* The Hungarian method as textbooks have it: row after row, potentials of both
 * sides, a least slack for each column. Rows and columns count from 1; column 0
 * stands for the row being matched. */
static double
textbook_total(const float *c, size_t rows, size_t cols, enum assign_goal goal)
{
	bool turn = rows > cols;
	size_t n = turn ? cols : rows, m = turn ? rows : cols, i, j, j0, j1 = 0, i0;
	double *u = need((n + 1) * sizeof *u), *v = need((m + 1) * sizeof *v), *slack = need((m + 1) * sizeof *slack);
	size_t *row = need((m + 1) * sizeof *row), *way = need((m + 1) * sizeof *way);
	bool *used = need((m + 1) * sizeof *used);
	double sign = goal == ASSIGN_MOST ? -1 : 1, delta, at, sum = 0;

	for (i = 1; i <= n; i++) {
		row[0] = i;
		j0 = 0;
		for (j = 0; j <= m; j++) {
			slack[j] = INFINITY;
			used[j] = false;
		}
		do {
			used[j0] = true;
			i0 = row[j0];
			delta = INFINITY;
			for (j = 1; j <= m; j++) {
				if (used[j])
					continue;
				at = sign * (double)(turn ? c[(j - 1) * cols + i0 - 1] : c[(i0 - 1) * cols + j - 1]) - u[i0] - v[j];
				if (at < slack[j]) {
					slack[j] = at;
					way[j] = j0;
				}
				if (slack[j] < delta) {
					delta = slack[j];
					j1 = j;
				}
			}
			for (j = 0; j <= m; j++)
				if (used[j]) {
					u[row[j]] += delta;
					v[j] -= delta;
				} else {
					slack[j] -= delta;
				}
			j0 = j1;
		} while (row[j0]);
		do {
			j1 = way[j0];
			row[j0] = row[j1];
			j0 = j1;
		} while (j0);
	}
	for (j = 1; j <= m; j++)
		if (row[j])
			sum += (double)(turn ? c[(j - 1) * cols + row[j] - 1] : c[(row[j] - 1) * cols + j - 1]);
	mem_free(u), mem_free(v), mem_free(slack), mem_free(row), mem_free(way), mem_free(used);
	return sum;
}

/* ---- what is checked ---- */

static void
solve(struct assign *a, const float *c, size_t rows, size_t cols, enum assign_goal goal)
{
	if (assign_begin(a, c, rows, cols, goal, &err))
		bail("assign_begin:");
	while (assign_step(a))
		;
}

/* One to one, both ways, as many as there can be; the total is that of c. */
static bool
sound(const struct assign *a, const float *c)
{
	size_t i, matched = 0, back = 0;
	double sum = 0;

	for (i = 0; i < a->rows; i++)
		if (a->col_of[i] != ASSIGN_NONE) {
			if (a->col_of[i] >= a->cols || a->row_of[a->col_of[i]] != i)
				return false;
			sum += (double)c[i * a->cols + a->col_of[i]];
			matched++;
		}
	for (i = 0; i < a->cols; i++)
		back += a->row_of[i] != ASSIGN_NONE;
	return !a->left && matched == (a->rows < a->cols ? a->rows : a->cols) && back == matched &&
	       fabs(sum - assign_total(a)) <= 1e-12 * (1 + fabs(sum));
}

static double
largest(const float *c, size_t n)
{
	double most = 0;
	size_t i;

	for (i = 0; i < n; i++)
		most = fmax(most, fabs((double)c[i]));
	return most;
}

/* Sound, as good as the reference says, proven so; and the other way round
 * (columns as rows) as good. off: of a total, over the largest cost. */
static bool
right(const float *c, size_t rows, size_t cols, enum assign_goal goal, double want, double off)
{
	double most = largest(c, rows * cols) * off;
	float *t = need(rows * cols * sizeof *t);
	struct assign a;
	size_t i, j;
	bool good;

	solve(&a, c, rows, cols, goal);
	good = sound(&a, c) && fabs(assign_total(&a) - want) <= most && fabs(assign_gap(&a)) <= most;
	assign_free(&a);
	for (i = 0; i < rows; i++)
		for (j = 0; j < cols; j++)
			t[j * rows + i] = c[i * cols + j];
	solve(&a, t, cols, rows, goal);
	good = good && sound(&a, t) && fabs(assign_total(&a) - want) <= most;
	assign_free(&a);
	mem_free(t);
	return good;
}

static void
test_small(enum kind kind)
{
	/* whole numbers are exact */
	double off = kind == FEW || kind == BITS || kind == EQUAL || kind == PRODUCT || kind == POINTS ? 0 : 1e-14;
	size_t rows, cols, tried = 0, wrong = 0;
	enum assign_goal goal;
	uint64_t seed;

	for (rows = 1; rows <= 8; rows++)
		for (cols = 1; cols <= 8; cols++)
			for (seed = 0; seed < (rows * cols <= 36 ? 12 : 2); seed++)
				for (goal = ASSIGN_LEAST; goal <= ASSIGN_MOST; goal++) {
					float *c = costs(kind, rows, cols, seed * 64 + rows * 8 + cols);

					tried++;
					wrong += !right(c, rows, cols, goal, brute_total(c, rows, cols, goal), off);
					mem_free(c);
				}
	tap_ok(!wrong, "as good as the best of all permutations, 1x1 to 8x8, costs %s (%zu of %zu wrong)", kind_name[kind], wrong, tried);
}

static void
test_large(size_t rows, size_t cols)
{
	enum assign_goal goal;
	enum kind kind;
	bool good = true;

	for (kind = 0; kind < KINDS; kind++)
		for (goal = ASSIGN_LEAST; goal <= ASSIGN_MOST; goal++) {
			float *c = costs(kind, rows, cols, rows);
			bool one = right(c, rows, cols, goal, textbook_total(c, rows, cols, goal), 1e-11);

			if (!one)
				printf("# costs %s, %s\n", kind_name[kind], goal == ASSIGN_MOST ? "most" : "least");
			good &= one;
			mem_free(c);
		}
	tap_ok(good, "as good as the textbook's, %zu x %zu", rows, cols);
}

/* More than one chunk of columns, fewer, and a few over. */
static void
test_gap(void)
{
	float *c = costs(UNIFORM, 70, 90, 1);
	struct assign a;
	uint32_t other;
	double before;

	solve(&a, c, 70, 90, ASSIGN_LEAST);
	before = assign_total(&a);
	other = a.mate[3];
	a.mate[3] = a.mate[60];
	a.mate[60] = other;
	tap_ok(assign_total(&a) > before && assign_gap(&a) >= assign_total(&a) - before - 1e-12,
	       "a matching that is not the best has a gap (%g, worse by %g)", assign_gap(&a), assign_total(&a) - before);
	assign_free(&a);
	mem_free(c);
}

static bool
is_identity(const struct assign *a)
{
	size_t i, n = a->rows < a->cols ? a->rows : a->cols;

	for (i = 0; i < n; i++)
		if (a->col_of[i] != i)
			return false;
	return true;
}

static void
test_ties(void)
{
	static const size_t shape[][2] = {{1, 1}, {5, 5}, {100, 100}, {64, 300}, {300, 64}, {1, 9}, {9, 1}};
	static const float taken[] = {1, 0, 0,  1, 0, 0,  0, 1, 1};
	struct assign a;
	bool good = true;
	size_t i;

	for (i = 0; i < COUNT(shape); i++) {
		float *c = costs(EQUAL, shape[i][0], shape[i][1], 0);

		solve(&a, c, shape[i][0], shape[i][1], ASSIGN_LEAST);
		good &= is_identity(&a);
		assign_free(&a);
		mem_free(c);
	}
	tap_ok(good, "ties: all costs equal, i goes to i");
	solve(&a, taken, 3, 3, ASSIGN_LEAST);
	tap_ok(a.col_of[0] == 1 && a.col_of[1] == 2 && a.col_of[2] == 0, "ties: in the order of rows, to the lowest that is free");
	assign_free(&a);
}

/* The most of c is the least of -c: the same matching. */
static void
test_goals(void)
{
	float *c = costs(SIGNED, 130, 200, 3), *minus = need(130 * 200 * sizeof *minus);
	struct assign a, b;
	size_t i;

	for (i = 0; i < 130 * 200; i++)
		minus[i] = -c[i];
	solve(&a, c, 130, 200, ASSIGN_MOST);
	solve(&b, minus, 130, 200, ASSIGN_LEAST);
	tap_ok(!memcmp(a.col_of, b.col_of, 130 * sizeof *a.col_of) && assign_total(&a) == -assign_total(&b), "the most of c is the least of -c");
	assign_free(&a);
	assign_free(&b);
	mem_free(c), mem_free(minus);
}

static void
test_refused(void)
{
	static const float bad[] = {NAN, INFINITY, -INFINITY};
	float c[6] = {1, 2, 3, 4, 5, 6};
	struct assign a;
	bool good = true;
	size_t i;

	for (i = 0; i < COUNT(bad); i++) {
		c[5] = bad[i];
		err.code = 0;
		good &= assign_begin(&a, c, 2, 3, ASSIGN_LEAST, &err) == CODE_DATA && strstr(err.text, "NaN or infinite");
		good &= assign_begin(&a, c, 3, 2, ASSIGN_LEAST, &err) == CODE_DATA;
	}
	tap_ok(good, "NaN and infinities are refused");
	err.code = 0;
	good = !assign_begin(&a, c, 0, 3, ASSIGN_LEAST, &err) && !assign_step(&a) && a.row_of[2] == ASSIGN_NONE && assign_total(&a) == 0;
	assign_free(&a);
	good = good && !assign_begin(&a, c, 3, 0, ASSIGN_LEAST, &err) && !assign_step(&a) && a.col_of[2] == ASSIGN_NONE && assign_gap(&a) == 0;
	assign_free(&a);
	tap_ok(good, "no rows or no columns: nothing is matched");
	c[5] = FLT_MAX, c[0] = -FLT_MAX;
	tap_ok(right(c, 2, 3, ASSIGN_LEAST, -(double)FLT_MAX + 5, 1e-15), "the largest floats there are");
}

int
main(void)
{
	static const size_t shape[][2] = {{1, 300}, {300, 1}, {63, 64}, {64, 65}, {128, 128}, {150, 40}, {65, 257}, {301, 299}};
	enum kind kind;
	size_t i;

	for (kind = 0; kind < KINDS; kind++)
		test_small(kind);
	for (i = 0; i < COUNT(shape); i++)
		test_large(shape[i][0], shape[i][1]);
	test_gap();
	test_ties();
	test_goals();
	test_refused();
	return tap_done();
}
