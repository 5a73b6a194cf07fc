/* Telling a frame from foreign bytes by its beginning: a map whose first key
 * is "sae". Shared by the transports; internal to this room. */
#ifndef STREAM_FIRST_H
#define STREAM_FIRST_H

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "stream/mp.h"

#define FIRST_BYTES 12 /* enough to tell; every frame is longer */

/* Of fewer bytes than that, cut short, what may still become a frame counts. */
static inline bool
looks_like_frame(const unsigned char *p, size_t n)
{
	size_t lead = n && p[0] == 0xde ? 3 : n && p[0] == 0xdf ? 5 : 1;
	struct mp m = {p + (lead < n ? lead : n), p + n};
	const char *s;
	size_t len;

	if (n < 1 || !((p[0] & 0xf0) == 0x80 || p[0] == 0xde || p[0] == 0xdf))
		return false;
	if (n < FIRST_BYTES && n < lead + 4)
		return !memcmp(m.p, "\xa3sae", (size_t)(m.end - m.p));
	return mp_str(&m, &s, &len) && mp_is(s, len, "sae");
}

/* Says what came to `name` instead; returns CODE_DATA. */
static inline int
not_a_frame(const char *name, const unsigned char *p, size_t n, struct err *e)
{
	char text[40];

	if (n >= 6 && !memcmp(p, "\x93NUMPY", 6))
		return err_set(e, CODE_DATA, "%s: this is an .npy file, not a stream; read it with: read-embeddings FILE", name);
	text_printable(text, sizeof text, (const char *)p, n < 12 ? n : 12);
	return err_set(e, CODE_DATA, "%s: not a msae stream: it begins with \"%s\"; streams come from read-embeddings and the other filters",
	               name, text);
}

#endif
