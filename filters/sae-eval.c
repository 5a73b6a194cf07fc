/* sae-eval: how good a model is, on rows of a stream. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"
#include "files/modelfile.h"
#include "files/probefile.h"
#include "jobs/evaluation.h"

struct subject {
	struct sae model;
	struct evaluation of;
};

struct self {
	const char *path, *probe_path, *plot, *latents, *state;
	bool progressive, compare, merge, no_cknna, raw, as_is, json, csv;
	uint64_t group, neighbours;
	struct probe probe;
	struct subject *subjects;
	struct scores *scores;
	size_t n;             /* subjects */
	const struct simd *simd;
	struct mat scratch;
};

static const struct opt opts[] = {
	OPT_STR('m', "model", struct self, path, "MODEL", "the model to measure"),
	OPT_FLAG(0, "compare", struct self, compare, "measure each MODEL named, on the same rows"),
	OPT_FLAG(0, "progressive", struct self, progressive, "also with the 16, 32, 64 ... largest codes of each row"),
	OPT_STR(0, "probe", struct self, probe_path, "PROBE", "LP-KL and LP-Acc: what a probe says of x and of xhat"),
	OPT_UINT(0, "group", struct self, group, "ROWS", "CKNNA: rows that are compared with each other (10000)"),
	OPT_UINT(0, "neighbours", struct self, neighbours, "K", "CKNNA: nearest of each row (10)"),
	OPT_FLAG(0, "no-cknna", struct self, no_cknna, "leave CKNNA out: it is most of the work"),
	OPT_FLAG(0, "raw", struct self, raw, "compare raw embeddings, as published figures do: their mean\nmakes everything look better"),
	OPT_FLAG(0, "as-is", struct self, as_is, "rows that were not normalised are the model's as they are\n(default: they are normalised by the model's mean and scale)"),
	OPT_FLAG(0, "json", struct self, json, "JSON"),
	OPT_FLAG(0, "csv", struct self, csv, "CSV: a line a model and level"),
	OPT_STR(0, "plot", struct self, plot, "FILE.svg", "draw FVU and cosine against k, or, of several models, against L0"),
	OPT_STR(0, "latents", struct self, latents, "FILE.csv", "write each latent's rows, strength and monosemanticity"),
	OPT_STR(0, "state", struct self, state, "FILE", "write the sums there, to be merged, instead of results"),
	OPT_FLAG(0, "merge", struct self, merge, "add up the STATEs named instead of reading rows"),
	OPT_END
};
static const struct self defaults = {.group = 10000, .neighbours = 10};

static int
check_options(struct run *r)
{
	struct self *s = r->self;

	if (s->json && s->csv)
		return run_usage(r, "give one of --json and --csv");
	if (s->merge && (s->path || s->compare || s->progressive || s->probe_path || s->no_cknna || s->raw || s->as_is))
		return run_usage(r, "--merge takes states and what to do with the results; how was said when they were made");
	if (s->merge ? !r->argc : s->compare ? r->argc + (s->path != NULL) < 2 : r->argc > 0)
		return run_usage(r, s->merge ? "--merge STATE...: which states?" : s->compare ? "--compare MODEL MODEL...: at least two models"
		                 : "FILEs are named with --compare or --merge only; embeddings come as a stream: read-embeddings FILE |");
	if (!s->merge && !s->compare && !s->path)
		return run_usage(r, "-m MODEL is needed (or --compare, or --merge)");
	if (s->state && s->compare)
		return run_usage(r, "--state is for one model");
	if (s->state && (s->json || s->csv || s->plot || s->latents))
		return run_usage(r, "--state writes no results: ask --merge for those");
	return 0;
}

static int
begin(struct run *r, struct subject *one, const char *path)
{
	struct self *s = r->self;
	struct evaluation_opts o = {s->progressive, s->raw, !s->no_cknna, (size_t)s->group, (size_t)s->neighbours,
	                            s->probe_path ? &s->probe : NULL, NULL};
	char name[256];

	o.name = text_printable(name, sizeof name, path, strlen(path));
	if (model_load(&one->model, path, &r->err) || run_model_fits(r, &one->model, path, ~0u))
		return r->err.code;
	if (one->model.d != s->subjects[0].model.d)
		return run_fail(r, CODE_DATA, "%s: takes rows of %zu numbers, %s of %zu: they cannot be compared on the same rows",
		                path, one->model.d, s->subjects[0].of.name, s->subjects[0].model.d);
	return evaluation_begin(&one->of, &one->model, &o, r->pool, s->simd, &r->err);
}

