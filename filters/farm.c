/* farm: has workers on other machines do a stage's work. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "farm/farm.h"

struct self {
	const char *bind, *resume;
	uint64_t window;
	bool progress;
	struct farm *farm;
};

static const struct opt opts[] = {
	OPT_STR(0, "bind", struct self, bind, "EP", "where workers come to: tcp://HOST:PORT or ipc://PATH (needed)"),
	OPT_STR(0, "resume", struct self, resume, "FILE", "keep there what was computed, and go on with it after a stop;\nthe input must be the same"),
	OPT_SIZE(0, "window", struct self, window, "SIZE", "memory for frames in hand (default 512M)"),
	OPT_FLAG(0, "progress", struct self, progress, "show on the terminal what each worker does"),
	OPT_END
};
static const struct self defaults = {.window = 512u << 20};

#define TABLE_WORKERS 20

/* A line for all, a line a worker. */
static void
show(struct run *r)
{
	struct self *s = r->self;
	struct deal_counts c = farm_counts(s->farm);
	struct stream_counts out = stream_counts(r->out);
	struct farm_worker w;
	double elapsed = run_elapsed(r);
	char text[TABLE_WORKERS * 120 + 400];
	int i, n, shown = 0;

	n = snprintf(text, sizeof text, "%s: %llu rows out, %.0f rows/s, %u workers; frames: %zu waiting, %zu out, %zu done before their turn; %llu dealt again\n",
	             r->program->name, (unsigned long long)out.rows, elapsed > 0 ? (double)out.rows / elapsed : 0, c.workers, c.waiting, c.out, c.ready,
	             (unsigned long long)c.redealt);
	for (i = 0; farm_worker(s->farm, i, &w) && shown < TABLE_WORKERS; i++)
		if (w.deal.there && ++shown)
			n += snprintf(text + n, sizeof text - (size_t)n, "  %-32.32s %9llu frames  %3u in hand  %9.1f ms a frame  %3llu failed\n", w.name,
			              (unsigned long long)w.deal.done, w.deal.held, w.deal.done ? 1e3 * w.computing / (double)w.deal.done : 0,
			              (unsigned long long)w.deal.failed);
	run_progress_table(r, text);
}

static void
tick(void *arg)
{
	struct run *r = arg;

	run_alive(r);
	if (((struct self *)r->self)->progress)
		show(r);
	else
		run_tick(r);
}

static int
start(struct run *r)
{
	struct self *s = r->self;
	struct farm_opts o = {
		.bind = s->bind, .journal = s->resume, .window = s->window, .talk = r->common.verbose,
		.transport = run_transport(r), .halt = run_halt, .tick = tick, .arg = r,
	};

	if (!s->bind)
		return run_usage(r, "--bind EP is needed: where workers come to");
	if (s->resume && !*s->resume)
		return run_usage(r, "--resume needs the name of a file");
	s->farm = farm_new(&o, &r->err);
	if (s->farm)
		run_notify(r, "READY=1");
	return s->farm ? 0 : r->err.code;
}

static int
loop(struct run *r)
{
	struct self *s = r->self;

	return farm_run(s->farm, r->in, r->out, &r->resumable, &r->err);
}

static void
metrics(struct run *r, FILE *to)
{
	struct self *s = r->self;
	struct deal_counts c;
	struct farm_worker w;
	double computing = 0;
	char labels[128];
	int i, listed = 0;

	if (!s->farm)
		return;
	c = farm_counts(s->farm);
	run_metric(r, to, "farm_workers", "gauge", "", c.workers);
	run_metric(r, to, "farm_jobs", "gauge", "state=\"waiting\"", (double)c.waiting);
	run_metric(r, to, "farm_jobs", NULL, "state=\"out\"", (double)c.out);
	run_metric(r, to, "farm_jobs", NULL, "state=\"done\"", (double)c.ready);
	run_metric(r, to, "farm_bytes", "gauge", "", (double)c.bytes);
	run_metric(r, to, "farm_dealt_total", "counter", "", (double)c.dealt);
	run_metric(r, to, "farm_dealt_again_total", "counter", "", (double)c.redealt);
	run_metric(r, to, "farm_duplicates_total", "counter", "", (double)c.duplicates);
	run_metric(r, to, "farm_failures_total", "counter", "", (double)c.failures);
	run_metric(r, to, "farm_resumed_total", "counter", "", (double)farm_replayed(s->farm));
	for (i = 0; farm_worker(s->farm, i, &w); i++)
		if (w.deal.there) {
			snprintf(labels, sizeof labels, "worker=\"%d\"", i);
			run_metric(r, to, "farm_worker_frames", listed++ ? NULL : "gauge", labels, (double)w.deal.done);
			computing += w.computing;
		}
	run_metric(r, to, "farm_compute_seconds", "gauge", "", computing);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	farm_free(s->farm);
}

const struct program program = {
	.name = "farm",
	.summary = "have workers on other machines do a stage's work",
	.about = "Deals the frames it reads to workers (see: work --help), wherever they are, and writes\n"
	         "what they make of them: the same bytes as if their command stood in its place. Workers\n"
	         "may come, leave, be killed, freeze and be cut off at any time; a frame is given to\n"
	         "another until it is answered, and leaves once, in its turn.\n\n"
	         "Without keys only addresses of this machine are let through, but with --insecure.\n"
	         "docs/FARM.md says what happens when.",
	.example = "  # the heavy stage on other machines\n"
	           "  read-embeddings new.npy | normalize -m clip.msae |\n"
	           "    farm --bind ipc:///run/user/1000/farm | concept-score -c concepts.json | report\n"
	           "  # as often as there are cores, or machines\n"
	           "  work ipc:///run/user/1000/farm -- sae-encode -m clip.msae -k 32 -t 1",
	.kind = PROGRAM_FILTER, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .loop = loop, .clean = clean, .metrics = metrics,
};
