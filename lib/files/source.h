/* Bytes that come in order: a file or a pipe, what gzip or zstd made of it, a
 * member of an archive. For what cannot be read by position, or need not be.
 *
 *   struct source *s = source_fd(fd, &err);
 *   s = source_unpack(s, &err);              gunzip, unzstd where its bytes say so
 *   source_read(s, p, n, &err);              n bytes unless it ends first
 *   source_close(s);
 *
 * Constant memory. Errors do not name the file. */
#ifndef FILES_SOURCE_H
#define FILES_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/mem.h"
#include "files/zipin.h"

struct source;

/* From where fd stands; fd is s's from now on, closed with it, also when NULL
 * (with e filled) is returned. */
struct source *source_fd(int fd, struct err *e);
/* Member i of z, unpacked; z must outlive it. */
struct source *source_member(struct zipin *z, size_t i, struct err *e);
/* s itself, or what unpacks it when it begins as gzip or zstd does. s is taken
 * over: NULL with e filled has closed it. */
struct source *source_unpack(struct source *s, struct err *e);
void source_close(struct source *s); /* NULL is fine */

/* Bytes read: n, or fewer at the end; -1 with e filled. */
ssize_t source_read(struct source *s, void *p, size_t n, struct err *e);
/* The next n bytes (at most SOURCE_PEEK), which stay: *got of them, fewer only
 * at the end. */
const unsigned char *source_peek(struct source *s, size_t n, size_t *got, struct err *e);
#define SOURCE_PEEK ((size_t)1 << 16)
/* Passes n bytes over; CODE_DATA when it ends before. */
int source_skip(struct source *s, uint64_t n, struct err *e);
/* Appends the next line to `line`, with its \n where it has one: 1; 0 at the
 * end; -1 with e filled, CODE_DATA when line would become longer than max. */
int source_line(struct source *s, struct buf *line, size_t max, struct err *e);
/* All that is left, as an unnamed temporary file: its descriptor, *size bytes;
 * -1 with e filled. */
int source_spool(struct source *s, uint64_t *size, struct err *e);

/* True when head[n] begins as gzip or zstd does. */
bool source_is_packed(const unsigned char *head, size_t n);

#endif