static int
start(struct run *r)
{
	struct self *s = r->self;
	const char *path;
	size_t i;

	r->text = true;
	r->no_in = s->merge;
	if (check_options(r) || simd_pick(&s->simd, r->cpu, &r->err))
		return r->err.code;
	if (s->probe_path && probe_load(&s->probe, s->probe_path, &r->err))
		return r->err.code;
	s->n = s->merge ? 1 : (size_t)r->argc + (s->path != NULL);
	s->subjects = calloc(s->n, sizeof *s->subjects);
	s->scores = calloc(s->n, sizeof *s->scores);
	if (!s->subjects || !s->scores)
		return err_memory(&r->err, "models", s->n * (sizeof *s->subjects + sizeof *s->scores));
	for (i = 0; i < s->n && !s->merge; i++) {
		path = s->path ? i ? r->argv[i - 1] : s->path : r->argv[i];
		if (begin(r, &s->subjects[i], path))
			return r->err.code;
	}
	return 0;
}

static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	struct evaluation_norm norm = {NULL, 1, false};
	char how[16] = "";
	float *mean = NULL;
	size_t d = 0, i;
	int got = head_get_norm(h, &mean, &d, &norm.scale, how, sizeof how, &r->err);

	norm.mean = mean;
	norm.by_model = !strcmp(how, "model");
	if (got > 0)
		run_model_width(r, "norm's mean", d, s->subjects[0].of.name, s->subjects[0].model.d);
	for (i = 0; i < s->n && !r->err.code; i++)
		evaluation_stream(&s->subjects[i].of, &norm, s->as_is, &r->err);
	mem_free(mean);
	return r->err.code ? err_add(&r->err, "%s", stream_name(r->in)) : 0;
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	size_t d, i;
	const float *x = run_dense(r, f, "x", &d, &s->scratch);

	if (!x || run_model_width(r, "x", d, s->subjects[0].of.name, s->subjects[0].model.d))
		return r->err.code;
	for (i = 0; i < s->n; i++)
		if (evaluation_rows(&s->subjects[i].of, x, (size_t)f->n, f->row, &r->err))
			return run_blame(r, f);
	run_progress(r, stream_counts(r->in).rows, 0);
	return 0;
}

static int
write_file(struct run *r, const char *path, int (*write)(const struct scores *, size_t, FILE *))
{
	struct self *s = r->self;
	struct outfile o;
	FILE *to = outfile_stdio(&o, path, &r->err);

	return to ? outfile_stdio_close(&o, to, write(s->scores, s->n, to), &r->err) : r->err.code;
}

static int
stop(struct run *r)
{
	struct self *s = r->self;
	enum scores_form form = s->json ? SCORES_JSON : s->csv ? SCORES_CSV : SCORES_TEXT;
	struct evaluation *v;
	FILE *to;
	size_t i;

	if (s->merge && evaluation_load_all(&s->subjects[0].of, r->argv, (size_t)r->argc, r->pool, s->simd, &r->err))
		return r->err.code;
	run_progress_clear(r);
	to = run_text(r);
	if (!to)
		return r->err.code;
	if (s->state) {
		v = &s->subjects[0].of;
		if (!evaluation_save(v, s->state, &r->err))
			fprintf(to, "%s: %llu rows of %s\n", s->state, (unsigned long long)v->quality.rows, v->name);
		return r->err.code;
	}
	for (i = 0; i < s->n; i++) {
		v = &s->subjects[i].of;
		if (evaluation_finish(v, &r->err) || evaluation_scores(v, &s->scores[i], &r->err))
			return r->in ? err_add(&r->err, "%s", stream_name(r->in)) : r->err.code;
	}
	if ((s->plot && write_file(r, s->plot, scores_plot)) || (s->latents && write_file(r, s->latents, scores_latents)))
		return r->err.code;
	return run_wrote(r, scores_write(s->scores, s->n, form, to));
}

static void
clean(struct run *r)
{
	struct self *s = r->self;
	size_t i;

	for (i = 0; i < s->n && s->subjects; i++) {
		evaluation_free(&s->subjects[i].of);
		sae_free(&s->subjects[i].model);
	}
	free(s->subjects);
	free(s->scores);
	probe_free(&s->probe);
	mat_free(&s->scratch);
}

const struct program program = {
	.name = "sae-eval",
	.summary = "measure how good a model is",
	.operands = "[MODEL|STATE...]",
	.about = "Measures a model on rows of a stream, in one pass and in memory that does not grow\n"
	         "with them: FVU (of rows, as in the paper, and of the data set), cosine, MAE, L0,\n"
	         "sparsity, CKNNA, overlap of decoder rows (DO), latents never (NDN) and always active,\n"
	         "how often latents are active, and their monosemanticity; with means, standard\n"
	         "deviations and 95 % intervals. All in the space of normalised rows, unless --raw.\n\n"
	         "Shards of one stream (read-embeddings --shard) can be measured apart: --state writes\n"
	         "the sums, --merge adds them up to what one pass would have said.",
	.example = "  read-embeddings test.npy | sae-eval -m clip.msae --progressive --plot clip.svg\n"
	           "  read-embeddings test.npy | sae-eval --compare a.msae b.msae --no-cknna\n"
	           "  read-embeddings big/*.npy --shard 0/8 | sae-eval -m clip.msae --state 0.state\n"
	           "  sae-eval --merge *.state",
	.kind = PROGRAM_SINK, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .head = head, .rows = rows, .stop = stop, .clean = clean,
};
