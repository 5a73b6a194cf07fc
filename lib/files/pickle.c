#include "files/pickle_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define CHUNK ((size_t)1 << 16)
#define PER_BYTE 160 /* bytes of memory a byte of pickle may cost */
#define MAX_NAME 512 /* of a class */
#define MAX_LONG 1024 /* bytes of an integer */

struct pickle_chunk {
	struct pickle_chunk *next;
	size_t used, size;
};
#define CHUNK_HEAD ((sizeof(struct pickle_chunk) + 15) / 16 * 16)

struct machine {
	struct pickle *p;
	const unsigned char *start, *at, *end;
	bool stopped, short_of;
	struct value **stack;
	size_t n, cap;
	size_t *marks, nmarks, marks_cap;
	struct value **memo;
	size_t memo_n, memo_cap;
	struct err *e;
};

void *
pickle_alloc(struct pickle *p, size_t n, struct err *e)
{
	struct pickle_chunk *c = p->chunks;
	size_t size;
	void *at;

	if (n > SIZE_MAX / 2) {
		err_set(e, CODE_DATA, "asks for more memory than there is");
		return NULL;
	}
	n = (n + 15) / 16 * 16;
	if (!c || n > c->size - c->used) {
		size = n > CHUNK ? n : CHUNK;
		if (size > p->most - p->taken) {
			err_set(e, CODE_DATA, "needs more memory than a pickle of its length should");
			return NULL;
		}
		c = malloc(CHUNK_HEAD + size);
		if (!c) {
			err_memory(e, "pickle", size);
			return NULL;
		}
		*c = (struct pickle_chunk){.next = p->chunks, .size = size};
		p->chunks = c;
		p->taken += size;
	}
	at = (char *)c + CHUNK_HEAD + c->used;
	c->used += n;
	return at;
}

struct value *
pickle_value(struct pickle *p, enum value_kind kind, struct err *e)
{
	struct value *v;

	if (p->values == PICKLE_MAX_VALUES) {
		err_set(e, CODE_DATA, "holds more than %zu values", PICKLE_MAX_VALUES);
		return NULL;
	}
	v = pickle_alloc(p, sizeof *v, e);
	if (!v)
		return NULL;
	p->values++;
	memset(v, 0, sizeof *v);
	v->kind = kind;
	return v;
}

int
pickle_append(struct pickle *p, struct value *v, const struct value *item, struct err *e)
{
	const struct value **more;
	size_t cap = v->as.items.cap ? 2 * v->as.items.cap : 4;

	if (item->depth >= v->depth) {
		if (item->depth >= PICKLE_MAX_DEPTH)
			return err_set(e, CODE_DATA, "nested deeper than %d levels", PICKLE_MAX_DEPTH);
		v->depth = item->depth + 1;
	}
	if (v->as.items.n == v->as.items.cap) {
		more = pickle_alloc(p, cap * sizeof *more, e);
		if (!more)
			return e->code;
		if (v->as.items.n)
			memcpy(more, v->as.items.v, v->as.items.n * sizeof *more);
		v->as.items.v = more;
		v->as.items.cap = cap;
	}
	v->as.items.v[v->as.items.n++] = item;
	return 0;
}

int
pickle_text(struct pickle *p, struct value *v, const char *s, size_t n, struct err *e)
{
	char *copy = pickle_alloc(p, n + 1, e);

	if (!copy)
		return e->code;
	memcpy(copy, s, n);
	copy[n] = 0;
	v->as.text.s = copy;
	v->as.text.n = n;
	return 0;
}

/* Makes room for one more of `size` bytes in a growing array. */
static int
grow(void *array, size_t n, size_t *cap, size_t size, struct err *e)
{
	void *old, *more;
	size_t want = *cap ? 2 * *cap : 64;

	if (n < *cap)
		return 0;
	memcpy(&old, array, sizeof old);
	more = realloc(old, want * size);
	if (!more)
		return err_memory(e, "pickle", want * size);
	memcpy(array, &more, sizeof more);
	*cap = want;
	return 0;
}

static int
push(struct machine *m, struct value *v)
{
	if (!v || grow(&m->stack, m->n, &m->cap, sizeof *m->stack, m->e))
		return m->e->code;
	m->stack[m->n++] = v;
	return 0;
}

