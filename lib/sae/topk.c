#include "sae/topk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sae/select.h"

#define GROUP 8 /* rows a job */
#define PIECE 512 /* numbers looked at between two thinnings */

/* A number whose order is the order wanted: of values, or of magnitudes. The
 * two zeros are one; NaN comes last, behind minus infinity. */
static uint32_t
rank_of(float v, bool abs)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof bits);
	if ((bits & 0x7fffffff) > 0x7f800000)
		return 0;
	if (abs || !(bits & 0x7fffffff))
		bits &= 0x7fffffff;
	return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}

/* The k-th largest of key[n], 1 <= k <= n, and in *equal how many of those
 * that equal it belong to the k largest. Byte by byte from the top: count, find
 * the byte that holds the k-th, go on with the keys that have it. Always linear.
 * key is destroyed. */
static uint32_t
kth_largest(uint64_t *key, size_t n, size_t k, size_t *equal)
{
	size_t count[256], i, left;
	uint32_t prefix = 0;
	unsigned byte;
	int shift;

	for (shift = 24; shift >= 0; shift -= 8) {
		memset(count, 0, sizeof count);
		for (i = 0; i < n; i++)
			count[key[i] >> shift & 255]++;
		for (byte = 255; count[byte] < k; byte--)
			k -= count[byte];
		prefix |= (uint32_t)byte << shift;
		for (i = left = 0; i < n; i++) {
			key[left] = key[i];
			left += (key[i] >> shift & 255) == byte;
		}
		n = left;
	}
	*equal = k;
	return prefix;
}

size_t
topk_pick(const uint32_t *idx, const float *val, size_t n, size_t k, bool abs,
          uint32_t *idx_out, float *val_out, uint64_t *scratch)
{
	size_t equal, kept = 0, i;
	uint32_t cut, rank;

	if (!k || !n)
		return 0;
	if (k >= n) {
		memmove(idx_out, idx, n * sizeof *idx);
		memmove(val_out, val, n * sizeof *val);
		return n;
	}
	for (i = 0; i < n; i++)
		scratch[i] = rank_of(val[i], abs);
	cut = kth_largest(scratch, n, k, &equal);
	for (i = 0; i < n; i++) {
		rank = rank_of(val[i], abs);
		if (rank < cut || (rank == cut && !equal))
			continue;
		equal -= rank == cut;
		idx_out[kept] = idx[i];
		val_out[kept++] = val[i];
	}
	return kept;
}

/* What the rows of a thread so far say of the next one's floor. */
struct guess {
	float least; /* of the numbers kept in the last row, 0 when there is none */
	float slack; /* the floor of the next is to be so much of it */
};
#define SLACK .9f /* to begin with: of normal numbers half as many again are above it */

/* Room for one row of each thread. */
struct scratch {
	uint32_t *idx;
	float *val;
	uint64_t *key;
	struct guess *guess; /* [threads] */
	size_t stride;
};

struct rows {
	struct csr_view in;
	const float *x; /* or, when not NULL, a dense matrix of in's shape */
	size_t k;
	bool abs;
	const struct simd *simd;
	struct scratch s;
	struct csr *out; /* ptr: where each row may begin */
	uint32_t *count; /* [rows] found */
};

static void
scratch_free(struct scratch *s)
{
	mem_free(s->idx);
	mem_free(s->val);
	mem_free(s->key);
	mem_free(s->guess);
}

static int
scratch_new(struct scratch *s, size_t longest, unsigned threads, struct err *e)
{
	size_t n, i;

	s->stride = (longest / 16 + 2) * 16; /* select_* want 16 more */
	if (!size_mul(s->stride, threads, &n) || n > SIZE_MAX / sizeof *s->key)
		return err_memory(e, "top-k", (unsigned long long)s->stride * threads);
	s->idx = mem_alloc(n * sizeof *s->idx);
	s->val = mem_alloc(n * sizeof *s->val);
	s->key = mem_alloc(n * sizeof *s->key);
	s->guess = mem_alloc(threads * sizeof *s->guess);
	if (s->idx && s->val && s->key && s->guess) {
		for (i = 0; i < threads; i++)
			s->guess[i] = (struct guess){0, SLACK};
		return 0;
	}
	scratch_free(s);
	return err_memory(e, "top-k", n * (sizeof *s->idx + sizeof *s->val + sizeof *s->key));
}

