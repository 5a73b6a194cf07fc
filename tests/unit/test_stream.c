/* Frames and tokens: our bounded reader against msgpack-c's own unpacker, and
 * against everything that is cut, claimed too large or changed. */
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/rng.h"
#include "stream/frame.h"
#include "stream/head.h"
#include "stream/sum.h"
#include "tap.h"

/* ---- tokens against the oracle ---- */

/* A random value, nested at most `depth`, by msgpack-c. */
static void
random_value(msgpack_packer *k, struct rng *r, unsigned depth)
{
	static const uint64_t edges[] = {0, 1, 31, 32, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};
	static const char bytes[70000];
	static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 300, 65535, 65536};
	size_t n = lengths[rng_below(r, rng_below(r, 8) ? 7 : 9)];
	uint64_t i, u = edges[rng_below(r, 13)] - rng_below(r, 2);

	switch (rng_below(r, depth ? 11 : 8)) {
	case 0: msgpack_pack_nil(k); break;
	case 1: rng_below(r, 2) ? msgpack_pack_true(k) : msgpack_pack_false(k); break;
	case 2: msgpack_pack_uint64(k, u); break;
	case 3: msgpack_pack_int64(k, -(int64_t)(u >> 1)); break;
	case 4: msgpack_pack_float(k, (float)rng_normal(r)); break;
	case 5: msgpack_pack_double(k, rng_normal(r)); break;
	case 6:
		msgpack_pack_str(k, n);
		msgpack_pack_str_body(k, bytes, n);
		break;
	case 7:
		if (rng_below(r, 2)) {
			msgpack_pack_bin(k, n);
			msgpack_pack_bin_body(k, bytes, n);
		} else {
			msgpack_pack_ext(k, n, 5);
			msgpack_pack_ext_body(k, bytes, n);
		}
		break;
	case 8:
	case 9:
		n = rng_below(r, 20);
		msgpack_pack_array(k, n);
		for (i = 0; i < n; i++)
			random_value(k, r, depth - 1);
		break;
	default:
		n = rng_below(r, 20);
		msgpack_pack_map(k, n);
		for (i = 0; i < 2 * n; i++)
			random_value(k, r, depth - 1);
	}
}

static int
same(struct mp *m, const msgpack_object *o)
{
	struct mp_token t;
	uint32_t i;

	if (!mp_next(m, &t))
		return 0;
	switch (o->type) {
	case MSGPACK_OBJECT_NIL: return t.kind == MP_NIL;
	case MSGPACK_OBJECT_BOOLEAN: return t.kind == MP_BOOL && t.n == o->via.boolean;
	case MSGPACK_OBJECT_POSITIVE_INTEGER: return t.kind == MP_UINT && t.n == o->via.u64;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER: return t.kind == MP_INT && t.i == o->via.i64;
	case MSGPACK_OBJECT_FLOAT32: return t.kind == MP_FLOAT && t.single && t.f == o->via.f64;
	case MSGPACK_OBJECT_FLOAT64: return t.kind == MP_FLOAT && !t.single && t.f == o->via.f64;
	case MSGPACK_OBJECT_STR: return t.kind == MP_STR && t.n == o->via.str.size && (!t.n || !memcmp(t.data, o->via.str.ptr, t.n));
	case MSGPACK_OBJECT_BIN: return t.kind == MP_BIN && t.n == o->via.bin.size && (!t.n || !memcmp(t.data, o->via.bin.ptr, t.n));
	case MSGPACK_OBJECT_EXT: return t.kind == MP_EXT && t.n == o->via.ext.size + 1u && t.data[0] == (unsigned char)o->via.ext.type;
	case MSGPACK_OBJECT_ARRAY:
		if (t.kind != MP_ARRAY || t.n != o->via.array.size)
			return 0;
		for (i = 0; i < o->via.array.size; i++)
			if (!same(m, &o->via.array.ptr[i]))
				return 0;
		return 1;
	case MSGPACK_OBJECT_MAP:
		if (t.kind != MP_MAP || t.n != o->via.map.size)
			return 0;
		for (i = 0; i < o->via.map.size; i++)
			if (!same(m, &o->via.map.ptr[i].key) || !same(m, &o->via.map.ptr[i].val))
				return 0;
		return 1;
	}
	return 0;
}