static int
push_new(struct machine *m, enum value_kind kind)
{
	return push(m, pickle_value(m->p, kind, m->e));
}

static struct value *
top(const struct machine *m)
{
	return m->stack[m->n - 1];
}

/* n more bytes are there. */
static int
need(struct machine *m, uint64_t n)
{
	if (n <= (uint64_t)(m->end - m->at))
		return 0;
	m->short_of = true;
	return err_set(m->e, CODE_DATA, "%llu bytes are needed, %zu are left: truncated?", (unsigned long long)n, (size_t)(m->end - m->at));
}

/* `count` values above the last mark (or the bottom) are on the stack. */
static int
have(struct machine *m, size_t count)
{
	size_t floor = m->nmarks ? m->marks[m->nmarks - 1] : 0;

	return m->n - floor >= count ? 0 : err_set(m->e, CODE_DATA, "needs %zu values on the stack and finds %zu", count, m->n - floor);
}

/* Little-endian number of n bytes. */
static int
number(struct machine *m, unsigned n, uint64_t *v)
{
	unsigned i;

	if (need(m, n))
		return m->e->code;
	for (*v = 0, i = 0; i < n; i++)
		*v |= (uint64_t)m->at[i] << 8 * i;
	m->at += n;
	return 0;
}

static int
push_int(struct machine *m, unsigned n, bool is_signed)
{
	uint64_t v = 0;

	if (number(m, n, &v) || push_new(m, VALUE_INT))
		return m->e->code;
	top(m)->as.whole = is_signed ? (int64_t)(int32_t)(uint32_t)v : (int64_t)v;
	return 0;
}

/* LONG1 and LONG4: two's complement of any length, after a length of w bytes. */
static int
push_long(struct machine *m, unsigned w)
{
	uint64_t n = 0, v;
	size_t i;
	unsigned char fill;

	if (number(m, w, &n) || need(m, n))
		return m->e->code;
	if (n > MAX_LONG)
		return err_set(m->e, CODE_DATA, "an integer of %llu bytes: at most %d are accepted", (unsigned long long)n, MAX_LONG);
	fill = n && m->at[n - 1] & 0x80 ? 0xff : 0;
	for (v = 0, i = 0; i < 8; i++)
		v |= (uint64_t)(i < n ? m->at[i] : fill) << 8 * i;
	for (i = 8; i < n && m->at[i] == fill; i++)
		;
	if (push_new(m, i < n || (n > 8 && (v >> 63 != 0) != (fill != 0)) ? VALUE_BIG : VALUE_INT))
		return m->e->code;
	memcpy(&top(m)->as.whole, &v, sizeof v);
	m->at += n;
	return 0;
}

static int
push_float(struct machine *m)
{
	uint64_t v = 0;
	unsigned i;

	if (need(m, 8) || push_new(m, VALUE_FLOAT))
		return m->e->code;
	for (i = 0; i < 8; i++) /* big-endian, as nothing else in a pickle */
		v = v << 8 | m->at[i];
	memcpy(&top(m)->as.real, &v, sizeof v);
	m->at += 8;
	return 0;
}

static int
push_text(struct machine *m, unsigned w)
{
	uint64_t n = 0;

	if (number(m, w, &n) || need(m, n))
		return m->e->code;
	if (!text_utf8_valid((const char *)m->at, (size_t)n))
		return err_set(m->e, CODE_DATA, "text that is not UTF-8");
	if (push_new(m, VALUE_STR) || pickle_text(m->p, top(m), (const char *)m->at, (size_t)n, m->e))
		return m->e->code;
	m->at += n;
	return 0;
}

static int
push_bytes(struct machine *m, unsigned w)
{
	uint64_t n = 0;

	if (number(m, w, &n) || need(m, n) || push_new(m, VALUE_BYTES))
		return m->e->code;
	top(m)->as.text.s = (const char *)m->at;
	top(m)->as.text.n = (size_t)n;
	m->at += n;
	return 0;
}

