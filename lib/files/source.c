#include "files/source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/io.h"

#define ROOM ((size_t)1 << 18)

struct source {
	/* some bytes, 0 at the end, -1 with e filled */
	ssize_t (*more)(struct source *s, void *p, size_t n, struct err *e);
	void (*shut)(struct source *s);
	unsigned char *buf; /* [ROOM] bytes at..end of it are unread */
	size_t at, end;
	bool over;          /* more said 0 */
	struct source *under;
	int fd;
	struct zipin_stream *member;
	z_stream gz;
	ZSTD_DStream *zst;
	bool within; /* a packed stream is begun and not ended */
};

static struct source *
make(ssize_t (*more)(struct source *, void *, size_t, struct err *), void (*shut)(struct source *), struct err *e)
{
	struct source *s = calloc(1, sizeof *s);

	if (s)
		s->buf = malloc(ROOM);
	if (!s || !s->buf) {
		err_memory(e, "reading", ROOM);
		free(s);
		return NULL;
	}
	s->more = more;
	s->shut = shut;
	return s;
}

static ssize_t
more_fd(struct source *s, void *p, size_t n, struct err *e)
{
	ssize_t got = io_read_some(s->fd, p, n, NULL);

	if (got < 0)
		err_sys(e, CODE_IO, "cannot read");
	return got;
}

static void
shut_fd(struct source *s)
{
	close(s->fd);
}

struct source *
source_fd(int fd, struct err *e)
{
	struct source *s = make(more_fd, shut_fd, e);

	if (s)
		s->fd = fd;
	else
		close(fd);
	return s;
}

static ssize_t
more_member(struct source *s, void *p, size_t n, struct err *e)
{
	return zipin_read(s->member, p, n, e);
}

static void
shut_member(struct source *s)
{
	zipin_member_close(s->member);
}

struct source *
source_member(struct zipin *z, size_t i, struct err *e)
{
	struct source *s = make(more_member, shut_member, e);

	if (s && !(s->member = zipin_member(z, i, e))) {
		source_close(s);
		s = NULL;
	}
	return s;
}

/* The unread bytes of the buffer, refilled when there are none: how many. */
static ssize_t
fill(struct source *s, struct err *e)
{
	ssize_t got;

	if (s->at < s->end)
		return (ssize_t)(s->end - s->at);
	if (s->over)
		return 0;
	got = s->more(s, s->buf, ROOM, e);
	s->at = 0;
	s->end = got > 0 ? (size_t)got : 0;
	s->over = got == 0;
	return got;
}

/* gzip, of any number of members. Padding with zeros at the end is let pass, as
 * gzip does. */
static ssize_t
more_gz(struct source *s, void *p, size_t n, struct err *e)
{
	struct source *in = s->under;
	ssize_t have;
	int code;

	s->gz.next_out = p;
	s->gz.avail_out = (uInt)(n < UINT32_MAX / 2 ? n : UINT32_MAX / 2);
	n = s->gz.avail_out;
	while (s->gz.avail_out == n) {
		have = fill(in, e);
		if (have < 0)
			return -1;
		if (!s->within && (have == 0 || in->buf[in->at] == 0))
			return 0;
		if (have == 0) {
			err_set(e, CODE_DATA, "gzip: the file ends in the middle: truncated?");
			return -1;
		}
		s->gz.next_in = in->buf + in->at;
		s->gz.avail_in = (uInt)have;
		code = inflate(&s->gz, Z_NO_FLUSH);
		in->at = in->end - s->gz.avail_in;
		s->within = code != Z_STREAM_END;
		if (code == Z_STREAM_END)
			code = inflateReset(&s->gz);
		if (code != Z_OK && code != Z_BUF_ERROR) {
			err_set(e, code == Z_MEM_ERROR ? CODE_TRYAGAIN : CODE_DATA, "gzip: %s", s->gz.msg ? s->gz.msg : "broken data");
			return -1;
		}
	}
	return (ssize_t)(n - s->gz.avail_out);
}

static void
shut_gz(struct source *s)
{
	inflateEnd(&s->gz);
}

static ssize_t
more_zst(struct source *s, void *p, size_t n, struct err *e)
{
	ZSTD_outBuffer out = {p, n, 0};
	ZSTD_inBuffer in;
	ssize_t have;
	size_t code;

	while (!out.pos) {
		have = fill(s->under, e);
		if (have < 0)
			return -1;
		if (have == 0 && !s->within)
			return 0;
		if (have == 0) {
			err_set(e, CODE_DATA, "zstd: the file ends in the middle: truncated?");
			return -1;
		}
		in = (ZSTD_inBuffer){s->under->buf + s->under->at, (size_t)have, 0};
		code = ZSTD_decompressStream(s->zst, &out, &in);
		s->under->at += in.pos;
		if (ZSTD_isError(code)) {
			err_set(e, CODE_DATA, "zstd: %s", ZSTD_getErrorName(code));
			return -1;
		}
		s->within = code != 0;
	}
	return (ssize_t)out.pos;
}

