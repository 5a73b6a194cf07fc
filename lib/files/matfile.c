/* What a file is, and the rows of those that lie in it as they are. */
#include "files/matfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "files/infile.h"
#include "files/matback.h"
#include "files/ptfile.h"

#define HEAD 512 /* first bytes that tell a format */
#define SCRATCH ((size_t)1 << 18)

struct head {
	unsigned char p[HEAD];
	size_t n;
};

static mat_opener open_npy, open_raw, open_fvecs, open_bvecs, open_ivecs;

/* A reader by position takes fd; one in order takes src. Where a format has
 * both, the first is for regular files that are not packed. */
static const struct format {
	const char *name;
	mat_opener *by_position, *in_order;
	mat_lister *list;
	const char *endings; /* of names, each in dots */
} formats[] = {
	{"npy", open_npy, mat_open_npy_stream, NULL, ""},
	{"raw", open_raw, mat_open_raw_stream, NULL, ""},
	{"npz", mat_open_npz, NULL, mat_list_npz, ".npz."},
	{"safetensors", mat_open_safetensors, NULL, mat_list_safetensors, ".safetensors."},
	{"pt", mat_open_pt, NULL, mat_list_pt, ".pt.pth."},
	{"fvecs", open_fvecs, NULL, NULL, ".fvecs."},
	{"bvecs", open_bvecs, NULL, NULL, ".bvecs."},
	{"ivecs", open_ivecs, NULL, NULL, ".ivecs."},
	{"csv", NULL, mat_open_csv, NULL, ".csv."},
	{"tsv", NULL, mat_open_tsv, NULL, ".tsv."},
	{"jsonl", NULL, mat_open_jsonl, NULL, ".jsonl.ndjson."},
	{"tar", NULL, mat_open_tar, NULL, ".tar.tgz."},
};
#define NFORMATS (sizeof formats / sizeof *formats)

static const struct format *
format_named(const char *name)
{
	size_t i;

	for (i = 0; i < NFORMATS; i++)
		if (!strcmp(formats[i].name, name))
			return &formats[i];
	return NULL;
}

bool
matfile_is_format(const char *name)
{
	return format_named(name) != NULL;
}

/* What is behind the last dot of a name, but for .gz and .zst. */
static const struct format *
format_by_name(const char *path)
{
	const char *base = strrchr(path, '/'), *dot;
	char end[20];
	size_t n = strlen(base = base ? base + 1 : path), i;

	if (n > 3 && !strcasecmp(base + n - 3, ".gz"))
		n -= 3;
	else if (n > 4 && !strcasecmp(base + n - 4, ".zst"))
		n -= 4;
	for (dot = base + n; dot > base && dot[-1] != '.';)
		dot--;
	if (dot-- == base || (size_t)(base + n - dot) < 2 || (size_t)(base + n - dot) + 2 > sizeof end)
		return NULL;
	for (i = 0; dot + i < base + n; i++)
		end[i] = dot[i] >= 'A' && dot[i] <= 'Z' ? (char)(dot[i] - 'A' + 'a') : dot[i];
	strcpy(end + i, ".");
	for (i = 0; i < NFORMATS; i++)
		if (strstr(formats[i].endings, end))
			return &formats[i];
	return NULL;
}

/* A zip is a PyTorch file when it holds a data.pkl, which is among its first
 * members; else npz. */
static const struct format *
format_of_zip(const struct head *h)
{
	size_t i;

	for (i = 0; i + 9 <= h->n; i++)
		if (!memcmp(h->p + i, "/data.pkl", 9))
			return format_named("pt");
	return NULL;
}

static bool
is_safetensors(const struct head *h, uint64_t size)
{
	uint64_t len = 0;
	int i;

	for (i = 8; i-- > 0;)
		len = len << 8 | h->p[i];
	return h->n > 8 && h->p[8] == '{' && len >= 2 && len <= size - 8;
}

