/* Writing a zip archive of files that are there already, stored as they are. */
#ifndef FILES_ZIPOUT_H
#define FILES_ZIPOUT_H

#include <stddef.h>

#include "base/error.h"

struct zipout_part {
	const char *name; /* of the member */
	int fd;           /* read from its beginning to its end */
};

/* Writes an archive of parts[n] to fd, an empty file, with the time 1980-01-01
 * for all: the same parts give the same bytes. Errors name no file; errno is
 * that of the write that failed. */
int zipout_write(int fd, const struct zipout_part *parts, size_t n, struct err *e);

#endif
