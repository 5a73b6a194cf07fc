#include "farm/deal.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST_STEP 1.0 /* seconds */
#define WINDOW_LEAST 4

enum state { WAITING, OUT, DONE };

struct job {
	void *what;
	uint64_t bytes;
	enum state state;
	bool dealt_once;
	unsigned holders, failures, deaths;
	uint64_t failed_by[DEAL_POISON]; /* serials */
	double dealt;      /* when last */
};

struct worker {
	struct deal_worker pub;
	uint64_t serial;   /* never used twice, as numbers are */
	uint64_t held[DEAL_CREDIT_MAX];
	double since[DEAL_CREDIT_MAX];
	double heard;
};

struct deal {
	struct deal_opts opts;
	double now, real;
	bool started;
	struct job *jobs;      /* ring: number n is at n % cap */
	size_t cap;
	uint64_t first, next;  /* numbers in the window: first <= n < next */
	uint64_t try_from;     /* none below it is waiting */
	struct worker *workers;
	int nworkers;          /* numbers used so far */
	uint64_t serials;
	double usual;          /* seconds a job takes, smoothed */
	struct deal_counts counts;
};

struct deal *
deal_new(const struct deal_opts *o, struct err *e)
{
	struct deal *d = calloc(1, sizeof *d);

	if (d) {
		d->opts = *o;
		d->workers = calloc(DEAL_WORKERS_MAX, sizeof *d->workers);
	}
	if (!d || !d->workers) {
		free(d);
		err_memory(e, "a farm", sizeof *d + DEAL_WORKERS_MAX * sizeof(struct worker));
		return NULL;
	}
	return d;
}

void
deal_free(struct deal *d)
{
	if (!d)
		return;
	free(d->jobs);
	free(d->workers);
	free(d);
}

void
deal_clock(struct deal *d, double seconds)
{
	double step = seconds - d->real;

	if (d->started && step > 0)
		d->now += step < LONGEST_STEP ? step : LONGEST_STEP;
	d->started = true;
	d->real = seconds;
}

/* ---- jobs ---- */

static struct job *
job_at(const struct deal *d, uint64_t number)
{
	return number >= d->first && number < d->next ? &d->jobs[number % d->cap] : NULL;
}

bool
deal_room(const struct deal *d)
{
	size_t window = (size_t)DEAL_AHEAD * d->counts.credit;

	if (d->next - d->first >= (window > WINDOW_LEAST ? window : WINDOW_LEAST))
		return false;
	return d->next == d->first || d->counts.bytes < d->opts.max_bytes;
}

static int
grow(struct deal *d, struct err *e)
{
	size_t cap = d->cap ? 2 * d->cap : 64;
	struct job *jobs = calloc(cap, sizeof *jobs);
	uint64_t n;

	if (!jobs)
		return err_memory(e, "jobs", cap * sizeof *jobs);
	for (n = d->first; n < d->next; n++)
		jobs[n % cap] = d->jobs[n % d->cap];
	free(d->jobs);
	d->jobs = jobs;
	d->cap = cap;
	return 0;
}

int
deal_add(struct deal *d, void *what, uint64_t bytes, uint64_t *number, struct err *e)
{
	if (d->next - d->first == d->cap && grow(d, e))
		return e->code;
	*number = d->next++;
	d->jobs[*number % d->cap] = (struct job){.what = what, .bytes = bytes};
	d->counts.bytes += bytes;
	d->counts.added++;
	d->counts.waiting++;
	return 0;
}

void *
deal_what(const struct deal *d, uint64_t number)
{
	const struct job *j = job_at(d, number);

	return j ? j->what : NULL;
}

static void
wait_again(struct deal *d, uint64_t number)
{
	struct job *j = job_at(d, number);

	j->state = WAITING;
	d->counts.out--;
	d->counts.waiting++;
	if (number < d->try_from)
		d->try_from = number;
}

/* One holder less. */
static void
give_back(struct deal *d, uint64_t number)
{
	struct job *j = job_at(d, number);

	if (j && j->holders && !--j->holders && j->state == OUT)
		wait_again(d, number);
}

bool
deal_leave(struct deal *d, void **what)
{
	struct job *j = job_at(d, d->first);

	if (!j || j->state != DONE)
		return false;
	d->counts.ready--;
	d->counts.left++;
	d->counts.bytes -= j->bytes;
	*what = j->what;
	d->first++;
	return true;
}

bool
deal_drop(struct deal *d, void **what)
{
	struct job *j = job_at(d, d->first);

	if (!j)
		return false;
	*what = j->what;
	d->first++;
	return true;
}