static int
push_global(struct machine *m, const char *module, size_t n, const char *name, size_t len)
{
	char text[MAX_NAME + 2];

	if (n + len > MAX_NAME || !text_is_printable(module, n) || !text_is_printable(name, len))
		return err_set(m->e, CODE_DATA, "the name of a class is too long or not readable");
	memcpy(text, module, n);
	text[n] = '.';
	memcpy(text + n + 1, name, len);
	return push_new(m, VALUE_GLOBAL) ? m->e->code : pickle_text(m->p, top(m), text, n + 1 + len, m->e);
}

static int
global(struct machine *m)
{
	const unsigned char *a = memchr(m->at, '\n', (size_t)(m->end - m->at));
	const unsigned char *b = a ? memchr(a + 1, '\n', (size_t)(m->end - a - 1)) : NULL;
	const char *module = (const char *)m->at;

	if (!b) {
		m->short_of = true;
		return err_set(m->e, CODE_DATA, "the name of a class has no end: truncated?");
	}
	m->at = b + 1;
	return push_global(m, module, (size_t)((const char *)a - module), (const char *)a + 1, (size_t)(b - a - 1));
}

static int
stack_global(struct machine *m)
{
	const struct value *module, *name;

	if (have(m, 2))
		return m->e->code;
	module = m->stack[m->n - 2];
	name = m->stack[m->n - 1];
	if (module->kind != VALUE_STR || name->kind != VALUE_STR)
		return err_set(m->e, CODE_DATA, "the name of a class is no text");
	m->n -= 2;
	return push_global(m, module->as.text.s, module->as.text.n, name->as.text.s, name->as.text.n);
}

static int
mark(struct machine *m)
{
	if (grow(&m->marks, m->nmarks, &m->marks_cap, sizeof *m->marks, m->e))
		return m->e->code;
	m->marks[m->nmarks++] = m->n;
	return 0;
}

/* Takes the last mark away; *from: the first value that was above it. */
static int
to_mark(struct machine *m, size_t *from)
{
	if (!m->nmarks)
		return err_set(m->e, CODE_DATA, "no MARK on the stack");
	*from = m->marks[--m->nmarks];
	return 0;
}

static bool
hashable(const struct value *v)
{
	return v->kind <= VALUE_BYTES || v->kind == VALUE_TUPLE || v->kind == VALUE_GLOBAL || v->kind == VALUE_BIG ||
	       v->kind == VALUE_OBJECT;
}

/* The values from `from` on become items of v. */
static int
add_items(struct machine *m, struct value *v, size_t from)
{
	size_t i;

	if (v->kind == VALUE_DICT && (m->n - from) % 2)
		return err_set(m->e, CODE_DATA, "a key without a value");
	for (i = from; i < m->n; i++) {
		if (v->kind == VALUE_DICT && (i - from) % 2 == 0 && !hashable(m->stack[i]))
			return err_set(m->e, CODE_DATA, "a key that is a list or a dict");
		if (pickle_append(m->p, v, m->stack[i], m->e))
			return m->e->code;
	}
	m->n = from;
	return 0;
}

/* A container of what is above the mark. */
static int
collect(struct machine *m, enum value_kind kind)
{
	struct value *v = pickle_value(m->p, kind, m->e);
	size_t from = 0;

	if (!v || to_mark(m, &from) || add_items(m, v, from))
		return m->e->code;
	return push(m, v);
}

static int
small_tuple(struct machine *m, size_t n)
{
	struct value *v = pickle_value(m->p, VALUE_TUPLE, m->e);

	return !v || have(m, n) || add_items(m, v, m->n - n) ? m->e->code : push(m, v);
}

/* A dict for the items of v: itself, or the attributes of an instance of a
 * class made from dict. */
static struct value *
dict_of(struct machine *m, struct value *v)
{
	if (v->kind != VALUE_OBJECT)
		return v;
	if (!v->as.object.attrs)
		v->as.object.attrs = pickle_value(m->p, VALUE_DICT, m->e);
	return (struct value *)(uintptr_t)v->as.object.attrs; /* made just here, or by BUILD of us */
}

