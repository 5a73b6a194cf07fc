#include "jobs/audit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/lexicon.h"
#include "base/text.h"
#include "sae/ranksum.h"

#define SOME_OTHERS 1000 /* labels remembered, to suggest one of them */
#define SHOWN 60         /* bytes of a label in messages */

/* A key: latent, then the code from the largest down, then the group. A code is positive, so 31 bits tell it. */
#define GROUP_BITS 5
#define CODE_BITS 31
#define LARGEST (((uint64_t)1 << CODE_BITS) - 1)
_Static_assert(AUDIT_MAX_GROUPS == 1 << GROUP_BITS, "groups have their place in a key");

/* ---- rows on their way in ---- */

static bool
among(const char *label, const char *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n && strcmp(label, list[i]); i++)
		;
	return i < n;
}

static int
named_before(const struct audit *a, const char *label, struct err *e)
{
	if (among(label, a->groups, a->asked) || among(label, (const char *const *)a->ignore, a->nignore))
		return err_set(e, CODE_USAGE, "'%s' is named twice", label);
	return 0;
}

int
audit_leave_out(struct audit *a, const char *label, struct err *e)
{
	const char **more = realloc(a->ignore, (a->nignore + 1) * sizeof *more);

	if (!more)
		return err_memory(e, "labels", (a->nignore + 1) * sizeof *more);
	a->ignore = more;
	if (named_before(a, label, e))
		return e->code;
	a->ignore[a->nignore++] = label;
	return 0;
}

int
audit_ask_for(struct audit *a, const char *label, struct err *e)
{
	if (a->asked == AUDIT_MAX_GROUPS)
		return err_set(e, CODE_USAGE, "at most %d groups are compared", AUDIT_MAX_GROUPS);
	if (named_before(a, label, e))
		return e->code;
	a->groups[a->asked++] = label;
	return 0;
}

static bool
ignored(const struct audit *a, const char *label)
{
	return !*label || among(label, (const char *const *)a->ignore, a->nignore);
}

/* The place of a label among the groups asked for. */
static uint32_t
asked_for(const struct audit *a, const char *label)
{
	uint32_t i;

	for (i = 0; i < a->asked; i++)
		if (!strcmp(label, a->groups[i]))
			return i;
	return a->asked == 1 ? 1 : AUDIT_NONE;
}

uint32_t
audit_group(const struct audit *a, const char *label)
{
	const struct strcount_entry *at;

	if (ignored(a, label))
		return AUDIT_NONE;
	if (a->asked)
		return asked_for(a, label);
	at = strcount_find(&a->labels, label);
	return at ? (uint32_t)at->id : AUDIT_NONE;
}

/* The group of one more row. */
static int
take_label(struct audit *a, const char *label, uint32_t *group, struct err *e)
{
	struct strcount_entry *at;

	*group = AUDIT_NONE;
	if (ignored(a, label)) {
		a->ignored++;
		return 0;
	}
	if (a->asked) {
		*group = asked_for(a, label);
		if (!among(label, a->groups, a->asked) && strcount_add(&a->others, label, strlen(label), e))
			return e->code;
		a->not_asked += *group == AUDIT_NONE;
	} else {
		if (strcount_entry(&a->labels, label, strlen(label), &at, e))
			return e->code;
		if (!at)
			return err_set(e, CODE_DATA, "more than %d different labels: name those to compare (--group A --group B), or those to leave out (--ignore)", AUDIT_MAX_GROUPS);
		*group = (uint32_t)at->id;
	}
	if (*group != AUDIT_NONE)
		a->rows[*group]++;
	return 0;
}

static int
take_codes(struct audit *a, const uint32_t *idx, const float *val, size_t n, uint32_t group, struct err *e)
{
	uint64_t *keys;
	size_t i, held = 0;

	if (buf_resize(&a->batch, n * sizeof *keys, e))
		return e->code;
	keys = (uint64_t *)(void *)a->batch.data;
	for (i = 0; i < n; i++) {
		if (val[i] < 0)
			return err_set(e, CODE_DATA, "latent %lu has the code %g: codes of a sparse autoencoder are not below 0", (unsigned long)idx[i], (double)val[i]);
		if (!(val[i] > 0))
			continue;
		if (val[i] > a->most[idx[i]])
			a->most[idx[i]] = val[i];
		keys[held++] = (uint64_t)idx[i] << (CODE_BITS + GROUP_BITS) | (LARGEST - (keysort_of_float(val[i]) & LARGEST)) << GROUP_BITS | group;
	}
	return held ? keysort_add(&a->keys, keys, held, e) : 0;
}

static int
begin(struct audit *a, size_t m, struct err *e)
{
	if (m > (size_t)1 << (64 - CODE_BITS - GROUP_BITS))
		return err_set(e, CODE_DATA, "codes of %zu latents: more than can be compared", m);
	a->m = m;
	a->labels.max = AUDIT_MAX_GROUPS;
	a->others.max = SOME_OTHERS;
	a->most = calloc(m + 1, sizeof *a->most);
	return a->most ? 0 : err_memory(e, "latents", m * sizeof *a->most);
}

