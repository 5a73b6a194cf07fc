/* Columns as filters want them: checked, float32, finite. */
#include <stdlib.h>
#include <string.h>

#include "base/model.h"
#include "base/dtype.h"
#include "cli/private.h"

typedef unsigned long long ull;

int
run_blame(struct run *r, const struct frame *f)
{
	char rows[64];

	if (f->n)
		snprintf(rows, sizeof rows, "rows %llu-%llu", (ull)f->row, (ull)(f->row + f->n - 1));
	else
		snprintf(rows, sizeof rows, "no rows");
	return err_add(&r->err, "%s: frame with seq %llu (%s)", stream_name(r->in), (ull)f->seq, rows);
}

/* "x, id" for messages about what is there instead. */
static void
list_columns(const struct frame *f, char *out, size_t size)
{
	size_t n = 0;
	unsigned i;

	snprintf(out, size, "none");
	for (i = 0; i < f->ncols && n + COL_NAME_MAX + 3 < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "", f->cols[i].name);
}

static struct col *
wanted(struct run *r, struct frame *f, const char *name)
{
	struct col *c = frame_col(f, name);
	char have[256];

	if (!c) {
		list_columns(f, have, sizeof have);
		run_fail(r, CODE_DATA, "no column %s here (columns: %s)", name, have);
		run_blame(r, f);
	}
	return c;
}

const float *
run_numbers(struct run *r, struct frame *f, const char *name, size_t *cols, struct mat *scratch)
{
	struct col *c = wanted(r, f, name);
	enum dtype t;

	if (!c)
		return NULL;
	t = dtype_parse(c->dtype, NULL);
	if (c->form != COL_DENSE || c->ndim != 2 || !t) {
		run_fail(r, CODE_DATA, "column %s is %s; a dense matrix of numbers was expected", name,
		         c->form == COL_CSR ? "sparse" : c->form == COL_STR ? "text" : "of another form");
		run_blame(r, f);
		return NULL;
	}
	*cols = (size_t)c->shape[1];
	if (t == DT_F4)
		return c->data;
	if (mat_resize(scratch, (size_t)f->n, *cols, name, &r->err))
		return NULL;
	dtype_to_f32(scratch->data, c->data, (size_t)f->n * *cols, t, false);
	return scratch->data;
}

const float *
run_dense(struct run *r, struct frame *f, const char *name, size_t *cols, struct mat *scratch)
{
	const float *x = run_numbers(r, f, name, cols, scratch);
	size_t i;

	if (!x || !f32_nonfinite(x, (size_t)f->n * *cols))
		return x;
	for (i = 0; i < f->n && !f32_nonfinite(x + i * *cols, *cols); i++)
		;
	run_fail(r, CODE_DATA, "column %s: row %llu holds NaN or infinity; read-embeddings --nan=skip leaves such rows out", name, (ull)(f->row + i));
	run_blame(r, f);
	return NULL;
}

uint64_t
run_batch(const struct run *r, uint64_t asked, uint64_t cols, uint64_t rows)
{
	uint64_t fit = r->common.max_frame / 4 / cols, n = asked ? asked : (1u << 20) / 4 / cols;

	n = n < fit ? n : fit;
	n = n < rows ? n : rows;
	return n ? n : 1;
}

int
run_put_dense(struct run *r, struct frame *f, const char *name, const float *x, size_t cols)
{
	uint64_t shape[2] = {f->n, cols};

	return frame_put_dense(f, name, "<f4", 2, shape, x, &r->err);
}

int
run_put_strings(struct run *r, struct frame *f, const char *name, const char *const *s, struct buf *room)
{
	size_t i;

	room->len = 0;
	for (i = 0; i < f->n; i++)
		if (mp_put_str(room, s[i], &r->err))
			return r->err.code;
	return frame_put_strings(f, name, (size_t)f->n, room, &r->err);
}

int
run_width(struct run *r, const char *name, uint64_t cols, const char *want, uint64_t expected)
{
	return run_fail(r, CODE_DATA, "%s: %s is %llu wide, %s %llu", stream_name(r->in), name, (ull)cols, want, (ull)expected);
}

int
run_model_width(struct run *r, const char *name, uint64_t cols, const char *model, uint64_t d)
{
	char want[300];

	if (cols == d)
		return 0;
	snprintf(want, sizeof want, "the model %.250s takes", model);
	return run_width(r, name, cols, want, d);
}

int
run_model_fits(struct run *r, const struct sae *model, const char *path, unsigned able)
{
	if (sae_require(model, able, r->program->name, &r->err))
		return err_add(&r->err, "%s", path);
	if (model->note[0])
		warn(r, "%s: %s", path, model->note);
	return 0;
}

int
run_made_with(struct run *r, const struct head *h, const char *path, const char *sha256)
{
	char made_with[128];

	if (!head_get_str(h, "model", made_with, sizeof made_with))
		return warn(r, "%s: does not say which model made it; taking %s on trust", stream_name(r->in), path), 0;
	if (!strcmp(made_with, sha256))
		return 0;
	return run_fail(r, CODE_DATA, "%s: these codes were made with another model (%.12s...); %s belongs to %.12s...",
	                stream_name(r->in), made_with, path, sha256);
}

