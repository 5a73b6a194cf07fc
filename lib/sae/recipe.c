#include "sae/recipe.h"

#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

enum kind { WORD, COUNT, REAL };

/* Every field, in the order in which a text has them. */
static const struct key {
	const char *name;
	enum kind kind;
	size_t offset;
} keys[] = {
#define KEY(name, kind, field) {name, kind, offsetof(struct recipe, field)}
	KEY("arch", WORD, arch), KEY("latents", COUNT, latents), KEY("k", COUNT, k),
	KEY("nesting", WORD, nesting), KEY("weights", WORD, weights), KEY("loss", WORD, loss),
	KEY("l1", REAL, l1), KEY("l0", REAL, l0), KEY("threshold", REAL, threshold), KEY("bandwidth", REAL, bandwidth),
	KEY("jump", WORD, jump),
	KEY("soft-cap", REAL, soft_cap), KEY("epochs", COUNT, epochs), KEY("steps", COUNT, steps),
	KEY("batch", COUNT, batch), KEY("lr", REAL, lr), KEY("schedule", WORD, schedule),
	KEY("decay-from", REAL, decay_from), KEY("warmup", REAL, warmup), KEY("clip", REAL, clip), KEY("beta2", REAL, beta2), KEY("jitter", REAL, jitter),
	KEY("start", WORD, start), KEY("init-bias", WORD, init_bias), KEY("dead", WORD, dead), KEY("shuffle", WORD, shuffle),
	KEY("window", COUNT, window), KEY("seed", COUNT, seed),
#undef KEY
};
#define NKEYS (sizeof keys / sizeof *keys)

/* What the MSAE authors train with, by architecture; then for all. */
static const struct {
	const char *arch, *text;
} defaults[] = {
	{"msae-rw", "lr=0.0001"},
	{"msae-uw", "lr=0.0001"},
	{"topk", "lr=0.0005"},
	{"batchtopk", "lr=0.0005"},
	{"relu", "lr=5e-05 l1=0.03"},
	{"jumprelu", "lr=0.0005 l0=0.001 threshold=0.001 bandwidth=0.001 jump=exact"},
	{NULL, "loss=nmse soft-cap=0 clip=1 beta2=0.999 jitter=0 batch=4096 schedule=linear-decay decay-from=0.8 warmup=0.05 "
	       "start=random init-bias=zero dead=none shuffle=yes window=134217728 seed=0"},
};

/* docs/TRAINING.md has the measurements behind them. */
static const struct preset {
	const char *name, *text, *arch;
	bool low; /* levels from 16 to a quarter of the latents, the first weighing most */
} presets[] = {
	{"paper", "", "msae-rw", false},
	{"best", "lr=0.001 batch=256 decay-from=0.3 jitter=0.5", "msae-rw", true},
};

static void *
field(const struct recipe *r, size_t i)
{
	return (char *)(uintptr_t)r + keys[i].offset;
}

static bool
is_set(const struct recipe *r, size_t i)
{
	void *at = field(r, i);

	switch (keys[i].kind) {
	case WORD: return *(const char **)at != NULL;
	case COUNT: return *(uint64_t *)at != RECIPE_NONE;
	default: return !isnan(*(double *)at);
	}
}

static void
value_text(const struct recipe *r, size_t i, char *out, size_t size)
{
	void *at = field(r, i);
	int digits = 6;

	switch (keys[i].kind) {
	case WORD: snprintf(out, size, "%s", *(const char **)at); break;
	case COUNT: snprintf(out, size, "%llu", (unsigned long long)*(uint64_t *)at); break;
	case REAL: /* the shortest that reads back as the same */
		do
			snprintf(out, size, "%.*g", digits, *(double *)at);
		while (strtod(out, NULL) != *(double *)at && ++digits <= 17);
		break;
	}
}

