/* Writing an .npy whose row count is known only at the end (matwriter.h has the
 * rules). path NULL: a temporary file, for npyout_take. */
#ifndef FILES_NPYOUT_H
#define FILES_NPYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct npyout;
struct npyout *npyout_create(const char *path, const char *dtype, const uint64_t *dims, unsigned ndims, struct err *e);
int npyout_append(struct npyout *w, const void *rows, uint64_t n, size_t row_bytes, struct err *e);
int npyout_finish(struct npyout *w, struct err *e); /* frees w, always */
/* The finished temporary file, which the caller closes; -1 with e filled. Frees w. */
int npyout_take(struct npyout *w, struct err *e);
void npyout_abort(struct npyout *w); /* NULL is fine */

#endif
