/* normalize: centres and scales embeddings, and takes it back. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/spool.h"
#include "files/modelfile.h"
#include "sae/norm.h"

struct self {
	const char *model, *stats;
	bool fit, l2, undo;
	struct norm_fit sums;
	float *mean, scale;  /* what is applied or undone; mean NULL: nothing */
	size_t d;
	bool undo_l2;
	const char *how;
	const struct simd *simd;
	struct mat scratch, x, xhat, norms;
};

static const struct opt opts[] = {
	OPT_STR('m', "model", struct self, model, "MODEL", "use the mean and scale a model was trained with"),
	OPT_FLAG(0, "fit", struct self, fit, "use this stream's own: mean to 0, root mean square norm to\nsqrt(d); a pipe is spooled under $TMPDIR and read once"),
	OPT_STR(0, "stats", struct self, stats, "FILE", "with --fit: write mean and scale there; else: use them"),
	OPT_FLAG(0, "l2", struct self, l2, "first bring every row to unit length"),
	OPT_FLAG(0, "undo", struct self, undo, "take x and xhat back to where they came from"),
	OPT_END
};

static int
start(struct run *r)
{
	struct self *s = r->self;
	const char *from = s->model ? s->model : s->fit ? NULL : s->stats;
	int ways = (s->model != NULL) + s->fit + (s->stats && !s->fit);

	if (s->undo ? ways || s->l2 : ways > 1)
		return run_usage(r, "give one of -m MODEL, --fit, --stats FILE and --undo");
	if (!s->undo && !ways && !s->l2)
		return run_usage(r, "say how: -m MODEL, --fit, --stats FILE, --l2 or --undo");
	s->how = s->model ? "model" : s->fit ? "fit" : "stats";
	if (simd_pick(&s->simd, r->cpu, &r->err))
		return r->err.code;
	return from ? stats_load(from, &s->mean, &s->d, &s->scale, &r->err) : 0;
}

/* Rows as they are to be centred: float32, of unit length with --l2. */
static const float *
rows_of_x(struct run *r, struct frame *f, size_t *d)
{
	struct self *s = r->self;
	const float *x = run_dense(r, f, "x", d, &s->scratch);

	if (!x || !s->l2)
		return x;
	if (mat_resize(&s->x, (size_t)f->n, *d, "x", &r->err) || mat_resize(&s->norms, (size_t)f->n, 1, "norm", &r->err))
		return NULL;
	norm_l2(s->x.data, x, (size_t)f->n, *d, s->norms.data);
	return s->x.data;
}

static int
fit_frame(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	const float *x;
	size_t d;

	if (f->kind != FRAME_ROWS)
		return 0;
	x = rows_of_x(r, f, &d);
	if (!x)
		return r->err.code;
	if (!s->sums.d && norm_fit_init(&s->sums, d, &r->err))
		return r->err.code;
	if (d != s->sums.d)
		return run_width(r, "x", d, "before it was", s->sums.d);
	norm_fit_rows(&s->sums, x, (size_t)f->n);
	return 0;
}

/* Mean and scale of what fit_frame saw. An empty or constant stream is passed
 * on, but not without a word; statistics of nothing are not written. */
static int
ready(struct run *r)
{
	struct self *s = r->self;
	uint64_t rows, declared;

	if (!s->fit)
		return 0;
	if (spool_first_pass(r, fit_frame))
		return r->err.code;
	rows = s->sums.rows;
	if (!rows && s->stats)
		return run_fail(r, CODE_DATA, "%s: no rows: nothing to fit", stream_name(r->in));
	declared = run_declared_width(&r->head, "x");
	if (!s->sums.d && norm_fit_init(&s->sums, declared ? (size_t)declared : 1, &r->err))
		return r->err.code;
	s->d = s->sums.d;
	s->mean = mem_alloc(s->d * sizeof *s->mean);
	if (!s->mean)
		return err_memory(&r->err, "mean", s->d * sizeof *s->mean);
	if (norm_fit_result(&s->sums, s->mean, &s->scale))
		warn(r, rows ? "all rows are the same: centred, but not scaled" : "no rows: nothing to fit");
	return s->stats ? stats_save(s->stats, s->mean, s->d, s->scale, rows, &r->err) : 0;
}

/* What is written is float32, whatever came. */
static int
declare_f4(struct run *r, struct head *h, const char *name)
{
	uint64_t d = run_declared_width(h, name);

	return d ? head_declare(h, name, "<f4", 1, &d, &r->err) : 0;
}

