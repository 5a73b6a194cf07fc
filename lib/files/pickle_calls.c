/* What a pickle may call, carried out by us: see pickle.h for the list. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "files/pickle_parts.h"

static bool
is_global(const struct value *v, const char *name)
{
	return v->kind == VALUE_GLOBAL && !strcmp(v->as.text.s, name);
}

static bool
is_text(const struct value *v, const char *text)
{
	return v->kind == VALUE_STR && v->as.text.n == strlen(text) && !memcmp(v->as.text.s, text, v->as.text.n);
}

/* A count: an integer from 0 on. */
static bool
get_count(const struct value *v, uint64_t *out)
{
	if (v->kind != VALUE_INT || v->as.whole < 0)
		return false;
	*out = (uint64_t)v->as.whole;
	return true;
}

static int
wrong_args(const char *what, struct err *e)
{
	return err_set(e, CODE_DATA, "%s with other arguments than it has", what);
}

static int
get_shape(const struct value *v, uint64_t out[VALUE_MAX_DIMS], const char *what, struct err *e)
{
	size_t i;

	if (v->kind != VALUE_TUPLE && v->kind != VALUE_LIST)
		return err_set(e, CODE_DATA, "a tensor's %s is no tuple", what);
	if (v->as.items.n > VALUE_MAX_DIMS)
		return err_set(e, CODE_DATA, "a tensor of %zu dimensions: at most %d are accepted", v->as.items.n, VALUE_MAX_DIMS);
	for (i = 0; i < v->as.items.n; i++)
		if (!get_count(v->as.items.v[i], &out[i]))
			return err_set(e, CODE_DATA, "a tensor's %s holds something else than whole numbers from 0 on (below 2^63)", what);
	return 0;
}

/* Every element lies inside the storage, and there are not more of them than
 * it has: what a stride of 0 would make of one number is never expanded. */
static int
check_tensor(const struct value_tensor *t, struct err *e)
{
	uint64_t count = 1, last = t->offset, have = t->storage->count;
	unsigned i;

	for (i = 0; i < t->ndim; i++) {
		if (t->shape[i] && count > UINT64_MAX / t->shape[i])
			return err_set(e, CODE_DATA, "a tensor larger than any file");
		count *= t->shape[i];
	}
	if (count > have)
		return err_set(e, CODE_DATA, "a tensor of %llu numbers on a storage of %llu (if it was expanded, save a .clone())",
		               (unsigned long long)count, (unsigned long long)have);
	if (t->offset > have)
		return err_set(e, CODE_DATA, "a tensor begins at number %llu of a storage of %llu", (unsigned long long)t->offset, (unsigned long long)have);
	for (i = 0; i < t->ndim && count; i++) {
		if (t->shape[i] > 1 && t->stride[i] > (have - last) / (t->shape[i] - 1))
			return err_set(e, CODE_DATA, "a tensor's strides reach beyond its storage of %llu numbers", (unsigned long long)have);
		last += t->shape[i] > 1 ? t->stride[i] * (t->shape[i] - 1) : 0;
	}
	if (count && last >= have)
		return err_set(e, CODE_DATA, "a tensor reaches beyond its storage of %llu numbers", (unsigned long long)have);
	return 0;
}

static int
rebuild_tensor(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	uint64_t offset;
	struct value_tensor *t;

	if (n < 4 || n > 7 || arg[0]->kind != VALUE_STORAGE || !get_count(arg[1], &offset))
		return wrong_args("_rebuild_tensor", e);
	t = pickle_alloc(p, sizeof *t, e);
	if (!t)
		return e->code;
	*t = (struct value_tensor){.storage = arg[0]->as.storage, .offset = offset};
	if (get_shape(arg[2], t->shape, "size", e) || get_shape(arg[3], t->stride, "stride", e))
		return e->code;
	t->ndim = (unsigned)arg[2]->as.items.n;
	if (arg[3]->as.items.n != t->ndim)
		return err_set(e, CODE_DATA, "a tensor with %u sizes and %zu strides", t->ndim, arg[3]->as.items.n);
	out->kind = VALUE_TENSOR;
	out->as.tensor = t;
	return check_tensor(t, e);
}

