/* The farm's rules without its sockets: thousands of random schedules of
 * workers that die, freeze, stutter, leave, come late, fail and answer twice,
 * on a clock that only this test moves. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "farm/deal.h"
#include "tap.h"

#define WORKERS 8      /* at one time */
#define SILENCE 10.0
#define STEP 0.05      /* seconds */
#define PATIENCE 3600  /* simulated seconds a run may take */

struct message { double at; uint64_t number; };

/* One simulated worker: what is on the wire to it, and what it does. */
struct actor {
	bool there, known;   /* it runs; the farm has it */
	bool frozen, leaving, hung;
	int w;
	unsigned credit;
	double speed, thaw, busy_until;
	struct message inbox[64];
	size_t n;
	bool busy;
	uint64_t current;
};

struct world {
	struct rng rng;
	struct deal *d;
	struct actor actors[WORKERS];
	double now;
	uint64_t jobs, added, left, poison; /* poison: number + 1 */
	unsigned char *times;  /* each job left */
	size_t max_window, max_credit;
	unsigned violence;     /* of a thousand steps, how many hurt somebody */
	bool wrong, stopped, crowded;
	uint64_t named;        /* the poison that was found */
};

static bool
chance(struct world *w, double p)
{
	return rng_uniform(&w->rng) < p;
}

static void
arrive(struct world *w, struct actor *a)
{
	*a = (struct actor){.there = true, .known = true, .credit = 1 + (unsigned)rng_below(&w->rng, 5),
	                    .speed = 0.02 + 0.6 * rng_uniform(&w->rng)};
	a->w = deal_join(w->d, a->credit);
	if (a->w < 0)
		w->wrong = true;
}

static void
part(struct world *w, struct actor *a, bool vanished)
{
	uint64_t poison = deal_part(w->d, a->w, vanished);

	a->known = false;
	if (poison) {
		w->stopped = true;
		w->named = poison;
	}
}

/* Something bad, to somebody. Actor 0 is spared: with nobody left nothing ends. */
static void
hurt(struct world *w)
{
	struct actor *a = &w->actors[1 + rng_below(&w->rng, WORKERS - 1)];

	if (!a->there) {
		arrive(w, a);
		return;
	}
	switch (rng_below(&w->rng, 6)) {
	case 0: /* killed, and noticed */
		part(w, a, true);
		a->there = false;
		break;
	case 1: /* the machine is gone: only silence tells */
		a->frozen = true;
		a->thaw = 1e9;
		break;
	case 2: /* frozen for a while; perhaps longer than the farm waits */
		a->frozen = true;
		a->thaw = w->now + 25 * rng_uniform(&w->rng);
		break;
	case 3: /* leaves politely */
		a->leaving = true;
		deal_close(w->d, a->w);
		break;
	case 4: /* what was on the wire is lost with the connection; it comes again */
		part(w, a, true);
		arrive(w, a);
		break;
	default: /* alive, but its child hangs for good */
		a->hung = true;
	}
}

static void
answer(struct world *w, struct actor *a)
{
	enum deal_answer got;

	a->busy = false;
	if (a->current + 1 == w->poison || chance(w, 0.01)) {
		if (deal_failed(w->d, a->w, a->current)) {
			w->stopped = true;
			w->named = a->current + 1;
		}
		return;
	}
	got = deal_done(w->d, a->w, a->current, 10);
	w->wrong |= got == DEAL_NEVER;
	if (chance(w, 0.01)) /* said twice */
		w->wrong |= deal_done(w->d, a->w, a->current, 10) != DEAL_AGAIN;
}

static void
act(struct world *w, struct actor *a)
{
	if (a->frozen && w->now >= a->thaw) {
		a->frozen = false;
		if (!a->known) /* it was given up meanwhile, and is told so */
			arrive(w, a);
	}
	if (!a->there || a->frozen || !a->known)
		return;
	deal_heard(w->d, a->w);
	if (a->busy && w->now >= a->busy_until && !a->hung)
		answer(w, a);
	if (!a->busy && a->n && a->inbox[0].at <= w->now) {
		a->current = a->inbox[0].number;
		memmove(a->inbox, a->inbox + 1, --a->n * sizeof *a->inbox);
		a->busy = true;
		a->busy_until = w->now + a->speed * (chance(w, 0.02) ? 30 : 1);
	}
	if (a->leaving && !a->busy && !a->n) {
		part(w, a, false);
		a->there = false;
	}
}

