#include "view/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/probe.h"
#include "base/stats.h"

#define MAX_STRANGERS 1000

int
score_init(struct score *s, char *const *names, size_t classes, struct err *e)
{
	size_t i;

	*s = (struct score){.classes = classes, .names = names, .known = {.max = classes}, .strangers = {.max = MAX_STRANGERS}};
	s->confusion = calloc(classes * classes, sizeof *s->confusion);
	s->each = calloc(classes, sizeof *s->each);
	if (!s->confusion || !s->each) {
		score_free(s);
		return err_memory(e, "confusions", classes * classes * sizeof *s->confusion);
	}
	for (i = 0; i < classes; i++)
		if (strcount_add(&s->known, names[i], strlen(names[i]), e)) {
			score_free(s);
			return e->code;
		}
	return 0;
}

void
score_free(struct score *s)
{
	strcount_free(&s->known);
	strcount_free(&s->strangers);
	keysort_free(&s->odds);
	free(s->confusion);
	free(s->each);
	*s = (struct score){0};
}

static void
count(struct score *s, uint32_t y, const float *logp)
{
	size_t best = probe_best(logp, s->classes);

	s->confusion[y * s->classes + best]++;
	s->rows++;
	s->right += best == y;
	s->loss -= (double)logp[y];
}

static int
keep_odds(struct score *s, uint32_t y, const float *logp, struct err *e)
{
	uint64_t key = (uint64_t)keysort_of_float(logp[1] - logp[0]) << 1 | y;

	return keysort_add(&s->odds, &key, 1, e);
}

int
score_rows(struct score *s, const uint32_t *y, const float *logp, size_t n, struct err *e)
{
	size_t i;

	for (i = 0; i < n; i++, logp += s->classes) {
		count(s, y[i], logp);
		if (s->classes == 2 && keep_odds(s, y[i], logp, e))
			return e->code;
	}
	return 0;
}

int
score_labels(struct score *s, const char *const *labels, const char *ignore, const float *logp, size_t n, struct err *e)
{
	const struct strcount_entry *at;
	uint32_t y;
	size_t i;

	for (i = 0; i < n; i++) {
		at = strcount_find(&s->known, labels[i]);
		y = at ? (uint32_t)at->id : 0;
		if (!*labels[i] || (ignore && !strcmp(labels[i], ignore)))
			s->ignored++;
		else if (!at && ++s->unknown && strcount_add(&s->strangers, labels[i], strlen(labels[i]), e))
			return e->code;
		else if (at && score_rows(s, &y, logp + i * s->classes, 1, e))
			return e->code;
	}
	return 0;
}

/* Share of the pairs of a row of each class where that of the second has the
 * larger odds, ties by halves. */
static int
area(struct score *s, struct err *e)
{
	double below = 0, pairs = 0, all[2] = {0, 0};
	uint64_t key, last = 0, here[2] = {0, 0};
	int more;

	if (keysort_begin(&s->odds, e))
		return e->code;
	do {
		more = keysort_next(&s->odds, &key, e);
		if (more < 0)
			return e->code;
		if (!more || key >> 1 != last) { /* what was tied is complete */
			pairs += (double)here[1] * (below + (double)here[0] / 2);
			below += (double)here[0];
			all[0] += (double)here[0];
			all[1] += (double)here[1];
			here[0] = here[1] = 0;
		}
		if (more) {
			last = key >> 1;
			here[key & 1]++;
		}
	} while (more);
	s->auc = all[0] > 0 && all[1] > 0 ? pairs / (all[0] * all[1]) : NAN;
	return 0;
}

static void
each_class(struct score *s)
{
	size_t i, j, told = 0, there = 0;
	uint64_t most = 0;

	for (i = 0; i < s->classes; i++)
		for (j = 0; j < s->classes; j++) {
			s->each[i].rows += s->confusion[i * s->classes + j];
			s->each[j].predicted += s->confusion[i * s->classes + j];
		}
	s->macro_f1 = s->recall = 0;
	for (i = 0; i < s->classes; i++) {
		struct score_class *c = &s->each[i];

		c->right = s->confusion[i * s->classes + i];
		c->precision = c->predicted ? (double)c->right / (double)c->predicted : NAN;
		c->recall = c->rows ? (double)c->right / (double)c->rows : NAN;
		c->f1 = c->rows || c->predicted ? 2 * (double)c->right / (double)(c->rows + c->predicted) : NAN;
		most = c->rows > most ? c->rows : most;
		if (c->rows || c->predicted) {
			s->macro_f1 += c->f1;
			told++;
		}
		if (c->rows) {
			s->recall += c->recall;
			there++;
		}
	}
	s->macro_f1 /= (double)told;
	s->recall /= (double)there;
	s->chance = (double)most / (double)s->rows;
}

int
score_finish(struct score *s, struct err *e)
{
	double n = (double)s->rows;

	s->auc = NAN;
	each_class(s);
	s->accuracy = (double)s->right / n;
	stats_wilson((double)s->right, n, &s->low, &s->high);
	s->log_loss = s->loss / n;
	strcount_sort(&s->strangers);
	return s->classes == 2 ? area(s, e) : 0;
}
