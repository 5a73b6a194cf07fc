/* Links over ZeroMQ, each end in a process of its own: no process forks with
 * a ZeroMQ context open, and none outlives its alarm. What an end says (the
 * error, the notices) comes back through a pipe. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stream/stream.h"
#include "stream/transport.h"
#include "tap.h"

#define LIMIT_SECONDS 20
#define MANY 200
#define MAX_FRAME (8u << 20)

enum last_deed { FINISH, ABORT, DIE, HANG };

/* What one end does. */
struct end {
	const char *ep;
	enum transport_side side;
	size_t frames;
	size_t size;          /* of every frame; 0: sizes[] by turns */
	unsigned nap_ms;      /* after the first frame */
	enum last_deed last;  /* after the frames */
	unsigned timeout;
	uint64_t max_frame;
	unsigned char mark;   /* in every frame: which writer it was */
};

static const size_t sizes[] = {1, 100000, 3u << 20};

struct child {
	pid_t pid;
	int out;
	char said[4096];
	size_t n;
	double took; /* seconds, once it has ended by itself */
};

static char dir[64];
static int say_fd = -1;           /* in a child: the pipe to the parent */
static volatile int stop_flag;

/* ---- children ---- */

static void
say(const char *text)
{
	if (write(say_fd, text, strlen(text)) < 0 || write(say_fd, "\n", 1) < 0)
		_exit(99);
}

static void
say_notice(void *none, const char *text)
{
	(void)none;
	say(text);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int
timed(int (*run)(const void *), const void *arg)
{
	double start = now();
	char text[64];
	int code;

	alarm(LIMIT_SECONDS);
	code = run(arg);
	sprintf(text, "took %.3f s", now() - start);
	say(text);
	return code;
}

static struct child
begin(int (*run)(const void *), const void *arg)
{
	struct child c = {0};
	int p[2];

	fflush(stdout);
	if (pipe(p))
		abort();
	c.pid = fork();
	if (!c.pid) {
		close(p[0]);
		say_fd = p[1];
		exit(timed(run, arg));
	}
	close(p[1]);
	c.out = p[0];
	return c;
}

/* Hears more of what it says; false when it has ended. */
static bool
hear(struct child *c)
{
	char rest[256];
	bool room = c->n + 1 < sizeof c->said;
	ssize_t r = room ? read(c->out, c->said + c->n, sizeof c->said - 1 - c->n) : read(c->out, rest, sizeof rest);

	if (r > 0 && room)
		c->n += (size_t)r;
	return r > 0;
}

/* Waits until it has said so, or has ended. */
static void
wait_for(struct child *c, const char *text)
{
	while (!strstr(c->said, text) && hear(c))
		;
}

/* The exit code, 128 + signal when it was killed. */
static int
join(struct child *c)
{
	const char *took;
	int status;

	while (hear(c))
		;
	close(c->out);
	took = strstr(c->said, "took ");
	c->took = took ? strtod(took + 5, NULL) : 0;
	waitpid(c->pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
ends_with(struct child *c, int code, const char *saying, const char *what)
{
	int got = join(c);

	if (!tap_ok(got == code && (!saying || strstr(c->said, saying)), "%s", what))
		printf("# exit code %d, expected %d; said: %s; expected to hold: %s\n", got, code, c->said, saying ? saying : "");
}

static void
sleep_ms(unsigned ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* ---- addresses ---- */

static const char *
tcp_address(char *out, const char *prefix)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) || getsockname(fd, (struct sockaddr *)&a, &n))
		abort();
	close(fd);
	sprintf(out, "%stcp://127.0.0.1:%u", prefix, ntohs(a.sin_port));
	return out;
}

static const char *
ipc_address(char *out, const char *prefix)
{
	static unsigned count;

	sprintf(out, "%sipc://%s/%u", prefix, dir, count++);
	return out;
}

/* A fresh address in two spellings: bound and connected to. */
struct address {
	char bound[100];
	const char *plain;
};

static struct address *
fresh(struct address *a, bool ipc)
{
	(ipc ? ipc_address : tcp_address)(a->bound, "@");
	a->plain = a->bound + 1;
	return a;
}

static int
dial(const char *plain)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	bool ipc = !strncmp(plain, "ipc", 3);
	int fd = socket(ipc ? AF_UNIX : AF_INET, SOCK_STREAM, 0), r;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (ipc)
		strcpy(un.sun_path, plain + 6);
	else
		in.sin_port = htons((uint16_t)atoi(strrchr(plain, ':') + 1));
	r = ipc ? connect(fd, (struct sockaddr *)&un, sizeof un) : connect(fd, (struct sockaddr *)&in, sizeof in);
	if (!r)
		return fd;
	close(fd);
	return -1;
}

/* The connection, which does no harm when closed. */
static int
dial_patiently(const char *plain)
{
	int fd, i;

	for (i = 0; (fd = dial(plain)) < 0 && i < 100; i++)
		sleep_ms(50);
	return fd;
}

static void
wait_listening(const char *plain)
{
	close(dial_patiently(plain));
}

/* ---- the ends ---- */

static struct transport_opts
opts(const struct end *d)
{
	return (struct transport_opts){
		.max_frame = d->max_frame ? d->max_frame : MAX_FRAME, .peer_timeout = d->timeout ? d->timeout : LIMIT_SECONDS,
		.stop = &stop_flag, .notice = say_notice,
	};
}

