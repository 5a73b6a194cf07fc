#include "stream/zap.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

#include "base/thread.h"

#define FIELDS 7      /* version, request, domain, address, identity, mechanism, key */
#define FIELD_MOST 256

/* A request's fields; -1 when the context ends. What has more fields, or longer
 * ones, keeps none: count is 0. */
static int
receive(void *socket, char field[FIELDS][FIELD_MOST], size_t size[FIELDS], size_t *count)
{
	size_t n = 0;
	zmq_msg_t m;
	int more, fits = 1;

	do {
		zmq_msg_init(&m);
		while (zmq_msg_recv(&m, socket, 0) < 0)
			if (zmq_errno() != EINTR) {
				zmq_msg_close(&m);
				return -1;
			}
		fits = fits && n < FIELDS && zmq_msg_size(&m) <= FIELD_MOST;
		if (fits) {
			size[n] = zmq_msg_size(&m);
			memcpy(field[n], zmq_msg_data(&m), size[n]);
		}
		n++;
		more = zmq_msg_more(&m);
		zmq_msg_close(&m);
	} while (more);
	*count = fits ? n : 0;
	return 0;
}

static int
is(const char *field, size_t size, const char *word)
{
	return size == strlen(word) && !memcmp(field, word, size);
}

static void *
serve(void *arg)
{
	struct zap *z = arg;
	char field[FIELDS][FIELD_MOST];
	size_t size[FIELDS], count;
	int yes;

	while (!receive(z->socket, field, size, &count)) {
		yes = count == FIELDS && is(field[0], size[0], "1.0") && is(field[5], size[5], "CURVE") && size[6] == KEY_BYTES &&
		      keys_allow(z->keys, (const unsigned char *)field[6]);
		zmq_send(z->socket, "1.0", 3, ZMQ_SNDMORE);
		zmq_send(z->socket, field[1], count > 1 ? size[1] : 0, ZMQ_SNDMORE);
		zmq_send(z->socket, yes ? "200" : "400", 3, ZMQ_SNDMORE);
		zmq_send(z->socket, "", 0, ZMQ_SNDMORE);
		zmq_send(z->socket, "", 0, ZMQ_SNDMORE);
		zmq_send(z->socket, "", 0, 0);
	}
	zmq_close(z->socket);
	return NULL;
}

int
zap_start(struct zap *z, void *context, const struct keyring *keys, struct err *e)
{
	int none = 0;

	z->keys = keys;
	z->socket = zmq_socket(context, ZMQ_REP);
	if (!z->socket || zmq_setsockopt(z->socket, ZMQ_LINGER, &none, sizeof none) || zmq_bind(z->socket, "inproc://zeromq.zap.01")) {
		if (z->socket)
			zmq_close(z->socket);
		return err_set(e, CODE_TRYAGAIN, "cannot check keys: %s", zmq_strerror(zmq_errno()));
	}
	if (thread_start(&z->thread, serve, z, 0)) {
		zmq_close(z->socket);
		return err_set(e, CODE_TRYAGAIN, "cannot check keys: no thread");
	}
	z->running = 1;
	return 0;
}

void
zap_join(struct zap *z)
{
	if (z->running)
		pthread_join(z->thread, NULL);
	z->running = 0;
}
