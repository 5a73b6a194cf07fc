#include "jobs/groups.h"

#include <math.h>
#include <string.h>

#include "sae/cknna.h"
#include "sae/topk.h"

int
groups_init(struct groups *g, size_t size, size_t neighbours, size_t d, size_t nlevels, struct err *e)
{
	*g = (struct groups){.size = size, .neighbours = neighbours, .d = d, .nlevels = nlevels};
	if (!neighbours || size <= neighbours || size < 4)
		return err_set(e, CODE_USAGE, "CKNNA: groups of %zu rows are too small for the %zu nearest of each row", size, neighbours);
	if (size > UINT32_MAX / 2)
		return err_set(e, CODE_USAGE, "CKNNA: groups of %zu rows are too large", size);
	return 0;
}

static void
piece_free(struct group_piece *p)
{
	mat_free(&p->x);
	csr_free(&p->z);
	*p = (struct group_piece){0};
}

void
groups_free(struct groups *g)
{
	piece_free(&g->now);
	piece_free(&g->head);
}

static void
add(struct group_sums *s, double value)
{
	if (isnan(value)) {
		s->undefined++;
		return;
	}
	s->groups++;
	s->sum += value;
	s->square += value * value;
}

/* Room for so many rows, at most a group; what is there stays. */
static int
reserve(const struct groups *g, struct group_piece *p, size_t rows, struct err *e)
{
	struct mat more = {0};

	if (p->x.data && rows <= p->x.rows)
		return 0;
	rows = rows < g->size / 2 ? 2 * rows : g->size;
	if (mat_resize(&more, rows, g->d, "group", e))
		return e->code;
	if (p->n)
		memcpy(more.data, p->x.data, p->n * g->d * sizeof *more.data);
	mat_free(&p->x);
	p->x = more;
	return 0;
}

/* One level of a group: its value, and whose it was when codes are the same as
 * those of the level before. */
static int
score(const struct groups *g, const struct quality *q, const struct nearest *x, struct csr_view z, double *value, struct err *e)
{
	struct nearest nz;

	if (nearest_codes(&nz, z, g->neighbours, q->pool, q->simd, e))
		return e->code;
	cknna(value, x, &nz, e);
	nearest_free(&nz);
	return e->code;
}

/* Levels from the longest to the shortest, each cut from the one before. */
static int
score_levels(struct groups *g, struct quality *q, const struct nearest *x, struct csr_view z, struct csr cut[2], struct err *e)
{
	struct csr_view left = z, next;
	double value = NAN;
	size_t i;

	if (quality_chosen(q)) {
		if (quality_choose(q, z, &cut[0], e) || score(g, q, x, csr_view(&cut[0]), &value, e))
			return e->code;
		add(&g->levels[0], value);
	}
	if ((!quality_chosen(q) || q->nks) && score(g, q, x, z, &value, e))
		return e->code;
	if (!quality_chosen(q))
		add(&g->levels[0], value);
	for (i = q->nks; i-- > 0; left = next) {
		if (topk_rows(left, q->ks[i], false, q->pool, q->simd, &cut[i % 2], e))
			return e->code;
		next = csr_view(&cut[i % 2]);
		if (next.ptr[next.rows] != left.ptr[left.rows] && score(g, q, x, next, &value, e))
			return e->code;
		add(&g->levels[i + 1], value);
	}
	return 0;
}

static int
score_piece(struct groups *g, struct quality *q, struct group_piece *p, struct err *e)
{
	struct nearest x;
	struct csr cut[2] = {{0}, {0}};

	if (nearest_rows(&x, p->x.data, p->n, g->d, g->neighbours, q->pool, q->simd, e))
		return e->code;
	score_levels(g, q, &x, csr_view(&p->z), cut, e);
	nearest_free(&x);
	csr_free(&cut[0]);
	csr_free(&cut[1]);
	g->rows += p->n;
	return e->code;
}

static void
empty(struct group_piece *p)
{
	p->n = 0;
	if (p->z.ptr)
		p->z.rows = 0;
}

/* The piece at hand gets no more rows. */
static int
close_piece(struct groups *g, struct quality *q, struct err *e)
{
	struct group_piece *p = &g->now;

	if (p->n == g->size) {
		if (score_piece(g, q, p, e))
			return e->code;
	} else if (p->n && p->first % g->size && !g->head.n && !g->rows && !g->left_out) {
		g->head = *p;
		*p = (struct group_piece){0};
	} else {
		g->left_out += p->n;
	}
	empty(p);
	return 0;
}

int
groups_rows(struct groups *g, struct quality *q, const float *x, struct csr_view z, uint64_t row, struct err *e)
{
	struct group_piece *p = &g->now;
	size_t at, some, end;

	for (at = 0; at < z.rows; at += some, row += some) {
		if (p->n && (row != p->first + p->n || row % g->size == 0) && close_piece(g, q, e))
			return e->code;
		if (!p->n)
			p->first = row;
		end = g->size - (size_t)(row % g->size);
		some = z.rows - at < end ? z.rows - at : end;
		if (reserve(g, p, p->n + some, e))
			return e->code;
		memcpy(p->x.data + p->n * g->d, x + at * g->d, some * g->d * sizeof *x);
		if (csr_append(&p->z, z, at, at + some, e))
			return e->code;
		p->n += some;
		if (p->n == g->size && close_piece(g, q, e))
			return e->code;
	}
	return 0;
}

static int
give(struct groups *g, struct quality *q, struct group_piece *p, struct err *e)
{
	return p->n ? groups_rows(g, q, p->x.data, csr_view(&p->z), p->first, e) : 0;
}

int
groups_merge(struct groups *g, struct groups *after, struct quality *q, struct err *e)
{
	size_t i;

	if (give(g, q, &after->head, e))
		return e->code;
	/* whole groups lie between the two pieces of a pass */
	if (after->rows && close_piece(g, q, e))
		return e->code;
	for (i = 0; i < g->nlevels; i++) {
		g->levels[i].sum += after->levels[i].sum;
		g->levels[i].square += after->levels[i].square;
		g->levels[i].groups += after->levels[i].groups;
		g->levels[i].undefined += after->levels[i].undefined;
	}
	g->rows += after->rows;
	g->left_out += after->left_out;
	return give(g, q, &after->now, e);
}

int
groups_finish(struct groups *g, struct quality *q, struct err *e)
{
	struct group_piece *most = g->head.n > g->now.n ? &g->head : &g->now;
	size_t rows = most->n;

	if (g->rows)
		g->left_out += g->head.n + g->now.n;
	else if (rows <= g->neighbours || rows < 4)
		return err_set(e, CODE_DATA, "CKNNA: %zu rows are too few for the %zu nearest of each row; give more rows, or leave it out", rows, g->neighbours);
	else if (score_piece(g, q, most, e))
		return e->code;
	else
		g->left_out += g->head.n + g->now.n - rows;
	empty(&g->head);
	empty(&g->now);
	return 0;
}
