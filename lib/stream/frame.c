#include "stream/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "base/text.h"
#include "stream/sum.h"

/* ---- reading ---- */

/* Keys this version understands; all others pass through untouched. */
static const char *const rows_keys[] = {"sae", "kind", "seq", "row", "n", "cols", NULL};
static const char *const col_keys[] = {"dtype", "shape", "pad", "ptr", "pad2", "idx", "pad3", "data", NULL};

static bool
known(const char *const *keys, const char *s, size_t n)
{
	for (; *keys; keys++)
		if (mp_is(s, n, *keys))
			return true;
	return false;
}

static int
bad(struct err *e, const char *why)
{
	return err_set(e, CODE_DATA, "%s", why);
}

static int
parse_shape(struct col *c, struct mp m, struct err *e)
{
	uint64_t n, i;

	if (!mp_array(&m, &n) || n < 1 || n > COL_MAX_DIMS)
		return err_set(e, CODE_DATA, "column %s: shape must be a list of 1 to %d numbers", c->name, COL_MAX_DIMS);
	c->ndim = (unsigned)n;
	for (i = 0; i < n; i++)
		if (!mp_uint(&m, &c->shape[i]))
			return err_set(e, CODE_DATA, "column %s: shape holds something that is no count", c->name);
		else if (i && c->shape[i] > COL_MAX_WIDTH)
			return err_set(e, CODE_DATA, "column %s: shape is too large: a row of %llu", c->name, (unsigned long long)c->shape[i]);
	return 0;
}

/* Product of the shape and the item size, and that it equals have. */
static int
check_bytes(const struct col *c, size_t item, size_t have, struct err *e)
{
	size_t total = item;
	unsigned i;

	for (i = 0; i < c->ndim; i++)
		if (c->shape[i] > SIZE_MAX || !size_mul(total, (size_t)c->shape[i], &total))
			return err_set(e, CODE_DATA, "column %s: shape is too large", c->name);
	if (total != have)
		return err_set(e, CODE_DATA, "column %s: shape asks for %zu bytes of %s, data has %zu", c->name, total, c->dtype, have);
	return 0;
}

static int
check_csr(const struct col *c, size_t ptr_bytes, size_t idx_bytes, struct err *e)
{
	uint64_t n = c->shape[0], m = c->shape[1], nnz, i;

	if (c->ndim != 2 || strcmp(c->dtype, "<f4"))
		return err_set(e, CODE_DATA, "column %s: sparse columns are two-dimensional <f4", c->name);
	if (ptr_bytes / 4 != n + 1 || ptr_bytes % 4)
		return err_set(e, CODE_DATA, "column %s: ptr has %zu bytes, %llu rows need %llu", c->name, ptr_bytes,
		               (unsigned long long)n, (unsigned long long)(n + 1) * 4);
	nnz = c->ptr[n];
	if (c->ptr[0])
		return err_set(e, CODE_DATA, "column %s: ptr begins with %u, not 0", c->name, c->ptr[0]);
	if ( nnz * 4 != idx_bytes || nnz * 4 != c->bytes)
		return err_set(e, CODE_DATA, "column %s: ptr, idx and data do not agree (%llu, %zu and %zu bytes)", c->name,
		               (unsigned long long)nnz * 4, idx_bytes, c->bytes);
	for (i = 0; i < n; i++)
		if (c->ptr[i] > c->ptr[i + 1] || c->ptr[i + 1] > nnz)
			return err_set(e, CODE_DATA, "column %s: ptr goes backwards at row %llu", c->name, (unsigned long long)i);
	if (csr_within(c->idx, nnz, (uint32_t)m))
		return 0;
	for (i = 0; i < nnz; i++)
		if (c->idx[i] >= m)
			return err_set(e, CODE_DATA, "column %s: index %u in a row of %llu", c->name, c->idx[i], (unsigned long long)m);
	return 0;
}

/* Sparse and numeric payloads are used in place: on a 4-byte boundary at the
 * least, 64 where we wrote them. Foreign writers know nothing of that, so a
 * payload elsewhere is copied. Room was reserved for all of them, so the side
 * buffer does not move. */
static const void *
aligned(struct frame *f, const unsigned char *p, size_t n)
{
	unsigned char *to;

	if ((uintptr_t)p % 8 == 0)
		return p;
	to = f->side.data + f->side.len;
	memcpy(to, p, n);
	f->side.len += (n + 63) & ~(size_t)63;
	return to;
}

