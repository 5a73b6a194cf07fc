/* Streams between processes and machines: links of one writer and one reader
 * over ZeroMQ. The bound side is a ROUTER, the connecting side a DEALER; which
 * of them writes is free. Every message has one part:
 *
 *   connecting -> bound  "msae/1 writer", or "msae/1 reader CREDIT MAX"
 *   bound -> connecting  the same for its own side; "msae/1 busy" to a peer
 *                        that comes second, which may wait for its turn
 *   writer -> reader     a frame, as its bytes are; empty: the end of input
 *   reader -> writer     "more": a frame is taken, one more may come;
 *                        "done": the end of input is taken, all is here
 *
 * transport_open_zmq returns when both hellos are through. The writer sends
 * CREDIT messages ahead (the empty one counts) and no frame of more than MAX
 * bytes; it believes nothing has arrived before "done".
 *
 * Credit, and not the high-water marks, slows a writer down: libzmq stops
 * reading from a connection whose queue is full, then misses the heartbeats
 * that wait behind the data and drops the connection of a reader that is only
 * slow. CREDIT is the most that never fills a queue of HIGH_WATER. Of it a
 * writer spends all on small frames only, whose waking of threads is what
 * costs: beyond FRAMES_AHEAD frames, BYTES_AHEAD bytes.
 *
 * A connection that breaks after the hellos is never mended: frames under way
 * are lost with it, so both sides fail. Heartbeats find a frozen or vanished
 * peer after 6 to 8 s; they also mean that one frame must pass in that time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "stream/first.h"
#include "stream/transport.h"
#include "stream/zsock.h"

#define HIGH_WATER 16
#define CREDIT 9        /* libzmq counts what was read in steps of HIGH_WATER / 2 */
#define FRAMES_AHEAD 3
#define BYTES_AHEAD (4 << 20)
#define SLICE_MS 250    /* the longest wait that does not look at opts.stop */
#define RETRY_MS 10
#define REOPEN_MS 100
#define LINGER_MS 10000 /* for the last words: "done", an error frame */
#define NOTICE_SECONDS 5

struct link {
	struct transport base;
	struct zsock z;
	bool writer;

	/* connecting, before the hellos are through */
	bool shaken;       /* a connection stands */
	bool greeted;      /* our hello is on it */
	bool broken;       /* it broke again: a fresh socket is needed */
	bool refused;      /* the other side does not know our key */
	/* bound */
	int *live;         /* file descriptors of the connections that stand */
	size_t nlive, live_cap;
	unsigned char id[ZSOCK_ID]; /* the peer's */
	size_t id_bytes;
	int fd;

	bool linked;       /* the hellos are through */
	bool lost;         /* and the peer has gone since */
	bool over;         /* the end of input was sent, or received */
	bool done;         /* writer: and acknowledged */
	uint64_t credit;   /* writer: messages that may be under way */
	size_t sizes[CREDIT]; /* of those that are: number n at n % CREDIT */
	uint64_t sent, taken; /* their numbers: taken <= n < sent */
	size_t bytes;      /* and the sum */
	bool told_wait, told_busy, told_stranger, told_key;
};

static const char *
role(bool writer)
{
	return writer ? "writer" : "reader";
}

static const char *
peer_role(const struct link *l)
{
	return role(!l->writer);
}

/* A line for a person, each kind only once: *told remembers. */
static void
tell(struct link *l, bool *told, const char *text)
{
	if (!*told && l->base.opts.notice)
		l->base.opts.notice(l->base.opts.notice_arg, text);
	*told = true;
}

/* A connection that broke before its hello was answered may have left messages
 * behind: a fresh socket has none. The pause is for a server that drops every
 * connection it gets. */
static int
reopen(struct link *l, struct err *e)
{
	struct timespec pause = {.tv_nsec = REOPEN_MS * 1000000L};

	zsock_close(&l->z);
	l->shaken = l->greeted = l->broken = false;
	nanosleep(&pause, NULL);
	return zsock_open(&l->z, e);
}

/* ---- who is there ---- */

static bool
is_live(const struct link *l, int fd)
{
	size_t i;

	for (i = 0; i < l->nlive; i++)
		if (l->live[i] == fd)
			return true;
	return false;
}

static void
forget_live(struct link *l, int fd)
{
	size_t i;

	for (i = 0; i < l->nlive; i++)
		if (l->live[i] == fd)
			l->live[i] = l->live[--l->nlive];
}

