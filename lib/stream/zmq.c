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
 * slow. CREDIT is the most that never fills a queue of HIGH_WATER.
 *
 * A connection that breaks after the hellos is never mended: frames under way
 * are lost with it, so both sides fail. Heartbeats find a frozen or vanished
 * peer after 6 to 8 s; they also mean that one frame must pass in that time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "base/text.h"
#include "stream/first.h"
#include "stream/transport.h"

#define HIGH_WATER 4
#define CREDIT 3        /* libzmq counts what was read in steps of HIGH_WATER / 2 */
#define SLICE_MS 250    /* the longest wait that does not look at opts.stop */
#define RETRY_MS 10
#define REOPEN_MS 100
#define LINGER_MS 10000 /* for the last words: "done", an error frame */
#define NOTICE_SECONDS 5
#define SPARE (64 << 10) /* so that a frame just too large is refused by name */
#define ID_BYTES 255     /* ZeroMQ's longest routing id */

struct link {
	struct transport base;
	bool bound, writer;

	char address[320]; /* as libzmq takes it */
	char path[sizeof ((struct sockaddr_un *)0)->sun_path]; /* ipc */
	bool local, v6;
	char lock_path[sizeof ((struct sockaddr_un *)0)->sun_path + 8];
	int lock;          /* ipc, bound: PATH.lock, or -1 */
	bool placed;       /* and the socket at PATH is ours */

	void *context, *socket;
	void *monitor;     /* tells of connections that come and go */
	unsigned opened;   /* sockets so far: their monitors need names of their own */

	/* connecting, before the hellos are through */
	bool shaken;       /* a connection stands */
	bool greeted;      /* our hello is on it */
	bool broken;       /* it broke again: a fresh socket is needed */
	/* bound */
	int *live;         /* file descriptors of the connections that stand */
	size_t nlive, live_cap;
	unsigned char id[ID_BYTES]; /* the peer's */
	size_t id_bytes;
	int fd;

	bool linked;       /* the hellos are through */
	bool lost;         /* and the peer has gone since */
	bool over;         /* the end of input was sent, or received */
	bool done;         /* writer: and acknowledged */
	uint64_t credit;   /* writer: messages that may be sent */
	bool told_wait, told_busy, told_stranger;
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

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
		l->base.opts.notice(text);
	*told = true;
}

static int
zmq_fail(const struct link *l, int code, const char *what, struct err *e)
{
	return err_set(e, code, "%s: %s: %s", l->base.name, what, zmq_strerror(zmq_errno()));
}

/* ---- addresses ---- */

static int
malformed(const char *endpoint, const char *why, struct err *e)
{
	char text[256];

	text_printable(text, sizeof text, endpoint, strlen(endpoint));
	return err_set(e, CODE_USAGE, "%s: %s; connect to an address like tcp://127.0.0.1:5555 or ipc:///tmp/msae.sock, "
	               "bind one with @ in front: @tcp://:5555", text, why);
}

static bool
port_valid(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && n <= 5 && !s[n] && atoi(s) > 0 && atoi(s) <= 65535;
}

static bool
host_is_v6(struct link *l, const char *host)
{
	struct in6_addr a;
	char bare[INET6_ADDRSTRLEN + 1];
	size_t n = strcspn(host, "%"); /* the zone of a link-local one */

	if (n >= sizeof bare || strspn(host + n, "%0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-") != strlen(host + n))
		return false;
	memcpy(bare, host, n);
	bare[n] = 0;
	if (inet_pton(AF_INET6, bare, &a) != 1)
		return false;
	l->v6 = true;
	l->local = IN6_IS_ADDR_LOOPBACK(&a);
	return true;
}

/* A name, an IPv4 address or "*". What is made of digits and dots must be an
 * address in full: resolvers read 127.1 and 0177.0.0.1 as they please. */
