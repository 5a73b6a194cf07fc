#include "stream/text.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "base/text.h"

/* ---- MessagePack to JSON ---- */

struct printer {
	bool values;
	bool wide; /* some number needs all 17 digits */
};

static json_t *to_json(struct printer *p, struct mp *m);

static json_t *
real(double v)
{
	if (isnan(v))
		return json_string("NaN");
	if (isinf(v))
		return json_string(v < 0 ? "-Infinity" : "Infinity");
	return json_real(v);
}

static json_t *
hex(const char *key, const unsigned char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *s = malloc(2 * n + 1);
	json_t *j;
	size_t i;

	if (!s)
		return NULL;
	for (i = 0; i < n; i++) {
		s[2 * i] = digits[p[i] >> 4];
		s[2 * i + 1] = digits[p[i] & 15];
	}
	s[2 * n] = 0;
	j = json_pack("{s:s}", key, s);
	free(s);
	return j;
}

static json_t *
unsigned_json(uint64_t v)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, v);
	return v > INT64_MAX ? json_pack("{s:s}", "$uint", text) : json_integer((json_int_t)v);
}

/* 64-bit integers do not pass through double. */
static json_t *
whole(const unsigned char *at, enum dtype t)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return t == DT_I8 ? json_integer((json_int_t)v) : unsigned_json(v);
}

static json_t *
element(struct printer *p, const unsigned char *at, enum dtype t)
{
	double v = dtype_load(at, t);

	if (t == DT_F4)
		return real(f32_shortest((float)v));
	if (t == DT_F8 || t == DT_F2 || t == DT_BF2) {
		p->wide |= t == DT_F8;
		return real(v);
	}
	if (t == DT_I8 || t == DT_U8)
		return whole(at, t);
	return json_integer((json_int_t)v);
}

/* The elements at *at, nested as shape says. */
static json_t *
nested(struct printer *p, const unsigned char **at, enum dtype t, const uint64_t *shape, unsigned ndim)
{
	json_t *list = json_array();
	uint64_t i;

	for (i = 0; i < shape[0]; i++) {
		json_array_append_new(list, ndim > 1 ? nested(p, at, t, shape + 1, ndim - 1) : element(p, *at, t));
		if (ndim == 1)
			*at += dtype_size(t);
	}
	return list;
}

/* A binary value inside a map: known as a tensor's payload? */
static json_t *
payload(struct printer *p, struct mp map, const char *key, size_t key_len, const unsigned char *data, size_t n)
{
	struct mp dtype, shape;
	uint64_t dims[COL_MAX_DIMS], ndim = 0, i, total;
	const char *s;
	char name[16];
	size_t len;
	enum dtype t;

	if (!mp_find(map, "dtype", &dtype) || !mp_str(&dtype, &s, &len) || len >= sizeof name || !mp_find(map, "shape", &shape))
		return hex("$bin", data, n);
	memcpy(name, s, len);
	name[len] = 0;
	t = mp_is(key, key_len, "data") ? dtype_parse(name, NULL) :
	    mp_is(key, key_len, "ptr") || mp_is(key, key_len, "idx") ? DT_U4 : DT_NONE;
	if (!t || n % dtype_size(t))
		return hex("$bin", data, n);
	total = dtype_size(t);
	if (mp_array(&shape, &ndim) && ndim >= 1 && ndim <= COL_MAX_DIMS)
		for (i = 0; i < ndim && total <= n; i++)
			total = mp_uint(&shape, &dims[i]) && dims[i] <= n ? total * dims[i] : n + 1;
	if (ndim < 1 || ndim > COL_MAX_DIMS || total != n || !mp_is(key, key_len, "data")) {
		dims[0] = n / dtype_size(t);
		ndim = 1;
	}
	return nested(p, &data, t, dims, (unsigned)ndim);
}

static bool
is_tensor_part(struct mp map, const char *key, size_t n)
{
	struct mp at;

	return mp_find(map, "dtype", &at) && mp_find(map, "shape", &at) &&
	       (mp_is(key, n, "data") || mp_is(key, n, "ptr") || mp_is(key, n, "idx"));
}

static bool
is_padding(const char *key, size_t n)
{
	return mp_is(key, n, "pad") || mp_is(key, n, "pad2") || mp_is(key, n, "pad3");
}