static int
rebuild_parameter(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	(void)p;
	if (n < 3 || n > 4 || arg[0]->kind != VALUE_TENSOR)
		return wrong_args("_rebuild_parameter", e);
	*out = *arg[0];
	return 0;
}

/* OrderedDict(), OrderedDict([[key, value], ...]), defaultdict(factory). */
static int
make_dict(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	const struct value *pair;
	size_t i;

	out->kind = VALUE_DICT;
	if (!n || (n == 1 && (arg[0]->kind == VALUE_GLOBAL || arg[0]->kind == VALUE_NONE)))
		return 0;
	if (n > 1 || (arg[0]->kind != VALUE_LIST && arg[0]->kind != VALUE_TUPLE))
		return wrong_args("a dict", e);
	for (i = 0; i < arg[0]->as.items.n; i++) {
		pair = arg[0]->as.items.v[i];
		if ((pair->kind != VALUE_LIST && pair->kind != VALUE_TUPLE) || pair->as.items.n != 2)
			return wrong_args("a dict", e);
		if (pickle_append(p, out, pair->as.items.v[0], e) || pickle_append(p, out, pair->as.items.v[1], e))
			return e->code;
	}
	return 0;
}

/* set([...]) and torch.Size((...)). */
static int
make_items(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, enum value_kind kind, struct err *e)
{
	size_t i;

	out->kind = kind;
	if (!n)
		return 0;
	if (n > 1 || (arg[0]->kind != VALUE_LIST && arg[0]->kind != VALUE_TUPLE))
		return wrong_args("a set or a torch.Size", e);
	for (i = 0; i < arg[0]->as.items.n; i++)
		if (pickle_append(p, out, arg[0]->as.items.v[i], e))
			return e->code;
	return 0;
}

static int
make_list(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	return make_items(p, arg, n, out, VALUE_LIST, e);
}

static int
make_tuple(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	return make_items(p, arg, n, out, VALUE_TUPLE, e);
}

/* torch.device("cuda", 0) and paths: their text, parts joined by `with`. */
static int
make_joined(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, const char *with, struct err *e)
{
	struct buf b = {.max = 4096};
	char digits[24];
	size_t i;

	e->code = 0;
	for (i = 0; i < n && !e->code; i++) {
		if (i)
			buf_append(&b, with, strlen(with), e);
		if (arg[i]->kind == VALUE_STR && !e->code)
			buf_append(&b, arg[i]->as.text.s, arg[i]->as.text.n, e);
		else if (arg[i]->kind == VALUE_INT && !e->code)
			buf_append(&b, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)arg[i]->as.whole), e);
		else if (!e->code)
			wrong_args("a device or a path", e);
	}
	out->kind = VALUE_STR;
	if (!e->code)
		pickle_text(p, out, b.len ? (const char *)b.data : "", b.len, e);
	buf_free(&b);
	return e->code;
}

static int
make_device(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	return make_joined(p, arg, n, out, ":", e);
}

static int
make_path(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	return make_joined(p, arg, n, out, "/", e);
}

/* _codecs.encode(text, "latin1"): how protocol 2 holds bytes. */
static int
encode(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	const unsigned char *s, *end;
	char *to;

	if (n != 2 || arg[0]->kind != VALUE_STR || !(is_text(arg[1], "latin1") || is_text(arg[1], "latin-1")))
		return wrong_args("_codecs.encode", e);
	to = pickle_alloc(p, arg[0]->as.text.n + 1, e);
	if (!to)
		return e->code;
	out->kind = VALUE_BYTES;
	out->as.text.s = to;
	s = (const unsigned char *)arg[0]->as.text.s;
	for (end = s + arg[0]->as.text.n; s < end; s++) {
		if (*s >= 0xc4) /* two bytes of UTF-8 that begin so are beyond U+00FF */
			return err_set(e, CODE_DATA, "bytes written as text beyond latin1");
		*to++ = (char)(*s < 0x80 ? *s : (s++, (s[-1] & 0x03) << 6 | (*s & 0x3f)));
	}
	*to = 0;
	out->as.text.n = (size_t)(to - out->as.text.s);
	return 0;
}

