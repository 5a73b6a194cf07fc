/* Looking at what a pickle holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "files/pickle.h"

#define MAX_PATH 512

/* Keys as text: strings as they are, integers in digits. */
static bool
key_text(const struct value *key, char digits[24], const char **s, size_t *n)
{
	if (key->kind == VALUE_STR) {
		*s = key->as.text.s;
		*n = key->as.text.n;
		return true;
	}
	if (key->kind != VALUE_INT)
		return false;
	*n = (size_t)snprintf(digits, 24, "%lld", (long long)key->as.whole);
	*s = digits;
	return true;
}

/* What a look-up may still cost: a hostile dict can hold itself under one key
 * many times. */
#define MAX_STEPS ((size_t)1 << 24)

static const struct value *get(const struct value *v, const char *path, size_t len, unsigned depth, size_t *steps);

/* A key that path begins with, whole or up to a dot. Later keys first. */
static const struct value *
get_key(const struct value *dict, const char *path, size_t len, unsigned depth, size_t *steps)
{
	const struct value *found;
	char digits[24];
	const char *s;
	size_t i, n;

	for (i = dict->as.items.n / 2; i-- > 0 && *steps; --*steps) {
		if (!key_text(dict->as.items.v[2 * i], digits, &s, &n) || n > len || memcmp(s, path, n))
			continue;
		if (n == len)
			return dict->as.items.v[2 * i + 1];
		if (path[n] == '.' && (found = get(dict->as.items.v[2 * i + 1], path + n + 1, len - n - 1, depth + 1, steps)))
			return found;
	}
	return NULL;
}

static const struct value *
get_index(const struct value *list, const char *path, size_t len, unsigned depth, size_t *steps)
{
	size_t i = 0, n;

	for (n = 0; n < len && path[n] != '.'; n++) {
		if (path[n] < '0' || path[n] > '9' || i > list->as.items.n)
			return NULL;
		i = 10 * i + (size_t)(path[n] - '0');
	}
	if (!n || i >= list->as.items.n)
		return NULL;
	return n == len ? list->as.items.v[i] : get(list->as.items.v[i], path + n + 1, len - n - 1, depth + 1, steps);
}

static const struct value *
get(const struct value *v, const char *path, size_t len, unsigned depth, size_t *steps)
{
	if (depth > PICKLE_MAX_DEPTH)
		return NULL;
	switch (v->kind) {
	case VALUE_DICT: return get_key(v, path, len, depth, steps);
	case VALUE_LIST: case VALUE_TUPLE: return get_index(v, path, len, depth, steps);
	case VALUE_OBJECT: return v->as.object.attrs ? get_key(v->as.object.attrs, path, len, depth, steps) : NULL;
	default: return NULL;
	}
}

const struct value *
value_get(const struct value *v, const char *path)
{
	size_t len = strlen(path), steps = MAX_STEPS;

	if (!len)
		return v;
	return len <= MAX_PATH ? get(v, path, len, 0, &steps) : NULL;
}

const char *
value_str(const struct value *v)
{
	return v && v->kind == VALUE_STR && strlen(v->as.text.s) == v->as.text.n ? v->as.text.s : NULL;
}

bool
value_int(const struct value *v, int64_t *out)
{
	if (!v || (v->kind != VALUE_INT && v->kind != VALUE_BOOL))
		return false;
	*out = v->kind == VALUE_INT ? v->as.whole : v->as.truth;
	return true;
}

bool
value_real(const struct value *v, double *out)
{
	int64_t whole;

	if (v && v->kind == VALUE_FLOAT) {
		*out = v->as.real;
		return true;
	}
	if (!value_int(v, &whole))
		return false;
	*out = (double)whole;
	return true;
}

static void
tensor_what(const struct value_tensor *t, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "a tensor of ");
	unsigned i;

	for (i = 0; i < t->ndim && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, i ? " x %llu" : "%llu", (unsigned long long)t->shape[i]);
	if (n < size)
		snprintf(out + n, size - n, "%s %s", t->ndim ? "" : "one number,", dtype_name(t->storage->dtype));
}

