/* Configurations of other libraries' models: JSON beside the weights, plain
 * values in a pickle, what the user sets. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "files/guest_parts.h"

#define PLAIN_DEPTH 6
#define PLAIN_VALUES 4096

/* A path below an object: a whole key first, which may hold dots. */
static const json_t *
look(const json_t *o, const char *path)
{
	const json_t *v = json_object_get(o, path);
	const char *dot = strchr(path, '.');
	char key[64];

	if (v || !dot || (size_t)(dot - path) >= sizeof key)
		return v;
	memcpy(key, path, (size_t)(dot - path));
	key[dot - path] = 0;
	return look(json_object_get(o, key), dot + 1);
}

const json_t *
guest_get(struct guest *g, const char *path)
{
	const char *last = strrchr(path, '.');
	const json_t *v;

	last = last ? last + 1 : path;
	json_object_set_new(g->asked, last, json_true());
	v = json_object_get(g->set, last);
	if (!v)
		v = look(g->config, path);
	return json_is_null(v) ? NULL : v;
}

static const char *
where(const struct guest *g, const char *path)
{
	const char *last = strrchr(path, '.');

	if (json_object_get(g->set, last ? last + 1 : path))
		return "--set";
	return g->config_name ? g->config_name : "the file";
}

const char *
guest_text(struct guest *g, const char *path, const char *otherwise)
{
	const char *s = json_string_value(guest_get(g, path));

	return s ? s : otherwise;
}

int
guest_flag(struct guest *g, const char *path, bool otherwise, bool *out, struct err *e)
{
	const json_t *v = guest_get(g, path);

	*out = v ? json_is_true(v) : otherwise;
	return !v || json_is_boolean(v) ? 0 : err_set(e, CODE_DATA, "%s: %s is neither true nor false", where(g, path), path);
}

int
guest_real(struct guest *g, const char *path, double otherwise, double *out, struct err *e)
{
	const json_t *v = guest_get(g, path);

	*out = v ? json_number_value(v) : otherwise;
	return !v || json_is_number(v) ? 0 : err_set(e, CODE_DATA, "%s: %s is not a number", where(g, path), path);
}

int
guest_count(struct guest *g, const char *path, uint64_t least, uint64_t most, size_t *out, struct err *e)
{
	const json_t *v = guest_get(g, path);
	const char *last = strrchr(path, '.');
	double n = json_number_value(v);

	if (!v)
		return err_set(e, CODE_DATA, "%s does not say %s; say it with: sae-convert --set %s=NUMBER", where(g, path), path, last ? last + 1 : path);
	if (!json_is_number(v) || !(n >= (double)least && n <= (double)most) || n > floor(n))
		return err_set(e, CODE_DATA, "%s: %s is not a whole number from %llu to %llu", where(g, path), path,
		               (unsigned long long)least, (unsigned long long)most);
	*out = (size_t)n;
	return 0;
}

int
guest_agree(struct guest *g, const char *path, size_t is, const char *what, struct err *e)
{
	const json_t *v = guest_get(g, path);

	if (!v || (json_is_integer(v) && json_integer_value(v) == (json_int_t)is))
		return 0;
	if (!json_is_integer(v))
		return err_set(e, CODE_DATA, "%s: %s is not a whole number", where(g, path), path);
	return err_set(e, CODE_DATA, "%s says %s is %lld; the tensors have %zu %s", where(g, path), path, (long long)json_integer_value(v), is, what);
}

int
guest_unknown(const char *what, const char *value, const char *want, struct err *e)
{
	char text[96];

	return err_set(e, CODE_DATA, "%s is \"%s\"; known are %s", what, text_printable(text, sizeof text, value, strlen(value)), want);
}

void
guest_decides(struct guest *g, const char *key, const char *value)
{
	size_t at = strlen(g->decides);

	snprintf(g->decides + at, sizeof g->decides - at, "%s %s\n", key, value);
}

/* ---- plain values ---- */

static json_t *plain(const struct value *v, unsigned depth, size_t *left);

static json_t *
plain_dict(const struct value *v, unsigned depth, size_t *left)
{
	json_t *o = json_object(), *item;
	const char *key;
	size_t i;

	for (i = 0; o && i + 1 < v->as.items.n && *left; i += 2) {
		key = value_str(v->as.items.v[i]);
		item = key ? plain(v->as.items.v[i + 1], depth + 1, left) : NULL;
		if (item)
			json_object_set_new(o, key, item);
	}
	return o;
}

static json_t *
plain_list(const struct value *v, unsigned depth, size_t *left)
{
	json_t *a = json_array(), *item;
	size_t i;

	for (i = 0; a && i < v->as.items.n && *left; i++)
		if ((item = plain(v->as.items.v[i], depth + 1, left)))
			json_array_append_new(a, item);
	return a;
}

/* NULL: nothing that a configuration says. */
static json_t *
plain(const struct value *v, unsigned depth, size_t *left)
{
	const char *s;

	if (depth > PLAIN_DEPTH || !*left)
		return NULL;
	--*left;
	switch (v->kind) {
	case VALUE_BOOL: return json_boolean(v->as.truth);
	case VALUE_INT: return json_integer(v->as.whole);
	case VALUE_FLOAT: return isfinite(v->as.real) ? json_real(v->as.real) : NULL;
	case VALUE_STR: return (s = value_str(v)) ? json_string(s) : NULL;
	case VALUE_GLOBAL: return json_stringn(v->as.text.s, v->as.text.n);
	case VALUE_DICT: return plain_dict(v, depth, left);
	case VALUE_LIST: case VALUE_TUPLE: return plain_list(v, depth, left);
	case VALUE_OBJECT: return v->as.object.attrs ? plain_dict(v->as.object.attrs, depth, left) : NULL;
	default: return NULL;
	}
}

json_t *
guest_plain(const struct value *v)
{
	size_t left = PLAIN_VALUES;
	json_t *o = plain(v, 0, &left);

	if (json_is_object(o))
		return o;
	json_decref(o);
	return json_object();
}
