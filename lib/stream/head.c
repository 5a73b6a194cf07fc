#include "stream/head.h"

#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "base/text.h"

static struct mp
span(const unsigned char *p, size_t n)
{
	return (struct mp){p, p + n};
}

static struct head_entry *
find(const struct head *h, const char *key)
{
	unsigned i;

	for (i = 0; i < h->n; i++)
		if (mp_is((const char *)h->bytes.data + h->entries[i].key, h->entries[i].key_bytes, key))
			return (struct head_entry *)(uintptr_t)&h->entries[i];
	return NULL;
}

static int
set(struct head *h, const char *key, size_t key_bytes, const void *value, size_t n, struct err *e)
{
	struct head_entry *t = NULL;
	unsigned i;

	for (i = 0; i < h->n && !t; i++)
		if (h->entries[i].key_bytes == key_bytes && !memcmp(h->bytes.data + h->entries[i].key, key, key_bytes))
			t = &h->entries[i];
	if (!t) {
		if (h->n == HEAD_MAX_KEYS)
			return err_set(e, CODE_DATA, "the head has more than %d keys", HEAD_MAX_KEYS);
		t = &h->entries[h->n];
		t->key = h->bytes.len;
		t->key_bytes = key_bytes;
		if (buf_append(&h->bytes, key, key_bytes, e))
			return e->code;
		h->n++;
	}
	t->value = h->bytes.len;
	t->value_bytes = n;
	return buf_append(&h->bytes, value, n, e);
}

int
head_read(struct head *h, const struct frame *f, struct err *e)
{
	struct mp m = span(f->bytes, f->size);
	const unsigned char *value;
	const char *s;
	uint64_t n, i;
	size_t len;

	head_clear(h);
	if (!mp_map(&m, &n))
		return err_set(e, CODE_DATA, "malformed head");
	for (i = 0; i < n; i++) {
		if (!mp_str(&m, &s, &len) || len > 255)
			return err_set(e, CODE_DATA, "a key of the head is no short string");
		value = m.p;
		if (!mp_skip(&m))
			return err_set(e, CODE_DATA, "malformed head");
		if (mp_is(s, len, "sae") || mp_is(s, len, "kind"))
			continue;
		if (set(h, s, len, value, (size_t)(m.p - value), e))
			return e->code;
	}
	return 0;
}

void
head_clear(struct head *h)
{
	h->bytes.len = 0;
	h->n = 0;
}

void
head_free(struct head *h)
{
	buf_free(&h->bytes);
	h->n = 0;
}

bool
head_get(const struct head *h, const char *key, struct mp *value)
{
	const struct head_entry *t = find(h, key);

	if (!t)
		return false;
	*value = span(h->bytes.data + t->value, t->value_bytes);
	return true;
}

bool
head_is_set(const struct head *h, const char *key)
{
	struct mp_token t;
	struct mp m;

	return head_get(h, key, &m) && mp_next(&m, &t) && t.kind != MP_NIL && !(t.kind == MP_BOOL && !t.n);
}

int
head_set(struct head *h, const char *key, const void *value, size_t n, struct err *e)
{
	return set(h, key, strlen(key), value, n, e);
}

/* Sets key to what is packed in b, which is freed. failed: an earlier step
 * already filled e. */
static int
set_packed(struct head *h, const char *key, struct buf *b, int failed, struct err *e)
{
	int code = failed ? e->code : head_set(h, key, b->data, b->len, e);

	buf_free(b);
	return code;
}

int
head_set_str(struct head *h, const char *key, const char *s, struct err *e)
{
	struct buf b = {0};
	int failed = mp_put_str(&b, s, e);

	return set_packed(h, key, &b, failed, e);
}

int
head_set_strs(struct head *h, const char *key, const char *const *list, size_t n, struct err *e)
{
	struct buf b = {0};
	int failed = mp_put_array(&b, n, e);
	size_t i;

	for (i = 0; i < n && !failed; i++)
		failed = mp_put_str(&b, list[i], e);
	return set_packed(h, key, &b, failed, e);
}

