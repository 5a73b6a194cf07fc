#include "jobs/training.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "files/checkpoint.h"
#include "files/modelfile.h"
#include "sae/decode.h"
#include "sae/revive.h"

typedef unsigned long long ull;

#define REVIVE_UNTIL 0.8   /* of the steps: what is revived has to learn */
#define REVIVE_STEPS 1000
#define REVIVE_PARTS 8     /* times in an epoch, or in so many steps */
#define REVIVE_SHARE 128   /* of the latents at a time */
#define MEDIAN_ROWS 8192
#define DRAWS ((uint64_t)1 << 61) /* the draw of rows to start from, among all uses of the seed */
#define DESCRIPTION 256

static const size_t valid_ks[] = {16, 32, 64, 128, 256, 512};

static void tell(struct training *t, void (*how)(void *, const char *), const char *fmt, ...) PRINTF_LIKE(3, 4);

static void
tell(struct training *t, void (*how)(void *, const char *), const char *fmt, ...)
{
	char text[1024], safe[2048];
	va_list ap;

	if (!how)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	how(t->arg, text_printable(safe, sizeof safe, text, strlen(text)));
}

/* ---- beginning ---- */

int
training_norm(struct training *t, float *mean, size_t d, float scale, struct err *e)
{
	bool same = !mean == !t->head_mean;

	if (!t->head_seen) {
		t->head_seen = true;
		t->head_mean = mean;
		t->head_d = d;
		t->head_scale = scale;
		return 0;
	}
	if (same && mean)
		same = d == t->head_d && !memcmp(&scale, &t->head_scale, sizeof scale) && !memcmp(mean, t->head_mean, d * sizeof *mean);
	mem_free(mean);
	return same ? 0 : err_set(e, CODE_DATA, "streams normalised in different ways cannot be trained on together");
}

static int
check_writable(const char *path, struct err *e)
{
	struct outfile f;

	if (outfile_open(&f, path, e))
		return e->code;
	outfile_abort(&f);
	return 0;
}

const char *
training_checkpoint_path(const struct training *t)
{
	return t->o.checkpoint ? t->o.checkpoint : t->default_checkpoint;
}

static int
check_paths(struct training *t, struct err *e)
{
	int n = snprintf(t->default_checkpoint, sizeof t->default_checkpoint, "%s.checkpoint", t->o.model);

	if (n < 0 || (size_t)n >= sizeof t->default_checkpoint)
		return err_set(e, CODE_USAGE, "%.60s...: the name is too long", t->o.model);
	if (check_writable(t->o.model, e) || (t->o.checkpoint && check_writable(t->o.checkpoint, e)))
		return e->code;
	if (t->o.log && !(t->log = fopen(t->o.log, "a"))) /* emptied once all is well */
		return err_sys(e, CODE_CANTCREATE, "%s: cannot create", t->o.log);
	return 0;
}

/* The model to go on from or to start from, if there is one. */
static int
load_start(struct training *t, struct err *e)
{
	const char *from = t->o.resume ? t->o.resume : t->o.init;

	if (t->o.resume && t->o.init)
		return err_set(e, CODE_USAGE, "--init and --resume: a checkpoint has its model; give one of them");
	if (!from)
		return 0;
	if (model_load(&t->model, from, e))
		return e->code;
	if (sae_require(&t->model, 0, "training", e) || (t->model.b_in != t->model.b_dec && err_set(e, CODE_DATA, "it subtracts nothing from rows, which training cannot do")))
		return err_add(e, "%s", from);
	if (t->model.d != t->rows.store.cols)
		return err_set(e, CODE_DATA, "%s: takes rows of %zu numbers, these have %llu", from, t->model.d, (ull)t->rows.store.cols);
	return 0;
}

static bool
same_norm(const struct training *t)
{
	const struct sae *s = &t->model;
	size_t i;

	for (i = 0; i < s->d; i++)
		if (s->mean[i] < t->head_mean[i] || s->mean[i] > t->head_mean[i])
			return false;
	return !(s->scale < t->head_scale || s->scale > t->head_scale);
}

/* Into the model goes how its rows were made: by the stream's head, by the
 * model to start from, or by what the rows give. */