static int
make_dtype(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	(void)p;
	if (!n || n > 3 || arg[0]->kind != VALUE_STR)
		return wrong_args("numpy.dtype", e);
	out->kind = VALUE_DTYPE;
	out->as.dtype.type = strlen(arg[0]->as.text.s) == arg[0]->as.text.n
	                         ? dtype_parse(arg[0]->as.text.s, &out->as.dtype.swap) : DT_NONE;
	return 0;
}

static bool
is_bytes(const struct value *v)
{
	return v->kind == VALUE_BYTES;
}

/* numpy.float64(...) and its kin. */
static int
make_scalar(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	unsigned char b[8] = {0};
	uint64_t u = 0;
	enum dtype t;
	size_t size, i;
	float f;

	(void)p;
	if (n != 2 || arg[0]->kind != VALUE_DTYPE || !is_bytes(arg[1]))
		return wrong_args("a numpy scalar", e);
	t = arg[0]->as.dtype.type;
	size = dtype_size(t);
	if (!t)
		return err_set(e, CODE_DATA, "a numpy scalar that is no number");
	if (arg[1]->as.text.n != size)
		return err_set(e, CODE_DATA, "a numpy scalar of type %s with %zu bytes", dtype_name(t), arg[1]->as.text.n);
	for (i = 0; i < size; i++)
		b[i] = (unsigned char)arg[1]->as.text.s[arg[0]->as.dtype.swap ? size - 1 - i : i];
	memcpy(&u, b, 8);
	if (t == DT_F8) {
		out->kind = VALUE_FLOAT;
		memcpy(&out->as.real, &u, 8);
	} else if (t == DT_U8 && u >> 63) {
		out->kind = VALUE_BIG;
	} else if (t == DT_I8 || t == DT_U8) {
		out->kind = VALUE_INT;
		memcpy(&out->as.whole, &u, 8);
	} else if (t == DT_F4 || t == DT_F2 || t == DT_BF2) {
		dtype_to_f32(&f, b, 1, t, false);
		out->kind = VALUE_FLOAT;
		out->as.real = (double)f;
	} else if (t == DT_BOOL) {
		out->kind = VALUE_BOOL;
		out->as.truth = b[0] != 0;
	} else {
		out->kind = VALUE_INT;
		out->as.whole = (int64_t)dtype_load(b, t);
	}
	return 0;
}

/* An array of numpy whose bytes are in the pickle. */
static int
array_of(struct pickle *p, const struct value *shape, const struct value *type, bool fortran, const struct value *bytes,
         struct value *out, struct err *e)
{
	struct value_tensor *t = pickle_alloc(p, sizeof *t, e);
	struct storage *s = pickle_alloc(p, sizeof *s, e);
	uint64_t step = 1;
	unsigned i, k;

	if (!t || !s)
		return e->code;
	*s = (struct storage){.dtype = type->as.dtype.type, .swap = type->as.dtype.swap, .mem = (const unsigned char *)bytes->as.text.s,
	                      .count = bytes->as.text.n / dtype_size(type->as.dtype.type)};
	*t = (struct value_tensor){.storage = s};
	if (get_shape(shape, t->shape, "shape", e))
		return e->code;
	t->ndim = (unsigned)shape->as.items.n;
	for (i = 0; i < t->ndim; i++) {
		k = fortran ? i : t->ndim - 1 - i;
		t->stride[k] = step;
		if (t->shape[k] && step > UINT64_MAX / t->shape[k])
			return err_set(e, CODE_DATA, "an array larger than any file");
		step *= t->shape[k];
	}
	if (step != s->count || bytes->as.text.n % dtype_size(s->dtype))
		return err_set(e, CODE_DATA, "a numpy array of %llu numbers (%s) with %zu bytes", (unsigned long long)step,
		               dtype_name(s->dtype), bytes->as.text.n);
	out->kind = VALUE_TENSOR;
	out->as.tensor = t;
	return check_tensor(t, e);
}

/* _reconstruct(ndarray, (0,), b"b"): the array comes with BUILD. */
static int
reconstruct(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	(void)p;
	if (n != 3 || arg[0]->kind != VALUE_GLOBAL)
		return wrong_args("numpy's _reconstruct", e);
	out->kind = VALUE_OBJECT;
	out->as.object.cls = arg[0];
	return 0;
}

