#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dtype.h"
#include "base/io.h"
#include "base/mem.h"
#include "files/infile.h"
#include "files/matfile.h"

#define MAX_DIMS 8
#define BLOCK ((size_t)1 << 20)

struct npy_writer {
	struct outfile out; /* fd -1: standard output */
	int spool;          /* where rows go when out cannot be rewritten; else -1 */
	char *path;
	char descr[16];
	uint64_t dims[MAX_DIMS], rows;
	unsigned ndims;
	size_t row_bytes, head; /* head: bytes before the first row */
};

/* The dict for `rows` rows, without padding; its length. */
static size_t
dict_text(const struct npy_writer *w, uint64_t rows, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "{'descr': '%s', 'fortran_order': False, 'shape': (%llu,",
	                            w->descr, (unsigned long long)rows);
	unsigned i;

	for (i = 0; i < w->ndims; i++)
		n += (size_t)snprintf(out + n, size - n, "%s %llu", i ? "," : "", (unsigned long long)w->dims[i]);
	return n + (size_t)snprintf(out + n, size - n, "), }");
}

static int
target(const struct npy_writer *w)
{
	return w->spool >= 0 ? w->spool : w->out.fd;
}

/* Errors of writing keep errno: a reader that went away is EPIPE. */
static int
write_failed(const struct npy_writer *w, struct err *e)
{
	int saved = errno;

	err_sys(e, CODE_IO, "cannot write");
	infile_blame(e, strcmp(w->path, "-") ? w->path : "standard output");
	errno = saved;
	return e->code;
}

static int
write_head(struct npy_writer *w, struct err *e)
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
	return io_write_all(target(w), head, w->head) ? write_failed(w, e) : 0;
}

/* Room for the longest row count, so that the true one can replace it. */
static void
set_head(struct npy_writer *w)
{
	char text[512];

	w->head = (10 + dict_text(w, UINT64_MAX, text, sizeof text) + 1 + 63) / 64 * 64;
}

static int
set_type(struct npy_writer *w, const char *dtype, const uint64_t *dims, unsigned ndims, struct err *e)
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

static int
open_target(struct npy_writer *w, const char *path, struct err *e)
{
	bool standard = !strcmp(path, "-");

	w->path = strdup(path);
	if (!w->path)
		return err_memory(e, path, strlen(path));
	if (!standard && outfile_open(&w->out, path, e))
		return e->code;
	/* a pipe cannot be rewound to write the row count */
	if (standard || w->out.plain) {
		w->spool = io_tempfile(e);
		if (w->spool < 0)
			return e->code;
	}
	return write_head(w, e);
}

struct npy_writer *
npy_create(const char *path, const char *dtype, const uint64_t *dims, unsigned ndims, struct err *e)
{
	struct npy_writer *w = calloc(1, sizeof *w);

	if (!w) {
		err_memory(e, path, sizeof *w);
		return NULL;
	}
	w->out.fd = w->spool = -1;
	if (set_type(w, dtype, dims, ndims, e))
		infile_blame(e, path);
	else if (!open_target(w, path, e))
		return w;
	npy_abort(w);
	return NULL;
}

int
npy_append(struct npy_writer *w, const void *rows, uint64_t n, size_t row_bytes, struct err *e)
{
	size_t bytes;

	if (row_bytes != w->row_bytes || n > SIZE_MAX || !size_mul((size_t)n, row_bytes, &bytes)) {
		err_set(e, CODE_BUG, "rows of %zu bytes were given where the header says %zu", row_bytes, w->row_bytes);
		return infile_blame(e, w->path);
	}
	if (bytes && io_write_all(target(w), rows, bytes))
		return write_failed(w, e);
	w->rows += n;
	return 0;
}

static int
copy_spool(struct npy_writer *w, struct err *e)
{
	int fd = w->out.fd >= 0 ? w->out.fd : STDOUT_FILENO;
	unsigned char *block = mem_alloc(BLOCK);
	ssize_t n = -1;

	if (!block)
		return err_memory(e, "spool", BLOCK);
	e->code = 0;
	if (lseek(w->spool, 0, SEEK_SET) == 0)
		while ((n = io_read_full(w->spool, block, BLOCK)) > 0)
			if (io_write_all(fd, block, (size_t)n)) {
				write_failed(w, e);
				break;
			}
	if (n < 0)
		err_sys(e, CODE_IO, "cannot read the spool of the output back");
	mem_free(block);
	return e->code;
}

int
npy_finish(struct npy_writer *w, struct err *e)
{
	int saved;

	e->code = 0;
	if (lseek(target(w), 0, SEEK_SET) != 0)
		write_failed(w, e);
	else if (!write_head(w, e) && (w->spool < 0 || !copy_spool(w, e)) && w->out.fd >= 0)
		outfile_commit(&w->out, e);
	saved = errno;
	npy_abort(w);
	errno = saved;
	return e->code;
}

void
npy_abort(struct npy_writer *w)
{
	if (!w)
		return;
	outfile_abort(&w->out);
	if (w->spool >= 0)
		close(w->spool);
	free(w->path);
	free(w);
}