static size_t
frame_size(const struct end *d, size_t i)
{
	return d->size ? d->size : sizes[i % 3];
}

static unsigned char
pattern(const struct end *d, size_t i, size_t k)
{
	return (unsigned char)(d->mark + 31 * i + k % 251);
}

static void
build(struct buf *b, const struct end *d, size_t i)
{
	size_t n = frame_size(d, i), k;
	struct err e;

	b->len = 0;
	if (mp_put_map(b, 3, &e) || mp_put_str(b, "sae", &e) || mp_put_uint(b, 1, &e) || mp_put_str(b, "seq", &e) || mp_put_uint(b, i, &e) ||
	    mp_put_str(b, "pad", &e) || mp_put_bin_header(b, n, &e) || buf_reserve(b, n, &e))
		exit(98);
	for (k = 0; k < n; k++)
		b->data[b->len++] = pattern(d, i, k);
}

static int
ended(struct transport *t, const struct err *e, int code)
{
	if (code)
		say(e->text);
	if (t) {
		t->ops->abort(t);
		t->ops->free(t);
	}
	return code;
}

static void
last_deed(const struct end *d)
{
	if (d->last == DIE)
		kill(getpid(), SIGKILL);
	while (d->last == HANG)
		pause();
}

/* In three pieces, as a frame usually is. */
static int
send_pieces(struct transport *t, struct buf *b, struct err *e)
{
	struct iovec iov[] = {{b->data, 5}, {b->data + 5, 0}, {b->data + 5, b->len - 5}};

	return t->ops->send(t, iov, 3, e);
}

static int
write_end(const void *arg)
{
	const struct end *d = arg;
	struct transport_opts o = opts(d);
	struct buf b = {0};
	struct err e = {0};
	struct transport *t = transport_open_zmq(d->ep, TRANSPORT_OUT, &o, &e);
	size_t i;
	int code = 0;

	if (t)
		say("linked");
	for (i = 0; t && i < d->frames && !code; i++) {
		build(&b, d, i);
		code = send_pieces(t, &b, &e);
		if (!i)
			sleep_ms(d->nap_ms);
	}
	if (t && !code)
		last_deed(d);
	if (t && !code && d->last == FINISH)
		code = t->ops->finish(t, &e);
	buf_free(&b);
	return ended(t, &e, t ? code : e.code);
}

static int
same_frame(const struct end *d, const struct buf *b, size_t i)
{
	struct buf want = {0};
	int same;

	build(&want, d, i);
	same = want.len == b->len && !memcmp(want.data, b->data, b->len) && (uintptr_t)b->data % MEM_ALIGN == 0;
	buf_free(&want);
	return same;
}

static int
read_end(const void *arg)
{
	const struct end *d = arg;
	struct transport_opts o = opts(d);
	struct buf b = {0};
	struct err e = {0};
	struct transport *t = transport_open_zmq(d->ep, TRANSPORT_IN, &o, &e);
	size_t i = 0;
	int r = 1, wrong = 0;
	char text[64];

	if (t)
		say("linked");
	while (t && r > 0 && !(d->last != FINISH && i == d->frames) && (r = t->ops->recv(t, &b, &e)) > 0) {
		wrong |= !same_frame(d, &b, i);
		if (!i++)
			sleep_ms(d->nap_ms);
	}
	if (t && r >= 0)
		last_deed(d);
	wrong |= r == 0 && (i != d->frames || t->ops->recv(t, &b, &e) != 0);
	if (wrong)
		say("not what was sent");
	sprintf(text, "%zu frames came", i);
	say(text);
	buf_free(&b);
	return ended(t, &e, wrong ? 97 : !t || r < 0 ? e.code : 0);
}

static struct child
begin_end(const struct end *d)
{
	return begin(d->side == TRANSPORT_OUT ? write_end : read_end, d);
}

/* ---- whole streams ---- */

static void
try_whole(bool ipc, bool reader_binds, bool reader_first)
{
	struct address a;
	struct end w = {.side = TRANSPORT_OUT, .frames = 3}, r = {.side = TRANSPORT_IN, .frames = 3};
	struct child first, second;

	fresh(&a, ipc);
	r.ep = reader_binds ? a.bound : a.plain;
	w.ep = reader_binds ? a.plain : a.bound;
	first = begin_end(reader_first ? &r : &w);
	sleep_ms(200);
	second = begin_end(reader_first ? &w : &r);
	printf("# %s, the %s binds, the %s is first\n", ipc ? "ipc" : "tcp", reader_binds ? "reader" : "writer", reader_first ? "reader" : "writer");
	ends_with(&first, 0, NULL, "three frames: the first end");
	ends_with(&second, 0, NULL, "three frames: the second end");
}

static void
try_many(void)
{
	struct address a;
	struct end w = {.side = TRANSPORT_OUT, .frames = MANY, .size = 5000}, r = {.side = TRANSPORT_IN, .frames = MANY, .size = 5000};
	struct child cw, cr;

	fresh(&a, false);
	w.ep = a.bound;
	r.ep = a.plain;
	cw = begin_end(&w);
	cr = begin_end(&r);
	ends_with(&cw, 0, NULL, "many frames: sent");
	ends_with(&cr, 0, NULL, "many frames: come in order");
	w.frames = r.frames = 0;
	cw = begin_end(&w);
	cr = begin_end(&r);
	ends_with(&cw, 0, NULL, "no frame at all: the end is acknowledged");
	ends_with(&cr, 0, NULL, "no frame at all: end of input");
}