static int
parse_strings(struct col *c, struct mp m, struct err *e)
{
	const char *s;
	size_t n;
	uint64_t count, i;

	if (!mp_array(&m, &count) || c->ndim != 1 || count != c->shape[0])
		return err_set(e, CODE_DATA, "column %s: strings do not match its shape", c->name);
	c->strings = m.p;
	for (i = 0; i < count; i++)
		if (!mp_str(&m, &s, &n) || !text_utf8_valid(s, n))
			return err_set(e, CODE_DATA, "column %s: entry %llu is no UTF-8 string", c->name, (unsigned long long)i);
	c->strings_bytes = (size_t)(m.p - c->strings);
	return 0;
}

static int
parse_col(struct frame *f, struct col *c, struct mp m, struct err *e)
{
	struct mp dtype, shape, data, ptr, idx;
	const unsigned char *p, *q;
	const char *s;
	size_t n, ptr_bytes, idx_bytes, item;

	if (!mp_find(m, "dtype", &dtype) || !mp_str(&dtype, &s, &n) || n >= sizeof c->dtype || !text_is_printable(s, n) ||
	    !mp_find(m, "shape", &shape) || !mp_find(m, "data", &data)) {
		c->form = COL_RAW;
		return 0;
	}
	memcpy(c->dtype, s, n);
	c->dtype[n] = 0;
	if (parse_shape(c, shape, e))
		return e->code;
	if (c->shape[0] != f->n)
		return err_set(e, CODE_DATA, "column %s: %llu rows in a frame of %llu", c->name,
		               (unsigned long long)c->shape[0], (unsigned long long)f->n);
	if (!strcmp(c->dtype, "str")) {
		c->form = COL_STR;
		return parse_strings(c, data, e);
	}
	item = dtype_size_of_name(c->dtype);
	if (!item || c->dtype[0] == '>' || !mp_bin(&data, &p, &c->bytes)) {
		c->form = COL_RAW;
		return 0;
	}
	c->data = aligned(f, p, c->bytes);
	if (!mp_find(m, "ptr", &ptr)) {
		c->form = COL_DENSE;
		return check_bytes(c, item, c->bytes, e);
	}
	if (!mp_bin(&ptr, &p, &ptr_bytes) || !mp_find(m, "idx", &idx) || !mp_bin(&idx, &q, &idx_bytes))
		return err_set(e, CODE_DATA, "column %s: sparse, but ptr or idx is missing", c->name);
	c->form = COL_CSR;
	c->ptr = aligned(f, p, ptr_bytes);
	c->idx = aligned(f, q, idx_bytes);
	return check_csr(c, ptr_bytes, idx_bytes, e);
}

static int
parse_cols(struct frame *f, struct mp m, struct err *e)
{
	uint64_t n, i;
	const char *s;
	size_t len;

	if (!mp_map(&m, &n))
		return bad(e, "cols is no map");
	if (n > FRAME_MAX_COLS)
		return err_set(e, CODE_DATA, "%llu columns; at most %d are allowed", (unsigned long long)n, FRAME_MAX_COLS);
	for (i = 0; i < n; i++) {
		struct col *c = &f->cols[f->ncols];

		memset(c, 0, sizeof *c);
		if (!mp_str(&m, &s, &len) || !len || len > COL_NAME_MAX || !text_is_printable(s, len))
			return err_set(e, CODE_DATA, "a column name must be a string of 1 to %d bytes of printable UTF-8", COL_NAME_MAX);
		memcpy(c->name, s, len);
		if (frame_col(f, c->name))
			return err_set(e, CODE_DATA, "column %s is there twice", c->name);
		c->raw = m.p;
		if (!mp_skip(&m))
			return bad(e, "malformed column");
		c->raw_bytes = (size_t)(m.p - c->raw);
		f->ncols++;
		if (parse_col(f, c, (struct mp){c->raw, m.p}, e))
			return e->code;
	}
	return 0;
}

/* A short string into a fixed array; unknown bytes made printable. */
static void
copy_text(char *to, size_t size, struct mp m)
{
	const char *s;
	size_t n;

	to[0] = 0;
	if (mp_str(&m, &s, &n))
		text_printable(to, size, s, n);
}

