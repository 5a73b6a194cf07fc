#include "sae/variant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sae/blas.h"
#include "sae/encode.h"
#include "sae/rowform.h"
#include "sae/topk.h"

#define ROWS_A_JOB 64

struct variant {
	const struct sae *model;
	struct pool *pool;
	struct sae plain;       /* the model without its row_norm ... */
	struct encoder *inner;  /* ... which this encodes with, where the rule is the common one */
	struct mat x;           /* rows in their form */
	struct mat p, q;        /* [VARIANT_ROWS, m]: pre-activations, then codes; the gate's */
	struct room {           /* a thread's own */
		uint32_t *idx;  /* [m] */
		float *val;     /* [m] */
		uint64_t *sort; /* [m] */
		double *sum;    /* [d_out] */
	} *rooms;
};

struct block {
	struct variant *v;
	const float *x; /* [rows, d], centred */
	size_t rows, k;
};

bool
variant_needed(const struct sae *model)
{
	return sae_features(model) & (SAE_ROW_NORM | SAE_SIGNED | SAE_OWN_ORDER | SAE_GROUPS);
}

static int
make_rooms(struct variant *v, struct err *e)
{
	size_t m = v->model->m, threads = pool_threads(v->pool), i;

	v->rooms = calloc(threads, sizeof *v->rooms);
	for (i = 0; v->rooms && i < threads; i++) {
		v->rooms[i].idx = mem_alloc(m * sizeof *v->rooms[i].idx);
		v->rooms[i].val = mem_alloc(m * sizeof *v->rooms[i].val);
		v->rooms[i].sort = mem_alloc(m * sizeof *v->rooms[i].sort);
		v->rooms[i].sum = mem_alloc(v->model->d_out * sizeof *v->rooms[i].sum);
		if (!v->rooms[i].idx || !v->rooms[i].val || !v->rooms[i].sort || !v->rooms[i].sum)
			return err_memory(e, "encoder", m * 16);
	}
	return v->rooms ? 0 : err_memory(e, "encoder", threads * sizeof *v->rooms);
}

struct variant *
variant_new(const struct sae *model, struct pool *pool, const struct simd *simd, struct err *e)
{
	struct variant *v = calloc(1, sizeof *v);

	if (!v) {
		err_memory(e, "encoder", sizeof *v);
		return NULL;
	}
	v->model = model;
	v->pool = pool;
	e->code = 0;
	if (model->rule == RULE_POSITIVE) {
		v->plain = *model;
		v->plain.row_norm = ROWS_AS_THEY_ARE;
		v->inner = encoder_new(&v->plain, pool, simd, e);
	} else if (!mat_resize(&v->p, VARIANT_ROWS, model->m, "encoder", e) &&
	           (!model->W_gate || !mat_resize(&v->q, VARIANT_ROWS, model->m, "encoder", e))) {
		make_rooms(v, e);
	}
	if (!e->code)
		return v;
	variant_free(v);
	return NULL;
}

void
variant_free(struct variant *v)
{
	size_t i;

	if (!v)
		return;
	for (i = 0; v->rooms && i < pool_threads(v->pool); i++) {
		mem_free(v->rooms[i].idx);
		mem_free(v->rooms[i].val);
		mem_free(v->rooms[i].sort);
		mem_free(v->rooms[i].sum);
	}
	free(v->rooms);
	encoder_free(v->inner);
	mat_free(&v->x);
	mat_free(&v->p);
	mat_free(&v->q);
	free(v);
}

/* ---- rules: what stays of one row ---- */

static void
relu(float *p, size_t m)
{
	size_t j;

	for (j = 0; j < m; j++)
		p[j] = p[j] > 0 ? p[j] : 0;
}

/* p's values at the k latents of largest (in size, with abs) order; else 0. The
 * k first of order, or all when k is 0. */
