#include "files/npy.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define MAX_DIMS 32 /* numpy's own limit for long */

/* What is left of the dict, and where it began, for messages. */
struct cursor {
	const char *p, *end, *start;
};

int
npy_prelude(const unsigned char *p, size_t n, size_t *start, size_t *len, struct err *e)
{
	if (n < 10)
		return err_set(e, CODE_DATA, "npy header: the file ends after %zu bytes", n);
	if (p[6] < 1 || p[6] > 3 || p[7] != 0)
		return err_set(e, CODE_DATA, "npy format version %u.%u: 1.0, 2.0 and 3.0 are understood", p[6], p[7]);
	*start = p[6] == 1 ? 10 : 12;
	if (n < *start)
		return err_set(e, CODE_DATA, "npy header: the file ends after %zu bytes", n);
	*len = p[8] | (size_t)p[9] << 8;
	if (p[6] > 1)
		*len |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
	if (*len > NPY_MAX_HEADER)
		return err_set(e, CODE_DATA, "npy header of %zu bytes: at most %zu are accepted", *len, NPY_MAX_HEADER);
	return 0;
}

static void
skip_space(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
		c->p++;
}

/* The next character that is no space is ch, and is taken. */
static bool
take(struct cursor *c, char ch)
{
	skip_space(c);
	if (c->p == c->end || *c->p != ch)
		return false;
	c->p++;
	return true;
}

static int
expected(struct cursor *c, const char *what, struct err *e)
{
	char shown[40];

	skip_space(c);
	if (c->p == c->end)
		return err_set(e, CODE_DATA, "npy header ends where %s was expected", what);
	text_printable(shown, sizeof shown, c->p, c->end - c->p < 8 ? (size_t)(c->end - c->p) : 8);
	return err_set(e, CODE_DATA, "npy header: expected %s at byte %zu, found \"%s\"", what, (size_t)(c->p - c->start), shown);
}

static int
parse_string(struct cursor *c, const char *what, char *out, size_t size, struct err *e)
{
	size_t n = 0;
	char quote;

	skip_space(c);
	if (c->p == c->end || (*c->p != '\'' && *c->p != '"'))
		return expected(c, what, e);
	quote = *c->p++;
	for (; c->p < c->end && *c->p != quote; c->p++) {
		if (n + 1 >= size || *c->p == '\\' || *c->p < 0x20 || *c->p > 0x7e)
			break;
		out[n++] = *c->p;
	}
	if (c->p == c->end || *c->p != quote)
		return err_set(e, CODE_DATA, "npy header: %s is not closed, too long, or holds other characters than it may (byte %zu)",
		               what, (size_t)(c->p - c->start));
	c->p++;
	out[n] = 0;
	return 0;
}

static int
parse_number(struct cursor *c, uint64_t *out, struct err *e)
{
	uint64_t v = 0;
	unsigned digit;

	skip_space(c);
	if (c->p < c->end && *c->p == '-')
		return err_set(e, CODE_DATA, "npy header: shape with a negative number");
	if (c->p == c->end || *c->p < '0' || *c->p > '9')
		return expected(c, "a whole number in shape", e);
	for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
		digit = (unsigned)(*c->p - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return err_set(e, CODE_DATA, "npy header: shape with a number beyond 64 bits");
		v = v * 10 + digit;
	}
	if (c->p < c->end && *c->p == 'L') /* a long of Python 2 */
		c->p++;
	*out = v;
	return 0;
}

/* A tuple: (), (3,), (3, 4), (3, 4,). */
static int
parse_shape(struct cursor *c, struct npy_header *h, struct err *e)
{
	bool comma = true;
	uint64_t v = 0;

	h->ndim = 0;
	if (!take(c, '('))
		return expected(c, "a tuple behind 'shape'", e);
	while (!take(c, ')')) {
		if (!comma)
			return expected(c, "',' or ')' in shape", e);
		if (h->ndim == MAX_DIMS)
			return err_set(e, CODE_DATA, "npy header: shape with more than %d dimensions", MAX_DIMS);
		if (parse_number(c, &v, e))
			return e->code;
		if (h->ndim < NPY_KEPT_DIMS)
			h->shape[h->ndim] = v;
		h->ndim++;
		comma = take(c, ',');
	}
	if (h->ndim == 1 && !comma)
		return err_set(e, CODE_DATA, "npy header: shape is a number, not a tuple");
	return 0;
}

static int
parse_order(struct cursor *c, struct npy_header *h, struct err *e)
{
	size_t left;

	skip_space(c);
	left = (size_t)(c->end - c->p);
	h->fortran = left >= 4 && !memcmp(c->p, "True", 4);
	if (!h->fortran && !(left >= 5 && !memcmp(c->p, "False", 5)))
		return expected(c, "True or False behind 'fortran_order'", e);
	c->p += h->fortran ? 4 : 5;
	return 0;
}

