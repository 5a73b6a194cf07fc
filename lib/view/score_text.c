/* A score told: text, JSON, CSV. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "view/score.h"
#include "view/table.h"

#define MATRIX_CLASSES (TABLE_MAX_COLS - 3) /* with name, rows and recall */
#define PAIRS 15 /* confused pairs shown where a matrix would be too large */
#define NAME 40  /* bytes of a name shown */
#define STRANGERS 6

static char *
shown(char out[NAME], const char *name)
{
	return text_printable(out, NAME, name, strlen(name));
}

static char *
share(char out[32], double v)
{
	return isfinite(v) ? view_percent(out, v) : strcpy(out, "-");
}

static void
left_out(const struct score *s, FILE *to)
{
	char name[NAME], count[32];
	size_t i, n = s->strangers.used;

	if (s->ignored)
		fprintf(to, "left out: %s rows without a label, or with the one to ignore\n", view_count(count, s->ignored));
	if (!s->unknown)
		return;
	fprintf(to, "left out: %s rows with labels the probe does not know:", view_count(count, s->unknown));
	for (i = 0; i < n && i < STRANGERS; i++)
		fprintf(to, "%s %s (%s)", i ? "," : "", shown(name, s->strangers.slots[i].s), view_count(count, s->strangers.slots[i].n));
	fprintf(to, "%s\n", n > STRANGERS || s->strangers.other ? ", ..." : "");
}

static void
figure(struct table *t, const char *name, double v, const char *note)
{
	char text[32] = "-";

	if (isfinite(v))
		snprintf(text, sizeof text, "%.4f", v);
	table_row(t, name, text, note);
}

static void
figures(const struct score *s, FILE *to)
{
	char interval[80];
	struct table t;

	snprintf(interval, sizeof interval, "95 %% interval %.4f to %.4f", s->low, s->high);
	table_columns(&t, "lrl", "figure", "value", "");
	figure(&t, "accuracy", s->accuracy, interval);
	figure(&t, "by chance", s->chance, "accuracy of always saying the most frequent label");
	figure(&t, "mean recall", s->recall, "");
	figure(&t, "macro F1", s->macro_f1, "");
	if (s->classes == 2)
		figure(&t, "AUC", s->auc, "exact, ties by halves");
	figure(&t, "log-loss", s->log_loss, "nats a row");
	table_print(&t, "  ", to);
	table_free(&t);
}

static void
matrix(const struct score *s, FILE *to)
{
	char align[TABLE_MAX_COLS + 1] = "l", text[TABLE_MAX_COLS][NAME];
	const char *cells[TABLE_MAX_COLS];
	size_t n = s->classes, i, j;
	struct table t;

	for (i = 0; i < TABLE_MAX_COLS; i++)
		cells[i] = text[i];
	strcpy(text[0], "label");
	for (j = 0; j < n; j++)
		shown(text[j + 1], s->names[j]);
	strcpy(text[n + 1], "recall");
	memset(align + 1, 'r', n + 1);
	table_columns_of(&t, align, cells);
	for (i = 0; i < n; i++) {
		shown(text[0], s->names[i]);
		for (j = 0; j < n; j++)
			view_count(text[j + 1], s->confusion[i * n + j]);
		share(text[n + 1], s->each[i].recall);
		table_row_of(&t, cells);
	}
	strcpy(text[0], "precision");
	for (j = 0; j < n; j++)
		share(text[j + 1], s->each[j].precision);
	text[n + 1][0] = 0;
	table_row_of(&t, cells);
	fputs("\nLabels, and what was predicted\n", to);
	table_print(&t, "  ", to);
	table_free(&t);
}

struct confused { uint64_t rows; uint32_t label, predicted; };

static int
most_confused(const void *a, const void *b)
{
	const struct confused *x = a, *y = b;

	if (x->rows != y->rows)
		return x->rows > y->rows ? -1 : 1;
	return x->label != y->label ? (x->label > y->label ? 1 : -1) : (x->predicted > y->predicted) - (x->predicted < y->predicted);
}

/* The PAIRS most confused, without a list of all: a new one goes where it
 * belongs and the last falls off. */
