/* safetensors: u64 header length, JSON, bytes. Read defensively: header at
 * most 100 MB, nesting bounded before the JSON parser sees it, duplicate keys,
 * overlaps, holes, offsets beyond the file and shapes that do not match their
 * bytes are refused (CODE_DATA, one line). */
#ifndef FILES_SAFETENSORS_H
#define FILES_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/error.h"

#define ST_MAX_DIMS 4

struct st_tensor {
	char *name;
	enum dtype dtype; /* DT_NONE: known to safetensors, not to us (F8_E4M3 ...) */
	char dtype_text[16];
	unsigned ndim;
	uint64_t shape[ST_MAX_DIMS];
	uint64_t at, bytes; /* in the file */
};

struct st_file {
	char *path;
	int fd;
	size_t ntensors, nmeta;
	struct st_tensor *tensors;
	struct st_meta { char *key, *value; } *meta;
	char sha256[65]; /* hex digest of the whole file */
};

/* Opens, checks and hashes; tensors are sorted by offset. Nothing to close
 * after a failure. */
int st_open(struct st_file *f, const char *path, struct err *e);
/* The same; a file of quite another kind is called "not KIND" in the error
 * (st_open says "a safetensors file"). */
int st_open_as(struct st_file *f, const char *path, const char *kind, struct err *e);
/* The same with a file of size bytes that is open already: fd is f's from now on,
 * closed after a failure too. It is not hashed, and errors do not name it. */
int st_open_fd(struct st_file *f, int fd, uint64_t size, struct err *e);
void st_close(struct st_file *f);
const struct st_tensor *st_find(const struct st_file *f, const char *name);
/* The __metadata__ value of key, or NULL. */
const char *st_meta(const struct st_file *f, const char *key);
/* Reads a tensor as float32 into dst [product of shape]. */
int st_read_f32(const struct st_file *f, const struct st_tensor *t, float *dst, struct err *e);
/* Its bytes as they are, t->bytes of them. */
int st_read_raw(const struct st_file *f, const struct st_tensor *t, void *dst, struct err *e);

/* The format's name of a type ("F32"), NULL for DT_NONE. */
const char *st_dtype_name(enum dtype t);

/* Writing: tensors of any dtype, and metadata, in the order given (bytes that
 * are not UTF-8 as \xNN). The same arguments give the same
 * bytes. Atomic; sha256 (65 bytes, may be NULL) gets the digest of the new file. */
struct st_out { const char *name; enum dtype dtype; unsigned ndim; uint64_t shape[ST_MAX_DIMS]; const void *data; };
int st_save(const char *path, const struct st_out *t, size_t nt, const struct st_meta *meta, size_t nmeta, char *sha256, struct err *e);

#endif
