/* safetensors and PyTorch files: containers of named tensors, read by position. */
#include <stdlib.h>
#include <string.h>

#include "files/matback.h"
#include "files/ptfile.h"
#include "files/safetensors.h"

static void
close_safetensors(struct matfile *f)
{
	if (f->state)
		st_close(f->state);
	free(f->state);
}

static const struct matback safetensors_back = {NULL, close_safetensors};

/* f->fd goes over to the file's own struct. */
static int
begin_safetensors(struct matfile *f, struct err *e)
{
	struct st_file *st = malloc(sizeof *st);
	int fd = f->fd;

	if (!st)
		return err_memory(e, "safetensors", sizeof *st);
	f->fd = -1;
	if (st_open_fd(st, fd, f->size, e)) {
		free(st);
		return e->code;
	}
	f->state = st;
	f->back = &safetensors_back;
	return 0;
}

static int
list_safetensors(const struct st_file *st, struct matlist *l, struct err *e)
{
	const struct st_tensor *t;
	struct matlist_entry *m;
	size_t i;

	for (i = 0; i < st->ntensors; i++) {
		t = &st->tensors[i];
		m = matlist_add(l, t->name, e);
		if (!m)
			return e->code;
		m->what = t;
		m->ndim = t->ndim;
		memcpy(m->shape, t->shape, sizeof t->shape);
		strcpy(m->dtype, t->dtype ? dtype_name(t->dtype) : t->dtype_text);
	}
	return 0;
}

int
mat_list_safetensors(struct matfile *f, const struct matfile_opts *o, struct matlist *l, struct err *e)
{
	(void)o;
	return begin_safetensors(f, e) ? e->code : list_safetensors(f->state, l, e);
}

/* Rows and columns as npy's rules have them. */
static int
take_shape(struct matfile *f, unsigned ndim, const uint64_t *shape, enum dtype type, struct err *e)
{
	struct npy_header h = {.dtype = type, .ndim = ndim};

	memcpy(h.shape, shape, (ndim < NPY_KEPT_DIMS ? ndim : NPY_KEPT_DIMS) * sizeof *shape);
	f->dtype = type;
	f->random = true;
	return npy_shape(&h, &f->rows, &f->cols, e);
}

static int
open_tensor(struct matfile *f, const struct st_tensor *t, struct err *e)
{
	const struct st_file *st = f->state;

	if (!t->dtype)
		return err_set(e, CODE_DATA, "numbers of type %s are not understood; store them as F32", t->dtype_text);
	if (take_shape(f, t->ndim, t->shape, t->dtype, e))
		return e->code;
	f->array = (struct array){.fd = st->fd, .at = t->at, .rows = f->rows, .cols = f->cols, .dtype = t->dtype};
	array_dense(&f->array);
	return 0;
}

int
mat_open_safetensors(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	const struct matlist_entry *m;
	struct matlist l = {0};
	int code;

	if (begin_safetensors(f, e))
		return e->code;
	code = list_safetensors(f->state, &l, e);
	if (!code) {
		m = matlist_pick(&l, o->key, e);
		code = m ? open_tensor(f, m->what, e) : e->code;
		if (code && m)
			mat_blame("tensor", m->name, e);
	}
	matlist_free(&l);
	return code;
}

static void
close_pt(struct matfile *f)
{
	if (f->state)
		pt_close(f->state);
	free(f->state);
}

static const struct matback pt_back = {NULL, close_pt};

static int
begin_pt(struct matfile *f, struct err *e)
{
	struct ptfile *pt = malloc(sizeof *pt);
	int fd = f->fd;

	if (!pt)
		return err_memory(e, "PyTorch file", sizeof *pt);
	f->fd = -1;
	if (pt_open_fd(pt, fd, f->size, e)) {
		free(pt);
		return e->code;
	}
	f->state = pt;
	f->back = &pt_back;
	return 0;
}

struct collect {
	struct matlist *l;
	struct err *e;
};

static int
collect_tensor(const char *path, const struct value *v, void *arg)
{
	struct collect *c = arg;
	struct matlist_entry *m;

	if (v->kind != VALUE_TENSOR)
		return 0;
	m = matlist_add(c->l, path, c->e);
	if (!m)
		return c->e->code;
	m->what = v;
	m->ndim = v->as.tensor->ndim;
	memcpy(m->shape, v->as.tensor->shape, sizeof v->as.tensor->shape);
	strcpy(m->dtype, dtype_name(v->as.tensor->storage->dtype));
	return 0;
}

int
mat_list_pt(struct matfile *f, const struct matfile_opts *o, struct matlist *l, struct err *e)
{
	struct collect c = {l, e};

	(void)o;
	return begin_pt(f, e) ? e->code : value_each(((struct ptfile *)f->state)->root, collect_tensor, &c);
}

static int
open_value(struct matfile *f, const struct value *v, struct err *e)
{
	const struct value_tensor *t = v->as.tensor;

	if (take_shape(f, t->ndim, t->shape, t->storage->dtype, e))
		return e->code;
	return pt_array(f->state, v, &f->array, e);
}

/* key as a path first, which also finds what a walk passes over. */
int
mat_open_pt(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	const struct matlist_entry *m;
	const struct value *v = NULL;
	struct matlist l = {0};
	struct collect c = {&l, e};
	int code;

	if (begin_pt(f, e))
		return e->code;
	if (o->key)
		v = value_get(((struct ptfile *)f->state)->root, o->key);
	if (v && v->kind == VALUE_TENSOR)
		return open_value(f, v, e) ? mat_blame("tensor", o->key, e) : 0;
	code = value_each(((struct ptfile *)f->state)->root, collect_tensor, &c);
	if (!code) {
		m = matlist_pick(&l, o->key, e);
		code = m ? open_value(f, m->what, e) : e->code;
		if (code && m && *m->name)
			mat_blame("tensor", m->name, e);
	}
	matlist_free(&l);
	return code;
}
