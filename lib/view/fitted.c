#include "view/fitted.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "view/table.h"

#define SHOWN 8 /* classes listed */

static void
sizes(const struct fitted *f, FILE *to)
{
	uint64_t least = f->rows[0], most = f->rows[0];
	char name[40], count[32], more[32];
	size_t i;

	if (f->classes <= SHOWN) {
		for (i = 0; i < f->classes; i++)
			fprintf(to, "%s%s %s", i ? ", " : "", text_printable(name, sizeof name, f->names[i], strlen(f->names[i])), view_count(count, f->rows[i]));
		return;
	}
	for (i = 0; i < f->classes; i++) {
		least = f->rows[i] < least ? f->rows[i] : least;
		most = f->rows[i] > most ? f->rows[i] : most;
	}
	fprintf(to, "%s to %s each", view_count(count, least), view_count(more, most));
}

static void
strength(const struct fitted *f, FILE *to)
{
	size_t i;

	fprintf(to, "penalty    %g", f->l2);
	if (f->ntries) {
		fputs(", chosen by log-loss:", to);
		for (i = 0; i < f->ntries; i++)
			fprintf(to, "%s %g gave %.4f", i ? "," : "", f->tries[i].l2, f->tries[i].log_loss);
	} else if (f->chosen) {
		fputs(", since there are too few rows to choose by", to);
	}
	putc('\n', to);
}

static void
fitted_text(const struct fitted *f, FILE *to)
{
	char count[32], more[32];

	fprintf(to, "%s: a probe of %zu inputs and %zu classes\n", f->path, f->d, f->classes);
	fprintf(to, "trained on %s rows (", view_count(count, f->training));
	sizes(f, to);
	fprintf(to, ")%s\n", f->balanced ? ", every class weighing the same" : "");
	if (f->ignored)
		fprintf(to, "left out   %s rows without a label, or with the one to ignore\n", view_count(count, f->ignored));
	if (f->few_classes)
		fprintf(to, "left out   %s rows of %s classes with too few\n", view_count(count, f->few), view_count(more, f->few_classes));
	strength(f, to);
	fprintf(to, "%s  after %llu steps, %llu times over the rows\n", f->converged ? "converged" : "NOT CONVERGED", (unsigned long long)f->steps, (unsigned long long)f->calls);
	if (!f->score->rows)
		return;
	fputs("\nOn the rows held out: ", to);
	score_text(f->score, to);
}

static json_t *
real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *
fitted_json(const struct fitted *f)
{
	json_t *classes = json_array(), *tries = json_array();
	size_t i;

	for (i = 0; i < f->classes; i++)
		json_array_append_new(classes, json_pack("{s:s, s:I}", "name", f->names[i], "rows", (json_int_t)f->rows[i]));
	for (i = 0; i < f->ntries; i++)
		json_array_append_new(tries, json_pack("{s:f, s:f}", "l2", f->tries[i].l2, "log_loss", f->tries[i].log_loss));
	return json_pack("{s:s, s:I, s:o, s:I, s:I, s:I, s:I, s:f, s:b, s:o, s:I, s:I, s:o, s:o, s:b, s:b, s:o, s:o}", "probe", f->path, "inputs", (json_int_t)f->d,
	                 "classes", classes, "rows", (json_int_t)f->training, "ignored", (json_int_t)f->ignored, "rows_of_small_classes", (json_int_t)f->few,
	                 "small_classes", (json_int_t)f->few_classes, "l2", f->l2, "l2_chosen", f->chosen, "tries", tries, "steps", (json_int_t)f->steps,
	                 "passes", (json_int_t)f->calls, "objective", real(f->loss), "gradient", real(f->gradient), "converged", f->converged, "balanced", f->balanced,
	                 "seed", json_integer((json_int_t)f->seed), "held_out", f->score->rows ? score_json(f->score) : json_null());
}

int
fitted_write(const struct fitted *f, bool json, FILE *to)
{
	if (json)
		return score_put_json(fitted_json(f), to);
	fitted_text(f, to);
	return ferror(to) ? -1 : 0;
}
