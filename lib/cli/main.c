/* main(): prepares the process, reads the options, runs the program's hooks
 * around the stream, and ends with the right code. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/private.h"
#include "stream/keys.h"

#define MAX_THREADS 1024

int
run_fail(struct run *r, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->err.text, sizeof r->err.text, fmt, ap);
	va_end(ap);
	return r->err.code = code;
}

int
run_usage(struct run *r, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_set(&r->err, CODE_USAGE, "%s; try: %s --help", text, r->program->name);
}

void
warn(const struct run *r, const char *fmt, ...)
{
	struct run *w = (struct run *)(uintptr_t)r;
	char text[sizeof r->warned];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (r->common.quiet || !strcmp(text, r->warned))
		return;
	strcpy(w->warned, text);
	run_progress_clear(w);
	fprintf(stderr, "%s: %s\n", r->program->name, text);
}

/* Descriptors 0-2 must be something, or a file we open lands there. What the
 * caller closed becomes a /dev/null of the wrong direction, so that using it
 * is an error and not silence. */
static void
open_standard(void)
{
	static const int modes[] = {O_WRONLY, O_RDONLY, O_RDWR};
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", modes[fd]) != fd)
			_exit(CODE_IO);
}

static void
notice(void *r, const char *text)
{
	run_progress_clear(r);
	fprintf(stderr, "%s: %s\n", program.name, text);
}

struct transport_opts
run_transport(const struct run *r)
{
	return (struct transport_opts){
		.max_frame = r->common.max_frame, .peer_timeout = (unsigned)r->common.peer_timeout,
		.insecure = r->common.insecure, .keys = r->keys, .stop = signals_stop(), .notice = r->common.quiet ? NULL : notice, .notice_arg = (struct run *)(uintptr_t)r,
	};
}

static bool
reads_stream(const struct run *r)
{
	return r->program->kind != PROGRAM_SOURCE && r->program->kind != PROGRAM_TOOL && !r->no_in;
}

static bool
writes_stream(const struct run *r)
{
	return r->program->kind != PROGRAM_SINK && r->program->kind != PROGRAM_TOOL && !r->text;
}

int
run_refuse_terminal(struct run *r)
{
	if (!isatty(STDOUT_FILENO) || r->common.force)
		return 0;
	return run_usage(r, "will not write binary to a terminal; add `| frames --text`, -o FILE or --force");
}

static int
open_ends(struct run *r)
{
	struct transport_opts o = run_transport(r);

	if (reads_stream(r)) {
		if (!strcmp(r->common.in, "-") && isatty(STDIN_FILENO))
			return run_usage(r, "standard input is a terminal; give it a stream, or name one with -i");
		r->in = stream_open_in(r->common.in, &o, &r->err);
		if (!r->in)
			return r->err.code;
	}
	if (r->text) /* opened now, so that it is there even for no rows */
		return run_text(r) ? 0 : r->err.code;
	if (!writes_stream(r))
		return 0;
	if (!strcmp(r->common.out, "-") && run_refuse_terminal(r))
		return r->err.code;
	r->out = stream_open_out(r->common.out, &o, &r->err);
	return r->out ? 0 : r->err.code;
}

int
run_put_head(struct run *r, struct head *h)
{
	if (!r->common.no_prov && head_add_prov(h, r->program->name, MSAE_VERSION, r->command, &r->err))
		return r->err.code;
	return stream_head(r->out, h, &r->err);
}

int
on_frame(struct run *r, struct frame *f, void *none)
{
	const struct program *p = r->program;
	int code = 0;

	(void)none;
	switch (f->kind) {
	case FRAME_HEAD:
		r->head_number++;
		if (p->head && (code = p->head(r, &r->head)))
			return code;
		return r->out ? run_put_head(r, &r->head) : 0;
	case FRAME_ROWS:
		if (p->rows && (code = p->rows(r, f)))
			return code;
		return r->out ? stream_rows(r->out, f, &r->err) : 0;
	case FRAME_END:
		if (p->end && (code = p->end(r)))
			return code;
		return r->out ? stream_end(r->out, &r->err) : 0;
	default:
		return r->out ? stream_pass(r->out, f, &r->err) : 0;
	}
}

int
run_stop(struct run *r, uint64_t rows)
{
	return run_fail(r, CODE_TRYAGAIN, "stopped: by a signal, after %llu rows", (unsigned long long)rows);
}

int
frame_begin(struct run *r, const struct frame *f)
{
	return f->kind == FRAME_HEAD && head_read(&r->head, f, &r->err) ? r->err.code : 0;
}

int
frame_done(struct run *r, const struct stream *done)
{
	status_tick(r);
	return run_stopped() ? run_stop(r, stream_counts(done).rows) : 0;
}

int
run_frames(struct run *r, int (*each)(struct run *r, struct frame *f, void *arg), void *arg)
{
	struct frame *f;
	int got, code;

	while ((got = stream_next(r->in, &f, &r->err)) > 0) {
		if ((code = frame_begin(r, f)) || (code = each(r, f, arg)) || (code = frame_done(r, r->in)))
			return code;
	}
	return got < 0 ? r->err.code : 0;
}

int
run_frames_of(struct run *r, const char *path, int (*each)(struct run *r, struct frame *f, void *arg), void *arg)
{
	struct transport_opts o = run_transport(r);
	struct stream *in = r->in;
	int code;

	r->in = stream_open_in(path, &o, &r->err);
	code = r->in ? run_frames(r, each, arg) : r->err.code;
	stream_close(r->in);
	r->in = in;
	head_clear(&r->head);
	return code;
}

