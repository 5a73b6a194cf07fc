/* report: tells what is in a stream. */
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "cli/cli.h"
#include "files/modelfile.h"
#include "jobs/gathering.h"
#include "jobs/scores_file.h"
#include "stream/describe.h"
#include "stream/names.h"

struct self {
	bool text, json, thumbs;
	const char *html, *title, *model, *eval;
	uint64_t top, examples;
	char sha256[SHA256_HEX]; /* of the model */
	struct scores_file scores;
	struct description said;
	struct facts facts;
	struct strings ids, labels; /* of the frame at hand */
	struct mat scratch;
	struct gathering gathering;
	const struct simd *simd;
};

static const struct opt opts[] = {
	OPT_FLAG(0, "text", struct self, text, "tables for a terminal (the default)"),
	OPT_FLAG(0, "json", struct self, json, "everything, for programs"),
	OPT_STR(0, "html", struct self, html, "FILE", "one self-contained page"),
	OPT_STR('m', "model", struct self, model, "MODEL", "tell at which nesting level of the model latents enter"),
	OPT_STR(0, "eval", struct self, eval, "FILE", "tell how good the model is: what sae-eval --progressive --json wrote"),
	OPT_FLAG(0, "thumbs", struct self, thumbs, "show ids that are pictures' paths or http(s) addresses as pictures"),
	OPT_UINT(0, "top", struct self, top, "N", "latents a table shows (default 12)"),
	OPT_UINT(0, "examples", struct self, examples, "N", "example rows (default 6, at most 64)"),
	OPT_STR(0, "title", struct self, title, "TEXT", "what to call it"),
	OPT_END
};
static const struct self defaults = {.top = 12, .examples = 6, .title = "What is in this stream"};

static int
start(struct run *r)
{
	struct self *s = r->self;
	struct sae model;

	if (s->text && s->json)
		return run_usage(r, "one of --text and --json");
	if (s->html && !strcmp(s->html, "-"))
		return run_usage(r, "--html -: name a file; standard output has the text");
	if (s->thumbs && !s->html)
		return run_usage(r, "--thumbs is for --html FILE");
	s->text |= !s->json && !s->html;
	facts_init(&s->facts, (size_t)s->examples, s->json || s->html);
	if (s->model) {
		if (model_load(&model, s->model, &r->err) || run_model_fits(r, &model, s->model, ~0u))
			return r->err.code;
		memcpy(s->sha256, model.sha256, sizeof s->sha256);
		facts_model(&s->facts, &model);
		sae_free(&model);
	}
	return simd_pick(&s->simd, r->cpu, &r->err);
}

static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;

	if (describe_head(&s->said, h, &r->err))
		return r->err.code;
	if (s->model && s->said.model[0] && strcmp(s->said.model, s->sha256))
		return run_fail(r, CODE_DATA, "%s: these codes were made with model %.12s..., %s is %.12s...", stream_name(r->in), s->said.model, s->model, s->sha256);
	if (!s->eval || s->facts.report.eval)
		return 0;
	s->facts.report.eval = &s->scores.scores;
	return scores_load(&s->scores, s->eval, s->said.model[0] ? s->said.model : s->model ? s->sha256 : NULL, &r->err);
}

static void
take_name(void *facts, const struct name *n)
{
	if (n->valid)
		facts_name(facts, n->latent, n->text, n->n, n->score, n->ratio);
}

