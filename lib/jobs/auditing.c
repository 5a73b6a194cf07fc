#include "jobs/auditing.h"

#include <math.h>

#include "sae/decode.h"
#include "sae/probe.h"

int
auditing_begin(struct auditing *a, struct err *e)
{
	e->code = 0;
	if (a->probe && a->model && a->probe->d != a->model->d)
		return err_set(e, CODE_DATA, "the probe takes rows of %zu numbers, the model of %zu: they are not for the same embeddings", a->probe->d, a->model->d);
	a->of_group = AUDIT_NONE;
	if (a->model)
		a->encoder = encoder_new(a->model, a->pool, a->simd, e);
	return e->code;
}

int
auditing_stream(struct auditing *a, float *mean, size_t d, float scale, struct err *e)
{
	undo_free(&a->undo);
	a->undo.mean = mean;
	a->undo.d = d;
	a->undo.scale = mean ? scale : 1;
	return a->second ? sweeps_stream(&a->sweeps, a->undo.scale, e) : 0;
}

/* The embeddings as their encoder made them: of x, or of what the codes say. */
static const float *
raw_rows(struct auditing *a, const float *x, size_t d, struct csr_view z, struct err *e)
{
	if (!x && !a->model)
		return err_set(e, CODE_USAGE, "-m MODEL is needed: without x, the probe is asked about what the codes decode to"), NULL;
	if (!x) {
		d = a->model->d;
		if (mat_resize(&a->xhat, z.rows, d, "xhat", e))
			return NULL;
		decode(a->model, z, a->pool, a->simd, a->xhat.data);
		x = a->xhat.data;
	}
	if (d != a->probe->d)
		return err_set(e, CODE_DATA, "rows of %zu numbers, the probe takes %zu", d, a->probe->d), NULL;
	if (a->undo.mean && d != a->undo.d)
		return err_set(e, CODE_DATA, "rows of %zu numbers, the mean they were normalised by has %zu", d, a->undo.d), NULL;
	return undo_rows(&a->undo, x, z.rows, a->simd, e);
}

/* The classes that the probe gives to the rows. */
static const char *const *
guess(struct auditing *a, const float *raw, size_t n, struct err *e)
{
	size_t classes = a->probe->classes, i;
	const char **said;

	if (mat_resize(&a->logp, n, classes, "prob", e) || buf_resize(&a->said, n * sizeof *said, e) ||
	    probe_logp(a->probe, raw, n, a->pool, a->simd, &a->unit, a->logp.data, e))
		return NULL;
	said = (const char **)(void *)a->said.data;
	for (i = 0; i < n; i++)
		said[i] = a->probe->names[probe_best(a->logp.data + i * classes, classes)];
	return said;
}

/* Those rows that take part are swept. */
static int
sweep(struct auditing *a, const float *raw, struct csr_view z, const char *const *labels, struct err *e)
{
	uint32_t group, *chosen;
	size_t i, n = 0;

	if (buf_resize(&a->chosen, (z.rows + 1) * sizeof *chosen, e))
		return e->code;
	chosen = (uint32_t *)(void *)a->chosen.data;
	for (i = 0; i < z.rows; i++) {
		group = audit_group(&a->audit, labels[i]);
		chosen[n] = (uint32_t)i;
		n += group != AUDIT_NONE && (a->of_group == AUDIT_NONE || group == a->of_group);
	}
	sweeps_rows(&a->sweeps, raw, z, chosen, n);
	return 0;
}

static void
measure(struct auditing *a, const float *x, size_t n)
{
	double square = 0;
	size_t i;

	for (i = 0; i < n; i++)
		square += (double)x[i] * (double)x[i];
	a->square += square;
	a->numbers += (double)n;
}

double
auditing_length(const struct auditing *a)
{
	return a->numbers > 0 ? sqrt(a->square / a->numbers) : NAN;
}

