/* work: does a stage's work for a farm. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "farm/deal.h"
#include "farm/worker.h"

struct self {
	uint64_t credit, child_timeout;
	const char *name;
	char host[128];
	struct worker *worker;
};

static const struct opt opts[] = {
	OPT_UINT(0, "credit", struct self, credit, "N", "frames it takes ahead, 1 to 16 (default 3)"),
	OPT_UINT(0, "child-timeout", struct self, child_timeout, "SECONDS", "kill and restart COMMAND when a frame takes longer\n(default 300; 0: any time)"),
	OPT_STR(0, "name", struct self, name, "NAME", "what the farm calls it (default HOST:PID)"),
	OPT_END
};
static const struct self defaults = {.credit = 3, .child_timeout = 300};

static void
tick(void *arg, bool busy)
{
	run_tick(arg);
	if (!busy) /* a frame that takes too long is what the watchdog is for */
		run_alive(arg);
}

static int
start(struct run *r)
{
	struct self *s = r->self;
	struct worker_opts o = {
		.endpoint = r->argc ? r->argv[0] : "", .argv = r->argv + 1, .credit = (unsigned)s->credit,
		.child_timeout = (unsigned)s->child_timeout, .talk = r->common.verbose, .transport = run_transport(r),
		.tick = tick, .arg = r,
	};

	r->no_in = true;
	if (r->argc < 2)
		return run_usage(r, "an address and a command are needed: work tcp://HOST:PORT -- sae-encode -m clip.msae");
	if (*o.endpoint == '@')
		return run_usage(r, "%s: the farm binds, workers connect: leave out the @", o.endpoint);
	if (!s->credit || s->credit > DEAL_CREDIT_MAX)
		return run_usage(r, "--credit is 1 to %d", DEAL_CREDIT_MAX);
	if (s->child_timeout > 1000000000)
		return run_usage(r, "--child-timeout: at most 1000000000 seconds");
	if (gethostname(s->host, sizeof s->host - 24))
		strcpy(s->host, "?");
	s->host[sizeof s->host - 24] = 0;
	sprintf(s->host + strlen(s->host), ":%ld", (long)getpid());
	o.name = s->name ? s->name : s->host;
	signal(SIGPIPE, SIG_IGN); /* a command that ends is no reason to end */
	s->worker = worker_new(&o, &r->err);
	if (s->worker)
		run_notify(r, "READY=1");
	return s->worker ? 0 : r->err.code;
}

static int
loop(struct run *r)
{
	struct self *s = r->self;

	return worker_run(s->worker, &r->err);
}

static void
metrics(struct run *r, FILE *to)
{
	struct self *s = r->self;
	struct worker_counts c;

	if (!s->worker)
		return;
	c = worker_counts(s->worker);
	run_metric(r, to, "work_frames_total", "counter", "", (double)c.frames);
	run_metric(r, to, "work_rows_total", "counter", "", (double)c.rows);
	run_metric(r, to, "work_bytes_total", "counter", "side=\"in\"", (double)c.in);
	run_metric(r, to, "work_bytes_total", NULL, "side=\"out\"", (double)c.out);
	run_metric(r, to, "work_compute_seconds_total", "counter", "", c.computing);
	run_metric(r, to, "work_wait_seconds_total", "counter", "", c.waiting);
	run_metric(r, to, "work_failures_total", "counter", "", (double)c.failures);
	run_metric(r, to, "work_restarts_total", "counter", "", (double)c.restarts);
	run_metric(r, to, "work_connections_total", "counter", "", (double)c.connections);
	run_metric(r, to, "work_connected", "gauge", "", c.connected);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	worker_free(s->worker);
}

const struct program program = {
	.name = "work",
	.summary = "do a stage's work for a farm",
	.operands = "EP -- COMMAND...",
	.about = "Connects to a farm (see: farm --help), keeps COMMAND running, gives it the frames the\n"
	         "farm deals and sends back what it makes of them. COMMAND is any filter that answers\n"
	         "frame by frame, or several: sh -c 'a | b'. Where it fails on a frame it is started\n"
	         "again, and the frame given to another worker.\n\n"
	         "SIGTERM: takes no more frames, finishes those it has, exits with 0. It exits with 0 when\n"
	         "the farm is done, with 69 when there is none for --peer-timeout seconds.",
	.example = "  work tcp://127.0.0.1:5600 -- sae-encode -m clip.msae -k 32\n"
	           "  work tcp://127.0.0.1:5600 -- sh -c 'normalize -m clip.msae | sae-encode -m clip.msae'",
	.kind = PROGRAM_SINK, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .loop = loop, .clean = clean, .metrics = metrics,
};
