#include "files/ptfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "files/infile.h"

#define MAX_PREFACE ((size_t)1 << 20)
#define FIRST_TRY ((size_t)1 << 20) /* bytes of an old file looked at first */
#define MAGIC_LEN (sizeof PT_LEGACY_MAGIC - 1)
#define ZIP_MAGIC "PK\3\4"

static const char *
shown(char out[96], const char *name)
{
	return text_printable(out, 96, name, strlen(name));
}

/* The folder in the archive that holds data.pkl, with its slash. */
static int
find_root(const struct ptfile *f, size_t *member, size_t *prefix, struct err *e)
{
	const char *name;
	size_t i, n, found = 0;

	for (i = 0; i < f->zip.n; i++) {
		name = f->zip.members[i].name;
		n = strlen(name);
		if (n < 9 || strcmp(name + n - 9, "/data.pkl"))
			continue;
		found++;
		*member = i;
		*prefix = n - 8;
	}
	if (found == 1)
		return 0;
	return err_set(e, CODE_DATA, found ? "a PyTorch file with %zu pickles where one is needed" : "a zip archive without data.pkl: not a PyTorch file", found);
}

static int
check_byteorder(struct ptfile *f, const char *root, size_t prefix, struct err *e)
{
	char name[512], *text;
	size_t i;
	bool little;

	if (snprintf(name, sizeof name, "%.*sbyteorder", (int)prefix, root) >= (int)sizeof name)
		return 0;
	i = zipin_find(&f->zip, name);
	if (i == ZIPIN_NONE)
		return 0;
	text = zipin_load(&f->zip, i, 64, e);
	if (!text)
		return e->code;
	little = !strcmp(text, "little");
	free(text);
	return little ? 0 : err_set(e, CODE_DATA, "its numbers are not little-endian; save it on a machine that is");
}

/* Finds each storage's member, of the right size. */
static int
place_in_zip(struct ptfile *f, const char *root, size_t prefix, struct err *e)
{
	char name[512], text[96];
	struct storage *s;

	for (s = pickle_storages(f->pickle); s; s = s->next) {
		if (snprintf(name, sizeof name, "%.*sdata/%s", (int)prefix, root, s->key) >= (int)sizeof name ||
		    (s->member = zipin_find(&f->zip, name)) == ZIPIN_NONE)
			return err_set(e, CODE_DATA, "the numbers of storage %s are not in the file", shown(text, s->key));
		if (f->zip.members[s->member].size / dtype_size(s->dtype) != s->count)
			return err_set(e, CODE_DATA, "storage %s should hold %llu numbers (%s); the file has %llu bytes for it", shown(text, s->key),
			               (unsigned long long)s->count, dtype_name(s->dtype), (unsigned long long)f->zip.members[s->member].size);
		if (!f->zip.members[s->member].stored)
			return err_set(e, CODE_DATA, "storage %s is compressed, which torch.save never does; unpack the file and zip it with -0", shown(text, s->key));
	}
	return 0;
}

static int
open_zip(struct ptfile *f, uint64_t start, struct err *e)
{
	size_t member = 0, prefix = 0;
	const char *root;

	if (zipin_open(&f->zip, f->fd, start, f->size, e))
		return e->code;
	f->zipped = true;
	if (find_root(f, &member, &prefix, e))
		return e->code;
	root = f->zip.members[member].name;
	if (!f->zip.members[member].stored)
		return err_set(e, CODE_DATA, "data.pkl is compressed, which torch.save never does; unpack the file and zip it with -0");
	f->text = zipin_load(&f->zip, member, PT_MAX_PICKLE, e);
	if (!f->text || check_byteorder(f, root, prefix, e))
		return e->code;
	f->pickle = pickle_read(f->text, (size_t)f->zip.members[member].size, NULL, NULL, e);
	return f->pickle ? place_in_zip(f, root, prefix, e) : e->code;
}

/* The old container: pickles one behind the other -- magic, version, machine,
 * the object, the keys of its storages -- and then the storages. */

struct legacy {
	size_t n, at; /* bytes of f->text, and how many are behind us */
	bool short_of;
};

static struct pickle *
next_pickle(const struct ptfile *f, struct legacy *l, struct err *e)
{
	size_t used;
	struct pickle *p = pickle_read(f->text + l->at, l->n - l->at, &used, &l->short_of, e);

	if (p)
		l->at += used;
	return p;
}