static void
shut_zst(struct source *s)
{
	ZSTD_freeDStream(s->zst);
}

static bool
is_gz(const unsigned char *head, size_t n)
{
	return n >= 3 && head[0] == 0x1f && head[1] == 0x8b && head[2] == 8;
}

static bool
is_zst(const unsigned char *head, size_t n)
{
	return n >= 4 && !memcmp(head, "\x28\xb5\x2f\xfd", 4);
}

bool
source_is_packed(const unsigned char *head, size_t n)
{
	return is_gz(head, n) || is_zst(head, n);
}

struct source *
source_unpack(struct source *under, struct err *e)
{
	size_t n;
	const unsigned char *head = source_peek(under, 4, &n, e);
	struct source *s = NULL;
	bool ready = false;

	if (head && !source_is_packed(head, n))
		return under;
	if (head)
		s = is_gz(head, n) ? make(more_gz, shut_gz, e) : make(more_zst, shut_zst, e);
	if (s && is_gz(head, n))
		ready = inflateInit2(&s->gz, 15 + 16) == Z_OK; /* 16: gzip's header and checksum */
	else if (s)
		ready = (s->zst = ZSTD_createDStream()) && !ZSTD_isError(ZSTD_initDStream(s->zst));
	if (s && !ready) {
		err_memory(e, "unpacking", ROOM);
		source_close(s);
		s = NULL;
	}
	if (s)
		s->under = under;
	else
		source_close(under);
	return s;
}

void
source_close(struct source *s)
{
	if (!s)
		return;
	s->shut(s);
	source_close(s->under);
	free(s->buf);
	free(s);
}

ssize_t
source_read(struct source *s, void *p, size_t n, struct err *e)
{
	size_t got = 0, take;
	ssize_t r;

	while (got < n) {
		if (s->at == s->end && !s->over && n - got >= ROOM) { /* no need to go through the buffer */
			r = s->more(s, (char *)p + got, n - got, e);
			s->over = r == 0;
			take = r > 0 ? (size_t)r : 0;
		} else {
			r = fill(s, e);
			take = r < 0 ? 0 : (size_t)r < n - got ? (size_t)r : n - got;
			memcpy((char *)p + got, s->buf + s->at, take);
			s->at += take;
		}
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += take;
	}
	return (ssize_t)got;
}

const unsigned char *
source_peek(struct source *s, size_t n, size_t *got, struct err *e)
{
	ssize_t r;

	if (s->at && s->end - s->at < n) {
		memmove(s->buf, s->buf + s->at, s->end - s->at);
		s->end -= s->at;
		s->at = 0;
	}
	while (s->end - s->at < n && !s->over) {
		r = s->more(s, s->buf + s->end, ROOM - s->end, e);
		if (r < 0)
			return NULL;
		s->over = r == 0;
		s->end += (size_t)r;
	}
	*got = s->end - s->at < n ? s->end - s->at : n;
	return s->buf + s->at;
}

int
source_skip(struct source *s, uint64_t n, struct err *e)
{
	ssize_t have;
	size_t take;

	for (; n; n -= take) {
		have = fill(s, e);
		if (have < 0)
			return e->code;
		if (have == 0)
			return err_set(e, CODE_DATA, "ends %llu bytes too early: truncated?", (unsigned long long)n);
		take = (uint64_t)have < n ? (size_t)have : (size_t)n;
		s->at += take;
	}
	return 0;
}

int
source_line(struct source *s, struct buf *line, size_t max, struct err *e)
{
	const unsigned char *from, *nl;
	size_t n, began = line->len;
	ssize_t have;

	for (;;) {
		have = fill(s, e);
		if (have < 0)
			return -1;
		if (have == 0)
			return line->len > began;
		from = s->buf + s->at;
		nl = memchr(from, '\n', (size_t)have);
		n = nl ? (size_t)(nl - from) + 1 : (size_t)have;
		if (n > max - line->len) {
			err_set(e, CODE_DATA, "longer than %zu bytes", max);
			return -1;
		}
		if (buf_append(line, from, n, e))
			return -1;
		s->at += n;
		if (nl)
			return 1;
	}
}

int
source_spool(struct source *s, uint64_t *size, struct err *e)
{
	int fd = io_tempfile(e);
	ssize_t have;

	if (fd < 0)
		return -1;
	for (*size = 0; (have = fill(s, e)) > 0; *size += (uint64_t)have) {
		if (io_write_all(fd, s->buf + s->at, (size_t)have)) {
			err_sys(e, CODE_IO, "cannot write a temporary file in %s", io_tempdir());
			break;
		}
		s->at = s->end;
	}
	if (have == 0)
		return fd;
	close(fd);
	return -1;
}
