/* The filter loop for programs that can work on several frames at the same time.
 *
 * This thread reads and writes; lanes, a thread each, do the rows of whole
 * frames, which they never wait for each other at, as threads that share a
 * frame do. Frames are written in the order they came, each as soon as it can be.
 * Only a frame that has company goes to a lane: one that comes alone is done here,
 * by all threads of the pool. So nobody who waits for an answer waits for his next
 * question, whole or begun. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "cli/private.h"

#define SPARE 2 /* frames that wait for a lane, so that none waits for us */
#define LARGEST (4u << 20) /* bytes of a frame for a lane: larger ones keep all threads busy, and memory */

/* A frame on its way. */
struct slot {
	struct run run;
	struct buf bytes;
	struct frame frame;
	int code;
	bool done;
};

struct lanes {
	struct run *r;
	pthread_mutex_t lock;
	pthread_cond_t given_one, done_one;
	struct slot *slots;  /* [n], frame i in i % n */
	size_t n;
	pthread_t *threads;
	size_t nthreads;
	uint64_t given, taken, written; /* frames: given to lanes, begun there, written */
	bool quit, never;    /* never: the program has no lanes this time */
	bool begun;          /* a frame of rows has been done here */
	int code;            /* of what failed while we were to read, with r->err filled */
};

static void *
lane_main(void *arg)
{
	struct lanes *l = arg;
	struct slot *s;

	pthread_mutex_lock(&l->lock);
	for (;;) {
		while (!l->quit && l->taken == l->given)
			pthread_cond_wait(&l->given_one, &l->lock);
		if (l->quit)
			break;
		s = &l->slots[l->taken++ % l->n];
		pthread_mutex_unlock(&l->lock);
		s->code = l->r->program->rows(&s->run, &s->frame);
		pthread_mutex_lock(&l->lock);
		s->done = true;
		pthread_cond_signal(&l->done_one);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* A run for slot s; *can as program.lane says. */
static int
make_run(struct run *r, struct slot *s, bool *can)
{
	const struct program *p = r->program;
	int code;

	*can = true;
	s->run = (struct run){.program = p, .common = r->common, .cpu = r->cpu, .in = r->in, .self = malloc(p->self_size)};
	if (!s->run.self)
		return err_memory(&r->err, "lanes", p->self_size);
	memcpy(s->run.self, r->self, p->self_size);
	code = p->lane(&s->run, can);
	r->err = s->run.err;
	return code;
}

static int
start_threads(struct lanes *l)
{
	while (l->nthreads < l->r->common.threads && !thread_start(&l->threads[l->nthreads], lane_main, l, 0))
		l->nthreads++;
	return l->nthreads ? 0 : -1;
}

/* At the first frame that is for a lane; *can false: there are none this time. */
static int
start(struct lanes *l, bool *can)
{
	size_t threads = (size_t)l->r->common.threads;
	int code = 0;

	*can = !l->never;
	if (l->nthreads || l->never)
		return 0;
	l->slots = calloc(threads + SPARE, sizeof *l->slots);
	l->threads = calloc(threads, sizeof *l->threads);
	if (!l->slots || !l->threads)
		return err_memory(&l->r->err, "lanes", (threads + SPARE) * sizeof *l->slots);
	while (!code && *can && l->n < threads + SPARE)
		code = make_run(l->r, &l->slots[l->n++], can);
	l->never = code || !*can || start_threads(l);
	*can = !l->never;
	return code;
}

static void
stop(struct lanes *l)
{
	size_t i;

	pthread_mutex_lock(&l->lock);
	l->quit = true;
	pthread_cond_broadcast(&l->given_one);
	pthread_mutex_unlock(&l->lock);
	for (i = 0; i < l->nthreads; i++)
		pthread_join(l->threads[i], NULL);
	for (i = 0; i < l->n; i++) {
		if (l->slots[i].run.self)
			l->r->program->lane_clean(&l->slots[i].run);
		free(l->slots[i].run.self);
		csr_free(&l->slots[i].run.sorted);
		frame_free(&l->slots[i].frame);
		buf_free(&l->slots[i].bytes);
	}
	free(l->slots);
	free(l->threads);
	pthread_cond_destroy(&l->given_one);
	pthread_cond_destroy(&l->done_one);
	pthread_mutex_destroy(&l->lock);
}

/* Waits for the oldest frame and writes it. */
static int
write_oldest(struct lanes *l)
{
	struct slot *s = &l->slots[l->written % l->n];
	struct run *r = l->r;

	pthread_mutex_lock(&l->lock);
	while (!s->done)
		pthread_cond_wait(&l->done_one, &l->lock);
	pthread_mutex_unlock(&l->lock);
	l->written++;
	s->done = false;
	if (s->code) {
		r->err = s->run.err;
		return s->code;
	}
	return stream_rows(r->out, &s->frame, &r->err) ? r->err.code : frame_done(r, r->out); /* more have been read */
}

static bool
oldest_is_done(struct lanes *l)
{
	bool done;

	pthread_mutex_lock(&l->lock);
	done = l->slots[l->written % l->n].done;
	pthread_mutex_unlock(&l->lock);
	return done;
}

/* Nothing to read for now: what is done is written. */
static int
idle(void *arg)
{
	struct lanes *l = arg;

	while (!l->code && l->written < l->given && oldest_is_done(l))
		l->code = write_oldest(l);
	return l->code ? -1 : l->written < l->given;
}

static int
write_all(struct lanes *l)
{
	int code = 0;

	while (!code && l->written < l->given)
		code = write_oldest(l);
	return code;
}

/* The frame that was just read goes to a lane. */
static void
give(struct lanes *l)
{
	struct slot *s = &l->slots[l->given % l->n];

	stream_take(l->r->in, &s->frame, &s->bytes);
	s->run.head = l->r->head; /* read only, and not changed while a frame is on its way */
	s->run.head_number = l->r->head_number;
	pthread_mutex_lock(&l->lock);
	l->given++;
	pthread_cond_signal(&l->given_one);
	pthread_mutex_unlock(&l->lock);
}

/* One frame in. 1, or 0 when the input is over, or -1 with r->err filled. */
static int
step(struct lanes *l)
{
	struct run *r = l->r;
	struct err e = {0};
	struct frame *f;
	bool can = false;
	int got = stream_next(r->in, &f, &e);

	if (l->code)
		return -1;
	if (got > 0 && f->kind == FRAME_ROWS && l->begun && f->size <= LARGEST && (l->written < l->given || stream_pending(r->in))) {
		if (start(l, &can))
			return -1;
		if (can) {
			give(l);
			return 1;
		}
	}
	if (write_all(l))
		return -1;
	if (got < 0)
		r->err = e;
	else if (got > 0 && !frame_begin(r, f) && !on_frame(r, f, NULL))
		frame_done(r, r->in);
	l->begun = l->begun || (got > 0 && f->kind == FRAME_ROWS);
	return r->err.code ? -1 : got;
}

int
lanes_run(struct run *r)
{
	struct lanes l = {.r = r, .lock = PTHREAD_MUTEX_INITIALIZER, .given_one = PTHREAD_COND_INITIALIZER, .done_one = PTHREAD_COND_INITIALIZER};
	int got = 1;

	stream_when_idle(r->in, idle, &l);
	while (got > 0) {
		if (l.n && l.given - l.written == l.n)
			got = write_oldest(&l) ? -1 : 1;
		else
			got = step(&l);
	}
	stream_when_idle(r->in, NULL, NULL);
	stop(&l);
	return got < 0 ? r->err.code : 0;
}
