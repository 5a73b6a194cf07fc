#include "files/matfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files/infile.h"
#include "files/npy.h"

#define BLOCK ((size_t)1 << 20) /* bytes converted at a time */
#define TILE 16                 /* columns gathered at a time: a cache line of floats */

static int
read_npy_header(int fd, uint64_t size, enum dtype void2, struct npy_header *h, uint64_t *data_at, struct err *e)
{
	unsigned char first[NPY_PRELUDE];
	size_t have = size < sizeof first ? (size_t)size : sizeof first, start, len;
	char *text;

	if (infile_read_at(fd, first, have, 0, e) || npy_prelude(first, have, &start, &len, e))
		return e->code;
	if (len > size - start)
		return err_set(e, CODE_DATA, "npy header of %zu bytes goes beyond the end of the file at %llu: truncated?",
		               len, (unsigned long long)size);
	text = malloc(len + 1);
	if (!text)
		return err_memory(e, "npy header", len);
	e->code = 0;
	if (!infile_read_at(fd, text, len, start, e))
		npy_parse(text, len, void2, h, e);
	free(text);
	*data_at = start + len;
	return e->code;
}

/* The file holds all that its header claims; more is ignored, as numpy does. */
static int
check_size(const struct matfile *f, uint64_t size, struct err *e)
{
	uint64_t row = f->cols * dtype_size(f->dtype), have = size - f->data_at;

	if (f->rows * row <= have)
		return 0;
	return err_set(e, CODE_DATA, "header claims %llu rows of %llu numbers (%s), the file holds %llu whole rows: truncated?",
	               (unsigned long long)f->rows, (unsigned long long)f->cols, dtype_name(f->dtype),
	               (unsigned long long)(have / row));
}

static int
open_npy(struct matfile *f, uint64_t size, const struct matfile_opts *o, struct err *e)
{
	struct npy_header h;

	if (read_npy_header(f->fd, size, o->dtype, &h, &f->data_at, e) || npy_shape(&h, &f->rows, &f->cols, e))
		return e->code;
	f->dtype = h.dtype;
	f->swap = h.swap;
	/* with one row or column the orders are the same: read the fast way */
	f->fortran = h.fortran && f->rows > 1 && f->cols > 1;
	if (check_size(f, size, e))
		return e->code;
	if (o->dim && o->dim != f->cols)
		return err_set(e, CODE_DATA, "has %llu columns; --dim says %llu",
		               (unsigned long long)f->cols, (unsigned long long)o->dim);
	return 0;
}

static int
open_raw(struct matfile *f, uint64_t size, uint64_t dim, struct err *e)
{
	uint64_t row;

	if (dim > NPY_MAX_COLS)
		return err_set(e, CODE_DATA, "rows of %llu numbers: at most %llu are accepted",
		               (unsigned long long)dim, (unsigned long long)NPY_MAX_COLS);
	row = dim * dtype_size(f->dtype);
	if (size % row)
		return err_set(e, CODE_DATA, "%llu bytes without a header are no whole number of rows of %llu x %s (%llu bytes)",
		               (unsigned long long)size, (unsigned long long)dim, dtype_name(f->dtype), (unsigned long long)row);
	f->cols = dim;
	f->rows = size / row;
	return 0;
}

/* Digits that end at *end, read backwards over; false when there are none. */
static bool
number_before(const char *start, const char **end, uint64_t *v, bool *fits)
{
	const char *p = *end, *q;

	while (p > start && p[-1] >= '0' && p[-1] <= '9')
		p--;
	*v = 0;
	for (q = p; q < *end; q++) {
		*fits = *fits && *v <= (UINT64_MAX - 9) / 10;
		*v = *v * 10 + (uint64_t)(*q - '0');
	}
	q = *end;
	*end = p;
	return p < q;
}

/* True when path ends in _ROWS_DIM.npy; fits is false for absurd numbers. */
static bool
name_shape(const char *path, uint64_t *rows, uint64_t *dim, bool *fits)
{
	const char *base = strrchr(path, '/'), *end;

	base = base ? base + 1 : path;
	end = base + strlen(base);
	if (end - base < 8 || strcmp(end - 4, ".npy"))
		return false;
	end -= 4;
	*fits = true;
	if (!number_before(base, &end, dim, fits) || end == base || *--end != '_')
		return false;
	return number_before(base, &end, rows, fits) && end > base && end[-1] == '_';
}

static int
open_named(struct matfile *f, uint64_t size, uint64_t rows, uint64_t dim, bool fits, struct err *e)
{
	if (!fits || !dim || dim > NPY_MAX_COLS || rows > UINT64_MAX / dim / dtype_size(f->dtype))
		return err_set(e, CODE_DATA, "no npy header, and the _ROWS_DIM in its name is out of range");
	if (size != rows * dim * dtype_size(f->dtype))
		return err_set(e, CODE_DATA, "no npy header, and its name says %llu rows of %llu x %s, %llu bytes; the file holds %llu",
		               (unsigned long long)rows, (unsigned long long)dim, dtype_name(f->dtype),
		               (unsigned long long)(rows * dim * dtype_size(f->dtype)), (unsigned long long)size);
	f->rows = rows;
	f->cols = dim;
	return 0;
}

