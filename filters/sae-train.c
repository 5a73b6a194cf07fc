/* sae-train: embeddings to a model. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cli/cli.h"
#include "jobs/training.h"

#define SAVE_TRIES 120 /* a full disk may be cleared: five seconds from one to the next */
#define SAVE_WAIT 5

typedef unsigned long long ull;

struct self {
	struct training t;
	struct mat scratch;
	char source[256]; /* what is trained on, for the model's description */
	bool no_shuffle;
};

#define R(field) t.o.recipe.field
static const struct opt opts[] = {
	OPT_STR(0, "preset", struct self, R(preset), "NAME", "paper (the paper's settings, the default) or best (what\nreconstructs best in the same steps)"),
	OPT_STR(0, "arch", struct self, R(arch), "NAME", "msae-rw (default), msae-uw, topk, batchtopk, relu, jumprelu"),
	OPT_UINT(0, "latents", struct self, R(latents), "M", "how many latents"),
	OPT_FLOAT(0, "expansion", struct self, R(expansion), "F", "how many times the inputs (default 8)"),
	OPT_UINT('k', NULL, struct self, R(k), "K", "topk, batchtopk: codes a row (default 64)"),
	OPT_STR(0, "nesting", struct self, R(nesting), "LIST", "msae: codes a row at each level (default 64,128,... and all)"),
	OPT_STR(0, "weights", struct self, R(weights), "LIST", "msae: weight of each level's loss: rw (the first weighs\nmost), uw (all the same) or numbers"),
	OPT_STR(0, "loss", struct self, R(loss), "NAME", "nmse (squared error over the row's square, default) or mse"),
	OPT_FLOAT(0, "l1", struct self, R(l1), "W", "weight of |z|_1 / |x|_2 (default .03 for relu, else 0)"),
	OPT_FLOAT(0, "l0", struct self, R(l0), "W", "jumprelu: weight of the number of codes (default .001)"),
	OPT_FLOAT(0, "threshold", struct self, R(threshold), "T", "jumprelu: where thresholds start (default .001)"),
	OPT_FLOAT(0, "bandwidth", struct self, R(bandwidth), "B", "jumprelu: width of the window thresholds learn in (.001)"),
	OPT_STR(0, "jump", struct self, R(jump), "HOW", "jumprelu: gradient of thresholds: exact (default) or published\n(as the MSAE authors' code has it)"),
	OPT_FLOAT(0, "soft-cap", struct self, R(soft_cap), "C", "codes become C tanh(z/C) (default 0: they stay)"),
	OPT_UINT(0, "epochs", struct self, R(epochs), "N", "times over all rows (default 30)"),
	OPT_UINT(0, "steps", struct self, R(steps), "N", "stop after N steps; alone: as many epochs as they take"),
	OPT_UINT('b', "batch", struct self, R(batch), "ROWS", "rows a step (default 4096)"),
	OPT_FLOAT(0, "lr", struct self, R(lr), "RATE", "learning rate (default 1e-4 msae, 5e-4 topk, batchtopk,\njumprelu, 5e-5 relu)"),
	OPT_STR(0, "schedule", struct self, R(schedule), "NAME", "linear-decay (default), cosine-warmup or constant"),
	OPT_FLOAT(0, "decay-from", struct self, R(decay_from), "F", "linear-decay: from this share of the epochs on (default .8)"),
	OPT_FLOAT(0, "warmup", struct self, R(warmup), "F", "cosine-warmup: share of the steps (default .05)"),
	OPT_FLOAT(0, "clip", struct self, R(clip), "G", "largest norm of the gradient (default 1; 0: any)"),
	OPT_FLOAT(0, "beta2", struct self, R(beta2), "B", "Adam's second beta (default .999)"),
	OPT_FLOAT(0, "jitter", struct self, R(jitter), "F", "add noise of the data's own shape: differences of other rows,\nF times as large as the spread, less as the rate falls\n(default 0)"),
	OPT_UINT(0, "seed", struct self, R(seed), "S", "of the start and of the order of rows (default 0)"),
	OPT_STR(0, "dead", struct self, R(dead), "HOW", "latents never active: none (leave them, default) or revive"),
	OPT_STR(0, "init", struct self, t.o.init, "MODEL", "start from this model"),
	OPT_STR(0, "start", struct self, R(start), "HOW", "where latents start: random (default) or data (rows' directions)"),
	OPT_STR(0, "init-bias", struct self, R(init_bias), "HOW", "where b_dec starts: zero (default) or median of the rows"),
	OPT_FLAG(0, "no-shuffle", struct self, no_shuffle, "take the rows in their order"),
	OPT_SIZE(0, "window", struct self, R(window), "SIZE", "rows held in memory to be shuffled together (default 128M)"),
	OPT_FLAG(0, "as-is", struct self, t.o.as_is, "do not normalise rows that were not: mean 0, scale 1"),
	OPT_STR(0, "checkpoint", struct self, t.o.checkpoint, "FILE", "where checkpoints go (default MODEL.checkpoint)"),
	OPT_UINT(0, "checkpoint-every", struct self, t.o.every, "N", "write one every N steps (default: only when stopped)"),
	OPT_STR(0, "resume", struct self, t.o.resume, "FILE", "go on from a checkpoint, with the options it was made with"),
	OPT_STR(0, "valid", struct self, t.o.valid, "FILE", "rows to evaluate on behind each epoch (.npy, as they are)"),
	OPT_STR(0, "log", struct self, t.o.log, "FILE", "a line of JSON for every step and evaluation"),
	OPT_END
};
static const struct self defaults = {.t.o.recipe = RECIPE_UNSET};
#undef R

