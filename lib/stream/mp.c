#include "stream/mp.h"

#include <msgpack.h>
#include <string.h>

static uint64_t
big_endian(const unsigned char *p, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* What a first byte announces: the kind, how many bytes of number follow, and
 * the number itself where the byte holds it. */
struct lead {
	enum mp_kind kind;
	unsigned width;  /* bytes of length or value behind the first */
	uint64_t value;  /* when width is 0 */
	bool is_signed, bad;
};

static struct lead
lead_of(unsigned char c)
{
	static const struct lead table[32] = { /* 0xc0 .. 0xdf */
		{MP_NIL, 0, 0, 0, 0}, {MP_NIL, 0, 0, 0, 1}, {MP_BOOL, 0, 0, 0, 0}, {MP_BOOL, 0, 1, 0, 0},
		{MP_BIN, 1, 0, 0, 0}, {MP_BIN, 2, 0, 0, 0}, {MP_BIN, 4, 0, 0, 0},
		{MP_EXT, 1, 0, 0, 0}, {MP_EXT, 2, 0, 0, 0}, {MP_EXT, 4, 0, 0, 0},
		{MP_FLOAT, 4, 0, 0, 0}, {MP_FLOAT, 8, 0, 0, 0},
		{MP_UINT, 1, 0, 0, 0}, {MP_UINT, 2, 0, 0, 0}, {MP_UINT, 4, 0, 0, 0}, {MP_UINT, 8, 0, 0, 0},
		{MP_INT, 1, 0, 1, 0}, {MP_INT, 2, 0, 1, 0}, {MP_INT, 4, 0, 1, 0}, {MP_INT, 8, 0, 1, 0},
		{MP_EXT, 0, 1, 0, 0}, {MP_EXT, 0, 2, 0, 0}, {MP_EXT, 0, 4, 0, 0}, {MP_EXT, 0, 8, 0, 0}, {MP_EXT, 0, 16, 0, 0},
		{MP_STR, 1, 0, 0, 0}, {MP_STR, 2, 0, 0, 0}, {MP_STR, 4, 0, 0, 0},
		{MP_ARRAY, 2, 0, 0, 0}, {MP_ARRAY, 4, 0, 0, 0}, {MP_MAP, 2, 0, 0, 0}, {MP_MAP, 4, 0, 0, 0},
	};

	if (c < 0x80)
		return (struct lead){MP_UINT, 0, c, false, false};
	if (c < 0x90)
		return (struct lead){MP_MAP, 0, c & 0x0f, false, false};
	if (c < 0xa0)
		return (struct lead){MP_ARRAY, 0, c & 0x0f, false, false};
	if (c < 0xc0)
		return (struct lead){MP_STR, 0, c & 0x1f, false, false};
	if (c >= 0xe0)
		return (struct lead){MP_INT, 0, c, true, false};
	return table[c - 0xc0];
}

static bool
has_payload(enum mp_kind k)
{
	return k == MP_STR || k == MP_BIN || k == MP_EXT;
}

static int64_t
sign_extend(uint64_t v, unsigned bytes)
{
	uint64_t sign = (uint64_t)1 << (bytes * 8 - 1);

	return (int64_t)((v ^ sign) - sign);
}

bool
mp_next(struct mp *m, struct mp_token *t)
{
	size_t left = (size_t)(m->end - m->p);
	struct lead l;
	uint64_t v;
	float f;

	if (!left)
		return false;
	l = lead_of(*m->p);
	if (l.bad || left < 1u + l.width)
		return false;
	v = l.width ? big_endian(m->p + 1, l.width) : l.value;
	*t = (struct mp_token){.kind = l.kind, .n = v};
	m->p += 1 + l.width;
	left -= 1 + l.width;
	if (has_payload(l.kind)) {
		if (l.kind == MP_EXT && v < UINT64_MAX)
			t->n = ++v; /* its type byte */
		if (v > left)
			return false;
		t->data = m->p;
		m->p += v;
	} else if (l.kind == MP_ARRAY || l.kind == MP_MAP) {
		if (v > left / (l.kind == MP_MAP ? 2 : 1))
			return false;
	} else if (l.kind == MP_FLOAT && l.width == 4) {
		uint32_t bits = (uint32_t)v;

		memcpy(&f, &bits, 4);
		t->f = f;
		t->single = true;
	} else if (l.kind == MP_FLOAT) {
		memcpy(&t->f, &v, 8);
	} else if (l.is_signed) {
		t->i = sign_extend(v, l.width ? l.width : 1);
		if (t->i >= 0) {
			t->kind = MP_UINT;
			t->n = (uint64_t)t->i;
		}
	}
	return true;
}

bool
mp_skip(struct mp *m)
{
	struct mp_scan s = {0};
	uint64_t n;

	if (mp_scan(&s, m->p, (uint64_t)(m->end - m->p), &n) != MP_SCAN_DONE)
		return false;
	m->p += n;
	return true;
}

bool
mp_is(const char *s, size_t n, const char *word)
{
	return n == strlen(word) && !memcmp(s, word, n);
}

bool
mp_find(struct mp m, const char *key, struct mp *value)
{
	uint64_t i, n;
	const char *s;
	size_t len;

	if (!mp_map(&m, &n))
		return false;
	for (i = 0; i < n; i++) {
		struct mp at = m;

		if (mp_str(&at, &s, &len) && mp_is(s, len, key)) {
			*value = at;
			return true;
		}
		if (!mp_skip(&m) || !mp_skip(&m))
			return false;
	}
	return false;
}

/* The typed reads move only when the kind fits. */
static bool
take(struct mp *m, enum mp_kind kind, struct mp_token *t)
{
	struct mp at = *m;

	if (!mp_next(&at, t) || t->kind != kind)
		return false;
	*m = at;
	return true;
}

bool
mp_uint(struct mp *m, uint64_t *v)
{
	struct mp_token t;

	if (!take(m, MP_UINT, &t))
		return false;
	*v = t.n;
	return true;
}

bool
mp_str(struct mp *m, const char **s, size_t *n)
{
	struct mp_token t;

	if (!take(m, MP_STR, &t))
		return false;
	*s = (const char *)t.data;
	*n = t.n;
	return true;
}

bool
mp_bin(struct mp *m, const unsigned char **p, size_t *n)
{
	struct mp_token t;

	if (!take(m, MP_BIN, &t))
		return false;
	*p = t.data;
	*n = t.n;
	return true;
}

bool
mp_map(struct mp *m, uint64_t *n)
{
	struct mp_token t;

	if (!take(m, MP_MAP, &t))
		return false;
	*n = t.n;
	return true;
}

bool
mp_array(struct mp *m, uint64_t *n)
{
	struct mp_token t;

	if (!take(m, MP_ARRAY, &t))
		return false;
	*n = t.n;
	return true;
}

enum mp_scan_result
mp_scan(struct mp_scan *s, const unsigned char *p, uint64_t have, uint64_t *n)
{
	if (!s->begun) {
		s->begun = true;
		s->left[0] = 1;
		s->depth = 1;
	}
	while (s->depth) {
		struct lead l;
		uint64_t v, next;

		if (!s->left[s->depth - 1]) {
			s->depth--;
			continue;
		}
		if (s->pos >= have) {
			*n = s->pos + 1;
			return MP_SCAN_MORE;
		}
		l = lead_of(p[s->pos]);
		if (l.bad)
			return MP_SCAN_BAD;
		next = s->pos + 1 + l.width;
		if (next > have) {
			*n = next;
			return MP_SCAN_MORE;
		}
		v = l.width ? big_endian(p + s->pos + 1, l.width) : l.value;
		s->left[s->depth - 1]--;
		if (has_payload(l.kind))
			next += v + (l.kind == MP_EXT); /* at most 2^32 more: no wrap */
		s->pos = next;
		if (l.kind == MP_ARRAY || l.kind == MP_MAP) {
			if (s->depth == MP_MAX_DEPTH)
				return MP_SCAN_BAD;
			s->left[s->depth++] = l.kind == MP_MAP ? v * 2 : v;
		}
	}
	*n = s->pos;
	return s->pos <= have ? MP_SCAN_DONE : MP_SCAN_MORE;
}

struct sink {
	struct buf *b;
	struct err *e;
};

static int
sink_write(void *data, const char *p, size_t n)
{
	struct sink *s = data;

	return buf_append(s->b, p, n, s->e) ? -1 : 0;
}

/* One packer a call: it is two pointers on the stack. */
#define PACK(call)                                                            \
	struct sink sink = {b, e};                                            \
	msgpack_packer k;                                                     \
	msgpack_packer_init(&k, &sink, sink_write);                           \
	return (call) ? e->code : 0

int
mp_put_nil(struct buf *b, struct err *e)
{
	PACK(msgpack_pack_nil(&k));
}

int
mp_put_bool(struct buf *b, bool v, struct err *e)
{
	PACK(v ? msgpack_pack_true(&k) : msgpack_pack_false(&k));
}

int
mp_put_uint(struct buf *b, uint64_t v, struct err *e)
{
	PACK(msgpack_pack_uint64(&k, v));
}

int
mp_put_int(struct buf *b, int64_t v, struct err *e)
{
	PACK(msgpack_pack_int64(&k, v));
}

int
mp_put_double(struct buf *b, double v, struct err *e)
{
	PACK(msgpack_pack_double(&k, v));
}

int
mp_put_strn(struct buf *b, const char *s, size_t n, struct err *e)
{
	PACK(msgpack_pack_str(&k, n) || (n && msgpack_pack_str_body(&k, s, n)));
}

int
mp_put_str(struct buf *b, const char *s, struct err *e)
{
	return mp_put_strn(b, s, strlen(s), e);
}

int
mp_put_bin_header(struct buf *b, size_t n, struct err *e)
{
	PACK(msgpack_pack_bin(&k, n));
}

int
mp_put_bin(struct buf *b, const void *p, size_t n, struct err *e)
{
	PACK(msgpack_pack_bin(&k, n) || (n && msgpack_pack_bin_body(&k, p, n)));
}

int
mp_put_map(struct buf *b, size_t n, struct err *e)
{
	PACK(msgpack_pack_map(&k, n));
}

int
mp_put_array(struct buf *b, size_t n, struct err *e)
{
	PACK(msgpack_pack_array(&k, n));
}
