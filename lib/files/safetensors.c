#include "files/safetensors.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "files/digest.h"
#include "files/infile.h"
#include "files/jsonin.h"

#define MAX_HEADER 100000000u /* the format's own limit */
#define MAX_DEPTH 8
#define MAX_VALUES ((size_t)1 << 22)
#define BLOCK ((size_t)1 << 20)
#define NAME_SHOWN 96 /* bytes of a tensor's name in a message */

/* All types the format knows; those without a dtype are listed so that their
 * bytes can be counted. */
static const struct {
	char name[16];
	unsigned bits;
	enum dtype type;
} types[] = {
	{"F64", 64, DT_F8}, {"F32", 32, DT_F4}, {"F16", 16, DT_F2}, {"BF16", 16, DT_BF2},
	{"I64", 64, DT_I8}, {"I32", 32, DT_I4}, {"I16", 16, DT_I2}, {"I8", 8, DT_I1},
	{"U64", 64, DT_U8}, {"U32", 32, DT_U4}, {"U16", 16, DT_U2}, {"U8", 8, DT_U1},
	{"BOOL", 8, DT_BOOL}, {"C64", 64, DT_NONE}, {"F4", 4, DT_NONE},
	{"F6_E2M3", 6, DT_NONE}, {"F6_E3M2", 6, DT_NONE}, {"F8_E8M0", 8, DT_NONE},
	{"F8_E4M3", 8, DT_NONE}, {"F8_E5M2", 8, DT_NONE},
	{"F8_E4M3FNUZ", 8, DT_NONE}, {"F8_E5M2FNUZ", 8, DT_NONE},
};
#define NTYPES (sizeof types / sizeof *types)

const char *
st_dtype_name(enum dtype t)
{
	size_t i;

	for (i = 0; t && i < NTYPES; i++)
		if (types[i].type == t)
			return types[i].name;
	return NULL;
}

static const char *
shown(char out[NAME_SHOWN], const char *name)
{
	return text_printable(out, NAME_SHOWN, name, strlen(name));
}

/* A non-negative JSON integer. */
static bool
get_count(const json_t *v, uint64_t *out)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*out = (uint64_t)json_integer_value(v);
	return true;
}

static int
parse_dtype(struct st_tensor *t, const json_t *v, unsigned *bits, struct err *e)
{
	const char *name = json_string_value(v);
	char text[NAME_SHOWN];
	size_t i;

	if (!name)
		return err_set(e, CODE_DATA, "no \"dtype\"");
	for (i = 0; i < NTYPES; i++)
		if (!strcmp(name, types[i].name)) {
			t->dtype = types[i].type;
			*bits = types[i].bits;
			memcpy(t->dtype_text, types[i].name, sizeof t->dtype_text);
			return 0;
		}
	return err_set(e, CODE_DATA, "unknown dtype \"%s\"", shown(text, name));
}

static int
parse_shape(struct st_tensor *t, const json_t *v, unsigned bits, uint64_t *bytes, struct err *e)
{
	uint64_t n = bits;
	size_t i;

	if (!json_is_array(v))
		return err_set(e, CODE_DATA, "no \"shape\"");
	if (json_array_size(v) > ST_MAX_DIMS)
		return err_set(e, CODE_DATA, "%zu dimensions: at most %d are accepted", json_array_size(v), ST_MAX_DIMS);
	t->ndim = (unsigned)json_array_size(v);
	for (i = 0; i < t->ndim; i++) {
		if (!get_count(json_array_get(v, i), &t->shape[i]))
			return err_set(e, CODE_DATA, "\"shape\" holds something else than whole numbers from 0 on");
		if (t->shape[i] && n > UINT64_MAX / t->shape[i])
			return err_set(e, CODE_DATA, "\"shape\" is larger than any file");
		n *= t->shape[i];
	}
	if (n % 8)
		return err_set(e, CODE_DATA, "\"shape\" ends within a byte");
	*bytes = n / 8;
	return 0;
}

