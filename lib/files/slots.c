#include "files/slots.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "files/infile.h"

#define VALUE_SHOWN 64 /* bytes of a metadata value in a message */

size_t
slot_count(const struct slot *s)
{
	return (size_t)s->shape[0] * (s->ndim > 1 ? (size_t)s->shape[1] : 1);
}

struct st_out
slot_out(const struct slot *s)
{
	return (struct st_out){s->name, DT_F4, s->ndim, {s->shape[0], s->shape[1]}, s->data};
}

char *
slot_shape(char *out, size_t size, const uint64_t *shape, unsigned ndim)
{
	size_t n = 0;
	unsigned i;

	out[0] = 0;
	for (i = 0; i < ndim && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%llu", i ? "," : "", (unsigned long long)shape[i]);
	return out;
}

int
slot_find(const struct st_file *f, const struct slot *want, const char *why, const struct st_tensor **t, struct err *e)
{
	char is[96], should[96];

	*t = st_find(f, want->name);
	if (!*t)
		return err_set(e, CODE_DATA, "tensor %s is missing", want->name);
	if ((*t)->ndim == want->ndim && !memcmp((*t)->shape, want->shape, want->ndim * sizeof *want->shape))
		return 0;
	return err_set(e, CODE_DATA, "tensor %s has shape [%s], expected [%s]%s", want->name,
	               slot_shape(is, sizeof is, (*t)->shape, (*t)->ndim),
	               slot_shape(should, sizeof should, want->shape, want->ndim), why);
}

int
slot_check_finite(const char *name, const float *v, size_t n, struct err *e)
{
	size_t bad = f32_nonfinite(v, n);

	return bad ? err_set(e, CODE_DATA, "tensor %s holds %zu values that are NaN or infinite", name, bad) : 0;
}

int
slot_read(const struct st_file *f, const struct slot *slot, const char *why, struct err *e)
{
	const struct st_tensor *t;

	if (slot_find(f, slot, why, &t, e))
		return infile_blame(e, f->path);
	if (st_read_f32(f, t, slot->data, e))
		return e->code;
	return slot_check_finite(slot->name, slot->data, slot_count(slot), e) ? infile_blame(e, f->path) : 0;
}

struct st_out
tensor_out(const struct tensor *t)
{
	return (struct st_out){t->name, t->dtype, t->cols > 1 ? 2 : 1, {t->rows, t->cols}, t->data};
}

static size_t
nonfinite(const struct tensor *t)
{
	size_t n = t->rows * t->cols, bad = 0, i;
	const double *v = t->data;

	if (t->dtype == DT_F4)
		return f32_nonfinite(t->data, n);
	for (i = 0; i < n && t->dtype == DT_F8; i++)
		bad += !isfinite(v[i]);
	return bad;
}

int
tensor_read(const struct st_file *f, const struct tensor *want, struct err *e)
{
	const struct st_tensor *t = st_find(f, want->name);
	size_t bad;

	if (!t)
		return err_set(e, CODE_DATA, "%s: tensor %s is missing", f->path, want->name);
	if (t->dtype != want->dtype || t->ndim != (want->cols > 1 ? 2 : 1) || t->shape[0] != want->rows ||
	    (t->ndim == 2 && t->shape[1] != want->cols))
		return err_set(e, CODE_DATA, "%s: tensor %s is not %s of the shape [%zu,%zu], as it should be",
		               f->path, want->name, dtype_name(want->dtype), want->rows, want->cols);
	if (st_read_raw(f, t, want->data, e))
		return e->code;
	bad = nonfinite(want);
	return bad ? err_set(e, CODE_DATA, "%s: tensor %s holds %zu values that are NaN or infinite", f->path, want->name, bad) : 0;
}

int
meta_bad(const char *key, const char *value, const char *want, struct err *e)
{
	char text[VALUE_SHOWN];

	return err_set(e, CODE_DATA, "metadata %s is \"%s\"; expected %s", key,
	               text_printable(text, sizeof text, value, strlen(value)), want);
}

int
meta_format(const struct st_file *f, const char *format, const char *version, const char *kind, const char *what, struct err *e)
{
	const char *is = st_meta(f, "format"), *number = st_meta(f, "version");
	char text[VALUE_SHOWN];

	if (!is)
		return err_set(e, CODE_DATA, "not %s: its metadata has no format%s%s", kind, what ? "; " : "", what ? what : "");
	if (strcmp(is, format))
		return err_set(e, CODE_DATA, "not %s: its format is \"%s\", not \"%s\"", kind,
		               text_printable(text, sizeof text, is, strlen(is)), format);
	return number && !strcmp(number, version) ? 0 : meta_bad("version", number ? number : "", version, e);
}

bool
meta_take_count(const char **p, uint64_t *v)
{
	const char *s = *p;
	unsigned digit;

	for (*v = 0; *s >= '0' && *s <= '9'; s++) {
		digit = (unsigned)(*s - '0');
		if (*v > (UINT64_MAX - digit) / 10)
			return false;
		*v = *v * 10 + digit;
	}
	if (s == *p || (*s && *s != ','))
		return false;
	*p = s + (*s == ',' && s[1]);
	return true;
}

bool
meta_count(const char *s, uint64_t *v)
{
	return meta_take_count(&s, v) && !*s;
}

bool
meta_real(const char *s, size_t n, float *v)
{
	char text[64], *end;

	if (!n || n >= sizeof text || strspn(s, "0123456789.eE+-") < n || s[0] == '-' || s[0] == '+')
		return false;
	memcpy(text, s, n);
	text[n] = 0;
	*v = strtof(text, &end);
	return !*end && isfinite(*v) && *v >= 0;
}
