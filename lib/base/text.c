#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Length of the valid UTF-8 sequence at s, 0 when there is none. */
static size_t
utf8_len(const unsigned char *s, size_t n)
{
	unsigned c = s[0];
	size_t len, i;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (n < len)
		return 0;
	for (i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) ||
	    (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

bool
text_utf8_valid(const char *s, size_t n)
{
	size_t i = 0, len;

	while (i < n) {
		len = utf8_len((const unsigned char *)s + i, n - i);
		if (!len)
			return false;
		i += len;
	}
	return true;
}

/* Length of the printable character at s, 0 when there is none: C0, DEL and
 * the two-byte C1 controls U+0080..U+009F are not. */
static size_t
printable_len(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t len = utf8_len(u, n);

	return u[0] < 0x20 || u[0] == 0x7f || (len == 2 && u[0] == 0xc2 && u[1] < 0xa0) ? 0 : len;
}

bool
text_is_printable(const char *s, size_t n)
{
	size_t i = 0, len;

	while (i < n) {
		len = printable_len(s + i, n - i);
		if (!len)
			return false;
		i += len;
	}
	return true;
}

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

int
text_natural_cmp(const char *a, const char *b)
{
	const char *a0 = a, *b0 = b;
	size_t na, nb;
	int c;

	while (*a && *b) {
		if (!digit(*a) || !digit(*b)) {
			if (*a != *b)
				return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
			a++;
			b++;
			continue;
		}
		while (*a == '0')
			a++;
		while (*b == '0')
			b++;
		for (na = 0; digit(a[na]); na++)
			;
		for (nb = 0; digit(b[nb]); nb++)
			;
		if (na != nb)
			return na < nb ? -1 : 1;
		c = memcmp(a, b, na);
		if (c)
			return c;
		a += na;
		b += nb;
	}
	if (*a || *b)
		return *a ? 1 : -1;
	return strlen(a0) != strlen(b0) ? (strlen(a0) < strlen(b0) ? -1 : 1) : strcmp(a0, b0);
}

char *
text_printable(char *out, size_t size, const char *s, size_t n)
{
	size_t o = 0, i = 0, len, need, dots = 0; /* dots: where "..." still fits */
	bool raw;

	while (i < n) {
		len = printable_len(s + i, n - i);
		raw = len != 0;
		need = raw ? len : 4;
		if (o + need >= size) {
			memcpy(out + dots, "...", 4);
			return out;
		}
		if (raw)
			memcpy(out + o, s + i, len);
		else
			snprintf(out + o, 5, "\\x%02x", (unsigned char)s[i]);
		o += need;
		i += raw ? len : 1;
		if (o + 4 <= size)
			dots = o;
	}
	out[o] = 0;
	return out;
}

char *
text_join(char *out, size_t size, char *const *words, size_t n)
{
	size_t at = 0, i;

	out[0] = 0;
	for (i = 0; i < n && size - at > 8; i++) {
		if (i)
			out[at++] = ' ';
		text_printable(out + at, size - at, words[i], strlen(words[i]));
		at += strlen(out + at);
	}
	return out;
}