/* The non-zeros of row r; how many. */
static size_t
nonzeros(const struct rows *w, size_t r, uint32_t *idx, float *val)
{
	size_t cols = w->in.cols, n = 0, i;

	if (w->x)
		for (i = 0; i < cols; i++) {
			idx[n] = (uint32_t)i;
			val[n] = w->x[r * cols + i];
			n += val[n] != 0;
		}
	else
		for (i = w->in.ptr[r]; i < w->in.ptr[r + 1]; i++) {
			idx[n] = w->in.idx[i];
			val[n] = w->in.val[i];
			n += val[n] != 0;
		}
	return n;
}

/* How many of a row's n non-zeros are among its k largest numbers: by value,
 * its zeros stand before the negative ones. */
static size_t
wanted(const float *val, size_t n, size_t cols, size_t k, bool abs)
{
	size_t positive = 0, i;

	if (abs)
		return k < n ? k : n;
	for (i = 0; i < n; i++)
		positive += val[i] > 0;
	if (k <= positive)
		return k;
	return k - positive <= cols - n ? positive : k - (cols - n);
}

/* A floor to begin with: of the largest numbers of 4k groups of v, k are above
 * it, so k of v are. It leaves some ten numbers too many, where a floor that
 * rises from 0 lets hundreds in to be thinned out. Room for 4k + 16 in most. */
static float
first_floor(const struct simd *simd, const float *v, size_t len, size_t k, float *most)
{
	size_t groups = (4 * k + 15) / 16 * 16, above;
	uint32_t cut;

	if (len < 4 * groups)
		return 0;
	simd->maxima(v, len, most, groups);
	if (simd->count_above(most, groups, 0) <= k)
		return 0;
	cut = select_cut(simd, most, groups, k, 0, &above);
	return select_float(above < k ? cut - 1 : cut); /* some may equal it */
}

/* What of v[len] is above l->floor. */
static void
gather(const struct rows *w, struct list *l, const float *v, size_t len, size_t k)
{
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = len - i < PIECE ? len - i : PIECE;
		select_gather(w->simd, l, i, v + i, n, k);
	}
}

/* The common case, at the speed of reading: row r has at least k positive
 * numbers, so its k largest are among those. 0 when it has not. The guess is that
 * it looks like the row before: when k numbers are above that floor, all that are
 * kept are; when not, it is looked at again. */
static size_t
pick_positive(const struct rows *w, size_t r, size_t k, struct guess *g, uint32_t *idx, float *val, uint32_t *idx_out, float *val_out)
{
	const float *v = w->x ? w->x + r * w->in.cols : w->in.val + w->in.ptr[r];
	size_t len = w->x ? w->in.cols : w->in.ptr[r + 1] - w->in.ptr[r], i;
	struct list l = {idx, val, 0, g->least * g->slack};
	int32_t least, most;

	if (!k || len < k)
		return 0;
	if (l.floor > 0) {
		l.n = w->simd->few_above(v, len, l.floor, 0, idx, val);
		g->slack = l.n < k ? g->slack * SLACK : l.n > 2 * k ? (3 * g->slack + 1) / 4 : g->slack;
	}
	if (!(l.floor > 0) || l.n < k) {
		l = (struct list){idx, val, 0, first_floor(w->simd, v, len, k, val)};
		gather(w, &l, v, len, k);
	}
	select_settle(w->simd, &l, k);
	g->least = 0;
	if (l.n < k)
		return 0;
	w->simd->extremes(val, k, &least, &most);
	g->least = select_float((uint32_t)least);
	for (i = 0; i < k && !w->x; i++)
		idx[i] = w->in.idx[w->in.ptr[r] + idx[i]];
	memcpy(idx_out, idx, k * sizeof *idx);
	memcpy(val_out, val, k * sizeof *val);
	return k;
}

/* Any row: values of both signs, by magnitude, with fewer than k. */
static size_t
pick_any(const struct rows *w, size_t r, size_t k, uint32_t *idx, float *val, uint64_t *key, uint32_t *idx_out, float *val_out)
{
	size_t n = nonzeros(w, r, idx, val);

	return topk_pick(idx, val, n, wanted(val, n, w->in.cols, k, w->abs), w->abs, idx_out, val_out, key);
}

