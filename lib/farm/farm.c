#include "farm/farm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "farm/ends.h"
#include "farm/message.h"
#include "stream/wire.h"

#define TURN_MS 100       /* the longest between two looks at the clock */
#define MESSAGES_A_TURN 64
#define QUEUE 64          /* messages for, and from, one peer: more than its credit */
#define SILENCE 10.0
#define NOTICE_SECONDS 5
#define DRAIN_SECONDS 20
#define GOODBYE_SECONDS 1.0
#define LINGER_MS 1000
#define ANSWER_LARGEST 2  /* times --max-frame: what one frame may become */

struct session {
	bool there;
	struct wire_peer peer;
	char name[64];
	uint64_t largest;    /* message it takes */
	uint64_t told, made; /* 1 + number of the course whose head was sent, came back */
	double computing;
};

struct farm {
	struct farm_opts opts;
	struct wire *wire;
	struct deal *deal;
	struct ends ends;
	struct session *sessions; /* by worker number */
	int nsessions;
	struct course *courses;   /* whose jobs have not all left */
	struct item *leaving;     /* that the writer had no room for */
	int wake[2];
	uint64_t run, replayed;
	bool read_done, draining, warned_none, warned_foreign, warned_key;
	double none_since;        /* that there is work and nobody to do it; 0: there is */
	double drain_until;
	struct err err;
};

static void
notice(struct farm *f, const char *fmt, const char *a, const char *b)
{
	char text[600];

	if (!f->opts.transport.notice)
		return;
	snprintf(text, sizeof text, fmt, a, b);
	f->opts.transport.notice(f->opts.transport.notice_arg, text);
}

