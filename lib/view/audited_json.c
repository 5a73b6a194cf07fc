/* An audit as JSON. Tests go out one by one: there may be many. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "view/audited.h"

/* Takes the reference. */
static int
put(json_t *v, const char *after, FILE *to)
{
	int failed = !v || json_dumpf(v, to, JSON_COMPACT | JSON_REAL_PRECISION(9) | JSON_ENCODE_ANY) || fputs(after, to) == EOF;

	json_decref(v);
	return failed ? -1 : 0;
}

static json_t *
real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *
text(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *
count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *
side_json(const struct audited_side *s)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "group", text(s->group[0]), "rows", count(s->rows[0]), "against", text(s->group[1]), "rows_against", count(s->rows[1]));
}

static json_t *
test_json(const struct audited *a, const struct audited_test *t)
{
	const struct audited_side *s = &a->sides[t->side];
	double na = (double)s->rows[0], nb = (double)s->rows[1], xa = (double)t->active[0], xb = (double)t->active[1], low, high;
	const double ten = 2.302585092994046; /* log 10 */

	stats_share_difference(xa, na, xb, nb, &low, &high);
	return json_pack("{s:I, s:o, s:o, s:o, s:[o, o], s:[f, f], s:f, s:[f, f], s:[f, f], s:f, s:[f, f], s:f, s:f, s:f, s:o, s:o}", "latent", (json_int_t)t->latent, "name", text(t->name),
	                 "group", text(s->group[0]), "against", text(s->group[1]), "active", count(t->active[0]), count(t->active[1]), "rate", xa / na, xb / nb,
	                 "rate_difference", xa / na - xb / nb, "rate_interval", low, high, "mean", t->mean[0], t->mean[1],
	                 "delta", t->delta, "delta_interval", t->low, t->high, "auc", (1 + t->delta) / 2, "p", exp(t->log_p), "q", exp(t->log_q),
	                 "log10_p", real(t->log_p / ten), "log10_q", real(t->log_q / ten));
}

static json_t *
step_json(const struct audited *a, const struct audited_sweep *s, size_t step)
{
	json_t *out = json_object(), *mean = json_array(), *sd = json_array(), *half = json_array(), *change = json_array(), *change_half = json_array(), *said = json_array();
	size_t at = step * a->nclasses, end = at + a->nclasses;

	for (; at < end; at++) {
		json_array_append_new(mean, real(s->p[at].mean));
		json_array_append_new(sd, real(s->p[at].sd));
		json_array_append_new(half, real(s->p[at].half));
		json_array_append_new(change, real(s->change[at].mean));
		json_array_append_new(change_half, real(s->change[at].half));
		json_array_append_new(said, count(s->predicted[at]));
	}
	json_object_set_new(out, "value", step ? real(s->steps[step - 1]) : json_null());
	json_object_set_new(out, "mean", mean);
	json_object_set_new(out, "sd", sd);
	json_object_set_new(out, "half", half);
	json_object_set_new(out, "change", change);
	json_object_set_new(out, "change_half", change_half);
	json_object_set_new(out, "predicted", said);
	return out;
}

static json_t *
sweep_json(const struct audited *a, const struct audited_sweep *s)
{
	json_t *latents = json_array(), *steps = json_array();
	size_t i;

	for (i = 0; i < s->nlatents; i++)
		json_array_append_new(latents, count(s->latents[i]));
	for (i = 1; i <= s->nsteps; i++)
		json_array_append_new(steps, step_json(a, s, i));
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "concept", s->concept, "latents", latents, "of", text(a->of), "rows", count(s->rows), "active", count(s->active),
	                 "as_it_is", step_json(a, s, 0), "steps", steps);
}

static json_t *
about(const struct audited *a)
{
	json_t *sides = json_array(), *classes = json_array();
	size_t i;

	for (i = 0; i < a->nsides; i++)
		json_array_append_new(sides, side_json(&a->sides[i]));
	for (i = 0; i < a->nclasses; i++)
		json_array_append_new(classes, json_string(a->classes[i]));
	return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "by", text(a->by), "predicted", !a->by, "comparisons", sides,
	                 "rows", count(a->rows), "ignored", count(a->ignored), "other_groups", count(a->others), "latents", count(a->latents), "tested", count(a->tested),
	                 "tests", count(a->ntests), "significant", count(a->significant), "probe", text(a->probe), "classes", classes);
}

int
audited_json(const struct audited *a, FILE *to)
{
	const struct audited_test *t;
	struct audited_walk w = {0};
	size_t i;
	int failed = fputs("{\"audit\":", to) == EOF || put(about(a), ",\n\"tests\":[", to);

	while (!failed && (t = audited_next(a, SIZE_MAX, &w)))
		failed = fputs(w.all > 1 ? ",\n" : "\n", to) == EOF || put(test_json(a, t), "", to);
	failed = failed || fputs("],\n\"counterfactuals\":[", to) == EOF;
	for (i = 0; i < a->nsweeps && !failed; i++)
		failed = fputs(i ? ",\n" : "\n", to) == EOF || put(sweep_json(a, &a->sweeps[i]), "", to);
	return failed || fputs("]}\n", to) == EOF || ferror(to) ? -1 : 0;
}