static void
send_all(struct world *w)
{
	struct deal_worker seen;
	uint64_t number;
	size_t i;
	int to;

	while (deal_pick(w->d, &to, &number)) {
		w->wrong |= !deal_worker(w->d, to, &seen) || !seen.there || seen.held > seen.credit;
		for (i = 0; i < WORKERS; i++)
			if (w->actors[i].there && w->actors[i].known && w->actors[i].w == to)
				break;
		if (i == WORKERS || w->actors[i].n == 64) {
			w->wrong = true;
			return;
		}
		w->actors[i].inbox[w->actors[i].n++] = (struct message){w->now + 0.2 * rng_uniform(&w->rng), number};
	}
}

static void
step(struct world *w)
{
	struct deal_counts c;
	struct err e = {0};
	uint64_t number;
	void *what;
	size_t i;
	int gone;

	w->now += STEP;
	deal_clock(w->d, w->now);
	if (rng_below(&w->rng, 1000) < w->violence)
		hurt(w);
	while ((gone = deal_silent(w->d)) >= 0)
		for (i = 0; i < WORKERS; i++)
			if (w->actors[i].known && w->actors[i].w == gone)
				part(w, &w->actors[i], true);
	while (w->added < w->jobs && deal_room(w->d)) {
		w->wrong |= deal_add(w->d, &w->times[w->added], 100, &number, &e) || number != w->added;
		w->added++;
	}
	c = deal_counts(w->d);
	if (c.window > w->max_window)
		w->max_window = c.window;
	if (c.credit > w->max_credit)
		w->max_credit = c.credit;
	w->wrong |= c.window != c.waiting + c.out + c.ready || c.workers > WORKERS;
	send_all(w);
	for (i = 0; i < WORKERS; i++)
		act(w, &w->actors[i]);
	while (deal_leave(w->d, &what)) {
		w->wrong |= what != &w->times[w->left]; /* in order */
		++*(unsigned char *)what;
		w->left++;
	}
}

/* One schedule; true when all was well. */
static bool
run(uint64_t seed, uint64_t jobs, unsigned violence, uint64_t poison, struct deal_counts *c)
{
	struct world w = {.jobs = jobs, .violence = violence, .poison = poison};
	struct deal_opts o = {.silence = SILENCE, .max_bytes = 1 << 20};
	struct err e = {0};
	bool well;
	uint64_t i;

	rng_seed(&w.rng, seed, 7);
	w.d = deal_new(&o, &e);
	w.times = calloc(jobs, 1);
	arrive(&w, &w.actors[0]);
	while (!w.wrong && !w.stopped && w.left < jobs && w.now < PATIENCE)
		step(&w);
	*c = deal_counts(w.d);
	well = !w.wrong && w.max_window <= (DEAL_AHEAD * w.max_credit > 4 ? DEAL_AHEAD * w.max_credit : 4);
	if (poison)
		well = well && w.stopped && w.named == poison && w.left < poison;
	else
		well = well && !w.stopped && w.left == jobs;
	for (i = 0; i < jobs; i++)
		well = well && w.times[i] == (i < w.left);
	if (!well)
		printf("# seed %llu: %llu of %llu left, window %zu, credit %zu, %.0f s, wrong %d, poison %llu named %llu\n", (unsigned long long)seed,
		       (unsigned long long)w.left, (unsigned long long)jobs, w.max_window, w.max_credit, w.now, w.wrong,
		       (unsigned long long)poison, (unsigned long long)w.named);
	deal_free(w.d);
	free(w.times);
	return well;
}

static void
try_schedules(void)
{
	static const unsigned violences[] = {0, 5, 20, 80};
	struct deal_counts c;
	uint64_t redealt, duplicates;
	size_t v, bad;
	uint64_t seed;

	for (v = 0; v < 4; v++) {
		for (seed = bad = redealt = duplicates = 0; seed < 1000; seed++) {
			bad += !run(1000 * v + seed, 1 + seed % 200, violences[v], 0, &c);
			redealt += c.redealt;
			duplicates += c.duplicates;
		}
		tap_ok(!bad, "1000 schedules, violence %u: all out, in order, once (%llu dealt again, %llu answers not needed)", violences[v],
		       (unsigned long long)redealt, (unsigned long long)duplicates);
		tap_ok(v < 2 || (redealt > 1000 && duplicates > 100), "and they were hard enough to mean something");
	}
}

static void
try_poison(void)
{
	struct deal_counts c;
	uint64_t seed, bad = 0;

	for (seed = 0; seed < 300; seed++)
		bad += !run(90000 + seed, 60, seed % 3 ? 10 : 0, 1 + seed % 60, &c);
	tap_ok(!bad, "poison is named, whoever is there, and nothing behind it leaves");
}