static void
rows_job(void *arg, size_t job, unsigned thread)
{
	struct rows *w = arg;
	size_t own = thread * w->s.stride, k = w->k < w->in.cols ? w->k : w->in.cols, r, n;
	uint32_t *idx = w->s.idx + own, *idx_out;
	float *val = w->s.val + own, *val_out;

	for (r = job * GROUP; r < (job + 1) * GROUP && r < w->in.rows; r++) {
		idx_out = w->out->idx + w->out->ptr[r];
		val_out = w->out->val + w->out->ptr[r];
		n = w->abs ? 0 : pick_positive(w, r, k, &w->s.guess[thread], idx, val, idx_out, val_out);
		if (!n)
			n = pick_any(w, r, k, idx, val, w->s.key + own, idx_out, val_out);
		w->count[r] = (uint32_t)n;
	}
}

/* Moves rows that found less than they had room for together. */
static void
close_gaps(struct csr *out, const uint32_t *count)
{
	uint32_t at = 0, from;
	size_t r;

	for (r = 0; r < out->rows; r++) {
		from = out->ptr[r];
		if (from != at) {
			memmove(out->idx + at, out->idx + from, count[r] * sizeof *out->idx);
			memmove(out->val + at, out->val + from, count[r] * sizeof *out->val);
		}
		out->ptr[r] = at;
		at += count[r];
	}
	out->ptr[out->rows] = at;
}

/* Numbers stored in row r. */
static size_t
stored(const struct rows *w, size_t r)
{
	return w->x ? w->in.cols : w->in.ptr[r + 1] - w->in.ptr[r];
}

static int
run_rows(struct rows *w, struct pool *pool, struct err *e)
{
	size_t rows = w->in.rows, room = 0, longest = 0, n, r;

	for (r = 0; r < rows; r++) {
		n = stored(w, r);
		longest = n > longest ? n : longest;
		room += n < w->k ? n : w->k;
	}
	if (csr_resize(w->out, rows, w->in.cols, room, e) ||
	    scratch_new(&w->s, longest, pool_threads(pool), e))
		return e->code;
	w->count = mem_alloc(rows * sizeof *w->count);
	if (!w->count) {
		scratch_free(&w->s);
		return err_memory(e, "top-k", rows * sizeof *w->count);
	}
	for (r = 0; r < rows; r++) {
		n = stored(w, r);
		w->out->ptr[r + 1] = w->out->ptr[r] + (uint32_t)(n < w->k ? n : w->k);
	}
	pool_run(pool, rows_job, w, (rows + GROUP - 1) / GROUP);
	close_gaps(w->out, w->count);
	mem_free(w->count);
	scratch_free(&w->s);
	return 0;
}

int
topk_rows(struct csr_view in, size_t k, bool abs, struct pool *pool, const struct simd *simd, struct csr *out, struct err *e)
{
	struct rows w = {.in = in, .k = k, .abs = abs, .simd = simd, .out = out};

	return run_rows(&w, pool, e);
}

int
topk_dense(const float *x, size_t n, size_t cols, size_t k, bool abs, struct pool *pool, const struct simd *simd, struct csr *out, struct err *e)
{
	struct rows w = {.in = {.rows = n, .cols = cols}, .x = x, .k = k, .abs = abs, .simd = simd, .out = out};

	if (cols > UINT32_MAX)
		return err_set(e, CODE_DATA, "top-k: %zu columns are too many", cols);
	return run_rows(&w, pool, e);
}

/* What BatchTopK may keep at all. */
static bool
eligible(float v, bool abs)
{
	return abs ? v != 0 : v > 0;
}

/* Keeps what ranks above cut and the first `equal` of those that equal it. */
static void
filter_batch(struct csr_view in, uint32_t cut, size_t equal, bool abs, struct csr *out)
{
	size_t r, i, n = 0;
	uint32_t rank;

	for (r = 0; r < in.rows; r++) {
		for (i = in.ptr[r]; i < in.ptr[r + 1]; i++) {
			rank = rank_of(in.val[i], abs);
			if (!eligible(in.val[i], abs) || rank < cut || (rank == cut && !equal))
				continue;
			equal -= rank == cut;
			out->idx[n] = in.idx[i];
			out->val[n++] = in.val[i];
		}
		out->ptr[r + 1] = (uint32_t)n;
	}
}

