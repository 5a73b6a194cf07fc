#include "farm/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "farm/child.h"
#include "farm/deal.h"
#include "farm/message.h"
#include "stream/frame.h"
#include "stream/wire.h"

#define TURN_MS 100
#define QUEUE 64
#define TASKS 64           /* more than a farm may deal, with those of the connection before */
#define PING_SECONDS 1.0
#define FARM_SILENCE 12.0
#define NOTICE_SECONDS 5
#define STRIKES 3
#define REOPEN_MS 50
#define CHILD_END_MS 5000
#define LINGER_MS 2000
#define MESSAGE_TIMES 2    /* times --max-frame */

/* A stream's head, and what the command makes of it. */
struct course {
	uint64_t run, number;
	unsigned owners;
	struct buf head, made;
};

struct task {
	uint64_t run, number;
	struct course *course;
	struct parcel work;
	size_t size;       /* of the frame in it; 0: only the head is wanted */
	struct message_counts counts; /* of the end behind it */
	bool fed;
};

struct worker {
	struct worker_opts opts;
	struct wire *wire;
	struct child child;
	bool standing, greeted, welcome; /* the connection; READY was said, and answered */
	bool leaving, over;
	uint64_t run, largest;  /* what the farm is, and takes */
	struct course *course;  /* the last the farm told of */
	struct course *said;    /* whose made head was sent on this connection */
	struct task tasks[TASKS]; /* in the order they are answered; the first ntasks */
	size_t ntasks;
	/* what the child is given; it may be answered before it is taken */
	struct { struct course *course; struct parcel work; } feeding;
	struct frame_packed end;
	/* the answer that is coming */
	bool head_came;
	uint64_t frames, rows, sum;
	struct buf answer;      /* MESSAGE_HEADER, then frames */
	char complaint[700];    /* of the command's error frame */
	unsigned strikes;       /* failures since the last answer */
	double begun;           /* the first task */
	double heard, pinged, apart; /* apart: since when there is no farm */
	bool told_waiting;
	struct buf aligned;     /* a frame being looked at */
	struct frame frame;
	struct worker_counts counts;
	double counted;         /* up to when computing and waiting are */
	struct err err;
};

static void
notice(struct worker *w, const char *fmt, const char *a)
{
	char text[900];

	if (!w->opts.transport.notice)
		return;
	snprintf(text, sizeof text, fmt, a);
	w->opts.transport.notice(w->opts.transport.notice_arg, text);
}

struct worker *
worker_new(const struct worker_opts *o, struct err *e)
{
	struct worker *w = calloc(1, sizeof *w);

	if (!w) {
		err_memory(e, "a worker", sizeof *w);
		return NULL;
	}
	w->opts = *o;
	w->apart = w->counted = clock_now();
	w->wire = wire_open(o->endpoint, MESSAGE_TIMES * o->transport.max_frame, QUEUE, &o->transport, e);
	if (!w->wire || child_start(&w->child, o->argv, e)) {
		worker_free(w);
		return NULL;
	}
	return w;
}

static void
let_go(struct course *c)
{
	if (!c || --c->owners)
		return;
	buf_free(&c->head);
	buf_free(&c->made);
	free(c);
}

static void
stop_feeding(struct worker *w)
{
	if (!w->feeding.course)
		return;
	let_go(w->feeding.course);
	parcel_free(&w->feeding.work);
	w->feeding.course = NULL;
}

static void
drop_task(struct worker *w, size_t i)
{
	let_go(w->tasks[i].course);
	parcel_free(&w->tasks[i].work);
	w->ntasks--;
	memmove(w->tasks + i, w->tasks + i + 1, (w->ntasks - i) * sizeof *w->tasks);
}

void
worker_free(struct worker *w)
{
	if (!w)
		return;
	while (w->ntasks)
		drop_task(w, w->ntasks - 1);
	let_go(w->course);
	let_go(w->said);
	stop_feeding(w);
	child_free(&w->child);
	wire_close(w->wire, LINGER_MS);
	buf_free(&w->answer);
	buf_free(&w->aligned);
	frame_free(&w->frame);
	frame_packed_free(&w->end);
	free(w);
}

/* ---- to the farm ---- */

/* A message that cannot be sent is lost with its connection; the farm deals
 * again what it was about. */
