/* sae-decode: codes to reconstructions. */
#include "cli/cli.h"
#include "files/modelfile.h"
#include "sae/decode.h"
#include "sae/rowform.h"

struct self {
	const char *path;
	bool keep;
	struct sae model;
	const struct simd *simd;
	struct mat xhat, scratch;
};

static const struct opt opts[] = {
	OPT_STR('m', "model", struct self, path, "MODEL", "the model (needed): the one the codes were made with"),
	OPT_FLAG(0, "keep", struct self, keep, "pass z on too"),
	OPT_END
};

static int
start(struct run *r)
{
	struct self *s = r->self;

	if (!s->path)
		return run_usage(r, "-m MODEL is needed");
	if (simd_pick(&s->simd, r->cpu, &r->err))
		return r->err.code;
	return model_load(&s->model, s->path, &r->err) ? r->err.code : run_model_fits(r, &s->model, s->path, ~0u);
}

static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	uint64_t d = s->model.d_out;

	if (run_made_with(r, h, s->path, s->model.sha256))
		return r->err.code;
	if (!s->keep)
		head_undeclare(h, "z");
	head_undeclare(h, "residual");
	head_undeclare(h, "rowform");
	head_undeclare(h, "skip");
	return head_declare(h, "xhat", "<f4", 1, &d, &r->err);
}

/* Adds a column of width d to xhat, and drops it: what codes do not say of x. */
static int
add_column(struct run *r, struct frame *f, const char *name)
{
	struct self *s = r->self;
	const float *rest;
	size_t d, i;

	if (!frame_col(f, name))
		return 0;
	rest = run_dense(r, f, name, &d, &s->scratch);
	if (!rest || run_model_width(r, name, d, s->path, s->model.d_out))
		return r->err.code;
	for (i = 0; i < f->n; i++)
		s->simd->add(s->xhat.data + i * d, rest + i * d, d);
	frame_drop(f, name);
	return 0;
}

/* The model needs the column, which sae-encode made. */
static int
need(struct run *r, struct frame *f, const char *name, const char *why)
{
	if (frame_col(f, name))
		return 0;
	run_fail(r, CODE_DATA, "column %s is missing: %s (sae-encode makes it, other stages have to pass it on)", name, why);
	return run_blame(r, f);
}

/* Rows that the model had normalised one by one are taken back. */
static int
restore(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	const float *form;
	size_t two;

	if (!rowform_needed(&s->model))
		return 0;
	if (need(r, f, "rowform", "the model normalises each row, and what of"))
		return r->err.code;
	form = run_dense(r, f, "rowform", &two, &s->scratch);
	if (!form || (two != 2 && run_width(r, "rowform", two, "a shift and a factor are", 2)))
		return r->err.code;
	rowform_restore(s->xhat.data, s->xhat.data, (size_t)f->n, s->model.d_out, form);
	frame_drop(f, "rowform");
	return 0;
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	struct csr_view z;

	if (!run_sparse(r, f, "z", &z))
		return r->err.code;
	if (z.cols != s->model.m) {
		run_fail(r, CODE_DATA, "z has %zu latents, the model %s has %zu", z.cols, s->path, s->model.m);
		return run_blame(r, f);
	}
	if (mat_resize(&s->xhat, z.rows, s->model.d_out, "xhat", &r->err))
		return r->err.code;
	decode(&s->model, z, r->pool, s->simd, s->xhat.data);
	if ((s->model.W_skip && need(r, f, "skip", "the model adds to x hat what passes its codes")) || restore(r, f) ||
	    add_column(r, f, "skip") || add_column(r, f, "residual"))
		return r->err.code;
	if (!s->keep)
		frame_drop(f, "z");
	return run_put_dense(r, f, "xhat", s->xhat.data, s->model.d_out);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	mat_free(&s->xhat);
	mat_free(&s->scratch);
	sae_free(&s->model);
}

const struct program program = {
	.name = "sae-decode",
	.summary = "turn codes back into embeddings",
	.about = "Reads codes z and writes reconstructions xhat = z W_dec + b_dec, still normalised;\n"
	         "`normalize --undo` takes them back to the space of the raw embeddings. A column\n"
	         "`residual`, as `steer --keep-residual` makes it, is added to xhat; so is `skip`, and\n"
	         "`rowform` takes rows back, as sae-encode makes both for models that need them.",
	.example = "  sae-decode -m clip.msae < codes.sae | normalize --undo |\n"
	           "    write-embeddings back.npy",
	.kind = PROGRAM_FILTER, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .head = head, .rows = rows, .clean = clean,
};