char *
recipe_text(const struct recipe *r, char out[RECIPE_TEXT])
{
	char value[RECIPE_TEXT];
	size_t i, n = 0;

	out[0] = 0;
	for (i = 0; i < NKEYS && n < RECIPE_TEXT; i++) {
		if (!is_set(r, i))
			continue;
		value_text(r, i, value, sizeof value);
		n += (size_t)snprintf(out + n, RECIPE_TEXT - n, "%s%s=%s", n ? " " : "", keys[i].name, value);
	}
	return out;
}

static bool
same_value(const struct recipe *r, size_t i, const char *v)
{
	char *end;

	switch (keys[i].kind) {
	case WORD: return !strcmp(*(const char **)field(r, i), v);
	case COUNT: return *(uint64_t *)field(r, i) == strtoull(v, &end, 10);
	default: return !(*(double *)field(r, i) < strtod(v, &end)) && !(*(double *)field(r, i) > strtod(v, &end));
	}
}

static int
set_value(struct recipe *r, size_t i, const char *v, struct err *e)
{
	size_t n = strlen(v) + 1;
	char *end = NULL;

	switch (keys[i].kind) {
	case WORD:
		if (n > sizeof r->words - r->used)
			return err_set(e, CODE_DATA, "%s: too long", keys[i].name);
		*(const char **)field(r, i) = memcpy(r->words + r->used, v, n);
		r->used += n;
		return 0;
	case COUNT:
		errno = 0;
		*(uint64_t *)field(r, i) = strtoull(v, &end, 10);
		if (errno || *v < '0' || *v > '9')
			end = (char *)(uintptr_t)"x";
		break;
	case REAL:
		*(double *)field(r, i) = strtod(v, &end);
		break;
	}
	return !*v || *end || (keys[i].kind == REAL && !isfinite(*(double *)field(r, i)))
	       ? err_set(e, CODE_DATA, "%s=%.40s: a number was expected", keys[i].name, v) : 0;
}

/* Calls each(key, value) for the words of text. */
static int
each_pair(struct recipe *r, const char *text, int (*each)(struct recipe *, size_t, const char *, void *, struct err *),
          void *arg, struct err *e)
{
	char pair[RECIPE_TEXT], *value;
	size_t i, n;

	for (; *text; text += n) {
		while (*text == ' ')
			text++;
		n = strcspn(text, " ");
		if (!n)
			break;
		snprintf(pair, sizeof pair, "%.*s", (int)(n < sizeof pair ? n : sizeof pair - 1), text);
		value = strchr(pair, '=');
		if (value)
			*value++ = 0;
		for (i = 0; i < NKEYS && strcmp(keys[i].name, pair); i++)
			;
		if (i == NKEYS || !value)
			return err_set(e, CODE_DATA, "\"%.40s\" is no part of a recipe", pair);
		if (each(r, i, value, arg, e))
			return e->code;
	}
	return 0;
}

static int
set_if_open(struct recipe *r, size_t i, const char *v, void *arg, struct err *e)
{
	(void)arg;
	return is_set(r, i) ? 0 : set_value(r, i, v, e);
}

static int
fill(struct recipe *r, const char *text, struct err *e)
{
	return each_pair(r, text, set_if_open, NULL, e);
}

struct merge {
	const char *whose;
	bool seen[NKEYS];
};

static int
merge_one(struct recipe *r, size_t i, const char *v, void *arg, struct err *e)
{
	struct merge *m = arg;
	char mine[512];

	m->seen[i] = true;
	if (!is_set(r, i))
		return set_value(r, i, v, e);
	if (same_value(r, i, v))
		return 0;
	value_text(r, i, mine, sizeof mine);
	return err_set(e, CODE_USAGE, "%s is of a run with %s %.100s, not %.100s; leave out the options it was made with", m->whose, keys[i].name, v, mine);
}

static int
recipe_merge(struct recipe *r, const char *text, const char *whose, struct err *e)
{
	struct merge m = {.whose = whose};
	char mine[512];
	size_t i;

	if (each_pair(r, text, merge_one, &m, e))
		return e->code == CODE_DATA ? err_add(e, "%s", whose) : e->code;
	for (i = 0; i < NKEYS; i++)
		if (is_set(r, i) && !m.seen[i]) {
			value_text(r, i, mine, sizeof mine);
			return err_set(e, CODE_USAGE, "%s is of a run without %s, not one with %.100s", whose, keys[i].name, mine);
		}
	return 0;
}

