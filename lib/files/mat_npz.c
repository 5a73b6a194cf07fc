/* npz: a zip of .npy members. Stored ones are read by position like any npy
 * file, deflated ones in order. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files/matback.h"

struct npz {
	struct zipin zip;
	bool open;
	struct npyin r;
	struct source *member;
};

static int
next_deflated(struct matfile *f, size_t most, float *x, struct matnames *names, size_t *got, struct err *e)
{
	struct npz *z = f->state;
	char extra;

	(void)names;
	*got = z->r.left < most ? (size_t)z->r.left : most;
	if (npyin_rows(&z->r, z->member, *got, x, e))
		return e->code;
	/* bytes behind the array are let pass, but the checksum is looked at */
	while (!z->r.left && *got)
		switch (source_read(z->member, &extra, 1, e)) {
		case -1: return e->code;
		case 0: return 0;
		}
	return 0;
}

static void
close_npz(struct matfile *f)
{
	struct npz *z = f->state;

	if (!z)
		return;
	source_close(z->member);
	npyin_free(&z->r);
	if (z->open)
		zipin_close(&z->zip);
	free(z);
}

static const struct matback stored_back = {NULL, close_npz}, deflated_back = {next_deflated, close_npz};

static int
begin(struct matfile *f, struct err *e)
{
	struct npz *z = f->state = calloc(1, sizeof *z);

	f->back = &deflated_back;
	if (!z)
		return err_memory(e, "npz", sizeof *z);
	z->open = !zipin_open(&z->zip, f->fd, 0, f->size, e);
	return z->open ? 0 : e->code;
}

/* Header of member i; source and npyin are left at its first number. */
static int
open_member(struct npz *z, size_t i, enum dtype void2, struct err *e)
{
	source_close(z->member);
	z->member = source_member(&z->zip, i, e);
	return z->member ? npyin_begin(&z->r, z->member, void2, e) : e->code;
}

/* Members NAME.npy, of any shape, under NAME. */
static int
list(struct npz *z, enum dtype void2, struct matlist *l, struct err *e)
{
	struct matlist_entry *m;
	struct err why = {0};
	char *name;
	size_t i, n;

	for (i = 0; i < z->zip.n; i++) {
		n = strlen(z->zip.members[i].name);
		if (n < 5 || strcmp(z->zip.members[i].name + n - 4, ".npy"))
			continue;
		name = strndup(z->zip.members[i].name, n - 4);
		m = name ? matlist_add(l, name, e) : NULL;
		free(name);
		if (!m)
			return name ? e->code : err_memory(e, "npz", n);
		m->index = i;
		memset(&z->r.h, 0, sizeof z->r.h);
		strcpy(m->dtype, "?"); /* stays where the header is refused: whoever picks it is told why */
		if (open_member(z, i, void2, &why) && why.code != CODE_DATA)
			return *e = why, e->code;
		m->ndim = z->r.h.dtype ? z->r.h.ndim : 1;
		memcpy(m->shape, z->r.h.shape, sizeof z->r.h.shape);
		if (z->r.h.dtype)
			strcpy(m->dtype, dtype_name(z->r.h.dtype));
		else
			m->shape[0] = MATFILE_UNKNOWN;
	}
	return 0;
}

int
mat_list_npz(struct matfile *f, const struct matfile_opts *o, struct matlist *l, struct err *e)
{
	return begin(f, e) ? e->code : list(f->state, o->dtype, l, e);
}

/* Unpacks a member that has to be read by position, into a temporary file that
 * takes the place of the archive's. */
static int
unpack(struct matfile *f, size_t i, struct err *e)
{
	struct npz *z = f->state;
	int fd;

	source_close(z->member);
	z->member = source_member(&z->zip, i, e);
	fd = z->member ? source_spool(z->member, &f->size, e) : -1;
	if (fd < 0)
		return e->code;
	source_close(z->member);
	z->member = NULL;
	zipin_close(&z->zip);
	z->open = false;
	close(f->fd);
	f->fd = fd;
	return 0;
}

static int
lay_out(struct matfile *f, uint64_t member_at, const struct zipin_member *m, struct err *e)
{
	struct npz *z = f->state;
	struct array *a = &f->array;
	uint64_t row = z->r.cols * dtype_size(z->r.h.dtype), have = f->size - member_at;

	if (m)
		have = m->size;
	*a = (struct array){.fd = f->fd, .at = member_at + z->r.head, .rows = z->r.rows, .cols = z->r.cols, .dtype = z->r.h.dtype, .swap = z->r.h.swap,
	                    .summed = m != NULL, .from = member_at, .bytes = m ? m->size : 0, .crc = m ? m->crc : 0};
	if (z->r.h.fortran)
		array_fortran(a);
	else
		array_dense(a);
	if (z->r.rows * row <= have - z->r.head)
		return 0;
	return err_set(e, CODE_DATA, "header claims %llu rows of %llu numbers (%s), the member holds %llu bytes", (unsigned long long)z->r.rows,
	               (unsigned long long)z->r.cols, dtype_name(z->r.h.dtype), (unsigned long long)have);
}

static int
open_picked(struct matfile *f, size_t i, enum dtype void2, struct err *e)
{
	struct npz *z = f->state;
	const struct zipin_member *m = &z->zip.members[i];
	bool columns;
	uint64_t at = 0;
	int code;

	memset(&z->r.h, 0, sizeof z->r.h);
	code = open_member(z, i, void2, e);
	columns = z->r.h.fortran && z->r.h.ndim == 2 && z->r.rows > 1 && z->r.cols > 1;
	if (code && !columns)
		return code;
	f->rows = z->r.rows;
	f->cols = z->r.cols;
	f->dtype = z->r.h.dtype;
	f->random = m->stored || columns;
	if (!f->random)
		return 0;
	f->back = &stored_back;
	if (m->stored)
		return zipin_where(&z->zip, i, &at, e) ? e->code : lay_out(f, at, m, e);
	return unpack(f, i, e) ? e->code : lay_out(f, 0, NULL, e);
}

/* Why a zip without arrays may have been given. */
static int
no_arrays(const struct npz *z, struct err *e)
{
	size_t i, n;

	for (i = 0; i < z->zip.n; i++) {
		n = strlen(z->zip.members[i].name);
		if (n >= 9 && !strcmp(z->zip.members[i].name + n - 9, "/data.pkl"))
			return err_set(e, CODE_DATA, "a zip archive that looks like a PyTorch file; say --format pt");
	}
	return err_set(e, CODE_DATA, "a zip archive without .npy members: holds no array of numbers");
}

int
mat_open_npz(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	const struct matlist_entry *m;
	struct matlist l = {0};
	int code;

	if (begin(f, e))
		return e->code;
	code = list(f->state, o->dtype, &l, e) || (!l.n && no_arrays(f->state, e)) ? e->code : 0;
	if (!code) {
		m = matlist_pick(&l, o->key, e);
		code = m ? open_picked(f, m->index, o->dtype, e) : e->code;
		if (code && m && *m->name)
			mat_blame("array", m->name, e);
	}
	matlist_free(&l);
	return code;
}
