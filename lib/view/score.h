/* How well predictions agree with labels, gathered in memory that does not
 * grow with the rows, and told as text, JSON or CSV.
 *
 *   score_init(&s, names, classes, &err);
 *   score_labels(&s, labels, ignore, logp, n, &err);  as often as wanted, or
 *   score_rows(&s, y, logp, n, &err);
 *   score_finish(&s, &err);                           then the figures are there
 *   score_text(&s, stdout); score_free(&s);
 */
#ifndef VIEW_SCORE_H
#define VIEW_SCORE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/keysort.h"
#include "base/strcount.h"

struct score_class {
	uint64_t rows, predicted, right;
	double precision, recall, f1; /* NAN where they are of nothing */
};

struct score {
	size_t classes;
	char *const *names;       /* [classes], the caller's */
	struct strcount known;    /* names; id is the class */
	struct strcount strangers; /* labels that are no class */
	uint64_t unknown, ignored; /* rows with such, and without a label or with one that is ignored */
	uint64_t *confusion;      /* [classes,classes]: label, predicted */
	uint64_t rows, right;
	double loss;              /* sum of -log p(label) */
	struct keysort odds;      /* two classes: log odds and label of each row */
	/* from score_finish; NAN where there is nothing to tell */
	double accuracy, low, high; /* 95 % interval (Wilson 1927) */
	double chance;            /* accuracy of always saying the most frequent label */
	double macro_f1, recall;  /* means over classes that have rows, F1 also those predicted */
	double auc;               /* two classes: exact (Mann-Whitney, ties by halves) */
	double log_loss;          /* nats a row */
	struct score_class *each; /* [classes] */
};

int score_init(struct score *s, char *const *names, size_t classes, struct err *e);
/* logp [n,classes] of rows whose classes are y [n]. The prediction is the most
 * probable class, ties to the first. */
int score_rows(struct score *s, const uint32_t *y, const float *logp, size_t n, struct err *e);
/* The same with labels [n]: those that are no class are counted as strangers,
 * and the empty one and `ignore` (may be NULL) as ignored. */
int score_labels(struct score *s, const char *const *labels, const char *ignore, const float *logp, size_t n, struct err *e);
int score_finish(struct score *s, struct err *e);
void score_free(struct score *s);

enum score_form { SCORE_TEXT, SCORE_JSON, SCORE_CSV };

/* What score_finish found: tables for people; one JSON object; or
 * `label,predicted,rows` for every pair that occurred. 0, or -1 when writing or
 * memory failed. */
int score_write(const struct score *s, enum score_form form, FILE *to);

/* Between this and fitted.c. */
void score_text(const struct score *s, FILE *to);
json_t *score_json(const struct score *s); /* json_decref */
int score_put_json(json_t *told, FILE *to); /* takes the reference */

#endif
