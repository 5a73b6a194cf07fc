#include "view/scores.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "view/private.h"
#include "view/table.h"

#define BAR 30

static const struct {
	const char *key, *title, *about;
} kinds[SCORE_KINDS] = {
	[SCORE_FVU] = {"fvu", "FVU", "var(x - xhat) / var(x) of a row, mean"},
	[SCORE_FVU_DATA] = {"fvu_data", "FVU, data set", "1 - R2: sum |x - xhat|^2 / sum |x - mean|^2"},
	[SCORE_COSINE] = {"cosine", "cosine", "of x and xhat"},
	[SCORE_MAE] = {"mae", "MAE", "|x - xhat|_1 / |x|_1 of a row, mean"},
	[SCORE_L0] = {"l0", "L0", "active latents of a row"},
	[SCORE_SPARSITY] = {"sparsity", "sparsity", "share of latents not active"},
	[SCORE_CKNNA] = {"cknna", "CKNNA", "neighbours in common, x and codes"},
	[SCORE_LP_KL] = {"lp_kl", "LP-KL", "KL of the probe's opinions of x and xhat, nats"},
	[SCORE_LP_ACC] = {"lp_acc", "LP-Acc", "rows of which the probe says the same"},
};

static const char *const bin_names[SCORES_BINS] = {
	"never", "under 0.001 %", "0.001 to 0.01 %", "0.01 to 0.1 %", "0.1 to 1 %", "1 to 10 %", "10 to 100 %", "always",
};

size_t
scores_bin(double f)
{
	static const double edges[] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1};
	size_t i;

	if (!(f > 0))
		return 0;
	for (i = 0; i < 6 && f >= edges[i]; i++)
		;
	return i + 1;
}

const char *
scores_bin_name(size_t bin)
{
	return bin_names[bin];
}

/* ---- numbers as text ---- */

/* Four digits that mean something, "-" for what there is not. */
static char *
number(char out[24], double v)
{
	if (!isfinite(v))
		snprintf(out, 24, "-");
	else if (v != 0 && (fabs(v) < 1e-3 || fabs(v) >= 1e6))
		snprintf(out, 24, "%.3g", v);
	else
		snprintf(out, 24, fabs(v) >= 100 ? "%.1f" : fabs(v) >= 10 ? "%.2f" : "%.4f", v);
	return out;
}

static char *
interval(char out[64], const struct estimate *s)
{
	char low[24], high[24];

	if (isfinite(s->half))
		snprintf(out, 64, "%s to %s", number(low, s->mean - s->half), number(high, s->mean + s->half));
	else
		snprintf(out, 64, "-");
	return out;
}

/* ---- text ---- */

static bool
measured(const struct scores *s, enum score_kind kind)
{
	return kind == SCORE_CKNNA ? s->group > 0 : kind == SCORE_LP_KL || kind == SCORE_LP_ACC ? s->probe != NULL : true;
}

static void
rows_line(const struct scores *s, FILE *to)
{
	char rows[32], flat[32];

	fprintf(to, "%s rows, %s\n", view_count(rows, s->rows), s->rows_are);
	if (s->flat)
		fprintf(to, "%s of them do not vary, and are left out of FVU, cosine and MAE\n", view_count(flat, s->flat));
}

static void
cknna_line(const struct scores *s, FILE *to)
{
	char rows[32], left[32];

	if (!s->group)
		return;
	fprintf(to, "CKNNA: %" PRIu64 " group%s of rows that follow each other (%s rows in all; %s at the ends left out), %zu nearest of each\n",
	        s->groups + s->undefined, s->groups + s->undefined == 1 ? "" : "s", view_count(rows, s->group_rows), view_count(left, s->left_out), s->neighbours);
	if (s->undefined)
		fprintf(to, "CKNNA is undefined in %" PRIu64 " of them: one of the spaces has no structure there\n", s->undefined);
}

static void
used_table(const struct scores *s, FILE *to)
{
	const struct scores_level *l = &s->levels[0];
	char mean[24], sd[24], range[64];
	struct table t;
	size_t i;

	table_columns(&t, "lrrrl", "as the model is used", "mean", "sd", "95 % interval", "");
	for (i = 0; i < SCORE_KINDS; i++)
		if (measured(s, i))
			table_row(&t, kinds[i].title, number(mean, l->of[i].mean), number(sd, l->of[i].sd), interval(range, &l->of[i]), kinds[i].about);
	table_row(&t, "DO", number(mean, s->overlap), "", "", "mean squared inner product of decoder rows");
	table_print(&t, "  ", to);
	table_free(&t);
}

static bool
any_measured(const struct scores *s, size_t n, enum score_kind kind)
{
	size_t i;

	for (i = 0; i < n && !measured(&s[i], kind); i++)
		;
	return i < n;
}

static const char *
level_name(char out[24], const struct scores_level *l)
{
	if (!l->k)
		return "as used";
	snprintf(out, 24, "%zu", l->k);
	return out;
}