/* ---- workers ---- */

int
deal_join(struct deal *d, unsigned credit)
{
	struct worker *wk;
	int w;

	for (w = 0; w < d->nworkers && d->workers[w].pub.there; w++)
		;
	if (w == DEAL_WORKERS_MAX)
		return -1;
	if (w == d->nworkers)
		d->nworkers++;
	if (credit < 1)
		credit = 1;
	if (credit > DEAL_CREDIT_MAX)
		credit = DEAL_CREDIT_MAX;
	wk = &d->workers[w];
	*wk = (struct worker){.pub = {.there = true, .credit = credit}, .serial = ++d->serials, .heard = d->now};
	d->counts.workers++;
	d->counts.credit += credit;
	return w;
}

static struct worker *
worker_at(const struct deal *d, int w)
{
	return w >= 0 && w < d->nworkers && d->workers[w].pub.there ? &d->workers[w] : NULL;
}

void
deal_heard(struct deal *d, int w)
{
	struct worker *wk = worker_at(d, w);

	if (wk)
		wk->heard = d->now;
}

int
deal_silent(const struct deal *d)
{
	int w;

	for (w = 0; w < d->nworkers; w++)
		if (d->workers[w].pub.there && d->now - d->workers[w].heard > d->opts.silence)
			return w;
	return -1;
}

void
deal_close(struct deal *d, int w)
{
	struct worker *wk = worker_at(d, w);

	if (!wk)
		return;
	d->counts.credit -= wk->pub.credit;
	wk->pub.credit = 0;
}

uint64_t
deal_part(struct deal *d, int w, bool vanished)
{
	struct worker *wk = worker_at(d, w);
	struct job *oldest;
	uint64_t poison = 0;
	unsigned i;

	if (!wk)
		return 0;
	/* jobs are worked on in the order they were dealt */
	oldest = wk->pub.held ? job_at(d, wk->held[0]) : NULL;
	if (vanished && oldest && oldest->state != DONE && ++oldest->deaths >= DEAL_DEATHS)
		poison = wk->held[0] + 1;
	for (i = 0; i < wk->pub.held; i++)
		give_back(d, wk->held[i]);
	wk->pub.there = false;
	wk->pub.held = 0;
	d->counts.workers--;
	d->counts.credit -= wk->pub.credit;
	return poison;
}

/* Takes number out of what wk holds; false when it does not. *since: dealt. */
static bool
take_back(struct worker *wk, uint64_t number, double *since)
{
	unsigned i;

	for (i = 0; i < wk->pub.held && wk->held[i] != number; i++)
		;
	if (i == wk->pub.held)
		return false;
	*since = wk->since[i];
	wk->pub.held--;
	memmove(wk->held + i, wk->held + i + 1, (wk->pub.held - i) * sizeof *wk->held);
	memmove(wk->since + i, wk->since + i + 1, (wk->pub.held - i) * sizeof *wk->since);
	return true;
}

static bool
holds(const struct worker *wk, uint64_t number)
{
	unsigned i;

	for (i = 0; i < wk->pub.held; i++)
		if (wk->held[i] == number)
			return true;
	return false;
}

static bool
has_failed(const struct job *j, const struct worker *wk)
{
	unsigned i;

	for (i = 0; i < DEAL_POISON; i++)
		if (j->failed_by[i] == wk->serial)
			return true;
	return false;
}

/* ---- dealing ---- */

/* The worker for a job: of those with room the one that has least, then the
 * quickest. One that failed on it only when all there are did. */
static struct worker *
worker_for(struct deal *d, const struct job *j, uint64_t number, bool idle)
{
	struct worker *best = NULL, *wk;
	bool spared = false, fresh;
	int w;

	for (w = 0; w < d->nworkers && !spared; w++)
		spared = d->workers[w].pub.credit && d->workers[w].pub.there && !has_failed(j, &d->workers[w]);
	for (w = 0; w < d->nworkers; w++) {
		wk = &d->workers[w];
		fresh = !has_failed(j, wk);
		if (!wk->pub.there || !wk->pub.credit || wk->pub.held >= (idle ? 1 : wk->pub.credit) || (spared && !fresh) || holds(wk, number))
			continue;
		if (!best || wk->pub.held < best->pub.held || (wk->pub.held == best->pub.held && wk->pub.seconds < best->pub.seconds))
			best = wk;
	}
	return best;
}

