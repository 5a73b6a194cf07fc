#include "jobs/evaluation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/evaluation_parts.h"
#include "sae/levels.h"
#include "sae/norm.h"
#include "sae/probe.h"

/* ---- beginning ---- */

/* What takes the model's rows back to raw ones; NULL: they are. */
static const float *
raw_mean(const struct evaluation *v)
{
	return v->own ? v->model->mean : v->mean;
}

static float
raw_scale(const struct evaluation *v)
{
	return v->own ? v->model->scale : v->scale;
}

/* The probe's opinion of the rows as they are, once a block. */
static int
ask_probe(struct evaluation *v, const float *rows, size_t n, struct mat *logp, struct err *e)
{
	const float *raw = rows, *mean = raw_mean(v);
	size_t d = v->model->d;

	if (mat_resize(logp, QUALITY_BLOCK, v->probe->classes, "probabilities", e))
		return e->code;
	if (mean) {
		if (mat_resize(&v->raw, QUALITY_BLOCK, d, "raw rows", e))
			return e->code;
		norm_undo(v->raw.data, rows, n, d, mean, raw_scale(v), v->simd);
		raw = v->raw.data;
	}
	return probe_logp(v->probe, raw, n, v->pool, v->simd, &v->scratch, logp->data, e);
}

/* KL(p(.|x) || p(.|xhat)) of each row, and whether the likeliest class is the
 * same. */
static struct probe_sums
compare_opinions(const float *p, const float *q, size_t n, size_t classes)
{
	struct probe_sums s = {0};
	uint32_t best[2];
	double kl;
	size_t r, c;

	for (r = 0; r < n; r++, p += classes, q += classes) {
		for (c = 0, kl = 0; c < classes; c++)
			kl += exp(p[c]) * ((double)p[c] - q[c]);
		best[0] = probe_best(p, classes);
		best[1] = probe_best(q, classes);
		s.kl += kl;
		s.kl_square += kl * kl;
		s.same += best[0] == best[1];
	}
	return s;
}

static void
add_sums(struct probe_sums *to, const struct probe_sums *s)
{
	to->kl += s->kl;
	to->kl_square += s->kl_square;
	to->same += s->same;
}

static int
each_level(void *arg, size_t level, size_t as, const float *x, const float *xhat, size_t n, struct err *e)
{
	struct evaluation *v = arg;

	(void)x;
	if (as != SIZE_MAX)
		v->lp_block[level] = v->lp_block[as];
	else if (ask_probe(v, xhat, n, &v->logp_y, e))
		return e->code;
	else
		v->lp_block[level] = compare_opinions(v->logp_x.data, v->logp_y.data, n, v->probe->classes);
	add_sums(&v->lp[level], &v->lp_block[level]);
	return 0;
}

/* All but the model's own numbers: also for what is loaded from a state. */
int
evaluation_make(struct evaluation *v, const size_t *ks, size_t nks, struct err *e)
{
	const struct sae *s = v->model;

	if (quality_init(&v->quality, s, ks, nks, v->pool, v->simd, e) ||
	    latents_init(&v->latents, s->m, s->d, pool_threads(v->pool), e) || mat_resize(&v->x, QUALITY_BLOCK, s->d, "rows", e))
		return e->code;
	v->mono = mem_alloc(s->m * sizeof *v->mono);
	v->strength = mem_alloc(s->m * sizeof *v->strength);
	return v->mono && v->strength ? 0 : err_memory(e, "latents", s->m * sizeof *v->mono);
}

int
evaluation_begin(struct evaluation *v, const struct sae *model, const struct evaluation_opts *o, struct pool *pool, const struct simd *simd, struct err *e)
{
	size_t ks[QUALITY_MAX_KS], nks = o->progressive ? levels_doubling(model->m, ks, QUALITY_MAX_KS) : 0;

	*v = (struct evaluation){.model = model, .pool = pool, .simd = simd, .compare_raw = o->raw, .cknna = o->cknna, .probe = o->probe};
	snprintf(v->name, sizeof v->name, "%s", o->name);
	if (o->probe)
		memcpy(v->probe_sha, o->probe->sha256, sizeof v->probe_sha);
	if (o->probe && o->probe->d != model->d)
		err_set(e, CODE_DATA, "%s: takes rows of %zu numbers, the probe of %zu", v->name, model->d, o->probe->d);
	else if (evaluation_make(v, ks, nks, e))
		err_add(e, "%s", v->name);
	else if (o->cknna)
		groups_init(&v->groups, o->group, o->neighbours, model->d, v->quality.nks + 1, e);
	if (!e->code && decoder_overlap(&v->overlap, model->W_dec, model->m, model->d, e) == 0 && o->probe) {
		v->quality.each = each_level;
		v->quality.each_arg = v;
	}
	if (e->code)
		evaluation_free(v);
	return e->code;
}