static bool
find_uint(struct mp m, const char *key, uint64_t *v)
{
	struct mp at;

	return mp_find(m, key, &at) && mp_uint(&at, v);
}

static int
parse_rows(struct frame *f, struct mp m, struct err *e)
{
	struct mp cols;

	if (!find_uint(m, "seq", &f->seq) || !find_uint(m, "row", &f->row) || !find_uint(m, "n", &f->n) ||
	    !mp_find(m, "cols", &cols))
		return bad(e, "a rows frame needs seq, row, n and cols");
	if (f->n > UINT32_MAX || f->row > INT64_MAX)
		return bad(e, "row numbers out of range");
	/* columns may name keys twice, but no payload is longer than the frame,
	 * and each column has at most three */
	f->side.len = 0;
	if (buf_reserve(&f->side, f->size + 64 * 3 * FRAME_MAX_COLS, e))
		return e->code;
	return parse_cols(f, cols, e);
}

int
frame_parse(struct frame *f, const unsigned char *bytes, size_t size, struct err *e)
{
	struct mp m = {bytes, bytes + size}, at;
	static const char *const kinds[] = {"head", "rows", "end", "error"};
	const char *s;
	uint64_t version;
	size_t n, i;

	f->bytes = bytes;
	f->size = size;
	f->ncols = 0;
	f->kind = FRAME_OTHER;
	if (!find_uint(m, "sae", &version) || !mp_find(m, "kind", &at) || !mp_str(&at, &s, &n))
		return bad(e, "no frame: a map with \"sae\" and \"kind\" was expected");
	if (version != STREAM_VERSION)
		return err_set(e, CODE_DATA, "stream version %llu; this program reads version %d", (unsigned long long)version, STREAM_VERSION);
	text_printable(f->kind_text, sizeof f->kind_text, s, n);
	for (i = 0; i < 4; i++)
		if (mp_is(s, n, kinds[i]))
			f->kind = (enum frame_kind)i;
	switch (f->kind) {
	case FRAME_ROWS:
		return parse_rows(f, m, e);
	case FRAME_END:
		if (!find_uint(m, "frames", &f->frames) || !find_uint(m, "rows", &f->rows))
			return bad(e, "an end frame needs frames and rows");
		f->has_sum = find_uint(m, "sum", &f->sum);
		return 0;
	case FRAME_ERROR:
		f->who[0] = f->text[0] = 0;
		if (mp_find(m, "who", &at))
			copy_text(f->who, sizeof f->who, at);
		if (mp_find(m, "text", &at))
			copy_text(f->text, sizeof f->text, at);
		return 0;
	case FRAME_HEAD:
	case FRAME_OTHER:
		break;
	}
	return 0;
}

void
frame_free(struct frame *f)
{
	buf_free(&f->side);
}

struct col *
frame_col(struct frame *f, const char *name)
{
	unsigned i;

	for (i = 0; i < f->ncols; i++)
		if (!strcmp(f->cols[i].name, name))
			return &f->cols[i];
	return NULL;
}

void
frame_drop(struct frame *f, const char *name)
{
	struct col *c = frame_col(f, name);

	if (c) {
		memmove(c, c + 1, (size_t)(f->cols + f->ncols - (c + 1)) * sizeof *c);
		f->ncols--;
	}
}

/* The column to fill: the one of that name emptied in place, or a new one. */
static struct col *
put(struct frame *f, const char *name, struct err *e)
{
	struct col *c = frame_col(f, name);

	if (!c) {
		if (f->ncols == FRAME_MAX_COLS) {
			err_set(e, CODE_DATA, "%d columns already; none can be added", FRAME_MAX_COLS);
			return NULL;
		}
		c = &f->cols[f->ncols++];
	}
	memset(c, 0, sizeof *c);
	snprintf(c->name, sizeof c->name, "%s", name);
	return c;
}

int
frame_put_dense(struct frame *f, const char *name, const char *dtype, unsigned ndim, const uint64_t *shape, const void *data, struct err *e)
{
	struct col *c = put(f, name, e);
	unsigned i;

	if (!c)
		return e->code;
	snprintf(c->dtype, sizeof c->dtype, "%s", dtype);
	c->form = COL_DENSE;
	c->ndim = ndim;
	c->data = data;
	c->bytes = dtype_size_of_name(dtype);
	for (i = 0; i < ndim; i++) {
		c->shape[i] = shape[i];
		c->bytes *= (size_t)shape[i];
	}
	return 0;
}

