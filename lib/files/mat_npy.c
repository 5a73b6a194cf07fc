/* npy and raw numbers that come in order: through a pipe, a decompressor, or as
 * members of archives. (Those that lie in a file are matfile.c's.) */
#include <stdlib.h>
#include <string.h>

#include "files/matback.h"

#define BLOCK ((size_t)1 << 20)

int
mat_check_cols(uint64_t cols, struct err *e)
{
	if (!cols)
		return err_set(e, CODE_DATA, "rows without numbers");
	if (cols > NPY_MAX_COLS)
		return err_set(e, CODE_DATA, "rows of %llu numbers: at most %llu are accepted",
		               (unsigned long long)cols, (unsigned long long)NPY_MAX_COLS);
	return 0;
}

static int
read_header(struct npyin *r, struct source *s, enum dtype void2, struct err *e)
{
	size_t n, start, len;
	const unsigned char *head = source_peek(s, NPY_PRELUDE, &n, e);
	ssize_t got;

	if (!head)
		return e->code;
	if (n < 6 || memcmp(head, NPY_MAGIC, 6))
		return err_set(e, CODE_DATA, "not an npy array");
	if (npy_prelude(head, n, &start, &len, e) || source_skip(s, start, e) || buf_resize(&r->block, len + 1, e))
		return e->code;
	got = source_read(s, r->block.data, len, e);
	if (got < 0)
		return e->code;
	if ((size_t)got < len)
		return err_set(e, CODE_DATA, "npy header of %zu bytes goes beyond the end: truncated?", len);
	r->head = start + len;
	return npy_parse((char *)r->block.data, len, void2, &r->h, e);
}

int
npyin_begin(struct npyin *r, struct source *s, enum dtype void2, struct err *e)
{
	if (read_header(r, s, void2, e) || npy_shape(&r->h, &r->rows, &r->cols, e))
		return e->code;
	r->left = r->rows;
	if (r->h.fortran && r->rows > 1 && r->cols > 1)
		return err_set(e, CODE_DATA, "an array in Fortran order comes column by column, and its rows last: unpack the file, or save it in C order");
	return 0;
}

int
npyin_rows(struct npyin *r, struct source *s, size_t n, float *x, struct err *e)
{
	size_t size = dtype_size(r->h.dtype), count = n * (size_t)r->cols, take;
	bool plain = r->h.dtype == DT_F4 && !r->h.swap;
	ssize_t got;

	for (; count; count -= take, x += take) {
		take = plain || count < BLOCK / size ? count : BLOCK / size;
		if (!plain && buf_resize(&r->block, take * size, e))
			return e->code;
		got = source_read(s, plain ? (void *)x : r->block.data, take * size, e);
		if (got < 0)
			return e->code;
		if ((size_t)got < take * size)
			return err_set(e, CODE_DATA, "header claims %llu rows of %llu numbers (%s); the data ends before that: truncated?",
			               (unsigned long long)r->rows, (unsigned long long)r->cols, dtype_name(r->h.dtype));
		if (!plain)
			dtype_to_f32(x, r->block.data, take, r->h.dtype, r->h.swap);
	}
	r->left -= n;
	return 0;
}

void
npyin_free(struct npyin *r)
{
	buf_free(&r->block);
}

static int
next_npy(struct matfile *f, size_t most, float *x, struct matnames *names, size_t *got, struct err *e)
{
	struct npyin *r = f->state;
	char extra;
	ssize_t n;

	(void)names;
	*got = r->left < most ? (size_t)r->left : most;
	if (npyin_rows(r, f->src, *got, x, e))
		return e->code;
	/* one byte more, so that whoever keeps a checksum meets the end */
	if (!r->left && (n = source_read(f->src, &extra, 1, e)) < 0)
		return e->code;
	return 0;
}

static void
close_npy(struct matfile *f)
{
	npyin_free(f->state);
	free(f->state);
}

static const struct matback npy_back = {next_npy, close_npy};

int
mat_open_npy_stream(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	struct npyin *r = f->state = calloc(1, sizeof *r);

	f->back = &npy_back;
	if (!r)
		return err_memory(e, "npy", sizeof *r);
	if (npyin_begin(r, f->src, o->dtype, e))
		return e->code;
	f->rows = r->rows;
	f->cols = r->cols;
	f->dtype = r->h.dtype;
	return 0;
}

/* Raw numbers end where the bytes end. */
static int
next_raw(struct matfile *f, size_t most, float *x, struct matnames *names, size_t *got, struct err *e)
{
	struct npyin *r = f->state;
	size_t row = (size_t)r->cols * dtype_size(r->h.dtype), have;

	(void)names;
	for (*got = 0; *got < most; ++*got, x += r->cols) {
		if (!source_peek(f->src, 1, &have, e))
			return e->code;
		if (!have)
			break;
		if (npyin_rows(r, f->src, 1, x, e))
			return e->code == CODE_DATA ? err_set(e, CODE_DATA, "ends within row %llu: rows are %zu bytes",
			                                      (unsigned long long)(f->at + *got), row) : e->code;
	}
	return 0;
}

static const struct matback raw_back = {next_raw, close_npy};

int
mat_open_raw_stream(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	struct npyin *r = f->state = calloc(1, sizeof *r);

	f->back = &raw_back;
	if (!r)
		return err_memory(e, "raw", sizeof *r);
	if (!o->dim)
		return err_set(e, CODE_DATA, "raw numbers need --dim, how many make a row");
	if (mat_check_cols(o->dim, e))
		return e->code;
	r->h.dtype = f->dtype = o->dtype ? o->dtype : DT_F4;
	r->cols = f->cols = o->dim;
	r->rows = r->left = UINT64_MAX;
	f->rows = MATFILE_UNKNOWN;
	return 0;
}
