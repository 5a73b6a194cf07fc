/* Zip archives as containers of arrays: .npz, PyTorch files. libzip reads the
 * directory and inflates; what it does not refuse by itself is refused here:
 * names that come twice or are not UTF-8, encryption, methods other than
 * stored and deflated, members that reach beyond the file.
 *
 *   struct zipin z;
 *   zipin_open(&z, fd, start, size, &err);    the archive is bytes start..size of fd
 *   zipin_find(&z, "a.npy");                  index of a member, or ZIPIN_NONE
 *   zipin_where(&z, i, &at, &err);            a stored member's place in fd
 *   m = zipin_member(&z, i, &err); zipin_read(m, p, n, &err); zipin_member_close(m);
 *   zipin_close(&z);
 *
 * Nothing is ever written, and no member's name is used as a path. As with the
 * other readers of this room, errors do not name the file. */
#ifndef FILES_ZIPIN_H
#define FILES_ZIPIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define ZIPIN_NONE SIZE_MAX
#define ZIPIN_MAX_MEMBERS ((size_t)1 << 20)

struct zipin_member {
	const char *name; /* UTF-8, as in the archive */
	uint64_t size;    /* unpacked */
	uint32_t crc;
	bool stored;      /* its bytes lie in the file as they are */
};

struct zipin {
	struct zipsource *source;
	struct zip *archive;
	size_t n;
	struct zipin_member *members;
	size_t *sorted; /* by name */
};

/* fd stays the caller's and must outlive z. Nothing to close after a failure. */
int zipin_open(struct zipin *z, int fd, uint64_t start, uint64_t size, struct err *e);
void zipin_close(struct zipin *z);
size_t zipin_find(const struct zipin *z, const char *name);
/* The offset in fd of the first byte of stored member i; all its bytes are in
 * the file. CODE_DATA for a compressed one. */
int zipin_where(struct zipin *z, size_t i, uint64_t *at, struct err *e);

/* A member's bytes in order, unpacked. */
struct zipin_stream;
struct zipin_stream *zipin_member(struct zipin *z, size_t i, struct err *e);
/* n bytes unless the member ends first: bytes read, -1 with e filled. Reading
 * to the end (a result short of n) checks size and CRC. */
ssize_t zipin_read(struct zipin_stream *m, void *p, size_t n, struct err *e);
void zipin_member_close(struct zipin_stream *m); /* NULL is fine */

/* A whole member of at most max bytes and a NUL behind it (free); its length
 * is members[i].size. */
char *zipin_load(struct zipin *z, size_t i, size_t max, struct err *e);

#endif