/* A connection there is no memory for stays unknown, and its hello unheard. */
static void
add_live(struct link *l, int fd)
{
	size_t cap = l->live_cap ? 2 * l->live_cap : 8;
	int *grown;

	if (l->nlive == l->live_cap) {
		grown = realloc(l->live, cap * sizeof *grown);
		if (!grown)
			return;
		l->live = grown;
		l->live_cap = cap;
	}
	l->live[l->nlive++] = fd;
}

static void
on_event(struct link *l, unsigned event, int fd)
{
	if (event == ZMQ_EVENT_ACCEPTED) {
		add_live(l, fd);
	} else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
		l->shaken = true;
	} else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
		l->refused = true;
	} else if (event == ZMQ_EVENT_DISCONNECTED) {
		forget_live(l, fd);
		if (!l->linked)
			l->broken |= l->greeted;
		else if (!l->z.address.bound || fd == l->fd)
			l->lost = true;
		l->shaken = false;
	}
}

/* Takes in all that the monitor knows. What broke is told of after the messages
 * that came: so first this, then receive until nothing is left, then believe
 * in `lost`. */
static void
watch(struct link *l)
{
	unsigned event;
	int fd;

	while (zsock_event(&l->z, &event, &fd))
		on_event(l, event, fd);
}

static int
gone(const struct link *l, struct err *e)
{
	return err_set(e, CODE_UNAVAILABLE, "%s: the %s went away %s", l->base.name, peer_role(l),
	               !l->writer ? "before the end of its stream" :
	               l->over ? "before it acknowledged the end" : "in mid-stream");
}

/* ---- messages ---- */

static bool
message_is(zmq_msg_t *m, const char *word)
{
	return mp_is(zmq_msg_data(m), zmq_msg_size(m), word);
}

/* Sends m, which is then spent, if that can be done at once; else -1. */
static int
put_text_now(struct link *l, const unsigned char *id, size_t id_bytes, const char *text)
{
	zmq_msg_t m;
	int r;

	if (zmq_msg_init_size(&m, strlen(text)))
		return -1;
	memcpy(zmq_msg_data(&m), text, strlen(text));
	r = zsock_put_now(&l->z, id, id_bytes, &m);
	zmq_msg_close(&m);
	return r;
}

/* Sends m to the peer. Thanks to credit there is room, unless the network
 * has stopped. */
static int
put(struct link *l, zmq_msg_t *m, struct err *e)
{
	while (zsock_put_now(&l->z, l->id, l->id_bytes, m)) {
		if (zmq_errno() == EHOSTUNREACH)
			l->lost = true;
		else if (zmq_errno() != EAGAIN && zmq_errno() != EINTR)
			return zsock_fail(&l->z, CODE_IO, "cannot send", e);
		watch(l);
		if (l->lost)
			return gone(l, e);
		if (zsock_nap(&l->z, RETRY_MS, false, e))
			return e->code;
	}
	return 0;
}

static int
put_text(struct link *l, const char *text, struct err *e)
{
	zmq_msg_t m;
	int code;

	if (zmq_msg_init_size(&m, strlen(text)))
		return err_memory(e, l->base.name, strlen(text));
	memcpy(zmq_msg_data(&m), text, strlen(text));
	code = put(l, &m, e);
	zmq_msg_close(&m);
	return code;
}

/* ---- hello ---- */

struct hello {
	enum { HELLO_NONE, HELLO_FOREIGN, HELLO_WRITER, HELLO_READER, HELLO_BUSY } kind;
	uint64_t credit, max;
};

static struct hello
read_hello(zmq_msg_t *m)
{
	struct hello h = {HELLO_NONE, 0, 0};
	char text[64];
	size_t n = zmq_msg_size(m);
	int end = 0;

	if (n >= sizeof text)
		return h;
	memcpy(text, zmq_msg_data(m), n);
	text[n] = 0;
	if (!strncmp(text, "msae/", 5))
		h.kind = HELLO_FOREIGN;
	if (message_is(m, "msae/1 writer"))
		h.kind = HELLO_WRITER;
	else if (message_is(m, "msae/1 busy"))
		h.kind = HELLO_BUSY;
	else if (sscanf(text, "msae/1 reader %9" SCNu64 " %19" SCNu64 "%n", &h.credit, &h.max, &end) == 2 && end && (size_t)end == n)
		h.kind = HELLO_READER;
	return h;
}

static int
say_hello(struct link *l, const unsigned char *id, size_t id_bytes)
{
	char text[64];

	snprintf(text, sizeof text, "msae/1 reader %d %" PRIu64, CREDIT, l->base.opts.max_frame);
	return put_text_now(l, id, id_bytes, l->writer ? "msae/1 writer" : text);
}