static void
warn_of(void *arg, const char *text)
{
	warn(arg, "%s", text);
}

static void
note(void *arg, const char *text)
{
	struct run *r = arg;

	if (r->common.quiet)
		return;
	run_progress_clear(r);
	printf("%s\n", text);
	fflush(stdout);
}

static int
start(struct run *r)
{
	static const struct matfile_opts none = {0};
	struct self *s = r->self;
	struct training *t = &s->t;

	if (!strcmp(r->common.out, "-"))
		return run_usage(r, "-o MODEL is needed: where the model goes");
	t->o.model = r->common.out;
	t->o.trained_on = s->source;
	t->pool = r->pool;
	t->warn = warn_of, t->note = note, t->arg = r;
	if (t->o.resume && (t->o.as_is || t->o.recipe.preset || !isnan(t->o.recipe.expansion)))
		return run_usage(r, "--resume: goes on as the checkpoint says; leave out --preset, --expansion and --as-is");
	if (s->no_shuffle)
		t->o.recipe.shuffle = "no";
	if (t->o.checkpoint && !t->o.every)
		t->o.every = 100;
	if (simd_pick(&t->simd, r->cpu, &r->err) || !r->argc)
		return r->err.code;
	if (strcmp(r->common.in, "-"))
		return run_usage(r, "name files or a stream (-i), not both");
	r->no_in = true;
	fileset_sort(r->argv, (size_t)r->argc);
	text_join(s->source, sizeof s->source, r->argv, (size_t)r->argc);
	return rowset_files(&t->rows, r->argv, (size_t)r->argc, &none, t->simd, &r->err);
}

static int
take_head(struct run *r)
{
	struct self *s = r->self;
	float *mean = NULL, scale = 1;
	size_t d = 0;
	int got;

	got = head_get_norm(&r->head, &mean, &d, &scale, NULL, 0, &r->err);
	if (got < 0)
		return err_add(&r->err, "%s", stream_name(r->in));
	if (head_is_set(&r->head, "l2"))
		warn(r, "%s: rows were brought to unit length, which a model cannot tell; do so before encoding too", stream_name(r->in));
	head_get_str(&r->head, "stream", s->source, sizeof s->source);
	return training_norm(&s->t, mean, d, scale, &r->err) ? err_add(&r->err, "%s", stream_name(r->in)) : 0;
}

