/* bias-audit: in which concepts groups of rows differ, and what a probe would
 * say if one concept were different. */
#include "cli/cli.h"
#include "cli/spool.h"
#include "files/modelfile.h"
#include "files/probefile.h"
#include "jobs/auditing.h"

#define SHOWN 20 /* latents of a comparison, unless said */
#define UNSAID UINT64_MAX

struct self {
	const char *concepts_path, *path, *probe_path, *by, *plot;
	struct opt_list ignore, groups, asked;
	uint64_t top, nsweeps;
	bool all, json, csv;
	struct concepts concepts;
	struct lexicon names;
	struct sae model;
	struct probe probe;
	struct auditing of;
	bool codes, labelled; /* the stream at hand has z, has labels */
	struct strings labels;
	struct mat scratch;
};

static const struct opt opts[] = {
	OPT_STR('c', "concepts", struct self, concepts_path, "FILE", "a concepts file: names for latents"),
	OPT_STR('m', "model", struct self, path, "MODEL", "the model: to encode x, and for counterfactuals"),
	OPT_STR('p', "probe", struct self, probe_path, "PROBE", "the probe that counterfactuals ask; groups are what it says\nwhere rows have no labels"),
	OPT_STR(0, "by", struct self, by, "COLUMN", "the column that tells groups apart (default label)"),
	OPT_LIST(0, "group", struct self, groups, "LABEL", "compare this group; given once with all others, twice one\nwith the other, oftener each with the others named"),
	OPT_LIST(0, "ignore", struct self, ignore, "LABEL", "leave out rows of that label (may be repeated)"),
	OPT_UINT(0, "top", struct self, top, "N", "show N latents a comparison (default 20)"),
	OPT_FLAG(0, "all", struct self, all, "show all that were tested, as --json and --csv do"),
	OPT_FLAG(0, "only-valid", struct self, of.only_valid, "show only those with a valid name"),
	OPT_LIST(0, "sweep", struct self, asked, "NAME[=FROM:TO[:STEPS]]", "set this concept to 11 (or STEPS) codes, one after another,\nin every row, and ask the probe (may be repeated; default\nfrom 0 to the largest code it has in these rows)"),
	OPT_UINT(0, "sweeps", struct self, nsweeps, "N", "without --sweep: sweep the N latents shown first (default 3)"),
	OPT_STR(0, "of", struct self, of.of, "GROUP", "sweep in the rows of this group"),
	OPT_STR(0, "plot", struct self, plot, "FILE.svg", "draw the sweeps"),
	OPT_FLAG(0, "json", struct self, json, "JSON"),
	OPT_FLAG(0, "csv", struct self, csv, "CSV: a line a latent and comparison, no sweeps"),
	OPT_END
};
static const struct self defaults = {.top = UNSAID, .nsweeps = 3};

static int
check_options(struct run *r)
{
	struct self *s = r->self;
	const char *asks = s->asked.n ? "--sweep" : s->of.of ? "--of" : s->plot ? "--plot" : NULL;

	if (s->json && s->csv)
		return run_usage(r, "give one of --json and --csv");
	if (s->of.only_valid && !s->concepts_path)
		return run_usage(r, "--only-valid needs names: -c CONCEPTS");
	if (asks && (!s->path || !s->probe_path))
		return run_usage(r, "%s is about what a probe says of what a model decodes: give -p PROBE and -m MODEL", asks);
	if (s->csv && asks && !s->plot)
		return run_usage(r, "--csv has no sweeps; --json has");
	if (s->nsweeps > SWEEPS_MAX || (asks && !s->asked.n && !s->nsweeps))
		return run_usage(r, "--sweeps %llu: at most %d, and 0 leaves nothing to draw", (unsigned long long)s->nsweeps, SWEEPS_MAX);
	s->of.sweeping = s->path && s->probe_path && (s->asked.n || s->nsweeps) && (!s->csv || s->plot);
	if (s->top == UNSAID && !s->all && !s->json && !s->csv)
		s->top = SHOWN;
	r->text = true;
	return 0;
}

/* Options that name groups and concepts. */
static int
names(struct run *r)
{
	struct self *s = r->self;
	size_t i;

	for (i = 0; i < s->ignore.n; i++)
		if (audit_leave_out(&s->of.audit, s->ignore.items[i].value, &r->err))
			return err_add(&r->err, "--ignore");
	for (i = 0; i < s->groups.n; i++)
		if (audit_ask_for(&s->of.audit, s->groups.items[i].value, &r->err))
			return err_add(&r->err, "--group");
	for (i = 0; i < s->asked.n; i++)
		if (sweeps_add(&s->of.sweeps, s->asked.items[i].value, &s->names, &s->concepts, &r->err))
			return err_add(&r->err, "--sweep %s", s->asked.items[i].value);
	return 0;
}

static int
start(struct run *r)
{
	struct self *s = r->self;
	struct err *e = &r->err;

	if (check_options(r) || simd_pick(&s->of.simd, r->cpu, e) ||
	    (s->path && (model_load(&s->model, s->path, e) || run_model_fits(r, &s->model, s->path, SAE_OWN_ORDER | SAE_GROUPS))) ||
	    (s->probe_path && probe_load(&s->probe, s->probe_path, e)) ||
	    (s->concepts_path && (concepts_load(&s->concepts, s->concepts_path, e) || concepts_lexicon(&s->concepts, &s->names, e))) ||
	    (s->concepts_path && s->path && concepts_of_model(&s->concepts, s->concepts_path, s->path, s->model.sha256, e)) || names(r))
		return e->code;
	s->of.model = s->path ? &s->model : NULL;
	s->of.probe = s->probe_path ? &s->probe : NULL;
	s->of.concepts = s->concepts_path ? &s->concepts : NULL;
	s->of.pool = r->pool;
	s->of.nsweeps = (size_t)s->nsweeps;
	return auditing_begin(&s->of, e);
}