int
frame_put_csr(struct frame *f, const char *name, struct csr_view v, struct err *e)
{
	struct col *c = put(f, name, e);

	if (!c)
		return e->code;
	strcpy(c->dtype, "<f4");
	c->form = COL_CSR;
	c->ndim = 2;
	c->shape[0] = v.rows;
	c->shape[1] = v.cols;
	c->ptr = v.ptr;
	c->idx = v.idx;
	c->data = v.val;
	c->bytes = (size_t)v.ptr[v.rows] * 4;
	return 0;
}

int
frame_put_strings(struct frame *f, const char *name, uint64_t n, const struct buf *packed, struct err *e)
{
	struct col *c = put(f, name, e);

	if (!c)
		return e->code;
	strcpy(c->dtype, "str");
	c->form = COL_STR;
	c->ndim = 1;
	c->shape[0] = n;
	c->strings = packed->data;
	c->strings_bytes = packed->len;
	return 0;
}

struct csr_view
col_csr(const struct col *c)
{
	return (struct csr_view){(size_t)c->shape[0], (size_t)c->shape[1], c->ptr, c->idx, c->data};
}

bool
col_string_next(const struct col *c, size_t *at, const char **s, size_t *n)
{
	struct mp m = {c->strings + *at, c->strings + c->strings_bytes};

	if (*at >= c->strings_bytes || !mp_str(&m, s, n))
		return false;
	*at = (size_t)(m.p - c->strings);
	return true;
}

/* ---- writing ---- */

static int
add_piece(struct frame_packed *o, const void *p, size_t at, size_t n, struct err *e)
{
	size_t cap = o->cap ? o->cap * 2 : 32;
	struct piece *pieces;
	struct iovec *iov;

	if (o->npieces == o->cap) {
		pieces = realloc(o->pieces, cap * sizeof *pieces);
		if (pieces)
			o->pieces = pieces;
		iov = realloc(o->iov, cap * sizeof *iov);
		if (iov)
			o->iov = iov;
		if (!pieces || !iov)
			return err_memory(e, "frame", cap * sizeof *pieces);
		o->cap = cap;
	}
	o->pieces[o->npieces++] = (struct piece){p, at, n};
	return 0;
}

static void
begin(struct frame_packed *o)
{
	o->small.len = 0;
	o->npieces = 0;
	o->size = 0;
}

/* Header bytes since the last piece become a piece. size counts all bytes
 * before the first unflushed one. */
static int
flush_small(struct frame_packed *o, size_t *from, struct err *e)
{
	size_t n = o->small.len - *from;

	if (n && add_piece(o, NULL, *from, n, e))
		return e->code;
	o->size += n;
	*from = o->small.len;
	return 0;
}

/* key: bin, by reference, on a 64-byte boundary of the frame when it is large
 * enough to matter: a pad key before it takes up the slack. */
static int
put_payload(struct frame_packed *o, size_t *from, const char *pad_key, const char *key, const void *p, size_t n, bool pad, struct err *e)
{
	static const unsigned char zeros[64];
	size_t at, header = n < 256 ? 2 : n < 65536 ? 3 : 5;

	if (pad) {
		at = o->size + (o->small.len - *from) + 1 + strlen(pad_key) + 2 + 1 + strlen(key) + header;
		if (mp_put_str(&o->small, pad_key, e) || mp_put_bin(&o->small, zeros, -at & 63, e))
			return e->code;
	}
	if (mp_put_str(&o->small, key, e) || mp_put_bin_header(&o->small, n, e) || flush_small(o, from, e))
		return e->code;
	o->size += n;
	return n ? add_piece(o, p, 0, n, e) : 0;
}

static bool
padded(size_t n)
{
	return n >= 256;
}

/* Copies the pairs of a map whose keys are not in `keys`; with to NULL only
 * counts them. */
