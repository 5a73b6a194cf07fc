#include "sae/assign.h"

#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "base/mem.h"

/* Passes that the reduction may take for each row. It mostly needs two or
 * three, but a few rows can outbid each other for long. */
#define REDUCTION_SCANS 20
/* Columns whose least key is kept, so that looking for it takes a look at few. */
#define CHUNK 64
#define LANES 8

static int
get_memory(struct assign *a, bool turn, struct err *e)
{
	size_t n = a->n, m = a->m, chunks = m / CHUNK + 1, cells = 0, bytes = 0;

	a->doubles = mem_alloc((3 * m + chunks + n) * sizeof *a->doubles);
	a->indices = mem_alloc((2 * n + 2 * m + 1) * sizeof *a->indices);
	if (turn && size_mul(n, m, &cells) && size_mul(cells, sizeof *a->turned, &bytes))
		a->turned = mem_alloc(bytes);
	if (!a->doubles || !a->indices || (turn && !a->turned)) {
		assign_free(a);
		return err_memory(e, "matching", 40ull * (n + m) + 4ull * cells);
	}
	a->price = a->doubles;
	a->path.key = a->price + m;
	a->path.price = a->path.key + m;
	a->path.low = a->path.price + m;
	a->path.length = a->path.low + chunks;
	a->mate = a->indices;
	a->path.settled = a->mate + n;
	a->taken_by = a->path.settled + n;
	a->path.from = a->taken_by + m;
	return 0;
}

int
assign_begin(struct assign *a, const float *cost, size_t rows, size_t cols, enum assign_goal goal, struct err *e)
{
	bool turn = rows > cols;
	size_t bad = 0, i;

	*a = (struct assign){.rows = rows, .cols = cols, .cost = cost, .sign = goal == ASSIGN_MOST ? -1 : 1,
	                     .n = turn ? cols : rows, .m = turn ? rows : cols, .displaced = ASSIGN_NONE};
	if (a->m >= ASSIGN_NONE)
		return err_set(e, CODE_DATA, "costs: %zu x %zu; at most %u a side", rows, cols, (unsigned)ASSIGN_NONE - 1);
	for (i = 0; i < rows; i++)
		bad += f32_nonfinite(cost + i * cols, cols);
	if (bad)
		return err_set(e, CODE_DATA, "costs: %zu of them are NaN or infinite", bad);
	if (get_memory(a, turn, e))
		return e->code;
	if (turn) {
		mat_transpose(a->turned, cost, rows, cols);
		a->cost = a->turned;
	}
	a->left = a->n;
	a->col_of = turn ? a->taken_by : a->mate;
	a->row_of = turn ? a->mate : a->taken_by;
	for (i = 0; i < a->n; i++)
		a->mate[i] = ASSIGN_NONE;
	for (i = 0; i < a->m; i++) {
		a->taken_by[i] = ASSIGN_NONE;
		a->price[i] = a->path.price[i] = 0;
	}
	return 0;
}

void
assign_free(struct assign *a)
{
	mem_free(a->doubles);
	mem_free(a->indices);
	mem_free(a->turned);
	a->doubles = NULL;
	a->indices = a->col_of = a->row_of = NULL;
	a->turned = NULL;
}

/* ---- augmenting row reduction ---- */

struct offer {
	double cost;
	uint32_t col;
};

/* The two columns that cost row i least, their prices taken off; of equals the
 * first. Of a single column the second is at infinity. */
static void
two_cheapest(const struct assign *a, size_t i, struct offer *first, struct offer *second)
{
	const float *c = a->cost + i * a->m;
	double cost;
	size_t j;

	*first = *second = (struct offer){INFINITY, ASSIGN_NONE};
	for (j = 0; j < a->m; j++) {
		cost = a->sign * (double)c[j] - a->price[j];
		if (!(cost < second->cost))
			continue;
		if (cost < first->cost) {
			*second = *first;
			*first = (struct offer){cost, (uint32_t)j};
		} else {
			*second = (struct offer){cost, (uint32_t)j};
		}
	}
}

/* Row i takes its cheapest column, whoever has it, and the price falls by as
 * much as the second costs more. When that is nothing, taking what another has
 * would go round in circles: the search will see to row i. */
static void
bid(struct assign *a, uint32_t i)
{
	struct offer first, second;
	double price;

	a->scans++;
	two_cheapest(a, i, &first, &second);
	price = a->price[first.col];
	if (second.col != ASSIGN_NONE)
		price -= second.cost - first.cost;
	if (price < a->price[first.col]) {
		a->price[first.col] = price;
	} else if (a->taken_by[first.col] != ASSIGN_NONE) {
		first = second;
		if (first.col == ASSIGN_NONE || a->taken_by[first.col] != ASSIGN_NONE)
			return;
	}
	a->displaced = a->taken_by[first.col];
	if (a->displaced != ASSIGN_NONE)
		a->mate[a->displaced] = ASSIGN_NONE;
	else
		a->left--;
	a->taken_by[first.col] = i;
	a->mate[i] = first.col;
}

/* One row: who was displaced last, while the passes last, else the next. */
static void
reduce(struct assign *a)
{
	uint32_t i = a->displaced;

	a->displaced = ASSIGN_NONE;
	if (i != ASSIGN_NONE && a->scans < a->n * REDUCTION_SCANS) {
		bid(a, i);
	} else if (a->at < a->n) {
		bid(a, (uint32_t)a->at++);
	} else {
		a->reduced = true;
		a->at = 0;
	}
}