void
evaluation_free(struct evaluation *v)
{
	quality_free(&v->quality);
	latents_free(&v->latents);
	groups_free(&v->groups);
	sae_free(&v->shell);
	mat_free(&v->x);
	mem_free(v->mean);
	mat_free(&v->raw);
	mat_free(&v->logp_x);
	mat_free(&v->logp_y);
	mat_free(&v->scratch);
	mem_free(v->mono);
	mem_free(v->strength);
	*v = (struct evaluation){0};
}

/* ---- rows ---- */

static int
flush(struct evaluation *v, struct err *e)
{
	const float *x;
	size_t n = v->waiting;

	if (!n)
		return 0;
	v->waiting = 0;
	if ((v->probe && ask_probe(v, v->x.data, n, &v->logp_x, e)) || quality_rows(&v->quality, v->x.data, n, v->first, e))
		return e->code;
	x = quality_compared(&v->quality, v->x.data);
	latents_rows(&v->latents, x, quality_used(&v->quality), v->pool, v->simd);
	return v->cknna ? groups_rows(&v->groups, &v->quality, x, quality_all(&v->quality), v->first, e) : 0;
}

int
evaluation_stream(struct evaluation *v, const struct evaluation_norm *norm, bool as_is, struct err *e)
{
	const struct sae *s = v->model;
	bool ours = norm->mean && norm->scale == s->scale && !memcmp(norm->mean, s->mean, s->d * sizeof *s->mean);
	char text[sizeof v->rows_are];
	const char *are;

	if (flush(v, e))
		return e->code;
	mem_free(v->mean);
	v->mean = NULL;
	v->undo = norm->mean && norm->by_model && !ours;
	v->own = v->undo || (!norm->mean && !as_is);
	are = v->own || ours ? "normalised by the model's mean and scale" : norm->mean ? "normalised by another mean and scale" : "taken as they are";
	snprintf(text, sizeof text, "%s%s", are, v->compare_raw ? ", compared as raw embeddings" : "");
	if (v->rows_are[0] && strcmp(v->rows_are, text))
		return err_set(e, CODE_DATA, "rows of this stream are %s, those of the one before are %s", text, v->rows_are);
	memcpy(v->rows_are, text, sizeof text);
	if (norm->mean) {
		v->scale = norm->scale;
		v->mean = mem_alloc(s->d * sizeof *v->mean);
		if (!v->mean)
			return err_memory(e, "mean", s->d * sizeof *v->mean);
		memcpy(v->mean, norm->mean, s->d * sizeof *v->mean);
	}
	v->quality.mean = v->compare_raw ? raw_mean(v) : NULL;
	v->quality.scale = raw_scale(v);
	return 0;
}

/* Rows of the stream as the model takes them. */
static void
take(const struct evaluation *v, float *to, const float *x, size_t n)
{
	const struct sae *s = v->model;

	memcpy(to, x, n * s->d * sizeof *x);
	if (v->undo)
		norm_undo(to, to, n, s->d, v->mean, v->scale, v->simd);
	if (v->own)
		norm_apply(to, to, n, s->d, s->mean, s->scale, v->simd);
}

int
evaluation_rows(struct evaluation *v, const float *x, size_t n, uint64_t row, struct err *e)
{
	size_t d = v->model->d, some;

	if (!v->any)
		v->first_row = row;
	v->any = true;
	v->next_row = row + n;
	for (; n; n -= some, x += some * d, row += some) {
		if (v->waiting && (row != v->first + v->waiting || v->waiting == QUALITY_BLOCK) && flush(v, e))
			return e->code;
		if (!v->waiting)
			v->first = row;
		some = n < QUALITY_BLOCK - v->waiting ? n : QUALITY_BLOCK - v->waiting;
		take(v, v->x.data + v->waiting * d, x, some);
		v->waiting += some;
	}
	return 0;
}

int
evaluation_settle(struct evaluation *v, struct err *e)
{
	if (flush(v, e))
		return e->code;
	latents_settle(&v->latents);
	return 0;
}