static int
pass_pairs(struct buf *to, const unsigned char *raw, size_t raw_bytes, const char *const *keys, size_t *count, struct err *e)
{
	struct mp m = {raw, raw ? raw + raw_bytes : NULL};
	const unsigned char *start;
	uint64_t n, i;
	const char *s;
	size_t len;
	bool skip;

	*count = 0;
	if (!raw || !mp_map(&m, &n))
		return 0;
	for (i = 0; i < n; i++) {
		start = m.p;
		if (mp_str(&m, &s, &len))
			skip = known(keys, s, len);
		else {
			skip = false;
			mp_skip(&m);
		}
		if (!mp_skip(&m))
			return err_set(e, CODE_BUG, "a checked frame is malformed");
		if (skip)
			continue;
		(*count)++;
		if (to && buf_append(to, start, (size_t)(m.p - start), e))
			return e->code;
	}
	return 0;
}

static int
put_shape(struct buf *b, const struct col *c, uint64_t n, struct err *e)
{
	unsigned i;

	if (mp_put_str(b, "dtype", e) || mp_put_str(b, c->dtype, e) ||
	    mp_put_str(b, "shape", e) || mp_put_array(b, c->ndim, e) || mp_put_uint(b, n, e))
		return e->code;
	for (i = 1; i < c->ndim; i++)
		if (mp_put_uint(b, c->shape[i], e))
			return e->code;
	return 0;
}

/* Row pointers of a slice start at 0 again. Rebased ones live in small, whose
 * block may move, so they are kept as an offset. */
static int
put_ptr(struct frame_packed *o, size_t *from, const struct col *c, uint64_t first, uint64_t n, struct err *e)
{
	size_t bytes = (size_t)(n + 1) * 4, at;
	uint64_t i;
	uint32_t v;

	if (!c->ptr[first])
		return put_payload(o, from, "pad", "ptr", c->ptr + first, bytes, padded(bytes), e);
	if (put_payload(o, from, "pad", "ptr", c->ptr, bytes, padded(bytes), e))
		return e->code;
	o->npieces--; /* the payload just added: replaced by the rebased copy */
	at = o->small.len;
	if (buf_reserve(&o->small, bytes, e))
		return e->code;
	for (i = 0; i <= n; i++) {
		v = c->ptr[first + i] - c->ptr[first];
		memcpy(o->small.data + at + i * 4, &v, 4);
	}
	o->small.len += bytes;
	*from = o->small.len;
	return add_piece(o, NULL, at, bytes, e);
}

static int
put_col(struct frame_packed *o, size_t *from, const struct col *c, uint64_t first, uint64_t n, struct err *e)
{
	struct buf *b = &o->small;
	size_t extra, row, skip, start = 0, stop, bytes, pads;
	const char *s;
	uint64_t i;

	if (mp_put_str(b, c->name, e))
		return e->code;
	if (c->form == COL_RAW)
		return buf_append(b, c->raw, c->raw_bytes, e);
	if (pass_pairs(NULL, c->raw, c->raw_bytes, col_keys, &extra, e))
		return e->code;
	switch (c->form) {
	case COL_DENSE:
		row = c->shape[0] ? c->bytes / (size_t)c->shape[0] : 0;
		bytes = row * (size_t)n;
		if (mp_put_map(b, 3 + padded(bytes) + extra, e) || put_shape(b, c, n, e) ||
		    put_payload(o, from, "pad", "data", (const char *)c->data + row * first, bytes, padded(bytes), e))
			return e->code;
		break;
	case COL_CSR:
		start = c->ptr[first];
		bytes = (c->ptr[first + n] - start) * 4;
		pads = padded((size_t)(n + 1) * 4) + 2u * padded(bytes);
		if (mp_put_map(b, 5 + pads + extra, e) || put_shape(b, c, n, e) || put_ptr(o, from, c, first, n, e) ||
		    put_payload(o, from, "pad2", "idx", c->idx + start, bytes, padded(bytes), e) ||
		    put_payload(o, from, "pad3", "data", (const float *)c->data + start, bytes, padded(bytes), e))
			return e->code;
		break;
	case COL_STR:
		for (i = 0; i < first; i++)
			col_string_next(c, &start, &s, &skip);
		for (stop = start, i = 0; i < n; i++)
			col_string_next(c, &stop, &s, &skip);
		if (mp_put_map(b, 3 + extra, e) || put_shape(b, c, n, e) || mp_put_str(b, "data", e) ||
		    mp_put_array(b, (size_t)n, e) || buf_append(b, c->strings + start, stop - start, e))
			return e->code;
		break;
	case COL_RAW:
		break;
	}
	return pass_pairs(b, c->raw, c->raw_bytes, col_keys, &extra, e);
}