static json_t *
map_to_json(struct printer *p, struct mp *m)
{
	struct mp whole = *m, value;
	json_t *object = json_object();
	struct mp_token t;
	uint64_t n, i, sum;
	const char *key;
	size_t len;

	mp_map(m, &n);
	for (i = 0; i < n; i++) {
		json_t *v;

		if (!mp_str(m, &key, &len) || !text_utf8_valid(key, len)) { /* such a key has no place in JSON */
			json_decref(object);
			return NULL;
		}
		value = *m;
		if (mp_next(&value, &t) && t.kind == MP_BIN) {
			*m = value;
			if (is_padding(key, len) || (!p->values && is_tensor_part(whole, key, len)))
				continue;
			v = payload(p, whole, key, len, t.data, t.n);
		} else if (mp_is(key, len, "sum") && (value = *m, mp_uint(&value, &sum))) {
			char text[24];

			snprintf(text, sizeof text, "0x%016" PRIx64, sum);
			*m = value;
			v = json_string(text);
		} else if (!p->values && is_tensor_part(whole, key, len)) {
			mp_skip(m);
			continue;
		} else {
			v = to_json(p, m);
		}
		if (!v || json_object_setn_new_nocheck(object, key, len, v)) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *
to_json(struct printer *p, struct mp *m)
{
	struct mp at = *m;
	struct mp_token t;
	json_t *list, *v;
	uint64_t i;

	if (!mp_next(&at, &t))
		return NULL;
	if (t.kind == MP_MAP)
		return map_to_json(p, m);
	*m = at;
	switch (t.kind) {
	case MP_NIL: return json_null();
	case MP_BOOL: return json_boolean(t.n);
	case MP_INT: return json_integer(t.i);
	case MP_FLOAT:
		p->wide = true;
		return real(t.f);
	case MP_UINT: return unsigned_json(t.n);
	case MP_STR:
		return text_utf8_valid((const char *)t.data, t.n) ? json_stringn((const char *)t.data, t.n) : hex("$str", t.data, t.n);
	case MP_BIN: return hex("$bin", t.data, t.n);
	case MP_EXT: return hex("$ext", t.data, t.n);
	default: break;
	}
	list = json_array();
	for (i = 0; i < t.n; i++) {
		v = to_json(p, m);
		if (!v || json_array_append_new(list, v)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

int
frame_print(FILE *to, const struct frame *f, bool values, struct err *e)
{
	struct printer p = {.values = values};
	struct mp m = {f->bytes, f->bytes + f->size};
	json_t *j = to_json(&p, &m);
	int failed;

	if (!j)
		return err_set(e, CODE_DATA, "a frame has keys that are no strings of UTF-8; it cannot be shown as text");
	failed = json_dumpf(j, to, JSON_COMPACT | JSON_REAL_PRECISION(p.wide ? 17 : 9)) || putc('\n', to) == EOF;
	json_decref(j);
	return failed ? err_sys(e, CODE_IO, "cannot write text") : 0;
}

/* ---- JSON to MessagePack ---- */

static int from_json(const json_t *j, struct buf *out, struct err *e);

static bool
parse_u64(const char *s, int base, uint64_t *v)
{
	char *end;

	errno = 0;
	*v = strtoull(s, &end, base);
	return !errno && end != s && !*end && *s != '-';
}

static int
unhex(const char *s, struct buf *b, struct err *e)
{
	unsigned byte;
	unsigned char c;

	if (strlen(s) % 2 || s[strspn(s, "0123456789abcdef")])
		return err_set(e, CODE_DATA, "\"$bin\" needs pairs of hex digits");
	for (; *s; s += 2) {
		sscanf(s, "%2x", &byte);
		c = (unsigned char)byte;
		if (buf_append(b, &c, 1, e))
			return e->code;
	}
	return 0;
}

/* The objects that stand for what JSON does not have; 1: done, 0: none. */
static int
special(const json_t *j, struct buf *out, int *code, struct err *e)
{
	const char *s, *kind = json_object_size(j) == 1 ? json_object_iter_key(json_object_iter((json_t *)(uintptr_t)j)) : "";
	struct buf raw = {0};
	uint64_t u;

	s = json_string_value(json_object_get(j, kind));
	if (kind[0] != '$' || !s)
		return 0;
	if (!strcmp(kind, "$uint"))
		*code = parse_u64(s, 10, &u) ? mp_put_uint(out, u, e) : err_set(e, CODE_DATA, "\"$uint\" needs a whole number");
	else if (!strcmp(kind, "$bin"))
		*code = unhex(s, &raw, e) || mp_put_bin(out, raw.data, raw.len, e) ? e->code : 0;
	else if (!strcmp(kind, "$str"))
		*code = unhex(s, &raw, e) || mp_put_strn(out, (const char *)raw.data, raw.len, e) ? e->code : 0;
	else
		*code = err_set(e, CODE_DATA, "%.20s values cannot be packed", kind);
	buf_free(&raw);
	return 1;
}

static double
number(const json_t *j, bool *ok)
{
	const char *s = json_string_value(j);

	*ok = true;
	if (json_is_number(j))
		return json_number_value(j);
	if (s && !strcmp(s, "NaN"))
		return NAN;
	if (s && (!strcmp(s, "Infinity") || !strcmp(s, "-Infinity")))
		return *s == '-' ? -INFINITY : INFINITY;
	*ok = false;
	return 0;
}

/* A 64-bit integer as it was printed, bits in *u. */
static bool
whole_number(const json_t *j, enum dtype t, uint64_t *u)
{
	const char *s = json_string_value(json_object_get(j, "$uint"));

	if (json_is_integer(j)) {
		*u = (uint64_t)json_integer_value(j);
		return t == DT_I8 || json_integer_value(j) >= 0;
	}
	return s && t == DT_U8 && parse_u64(s, 10, u);
}

static int
flatten(const json_t *j, enum dtype t, struct buf *b, struct err *e)
{
	unsigned char bytes[8];
	bool ok;
	double v;
	uint64_t u;
	size_t i;
	json_t *item;

	if (json_is_array(j)) {
		json_array_foreach(j, i, item)
			if (flatten(item, t, b, e))
				return e->code;
		return 0;
	}
	if ((t == DT_I8 || t == DT_U8) && whole_number(j, t, &u))
		return buf_append(b, &u, sizeof u, e);
	v = number(j, &ok);
	if (!ok || !dtype_store(bytes, t, v))
		return err_set(e, CODE_DATA, "data holds something that is no %s", dtype_name(t));
	return buf_append(b, bytes, dtype_size(t), e);
}

static int
put_payload(const json_t *v, enum dtype t, struct buf *out, struct err *e)
{
	struct buf b = {0};
	int code = flatten(v, t, &b, e) || mp_put_bin(out, b.data, b.len, e);

	buf_free(&b);
	return code ? e->code : 0;
}

static int
object_from_json(const json_t *j, struct buf *out, struct err *e)
{
	const char *dtype = json_string_value(json_object_get(j, "dtype")), *key, *s;
	bool tensor = dtype && dtype_parse(dtype, NULL) && json_object_get(j, "shape");
	enum dtype t;
	json_t *v;
	uint64_t u;
	int code;

	if (special(j, out, &code, e))
		return code;
	if (mp_put_map(out, json_object_size(j), e))
		return e->code;
	json_object_foreach((json_t *)(uintptr_t)j, key, v) {
		if (mp_put_strn(out, key, strlen(key), e))
			return e->code;
		t = !tensor || !json_is_array(v) ? DT_NONE : !strcmp(key, "data") ? dtype_parse(dtype, NULL) :
		    !strcmp(key, "ptr") || !strcmp(key, "idx") ? DT_U4 : DT_NONE;
		s = json_string_value(v);
		if (t)
			code = put_payload(v, t, out, e);
		else if (!strcmp(key, "sum") && s && !strncmp(s, "0x", 2))
			code = parse_u64(s, 16, &u) ? mp_put_uint(out, u, e) : err_set(e, CODE_DATA, "needs 0x and hex digits");
		else
			code = from_json(v, out, e);
		if (code)
			return err_add(e, "%s", key);
	}
	return 0;
}

static int
from_json(const json_t *j, struct buf *out, struct err *e)
{
	json_t *item;
	size_t i;

	switch (json_typeof(j)) {
	case JSON_NULL: return mp_put_nil(out, e);
	case JSON_TRUE: return mp_put_bool(out, true, e);
	case JSON_FALSE: return mp_put_bool(out, false, e);
	case JSON_STRING: return mp_put_strn(out, json_string_value(j), json_string_length(j), e);
	case JSON_REAL: return mp_put_double(out, json_real_value(j), e);
	case JSON_INTEGER: return mp_put_int(out, json_integer_value(j), e);
	case JSON_OBJECT: return object_from_json(j, out, e);
	case JSON_ARRAY: break;
	}
	if (mp_put_array(out, json_array_size(j), e))
		return e->code;
	json_array_foreach(j, i, item)
		if (from_json(item, out, e))
			return e->code;
	return 0;
}

int
frame_scan(const char *line, size_t n, struct buf *out, struct err *e)
{
	json_error_t why;
	json_t *j = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why), *v;
	const char *key, *kind;
	struct mp m;
	int code;

	if (!j)
		return err_set(e, CODE_DATA, "column %d: %s", why.column, why.text);
	code = !json_is_object(j) ? err_set(e, CODE_DATA, "one JSON object a line was expected") : 0;
	kind = json_string_value(json_object_get(j, "kind"));
	if (!code && kind && !strcmp(kind, "rows"))
		json_object_foreach(json_object_get(j, "cols"), key, v)
			if (json_object_get(v, "shape") && !json_object_get(v, "data"))
				code = err_set(e, CODE_DATA, "column %s has no values; make the text with: frames --text --rows", key);
	if (!code)
		code = from_json(j, out, e);
	m = (struct mp){out->data, out->data + out->len};
	if (!code && !mp_skip(&m))
		code = err_set(e, CODE_DATA, "nested more than %d deep", MP_MAX_DEPTH);
	json_decref(j);
	return code;
}