static void
say(struct worker *w, const struct message *m)
{
	struct message with = *m;
	struct err ignored = {0};
	struct parcel p;

	if (with.type != MESSAGE_READY)
		with.run = w->run;
	if (!w->standing || message_pack(&p, &with, &ignored))
		return;
	(void)wire_send(w->wire, NULL, &p);
	parcel_free(&p);
}

static void
say_ready(struct worker *w, unsigned credit)
{
	say(w, &(struct message){.type = MESSAGE_READY, .number = credit, .extra = MESSAGE_TIMES * w->opts.transport.max_frame,
	                         .body = (const unsigned char *)w->opts.name, .size = strlen(w->opts.name)});
}

/* What is not begun the farm will deal again; what is, is worth finishing. */
static int
reconnect(struct worker *w)
{
	struct timespec pause = {.tv_nsec = REOPEN_MS * 1000000L};
	size_t i;

	for (i = w->ntasks; i--;)
		if (!w->tasks[i].fed)
			drop_task(w, i);
	if (w->welcome) {
		w->apart = clock_now();
		w->told_waiting = false;
	}
	w->standing = w->greeted = w->welcome = w->counts.connected = false;
	let_go(w->said);
	w->said = NULL;
	nanosleep(&pause, NULL); /* for a server that drops every connection it gets */
	return wire_reopen(w->wire, &w->err);
}

/* ---- from the farm ---- */

static int
on_head(struct worker *w, const struct message *m)
{
	struct course *c = calloc(1, sizeof *c);

	if (!c)
		return err_memory(&w->err, "a head", sizeof *c);
	*c = (struct course){.run = w->run, .number = m->number, .owners = 1};
	if (buf_append(&c->head, m->body, m->size, &w->err)) {
		let_go(c);
		return w->err.code;
	}
	let_go(w->course);
	w->course = c;
	return 0;
}

static int
on_work(struct worker *w, const struct message *m, struct parcel *p)
{
	struct task *t = &w->tasks[w->ntasks];

	if (!w->course || w->course->run != m->run || w->course->number != m->extra || w->ntasks == TASKS)
		return err_set(&w->err, CODE_PROTOCOL, "%s: sends frames without their head, or too many", wire_name(w->wire));
	if (m->size && m->size <= MESSAGE_COUNTS)
		return err_set(&w->err, CODE_PROTOCOL, "%s: sends work that is no frame", wire_name(w->wire));
	*t = (struct task){.run = m->run, .number = m->number, .course = w->course};
	w->course->owners++;
	parcel_share(&t->work, p);
	if (m->size) {
		message_read_counts(&t->counts, m->body);
		t->size = m->size - MESSAGE_COUNTS;
	}
	w->ntasks++;
	return 0;
}

static int
on_end(struct worker *w, const struct message *m)
{
	char why[600];

	say(w, &(struct message){.type = MESSAGE_BYE});
	w->over = true;
	if (!m->extra)
		return 0;
	text_printable(why, sizeof why, (const char *)m->body, m->size);
	return err_set(&w->err, CODE_UNAVAILABLE, "%s: the farm failed: %s", wire_name(w->wire), why);
}

static int
on_message(struct worker *w, struct parcel *p)
{
	struct message m;
	char why[600];

	if (!message_read(&m, parcel_data(p), parcel_size(p)))
		return err_set(&w->err, CODE_PROTOCOL, "%s: what answers there is no farm of this version", wire_name(w->wire));
	w->heard = clock_now();
	switch (m.type) {
	case MESSAGE_WELCOME:
		w->run = m.run;
		w->largest = m.extra;
		w->welcome = w->counts.connected = true;
		w->counts.connections++;
		if (w->opts.talk)
			notice(w, "%s: works for the farm there", wire_name(w->wire));
		return 0;
	case MESSAGE_HEAD:
		return on_head(w, &m);
	case MESSAGE_WORK:
		return on_work(w, &m, p);
	case MESSAGE_AGAIN:
		return reconnect(w);
	case MESSAGE_REFUSED:
		text_printable(why, sizeof why, (const char *)m.body, m.size);
		return err_set(&w->err, m.extra >= 64 && m.extra <= 78 ? (int)m.extra : CODE_PROTOCOL, "%s: refused by the farm: %s", wire_name(w->wire), why);
	case MESSAGE_END:
		return on_end(w, &m);
	default: /* PONG, and what does not concern a worker */
		return 0;
	}
}