int
audit_rows(struct audit *a, struct csr_view z, const char *const *labels, struct err *e)
{
	uint32_t group;
	size_t i;

	if (!a->most && begin(a, z.cols, e))
		return e->code;
	if (z.cols != a->m)
		return err_set(e, CODE_DATA, "codes of %zu latents, before they had %zu", z.cols, a->m);
	for (i = 0; i < z.rows; i++) {
		if (take_label(a, labels[i], &group, e))
			return e->code;
		if (group != AUDIT_NONE && take_codes(a, z.idx + z.ptr[i], z.val + z.ptr[i], z.ptr[i + 1] - z.ptr[i], group, e))
			return e->code;
	}
	return 0;
}

/* ---- who is compared with whom ---- */

/* Why a group that was asked for is not there, and what is near. */
static int
no_group(const struct audit *a, const char *name, int code, struct err *e)
{
	const struct strcount *all[] = {&a->labels, &a->others};
	struct lexicon l = {0};
	char near[300] = "", text[SHOWN];
	size_t k, i;

	for (k = 0; k < 2; k++)
		for (i = 0; i < all[k]->cap; i++)
			if (all[k]->slots[i].s && lexicon_add(&l, all[k]->slots[i].s, 0, false, e))
				break;
	for (i = 0; i < a->asked; i++)
		if (a->rows[i] && lexicon_add(&l, a->groups[i], 0, false, e))
			break;
	lexicon_sort(&l);
	lexicon_suggest(&l, name, strlen(name), near, sizeof near);
	lexicon_free(&l);
	return err_set(e, code, "no row has the label '%s'%s", text_printable(text, sizeof text, name, strlen(name)), near);
}

int
audit_find(const struct audit *a, const char *name, uint32_t *group, struct err *e)
{
	*group = a->asked == 1 && strcmp(name, a->groups[0]) ? AUDIT_NONE : audit_group(a, name);
	return *group == AUDIT_NONE ? no_group(a, name, CODE_USAGE, e) : 0;
}

struct named { const char *name; uint32_t id; };

static int
by_name(const void *x, const void *y)
{
	return text_natural_cmp(((const struct named *)x)->name, ((const struct named *)y)->name);
}

/* The groups there are, in the order they are told. */
static size_t
list_groups(const struct audit *a, struct named out[AUDIT_MAX_GROUPS])
{
	size_t i, n = 0;

	for (i = 0; i < a->asked; i++)
		out[n++] = (struct named){a->groups[i], (uint32_t)i};
	for (i = 0; i < a->labels.cap; i++)
		if (a->labels.slots[i].s)
			out[n++] = (struct named){a->labels.slots[i].s, (uint32_t)a->labels.slots[i].id};
	if (!a->asked)
		qsort(out, n, sizeof *out, by_name);
	return n;
}

static int
set_sides(struct audit *a, struct err *e)
{
	struct named names[AUDIT_MAX_GROUPS];
	size_t n = list_groups(a, names), i;
	uint64_t all = 0;
	char text[SHOWN];

	for (i = 0; i < AUDIT_MAX_GROUPS; i++)
		all += a->rows[i];
	for (i = 0; i < n; i++)
		if (!a->rows[names[i].id])
			return no_group(a, names[i].name, CODE_DATA, e);
	if (!all)
		return err_set(e, CODE_DATA, a->ignored ? "all rows are without a label, or have one to ignore" : "no rows: there is nothing to compare");
	if (n == 1 && all == a->rows[names[0].id])
		return err_set(e, CODE_DATA, "all rows are '%s': two groups are needed", text_printable(text, sizeof text, names[0].name, strlen(names[0].name)));
	if (all > UINT32_MAX)
		return err_set(e, CODE_DATA, "%llu rows are too many to compare", (unsigned long long)all);
	a->ngroups = n == 1 ? 2 : n;
	a->nsides = n <= 2 ? 1 : n;
	for (i = 0; i < a->nsides; i++) {
		a->sides[i] = (struct audited_side){{names[i].name, n == 2 ? names[1].name : NULL}, {a->rows[names[i].id], all - a->rows[names[i].id]}};
		a->first[i] = names[i].id;
	}
	return 0;
}

/* ---- a latent after the other ---- */

/* One latent: what its rows with a code have added up to so far. */
struct latent {
	uint32_t number;
	struct ranksum ranks[AUDIT_MAX_GROUPS]; /* a side each */
	double sum[AUDIT_MAX_GROUPS];           /* a group each, here and below */
	uint64_t active[AUDIT_MAX_GROUPS], tied[AUDIT_MAX_GROUPS];
	uint64_t code;                          /* that the tied rows have, as it is in a key */
	uint64_t all_tied, all_active;
};