static void
keep_first(float *p, const float *order, size_t m, size_t k, bool abs, struct room *room)
{
	size_t n, i, j;

	if (!k || k >= m)
		return;
	for (j = 0; j < m; j++) {
		room->idx[j] = (uint32_t)j;
		room->val[j] = order[j];
	}
	n = topk_pick(room->idx, room->val, m, k, abs, room->idx, room->val, room->sort);
	for (i = 0, j = 0; j < m; j++)
		if (i < n && room->idx[i] == j)
			i++;
		else
			p[j] = 0;
}

static void
keep_groups(float *p, size_t m, size_t groups)
{
	size_t size = m / groups, g, best, j;

	relu(p, m);
	for (g = 0; g < groups; g++, p += size) {
		for (best = 0, j = 1; j < size; j++)
			if (p[j] > p[best])
				best = j;
		for (j = 0; j < size; j++)
			if (j != best)
				p[j] = 0;
	}
}

/* a = relu(a - eta (a W_dec W_dec^T - a |W_dec_j|^2)) over the latents that are
 * not 0 in a. */
static void
explain_away(const struct sae *s, float *a, struct room *room)
{
	size_t d = s->d_out, n = 0, i, j, t;
	double along, square;
	const float *row;

	memset(room->sum, 0, d * sizeof *room->sum);
	for (j = 0; j < s->m; j++) {
		if (!(a[j] > 0))
			continue;
		room->idx[n++] = (uint32_t)j;
		for (row = s->W_dec + j * d, i = 0; i < d; i++)
			room->sum[i] += (double)a[j] * row[i];
	}
	for (t = 0; t < n; t++) {
		row = s->W_dec + (j = room->idx[t]) * d;
		for (along = square = 0, i = 0; i < d; i++) {
			along += room->sum[i] * row[i];
			square += (double)row[i] * row[i];
		}
		room->val[t] = (float)((double)a[j] - (double)s->lista_eta * (along - (double)a[j] * square));
	}
	for (t = 0; t < n; t++)
		a[room->idx[t]] = room->val[t] > 0 ? room->val[t] : 0;
}

static void
keep_lista(const struct sae *s, float *p, size_t k, struct room *room)
{
	unsigned step;

	relu(p, s->m);
	keep_first(p, p, s->m, 4 * k, false, room);
	for (step = 0; step < s->lista_steps; step++)
		explain_away(s, p, room);
	keep_first(p, p, s->m, k, false, room);
}

static void
keep_gated(const struct sae *s, float *p, float *q, size_t k, struct room *room)
{
	size_t j;

	relu(p, s->m);
	for (j = 0; j < s->m; j++) {
		q[j] += s->b_gate[j];
		p[j] *= 1 / (1 + expf(-q[j]));
	}
	keep_first(p, q, s->m, k, false, room);
}

static void
apply_rule(struct variant *v, float *p, float *q, size_t k, struct room *room)
{
	const struct sae *s = v->model;
	size_t j;

	for (j = 0; j < s->m; j++)
		p[j] += s->b_enc[j];
	switch (s->rule) {
	case RULE_SIGNED: keep_first(p, p, s->m, k, false, room); break;
	case RULE_MAGNITUDE: keep_first(p, p, s->m, k, true, room); break;
	case RULE_GATE: keep_gated(s, p, q, k, room); break;
	case RULE_LISTA: keep_lista(s, p, k, room); break;
	case RULE_GROUPMAX:
		keep_groups(p, s->m, s->group);
		keep_first(p, p, s->m, k, false, room);
		break;
	case RULE_POSITIVE: break; /* the common road */
	}
	for (j = 0; j < s->m && s->soft_cap > 0; j++)
		p[j] = s->soft_cap * tanhf(p[j] / s->soft_cap);
}

/* ---- blocks of rows ---- */