static int
settle_norm(struct training *t, bool loaded, struct err *e)
{
	struct sae *s = &t->model;
	bool same;

	if (t->head_mean && t->head_d != s->d)
		return err_set(e, CODE_DATA, "the stream's norm: its mean has %zu numbers, rows have %zu", t->head_d, s->d);
	same = !t->head_mean || !loaded || same_norm(t);
	if (t->head_mean && !same && t->o.resume)
		return err_set(e, CODE_DATA, "%s: is of a run whose rows were normalised otherwise", t->o.resume);
	if (t->head_mean) {
		if (!same)
			tell(t, t->warn, "%s: its mean and scale are not those of these rows; the rows' are taken", t->o.init);
		memcpy(s->mean, t->head_mean, s->d * sizeof *s->mean);
		s->scale = t->head_scale;
		return 0;
	}
	if (loaded && !t->o.as_is)
		return rowset_norm(&t->rows, s->mean, s->scale, e);
	if (t->o.as_is) {
		memset(s->mean, 0, s->d * sizeof *s->mean);
		s->scale = 1;
		return 0;
	}
	if (rowset_fit(&t->rows, e) && !e->code)
		return err_set(e, CODE_DATA, "all %llu rows are the same: there is nothing to learn", (ull)t->rows.store.rows);
	if (!e->code) {
		memcpy(s->mean, t->rows.mean, s->d * sizeof *s->mean);
		s->scale = t->rows.scale;
	}
	return e->code;
}

static int
start_bias(struct training *t, struct err *e)
{
	struct mat x = {0};
	size_t n = t->rows.store.rows < MEDIAN_ROWS ? (size_t)t->rows.store.rows : MEDIAN_ROWS, got;

	if (mat_resize(&x, n, t->model.d, "rows", e))
		return e->code;
	rowstore_seek(&t->rows.store, 0, 0);
	if (!rowset_next(&t->rows, n, x.data, &got, e))
		norm_median(t->model.b_dec, x.data, got, t->model.d, e);
	mat_free(&x);
	return e->code;
}

/* Latents as directions of rows drawn without repetition (again from the first
 * when there are fewer), as long as a random start has them. */
static int
start_from_rows(struct training *t, struct err *e)
{
	struct sae *s = &t->model;
	struct shuffle order;
	struct mat row = {0};
	size_t j, i;
	double square;

	shuffle_init(&order, t->rows.store.rows, t->plan.seed, DRAWS);
	if (mat_resize(&row, 1, s->d, "row", e))
		return e->code;
	for (j = 0; j < s->m && !rowset_read(&t->rows, shuffle_at(&order, j % t->rows.store.rows), 1, row.data, e); j++) {
		square = 0;
		for (i = 0; i < s->d; i++)
			square += (double)row.data[i] * row.data[i];
		for (i = 0; square > 0 && i < s->d; i++)
			s->W_enc[i * s->m + j] = s->W_dec[j * s->d + i] = (float)(row.data[i] * .1 / sqrt(square));
	}
	mat_free(&row);
	return e->code;
}

static int
make_model(struct training *t, bool loaded, struct err *e)
{
	struct sae *s = &t->model;
	bool threshold = t->plan.opts.arch == ARCH_JUMPRELU || t->plan.opts.arch == ARCH_BATCHTOPK;
	size_t d = (size_t)t->rows.store.cols;

	if (!loaded) {
		if (sae_init(s, d, t->plan.m, threshold, e))
			return e->code;
		train_init(s, t->plan.seed);
	} else if (threshold && !s->threshold) {
		s->threshold = mem_alloc(s->m * sizeof *s->threshold);
		if (!s->threshold)
			return err_memory(e, "thresholds", s->m * sizeof *s->threshold);
		memset(s->threshold, 0, s->m * sizeof *s->threshold);
	} else if (!threshold && s->threshold) {
		mem_free(s->threshold);
		s->threshold = NULL;
	}
	plan_describe(&t->plan, &t->o.recipe, s);
	if (!t->o.resume) /* the same rows may be called otherwise today */
		snprintf(s->trained_on, sizeof s->trained_on, "%s", t->o.trained_on ? t->o.trained_on : "");
	return 0;
}

/* Where the trainer counts. */
static void
find_counts(struct training *t, const struct tensor *state, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(state[i].name, "steps"))
			t->steps = state[i].data;
		else if (!strcmp(state[i].name, "rows"))
			t->rows_seen = state[i].data;
}

