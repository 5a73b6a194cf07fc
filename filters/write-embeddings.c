/* write-embeddings: one column of a stream to a file for others to read. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "files/matwriter.h"

struct self {
	const char *column, *as, *format_name;
	enum matwriter_format format;
	enum dtype to; /* DT_NONE: as the column has it */
	struct matwriter *w;
	struct csrwriter *csr;
	char name[COL_NAME_MAX + 1], dtype[16]; /* of the column */
	unsigned ndim;
	uint64_t shape[COL_MAX_DIMS]; /* of one row */
	struct mat dense;
};

static const struct opt opts[] = {
	OPT_STR(0, "column", struct self, column, "NAME", "the column to write (default x, else xhat)"),
	OPT_STR(0, "dtype", struct self, as, "f16|f32", "write half or single precision (default: as the column is)"),
	OPT_STR(0, "format", struct self, format_name, "NAME", "npy, npz or safetensors (default: by the file's name, else npy)"),
	OPT_END
};

static int
start(struct run *r)
{
	static const char *const names[] = {[MATWRITER_NPY] = "npy", [MATWRITER_NPZ] = "npz", [MATWRITER_SAFETENSORS] = "safetensors"};
	struct self *s = r->self;
	size_t i;

	if (r->argc != 1)
		return run_usage(r, r->argc ? "one output file, please" : "name the file to write, such as out.npy");
	if (strcmp(r->common.out, "-"))
		return run_usage(r, "-o %s: the file to write is an operand, not -o", r->common.out);
	if (s->as && strcmp(s->as, "f16") && strcmp(s->as, "f32"))
		return run_usage(r, "--dtype %s: f16 or f32", s->as);
	s->to = !s->as ? DT_NONE : !strcmp(s->as, "f16") ? DT_F2 : DT_F4;
	s->format = matwriter_format_of(r->argv[0]);
	for (i = 0; s->format_name && i < 3 && strcmp(s->format_name, names[i]); i++)
		;
	if (s->format_name && i == 3)
		return run_usage(r, "--format %s: npy, npz or safetensors", s->format_name);
	if (s->format_name)
		s->format = (enum matwriter_format)i;
	return strcmp(r->argv[0], "-") ? 0 : run_refuse_terminal(r);
}

/* sparse: codes that npz can hold as they are. */
static int
open_file(struct run *r, bool sparse)
{
	struct self *s = r->self;

	if (sparse) {
		s->csr = csrwriter_create(r->argv[0], s->shape[0], s->to ? s->to : DT_F4, &r->err);
		return s->csr ? 0 : r->err.code;
	}
	s->w = matwriter_create(r->argv[0], s->format, s->name, s->dtype, s->shape, s->ndim, s->to, &r->err);
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
	bool sparse = c->form == COL_CSR && s->format == MATWRITER_NPZ;
	const char *dtype = c->form == COL_CSR ? "<f4" : c->dtype;

	if (!s->w && !s->csr) {
		snprintf(s->dtype, sizeof s->dtype, "%s", dtype);
		s->ndim = c->ndim - 1;
		memcpy(s->shape, c->shape + 1, s->ndim * sizeof *s->shape);
		return open_file(r, sparse);
	}
	if (sparse != (s->csr != NULL) || strcmp(s->dtype, dtype) || s->ndim != c->ndim - 1 ||
	    memcmp(s->shape, c->shape + 1, s->ndim * sizeof *s->shape)) {
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

	if (s->csr)
		return csrwriter_append(s->csr, &z, &r->err);
	if (mat_resize(&s->dense, 1, z.cols, "z", &r->err))
		return r->err.code;
	for (i = 0; i < z.rows; i++) {
		memset(s->dense.data, 0, z.cols * sizeof(float));
		for (t = z.ptr[i]; t < z.ptr[i + 1]; t++)
			s->dense.data[z.idx[t]] = z.val[t];
		if (matwriter_append(s->w, s->dense.data, 1, z.cols * sizeof(float), &r->err))
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
		run_fail(r, CODE_DATA, c ? "column %s is text; only numbers go into arrays" : "no column %s here; name one with --column", s->name);
		return run_blame(r, f);
	}
	if (check_shape(r, f, c) || !f->n)
		return r->err.code;
	if (c->form == COL_CSR)
		return write_sparse(r, c);
	return matwriter_append(s->w, c->data, f->n, c->bytes / (size_t)f->n, &r->err);
}

/* No rows came: an empty array of the shape that the head declares, which says
 * nothing of sparse or dense: z is sparse everywhere. */
static int
open_empty(struct run *r)
{
	struct self *s = r->self;
	struct col c;

	if (!head_declared(&r->head, s->name, &c) || !strcmp(c.dtype, "str"))
		return run_fail(r, CODE_DATA, "%s: no rows, and the head declares no numeric column %s", stream_name(r->in), s->name);
	snprintf(s->dtype, sizeof s->dtype, "%s", c.dtype);
	s->ndim = c.ndim;
	memcpy(s->shape, c.shape, sizeof s->shape);
	return open_file(r, s->format == MATWRITER_NPZ && !strcmp(s->name, "z") && c.ndim == 1);
}

static int
stop(struct run *r)
{
	struct self *s = r->self;
	struct matwriter *w;
	struct csrwriter *csr;

	if (!s->w && !s->csr && open_empty(r))
		return r->err.code;
	w = s->w;
	csr = s->csr;
	s->w = NULL;
	s->csr = NULL;
	return csr ? csrwriter_finish(csr, &r->err) : matwriter_finish(w, &r->err);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	matwriter_abort(s->w);
	csrwriter_abort(s->csr);
	mat_free(&s->dense);
}

const struct program program = {
	.name = "write-embeddings",
	.summary = "write one column of a stream to npy, npz or safetensors",
	.operands = "FILE",
	.about = "Writes a numeric column as one array, however many rows come; the file appears when the\n"
	         "stream was whole, or not at all. FILE's name says the format: .npz, .safetensors, else\n"
	         "npy; - is standard output. In npz and safetensors the array is called as the column.\n\n"
	         "Sparse codes become a CSR matrix in an .npz, which scipy.sparse.load_npz reads; in npy and\n"
	         "safetensors they are written dense.",
	.example = "  normalize --undo < recon.sae | write-embeddings recon.npy\n"
	           "  write-embeddings --column z codes.npz < codes.sae\n"
	           "  write-embeddings --dtype f16 half.safetensors < x.sae",
	.kind = PROGRAM_SINK, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .head = head, .rows = rows, .stop = stop, .clean = clean,
};
