/* topk: keeps the largest codes of each row. */
#include "cli/cli.h"
#include "sae/topk.h"

struct self {
	uint64_t k;
	bool batch, abs;
	const char *column, *from; /* asked for; of the stream at hand */
	const struct simd *simd;
	struct csr kept;
	struct mat scratch;
};

static const struct opt opts[] = {
	OPT_UINT('k', NULL, struct self, k, "K", "how many to keep of each row (needed)"),
	OPT_FLAG(0, "batch", struct self, batch, "keep the K x rows largest of each frame instead (BatchTopK);\nwhat a row keeps then depends on its frame"),
	OPT_FLAG(0, "abs", struct self, abs, "compare magnitudes, keep signs"),
	OPT_STR(0, "column", struct self, column, "NAME", "the column to select from (default z, else x); becomes z"),
	OPT_END
};

static int
start(struct run *r)
{
	struct self *s = r->self;

	if (!s->k)
		return run_usage(r, "-k K is needed: how many codes to keep of each row");
	return simd_pick(&s->simd, r->cpu, &r->err);
}

static const char *
source_column(const struct self *s, const struct head *h)
{
	struct col c;

	if (s->column)
		return s->column;
	return !head_declared(h, "z", &c) && head_declared(h, "x", &c) ? "x" : "z";
}

static int
check_k(struct run *r, const char *name, uint64_t width)
{
	const struct self *s = r->self;

	if (s->k <= width)
		return 0;
	return run_usage(r, "-k %llu is more than the %llu latents of column %s", (unsigned long long)s->k, (unsigned long long)width, name);
}

static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	const char *name = s->from = source_column(s, h);
	struct col c;

	if (!head_declared(h, name, &c) || c.ndim != 1) {
		head_undeclare(h, "z"); /* its width shows in the rows alone */
		return 0;
	}
	return check_k(r, name, c.shape[0]) ? r->err.code : head_declare(h, "z", "<f4", 1, c.shape, &r->err);
}

/* A dense column as sparse rows, for --batch. */
static int
select_dense(struct run *r, struct frame *f, const char *name)
{
	struct self *s = r->self;
	struct csr all = {0};
	size_t cols;
	const float *x = run_dense(r, f, name, &cols, &s->scratch);
	int code;

	if (!x || check_k(r, name, cols))
		return r->err.code;
	if (!s->batch)
		return topk_dense(x, (size_t)f->n, cols, (size_t)s->k, s->abs, r->pool, s->simd, &s->kept, &r->err);
	code = topk_dense(x, (size_t)f->n, cols, cols, s->abs, r->pool, s->simd, &all, &r->err) ||
	       topk_batch(csr_view(&all), (size_t)s->k, s->abs, &s->kept, &r->err);
	csr_free(&all);
	return code ? r->err.code : 0;
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	const char *name = s->from;
	const struct col *c = frame_col(f, name);
	struct csr_view z;
	int code;

	if (c && c->form == COL_DENSE)
		code = select_dense(r, f, name);
	else if (!run_sparse(r, f, name, &z) || check_k(r, name, z.cols))
		return r->err.code;
	else if (s->batch)
		code = topk_batch(z, (size_t)s->k, s->abs, &s->kept, &r->err);
	else
		code = topk_rows(z, (size_t)s->k, s->abs, r->pool, s->simd, &s->kept, &r->err);
	return code ? code : frame_put_csr(f, "z", csr_view(&s->kept), &r->err);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	csr_free(&s->kept);
	mat_free(&s->scratch);
}

const struct program program = {
	.name = "topk",
	.summary = "keep the largest codes of each row",
	.about = "Reads codes z (or a dense column) and keeps the K largest numbers of each row.\n"
	         "What is not stored counts as zero, zeros are never stored, and ties go to the\n"
	         "lowest latent, so the answer is the same on every machine.",
	.example = "  # the 32 strongest concepts of each row\n"
	           "  sae-encode -m clip.msae < x.sae | topk -k 32 > z.sae",
	.kind = PROGRAM_FILTER, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .head = head, .rows = rows, .clean = clean,
};
