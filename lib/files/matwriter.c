#include "files/matwriter.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "files/headout.h"
#include "files/infile.h"
#include "files/npyout.h"
#include "files/safetensors.h"
#include "files/zipout.h"

#define MAX_DIMS 8
#define MAX_NAME 256

struct matwriter {
	enum matwriter_format format;
	struct headout out;
	struct npyout *npy; /* what is written, or what will be the npz's member */
	enum dtype from, to; /* converted on the way; to DT_NONE: as it is */
	uint64_t rows;
	struct mat wide;
	struct buf narrow;
	/* safetensors */
	char *name;
	const char *dtype;
	uint64_t dims[MAX_DIMS];
	unsigned ndims;
	size_t row_bytes, head; /* head: bytes before the first row */
};

enum matwriter_format
matwriter_format_of(const char *path)
{
	size_t n = strlen(path);

	if (n > 4 && !strcasecmp(path + n - 4, ".npz"))
		return MATWRITER_NPZ;
	return n > 12 && !strcasecmp(path + n - 12, ".safetensors") ? MATWRITER_SAFETENSORS : MATWRITER_NPY;
}

/* The header of `rows` rows as text (free), NULL without memory. */
static char *
header_text(const struct matwriter *w, uint64_t rows)
{
	json_t *shape = json_array(), *all;
	char *text;
	unsigned i;

	json_array_append_new(shape, json_integer((json_int_t)rows));
	for (i = 0; i < w->ndims; i++)
		json_array_append_new(shape, json_integer((json_int_t)w->dims[i]));
	all = json_pack("{s:{s:s, s:o, s:[I, I]}}", w->name, "dtype", w->dtype, "shape", shape,
	                "data_offsets", (json_int_t)0, (json_int_t)(rows * w->row_bytes));
	text = all ? json_dumps(all, JSON_COMPACT) : NULL;
	json_decref(all);
	return text;
}

/* Length and text, padded with blanks to the room that was kept for it. */
static int
write_header(struct matwriter *w, struct err *e)
{
	char *text = header_text(w, w->rows), *head = malloc(w->head);
	size_t i;
	int bad = -1;

	if (text && head) {
		memset(head, ' ', w->head);
		for (i = 0; i < 8; i++)
			head[i] = (char)((uint64_t)(w->head - 8) >> 8 * i);
		memcpy(head + 8, text, strlen(text));
		bad = lseek(headout_fd(&w->out), 0, SEEK_SET) != 0 || io_write_all(headout_fd(&w->out), head, w->head);
	}
	if (bad)
		text && head ? headout_failed(&w->out, e) : err_memory(e, "header", w->head);
	free(text);
	free(head);
	return bad ? e->code : 0;
}

static int
begin_safetensors(struct matwriter *w, const char *name, const char *dtype, const uint64_t *dims, unsigned ndims, struct err *e)
{
	size_t bytes = dtype_size_of_name(dtype);
	unsigned i;
	char *text;

	w->dtype = st_dtype_name(dtype_parse(dtype, &(bool){false}));
	if (!w->dtype || ndims > MAX_DIMS || strlen(name) > MAX_NAME)
		return err_set(e, CODE_DATA, "columns of this type cannot be written as safetensors");
	for (i = 0; i < ndims; i++) {
		w->dims[i] = dims[i];
		if (dims[i] > SIZE_MAX || !size_mul(bytes, (size_t)dims[i], &bytes))
			return err_set(e, CODE_DATA, "rows too large for safetensors");
	}
	w->ndims = ndims;
	w->row_bytes = bytes;
	w->name = strdup(name);
	/* room for the longest numbers, so that the true ones can replace them */
	text = w->name ? header_text(w, INT64_MAX / (bytes ? bytes : 1)) : NULL;
	if (!text)
		return err_memory(e, "header", strlen(name));
	w->head = (8 + strlen(text) + 7) / 8 * 8;
	free(text);
	return 0;
}

static int
begin(struct matwriter *w, const char *path, const char *name, const char *dtype, const uint64_t *dims, unsigned ndims, struct err *e)
{
	if (w->format == MATWRITER_SAFETENSORS) {
		if (begin_safetensors(w, name, dtype, dims, ndims, e))
			return infile_blame(e, path);
		return headout_open(&w->out, path, e) ? e->code : write_header(w, e);
	}
	/* an npz's file is opened first, so that one that cannot be fails at once */
	if (w->format == MATWRITER_NPZ && (!(w->name = strdup(name)) || headout_open(&w->out, path, e)))
		return w->name ? e->code : err_memory(e, path, strlen(name));
	w->npy = npyout_create(w->format == MATWRITER_NPZ ? NULL : path, dtype, dims, ndims, e);
	return w->npy ? 0 : e->code;
}

