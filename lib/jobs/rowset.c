#include "jobs/rowset.h"

#include <string.h>

#define SCAN_BYTES ((size_t)1 << 22)

static int
begin(struct rowset *s, size_t d, const struct simd *simd, struct err *e)
{
	s->simd = simd;
	s->scale = 1;
	s->first = mem_alloc(d * sizeof *s->first);
	s->varies = mem_alloc(d * sizeof *s->varies);
	if (!s->first || !s->varies || norm_fit_init(&s->sums, d, e))
		return e->code ? e->code : err_memory(e, "rows", d * sizeof *s->first);
	memset(s->varies, 0, d * sizeof *s->varies);
	return 0;
}

int
rowset_files(struct rowset *s, char **paths, size_t n, const struct matfile_opts *o, const struct simd *simd, struct err *e)
{
	size_t rows;

	*s = (struct rowset){.store = {.spool = -1}};
	if (rowstore_files(&s->store, paths, n, o, e))
		return e->code;
	rows = SCAN_BYTES / sizeof(float) / (size_t)s->store.cols;
	if (!begin(s, (size_t)s->store.cols, simd, e))
		mat_resize(&s->block, rows ? rows : 1, (size_t)s->store.cols, "rows", e);
	return e->code;
}

static void
look_at(struct rowset *s, const float *x, size_t n)
{
	size_t d = (size_t)s->store.cols, r, i;

	if (n && !s->sums.rows)
		memcpy(s->first, x, d * sizeof *x);
	for (r = 0; r < n; r++)
		for (i = 0; i < d; i++)
			s->varies[i] |= x[r * d + i] < s->first[i] || x[r * d + i] > s->first[i];
	norm_fit_rows(&s->sums, x, n);
}

int
rowset_scan(struct rowset *s, struct err *e)
{
	uint64_t left = s->store.rows - s->scanned, inside;
	size_t d = (size_t)s->store.cols, n = left < s->block.rows ? (size_t)left : s->block.rows, r;
	const char *path;

	if (!n)
		return 0;
	if (rowstore_read(&s->store, s->scanned, n, s->block.data, e))
		return -1;
	if (f32_nonfinite(s->block.data, n * d)) {
		for (r = 0; !f32_nonfinite(s->block.data + r * d, d); r++)
			;
		path = fileset_where(&s->store.files, s->scanned + r, &inside);
		err_set(e, CODE_DATA, "%s: row %llu holds NaN or infinity; leave such rows out with: read-embeddings --nan=skip ... |",
		        path, (unsigned long long)inside);
		return -1;
	}
	look_at(s, s->block.data, n);
	s->scanned += n;
	return 1;
}

int
rowset_add(struct rowset *s, const float *x, size_t n, size_t d, const struct simd *simd, struct err *e)
{
	if (!s->store.cols) {
		*s = (struct rowset){.store = {.spool = -1}};
		if (rowstore_spool(&s->store, d, e) || begin(s, d, simd, e))
			return e->code;
	}
	if (d != s->store.cols)
		return err_set(e, CODE_DATA, "x is %zu wide, before it was %llu", d, (unsigned long long)s->store.cols);
	look_at(s, x, n);
	return rowstore_add(&s->store, x, n, e);
}

static float *
own_mean(struct rowset *s, struct err *e)
{
	if (!s->mean)
		s->mean = mem_alloc((size_t)s->store.cols * sizeof *s->mean);
	if (!s->mean)
		err_memory(e, "mean", (size_t)s->store.cols * sizeof *s->mean);
	return s->mean;
}

int
rowset_fit(struct rowset *s, struct err *e)
{
	return own_mean(s, e) ? norm_fit_result(&s->sums, s->mean, &s->scale) : e->code;
}

int
rowset_norm(struct rowset *s, const float *mean, float scale, struct err *e)
{
	if (!own_mean(s, e))
		return e->code;
	memcpy(s->mean, mean, (size_t)s->store.cols * sizeof *mean);
	s->scale = scale;
	return 0;
}

size_t
rowset_still(const struct rowset *s)
{
	size_t n = 0, i;

	for (i = 0; i < s->store.cols; i++)
		n += !s->varies[i];
	return n;
}

int
rowset_next(struct rowset *s, size_t most, float *x, size_t *n, struct err *e)
{
	if (rowstore_next(&s->store, most, x, n, e))
		return e->code;
	if (s->mean)
		norm_apply(x, x, *n, (size_t)s->store.cols, s->mean, s->scale, s->simd);
	return 0;
}

int
rowset_read(struct rowset *s, uint64_t first, size_t n, float *x, struct err *e)
{
	if (rowstore_read(&s->store, first, n, x, e))
		return e->code;
	if (s->mean)
		norm_apply(x, x, n, (size_t)s->store.cols, s->mean, s->scale, s->simd);
	return 0;
}

void
rowset_close(struct rowset *s)
{
	if (!s->store.cols)
		return;
	rowstore_close(&s->store);
	norm_fit_free(&s->sums);
	mem_free(s->mean);
	mem_free(s->first);
	mem_free(s->varies);
	mat_free(&s->block);
	*s = (struct rowset){0};
}