int
evaluation_finish(struct evaluation *v, struct err *e)
{
	if (evaluation_settle(v, e))
		return e->code;
	return v->cknna ? groups_finish(&v->groups, &v->quality, e) : 0;
}

/* ---- results ---- */

static void
level_scores(const struct evaluation *v, size_t i, struct scores_level *out)
{
	static const struct estimate none = {NAN, NAN, NAN};
	const struct group_sums *g = &v->groups.levels[i];
	static const enum score_kind kinds[QUALITY_MEASURES] = {SCORE_FVU, SCORE_COSINE, SCORE_MAE, SCORE_L0};
	double n = (double)v->quality.rows, m = (double)v->model->m;
	struct quality_result r;
	size_t j;

	quality_result(&v->quality, i, &r);
	out->k = i ? v->quality.ks[i - 1] : 0;
	for (j = 0; j < QUALITY_MEASURES; j++)
		out->of[kinds[j]] = r.of[j];
	out->of[SCORE_FVU_DATA] = (struct estimate){r.fvu_data, NAN, r.fvu_data_half};
	out->of[SCORE_SPARSITY] = (struct estimate){r.zeros, r.of[QUALITY_L0].sd / m, r.of[QUALITY_L0].half / m};
	out->of[SCORE_CKNNA] = v->cknna ? estimate_mean(g->sum, g->square, g->groups) : none;
	out->of[SCORE_LP_KL] = v->probe_sha[0] ? estimate_mean(v->lp[i].kl, v->lp[i].kl_square, n) : none;
	out->of[SCORE_LP_ACC] = v->probe_sha[0] ? estimate_mean(v->lp[i].same, v->lp[i].same, n) : none;
	out->never = r.silent;
	out->always = r.always;
}

static int
ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Linear between the two nearest of sorted v[n], n > 0. */
static double
quantile(const double *v, size_t n, double q)
{
	double at = q * (double)(n - 1), below = floor(at);
	size_t i = (size_t)below;

	return i + 1 < n ? v[i] + (at - below) * (v[i + 1] - v[i]) : v[n - 1];
}

static int
latent_scores(struct evaluation *v, struct scores *out, struct err *e)
{
	const uint64_t *active = v->quality.fired;
	size_t m = v->model->m, n = 0, j, i;
	double *sorted = mem_alloc(m * sizeof *sorted);

	if (!sorted)
		return err_memory(e, "latents", m * sizeof *sorted);
	for (j = 0; j < m; j++) {
		v->mono[j] = latents_monosemanticity(&v->latents, j);
		v->strength[j] = v->latents.rows[j] ? v->latents.sum[j] / (double)v->latents.rows[j] : NAN;
		out->bins[scores_bin((double)active[j] / (double)v->quality.rows)]++;
		if (!isnan(v->mono[j])) {
			sorted[n++] = v->mono[j];
			out->mono_mean += v->mono[j];
		}
	}
	qsort(sorted, n, sizeof *sorted, ascending);
	out->mono_defined = n;
	out->mono_mean = n ? out->mono_mean / (double)n : NAN;
	for (i = 0; i < 3; i++)
		out->mono_quartile[i] = n ? quantile(sorted, n, .25 * (double)(i + 1)) : NAN;
	out->active = active;
	out->strength = v->strength;
	out->mono = v->mono;
	mem_free(sorted);
	return 0;
}

int
evaluation_scores(struct evaluation *v, struct scores *out, struct err *e)
{
	size_t i;

	if (!v->quality.rows)
		return err_set(e, CODE_DATA, "no rows: nothing to measure");
	*out = (struct scores){
		.name = v->name, .arch = sae_arch_name(v->model->arch), .sha256 = v->model->sha256, .rows_are = v->rows_are,
		.d = v->model->d, .m = v->model->m, .rows = v->quality.rows, .flat = v->quality.flat,
		.nlevels = v->quality.nks + 1, .overlap = v->overlap, .probe = v->probe_sha[0] ? v->probe_sha : NULL,
	};
	if (v->cknna) {
		out->group = v->groups.size;
		out->neighbours = v->groups.neighbours;
		out->groups = (uint64_t)v->groups.levels[0].groups;
		out->undefined = (uint64_t)v->groups.levels[0].undefined;
		out->group_rows = v->groups.rows;
		out->left_out = v->groups.left_out;
	}
	for (i = 0; i < out->nlevels; i++)
		level_scores(v, i, &out->levels[i]);
	return latent_scores(v, out, e);
}
