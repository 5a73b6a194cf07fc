/* The head of a stream: an ordered list of keys with MessagePack values. What
 * a stage does not know it keeps. Start from {0}; head_free. */
#ifndef STREAM_HEAD_H
#define STREAM_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "stream/frame.h"
#include "stream/mp.h"

#define HEAD_MAX_KEYS 64

struct head {
	struct buf bytes; /* keys and values, in no order */
	struct head_entry { size_t key, key_bytes, value, value_bytes; } entries[HEAD_MAX_KEYS];
	unsigned n;
};

/* Copies the pairs of a parsed head frame (all but sae and kind). */
int head_read(struct head *h, const struct frame *f, struct err *e);
void head_clear(struct head *h);
void head_free(struct head *h);

/* The value of key; false when it is not there. */
bool head_get(const struct head *h, const char *key, struct mp *value);
/* True when key is there and neither nil nor false. */
bool head_is_set(const struct head *h, const char *key);
/* Sets or replaces key with a packed value; head_set_str with a string. */
int head_set(struct head *h, const char *key, const void *value, size_t n, struct err *e);
int head_set_str(struct head *h, const char *key, const char *s, struct err *e);
/* A list of n strings. */
int head_set_strs(struct head *h, const char *key, const char *const *list, size_t n, struct err *e);
void head_drop(struct head *h, const char *key);
/* The string of key into out (printable, cut to size); false when absent. */
bool head_get_str(const struct head *h, const char *key, char *out, size_t size);

/* Declares column name in "cols", replacing an earlier declaration: its dtype
 * and the shape of one row (CSR: [m]; ndim 0 for one value a row). */
int head_declare(struct head *h, const char *name, const char *dtype, unsigned ndim, const uint64_t *shape, struct err *e);
void head_undeclare(struct head *h, const char *name);
/* What "cols" says of a column; false when nothing. c->shape[0..ndim-1] is the
 * shape of one row. */
bool head_declared(const struct head *h, const char *name, struct col *c);

/* Adds {program, version, command} to "prov". */
int head_add_prov(struct head *h, const char *program, const char *version, const char *command, struct err *e);

/* "norm": {"how", "mean": tensor, "scale": tensor}. mean [d]. */
int head_set_norm(struct head *h, const char *how, const float *mean, size_t d, float scale, struct err *e);
/* 1: found, *mean (mem_alloc'ed, the caller's) and *scale set; 0: not there;
 * -1: there, but not well formed (e filled). how may be NULL. */
int head_get_norm(const struct head *h, float **mean, size_t *d, float *scale, char *how, size_t how_size, struct err *e);

/* The head as one frame's bytes, appended to out. */
int head_pack(const struct head *h, struct buf *out, struct err *e);

#endif