static int
take_frame(struct run *r, struct frame *f, void *none)
{
	struct self *s = r->self;
	const float *x;
	size_t d;

	(void)none;
	if (f->kind == FRAME_HEAD)
		return take_head(r);
	if (f->kind != FRAME_ROWS)
		return 0;
	x = run_dense(r, f, "x", &d, &s->scratch);
	if (!x || rowset_add(&s->t.rows, x, (size_t)f->n, d, s->t.simd, &r->err))
		return r->err.code;
	run_progress(r, s->t.rows.store.rows, 0);
	return 0;
}

/* All rows, looked over once. */
static int
gather(struct run *r)
{
	struct rowset *rows = &((struct self *)r->self)->t.rows;
	int got;

	if (r->argc) {
		while ((got = rowset_scan(rows, &r->err)) > 0 && !run_stopped())
			run_progress(r, rows->scanned, rows->store.rows);
		return got < 0 ? r->err.code : run_stopped() ? run_stop(r, rows->scanned) : 0;
	}
	if (run_frames(r, take_frame, NULL))
		return r->err.code;
	return rows->store.rows ? 0 : run_fail(r, CODE_DATA, "%s: no rows to train on", stream_name(r->in));
}

/* What was reached goes into a checkpoint. */
static int
give_up(struct run *r, const char *why)
{
	struct training *t = &((struct self *)r->self)->t;

	r->resumable = true;
	if (training_checkpoint(t, &r->err))
		return r->err.code;
	return run_fail(r, CODE_TRYAGAIN, "%s at step %llu of %llu; go on with --resume %s", why, (ull)*t->steps, (ull)t->plan.steps, training_checkpoint_path(t));
}

static int
save(struct run *r)
{
	struct training *t = &((struct self *)r->self)->t;
	const struct timespec wait = {.tv_sec = SAVE_WAIT};
	unsigned tries;

	for (tries = 0; training_finish(t, &r->err); tries++) {
		if (r->err.code != CODE_CANTCREATE && r->err.code != CODE_IO)
			return r->err.code; /* time will not mend it */
		if (!tries)
			warn(r, "%s; trying again for %d minutes", r->err.text, SAVE_TRIES * SAVE_WAIT / 60);
		if (tries == SAVE_TRIES || run_stopped())
			return give_up(r, "the model could not be written: stopped");
		nanosleep(&wait, NULL);
		r->err.code = 0;
	}
	return 0;
}

static int
loop(struct run *r)
{
	struct training *t = &((struct self *)r->self)->t;
	char line[256];
	int more;

	if (gather(r) || training_begin(t, &r->err))
		return r->err.code;
	while ((more = training_step(t, &r->err)) > 0) {
		run_progress_line(r, runlog_line(&t->last, line, sizeof line));
		if (run_stopped() && t->last.step < t->plan.steps)
			return give_up(r, "stopped");
	}
	if (more < 0 || save(r))
		return r->err.code;
	snprintf(line, sizeof line, "%.100s: %llu steps, last loss %.6g, FVU %.4g, L0 %.0f, %llu dead", r->common.out, (ull)t->last.step,
	         t->last.loss, t->last.fvu, t->last.l0, (ull)t->last.dead);
	note(r, line);
	return 0;
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	training_free(&s->t);
	mat_free(&s->scratch);
}

const struct program program = {
	.name = "sae-train",
	.summary = "train a sparse autoencoder on embeddings",
	.operands = "[FILE...]",
	.about = "Reads embeddings, from files (as read-embeddings does) or from a stream, and writes\n"
	         "a model: -o MODEL. Rows that were not normalised are, by their own mean and scale\n"
	         "(those of --init MODEL, if there is one); the model remembers both.\n\n"
	         "A stream is kept under $TMPDIR, so that it can be gone over as often as wanted; of\n"
	         "files only --window is in memory. SIGINT and SIGTERM end the run behind a step with a\n"
	         "checkpoint; --resume goes on from it to the same bytes.",
	.example = "  sae-train train/*.npy --expansion 8 --valid test.npy -o clip.msae\n"
	           "  read-embeddings train/*.npy | normalize --fit | sae-train --preset best -o clip.msae\n"
	           "  sae-train train/*.npy -o clip.msae --resume clip.msae.checkpoint",
	.kind = PROGRAM_SINK, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .loop = loop, .clean = clean,
};