void
head_drop(struct head *h, const char *key)
{
	struct head_entry *t = find(h, key);

	if (t) {
		memmove(t, t + 1, (size_t)(h->entries + h->n - (t + 1)) * sizeof *t);
		h->n--;
	}
}

bool
head_get_str(const struct head *h, const char *key, char *out, size_t size)
{
	struct mp m;
	const char *s;
	size_t n;

	if (!head_get(h, key, &m) || !mp_str(&m, &s, &n))
		return false;
	text_printable(out, size, s, n);
	return true;
}

/* "cols" without column name, appended to b as pairs; how many there were. */
static int
other_cols(const struct head *h, const char *name, struct buf *b, size_t *count, struct err *e)
{
	const unsigned char *start;
	const char *s;
	struct mp m;
	uint64_t n, i;
	size_t len;
	bool same;

	*count = 0;
	if (!head_get(h, "cols", &m) || !mp_map(&m, &n))
		return 0;
	for (i = 0; i < n; i++) {
		start = m.p;
		same = mp_str(&m, &s, &len) && mp_is(s, len, name);
		if (m.p == start && !mp_skip(&m))
			break;
		if (!mp_skip(&m))
			break;
		if (same)
			continue;
		(*count)++;
		if (buf_append(b, start, (size_t)(m.p - start), e))
			return e->code;
	}
	return 0;
}

static int
put_declaration(struct buf *b, const char *dtype, unsigned ndim, const uint64_t *shape, struct err *e)
{
	unsigned i;

	if (mp_put_map(b, 2, e) || mp_put_str(b, "dtype", e) || mp_put_str(b, dtype, e) ||
	    mp_put_str(b, "shape", e) || mp_put_array(b, ndim, e))
		return e->code;
	for (i = 0; i < ndim; i++)
		if (mp_put_uint(b, shape[i], e))
			return e->code;
	return 0;
}

int
head_declare(struct head *h, const char *name, const char *dtype, unsigned ndim, const uint64_t *shape, struct err *e)
{
	struct buf rest = {0}, b = {0};
	size_t count;
	int failed;

	failed = other_cols(h, name, &rest, &count, e) || mp_put_map(&b, count + 1, e) ||
	         buf_append(&b, rest.data, rest.len, e) || mp_put_str(&b, name, e) ||
	         put_declaration(&b, dtype, ndim, shape, e);
	buf_free(&rest);
	return set_packed(h, "cols", &b, failed, e);
}

void
head_undeclare(struct head *h, const char *name)
{
	struct buf rest = {0}, b = {0};
	struct err e = {0};
	size_t count;
	int failed;

	failed = other_cols(h, name, &rest, &count, &e) || mp_put_map(&b, count, &e) || buf_append(&b, rest.data, rest.len, &e);
	buf_free(&rest);
	(void)set_packed(h, "cols", &b, failed, &e);
}

bool
head_declared(const struct head *h, const char *name, struct col *c)
{
	struct mp cols, m, at;
	const char *s;
	uint64_t n, i;
	size_t len;

	memset(c, 0, sizeof *c);
	if (!head_get(h, "cols", &cols) || !mp_find(cols, name, &m) || !mp_find(m, "dtype", &at) ||
	    !mp_str(&at, &s, &len) || len >= sizeof c->dtype || !mp_find(m, "shape", &at) || !mp_array(&at, &n) || n >= COL_MAX_DIMS)
		return false;
	memcpy(c->dtype, s, len);
	c->ndim = (unsigned)n;
	for (i = 0; i < n; i++)
		if (!mp_uint(&at, &c->shape[i]) || c->shape[i] > COL_MAX_WIDTH)
			return false;
	return true;
}

int
head_add_prov(struct head *h, const char *program, const char *version, const char *command, struct err *e)
{
	struct buf b = {0};
	struct mp m;
	uint64_t n = 0;
	int failed;

	if (!head_get(h, "prov", &m) || !mp_array(&m, &n)) {
		n = 0;
		m = (struct mp){NULL, NULL};
	}
	failed = mp_put_array(&b, (size_t)n + 1, e) || (n && buf_append(&b, m.p, (size_t)(m.end - m.p), e)) ||
	         mp_put_map(&b, 3, e) || mp_put_str(&b, "program", e) || mp_put_str(&b, program, e) ||
	         mp_put_str(&b, "version", e) || mp_put_str(&b, version, e) ||
	         mp_put_str(&b, "command", e) || mp_put_str(&b, command, e);
	return set_packed(h, "prov", &b, failed, e);
}