static int
head_undo(struct run *r, struct head *h)
{
	struct self *s = r->self;
	int got;

	mem_free(s->mean);
	got = head_get_norm(h, &s->mean, &s->d, &s->scale, NULL, 0, &r->err);
	if (got < 0)
		return err_add(&r->err, "%s", stream_name(r->in));
	s->undo_l2 = head_is_set(h, "l2");
	if (!got && !s->undo_l2)
		return run_fail(r, CODE_DATA, "%s: was not normalised: there is nothing to undo", stream_name(r->in));
	head_drop(h, "norm");
	head_drop(h, "l2");
	head_undeclare(h, "norm");
	return declare_f4(r, h, "x") || declare_f4(r, h, "xhat") ? r->err.code : 0;
}

static int
check_width(struct run *r, const char *name, uint64_t d)
{
	const struct self *s = r->self;

	return !s->mean || d == s->d ? 0 : run_width(r, name, d, "the mean", s->d);
}

static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	static const unsigned char yes = 0xc3;
	uint64_t d = run_declared_width(h, "x");

	if (s->undo)
		return head_undo(r, h);
	if (head_is_set(h, "norm") || head_is_set(h, "l2"))
		return run_fail(r, CODE_DATA, "%s: is normalised already; take that back first with: normalize --undo", stream_name(r->in));
	if ((d && check_width(r, "x", d)) || declare_f4(r, h, "x"))
		return r->err.code;
	if (s->l2 && (head_set(h, "l2", &yes, 1, &r->err) || head_declare(h, "norm", "<f4", 0, NULL, &r->err)))
		return r->err.code;
	return s->mean ? head_set_norm(h, s->how, s->mean, s->d, s->scale, &r->err) : 0;
}

static int
undo_column(struct run *r, struct frame *f, const char *name, struct mat *out)
{
	struct self *s = r->self;
	const struct col *norms = frame_col(f, "norm");
	const float *x;
	size_t d, n = (size_t)f->n;

	if (!frame_col(f, name))
		return 0;
	x = run_dense(r, f, name, &d, &s->scratch);
	if (!x || check_width(r, name, d) || mat_resize(out, n, d, name, &r->err))
		return r->err.code;
	if (s->mean)
		norm_undo(out->data, x, n, d, s->mean, s->scale, s->simd);
	if (s->undo_l2) {
		if (!norms || norms->form != COL_DENSE || strcmp(norms->dtype, "<f4") || norms->ndim != 1) {
			run_fail(r, CODE_DATA, "column norm is missing: the rows' lengths are lost");
			return run_blame(r, f);
		}
		norm_l2_undo(out->data, s->mean ? out->data : x, n, d, norms->data);
	}
	return run_put_dense(r, f, name, out->data, d);
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	const float *x;
	size_t d;

	if (s->undo) {
		if (undo_column(r, f, "x", &s->x) || undo_column(r, f, "xhat", &s->xhat))
			return r->err.code;
		frame_drop(f, "norm");
		return 0;
	}
	x = rows_of_x(r, f, &d);
	if (!x || check_width(r, "x", d) || mat_resize(&s->x, (size_t)f->n, d, "x", &r->err))
		return r->err.code;
	if (s->mean)
		norm_apply(s->x.data, x, (size_t)f->n, d, s->mean, s->scale, s->simd);
	if (s->l2 && frame_put_dense(f, "norm", "<f4", 1, &f->n, s->norms.data, &r->err))
		return r->err.code;
	return run_put_dense(r, f, "x", s->x.data, d);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	norm_fit_free(&s->sums);
	mem_free(s->mean);
	mat_free(&s->scratch);
	mat_free(&s->x);
	mat_free(&s->xhat);
	mat_free(&s->norms);
}

const struct program program = {
	.name = "normalize",
	.summary = "centre and scale embeddings, or take that back",
	.about = "Writes x' = (x - mean) * scale, with mean and scale of a model (-m), of the data\n"
	         "itself (--fit) or from a file (--stats), and keeps both in the stream's head, so\n"
	         "that sae-train can put them into its model and --undo can take them back.\n\n"
	         "Images and texts of one CLIP have different means: fit each by its own unless you\n"
	         "have a reason not to. With --l2 the rows' lengths travel in the column `norm`.",
	.example = "  read-embeddings train/*.npy | normalize --fit | sae-train -o clip.msae\n"
	           "  read-embeddings new.npy | normalize -m clip.msae | sae-encode -m clip.msae > z.sae",
	.kind = PROGRAM_FILTER, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .ready = ready, .head = head, .rows = rows, .clean = clean,
};
