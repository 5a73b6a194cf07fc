#include "stream/zsock.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

#define SPARE (64 << 10) /* so that a frame just too large is refused by name */
/* Within one machine what is under way should stay in the cache. Beyond it the
 * kernel knows better: what a long line holds differs by its length. */
#define LOCAL_SNDBUF (512 << 10)

int
zsock_fail(const struct zsock *z, int code, const char *what, struct err *e)
{
	return err_set(e, code, "%s: %s: %s", z->name, what, zmq_strerror(zmq_errno()));
}

static const struct { int name, value; } options[] = {
	{ZMQ_LINGER, 0}, /* until there is a peer; see zsock_linger */
	/* Not 1: then libzmq throws away what has come and is not yet read when
	 * the connection breaks. That nothing is queued for nobody, which 1 is
	 * for, the hellos see to. */
	{ZMQ_IMMEDIATE, 0},
	{ZMQ_HANDSHAKE_IVL, 10000},
	{ZMQ_HEARTBEAT_IVL, 2000}, {ZMQ_HEARTBEAT_TIMEOUT, 6000}, {ZMQ_HEARTBEAT_TTL, 6000},
	/* doubled each time: who starts a moment before the other side waits little */
	{ZMQ_RECONNECT_IVL, 20}, {ZMQ_RECONNECT_IVL_MAX, 5000},
	{ZMQ_TCP_KEEPALIVE, 1}, {ZMQ_TCP_KEEPALIVE_IDLE, 60}, {ZMQ_TCP_KEEPALIVE_INTVL, 10}, {ZMQ_TCP_KEEPALIVE_CNT, 3},
};

void
zsock_linger(struct zsock *z, int ms)
{
	if (z->socket)
		zmq_setsockopt(z->socket, ZMQ_LINGER, &ms, sizeof ms);
}

static int
set_options(struct zsock *z)
{
	uint64_t most = z->max_message;
	int64_t max = most < INT64_MAX - SPARE ? (int64_t)most + SPARE : -1;
	int one = 1, local = LOCAL_SNDBUF;
	size_t i;

	for (i = 0; i < sizeof options / sizeof *options; i++)
		if (zmq_setsockopt(z->socket, options[i].name, &options[i].value, sizeof options[i].value))
			return -1;
	if (zmq_setsockopt(z->socket, ZMQ_SNDHWM, &z->high_water, sizeof z->high_water) ||
	    zmq_setsockopt(z->socket, ZMQ_RCVHWM, &z->high_water, sizeof z->high_water))
		return -1;
	if (z->address.bound && zmq_setsockopt(z->socket, ZMQ_ROUTER_MANDATORY, &one, sizeof one))
		return -1;
	if (z->address.local && zmq_setsockopt(z->socket, ZMQ_SNDBUF, &local, sizeof local))
		return -1;
	if (z->address.v6 && zmq_setsockopt(z->socket, ZMQ_IPV6, &one, sizeof one))
		return -1;
	return zmq_setsockopt(z->socket, ZMQ_MAXMSGSIZE, &max, sizeof max);
}

/* The side that is bound has the list of who may come. Its handler is bound
 * before this socket is: should it ever not answer, no handshake ends. */
static int
set_keys(struct zsock *z)
{
	const struct keyring *k = z->keys;
	int one = 1;
	char server[KEY_TEXT];

	if (zmq_setsockopt(z->socket, ZMQ_CURVE_PUBLICKEY, k->public, KEY_TEXT - 1) || zmq_setsockopt(z->socket, ZMQ_CURVE_SECRETKEY, k->secret, KEY_TEXT - 1))
		return -1;
	if (z->address.bound)
		return zmq_setsockopt(z->socket, ZMQ_CURVE_SERVER, &one, sizeof one) || zmq_setsockopt(z->socket, ZMQ_ZAP_DOMAIN, "msae", 4) ? -1 : 0;
	zmq_z85_encode(server, k->peers[0], KEY_BYTES);
	return zmq_setsockopt(z->socket, ZMQ_CURVE_SERVERKEY, server, KEY_TEXT - 1);
}

static int
open_monitor(struct zsock *z)
{
	char name[40];
	int none = 0;

	snprintf(name, sizeof name, "inproc://monitor-%u", z->opened++);
	if (zmq_socket_monitor(z->socket, name, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED))
		return -1;
	z->monitor = zmq_socket(z->context, ZMQ_PAIR);
	/* without bound, or a thousand port probes during one long computation
	 * would stop the thread that reports them */
	if (!z->monitor || zmq_setsockopt(z->monitor, ZMQ_RCVHWM, &none, sizeof none) ||
	    zmq_setsockopt(z->monitor, ZMQ_LINGER, &none, sizeof none))
		return -1;
	return zmq_connect(z->monitor, name);
}

int
zsock_open(struct zsock *z, struct err *e)
{
	z->socket = zmq_socket(z->context, z->address.bound ? ZMQ_ROUTER : ZMQ_DEALER);
	if (!z->socket || set_options(z) || (z->keys && set_keys(z)) || open_monitor(z))
		return zsock_fail(z, CODE_TRYAGAIN, "cannot make a socket", e);
	if (z->address.bound ? zmq_bind(z->socket, z->address.text) : zmq_connect(z->socket, z->address.text))
		return zsock_fail(z, CODE_UNAVAILABLE, z->address.bound ? "cannot bind" : "cannot connect", e);
	z->path.placed = true;
	/* whoever may write to it may connect */
	if (z->address.bound && *z->address.path && chmod(z->address.path, 0600))
		return err_sys(e, CODE_UNAVAILABLE, "%s: cannot make it private", z->name);
	return 0;
}