/* What the stream has: codes of the model, or rows for it. */
static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	float *mean = NULL, scale = 1;
	struct col c;
	size_t d = 0;

	s->codes = head_declared(h, "z", &c) || !head_declared(h, "x", &c);
	s->labelled = head_declared(h, s->by ? s->by : "label", &c);
	if (!s->labelled && (s->by || !s->probe_path))
		return run_fail(r, CODE_DATA, "%s: no column %s to tell groups by; read-embeddings x.npy --labels labels.txt, or a probe: -p", stream_name(r->in), s->by ? s->by : "label");
	if (!s->codes && !s->path)
		return run_usage(r, "these are embeddings: -m MODEL is needed to encode them");
	if (s->codes && ((s->path && run_made_with(r, h, s->path, s->model.sha256)) || (s->concepts_path && run_made_with(r, h, s->concepts_path, s->concepts.model))))
		return r->err.code;
	if ((!s->codes && run_normalised(r, &s->model, s->path) < 0) || head_get_norm(h, &mean, &d, &scale, NULL, 0, &r->err) < 0)
		return r->err.code;
	if (!s->codes && !mean)
		return run_fail(r, CODE_DATA, "%s: these embeddings were not normalised as the model expects; put `normalize -m %s |` before bias-audit", stream_name(r->in), s->path);
	return auditing_stream(&s->of, mean, d, scale, &r->err);
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	const char *by = s->by ? s->by : "label", *const *labels = NULL;
	const float *x = NULL;
	struct csr_view z;
	size_t d = 0;

	if ((s->codes && !run_sparse(r, f, "z", &z)) || ((!s->codes || (s->probe_path && frame_col(f, "x"))) && !(x = run_dense(r, f, "x", &d, &s->scratch))))
		return r->err.code;
	if (s->labelled && !(labels = run_strings(r, f, by, &s->labels)))
		return r->err.code ? r->err.code : run_fail(r, CODE_DATA, "%s: column %s is not there in every frame, as text", stream_name(r->in), by);
	if (!auditing_rows(&s->of, x, d, s->codes ? &z : NULL, labels, (size_t)f->n, &r->err))
		return 0;
	return r->err.code == CODE_USAGE ? r->err.code : run_blame(r, f);
}

static int
first_frame(struct run *r, struct frame *f)
{
	return f->kind == FRAME_HEAD ? head(r, &r->head) : f->kind == FRAME_ROWS ? rows(r, f) : 0;
}

/* The first of two passes: only then it is known what to sweep, and how far. */
static int
ready(struct run *r)
{
	struct self *s = r->self;

	if (s->of.sweeping && !spool_first_pass(r, first_frame) && auditing_turn(&s->of, &r->err) && r->err.code != CODE_USAGE)
		return err_add(&r->err, "%s", stream_name(r->in));
	return r->err.code;
}

static int
stop(struct run *r)
{
	struct self *s = r->self;
	struct audited told;
	struct outfile o;
	FILE *to;

	if (auditing_finish(&s->of, &told, &r->err))
		return err_add(&r->err, "%s", stream_name(r->in));
	if (auditing_length(&s->of) > 2 || auditing_length(&s->of) < .5)
		warn(r, "%s: rows are %.2g times as long as what a model is trained on; were those of another length? normalize --l2 makes them alike", stream_name(r->in), auditing_length(&s->of));
	told.by = s->of.guessed ? NULL : s->by ? s->by : "label";
	told.probe = s->probe_path;
	told.names = s->concepts_path;
	told.top = s->all ? SIZE_MAX : (size_t)s->top;
	run_progress_clear(r);
	if (s->plot && !told.nsweeps)
		return run_fail(r, CODE_DATA, "%s: no latent to sweep is active: nothing to draw", stream_name(r->in));
	if (s->plot && (!(to = outfile_stdio(&o, s->plot, &r->err)) || outfile_stdio_close(&o, to, audited_plot(&told, to), &r->err)))
		return r->err.code;
	return run_wrote(r, audited_write(&told, s->json ? AUDITED_JSON : s->csv ? AUDITED_CSV : AUDITED_TEXT, run_text(r)));
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	auditing_free(&s->of);
	lexicon_free(&s->names);
	concepts_free(&s->concepts);
	probe_free(&s->probe);
	sae_free(&s->model);
	mat_free(&s->scratch);
	strings_free(&s->labels);
}

const struct program program = {
	.name = "bias-audit",
	.summary = "find concepts in which groups differ, and what a probe makes of them",
	.about = "Compares groups of rows, by their labels or by what a probe says, in every latent: how\n"
	         "often it is active, its mean, Cliff's delta, and the p-value of Mann-Whitney, good however\n"
	         "few rows are active, with q after Benjamini and Hochberg since thousands are tested. Two\n"
	         "groups are compared with each other, more each with all others.\n\n"
	         "With a probe and a model it then sets a concept to some codes in every row, decodes, and\n"
	         "tells the mean probability of each class: does the probe rely on it? What the codes do\n"
	         "not say of x is kept, where the stream has x. docs/AUDIT.md says how all is reckoned.",
	.example = "  read-embeddings x.npy --labels gender.txt | normalize -m clip.msae |\n"
	           "    bias-audit -m clip.msae -c concepts.json -p gender.probe --ignore '?' --plot gender.svg\n"
	           "  bias-audit -c concepts.json --group zebra --only-valid < codes.sae",
	.kind = PROGRAM_SINK, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .ready = ready, .head = head, .rows = rows, .stop = stop, .clean = clean,
};