static void
deal_to(struct deal *d, struct worker *wk, struct job *j, uint64_t number)
{
	wk->held[wk->pub.held] = number;
	wk->since[wk->pub.held++] = d->now;
	if (j->state == WAITING) {
		j->state = OUT;
		d->counts.waiting--;
		d->counts.out++;
	}
	d->counts.dealt++;
	d->counts.redealt += j->dealt_once;
	j->dealt_once = true;
	j->holders++;
	j->dealt = d->now;
}

static bool
pick_waiting(struct deal *d, struct worker **wk, uint64_t *number)
{
	bool all = true; /* so far none was waiting */
	struct job *j;
	uint64_t n;

	if (!d->counts.waiting)
		return false;
	if (d->try_from < d->first)
		d->try_from = d->first;
	for (n = d->try_from; n < d->next; n++) {
		j = job_at(d, n);
		if (j->state != WAITING)
			continue;
		if (all)
			d->try_from = n;
		all = false;
		*wk = worker_for(d, j, n, false);
		*number = n;
		if (*wk)
			return true;
		if (!j->failures)
			return false; /* nobody has room */
	}
	return false;
}

/* The oldest first: it is what the others wait for. */
static bool
pick_late(struct deal *d, struct worker **wk, uint64_t *number)
{
	double late = 4 * d->usual > DEAL_LATE ? 4 * d->usual : DEAL_LATE;
	struct job *j;
	uint64_t n;

	if (!d->counts.out)
		return false;
	for (n = d->first; n < d->next; n++) {
		j = job_at(d, n);
		if (j->state != OUT || d->now - j->dealt <= late)
			continue;
		*wk = worker_for(d, j, n, true);
		*number = n;
		if (*wk)
			return true;
	}
	return false;
}

bool
deal_pick(struct deal *d, int *w, uint64_t *number)
{
	struct worker *wk;

	if (!pick_waiting(d, &wk, number) && !pick_late(d, &wk, number))
		return false;
	deal_to(d, wk, job_at(d, *number), *number);
	*w = (int)(wk - d->workers);
	return true;
}

static double
smooth(double mean, double v)
{
	return mean > 0 ? 0.9 * mean + 0.1 * v : v;
}

enum deal_answer
deal_done(struct deal *d, int w, uint64_t number, uint64_t bytes)
{
	struct worker *wk = worker_at(d, w);
	struct job *j = job_at(d, number);
	double since;

	if (number >= d->next || (wk && j && !j->dealt_once))
		return DEAL_NEVER;
	if (wk && take_back(wk, number, &since)) {
		wk->pub.seconds = smooth(wk->pub.seconds, d->now - since);
		d->usual = smooth(d->usual, d->now - since);
		if (j)
			j->holders--;
	}
	if (!j || j->state == DONE) {
		d->counts.duplicates++;
		if (wk)
			wk->pub.again++;
		return DEAL_AGAIN;
	}
	if (j->state == WAITING)
		d->counts.waiting--;
	else
		d->counts.out--;
	j->state = DONE;
	d->counts.ready++;
	d->counts.done++;
	d->counts.bytes += bytes - j->bytes;
	j->bytes = bytes;
	if (wk)
		wk->pub.done++;
	return DEAL_FIRST;
}

bool
deal_failed(struct deal *d, int w, uint64_t number)
{
	struct worker *wk = worker_at(d, w);
	struct job *j = job_at(d, number);
	bool spared = false;
	unsigned i;
	double since;
	int k;

	if (!wk || !take_back(wk, number, &since))
		return false;
	d->counts.failures++;
	wk->pub.failed++;
	if (!j)
		return false;
	give_back(d, number);
	if (j->state == DONE)
		return false;
	j->failures++;
	for (i = 0; i < DEAL_POISON && j->failed_by[i] && j->failed_by[i] != wk->serial; i++)
		;
	if (i < DEAL_POISON)
		j->failed_by[i] = wk->serial;
	if (j->failed_by[DEAL_POISON - 1])
		return true;
	for (k = 0; k < d->nworkers && !spared; k++)
		spared = d->workers[k].pub.credit && d->workers[k].pub.there && !has_failed(j, &d->workers[k]);
	return j->failures >= DEAL_POISON && !spared;
}

struct deal_counts
deal_counts(const struct deal *d)
{
	struct deal_counts c = d->counts;

	c.window = (size_t)(d->next - d->first);
	return c;
}

bool
deal_worker(const struct deal *d, int w, struct deal_worker *to)
{
	if (w < 0 || w >= d->nworkers)
		return false;
	*to = d->workers[w].pub;
	return true;
}