static size_t
worst_pairs(const struct score *s, struct confused out[PAIRS + 1])
{
	size_t n = 0, i, j, at;

	for (i = 0; i < s->classes; i++)
		for (j = 0; j < s->classes; j++) {
			struct confused p = {s->confusion[i * s->classes + j], (uint32_t)i, (uint32_t)j};

			if (i == j || !p.rows)
				continue;
			for (at = n; at && most_confused(&p, &out[at - 1]) < 0; at--)
				out[at] = out[at - 1];
			out[at] = p;
			n += n < PAIRS;
		}
	return n;
}

static void
pairs(const struct score *s, FILE *to)
{
	struct confused worst[PAIRS + 1];
	char label[NAME], predicted[NAME], rows[32], part[32], right[32];
	size_t n = worst_pairs(s, worst), i;
	struct table t;

	if (!n)
		return;
	table_columns(&t, "llrrr", "label", "taken for", "rows", "of its rows", "recall");
	for (i = 0; i < n; i++) {
		const struct score_class *c = &s->each[worst[i].label];

		table_row(&t, shown(label, s->names[worst[i].label]), shown(predicted, s->names[worst[i].predicted]), view_count(rows, worst[i].rows),
		          share(part, (double)worst[i].rows / (double)c->rows), share(right, c->recall));
	}
	fputs("\nMost confused\n", to);
	table_print(&t, "  ", to);
	table_free(&t);
}

void
score_text(const struct score *s, FILE *to)
{
	char rows[32];

	fprintf(to, "%s rows, %zu classes\n", view_count(rows, s->rows), s->classes);
	left_out(s, to);
	if (!s->rows)
		return;
	figures(s, to);
	if (s->classes <= MATRIX_CLASSES)
		matrix(s, to);
	else
		pairs(s, to);
}

static json_t *
real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *
strangers_json(const struct score *s)
{
	json_t *list = json_object();
	size_t i;

	for (i = 0; i < s->strangers.used; i++)
		json_object_set_new(list, s->strangers.slots[i].s, json_integer((json_int_t)s->strangers.slots[i].n));
	return list;
}

json_t *
score_json(const struct score *s)
{
	json_t *classes = json_array(), *confusion = json_array();
	size_t i, j;

	for (i = 0; i < s->classes; i++) {
		const struct score_class *c = &s->each[i];

		json_array_append_new(classes, json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "name", s->names[i], "rows", (json_int_t)c->rows,
		                                         "predicted", (json_int_t)c->predicted, "right", (json_int_t)c->right,
		                                         "precision", real(c->precision), "recall", real(c->recall), "f1", real(c->f1)));
		for (j = 0; j < s->classes; j++)
			if (s->confusion[i * s->classes + j])
				json_array_append_new(confusion, json_pack("{s:s, s:s, s:I}", "label", s->names[i], "predicted", s->names[j],
				                                           "rows", (json_int_t)s->confusion[i * s->classes + j]));
	}
	return json_pack("{s:I, s:I, s:I, s:o, s:o, s:[o, o], s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rows", (json_int_t)s->rows,
	                 "ignored", (json_int_t)s->ignored, "unknown", (json_int_t)s->unknown, "unknown_labels", strangers_json(s),
	                 "accuracy", real(s->accuracy), "accuracy_interval", real(s->low), real(s->high), "by_chance", real(s->chance),
	                 "mean_recall", real(s->recall), "macro_f1", real(s->macro_f1), "auc", real(s->auc), "log_loss", real(s->log_loss),
	                 "classes", classes, "confusion", confusion);
}

static void
score_csv(const struct score *s, FILE *to)
{
	size_t i, j;

	fputs("label,predicted,rows\n", to);
	for (i = 0; i < s->classes; i++)
		for (j = 0; j < s->classes; j++)
			if (s->confusion[i * s->classes + j]) {
				view_csv(s->names[i], to);
				putc(',', to);
				view_csv(s->names[j], to);
				fprintf(to, ",%llu\n", (unsigned long long)s->confusion[i * s->classes + j]);
			}
}

int
score_put_json(json_t *told, FILE *to)
{
	int failed = !told || json_dumpf(told, to, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) || putc('\n', to) == EOF;

	json_decref(told);
	return failed ? -1 : 0;
}

int
score_write(const struct score *s, enum score_form form, FILE *to)
{
	if (form == SCORE_JSON)
		return score_put_json(score_json(s), to);
	if (form == SCORE_CSV)
		score_csv(s, to);
	else
		score_text(s, to);
	return ferror(to) ? -1 : 0;
}