static int
find_preset(const struct recipe *r, const struct preset **p, struct err *e)
{
	size_t i;

	for (i = 0; i < sizeof presets / sizeof *presets; i++)
		if (!strcmp(presets[i].name, r->preset ? r->preset : "paper")) {
			*p = &presets[i];
			return 0;
		}
	return err_set(e, CODE_USAGE, "--preset %.40s: paper or best", r->preset);
}

static int
fill_arch(struct recipe *r, const struct preset *preset, const struct sae *init, struct err *e)
{
	char text[600] = "", *to = text;
	size_t i;

	if (!r->arch && init)
		r->arch = init->arch == ARCH_MSAE ? (strcmp(init->weighting, "uw") ? "msae-rw" : "msae-uw") : sae_arch_name(init->arch);
	if (!r->arch)
		r->arch = preset->arch;
	if (fill(r, preset->text, e))
		return e->code;
	if (init && init->arch == ARCH_MSAE && !strncmp(r->arch, "msae", 4)) {
		for (i = 0; i < init->levels; i++)
			to += sprintf(to, "%s%zu", i ? "," : "nesting=", init->nesting[i]);
		if (!r->nesting && init->weighting[0] && !r->weights)
			snprintf(to, sizeof text - (size_t)(to - text), " weights=%s", init->weighting);
		if (fill(r, text, e))
			return e->code;
	}
	if (init && init->k && (init->arch == ARCH_TOPK || init->arch == ARCH_BATCHTOPK) && r->k == RECIPE_NONE &&
	    !strcmp(r->arch, sae_arch_name(init->arch)))
		r->k = init->k;
	for (i = 0; defaults[i].arch; i++)
		if (!strcmp(defaults[i].arch, r->arch))
			return fill(r, defaults[i].text, e);
	return err_set(e, CODE_USAGE, "--arch %.40s: one of msae-rw, msae-uw, topk, batchtopk, relu, jumprelu", r->arch);
}

static int
fill_latents(struct recipe *r, size_t d, const struct sae *init, struct err *e)
{
	double m = (isnan(r->expansion) ? 8 : r->expansion) * (double)d;

	if (r->latents != RECIPE_NONE && !isnan(r->expansion))
		return err_set(e, CODE_USAGE, "--expansion: not with --latents, which says the same");
	if (r->latents == RECIPE_NONE && init && isnan(r->expansion))
		r->latents = init->m;
	else if (r->latents == RECIPE_NONE) {
		if (!(m >= 1 && m <= UINT32_MAX))
			return err_set(e, CODE_USAGE, "--expansion %g: makes %.0f latents", r->expansion, m);
		r->latents = (uint64_t)m;
	}
	if (!r->latents || r->latents > UINT32_MAX)
		return err_set(e, CODE_USAGE, "--latents %llu: 1 to %lu", (unsigned long long)r->latents, (unsigned long)UINT32_MAX);
	if (init && r->latents != init->m)
		return err_set(e, CODE_USAGE, "--latents %llu: the model to start from has %zu latents", (unsigned long long)r->latents, init->m);
	return 0;
}

/* The paper's levels, or 16, 32 ... up to a quarter of the latents with the
 * first three weighing 2, 1.5 and 1.2 and the others 1. */