static struct stream *
open_stream(const struct end *d, struct err *e)
{
	struct transport_opts o = opts(d);

	return d->side == TRANSPORT_OUT ? stream_open_out(d->ep, &o, e) : stream_open_in(d->ep, &o, e);
}

static int
write_streams(const void *arg)
{
	const struct end *d = arg;
	struct frame f = {.kind = FRAME_ROWS, .n = 1000};
	uint64_t shape[] = {1000, 16};
	struct head h = {0};
	struct err e = {0};
	struct stream *s = open_stream(d, &e);
	float *x = calloc(16000, sizeof *x);
	unsigned i;
	int bad = !s || !x || head_set_str(&h, "stream", "test", &e) || head_declare(&h, "x", "<f4", 1, shape + 1, &e) ||
	          frame_put_dense(&f, "x", "<f4", 2, shape, x, &e);

	for (i = 0; !bad && i < d->frames; i++)
		bad = stream_head(s, &h, &e) || stream_rows(s, &f, &e) || stream_end(s, &e);
	bad = bad || stream_finish(s, &e);
	if (bad)
		say(e.text);
	stream_close(s);
	head_free(&h);
	frame_free(&f);
	free(x);
	return bad ? e.code : 0;
}

/* Says how many streams and rows frames came. */
static int
read_streams(const void *arg)
{
	struct err e = {0};
	struct stream *s = open_stream(arg, &e);
	struct frame *f;
	unsigned rows = 0;
	char text[64];
	int r = -1;

	while (s && (r = stream_next(s, &f, &e)) > 0)
		rows += f->kind == FRAME_ROWS;
	if (r < 0)
		say(e.text);
	sprintf(text, "%u streams, %u frames of rows", s ? (unsigned)stream_counts(s).streams : 0, rows);
	say(text);
	stream_close(s);
	return r < 0 ? e.code : 0;
}

static void
try_streams(void)
{
	struct address a;
	struct end w = {.side = TRANSPORT_OUT, .frames = 2}, r = {.side = TRANSPORT_IN};
	struct child cw, cr;

	w.ep = fresh(&a, true)->bound;
	r.ep = a.plain;
	cr = begin(read_streams, &r);
	cw = begin(write_streams, &w);
	ends_with(&cw, 0, NULL, "two streams, one behind the other: sent");
	ends_with(&cr, 0, "2 streams, 2 frames of rows", "two streams, one behind the other: both come");
	r.max_frame = 30000; /* the writer's 64 KB of rows go as four frames */
	cr = begin(read_streams, &r);
	cw = begin(write_streams, &w);
	ends_with(&cw, 0, NULL, "a reader that takes small frames only: the rows are split");
	ends_with(&cr, 0, "2 streams, 8 frames of rows", "a reader that takes small frames only: gets small frames");
}

/* ---- ends that fail ---- */

static void
try_loss(const char *what, struct end w, struct end r, int wcode, const char *wsays, int rcode, const char *rsays)
{
	struct address a;
	struct child cw, cr;
	int binds;

	w.side = TRANSPORT_OUT;
	r.side = TRANSPORT_IN;
	for (binds = 0; binds < 2; binds++) {
		fresh(&a, binds);
		w.ep = binds ? a.bound : a.plain;
		r.ep = binds ? a.plain : a.bound;
		cr = begin_end(&r);
		cw = begin_end(&w);
		printf("# %s, the %s binds\n", what, binds ? "writer" : "reader");
		ends_with(&cw, wcode, wsays, "the writer");
		ends_with(&cr, rcode, rsays, "the reader");
	}
}

static void
try_losses(void)
{
	const struct end whole = {.frames = MANY, .size = 70000};

	try_loss("reader killed in mid-stream", whole, (struct end){.frames = 5, .size = 70000, .last = DIE},
	         CODE_UNAVAILABLE, "the reader went away in mid-stream", 128 + SIGKILL, NULL);
	try_loss("reader gives up in mid-stream", whole, (struct end){.frames = 5, .size = 70000, .last = ABORT},
	         CODE_UNAVAILABLE, "the reader went away in mid-stream", 0, NULL);
	try_loss("writer killed in mid-stream", (struct end){.frames = 5, .size = 70000, .last = DIE}, whole,
	         128 + SIGKILL, NULL, CODE_UNAVAILABLE, "the writer went away before the end");
	try_loss("writer gives up in mid-stream", (struct end){.frames = 5, .size = 70000, .last = ABORT}, whole,
	         0, NULL, CODE_UNAVAILABLE, "the writer went away before the end");
	try_loss("frames larger than the reader takes", whole, (struct end){.frames = 9, .size = 70000, .max_frame = 60000},
	         CODE_DATA, "--max-frame", CODE_UNAVAILABLE, "the writer went away");
	/* it naps, as one that comes and goes within a few milliseconds may not count as having been there */
	try_loss("writer gives up: what it sent before still comes", (struct end){.frames = 3, .size = 70000, .nap_ms = 300, .last = ABORT},
	         (struct end){.frames = 9, .size = 70000, .nap_ms = 500}, 0, NULL, CODE_UNAVAILABLE, "3 frames came");
	/* the reader dies while the last frames wait for it: finish must not believe they arrived */
	try_loss("reader killed with all sent", (struct end){.frames = 2, .size = 9}, (struct end){.frames = 1, .size = 9, .nap_ms = 600, .last = DIE},
	         CODE_UNAVAILABLE, "before it acknowledged the end", 128 + SIGKILL, NULL);
}