static int
refuse_type(const char *descr, struct err *e)
{
	const char *t = descr + (descr[0] && strchr("<>=|", descr[0])), *what;
	char shown[80];

	if (!strcmp(t, "V2"))
		return err_set(e, CODE_DATA, "elements of type |V2, which numpy says of bfloat16 and of any two bytes: "
		               "say --dtype bfloat16 if that is what they are");
	switch (t[0]) {
	case 'O': what = "Python objects (a pickle), which are never loaded"; break;
	case 'c': what = "complex numbers"; break;
	case 'U': case 'S': case 'a': what = "text"; break;
	case 'M': case 'm': what = "dates or times"; break;
	default: what = "not understood";
	}
	text_printable(shown, sizeof shown, descr, strlen(descr));
	return err_set(e, CODE_DATA, "elements of type \"%s\": %s; save it as float32 (a.astype(\"float32\"))", shown, what);
}

static int
parse_descr(struct cursor *c, enum dtype void2, struct npy_header *h, struct err *e)
{
	char descr[32];
	const char *t;

	skip_space(c);
	if (c->p < c->end && (*c->p == '[' || *c->p == '('))
		return err_set(e, CODE_DATA, "a structured array (several fields an element): save the field with the numbers alone, as float32");
	if (parse_string(c, "the name of a type behind 'descr'", descr, sizeof descr, e))
		return e->code;
	h->dtype = dtype_parse(descr, &h->swap);
	if (!strcmp(descr, "bfloat16")) /* our name, not numpy's */
		h->dtype = DT_NONE;
	t = descr + (descr[0] && strchr("<>=|", descr[0]));
	if (void2 == DT_BF2 && !strcmp(t, "V2")) {
		h->dtype = DT_BF2;
		h->swap = descr[0] == '>';
	}
	return h->dtype ? 0 : refuse_type(descr, e);
}

enum { DESCR = 1, ORDER = 2, SHAPE = 4 };

static int
parse_item(struct cursor *c, enum dtype void2, struct npy_header *h, unsigned *seen, struct err *e)
{
	char key[32];
	unsigned which;

	if (parse_string(c, "'descr', 'fortran_order' or 'shape'", key, sizeof key, e))
		return e->code;
	which = !strcmp(key, "descr") ? DESCR : !strcmp(key, "fortran_order") ? ORDER : !strcmp(key, "shape") ? SHAPE : 0;
	if (!which)
		return err_set(e, CODE_DATA, "npy header: unknown key '%s'", key);
	if (*seen & which)
		return err_set(e, CODE_DATA, "npy header: key '%s' twice", key);
	*seen |= which;
	if (!take(c, ':'))
		return expected(c, "':'", e);
	return which == DESCR ? parse_descr(c, void2, h, e) : which == ORDER ? parse_order(c, h, e) : parse_shape(c, h, e);
}

int
npy_parse(const char *text, size_t n, enum dtype void2, struct npy_header *h, struct err *e)
{
	struct cursor c = {text, text + n, text};
	bool comma = true;
	unsigned seen = 0;

	memset(h, 0, sizeof *h);
	if (!take(&c, '{'))
		return expected(&c, "'{'", e);
	while (!take(&c, '}')) {
		if (!comma)
			return expected(&c, "',' or '}'", e);
		if (parse_item(&c, void2, h, &seen, e))
			return e->code;
		comma = take(&c, ',');
	}
	skip_space(&c);
	if (c.p != c.end)
		return expected(&c, "nothing behind '}'", e);
	if (seen != (DESCR | ORDER | SHAPE))
		return err_set(e, CODE_DATA, "npy header: key '%s' is missing",
		               !(seen & DESCR) ? "descr" : !(seen & ORDER) ? "fortran_order" : "shape");
	return 0;
}

int
npy_shape(const struct npy_header *h, uint64_t *rows, uint64_t *cols, struct err *e)
{
	if (h->ndim < 1 || h->ndim > 2)
		return err_set(e, CODE_DATA, "array of %u dimensions: 2 are needed, rows and columns (1 is taken as one row)", h->ndim);
	*rows = h->ndim == 1 ? 1 : h->shape[0];
	*cols = h->shape[h->ndim - 1];
	if (!*cols)
		return err_set(e, CODE_DATA, "array of %llu rows without columns", (unsigned long long)*rows);
	if (*cols > NPY_MAX_COLS)
		return err_set(e, CODE_DATA, "rows of %llu numbers: at most %llu are accepted",
		               (unsigned long long)*cols, (unsigned long long)NPY_MAX_COLS);
	if (*rows > UINT64_MAX / *cols / dtype_size(h->dtype))
		return err_set(e, CODE_DATA, "array of %llu x %llu numbers is larger than any file",
		               (unsigned long long)*rows, (unsigned long long)*cols);
	return 0;
}