static bool
fits(const struct link *l, const struct hello *h)
{
	return h->kind == (l->writer ? HELLO_READER : HELLO_WRITER);
}

static void
link_up(struct link *l, const struct hello *h)
{
	l->linked = true;
	l->credit = h->credit < CREDIT ? h->credit : CREDIT;
	zsock_linger(&l->z, LINGER_MS);
	/* what lays frames out looks here: rows are split to suit the reader */
	if (l->writer && h->max < l->base.opts.max_frame)
		l->base.opts.max_frame = h->max;
}

static void
notice_stranger(struct link *l, const struct hello *h)
{
	char text[400];

	if (h->kind == HELLO_NONE || h->kind == HELLO_FOREIGN)
		snprintf(text, sizeof text, "%s: ignoring what connected: not a msae of this version", l->base.name);
	else if (l->linked)
		snprintf(text, sizeof text, "%s: ignoring another %s: a link has one writer and one reader", l->base.name,
		         role(h->kind == HELLO_WRITER));
	else
		snprintf(text, sizeof text, "%s: ignoring a %s: a %s is waited for", l->base.name, role(l->writer), peer_role(l));
	tell(l, &l->told_stranger, text);
}

/* Someone who is not the peer: gets an answer to see why, nothing else. */
static void
turn_away(struct link *l, const struct zsource *from, zmq_msg_t *m)
{
	struct hello h = read_hello(m);

	if (l->linked && from->fd == l->fd)
		l->lost = true; /* the peer's descriptor is used again, so it was closed */
	if (fits(l, &h))
		(void)put_text_now(l, from->id, from->id_bytes, "msae/1 busy");
	else if (h.kind != HELLO_NONE)
		(void)say_hello(l, from->id, from->id_bytes);
	notice_stranger(l, &h);
}

/* Bound: looks for the first fitting hello. 1: linked, 0: not yet, -1. */
static int
greet(struct link *l, struct err *e)
{
	struct zsource from;
	struct hello h;
	zmq_msg_t m;
	int r = 0;

	zmq_msg_init(&m);
	while (!l->linked && (r = zsock_recv(&l->z, &from, &m, e)) > 0) {
		h = read_hello(&m);
		if (!fits(l, &h) || from.parts) {
			turn_away(l, &from, &m);
			continue;
		}
		watch(l); /* it may be dead by now */
		if (!is_live(l, from.fd) || say_hello(l, from.id, from.id_bytes))
			continue;
		memcpy(l->id, from.id, from.id_bytes);
		l->id_bytes = from.id_bytes;
		l->fd = from.fd;
		link_up(l, &h);
	}
	zmq_msg_close(&m);
	watch(l);
	return l->linked ? 1 : r;
}

static int
read_answer(struct link *l, zmq_msg_t *m, struct err *e)
{
	struct hello h = read_hello(m);
	char text[400];

	if (fits(l, &h)) {
		link_up(l, &h);
		return 1;
	}
	if (h.kind == HELLO_BUSY) {
		snprintf(text, sizeof text, "%s: serves another %s; waiting", l->base.name, role(l->writer));
		tell(l, &l->told_busy, text);
		return 0;
	}
	if (h.kind == HELLO_NONE)
		err_set(e, CODE_PROTOCOL, "%s: what answers there is not a msae %s", l->base.name, peer_role(l));
	else if (h.kind == HELLO_FOREIGN)
		err_set(e, CODE_PROTOCOL, "%s: what answers there is a msae of another version", l->base.name);
	else
		err_set(e, CODE_PROTOCOL, "%s: what answers there is a %s too; a %s was expected", l->base.name, role(l->writer), peer_role(l));
	return -1;
}

/* Connecting: says hello on a connection that stands, reads the answer. */
static int
approach(struct link *l, struct err *e)
{
	struct zsource from;
	zmq_msg_t m;
	int r = 0;

	watch(l);
	if (l->shaken && !l->greeted && !l->broken)
		l->greeted = !say_hello(l, NULL, 0);
	/* A peer may have answered, sent what it had and gone: that is read
	 * before the connection is given up. */
	zmq_msg_init(&m);
	while (!r && (r = zsock_recv(&l->z, &from, &m, e)) > 0)
		r = read_answer(l, &m, e);
	zmq_msg_close(&m);
	if (r > 0 && l->broken)
		l->lost = true;
	return r || !l->broken ? r : reopen(l, e) ? -1 : 0;
}