static void
try_no_peer(void)
{
	struct address a[4];
	struct end d[4];
	struct child c[4];
	int i;

	for (i = 0; i < 4; i++) {
		fresh(&a[i], false);
		d[i] = (struct end){.ep = i < 2 ? a[i].plain : a[i].bound, .side = i % 2 ? TRANSPORT_OUT : TRANSPORT_IN, .timeout = 1};
		c[i] = begin_end(&d[i]);
	}
	for (i = 0; i < 4; i++) {
		ends_with(&c[i], CODE_UNAVAILABLE, i % 2 ? "no reader came within 1 s" : "no writer came within 1 s", "no peer: gives up");
		tap_ok(c[i].took > 0.9 && c[i].took < 3, "no peer: after about a second");
	}
}

static void
on_term(int sig)
{
	stop_flag = sig;
}

static int
stoppable(const void *arg)
{
	struct sigaction sa = {.sa_handler = on_term};

	sigaction(SIGTERM, &sa, NULL);
	say("ready");
	return ((const struct end *)arg)->side == TRANSPORT_OUT ? write_end(arg) : read_end(arg);
}

static void
try_stop(void)
{
	struct address a;
	struct end r = {.side = TRANSPORT_IN, .size = 10}, w = {.side = TRANSPORT_OUT, .frames = 1, .size = 10, .nap_ms = 1000};
	struct child cr, cw;

	r.ep = fresh(&a, false)->bound;
	cr = begin(stoppable, &r);
	wait_for(&cr, "ready");
	sleep_ms(200);
	kill(cr.pid, SIGTERM);
	ends_with(&cr, CODE_TRYAGAIN, "stopped", "stopped while it waits for a peer");
	tap_ok(cr.took < 3, "stopped at once");
	w.ep = a.plain;
	cr = begin(stoppable, &r);
	cw = begin_end(&w);
	wait_for(&cr, "linked");
	wait_for(&cw, "linked");
	sleep_ms(200);
	kill(cr.pid, SIGTERM);
	ends_with(&cr, CODE_TRYAGAIN, "stopped", "stopped while it waits for a frame");
	ends_with(&cw, CODE_UNAVAILABLE, NULL, "and its writer learns of it");
}

/* ---- more than one peer ---- */

static void
try_second(bool writer_binds)
{
	struct address a;
	struct end first, other, bound;
	struct child cb, c1, c2;
	const char *who = writer_binds ? "reader" : "writer";
	char text[64];

	fresh(&a, !writer_binds);
	bound = (struct end){.ep = a.bound, .side = writer_binds ? TRANSPORT_OUT : TRANSPORT_IN, .frames = 20, .size = 1000, .mark = 7};
	first = (struct end){.ep = a.plain, .side = writer_binds ? TRANSPORT_IN : TRANSPORT_OUT, .frames = 20, .size = 1000, .mark = 7, .nap_ms = 2500};
	other = first;
	other.mark = 99;
	other.timeout = 1;
	cb = begin_end(&bound);
	c1 = begin_end(&first);
	wait_for(&c1, "linked");
	c2 = begin_end(&other);
	printf("# a second %s\n", who);
	sprintf(text, "no %s came within 1 s", writer_binds ? "writer" : "reader");
	ends_with(&c2, CODE_UNAVAILABLE, text, "is turned away");
	ends_with(&c1, 0, NULL, "does not disturb the first");
	sprintf(text, "ignoring another %s", who);
	ends_with(&cb, 0, text, "does not mix");
}

/* The next in line waits at the same address for the next server. */
static void
try_queue(void)
{
	struct address a;
	struct end w1, w2, r1, r2;
	struct child c[4];

	fresh(&a, false);
	r1 = (struct end){.ep = a.bound, .side = TRANSPORT_IN, .frames = 5, .size = 1000, .mark = 1};
	w1 = (struct end){.ep = a.plain, .side = TRANSPORT_OUT, .frames = 5, .size = 1000, .mark = 1, .nap_ms = 1200};
	r2 = r1;
	w2 = w1;
	r2.mark = w2.mark = 2;
	c[0] = begin_end(&r1);
	c[1] = begin_end(&w1);
	wait_for(&c[1], "linked");
	c[2] = begin_end(&w2);
	ends_with(&c[0], 0, NULL, "two runs at one address: the first reader");
	ends_with(&c[1], 0, NULL, "two runs at one address: the first writer");
	c[3] = begin_end(&r2);
	ends_with(&c[2], 0, "serves another writer; waiting", "two runs at one address: the second writer waits");
	ends_with(&c[3], 0, NULL, "two runs at one address: the second reader");
}

