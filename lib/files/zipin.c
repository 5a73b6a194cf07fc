#include "files/zipin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "files/zipsource.h"

struct zipin_stream {
	zip_file_t *f;
	const char *name;
	uint64_t left;
};

static int
refuse(struct err *e, const char *what, zip_error_t *why)
{
	switch (zip_error_code_zip(why)) {
	case ZIP_ER_MEMORY: return err_set(e, CODE_TRYAGAIN, "%s: out of memory", what);
	case ZIP_ER_READ: return err_set(e, CODE_IO, "%s: cannot read", what);
	case ZIP_ER_EXISTS: return err_set(e, CODE_DATA, "%s: two members of one name", what);
	case ZIP_ER_NOZIP: return err_set(e, CODE_DATA, "%s: its directory, at the end, is missing or broken: truncated?", what);
	default: return err_set(e, CODE_DATA, "%s: %s", what, zip_error_strerror(why));
	}
}

static int
open_archive(struct zipin *z, int fd, uint64_t start, uint64_t size, struct err *e)
{
	zip_error_t why;
	zip_source_t *from;

	zip_error_init(&why);
	from = zipsource_new(z->source, fd, start, size - start, false, &why);
	if (from)
		z->archive = zip_open_from_source(from, ZIP_RDONLY | ZIP_CHECKCONS, &why);
	if (!z->archive) {
		refuse(e, "broken zip archive", &why);
		zip_source_free(from);
	}
	zip_error_fini(&why);
	return z->archive ? 0 : e->code;
}

static const char *
shown(char out[96], const char *name)
{
	return text_printable(out, 96, name, strlen(name));
}

static int
describe(struct zipin *z, size_t i, struct err *e)
{
	struct zipin_member *m = &z->members[i];
	char name[96];
	zip_stat_t st;

	if (zip_stat_index(z->archive, i, ZIP_FL_ENC_RAW, &st))
		return refuse(e, "broken zip archive", zip_get_error(z->archive));
	m->name = st.name;
	if (!text_utf8_valid(st.name, strlen(st.name)))
		return err_set(e, CODE_DATA, "zip member \"%s\": its name is not UTF-8", shown(name, st.name));
	if (st.encryption_method != ZIP_EM_NONE)
		return err_set(e, CODE_DATA, "zip member %s is encrypted", shown(name, st.name));
	if (st.comp_method != ZIP_CM_STORE && st.comp_method != ZIP_CM_DEFLATE)
		return err_set(e, CODE_DATA, "zip member %s is packed by method %u: stored and deflated are understood",
		               shown(name, st.name), st.comp_method);
	m->size = st.size;
	m->crc = st.crc;
	m->stored = st.comp_method == ZIP_CM_STORE;
	if (m->stored && st.comp_size != st.size)
		return err_set(e, CODE_DATA, "zip member %s: stored, but its two sizes differ", shown(name, st.name));
	if (st.comp_size > z->source->size)
		return err_set(e, CODE_DATA, "zip member %s claims %llu bytes; the whole file holds %llu: truncated?",
		               shown(name, st.name), (unsigned long long)st.comp_size, (unsigned long long)z->source->size);
	return 0;
}

/* Heapsort: qsort passes no context, and names lie behind an index. */
static void
sift(size_t *v, size_t i, size_t n, const struct zipin_member *m)
{
	size_t child, t = v[i];

	for (; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && strcmp(m[v[child]].name, m[v[child + 1]].name) < 0)
			child++;
		if (strcmp(m[t].name, m[v[child]].name) >= 0)
			break;
		v[i] = v[child];
	}
	v[i] = t;
}

static void
sort_names(struct zipin *z)
{
	size_t *v = z->sorted, i, t;

	for (i = 0; i < z->n; i++)
		v[i] = i;
	for (i = z->n / 2; i-- > 0;)
		sift(v, i, z->n, z->members);
	for (i = z->n; i-- > 1;) {
		t = v[0];
		v[0] = v[i];
		v[i] = t;
		sift(v, 0, i, z->members);
	}
}

static int
read_directory(struct zipin *z, struct err *e)
{
	zip_int64_t n = zip_get_num_entries(z->archive, 0);
	char name[96];
	size_t i;

	if (n < 0 || (uint64_t)n > ZIPIN_MAX_MEMBERS)
		return err_set(e, CODE_DATA, "zip archive of %lld members: at most %zu are accepted", (long long)n, ZIPIN_MAX_MEMBERS);
	z->n = (size_t)n;
	z->members = calloc(z->n + 1, sizeof *z->members);
	z->sorted = calloc(z->n + 1, sizeof *z->sorted);
	if (!z->members || !z->sorted)
		return err_memory(e, "zip directory", z->n * sizeof *z->members);
	for (i = 0; i < z->n; i++)
		if (describe(z, i, e))
			return e->code;
	sort_names(z);
	for (i = 1; i < z->n; i++)
		if (!strcmp(z->members[z->sorted[i - 1]].name, z->members[z->sorted[i]].name))
			return err_set(e, CODE_DATA, "zip member %s is there twice", shown(name, z->members[z->sorted[i]].name));
	return 0;
}