static int
from_buffer(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e)
{
	if (n != 4 || !is_bytes(arg[0]) || arg[1]->kind != VALUE_DTYPE || !arg[1]->as.dtype.type ||
	    !(is_text(arg[3], "C") || is_text(arg[3], "F")))
		return wrong_args("numpy's _frombuffer", e);
	return array_of(p, arg[2], arg[1], is_text(arg[3], "F"), arg[0], out, e);
}

static const struct {
	const char *name;
	int (*make)(struct pickle *p, const struct value *const *arg, size_t n, struct value *out, struct err *e);
} calls[] = {
	{"collections.OrderedDict", make_dict}, {"collections.defaultdict", make_dict},
	{"torch._utils._rebuild_tensor", rebuild_tensor}, {"torch._utils._rebuild_tensor_v2", rebuild_tensor},
	{"torch._utils._rebuild_parameter", rebuild_parameter},
	{"torch._utils._rebuild_parameter_with_state", rebuild_parameter},
	{"torch.Size", make_tuple}, {"torch.device", make_device},
	{"_codecs.encode", encode}, {"numpy.dtype", make_dtype},
	{"numpy.core.multiarray.scalar", make_scalar}, {"numpy._core.multiarray.scalar", make_scalar},
	{"numpy.core.multiarray._reconstruct", reconstruct}, {"numpy._core.multiarray._reconstruct", reconstruct},
	{"numpy.core.numeric._frombuffer", from_buffer}, {"numpy._core.numeric._frombuffer", from_buffer},
	{"builtins.set", make_list}, {"builtins.frozenset", make_list},
	{"__builtin__.set", make_list}, {"__builtin__.frozenset", make_list},
	{"pathlib.Path", make_path}, {"pathlib.PosixPath", make_path}, {"pathlib.WindowsPath", make_path},
	{"pathlib.PurePath", make_path}, {"pathlib.PurePosixPath", make_path}, {"pathlib.PureWindowsPath", make_path},
};

int
pickle_call(struct pickle *p, const struct value *fn, const struct value *args, struct value *out, struct err *e)
{
	char what[96];
	size_t i;

	if (fn->kind != VALUE_GLOBAL)
		return err_set(e, CODE_DATA, "calls %s, which is no function", value_what(fn, what, sizeof what));
	if (args->kind != VALUE_TUPLE)
		return wrong_args(fn->as.text.s, e);
	for (i = 0; i < sizeof calls / sizeof *calls; i++)
		if (!strcmp(fn->as.text.s, calls[i].name))
			return calls[i].make(p, args->as.items.v, args->as.items.n, out, e);
	return err_set(e, CODE_DATA, "asks to call %.200s, which is not among the few calls that are understood; nothing was run", fn->as.text.s);
}

int
pickle_instance(struct pickle *p, const struct value *cls, struct value *out, struct err *e)
{
	(void)p;
	if (cls->kind != VALUE_GLOBAL)
		return err_set(e, CODE_DATA, "an object of something that is no class");
	if (is_global(cls, "collections.OrderedDict") || is_global(cls, "builtins.dict") || is_global(cls, "__builtin__.dict")) {
		out->kind = VALUE_DICT;
		return 0;
	}
	out->kind = VALUE_OBJECT;
	out->as.object.cls = cls;
	return 0;
}

/* dtype.__setstate__: (version, byte order, ...). */
static int
build_dtype(struct value *v, const struct value *state, struct err *e)
{
	const struct value *order;

	if (state->kind != VALUE_TUPLE || state->as.items.n < 2)
		return wrong_args("numpy.dtype's state", e);
	order = state->as.items.v[1];
	if (is_text(order, ">"))
		v->as.dtype.swap = dtype_size(v->as.dtype.type) > 1;
	else if (!is_text(order, "<") && !is_text(order, "|") && !is_text(order, "="))
		return wrong_args("numpy.dtype's state", e);
	return 0;
}

/* ndarray.__setstate__: (version, shape, dtype, fortran, bytes). What holds no
 * numbers stays an object without attributes. */
