#include "jobs/sweeps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define CHUNK 256                   /* rows answered at once, at most */
#define ANSWERS ((size_t)1 << 20)   /* numbers, likewise */
#define MOST_CODE 1e6
#define SHOWN 60                    /* bytes of a text in messages */

/* ---- which, and how far ---- */

static struct sweeps_item *
new_item(struct sweeps *s, struct err *e)
{
	struct sweeps_item *more;

	if (s->n == SWEEPS_MAX)
		return err_set(e, CODE_USAGE, "at most %d sweeps at once", SWEEPS_MAX), NULL;
	more = realloc(s->items, (s->n + 1) * sizeof *more);
	if (!more)
		return err_memory(e, "sweeps", (s->n + 1) * sizeof *more), NULL;
	s->items = more;
	s->items[s->n] = (struct sweeps_item){.to = NAN, .nsteps = SWEEPS_STEPS};
	return &s->items[s->n++];
}

/* A number that ends at `end`; *s behind it. */
static bool
number(const char **s, char end, double *out)
{
	char *stop;

	*out = strtod(*s, &stop);
	if (stop == *s || !isfinite(*out) || (*stop && *stop != end))
		return false;
	*s = stop + (*stop != 0);
	return true;
}

/* FROM:TO or FROM:TO:STEPS. */
static int
parse_range(struct sweeps_item *item, const char *s, struct err *e)
{
	double steps = SWEEPS_STEPS;
	const char *at = s;
	char text[SHOWN];

	text_printable(text, sizeof text, s, strlen(s));
	if (!strchr(s, ':') || !number(&at, ':', &item->from) || !number(&at, ':', &item->to) || (*at && (!number(&at, 0, &steps) || *at)))
		return err_set(e, CODE_USAGE, "'%s': a range is FROM:TO or FROM:TO:STEPS", text);
	if (!(item->from >= 0 && item->from < item->to && item->to <= MOST_CODE))
		return err_set(e, CODE_USAGE, "'%s': a range goes up, from 0 or more to %g at most: codes are not below 0", text, MOST_CODE);
	if (!(steps >= 2 && steps <= SWEEPS_MAX_STEPS && steps == floor(steps)))
		return err_set(e, CODE_USAGE, "'%s': 2 to %d steps", text, SWEEPS_MAX_STEPS);
	item->nsteps = (size_t)steps;
	return 0;
}

int
sweeps_add(struct sweeps *s, const char *text, const struct lexicon *names, const struct concepts *concepts, struct err *e)
{
	const char *equals = strrchr(text, '=');
	size_t n = strlen(text), count;
	struct sweeps_item *item = new_item(s, e);

	if (!item)
		return e->code;
	if (equals && !lexicon_find(names, text, n, &count)) {
		if (parse_range(item, equals + 1, e))
			return e->code;
		n = (size_t)(equals - text);
	}
	if (!n)
		return err_set(e, CODE_USAGE, "'%s': which concept? give it as NAME or NAME=FROM:TO", equals ? equals : "");
	item->concept = strndup(text, n);
	if (!item->concept)
		return err_memory(e, "sweeps", n);
	return concepts_named(concepts, names, text, n, &item->latents, &item->nlatents, e);
}

int
sweeps_add_latent(struct sweeps *s, uint32_t latent, const char *name, struct err *e)
{
	struct sweeps_item *item = new_item(s, e);
	char text[16];

	if (!item)
		return e->code;
	snprintf(text, sizeof text, "#%lu", (unsigned long)latent);
	item->concept = strdup(name ? name : text);
	item->latents = calloc(1, sizeof *item->latents);
	if (!item->concept || !item->latents)
		return err_memory(e, "sweeps", sizeof *item->latents);
	item->latents[item->nlatents++] = latent;
	return 0;
}

/* ---- getting ready ---- */

static int
settle_range(const struct sweeps *s, struct sweeps_item *item, const float *most, struct err *e)
{
	bool open = isnan(item->to);
	char text[SHOWN];
	size_t i;

	text_printable(text, sizeof text, item->concept, strlen(item->concept));
	for (i = 0; i < item->nlatents; i++) {
		if (item->latents[i] >= s->model->m)
			return err_set(e, CODE_USAGE, "%s: the model has %zu latents, numbered from 0", text, s->model->m);
		if (open)
			item->to = fmax(item->to, (double)most[item->latents[i]]);
	}
	if (!(item->to > item->from))
		return err_set(e, CODE_DATA, "%s: is active in none of these rows, so how far should it be swept? say it: --sweep '%s=0:5'", text, text);
	item->steps = calloc(item->nsteps, sizeof *item->steps);
	if (!item->steps)
		return err_memory(e, "steps", item->nsteps * sizeof *item->steps);
	for (i = 0; i < item->nsteps; i++)
		item->steps[i] = item->from + (item->to - item->from) * (double)i / (double)(item->nsteps - 1);
	return 0;
}

static int
get_sums(const struct sweeps *s, struct sweeps_item *item, struct err *e)
{
	size_t n = (1 + item->nsteps) * s->probe->classes;

	item->sums = calloc(4 * n, sizeof *item->sums);
	item->predicted = calloc(n, sizeof *item->predicted);
	item->p = calloc(n, sizeof *item->p);
	item->change = calloc(n, sizeof *item->change);
	return item->sums && item->predicted && item->p && item->change ? 0 : err_memory(e, "sums", 4 * n * sizeof *item->sums);
}