/* The recipe of the run gone on with, and whether these are its rows. */
static int
read_checkpoint(struct training *t, struct checkpoint *c, struct err *e)
{
	const char *recipe, *print;
	char whose[300];

	if (checkpoint_open(c, t->o.resume, e))
		return e->code;
	snprintf(whose, sizeof whose, "the checkpoint %.250s", t->o.resume);
	if (!(recipe = checkpoint_meta(c, "recipe", e)) || recipe_resume(&t->o.recipe, recipe, whose, t->model.d, e))
		return e->code;
	if (t->o.recipe.latents != t->model.m)
		return err_set(e, CODE_DATA, "%s: its recipe has %llu latents, its model %zu", t->o.resume, (ull)t->o.recipe.latents, t->model.m);
	if (!(print = checkpoint_meta(c, "data", e)))
		return e->code;
	if (strcmp(print, t->print))
		return err_set(e, CODE_DATA, "%s: is of a run over other rows than these %llu", t->o.resume, (ull)t->rows.store.rows);
	return 0;
}

static int
open_valid(struct training *t, struct err *e)
{
	const struct matfile_opts none = {0};
	struct sae *s = &t->model;
	int more;

	if (!t->o.valid)
		return 0;
	t->valid_path[0] = (char *)(uintptr_t)t->o.valid;
	if (rowset_files(&t->valid, t->valid_path, 1, &none, t->simd, e))
		return e->code;
	if (t->valid.store.cols != s->d)
		return err_set(e, CODE_DATA, "%s: rows have %llu numbers, the model takes %zu", t->o.valid, (ull)t->valid.store.cols, s->d);
	while ((more = rowset_scan(&t->valid, e)) > 0)
		;
	if (more < 0 || rowset_norm(&t->valid, s->mean, s->scale, e))
		return e->code;
	if (!t->valid.store.rows)
		return err_set(e, CODE_DATA, "%s: no rows", t->o.valid);
	return quality_init(&t->quality, s, valid_ks, sizeof valid_ks / sizeof *valid_ks, t->pool, t->simd, e);
}

static void
seek(struct training *t)
{
	uint64_t epoch = *t->steps / t->plan.epoch_steps;

	rowstore_seek(&t->rows.store, epoch, *t->steps % t->plan.epoch_steps * t->plan.opts.batch);
}

static int
begin(struct training *t, struct checkpoint *c, struct err *e)
{
	struct tensor state[TRAIN_MAX_TENSORS];
	struct recipe *r = &t->o.recipe;
	size_t d = (size_t)t->rows.store.cols, n;
	bool loaded = t->o.resume || t->o.init;

	if (load_start(t, e) || rowstore_print(&t->rows.store, t->print, e) || (t->o.resume && read_checkpoint(t, c, e)))
		return e->code;
	if (!t->o.resume && recipe_complete(r, d, loaded ? &t->model : NULL, e))
		return e->code;
	if (recipe_plan(r, d, t->rows.store.rows, &t->plan, e)) {
		if (!t->o.resume)
			return e->code;
		e->code = CODE_DATA; /* the checkpoint's doing, not the command line's */
		return err_add(e, "%s", t->o.resume);
	}
	if (make_model(t, loaded, e) || settle_norm(t, loaded, e) ||
	    rowstore_order(&t->rows.store, t->plan.shuffle, t->plan.window, t->plan.seed, e))
		return e->code;
	if ((t->plan.data && !loaded && start_from_rows(t, e)) || (t->plan.median && !loaded && start_bias(t, e)))
		return e->code;
	t->trainer = trainer_new(&t->model, &t->plan.opts, t->pool, t->simd, e);
	if (!t->trainer || mat_resize(&t->x, t->plan.opts.batch + 2, d, "batch", e))
		return e->code;
	n = trainer_state(t->trainer, state);
	find_counts(t, state, n);
	if (t->o.resume && checkpoint_restore(c, state, n, e))
		return e->code;
	if (*t->steps > t->plan.steps)
		return err_set(e, CODE_DATA, "%s: is at step %llu of a run of %llu", t->o.resume, (ull)*t->steps, (ull)t->plan.steps);
	return open_valid(t, e);
}

int
training_begin(struct training *t, struct err *e)
{
	struct checkpoint c = {.file = {.fd = -1}};
	size_t still = rowset_still(&t->rows);
	bool opened;

	if (check_paths(t, e))
		return e->code;
	begin(t, &c, e);
	opened = c.file.path != NULL;
	if (opened)
		checkpoint_close(&c);
	if (e->code)
		return e->code;
	if (still)
		tell(t, t->warn, "%zu of %zu columns never vary; nothing is learned from them", still, t->model.d);
	if (t->o.resume)
		tell(t, t->note, "going on from %s at step %llu of %llu", t->o.resume, (ull)*t->steps, (ull)t->plan.steps);
	if (t->log && !t->o.resume && ftruncate(fileno(t->log), 0) && errno != EINVAL)
		return err_sys(e, CODE_IO, "%s: cannot empty the log of before", t->o.log);
	if (t->o.resume && t->log)
		runlog_event(t->log, "resumed", *t->steps);
	t->first_step = *t->steps;
	t->began = clock_now();
	seek(t);
	return 0;
}