static int
open_headerless(struct matfile *f, const char *path, uint64_t size, const unsigned char *head, size_t n,
                const struct matfile_opts *o, struct err *e)
{
	char what[160];
	bool other = infile_sniff(head, n, what, sizeof what), fits;
	uint64_t rows, dim;

	f->dtype = o->dtype ? o->dtype : DT_F4;
	if (!other && o->dim)
		return open_raw(f, size, o->dim, e);
	if (!other && name_shape(path, &rows, &dim, &fits))
		return open_named(f, size, rows, dim, fits, e);
	return err_set(e, CODE_DATA, "not an npy file: %s", what);
}

static int
open_any(struct matfile *f, const char *path, const struct matfile_opts *o, struct err *e)
{
	unsigned char head[INFILE_SNIFF];
	uint64_t size;
	size_t n;

	if (infile_open(path, &f->fd, &size, e))
		return e->code;
	n = size < sizeof head ? (size_t)size : sizeof head;
	if (infile_read_at(f->fd, head, n, 0, e))
		return e->code;
	if (n >= 6 && !memcmp(head, NPY_MAGIC, 6))
		return open_npy(f, size, o, e);
	return open_headerless(f, path, size, head, n, o, e);
}

int
matfile_open(struct matfile *f, const char *path, const struct matfile_opts *o, struct err *e)
{
	static const struct matfile_opts none = {0};

	memset(f, 0, sizeof *f);
	f->fd = -1;
	f->path = strdup(path);
	if (!f->path)
		return err_memory(e, path, strlen(path));
	if (!open_any(f, path, o ? o : &none, e))
		return 0;
	matfile_close(f);
	return infile_blame(e, path);
}

static int
read_rows(struct matfile *f, uint64_t at, size_t count, float *x, struct err *e)
{
	size_t size = dtype_size(f->dtype), n;

	if (f->dtype == DT_F4 && !f->swap)
		return infile_read_at(f->fd, x, count * size, at, e);
	if (buf_resize(&f->block, (count < BLOCK / size ? count : BLOCK / size) * size, e))
		return e->code;
	for (; count; count -= n, x += n, at += n * size) {
		n = count < BLOCK / size ? count : BLOCK / size;
		if (infile_read_at(f->fd, f->block.data, n * size, at, e))
			return e->code;
		dtype_to_f32(x, f->block.data, n, f->dtype, f->swap);
	}
	return 0;
}

/* n rows of w columns from column j on, out of Fortran order. tile [w, stride]
 * turns the strided writes into runs of w; raw holds one column as it is. */
static int
read_tile(struct matfile *f, uint64_t first, size_t n, size_t j, size_t w, float *tile, size_t stride,
          void *raw, float *x, struct err *e)
{
	size_t size = dtype_size(f->dtype), c, i;

	for (c = 0; c < w; c++) {
		if (infile_read_at(f->fd, raw, n * size, f->data_at + ((j + c) * f->rows + first) * size, e))
			return e->code;
		dtype_to_f32(tile + c * stride, raw, n, f->dtype, f->swap);
	}
	for (i = 0; i < n; i++)
		for (c = 0; c < w; c++)
			x[i * f->cols + j + c] = tile[c * stride + i];
	return 0;
}

static int
read_columns(struct matfile *f, uint64_t first, size_t n, float *x, struct err *e)
{
	size_t stride = n + TILE, j, w; /* not a power of two: columns of a tile share no cache set */
	float *tile;

	if (buf_resize(&f->block, TILE * stride * sizeof *tile + n * dtype_size(f->dtype), e))
		return e->code;
	tile = (float *)(void *)f->block.data;
	for (j = 0; j < f->cols; j += w) {
		w = f->cols - j < TILE ? (size_t)(f->cols - j) : TILE;
		if (read_tile(f, first, n, j, w, tile, stride, tile + TILE * stride, x, e))
			return e->code;
	}
	return 0;
}

int
matfile_read(struct matfile *f, uint64_t first, size_t n, float *x, struct err *e)
{
	size_t count, bytes;

	if (first > f->rows || n > f->rows - first || !size_mul(n, (size_t)f->cols, &count) ||
	    !size_mul(count, 2 * sizeof(double), &bytes)) {
		err_set(e, CODE_BUG, "rows %llu..+%zu were asked for; the file has %llu",
		        (unsigned long long)first, n, (unsigned long long)f->rows);
		return infile_blame(e, f->path);
	}
	if (!n)
		return 0;
	if (f->fortran ? read_columns(f, first, n, x, e)
	               : read_rows(f, f->data_at + first * f->cols * dtype_size(f->dtype), count, x, e))
		return infile_blame(e, f->path);
	return 0;
}

void
matfile_close(struct matfile *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	buf_free(&f->block);
	memset(f, 0, sizeof *f);
	f->fd = -1;
}