static int
fill_levels(struct recipe *r, bool low, struct err *e)
{
	char nesting[600] = "nesting=", weights[600] = "weights=2";
	struct train_opts o;
	size_t i, k;

	if (strncmp(r->arch, "msae", 4) || !r->latents || r->latents > SIZE_MAX)
		return 0;
	if (!strcmp(r->arch, "msae-uw") && fill(r, "weights=uw", e))
		return e->code;
	if (!r->nesting && low && r->latents >= 64) {
		for (i = 0, k = 16; k <= r->latents / 4 && i < SAE_MAX_LEVELS; k *= 2, i++) {
			sprintf(nesting + strlen(nesting), "%s%zu", i ? "," : "", k);
			if (i)
				strcat(weights, i == 1 ? ",1.5" : i == 2 ? ",1.2" : ",1");
		}
		return fill(r, nesting, e) || fill(r, weights, e) ? e->code : 0;
	}
	train_defaults(&o, ARCH_MSAE, (size_t)r->latents);
	for (i = 0; i < o.levels && !r->nesting; i++)
		sprintf(nesting + strlen(nesting), "%s%zu", i ? "," : "", o.nesting[i]);
	return (!r->nesting && fill(r, nesting, e)) || fill(r, "weights=rw", e) ? e->code : 0;
}

int
recipe_complete(struct recipe *r, size_t d, const struct sae *init, struct err *e)
{
	const struct preset *preset = NULL;

	if (find_preset(r, &preset, e) || fill_arch(r, preset, init, e) || fill_latents(r, d, init, e) ||
	    fill_levels(r, preset->low, e) || fill(r, defaults[sizeof defaults / sizeof *defaults - 1].text, e))
		return e->code;
	if (r->epochs == RECIPE_NONE && r->steps == RECIPE_NONE)
		r->epochs = 30;
	if (!strcmp(r->arch, "topk") || !strcmp(r->arch, "batchtopk"))
		r->k = r->k == RECIPE_NONE ? (r->latents < 64 ? r->latents : 64) : r->k;
	else if (r->k != RECIPE_NONE)
		return err_set(e, CODE_USAGE, "-k: goes with --arch topk and batchtopk; the levels of %.20s are --nesting", r->arch);
	return 0;
}

int
recipe_resume(struct recipe *r, const char *text, const char *whose, size_t d, struct err *e)
{
	char before[RECIPE_TEXT], after[RECIPE_TEXT];

	if (recipe_merge(r, text, whose, e))
		return e->code;
	recipe_text(r, before);
	if (recipe_complete(r, d, NULL, e)) {
		e->code = CODE_DATA; /* what the command line said was compared before */
		return err_add(e, "%s", whose);
	}
	if (strcmp(before, recipe_text(r, after)))
		return err_set(e, CODE_DATA, "%s: its recipe is not complete", whose);
	return 0;
}

/* ---- from words to what the trainer takes ---- */

static int
choose(const char *option, const char *value, const char *const *words, size_t n, size_t *out, struct err *e)
{
	char list[128] = "";
	size_t i;

	for (i = 0; i < n; i++) {
		if (!strcmp(value, words[i])) {
			*out = i;
			return 0;
		}
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? (i + 1 < n ? ", " : " or ") : "", words[i]);
	}
	return err_set(e, CODE_USAGE, "%s %.40s: %s", option, value, list);
}
#define CHOOSE(option, value, out, ...) \
	choose(option, value, (const char *const[]){__VA_ARGS__}, sizeof(const char *[]){__VA_ARGS__} / sizeof(char *), out, e)

/* Numbers parted by commas; -1 when they are not, or too many. */
static int
numbers(const char *text, double out[SAE_MAX_LEVELS], size_t *n)
{
	char *end;

	for (*n = 0;; text = end + 1) {
		if (*n == SAE_MAX_LEVELS || strspn(text, "0123456789.e-+") == 0)
			return -1;
		out[(*n)++] = strtod(text, &end);
		if (end == text || (*end && *end != ','))
			return -1;
		if (!*end)
			return 0;
	}
}

/* Not negative, and a sum that a float can hold. */
static bool
usable(const double *w, size_t n)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!(w[i] >= 0))
			return false;
		sum += w[i];
	}
	return sum > 0 && sum < FLT_MAX;
}

/* v as the float it becomes: neither lost nor infinite. */
static int
check_float(const char *option, double v, struct err *e)
{
	return v >= FLT_MIN && v <= FLT_MAX ? 0 : err_set(e, CODE_USAGE, "%s %g: more than 0, and a number that a float can hold", option, v);
}