static int
hear(struct worker *w)
{
	enum wire_event what;
	struct wire_peer from;
	struct parcel p;
	int fd, r;

	while (wire_event(w->wire, &what, &fd)) {
		if (what == WIRE_REFUSED)
			return err_set(&w->err, CODE_REFUSED, "%s: our key is refused there", wire_name(w->wire));
		if (what == WIRE_DOWN && w->greeted) {
			/* what came before it broke may say why */
			while (!w->err.code && !w->over && (r = wire_recv(w->wire, &from, &p, &w->err)) > 0) {
				on_message(w, &p);
				parcel_free(&p);
			}
			return w->err.code || w->over ? w->err.code : reconnect(w);
		}
		w->standing = what == WIRE_UP;
	}
	if (w->standing && !w->greeted) {
		w->greeted = true;
		w->heard = clock_now();
		say_ready(w, w->opts.credit);
	}
	while (!w->err.code && !w->over && wire_recv(w->wire, &from, &p, &w->err) > 0) {
		on_message(w, &p);
		parcel_free(&p);
	}
	return w->err.code;
}

/* ---- the child ---- */

/* The code says that the command cannot work here, whatever the frame. */
static bool
is_setup_failure(int code)
{
	return code == CODE_USAGE || code == CODE_NOINPUT || code == CODE_CANTCREATE || code == CODE_REFUSED || code == 126 || code == 127;
}

static void
reset_answer(struct worker *w)
{
	w->head_came = false;
	w->frames = w->rows = w->sum = 0;
	w->answer.len = 0;
	w->complaint[0] = 0;
}

/* The child is gone, or of no use. The frame it was at has failed; those behind
 * it are given to the next. */
static int
child_failed(struct worker *w, int end_ms, const char *why)
{
	int code = child_end(&w->child, end_ms);
	bool at_work = w->ntasks && w->tasks[0].fed;
	char text[800];
	size_t i;

	if (*w->complaint)
		snprintf(text, sizeof text, "%s", w->complaint);
	else if (why)
		snprintf(text, sizeof text, "%s: %s", w->opts.argv[0], why);
	else
		snprintf(text, sizeof text, "%s: ended with %s%d", w->opts.argv[0], code > 128 ? "signal " : "", code > 128 ? code - 128 : code);
	w->counts.failures++;
	if (!w->child.answers && is_setup_failure(code))
		return err_set(&w->err, code < 126 ? code : CODE_NOINPUT, "%s: cannot work here", text);
	if (at_work) {
		say(w, &(struct message){.type = MESSAGE_FAIL, .run = w->tasks[0].run, .number = w->tasks[0].number, .extra = (uint64_t)code,
		                         .body = (const unsigned char *)text, .size = strlen(text)});
		drop_task(w, 0);
	}
	if (++w->strikes >= STRIKES)
		return err_set(&w->err, code > 0 && code < 128 ? code : CODE_BUG, "%s: failed %u times running", text, w->strikes);
	for (i = 0; i < w->ntasks; i++)
		w->tasks[i].fed = false;
	reset_answer(w);
	w->begun = clock_now();
	w->counts.restarts++;
	notice(w, "%s; starting it again", text);
	return child_start(&w->child, w->opts.argv, &w->err);
}

static int
align(struct worker *w, const unsigned char *p, size_t n)
{
	if (buf_resize(&w->aligned, n, &w->err))
		return w->err.code;
	memcpy(w->aligned.data, p, n);
	return frame_parse(&w->frame, w->aligned.data, n, &w->err);
}

/* A task as a stream of its own: head, the frame as its first, end. The frame
 * goes on as it came; the child checks it. */
