/* write-embeddings: one column of a stream to an .npy file. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "files/matfile.h"

struct self {
	const char *column;
	struct npy_writer *w;
	char name[COL_NAME_MAX + 1], dtype[16];
	unsigned ndim;
	uint64_t shape[COL_MAX_DIMS]; /* of one row */
	struct mat dense;
};

static const struct opt opts[] = {
	OPT_STR(0, "column", struct self, column, "NAME", "the column to write (default x, else xhat); sparse codes\nare written dense"),
	OPT_END
};

static int
start(struct run *r)
{
	if (r->argc != 1)
		return run_usage(r, r->argc ? "one output file, please" : "name the file to write, such as out.npy");
	if (strcmp(r->common.out, "-"))
		return run_usage(r, "-o %s: the file to write is an operand, not -o", r->common.out);
	return strcmp(r->argv[0], "-") ? 0 : run_refuse_terminal(r);
}

static int
open_file(struct run *r)
{
	struct self *s = r->self;

	s->w = npy_create(r->argv[0], s->dtype, s->shape, s->ndim, &r->err);
	return s->w ? 0 : r->err.code;
}

/* The name of the column, settled by the first head. */
static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	struct col c;

	if (!s->name[0])
		snprintf(s->name, sizeof s->name, "%s", s->column ? s->column :
		         !head_declared(h, "x", &c) && head_declared(h, "xhat", &c) ? "xhat" : "x");
	return 0;
}

static int
check_shape(struct run *r, const struct frame *f, const struct col *c)
{
	struct self *s = r->self;
	const char *dtype = c->form == COL_CSR ? "<f4" : c->dtype;

	if (!s->w) {
		snprintf(s->dtype, sizeof s->dtype, "%s", dtype);
		s->ndim = c->ndim - 1;
		memcpy(s->shape, c->shape + 1, s->ndim * sizeof *s->shape);
		return open_file(r);
	}
	if (strcmp(s->dtype, dtype) || s->ndim != c->ndim - 1 || memcmp(s->shape, c->shape + 1, s->ndim * sizeof *s->shape)) {
		run_fail(r, CODE_DATA, "column %s changes its type or width from one stream to the next", s->name);
		return run_blame(r, f);
	}
	return 0;
}

static int
write_sparse(struct run *r, const struct col *c)
{
	struct self *s = r->self;
	struct csr_view z = col_csr(c);
	size_t i;
	uint32_t t;

	if (mat_resize(&s->dense, 1, z.cols, "z", &r->err))
		return r->err.code;
	for (i = 0; i < z.rows; i++) {
		memset(s->dense.data, 0, z.cols * sizeof(float));
		for (t = z.ptr[i]; t < z.ptr[i + 1]; t++)
			s->dense.data[z.idx[t]] = z.val[t];
		if (npy_append(s->w, s->dense.data, 1, z.cols * sizeof(float), &r->err))
			return r->err.code;
	}
	return 0;
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	const struct col *c = frame_col(f, s->name);

	if (!c || (c->form != COL_DENSE && c->form != COL_CSR)) {
		run_fail(r, CODE_DATA, c ? "column %s is text; only numbers go into .npy" : "no column %s here; name one with --column", s->name);
		return run_blame(r, f);
	}
	if (check_shape(r, f, c) || !f->n)
		return r->err.code;
	if (c->form == COL_CSR)
		return write_sparse(r, c);
	return npy_append(s->w, c->data, f->n, c->bytes / (size_t)f->n, &r->err);
}

static int
stop(struct run *r)
{
	struct self *s = r->self;
	struct npy_writer *w;
	struct col c;

	if (!s->w) { /* no rows: an empty array of the declared shape */
		if (!head_declared(&r->head, s->name, &c) || !strcmp(c.dtype, "str"))
			return run_fail(r, CODE_DATA, "%s: no rows, and the head declares no numeric column %s", stream_name(r->in), s->name);
		snprintf(s->dtype, sizeof s->dtype, "%s", c.dtype);
		s->ndim = c.ndim;
		memcpy(s->shape, c.shape, sizeof s->shape);
		if (open_file(r))
			return r->err.code;
	}
	w = s->w;
	s->w = NULL;
	return npy_finish(w, &r->err);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	npy_abort(s->w);
	mat_free(&s->dense);
}

const struct program program = {
	.name = "write-embeddings",
	.summary = "write one column of a stream to an .npy file",
	.operands = "FILE.npy",
	.about = "Writes a numeric column as one numpy array, however many rows come; the file appears\n"
	         "when the stream was whole, or not at all. FILE may be - for standard output.",
	.example = "  normalize --undo < recon.sae | write-embeddings recon.npy\n"
	           "  write-embeddings --column z codes.npy < codes.sae",
	.kind = PROGRAM_SINK, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .head = head, .rows = rows, .stop = stop, .clean = clean,
};