/* Headings, or where l is not NULL the cells of one level of one of the n models. */
static size_t
wide_cells(const struct scores *all, size_t n, bool models, const struct scores *s, const struct scores_level *l, char room[][24], const char **cells)
{
	static const struct { enum score_kind kind; const char *title; } columns[] = {
		{SCORE_L0, "L0"}, {SCORE_SPARSITY, "sparsity"}, {SCORE_FVU, "FVU"}, {SCORE_FVU_DATA, "FVU data"}, {SCORE_COSINE, "cosine"},
		{SCORE_MAE, "MAE"}, {SCORE_CKNNA, "CKNNA"}, {SCORE_LP_KL, "LP-KL"}, {SCORE_LP_ACC, "LP-Acc"},
	};
	size_t c, at = 1;

	cells[0] = models ? "model" : "k";
	if (l && models)
		cells[0] = s->name;
	else if (l)
		cells[0] = level_name(room[0], l);
	for (c = 0; c < sizeof columns / sizeof *columns; c++)
		if (any_measured(all, n, columns[c].kind)) {
			cells[at] = l ? number(room[at], measured(s, columns[c].kind) ? l->of[columns[c].kind].mean : NAN) : columns[c].title;
			at++;
		}
	if (models) {
		cells[at] = l ? number(room[at], s->overlap) : "DO";
		at++;
	}
	if (l)
		snprintf(room[at], 24, "%" PRIu64, l->never);
	cells[at] = l ? room[at] : "NDN";
	return at + 1;
}

/* The n models beside each other, or (models false) the levels of the one. */
static void
wide_table(const struct scores *s, size_t n, bool models, FILE *to)
{
	const char *cells[TABLE_MAX_COLS];
	char room[TABLE_MAX_COLS][24], align[TABLE_MAX_COLS + 1] = "lrrrrrrrrrrr";
	size_t rows = models ? n : s->nlevels, i;
	struct table t;

	align[wide_cells(s, n, models, NULL, NULL, room, cells)] = 0;
	table_columns_of(&t, align, cells);
	for (i = 0; i < rows; i++) {
		/* levels first, as used last */
		wide_cells(s, n, models, models ? &s[i] : s, models ? &s[i].levels[0] : &s->levels[(i + 1) % rows], room, cells);
		table_row_of(&t, cells);
	}
	table_print(&t, "  ", to);
	table_free(&t);
}

static void
latents_text(const struct scores *s, FILE *to)
{
	char count[32], share[24], bar[3 * BAR + 4], mean[24], q[3][24];
	struct table t;
	size_t i;

	table_columns(&t, "lrrl", "active in", "latents", "", "");
	for (i = 0; i < SCORES_BINS; i++)
		table_row(&t, i && i < 7 ? bin_names[i] : i ? "all rows (always active)" : "no row (never active, NDN)", view_count(count, s->bins[i]),
		          view_percent(share, (double)s->bins[i] / (double)s->m), view_bar(bar, (double)s->bins[i] / (double)s->m, BAR));
	table_print(&t, "  ", to);
	table_free(&t);
	fprintf(to, "\nmonosemanticity of %s latents with two rows or more: mean %s, quartiles %s, %s, %s\n", view_count(count, s->mono_defined),
	        number(mean, s->mono_mean), number(q[0], s->mono_quartile[0]), number(q[1], s->mono_quartile[1]), number(q[2], s->mono_quartile[2]));
}

static void
text_one(const struct scores *s, FILE *to)
{
	char d[32], m[32];

	fprintf(to, "%s: %s, %s -> %s, sha256 %.12s\n", s->name, s->arch, view_count(d, s->d), view_count(m, s->m), s->sha256);
	rows_line(s, to);
	fputc('\n', to);
	used_table(s, to);
	if (s->nlevels > 1) {
		fputs("\nthe k largest codes of each row\n", to);
		wide_table(s, 1, false, to);
	}
	fputc('\n', to);
	latents_text(s, to);
	cknna_line(s, to);
}

static void
text_all(const struct scores *s, size_t n, FILE *to)
{
	size_t i;

	rows_line(s, to);
	fputc('\n', to);
	wide_table(s, n, true, to);
	for (i = 0; i < n && s[i].nlevels > 1; i++) {
		fprintf(to, "\n%s: the k largest codes of each row\n", s[i].name);
		wide_table(&s[i], 1, false, to);
	}
	fputc('\n', to);
	cknna_line(s, to);
}

/* ---- JSON ---- */

static json_t *
real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *
level_json(const struct scores *s, const struct scores_level *l)
{
	json_t *o = json_object();
	size_t i;

	if (l->k)
		json_object_set_new(o, "k", json_integer((json_int_t)l->k));
	for (i = 0; i < SCORE_KINDS; i++) {
		const struct estimate *e = &l->of[i];

		if (measured(s, i))
			json_object_set_new(o, kinds[i].key, json_pack("{s:o, s:o, s:[o, o]}", "mean", real(e->mean), "sd", real(e->sd),
			                                               "ci95", real(e->mean - e->half), real(e->mean + e->half)));
	}
	json_object_set_new(o, "never_active", json_integer((json_int_t)l->never));
	json_object_set_new(o, "always_active", json_integer((json_int_t)l->always));
	return o;
}

