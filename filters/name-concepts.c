/* name-concepts: names for latents, out of a vocabulary's embeddings. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/spool.h"
#include "files/modelfile.h"
#include "jobs/namer.h"

struct self {
	const char *path, *by, *data;
	uint64_t best, strongest, mixes;
	struct namer namer;
	struct sae model;
	char **files; /* [r->argc + 1] of --data */
	bool streams; /* they are */
	struct mat scratch;
	struct strings texts; /* of the frame at hand */
};

#define O(field) namer.o.field
static const struct opt opts[] = {
	OPT_STR('m', "model", struct self, path, "MODEL", "the model whose latents are to be named (needed)"),
	OPT_STR(0, "by", struct self, by, "HOW", "what a latent's words are nearest to: data (the rows where it\nis strongest; default with --data) or decoder (its row there)"),
	OPT_STR(0, "data", struct self, data, "FILE", "embeddings as the model was trained on, of any number of rows:\n.npy or a stream in a file; more of them may follow"),
	OPT_UINT(0, "strongest", struct self, strongest, "N", "by data: so many rows for each latent (default 10)"),
	OPT_FLOAT(0, "max-false", struct self, O(max_false), "SHARE", "valid are names from the cosine on from which this share\nof them is expected to be false (default .05)"),
	OPT_FLOAT(0, "min-sim", struct self, O(min_sim), "C", "valid are names from this cosine on instead"),
	OPT_FLOAT(0, "min-ratio", struct self, O(min_ratio), "R", "and only if it is R times that of the second word (default 1)"),
	OPT_UINT(0, "null", struct self, mixes, "N", "how often each word is mixed with another to tell how many\nnames are false (default 10; 0: not at all)"),
	OPT_UINT(0, "best", struct self, best, "N", "words kept for each latent (default 5)"),
	OPT_FLAG(0, "uncentred", struct self, O(uncentred), "take words as they are, not about their own mean"),
	OPT_FLAG(0, "use-bias", struct self, O(use_bias), "by decoder: its rows with b_dec added"),
	OPT_FLAG(0, "published", struct self, O(published), "by decoder: row / scale + mean with words as they are, as the\npaper has it (its thresholds: --min-sim .42 --min-ratio 2)"),
	OPT_END
};
static const struct self defaults = {.best = 5, .strongest = 10, .mixes = 10, .O(max_false) = .05, .O(min_sim) = NAN, .O(min_ratio) = 1};
#undef O

static int
check_options(struct run *r)
{
	struct self *s = r->self;
	struct namer_opts *o = &s->namer.o;

	if (!s->path)
		return run_usage(r, "-m MODEL is needed");
	if (!strcmp(r->common.out, "-"))
		return run_usage(r, "-o FILE is needed: where the names go");
	if (s->by && strcmp(s->by, "data") && strcmp(s->by, "decoder"))
		return run_usage(r, "--by %s: data or decoder", s->by);
	o->by_data = s->by ? !strcmp(s->by, "data") : s->data != NULL;
	if (o->by_data != (s->data != NULL))
		return run_usage(r, o->by_data ? "--by data: needs --data FILE" : "--by decoder: takes no --data");
	if (r->argc && !s->data)
		return run_usage(r, "%s: words come as a stream; data comes with --data", r->argv[0]);
	if (o->by_data && (o->published || o->use_bias))
		return run_usage(r, "--published and --use-bias say what to take of the decoder: not with --data");
	if (!s->best || s->best > 1000 || !s->strongest || s->strongest > 1000)
		return run_usage(r, "--best and --strongest: 1 to 1000");
	if (s->mixes > 1000 || (!s->mixes && isnan(o->min_sim)))
		return run_usage(r, "--null %" PRIu64 ": 1 to 1000, or 0 with --min-sim", s->mixes);
	if (!(o->max_false >= 0 && o->max_false <= 1))
		return run_usage(r, "--max-false %g: a share, 0 to 1", o->max_false);
	o->best = (size_t)s->best, o->strongest = (size_t)s->strongest, o->mixes = (size_t)s->mixes;
	o->uncentred |= o->published;
	return 0;
}

/* Files or streams, not both: the first one says. */
static int
open_data(struct run *r)
{
	static const struct matfile_opts none = {0};
	struct self *s = r->self;
	size_t n = (size_t)r->argc + 1;

	s->files = calloc(n, sizeof *s->files);
	if (!s->files)
		return err_memory(&r->err, "list of files", n * sizeof *s->files);
	s->files[0] = (char *)s->data;
	memcpy(s->files + 1, r->argv, (n - 1) * sizeof *s->files);
	fileset_sort(s->files, n);
	s->streams = stream_is_file(s->files[0]);
	if (s->streams)
		return 0;
	if (rowset_files(&s->namer.rows, s->files, n, &none, s->namer.simd, &r->err))
		return r->err.code;
	return run_model_width(r, s->files[0], s->namer.rows.store.cols, s->path, s->model.d);
}