/* ---- shortest augmenting paths ---- */

/* Is column j reached at less cost from row i, where paths have cost -off so
 * far? Returns its key. */
static inline double
relax_one(const struct assign *a, uint32_t i, double off, size_t j)
{
	double cost = a->sign * (double)a->cost[i * a->m + j] - a->path.price[j] - off;

	if (cost < a->path.key[j]) {
		a->path.key[j] = cost;
		a->path.from[j] = i;
	}
	return a->path.key[j];
}

/* relax_one of CHUNK columns; the least of their keys. After the first few rows
 * of a search hardly a key changes: so all are looked at first, in lanes that
 * compilers make vectors of. */
static double
relax_chunk(const struct assign *a, uint32_t i, double off, size_t j)
{
	const float *c = a->cost + i * a->m + j;
	const double *price = a->path.price + j, *key = a->path.key + j;
	double low[LANES];
	size_t t, u;
	int better = 0;

	for (t = 0; t < CHUNK; t++)
		better |= a->sign * (double)c[t] - price[t] - off < key[t];
	for (t = 0; better && t < CHUNK; t++)
		relax_one(a, i, off, j + t);
	for (u = 0; u < LANES; u++)
		low[u] = key[u];
	for (t = LANES; t < CHUNK; t += LANES)
		for (u = 0; u < LANES; u++)
			low[u] = key[t + u] < low[u] ? key[t + u] : low[u];
	for (u = 1; u < LANES; u++)
		low[0] = low[u] < low[0] ? low[u] : low[0];
	return low[0];
}

/* relax_one of all columns; the least of their keys. */
static double
relax(struct assign *a, uint32_t i, double off)
{
	double least = INFINITY, key, low;
	size_t j = 0, chunk;

	for (chunk = 0; j < a->m; chunk++) {
		if (j + CHUNK <= a->m) {
			low = relax_chunk(a, i, off, j);
			j += CHUNK;
		} else {
			for (low = INFINITY; j < a->m; j++) {
				key = relax_one(a, i, off, j);
				low = key < low ? key : low;
			}
		}
		a->path.low[chunk] = low;
		least = low < least ? low : least;
	}
	return least;
}

/* Of the columns with this key the first that is free, else the first. */
static uint32_t
nearest(const struct assign *a, double key)
{
	uint32_t found = ASSIGN_NONE;
	size_t chunk, j, end;

	for (chunk = 0; chunk * CHUNK < a->m; chunk++) {
		if (a->path.low[chunk] > key)
			continue;
		end = (chunk + 1) * CHUNK < a->m ? (chunk + 1) * CHUNK : a->m;
		for (j = chunk * CHUNK; j < end; j++) {
			if (a->path.key[j] > key)
				continue;
			if (a->taken_by[j] == ASSIGN_NONE)
				return (uint32_t)j;
			if (found == ASSIGN_NONE)
				found = (uint32_t)j;
		}
	}
	return found;
}

/* The shortest path from row i, which has no column, to a column that is free
 * (Dijkstra's): each column on it goes to the row before, and prices of the
 * columns that were nearer fall so that no row wants another's. */
static void
augment(struct assign *a, uint32_t start)
{
	uint32_t i = start, j, next;
	double off = 0, key;
	size_t n = 0, t;

	for (t = 0; t < a->m; t++)
		a->path.key[t] = INFINITY;
	for (;;) {
		key = relax(a, i, off);
		j = nearest(a, key);
		i = a->taken_by[j];
		if (i == ASSIGN_NONE)
			break;
		a->path.settled[n] = j;
		a->path.length[n++] = key;
		a->path.key[j] = INFINITY;
		a->path.price[j] = -INFINITY;
		off = a->sign * (double)a->cost[i * a->m + j] - a->price[j] - key;
	}
	for (t = 0; t < n; t++) {
		uint32_t s = a->path.settled[t];

		if (a->path.length[t] < key)
			a->price[s] += a->path.length[t] - key;
		a->path.price[s] = a->price[s];
	}
	do {
		i = a->path.from[j];
		next = a->mate[i];
		a->mate[i] = j;
		a->taken_by[j] = i;
		j = next;
	} while (i != start);
	a->left--;
}

bool
assign_step(struct assign *a)
{
	size_t j;

	if (!a->reduced) {
		reduce(a);
		for (j = 0; a->reduced && j < a->m; j++)
			a->path.price[j] = a->price[j];
		return a->left > 0;
	}
	while (a->at < a->n && a->mate[a->at] != ASSIGN_NONE)
		a->at++;
	if (a->at < a->n)
		augment(a, (uint32_t)a->at);
	return a->left > 0;
}

/* ---- what was found ---- */

double
assign_total(const struct assign *a)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < a->n; i++)
		if (a->mate[i] != ASSIGN_NONE)
			sum += (double)a->cost[i * a->m + a->mate[i]];
	return sum;
}

double
assign_gap(const struct assign *a)
{
	struct offer first, second;
	double gap = 0;
	size_t i, j;

	for (i = 0; i < a->n; i++) {
		j = a->mate[i];
		two_cheapest(a, i, &first, &second);
		gap += a->sign * (double)a->cost[i * a->m + j] - a->price[j] - first.cost;
	}
	return gap;
}
