#include "farm/ends.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/thread.h"
#include "farm/message.h"
#include "stream/frame.h"
#include "stream/head.h"

#define NUDGE_MS 20

void
course_let_go(struct course *c)
{
	if (!c || atomic_fetch_sub(&c->owners, 1) != 1)
		return;
	parcel_free(&c->head);
	answer_free(&c->made);
	free(c);
}

void
item_free(struct item *it)
{
	if (!it)
		return;
	course_let_go(it->course);
	if (it->packed)
		parcel_free(&it->work);
	answer_free(&it->answer);
	free(it);
}

int
head_print(const unsigned char *p, size_t n, uint64_t *print, struct err *e)
{
	struct frame f = {0};
	struct head h = {0};
	struct buf b = {0};

	if (frame_parse(&f, p, n, e) || (f.kind != FRAME_HEAD && err_set(e, CODE_DATA, "no head")) || head_read(&h, &f, e))
		goto out;
	head_drop(&h, "prov");
	if (!head_pack(&h, &b, e))
		*print = frame_hash(b.data, b.len);
out:
	buf_free(&b);
	head_free(&h);
	frame_free(&f);
	return e->code;
}

/* ---- reading ---- */

struct reader {
	struct ends *d;
	struct course *course; /* that is being read */
	uint64_t courses, job;
	struct frame_packed packed;
	struct err *e;
};

static int
begin_course(struct reader *r, const struct frame *f)
{
	struct course *c = calloc(1, sizeof *c);
	struct message m = {.type = MESSAGE_HEAD, .run = r->d->run, .number = r->courses, .body = f->bytes, .size = f->size};

	if (!c)
		return err_memory(r->e, "a stream", sizeof *c);
	atomic_init(&c->owners, 1);
	c->number = r->courses++;
	if (message_pack(&c->head, &m, r->e)) {
		free(c);
		return r->e->code;
	}
	course_let_go(r->course);
	r->course = c;
	return 0;
}

/* The message that asks for it: the frame as the first of a stream, and what
 * the end of that stream says. Of a head only that it is wanted: it goes ahead,
 * in a message of its own. */
static int
pack_work(struct reader *r, struct item *it, const struct frame *f)
{
	struct message work = {.type = MESSAGE_WORK, .run = r->d->run, .number = it->job, .extra = it->course->number};
	struct message_counts counts = {.frames = f->kind == FRAME_ROWS, .rows = f->kind == FRAME_ROWS ? f->n : 0};
	struct iovec *iov;
	unsigned char *p;
	size_t n, i;

	if (it->kind == ITEM_HEAD)
		return message_pack(&it->work, &work, r->e);
	if (f->kind == FRAME_ROWS ? frame_pack_rows(&r->packed, f, 0, f->row, 0, f->n, r->e) : frame_pack_bytes(&r->packed, f->bytes, f->size, r->e))
		return r->e->code;
	iov = frame_packed_iov(&r->packed, &n);
	if (parcel_new(&it->work, MESSAGE_HEADER + MESSAGE_COUNTS + r->packed.size, r->e))
		return r->e->code;
	p = parcel_data(&it->work) + MESSAGE_HEADER + MESSAGE_COUNTS;
	for (i = 0; i < n; p += iov[i++].iov_len)
		memcpy(p, iov[i].iov_base, iov[i].iov_len);
	p = parcel_data(&it->work);
	if (counts.frames)
		counts.sum = frame_hash(p + MESSAGE_HEADER + MESSAGE_COUNTS, r->packed.size);
	message_header(p, &work);
	message_counts(p + MESSAGE_HEADER, &counts);
	return 0;
}

static int
fill(struct reader *r, struct item *it, const struct frame *f)
{
	int got;

	it->job = r->job++;
	it->in = r->d->journal ? frame_hash(f->bytes, f->size) : 0;
	it->seq = f->seq;
	it->row = f->row;
	it->n = f->n;
	if (f->kind == FRAME_HEAD && begin_course(r, f))
		return r->e->code;
	it->kind = f->kind == FRAME_HEAD ? ITEM_HEAD : f->kind == FRAME_END ? ITEM_END : r->course ? ITEM_FRAME : ITEM_PASS;
	it->course = r->course;
	if (it->course)
		atomic_fetch_add(&it->course->owners, 1);
	if (it->kind == ITEM_END) {
		course_let_go(r->course);
		r->course = NULL;
	}
	it->answered = it->kind == ITEM_END || it->kind == ITEM_PASS;
	if (it->kind == ITEM_PASS && answer_add(&it->answer, f->bytes, f->size, r->e))
		return r->e->code;
	if (r->d->journal) {
		struct answer kept = {0};

		got = journal_next(r->d->journal, it->job, it->in, &kept, r->e);
		if (got > 0) {
			answer_free(&it->answer);
			it->answer = kept;
			it->answered = it->replayed = true;
		} else {
			answer_free(&kept);
		}
		if (got < 0)
			return r->e->code;
	}
	if (it->answered)
		return 0;
	if (pack_work(r, it, f))
		return r->e->code;
	it->packed = true;
	return 0;
}