int
run_normalised(struct run *r, const struct sae *model, const char *path)
{
	float *mean, scale;
	char how[16] = "";
	size_t d;
	int got = head_get_norm(&r->head, &mean, &d, &scale, how, sizeof how, &r->err);

	if (got > 0 && d != model->d)
		run_width(r, "norm's mean", d, "the model takes", model->d);
	else if (got > 0 && !strcmp(how, "model") && memcmp(mean, model->mean, d * sizeof *mean))
		warn(r, "%s: was normalised by another model than %s", stream_name(r->in), path);
	mem_free(mean);
	if (got < 0)
		err_add(&r->err, "%s", stream_name(r->in));
	return r->err.code ? -1 : got;
}

uint64_t
run_declared_width(const struct head *h, const char *name)
{
	struct col c;

	return head_declared(h, name, &c) && c.ndim == 1 ? c.shape[0] : 0;
}

static bool
ascending(const uint32_t *idx, size_t n)
{
	uint32_t wrong = 0;
	size_t i;

	for (i = 1; i < n; i++)
		wrong |= idx[i] <= idx[i - 1];
	return !wrong;
}

struct code { uint32_t idx; float val; };

static int
by_latent(const void *a, const void *b)
{
	const struct code *x = a, *y = b;

	return (x->idx > y->idx) - (x->idx < y->idx);
}

/* One row's codes into the order of latents; -1 when one is named twice. */
static int
sort_row(struct code *row, size_t n, uint32_t *idx, float *val)
{
	size_t i;

	qsort(row, n, sizeof *row, by_latent);
	for (i = 0; i < n; i++) {
		if (i && row[i].idx == row[i - 1].idx)
			return -1;
		idx[i] = row[i].idx;
		val[i] = row[i].val;
	}
	return 0;
}

/* Foreign writers may have a row's codes in another order, by value say: a
 * sorted copy in r->sorted takes their place. */
static int
sort_codes(struct run *r, const struct frame *f, const char *name, struct csr_view *v)
{
	size_t nnz = v->ptr[v->rows], i, t, n;
	struct code *row = malloc((nnz + 1) * sizeof *row);
	uint32_t at;

	if (!row)
		return err_memory(&r->err, name, nnz * sizeof *row);
	if (!csr_resize(&r->sorted, v->rows, v->cols, nnz, &r->err))
		memcpy(r->sorted.ptr, v->ptr, (v->rows + 1) * sizeof *v->ptr);
	for (i = 0; i < v->rows && !r->err.code; i++) {
		at = v->ptr[i];
		n = v->ptr[i + 1] - at;
		for (t = 0; t < n; t++)
			row[t] = (struct code){v->idx[at + t], v->val[at + t]};
		if (sort_row(row, n, r->sorted.idx + at, r->sorted.val + at)) {
			run_fail(r, CODE_DATA, "column %s: row %llu has a latent twice", name, (ull)(f->row + i));
			run_blame(r, f);
		}
	}
	free(row);
	*v = csr_view(&r->sorted);
	return r->err.code;
}

bool
run_sparse(struct run *r, struct frame *f, const char *name, struct csr_view *v)
{
	struct col *c = wanted(r, f, name);
	size_t i, nnz;

	if (!c)
		return false;
	if (c->form != COL_CSR) {
		run_fail(r, CODE_DATA, "column %s is not sparse; codes come from sae-encode or topk", name);
		run_blame(r, f);
		return false;
	}
	*v = col_csr(c);
	nnz = v->ptr[v->rows];
	for (i = 0; i < v->rows && ascending(v->idx + v->ptr[i], v->ptr[i + 1] - v->ptr[i]); i++)
		;
	if (i < v->rows && sort_codes(r, f, name, v))
		return false;
	if (f32_nonfinite(v->val, nnz)) {
		for (i = 0; i < v->rows && !f32_nonfinite(v->val + v->ptr[i], v->ptr[i + 1] - v->ptr[i]); i++)
			;
		run_fail(r, CODE_DATA, "column %s: row %llu holds NaN or infinity", name, (ull)(f->row + i));
		run_blame(r, f);
		return false;
	}
	return true;
}

const char *const *
run_strings(struct run *r, struct frame *f, const char *name, struct strings *to)
{
	const struct col *c = frame_col(f, name);
	size_t at = 0, i, len, n = (size_t)f->n;
	const char *str;
	char **more;

	if (!c || c->form != COL_STR)
		return NULL;
	if (n > to->cap) {
		more = realloc(to->s, n * sizeof *more);
		if (!more)
			return err_memory(&r->err, name, n * sizeof *more), NULL;
		memset(more + to->cap, 0, (n - to->cap) * sizeof *more);
		*to = (struct strings){more, n};
	}
	for (i = 0; i < n && col_string_next(c, &at, &str, &len); i++) {
		free(to->s[i]);
		to->s[i] = strndup(str, len);
		if (!to->s[i])
			return err_memory(&r->err, name, len), NULL;
	}
	return (const char *const *)to->s;
}

void
strings_free(struct strings *s)
{
	while (s->cap)
		free(s->s[--s->cap]);
	free(s->s);
	s->s = NULL;
}