static void
try_two_alike(void)
{
	struct address a;
	struct end bound = {.side = TRANSPORT_OUT, .timeout = 2}, other = {.side = TRANSPORT_OUT, .timeout = 9};
	struct child cb, co;

	bound.ep = fresh(&a, false)->bound;
	other.ep = a.plain;
	cb = begin_end(&bound);
	co = begin_end(&other);
	ends_with(&co, CODE_PROTOCOL, "is a writer too", "a writer that meets a writer");
	ends_with(&cb, CODE_UNAVAILABLE, "ignoring a writer: a reader is waited for", "and is met");
}

/* ---- addresses ---- */

static int
open_only(const void *arg)
{
	const char *ep = arg;
	struct transport_opts o = {.max_frame = MAX_FRAME, .peer_timeout = 1, .insecure = *ep == '!', .notice = say_notice};
	struct err e = {0};

	return ended(NULL, &e, transport_open_zmq(ep + (*ep == '!'), TRANSPORT_IN, &o, &e) ? 0 : e.code);
}

static const struct { const char *ep; int code; const char *says; } addresses[] = {
	{"tcp://10.0.0.1:5555", CODE_REFUSED, "--insecure"},
	{"@tcp://0.0.0.0:5555", CODE_REFUSED, "unprotected"},
	{"@tcp://*:5555", CODE_REFUSED, "--insecure"},
	{"tcp://*:5555", CODE_REFUSED, "--insecure"},
	{"tcp://example.org:5555", CODE_REFUSED, "--insecure"},
	{"tcp://127.0.0.1.example.org:5555", CODE_REFUSED, "--insecure"},
	{"tcp://128.0.0.1:5555", CODE_REFUSED, "--insecure"},
	{"@tcp://eth0:5555", CODE_REFUSED, "--insecure"},
	{"@tcp://[::]:5555", CODE_REFUSED, "--insecure"},
	{"tcp://[::ffff:10.0.0.1]:5555", CODE_REFUSED, "--insecure"},
	{"!tcp://*:5555", CODE_USAGE, "not connected to"},
	{"tcp://", CODE_USAGE, "tcp://127.0.0.1:5555"},
	{"tcp://localhost", CODE_USAGE, "port"},
	{"tcp://localhost:0", CODE_USAGE, "port"},
	{"@tcp://localhost:*", CODE_USAGE, "port"},
	{"tcp://localhost:70000", CODE_USAGE, "port"},
	{"tcp://localhost:55x", CODE_USAGE, "port"},
	{"tcp://127.1:5555", CODE_USAGE, "no such host"},
	{"tcp://0177.0.0.1:5555", CODE_USAGE, "no such host"},
	{"tcp://300.0.0.1:5555", CODE_USAGE, "no such host"},
	{"tcp://127.0.0.1;10.0.0.1:5555", CODE_USAGE, "no such host"},
	{"tcp://127.0.0.1:1;10.0.0.1:5555", CODE_USAGE, "no such host"},
	{"tcp://a b:5555", CODE_USAGE, "no such host"},
	{"tcp://[::1:5555", CODE_USAGE, "no such host"},
	{"ipc://", CODE_USAGE, "path"},
	{"@ipc://*", CODE_USAGE, "path"},
	{"@ipc://@abstract", CODE_USAGE, "path"},
	{"ipc:///aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", CODE_USAGE, "longer"},
	{"udp://127.0.0.1:5555", CODE_USAGE, "no socket address"},
	{"@ipc:///nonexistent/directory/s", CODE_UNAVAILABLE, "cannot bind"},
	{"!@tcp://192.0.2.1:5555", CODE_UNAVAILABLE, "cannot bind"},
};

static void
try_addresses(void)
{
	struct child c;
	size_t i;

	for (i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		c = begin(open_only, addresses[i].ep);
		ends_with(&c, addresses[i].code, addresses[i].says, addresses[i].ep);
	}
}

static const char *const spellings[] = {
	"tcp://:%s", "tcp://localhost:%s", "tcp://LOCALHOST:%s", "tcp://127.0.0.1:%s",
};

static void
try_spellings(void)
{
	struct address a;
	char bound[64], plain[64];
	struct end w = {.ep = plain, .side = TRANSPORT_OUT, .frames = 3}, r = {.ep = bound, .side = TRANSPORT_IN, .frames = 3};
	struct child cw, cr;
	size_t i;

	for (i = 0; i < sizeof spellings / sizeof *spellings; i++) {
		fresh(&a, false);
		*bound = '@';
		sprintf(bound + 1, spellings[i], strrchr(a.plain, ':') + 1);
		sprintf(plain, spellings[(i + 1) % 4], strrchr(a.plain, ':') + 1);
		cr = begin_end(&r);
		cw = begin_end(&w);
		ends_with(&cr, 0, NULL, bound);
		ends_with(&cw, 0, NULL, plain);
	}
}

static void
try_v6(void)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	char bound[64], plain[64];
	struct address a;
	struct end w = {.ep = plain, .side = TRANSPORT_OUT, .frames = 3}, r = {.ep = bound, .side = TRANSPORT_IN, .frames = 3};
	struct child cw, cr;
	int fd = socket(AF_INET6, SOCK_STREAM, 0), absent = fd < 0 || bind(fd, (struct sockaddr *)&v6, sizeof v6);

	if (fd >= 0)
		close(fd);
	if (absent) {
		tap_skip("[::1]", "there is no IPv6 here");
		return;
	}
	fresh(&a, false);
	sprintf(bound, "@tcp://[::1]:%s", strrchr(a.plain, ':') + 1);
	sprintf(plain, "tcp://::1:%s", strrchr(a.plain, ':') + 1);
	cr = begin_end(&r);
	cw = begin_end(&w);
	ends_with(&cr, 0, NULL, bound);
	ends_with(&cw, 0, NULL, plain);
}