static void
block_job(void *arg, size_t job, unsigned thread)
{
	struct block *b = arg;
	struct variant *v = b->v;
	const struct sae *s = v->model;
	size_t first = job * ROWS_A_JOB, m = s->m, r;
	float *p = v->p.data + first * m, *q = s->W_gate ? v->q.data + first * m : NULL;

	/* rows beyond the last are there, as zeros */
	blas_gemm(ROWS_A_JOB, m, s->d, b->x + first * s->d, s->d, s->W_enc, m, p, m);
	if (q)
		blas_gemm(ROWS_A_JOB, m, s->d, b->x + first * s->d, s->d, s->W_gate, m, q, m);
	for (r = 0; r < ROWS_A_JOB && first + r < b->rows; r++)
		apply_rule(v, p + r * m, q ? q + r * m : NULL, b->k, &v->rooms[thread]);
}

/* The numbers of p that are not 0 become rows at.. of z. */
static int
append(struct csr *z, const float *p, size_t rows, size_t m, size_t at, struct csr *piece, struct err *e)
{
	size_t n = 0, r, j;

	for (j = 0; j < rows * m; j++)
		n += p[j] != 0;
	if (csr_resize(piece, rows, m, n, e))
		return e->code;
	for (n = 0, r = 0; r < rows; r++) {
		for (j = 0; j < m; j++)
			if (p[r * m + j] != 0) {
				piece->idx[n] = (uint32_t)j;
				piece->val[n++] = p[r * m + j];
			}
		piece->ptr[r + 1] = (uint32_t)n;
	}
	return at ? csr_append(z, csr_view(piece), 0, rows, e) : csr_copy(z, csr_view(piece), e);
}

/* Centred rows, in their form, and zeros up to a whole number of jobs. */
static int
prepare(struct variant *v, const float *x, size_t rows, struct err *e)
{
	const struct sae *s = v->model;
	size_t padded = (rows + ROWS_A_JOB - 1) / ROWS_A_JOB * ROWS_A_JOB, r, i;
	float *to;

	if (mat_resize(&v->x, padded, s->d, "rows", e))
		return e->code;
	to = v->x.data;
	if (s->row_norm)
		rowform_apply(s, to, x, rows, NULL);
	else
		memcpy(to, x, rows * s->d * sizeof *to);
	for (r = 0; r < rows; r++, to += s->d)
		for (i = 0; i < s->d; i++)
			to[i] -= s->b_in[i];
	memset(to, 0, (padded - rows) * s->d * sizeof *to);
	return 0;
}

static int
encode_blocks(struct variant *v, const float *x, size_t n, size_t k, struct csr *z, struct csr *piece, struct err *e)
{
	struct block b = {.v = v, .k = k};
	size_t at;

	for (at = 0; at < n; at += b.rows) {
		b.rows = n - at < VARIANT_ROWS ? n - at : VARIANT_ROWS;
		if (prepare(v, x + at * v->model->d, b.rows, e))
			return e->code;
		b.x = v->x.data;
		pool_run(v->pool, block_job, &b, (b.rows + ROWS_A_JOB - 1) / ROWS_A_JOB);
		if (append(z, v->p.data, b.rows, v->model->m, at, piece, e))
			return e->code;
	}
	return n ? 0 : csr_resize(z, 0, v->model->m, 0, e);
}

int
variant_encode(struct variant *v, const float *x, size_t n, size_t k, struct csr *z, struct err *e)
{
	struct csr piece = {0};

	if (v->inner) {
		if (mat_resize(&v->x, n, v->model->d, "rows", e))
			return e->code;
		rowform_apply(v->model, v->x.data, x, n, NULL);
		return encode(v->inner, v->x.data, n, k, z, e);
	}
	if (v->model->rule == RULE_LISTA && !k)
		k = v->model->m;
	e->code = 0;
	encode_blocks(v, x, n, k, z, &piece, e);
	csr_free(&piece);
	return e->code;
}

/* ---- the reference ---- */