static int
read_one(struct reader *r, const struct frame *f)
{
	struct item *it = calloc(1, sizeof *it);

	if (!it)
		return err_memory(r->e, "a frame", sizeof *it);
	if (fill(r, it, f) || !lane_put(&r->d->read, it)) {
		item_free(it);
		return r->e->code ? r->e->code : err_set(r->e, CODE_TRYAGAIN, "stopped");
	}
	return 0;
}

static void *
read_all(void *arg)
{
	struct ends *d = arg;
	struct reader r = {.d = d, .e = &d->read_err};
	struct frame *f;
	int got;

	while ((got = stream_next(d->in, &f, r.e)) > 0 && !read_one(&r, f))
		;
	course_let_go(r.course);
	frame_packed_free(&r.packed);
	atomic_store(&d->read_over, true);
	lane_shut(&d->read);
	return NULL;
}

/* ---- writing ---- */

static int
write_frame(struct stream *out, const struct item *it, struct frame *f, struct err *e)
{
	struct head h = {0};

	if (f->kind == FRAME_ROWS)
		return stream_rows(out, f, e);
	if (f->kind != FRAME_HEAD)
		return stream_pass(out, f, e);
	if (it->kind != ITEM_HEAD)
		return err_set(e, CODE_BUG, "a head among the rows");
	if (!head_read(&h, f, e))
		stream_head(out, &h, e);
	head_free(&h);
	return e->code;
}

static int
write_item(struct ends *d, struct item *it)
{
	struct err *e = &d->write_err;
	struct frame f = {0};
	size_t i;

	for (i = 0; i < it->answer.n && !e->code; i++)
		if (!frame_parse(&f, it->answer.bytes.data + it->answer.frames[i].at, it->answer.frames[i].size, e))
			write_frame(d->out, it, &f, e);
	frame_free(&f);
	if (it->kind == ITEM_END && !e->code)
		stream_end(d->out, e);
	return e->code;
}

/* What was computed is kept in the journal even when nobody reads us any more:
 * the output begins again next time, the journal goes on. */
static void *
write_all(void *arg)
{
	struct ends *d = arg;
	struct err kept = {0};
	struct item *it;

	while ((it = lane_get(&d->write))) {
		if (!d->write_err.code)
			write_item(d, it);
		if (d->journal && !it->replayed && !kept.code)
			journal_add(d->journal, it->job, it->in, &it->answer, &kept);
		if (d->journal && !kept.code)
			d->journalled = it->job + 1;
		if (kept.code && !d->write_err.code)
			d->write_err = kept;
		if (d->write_err.code)
			atomic_store(&d->write_failed, true);
		item_free(it);
	}
	atomic_store(&d->write_over, true);
	lane_shut(&d->write); /* wakes who serves */
	return NULL;
}

int
ends_start(struct ends *d, struct stream *in, struct stream *out, struct journal *j, int wake, struct err *e)
{
	d->in = in;
	d->out = out;
	d->journal = j;
	d->laid = true;
	lane_init(&d->read, wake);
	lane_init(&d->write, wake);
	d->reading = !thread_start(&d->reader, read_all, d, SIGUSR2);
	d->writing = d->reading && !thread_start(&d->writer, write_all, d, SIGUSR2);
	return d->writing ? 0 : err_set(e, CODE_TRYAGAIN, "cannot start threads");
}

static void
nudge(pthread_t t)
{
	struct timespec pause = {.tv_nsec = NUDGE_MS * 1000000L};

	pthread_kill(t, SIGUSR2);
	nanosleep(&pause, NULL);
}

void
ends_nudge(struct ends *d)
{
	if (d->writing && !atomic_load(&d->write_over))
		nudge(d->writer);
}

static void
end_thread(pthread_t t, atomic_bool *over)
{
	while (!atomic_load(over))
		nudge(t);
	pthread_join(t, NULL);
}

void
ends_stop(struct ends *d)
{
	struct item *it;

	if (!d->laid)
		return;
	lane_shut(&d->read);
	lane_shut(&d->write);
	if (d->reading)
		end_thread(d->reader, &d->read_over);
	if (d->writing)
		end_thread(d->writer, &d->write_over);
	while ((it = lane_try_get(&d->read)) || (it = lane_try_get(&d->write)))
		item_free(it);
	lane_free(&d->read);
	lane_free(&d->write);
	d->laid = d->reading = d->writing = false;
}
