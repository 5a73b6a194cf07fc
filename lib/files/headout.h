/* An output file whose first bytes can only be written last: its head holds a
 * count of what follows. It appears whole at headout_finish, or not at all.
 *
 * Standard output, a pipe or a device cannot be rewound: these get it at the end,
 * by way of a spool in $TMPDIR. */
#ifndef FILES_HEADOUT_H
#define FILES_HEADOUT_H

#include "base/io.h"

/* Start from HEADOUT_NONE. */
struct headout {
	struct outfile out; /* fd -1: standard output */
	int spool;          /* -1: written where it will be */
	char *path;
};
#define HEADOUT_NONE ((struct headout){.out = {.fd = -1}, .spool = -1})

/* path "-": standard output. NULL: a temporary file only, for headout_take. */
int headout_open(struct headout *h, const char *path, struct err *e);
/* Where to write: it can be rewound. */
int headout_fd(const struct headout *h);
/* "cannot write" with errno, which stays: a reader that went away is EPIPE. */
int headout_failed(const struct headout *h, struct err *e);
/* Makes it appear; h is empty whatever the result, errno as in headout_failed. */
int headout_finish(struct headout *h, struct err *e);
/* The temporary file of path NULL, at its beginning; the caller closes it. */
int headout_take(struct headout *h);
/* Forgets it; fine when it is empty. */
void headout_abort(struct headout *h);

#endif