static int
loop(struct run *r)
{
	if (r->program->loop)
		return r->program->loop(r);
	if (!r->in)
		return 0;
	return r->program->lane && r->out && r->common.threads > 1 ? lanes_run(r) : run_frames(r, on_frame, NULL);
}

FILE *
run_text(struct run *r)
{
	if (r->text_file)
		return r->text_file;
	if (!strcmp(r->common.out, "-"))
		return r->text_file = stdout;
	return r->text_file = outfile_stdio(&r->text_out, r->common.out, &r->err);
}

int
run_wrote(struct run *r, int failed)
{
	if (failed && !r->err.code)
		err_sys(&r->err, CODE_IO, "%s: cannot write", strcmp(r->common.out, "-") ? r->common.out : "standard output");
	return r->err.code;
}

/* Standard output and text files are closed and checked last: a full disk is
 * often noticed only then. */
static int
finish(struct run *r)
{
	FILE *text = r->text_file;

	if (r->out && stream_finish(r->out, &r->err))
		return r->err.code;
	if (text && text != stdout) {
		r->text_file = NULL;
		return outfile_stdio_close(&r->text_out, text, false, &r->err);
	}
	if (fflush(stdout) || ferror(stdout) || (r->text_file && fclose(stdout)))
		return err_sys(&r->err, CODE_IO, "standard output: cannot write");
	return 0;
}

static int
run_hooks(struct run *r)
{
	const struct program *p = r->program;
	int code = 0;

	if (p->start && (code = p->start(r)))
		return code;
	if ((code = open_ends(r)))
		return code;
	if (p->ready && (code = p->ready(r)))
		return code;
	if ((code = loop(r)))
		return code;
	if (p->stop && (code = p->stop(r)))
		return code;
	return finish(r);
}

static void
fail(struct run *r)
{
	int sig = *signals_stop();
	char text[sizeof r->err.text]; /* names from outside must not drive the terminal */

	text_printable(text, sizeof text, r->err.text, strlen(r->err.text));
	if (r->out)
		stream_fail(r->out, r->program->name, text);
	fflush(stdout);
	run_progress_clear(r);
	fprintf(stderr, "%s: %s\n", r->program->name, text);
	if (sig > 0 && !r->resumable)
		r->err.code = 128 + sig;
}

/* --help and its kin: done, nothing to run. */
static int
answer(struct run *r, int *code)
{
	const struct common *c = &r->common;

	if (!c->help && !c->version && !c->man && !c->list)
		return 0;
	if (c->help)
		options_help(r->program, stdout);
	else if (c->version)
		printf("%s (msae) %s\n", r->program->name, MSAE_VERSION);
	else if (c->man)
		options_man(r->program, stdout);
	else
		options_list(r->program, stdout);
	*code = finish(r);
	return 1;
}

static int
check_common(struct run *r)
{
	struct common *c = &r->common;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (!c->threads)
		c->threads = cores > 0 ? (uint64_t)cores : 1;
	if (c->threads > MAX_THREADS)
		return run_usage(r, "-t %llu: at most %d threads", (unsigned long long)c->threads, MAX_THREADS);
	if (c->max_frame > SIZE_MAX / 4 || c->max_frame < 1024)
		return run_usage(r, "--max-frame: at least 1K, and no more than memory can hold");
	if (c->peer_timeout > INT32_MAX)
		return run_usage(r, "--peer-timeout: at most %d seconds", INT32_MAX);
	if (!*c->in || !*c->out)
		return run_usage(r, "-i and -o need a name that is not empty");
	if (r->argc && !r->program->operands)
		return run_usage(r, "%s: operands are not expected", r->argv[0]);
	if (!reads_stream(r) && strcmp(c->in, "-"))
		return run_usage(r, "-i: reads no stream");
	if (c->peers && !c->keys)
		return run_usage(r, "--peers goes with --keys");
	if (c->keys && !(r->keys = keys_load(c->keys, c->peers, &r->err)))
		return r->err.code;
	r->cpu = getenv("MSAE_CPU");
	r->pool = pool_new((unsigned)c->threads, &r->err);
	return r->pool ? 0 : r->err.code;
}

int
main(int argc, char **argv)
{
	struct run r = {.program = &program, .text_out = {.fd = -1}};
	int code;

	open_standard();
	signals_setup();
	r.started = clock_now();
	r.common = (struct common){.in = "-", .out = "-", .max_frame = STREAM_MAX_FRAME, .peer_timeout = 60};
	r.self = calloc(1, program.self_size ? program.self_size : 1);
	if (!r.self) {
		fprintf(stderr, "%s: out of memory\n", program.name);
		return CODE_TRYAGAIN;
	}
	if (program.defaults)
		memcpy(r.self, program.defaults, program.self_size);
	code = options_parse(&r, argc, argv);
	if (!code && !answer(&r, &code)) {
		code = check_common(&r);
		if (!code)
			code = run_hooks(&r);
	}
	if (code) {
		fail(&r);
		code = r.err.code;
	}
	status_final(&r, code);
	if (program.clean)
		program.clean(&r);
	stream_close(r.in);
	stream_close(r.out);
	if (r.text_file && r.text_file != stdout)
		fclose(r.text_file);
	outfile_abort(&r.text_out);
	head_free(&r.head);
	csr_free(&r.sorted);
	pool_free(r.pool);
	keys_free(r.keys);
	progress_free(&r);
	options_free(&r);
	free(r.self);
	return code;
}