static int
build_array(struct pickle *p, struct value *v, const struct value *state, struct err *e)
{
	const struct value *const *arg = state->as.items.v;

	if (state->kind != VALUE_TUPLE || state->as.items.n != 5 || arg[2]->kind != VALUE_DTYPE || arg[3]->kind != VALUE_BOOL)
		return wrong_args("a numpy array's state", e);
	if (!arg[2]->as.dtype.type || !is_bytes(arg[4]))
		return 0;
	return array_of(p, arg[1], arg[2], arg[3]->as.truth, arg[4], v, e);
}

/* Attributes of an object: a dict, or (dict or None, dict of __slots__). States
 * of other forms are what only the class itself can read: left out. */
static int
build_object(struct pickle *p, struct value *v, const struct value *state, struct err *e)
{
	struct value *attrs = (struct value *)(uintptr_t)v->as.object.attrs; /* ours, made by SETITEM or here */
	size_t i;

	if (state->kind == VALUE_TUPLE && state->as.items.n == 2) {
		for (i = 0; i < 2; i++)
			if (state->as.items.v[i]->kind == VALUE_DICT && build_object(p, v, state->as.items.v[i], e))
				return e->code;
		return 0;
	}
	if (state->kind != VALUE_DICT)
		return 0;
	if (!attrs)
		v->as.object.attrs = attrs = pickle_value(p, VALUE_DICT, e);
	if (!attrs)
		return e->code;
	for (i = 0; i < state->as.items.n; i++)
		if (pickle_append(p, attrs, state->as.items.v[i], e))
			return e->code;
	v->depth = attrs->depth > v->depth ? attrs->depth : v->depth;
	return 0;
}

int
pickle_build(struct pickle *p, struct value *v, const struct value *state, struct err *e)
{
	char what[96];

	switch (v->kind) {
	case VALUE_DICT: return 0; /* attributes of an OrderedDict: _metadata */
	case VALUE_DTYPE: return build_dtype(v, state, e);
	case VALUE_OBJECT:
		return is_global(v->as.object.cls, "numpy.ndarray") ? build_array(p, v, state, e) : build_object(p, v, state, e);
	default: return err_set(e, CODE_DATA, "a state for %s", value_what(v, what, sizeof what));
	}
}

static const struct {
	const char *name;
	enum dtype type;
} storages[] = {
	{"DoubleStorage", DT_F8}, {"FloatStorage", DT_F4}, {"HalfStorage", DT_F2}, {"BFloat16Storage", DT_BF2},
	{"LongStorage", DT_I8}, {"IntStorage", DT_I4}, {"ShortStorage", DT_I2}, {"CharStorage", DT_I1},
	{"ByteStorage", DT_U1}, {"BoolStorage", DT_BOOL},
};

static enum dtype
storage_type(const struct value *cls)
{
	const char *name = cls->as.text.s;
	size_t i;

	if (strncmp(name, "torch.", 6))
		return DT_NONE;
	name += strncmp(name, "torch.cuda.", 11) ? 6 : 11;
	for (i = 0; i < sizeof storages / sizeof *storages; i++)
		if (!strcmp(name, storages[i].name))
			return storages[i].type;
	return DT_NONE;
}

int
pickle_persistent(struct pickle *p, const struct value *id, struct value *out, struct err *e)
{
	const struct value *const *arg = id->as.items.v;
	size_t n = id->kind == VALUE_TUPLE ? id->as.items.n : 0;
	struct storage *s;

	if (n < 5 || n > 6 || !is_text(arg[0], "storage") || arg[1]->kind != VALUE_GLOBAL || !value_str(arg[2]))
		return err_set(e, CODE_DATA, "a reference to something outside that is no storage of a tensor");
	if (n == 6 && arg[5]->kind != VALUE_NONE)
		return err_set(e, CODE_DATA, "a view of a storage, as torch 0.3 wrote it: save the file again");
	s = pickle_alloc(p, sizeof *s, e);
	if (!s)
		return e->code;
	*s = (struct storage){.key = value_str(arg[2]), .dtype = storage_type(arg[1])};
	if (!s->dtype)
		return err_set(e, CODE_DATA, "numbers of type %.200s: floats, integers and booleans are understood", arg[1]->as.text.s);
	if (!get_count(arg[4], &s->count) || s->count > UINT64_MAX / 8)
		return err_set(e, CODE_DATA, "a storage whose size is no count");
	out->as.storage = s;
	*p->last = s;
	p->last = &s->next;
	return 0;
}
