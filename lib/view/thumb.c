#include <string.h>
#include <strings.h>

#include "view/private.h"

static bool
starts(const char *s, const char *word)
{
	return !strncasecmp(s, word, strlen(word));
}

static bool
named_as_picture(const char *path)
{
	static const char *const ends[] = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".bmp", ".svg"};
	size_t n = strlen(path), i;

	for (i = 0; i < sizeof ends / sizeof *ends; i++)
		if (n > strlen(ends[i]) && !strcasecmp(path + n - strlen(ends[i]), ends[i]))
			return true;
	return false;
}

/* Nothing before the first / that could be a scheme, and no host. */
static bool
path_only(const char *s)
{
	return s[strcspn(s, ":/")] != ':' && !starts(s, "//");
}

bool
thumb_address(const char *id, char *out, size_t size)
{
	bool address = starts(id, "http://") || starts(id, "https://");
	size_t n = 0;

	if (strchr(id, '\\') || (!address && (!path_only(id) || !named_as_picture(id))))
		return false;
	for (; *id && n + 4 <= size; id++)
		if (*id == ' ' || (!address && strchr("%?#", *id)))
			n += (size_t)snprintf(out + n, size - n, "%%%02X", (unsigned char)*id);
		else
			out[n++] = *id;
	if (*id)
		return false;
	out[n] = 0;
	return !(n > 3 && !strcmp(out + n - 3, "...")); /* text_printable cut it */
}