static int
put_tensor(struct buf *b, const char *key, const float *v, size_t n, struct err *e)
{
	return mp_put_str(b, key, e) || mp_put_map(b, 3, e) || mp_put_str(b, "dtype", e) || mp_put_str(b, "<f4", e) ||
	       mp_put_str(b, "shape", e) || mp_put_array(b, 1, e) || mp_put_uint(b, n, e) ||
	       mp_put_str(b, "data", e) || mp_put_bin(b, v, n * sizeof *v, e);
}

int
head_set_norm(struct head *h, const char *how, const float *mean, size_t d, float scale, struct err *e)
{
	struct buf b = {0};
	int failed = mp_put_map(&b, 3, e) || mp_put_str(&b, "how", e) || mp_put_str(&b, how, e) ||
	             put_tensor(&b, "mean", mean, d, e) || put_tensor(&b, "scale", &scale, 1, e);

	return set_packed(h, "norm", &b, failed, e);
}

/* A 1-d <f4 or <f8 tensor as floats (mem_alloc'ed). */
static float *
get_tensor(struct mp m, size_t *n, struct err *e)
{
	struct mp dtype, data;
	const unsigned char *p;
	const char *s;
	char name[16] = "";
	size_t len, bytes;
	enum dtype t;
	float *v;

	if (!mp_find(m, "dtype", &dtype) || !mp_str(&dtype, &s, &len) || len >= sizeof name ||
	    !mp_find(m, "data", &data) || !mp_bin(&data, &p, &bytes))
		return NULL;
	memcpy(name, s, len);
	t = dtype_parse(name, NULL);
	if ((t != DT_F4 && t != DT_F8) || bytes % dtype_size(t))
		return NULL;
	*n = bytes / dtype_size(t);
	v = mem_alloc(*n * sizeof *v);
	if (!v) {
		err_memory(e, "norm", *n * sizeof *v);
		return NULL;
	}
	dtype_to_f32(v, p, *n, t, false);
	return v;
}

int
head_get_norm(const struct head *h, float **mean, size_t *d, float *scale, char *how, size_t how_size, struct err *e)
{
	struct mp norm, m;
	float *s = NULL;
	size_t one = 0;
	bool ok;

	*mean = NULL;
	if (!head_is_set(h, "norm"))
		return 0;
	head_get(h, "norm", &norm);
	e->code = 0;
	ok = mp_find(norm, "mean", &m) && (*mean = get_tensor(m, d, e)) &&
	     mp_find(norm, "scale", &m) && (s = get_tensor(m, &one, e)) && one == 1 &&
	     s[0] > 0 && !f32_nonfinite(s, 1) && !f32_nonfinite(*mean, *d);
	if (ok) {
		*scale = s[0];
		if (how) {
			const char *text;
			size_t len;

			how[0] = 0;
			if (mp_find(norm, "how", &m) && mp_str(&m, &text, &len))
				text_printable(how, how_size, text, len);
		}
	}
	mem_free(s);
	if (ok)
		return 1;
	mem_free(*mean);
	*mean = NULL;
	if (!e->code)
		err_set(e, CODE_DATA, "head: norm is malformed: it needs mean [d] and a positive scale [1]");
	return -1;
}

int
head_pack(const struct head *h, struct buf *out, struct err *e)
{
	unsigned i;

	if (mp_put_map(out, 2 + h->n, e) || mp_put_str(out, "sae", e) || mp_put_uint(out, STREAM_VERSION, e) ||
	    mp_put_str(out, "kind", e) || mp_put_str(out, "head", e))
		return e->code;
	for (i = 0; i < h->n; i++) {
		const struct head_entry *t = &h->entries[i];

		if (mp_put_strn(out, (const char *)h->bytes.data + t->key, t->key_bytes, e) ||
		    buf_append(out, h->bytes.data + t->value, t->value_bytes, e))
			return e->code;
	}
	return 0;
}
