/* Frames over pipes and files. A frame's payload is read straight to where it
 * stays: the scanner says how many bytes the frame still needs, and no more
 * than that (beyond a small look-ahead while headers are read) is asked for. */
#if defined(__linux__)
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "stream/first.h"
#include "stream/mp.h"
#include "stream/transport.h"

#define LOOK_AHEAD 4096 /* bytes asked for beyond what is known to be needed, while that is little */
#define PIPE_BYTES (1 << 20)

struct fd_transport {
	struct transport base;
	int fd;
	bool close_fd;
	bool torn;           /* a write failed, perhaps within a frame */
	struct outfile file; /* output to a path */
	size_t have;         /* bytes in the caller's buffer, this frame's and after */
	struct buf rest;     /* what was read behind the last frame */
};

static int
fd_fail(struct fd_transport *t, const char *why, struct err *e)
{
	return err_set(e, CODE_DATA, "%s: %s", t->base.name, why);
}

/* What of events there is within so many milliseconds, or an end, or an error,
 * of waiting too; 0: nothing. */
static int
ready(int fd, short events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, ms) < 0 ? POLLERR : p.revents;
}

/* Until there is something to read, or nothing else to do. */
static int
idle(const struct fd_transport *t)
{
	const struct transport_opts *o = &t->base.opts;
	int more = 1, ms;

	for (ms = 0; o->idle && more > 0 && ready(t->fd, POLLIN, ms) == 0; ms = 1)
		more = o->idle(o->idle_arg);
	return more < 0 ? -1 : 0;
}

/* Reads until have >= need; 1, 0 when input ended before, -1. */
static int
fill(struct fd_transport *t, struct buf *b, size_t need, size_t ahead, struct err *e)
{
	size_t want = need > t->have + ahead ? need : t->have + ahead;
	ssize_t r;

	b->len = t->have;
	if (b->cap < want && buf_reserve(b, want - t->have, e)) {
		err_add(e, "%s", t->base.name);
		return -1;
	}
	while (t->have < need) {
		if (idle(t)) {
			err_set(e, CODE_TRYAGAIN, "%s: given up", t->base.name);
			return -1;
		}
		r = io_read_some(t->fd, b->data + t->have, want - t->have, t->base.opts.stop);
		if (r < 0) {
			if (errno == EINTR)
				err_set(e, CODE_TRYAGAIN, "%s: stopped", t->base.name);
			else
				err_sys(e, CODE_IO, "%s: cannot read", t->base.name);
			return -1;
		}
		if (r == 0)
			return 0;
		t->have += (size_t)r;
	}
	return 1;
}

static int
fd_recv(struct transport *base, struct buf *b, struct err *e)
{
	struct fd_transport *t = (struct fd_transport *)base;
	struct mp_scan scan = {0};
	enum mp_scan_result r;
	uint64_t need = FIRST_BYTES;
	size_t ahead;
	int got;

	b->len = 0;
	if (buf_append(b, t->rest.data, t->rest.len, e)) {
		err_add(e, "%s", base->name);
		return -1;
	}
	t->have = t->rest.len;
	t->rest.len = 0;
	for (;;) {
		/* A large payload is read exactly to its end; what follows small
		 * values is read ahead, more of it the longer the frame is. */
		ahead = need - t->have > LOOK_AHEAD ? 0 : need / 8 > LOOK_AHEAD ? (size_t)(need / 8) : LOOK_AHEAD;
		got = fill(t, b, (size_t)need, ahead, e);
		if (got < 0)
			return -1;
		if (got == 0 && t->have == 0)
			return 0;
		if (!scan.begun && !looks_like_frame(b->data, t->have)) {
			/* before a length that only looks like one makes us wait for megabytes */
			not_a_frame(base->name, b->data, t->have, e);
			return -1;
		}
		r = mp_scan(&scan, b->data, t->have, &need);
		if (r == MP_SCAN_DONE)
			break;
		if (r == MP_SCAN_BAD)
			fd_fail(t, "malformed MessagePack", e);
		else if (need > base->opts.max_frame)
			err_set(e, CODE_DATA, "%s: a frame of more than %llu bytes; raise --max-frame if that is meant",
			        base->name, (unsigned long long)base->opts.max_frame);
		else if (got == 0)
			fd_fail(t, "ends in the middle of a frame", e);
		else
			continue;
		return -1;
	}
	b->len = (size_t)need;
	if (!buf_append(&t->rest, b->data + need, t->have - (size_t)need, e))
		return 1;
	err_add(e, "%s", base->name);
	return -1;
}