static void
put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f)
		abort();
	fputs(text, f);
	fclose(f);
}

static bool
holds(const char *path, const char *text)
{
	char got[64] = "";
	FILE *f = fopen(path, "r");

	if (!f)
		return false;
	if (!fgets(got, sizeof got, f))
		*got = 0;
	fclose(f);
	return !strcmp(got, text);
}

static void
try_in_use(bool ipc)
{
	struct address a;
	struct end d = {.side = TRANSPORT_IN, .timeout = 1};
	struct child ch, cl;

	d.ep = fresh(&a, ipc)->bound;
	ch = begin_end(&d);
	wait_listening(a.plain);
	cl = begin_end(&d);
	ends_with(&cl, CODE_UNAVAILABLE, a.plain, ipc ? "ipc in use" : "tcp in use");
	ends_with(&ch, CODE_UNAVAILABLE, "no writer came", "the holder waits on");
}

static void
try_paths(void)
{
	char path[100], lock[110], ep[120];
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct child c;
	int fd;

	sprintf(path, "%s/precious", dir);
	sprintf(lock, "%s.lock", path);
	sprintf(ep, "@ipc://%s", path);
	put_file(path, "data");
	c = begin(open_only, ep);
	ends_with(&c, CODE_CANTCREATE, "not a socket", "a file where the socket should be");
	tap_ok(holds(path, "data"), "is left alone");
	tap_ok(access(lock, F_OK) != 0, "and no lock file stays");
	unlink(path);

	put_file(lock, "also data");
	c = begin(open_only, ep);
	ends_with(&c, CODE_CANTCREATE, "no lock file", "a file where the lock should be");
	tap_ok(holds(lock, "also data"), "is left alone");
	unlink(lock);

	strcpy(un.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&un, sizeof un) || listen(fd, 1))
		abort();
	c = begin(open_only, ep);
	ends_with(&c, CODE_UNAVAILABLE, "in use", "another program's socket");
	close(fd);
	c = begin(open_only, ep);
	ends_with(&c, CODE_UNAVAILABLE, "no writer came", "a dead socket is replaced");
	tap_ok(access(path, F_OK) && access(lock, F_OK), "the socket and its lock are gone afterwards");
}

static void
try_directories(void)
{
	char made[90], ep[120];
	struct stat st;
	struct child c;

	sprintf(made, "%s/made", dir);
	sprintf(ep, "@ipc://%s/socket", made);
	c = begin(open_only, ep);
	ends_with(&c, CODE_UNAVAILABLE, "no writer came", "a directory that is missing is made");
	tap_ok(!stat(made, &st) && (st.st_mode & 07777) == 0700, "for the user alone");
	chmod(made, 0777);
	c = begin(open_only, ep);
	ends_with(&c, CODE_REFUSED, "anybody may write", "a directory where anybody may write");
	chmod(made, 01777);
	c = begin(open_only, ep);
	ends_with(&c, CODE_UNAVAILABLE, "no writer came", "one like /tmp");
	rmdir(made);
	sprintf(ep, "@ipc://%s/more/socket", made);
	c = begin(open_only, ep);
	ends_with(&c, CODE_UNAVAILABLE, "cannot make the directory", "two that are missing");
}

static void
try_after_kill(void)
{
	struct address a;
	struct end r = {.side = TRANSPORT_IN, .size = 9}, w = {.side = TRANSPORT_OUT, .frames = 3, .size = 9};
	struct child cr, cw;

	r.ep = fresh(&a, true)->bound;
	w.ep = a.plain;
	cr = begin_end(&r);
	wait_listening(a.plain);
	kill(cr.pid, SIGKILL);
	join(&cr);
	tap_ok(!access(a.plain + 6, F_OK), "a killed process leaves its socket behind");
	r.frames = 3;
	cr = begin_end(&r);
	cw = begin_end(&w);
	ends_with(&cr, 0, NULL, "the next one takes it over");
	ends_with(&cw, 0, NULL, "and is written to");
}

/* ---- peers that are no filters: ZMTP 3.0 by hand ---- */

struct raw {
	const char *ep;    /* tcp */
	const char *hello;
	const char *frame; /* sent after the hello */
	size_t size;       /* of it, padded with zeros */
	bool parts;        /* as the first of two parts */
	int times;         /* sent so often, 0 is 1 */
	bool until_end;    /* read until an empty message comes, then leave */
	int ahead;         /* frames that must come before the first "more" */
};

static void
raw_write(int fd, const void *p, size_t n)
{
	const char *c = p;
	ssize_t r;

	for (; n; n -= (size_t)r, c += r)
		if ((r = send(fd, c, n, MSG_NOSIGNAL)) <= 0)
			exit(0); /* the other side has had enough */
}

static void
raw_read(int fd, void *p, size_t n)
{
	char *c = p;
	ssize_t r;

	for (; n; n -= (size_t)r, c += r)
		if ((r = recv(fd, c, n, 0)) <= 0)
			exit(0);
}