const char *
value_what(const struct value *v, char *out, size_t size)
{
	static const char *const names[] = {
		[VALUE_NONE] = "None", [VALUE_BOOL] = "a boolean", [VALUE_INT] = "an integer", [VALUE_FLOAT] = "a float",
		[VALUE_STR] = "a string", [VALUE_BYTES] = "bytes", [VALUE_LIST] = "a list", [VALUE_TUPLE] = "a tuple",
		[VALUE_DICT] = "a dict", [VALUE_TENSOR] = "a tensor", [VALUE_GLOBAL] = "the name", [VALUE_OBJECT] = "an object of",
		[VALUE_BIG] = "a large integer", [VALUE_STORAGE] = "a storage", [VALUE_DTYPE] = "a numpy type",
	};
	const char *name = names[v->kind];

	if (v->kind == VALUE_DICT)
		snprintf(out, size, "%s of %zu", name, v->as.items.n / 2);
	else if (v->kind == VALUE_LIST || v->kind == VALUE_TUPLE)
		snprintf(out, size, "%s of %zu", name, v->as.items.n);
	else if (v->kind == VALUE_GLOBAL)
		snprintf(out, size, "%s %s", name, v->as.text.s);
	else if (v->kind == VALUE_OBJECT)
		snprintf(out, size, "%s %s", name, v->as.object.cls->as.text.s);
	else if (v->kind == VALUE_TENSOR)
		tensor_what(v->as.tensor, out, size);
	else
		snprintf(out, size, "%s", name);
	return out;
}

/* A walk: the path so far, and which containers were met. */
struct walk {
	int (*each)(const char *path, const struct value *v, void *arg);
	void *arg;
	char path[MAX_PATH + 1];
	size_t len;
	const struct value **met; /* open addressing */
	size_t cap, n;
};

static size_t
slot(const struct walk *w, const struct value *v)
{
	size_t i = (size_t)(((uintptr_t)v >> 4) * 0x9e3779b97f4a7c15u) & (w->cap - 1);

	while (w->met[i] && w->met[i] != v)
		i = (i + 1) & (w->cap - 1);
	return i;
}

static bool
grow(struct walk *w)
{
	struct walk old = *w;
	size_t i;

	w->cap = w->cap ? 2 * w->cap : 256;
	w->met = calloc(w->cap, sizeof *w->met);
	if (!w->met) {
		*w = old;
		return false;
	}
	for (i = 0; i < old.cap; i++)
		if (old.met[i])
			w->met[slot(w, old.met[i])] = old.met[i];
	free(old.met);
	return true;
}

/* True the first time; without memory false, too: the walk just ends sooner. */
static bool
first_time(struct walk *w, const struct value *v)
{
	size_t i;

	if (2 * w->n >= w->cap && !grow(w))
		return false;
	i = slot(w, v);
	if (w->met[i])
		return false;
	w->met[i] = v;
	w->n++;
	return true;
}

static int walk(struct walk *w, const struct value *v, unsigned depth);

/* One step down, to `name`. */
static int
walk_into(struct walk *w, const char *name, size_t n, const struct value *v, unsigned depth)
{
	size_t len = w->len, dot = depth > 0;
	int code;

	if (n + dot > MAX_PATH - len || memchr(name, 0, n))
		return 0;
	if (dot)
		w->path[len] = '.';
	memcpy(w->path + len + dot, name, n);
	w->path[w->len = len + dot + n] = 0;
	code = walk(w, v, depth + 1);
	w->path[w->len = len] = 0;
	return code;
}

static int
walk_dict(struct walk *w, const struct value *v, unsigned depth)
{
	char digits[24];
	const char *s;
	size_t i, n;
	int code = 0;

	for (i = 0; i + 1 < v->as.items.n && !code; i += 2)
		if (key_text(v->as.items.v[i], digits, &s, &n))
			code = walk_into(w, s, n, v->as.items.v[i + 1], depth);
	return code;
}

static int
walk(struct walk *w, const struct value *v, unsigned depth)
{
	char digits[24];
	size_t i;
	int code = 0;

	if (v->kind == VALUE_OBJECT && v->as.object.attrs)
		v = v->as.object.attrs;
	if (v->kind != VALUE_DICT && v->kind != VALUE_LIST && v->kind != VALUE_TUPLE)
		return w->each(w->path, v, w->arg);
	if (depth > PICKLE_MAX_DEPTH || !first_time(w, v))
		return 0;
	if (v->kind == VALUE_DICT)
		return walk_dict(w, v, depth);
	for (i = 0; i < v->as.items.n && !code; i++)
		code = walk_into(w, digits, (size_t)snprintf(digits, sizeof digits, "%zu", i), v->as.items.v[i], depth);
	return code;
}

int
value_each(const struct value *v, int (*each)(const char *path, const struct value *v, void *arg), void *arg)
{
	struct walk w = {.each = each, .arg = arg};
	int code = walk(&w, v, 0);

	free(w.met);
	return code;
}