/* Items from `from` on go into the container below them. */
static int
extend(struct machine *m, size_t from, enum value_kind kind)
{
	size_t floor = m->nmarks ? m->marks[m->nmarks - 1] : 0;
	struct value *v;

	if (from <= floor)
		return err_set(m->e, CODE_DATA, "items without a container");
	v = m->stack[from - 1];
	if (kind == VALUE_DICT)
		v = dict_of(m, v);
	if (!v)
		return m->e->code;
	if (v->kind != kind)
		return err_set(m->e, CODE_DATA, "adds items to something that is no %s", kind == VALUE_DICT ? "dict" : "list");
	if (add_items(m, v, from))
		return m->e->code;
	if (v->depth > m->stack[from - 1]->depth)
		m->stack[from - 1]->depth = v->depth;
	return 0;
}

static int
extend_marked(struct machine *m, enum value_kind kind)
{
	size_t from = 0;

	return to_mark(m, &from) ? m->e->code : extend(m, from, kind);
}

static int
put(struct machine *m, uint64_t i)
{
	if (have(m, 1))
		return m->e->code;
	/* Python numbers them one by one: never more than there are values */
	if (i > m->p->values + 1024)
		return err_set(m->e, CODE_DATA, "memo number %llu in a pickle of %zu values so far", (unsigned long long)i, m->p->values);
	while (m->memo_n <= i) {
		if (grow(&m->memo, m->memo_n, &m->memo_cap, sizeof *m->memo, m->e))
			return m->e->code;
		m->memo[m->memo_n++] = NULL;
	}
	m->memo[i] = top(m);
	return 0;
}

static int
put_numbered(struct machine *m, unsigned w)
{
	uint64_t i = 0;

	return number(m, w, &i) ? m->e->code : put(m, i);
}

static int
get_numbered(struct machine *m, unsigned w)
{
	uint64_t i = 0;

	if (number(m, w, &i))
		return m->e->code;
	if (i >= m->memo_n || !m->memo[i])
		return err_set(m->e, CODE_DATA, "memo number %llu was never put", (unsigned long long)i);
	return push(m, m->memo[i]);
}

static int
reduce(struct machine *m)
{
	struct value *v = pickle_value(m->p, VALUE_NONE, m->e);

	if (!v || have(m, 2) || pickle_call(m->p, m->stack[m->n - 2], m->stack[m->n - 1], v, m->e))
		return m->e->code;
	m->n -= 2;
	return push(m, v);
}

static int
new_object(struct machine *m, size_t args)
{
	struct value *v = pickle_value(m->p, VALUE_NONE, m->e);

	if (!v || have(m, args + 1) || pickle_instance(m->p, m->stack[m->n - args - 1], v, m->e))
		return m->e->code;
	m->n -= args + 1;
	return push(m, v);
}

static int
build(struct machine *m)
{
	if (have(m, 2) || pickle_build(m->p, m->stack[m->n - 2], m->stack[m->n - 1], m->e))
		return m->e->code;
	m->n--;
	return 0;
}

static int
persistent(struct machine *m)
{
	struct value *v = pickle_value(m->p, VALUE_STORAGE, m->e);

	if (!v || have(m, 1) || pickle_persistent(m->p, top(m), v, m->e))
		return m->e->code;
	m->n--;
	return push(m, v);
}

static int
stop(struct machine *m)
{
	if (have(m, 1))
		return m->e->code;
	m->p->root = top(m);
	m->stopped = true;
	return 0;
}

static int
pop(struct machine *m)
{
	if (m->nmarks && m->marks[m->nmarks - 1] == m->n)
		m->nmarks--;
	else if (!have(m, 1))
		m->n--;
	else
		return m->e->code;
	return 0;
}

static int
push_bool(struct machine *m, bool v)
{
	if (push_new(m, VALUE_BOOL))
		return m->e->code;
	top(m)->as.truth = v;
	return 0;
}

static int
skip_frame(struct machine *m)
{
	uint64_t n = 0;

	return number(m, 8, &n); /* a hint how much to read; the opcodes say it all */
}

