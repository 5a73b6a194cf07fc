#include "view/audited.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/stats.h"
#include "base/text.h"
#include "view/table.h"

#define NAME 40 /* bytes of a name shown */

static char *
shown(char out[NAME], const char *name)
{
	return text_printable(out, NAME, name, strlen(name));
}

char *
audited_number(char out[AUDITED_NUMBER], double log_value, int digits)
{
	double ten = log_value / 2.302585092994046, whole = floor(ten), mantissa;

	if (ten > -300) /* what a double holds */
		return snprintf(out, AUDITED_NUMBER, "%.*g", digits, exp(log_value)), out;
	if (!isfinite(ten))
		return strcpy(out, "0");
	mantissa = pow(10, ten - whole);
	if (mantissa + .5 * pow(10, 1 - digits) >= 10) { /* 9.97 is 10 to two digits */
		mantissa = 1;
		whole++;
	}
	snprintf(out, AUDITED_NUMBER, "%.*ge%.0f", digits, mantissa, whole);
	return out;
}

const struct audited_test *
audited_next(const struct audited *a, size_t side, struct audited_walk *w)
{
	const struct audited_test *t;

	while (w->at < a->ntests) {
		t = &a->tests[w->at++];
		if ((side == SIZE_MAX || t->side == side) && (t->name || !a->only_valid) && w->told[t->side] < a->top) {
			w->told[t->side]++;
			w->all++;
			return t;
		}
	}
	return NULL;
}

/* ---- text ---- */

static void
what_was_compared(const struct audited *a, FILE *to)
{
	char name[NAME], other[NAME], count[32], more[32];
	const struct audited_side *s = a->sides;
	size_t i, named = 0;

	fprintf(to, "%s%s: ", a->by ? "" : "what is said by ", shown(name, a->by ? a->by : audited_probe(a)));
	for (i = 0; i < a->nsides; i++)
		fprintf(to, "%s%s (%s rows)", i ? ", " : "", shown(name, s[i].group[0]), view_count(count, s[i].rows[0]));
	if (a->nsides > 1)
		fputs(", each against all others\n", to);
	else
		fprintf(to, " against %s (%s rows)\n", s->group[1] ? shown(other, s->group[1]) : "all others", view_count(more, s->rows[1]));
	if (a->ignored)
		fprintf(to, "left out: %s rows without a label, or with one to ignore\n", view_count(count, a->ignored));
	if (a->others)
		fprintf(to, "left out: %s rows of other groups\n", view_count(count, a->others));
	for (i = 0; i < a->ntests; i++)
		named += a->tests[i].name && a->tests[i].log_q <= log(AUDITED_LEVEL);
	fprintf(to, "tested: %s of %s latents, active in some row", view_count(count, a->tested), view_count(more, a->latents));
	if (a->nsides > 1)
		fprintf(to, " (%s tests)", view_count(count, a->ntests));
	fprintf(to, "; %s differ%s at q <= %.2g", view_count(count, a->significant), a->significant == 1 ? "s" : "", AUDITED_LEVEL);
	if (a->names)
		fprintf(to, ", %s of them with a name", view_count(count, named));
	putc('\n', to);
}

static void
test_row(const struct audited *a, const struct audited_test *t, struct table *table)
{
	const struct audited_side *s = &a->sides[t->side];
	char latent[16], name[NAME], rate[2][32], mean[2][32], delta[32], interval[48], p[AUDITED_NUMBER], q[AUDITED_NUMBER];
	const char *cells[10] = {latent};
	size_t n = 1, i;

	snprintf(latent, sizeof latent, "%" PRIu32, t->latent);
	if (a->names)
		cells[n++] = t->name ? shown(name, t->name) : "";
	for (i = 0; i < 2; i++) {
		view_percent(rate[i], (double)t->active[i] / (double)s->rows[i]);
		snprintf(mean[i], sizeof mean[i], "%.3g", t->mean[i]);
		cells[n + i] = rate[i];
		cells[n + 2 + i] = mean[i];
	}
	n += 4;
	snprintf(delta, sizeof delta, "%+.3f", t->delta);
	snprintf(interval, sizeof interval, "%+.3f to %+.3f", t->low, t->high);
	cells[n++] = delta;
	cells[n++] = interval;
	cells[n++] = audited_number(p, t->log_p, 2);
	cells[n++] = audited_number(q, t->log_q, 2);
	table_row_of(table, cells);
}

static void
comparison(const struct audited *a, size_t side, FILE *to)
{
	const struct audited_side *s = &a->sides[side];
	char group[NAME], other[NAME] = "others";
	const char *headings[10] = {"latent", "concept"}, **h = headings + 1 + a->names;
	const struct audited_test *t;
	struct audited_walk w = {0};
	struct table table;

	shown(group, s->group[0]);
	if (s->group[1])
		shown(other, s->group[1]);
	h[0] = group;
	h[1] = other;
	h[2] = h[3] = "mean";
	h[4] = "delta";
	h[5] = "95 % interval";
	h[6] = "p";
	h[7] = "q";
	table_columns_of(&table, a->names ? "rlrrrrrrrr" : "rrrrrrrrr", headings);
	while ((t = audited_next(a, side, &w)))
		test_row(a, t, &table);
	if (a->nsides > 1)
		fprintf(to, "\n%s against %s\n", group, other);
	else
		putc('\n', to);
	if (w.all)
		table_print(&table, "  ", to);
	else
		fprintf(to, "  no latent%s was active in these rows\n", a->only_valid ? " with a name" : "");
	table_free(&table);
}

static void
audited_text(const struct audited *a, FILE *to)
{
	size_t i;

	what_was_compared(a, to);
	for (i = 0; i < a->nsides && a->top; i++)
		comparison(a, i, to);
	audited_sweeps(a, to);
}

/* ---- CSV ---- */

static void
audited_csv(const struct audited *a, FILE *to)
{
	char p[AUDITED_NUMBER], q[AUDITED_NUMBER];
	const struct audited_test *t;
	struct audited_walk w = {0};
	double low, high;

	fputs("group,against,latent,name,rows,rows_against,active,active_against,rate_difference,rate_low,rate_high,"
	      "mean,mean_against,delta,delta_low,delta_high,p,q\n", to);
	while ((t = audited_next(a, SIZE_MAX, &w))) {
		const struct audited_side *s = &a->sides[t->side];
		double na = (double)s->rows[0], nb = (double)s->rows[1], xa = (double)t->active[0], xb = (double)t->active[1];

		view_csv(s->group[0], to);
		putc(',', to);
		view_csv(s->group[1] ? s->group[1] : "", to);
		fprintf(to, ",%" PRIu32 ",", t->latent);
		view_csv(t->name ? t->name : "", to);
		stats_share_difference(xa, na, xb, nb, &low, &high);
		fprintf(to, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%s,%s\n", s->rows[0], s->rows[1], t->active[0], t->active[1],
		        xa / na - xb / nb, low, high, t->mean[0], t->mean[1], t->delta, t->low, t->high, audited_number(p, t->log_p, 6), audited_number(q, t->log_q, 6));
	}
}

int
audited_write(const struct audited *a, enum audited_form form, FILE *to)
{
	if (form == AUDITED_JSON)
		return audited_json(a, to);
	if (form == AUDITED_CSV)
		audited_csv(a, to);
	else
		audited_text(a, to);
	return ferror(to) ? -1 : 0;
}
