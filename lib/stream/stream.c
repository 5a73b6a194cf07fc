#include "stream/stream.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "stream/first.h"

struct stream {
	struct transport *t;
	/* may be looked at by another thread than the one that reads or writes */
	struct { atomic_uint_fast64_t streams, frames, rows, bytes, waited_ns; } counts;
	bool open;             /* between a head and its end */
	uint64_t seq;          /* next rows frame's */
	uint64_t row;          /* next row's number */
	uint64_t rows, sum;    /* of the open stream */
	uint64_t frame;        /* frames so far, for messages */
	struct buf bytes;
	struct frame in;
	struct frame_packed packed;
	struct head head;      /* of the open stream, to check columns against */
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct stream *
stream_open(const char *endpoint, enum transport_side side, const struct transport_opts *o, struct err *e)
{
	struct stream *s = calloc(1, sizeof *s);

	if (!s) {
		err_memory(e, endpoint, sizeof *s);
		return NULL;
	}
	s->t = transport_open(endpoint, side, o, e);
	if (!s->t) {
		free(s);
		return NULL;
	}
	return s;
}

struct stream *
stream_open_in(const char *endpoint, const struct transport_opts *o, struct err *e)
{
	return stream_open(endpoint, TRANSPORT_IN, o, e);
}

struct stream *
stream_open_out(const char *endpoint, const struct transport_opts *o, struct err *e)
{
	return stream_open(endpoint, TRANSPORT_OUT, o, e);
}

/* ---- in ---- */

int
stream_next_unchecked(struct stream *s, struct frame **f, struct err *e)
{
	double before = now();
	int r = s->t->ops->recv(s->t, &s->bytes, e);

	atomic_fetch_add(&s->counts.waited_ns, (uint64_t)((now() - before) * 1e9));
	if (r < 0) {
		size_t len = strlen(e->text);

		if (s->frame)
			snprintf(e->text + len, sizeof e->text - len, " (after frame %llu)", (unsigned long long)s->frame - 1);
		return -1;
	}
	if (!r)
		return 0;
	atomic_fetch_add(&s->counts.frames, 1);
	atomic_fetch_add(&s->counts.bytes, s->bytes.len);
	*f = &s->in;
	if (frame_parse(&s->in, s->bytes.data, s->bytes.len, e)) {
		err_add(e, "%s: frame %llu", s->t->name, (unsigned long long)s->frame);
		return -1;
	}
	s->frame++;
	return 1;
}

/* Fails naming the frame that stream_next just read. */
#define REJECT(...)                                                           \
	do {                                                                  \
		err_set(e, CODE_DATA, __VA_ARGS__);                           \
		err_add(e, "%s: frame %llu", s->t->name, (unsigned long long)s->frame - 1); \
		return -1;                                                    \
	} while (0)

typedef unsigned long long ull;

static int
check_columns(struct stream *s, struct err *e)
{
	struct col said;
	unsigned i;

	for (i = 0; i < s->in.ncols; i++) {
		const struct col *c = &s->in.cols[i];

		if (c->form == COL_RAW || !head_declared(&s->head, c->name, &said))
			continue;
		if (strcmp(said.dtype, c->dtype) || said.ndim + 1 != c->ndim ||
		    memcmp(said.shape, c->shape + 1, said.ndim * sizeof *said.shape))
			REJECT("column %s is not what the head declares (%s, %llu wide; head: %s, %llu wide)", c->name,
			       c->dtype, c->ndim > 1 ? (ull)c->shape[1] : 1, said.dtype, said.ndim ? (ull)said.shape[0] : 1);
	}
	return 0;
}

static int
check_rows(struct stream *s, struct err *e)
{
	const struct frame *f = &s->in;

	if (f->seq != s->seq)
		REJECT("seq %llu where %llu was expected: %s", (ull)f->seq, (ull)s->seq,
		       f->seq > s->seq ? "frames are missing" : "a frame came twice or late");
	if (f->seq && f->row != s->row)
		REJECT("begins at row %llu where row %llu was expected", (ull)f->row, (ull)s->row);
	if (check_columns(s, e))
		return -1;
	s->seq++;
	s->row = f->row + f->n;
	s->rows += f->n;
	atomic_fetch_add(&s->counts.rows, f->n);
	s->sum += frame_hash(f->bytes, f->size);
	return 1;
}

static int
check_end(struct stream *s, struct err *e)
{
	const struct frame *f = &s->in;

	if (f->frames != s->seq || f->rows != s->rows)
		REJECT("the end mark counts %llu frames and %llu rows; %llu and %llu came", (ull)f->frames, (ull)f->rows, (ull)s->seq, (ull)s->rows);
	if (f->has_sum && f->sum != s->sum)
		REJECT("the checksum of the rows is %016llx, the end mark says %016llx: bytes changed on the way", (ull)s->sum, (ull)f->sum);
	s->open = false;
	return 1;
}

int
stream_next(struct stream *s, struct frame **f, struct err *e)
{
	int got = stream_next_unchecked(s, f, e);

	return got < 0 ? -1 : stream_check(s, got, e);
}

bool
stream_pending(struct stream *s)
{
	return s->t->ops->pending && s->t->ops->pending(s->t);
}

void
stream_when_idle(struct stream *s, int (*idle)(void *arg), void *arg)
{
	s->t->opts.idle = idle;
	s->t->opts.idle_arg = arg;
}

void
stream_take(struct stream *s, struct frame *f, struct buf *bytes)
{
	struct frame frame = s->in;
	struct buf buf = s->bytes;

	s->in = *f;
	s->bytes = *bytes;
	*f = frame;
	*bytes = buf;
}

int
stream_check(struct stream *s, int got, struct err *e)
{
	if (got == 0) {
		if (!s->open && s->counts.streams)
			return 0;
		if (!s->open)
			err_set(e, CODE_DATA, "%s: empty: not even a head came; the stage before may have failed", s->t->name);
		else
			err_set(e, CODE_DATA, "%s: ends after frame %llu (%llu rows) without an end mark; the stage before may have failed",
			        s->t->name, (ull)s->frame - 1, (ull)s->rows);
		return -1;
	}
	if (s->in.kind == FRAME_ERROR) {
		err_set(e, CODE_DATA, "%s: %s failed: %s", s->t->name, s->in.who[0] ? s->in.who : "a stage before",
		        s->in.text[0] ? s->in.text : "no reason given");
		return -1;
	}
	if (s->in.kind == FRAME_HEAD) {
		if (s->open)
			REJECT("a head where rows or an end were expected");
		if (head_read(&s->head, &s->in, e)) {
			err_add(e, "%s: frame %llu", s->t->name, (ull)s->frame - 1);
			return -1;
		}
		s->open = true;
		s->seq = s->rows = s->sum = s->row = 0;
		atomic_fetch_add(&s->counts.streams, 1);
		return 1;
	}
	if (!s->open && s->in.kind != FRAME_OTHER)
		REJECT("a%s %s frame outside a stream: a head was expected", s->in.kind == FRAME_END ? "n" : "", s->in.kind_text);
	if (s->in.kind == FRAME_ROWS)
		return check_rows(s, e);
	return s->in.kind == FRAME_END ? check_end(s, e) : 1;
}

/* ---- out ---- */

int
stream_raw(struct stream *s, struct frame_packed *p, struct err *e)
{
	double before = now();
	struct iovec *iov;
	size_t n;
	int code;

	if (p->size > s->t->opts.max_frame)
		return err_set(e, CODE_DATA, "%s: a frame of %llu bytes would pass the limit of %llu; raise --max-frame or use smaller batches (-b)",
		               s->t->name, (ull)p->size, (ull)s->t->opts.max_frame);
	iov = frame_packed_iov(p, &n);
	code = s->t->ops->send(s->t, iov, n, e);
	atomic_fetch_add(&s->counts.waited_ns, (uint64_t)((now() - before) * 1e9));
	atomic_fetch_add(&s->counts.frames, 1);
	atomic_fetch_add(&s->counts.bytes, p->size);
	return code;
}

int
stream_head(struct stream *s, const struct head *h, struct err *e)
{
	struct buf b = {0};

	e->code = 0;
	s->seq = s->rows = s->sum = s->row = 0;
	atomic_fetch_add(&s->counts.streams, 1);
	s->open = true;
	if (!head_pack(h, &b, e) && !frame_pack_bytes(&s->packed, b.data, b.len, e))
		stream_raw(s, &s->packed, e);
	buf_free(&b);
	return e->code;
}

static int
send_rows(struct stream *s, const struct frame *f, uint64_t first, uint64_t n, struct err *e)
{
	if (frame_pack_rows(&s->packed, f, s->seq, s->row, first, n, e))
		return e->code;
	if (s->packed.size > s->t->opts.max_frame && n > 1)
		return send_rows(s, f, first, n / 2, e) || send_rows(s, f, first + n / 2, n - n / 2, e) ? e->code : 0;
	if (stream_raw(s, &s->packed, e))
		return e->code;
	s->sum += frame_packed_hash(&s->packed);
	s->seq++;
	s->row += n;
	s->rows += n;
	atomic_fetch_add(&s->counts.rows, n);
	return 0;
}

int
stream_rows(struct stream *s, const struct frame *f, struct err *e)
{
	if (!s->seq)
		s->row = f->row;
	return send_rows(s, f, 0, f->n, e);
}

int
stream_end(struct stream *s, struct err *e)
{
	s->open = false;
	if (frame_pack_end(&s->packed, s->seq, s->rows, s->sum, e))
		return e->code;
	return stream_raw(s, &s->packed, e);
}

int
stream_pass(struct stream *s, const struct frame *f, struct err *e)
{
	if (frame_pack_bytes(&s->packed, f->bytes, f->size, e))
		return e->code;
	return stream_raw(s, &s->packed, e);
}

void
stream_fail(struct stream *s, const char *who, const char *text)
{
	struct err ignored = {0};

	if (!frame_pack_error(&s->packed, who, text, &ignored))
		(void)stream_raw(s, &s->packed, &ignored);
}

int
stream_finish(struct stream *s, struct err *e)
{
	return s->t->ops->finish(s->t, e);
}

void
stream_close(struct stream *s)
{
	if (!s)
		return;
	s->t->ops->abort(s->t);
	s->t->ops->free(s->t);
	buf_free(&s->bytes);
	frame_free(&s->in);
	frame_packed_free(&s->packed);
	head_free(&s->head);
	free(s);
}

bool
stream_is_file(const char *path)
{
	unsigned char first[FIRST_BYTES];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	bool is = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && io_pread_full(fd, first, sizeof first, 0) == (ssize_t)sizeof first &&
	          looks_like_frame(first, sizeof first);

	if (fd >= 0)
		close(fd);
	return is;
}

const char *
stream_name(const struct stream *s)
{
	return s->t->name;
}

struct stream_counts
stream_counts(const struct stream *s)
{
	return (struct stream_counts){s->counts.streams, s->counts.frames, s->counts.rows, s->counts.bytes, (double)s->counts.waited_ns * 1e-9};
}