int
frame_pack_rows(struct frame_packed *o, const struct frame *f, uint64_t seq, uint64_t row, uint64_t first, uint64_t n, struct err *e)
{
	struct buf *b = &o->small;
	size_t from = 0, extra;
	unsigned i;

	begin(o);
	if (pass_pairs(NULL, f->bytes, f->size, rows_keys, &extra, e) ||
	    mp_put_map(b, 6 + extra, e) || mp_put_str(b, "sae", e) || mp_put_uint(b, STREAM_VERSION, e) ||
	    mp_put_str(b, "kind", e) || mp_put_str(b, "rows", e) || mp_put_str(b, "seq", e) || mp_put_uint(b, seq, e) ||
	    mp_put_str(b, "row", e) || mp_put_uint(b, row, e) || mp_put_str(b, "n", e) || mp_put_uint(b, n, e) ||
	    mp_put_str(b, "cols", e) || mp_put_map(b, f->ncols, e))
		return e->code;
	for (i = 0; i < f->ncols; i++) {
		if (f->cols[i].form == COL_RAW && (first || n != f->n))
			return err_set(e, CODE_DATA, "column %s is of a form this version cannot cut; raise --max-frame", f->cols[i].name);
		if (put_col(o, &from, &f->cols[i], first, n, e))
			return e->code;
	}
	if (pass_pairs(b, f->bytes, f->size, rows_keys, &extra, e))
		return e->code;
	return flush_small(o, &from, e);
}

static int
put_kind(struct frame_packed *o, size_t pairs, const char *kind, struct err *e)
{
	struct buf *b = &o->small;

	begin(o);
	return mp_put_map(b, 2 + pairs, e) || mp_put_str(b, "sae", e) || mp_put_uint(b, STREAM_VERSION, e) ||
	       mp_put_str(b, "kind", e) || mp_put_str(b, kind, e);
}

int
frame_pack_end(struct frame_packed *o, uint64_t frames, uint64_t rows, uint64_t sum, struct err *e)
{
	struct buf *b = &o->small;

	if (put_kind(o, 3, "end", e) || mp_put_str(b, "frames", e) || mp_put_uint(b, frames, e) ||
	    mp_put_str(b, "rows", e) || mp_put_uint(b, rows, e) || mp_put_str(b, "sum", e) || mp_put_uint(b, sum, e))
		return e->code;
	return flush_small(o, &(size_t){0}, e);
}

int
frame_pack_error(struct frame_packed *o, const char *who, const char *text, struct err *e)
{
	struct buf *b = &o->small;

	if (put_kind(o, 2, "error", e) || mp_put_str(b, "who", e) || mp_put_str(b, who, e) ||
	    mp_put_str(b, "text", e) || mp_put_str(b, text, e))
		return e->code;
	return flush_small(o, &(size_t){0}, e);
}

int
frame_pack_bytes(struct frame_packed *o, const void *bytes, size_t n, struct err *e)
{
	begin(o);
	o->size = n;
	return add_piece(o, bytes, 0, n, e);
}

/* Pieces' addresses, which were not final while small could still move. */
static void
place_pieces(const struct frame_packed *o)
{
	size_t i;

	for (i = 0; i < o->npieces; i++) {
		const struct piece *p = &o->pieces[i];
		const void *at = p->p ? p->p : o->small.data + p->at;

		o->iov[i] = (struct iovec){.iov_base = (void *)(uintptr_t)at, .iov_len = p->n};
	}
}

struct iovec *
frame_packed_iov(struct frame_packed *o, size_t *count)
{
	place_pieces(o);
	*count = o->npieces;
	return o->iov;
}

uint64_t
frame_hash(const void *bytes, size_t n)
{
	struct iovec v = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};

	return sum_for(NULL)->pieces(&v, 1);
}

uint64_t
frame_packed_hash(const struct frame_packed *o)
{
	place_pieces(o);
	return sum_for(NULL)->pieces(o->iov, o->npieces);
}

void
frame_packed_free(struct frame_packed *o)
{
	buf_free(&o->small);
	free(o->pieces);
	free(o->iov);
	memset(o, 0, sizeof *o);
}