/* Sets all of p but the k first by order (ties: lowest first) to 0. */
static void
first_plain(double *p, const double *order, size_t m, size_t k, bool abs)
{
	char *taken = calloc(m, 1);
	size_t i, j, best;

	for (i = 0; taken && i < k; i++) {
		for (best = m, j = 0; j < m; j++)
			if (!taken[j] && (best == m || (abs ? fabs(order[j]) > fabs(order[best]) : order[j] > order[best])))
				best = j;
		if (best < m)
			taken[best] = 1;
	}
	for (j = 0; taken && k && j < m; j++)
		if (!taken[j])
			p[j] = 0;
	free(taken);
}

static void
lista_plain(const struct sae *s, double *p, size_t k)
{
	size_t m = s->m, d = s->d_out, i, j, l;
	double *next = calloc(m, sizeof *next), dot;
	unsigned step;

	first_plain(p, p, m, 4 * k, false);
	for (step = 0; next && step < s->lista_steps; step++) {
		for (j = 0; j < m; j++) {
			next[j] = p[j];
			for (l = 0; l < m && p[j] > 0; l++) {
				for (dot = 0, i = 0; i < d && l != j; i++)
					dot += (double)s->W_dec[j * d + i] * s->W_dec[l * d + i];
				next[j] -= (double)s->lista_eta * dot * p[l];
			}
		}
		for (j = 0; j < m; j++)
			p[j] = next[j] > 0 ? next[j] : 0;
	}
	free(next);
	first_plain(p, p, m, k, false);
}

/* The rule on one row of p (and q), both with their biases. */
static void
rule_plain(const struct sae *s, double *p, double *q, size_t k)
{
	size_t m = s->m, j, g, best;

	for (j = 0; j < m && s->rule != RULE_SIGNED && s->rule != RULE_MAGNITUDE; j++)
		if (!(p[j] > (s->threshold && s->threshold[j] > 0 ? (double)s->threshold[j] : 0)))
			p[j] = 0;
	if (s->rule == RULE_GATE)
		for (j = 0; j < m; j++)
			p[j] /= 1 + exp(-q[j]);
	if (s->rule == RULE_GROUPMAX)
		for (g = 0; g < s->group; g++) {
			for (best = g * (m / s->group), j = best; j < (g + 1) * (m / s->group); j++)
				if (p[j] > p[best])
					best = j;
			for (j = g * (m / s->group); j < (g + 1) * (m / s->group); j++)
				if (j != best)
					p[j] = 0;
		}
	if (s->rule == RULE_LISTA)
		lista_plain(s, p, k ? k : m);
	else
		first_plain(p, s->rule == RULE_GATE ? q : p, m, k, s->rule == RULE_MAGNITUDE);
	for (j = 0; j < m && s->soft_cap > 0; j++)
		p[j] = (double)s->soft_cap * tanh(p[j] / (double)s->soft_cap);
}

void
variant_plain(const struct sae *model, const float *x, size_t n, size_t k, double *z_dense)
{
	size_t d = model->d, m = model->m, r, i, j;
	double *q = calloc(m, sizeof *q), *p, u;
	float *row = calloc(d, sizeof *row);

	for (r = 0; q && row && r < n; r++) {
		p = z_dense + r * m;
		memcpy(row, x + r * d, d * sizeof *row);
		if (model->row_norm)
			rowform_apply(model, row, row, 1, NULL);
		for (j = 0; j < m; j++) {
			p[j] = (double)model->b_enc[j];
			q[j] = model->W_gate ? (double)model->b_gate[j] : 0;
			for (i = 0; i < d; i++) {
				u = (double)row[i] - (double)model->b_in[i];
				p[j] += u * model->W_enc[i * m + j];
				q[j] += model->W_gate ? u * model->W_gate[i * m + j] : 0;
			}
		}
		rule_plain(model, p, q, k);
	}
	free(q);
	free(row);
}
