/* Safetensors files whose tensors and metadata are known beforehand: models,
 * statistics. What is there must be exactly what was expected.
 *
 * Errors do not name the file, but slot_read's do; infile_blame puts it in
 * front. */
#ifndef FILES_SLOTS_H
#define FILES_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/tensor.h"
#include "files/safetensors.h"

/* A tensor by name: one table of them serves reading and writing. */
struct slot {
	const char *name;
	unsigned ndim; /* 1 or 2 */
	uint64_t shape[2];
	float *data;   /* the caller's; [product of shape] */
};

size_t slot_count(const struct slot *s); /* numbers in it */
struct st_out slot_out(const struct slot *s);

/* Its tensor in f, of exactly this shape. why: what the shape follows from (" as
 * W_enc is [3,4]"). */
int slot_find(const struct st_file *f, const struct slot *want, const char *why, const struct st_tensor **t, struct err *e);
/* Finds it and fills data; every number must be finite. Errors name the file. */
int slot_read(const struct st_file *f, const struct slot *slot, const char *why, struct err *e);
/* The same for tensors of other types, as they are written by tensor_out: type
 * and shape must be those named. Errors name the file. */
struct st_out tensor_out(const struct tensor *t);
int tensor_read(const struct st_file *f, const struct tensor *want, struct err *e);
/* CODE_DATA when v[n] holds NaN or infinity. */
int slot_check_finite(const char *name, const float *v, size_t n, struct err *e);
/* "3,4" into out. Returns out. */
char *slot_shape(char *out, size_t size, const uint64_t *shape, unsigned ndim);

/* Metadata, strictly. CODE_DATA: `metadata KEY is "VALUE"; expected WANT`. */
int meta_bad(const char *key, const char *value, const char *want, struct err *e);
/* format and version of a file must be these; kind names it: "an msae model
 * file". what: what to do with a file that has no format, or NULL. */
int meta_format(const struct st_file *f, const char *format, const char *version, const char *kind, const char *what, struct err *e);
/* Digits at *p up to the end or a comma, past which *p moves. */
bool meta_take_count(const char **p, uint64_t *v);
bool meta_count(const char *s, uint64_t *v);
/* s[n] as a plain decimal number >= 0 that fits a float. */
bool meta_real(const char *s, size_t n, float *v);

#endif