/* By the first bytes; NULL when they say nothing. size: UINT64_MAX when unknown. */
static const struct format *
format_by_content(const struct head *h, uint64_t size)
{
	if (h->n >= 6 && !memcmp(h->p, NPY_MAGIC, 6))
		return format_named("npy");
	if (pt_begins(h->p, h->n))
		return format_named("pt");
	if (h->n > 262 && !memcmp(h->p + 257, "ustar", 5))
		return format_named("tar");
	return is_safetensors(h, size) ? format_named("safetensors") : NULL;
}

static bool
is_zip(const struct head *h)
{
	return h->n >= 4 && (!memcmp(h->p, "PK\3\4", 4) || !memcmp(h->p, "PK\5\6", 4));
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

/* The format of a file: named, or by content, or by name, or raw. */
static const struct format *
detect(const struct matfile *f, const struct head *h, const struct matfile_opts *o, struct err *e)
{
	const struct format *by_name = format_by_name(f->path), *found;
	char what[160];
	uint64_t rows, dim;
	bool other, fits;

	if (o->format)
		return format_named(o->format);
	found = format_by_content(h, f->src ? UINT64_MAX : f->size);
	if (!found && is_zip(h) && !(found = format_of_zip(h)))
		found = by_name && !strcmp(by_name->name, "pt") ? by_name : format_named("npz");
	if (found)
		return found;
	other = infile_sniff(h->p, h->n, what, sizeof what);
	if (!other && by_name && h->n)
		return by_name;
	if (!other && (o->dim || name_shape(f->path, &rows, &dim, &fits)))
		return format_named("raw");
	if (!other && !strcmp(f->path, "-"))
		err_set(e, CODE_DATA, "%s: name its --format: " MATFILE_FORMATS, what);
	else if (other || !h->n)
		err_set(e, CODE_DATA, "no embeddings: %s", what);
	else
		err_set(e, CODE_DATA, "of no known format: %s; say --dim for raw numbers, or --format: " MATFILE_FORMATS, what);
	return NULL;
}

/* The file holds all that its header claims; more is ignored, as numpy does. */
static int
check_size(const struct matfile *f, uint64_t data_at, struct err *e)
{
	uint64_t row = f->cols * dtype_size(f->dtype), have = f->size - data_at;

	if (f->rows * row <= have)
		return 0;
	return err_set(e, CODE_DATA, "header claims %llu rows of %llu numbers (%s), the file holds %llu whole rows: truncated?",
	               (unsigned long long)f->rows, (unsigned long long)f->cols, dtype_name(f->dtype),
	               (unsigned long long)(have / row));
}

static void
lay_out(struct matfile *f, uint64_t at, bool swap, bool fortran)
{
	f->random = true;
	f->array = (struct array){.fd = f->fd, .at = at, .rows = f->rows, .cols = f->cols, .dtype = f->dtype, .swap = swap};
	/* with one row or column the orders are the same: read the fast way */
	if (fortran && f->rows > 1 && f->cols > 1)
		array_fortran(&f->array);
	else
		array_dense(&f->array);
}

static int
open_npy(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	unsigned char first[NPY_PRELUDE];
	size_t have = f->size < sizeof first ? (size_t)f->size : sizeof first, start, len;
	struct npy_header h;
	char *text;

	if (infile_read_at(f->fd, first, have, 0, e))
		return e->code;
	if (have < 6 || memcmp(first, NPY_MAGIC, 6))
		return err_set(e, CODE_DATA, "not an npy file");
	if (npy_prelude(first, have, &start, &len, e))
		return e->code;
	if (len > f->size - start)
		return err_set(e, CODE_DATA, "npy header of %zu bytes goes beyond the end of the file at %llu: truncated?",
		               len, (unsigned long long)f->size);
	text = malloc(len + 1);
	if (!text)
		return err_memory(e, "npy header", len);
	e->code = 0;
	if (!infile_read_at(f->fd, text, len, start, e))
		npy_parse(text, len, o->dtype, &h, e);
	free(text);
	if (e->code || npy_shape(&h, &f->rows, &f->cols, e))
		return e->code;
	f->dtype = h.dtype;
	lay_out(f, start + len, h.swap, h.fortran);
	return check_size(f, start + len, e);
}

static int
open_named(struct matfile *f, uint64_t rows, uint64_t dim, bool fits, struct err *e)
{
	if (!fits || !dim || dim > NPY_MAX_COLS || rows > UINT64_MAX / dim / dtype_size(f->dtype))
		return err_set(e, CODE_DATA, "no npy header, and the _ROWS_DIM in its name is out of range");
	if (f->size != rows * dim * dtype_size(f->dtype))
		return err_set(e, CODE_DATA, "no npy header, and its name says %llu rows of %llu x %s, %llu bytes; the file holds %llu",
		               (unsigned long long)rows, (unsigned long long)dim, dtype_name(f->dtype),
		               (unsigned long long)(rows * dim * dtype_size(f->dtype)), (unsigned long long)f->size);
	f->rows = rows;
	f->cols = dim;
	lay_out(f, 0, false, false);
	return 0;
}

/* Numbers without a header. */
static int
open_raw(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	uint64_t row, rows, dim;
	bool fits = false;

	f->dtype = o->dtype ? o->dtype : DT_F4;
	if (!o->dim && name_shape(f->path, &rows, &dim, &fits))
		return open_named(f, rows, dim, fits, e);
	if (!o->dim)
		return err_set(e, CODE_DATA, "raw numbers need --dim, how many make a row");
	if (mat_check_cols(o->dim, e))
		return e->code;
	row = o->dim * dtype_size(f->dtype);
	if (f->size % row)
		return err_set(e, CODE_DATA, "%llu bytes without a header are no whole number of rows of %llu x %s (%llu bytes)",
		               (unsigned long long)f->size, (unsigned long long)o->dim, dtype_name(f->dtype), (unsigned long long)row);
	f->cols = o->dim;
	f->rows = f->size / row;
	lay_out(f, 0, false, false);
	return 0;
}

/* Each row behind its width, as 32 bits. */
static int
open_vecs(struct matfile *f, enum dtype type, struct err *e)
{
	unsigned char p[4] = {0};
	uint64_t row;

	f->dtype = type;
	if (f->size < 4)
		return err_set(e, CODE_DATA, "%llu bytes hold no row", (unsigned long long)f->size);
	if (infile_read_at(f->fd, p, 4, 0, e))
		return e->code;
	f->cols = (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
	if (mat_check_cols(f->cols, e))
		return e->code;
	row = 4 + f->cols * dtype_size(type);
	if (f->size % row)
		return err_set(e, CODE_DATA, "%llu bytes are no whole number of rows of %llu numbers, as its first row has them (%llu bytes): truncated?",
		               (unsigned long long)f->size, (unsigned long long)f->cols, (unsigned long long)row);
	f->rows = f->size / row;
	lay_out(f, 4, false, false);
	f->array.row_step = row;
	f->array.counted = true;
	return 0;
}

static int
open_fvecs(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	(void)o;
	return open_vecs(f, DT_F4, e);
}

static int
open_bvecs(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	(void)o;
	return open_vecs(f, DT_U1, e);
}

static int
open_ivecs(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	(void)o;
	return open_vecs(f, DT_I4, e);
}

/* Standard input, as a file of its own where it is one from its beginning. */
static int
open_standard(struct matfile *f, struct err *e)
{
	struct stat st;
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return err_sys(e, CODE_NOINPUT, "cannot open");
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0) {
		f->fd = fd;
		f->size = (uint64_t)st.st_size;
		return 0;
	}
	f->rereadable = false;
	f->src = source_fd(fd, e);
	return f->src ? 0 : e->code;
}

static int
look(struct matfile *f, struct head *h, struct err *e)
{
	const unsigned char *p;

	if (f->src) {
		p = source_peek(f->src, HEAD, &h->n, e);
		if (p)
			memcpy(h->p, p, h->n);
		return p ? 0 : e->code;
	}
	h->n = f->size < HEAD ? (size_t)f->size : HEAD;
	return infile_read_at(f->fd, h->p, h->n, 0, e);
}

/* f->fd as bytes in order, from the start. */
static int
to_source(struct matfile *f, struct err *e)
{
	int fd = f->fd;

	f->fd = -1;
	if (lseek(fd, 0, SEEK_SET) != 0) {
		err_sys(e, CODE_IO, "cannot rewind");
		close(fd);
		return e->code;
	}
	f->src = source_fd(fd, e);
	return f->src ? 0 : e->code;
}

static int
unpack(struct matfile *f, struct head *h, struct err *e)
{
	struct source *s;

	if (!source_is_packed(h->p, h->n))
		return 0;
	if (!f->src && to_source(f, e))
		return e->code;
	s = source_unpack(f->src, e);
	f->src = s;
	return s ? look(f, h, e) : e->code;
}

/* Opens, unpacks where needed, and finds the format, whose reader finds fd or src
 * as it wants them. */
static const struct format *
prepare(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	struct head h = {{0}, 0};
	const struct format *is;

	if (strcmp(f->path, "-") ? infile_open(f->path, &f->fd, &f->size, e) : open_standard(f, e))
		return NULL;
	if (look(f, &h, e) || unpack(f, &h, e))
		return NULL;
	is = detect(f, &h, o, e);
	if (!is)
		return NULL;
	f->format = is->name;
	if (f->src && !is->in_order) { /* it must be read by position: into a file */
		f->fd = source_spool(f->src, &f->size, e);
		source_close(f->src);
		f->src = NULL;
		return f->fd < 0 ? NULL : is;
	}
	return f->src || is->by_position || !to_source(f, e) ? is : NULL;
}

static int
check_dim(const struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	if (!o->dim || o->dim == f->cols)
		return 0;
	return err_set(e, CODE_DATA, "has %llu columns; --dim says %llu", (unsigned long long)f->cols, (unsigned long long)o->dim);
}

static int
begin(struct matfile *f, const char *path, struct err *e)
{
	*f = (struct matfile){.fd = -1, .rereadable = true, .path = strdup(path)};
	return f->path ? 0 : err_memory(e, path, strlen(path));
}

/* How a file is called in messages. */
static int
blame(struct err *e, const char *path)
{
	return infile_blame(e, strcmp(path, "-") ? path : "standard input");
}

int
matfile_open(struct matfile *f, const char *path, const struct matfile_opts *o, struct err *e)
{
	static const struct matfile_opts none = {0};
	const struct format *is;

	o = o ? o : &none;
	if (begin(f, path, e))
		return e->code;
	is = prepare(f, o, e);
	if (is && !(f->src ? is->in_order : is->by_position)(f, o, e) && !check_dim(f, o, e))
		return 0;
	matfile_close(f);
	return blame(e, path);
}

static int
read_at(struct matfile *f, uint64_t first, size_t n, float *x, struct err *e)
{
	size_t count, bytes;

	if (!f->random || first > f->rows || n > f->rows - first || !size_mul(n, (size_t)f->cols, &count) ||
	    !size_mul(count, 2 * sizeof(double), &bytes))
		return err_set(e, CODE_BUG, "rows %llu..+%zu were asked for; the file has %llu",
		               (unsigned long long)first, n, (unsigned long long)f->rows);
	return n ? array_read(&f->array, first, n, x, e) : 0;
}

static int
read_next(struct matfile *f, size_t most, float *x, struct matnames *names, size_t *got, struct err *e)
{
	int code;

	if (f->random) {
		*got = f->rows - f->at < most ? (size_t)(f->rows - f->at) : most;
		code = read_at(f, f->at, *got, x, e);
	} else {
		code = f->back->next(f, most, x, names, got, e);
	}
	f->at += code ? 0 : *got;
	return code;
}

static int
skip(struct matfile *f, uint64_t n, struct err *e)
{
	struct mat scratch = {0};
	size_t rows, got = 1;

	if (f->random) {
		f->at += n < f->rows - f->at ? n : f->rows - f->at;
		return 0;
	}
	rows = SCRATCH / sizeof(float) / (size_t)f->cols + 1;
	if (mat_resize(&scratch, rows, (size_t)f->cols, "rows", e))
		return e->code;
	e->code = 0;
	for (; n && got && !read_next(f, n < rows ? (size_t)n : rows, scratch.data, NULL, &got, e); n -= got)
		;
	mat_free(&scratch);
	return e->code;
}

int
matfile_read(struct matfile *f, uint64_t first, size_t n, float *x, struct err *e)
{
	return read_at(f, first, n, x, e) ? blame(e, f->path) : 0;
}

int
matfile_next(struct matfile *f, size_t most, float *x, struct matnames *names, size_t *got, struct err *e)
{
	return read_next(f, most, x, names, got, e) ? blame(e, f->path) : 0;
}

int
matfile_skip(struct matfile *f, uint64_t n, struct err *e)
{
	return skip(f, n, e) ? blame(e, f->path) : 0;
}

void
matfile_close(struct matfile *f)
{
	if (f->back && f->back->close)
		f->back->close(f);
	source_close(f->src);
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	array_free(&f->array);
	memset(f, 0, sizeof *f);
	f->fd = -1;
}

int
matfile_count(const char *path, const struct matfile_opts *o, uint64_t *rows, struct err *e)
{
	struct matfile f;
	int code;

	if (matfile_open(&f, path, o, e))
		return e->code;
	code = f.rows == MATFILE_UNKNOWN ? matfile_skip(&f, UINT64_MAX, e) : 0;
	*rows = f.rows == MATFILE_UNKNOWN ? f.at : f.rows;
	matfile_close(&f);
	return code;
}

/* A file that is one array, by opening and counting it. */
static int
list_one(struct matfile *f, mat_opener *open, const struct matfile_opts *o, struct matlist *l, struct err *e)
{
	struct matlist_entry *m;

	if (open(f, o, e) || (f->rows == MATFILE_UNKNOWN && skip(f, UINT64_MAX, e)))
		return e->code;
	m = matlist_add(l, "", e);
	if (!m)
		return e->code;
	strcpy(m->dtype, f->dtype ? dtype_name(f->dtype) : "text");
	m->ndim = 2;
	m->shape[0] = f->rows == MATFILE_UNKNOWN ? f->at : f->rows;
	m->shape[1] = f->cols;
	return 0;
}

int
matfile_list(const char *path, const struct matfile_opts *o, struct matlist *l, const char **format, struct err *e)
{
	const struct format *is;
	struct matfile f;
	bool ok;

	if (begin(&f, path, e))
		return e->code;
	is = prepare(&f, o, e);
	ok = is && !(is->list ? is->list(&f, o, l, e) : list_one(&f, f.src ? is->in_order : is->by_position, o, l, e));
	if (ok)
		*format = is->name;
	matfile_close(&f);
	return ok ? 0 : blame(e, path);
}

int
matnames_put(struct buf *to, const char *s, size_t n, struct err *e)
{
	if (memchr(s, 0, n) || !text_utf8_valid(s, n))
		return err_set(e, CODE_DATA, "a row key or label is not UTF-8, or holds a NUL byte");
	return buf_append(to, s, n, e) || buf_append(to, "", 1, e) ? e->code : 0;
}

void
matnames_free(struct matnames *n)
{
	buf_free(&n->id);
	buf_free(&n->label);
}

int
mat_blame(const char *what, const char *name, struct err *e)
{
	char text[160];

	return err_add(e, "%s %s", what, text_printable(text, sizeof text, name, strlen(name)));
}