int
sweeps_begin(struct sweeps *s, const struct probe *probe, const struct sae *model, const float *most, struct pool *pool, struct err *e)
{
	size_t i;

	s->probe = probe;
	s->model = model;
	s->pool = pool;
	for (i = 0; i < s->n; i++) {
		if (settle_range(s, &s->items[i], most, e) || get_sums(s, &s->items[i], e))
			return e->code;
		s->each += (1 + s->items[i].nsteps) * probe->classes;
	}
	s->chunk = s->each > ANSWERS / CHUNK ? ANSWERS / s->each : CHUNK;
	s->chunk = s->chunk ? s->chunk : 1;
	s->answers = mem_alloc(s->chunk * s->each * sizeof *s->answers);
	s->scratch = mem_alloc(pool_threads(pool) * (probe->d + probe->classes) * sizeof *s->scratch);
	return s->answers && s->scratch ? 0 : err_memory(e, "sweeps", s->chunk * s->each * sizeof *s->answers);
}

int
sweeps_stream(struct sweeps *s, float scale, struct err *e)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		struct sweeps_item *item = &s->items[i];

		sweep_free(&item->kernel);
		if (sweep_init(&item->kernel, s->probe, s->model, scale, item->latents, item->nlatents, item->steps, item->nsteps, e))
			return e->code;
	}
	return 0;
}

/* ---- rows ---- */

struct asked {
	struct sweeps *s;
	const float *raw;
	struct csr_view z;
	const uint32_t *rows;
};

static void
answer(void *arg, size_t i, unsigned thread)
{
	const struct asked *q = arg;
	struct sweeps *s = q->s;
	size_t row = q->rows[i], at = q->z.ptr[row], n = q->z.ptr[row + 1] - at, d = s->probe->d, k;
	double *out = s->answers + i * s->each;

	for (k = 0; k < s->n; k++) {
		sweep_row(&s->items[k].kernel, q->raw + row * d, q->z.idx + at, q->z.val + at, n, s->scratch + thread * (d + s->probe->classes), out);
		out += (1 + s->items[k].nsteps) * s->probe->classes;
	}
}

static bool
has_one(struct csr_view z, size_t row, const uint32_t *latents, size_t n)
{
	size_t t = z.ptr[row], l = 0;

	while (t < z.ptr[row + 1] && l < n && z.idx[t] != latents[l])
		z.idx[t] < latents[l] ? t++ : l++;
	return t < z.ptr[row + 1] && l < n;
}

/* One row's answers, onto the sums. */
static void
add_up(struct sweeps_item *item, size_t classes, const double *p)
{
	size_t n = (1 + item->nsteps) * classes, step, c, best;
	double *sum = item->sums, *square = sum + n, *change = square + n, *change_square = change + n, by;

	for (step = 0; step < n; step += classes) {
		for (c = best = 0; c < classes; c++) {
			by = p[step + c] - p[c];
			sum[step + c] += p[step + c];
			square[step + c] += p[step + c] * p[step + c];
			change[step + c] += by;
			change_square[step + c] += by * by;
			best = p[step + c] > p[step + best] ? c : best;
		}
		item->predicted[step + best]++;
	}
}

void
sweeps_rows(struct sweeps *s, const float *raw, struct csr_view z, const uint32_t *rows, size_t n)
{
	struct asked q = {s, raw, z, rows};
	size_t some, i, k;
	const double *p;

	for (; n; n -= some, q.rows += some) {
		some = n < s->chunk ? n : s->chunk;
		pool_run(s->pool, answer, &q, some);
		for (i = 0, p = s->answers; i < some; i++)
			for (k = 0; k < s->n; k++) {
				struct sweeps_item *item = &s->items[k];

				item->active += has_one(z, q.rows[i], item->latents, item->nlatents);
				add_up(item, s->probe->classes, p);
				p += (1 + item->nsteps) * s->probe->classes;
			}
		s->rows += some;
	}
}

int
sweeps_finish(struct sweeps *s, struct err *e)
{
	size_t k, i, n;

	s->told = calloc(s->n + 1, sizeof *s->told);
	if (!s->told)
		return err_memory(e, "sweeps", s->n * sizeof *s->told);
	for (k = 0; k < s->n; k++) {
		struct sweeps_item *item = &s->items[k];

		n = (1 + item->nsteps) * s->probe->classes;
		for (i = 0; i < n; i++) {
			item->p[i] = estimate_mean(item->sums[i], item->sums[n + i], (double)s->rows);
			item->change[i] = estimate_mean(item->sums[2 * n + i], item->sums[3 * n + i], (double)s->rows);
		}
		s->told[k] = (struct audited_sweep){item->concept, item->latents, item->nlatents, item->nsteps, item->steps, s->rows, item->active,
		                                    item->p, item->change, item->predicted};
	}
	return 0;
}

void
sweeps_free(struct sweeps *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		struct sweeps_item *item = &s->items[i];

		free(item->concept);
		free(item->latents);
		free(item->steps);
		sweep_free(&item->kernel);
		free(item->sums);
		free(item->predicted);
		free(item->p);
		free(item->change);
	}
	free(s->items);
	mem_free(s->answers);
	mem_free(s->scratch);
	free(s->told);
	*s = (struct sweeps){0};
}
