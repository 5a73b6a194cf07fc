/* concept-score: gives codes the names of a concepts file. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "files/concepts.h"
#include "sae/topk.h"
#include "stream/names.h"
#include "view/scored.h"

struct self {
	const char *path;
	uint64_t top;
	bool json, csv, only_valid;
	struct concepts concepts;
	struct csr valid, kept;
	struct scored_code *codes; /* [room] of the row at hand */
	size_t room;
	const struct simd *simd;
};

static const struct opt opts[] = {
	OPT_STR('c', "concepts", struct self, path, "FILE", "the concepts file (needed)"),
	OPT_UINT(0, "top", struct self, top, "N", "keep the N strongest codes of each row (default: all)"),
	OPT_FLAG(0, "only-valid", struct self, only_valid, "leave out latents whose name is missing or not valid"),
	OPT_FLAG(0, "json", struct self, json, "write text: one JSON line a row, strongest first"),
	OPT_FLAG(0, "csv", struct self, csv, "write text: row,id,label,latent,name,value, a line a code"),
	OPT_END
};

static int
start(struct run *r)
{
	struct self *s = r->self;

	if (!s->path)
		return run_usage(r, "-c CONCEPTS is needed");
	if (s->json && s->csv)
		return run_usage(r, "--json or --csv, not both");
	r->text = s->json || s->csv;
	return simd_pick(&s->simd, r->cpu, &r->err) ? r->err.code : concepts_load(&s->concepts, s->path, &r->err);
}

static int
ready(struct run *r)
{
	struct self *s = r->self;

	return !s->csv || scored_csv_head(run_text(r)) ? 0 : err_sys(&r->err, CODE_IO, "standard output: cannot write");
}

static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	size_t i;
	struct buf b = {0};
	int code;

	if (run_made_with(r, h, s->path, s->concepts.model))
		return r->err.code;
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

static bool
named(const struct self *s, uint32_t latent)
{
	const struct concept *c = concepts_find(&s->concepts, latent);

	return c && c->valid;
}

/* z without latents that have no valid name. */
static int
drop_unnamed(struct run *r, struct csr_view *z)
{
	struct self *s = r->self;
	uint32_t t, n = 0;
	size_t i;

	if (csr_resize(&s->valid, z->rows, z->cols, z->ptr[z->rows], &r->err))
		return r->err.code;
	for (i = 0; i < z->rows; i++) {
		for (t = z->ptr[i]; t < z->ptr[i + 1]; t++)
			if (named(s, z->idx[t])) {
				s->valid.idx[n] = z->idx[t];
				s->valid.val[n++] = z->val[t];
			}
		s->valid.ptr[i + 1] = n;
	}
	*z = csr_view(&s->valid);
	return 0;
}

static int
strongest(const void *a, const void *b)
{
	const struct scored_code *x = a, *y = b;

	return x->value != y->value ? (x->value > y->value ? -1 : 1) : (x->latent > y->latent) - (x->latent < y->latent);
}

/* A row's codes, strongest first. */
static int
take_codes(struct run *r, struct csr_view z, size_t i, struct scored_row *row)
{
	struct self *s = r->self;
	size_t t;
	struct scored_code *more;

	row->n = z.ptr[i + 1] - z.ptr[i];
	if (row->n > s->room) {
		more = realloc(s->codes, row->n * sizeof *more);
		if (!more)
			return err_memory(&r->err, "codes", row->n * sizeof *more);
		s->codes = more;
		s->room = row->n;
	}
	for (t = 0; t < row->n; t++) {
		const struct concept *c = concepts_find(&s->concepts, z.idx[z.ptr[i] + t]);

		s->codes[t] = (struct scored_code){z.idx[z.ptr[i] + t], z.val[z.ptr[i] + t], c && c->valid ? c->name : NULL};
	}
	row->codes = s->codes;
	if (row->n)
		qsort(s->codes, row->n, sizeof *s->codes, strongest);
	return 0;
}

static int
print_rows(struct run *r, struct frame *f, struct csr_view z)
{
	struct self *s = r->self;
	const struct col *texts[2] = {frame_col(f, "id"), frame_col(f, "label")};
	size_t at[2] = {0, 0}, i, k;
	struct scored_text text[2];
	struct scored_row row;
	FILE *to = run_text(r);
	bool done = true;

	for (i = 0; to && i < z.rows && done; i++) {
		for (k = 0; k < 2; k++)
			if (!texts[k] || texts[k]->form != COL_STR || !col_string_next(texts[k], &at[k], &text[k].s, &text[k].n))
				text[k] = (struct scored_text){0};
		row = (struct scored_row){.row = f->row + i, .id = text[0], .label = text[1]};
		if (take_codes(r, z, i, &row))
			return r->err.code;
		done = s->json ? scored_json(to, &row) : scored_csv(to, &row);
	}
	return run_wrote(r, !done);
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	struct csr_view z;

	if (!run_sparse(r, f, "z", &z) || (s->only_valid && drop_unnamed(r, &z)))
		return r->err.code;
	if (s->top) {
		if (topk_rows(z, (size_t)(s->top < z.cols ? s->top : z.cols), false, r->pool, s->simd, &s->kept, &r->err))
			return r->err.code;
		z = csr_view(&s->kept);
	}
	return r->text ? print_rows(r, f, z) : frame_put_csr(f, "z", z, &r->err);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	concepts_free(&s->concepts);
	csr_free(&s->valid);
	csr_free(&s->kept);
	free(s->codes);
}

const struct program program = {
	.name = "concept-score",
	.summary = "give codes the names of their concepts",
	.about = "Checks that the concepts file belongs to the model the codes were made with, and puts\n"
	         "its names into the stream's head, where report and others find them. With --json it\n"
	         "writes one line a row instead, for jq and the like, with --csv one a code; a latent\n"
	         "without a valid name has null, or nothing, for a name.",
	.example = "  concept-score -c concepts.json --top 5 --json < codes.sae |\n"
	           "    jq -r '[.id, .concepts[0].name] | @tsv'",
	.kind = PROGRAM_FILTER, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .ready = ready, .head = head, .rows = rows, .clean = clean,
};