/* Waits until a peer is there. */
static int
meet(struct link *l, struct err *e)
{
	double start = clock_now();
	unsigned limit = l->base.opts.peer_timeout;
	char text[400];
	int r;

	while (!(r = l->z.address.bound ? greet(l, e) : approach(l, e))) {
		if (l->refused && !l->z.address.bound)
			return err_set(e, CODE_REFUSED, "%s: our key is refused there", l->base.name);
		if (l->refused)
			tell(l, &l->told_key, "a peer was refused: its key is not among --peers");
		if (limit && clock_now() - start >= limit)
			return err_set(e, CODE_UNAVAILABLE, "%s: no %s came within %u s", l->base.name, peer_role(l), limit);
		if (clock_now() - start >= NOTICE_SECONDS) {
			snprintf(text, sizeof text, "waiting for a %s at %s", peer_role(l), l->base.name);
			tell(l, &l->told_wait, text);
		}
		if (zsock_nap(&l->z, !l->z.address.bound && l->shaken && !l->greeted ? RETRY_MS : SLICE_MS, true, e))
			return e->code;
	}
	return r < 0 ? e->code : 0;
}

/* ---- the stream ---- */

static bool
is_peer(const struct link *l, const struct zsource *from)
{
	return !l->z.address.bound || (from->id_bytes == l->id_bytes && !memcmp(from->id, l->id, l->id_bytes));
}

/* What has come from the peer: 1, 0 when nothing has, -1. */
static int
take_message(struct link *l, zmq_msg_t *m, struct err *e)
{
	struct zsource from;
	int r;

	while ((r = zsock_recv(&l->z, &from, m, e)) > 0 && !is_peer(l, &from))
		turn_away(l, &from, m);
	if (r <= 0 || !from.parts)
		return r;
	err_set(e, CODE_PROTOCOL, "%s: a message of several parts; one frame is one part", l->base.name);
	return -1;
}

/* The peer's next message: 1, 0 when there is none now, -1. Only when nothing
 * came is it worth the system calls to ask whether the peer is still there. */
static int
peer_message(struct link *l, zmq_msg_t *m, struct err *e)
{
	int r = take_message(l, m, e);

	if (r)
		return r;
	watch(l);
	if (!l->lost || (r = take_message(l, m, e)))
		return r;
	gone(l, e);
	return -1;
}

/* Writer: reads one word of the reader. 1, 0 when there is none now, -1. */
static int
read_word(struct link *l, struct err *e)
{
	zmq_msg_t m;
	int r;

	zmq_msg_init(&m);
	r = peer_message(l, &m, e);
	if (r > 0 && message_is(&m, "more") && l->taken < l->sent) {
		l->bytes -= l->sizes[l->taken++ % CREDIT];
	} else if (r > 0 && l->over && message_is(&m, "done")) {
		l->done = true;
	} else if (r > 0) {
		err_set(e, CODE_PROTOCOL, "%s: the reader said neither more nor done, or more of what it did not get", l->base.name);
		r = -1;
	}
	zmq_msg_close(&m);
	return r;
}

static bool
may_send(const struct link *l, size_t size)
{
	uint64_t ahead = l->sent - l->taken;

	return ahead < l->credit && (ahead < FRAMES_AHEAD || l->bytes + size <= BYTES_AHEAD);
}

/* Even with credit at hand what came is read first: that is how a reader that
 * went away is noticed. */
static int
take_credit(struct link *l, size_t size, struct err *e)
{
	int r;

	while ((r = read_word(l, e)) > 0 || (!r && !may_send(l, size)))
		if (!r && zsock_nap(&l->z, SLICE_MS, true, e))
			return e->code;
	if (r < 0)
		return e->code;
	l->sizes[l->sent++ % CREDIT] = size;
	l->bytes += size;
	return 0;
}

static int
frame_out(struct link *l, const struct iovec *iov, size_t n, size_t size, struct err *e)
{
	unsigned char *p;
	zmq_msg_t m;
	size_t i;
	int code;

	if (zmq_msg_init_size(&m, size))
		return err_memory(e, l->base.name, size);
	p = zmq_msg_data(&m);
	for (i = 0; i < n; i++) {
		if (iov[i].iov_len)
			memcpy(p, iov[i].iov_base, iov[i].iov_len);
		p += iov[i].iov_len;
	}
	code = put(l, &m, e);
	zmq_msg_close(&m);
	return code;
}

