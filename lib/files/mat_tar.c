/* tar of .npy members, as WebDataset shards are: each member's rows in order,
 * the member's name without its extension as their key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "files/matback.h"

#define BLOCK 512
#define MAX_NAME 4096
#define MAX_EXTRA ((uint64_t)1 << 20) /* of a long name or a pax header */

struct tar {
	struct npyin r;
	char *name;      /* of the member whose rows come now */
	uint64_t left;   /* bytes of it, with its padding, behind what was read */
	uint64_t row;    /* of the member */
	bool started;    /* a member is being read */
	bool single;     /* it holds one row */
	char *suffix;    /* what members end in: ".npy", or "." KEY ".npy" */
	uint64_t number; /* members of arrays so far */
};

/* A number of a header: octal digits, or base 256 when the first bit says so. */
static bool
get_number(const unsigned char *p, size_t n, uint64_t *v)
{
	size_t i = 0;

	*v = 0;
	if (p[0] & 0x80) {
		for (*v = p[0] & 0x7f, i = 1; i < n; i++) {
			if (*v >> 55)
				return false;
			*v = *v << 8 | p[i];
		}
		return true;
	}
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
		if (*v >> 60)
			return false;
		*v = *v << 3 | (uint64_t)(p[i] - '0');
	}
	return i == n || p[i] == 0 || p[i] == ' ';
}

/* The sum over the header with blanks in place of the sum. */
static bool
is_header(const unsigned char *h)
{
	uint64_t want, sum = 0;
	size_t i;

	for (i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : h[i];
	return get_number(h + 148, 8, &want) && want == sum;
}

static uint64_t
padded(uint64_t n)
{
	return (n + BLOCK - 1) / BLOCK * BLOCK;
}

/* "path" of a pax header: records LENGTH KEY=VALUE\n. */
static void
pax_path(const char *text, size_t n, char *name)
{
	const char *p = text, *end = text + n, *key;
	unsigned long len;
	char *after;

	while (p < end) {
		len = strtoul(p, &after, 10);
		if (*after != ' ' || len < 5 || len > (size_t)(end - p) || after - p >= (long)len)
			return;
		key = after + 1;
		if (p + len - key > 5 && !memcmp(key, "path=", 5) && p + len - 1 - (key + 5) < MAX_NAME)
			snprintf(name, MAX_NAME, "%.*s", (int)(p + len - 1 - (key + 5)), key + 5);
		p += len;
	}
}

/* A long name of GNU tar, or a pax header, into name. */
static int
read_extra(struct source *src, uint64_t size, bool pax, char *name, struct err *e)
{
	char *text;
	ssize_t got;

	if (size > MAX_EXTRA)
		return err_set(e, CODE_DATA, "tar: an extended header of %llu bytes", (unsigned long long)size);
	text = malloc((size_t)padded(size) + 1);
	if (!text)
		return err_memory(e, "tar", size);
	got = source_read(src, text, (size_t)padded(size), e);
	e->code = got < 0 ? e->code : (uint64_t)got < size ? err_set(e, CODE_DATA, "tar: ends within an extended header: truncated?") : 0;
	if (!e->code) {
		text[size] = 0;
		if (pax)
			pax_path(text, (size_t)size, name);
		else
			snprintf(name, MAX_NAME, "%s", text);
	}
	free(text);
	return e->code;
}

static void
header_name(const unsigned char *h, char *name)
{
	bool prefix = !memcmp(h + 257, "ustar", 5) && h[345];

	snprintf(name, MAX_NAME, "%.*s%s%.*s", prefix ? 155 : 0, (const char *)h + 345, prefix ? "/" : "", 100, (const char *)h);
}

/* The next header of a file: 1 with name[MAX_NAME] and size, 0 at the end, -1. */
static int
next_header(struct source *src, char *name, uint64_t *size, struct err *e)
{
	static const unsigned char zeros[BLOCK];
	unsigned char h[BLOCK];
	ssize_t got;

	for (*name = 0;;) {
		got = source_read(src, h, BLOCK, e);
		if (got < 0)
			return -1;
		if (got == 0 || (got == BLOCK && !memcmp(h, zeros, BLOCK)))
			return 0;
		if (got < BLOCK || !is_header(h) || !get_number(h + 124, 12, size) || *size > INT64_MAX) {
			err_set(e, CODE_DATA, got < BLOCK ? "tar: ends within a header: truncated?" : "tar: a header is broken");
			return -1;
		}
		if (h[156] == 'L' || h[156] == 'x') {
			if (read_extra(src, *size, h[156] == 'x', name, e))
				return -1;
			continue;
		}
		if (!*name)
			header_name(h, name);
		if (h[156] == '0' || h[156] == 0 || h[156] == '7')
			return 1;
		/* directories, links, global headers */
		if (source_skip(src, h[156] == 'g' || h[156] == 'K' ? padded(*size) : 0, e))
			return -1;
		*name = 0;
	}
}

static bool
ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && !strcmp(s + n - m, end);
}