static void
raw_message(int fd, const char *p, size_t size, bool more)
{
	unsigned char header[9] = {(unsigned char)(2 | more)};
	char *m = calloc(1, size + 1);
	size_t i;

	for (i = 0; i < 8; i++)
		header[1 + i] = (unsigned char)((uint64_t)size >> (56 - 8 * i));
	memcpy(m, p, strlen(p) < size ? strlen(p) : size);
	raw_write(fd, header, 9);
	raw_write(fd, m, size);
	free(m);
}

/* The length of the next message, its bytes dropped; commands are skipped. */
static size_t
raw_skip(int fd)
{
	unsigned char flags, n[8];
	size_t size, i, width;
	char c;

	do {
		raw_read(fd, &flags, 1);
		width = flags & 2 ? 8 : 1;
		raw_read(fd, n, width);
		for (size = i = 0; i < width; i++)
			size = size << 8 | n[i];
		for (i = 0; i < size; i++)
			raw_read(fd, &c, 1);
	} while (flags & 4);
	return size;
}

static int
raw_connect(const char *ep)
{
	static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06""DEALER";
	char greeting[64] = {(char)0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0, 'N', 'U', 'L', 'L'}, theirs[64];
	int fd = dial_patiently(ep);

	raw_write(fd, greeting, sizeof greeting);
	raw_read(fd, theirs, sizeof theirs);
	raw_write(fd, ready, sizeof ready - 1);
	return fd;
}

static int
raw_end(const void *arg)
{
	const struct raw *w = arg;
	int fd = raw_connect(w->ep);
	char c;
	int i;

	raw_message(fd, w->hello, strlen(w->hello), false);
	raw_skip(fd); /* theirs */
	for (i = 0; i < w->ahead; i++)
		raw_skip(fd);
	for (i = 0; i < w->ahead; i++)
		raw_message(fd, "more", 4, false);
	if (w->ahead) {
		while (raw_skip(fd))
			raw_message(fd, "more", 4, false);
		raw_message(fd, "done", 4, false);
	}
	for (i = 1; i < w->times; i++)
		raw_message(fd, w->frame, strlen(w->frame), false);
	if (w->frame) {
		raw_message(fd, w->frame, w->size ? w->size : strlen(w->frame), w->parts);
		if (w->parts)
			raw_message(fd, "more", 4, false);
	}
	while (w->until_end && raw_skip(fd))
		;
	if (w->until_end)
		return close(fd);
	while (recv(fd, &c, 1, 0) > 0) /* stays until the other side closes */
		;
	return 0;
}

static void
try_raw(struct raw w, enum transport_side side, int code, const char *says, const char *what)
{
	struct address a;
	struct end d = {.side = side, .frames = w.ahead ? 20 : 2, .size = 1000, .max_frame = 1 << 20, .timeout = 1};
	struct child cd, cw;

	d.ep = fresh(&a, false)->bound;
	w.ep = a.plain;
	cd = begin_end(&d);
	cw = begin(raw_end, &w);
	ends_with(&cd, code, says, what);
	join(&cw);
}

static void
try_raws(void)
{
	static const char frame[] = "\x82\xa3sae\x01\xa3pad\xc6";

	try_raw((struct raw){.hello = "msae/1 writer", .frame = frame, .size = (1 << 20) + 9}, TRANSPORT_IN, CODE_DATA, "--max-frame", "a frame just too large");
	try_raw((struct raw){.hello = "msae/1 writer", .frame = frame, .size = 2 << 20}, TRANSPORT_IN, CODE_UNAVAILABLE, "went away", "a frame far too large");
	try_raw((struct raw){.hello = "msae/1 writer", .frame = "hello there"}, TRANSPORT_IN, CODE_DATA, "not a msae stream", "no frame");
	try_raw((struct raw){.hello = "msae/1 writer", .frame = "\x93NUMPY\x01"}, TRANSPORT_IN, CODE_DATA, "read-embeddings", "an npy file");
	try_raw((struct raw){.hello = "msae/1 writer", .frame = frame, .parts = true}, TRANSPORT_IN, CODE_PROTOCOL, "parts", "a frame in parts");
	try_raw((struct raw){.hello = "msae/2 writer"}, TRANSPORT_IN, CODE_UNAVAILABLE, "not a msae of this version", "another version");
	try_raw((struct raw){.hello = "msae/1 writer and more"}, TRANSPORT_IN, CODE_UNAVAILABLE, "not a msae of this version", "a writer with frills");
	try_raw((struct raw){.hello = "GET / HTTP/1.0"}, TRANSPORT_IN, CODE_UNAVAILABLE, "ignoring", "another protocol");
	try_raw((struct raw){.hello = "msae/1 reader 9 1000000", .until_end = true}, TRANSPORT_OUT, CODE_UNAVAILABLE,
	        "before it acknowledged the end", "a reader that takes the end and goes");
	try_raw((struct raw){.hello = "msae/1 reader 1 1000000", .frame = "done"}, TRANSPORT_OUT, CODE_PROTOCOL,
	        "neither more nor done", "done before the end");
	try_raw((struct raw){.hello = "msae/1 reader 9 1000000", .frame = "more", .times = 20}, TRANSPORT_OUT, CODE_PROTOCOL,
	        "neither more nor done", "a reader that takes more than was sent");
	/* waits for its credit to be used up before it answers */
	try_raw((struct raw){.hello = "msae/1 reader 9 1000000", .ahead = 9}, TRANSPORT_OUT, 0, NULL, "small frames go out as far ahead as is granted");
	try_raw((struct raw){.hello = "msae/1 reader 1000 1000000", .ahead = 9}, TRANSPORT_OUT, 0, NULL, "and are when more is granted than anybody uses");
}

