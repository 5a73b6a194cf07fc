#include "files/array.h"

#include <string.h>
#include <zlib.h>

#include "files/infile.h"

#define BLOCK ((size_t)1 << 20) /* bytes converted at a time */
#define TILE 16                 /* columns gathered at a time: a cache line of floats */

void
array_dense(struct array *a)
{
	a->col_step = dtype_size(a->dtype);
	a->row_step = a->cols * a->col_step;
}

void
array_fortran(struct array *a)
{
	a->row_step = dtype_size(a->dtype);
	a->col_step = a->rows * a->row_step;
}

/* n bytes at `at`, into the checksum too where they are the next of it. */
static int
get(struct array *a, void *p, size_t n, uint64_t at, struct err *e)
{
	if (a->mem) {
		memcpy(p, a->mem + at, n);
		return 0;
	}
	if (infile_read_at(a->fd, p, n, at, e))
		return e->code;
	if (a->summed && at == a->sum_at) {
		a->sum = (uint32_t)crc32_z(a->sum, p, n);
		a->sum_at += n;
	}
	return 0;
}

/* Takes the bytes up to `to` into the checksum. */
static int
sum_up_to(struct array *a, uint64_t to, struct err *e)
{
	size_t n;

	for (; a->sum_at < to;) {
		n = to - a->sum_at < BLOCK ? (size_t)(to - a->sum_at) : BLOCK;
		if (buf_resize(&a->block, n, e) || get(a, a->block.data, n, a->sum_at, e))
			return e->code;
	}
	return 0;
}

static int
sum_end(struct array *a, struct err *e)
{
	if (sum_up_to(a, a->from + a->bytes, e))
		return e->code;
	a->sum_done = true;
	return a->sum == a->crc ? 0 : err_set(e, CODE_DATA, "the checksum of its bytes is wrong: the file is damaged");
}

static void
sum_begin(struct array *a)
{
	a->sum_at = a->from;
	a->sum = 0;
}

/* count elements, step bytes apart, to x with x_step floats between them. */
static int
gather(struct array *a, uint64_t at, uint64_t step, size_t count, float *x, size_t x_step, struct err *e)
{
	size_t size = dtype_size(a->dtype), per, n, i;

	per = step > BLOCK - size ? 1 : (size_t)((BLOCK - size) / (step ? step : 1)) + 1;
	for (; count; count -= n, x += n * x_step, at += n * step) {
		n = count < per ? count : per;
		if (buf_resize(&a->block, (n - 1) * (size_t)step + size, e) || get(a, a->block.data, a->block.len, at, e))
			return e->code;
		if (step == size && x_step == 1)
			dtype_to_f32(x, a->block.data, n, a->dtype, a->swap);
		else
			for (i = 0; i < n; i++)
				dtype_to_f32(x + i * x_step, a->block.data + i * (size_t)step, 1, a->dtype, a->swap);
	}
	return 0;
}

/* count elements one behind the other. */
static int
read_run(struct array *a, uint64_t at, size_t count, float *x, struct err *e)
{
	size_t size = dtype_size(a->dtype);

	if (a->dtype == DT_F4 && !a->swap)
		return get(a, x, count * size, at, e);
	return gather(a, at, size, count, x, 1, e);
}

static int
check_count(const struct array *a, uint64_t row, const unsigned char *p, struct err *e)
{
	uint32_t n = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

	if (n == a->cols)
		return 0;
	return err_set(e, CODE_DATA, "row %llu says that it holds %u numbers; the first row holds %llu",
	               (unsigned long long)row, n, (unsigned long long)a->cols);
}

/* Rows with gaps between them, as many at a time as fit a block. */
static int
read_spaced(struct array *a, uint64_t first, size_t n, float *x, struct err *e)
{
	size_t lead = a->counted ? 4 : 0, row = (size_t)a->cols * dtype_size(a->dtype) + lead, per, take, i;
	uint64_t at;

	per = a->row_step > BLOCK - BLOCK / 4 ? 1 : (size_t)(BLOCK / a->row_step);
	for (; n; n -= take, first += take) {
		take = n < per ? n : per;
		at = a->at + first * a->row_step - lead;
		if (buf_resize(&a->block, (take - 1) * (size_t)a->row_step + row, e) ||
		    get(a, a->block.data, a->block.len, at, e))
			return e->code;
		for (i = 0; i < take; i++, x += a->cols) {
			const unsigned char *p = a->block.data + i * (size_t)a->row_step;

			if (a->counted && check_count(a, first + i, p, e))
				return e->code;
			dtype_to_f32(x, p + lead, (size_t)a->cols, a->dtype, a->swap);
		}
	}
	return 0;
}

/* Rows out of columns: TILE columns into a tile [w, n] turns the strided
 * writes into runs of w. */
static int
read_columns(struct array *a, uint64_t first, size_t n, float *x, struct err *e)
{
	size_t cols = (size_t)a->cols, j, w, c, i;
	struct mat tile = {0};

	if (mat_resize(&tile, TILE, n, "rows", e))
		return e->code;
	e->code = 0;
	for (j = 0; j < cols && !e->code; j += w) {
		w = cols - j < TILE ? cols - j : TILE;
		for (c = 0; c < w && !e->code; c++)
			gather(a, a->at + (j + c) * a->col_step + first * a->row_step, a->row_step, n, tile.data + c * n, 1, e);
		for (i = 0; i < n && !e->code; i++)
			for (c = 0; c < w; c++)
				x[i * cols + j + c] = tile.data[c * n + i];
	}
	mat_free(&tile);
	return e->code;
}

static int
read_any(struct array *a, uint64_t first, size_t n, float *x, struct err *e)
{
	size_t size = dtype_size(a->dtype), i;
	uint64_t at = a->at + first * a->row_step;

	if (a->col_step == size && a->row_step == a->cols * size && !a->counted)
		return read_run(a, at, n * (size_t)a->cols, x, e);
	if (a->col_step == size)
		return read_spaced(a, first, n, x, e);
	if (a->row_step < a->col_step)
		return read_columns(a, first, n, x, e);
	for (i = 0; i < n; i++)
		if (gather(a, at + i * a->row_step, a->col_step, (size_t)a->cols, x + i * (size_t)a->cols, 1, e))
			return e->code;
	return 0;
}

int
array_verify(struct array *a, struct err *e)
{
	if (!a->summed || a->sum_done)
		return 0;
	sum_begin(a);
	return sum_end(a, e);
}

int
array_read(struct array *a, uint64_t first, size_t n, float *x, struct err *e)
{
	bool in_order;

	if (a->summed && !first && !a->sum_done) {
		in_order = a->col_step == dtype_size(a->dtype) && a->row_step == a->cols * a->col_step;
		if (!in_order && array_verify(a, e))
			return e->code;
		sum_begin(a);
		if (in_order && sum_up_to(a, a->at, e))
			return e->code;
	}
	if (n && read_any(a, first, n, x, e))
		return e->code;
	/* the last row, and every byte before it went through the sum */
	if (a->summed && !a->sum_done && first + n == a->rows && a->sum_at == a->at + a->rows * a->row_step)
		return sum_end(a, e);
	return 0;
}

void
array_free(struct array *a)
{
	buf_free(&a->block);
}
