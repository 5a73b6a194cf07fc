/* What a running program tells: a progress line on a terminal, a Prometheus
 * text file for --status, one line on SIGUSR1 and at the end with -v. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/private.h"

#define STATUS_SECONDS 5
#define PROGRESS_SECONDS (1.0 / 6)

struct progress {
	double due;
	bool shown, terminal;
	unsigned lines;    /* above the cursor, of run_progress_table */
	uint64_t done, total;
};

static struct stream_counts
counts(const struct stream *s)
{
	return s ? stream_counts(s) : (struct stream_counts){0};
}

/* Largest resident size so far. */
static double
peak_bytes(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u))
		return 0;
#if defined(__APPLE__)
	return (double)u.ru_maxrss; /* bytes there, kB elsewhere */
#else
	return (double)u.ru_maxrss * 1024;
#endif
}

static void
metric(FILE *f, const char *program, const char *name, const char *type, const char *labels, double v)
{
	if (type)
		fprintf(f, "# TYPE msae_%s %s\n", name, type);
	fprintf(f, "msae_%s{program=\"%s\"%s} %.17g\n", name, program, labels, v);
}

void
run_metric(struct run *r, FILE *to, const char *name, const char *type, const char *labels, double v)
{
	char with[300];

	snprintf(with, sizeof with, "%s%s", *labels ? "," : "", labels);
	metric(to, r->program->name, name, type, with, v);
}

/* Two files a row: what came in and what went out. */
static void
both(FILE *f, const char *program, const char *name, const char *type, double in, double out)
{
	metric(f, program, name, type, ",side=\"in\"", in);
	metric(f, program, name, NULL, ",side=\"out\"", out);
}

static void
write_status(struct run *r, const char *state)
{
	struct stream_counts in = counts(r->in), out = counts(r->out);
	struct err ignored = {0};
	struct outfile o;
	double elapsed = clock_now() - r->started;
	const char *p = r->program->name;
	FILE *f;

	f = outfile_stdio(&o, r->common.status, &ignored);
	if (!f) {
		warn(r, "--status: %s", ignored.text);
		r->common.status = NULL; /* said once */
		return;
	}
	both(f, p, "frames_total", "counter", (double)in.frames, (double)out.frames);
	both(f, p, "rows_total", "counter", (double)in.rows, (double)out.rows);
	both(f, p, "bytes_total", "counter", (double)in.bytes, (double)out.bytes);
	both(f, p, "wait_seconds_total", "counter", in.waited, out.waited);
	metric(f, p, "compute_seconds_total", "counter", "", elapsed - in.waited - out.waited);
	metric(f, p, "peak_resident_bytes", "gauge", "", peak_bytes());
	metric(f, p, "elapsed_seconds", "gauge", "", elapsed);
	metric(f, p, "last_progress_timestamp_seconds", "gauge", "", (double)time(NULL));
	if (r->program->metrics)
		r->program->metrics(r, f);
	fprintf(f, "# TYPE msae_state gauge\nmsae_state{program=\"%s\",state=\"%s\"} 1\n", p, state);
	if (outfile_stdio_close(&o, f, false, &ignored)) {
		warn(r, "--status: %s", ignored.text);
		r->common.status = NULL;
	}
}

static void
human_bytes(char *out, size_t size, double v)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	unsigned u = 0;

	while (v >= 1000 && u < 4) {
		v /= 1000;
		u++;
	}
	snprintf(out, size, v < 10 && u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static void
report_line(struct run *r)
{
	struct stream_counts in = counts(r->in), out = counts(r->out);
	double elapsed = clock_now() - r->started;
	uint64_t rows = in.rows > out.rows ? in.rows : out.rows;
	char a[32], b[32];

	run_progress_clear(r);
	if (!r->in && !r->out) {
		fprintf(stderr, "%s: %.2f s, peak %.0f MB\n", r->program->name, elapsed, peak_bytes() / 1e6);
		return;
	}
	human_bytes(a, sizeof a, (double)in.bytes);
	human_bytes(b, sizeof b, (double)out.bytes);
	fprintf(stderr, "%s: %" PRIu64 " rows, %s in, %s out, %.2f s (%.2f s waiting), %.0f rows/s, peak %.0f MB\n", r->program->name,
	        rows, a, b, elapsed, in.waited + out.waited, elapsed > 0 ? (double)rows / elapsed : 0, peak_bytes() / 1e6);
}

void
status_tick(struct run *r)
{
	if (signals_asked_report())
		report_line(r);
	if (r->common.status && clock_now() >= r->status_due) {
		write_status(r, "running");
		r->status_due = clock_now() + STATUS_SECONDS;
	}
}

double
run_elapsed(const struct run *r)
{
	return clock_now() - r->started;
}

void
run_tick(struct run *r)
{
	status_tick(r);
}

void
status_final(struct run *r, int code)
{
	run_progress_clear(r);
	if (r->common.status)
		write_status(r, code ? "failed" : "done");
	if (r->common.verbose && !code)
		report_line(r);
}

static struct progress *
progress_of(struct run *r)
{
	if (!r->progress) {
		r->progress = calloc(1, sizeof *r->progress);
		if (r->progress) {
			r->progress->due = r->started + 1; /* short runs stay quiet */
			r->progress->terminal = isatty(STDERR_FILENO) && !r->common.quiet;
		}
	}
	return r->progress;
}

static bool
progress_due(struct run *r)
{
	struct progress *p = progress_of(r);
	double t = clock_now();

	status_tick(r);
	if (!p || !p->terminal || t < p->due)
		return false;
	p->due = t + PROGRESS_SECONDS;
	return p->shown = true;
}

void
run_progress_line(struct run *r, const char *text)
{
	if (!progress_due(r))
		return;
	fprintf(stderr, "\r%s: %s\033[K", r->program->name, text);
	fflush(stderr);
}

void
run_progress_table(struct run *r, const char *text)
{
	const char *p;

	if (!progress_due(r))
		return;
	run_progress_clear(r);
	fputs(text, stderr);
	for (p = text; *p; p++)
		r->progress->lines += *p == '\n';
	r->progress->shown = true;
	fflush(stderr);
}

void
run_progress(struct run *r, uint64_t done, uint64_t total)
{
	double elapsed = clock_now() - r->started, rate;

	if (!progress_due(r))
		return;
	rate = elapsed > 0 ? (double)done / elapsed : 0;
	fprintf(stderr, "\r%s: %" PRIu64, r->program->name, done);
	if (total)
		fprintf(stderr, " of %" PRIu64 " rows (%.0f %%), %.0f rows/s, %.0f s left\033[K", total,
		        100.0 * (double)done / (double)total, rate, rate > 0 ? (double)(total - done) / rate : 0);
	else
		fprintf(stderr, " rows, %.0f rows/s\033[K", rate);
	fflush(stderr);
}

void
run_progress_clear(struct run *r)
{
	if (r->progress && r->progress->shown) {
		if (r->progress->lines)
			fprintf(stderr, "\r\033[%uA\033[J", r->progress->lines);
		else
			fputs("\r\033[K", stderr);
		r->progress->shown = false;
		r->progress->lines = 0;
	}
}

void
progress_free(struct run *r)
{
	free(r->progress);
	r->progress = NULL;
}
