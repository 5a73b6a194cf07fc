/* Input files, as every reader of this room opens them: regular files only,
 * read by position, never mapped.
 *
 * The texts of these errors do not name the file; each public function of the
 * room puts the path in front once, with infile_blame, on its way out. */
#ifndef FILES_INFILE_H
#define FILES_INFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* CODE_NOINPUT when path cannot be opened or is no regular file. */
int infile_open(const char *path, int *fd, uint64_t *size, struct err *e);

/* n bytes at `at`; CODE_DATA when the file ends before, CODE_IO when the
 * system fails. */
int infile_read_at(int fd, void *p, size_t n, uint64_t at, struct err *e);

/* `path: ` in front of e's text, fit for a terminal; returns e->code. */
int infile_blame(struct err *e, const char *path);

/* Says in text what head[n], the first bytes of a file nobody could read,
 * looks like: "it is a git-lfs pointer ...", `it starts with "..."`. True when
 * they cannot well be plain numbers. */
bool infile_sniff(const unsigned char *head, size_t n, char *text, size_t size);

#define INFILE_SNIFF 64 /* bytes worth giving to infile_sniff */

#endif