static int
check_machine(const struct pickle *p, struct err *e)
{
	const struct value *little = value_get(pickle_root(p), "little_endian");

	if (!little || little->kind != VALUE_BOOL || !little->as.truth)
		return err_set(e, CODE_DATA, "its numbers are not little-endian; save it on a machine that is");
	return 0;
}

static int
by_key(const void *a, const void *b)
{
	return strcmp((*(struct storage *const *)a)->key, (*(struct storage *const *)b)->key);
}

/* The first of sorted[n] with this key, or n. */
static size_t
find_key(struct storage **sorted, size_t n, const char *key)
{
	size_t lo = 0, hi = n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (strcmp(sorted[mid]->key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && !strcmp(sorted[lo]->key, key) ? lo : n;
}

/* The storage `key` begins at *at with its count, which moves behind it. */
static int
place_one(struct ptfile *f, struct storage **sorted, size_t n, const char *key, uint64_t *at, struct err *e)
{
	size_t i = find_key(sorted, n, key), size;
	unsigned char head[8];
	char text[96];
	uint64_t count = 0;
	int b;

	if (i == n)
		return err_set(e, CODE_DATA, "storage %s belongs to no tensor", shown(text, key));
	if (f->size - *at < sizeof head)
		return err_set(e, CODE_DATA, "the file ends before storage %s: truncated?", shown(text, key));
	if (infile_read_at(f->fd, head, sizeof head, *at, e))
		return e->code;
	for (b = 8; b-- > 0;)
		count = count << 8 | head[b];
	*at += sizeof head;
	size = dtype_size(sorted[i]->dtype);
	if (count > (f->size - *at) / size)
		return err_set(e, CODE_DATA, "storage %s of %llu numbers goes beyond the end of the file: truncated?",
		               shown(text, key), (unsigned long long)count);
	for (; i < n && !strcmp(sorted[i]->key, key); i++) {
		if (sorted[i]->count != count || dtype_size(sorted[i]->dtype) != size || sorted[i]->at)
			return err_set(e, CODE_DATA, "storage %s: what the file holds is not what its tensors say", shown(text, key));
		sorted[i]->at = *at;
	}
	*at += count * size;
	return 0;
}

static int
place_all(struct ptfile *f, const struct value *keys, struct storage **sorted, size_t n, uint64_t at, struct err *e)
{
	char text[96];
	size_t i;

	for (i = 0; i < keys->as.items.n; i++) {
		if (!value_str(keys->as.items.v[i]))
			return err_set(e, CODE_DATA, "a storage's key is no text");
		if (place_one(f, sorted, n, value_str(keys->as.items.v[i]), &at, e))
			return e->code;
	}
	for (i = 0; i < n; i++)
		if (!sorted[i]->at)
			return err_set(e, CODE_DATA, "the numbers of storage %s are not in the file", shown(text, sorted[i]->key));
	return 0;
}

static int
place_legacy(struct ptfile *f, const struct pickle *keys, uint64_t at, struct err *e)
{
	struct storage *s, **sorted;
	size_t n = 0, i = 0;

	if (pickle_root(keys)->kind != VALUE_LIST)
		return err_set(e, CODE_DATA, "no list of storages");
	for (s = pickle_storages(f->pickle); s; s = s->next)
		n++;
	sorted = malloc((n + 1) * sizeof *sorted);
	if (!sorted)
		return err_memory(e, "storages", n * sizeof *sorted);
	for (s = pickle_storages(f->pickle); s; s = s->next)
		sorted[i++] = s;
	qsort(sorted, n, sizeof *sorted, by_key);
	e->code = 0;
	place_all(f, pickle_root(keys), sorted, n, at, e);
	free(sorted);
	return e->code;
}

/* Tries with the bytes in f->text. */
static int
parse_legacy(struct ptfile *f, struct legacy *l, struct err *e)
{
	struct pickle *p;
	int64_t version;

	l->at = MAGIC_LEN;
	p = next_pickle(f, l, e);
	if (!p)
		return e->code;
	e->code = 0;
	if (!value_int(pickle_root(p), &version) || version != 1001)
		err_set(e, CODE_DATA, "a PyTorch file of an unknown version");
	pickle_free(p);
	p = e->code ? NULL : next_pickle(f, l, e);
	if (!p || check_machine(p, e)) {
		pickle_free(p);
		return e->code;
	}
	pickle_free(p);
	f->pickle = next_pickle(f, l, e);
	p = f->pickle ? next_pickle(f, l, e) : NULL;
	if (p) {
		e->code = 0;
		place_legacy(f, p, l->at, e);
	}
	pickle_free(p);
	return e->code;
}

static int
open_legacy(struct ptfile *f, struct err *e)
{
	size_t most = f->size < PT_MAX_PICKLE ? (size_t)f->size : PT_MAX_PICKLE;
	struct legacy l = {.n = FIRST_TRY / 2};

	do {
		l.n = l.n > most / 2 ? most : 2 * l.n;
		l.short_of = false;
		pickle_free(f->pickle);
		f->pickle = NULL;
		free(f->text);
		f->text = malloc(l.n);
		if (!f->text)
			return err_memory(e, "pickle", l.n);
		if (infile_read_at(f->fd, f->text, l.n, 0, e))
			return e->code;
		e->code = 0;
	} while (parse_legacy(f, &l, e) && l.short_of && l.n < most);
	return e->code;
}

/* A line of JSON, and an archive behind it. */
static int
open_behind_line(struct ptfile *f, struct err *e)
{
	size_t n = f->size < MAX_PREFACE ? (size_t)f->size : MAX_PREFACE;
	char *end;

	f->preface = malloc(n + 1);
	if (!f->preface)
		return err_memory(e, "first line", n);
	if (infile_read_at(f->fd, f->preface, n, 0, e))
		return e->code;
	end = memchr(f->preface, '\n', n);
	if (!end || (size_t)(f->preface + n - end) <= 4 || memcmp(end + 1, ZIP_MAGIC, 4))
		return err_set(e, CODE_DATA, "not a PyTorch file: it begins with {, and no zip archive follows on the first line");
	*end = 0;
	return open_zip(f, (uint64_t)(end - f->preface) + 1, e);
}

bool
pt_begins(const unsigned char *head, size_t n)
{
	return n >= MAGIC_LEN && !memcmp(head, PT_LEGACY_MAGIC, MAGIC_LEN);
}

static int
open_any(struct ptfile *f, struct err *e)
{
	unsigned char head[INFILE_SNIFF];
	char what[160];
	size_t n = f->size < sizeof head ? (size_t)f->size : sizeof head;

	if (infile_read_at(f->fd, head, n, 0, e))
		return e->code;
	if (n >= 4 && !memcmp(head, ZIP_MAGIC, 4))
		return open_zip(f, 0, e);
	if (pt_begins(head, n))
		return open_legacy(f, e);
	if (n && head[0] == '{')
		return open_behind_line(f, e);
	if (n > 1 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
		return err_set(e, CODE_DATA, "not a PyTorch file but a bare pickle; save it with torch.save, numpy.save or as safetensors");
	infile_sniff(head, n, what, sizeof what);
	return err_set(e, CODE_DATA, "not a PyTorch file: %s", what);
}

/* fd is taken over in any case. */
static int
begin(struct ptfile *f, const char *path, int fd, uint64_t size, struct err *e)
{
	*f = (struct ptfile){.path = strdup(path), .fd = fd, .size = size};
	if (!f->path)
		err_memory(e, "PyTorch file", strlen(path));
	else if (!open_any(f, e)) {
		f->root = pickle_root(f->pickle);
		return 0;
	}
	pt_close(f);
	return e->code;
}

int
pt_open_fd(struct ptfile *f, int fd, uint64_t size, struct err *e)
{
	return begin(f, "", fd, size, e);
}

int
pt_open(struct ptfile *f, const char *path, struct err *e)
{
	uint64_t size;
	int fd;

	if (infile_open(path, &fd, &size, e) || begin(f, path, fd, size, e))
		return infile_blame(e, path);
	return 0;
}

void
pt_close(struct ptfile *f)
{
	if (f->zipped)
		zipin_close(&f->zip);
	if (f->fd >= 0)
		close(f->fd);
	pickle_free(f->pickle);
	free(f->text);
	free(f->preface);
	free(f->path);
	memset(f, 0, sizeof *f);
	f->fd = -1;
}

/* Where the storage's bytes are, and their checksum. */
static int
place(struct ptfile *f, const struct storage *s, struct array *a, struct err *e)
{
	const struct zipin_member *m;

	*a = (struct array){.fd = f->fd, .mem = s->mem, .dtype = s->dtype, .swap = s->swap, .at = s->at};
	if (s->mem || !f->zipped)
		return 0;
	m = &f->zip.members[s->member];
	if (zipin_where(&f->zip, s->member, &a->from, e))
		return e->code;
	a->at = a->from;
	a->bytes = m->size;
	a->crc = m->crc;
	a->summed = true;
	return 0;
}

/* The last two dimensions of t, from element `offset` of its storage. */
static void
lay_out(struct array *a, const struct value_tensor *t, uint64_t offset)
{
	size_t size = dtype_size(a->dtype);
	unsigned n = t->ndim;

	a->at += offset * size;
	a->rows = n > 1 ? t->shape[n - 2] : 1;
	a->cols = n ? t->shape[n - 1] : 1;
	a->col_step = a->cols > 1 ? t->stride[n - 1] * size : size;
	a->row_step = a->rows > 1 ? t->stride[n - 2] * size : a->cols * a->col_step;
}

int
pt_array(struct ptfile *f, const struct value *tensor, struct array *a, struct err *e)
{
	const struct value_tensor *t = tensor->as.tensor;

	if (t->ndim > 2)
		return err_set(e, CODE_DATA, "a tensor of %u dimensions: 2 are needed, rows and columns (1 is taken as one row)", t->ndim);
	if (place(f, t->storage, a, e))
		return e->code;
	lay_out(a, t, t->offset);
	return 0;
}

/* The matrices of a tensor of more dimensions, one after the other. */
static int
read_matrices(struct ptfile *f, const struct value_tensor *t, float *dst, struct err *e)
{
	uint64_t index[VALUE_MAX_DIMS] = {0}, offset, count = 1, i, at;
	unsigned outer = t->ndim > 2 ? t->ndim - 2 : 0, k;
	struct array a;

	if (place(f, t->storage, &a, e))
		return e->code;
	if (array_verify(&a, e)) {
		array_free(&a);
		return e->code;
	}
	a.summed = false;
	for (at = a.at, k = 0; k < outer; k++)
		count *= t->shape[k];
	for (i = 0; i < count; i++) {
		for (offset = t->offset, k = 0; k < outer; k++)
			offset += index[k] * t->stride[k];
		a.at = at;
		lay_out(&a, t, offset);
		if (array_read(&a, 0, (size_t)a.rows, dst, e))
			break;
		dst += a.rows * a.cols;
		for (k = outer; k-- > 0 && ++index[k] == t->shape[k];)
			index[k] = 0;
	}
	array_free(&a);
	return i < count ? e->code : 0;
}

int
pt_read_f32(struct ptfile *f, const struct value *tensor, float *dst, struct err *e)
{
	const struct value_tensor *t = tensor->as.tensor;
	struct array a = {0};
	uint64_t count = 1;
	unsigned k;

	for (k = 0; k < t->ndim; k++)
		count *= t->shape[k];
	if (!count)
		return 0;
	e->code = 0;
	if (t->ndim > 2)
		read_matrices(f, t, dst, e);
	else if (!pt_array(f, tensor, &a, e))
		array_read(&a, 0, (size_t)a.rows, dst, e);
	array_free(&a);
	return e->code ? infile_blame(e, f->path) : 0;
}

bool
pt_number(struct ptfile *f, const struct value *v, const char *name, double *out, struct err *e)
{
	char what[96], text[96];
	const struct value_tensor *t;
	uint64_t count = 1;
	float x;
	unsigned k;

	if (value_real(v, out))
		return true;
	if (v && v->kind == VALUE_TENSOR) {
		for (t = v->as.tensor, k = 0; k < t->ndim; k++)
			count *= t->shape[k];
		if (count == 1) {
			if (pt_read_f32(f, v, &x, e))
				return false;
			*out = (double)x;
			return true;
		}
	}
	err_set(e, CODE_DATA, "%s: %s where a number is needed", shown(text, name), v ? value_what(v, what, sizeof what) : "nothing");
	infile_blame(e, f->path);
	return false;
}
