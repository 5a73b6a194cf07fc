/* Frames: one MessagePack map each (docs/FORMAT.md).
 *
 * Reading:  frame_parse(bytes) -> struct frame, whose columns point into those
 *           bytes (or, where a foreign writer left a payload unaligned, into a
 *           side buffer no larger than the frame). Everything is checked:
 *           counts, shapes, sizes, sparse indices, UTF-8.
 * Writing:  fill a struct frame and frame_pack() it: header bytes and payload
 *           pointers, ready for writev, payloads on 64-byte boundaries.
 *
 * What a reader does not know -- keys, columns, dtypes, kinds -- it keeps as
 * bytes, and frame_pack puts it back.
 */
#ifndef STREAM_FRAME_H
#define STREAM_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/mem.h"
#include "stream/mp.h"

#define STREAM_VERSION 1
#define FRAME_MAX_COLS 64
#define COL_NAME_MAX 63
#define COL_MAX_DIMS 4
#define COL_MAX_WIDTH (1u << 28) /* of any dimension of one row */

enum frame_kind { FRAME_HEAD, FRAME_ROWS, FRAME_END, FRAME_ERROR, FRAME_OTHER };

enum col_form {
	COL_DENSE, /* data: shape[0] x ... items of dtype, C order */
	COL_CSR,   /* ptr, idx, data: sparse rows of shape [n,m], dtype <f4 */
	COL_STR,   /* strings: shape[0] of them */
	COL_RAW    /* of a form this version does not know: raw only */
};

struct col {
	char name[COL_NAME_MAX + 1];
	char dtype[16]; /* numpy's name, or "str" */
	enum col_form form;
	unsigned ndim;
	uint64_t shape[COL_MAX_DIMS];
	const void *data; /* dense: values; CSR: values (float) */
	size_t bytes;     /* of data */
	const uint32_t *ptr, *idx; /* CSR */
	const unsigned char *strings; /* packed MessagePack strings, one after another */
	size_t strings_bytes;
	const unsigned char *raw; /* the column's map as read, for unknown keys; or NULL */
	size_t raw_bytes;
};

struct frame {
	enum frame_kind kind;
	char kind_text[32];
	const unsigned char *bytes; /* the whole frame as read; NULL when made here */
	size_t size;
	uint64_t seq, row, n;       /* rows */
	unsigned ncols;
	struct col cols[FRAME_MAX_COLS];
	uint64_t frames, rows, sum; /* end */
	bool has_sum;
	char who[128], text[512];   /* error */
	struct buf side;            /* realigned payloads; frame_free */
};

/* f must start as {0} and may be reused; it points into bytes, which must be
 * MEM_ALIGN aligned and outlive it. Errors: CODE_DATA. */
int frame_parse(struct frame *f, const unsigned char *bytes, size_t size, struct err *e);
void frame_free(struct frame *f);

/* The column of that name, or NULL. */
struct col *frame_col(struct frame *f, const char *name);
/* Removes a column; nothing when it is not there. */
void frame_drop(struct frame *f, const char *name);
/* Adds or replaces a column; the payload stays the caller's. CODE_DATA when
 * there are FRAME_MAX_COLS already. */
int frame_put_dense(struct frame *f, const char *name, const char *dtype, unsigned ndim, const uint64_t *shape, const void *data, struct err *e);
int frame_put_csr(struct frame *f, const char *name, struct csr_view v, struct err *e);
int frame_put_strings(struct frame *f, const char *name, uint64_t n, const struct buf *packed, struct err *e);

struct csr_view col_csr(const struct col *c);
/* The next string of a COL_STR column: start with at = 0. */
bool col_string_next(const struct col *c, size_t *at, const char **s, size_t *n);

/* A frame laid out for writing. Start from {0}; reuse; frame_packed_free. */
struct frame_packed {
	struct buf small;  /* header bytes and rebased row pointers */
	struct piece { const void *p; size_t at, n; } *pieces; /* p NULL: at small.data + at */
	struct iovec *iov;
	size_t npieces, cap;
	uint64_t size;
};

/* Rows first..first+n-1 of f as one rows frame with that seq and row number. */
int frame_pack_rows(struct frame_packed *out, const struct frame *f, uint64_t seq, uint64_t row, uint64_t first, uint64_t n, struct err *e);
int frame_pack_end(struct frame_packed *out, uint64_t frames, uint64_t rows, uint64_t sum, struct err *e);
int frame_pack_error(struct frame_packed *out, const char *who, const char *text, struct err *e);
/* Any bytes that are a frame already. */
int frame_pack_bytes(struct frame_packed *out, const void *bytes, size_t n, struct err *e);
/* XXH3-64 of the frame's bytes: what the end frame's sum adds up. */
uint64_t frame_packed_hash(const struct frame_packed *p);
uint64_t frame_hash(const void *bytes, size_t n);
/* iov over the pieces, valid until the next pack; *count of them. */
struct iovec *frame_packed_iov(struct frame_packed *p, size_t *count);
void frame_packed_free(struct frame_packed *p);

#endif
