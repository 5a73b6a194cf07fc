/* Counterfactuals told: tables and a picture. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "view/audited.h"
#include "view/plot.h"
#include "view/table.h"

#define CLASSES 6 /* of a probe, shown at most */
#define NAME 40   /* bytes of a name shown */

static char *
shown(char out[NAME], const char *name)
{
	return text_printable(out, NAME, name, strlen(name));
}

const char *
audited_probe(const struct audited *a)
{
	const char *slash = strrchr(a->probe, '/');

	return slash && slash[1] ? slash + 1 : a->probe;
}

/* The classes that move most, at most CLASSES, in their order. */
static size_t
moving_classes(const struct audited *a, size_t out[CLASSES])
{
	double most[CLASSES + 1], moves;
	size_t n = 0, c, i, j, at;

	for (c = 0; c < a->nclasses; c++) {
		for (i = 0, moves = 0; i < a->nsweeps; i++)
			for (j = 1; j <= a->sweeps[i].nsteps; j++)
				moves = fmax(moves, fabs(a->sweeps[i].change[j * a->nclasses + c].mean));
		for (at = n; at && moves > most[at - 1]; at--)
			if (at < CLASSES) {
				most[at] = most[at - 1];
				out[at] = out[at - 1];
			}
		if (at < CLASSES) {
			most[at] = moves;
			out[at] = c;
			n += n < CLASSES;
		}
	}
	for (i = 1; i < n; i++)
		for (j = i; j && out[j] < out[j - 1]; j--) {
			c = out[j];
			out[j] = out[j - 1];
			out[j - 1] = c;
		}
	return n;
}

/* The class of those shown whose probability moves most. */
static size_t
first_mover(const struct audited *a, const struct audited_sweep *s, const size_t *classes, size_t n)
{
	double most = -1, moves;
	size_t i, j, best = 0;

	for (i = 0; i < n; i++)
		for (j = 1; j <= s->nsteps; j++) {
			moves = fabs(s->change[j * a->nclasses + classes[i]].mean);
			if (moves > most + 1e-12) { /* of two classes both move alike */
				most = moves;
				best = classes[i];
			}
		}
	return best;
}

static void
title_of(const struct audited_sweep *s, char out[NAME + 40])
{
	char name[NAME];

	shown(name, s->concept);
	if (s->nlatents > 1)
		snprintf(out, NAME + 40, "%s (%zu latents)", name, s->nlatents);
	else if (*s->concept == '#')
		strcpy(out, name);
	else
		snprintf(out, NAME + 40, "%s (#%" PRIu32 ")", name, *s->latents);
}

static void
step_row(const struct audited *a, const struct audited_sweep *s, size_t step, const size_t *classes, size_t n, size_t mover, struct table *table)
{
	const struct estimate *p = s->p + step * a->nclasses, *change = &s->change[step * a->nclasses + mover];
	char code[32] = "as it is", text[CLASSES][16], moved[48] = "", share[32];
	const char *cells[CLASSES + 3] = {code};
	size_t i;

	if (step) {
		snprintf(code, sizeof code, "%.3g", s->steps[step - 1]);
		snprintf(moved, sizeof moved, isfinite(change->half) ? "%+.4f ± %.4f" : "%+.4f", change->mean, change->half);
	}
	for (i = 0; i < n; i++) {
		snprintf(text[i], sizeof text[i], "%.4f", p[classes[i]].mean);
		cells[i + 1] = text[i];
	}
	cells[n + 1] = moved;
	cells[n + 2] = view_percent(share, (double)s->predicted[step * a->nclasses + mover] / (double)s->rows);
	table_row_of(table, cells);
}

static void
sweep_text(const struct audited *a, const struct audited_sweep *s, const size_t *classes, size_t n, FILE *to)
{
	char title[NAME + 40], names[CLASSES][NAME + 8], moved[NAME + 16], said[NAME], says[NAME + 8], probe[NAME], count[32], share[32], align[CLASSES + 4];
	const char *headings[CLASSES + 3] = {"code"};
	size_t mover = first_mover(a, s, classes, n), i;
	struct table table;

	title_of(s, title);
	fprintf(to, "\n%s set in %s rows%s%s, in %s of which it is active: the mean probability that %s gives\n", title, view_count(count, s->rows),
	        a->of ? " of " : "", a->of ? shown(said, a->of) : "", view_percent(share, (double)s->active / (double)s->rows), shown(probe, audited_probe(a)));
	for (i = 0; i < n; i++) {
		shown(names[i], a->classes[classes[i]]);
		headings[i + 1] = names[i];
	}
	shown(said, a->classes[mover]);
	snprintf(moved, sizeof moved, "change of %s", said);
	snprintf(says, sizeof says, "%s said", said);
	headings[n + 1] = moved;
	headings[n + 2] = says;
	memset(align, 'r', n + 3);
	align[n + 3] = 0;
	table_columns_of(&table, align, headings);
	for (i = 0; i <= s->nsteps; i++)
		step_row(a, s, i, classes, n, mover, &table);
	table_print(&table, "  ", to);
	table_free(&table);
}

void
audited_sweeps(const struct audited *a, FILE *to)
{
	size_t classes[CLASSES], n = moving_classes(a, classes), i;

	for (i = 0; i < a->nsweeps; i++)
		sweep_text(a, &a->sweeps[i], classes, n, to);
}

/* ---- the picture ---- */

/* Mean and half interval of one class at the steps of a sweep, into room [2 nsteps]. */
static struct plot_series
series_of(const struct audited *a, const struct audited_sweep *s, size_t class, double *room)
{
	size_t i;

	for (i = 0; i < s->nsteps; i++) {
		room[i] = s->p[(i + 1) * a->nclasses + class].mean;
		room[s->nsteps + i] = s->p[(i + 1) * a->nclasses + class].half;
	}
	return (struct plot_series){a->classes[class], s->nsteps, s->steps, room, room + s->nsteps, SIZE_MAX};
}

int
audited_plot(const struct audited *a, FILE *to)
{
	size_t classes[CLASSES], n = moving_classes(a, classes), i, c, most = 0;
	struct plot_panel *panels = calloc(a->nsweeps, sizeof *panels);
	struct plot_series *series = calloc(a->nsweeps * n, sizeof *series);
	char (*titles)[NAME + 40] = calloc(a->nsweeps, sizeof *titles), note[2 * NAME + 60], group[NAME], probe[NAME];
	double *room;
	int rc = -1;

	for (i = 0; i < a->nsweeps; i++)
		most = a->sweeps[i].nsteps > most ? a->sweeps[i].nsteps : most;
	room = calloc(a->nsweeps * n * 2 * most + 1, sizeof *room);
	if (panels && series && titles && room) {
		for (i = 0; i < a->nsweeps; i++) {
			for (c = 0; c < n; c++)
				series[i * n + c] = series_of(a, &a->sweeps[i], classes[c], room + (i * n + c) * 2 * most);
			title_of(&a->sweeps[i], titles[i]);
			panels[i] = (struct plot_panel){.title = titles[i], .x_label = "code the concept is set to", .y_label = "mean probability",
			                                .series = series + i * n, .n = n};
		}
		snprintf(note, sizeof note, "%s, %llu rows%s%s; bars: 95 %% intervals", shown(probe, audited_probe(a)), (unsigned long long)a->sweeps[0].rows,
		         a->of ? " of " : "", a->of ? shown(group, a->of) : "");
		/* one panel is narrow, and names may be long */
		rc = plot_svg("One concept changed, a probe asked", note, panels, a->nsweeps, to);
	}
	free(panels);
	free(series);
	free(titles);
	free(room);
	return rc;
}