static void
test_oracle(void)
{
	unsigned round, bad = 0, bad_scan = 0, bad_cut = 0;

	for (round = 0; round < 400; round++) {
		msgpack_sbuffer b;
		msgpack_packer k;
		msgpack_unpacked u;
		struct rng r;
		struct mp m;
		struct mp_scan s = {0};
		uint64_t n = 0, have, cut;
		size_t off = 0;

		msgpack_sbuffer_init(&b);
		msgpack_packer_init(&k, &b, msgpack_sbuffer_write);
		rng_seed(&r, 1, round);
		random_value(&k, &r, 3);
		msgpack_unpacked_init(&u);
		if (msgpack_unpack_next(&u, b.data, b.size, &off) != MSGPACK_UNPACK_SUCCESS)
			bad++;
		m = (struct mp){(unsigned char *)b.data, (unsigned char *)b.data + b.size};
		bad += !same(&m, &u.data) || m.p != m.end;
		/* arriving piecemeal, the scan asks for no more than there is */
		for (have = 0; have < b.size; have = n > have ? n : have + 1)
			if (mp_scan(&s, (unsigned char *)b.data, have, &n) != MP_SCAN_MORE || n > b.size) {
				bad_scan++;
				break;
			}
		bad_scan += mp_scan(&s, (unsigned char *)b.data, b.size, &n) != MP_SCAN_DONE || n != b.size;
		/* cut anywhere, it is neither skipped nor read past the end */
		for (cut = 0; cut < b.size; cut += 1 + b.size / 50) {
			unsigned char *copy = malloc(cut + 1);

			memcpy(copy, b.data, cut);
			m = (struct mp){copy, copy + cut};
			bad_cut += mp_skip(&m);
			free(copy);
		}
		msgpack_unpacked_destroy(&u);
		msgpack_sbuffer_destroy(&b);
	}
	tap_ok(!bad, "400 random values read as msgpack-c reads them (%u not)", bad);
	tap_ok(!bad_scan, "their length is found piecemeal (%u not)", bad_scan);
	tap_ok(!bad_cut, "a value cut short is never whole (%u were)", bad_cut);
}

static void
test_hostile_tokens(void)
{
	static const struct { const char *what; unsigned char b[12]; size_t n; } cases[] = {
		{"array of 2^32-1 in five bytes", {0xdd, 255, 255, 255, 255}, 5},
		{"map of 2^32-1 in five bytes", {0xdf, 255, 255, 255, 255}, 5},
		{"bin of 4 GiB", {0xc6, 255, 255, 255, 255, 0}, 6},
		{"ext of 4 GiB", {0xc9, 255, 255, 255, 255, 1}, 6},
		{"str of 4 GiB", {0xdb, 255, 255, 255, 255, 'a'}, 6},
		{"the byte that is never used", {0xc1}, 1},
		{"nothing", {0}, 0},
	};
	unsigned char deep[200];
	struct mp_scan s = {0};
	struct mp_token t;
	struct mp m;
	uint64_t n;
	size_t i;

	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		m = (struct mp){cases[i].b, cases[i].b + cases[i].n};
		tap_ok(!mp_next(&m, &t), "refused as a token: %s", cases[i].what);
		m = (struct mp){cases[i].b, cases[i].b + cases[i].n};
		tap_ok(!mp_skip(&m), "refused as a value: %s", cases[i].what);
	}
	memset(deep, 0x91, sizeof deep);
	tap_ok(mp_scan(&s, deep, sizeof deep, &n) == MP_SCAN_BAD, "lists 200 deep are refused");
}