static int
feed(struct worker *w, struct task *t)
{
	struct child *c = &w->child;
	struct iovec *end;
	size_t n;

	if (frame_pack_end(&w->end, t->counts.frames, t->counts.rows, t->counts.sum, &w->err))
		return w->err.code;
	stop_feeding(w);
	parcel_share(&w->feeding.work, &t->work);
	w->feeding.course = t->course;
	t->course->owners++;
	end = frame_packed_iov(&w->end, &n);
	c->feed[0] = (struct iovec){t->course->head.data, t->course->head.len};
	/* of the share, since short bytes are within the parcel itself */
	c->feed[1] = (struct iovec){.iov_len = t->size};
	if (t->size)
		c->feed[1].iov_base = parcel_data(&w->feeding.work) + MESSAGE_HEADER + MESSAGE_COUNTS;
	c->feed[2] = *end;
	c->nfeed = CHILD_PIECES;
	if (t == w->tasks)
		w->begun = clock_now();
	return 0;
}

static int
send_answer(struct worker *w, const struct task *t)
{
	struct message m = {.type = MESSAGE_DONE, .run = t->run, .number = t->number, .extra = (uint64_t)((clock_now() - w->begun) * 1e6)};
	struct parcel p;

	if (!w->welcome || t->run != w->run)
		return 0; /* of a connection, or a farm, that is gone */
	if (w->answer.len > w->largest) {
		static const char why[] = "its answer is too large; raise --max-frame, or use smaller batches";

		say(w, &(struct message){.type = MESSAGE_FAIL, .run = t->run, .number = t->number, .extra = CODE_DATA, .body = (const unsigned char *)why, .size = sizeof why - 1});
		return 0;
	}
	if (w->said != t->course) {
		let_go(w->said);
		w->said = t->course;
		w->said->owners++;
		say(w, &(struct message){.type = MESSAGE_HEAD_MADE, .number = t->course->number, .body = t->course->made.data, .size = t->course->made.len});
	}
	if (parcel_new(&p, w->answer.len, &w->err))
		return w->err.code;
	memcpy(parcel_data(&p), w->answer.data, w->answer.len);
	message_header(parcel_data(&p), &m);
	(void)wire_send(w->wire, NULL, &p);
	parcel_free(&p);
	return 0;
}

static int
answered(struct worker *w)
{
	struct task *t = &w->tasks[0];

	if (send_answer(w, t))
		return w->err.code;
	w->counts.frames += t->size != 0;
	w->counts.rows += w->rows;
	w->counts.in += t->size;
	w->counts.out += w->answer.len - MESSAGE_HEADER;
	drop_task(w, 0);
	reset_answer(w);
	w->child.answers++;
	w->strikes = 0;
	w->begun = clock_now();
	if (w->opts.tick)
		w->opts.tick(w->opts.arg, false);
	return 0;
}

/* One frame of the child's, in w->frame. 0, or -1 with a complaint. */
static int
take_frame(struct worker *w, const unsigned char *p, size_t n)
{
	static const unsigned char blank[MESSAGE_HEADER];
	struct course *c = w->tasks[0].course;
	const struct frame *f = &w->frame;

	if (f->kind == FRAME_ERROR) {
		snprintf(w->complaint, sizeof w->complaint, "%s: %s", f->who[0] ? f->who : w->opts.argv[0], f->text);
		return 0;
	}
	if ((f->kind == FRAME_HEAD) == w->head_came)
		return -1;
	switch (f->kind) {
	case FRAME_HEAD:
		w->head_came = true;
		if (buf_append(&w->answer, blank, sizeof blank, &w->err))
			return w->err.code;
		if (!c->made.len)
			return buf_append(&c->made, p, n, &w->err);
		if (c->made.len == n && !memcmp(c->made.data, p, n))
			return 0;
		return err_set(&w->err, CODE_DATA, "%s: makes another head for every frame: it keeps something between frames, and cannot work on a farm", w->opts.argv[0]);
	case FRAME_END:
		if (f->frames != w->frames || f->rows != w->rows || (f->has_sum && f->sum != w->sum))
			return -1;
		return answered(w);
	case FRAME_ROWS:
		w->frames++;
		w->rows += f->n;
		w->sum += frame_hash(p, n);
		break;
	default:
		break;
	}
	return buf_append(&w->answer, p, n, &w->err);
}

