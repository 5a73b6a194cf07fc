/* MessagePack, the part a stream needs: a bounded reader of tokens that never
 * allocates, and a packer into a struct buf.
 *
 * msgpack-c packs (its header is included only in mp.c); reading is our own,
 * because its unpacker allocates what a five-byte header claims before a
 * single byte of it has arrived.
 */
#ifndef STREAM_MP_H
#define STREAM_MP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define MP_MAX_DEPTH 32

enum mp_kind { MP_NIL, MP_BOOL, MP_UINT, MP_INT, MP_FLOAT, MP_STR, MP_BIN, MP_EXT, MP_ARRAY, MP_MAP };

/* A span of MessagePack being read. */
struct mp {
	const unsigned char *p, *end;
};

struct mp_token {
	enum mp_kind kind;
	uint64_t n;   /* UINT, BOOL: value; STR, BIN, EXT: bytes; ARRAY, MAP: entries */
	int64_t i;    /* INT: value (negative) */
	double f;     /* FLOAT */
	bool single;  /* FLOAT: was 32 bits wide */
	const unsigned char *data; /* STR, BIN, EXT: payload, inside the span */
};

/* One token; false when the span is malformed or ends inside it. A container
 * whose count exceeds the bytes left is malformed. */
bool mp_next(struct mp *m, struct mp_token *t);
/* One whole value, however nested (at most MP_MAX_DEPTH). */
bool mp_skip(struct mp *m);
/* The value of a string key in the map at m (m does not move). */
bool mp_find(struct mp m, const char *key, struct mp *value);
/* Typed reads: false when the next value is something else. */
bool mp_uint(struct mp *m, uint64_t *v);
bool mp_str(struct mp *m, const char **s, size_t *n); /* not NUL-terminated */
bool mp_bin(struct mp *m, const unsigned char **p, size_t *n);
bool mp_map(struct mp *m, uint64_t *n);
bool mp_array(struct mp *m, uint64_t *n);
bool mp_is(const char *s, size_t n, const char *word);

/* How long is the value that begins at p, when only `have` bytes are there?
 * Resumable: keep the struct between calls, start from {0}. */
struct mp_scan {
	uint64_t pos; /* first byte not yet understood */
	uint64_t left[MP_MAX_DEPTH]; /* values still to come, per level */
	unsigned depth;
	bool begun;
};
enum mp_scan_result { MP_SCAN_DONE, MP_SCAN_MORE, MP_SCAN_BAD };
/* DONE: *n is the length. MORE: at least *n bytes are needed in all. */
enum mp_scan_result mp_scan(struct mp_scan *s, const unsigned char *p, uint64_t have, uint64_t *n);

/* Packing: each appends to b; 0 or the error's code. */
int mp_put_nil(struct buf *b, struct err *e);
int mp_put_bool(struct buf *b, bool v, struct err *e);
int mp_put_uint(struct buf *b, uint64_t v, struct err *e);
int mp_put_int(struct buf *b, int64_t v, struct err *e);
int mp_put_double(struct buf *b, double v, struct err *e);
int mp_put_strn(struct buf *b, const char *s, size_t n, struct err *e);
int mp_put_str(struct buf *b, const char *s, struct err *e);
int mp_put_bin_header(struct buf *b, size_t n, struct err *e); /* payload follows */
int mp_put_bin(struct buf *b, const void *p, size_t n, struct err *e);
int mp_put_map(struct buf *b, size_t n, struct err *e);
int mp_put_array(struct buf *b, size_t n, struct err *e);

#endif