static json_t *
frequency_json(const struct scores *s)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < SCORES_BINS; i++)
		json_array_append_new(a, json_pack("{s:s, s:I}", "active_in", bin_names[i], "latents", (json_int_t)s->bins[i]));
	return a;
}

static json_t *
mono_json(const struct scores *s)
{
	json_t *a = json_array();
	size_t j;

	for (j = 0; j < s->m; j++)
		json_array_append_new(a, real(s->mono[j]));
	return json_pack("{s:o, s:[o, o, o], s:I, s:o}", "mean", real(s->mono_mean), "quartiles", real(s->mono_quartile[0]), real(s->mono_quartile[1]),
	                 real(s->mono_quartile[2]), "defined", (json_int_t)s->mono_defined, "latents", a);
}

static json_t *
model_json(const struct scores *s)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "model", s->name, "sha256", s->sha256, "architecture", s->arch, "inputs", (json_int_t)s->d,
	                      "latents", (json_int_t)s->m, "rows", (json_int_t)s->rows, "rows_that_do_not_vary", (json_int_t)s->flat, "rows_are", s->rows_are);
	json_t *at = json_array(), *active = json_array();
	size_t i;

	json_object_set_new(o, "as_used", level_json(s, &s->levels[0]));
	for (i = 1; i < s->nlevels; i++)
		json_array_append_new(at, level_json(s, &s->levels[i]));
	json_object_set_new(o, "at", at);
	json_object_set_new(o, "do", real(s->overlap));
	if (s->group)
		json_object_set_new(o, "cknna", json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "group", (json_int_t)s->group, "neighbours", (json_int_t)s->neighbours,
		                                          "groups", (json_int_t)s->groups, "undefined_groups", (json_int_t)s->undefined,
		                                          "rows", (json_int_t)s->group_rows, "rows_left_out", (json_int_t)s->left_out));
	if (s->probe)
		json_object_set_new(o, "probe", json_string(s->probe));
	json_object_set_new(o, "frequency", frequency_json(s));
	for (i = 0; i < s->m; i++)
		json_array_append_new(active, json_integer((json_int_t)s->active[i]));
	json_object_set_new(o, "active_rows", active);
	json_object_set_new(o, "monosemanticity", mono_json(s));
	return o;
}

static int
write_json(const struct scores *s, size_t n, FILE *to)
{
	json_t *all = n == 1 ? model_json(s) : json_object(), *list;
	int rc;
	size_t i;

	if (n > 1) {
		list = json_array();
		for (i = 0; i < n; i++)
			json_array_append_new(list, model_json(&s[i]));
		json_object_set_new(all, "models", list);
	}
	rc = json_dumpf(all, to, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(all);
	return rc || putc('\n', to) == EOF ? -1 : 0;
}

/* ---- CSV ---- */

static void
value(double v, FILE *to)
{
	putc(',', to);
	if (isfinite(v))
		fprintf(to, "%.9g", v);
}

static void
write_csv(const struct scores *s, size_t n, FILE *to)
{
	size_t i, l, k;

	fputs("model,k,rows", to);
	for (k = 0; k < SCORE_KINDS; k++)
		fprintf(to, ",%s,%s_sd,%s_ci95", kinds[k].key, kinds[k].key, kinds[k].key);
	fputs(",never_active,always_active,do\n", to);
	for (i = 0; i < n; i++)
		for (l = 0; l < s[i].nlevels; l++) {
			const struct scores_level *v = &s[i].levels[l];

			view_csv(s[i].name, to);
			if (v->k)
				fprintf(to, ",%zu,%" PRIu64, v->k, s[i].rows);
			else
				fprintf(to, ",used,%" PRIu64, s[i].rows);
			for (k = 0; k < SCORE_KINDS; k++) {
				value(v->of[k].mean, to);
				value(v->of[k].sd, to);
				value(v->of[k].half, to);
			}
			fprintf(to, ",%" PRIu64 ",%" PRIu64, v->never, v->always);
			value(s[i].overlap, to);
			putc('\n', to);
		}
}

int
scores_latents(const struct scores *s, size_t n, FILE *to)
{
	size_t i, j;

	fputs("model,latent,rows,frequency,strength,monosemanticity\n", to);
	for (i = 0; i < n; i++)
		for (j = 0; j < s[i].m; j++) {
			view_csv(s[i].name, to);
			fprintf(to, ",%zu,%" PRIu64, j, s[i].active[j]);
			value((double)s[i].active[j] / (double)s[i].rows, to);
			value(s[i].strength[j], to);
			value(s[i].mono[j], to);
			putc('\n', to);
		}
	return ferror(to) ? -1 : 0;
}

int
scores_write(const struct scores *s, size_t n, enum scores_form form, FILE *to)
{
	if (form == SCORES_JSON)
		return write_json(s, n, to);
	if (form == SCORES_CSV)
		write_csv(s, n, to);
	else if (n == 1)
		text_one(s, to);
	else
		text_all(s, n, to);
	return ferror(to) ? -1 : 0;
}