/* ---- evaluation ---- */

static int
evaluate(struct training *t, struct err *e)
{
	uint64_t rows = t->valid.store.rows, at;
	struct quality_result r;
	size_t n, i;

	quality_reset(&t->quality);
	for (at = 0; at < rows; at += n) {
		n = rows - at < t->plan.opts.batch ? (size_t)(rows - at) : t->plan.opts.batch;
		if (rowset_read(&t->valid, at, n, t->x.data, e) || quality_rows(&t->quality, t->x.data, n, at, e))
			return e->code;
	}
	for (i = 0; i <= t->quality.nks; i++) {
		quality_result(&t->quality, i, &r);
		t->at[i] = (struct runlog_quality){i ? t->quality.ks[i - 1] : 0, r.of[QUALITY_FVU].mean, r.fvu_data, r.of[QUALITY_COSINE].mean,
		                                    r.of[QUALITY_MAE].mean, r.of[QUALITY_L0].mean, r.zeros};
		t->silent = i ? t->silent : r.silent;
	}
	return 0;
}

static int
after_epoch(struct training *t, struct err *e)
{
	char line[256];

	if (!t->o.valid)
		return 0;
	if (evaluate(t, e))
		return e->code;
	if (t->log)
		runlog_valid(t->log, t->last.epoch + 1, *t->steps, t->valid.store.rows, t->silent, t->at, t->quality.nks + 1);
	tell(t, t->note, "epoch %llu: %s: %s", (ull)t->last.epoch + 1, t->o.valid, runlog_quality_line(&t->at[0], t->silent, line, sizeof line));
	return 0;
}

/* ---- a step ---- */

/* Latents silent for an epoch (or REVIVE_STEPS, if that is less) start anew from
 * what the model as it now is leaves of the batch just trained on: a few at a
 * time, since where rows are alike many newcomers would say the same. */
static int
revive(struct training *t, size_t n, struct err *e)
{
	const struct plan *p = &t->plan;
	uint64_t steps = p->epoch_steps < REVIVE_STEPS ? p->epoch_steps : REVIVE_STEPS, silent = steps * p->opts.batch;
	uint64_t rows = t->rows.store.rows; /* of an epoch: its last batch may be smaller */
	uint64_t every = steps / REVIVE_PARTS ? steps / REVIVE_PARTS : 1;
	size_t most = t->model.m / REVIVE_SHARE + 1, revived;
	struct encoder *encoder;
	struct mat xhat = {0};
	struct csr z = {0};

	silent = silent < rows ? silent : rows;
	if (!p->revive || *t->steps % every || (double)*t->steps > REVIVE_UNTIL * (double)p->steps || !trainer_silent(t->trainer, silent))
		return 0;
	encoder = encoder_new(&t->model, t->pool, t->simd, e);
	if (encoder && !mat_resize(&xhat, n, t->model.d, "reconstructions", e) &&
	    !encode(encoder, t->x.data, n, t->model.arch == ARCH_TOPK ? t->model.k : 0, &z, e)) {
		decode(&t->model, csr_view(&z), t->pool, t->simd, xhat.data);
		if (!trainer_revive(t->trainer, silent, most, t->x.data, csr_view(&z), xhat.data, p->seed, &revived, e))
			t->revived += revived;
	}
	encoder_free(encoder);
	mat_free(&xhat);
	csr_free(&z);
	return e->code;
}

static void
record(struct training *t, const struct train_result *r, uint64_t step, size_t n)
{
	size_t levels = t->plan.opts.arch == ARCH_MSAE ? t->plan.opts.levels : 1;

	memcpy(t->levels, r->level_loss, levels * sizeof *t->levels);
	t->busy_rows += (double)n;
	t->last = (struct runlog_step){
		.step = *t->steps, .steps = t->plan.steps, .epoch = step / t->plan.epoch_steps, .rows = *t->rows_seen, .epochs = t->plan.epochs,
		.seconds = clock_now() - t->began, .steps_here = *t->steps - t->first_step, .lr = plan_rate(&t->plan, step),
		.loss = r->loss, .fvu = r->fvu, .l0 = r->l0, .l1 = r->l1, .grad_norm = r->grad_norm, .dead = trainer_silent(t->trainer, t->rows.store.rows), .revived = t->revived,
		.levels = t->levels, .nlevels = levels,
	};
	t->last.rows_a_second = t->busy_rows / (t->last.seconds > 0 ? t->last.seconds : 1);
	if (!t->log)
		return;
	runlog_step(t->log, &t->last);
	if (ferror(t->log) && !t->log_failed) {
		tell(t, t->warn, "%s: cannot write the log; the training goes on", t->o.log);
		t->log_failed = true;
	}
	clearerr(t->log);
}

