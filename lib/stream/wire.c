#include "stream/wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "stream/zsock.h"

_Static_assert(sizeof(struct parcel) >= sizeof(zmq_msg_t), "a parcel is a zmq_msg_t");

struct wire {
	struct zsock z;
	char name[256];
};

static zmq_msg_t *
msg(struct parcel *p)
{
	return (zmq_msg_t *)(void *)p;
}

int
parcel_new(struct parcel *p, size_t n, struct err *e)
{
	return zmq_msg_init_size(msg(p), n) ? err_memory(e, "a message", n) : 0;
}

unsigned char *
parcel_data(struct parcel *p)
{
	return zmq_msg_data(msg(p));
}

size_t
parcel_size(const struct parcel *p)
{
	return zmq_msg_size((const zmq_msg_t *)(const void *)p);
}

void
parcel_share(struct parcel *to, struct parcel *from)
{
	zmq_msg_init(msg(to));
	zmq_msg_copy(msg(to), msg(from));
}

void
parcel_free(struct parcel *p)
{
	zmq_msg_close(msg(p));
}

struct wire *
wire_open(const char *endpoint, uint64_t max_message, int queue, const struct transport_opts *o, struct err *e)
{
	struct wire *w = calloc(1, sizeof *w);

	if (!w) {
		err_memory(e, endpoint, sizeof *w);
		return NULL;
	}
	w->z.path.lock = -1;
	if (zaddress_parse(&w->z.address, endpoint, e) || zaddress_check(&w->z.address, endpoint, o->insecure || o->keys, e)) {
		free(w);
		return NULL;
	}
	text_printable(w->name, sizeof w->name, w->z.address.text, strlen(w->z.address.text));
	w->z.name = w->name;
	w->z.keys = o->keys;
	w->z.high_water = queue;
	w->z.max_message = max_message;
	if (zsock_start(&w->z, e)) {
		wire_close(w, 0);
		return NULL;
	}
	return w;
}

void
wire_close(struct wire *w, int linger_ms)
{
	if (!w)
		return;
	zsock_linger(&w->z, linger_ms);
	zsock_end(&w->z);
	free(w);
}

int
wire_reopen(struct wire *w, struct err *e)
{
	zsock_close(&w->z);
	return zsock_open(&w->z, e);
}

const char *
wire_name(const struct wire *w)
{
	return w->name;
}

int
wire_recv(struct wire *w, struct wire_peer *from, struct parcel *p, struct err *e)
{
	struct zsource source = {.id_bytes = 0};
	int r;

	for (;;) {
		zmq_msg_init(msg(p));
		r = zsock_recv(&w->z, &source, msg(p), e);
		if (r > 0 && !source.parts && source.id_bytes <= sizeof from->id)
			break;
		parcel_free(p);
		if (r <= 0)
			return r;
	}
	memcpy(from->id, source.id, source.id_bytes);
	from->id_bytes = source.id_bytes;
	from->fd = source.fd;
	return 1;
}

int
wire_send(struct wire *w, const struct wire_peer *to, struct parcel *p)
{
	return zsock_put_now(&w->z, to ? to->id : NULL, to ? to->id_bytes : 0, msg(p));
}

bool
wire_event(struct wire *w, enum wire_event *what, int *fd)
{
	unsigned event;

	while (zsock_event(&w->z, &event, fd)) {
		if (event == ZMQ_EVENT_ACCEPTED)
			continue;
		*what = event == ZMQ_EVENT_DISCONNECTED ? WIRE_DOWN : event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ? WIRE_REFUSED : WIRE_UP;
		return true;
	}
	return false;
}

int
wire_wait(struct wire *w, struct pollfd *fds, size_t n, int ms, struct err *e)
{
	zmq_pollitem_t items[6] = {
		{.socket = w->z.monitor, .events = ZMQ_POLLIN},
		{.socket = w->z.socket, .events = ZMQ_POLLIN},
	};
	size_t i;
	int r;

	for (i = 0; i < n && i < 4; i++) {
		items[2 + i].fd = fds[i].fd;
		items[2 + i].events = (short)((fds[i].events & POLLIN ? ZMQ_POLLIN : 0) | (fds[i].events & POLLOUT ? ZMQ_POLLOUT : 0));
		fds[i].revents = 0;
	}
	r = zmq_poll(items, 2 + (int)i, ms);
	if (r < 0 && zmq_errno() != EINTR)
		return zsock_fail(&w->z, CODE_IO, "cannot wait", e);
	while (r > 0 && i--)
		fds[i].revents = (short)((items[2 + i].revents & ZMQ_POLLIN ? POLLIN : 0) | (items[2 + i].revents & ZMQ_POLLOUT ? POLLOUT : 0) |
		                         (items[2 + i].revents & ZMQ_POLLERR ? POLLERR : 0));
	return 0;
}