/* v describes one tensor of a file with its data at [data_at, data_at + data). */
static int
parse_tensor(struct st_tensor *t, const json_t *v, uint64_t data_at, uint64_t data, struct err *e)
{
	const json_t *offsets = json_object_get(v, "data_offsets");
	uint64_t begin = 0, end = 0, want = 0;
	unsigned bits = 0;

	if (!json_is_object(v))
		return err_set(e, CODE_DATA, "not described by an object");
	if (parse_dtype(t, json_object_get(v, "dtype"), &bits, e) ||
	    parse_shape(t, json_object_get(v, "shape"), bits, &want, e))
		return e->code;
	if (json_array_size(offsets) != 2 || !get_count(json_array_get(offsets, 0), &begin) ||
	    !get_count(json_array_get(offsets, 1), &end))
		return err_set(e, CODE_DATA, "\"data_offsets\" are not two whole numbers from 0 on");
	if (begin > end)
		return err_set(e, CODE_DATA, "ends at byte %llu of the data, before it begins at %llu",
		               (unsigned long long)end, (unsigned long long)begin);
	if (end > data)
		return err_set(e, CODE_DATA, "lies at bytes %llu to %llu of the data; the file holds %llu: truncated?",
		               (unsigned long long)begin, (unsigned long long)end, (unsigned long long)data);
	if (end - begin != want)
		return err_set(e, CODE_DATA, "shape and dtype ask for %llu bytes, \"data_offsets\" give %llu",
		               (unsigned long long)want, (unsigned long long)(end - begin));
	t->at = data_at + begin;
	t->bytes = end - begin;
	return 0;
}

static int
parse_meta(struct st_file *f, const json_t *v, struct err *e)
{
	const char *key;
	char text[NAME_SHOWN];
	json_t *value;

	if (!json_is_object(v))
		return err_set(e, CODE_DATA, "__metadata__ is no object");
	f->meta = calloc(json_object_size(v) + 1, sizeof *f->meta);
	if (!f->meta)
		return err_memory(e, "metadata", json_object_size(v) * sizeof *f->meta);
	json_object_foreach((json_t *)(uintptr_t)v, key, value) {
		if (!json_is_string(value))
			return err_set(e, CODE_DATA, "__metadata__: \"%s\" is no string", shown(text, key));
		f->meta[f->nmeta].key = strdup(key);
		f->meta[f->nmeta].value = strdup(json_string_value(value));
		f->nmeta++;
		if (!f->meta[f->nmeta - 1].key || !f->meta[f->nmeta - 1].value)
			return err_memory(e, "metadata", json_string_length(value));
	}
	return 0;
}

static int
parse_entries(struct st_file *f, json_t *root, uint64_t data_at, uint64_t data, struct err *e)
{
	struct st_tensor *t;
	const char *name;
	char text[NAME_SHOWN];
	json_t *v;

	f->tensors = calloc(json_object_size(root) + 1, sizeof *f->tensors);
	if (!f->tensors)
		return err_memory(e, "tensors", json_object_size(root) * sizeof *f->tensors);
	json_object_foreach(root, name, v) {
		if (!strcmp(name, "__metadata__")) {
			if (parse_meta(f, v, e))
				return e->code;
			continue;
		}
		t = &f->tensors[f->ntensors];
		if (parse_tensor(t, v, data_at, data, e))
			return err_add(e, "tensor %s", shown(text, name));
		t->name = strdup(name);
		if (!t->name)
			return err_memory(e, "tensors", strlen(name));
		f->ntensors++;
	}
	return f->ntensors ? 0 : err_set(e, CODE_DATA, "holds no tensors");
}