/* A failed checkpoint is no reason to lose the run: the next may succeed. */
static void
checkpoint_due(struct training *t)
{
	struct err e = {0};

	if (!t->o.every || *t->steps % t->o.every || *t->steps == t->plan.steps)
		return;
	if (training_checkpoint(t, &e)) {
		tell(t, t->warn, "%s; the training goes on, the checkpoint before is kept", e.text);
		t->checkpoint_failed = true;
	} else if (t->checkpoint_failed) {
		tell(t, t->note, "%s: written again", training_checkpoint_path(t));
		t->checkpoint_failed = false;
	}
}

static void
blame_step(const struct training *t, uint64_t step, struct err *e)
{
	uint64_t last = t->o.every ? step / t->o.every * t->o.every : 0;
	size_t n;

	err_add(e, "step %llu", (ull)step + 1);
	n = strlen(e->text);
	if (last > t->first_step && !t->checkpoint_failed)
		snprintf(e->text + n, sizeof e->text - n, "; the checkpoint %s is of step %llu", training_checkpoint_path(t), (ull)last);
	else if (t->o.resume)
		snprintf(e->text + n, sizeof e->text - n, "; the checkpoint %s is of step %llu", t->o.resume, (ull)t->first_step);
}

/* Adds noise of the data's own shape to each row: the difference of two others of
 * the batch, over sqrt(2) so that at --jitter 1 it is as large as the rows are
 * spread. Falls with the rate. Rows come shuffled, so neighbours serve. */
static void
jitter(struct training *t, size_t n)
{
	size_t d = t->model.d, r, i;
	float *x = t->x.data, by = (float)(t->plan.jitter * plan_rate(&t->plan, *t->steps) / t->plan.lr / sqrt(2));

	if (!(by > 0) || n < 3)
		return;
	memcpy(x + n * d, x, 2 * d * sizeof *x); /* the last rows' neighbours */
	for (r = 0; r < n; r++)
		for (i = 0; i < d; i++)
			x[r * d + i] += by * (x[(r + 1) * d + i] - x[(r + 2) * d + i]);
}

int
training_step(struct training *t, struct err *e)
{
	uint64_t step = *t->steps;
	struct train_result r;
	size_t n;

	if (step >= t->plan.steps)
		return 0;
	if (rowset_next(&t->rows, t->plan.opts.batch, t->x.data, &n, e))
		return -1;
	jitter(t, n);
	if (trainer_step(t->trainer, t->x.data, n, plan_rate(&t->plan, step), &r, e)) {
		blame_step(t, step, e);
		return -1;
	}
	if (revive(t, n, e))
		return -1;
	record(t, &r, step, n);
	if (*t->steps % t->plan.epoch_steps == 0 || *t->steps == t->plan.steps) {
		if (after_epoch(t, e))
			return -1;
		seek(t);
	}
	checkpoint_due(t);
	return 1;
}

/* ---- saving ---- */

int
training_checkpoint(struct training *t, struct err *e)
{
	struct tensor state[TRAIN_MAX_TENSORS];
	char recipe[RECIPE_TEXT];
	const char *meta[] = {"checkpoint", "1", "recipe", recipe_text(&t->o.recipe, recipe), "data", t->print, NULL};
	size_t n = trainer_state(t->trainer, state);

	t->model.rows = *t->rows_seen;
	return checkpoint_save(training_checkpoint_path(t), &t->model, state, n, meta, e);
}

int
training_finish(struct training *t, struct err *e)
{
	char recipe[RECIPE_TEXT];
	const char *meta[] = {"recipe", recipe_text(&t->o.recipe, recipe), NULL};

	t->model.rows = *t->rows_seen;
	if (model_save(&t->model, t->o.model, meta, e))
		return e->code;
	if (t->log)
		runlog_event(t->log, "done", *t->steps);
	return 0;
}

void
training_free(struct training *t)
{
	trainer_free(t->trainer);
	quality_free(&t->quality);
	rowset_close(&t->rows);
	rowset_close(&t->valid);
	mat_free(&t->x);
	mem_free(t->head_mean);
	sae_free(&t->model);
	if (t->log)
		fclose(t->log);
	t->log = NULL;
	t->trainer = NULL;
}