struct farm *
farm_new(const struct farm_opts *o, struct err *e)
{
	struct farm *f = calloc(1, sizeof *f);
	struct deal_opts d = {.silence = SILENCE, .max_bytes = o->window};
	char at[400];

	if (!f) {
		err_memory(e, "a farm", sizeof *f);
		return NULL;
	}
	f->opts = *o;
	f->wake[0] = f->wake[1] = -1;
	snprintf(at, sizeof at, "%s%s", *o->bind == '@' ? "" : "@", o->bind);
	f->sessions = calloc(DEAL_WORKERS_MAX, sizeof *f->sessions);
	if (!f->sessions)
		err_memory(e, "workers", DEAL_WORKERS_MAX * sizeof *f->sessions);
	else if (pipe(f->wake))
		err_sys(e, CODE_TRYAGAIN, "cannot make a pipe");
	else if ((f->deal = deal_new(&d, e)) &&
	         (!o->journal || (f->ends.journal = journal_open(o->journal, 2 * o->transport.max_frame, e))))
		f->wire = wire_open(at, ANSWER_LARGEST * o->transport.max_frame, QUEUE, &o->transport, e);
	if (!f->wire) {
		farm_free(f);
		return NULL;
	}
	(void)fcntl(f->wake[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(f->wake[1], F_SETFL, O_NONBLOCK);
	(void)fcntl(f->wake[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(f->wake[1], F_SETFD, FD_CLOEXEC);
	return f;
}

void
farm_free(struct farm *f)
{
	struct course *c;
	void *what;

	if (!f)
		return;
	ends_stop(&f->ends);
	item_free(f->leaving);
	while (f->deal && deal_drop(f->deal, &what))
		item_free(what);
	while ((c = f->courses)) {
		f->courses = c->next;
		course_let_go(c);
	}
	journal_close(f->ends.journal);
	wire_close(f->wire, LINGER_MS);
	deal_free(f->deal);
	free(f->sessions);
	if (f->wake[0] >= 0)
		close(f->wake[0]);
	if (f->wake[1] >= 0)
		close(f->wake[1]);
	free(f);
}

/* ---- sessions ---- */

static int
session_of(const struct farm *f, const struct wire_peer *p)
{
	int w;

	for (w = 0; w < f->nsessions; w++)
		if (f->sessions[w].there && f->sessions[w].peer.id_bytes == p->id_bytes && !memcmp(f->sessions[w].peer.id, p->id, p->id_bytes))
			return w;
	return -1;
}

static int
send_message(struct farm *f, const struct wire_peer *to, const struct message *m)
{
	struct message with = *m;
	struct err ignored = {0};
	struct parcel p;
	int r;

	with.run = f->run;
	if (message_pack(&p, &with, &ignored))
		return -1;
	r = wire_send(f->wire, to, &p);
	parcel_free(&p);
	return r;
}

/* Item job as people know it. */
static void
describe(const struct farm *f, uint64_t job, char *out, size_t size)
{
	const struct item *it = deal_what(f->deal, job);

	if (it && it->kind == ITEM_FRAME)
		snprintf(out, size, "frame %llu (rows %llu-%llu)", (unsigned long long)it->seq, (unsigned long long)it->row,
		         (unsigned long long)(it->row + (it->n ? it->n - 1 : 0)));
	else
		snprintf(out, size, "a head");
}

static void
poisoned(struct farm *f, uint64_t job, const char *how, const char *why)
{
	char which[100];

	describe(f, job, which, sizeof which);
	err_set(&f->err, CODE_DATA, "%s: %s%s%s", which, how, *why ? ": " : "", why);
}

static void
part(struct farm *f, int w, bool vanished)
{
	uint64_t poison;

	f->sessions[w].there = false;
	poison = deal_part(f->deal, w, vanished);
	if (poison)
		poisoned(f, poison - 1, "too many workers vanished while they had it", "");
}

static void
lost(struct farm *f, int w, const char *how)
{
	notice(f, "worker %s: %s; what it had is dealt again", f->sessions[w].name, how);
	part(f, w, true);
}

static void
refuse(struct farm *f, int w, int code, const char *why)
{
	struct message m = {.type = MESSAGE_REFUSED, .extra = (uint64_t)code, .body = (const unsigned char *)why, .size = strlen(why)};

	notice(f, "worker %s: refused: %s", f->sessions[w].name, why);
	(void)send_message(f, &f->sessions[w].peer, &m);
	part(f, w, false);
}

static void
on_ready(struct farm *f, int w, const struct wire_peer *from, const struct message *m)
{
	struct message welcome = {.type = MESSAGE_WELCOME, .extra = ANSWER_LARGEST * f->opts.transport.max_frame};
	char name[64];

	if (w >= 0 && !m->number) {
		deal_close(f->deal, w);
		if (f->opts.talk)
			notice(f, "worker %s: finishes what it has, and leaves%s", f->sessions[w].name, "");
		return;
	}
	if (w >= 0)
		part(f, w, false);
	text_printable(name, sizeof name, (const char *)m->body, m->size < 200 ? m->size : 200);
	w = m->number && !f->draining ? deal_join(f->deal, m->number < DEAL_CREDIT_MAX ? (unsigned)m->number : DEAL_CREDIT_MAX) : -1;
	if (w < 0)
		return;
	f->sessions[w] = (struct session){.there = true, .peer = *from, .largest = m->extra};
	memcpy(f->sessions[w].name, name, sizeof name);
	if (w >= f->nsessions)
		f->nsessions = w + 1;
	if (send_message(f, from, &welcome))
		part(f, w, false);
	else if (f->opts.talk)
		notice(f, "worker %s: came%s", name, "");
}

static struct course *
course_at(struct farm *f, uint64_t number)
{
	struct course *c;

	for (c = f->courses; c && c->number != number; c = c->next)
		;
	return c;
}

/* The first head that comes for a stream is the one; the others must agree. */
static void
on_head(struct farm *f, int w, const struct message *m)
{
	struct course *c = course_at(f, m->number);
	struct answer made = {0};
	struct err e = {0};
	uint64_t print = 0;

	if (!c)
		return; /* it has left meanwhile */
	if (answer_add(&made, m->body, m->size, &e) || head_print(made.bytes.data, m->size, &print, &e))
		refuse(f, w, CODE_PROTOCOL, e.text);
	else if (c->known && c->print != print)
		refuse(f, w, CODE_DATA, "the head its COMMAND makes is not the one the first worker's made: another model, other options, "
		       "or a COMMAND that keeps something between frames");
	else
		f->sessions[w].made = c->number + 1;
	if (!e.code && !c->known) {
		c->known = true;
		c->print = print;
		c->made = made;
		return;
	}
	answer_free(&made);
}

static void
failed(struct farm *f, int w, uint64_t job, const char *text, size_t n)
{
	char why[300], which[100];

	text_printable(why, sizeof why, text, n);
	describe(f, job, which, sizeof which);
	if (deal_failed(f->deal, w, job))
		poisoned(f, job, "workers failed on it, again and again", why);
	else if (f->opts.talk)
		notice(f, "%s: a worker failed on it: %s", which, why);
}

static void
take_answer(struct farm *f, struct item *it, struct answer *a)
{
	struct err e = {0};

	answer_free(&it->answer);
	if (it->kind == ITEM_HEAD) { /* what the stream begins with */
		answer_free(a);
		if (answer_add(&it->answer, it->course->made.bytes.data + it->course->made.frames[0].at, it->course->made.frames[0].size, &e))
			f->err = e;
	} else {
		it->answer = *a;
	}
	it->answered = true;
	if (it->packed)
		parcel_free(&it->work);
	it->packed = false;
}

static void
on_done(struct farm *f, int w, const struct message *m)
{
	struct item *it = deal_what(f->deal, m->number);
	struct answer a = {0};
	struct err e = {0};

	if (!it || it->answered) {
		if (deal_done(f->deal, w, m->number, 0) == DEAL_NEVER)
			refuse(f, w, CODE_PROTOCOL, "an answer to what was never asked");
		return;
	}
	if (f->sessions[w].made != it->course->number + 1) {
		refuse(f, w, CODE_PROTOCOL, "an answer without its head");
		return;
	}
	if (answer_read(&a, m->body, m->size, &e)) {
		failed(f, w, m->number, e.text, strlen(e.text));
		answer_free(&a);
		return;
	}
	if (deal_done(f->deal, w, m->number, a.bytes.cap) != DEAL_FIRST) {
		answer_free(&a);
		refuse(f, w, CODE_PROTOCOL, "an answer to what was never asked");
		return;
	}
	f->sessions[w].computing += (double)m->extra * 1e-6;
	take_answer(f, it, &a);
}

static void
on_message(struct farm *f, const struct wire_peer *from, struct parcel *p)
{
	int w = session_of(f, from);
	struct message m;

	if (!message_read(&m, parcel_data(p), parcel_size(p))) {
		if (!f->warned_foreign)
			notice(f, "%s: ignoring what connected: no worker of this version%s", wire_name(f->wire), "");
		f->warned_foreign = true;
		return;
	}
	if (m.type == MESSAGE_READY) {
		on_ready(f, w, from, &m);
		return;
	}
	if (w < 0) {
		if (m.type < MESSAGE_BYE)
			(void)send_message(f, from, &(struct message){.type = MESSAGE_AGAIN});
		return;
	}
	deal_heard(f->deal, w);
	if (m.type == MESSAGE_PING)
		(void)send_message(f, from, &(struct message){.type = MESSAGE_PONG});
	else if (m.type == MESSAGE_BYE)
		part(f, w, false);
	else if (m.run != f->run)
		return;
	else if (m.type == MESSAGE_HEAD_MADE)
		on_head(f, w, &m);
	else if (m.type == MESSAGE_DONE)
		on_done(f, w, &m);
	else if (m.type == MESSAGE_FAIL)
		failed(f, w, m.number, (const char *)m.body, m.size < 250 ? m.size : 250);
	else
		refuse(f, w, CODE_PROTOCOL, "it speaks as if it were the farm");
}

/* What came; first who is gone, so that nothing is dealt to them. */
static int
hear(struct farm *f)
{
	struct wire_peer from;
	enum wire_event what;
	struct parcel p;
	int fd, w, i, r = 1;

	while (wire_event(f->wire, &what, &fd)) {
		if (what == WIRE_REFUSED && !f->warned_key) {
			notice(f, "%s: a worker was refused: its key is not among --peers%s", wire_name(f->wire), "");
			f->warned_key = true;
		}
		for (w = 0; what == WIRE_DOWN && w < f->nsessions; w++)
			if (f->sessions[w].there && f->sessions[w].peer.fd == fd)
				lost(f, w, "its connection broke");
	}
	for (i = 0; i < MESSAGES_A_TURN && (r = wire_recv(f->wire, &from, &p, &f->err)) > 0; i++) {
		on_message(f, &from, &p);
		parcel_free(&p);
	}
	while ((w = deal_silent(f->deal)) >= 0)
		lost(f, w, "silent for too long");
	return f->err.code;
}

/* ---- jobs ---- */

static int
add_course(struct farm *f, struct item *it)
{
	struct course *c = it->course;

	atomic_fetch_add(&c->owners, 1);
	c->next = f->courses;
	f->courses = c;
	if (!it->answered)
		return 0;
	if (it->answer.n != 1 || head_print(it->answer.bytes.data, it->answer.frames[0].size, &c->print, &f->err))
		return err_set(&f->err, CODE_DATA, "--resume %s: is damaged: no head where one should be", f->opts.journal);
	c->known = true;
	return answer_add(&c->made, it->answer.bytes.data, it->answer.frames[0].size, &f->err);
}

static int
take_items(struct farm *f)
{
	struct item *it;
	uint64_t job;

	while (!f->draining && deal_room(f->deal) && (it = lane_try_get(&f->ends.read))) {
		if (deal_add(f->deal, it, it->packed ? parcel_size(&it->work) : it->answer.bytes.cap, &job, &f->err)) {
			item_free(it);
			return f->err.code;
		}
		if (it->kind == ITEM_HEAD && add_course(f, it))
			return f->err.code;
		f->replayed += it->replayed;
		if (it->answered)
			deal_done(f->deal, -1, job, it->answer.bytes.cap);
	}
	f->read_done = atomic_load(&f->ends.read_over) && lane_over(&f->ends.read);
	return 0;
}

static int
send_parcel(struct farm *f, int w, struct parcel *p)
{
	struct parcel copy;
	int r;

	parcel_share(&copy, p);
	r = wire_send(f->wire, &f->sessions[w].peer, &copy);
	parcel_free(&copy);
	return r;
}

static void
deal_out(struct farm *f)
{
	static const char too_large[] = "it is larger than a worker takes; raise --max-frame of work";
	struct item *it;
	uint64_t job;
	int w;

	while (!f->draining && !f->err.code && deal_pick(f->deal, &w, &job)) {
		it = deal_what(f->deal, job);
		if (parcel_size(&it->work) > f->sessions[w].largest || parcel_size(&it->course->head) > f->sessions[w].largest) {
			failed(f, w, job, too_large, sizeof too_large - 1);
			continue;
		}
		if (f->sessions[w].told != it->course->number + 1) {
			if (send_parcel(f, w, &it->course->head)) {
				lost(f, w, "cannot be reached");
				continue;
			}
			f->sessions[w].told = it->course->number + 1;
		}
		if (send_parcel(f, w, &it->work))
			lost(f, w, "cannot be reached");
	}
}

static void
end_course(struct farm *f, const struct course *over)
{
	struct course **at, *c;

	for (at = &f->courses; (c = *at); at = &c->next)
		if (c == over) {
			*at = c->next;
			course_let_go(c);
			return;
		}
}

/* True when something did: then there is room for what was read. */
static bool
let_leave(struct farm *f)
{
	bool any = false;
	void *what;

	for (;;) {
		if (!f->leaving) {
			if (!deal_leave(f->deal, &what))
				return any;
			any = true;
			f->leaving = what;
			if (f->leaving->kind == ITEM_END)
				end_course(f, f->leaving->course);
		}
		if (!lane_try_put(&f->ends.write, f->leaving))
			return any;
		f->leaving = NULL;
	}
}

/* ---- the loop ---- */

/* Work and nobody to do it: says so, and gives up. */
static int
look_for_workers(struct farm *f, double t)
{
	struct deal_counts c = deal_counts(f->deal);
	unsigned limit = f->opts.transport.peer_timeout;

	if (c.credit || !c.waiting) {
		f->none_since = 0;
		return 0;
	}
	if (!f->none_since)
		f->none_since = t;
	if (limit && t - f->none_since >= limit)
		return err_set(&f->err, CODE_UNAVAILABLE, "%s: no worker came within %u s", wire_name(f->wire), limit);
	if (t - f->none_since >= NOTICE_SECONDS && !f->warned_none) {
		notice(f, "waiting for a worker at %s%s", wire_name(f->wire), "");
		f->warned_none = true;
	}
	return 0;
}

/* One turn; 1 when all is over, -1 when something failed. */
static int
turn(struct farm *f)
{
	struct pollfd wake = {.fd = f->wake[0], .events = POLLIN};
	struct deal_counts c;
	double t = clock_now();
	char bytes[256];
	bool left;

	deal_clock(f->deal, t);
	if (hear(f) || take_items(f))
		return -1;
	deal_out(f);
	if (f->err.code)
		return -1;
	left = let_leave(f);
	if (f->opts.tick)
		f->opts.tick(f->opts.arg);
	c = deal_counts(f->deal);
	if (!f->draining && f->opts.transport.stop && *f->opts.transport.stop) {
		f->draining = true;
		f->drain_until = f->ends.journal ? t + DRAIN_SECONDS : t;
	}
	if (f->draining)
		return !c.out || t >= f->drain_until ? 1 : wire_wait(f->wire, &wake, 1, TURN_MS, &f->err) ? -1 : 0;
	if (atomic_load(&f->ends.write_failed)) {
		f->err = f->ends.write_err;
		return -1;
	}
	if (f->read_done && f->ends.read_err.code) {
		f->err = f->ends.read_err;
		return -1;
	}
	if (f->read_done && !c.window && !f->leaving)
		return 1;
	if (look_for_workers(f, t) || wire_wait(f->wire, &wake, 1, left ? 0 : TURN_MS, &f->err))
		return -1;
	while (read(f->wake[0], bytes, sizeof bytes) > 0)
		;
	return 0;
}

/* To everybody, and until all have heard it, or for a second. */
static void
say_end(struct farm *f, int code, const char *why)
{
	struct message m = {.type = MESSAGE_END, .extra = (uint64_t)code, .body = (const unsigned char *)why, .size = strlen(why)};
	struct pollfd none = {.fd = f->wake[0]};
	double until = clock_now() + GOODBYE_SECONDS;
	struct wire_peer from;
	struct message got;
	struct parcel p;
	struct err e = {0};
	int w, left = 1;

	for (w = 0; w < f->nsessions; w++)
		if (f->sessions[w].there)
			(void)send_message(f, &f->sessions[w].peer, &m);
	while (left && clock_now() < until) {
		while (wire_recv(f->wire, &from, &p, &e) > 0) {
			w = session_of(f, &from);
			if (!message_read(&got, parcel_data(&p), parcel_size(&p)))
				got.type = MESSAGE_PING;
			if (got.type == MESSAGE_READY)
				(void)send_message(f, &from, &m);
			else if (w >= 0 && got.type == MESSAGE_BYE)
				f->sessions[w].there = false;
			parcel_free(&p);
		}
		for (w = left = 0; w < f->nsessions; w++)
			left += f->sessions[w].there;
		if (left && wire_wait(f->wire, &none, 0, 20, &e))
			return;
	}
}

static int
wait_for_writer(struct farm *f)
{
	struct pollfd wake = {.fd = f->wake[0], .events = POLLIN};
	char bytes[256];

	lane_shut(&f->ends.write);
	while (!atomic_load(&f->ends.write_over)) {
		if (f->opts.tick)
			f->opts.tick(f->opts.arg);
		if (poll(&wake, 1, TURN_MS) < 0 && errno != EINTR)
			break;
		while (read(f->wake[0], bytes, sizeof bytes) > 0)
			;
	}
	if (atomic_load(&f->ends.write_failed))
		f->err = f->ends.write_err;
	return f->err.code;
}

/* Stopped by a signal. What can be gone on with is told. */
static int
stopped(struct farm *f, bool *resumable)
{
	struct deal_counts c = deal_counts(f->deal);
	bool kept = f->ends.journal != NULL;

	if (kept) {
		for (let_leave(f); f->leaving; let_leave(f))
			ends_nudge(&f->ends);
		lane_shut(&f->ends.write);
		ends_stop(&f->ends);
	} else {
		say_end(f, CODE_TRYAGAIN, "stopped by a signal");
	}
	*resumable = kept;
	if (kept)
		return err_set(&f->err, CODE_TRYAGAIN, "stopped: by a signal; go on with the same input and --resume %s: it has %llu of the %llu items read",
		               f->opts.journal, (unsigned long long)f->ends.journalled, (unsigned long long)c.added);
	return err_set(&f->err, CODE_TRYAGAIN, "stopped: by a signal, with %llu of %llu items done", (unsigned long long)c.left, (unsigned long long)c.added);
}

static uint64_t
draw_run(const struct farm *f)
{
	struct { struct timespec t; pid_t pid; const void *p; } seed;

	memset(&seed, 0, sizeof seed);
	clock_gettime(CLOCK_REALTIME, &seed.t);
	seed.pid = getpid();
	seed.p = f;
	return frame_hash(&seed, sizeof seed) | 1;
}

int
farm_run(struct farm *f, struct stream *in, struct stream *out, bool *resumable, struct err *e)
{
	int r = 0;

	*resumable = false;
	f->run = f->ends.run = draw_run(f);
	if (ends_start(&f->ends, in, out, f->ends.journal, f->wake[1], e)) {
		f->opts.halt();
		return e->code;
	}
	while (!(r = turn(f)))
		;
	if (r > 0 && f->draining)
		stopped(f, resumable);
	else if (r > 0 && !wait_for_writer(f))
		say_end(f, 0, "");
	if (f->err.code && !f->draining)
		say_end(f, CODE_UNAVAILABLE, f->err.text);
	if (f->err.code)
		f->opts.halt();
	ends_stop(&f->ends);
	*e = f->err;
	return e->code;
}

struct deal_counts
farm_counts(const struct farm *f)
{
	return deal_counts(f->deal);
}

bool
farm_worker(const struct farm *f, int i, struct farm_worker *w)
{
	if (!deal_worker(f->deal, i, &w->deal))
		return false;
	w->name = f->sessions[i].name;
	w->computing = f->sessions[i].computing;
	return true;
}

uint64_t
farm_replayed(const struct farm *f)
{
	return f->replayed;
}
