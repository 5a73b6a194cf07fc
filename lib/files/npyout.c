#include "files/npyout.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dtype.h"
#include "base/io.h"
#include "base/mem.h"
#include "files/headout.h"
#include "files/infile.h"

#define MAX_DIMS 8

struct npyout {
	struct headout out;
	char descr[16];
	uint64_t dims[MAX_DIMS], rows;
	unsigned ndims;
	size_t row_bytes, head; /* head: bytes before the first row */
};

/* The dict for `rows` rows, without padding; its length. */
static size_t
dict_text(const struct npyout *w, uint64_t rows, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "{'descr': '%s', 'fortran_order': False, 'shape': (%llu,",
	                            w->descr, (unsigned long long)rows);
	unsigned i;

	for (i = 0; i < w->ndims; i++)
		n += (size_t)snprintf(out + n, size - n, "%s %llu", i ? "," : "", (unsigned long long)w->dims[i]);
	return n + (size_t)snprintf(out + n, size - n, "), }");
}

static int
write_head(struct npyout *w, struct err *e)
{
	unsigned char head[512];
	size_t n;

	memset(head, ' ', sizeof head);
	memcpy(head, "\x93NUMPY\1", 8); /* with the minor version, 0 */
	head[8] = (unsigned char)((w->head - 10) & 0xff);
	head[9] = (unsigned char)((w->head - 10) >> 8);
	n = dict_text(w, w->rows, (char *)head + 10, sizeof head - 10);
	head[10 + n] = ' ';
	head[w->head - 1] = '\n';
	return io_write_all(headout_fd(&w->out), head, w->head) ? headout_failed(&w->out, e) : 0;
}

/* Room for the longest row count, so that the true one can replace it. */
static void
set_head(struct npyout *w)
{
	char text[512];

	w->head = (10 + dict_text(w, UINT64_MAX, text, sizeof text) + 1 + 63) / 64 * 64;
}

static int
set_type(struct npyout *w, const char *dtype, const uint64_t *dims, unsigned ndims, struct err *e)
{
	size_t bytes = dtype_size_of_name(dtype);
	unsigned i;

	if (!strcmp(dtype, "bfloat16"))
		dtype = "|V2"; /* as numpy writes bytes it knows no type for */
	if (!bytes || strlen(dtype) >= sizeof w->descr || strpbrk(dtype, "'\\\n"))
		return err_set(e, CODE_DATA, "columns of this type cannot be written as npy");
	strcpy(w->descr, dtype);
	if (ndims > MAX_DIMS)
		return err_set(e, CODE_DATA, "%u dimensions are too many for npy", ndims + 1);
	for (i = 0; i < ndims; i++) {
		w->dims[i] = dims[i];
		if (dims[i] > SIZE_MAX || !size_mul(bytes, (size_t)dims[i], &bytes))
			return err_set(e, CODE_DATA, "rows too large for npy");
	}
	w->ndims = ndims;
	w->row_bytes = bytes;
	set_head(w);
	return 0;
}

struct npyout *
npyout_create(const char *path, const char *dtype, const uint64_t *dims, unsigned ndims, struct err *e)
{
	struct npyout *w = calloc(1, sizeof *w);

	if (!w) {
		err_memory(e, "npy", sizeof *w);
		return NULL;
	}
	w->out = HEADOUT_NONE;
	if (set_type(w, dtype, dims, ndims, e))
		infile_blame(e, path ? path : "npy");
	else if (!headout_open(&w->out, path, e) && !write_head(w, e))
		return w;
	npyout_abort(w);
	return NULL;
}

int
npyout_append(struct npyout *w, const void *rows, uint64_t n, size_t row_bytes, struct err *e)
{
	size_t bytes;

	if (row_bytes != w->row_bytes || n > SIZE_MAX || !size_mul((size_t)n, row_bytes, &bytes)) {
		err_set(e, CODE_BUG, "rows of %zu bytes were given where the header says %zu", row_bytes, w->row_bytes);
		return infile_blame(e, w->out.path);
	}
	if (bytes && io_write_all(headout_fd(&w->out), rows, bytes))
		return headout_failed(&w->out, e);
	w->rows += n;
	return 0;
}

/* Puts the true count into the head. */
static int
complete(struct npyout *w, struct err *e)
{
	return lseek(headout_fd(&w->out), 0, SEEK_SET) != 0 ? headout_failed(&w->out, e) : write_head(w, e);
}

int
npyout_finish(struct npyout *w, struct err *e)
{
	int saved;

	e->code = 0;
	if (!complete(w, e))
		headout_finish(&w->out, e);
	saved = errno;
	npyout_abort(w);
	errno = saved;
	return e->code;
}

int
npyout_take(struct npyout *w, struct err *e)
{
	int fd = -1;

	if (!complete(w, e) && (fd = headout_take(&w->out)) < 0)
		err_sys(e, CODE_IO, "cannot rewind a temporary file");
	npyout_abort(w);
	return fd;
}

void
npyout_abort(struct npyout *w)
{
	if (!w)
		return;
	headout_abort(&w->out);
	free(w);
}
