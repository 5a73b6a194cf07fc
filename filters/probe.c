/* probe: linear probes -- fits one to labelled embeddings, applies it, scores it. */
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "files/probefile.h"
#include "jobs/probefit.h"
#include "sae/norm.h"
#include "sae/probe.h"

struct self {
	const char *fit_to, *apply, *column;
	bool want_score, json, csv;
	struct probefit fit;
	struct probe probe;
	struct score score;
	struct undo undo;   /* of the stream at hand */
	uint64_t zeros;     /* rows without a direction */
	struct strings labels;
	struct mat scratch, unit, logp;
	struct buf predicted;
	const struct simd *simd;
};

static const struct opt opts[] = {
	OPT_STR(0, "fit", struct self, fit_to, "FILE", "fit a probe to the rows' labels and write it there"),
	OPT_STR(0, "apply", struct self, apply, "PROBE", "say of each row what the probe says: columns predicted, prob"),
	OPT_FLAG(0, "score", struct self, want_score, "with --apply: tell how well that agrees with the labels"),
	OPT_STR(0, "column", struct self, column, "NAME", "the column of embeddings (default x)"),
	OPT_STR(0, "ignore", struct self, fit.o.ignore, "LABEL", "leave out rows of that label (those without one are, always)"),
	OPT_FLOAT(0, "l2", struct self, fit.o.l2, "STRENGTH", "--fit: penalty on weights (default: the best of 1, .1, .01 ...\non a fifth of the rows)"),
	OPT_FLOAT(0, "hold-out", struct self, fit.o.held_out, "SHARE", "--fit: share of each class to test on, 0 to .5 (default .2)"),
	OPT_UINT(0, "seed", struct self, fit.o.seed, "S", "--fit: of the choice of those rows (default 0)"),
	OPT_UINT(0, "min-rows", struct self, fit.o.min_rows, "N", "--fit: leave out classes with fewer rows (default 1)"),
	OPT_FLAG(0, "balance", struct self, fit.o.balance, "--fit: let every class weigh the same"),
	OPT_UINT(0, "steps", struct self, fit.o.max_steps, "N", "--fit: give up after N steps (default 1000)"),
	OPT_FLAG(0, "json", struct self, json, "--fit, --score: write JSON"),
	OPT_FLAG(0, "csv", struct self, csv, "--score: write label,predicted,rows"),
	OPT_END
};
static const struct self defaults = {.column = "x", .fit.o = {.l2 = NAN, .held_out = .2, .min_rows = 1, .max_steps = 1000, .enough = 1e-4}};

static int
start(struct run *r)
{
	struct self *s = r->self;
	const struct probefit_opts *o = &s->fit.o;

	if (!s->fit_to == !s->apply || (s->fit_to && !strcmp(s->fit_to, "-")))
		return run_usage(r, "say one of --fit FILE and --apply PROBE");
	if ((s->want_score && s->fit_to) || ((s->csv || s->json) && !s->fit_to && !s->want_score) || (s->csv && (s->json || s->fit_to)))
		return run_usage(r, "--score goes with --apply, --json with --fit or --score, --csv with --score alone");
	if (!(o->held_out >= 0 && o->held_out <= .5) || o->l2 < 0)
		return run_usage(r, "--hold-out is a share from 0 to .5, --l2 a strength from 0 on");
	r->text = s->fit_to || s->want_score;
	s->fit.pool = r->pool;
	if (simd_pick(&s->simd, r->cpu, &r->err))
		return r->err.code;
	s->fit.simd = s->simd;
	if (s->fit_to || probe_load(&s->probe, s->apply, &r->err))
		return r->err.code;
	return s->want_score ? score_init(&s->score, s->probe.names, s->probe.classes, &r->err) : 0;
}

static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	uint64_t classes = s->probe.classes;

	undo_free(&s->undo);
	if (head_get_norm(h, &s->undo.mean, &s->undo.d, &s->undo.scale, NULL, 0, &r->err) < 0)
		return err_add(&r->err, "%s", stream_name(r->in));
	if (r->text)
		return 0;
	/* what the columns mean travels with them */
	return head_declare(h, "predicted", "str", 0, NULL, &r->err) || head_declare(h, "prob", "<f4", 1, &classes, &r->err) ||
	       head_set_str(h, "probe", s->probe.sha256, &r->err) ||
	       head_set_strs(h, "classes", (const char *const *)s->probe.names, s->probe.classes, &r->err) ? r->err.code : 0;
}

/* The embeddings as they were made: what was normalised is taken back. That
 * rows were brought to unit length need not be: the probe does so anyway. */
static const float *
raw_rows(struct run *r, struct frame *f, size_t *d)
{
	struct self *s = r->self;
	const float *x = run_dense(r, f, s->column, d, &s->scratch);

	if (x && s->undo.mean && *d != s->undo.d)
		return run_width(r, s->column, *d, "the mean it was normalised by", s->undo.d), NULL;
	return x ? undo_rows(&s->undo, x, (size_t)f->n, s->simd, &r->err) : NULL;
}

static const char *const *
labels_of(struct run *r, struct frame *f)
{
	const char *const *labels = run_strings(r, f, "label", &((struct self *)r->self)->labels);

	if (!labels && !r->err.code) {
		run_fail(r, CODE_DATA, "no column label of text here (read-embeddings x.npy --labels labels.txt)");
		run_blame(r, f);
	}
	return labels;
}

