/* concept-score: gives codes the names of a concepts file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "files/concepts.h"
#include "files/modelfile.h"
#include "sae/explain.h"
#include "sae/topk.h"
#include "stream/names.h"
#include "view/scored.h"

struct self {
	const char *path, *model_path;
	uint64_t top;
	bool json, csv, table, only_valid, begun;
	struct concepts concepts;
	struct sae model;
	struct csr valid, kept;
	struct mat scratch;
	struct buf shares; /* double a code */
	struct scored_code *codes; /* [room] of the row at hand */
	size_t room;
	const struct simd *simd;
};

static const struct opt opts[] = {
	OPT_STR('c', "concepts", struct self, path, "FILE", "the concepts file (needed)"),
	OPT_UINT(0, "top", struct self, top, "N", "keep the N strongest codes of each row (default: all)"),
	OPT_FLAG(0, "only-valid", struct self, only_valid, "leave out latents whose name is missing or not valid"),
	OPT_FLAG(0, "text", struct self, table, "write text: a table a row, for people"),
	OPT_FLAG(0, "json", struct self, json, "write text: one JSON line a row, strongest first"),
	OPT_FLAG(0, "csv", struct self, csv, "write text: row,id,label,latent,name,value, a line a code"),
	OPT_STR('m', "model", struct self, model_path, "MODEL", "with text: tell how much of x each code explains (a stream\nwith x: sae-encode --keep); without -c there are no names"),
	OPT_END
};

static int
start(struct run *r)
{
	struct self *s = r->self;

	r->text = s->json || s->csv || s->table;
	if (!s->path && !(s->model_path && r->text))
		return run_usage(r, "-c CONCEPTS is needed");
	if (s->json + s->csv + s->table > 1)
		return run_usage(r, "give one of --text, --json and --csv");
	if (s->model_path && !r->text)
		return run_usage(r, "-m is for text: --text, --json or --csv");
	if (simd_pick(&s->simd, r->cpu, &r->err) || (s->path && concepts_load(&s->concepts, s->path, &r->err)) ||
	    (s->model_path && (model_load(&s->model, s->model_path, &r->err) ||
	                       run_model_fits(r, &s->model, s->model_path, SAE_SIGNED | SAE_OWN_ORDER | SAE_GROUPS))))
		return r->err.code;
	return s->path && s->model_path ? concepts_of_model(&s->concepts, s->path, s->model_path, s->model.sha256, &r->err) : 0;
}

static int
ready(struct run *r)
{
	struct self *s = r->self;

	return !s->csv || scored_csv_head(run_text(r), s->model_path) ? 0 : err_sys(&r->err, CODE_IO, "standard output: cannot write");
}

static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	size_t i;
	struct buf b = {0};
	int code;

	if ((s->path && run_made_with(r, h, s->path, s->concepts.model)) || (s->model_path && run_made_with(r, h, s->model_path, s->model.sha256)))
		return r->err.code;
	if (r->text)
		return 0;
	code = names_begin(&b, s->concepts.n, &r->err);
	for (i = 0; i < s->concepts.n && !code; i++) {
		const struct concept *c = &s->concepts.items[i];

		code = names_add(&b, &(struct name){c->latent, c->name, strlen(c->name), c->valid, c->score, c->ratio}, &r->err);
	}
	if (!code)
		code = head_set(h, "concepts", b.data, b.len, &r->err);
	buf_free(&b);
	return code;
}

static int
strongest(const void *a, const void *b)
{
	const struct scored_code *x = a, *y = b;

	return x->value != y->value ? (x->value > y->value ? -1 : 1) : (x->latent > y->latent) - (x->latent < y->latent);
}

