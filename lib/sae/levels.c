#include "sae/levels.h"

#include "sae/topk.h"

#define ROWS 64 /* a job */

size_t
levels_doubling(size_t m, size_t *ks, size_t room)
{
	size_t n = 0, k;

	for (k = 16; k < m && n + 1 < room; k *= 2)
		ks[n++] = k;
	ks[n++] = m;
	return n;
}

struct work {
	struct csr_view all, kept;
	struct csr *rest;
};

/* Latents ascend in both, and all that is kept is among all. */
static void
subtract_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	size_t end = (job + 1) * ROWS < w->all.rows ? (job + 1) * ROWS : w->all.rows, r;
	uint32_t i, k, at;

	(void)thread;
	for (r = job * ROWS; r < end; r++) {
		k = w->kept.ptr[r];
		at = w->rest->ptr[r];
		for (i = w->all.ptr[r]; i < w->all.ptr[r + 1]; i++)
			if (k < w->kept.ptr[r + 1] && w->kept.idx[k] == w->all.idx[i])
				k++;
			else {
				w->rest->idx[at] = w->all.idx[i];
				w->rest->val[at++] = w->all.val[i];
			}
	}
}

static int
subtract(struct csr_view all, struct csr_view kept, struct pool *pool, struct csr *rest, struct err *e)
{
	struct work w = {all, kept, rest};
	size_t r;

	if (csr_resize(rest, all.rows, all.cols, all.ptr[all.rows] - kept.ptr[all.rows], e))
		return e->code;
	for (r = 0; r < all.rows; r++)
		rest->ptr[r + 1] = rest->ptr[r] + (all.ptr[r + 1] - all.ptr[r]) - (kept.ptr[r + 1] - kept.ptr[r]);
	pool_run(pool, subtract_job, &w, (all.rows + ROWS - 1) / ROWS);
	return 0;
}

int
levels_cut(struct csr_view z, const size_t *ks, size_t nks, struct pool *pool, const struct simd *simd,
           struct csr *cut, struct csr *steps, struct err *e)
{
	struct csr_view left = z, kept;
	size_t i;

	for (i = nks; i-- > 0; left = kept) { /* each from the one before, which is longer */
		if (topk_rows(left, ks[i], false, pool, simd, &cut[i % 2], e))
			return e->code;
		kept = csr_view(&cut[i % 2]);
		if (subtract(left, kept, pool, &steps[i + 1], e))
			return e->code;
	}
	return csr_copy(&steps[0], left, e);
}