static int
blame(const char *name, struct err *e)
{
	char text[160];

	return err_add(e, "member %s", text_printable(text, sizeof text, name, strlen(name)));
}

static int
begin_member(struct matfile *f, char *name, uint64_t size, enum dtype void2, struct err *e)
{
	struct tar *t = f->state;
	uint64_t bytes;

	t->r.rows = 0;
	if (npyin_begin(&t->r, f->src, void2, e))
		return blame(name, e);
	bytes = t->r.rows * t->r.cols * dtype_size(t->r.h.dtype);
	if (t->r.head > size || bytes > size - t->r.head)
		return err_set(e, CODE_DATA, "header claims %llu rows of %llu numbers, the member holds %llu bytes",
		               (unsigned long long)t->r.rows, (unsigned long long)t->r.cols, (unsigned long long)size), blame(name, e);
	if (f->cols && t->r.cols != f->cols)
		return err_set(e, CODE_DATA, "%llu columns, the members before it have %llu",
		               (unsigned long long)t->r.cols, (unsigned long long)f->cols), blame(name, e);
	t->left = padded(size) - t->r.head - bytes;
	t->row = 0;
	t->single = t->r.rows == 1;
	t->started = true;
	t->number++;
	name[strlen(name) - strlen(t->suffix)] = 0;
	free(t->name);
	t->name = strdup(name);
	return t->name ? 0 : err_memory(e, "tar", strlen(name));
}

/* Goes to the next member that holds an array: 1, 0 at the end, -1. */
static int
next_member(struct matfile *f, enum dtype void2, struct err *e)
{
	struct tar *t = f->state;
	char name[MAX_NAME];
	uint64_t size;
	int got;

	if (t->started && source_skip(f->src, t->left, e))
		return -1;
	t->started = false;
	while ((got = next_header(f->src, name, &size, e)) > 0) {
		if (ends_in(name, t->suffix))
			return begin_member(f, name, size, void2, e) ? -1 : 1;
		if (source_skip(f->src, padded(size), e))
			return -1;
	}
	return got;
}

/* NAME of a member with one row, NAME/0, NAME/1 ... of one with several. */
static int
put_names(struct tar *t, size_t n, struct buf *to, struct err *e)
{
	char key[MAX_NAME + 32];
	size_t i;

	for (i = 0; i < n; i++, t->row++) {
		if (t->single)
			snprintf(key, sizeof key, "%s", t->name);
		else
			snprintf(key, sizeof key, "%s/%llu", t->name, (unsigned long long)t->row);
		if (matnames_put(to, key, strlen(key), e))
			return blame(t->name, e);
	}
	return 0;
}

static int
next_tar(struct matfile *f, size_t most, float *x, struct matnames *names, size_t *got, struct err *e)
{
	struct tar *t = f->state;
	size_t n;
	int more;

	for (*got = 0; *got < most; *got += n, x += n * (size_t)f->cols) {
		while (!t->started || !t->r.left) {
			more = next_member(f, f->array.dtype, e);
			if (more <= 0)
				return more ? e->code : 0;
		}
		n = t->r.left < most - *got ? (size_t)t->r.left : most - *got;
		if (npyin_rows(&t->r, f->src, n, x, e))
			return blame(t->name, e);
		if (names && put_names(t, n, &names->id, e))
			return e->code;
	}
	return 0;
}

static void
close_tar(struct matfile *f)
{
	struct tar *t = f->state;

	if (!t)
		return;
	npyin_free(&t->r);
	free(t->name);
	free(t->suffix);
	free(t);
}

static const struct matback tar_back = {next_tar, close_tar};

int
mat_open_tar(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	struct tar *t = f->state = calloc(1, sizeof *t);
	size_t n = strlen(o->key ? o->key : "") + 8;
	int got;

	f->back = &tar_back;
	if (t)
		t->suffix = malloc(n);
	if (!t || !t->suffix)
		return err_memory(e, "tar", n);
	snprintf(t->suffix, n, "%s%s.npy", o->key ? "." : "", o->key ? o->key : "");
	f->array.dtype = o->dtype; /* what |V2 means in members to come */
	got = next_member(f, o->dtype, e);
	if (got < 0)
		return e->code;
	if (!got)
		return err_set(e, CODE_DATA, "a tar without members that end in %s", t->suffix);
	f->rows = MATFILE_UNKNOWN;
	f->cols = t->r.cols;
	f->dtype = t->r.h.dtype;
	f->has_ids = true;
	return 0;
}