static int
plan_levels(const struct recipe *r, struct plan *p, struct err *e)
{
	struct train_opts *o = &p->opts;
	double v[SAE_MAX_LEVELS];
	size_t i, n;

	if (numbers(r->nesting, v, &o->levels))
		return err_set(e, CODE_USAGE, "--nesting %.60s: whole numbers that rise, parted by commas, at most %d", r->nesting, SAE_MAX_LEVELS);
	for (i = 0; i < o->levels; i++) {
		if (!(v[i] >= 1) || floor(v[i]) < v[i] || (i && v[i] <= v[i - 1]))
			return err_set(e, CODE_USAGE, "--nesting %.60s: whole numbers that rise", r->nesting);
		if (v[i] > (double)p->m)
			return err_set(e, CODE_USAGE, "--nesting %.60s: there are only %zu latents", r->nesting, p->m);
		o->nesting[i] = (size_t)v[i];
	}
	train_weights(o, !strcmp(r->weights, "rw"));
	if (!strcmp(r->weights, "rw") || !strcmp(r->weights, "uw"))
		return 0;
	if (numbers(r->weights, o->weights, &n) || n != o->levels || !usable(o->weights, n))
		return err_set(e, CODE_USAGE, "--weights %.60s: rw, uw or %zu numbers parted by commas, one a level", r->weights, o->levels);
	return 0;
}

static int
plan_steps(const struct recipe *r, uint64_t rows, struct plan *p, struct err *e)
{
	uint64_t batch = r->batch;

	if (rows < batch)
		return err_set(e, CODE_DATA, "too few rows: %llu rows are fewer than a batch of %llu; say --batch %llu or less",
		               (unsigned long long)rows, (unsigned long long)batch, (unsigned long long)(rows ? rows : 1));
	if (!batch || !r->epochs || !r->steps)
		return err_set(e, CODE_USAGE, "%s 0: at least 1", !batch ? "--batch" : !r->epochs ? "--epochs" : "--steps");
	p->epoch_steps = (rows + batch - 1) / batch;
	if (r->epochs != RECIPE_NONE && r->epochs > UINT64_MAX / 2 / p->epoch_steps)
		return err_set(e, CODE_USAGE, "--epochs %llu: too many", (unsigned long long)r->epochs);
	p->steps = r->epochs == RECIPE_NONE ? r->steps : r->epochs * p->epoch_steps;
	p->epochs = r->epochs == RECIPE_NONE ? fmax(30, (double)r->steps / (double)p->epoch_steps) : (double)r->epochs;
	if (r->steps < p->steps)
		p->steps = r->steps;
	return 0;
}