/* A row's codes, strongest first, and how much of x [d] each explains. */
static int
take_codes(struct run *r, struct csr_view z, size_t i, const float *x, struct scored_row *row)
{
	struct self *s = r->self;
	size_t at = z.ptr[i], t;
	struct scored_code *more;

	row->all = z.ptr[i + 1] - at;
	if (row->all > s->room) {
		more = realloc(s->codes, row->all * sizeof *more);
		if (!more)
			return err_memory(&r->err, "codes", row->all * sizeof *more);
		s->codes = more;
		s->room = row->all;
	}
	row->codes = s->codes;
	if (buf_resize(&s->shares, (row->all + 1) * sizeof(double), &r->err))
		return r->err.code;
	row->explained = x ? explain_row(&s->model, x, z.idx + at, z.val + at, row->all, (double *)(void *)s->shares.data) : NAN;
	for (t = 0; t < row->all; t++) {
		const struct concept *c = concepts_find(&s->concepts, z.idx[at + t]);

		if ((c && c->valid) || !s->only_valid)
			s->codes[row->n++] = (struct scored_code){z.idx[at + t], z.val[at + t], c && c->valid ? c->name : NULL, x ? ((double *)(void *)s->shares.data)[t] : NAN};
	}
	if (row->n)
		qsort(s->codes, row->n, sizeof *s->codes, strongest);
	row->n = s->top && s->top < row->n ? (size_t)s->top : row->n;
	return 0;
}

static int
print_rows(struct run *r, struct frame *f, struct csr_view z)
{
	struct self *s = r->self;
	const struct col *texts[2] = {frame_col(f, "id"), frame_col(f, "label")};
	size_t at[2] = {0, 0}, d = 0, i, k;
	struct scored_text text[2];
	struct scored_row row;
	const float *x = NULL;
	FILE *to = run_text(r);
	bool done = true;

	if (s->model_path && (!(x = run_dense(r, f, "x", &d, &s->scratch)) || run_model_width(r, "x", d, s->model_path, s->model.d) ||
	                      (z.cols != s->model.m && run_width(r, "z", z.cols, "the model has", s->model.m))))
		return r->err.code;
	for (i = 0; to && i < z.rows && done; i++) {
		for (k = 0; k < 2; k++)
			if (!texts[k] || texts[k]->form != COL_STR || !col_string_next(texts[k], &at[k], &text[k].s, &text[k].n))
				text[k] = (struct scored_text){0};
		row = (struct scored_row){.row = f->row + i, .id = text[0], .label = text[1], .shares = x};
		if (take_codes(r, z, i, x ? x + i * d : NULL, &row))
			return r->err.code;
		if (s->table && s->begun)
			putc('\n', to);
		s->begun = true;
		done = s->table ? scored_table(to, &row) : s->json ? scored_json(to, &row) : scored_csv(to, &row);
	}
	return run_wrote(r, !done);
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	struct csr_view z;

	if (!run_sparse(r, f, "z", &z))
		return r->err.code;
	if (r->text)
		return print_rows(r, f, z);
	if (s->only_valid) {
		if (concepts_keep_valid(&s->concepts, z, &s->valid, &r->err))
			return r->err.code;
		z = csr_view(&s->valid);
	}
	if (s->top) {
		if (topk_rows(z, (size_t)(s->top < z.cols ? s->top : z.cols), false, r->pool, s->simd, &s->kept, &r->err))
			return r->err.code;
		z = csr_view(&s->kept);
	}
	return frame_put_csr(f, "z", z, &r->err);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	concepts_free(&s->concepts);
	sae_free(&s->model);
	mat_free(&s->scratch);
	buf_free(&s->shares);
	csr_free(&s->valid);
	csr_free(&s->kept);
	free(s->codes);
}

const struct program program = {
	.name = "concept-score",
	.summary = "give codes the names of their concepts",
	.about = "Checks that the concepts file belongs to the model the codes were made with, and puts\n"
	         "its names into the stream's head, where report and others find them. With --json it\n"
	         "writes one line a row instead, for jq and the like, with --csv one a code, with --text a\n"
	         "table a row; a latent without a valid name has null, or nothing, for a name.\n\n"
	         "What a code explains is its share of x, seen from where no latent is active: its part\n"
	         "of xhat along x, over x. Shares of all codes make 100 % where the model is perfect.",
	.example = "  concept-score -c concepts.json --top 5 --json < codes.sae |\n"
	           "    jq -r '[.id, .concepts[0].name] | @tsv'",
	.kind = PROGRAM_FILTER, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .ready = ready, .head = head, .rows = rows, .clean = clean,
};