/* Rows for a fit. */
static int
take_rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	const char *const *labels = labels_of(r, f);
	size_t d;
	const float *x = labels ? raw_rows(r, f, &d) : NULL;

	if (!x)
		return r->err.code;
	run_progress(r, f->row + f->n, 0);
	if (s->fit.d && d != s->fit.d)
		return run_width(r, s->column, d, "before it was", s->fit.d);
	return probefit_rows(&s->fit, x, labels, f->row, (size_t)f->n, d, &r->err) ? run_blame(r, f) : 0;
}

/* s->logp of the frame's rows. */
static int
ask(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	size_t d, n = (size_t)f->n, i;
	const float *x = raw_rows(r, f, &d);

	if (!x)
		return r->err.code;
	if (d != s->probe.d)
		return run_width(r, s->column, d, "the probe takes", s->probe.d);
	if (mat_resize(&s->logp, n, s->probe.classes, "prob", &r->err) ||
	    probe_logp(&s->probe, x, n, r->pool, s->simd, &s->unit, s->logp.data, &r->err))
		return r->err.code;
	for (i = 0; i < n; i++)
		s->zeros += s->unit.data[n * d + i] == 0;
	return 0;
}

static int
put_predictions(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	size_t classes = s->probe.classes, n = (size_t)f->n, i;
	const char **predicted = mem_alloc((n + 1) * sizeof *predicted);
	float *logp = s->logp.data;

	if (!predicted)
		return err_memory(&r->err, "predicted", n * sizeof *predicted);
	for (i = 0; i < n; i++)
		predicted[i] = s->probe.names[probe_best(logp + i * classes, classes)];
	for (i = 0; i < n * classes; i++)
		logp[i] = expf(logp[i]);
	run_put_strings(r, f, "predicted", predicted, &s->predicted);
	mem_free(predicted);
	return r->err.code ? r->err.code : run_put_dense(r, f, "prob", logp, classes);
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	const char *const *labels;

	if (s->fit_to)
		return take_rows(r, f);
	if (ask(r, f) || !s->want_score)
		return r->err.code ? r->err.code : put_predictions(r, f);
	labels = labels_of(r, f);
	return labels ? score_labels(&s->score, labels, s->fit.o.ignore, s->logp.data, (size_t)f->n, &r->err) : r->err.code;
}

/* The optimiser, to its end; then the file, and what there is to say. */
static int
fit(struct run *r)
{
	struct self *s = r->self;
	struct probefit *p = &s->fit;
	struct fitted fitted;
	char line[PROBEFIT_LINE];
	int more;

	if (probefit_begin(p, &r->err))
		return err_add(&r->err, "%s", stream_name(r->in));
	while ((more = probefit_step(p, &r->err)) > 0) {
		run_progress_line(r, probefit_line(p, line));
		if (run_stopped())
			return run_stop(r, p->store.rows);
	}
	if (more < 0 || probefit_finish(p, &s->probe, &s->score, &r->err))
		return r->err.code;
	head_get_str(&r->head, "stream", s->probe.trained_on, sizeof s->probe.trained_on);
	if (probe_save(&s->probe, s->fit_to, &r->err))
		return r->err.code;
	fitted = probefit_told(p, &s->probe, &s->score, s->fit_to);
	run_progress_clear(r);
	return run_wrote(r, fitted_write(&fitted, s->json, run_text(r)));
}

static int
stop(struct run *r)
{
	struct self *s = r->self;

	if (s->zeros)
		warn(r, "%llu rows are all zeros: they got what the probe says without a direction", (unsigned long long)s->zeros);
	if (s->fit_to)
		return fit(r);
	if (!s->want_score || score_finish(&s->score, &r->err))
		return r->err.code;
	return run_wrote(r, score_write(&s->score, s->json ? SCORE_JSON : s->csv ? SCORE_CSV : SCORE_TEXT, run_text(r)));
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	score_free(&s->score);
	probefit_free(&s->fit);
	probe_free(&s->probe);
	undo_free(&s->undo);
	strings_free(&s->labels);
	mat_free(&s->scratch);
	mat_free(&s->unit);
	mat_free(&s->logp);
	buf_free(&s->predicted);
}

const struct program program = {
	.name = "probe",
	.summary = "fit, apply and score linear probes",
	.about = "A linear probe tells classes apart by an embedding's direction: logistic regression\n"
	         "on rows of unit length. --fit learns one from the column label, tested on rows it has\n"
	         "not seen; --apply adds the columns predicted and prob (the probability of each\n"
	         "class); --apply --score tells how well a probe agrees with the column label.\n\n"
	         "A probe sees embeddings as their encoder made them: of a stream that was normalised\n"
	         "this is taken back first, so raw and normalised rows give the same probe up to\n"
	         "rounding. --column xhat looks at reconstructions in the same way.",
	.example = "  read-embeddings x.npy --labels gender.txt | probe --fit gender.probe --ignore '?'\n"
	           "  read-embeddings new.npy | probe --apply gender.probe | frames --text | head\n"
	           "  sae-decode -m clip.msae < z.sae | probe --apply gender.probe --column xhat --score",
	.kind = PROGRAM_FILTER, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .head = head, .rows = rows, .stop = stop, .clean = clean,
};
