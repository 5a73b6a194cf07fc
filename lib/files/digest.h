/* SHA-256, of what is written and of whole files. */
#ifndef FILES_DIGEST_H
#define FILES_DIGEST_H

#include <nettle/sha2.h>

#include "base/error.h"
#include "base/model.h"

/* Lower-case hex of what ctx has been fed; ctx starts anew. */
void digest_hex(struct sha256_ctx *ctx, char hex[SHA256_HEX]);

/* Of the whole file behind fd, read by position in blocks of 1 MiB. The text
 * of an error does not name the file. */
int digest_fd(int fd, char hex[SHA256_HEX], struct err *e);

#endif