static int
take_codes(struct run *r, struct frame *f, const struct facts_rows *who)
{
	struct self *s = r->self;
	bool first = !s->facts.names;
	struct csr_view z;

	if (!run_sparse(r, f, "z", &z))
		return r->err.code;
	if (facts_codes_begin(&s->facts, z.cols, &r->err))
		return run_blame(r, f);
	if (first && names_each(&r->head, take_name, &s->facts, &r->err))
		return r->err.code;
	return gather_codes(&s->gathering, &s->facts, who, z, r->pool, s->simd, &r->err);
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	struct facts_rows who = {.row = f->row, .n = (size_t)f->n};
	const float *x;
	unsigned i;
	size_t d;

	who.ids = run_strings(r, f, "id", &s->ids);
	who.labels = run_strings(r, f, "label", &s->labels);
	if (r->err.code || facts_labels(&s->facts, &who, &r->err))
		return r->err.code;
	for (i = 0; i < f->ncols; i++) {
		const struct col *c = &f->cols[i];

		if (c->form == COL_DENSE && c->ndim == 2 && dtype_parse(c->dtype, NULL)) {
			x = run_numbers(r, f, c->name, &d, &s->scratch);
			if (!x || facts_dense(&s->facts, c->name, x, who.n, d, &r->err))
				return x ? run_blame(r, f) : r->err.code;
		} else if (c->form == COL_CSR && !strcmp(c->name, "z") && take_codes(r, f, &who)) {
			return r->err.code;
		}
	}
	run_progress(r, f->row + f->n, 0);
	return 0;
}

static int
write_reports(struct run *r)
{
	struct self *s = r->self;
	struct report *p = &s->facts.report;
	struct outfile o;
	FILE *to;

	if (s->html) {
		to = outfile_stdio(&o, s->html, &r->err);
		if (!to || outfile_stdio_close(&o, to, report_write(p, REPORT_HTML, to), &r->err))
			return r->err.code;
	}
	if (!s->text && !s->json)
		return 0;
	to = run_text(r);
	return run_wrote(r, !to || report_write(p, s->json ? REPORT_JSON : REPORT_TEXT, to));
}

static int
stop(struct run *r)
{
	struct self *s = r->self;
	struct report *p = &s->facts.report;
	const struct description *d = &s->said;
	struct stream_counts c = stream_counts(r->in);
	size_t i;

	if (facts_report(&s->facts, &r->err))
		return r->err.code;
	p->thumbs = s->thumbs;
	p->title = s->title;
	p->top = (size_t)s->top;
	p->stream = d->stream[0] ? d->stream : NULL;
	p->model = d->model[0] ? d->model : NULL;
	p->norm = d->norm[0] ? d->norm : NULL;
	p->streams = c.streams;
	p->frames = c.frames;
	p->rows = c.rows;
	p->bytes = c.bytes;
	for (i = 0; i < d->nstages; i++)
		facts_stage(&s->facts, d->stages[i].program, d->stages[i].version, d->stages[i].command);
	p->more_stages = d->all_stages - d->nstages;
	for (i = 0; i < d->ncolumns; i++)
		facts_column(&s->facts, d->columns[i].name, d->columns[i].dtype, d->columns[i].shape);
	return write_reports(r);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	describe_free(&s->said);
	facts_free(&s->facts);
	strings_free(&s->ids);
	strings_free(&s->labels);
	mat_free(&s->scratch);
	gathering_free(&s->gathering);
}

const struct program program = {
	.name = "report",
	.summary = "tell what is in a stream",
	.about = "Reads any stream and tells what it is: the stages that made it, its columns, norms of\n"
	         "its rows, labels, and of codes their sparsity, the most frequent and the strongest\n"
	         "latents (by name, after concept-score) with the rows where they are strongest, and\n"
	         "what a few example rows are made of. Memory does not grow with the rows.\n\n"
	         "--html writes one page that needs nothing else: the numbers, plots, a table of all\n"
	         "concepts to sort and filter, and for each a section with its values, its strongest\n"
	         "rows, what it fires with and, with -m MODEL, the nesting level where it enters.",
	.example = "  sae-encode -m clip.msae < x.sae | topk -k 32 | concept-score -c concepts.json | report\n"
	           "  report --html clip.html -m clip.msae --eval clip.json --thumbs < named.sae\n"
	           "  report --json < codes.sae | jq .codes.sparsity",
	.kind = PROGRAM_SINK, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .head = head, .rows = rows, .stop = stop, .clean = clean,
};