static int
take_frames(struct worker *w)
{
	const unsigned char *p;
	struct err e = {0};
	size_t n;
	int r, code;

	while ((r = child_frame(&w->child, &p, &n, w->opts.transport.max_frame, &e)) > 0) {
		if (!w->ntasks || !w->tasks[0].fed)
			return child_failed(w, 0, "writes what nobody asked for");
		if (align(w, p, n)) {
			e = w->err;
			w->err.code = 0;
			return child_failed(w, 0, e.text);
		}
		code = take_frame(w, p, n);
		if (w->err.code)
			return w->err.code;
		if (code)
			return child_failed(w, 0, "its frames are out of order, or do not add up");
	}
	return r < 0 ? child_failed(w, 0, e.text) : 0;
}

/* Gives the child what it takes, reads what it has. */
static int
serve_child(struct worker *w)
{
	struct err e = {0};
	bool open, takes = true;
	size_t i;

	while (takes) {
		if (!w->child.nfeed) {
			stop_feeding(w);
			for (i = 0; i < w->ntasks && w->tasks[i].fed; i++)
				;
			if (i == w->ntasks)
				break;
			if (feed(w, &w->tasks[i]))
				return w->err.code;
			w->tasks[i].fed = true;
		}
		takes = child_write(&w->child); /* when it does not, what it says tells why */
		if (w->child.nfeed)
			break;
	}
	open = child_read(&w->child, &e);
	if (e.code)
		return err_set(&w->err, e.code, "%s", e.text);
	if (take_frames(w))
		return w->err.code;
	if (!open)
		return child_failed(w, CHILD_END_MS, NULL);
	if (w->opts.child_timeout && w->ntasks && w->tasks[0].fed && clock_now() - w->begun > w->opts.child_timeout)
		return child_failed(w, 0, "took longer than --child-timeout");
	return 0;
}

/* ---- the loop ---- */

static void
count_time(struct worker *w, double t, bool busy)
{
	*(busy ? &w->counts.computing : &w->counts.waiting) += t - w->counted;
	w->counted = t;
}

static int
keep_in_touch(struct worker *w, double t)
{
	unsigned limit = w->opts.transport.peer_timeout;

	if (w->standing && t - w->pinged >= PING_SECONDS) {
		w->pinged = t;
		say(w, &(struct message){.type = MESSAGE_PING});
	}
	if (w->greeted && t - w->heard > FARM_SILENCE)
		return reconnect(w);
	if (w->welcome)
		return 0;
	if (limit && t - w->apart >= limit)
		return err_set(&w->err, CODE_UNAVAILABLE, "%s: no farm came within %u s", wire_name(w->wire), limit);
	if (t - w->apart >= NOTICE_SECONDS && !w->told_waiting) {
		notice(w, "waiting for a farm at %s", wire_name(w->wire));
		w->told_waiting = true;
	}
	return 0;
}

/* After SIGTERM: no more frames, those in hand are finished. */
static void
leave(struct worker *w)
{
	if (!w->leaving) {
		w->leaving = true;
		if (w->welcome)
			say_ready(w, 0);
	}
	if (w->ntasks && w->welcome)
		return;
	say(w, &(struct message){.type = MESSAGE_BYE});
	w->over = true;
}

static int
turn(struct worker *w)
{
	struct pollfd fds[2] = {{.fd = w->child.out, .events = POLLIN}, {.fd = w->child.in, .events = POLLOUT}};
	bool more = w->child.nfeed > 0, busy = w->ntasks > 0;
	double t;

	if (wire_wait(w->wire, fds, more ? 2 : 1, TURN_MS, &w->err))
		return w->err.code;
	t = clock_now();
	count_time(w, t, busy);
	if (hear(w) || w->over || serve_child(w) || keep_in_touch(w, t))
		return w->err.code;
	if (w->opts.transport.stop && *w->opts.transport.stop)
		leave(w);
	if (w->opts.tick)
		w->opts.tick(w->opts.arg, w->ntasks > 0);
	return 0;
}

int
worker_run(struct worker *w, struct err *e)
{
	while (!w->over && !turn(w))
		;
	if (w->err.code && w->standing)
		say(w, &(struct message){.type = MESSAGE_BYE});
	/* one that was never asked would complain of that */
	child_end(&w->child, w->err.code || !w->child.answers ? 0 : CHILD_END_MS);
	*e = w->err;
	return e->code;
}

struct worker_counts
worker_counts(const struct worker *w)
{
	return w->counts;
}