/* A schedule by hand, with names for what happens. */
struct hand { struct deal *d; uint64_t number; int w; double now; };

static void
hand_begin(struct hand *h, unsigned jobs)
{
	struct deal_opts o = {.silence = SILENCE, .max_bytes = 1000};
	struct err e = {0};

	h->now = 100;
	h->d = deal_new(&o, &e);
	deal_clock(h->d, h->now);
	while (jobs--)
		deal_add(h->d, h, 10, &h->number, &e);
}

static void
hand_wait(struct hand *h, double seconds)
{
	for (; seconds > 0; seconds -= 0.5)
		deal_clock(h->d, h->now += 0.5);
}

static void
try_hands(void)
{
	struct hand h;
	struct deal_counts c;
	struct err e = {0};
	int a, b;

	hand_begin(&h, 2);
	tap_ok(!deal_pick(h.d, &h.w, &h.number), "nobody there: nothing is dealt");
	a = deal_join(h.d, 1);
	tap_ok(deal_pick(h.d, &h.w, &h.number) && h.w == a && h.number == 0, "the first job goes first");
	tap_ok(!deal_pick(h.d, &h.w, &h.number), "and no more than the credit");
	tap_ok(deal_done(h.d, a, 1, 0) == DEAL_NEVER, "an answer to what was never asked");
	tap_ok(deal_done(h.d, a, 7, 0) == DEAL_NEVER, "an answer to what is not there");
	b = deal_join(h.d, 1);
	tap_ok(deal_pick(h.d, &h.w, &h.number) && h.w == b && h.number == 1, "the second goes to the other");
	tap_ok(deal_done(h.d, b, 1, 5) == DEAL_FIRST && !deal_leave(h.d, &(void *){NULL}), "and waits for its turn");
	hand_wait(&h, 3);
	deal_heard(h.d, a);
	deal_heard(h.d, b);
	tap_ok(deal_pick(h.d, &h.w, &h.number) && h.w == b && h.number == 0, "what is late goes to who has nothing to do");
	tap_ok(!deal_pick(h.d, &h.w, &h.number), "but not at once again");
	tap_ok(deal_done(h.d, b, 0, 5) == DEAL_FIRST && deal_done(h.d, a, 0, 5) == DEAL_AGAIN, "the first answer counts");
	tap_ok(deal_leave(h.d, &(void *){NULL}) && deal_leave(h.d, &(void *){NULL}) && !deal_leave(h.d, &(void *){NULL}), "both leave");
	c = deal_counts(h.d);
	tap_ok(c.bytes == 0 && c.redealt == 1 && c.duplicates == 1 && c.left == 2, "and are counted");
	deal_free(h.d);

	hand_begin(&h, 1);
	a = deal_join(h.d, 1);
	deal_clock(h.d, h.now += 1000);
	tap_ok(deal_silent(h.d) < 0, "a farm that slept blames nobody");
	hand_wait(&h, SILENCE);
	tap_ok(deal_silent(h.d) == a, "a worker that is silent is found");
	deal_free(h.d);

	hand_begin(&h, 1);
	tap_ok(deal_room(h.d), "room for more");
	deal_add(h.d, NULL, 2000, &h.number, &e);
	tap_ok(!deal_room(h.d), "but not for more bytes than agreed");
	tap_ok(deal_done(h.d, -1, 0, 0) == DEAL_FIRST && deal_done(h.d, -1, 1, 0) == DEAL_FIRST && deal_room(h.d), "what is small when done makes room");
	deal_free(h.d);

	hand_begin(&h, 1);
	for (a = 0; a < DEAL_DEATHS; a++) {
		b = deal_join(h.d, 1);
		deal_pick(h.d, &h.w, &h.number);
		h.number = deal_part(h.d, b, true);
		if (h.number)
			break;
	}
	tap_ok(a == DEAL_DEATHS - 1 && h.number == 1, "a job that takes a dozen workers with it is poison");
	deal_free(h.d);
	hand_begin(&h, 0);
	for (a = 0; deal_join(h.d, 99) >= 0; a++)
		;
	tap_ok(a == DEAL_WORKERS_MAX && deal_counts(h.d).credit == DEAL_WORKERS_MAX * DEAL_CREDIT_MAX, "there is an end to workers and their credit");
	deal_free(h.d);
}

int
main(void)
{
	try_hands();
	try_schedules();
	try_poison();
	return tap_done();
}