static int
link_send(struct transport *base, struct iovec *iov, size_t n, struct err *e)
{
	struct link *l = (struct link *)base;
	size_t size = 0, i;

	for (i = 0; i < n; i++)
		if (!size_add(size, iov[i].iov_len, &size))
			size = SIZE_MAX;
	if (!l->writer || l->over || !size)
		return err_set(e, CODE_BUG, "%s: nothing can be sent here", base->name);
	if (size > base->opts.max_frame)
		return err_set(e, CODE_DATA, "%s: a frame of %zu bytes; the link's limit is %" PRIu64 ", raise --max-frame on both sides or use smaller batches",
		               base->name, size, base->opts.max_frame);
	if (take_credit(l, size, e))
		return e->code;
	return frame_out(l, iov, n, size, e);
}

static int
link_finish(struct transport *base, struct err *e)
{
	struct link *l = (struct link *)base;
	int r;

	if (!l->writer || l->done)
		return 0;
	if (!l->over && (take_credit(l, 0, e) || frame_out(l, NULL, 0, 0, e)))
		return e->code;
	l->over = true;
	while (!l->done) {
		r = read_word(l, e);
		if (r < 0 || (!r && zsock_nap(&l->z, SLICE_MS, true, e)))
			return e->code;
	}
	return 0;
}

/* A reader's word that cannot be said because the writer is gone does no harm
 * here: what came is whole, and the next receive tells. */
static int
answer(struct link *l, const char *word, struct err *e)
{
	struct err ignored = {0};
	int code = put_text(l, word, &ignored);

	if (!code || l->lost)
		return 0;
	*e = ignored;
	return code;
}

static int
frame_in(struct link *l, zmq_msg_t *m, struct buf *b, struct err *e)
{
	size_t n = zmq_msg_size(m);
	const unsigned char *p = zmq_msg_data(m);

	if (!looks_like_frame(p, n))
		return not_a_frame(l->base.name, p, n, e);
	if (n > l->base.opts.max_frame)
		return err_set(e, CODE_DATA, "%s: a frame of %zu bytes; raise --max-frame if that is meant", l->base.name, n);
	if (buf_resize(b, n, e))
		return err_add(e, "%s", l->base.name);
	memcpy(b->data, p, n);
	return answer(l, "more", e);
}

static int
link_recv(struct transport *base, struct buf *b, struct err *e)
{
	struct link *l = (struct link *)base;
	zmq_msg_t m;
	int r;

	if (l->writer) {
		err_set(e, CODE_BUG, "%s: nothing can be received here", base->name);
		return -1;
	}
	if (l->over)
		return 0;
	zmq_msg_init(&m);
	while (!(r = peer_message(l, &m, e)))
		if (zsock_nap(&l->z, SLICE_MS, true, e)) {
			r = -1;
			break;
		}
	if (r > 0 && !zmq_msg_size(&m)) {
		l->over = true;
		r = answer(l, "done", e) ? -1 : 0;
	} else if (r > 0) {
		r = frame_in(l, &m, b, e) ? -1 : 1;
	}
	zmq_msg_close(&m);
	return r;
}

/* Ends the connection; what was sent before, an error frame say, still goes
 * out first (LINGER). Without an end of input before it the peer fails. */
static void
link_abort(struct transport *base)
{
	struct link *l = (struct link *)base;

	if (l->z.monitor)
		watch(l);
	if (l->lost)
		zsock_linger(&l->z, 0);
	zsock_end(&l->z);
}

static void
link_free(struct transport *base)
{
	struct link *l = (struct link *)base;

	link_abort(base);
	free(l->live);
	free(l);
}

static const struct transport_ops link_ops = {link_recv, NULL, link_send, link_finish, link_abort, link_free};

static int
start(struct link *l, const char *endpoint, struct err *e)
{
	struct zsock *z = &l->z;

	if (zaddress_parse(&z->address, endpoint, e))
		return e->code;
	text_printable(l->base.name, sizeof l->base.name, z->address.text, strlen(z->address.text));
	if (zaddress_check(&z->address, endpoint, l->base.opts.insecure || l->base.opts.keys, e))
		return e->code;
	z->name = l->base.name;
	z->high_water = HIGH_WATER;
	z->max_message = l->base.opts.max_frame;
	z->keys = l->base.opts.keys;
	z->stop = l->base.opts.stop;
	return zsock_start(z, e) ? e->code : meet(l, e);
}

struct transport *
transport_open_zmq(const char *endpoint, enum transport_side side, const struct transport_opts *o, struct err *e)
{
	struct link *l = calloc(1, sizeof *l);

	if (!l) {
		err_memory(e, endpoint, sizeof *l);
		return NULL;
	}
	l->base.ops = &link_ops;
	l->base.opts = *o;
	l->writer = side == TRANSPORT_OUT;
	l->z.path.lock = l->fd = -1;
	if (start(l, endpoint, e)) {
		link_free(&l->base);
		return NULL;
	}
	return &l->base;
}