int
topk_batch(struct csr_view in, size_t k, bool abs, struct csr *out, struct err *e)
{
	size_t nnz = in.ptr[in.rows], n = 0, most, equal = nnz, i;
	uint64_t *key = mem_alloc(nnz * sizeof *key);
	uint32_t cut = 0;

	if (!key)
		return err_memory(e, "top-k", nnz * sizeof *key);
	for (i = 0; i < nnz; i++)
		if (eligible(in.val[i], abs))
			key[n++] = rank_of(in.val[i], abs);
	if (!size_mul(k, in.rows, &most) || most > n)
		most = n;
	if (csr_resize(out, in.rows, in.cols, most, e)) {
		mem_free(key);
		return e->code;
	}
	if (!most)
		memset(out->ptr, 0, (in.rows + 1) * sizeof *out->ptr);
	else {
		if (most < n)
			cut = kth_largest(key, n, most, &equal);
		filter_batch(in, cut, equal, abs, out);
	}
	mem_free(key);
	return 0;
}

/* The references: everything sorted by the rule as it is written. */
struct entry {
	float key; /* value or magnitude, NaN as minus infinity */
	float val;
	size_t row;
	uint32_t idx;
	bool keep;
};

static struct entry
entry_of(float v, size_t row, uint32_t idx, bool abs)
{
	return (struct entry){isnan(v) ? -INFINITY : abs ? fabsf(v) : v, v, row, idx, false};
}

static int
by_position(const void *a, const void *b)
{
	const struct entry *p = a, *q = b;

	if (p->row != q->row)
		return p->row < q->row ? -1 : 1;
	return (p->idx > q->idx) - (p->idx < q->idx);
}

static int
by_size(const void *a, const void *b)
{
	const struct entry *p = a, *q = b;

	if (p->key != q->key)
		return p->key > q->key ? -1 : 1;
	return by_position(a, b);
}

/* Appends to out what of the first k of v[n], under by_size, is not zero. */
static size_t
keep_first(struct entry *v, size_t n, size_t k, bool no_negative, struct csr *out, size_t at)
{
	size_t i;

	qsort(v, n, sizeof *v, by_size);
	for (i = 0; i < n && i < k; i++)
		v[i].keep = v[i].val != 0 && !(no_negative && !(v[i].val > 0));
	qsort(v, n, sizeof *v, by_position);
	for (i = 0; i < n; i++)
		if (v[i].keep) {
			out->idx[at] = v[i].idx;
			out->val[at++] = v[i].val;
			out->ptr[v[i].row + 1]++;
		}
	return at;
}

int
topk_rows_plain(struct csr_view in, size_t k, bool abs, struct csr *out, struct err *e)
{
	struct entry *v;
	size_t at = 0, r, j;

	if (csr_resize(out, in.rows, in.cols, in.ptr[in.rows], e))
		return e->code;
	v = mem_alloc(in.cols * sizeof *v);
	if (!v)
		return err_memory(e, "top-k", in.cols * sizeof *v);
	memset(out->ptr, 0, (in.rows + 1) * sizeof *out->ptr);
	for (r = 0; r < in.rows; r++) {
		for (j = 0; j < in.cols; j++)
			v[j] = entry_of(0, r, (uint32_t)j, abs);
		for (j = in.ptr[r]; j < in.ptr[r + 1]; j++)
			v[in.idx[j]] = entry_of(in.val[j], r, in.idx[j], abs);
		at = keep_first(v, in.cols, k, false, out, at);
	}
	for (r = 0; r < in.rows; r++)
		out->ptr[r + 1] += out->ptr[r];
	mem_free(v);
	return 0;
}

int
topk_batch_plain(struct csr_view in, size_t k, bool abs, struct csr *out, struct err *e)
{
	size_t nnz = in.ptr[in.rows], r, j;
	struct entry *v;

	if (csr_resize(out, in.rows, in.cols, nnz, e))
		return e->code;
	v = mem_alloc(nnz * sizeof *v);
	if (!v)
		return err_memory(e, "top-k", nnz * sizeof *v);
	memset(out->ptr, 0, (in.rows + 1) * sizeof *out->ptr);
	for (r = 0; r < in.rows; r++)
		for (j = in.ptr[r]; j < in.ptr[r + 1]; j++)
			v[j] = entry_of(in.val[j], r, in.idx[j], abs);
	keep_first(v, nnz, k * in.rows, !abs, out, 0);
	for (r = 0; r < in.rows; r++)
		out->ptr[r + 1] += out->ptr[r];
	mem_free(v);
	return 0;
}