static bool
host_is_v4_or_name(struct link *l, const char *host)
{
	struct in_addr a;

	if (inet_pton(AF_INET, host, &a) == 1) {
		l->local = ntohl(a.s_addr) >> 24 == 127;
		return true;
	}
	if (!strcmp(host, "*"))
		return true;
	return host[strspn(host, "0123456789.")] &&
	       !host[strspn(host, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_")];
}

static int
parse_tcp(struct link *l, const char *endpoint, const char *rest, struct err *e)
{
	const char *colon = strrchr(rest, ':');
	char host[256];
	size_t n;

	if (!colon || !port_valid(colon + 1))
		return malformed(endpoint, "it needs a port from 1 to 65535", e);
	n = (size_t)(colon - rest);
	if (n >= 2 && rest[0] == '[' && rest[n - 1] == ']') {
		rest++;
		n -= 2;
	}
	if (n >= sizeof host)
		return malformed(endpoint, "the host name is too long", e);
	memcpy(host, rest, n);
	host[n] = 0;
	/* libzmq binds to no name, not even this one */
	if (!*host || !strcasecmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	if (!(strchr(host, ':') ? host_is_v6(l, host) : host_is_v4_or_name(l, host)))
		return malformed(endpoint, "there is no such host", e);
	snprintf(l->address, sizeof l->address, l->v6 ? "tcp://[%s]%s" : "tcp://%s%s", host, colon);
	return 0;
}

static int
parse_ipc(struct link *l, const char *endpoint, const char *path, struct err *e)
{
	if (!*path || !strcmp(path, "*") || *path == '@')
		return malformed(endpoint, "it needs the path of a socket", e);
	if (strlen(path) >= sizeof l->path)
		return malformed(endpoint, "the path is longer than a socket's may be", e);
	strcpy(l->path, path);
	snprintf(l->address, sizeof l->address, "ipc://%s", path);
	l->local = true;
	return 0;
}

static int
parse(struct link *l, const char *endpoint, struct err *e)
{
	const char *p = endpoint;

	l->bound = *p == '@';
	p += l->bound;
	if (!strncmp(p, "tcp://", 6) ? parse_tcp(l, endpoint, p + 6, e) :
	    !strncmp(p, "ipc://", 6) ? parse_ipc(l, endpoint, p + 6, e) : malformed(endpoint, "it is no socket address", e))
		return e->code;
	text_printable(l->base.name, sizeof l->base.name, l->address, strlen(l->address));
	if (!l->local && !l->base.opts.insecure)
		return err_set(e, CODE_REFUSED, "%s: refused: the link would be unprotected, anyone on the network could read it and write to it; "
		               "lead a tunnel to 127.0.0.1, or allow it with --insecure", l->base.name);
	if (!l->bound && !strncmp(l->address, "tcp://*", 7))
		return malformed(endpoint, "* can be bound, not connected to", e);
	return 0;
}

/* ---- the path of a bound ipc socket: libzmq unlinks whatever is there ---- */

/* True while the lock's path leads to the file we hold: its last owner may
 * have removed it between our open and our flock. */
static bool
same_file(int fd, const char *path, struct stat *held)
{
	struct stat there;

	return !fstat(fd, held) && !lstat(path, &there) && held->st_dev == there.st_dev && held->st_ino == there.st_ino;
}

static int
take_lock(struct link *l, struct err *e)
{
	struct stat st;

	snprintf(l->lock_path, sizeof l->lock_path, "%s.lock", l->path);
	do {
		if (l->lock >= 0)
			close(l->lock);
		l->lock = open(l->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (l->lock < 0)
			return err_sys(e, CODE_UNAVAILABLE, "%s: cannot bind: %s", l->base.name, l->lock_path);
		if (flock(l->lock, LOCK_EX | LOCK_NB)) {
			if (errno == EWOULDBLOCK)
				err_set(e, CODE_UNAVAILABLE, "%s: cannot bind: in use, another process holds %s", l->base.name, l->lock_path);
			else
				err_sys(e, CODE_UNAVAILABLE, "%s: cannot bind: %s", l->base.name, l->lock_path);
			close(l->lock);
			l->lock = -1;
			return e->code;
		}
	} while (!same_file(l->lock, l->lock_path, &st));
	if (S_ISREG(st.st_mode) && !st.st_size)
		return 0;
	close(l->lock); /* and leave it: release_path would remove it */
	l->lock = -1;
	return err_set(e, CODE_CANTCREATE, "%s: cannot bind: %s is there and is no lock file", l->base.name, l->lock_path);
}

/* Our socket goes first (libzmq leaves it), while the path is still ours. */
static void
release_path(struct link *l)
{
	if (l->lock < 0)
		return;
	if (l->placed)
		unlink(l->path);
	unlink(l->lock_path);
	close(l->lock);
	l->lock = -1;
}

/* True when a server that knows nothing of our lock listens there. */
static bool
answers(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool yes;

	if (fd < 0)
		return false;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	memcpy(a.sun_path, path, strlen(path));
	yes = !connect(fd, (struct sockaddr *)&a, sizeof a) || errno != ECONNREFUSED;
	close(fd);
	return yes;
}

static int
claim_path(struct link *l, struct err *e)
{
	struct stat st;

	if (take_lock(l, e))
		return e->code;
	if (lstat(l->path, &st))
		return errno == ENOENT ? 0 : err_sys(e, CODE_UNAVAILABLE, "%s: cannot bind", l->base.name);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, CODE_CANTCREATE, "%s: cannot bind: what is there is not a socket, and would be lost", l->base.name);
	if (answers(l->path))
		return err_set(e, CODE_UNAVAILABLE, "%s: cannot bind: in use, another program answers there", l->base.name);
	return 0;
}

/* ---- sockets ---- */

static const struct { int name, value; } options[] = {
	{ZMQ_SNDHWM, HIGH_WATER}, {ZMQ_RCVHWM, HIGH_WATER},
	{ZMQ_LINGER, 0}, /* until there is a peer; see link_up */
	/* Not 1: then libzmq throws away what has come and is not yet read when
	 * the connection breaks. That nothing is queued for nobody, which 1 is
	 * for, the hellos see to. */
	{ZMQ_IMMEDIATE, 0},
	{ZMQ_HANDSHAKE_IVL, 10000},
	{ZMQ_HEARTBEAT_IVL, 2000}, {ZMQ_HEARTBEAT_TIMEOUT, 6000}, {ZMQ_HEARTBEAT_TTL, 6000},
	{ZMQ_RECONNECT_IVL, 100}, {ZMQ_RECONNECT_IVL_MAX, 5000},
	{ZMQ_TCP_KEEPALIVE, 1}, {ZMQ_TCP_KEEPALIVE_IDLE, 60}, {ZMQ_TCP_KEEPALIVE_INTVL, 10}, {ZMQ_TCP_KEEPALIVE_CNT, 3},
};

static void
set_linger(struct link *l, int ms)
{
	if (l->socket)
		zmq_setsockopt(l->socket, ZMQ_LINGER, &ms, sizeof ms);
}

static int
set_options(struct link *l)
{
	uint64_t most = l->base.opts.max_frame;
	int64_t max = most < INT64_MAX - SPARE ? (int64_t)most + SPARE : -1;
	int one = 1;
	size_t i;

	for (i = 0; i < sizeof options / sizeof *options; i++)
		if (zmq_setsockopt(l->socket, options[i].name, &options[i].value, sizeof options[i].value))
			return -1;
	if (l->bound && zmq_setsockopt(l->socket, ZMQ_ROUTER_MANDATORY, &one, sizeof one))
		return -1;
	if (l->v6 && zmq_setsockopt(l->socket, ZMQ_IPV6, &one, sizeof one))
		return -1;
	return zmq_setsockopt(l->socket, ZMQ_MAXMSGSIZE, &max, sizeof max);
}

static int
open_monitor(struct link *l)
{
	char name[40];
	int none = 0;

	snprintf(name, sizeof name, "inproc://monitor-%u", l->opened++);
	if (zmq_socket_monitor(l->socket, name, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED))
		return -1;
	l->monitor = zmq_socket(l->context, ZMQ_PAIR);
	/* without bound, or a thousand port probes during one long computation
	 * would stop the thread that reports them */
	if (!l->monitor || zmq_setsockopt(l->monitor, ZMQ_RCVHWM, &none, sizeof none) ||
	    zmq_setsockopt(l->monitor, ZMQ_LINGER, &none, sizeof none))
		return -1;
	return zmq_connect(l->monitor, name);
}

static int
open_socket(struct link *l, struct err *e)
{
	l->socket = zmq_socket(l->context, l->bound ? ZMQ_ROUTER : ZMQ_DEALER);
	if (!l->socket || set_options(l) || open_monitor(l))
		return zmq_fail(l, CODE_TRYAGAIN, "cannot make a socket", e);
	if (l->bound ? zmq_bind(l->socket, l->address) : zmq_connect(l->socket, l->address))
		return zmq_fail(l, CODE_UNAVAILABLE, l->bound ? "cannot bind" : "cannot connect", e);
	l->placed = true;
	return 0;
}

/* Monitoring ends before its receiver closes: an event for a receiver that is
 * gone would hold libzmq's thread, and that thread the lock asked for here. */
static void
close_socket(struct link *l)
{
	if (l->socket) {
		zmq_socket_monitor(l->socket, NULL, 0);
		zmq_close(l->socket);
	}
	if (l->monitor)
		zmq_close(l->monitor);
	l->monitor = l->socket = NULL;
}

/* A connection that broke before its hello was answered may have left messages
 * behind: a fresh socket has none. The pause is for a server that drops every
 * connection it gets. */
static int
reopen(struct link *l, struct err *e)
{
	struct timespec pause = {.tv_nsec = REOPEN_MS * 1000000L};

	close_socket(l);
	l->shaken = l->greeted = l->broken = false;
	nanosleep(&pause, NULL);
	return open_socket(l, e);
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
	} else if (event == ZMQ_EVENT_DISCONNECTED) {
		forget_live(l, fd);
		if (!l->linked)
			l->broken |= l->greeted;
		else if (!l->bound || fd == l->fd)
			l->lost = true;
		l->shaken = false;
	}
}

/* Takes in all that the monitor knows. libzmq tells of a broken connection
 * after the messages that came over it, so: first this, then receive until
 * nothing is left, then believe in `lost`. */
static void
watch(struct link *l)
{
	unsigned char what[6], where[8];
	uint16_t event;
	int32_t value;

	while (zmq_recv(l->monitor, what, sizeof what, ZMQ_DONTWAIT) == sizeof what) {
		memcpy(&event, what, sizeof event);
		memcpy(&value, what + sizeof event, sizeof value);
		while (zmq_recv(l->monitor, where, sizeof where, 0) < 0 && zmq_errno() == EINTR)
			;
		on_event(l, event, value);
	}
}

/* Waits for something to happen, ms at most. */
static int
nap(struct link *l, long ms, bool for_messages, struct err *e)
{
	zmq_pollitem_t items[] = {
		{.socket = l->monitor, .events = ZMQ_POLLIN},
		{.socket = l->socket, .events = ZMQ_POLLIN},
	};

	if (l->base.opts.stop && *l->base.opts.stop)
		return err_set(e, CODE_TRYAGAIN, "%s: stopped", l->base.name);
	if (zmq_poll(items, for_messages ? 2 : 1, ms) < 0 && zmq_errno() != EINTR)
		return zmq_fail(l, CODE_IO, "cannot wait", e);
	return 0;
}

static int
gone(const struct link *l, struct err *e)
{
	return err_set(e, CODE_UNAVAILABLE, "%s: the %s went away %s", l->base.name, peer_role(l),
	               !l->writer ? "before the end of its stream" :
	               l->over ? "before it acknowledged the end" : "in mid-stream");
}

/* ---- messages ---- */

struct source {
	unsigned char id[ID_BYTES];
	size_t id_bytes;
	int fd;
	bool parts; /* it was more than one */
};

static int
next_part(struct link *l, zmq_msg_t *m)
{
	int r;

	do
		r = zmq_msg_recv(m, l->socket, ZMQ_DONTWAIT);
	while (r < 0 && zmq_errno() == EINTR);
	return r;
}

static int
no_message(const struct link *l, struct err *e)
{
	if (zmq_errno() == EAGAIN)
		return 0;
	zmq_fail(l, CODE_IO, "cannot receive", e);
	return -1;
}

/* One message of whomever into m: 1, 0 when there is none, -1. Of several
 * parts only the first is kept. */
static int
receive(struct link *l, struct source *from, zmq_msg_t *m, struct err *e)
{
	zmq_msg_t rest;
	bool more;

	if (l->bound) {
		if (next_part(l, m) < 0)
			return no_message(l, e);
		from->id_bytes = zmq_msg_size(m) < ID_BYTES ? zmq_msg_size(m) : ID_BYTES;
		memcpy(from->id, zmq_msg_data(m), from->id_bytes);
	}
	if (next_part(l, m) < 0)
		return no_message(l, e);
	from->fd = l->bound ? zmq_msg_get(m, ZMQ_SRCFD) : -1;
	from->parts = more = zmq_msg_more(m);
	zmq_msg_init(&rest);
	while (more && next_part(l, &rest) >= 0)
		more = zmq_msg_more(&rest);
	zmq_msg_close(&rest);
	return 1;
}

static bool
message_is(zmq_msg_t *m, const char *word)
{
	return mp_is(zmq_msg_data(m), zmq_msg_size(m), word);
}

/* Sends m, which is then spent, if that can be done at once; else -1. */
static int
put_now(struct link *l, const unsigned char *id, size_t id_bytes, zmq_msg_t *m)
{
	int r;

	if (l->bound && zmq_send(l->socket, id, id_bytes, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
		return -1;
	do
		r = zmq_msg_send(m, l->socket, ZMQ_DONTWAIT);
	while (r < 0 && l->bound && zmq_errno() == EINTR); /* the id is out, the rest must follow */
	return r < 0 ? -1 : 0;
}

static int
put_text_now(struct link *l, const unsigned char *id, size_t id_bytes, const char *text)
{
	zmq_msg_t m;
	int r;

	if (zmq_msg_init_size(&m, strlen(text)))
		return -1;
	memcpy(zmq_msg_data(&m), text, strlen(text));
	r = put_now(l, id, id_bytes, &m);
	zmq_msg_close(&m);
	return r;
}

/* Sends m to the peer. Thanks to credit there is room, unless the network
 * has stopped. */
static int
put(struct link *l, zmq_msg_t *m, struct err *e)
{
	while (put_now(l, l->id, l->id_bytes, m)) {
		if (zmq_errno() == EHOSTUNREACH)
			l->lost = true;
		else if (zmq_errno() != EAGAIN && zmq_errno() != EINTR)
			return zmq_fail(l, CODE_IO, "cannot send", e);
		watch(l);
		if (l->lost)
			return gone(l, e);
		if (nap(l, RETRY_MS, false, e))
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
	l->credit = h->credit;
	set_linger(l, LINGER_MS);
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
turn_away(struct link *l, const struct source *from, zmq_msg_t *m)
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
	struct source from;
	struct hello h;
	zmq_msg_t m;
	int r = 0;

	zmq_msg_init(&m);
	while (!l->linked && (r = receive(l, &from, &m, e)) > 0) {
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
	struct source from;
	zmq_msg_t m;
	int r = 0;

	watch(l);
	if (l->shaken && !l->greeted && !l->broken)
		l->greeted = !say_hello(l, NULL, 0);
	/* A peer may have answered, sent what it had and gone: that is read
	 * before the connection is given up. */
	zmq_msg_init(&m);
	while (!r && (r = receive(l, &from, &m, e)) > 0)
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
	double start = now();
	unsigned limit = l->base.opts.peer_timeout;
	char text[400];
	int r;

	while (!(r = l->bound ? greet(l, e) : approach(l, e))) {
		if (limit && now() - start >= limit)
			return err_set(e, CODE_UNAVAILABLE, "%s: no %s came within %u s", l->base.name, peer_role(l), limit);
		if (now() - start >= NOTICE_SECONDS) {
			snprintf(text, sizeof text, "waiting for a %s at %s", peer_role(l), l->base.name);
			tell(l, &l->told_wait, text);
		}
		if (nap(l, !l->bound && l->shaken && !l->greeted ? RETRY_MS : SLICE_MS, true, e))
			return e->code;
	}
	return r < 0 ? e->code : 0;
}

/* ---- the stream ---- */

static bool
is_peer(const struct link *l, const struct source *from)
{
	return !l->bound || (from->id_bytes == l->id_bytes && !memcmp(from->id, l->id, l->id_bytes));
}

/* The peer's next message: 1, 0 when there is none now, -1. */
static int
peer_message(struct link *l, zmq_msg_t *m, struct err *e)
{
	struct source from;
	int r;

	watch(l);
	while ((r = receive(l, &from, m, e)) > 0 && !is_peer(l, &from))
		turn_away(l, &from, m);
	if (r > 0 && from.parts) {
		err_set(e, CODE_PROTOCOL, "%s: a message of several parts; one frame is one part", l->base.name);
		return -1;
	}
	if (r || !l->lost)
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
	if (r > 0 && message_is(&m, "more")) {
		l->credit++;
	} else if (r > 0 && l->over && message_is(&m, "done")) {
		l->done = true;
	} else if (r > 0) {
		err_set(e, CODE_PROTOCOL, "%s: the reader said neither more nor done", l->base.name);
		r = -1;
	}
	zmq_msg_close(&m);
	return r;
}

/* Even with credit at hand what came is read first: that is how a reader that
 * went away is noticed. */
static int
take_credit(struct link *l, struct err *e)
{
	int r;

	while ((r = read_word(l, e)) > 0 || (!r && !l->credit))
		if (!r && nap(l, SLICE_MS, true, e))
			return e->code;
	if (r < 0)
		return e->code;
	l->credit--;
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
	if (take_credit(l, e))
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
	if (!l->over && (take_credit(l, e) || frame_out(l, NULL, 0, 0, e)))
		return e->code;
	l->over = true;
	while (!l->done) {
		r = read_word(l, e);
		if (r < 0 || (!r && nap(l, SLICE_MS, true, e)))
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
		if (nap(l, SLICE_MS, true, e)) {
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

	if (l->monitor)
		watch(l);
	if (l->lost)
		set_linger(l, 0);
	close_socket(l);
	if (l->context)
		while (zmq_ctx_term(l->context) && zmq_errno() == EINTR)
			;
	l->context = NULL;
	release_path(l);
}

static void
link_free(struct transport *base)
{
	struct link *l = (struct link *)base;

	link_abort(base);
	free(l->live);
	free(l);
}

static const struct transport_ops link_ops = {link_recv, link_send, link_finish, link_abort, link_free};

static int
start(struct link *l, const char *endpoint, struct err *e)
{
	if (parse(l, endpoint, e))
		return e->code;
	if (l->bound && *l->path && claim_path(l, e))
		return e->code;
	l->context = zmq_ctx_new();
	if (!l->context)
		return zmq_fail(l, CODE_TRYAGAIN, "cannot start ZeroMQ", e);
	if (open_socket(l, e))
		return e->code;
	return meet(l, e);
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
	l->lock = l->fd = -1;
	if (start(l, endpoint, e)) {
		link_free(&l->base);
		return NULL;
	}
	return &l->base;
}