/* ---- frames ---- */

static unsigned char *
flat(struct frame_packed *p, size_t offset, size_t *n)
{
	size_t count, i, at = 0;
	struct iovec *iov = frame_packed_iov(p, &count);
	unsigned char *out = mem_alloc(p->size + offset + 64);

	for (i = 0; i < count; i++) {
		memcpy(out + offset + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	*n = at;
	return out;
}

#define ROWS 300
#define WIDTH 5

struct sample {
	float x[ROWS * WIDTH], val[ROWS * 3];
	uint32_t ptr[ROWS + 1], idx[ROWS * 3];
	struct buf ids;
	struct frame f;
};

static void
make_sample(struct sample *s)
{
	uint64_t shape[2] = {ROWS, WIDTH};
	struct err e = {0};
	struct rng r;
	uint32_t nnz = 0, i, j;
	char id[16];

	memset(s, 0, sizeof *s);
	rng_seed(&r, 3, 0);
	for (i = 0; i < ROWS; i++) {
		for (j = 0; j < WIDTH; j++)
			s->x[i * WIDTH + j] = (float)rng_normal(&r);
		for (j = 0; j < i % 4; j++, nnz++) { /* every fourth row is empty */
			s->idx[nnz] = j * 7;
			s->val[nnz] = (float)(i + j);
		}
		s->ptr[i + 1] = nnz;
		snprintf(id, sizeof id, "row-%u", i);
		mp_put_str(&s->ids, id, &e);
	}
	s->f.kind = FRAME_ROWS;
	s->f.n = ROWS;
	frame_put_dense(&s->f, "x", "<f4", 2, shape, s->x, &e);
	frame_put_csr(&s->f, "z", (struct csr_view){ROWS, 22, s->ptr, s->idx, s->val}, &e);
	frame_put_strings(&s->f, "id", ROWS, &s->ids, &e);
	tap_ok(!e.code && s->f.ncols == 3, "a frame of three columns is made");
}

/* Rows first..first+n-1 of the sample are what f holds. */
static int
equals(struct sample *s, struct frame *f, uint64_t first, uint64_t n)
{
	struct col *x = frame_col(f, "x"), *z = frame_col(f, "z"), *id = frame_col(f, "id");
	size_t at = 0, len, i;
	uint32_t base = s->ptr[first];
	const char *str;
	char want[16];

	if (!x || !z || !id || f->n != n || x->bytes != n * WIDTH * 4 || memcmp(x->data, s->x + first * WIDTH, x->bytes))
		return 0;
	for (i = 0; i <= n; i++)
		if (z->ptr[i] != s->ptr[first + i] - base)
			return 0;
	if (memcmp(z->idx, s->idx + base, z->ptr[n] * 4ul) || memcmp(z->data, s->val + base, z->ptr[n] * 4ul))
		return 0;
	for (i = 0; i < n; i++) {
		snprintf(want, sizeof want, "row-%zu", (size_t)first + i);
		if (!col_string_next(id, &at, &str, &len) || !mp_is(str, len, want))
			return 0;
	}
	return !col_string_next(id, &at, &str, &len);
}

static void
test_frames(struct sample *s)
{
	static const uint64_t slices[][2] = {{0, ROWS}, {0, 0}, {0, 1}, {ROWS - 1, 1}, {17, 100}, {150, 150}, {4, 1}, {3, 0}};
	struct frame_packed p = {0};
	struct frame f = {0};
	struct err e = {0};
	size_t i, n, off;
	unsigned char *bytes;
	int aligned = 1, placed = 1, ok;

	for (i = 0; i < sizeof slices / sizeof *slices; i++) {
		ok = !frame_pack_rows(&p, &s->f, 7, 100, slices[i][0], slices[i][1], &e);
		bytes = flat(&p, 0, &n);
		ok = ok && n == p.size && !frame_parse(&f, bytes, n, &e) && equals(s, &f, slices[i][0], slices[i][1]) && f.seq == 7 && f.row == 100;
		tap_ok(ok, "rows %d+%d come back (%s)", (int)slices[i][0], (int)slices[i][1], e.text);
		tap_ok(frame_hash(bytes, n) == frame_packed_hash(&p), "hashed in pieces as in one");
		if (i == 0)
			aligned = (uintptr_t)frame_col(&f, "x")->data % 64 == 0 && (uintptr_t)frame_col(&f, "z")->idx % 64 == 0 &&
			          (uintptr_t)frame_col(&f, "z")->data % 64 == 0 && !f.side.len;
		mem_free(bytes);
	}
	tap_ok(aligned, "large payloads lie on 64-byte boundaries and are used in place");
	frame_pack_rows(&p, &s->f, 0, 0, 0, ROWS, &e);
	for (off = 1; off < 16; off++) { /* as a foreign writer, or ZeroMQ, would place it */
		bytes = flat(&p, off, &n);
		placed &= !frame_parse(&f, bytes + off, n, &e) && equals(s, &f, 0, ROWS);
		mem_free(bytes);
	}
	tap_ok(placed, "payloads at odd addresses are read too");
	frame_packed_free(&p);
	frame_free(&f);
}

/* Whatever one changes in a frame, it is read or refused, never misread past
 * its end (a sanitizer watches), and a cut one is refused. */
static void
test_damage(struct sample *s)
{
	struct frame_packed p = {0};
	struct frame f = {0};
	struct err e = {0};
	struct rng r;
	size_t n, i, cut_ok = 0;
	unsigned char *bytes, *copy;
	unsigned refused = 0;

	frame_pack_rows(&p, &s->f, 0, 0, 0, 40, &e);
	bytes = flat(&p, 0, &n);
	for (i = 0; i < n; i++) {
		copy = mem_alloc(i);
		memcpy(copy, bytes, i);
		cut_ok += !frame_parse(&f, copy, i, &e);
		mem_free(copy);
	}
	tap_ok(!cut_ok, "a frame cut at any byte is refused (%zu were taken)", cut_ok);
	rng_seed(&r, 5, 5);
	for (i = 0; i < 20000; i++) {
		copy = mem_alloc(n);
		memcpy(copy, bytes, n);
		copy[rng_below(&r, n)] = (unsigned char)rng_u64(&r);
		copy[rng_below(&r, n < 200 ? n : 200)] ^= (unsigned char)(1u << rng_below(&r, 8));
		refused += frame_parse(&f, copy, n, &e) != 0;
		mem_free(copy);
	}
	tap_ok(refused > 1000, "20000 damaged frames: %u refused, none misread", refused);
	mem_free(bytes);
	frame_packed_free(&p);
	frame_free(&f);
}

static void
test_head(void)
{
	struct head h = {0}, back = {0};
	struct frame f = {0};
	struct buf b = {0};
	struct err e = {0};
	float mean[3] = {1, 2, 3}, *got = NULL, scale = 0;
	uint64_t shape = 3;
	size_t d = 0;
	struct col c;
	char how[8];
	struct mp m;
	uint64_t stages = 0;

	head_set_str(&h, "stream", "abc", &e);
	head_set_str(&h, "unknown", "kept", &e);
	head_declare(&h, "x", "<f4", 1, &shape, &e);
	head_declare(&h, "id", "str", 0, NULL, &e);
	head_declare(&h, "x", "<f8", 1, &shape, &e);
	head_undeclare(&h, "id");
	head_set_norm(&h, "fit", mean, 3, 0.5f, &e);
	head_add_prov(&h, "a", "1", "a -k 3", &e);
	head_add_prov(&h, "b", "1", "b", &e);
	tap_ok(!e.code && !head_pack(&h, &b, &e) && !frame_parse(&f, b.data, b.len, &e) && f.kind == FRAME_HEAD &&
	       !head_read(&back, &f, &e), "a head comes back");
	tap_ok(head_get_norm(&back, &got, &d, &scale, how, sizeof how, &e) == 1 && d == 3 && got[2] == 3 && scale == 0.5f && !strcmp(how, "fit"), "with its norm");
	tap_ok(head_declared(&back, "x", &c) && !strcmp(c.dtype, "<f8") && c.ndim == 1 && c.shape[0] == 3, "the later declaration stands");
	tap_ok(!head_declared(&back, "id", &c), "what was undeclared is gone");
	tap_ok(head_get(&back, "prov", &m) && mp_array(&m, &stages) && stages == 2, "both stages are there");
	tap_ok(head_get_str(&back, "unknown", how, sizeof how) && !strcmp(how, "kept"), "unknown keys stay");
	mem_free(got);
	head_free(&h);
	head_free(&back);
	buf_free(&b);
	frame_free(&f);
}

/* Every table against the library, whole and cut in four anywhere. */
static void
test_sums(void)
{
	static const char *const names[] = {"plain", "avx2", "avx512"};
	static unsigned char bytes[5000];
	struct rng r = {0};
	size_t t, n, i, cut[3];
	struct iovec v[4];
	uint64_t right;
	bool ok;

	rng_seed(&r, 8, 0);
	for (i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)rng_u64(&r);
	for (t = 0; t < 3; t++) {
		if (!sum_for(names[t])) {
			tap_skip("sums", names[t]);
			continue;
		}
		for (n = 0, ok = true; n <= sizeof bytes; n += n < 600 ? 1 : 97) {
			right = XXH3_64bits(bytes, n);
			v[0] = (struct iovec){bytes, n};
			ok = ok && sum_for(names[t])->pieces(v, 1) == right;
			for (i = 0; i < 3; i++)
				cut[i] = rng_below(&r, n + 1);
			for (i = 0; i < 3; i++) /* three times is enough to sort three */
				if (cut[i % 2] > cut[i % 2 + 1]) {
					size_t swap = cut[i % 2];

					cut[i % 2] = cut[i % 2 + 1];
					cut[i % 2 + 1] = swap;
				}
			for (i = 0; i < 4; i++)
				v[i] = (struct iovec){bytes + (i ? cut[i - 1] : 0), (i < 3 ? cut[i] : n) - (i ? cut[i - 1] : 0)};
			ok = ok && sum_for(names[t])->pieces(v, 4) == right;
		}
		tap_ok(ok, "sums by %s are those of the library", names[t]);
	}
	tap_ok(!sum_for("z80") && sum_for(NULL), "a table that is not there; the best one");
}

/* Indices at the edge of what is allowed, at every place of a vector. */
static void
test_below(void)
{
	static const uint32_t cols[] = {1, 2, 6144, COL_MAX_WIDTH, 1u << 31};
	uint32_t idx[40] = {0};
	size_t c, n, i;
	bool ok = true;

	for (c = 0; c < 5; c++)
		for (n = 1; n <= 40; n++)
			for (i = 0; i < n; i++) {
				idx[i] = cols[c] - 1;
				ok = ok && csr_within(idx, n, cols[c]);
				idx[i] = cols[c];
				ok = ok && !csr_within(idx, n, cols[c]);
				idx[i] = UINT32_MAX;
				ok = ok && !csr_within(idx, n, cols[c]);
				idx[i] = 0;
			}
	tap_ok(ok && csr_within(idx, 0, 0) && !csr_within(idx, 1, 0), "an index that is not below the number of columns is seen");
}

int
main(void)
{
	static struct sample s;

	test_oracle();
	test_hostile_tokens();
	make_sample(&s);
	test_frames(&s);
	test_damage(&s);
	test_head();
	test_sums();
	test_below();
	buf_free(&s.ids);
	frame_free(&s.f);
	return tap_done();
}