int
auditing_rows(struct auditing *a, const float *x, size_t d, const struct csr_view *z, const char *const *labels, size_t n, struct err *e)
{
	const float *raw = NULL;
	struct csr_view codes;

	e->code = 0;
	if (z && a->model && z->cols != a->model->m)
		return err_set(e, CODE_DATA, "codes of %zu latents, the model has %zu", z->cols, a->model->m);
	if (x && a->model && d != a->model->d)
		return err_set(e, CODE_DATA, "rows of %zu numbers, the model takes %zu", d, a->model->d);
	if (!z && encode(a->encoder, x, n, sae_keep(a->model), &a->z, e)) /* as sae-encode has it */
		return e->code;
	codes = z ? *z : csr_view(&a->z);
	if (x && a->undo.mean && !a->second)
		measure(a, x, n * d);
	if ((a->second || !labels) && !(raw = raw_rows(a, x, d, codes, e)))
		return e->code;
	a->guessed = !labels;
	if (!labels && !(labels = guess(a, raw, n, e)))
		return e->code;
	return a->second ? sweep(a, raw, codes, labels, e) : audit_rows(&a->audit, codes, labels, e);
}

/* All rows were seen once: names for what was found. */
static int
compare(struct auditing *a, struct err *e)
{
	const struct concept *c;
	size_t i;

	if (audit_finish(&a->audit, e))
		return e->code;
	for (i = 0; i < a->audit.ntests && a->concepts; i++) {
		c = concepts_find(a->concepts, a->audit.tests[i].latent);
		a->audit.tests[i].name = c && c->valid ? c->name : NULL;
	}
	return 0;
}

static struct audited
tell(const struct auditing *a)
{
	const struct audit *b = &a->audit;
	struct audited told = {
		.of = a->of, .sides = b->sides, .nsides = b->nsides, .ignored = b->ignored, .others = b->not_asked, .latents = b->m,
		.tested = b->tested, .tests = b->tests, .ntests = b->ntests, .significant = b->significant, .only_valid = a->only_valid, .top = SIZE_MAX,
		.sweeps = a->sweeps.told, .nsweeps = a->sweeps.told ? a->sweeps.n : 0,
		.classes = a->probe ? a->probe->names : NULL, .nclasses = a->probe ? a->probe->classes : 0,
	};
	size_t i;

	for (i = 0; i < AUDIT_MAX_GROUPS; i++)
		told.rows += b->rows[i];
	return told;
}

/* The latents told first, all different, are those to sweep. */
static int
choose(struct auditing *a, struct err *e)
{
	struct audited told = tell(a);
	const struct audited_test *t;
	struct audited_walk w = {0};
	size_t i;

	while (a->sweeps.n < a->nsweeps && (t = audited_next(&told, SIZE_MAX, &w))) {
		for (i = 0; i < a->sweeps.n && a->sweeps.items[i].latents[0] != t->latent; i++)
			;
		if (i == a->sweeps.n && sweeps_add_latent(&a->sweeps, t->latent, t->name, e))
			return e->code;
	}
	return 0;
}

int
auditing_turn(struct auditing *a, struct err *e)
{
	if (compare(a, e) || (a->of && audit_find(&a->audit, a->of, &a->of_group, e)) || (!a->sweeps.n && choose(a, e)))
		return e->code;
	a->second = true;
	return sweeps_begin(&a->sweeps, a->probe, a->model, a->audit.most, a->pool, e);
}

int
auditing_finish(struct auditing *a, struct audited *told, struct err *e)
{
	if (a->second ? sweeps_finish(&a->sweeps, e) : compare(a, e))
		return e->code;
	*told = tell(a);
	return 0;
}

void
auditing_free(struct auditing *a)
{
	audit_free(&a->audit);
	sweeps_free(&a->sweeps);
	encoder_free(a->encoder);
	undo_free(&a->undo);
	csr_free(&a->z);
	mat_free(&a->xhat);
	mat_free(&a->unit);
	mat_free(&a->logp);
	buf_free(&a->said);
	buf_free(&a->chosen);
	*a = (struct auditing){0};
}