/* Monitoring ends before its receiver closes: an event for a receiver that is
 * gone would hold libzmq's thread, and that thread the lock asked for here. */
void
zsock_close(struct zsock *z)
{
	if (z->socket) {
		zmq_socket_monitor(z->socket, NULL, 0);
		zmq_close(z->socket);
	}
	if (z->monitor)
		zmq_close(z->monitor);
	z->monitor = z->socket = NULL;
}

static int
check_keys(const struct zsock *z, struct err *e)
{
	if (!z->keys || (z->address.bound ? z->keys->npeers > 0 : z->keys->npeers == 1))
		return 0;
	if (z->address.bound)
		return err_set(e, CODE_REFUSED, "%s: nobody could come in: there is no public key but ours; name some with --peers DIR", z->name);
	return err_set(e, CODE_REFUSED, "%s: whose key must be there? --peers FILE names the one public file (%zu are beside ours)", z->name, z->keys->npeers);
}

int
zsock_start(struct zsock *z, struct err *e)
{
	if (check_keys(z, e))
		return e->code;
	if (z->address.bound && *z->address.path && zpath_claim(&z->path, z->address.path, z->name, e))
		return e->code;
	mem_keep_large();
	z->context = zmq_ctx_new();
	if (!z->context)
		return zsock_fail(z, CODE_TRYAGAIN, "cannot start ZeroMQ", e);
	if (z->keys && z->address.bound && zap_start(&z->zap, z->context, z->keys, e))
		return e->code;
	return zsock_open(z, e);
}

void
zsock_end(struct zsock *z)
{
	zsock_close(z);
	if (z->context)
		while (zmq_ctx_term(z->context) && zmq_errno() == EINTR)
			;
	zap_join(&z->zap);
	z->context = NULL;
	zpath_release(&z->path);
}

bool
zsock_event(struct zsock *z, unsigned *event, int *fd)
{
	unsigned char what[6], where[8];
	uint16_t kind;
	int32_t value;

	if (zmq_recv(z->monitor, what, sizeof what, ZMQ_DONTWAIT) != sizeof what)
		return false;
	memcpy(&kind, what, sizeof kind);
	memcpy(&value, what + sizeof kind, sizeof value);
	while (zmq_recv(z->monitor, where, sizeof where, 0) < 0 && zmq_errno() == EINTR)
		;
	*event = kind;
	*fd = value;
	return true;
}

int
zsock_nap(struct zsock *z, long ms, bool for_messages, struct err *e)
{
	zmq_pollitem_t items[] = {
		{.socket = z->monitor, .events = ZMQ_POLLIN},
		{.socket = z->socket, .events = ZMQ_POLLIN},
	};

	if (z->stop && *z->stop)
		return err_set(e, CODE_TRYAGAIN, "%s: stopped", z->name);
	if (zmq_poll(items, for_messages ? 2 : 1, ms) < 0 && zmq_errno() != EINTR)
		return zsock_fail(z, CODE_IO, "cannot wait", e);
	return 0;
}

static int
next_part(struct zsock *z, zmq_msg_t *m)
{
	int r;

	do
		r = zmq_msg_recv(m, z->socket, ZMQ_DONTWAIT);
	while (r < 0 && zmq_errno() == EINTR);
	return r;
}

static int
no_message(const struct zsock *z, struct err *e)
{
	if (zmq_errno() == EAGAIN)
		return 0;
	zsock_fail(z, CODE_IO, "cannot receive", e);
	return -1;
}

int
zsock_recv(struct zsock *z, struct zsource *from, zmq_msg_t *m, struct err *e)
{
	zmq_msg_t rest;
	bool more;

	if (z->address.bound) {
		if (next_part(z, m) < 0)
			return no_message(z, e);
		from->id_bytes = zmq_msg_size(m) < ZSOCK_ID ? zmq_msg_size(m) : ZSOCK_ID;
		memcpy(from->id, zmq_msg_data(m), from->id_bytes);
	}
	if (next_part(z, m) < 0)
		return no_message(z, e);
	from->fd = z->address.bound ? zmq_msg_get(m, ZMQ_SRCFD) : -1;
	from->parts = more = zmq_msg_more(m);
	zmq_msg_init(&rest);
	while (more && next_part(z, &rest) >= 0)
		more = zmq_msg_more(&rest);
	zmq_msg_close(&rest);
	return 1;
}

int
zsock_put_now(struct zsock *z, const unsigned char *id, size_t id_bytes, zmq_msg_t *m)
{
	int r;

	if (z->address.bound && zmq_send(z->socket, id, id_bytes, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
		return -1;
	do
		r = zmq_msg_send(m, z->socket, ZMQ_DONTWAIT);
	while (r < 0 && z->address.bound && zmq_errno() == EINTR); /* the id is out, the rest must follow */
	return r < 0 ? -1 : 0;
}