static float
value_of(uint64_t code)
{
	uint32_t bits = (uint32_t)(LARGEST - code);
	float v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static void
begin_latent(const struct audit *a, struct latent *l, uint32_t number)
{
	size_t i;

	l->number = number;
	for (i = 0; i < a->nsides; i++)
		ranksum_begin(&l->ranks[i], a->sides[i].rows[0], a->sides[i].rows[1]);
	memset(l->sum, 0, sizeof l->sum);
	memset(l->active, 0, sizeof l->active);
	memset(l->tied, 0, sizeof l->tied);
	l->all_tied = l->all_active = 0;
}

/* The rows that have one code are complete. */
static void
end_ties(const struct audit *a, struct latent *l)
{
	double value = (double)value_of(l->code);
	size_t i;

	if (!l->all_tied)
		return;
	for (i = 0; i < a->nsides; i++)
		ranksum_tied(&l->ranks[i], l->tied[a->first[i]], l->all_tied - l->tied[a->first[i]]);
	for (i = 0; i < a->ngroups; i++) {
		l->sum[i] += (double)l->tied[i] * value;
		l->active[i] += l->tied[i];
		l->tied[i] = 0;
	}
	l->all_active += l->all_tied;
	l->all_tied = 0;
}

/* What the other groups have; not all less this one, which would round. */
static double
sum_of_others(const struct audit *a, const struct latent *l, uint32_t group)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < a->ngroups; i++)
		sum += i == group ? 0 : l->sum[i];
	return sum;
}

static int
end_latent(struct audit *a, struct latent *l, struct err *e)
{
	struct ranksum_result got;
	struct audited_test *more;
	size_t i;

	end_ties(a, l);
	if (!l->all_active)
		return 0;
	a->tested++;
	if (a->ntests + a->nsides > a->cap) {
		more = realloc(a->tests, (2 * a->cap + AUDIT_MAX_GROUPS) * sizeof *more);
		if (!more)
			return err_memory(e, "tests", (2 * a->cap + AUDIT_MAX_GROUPS) * sizeof *more);
		a->tests = more;
		a->cap = 2 * a->cap + AUDIT_MAX_GROUPS;
	}
	for (i = 0; i < a->nsides; i++) {
		const struct audited_side *s = &a->sides[i];
		uint32_t g = a->first[i];

		ranksum_end(&l->ranks[i], &got);
		a->tests[a->ntests++] = (struct audited_test){
			.latent = l->number, .side = (uint32_t)i, .active = {l->active[g], l->all_active - l->active[g]},
			.mean = {l->sum[g] / (double)s->rows[0], sum_of_others(a, l, g) / (double)s->rows[1]},
			.delta = got.delta, .low = got.low, .high = got.high, .log_p = got.log_p,
		};
	}
	return 0;
}

static int
go_through(struct audit *a, struct latent *l, struct err *e)
{
	uint64_t key, code;
	uint32_t latent;
	int more;

	begin_latent(a, l, 0);
	while ((more = keysort_next(&a->keys, &key, e)) > 0) {
		latent = (uint32_t)(key >> (CODE_BITS + GROUP_BITS));
		code = key >> GROUP_BITS & LARGEST;
		if (latent != l->number) {
			if (end_latent(a, l, e))
				return e->code;
			begin_latent(a, l, latent);
		} else if (code != l->code) {
			end_ties(a, l);
		}
		l->code = code;
		l->tied[key & (AUDIT_MAX_GROUPS - 1)]++;
		l->all_tied++;
	}
	return more < 0 ? e->code : end_latent(a, l, e);
}

/* ---- many tests ---- */

static int
by_p(const void *x, const void *y)
{
	const struct audited_test *a = x, *b = y;

	return (a->log_p > b->log_p) - (a->log_p < b->log_p);
}

static int
by_q(const void *x, const void *y)
{
	const struct audited_test *a = x, *b = y;
	double da = fabs(a->delta), db = fabs(b->delta);

	if (a->log_q != b->log_q)
		return a->log_q > b->log_q ? 1 : -1;
	if (da != db)
		return da < db ? 1 : -1;
	return a->latent != b->latent ? (a->latent > b->latent ? 1 : -1) : (a->side > b->side) - (a->side < b->side);
}

/* Benjamini and Hochberg (1995): q of the i-th smallest of n p-values is the
 * least p_j n/j of those from i on. */
static void
correct(struct audit *a)
{
	double least = 0;
	size_t i;

	if (!a->ntests)
		return;
	qsort(a->tests, a->ntests, sizeof *a->tests, by_p);
	for (i = a->ntests; i-- > 0;) {
		least = fmin(least, a->tests[i].log_p + log((double)a->ntests / (double)(i + 1)));
		a->tests[i].log_q = least;
		a->significant += least <= log(AUDITED_LEVEL);
	}
	qsort(a->tests, a->ntests, sizeof *a->tests, by_q);
}

int
audit_finish(struct audit *a, struct err *e)
{
	struct latent *l;

	e->code = 0;
	if (set_sides(a, e))
		return e->code;
	l = calloc(1, sizeof *l);
	if (!l)
		return err_memory(e, "tests", sizeof *l);
	if (!keysort_begin(&a->keys, e))
		go_through(a, l, e);
	free(l);
	correct(a);
	return e->code;
}

void
audit_free(struct audit *a)
{
	free(a->ignore);
	free(a->most);
	strcount_free(&a->labels);
	strcount_free(&a->others);
	keysort_free(&a->keys);
	buf_free(&a->batch);
	free(a->tests);
	*a = (struct audit){0};
}
