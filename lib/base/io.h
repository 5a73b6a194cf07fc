/* Reading and writing, written once: short transfers, EINTR, EAGAIN on an
 * inherited non-blocking descriptor, and a reader that went away. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/error.h"

/* At least one byte unless at end of file: bytes read, 0 at the end, -1 with
 * errno. With `stop` not NULL and *stop set, returns -1 with errno EINTR. */
ssize_t io_read_some(int fd, void *p, size_t n, volatile const int *stop);

/* n bytes unless the file ends first: bytes read, -1 with errno. */
ssize_t io_read_full(int fd, void *p, size_t n);
ssize_t io_pread_full(int fd, void *p, size_t n, uint64_t at);

/* All of it, or -1 with errno. EPIPE means the reader is gone: the caller ends
 * as a filter should (lib/cli does). iov is changed. stop as in io_read_some:
 * a reader that does not read cannot hold up a writer that was told to stop. */
int io_write_all(int fd, const void *p, size_t n);
int io_writev_all(int fd, struct iovec *iov, int count, volatile const int *stop);

/* An output file that appears whole or not at all: written under no name (or
 * a temporary one) in the directory of path, then fsync, rename, fsync of the
 * directory. A path that exists and is no regular file (a pipe, /dev/full) is
 * written as it is. Start from {.fd = -1}. */
struct outfile {
	int fd;
	char *path, *dir, *temp;
	bool plain; /* written in place */
};

int outfile_open(struct outfile *f, const char *path, struct err *e);
/* Makes it appear; f is closed whatever the result. */
int outfile_commit(struct outfile *f, struct err *e);
/* Forgets it; does nothing when not open. */
void outfile_abort(struct outfile *f);

/* The same with stdio: a FILE on f, and its end -- checked, flushed, closed,
 * committed, or aborted when anything failed (failed: the caller's own word). */
FILE *outfile_stdio(struct outfile *f, const char *path, struct err *e);
int outfile_stdio_close(struct outfile *f, FILE *to, bool failed, struct err *e);

/* Where spools are kept: $TMPDIR or /tmp. The one environment variable the
 * library reads by itself. */
const char *io_tempdir(void);
/* An unnamed temporary file there, gone when closed; -1. */
int io_tempfile(struct err *e);

#endif
