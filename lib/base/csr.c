#include "base/csr.h"

#include <string.h>

#include "base/mem.h"

static int
grow(void **p, size_t *cap, size_t need, const char *what, struct err *e)
{
	mem_free(*p);
	*p = mem_alloc(need * 4);
	*cap = *p ? need : 0;
	return *p ? 0 : err_memory(e, what, need * 4ull);
}

int
csr_resize(struct csr *c, size_t rows, size_t cols, size_t nnz, struct err *e)
{
	size_t cap;

	if (nnz > UINT32_MAX || rows >= UINT32_MAX || cols > UINT32_MAX)
		return err_set(e, CODE_DATA, "codes: %zu non-zeros in one block are too many; use smaller frames", nnz);
	if ((!c->ptr || rows + 1 > c->ptr_cap) &&
	    grow((void **)&c->ptr, &c->ptr_cap, rows + 1, "codes", e))
		return e->code;
	if (!c->idx || nnz > c->nnz_cap) {
		cap = nnz + nnz / 4 + 1;
		if (grow((void **)&c->idx, &c->nnz_cap, cap, "codes", e) ||
		    grow((void **)&c->val, &c->nnz_cap, cap, "codes", e)) {
			c->nnz_cap = 0;
			return e->code;
		}
	}
	c->rows = rows;
	c->cols = cols;
	c->ptr[0] = 0;
	return 0;
}

int
csr_copy(struct csr *to, struct csr_view from, struct err *e)
{
	size_t nnz = from.ptr[from.rows];

	if (csr_resize(to, from.rows, from.cols, nnz, e))
		return e->code;
	memcpy(to->ptr, from.ptr, (from.rows + 1) * sizeof *to->ptr);
	memcpy(to->idx, from.idx, nnz * sizeof *to->idx);
	memcpy(to->val, from.val, nnz * sizeof *to->val);
	return 0;
}

/* Room for n numbers of 4 bytes, what is there stays. */
static int
extend(void **p, size_t used, size_t cap, struct err *e)
{
	void *more = mem_alloc(cap * 4);

	if (!more)
		return err_memory(e, "codes", cap * 4ull);
	if (used)
		memcpy(more, *p, used * 4);
	mem_free(*p);
	*p = more;
	return 0;
}

int
csr_append(struct csr *to, struct csr_view from, size_t first, size_t end, struct err *e)
{
	size_t rows = to->ptr ? to->rows : 0, used = rows ? to->ptr[rows] : 0, more = from.ptr[end] - from.ptr[first], cap, r;

	if (used + more > UINT32_MAX)
		return err_set(e, CODE_DATA, "codes: %zu non-zeros at once are too many; use smaller groups", used + more);
	if (!to->ptr || rows + (end - first) + 1 > to->ptr_cap) {
		cap = 2 * (rows + (end - first)) + 1;
		if (extend((void **)&to->ptr, to->ptr ? rows + 1 : 0, cap, e))
			return e->code;
		to->ptr_cap = cap;
	}
	if (!to->idx || used + more > to->nnz_cap) {
		cap = used + more + (used + more) / 2 + 1;
		if (extend((void **)&to->idx, used, cap, e) || extend((void **)&to->val, used, cap, e))
			return e->code;
		to->nnz_cap = cap;
	}
	to->cols = from.cols;
	to->ptr[0] = 0;
	for (r = first; r < end; r++)
		to->ptr[++rows] = (uint32_t)used + (from.ptr[r + 1] - from.ptr[first]);
	to->rows = rows;
	memcpy(to->idx + used, from.idx + from.ptr[first], more * sizeof *to->idx);
	memcpy(to->val + used, from.val + from.ptr[first], more * sizeof *to->val);
	return 0;
}

void
csr_below(struct csr *c, uint32_t limit)
{
	uint32_t from, end, to = 0;
	size_t r;

	for (from = 0, r = 0; r < c->rows; r++, from = end) {
		for (end = c->ptr[r + 1]; from < end; from++)
			if (c->idx[from] < limit) {
				c->idx[to] = c->idx[from];
				c->val[to++] = c->val[from];
			}
		c->ptr[r + 1] = to;
	}
}

void
csr_free(struct csr *c)
{
	mem_free(c->ptr);
	mem_free(c->idx);
	mem_free(c->val);
	*c = (struct csr){0};
}

struct csr_view
csr_view(const struct csr *c)
{
	return (struct csr_view){c->rows, c->cols, c->ptr, c->idx, c->val};
}

/* No way out inside, and nothing but bits, so that it becomes vector code: when
 * i <= last neither i nor last - i has the top bit; else one has. */
bool
csr_within(const uint32_t *idx, size_t n, uint32_t cols)
{
	uint32_t bits = 0, last = cols - 1;
	size_t i;

	if (!cols)
		return !n;
	for (i = 0; i < n; i++)
		bits |= idx[i] | (last - idx[i]);
	return bits < 1u << 31;
}
