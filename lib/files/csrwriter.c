/* Sparse rows as scipy.sparse.save_npz lays them out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "files/headout.h"
#include "files/infile.h"
#include "files/matwriter.h"
#include "files/npyout.h"
#include "files/zipout.h"

#define PARTS 5
#define BLOCK ((size_t)1 << 16) /* numbers converted at a time */

struct csrwriter {
	struct headout out;
	struct npyout *indices, *data;
	int ends;            /* a temporary file: 0 and where each row ends, as uint64 */
	uint64_t rows, cols, count;
	enum dtype values;
	struct buf block;
};

struct csrwriter *
csrwriter_create(const char *path, uint64_t cols, enum dtype values, struct err *e)
{
	struct csrwriter *w = calloc(1, sizeof *w);
	const uint64_t zero = 0;

	if (!w) {
		err_memory(e, path, sizeof *w);
		return NULL;
	}
	*w = (struct csrwriter){.out = HEADOUT_NONE, .ends = -1, .cols = cols, .values = values};
	if (cols > INT32_MAX)
		err_set(e, CODE_DATA, "%s: rows of %llu latents are too wide for int32 indices", path, (unsigned long long)cols);
	else if (!headout_open(&w->out, path, e) && (w->indices = npyout_create(NULL, "<i4", NULL, 0, e)) &&
	         (w->data = npyout_create(NULL, dtype_name(values), NULL, 0, e)) && (w->ends = io_tempfile(e)) >= 0) {
		if (!io_write_all(w->ends, &zero, sizeof zero))
			return w;
		err_sys(e, CODE_IO, "cannot write a temporary file");
	}
	csrwriter_abort(w);
	return NULL;
}

/* n values in their type, in the block. */
static int
convert(struct csrwriter *w, const float *v, size_t n, struct err *e)
{
	size_t good;

	if (buf_resize(&w->block, n * dtype_size(w->values), e))
		return e->code;
	good = dtype_from_f32(w->block.data, v, n, w->values);
	if (good < n)
		return err_set(e, CODE_DATA, "%s: a value of %g, which half precision cannot hold; write float32", w->out.path, (double)v[good]);
	return 0;
}

static int
append_ends(struct csrwriter *w, const struct csr_view *z, struct err *e)
{
	uint64_t *end;
	size_t i;

	if (buf_resize(&w->block, z->rows * sizeof *end, e))
		return e->code;
	end = (uint64_t *)(void *)w->block.data; /* blocks are aligned */
	for (i = 0; i < z->rows; i++)
		end[i] = w->count + z->ptr[i + 1];
	return io_write_all(w->ends, end, z->rows * sizeof *end) ? err_sys(e, CODE_IO, "cannot write a temporary file") : 0;
}

int
csrwriter_append(struct csrwriter *w, const struct csr_view *z, struct err *e)
{
	size_t count = z->ptr[z->rows];

	if (!z->rows)
		return 0;
	if (count && (convert(w, z->val, count, e) || npyout_append(w->data, w->block.data, count, dtype_size(w->values), e) ||
	              npyout_append(w->indices, z->idx, count, sizeof *z->idx, e)))
		return e->code;
	if (append_ends(w, z, e))
		return e->code;
	w->rows += z->rows;
	w->count += count;
	return 0;
}

/* indptr, in 32 bits where they are enough, as scipy chooses. */
static int
copy_ends(struct csrwriter *w, struct npyout *to, bool wide, struct err *e)
{
	uint64_t *end, at;
	int32_t *narrow;
	size_t n, i;

	if (buf_resize(&w->block, BLOCK * (sizeof *end + sizeof *narrow), e))
		return e->code;
	end = (uint64_t *)(void *)w->block.data;
	narrow = (int32_t *)(void *)(end + BLOCK);
	for (at = 0; at <= w->rows; at += n) {
		n = w->rows + 1 - at < BLOCK ? (size_t)(w->rows + 1 - at) : BLOCK;
		if (io_pread_full(w->ends, end, n * sizeof *end, at * sizeof *end) != (ssize_t)(n * sizeof *end))
			return err_sys(e, CODE_IO, "cannot read a temporary file back");
		for (i = 0; i < n && !wide; i++)
			narrow[i] = (int32_t)end[i];
		if (npyout_append(to, wide ? (void *)end : narrow, n, wide ? sizeof *end : sizeof *narrow, e))
			return e->code;
	}
	return 0;
}

/* A finished npy of n numbers of one type; -1. */
static int
small_npy(const char *dtype, const void *p, size_t n, size_t size, struct err *e)
{
	struct npyout *w = npyout_create(NULL, dtype, NULL, 0, e);

	if (w && !npyout_append(w, p, n, size, e))
		return npyout_take(w, e);
	npyout_abort(w);
	return -1;
}

static int
indptr_npy(struct csrwriter *w, struct err *e)
{
	bool wide = w->count > INT32_MAX;
	struct npyout *to = npyout_create(NULL, wide ? "<i8" : "<i4", NULL, 0, e);

	if (to && !copy_ends(w, to, wide, e))
		return npyout_take(to, e);
	npyout_abort(to);
	return -1;
}

/* format: an array without dimensions, of three bytes. */
static int
format_npy(struct err *e)
{
	char npy[128 + 3];
	int fd = io_tempfile(e);

	memset(npy, ' ', sizeof npy);
	memcpy(npy, "\x93NUMPY\1\0\x76\0", 10); /* 118 bytes of header: 128 in all */
	memcpy(npy + 10, "{'descr': '|S3', 'fortran_order': False, 'shape': (), }", 55);
	memcpy(npy + 127, "\ncsr", 4);
	if (fd < 0 || !io_write_all(fd, npy, sizeof npy))
		return fd;
	err_sys(e, CODE_IO, "cannot write a temporary file");
	close(fd);
	return -1;
}

static int
pack(struct csrwriter *w, struct err *e)
{
	const int64_t shape[2] = {(int64_t)w->rows, (int64_t)w->cols};
	struct zipout_part part[PARTS] = {{"indices.npy", -1}, {"indptr.npy", -1}, {"format.npy", -1}, {"shape.npy", -1}, {"data.npy", -1}};
	size_t i;

	e->code = 0;
	part[0].fd = npyout_take(w->indices, e);
	part[4].fd = npyout_take(w->data, e);
	w->indices = w->data = NULL;
	if (!e->code)
		part[1].fd = indptr_npy(w, e);
	if (!e->code)
		part[2].fd = format_npy(e);
	if (!e->code)
		part[3].fd = small_npy("<i8", shape, 2, sizeof *shape, e);
	if (!e->code && zipout_write(headout_fd(&w->out), part, PARTS, e))
		infile_blame(e, w->out.path);
	for (i = 0; i < PARTS; i++)
		if (part[i].fd >= 0)
			close(part[i].fd);
	return e->code;
}

int
csrwriter_finish(struct csrwriter *w, struct err *e)
{
	int saved;

	if (!pack(w, e))
		headout_finish(&w->out, e);
	saved = errno;
	csrwriter_abort(w);
	errno = saved;
	return e->code;
}

void
csrwriter_abort(struct csrwriter *w)
{
	if (!w)
		return;
	npyout_abort(w->indices);
	npyout_abort(w->data);
	headout_abort(&w->out);
	if (w->ends >= 0)
		close(w->ends);
	buf_free(&w->block);
	free(w);
}