static int
step(struct machine *m)
{
	unsigned char op = *m->at++;
	size_t from = 0;

	switch (op) {
	case '.': return stop(m);
	case '(': return mark(m);
	case '0': return pop(m);
	case '1': return to_mark(m, &from) ? m->e->code : (m->n = from, 0);
	case '2': return have(m, 1) ? m->e->code : push(m, top(m));
	case 'N': return push_new(m, VALUE_NONE);
	case 0x88: return push_bool(m, true);
	case 0x89: return push_bool(m, false);
	case 'K': return push_int(m, 1, false);
	case 'M': return push_int(m, 2, false);
	case 'J': return push_int(m, 4, true);
	case 0x8a: return push_long(m, 1);
	case 0x8b: return push_long(m, 4);
	case 'G': return push_float(m);
	case 'U': return push_text(m, 1); /* strings of Python 2 */
	case 'T': return push_text(m, 4);
	case 0x8c: return push_text(m, 1);
	case 'X': return push_text(m, 4);
	case 0x8d: return push_text(m, 8);
	case 'C': return push_bytes(m, 1);
	case 'B': return push_bytes(m, 4);
	case 0x8e: case 0x96: return push_bytes(m, 8);
	case ')': return push_new(m, VALUE_TUPLE);
	case 't': return collect(m, VALUE_TUPLE);
	case 0x85: return small_tuple(m, 1);
	case 0x86: return small_tuple(m, 2);
	case 0x87: return small_tuple(m, 3);
	case ']': case 0x8f: return push_new(m, VALUE_LIST); /* sets too */
	case 'l': case 0x91: return collect(m, VALUE_LIST);
	case 'a': return have(m, 2) ? m->e->code : extend(m, m->n - 1, VALUE_LIST);
	case 'e': case 0x90: return extend_marked(m, VALUE_LIST);
	case '}': return push_new(m, VALUE_DICT);
	case 'd': return collect(m, VALUE_DICT);
	case 's': return have(m, 3) ? m->e->code : extend(m, m->n - 2, VALUE_DICT);
	case 'u': return extend_marked(m, VALUE_DICT);
	case 'c': return global(m);
	case 0x93: return stack_global(m);
	case 'R': return reduce(m);
	case 0x81: return new_object(m, 1);
	case 0x92: return new_object(m, 2);
	case 'b': return build(m);
	case 'Q': return persistent(m);
	case 'q': return put_numbered(m, 1);
	case 'r': return put_numbered(m, 4);
	case 0x94: return put(m, m->memo_n);
	case 'h': return get_numbered(m, 1);
	case 'j': return get_numbered(m, 4);
	case 0x95: return skip_frame(m);
	default: return err_set(m->e, CODE_DATA, "opcode 0x%02x, which is not among what torch.save writes", op);
	}
}

static int
run(struct machine *m)
{
	const unsigned char *at;
	uint64_t version;

	if (need(m, 2))
		return err_add(m->e, "pickle");
	if (m->at[0] != 0x80 || m->at[1] < 2 || m->at[1] > 5)
		return err_set(m->e, CODE_DATA, "pickle: does not begin as protocol 2 to 5 does");
	m->at++;
	number(m, 1, &version);
	while (!m->stopped) {
		at = m->at;
		if (need(m, 1) || step(m))
			return err_add(m->e, "pickle, byte %zu", (size_t)(at - m->start));
	}
	return 0;
}

struct pickle *
pickle_read(const void *text, size_t n, size_t *used, bool *short_of, struct err *e)
{
	struct pickle *p = calloc(1, sizeof *p);
	struct machine m = {.p = p, .start = text, .at = text, .e = e};
	size_t most;

	if (!p) {
		err_memory(e, "pickle", sizeof *p);
		return NULL;
	}
	m.end = m.start + n;
	p->last = &p->storages;
	p->most = size_mul(n, PER_BYTE, &most) && size_add(most, 16 * CHUNK, &most) ? most : SIZE_MAX;
	run(&m);
	free(m.stack);
	free(m.marks);
	free(m.memo);
	if (used)
		*used = (size_t)(m.at - m.start);
	if (short_of)
		*short_of = m.short_of;
	if (m.stopped)
		return p;
	pickle_free(p);
	return NULL;
}

void
pickle_free(struct pickle *p)
{
	struct pickle_chunk *c;

	if (!p)
		return;
	while ((c = p->chunks)) {
		p->chunks = c->next;
		free(c);
	}
	free(p);
}

const struct value *
pickle_root(const struct pickle *p)
{
	return p->root;
}

struct storage *
pickle_storages(struct pickle *p)
{
	return p->storages;
}