int
zipin_open(struct zipin *z, int fd, uint64_t start, uint64_t size, struct err *e)
{
	memset(z, 0, sizeof *z);
	z->source = calloc(1, sizeof *z->source);
	if (!z->source)
		return err_memory(e, "zip archive", sizeof *z->source);
	if (!open_archive(z, fd, start, size, e) && !read_directory(z, e))
		return 0;
	zipin_close(z);
	return e->code;
}

void
zipin_close(struct zipin *z)
{
	if (z->archive)
		zip_discard(z->archive);
	if (z->source)
		zip_error_fini(&z->source->error);
	free(z->source);
	free(z->members);
	free(z->sorted);
	memset(z, 0, sizeof *z);
}

size_t
zipin_find(const struct zipin *z, const char *name)
{
	size_t lo = 0, hi = z->n, mid;
	int order;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		order = strcmp(name, z->members[z->sorted[mid]].name);
		if (!order)
			return z->sorted[mid];
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return ZIPIN_NONE;
}

struct zipin_stream *
zipin_member(struct zipin *z, size_t i, struct err *e)
{
	struct zipin_stream *m = calloc(1, sizeof *m);
	char name[96], what[128];

	if (!m) {
		err_memory(e, "zip member", sizeof *m);
		return NULL;
	}
	m->name = z->members[i].name;
	m->left = z->members[i].size;
	m->f = zip_fopen_index(z->archive, i, 0);
	if (m->f)
		return m;
	snprintf(what, sizeof what, "zip member %s", shown(name, m->name));
	refuse(e, what, zip_get_error(z->archive));
	free(m);
	return NULL;
}

ssize_t
zipin_read(struct zipin_stream *m, void *p, size_t n, struct err *e)
{
	char name[96], what[128], extra;
	size_t got = 0, most = n < m->left ? n : (size_t)m->left;
	zip_int64_t r = 0;

	while (got < most && (r = zip_fread(m->f, (char *)p + got, most - got)) > 0)
		got += (size_t)r;
	m->left -= got;
	if (got == n)
		return (ssize_t)got;
	/* libzip looks at the checksum when it meets the end */
	if (got == most && (r = zip_fread(m->f, &extra, 1)) == 0)
		return (ssize_t)got;
	snprintf(what, sizeof what, "zip member %s", shown(name, m->name));
	if (r < 0)
		refuse(e, what, zip_file_get_error(m->f));
	else
		err_set(e, CODE_DATA, "%s: unpacks to %s bytes than the directory says", what, r ? "more" : "fewer");
	return -1;
}

void
zipin_member_close(struct zipin_stream *m)
{
	if (m)
		zip_fclose(m->f);
	free(m);
}

int
zipin_where(struct zipin *z, size_t i, uint64_t *at, struct err *e)
{
	struct zipin_member *m = &z->members[i];
	struct zipin_stream *s;
	char name[96], byte;
	zip_int64_t got;

	*at = z->source->start;
	if (!m->stored)
		return err_set(e, CODE_DATA, "zip member %s is compressed", shown(name, m->name));
	if (!m->size)
		return 0;
	s = zipin_member(z, i, e);
	if (!s)
		return e->code;
	/* libzip does not say where a member lies, but asks our source for it */
	got = zip_fread(s->f, &byte, 1);
	*at += z->source->read_at;
	if (got < 0)
		refuse(e, "zip member", zip_file_get_error(s->f));
	else if (got == 0 || z->source->read_at > z->source->size || m->size > z->source->size - z->source->read_at)
		err_set(e, CODE_DATA, "zip member %s claims %llu bytes and goes beyond the end of the file: truncated?",
		        shown(name, m->name), (unsigned long long)m->size);
	else
		e->code = 0;
	zipin_member_close(s);
	return e->code;
}

char *
zipin_load(struct zipin *z, size_t i, size_t max, struct err *e)
{
	struct zipin_member *m = &z->members[i];
	struct zipin_stream *s;
	char name[96], *text;

	if (m->size > max) {
		err_set(e, CODE_DATA, "zip member %s of %llu bytes: at most %zu are accepted", shown(name, m->name),
		        (unsigned long long)m->size, max);
		return NULL;
	}
	text = malloc((size_t)m->size + 1);
	s = text ? zipin_member(z, i, e) : NULL;
	if (!text)
		err_memory(e, "zip member", m->size);
	/* one byte more than there are, so that the end is met and checked */
	if (s && zipin_read(s, text, (size_t)m->size + 1, e) >= 0) {
		zipin_member_close(s);
		text[m->size] = 0;
		return text;
	}
	zipin_member_close(s);
	free(text);
	return NULL;
}