/* ---- slow things, while the rest runs ---- */

struct slow {
	struct address a[5];
	struct end lazy_r, lazy_w;     /* longer away than the heartbeats wait */
	struct end small_r, small_w;   /* the same, frames that all wait in libzmq's queue */
	struct end frozen_r, left_w, frozen_w, left_r;
	struct end alone;
	struct child clr, clw, csr, csw, cfr, clf, cfw, clg, calone;
};

static void
begin_slow(struct slow *s)
{
	s->lazy_r = (struct end){.side = TRANSPORT_IN, .ep = fresh(&s->a[0], false)->bound, .frames = 12, .size = 2 << 20, .nap_ms = 9500};
	s->lazy_w = (struct end){.side = TRANSPORT_OUT, .ep = s->a[0].plain, .frames = 12, .size = 2 << 20};
	s->small_r = (struct end){.side = TRANSPORT_IN, .ep = fresh(&s->a[4], false)->bound, .frames = 40, .size = 1000, .nap_ms = 9500};
	s->small_w = (struct end){.side = TRANSPORT_OUT, .ep = s->a[4].plain, .frames = 40, .size = 1000};
	s->frozen_r = (struct end){.side = TRANSPORT_IN, .ep = fresh(&s->a[1], false)->bound, .frames = 1, .size = 9, .last = HANG};
	s->left_w = (struct end){.side = TRANSPORT_OUT, .ep = s->a[1].plain, .frames = 9, .size = 9};
	s->left_r = (struct end){.side = TRANSPORT_IN, .ep = fresh(&s->a[2], true)->bound, .frames = 9, .size = 9};
	s->frozen_w = (struct end){.side = TRANSPORT_OUT, .ep = s->a[2].plain, .frames = 1, .size = 9, .last = HANG};
	s->alone = (struct end){.side = TRANSPORT_OUT, .ep = fresh(&s->a[3], false)->plain, .timeout = 6};
	s->clr = begin_end(&s->lazy_r);
	s->clw = begin_end(&s->lazy_w);
	s->csr = begin_end(&s->small_r);
	s->csw = begin_end(&s->small_w);
	s->cfr = begin_end(&s->frozen_r);
	s->clf = begin_end(&s->left_w);
	s->clg = begin_end(&s->left_r);
	s->cfw = begin_end(&s->frozen_w);
	s->calone = begin_end(&s->alone);
	wait_for(&s->cfr, "linked");
	wait_for(&s->clf, "linked");
	wait_for(&s->cfw, "linked");
	wait_for(&s->clg, "linked");
	kill(s->cfr.pid, SIGSTOP);
	kill(s->cfw.pid, SIGSTOP);
}

static void
end_slow(struct slow *s)
{
	char text[160];

	sprintf(text, "waiting for a reader at %s\n%s: no reader came within 6 s", s->alone.ep, s->alone.ep);
	ends_with(&s->calone, CODE_UNAVAILABLE, text, "a notice after five seconds");
	ends_with(&s->clf, CODE_UNAVAILABLE, "the reader went away", "a reader that is frozen");
	tap_ok(s->clf.took > 5 && s->clf.took < 12, "is given up after %.1f s", s->clf.took);
	ends_with(&s->clg, CODE_UNAVAILABLE, "the writer went away", "a writer that is frozen");
	tap_ok(s->clg.took > 5 && s->clg.took < 12, "is given up after %.1f s", s->clg.took);
	kill(s->cfr.pid, SIGKILL);
	kill(s->cfw.pid, SIGKILL);
	join(&s->cfr);
	join(&s->cfw);
	ends_with(&s->clw, 0, NULL, "a reader that is only slow: all sent");
	ends_with(&s->clr, 0, NULL, "a reader that is only slow: all there");
	ends_with(&s->csw, 0, NULL, "a reader slow on small frames: all sent");
	ends_with(&s->csr, 0, NULL, "a reader slow on small frames: all there");
}

/* Processes that were killed leave sockets and locks. */
static void
clean_up(void)
{
	struct dirent *d;
	DIR *open = opendir(dir);

	while (open && (d = readdir(open)))
		if (*d->d_name != '.')
			unlinkat(dirfd(open), d->d_name, 0);
	if (open)
		closedir(open);
	tap_ok(!rmdir(dir), "nothing else is left behind");
}

int
main(void)
{
	struct slow slow;
	int i;

	sprintf(dir, "/tmp/test_link.XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	begin_slow(&slow);
	for (i = 0; i < 8; i++)
		try_whole(i & 1, i & 2, i & 4);
	try_many();
	try_streams();
	try_losses();
	try_no_peer();
	try_stop();
	try_second(false);
	try_second(true);
	try_queue();
	try_two_alike();
	try_addresses();
	try_spellings();
	try_v6();
	try_in_use(false);
	try_in_use(true);
	try_paths();
	try_directories();
	try_after_kill();
	try_raws();
	end_slow(&slow);
	clean_up();
	return tap_done();
}