int
recipe_plan(const struct recipe *r, size_t d, uint64_t rows, struct plan *p, struct err *e)
{
	struct train_opts *o = &p->opts;
	enum sae_arch arch = !strncmp(r->arch, "msae", 4) ? ARCH_MSAE : (enum sae_arch)sae_arch_parse(r->arch);
	size_t loss = 0, schedule = 0, bias = 0, dead = 0, shuffle = 0, jump = 0, start = 0;

	*p = (struct plan){.m = (size_t)r->latents, .seed = r->seed, .window = r->window, .lr = r->lr, .decay_from = r->decay_from, .warmup = r->warmup, .jitter = r->jitter};
	if (p->m > SIZE_MAX / 64 / d)
		return err_set(e, CODE_USAGE, "--latents %llu: more than memory can hold", (unsigned long long)r->latents);
	train_defaults(o, arch, p->m);
	if (CHOOSE("--loss", r->loss, &loss, "nmse", "mse") ||
	    CHOOSE("--schedule", r->schedule, &schedule, "linear-decay", "cosine-warmup", "constant") ||
	    CHOOSE("--start", r->start, &start, "random", "data") || CHOOSE("--init-bias", r->init_bias, &bias, "zero", "median") || CHOOSE("--dead", r->dead, &dead, "none", "revive") ||
	    CHOOSE("--shuffle", r->shuffle, &shuffle, "no", "yes") || (arch == ARCH_JUMPRELU && CHOOSE("--jump", r->jump, &jump, "exact", "published")) ||
	    (arch == ARCH_MSAE && plan_levels(r, p, e)) || plan_steps(r, rows, p, e))
		return e->code;
	p->schedule = (enum schedule)schedule;
	p->data = start;
	p->median = bias;
	p->revive = dead;
	p->shuffle = shuffle;
	o->loss = loss ? LOSS_MSE : LOSS_NMSE;
	o->batch = (size_t)r->batch;
	if (r->k != RECIPE_NONE && r->k > p->m)
		return err_set(e, CODE_USAGE, "-k %llu: there are only %zu latents", (unsigned long long)r->k, p->m);
	if (r->k != RECIPE_NONE)
		o->k = (size_t)r->k;
	o->l1 = isnan(r->l1) ? 0 : r->l1;
	if (!isnan(r->l0))
		o->l0 = r->l0;
	if (!isnan(r->threshold))
		o->threshold = r->threshold;
	if (!isnan(r->bandwidth))
		o->bandwidth = r->bandwidth;
	o->jump = jump ? JUMP_PUBLISHED : JUMP_EXACT;
	o->soft_cap = r->soft_cap;
	o->clip = r->clip;
	o->beta2 = r->beta2;
	if (check_float("--lr", r->lr, e) || (o->soft_cap != 0 && check_float("--soft-cap", o->soft_cap, e)) ||
	    (arch == ARCH_JUMPRELU && (check_float("--threshold", o->threshold, e) || check_float("--bandwidth", o->bandwidth, e))))
		return e->code;
	if (!(r->decay_from >= 0 && r->decay_from <= 1))
		return err_set(e, CODE_USAGE, "--decay-from %g: 0 to 1", r->decay_from);
	if (!(r->jitter >= 0 && r->jitter <= 10))
		return err_set(e, CODE_USAGE, "--jitter %g: 0 to 10", r->jitter);
	if (!(r->warmup >= 0 && r->warmup < 1))
		return err_set(e, CODE_USAGE, "--warmup %g: 0 to less than 1", r->warmup);
	return 0;
}

double
plan_rate(const struct plan *p, uint64_t step)
{
	double epoch = (double)(step / p->epoch_steps), left = p->epochs - epoch, warm, part;

	switch (p->schedule) {
	case SCHEDULE_LINEAR_DECAY:
		return epoch < p->decay_from * p->epochs ? p->lr : p->lr * left / (p->epochs * (1 - p->decay_from));
	case SCHEDULE_COSINE_WARMUP:
		warm = ceil(p->warmup * (double)p->steps);
		if ((double)step < warm)
			return p->lr * (double)(step + 1) / warm;
		part = ((double)step - warm) / ((double)p->steps - warm);
		return p->lr * (1 + cos(PI * part)) / 2;
	default:
		return p->lr;
	}
}

void
plan_describe(const struct plan *p, const struct recipe *r, struct sae *s)
{
	char list[24 * SAE_MAX_LEVELS];
	size_t i, n = 0;

	s->arch = p->opts.arch;
	s->k = s->arch == ARCH_TOPK || s->arch == ARCH_BATCHTOPK ? p->opts.k : 0;
	s->levels = s->arch == ARCH_MSAE ? p->opts.levels : 0;
	for (i = 0; i < s->levels; i++)
		s->nesting[i] = p->opts.nesting[i];
	s->weighting[0] = 0;
	if (s->levels && (!strcmp(r->weights, "rw") || !strcmp(r->weights, "uw")))
		strcpy(s->weighting, r->weights);
	else if (s->levels)
		for (i = 0, n = 0; i < s->levels && n < sizeof list; i++)
			n += (size_t)snprintf(list + n, sizeof list - n, "%s%.6g", i ? "," : "", p->opts.weights[i]);
	if (n < sizeof s->weighting && n) /* a longer one is in the recipe alone */
		memcpy(s->weighting, list, n + 1);
	s->soft_cap = (float)p->opts.soft_cap;
	s->seed = p->seed;
}