static int
start(struct run *r)
{
	struct self *s = r->self;

	s->namer.model = &s->model, s->namer.pool = r->pool;
	if (check_options(r) || simd_pick(&s->namer.simd, r->cpu, &r->err) || model_load(&s->model, s->path, &r->err) ||
	    run_model_fits(r, &s->model, s->path, ~(unsigned)SAE_TRANSCODER))
		return r->err.code;
	return s->data ? open_data(r) : 0;
}

static const float *
rows_of_x(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	size_t d;
	const float *x = run_dense(r, f, "x", &d, &s->scratch);

	return x && !run_model_width(r, "x", d, s->path, s->model.d) ? x : NULL;
}

static int
take_data(struct run *r, struct frame *f, void *none)
{
	struct namer *n = &((struct self *)r->self)->namer;
	const float *x;

	(void)none;
	if (f->kind == FRAME_HEAD && head_is_set(&r->head, "norm"))
		return run_fail(r, CODE_DATA, "%s: is normalised; data is taken as the model's normalize takes it: leave out normalize", stream_name(r->in));
	if (f->kind != FRAME_ROWS)
		return 0;
	x = rows_of_x(r, f);
	if (!x || rowset_add(&n->rows, x, (size_t)f->n, n->model->d, n->simd, &r->err) || namer_data(n, x, (size_t)f->n, &r->err))
		return r->err.code;
	run_progress(r, n->encoded, 0);
	return 0;
}

static int
read_data(struct run *r)
{
	struct self *s = r->self;
	struct rowset *rows = &s->namer.rows;
	int i, got = 0;

	for (i = 0; s->streams && i <= r->argc; i++)
		if (run_frames_of(r, s->files[i], take_data, NULL))
			return r->err.code;
	while (!s->streams && (got = rowset_scan(rows, &r->err)) > 0) {
		if (namer_data(&s->namer, rows->block.data, (size_t)(rows->scanned - s->namer.encoded), &r->err))
			return r->err.code;
		run_progress(r, rows->scanned, rows->store.rows);
		if (run_stopped())
			return run_stop(r, rows->scanned);
	}
	run_progress_clear(r);
	return got < 0 ? r->err.code : 0;
}

static int
each_word(struct run *r, struct frame *f, int (*take)(struct namer *, const float *, const char *const *, size_t, struct err *))
{
	struct self *s = r->self;
	const float *x = rows_of_x(r, f);
	const char *const *texts = x ? run_strings(r, f, "id", &s->texts) : NULL;

	if (!r->err.code && !texts)
		run_fail(r, CODE_DATA, "no column id of text here: which word is which? (read-embeddings words.npy --ids words.txt)");
	else if (r->err.code || !take(&s->namer, x, texts, (size_t)f->n, &r->err))
		return r->err.code;
	return run_blame(r, f);
}

/* All words, before any of them is compared: their mean. */
static int
look(struct run *r, struct frame *f)
{
	if (f->kind == FRAME_HEAD && head_is_set(&r->head, "norm"))
		return run_fail(r, CODE_DATA, "%s: is normalised; words are compared as they come: leave out normalize", stream_name(r->in));
	return f->kind == FRAME_ROWS ? each_word(r, f, namer_look) : 0;
}

static int
ready(struct run *r)
{
	struct self *s = r->self;

	if ((s->data && read_data(r)) || namer_begin(&s->namer, &r->err))
		return r->err.code;
	return spool_first_pass(r, look);
}

static int
rows(struct run *r, struct frame *f)
{
	return each_word(r, f, namer_words);
}

static int
stop(struct run *r)
{
	struct namer *n = &((struct self *)r->self)->namer;
	const struct namer_result *got = &n->result;

	if (namer_finish(n, r->common.out, &r->err) || r->common.quiet)
		return r->err.code;
	printf("%s: %zu of %zu latents have a valid name, %zu of %" PRIu64 " words", r->common.out, got->valid, n->model->m, got->names, got->words);
	if (isfinite(got->min_sim))
		printf("; from a cosine of %.3g on", got->min_sim);
	if (!isnan(got->expected_false))
		printf(", where %.2g %% may be false", 100 * got->expected_false);
	putchar('\n');
	return 0;
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	namer_free(&s->namer);
	free(s->files);
	strings_free(&s->texts);
	mat_free(&s->scratch);
	sae_free(&s->model);
}

const struct program program = {
	.name = "name-concepts",
	.summary = "name a model's latents with words",
	.operands = "[FILE...]",
	.about = "Reads the embeddings of a vocabulary, a word a row with its text as id, and writes a\n"
	         "concepts file: for each latent the words nearest to it, and whether the best is near\n"
	         "enough to be its name (`valid`). A latent that no word is near to has none.\n\n"
	         "With --data a latent is where the rows lie on which it is strongest, which names far\n"
	         "better than its decoder row. How near is near enough is found out by mixing words:\n"
	         "a point halfway between two words is no name; as many latents as have one of those\n"
	         "nearby may have a false name.",
	.example = "  read-embeddings words.npy --ids words.txt |\n"
	           "    name-concepts -m clip.msae --data train_*.npy -o concepts.json\n"
	           "  sae-encode -m clip.msae < x.sae | concept-score -c concepts.json --only-valid | report",
	.kind = PROGRAM_SINK, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .ready = ready, .rows = rows, .stop = stop, .clean = clean,
};