static int
by_offset(const void *a, const void *b)
{
	const struct st_tensor *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The tensors, one behind the other, are the data: nothing twice, nothing
 * left over. */
static int
check_tiling(const struct st_file *f, uint64_t at, uint64_t end, struct err *e)
{
	char text[NAME_SHOWN];
	size_t i;

	for (i = 0; i < f->ntensors; i++) {
		if (f->tensors[i].at < at)
			return err_set(e, CODE_DATA, "tensor %s overlaps the one before it", shown(text, f->tensors[i].name));
		if (f->tensors[i].at > at)
			return err_set(e, CODE_DATA, "%llu bytes before tensor %s belong to no tensor",
			               (unsigned long long)(f->tensors[i].at - at), shown(text, f->tensors[i].name));
		at += f->tensors[i].bytes;
	}
	if (at != end)
		return err_set(e, CODE_DATA, "the last %llu bytes belong to no tensor", (unsigned long long)(end - at));
	return 0;
}

/* Length of the header, in a file that looks like one of this format. */
static int
check_start(int fd, uint64_t size, const char *kind, uint64_t *len, struct err *e)
{
	unsigned char head[INFILE_SNIFF];
	size_t n = size < sizeof head ? (size_t)size : sizeof head, i;
	char what[160];

	if (infile_read_at(fd, head, n, 0, e))
		return e->code;
	for (*len = 0, i = 8; i-- > 0 && n > 8;)
		*len = *len << 8 | head[i];
	if (n <= 8 || head[8] != '{' || *len < 2) {
		infile_sniff(head, n, what, sizeof what);
		return err_set(e, CODE_DATA, "not %s: %s", kind, what);
	}
	if (*len > MAX_HEADER)
		return err_set(e, CODE_DATA, "safetensors header of %llu bytes: at most %u are accepted",
		               (unsigned long long)*len, MAX_HEADER);
	if (*len > size - 8)
		return err_set(e, CODE_DATA, "safetensors header of %llu bytes goes beyond the end of the file at %llu: truncated?",
		               (unsigned long long)*len, (unsigned long long)size);
	return 0;
}

static int
parse_header(struct st_file *f, const char *text, uint64_t len, uint64_t size, struct err *e)
{
	json_t *root;
	uint64_t data_at = 8 + len;

	if (jsonin_parse(text, (size_t)len, MAX_DEPTH, MAX_VALUES, &root, e))
		return err_add(e, "safetensors header");
	e->code = 0;
	parse_entries(f, root, data_at, size - data_at, e);
	json_decref(root);
	if (e->code)
		return e->code;
	qsort(f->tensors, f->ntensors, sizeof *f->tensors, by_offset);
	return check_tiling(f, data_at, size, e);
}

static int
check(struct st_file *f, uint64_t size, const char *kind, struct err *e)
{
	uint64_t len = 0;
	char *text;

	if (check_start(f->fd, size, kind, &len, e))
		return e->code;
	text = malloc((size_t)len);
	if (!text)
		return err_memory(e, "safetensors header", len);
	e->code = 0;
	if (!infile_read_at(f->fd, text, (size_t)len, 8, e))
		parse_header(f, text, len, size, e);
	free(text);
	return e->code;
}

/* fd is taken over in any case. */
static int
begin(struct st_file *f, const char *path, int fd, uint64_t size, const char *kind, bool hash, struct err *e)
{
	*f = (struct st_file){.path = strdup(path), .fd = fd};
	if (!f->path)
		err_memory(e, "safetensors", strlen(path));
	else if (!check(f, size, kind, e) && (!hash || !digest_fd(f->fd, f->sha256, e)))
		return 0;
	st_close(f);
	return e->code;
}

int
st_open_fd(struct st_file *f, int fd, uint64_t size, struct err *e)
{
	return begin(f, "", fd, size, "a safetensors file", false, e);
}

int
st_open_as(struct st_file *f, const char *path, const char *kind, struct err *e)
{
	uint64_t size;
	int fd;

	if (infile_open(path, &fd, &size, e) || begin(f, path, fd, size, kind, true, e))
		return infile_blame(e, path);
	return 0;
}

int
st_open(struct st_file *f, const char *path, struct err *e)
{
	return st_open_as(f, path, "a safetensors file", e);
}

void
st_close(struct st_file *f)
{
	size_t i;

	if (f->fd >= 0)
		close(f->fd);
	for (i = 0; i < f->ntensors; i++)
		free(f->tensors[i].name);
	for (i = 0; i < f->nmeta; i++) {
		free(f->meta[i].key);
		free(f->meta[i].value);
	}
	free(f->tensors);
	free(f->meta);
	free(f->path);
	memset(f, 0, sizeof *f);
	f->fd = -1;
}

const struct st_tensor *
st_find(const struct st_file *f, const char *name)
{
	size_t i;

	for (i = 0; i < f->ntensors; i++)
		if (!strcmp(f->tensors[i].name, name))
			return &f->tensors[i];
	return NULL;
}

const char *
st_meta(const struct st_file *f, const char *key)
{
	size_t i;

	for (i = 0; i < f->nmeta; i++)
		if (!strcmp(f->meta[i].key, key))
			return f->meta[i].value;
	return NULL;
}

static int
read_converted(const struct st_file *f, const struct st_tensor *t, float *dst, struct err *e)
{
	size_t size = dtype_size(t->dtype), left = (size_t)(t->bytes / size), n;
	unsigned char *block = mem_alloc(BLOCK);
	uint64_t at = t->at;

	if (!block)
		return err_memory(e, "tensor", BLOCK);
	e->code = 0;
	for (; left; left -= n, dst += n, at += n * size) {
		n = left < BLOCK / size ? left : BLOCK / size;
		if (infile_read_at(f->fd, block, n * size, at, e))
			break;
		dtype_to_f32(dst, block, n, t->dtype, false);
	}
	mem_free(block);
	return e->code;
}

int
st_read_f32(const struct st_file *f, const struct st_tensor *t, float *dst, struct err *e)
{
	char text[NAME_SHOWN];

	if (!t->dtype)
		err_set(e, CODE_DATA, "numbers of type %s are not understood; store them as F32", t->dtype_text);
	else if (!(t->dtype == DT_F4 ? infile_read_at(f->fd, dst, (size_t)t->bytes, t->at, e)
	                             : read_converted(f, t, dst, e)))
		return 0;
	err_add(e, "tensor %s", shown(text, t->name));
	return infile_blame(e, f->path);
}

int
st_read_raw(const struct st_file *f, const struct st_tensor *t, void *dst, struct err *e)
{
	char text[NAME_SHOWN];

	if (!infile_read_at(f->fd, dst, (size_t)t->bytes, t->at, e))
		return 0;
	err_add(e, "tensor %s", shown(text, t->name));
	return infile_blame(e, f->path);
}

/* A JSON string whatever the bytes: a path in the metadata need not be UTF-8,
 * and a long run must not fail at its end for that. */
static json_t *
any_string(const char *s)
{
	size_t n = strlen(s), room = 4 * n + 8;
	json_t *v = json_string(s);
	char *text;

	if (v)
		return v;
	text = malloc(room);
	if (text)
		v = json_string(text_printable(text, room, s, n));
	free(text);
	return v;
}

/* Takes both references; false without memory or when key is there already. */
static bool
add_new(json_t *object, const char *key, json_t *v)
{
	if (v && !json_object_get(object, key))
		return !json_object_set_new(object, key, v);
	json_decref(v);
	return false;
}

static bool
bytes_of(const struct st_out *t, size_t *bytes)
{
	unsigned i;

	*bytes = dtype_size(t->dtype);
	for (i = 0; i < t->ndim; i++)
		if (t->shape[i] > SIZE_MAX || !size_mul(*bytes, (size_t)t->shape[i], bytes))
			return false;
	return true;
}

static json_t *
describe(const struct st_out *t, uint64_t *at)
{
	json_t *shape = json_array();
	size_t bytes;
	unsigned i;

	if (!bytes_of(t, &bytes)) {
		json_decref(shape);
		return NULL;
	}
	for (i = 0; i < t->ndim; i++)
		json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
	*at += bytes;
	return json_pack("{s:s, s:o, s:[I, I]}", "dtype", st_dtype_name(t->dtype), "shape", shape,
	                 "data_offsets", (json_int_t)(*at - bytes), (json_int_t)*at);
}

/* The header's JSON text (free), or NULL. */
static char *
header_text(const struct st_out *t, size_t nt, const struct st_meta *meta, size_t nmeta)
{
	json_t *root = json_object(), *pairs = json_object();
	bool ok = root && pairs;
	uint64_t at = 0;
	char *text;
	size_t i;

	for (i = 0; ok && i < nmeta; i++)
		ok = add_new(pairs, meta[i].key, any_string(meta[i].value));
	if (ok && nmeta)
		ok = !json_object_set(root, "__metadata__", pairs);
	for (i = 0; ok && i < nt; i++)
		ok = add_new(root, t[i].name, describe(&t[i], &at));
	text = ok ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(pairs);
	json_decref(root);
	return text;
}

/* Writes to fd and feeds the digest. */
static int
put(int fd, struct sha256_ctx *sum, const void *p, size_t n)
{
	sha256_update(sum, n, p);
	return io_write_all(fd, p, n);
}

static int
write_all(int fd, const char *text, const struct st_out *t, size_t nt, char *sha256)
{
	size_t n = strlen(text), len = (n + 7) / 8 * 8, bytes, i;
	unsigned char head[8];
	struct sha256_ctx sum;

	sha256_init(&sum);
	for (i = 0; i < 8; i++)
		head[i] = (unsigned char)((uint64_t)len >> 8 * i);
	if (put(fd, &sum, head, 8) || put(fd, &sum, text, n) || put(fd, &sum, "       ", len - n))
		return -1;
	for (i = 0; i < nt; i++)
		if (!bytes_of(&t[i], &bytes) || put(fd, &sum, t[i].data, bytes))
			return -1;
	if (sha256)
		digest_hex(&sum, sha256);
	return 0;
}

int
st_save(const char *path, const struct st_out *t, size_t nt, const struct st_meta *meta, size_t nmeta, char *sha256, struct err *e)
{
	char *text, sum[SHA256_HEX];
	struct outfile out = {.fd = -1};

	errno = 0;
	text = header_text(t, nt, meta, nmeta);
	if (!text && errno == ENOMEM)
		return err_memory(e, path, nt + nmeta);
	if (!text) {
		err_set(e, CODE_BUG, "cannot make a safetensors header: a name twice, or one that is not UTF-8");
		return infile_blame(e, path);
	}
	if (!outfile_open(&out, path, e)) {
		e->code = 0;
		if (!write_all(out.fd, text, t, nt, sum))
			outfile_commit(&out, e);
		else {
			err_sys(e, CODE_IO, "cannot write");
			infile_blame(e, path);
			outfile_abort(&out);
		}
	}
	free(text);
	if (!e->code && sha256)
		memcpy(sha256, sum, sizeof sum);
	return e->code;
}