struct matwriter *
matwriter_create(const char *path, enum matwriter_format format, const char *name, const char *dtype, const uint64_t *dims,
                 unsigned ndims, enum dtype to, struct err *e)
{
	struct matwriter *w = calloc(1, sizeof *w);

	if (!w) {
		err_memory(e, path, sizeof *w);
		return NULL;
	}
	w->format = format;
	w->out = HEADOUT_NONE;
	w->from = dtype_parse(dtype, NULL);
	w->to = to == w->from ? DT_NONE : to;
	if (w->to && !w->from) {
		err_set(e, CODE_DATA, "numbers of type %.16s cannot be converted to %s", dtype, dtype_name(to));
		infile_blame(e, path);
	} else if (!begin(w, path, name, w->to ? dtype_name(to) : dtype, dims, ndims, e)) {
		return w;
	}
	matwriter_abort(w);
	return NULL;
}

/* n rows as they are written. */
static int
put(struct matwriter *w, const void *rows, uint64_t n, size_t row_bytes, struct err *e)
{
	size_t bytes;

	if (w->npy)
		return npyout_append(w->npy, rows, n, row_bytes, e);
	if (row_bytes != w->row_bytes || n > SIZE_MAX || !size_mul((size_t)n, row_bytes, &bytes)) {
		err_set(e, CODE_BUG, "rows of %zu bytes were given where the header says %zu", row_bytes, w->row_bytes);
		return infile_blame(e, w->out.path);
	}
	return bytes && io_write_all(headout_fd(&w->out), rows, bytes) ? headout_failed(&w->out, e) : 0;
}

/* n rows of row_bytes, converted to w->to in w->narrow. */
static int
convert(struct matwriter *w, const void *rows, uint64_t n, size_t row_bytes, struct err *e)
{
	size_t cols = row_bytes / dtype_size(w->from), count, good;

	if (!size_mul((size_t)n, cols, &count) || mat_resize(&w->wide, (size_t)n, cols, "rows", e) ||
	    buf_resize(&w->narrow, count * dtype_size(w->to), e))
		return e->code ? e->code : err_set(e, CODE_BUG, "too many rows at once");
	dtype_to_f32(w->wide.data, rows, count, w->from, false);
	good = dtype_from_f32(w->narrow.data, w->wide.data, count, w->to);
	if (good == count)
		return 0;
	return err_set(e, CODE_DATA, "row %llu: holds %g, which half precision cannot; write float32",
	               (unsigned long long)w->rows + good / cols, (double)w->wide.data[good]);
}

int
matwriter_append(struct matwriter *w, const void *rows, uint64_t n, size_t row_bytes, struct err *e)
{
	if (!w->to ? put(w, rows, n, row_bytes, e)
	           : convert(w, rows, n, row_bytes, e) || put(w, w->narrow.data, n, n ? w->narrow.len / (size_t)n : 0, e))
		return e->code;
	w->rows += n;
	return 0;
}

/* The array as an archive of its own. */
static int
pack(struct matwriter *w, struct err *e)
{
	struct zipout_part part = {.fd = npyout_take(w->npy, e)};
	char member[MAX_NAME + 8];
	int code;

	w->npy = NULL;
	if (part.fd < 0)
		return e->code;
	snprintf(member, sizeof member, "%.*s.npy", MAX_NAME, w->name);
	part.name = member;
	code = zipout_write(headout_fd(&w->out), &part, 1, e);
	close(part.fd);
	return code ? infile_blame(e, w->out.path) : 0;
}

int
matwriter_finish(struct matwriter *w, struct err *e)
{
	int saved;

	e->code = 0;
	if (w->format == MATWRITER_NPY) {
		npyout_finish(w->npy, e);
		w->npy = NULL;
	} else if (!(w->format == MATWRITER_NPZ ? pack(w, e) : write_header(w, e))) {
		headout_finish(&w->out, e);
	}
	saved = errno;
	matwriter_abort(w);
	errno = saved;
	return e->code;
}

void
matwriter_abort(struct matwriter *w)
{
	if (!w)
		return;
	npyout_abort(w->npy);
	headout_abort(&w->out);
	mat_free(&w->wide);
	buf_free(&w->narrow);
	free(w->name);
	free(w);
}