static bool
fd_pending(struct transport *base)
{
	struct fd_transport *t = (struct fd_transport *)base;

	return t->rest.len || ready(t->fd, POLLIN, 0);
}

static int
fd_send(struct transport *base, struct iovec *iov, size_t n, struct err *e)
{
	struct fd_transport *t = (struct fd_transport *)base;

	/* Told to stop, only what does not block is still written: an error
	 * frame, if the reader reads. After half a frame nothing makes sense. */
	if (t->torn || (base->opts.stop && *base->opts.stop && !(ready(t->fd, POLLOUT, 0) & POLLOUT)))
		return err_set(e, CODE_TRYAGAIN, "%s: stopped", base->name);
	if (!io_writev_all(t->fd, iov, (int)n, base->opts.stop))
		return 0;
	t->torn = true;
	if (errno == EINTR)
		return err_set(e, CODE_TRYAGAIN, "%s: stopped", base->name);
	return err_sys(e, CODE_IO, "%s: cannot write", base->name);
}

static int
fd_finish(struct transport *base, struct err *e)
{
	struct fd_transport *t = (struct fd_transport *)base;

	if (t->file.fd >= 0) {
		t->fd = -1;
		return outfile_commit(&t->file, e);
	}
	if (t->close_fd) {
		t->close_fd = false;
		if (close(t->fd))
			return err_sys(e, CODE_IO, "%s: cannot finish writing", base->name);
	}
	return 0;
}

static void
fd_abort(struct transport *base)
{
	outfile_abort(&((struct fd_transport *)base)->file);
}

static void
fd_free(struct transport *base)
{
	struct fd_transport *t = (struct fd_transport *)base;

	outfile_abort(&t->file);
	if (t->close_fd)
		close(t->fd);
	buf_free(&t->rest);
	free(t);
}

static const struct transport_ops fd_ops = {fd_recv, fd_pending, fd_send, fd_finish, fd_abort, fd_free};

struct transport *
transport_open_fd(const char *endpoint, enum transport_side side, const struct transport_opts *o, struct err *e)
{
	struct fd_transport *t = calloc(1, sizeof *t);
	bool in = side == TRANSPORT_IN;

	if (!t) {
		err_memory(e, endpoint, sizeof *t);
		return NULL;
	}
	t->base.ops = &fd_ops;
	t->base.opts = *o;
	t->file.fd = -1;
	t->fd = in ? STDIN_FILENO : STDOUT_FILENO;
	t->close_fd = !in; /* a late write error shows only when it is closed */
	snprintf(t->base.name, sizeof t->base.name, "%s", in ? "standard input" : "standard output");
	if (strcmp(endpoint, "-")) {
		text_printable(t->base.name, sizeof t->base.name, endpoint, strlen(endpoint));
		if (in) {
			t->fd = open(endpoint, O_RDONLY | O_CLOEXEC);
			t->close_fd = t->fd >= 0;
			if (t->fd < 0)
				err_sys(e, CODE_NOINPUT, "%s: cannot open", t->base.name);
		} else {
			t->close_fd = false;
			t->fd = outfile_open(&t->file, endpoint, e) ? -1 : t->file.fd;
		}
		if (t->fd < 0) {
			free(t);
			return NULL;
		}
	}
	if (o->name)
		snprintf(t->base.name, sizeof t->base.name, "%s", o->name);
#ifdef F_SETPIPE_SZ
	(void)fcntl(t->fd, F_SETPIPE_SZ, PIPE_BYTES); /* a courtesy: fewer switches; no pipe, no matter */
#endif
	return &t->base;
}

bool
transport_is_link(const char *ep)
{
	ep += *ep == '@';
	return !strncmp(ep, "tcp://", 6) || !strncmp(ep, "ipc://", 6);
}

struct transport *
transport_open(const char *ep, enum transport_side side, const struct transport_opts *o, struct err *e)
{
	return transport_is_link(ep) ? transport_open_zmq(ep, side, o, e) : transport_open_fd(ep, side, o, e);
}
