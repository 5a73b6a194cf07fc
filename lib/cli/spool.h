/* Reading a stream twice. The first pass hands out frames while they are kept
 * (in an unnamed file under $TMPDIR; not at all where the input is a regular
 * file, which is simply read again); then r->in is the same stream from its
 * beginning. */
#ifndef CLI_SPOOL_H
#define CLI_SPOOL_H

#include "cli/cli.h"

/* Reads all of r->in, calling each(r, frame) for every frame (r->head is the
 * last head seen), and rewinds: r->in then begins again. 0 or a code. */
int spool_first_pass(struct run *r, int (*each)(struct run *r, struct frame *f));

#endif
