/* Files of torch.save: the zip container of torch 1.6 and later, the one
 * before it, and a zip behind one line of JSON. Nothing in them is ever run
 * (pickle.h); every size is checked against the file before it is used.
 *
 *   struct ptfile f;
 *   pt_open(&f, "ae.pt", &err);
 *   v = value_get(f.root, "state_dict.encoder.weight");
 *   pt_read_f32(&f, v, dst, &err);
 *   pt_close(&f);
 */
#ifndef FILES_PTFILE_H
#define FILES_PTFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "files/array.h"
#include "files/pickle.h"
#include "files/zipin.h"

#define PT_MAX_PICKLE ((size_t)1 << 28) /* bytes: without the tensors, that is much */
#define PT_LEGACY_MAGIC "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."

struct ptfile {
	char *path; /* "" after pt_open_fd */
	int fd;
	uint64_t size;
	char *preface; /* the line in front of the archive, or NULL */
	bool zipped;
	struct zipin zip;
	char *text; /* of the pickle */
	struct pickle *pickle;
	const struct value *root; /* never NULL while open */
};

/* Nothing to close after a failure. Every storage that the pickle names is in
 * the file, in full. */
int pt_open(struct ptfile *f, const char *path, struct err *e);
/* The same with a file of size bytes that is open already: fd is f's from now on,
 * closed after a failure too. Errors do not name the file. */
int pt_open_fd(struct ptfile *f, int fd, uint64_t size, struct err *e);
void pt_close(struct ptfile *f);

/* The numbers of a tensor as float32, in row-major order whatever its strides,
 * into dst [product of its shape]; float64 and wide integers are rounded to
 * nearest, all else is exact. The bytes' checksum is verified. */
int pt_read_f32(struct ptfile *f, const struct value *tensor, float *dst, struct err *e);
/* A number, or a tensor with one element: false with e filled when v (may be
 * NULL) is something else; name is for the message. */
bool pt_number(struct ptfile *f, const struct value *v, const char *name, double *out, struct err *e);
/* A tensor of at most two dimensions as rows (one dimension: one row) to read
 * with array_read while f is open; array_free it. Errors do not name the file. */
int pt_array(struct ptfile *f, const struct value *tensor, struct array *a, struct err *e);

/* What the first bytes of a file are: pt_open may understand them. */
bool pt_begins(const unsigned char *head, size_t n);

#endif
