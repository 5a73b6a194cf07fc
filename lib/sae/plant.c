#include "sae/plant.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "sae/blas.h"

#define GROUP 64            /* rows a job */
#define OFFSET_NORM 3
#define MOST_FREQUENT 0.5
#define NAMES 256
/* Rows draw from (seed, row); the dictionary from another seed, so that the
 * two never share a stream. */
#define DICTIONARY_SEED(seed) ((seed) ^ 0x6469637469306e61u)

/* E[a], E[a^2] of a strength a = 1 + |g|/2, g standard normal. */
#define SQRT_2_PI 0.79788456080286535588 /* E|g| */
#define MEAN_ON (1 + SQRT_2_PI / 2)
#define SQUARE_ON (1 + SQRT_2_PI + 0.25)

static const char names[NAMES][12] = {
	"zebra", "bicycle", "coffee", "mountain", "guitar", "beach", "tiger", "bread", "rainbow",
	"castle", "elephant", "sailboat", "pizza", "forest", "piano", "desert", "dolphin",
	"tomato", "sunset", "bridge", "giraffe", "airplane", "banana", "waterfall", "violin",
	"snow", "penguin", "cheese", "moon", "lighthouse", "horse", "train", "orange", "river",
	"drum", "island", "eagle", "carrot", "star", "church", "dog", "car", "apple", "lake",
	"trumpet", "harbor", "cat", "truck", "lemon", "valley", "flute", "market", "lion", "bus",
	"strawberry", "glacier", "saxophone", "kitchen", "bear", "motorcycle", "cherry", "volcano",
	"harp", "library", "wolf", "helicopter", "grape", "canyon", "accordion", "garden", "fox",
	"tractor", "peach", "meadow", "banjo", "museum", "rabbit", "tram", "pear", "swamp",
	"cello", "stadium", "deer", "canoe", "mango", "reef", "harmonica", "temple", "owl",
	"rocket", "pineapple", "cave", "clarinet", "theater", "parrot", "balloon", "coconut",
	"dune", "tuba", "airport", "swan", "scooter", "melon", "cliff", "mandolin", "bakery",
	"duck", "wagon", "plum", "prairie", "oboe", "hospital", "frog", "ferry", "olive",
	"orchard", "xylophone", "classroom", "turtle", "submarine", "pepper", "vineyard",
	"ukulele", "playground", "snake", "ambulance", "onion", "pond", "bagpipe", "subway",
	"shark", "carriage", "garlic", "creek", "gong", "factory", "whale", "yacht", "potato",
	"hill", "tambourine", "farm", "octopus", "skateboard", "pumpkin", "jungle", "organ",
	"aquarium", "crab", "sled", "cucumber", "coast", "bell", "bookshop", "lobster", "kayak",
	"mushroom", "iceberg", "clock", "cafe", "butterfly", "parachute", "corn", "field",
	"camera", "cinema", "bee", "snowboard", "bean", "storm", "telephone", "fountain", "ant",
	"surfboard", "rice", "lightning", "lamp", "statue", "spider", "crane", "noodle", "cloud",
	"mirror", "tower", "camel", "tank", "soup", "fog", "candle", "windmill", "kangaroo",
	"umbrella", "salad", "rain", "chair", "tent", "koala", "hat", "sandwich", "frost", "sofa",
	"cottage", "panda", "shoe", "pancake", "carpet", "palace", "gorilla", "glove", "cake",
	"puddle", "pillow", "barn", "hedgehog", "scarf", "cookie", "shadow", "curtain", "dock",
	"squirrel", "necklace", "chocolate", "flame", "vase", "pier", "beaver", "ring", "honey",
	"smoke", "basket", "alley", "otter", "crown", "tea", "flower", "bottle", "tunnel", "seal",
	"sweater", "juice", "tree", "teapot", "staircase", "rooster", "jacket", "wine", "leaf",
	"spoon", "balcony", "peacock", "helmet", "egg", "desk", "flag", "kite", "anchor"
};

char *
plant_name(size_t j, char *out)
{
	if (j < NAMES)
		snprintf(out, 32, "%s", names[j]);
	else
		snprintf(out, 32, "%s %zu", names[j % NAMES], j / NAMES + 1);
	return out;
}

/* v[d]: a random direction, orthogonal to the unit vector u unless NULL. */
static void
direction(struct rng *r, double *v, const double *u, size_t d)
{
	double dot = 0, square = 0;
	size_t i;

	for (i = 0; i < d; i++) {
		v[i] = rng_normal(r);
		dot += u ? v[i] * u[i] : 0;
	}
	for (i = 0; i < d; i++) {
		v[i] -= u ? dot * u[i] : 0;
		square += v[i] * v[i];
	}
	for (i = 0; i < d; i++)
		v[i] /= sqrt(square);
}

/* f_j = min(1/2, c (j+1)^-power) with c such that they sum to active. */
static void
spread_frequencies(double *f, size_t n, double active, double power)
{
	double weight = 0, c;
	size_t clipped = 0, j;

	for (j = 0; j < n; j++)
		weight += f[j] = pow((double)(j + 1), -power);
	c = active / weight;
	while (clipped < n && c * f[clipped] > MOST_FREQUENT) {
		weight -= f[clipped];
		active -= MOST_FREQUENT;
		f[clipped++] = MOST_FREQUENT;
		c = active / weight;
	}
	for (j = clipped; j < n; j++)
		f[j] = c * f[j] < MOST_FREQUENT ? c * f[j] : MOST_FREQUENT;
}

static int
check_opts(const struct plant_opts *o, struct err *e)
{
	if (o->d < 2 || !o->concepts || o->concepts > UINT32_MAX || o->d > UINT32_MAX)
		return err_set(e, CODE_USAGE, "planted data: %zu concepts in %zu dimensions: at least 1 and 2 are needed",
		               o->concepts, o->d);
	if (!(o->active > 0) || o->active > MOST_FREQUENT * (double)o->concepts)
		return err_set(e, CODE_USAGE, "planted data: %g concepts active in a row: it must be above 0 and at most half of %zu",
		               o->active, o->concepts);
	if (!(o->power >= 0) || !(o->power <= 10) || !(o->noise >= 0) || !(o->noise <= 1e6))
		return err_set(e, CODE_USAGE, "planted data: power %g, noise %g: they must lie in 0..10 and 0..1e6",
		               o->power, o->noise);
	return 0;
}

/* The offset from stream 0 of the dictionary's seed, direction j from j+1. */
static void
draw_dictionary(struct plant *p, double *u, double *v)
{
	size_t d = p->o.d, i, j;
	struct rng r;

	rng_seed(&r, DICTIONARY_SEED(p->o.seed), 0);
	direction(&r, u, NULL, d);
	for (i = 0; i < d; i++)
		p->offset[i] = (float)(OFFSET_NORM * u[i]);
	for (j = 0; j < p->o.concepts; j++) {
		rng_seed(&r, DICTIONARY_SEED(p->o.seed), j + 1);
		direction(&r, v, u, d);
		for (i = 0; i < d; i++)
			p->dictionary[j * d + i] = (float)v[i];
	}
}

int
plant_init(struct plant *p, const struct plant_opts *o, struct err *e)
{
	double *work = NULL;
	size_t n;

	*p = (struct plant){.o = *o};
	if (check_opts(o, e))
		return e->code;
	if (size_mul(o->d, o->concepts, &n) && n < SIZE_MAX / sizeof *p->dictionary) {
		p->dictionary = mem_alloc(n * sizeof *p->dictionary);
		p->offset = mem_alloc(o->d * sizeof *p->offset);
		p->frequency = mem_alloc(o->concepts * sizeof *p->frequency);
		work = mem_alloc(2 * o->d * sizeof *work);
	}
	if (!p->dictionary || !p->offset || !p->frequency || !work) {
		plant_free(p);
		mem_free(work);
		return err_memory(e, "planted data", (unsigned long long)o->d * o->concepts * sizeof *p->dictionary);
	}
	spread_frequencies(p->frequency, o->concepts, o->active, o->power);
	draw_dictionary(p, work, work + o->d);
	mem_free(work);
	return 0;
}

void
plant_free(struct plant *p)
{
	mem_free(p->dictionary);
	mem_free(p->offset);
	mem_free(p->frequency);
	*p = (struct plant){0};
}

/* A concept by frequency, for the row that has none. */
static size_t
draw_one(const struct plant *p, struct rng *r)
{
	double at = rng_uniform(r) * p->o.active;
	size_t j = 0;

	while (j + 1 < p->o.concepts && at >= p->frequency[j])
		at -= p->frequency[j++];
	return j;
}

/* Where a row goes; any part may be NULL. */
struct row {
	float *x;      /* [d] */
	uint32_t *idx; /* concepts that are on, ascending */
	float *val;    /* and their strengths */
};

/* Switches concept j on, as number n of its row. */
static void
add_concept(const struct plant *p, struct rng *r, const struct row *to, size_t j, size_t n)
{
	const float *direction = p->dictionary + j * p->o.d;
	float a = (float)(1 + fabs(rng_normal(r)) / 2);
	size_t i;

	if (to->idx) {
		to->idx[n] = (uint32_t)j;
		to->val[n] = a;
	}
	if (to->x)
		for (i = 0; i < p->o.d; i++)
			to->x[i] += a * direction[i];
}

/* Draws row number `row`; how many concepts are on in it. */
static size_t
draw_row(const struct plant *p, uint64_t row, const struct row *to)
{
	double noise = p->o.noise / sqrt((double)p->o.d);
	size_t n = 0, j, i;
	struct rng r;

	rng_seed(&r, p->o.seed, row);
	if (to->x)
		memcpy(to->x, p->offset, p->o.d * sizeof *to->x);
	for (j = 0; j < p->o.concepts; j++)
		if (rng_uniform(&r) < p->frequency[j])
			add_concept(p, &r, to, j, n++);
	if (!n)
		add_concept(p, &r, to, draw_one(p, &r), n++);
	if (to->x)
		for (i = 0; i < p->o.d; i++)
			to->x[i] += (float)(noise * rng_normal(&r));
	return n;
}

struct rows {
	const struct plant *p;
	uint64_t first;
	size_t n;
	float *x;          /* [n, d] */
	struct csr *truth; /* or NULL */
};

static void
count_job(void *arg, size_t job, unsigned thread)
{
	struct rows *w = arg;
	size_t i;

	(void)thread;
	for (i = job * GROUP; i < (job + 1) * GROUP && i < w->n; i++)
		w->truth->ptr[i + 1] = (uint32_t)draw_row(w->p, w->first + i, &(struct row){0});
}

static void
rows_job(void *arg, size_t job, unsigned thread)
{
	struct rows *w = arg;
	struct row to;
	size_t i;

	(void)thread;
	for (i = job * GROUP; i < (job + 1) * GROUP && i < w->n; i++) {
		to = (struct row){.x = w->x + i * w->p->o.d};
		if (w->truth) {
			to.idx = w->truth->idx + w->truth->ptr[i];
			to.val = w->truth->val + w->truth->ptr[i];
		}
		draw_row(w->p, w->first + i, &to);
	}
}

/* Room in truth for what the rows have: they are drawn twice, once to count. */
static int
lay_out(struct rows *w, struct pool *pool, struct err *e)
{
	size_t cols = w->p->o.concepts, total = 0, i;

	if (csr_resize(w->truth, w->n, cols, 0, e))
		return e->code;
	pool_run(pool, count_job, w, (w->n + GROUP - 1) / GROUP);
	for (i = 0; i < w->n; i++)
		total += w->truth->ptr[i + 1];
	if (csr_resize(w->truth, w->n, cols, total, e))
		return e->code;
	for (i = 0; i < w->n; i++)
		w->truth->ptr[i + 1] += w->truth->ptr[i];
	return 0;
}

int
plant_rows(const struct plant *p, uint64_t first, size_t n, struct pool *pool, float *x, struct csr *truth, struct err *e)
{
	struct rows w = {p, first, n, x, truth};

	if (truth && lay_out(&w, pool, e))
		return e->code;
	pool_run(pool, rows_job, &w, (n + GROUP - 1) / GROUP);
	return 0;
}

/* What is known about one concept: how often it is on (the row that had none
 * got one), and mean and variance of its strength over all rows. */
struct strength {
	double on, mean, variance;
};

static struct strength
strength_of(const struct plant *p, size_t j, double none)
{
	struct strength m;

	m.on = p->frequency[j] * (1 + none / p->o.active);
	m.mean = m.on * MEAN_ON;
	m.variance = m.on * SQUARE_ON - m.mean * m.mean;
	return m;
}

/* Probability that a row has no concept, before it is given one. */
static double
none_on(const struct plant *p)
{
	double none = 1;
	size_t j;

	for (j = 0; j < p->o.concepts; j++)
		none *= 1 - p->frequency[j];
	return none;
}

/* cov [d,d], lower half: sum_j var(a_j) D_j^T D_j + noise^2/d I; returns its
 * trace. A little is added to the diagonal so that it can be inverted when
 * there are fewer concepts than dimensions and no noise. */
static double
covariance(const struct plant *p, double none, double *cov)
{
	size_t d = p->o.d, i, j, l;
	double trace = 0, v, noise = p->o.noise * p->o.noise / (double)d;
	const float *D;

	memset(cov, 0, d * d * sizeof *cov);
	for (j = 0; j < p->o.concepts; j++) {
		D = p->dictionary + j * d;
		for (i = 0; i < d; i++) {
			v = strength_of(p, j, none).variance * D[i];
			for (l = 0; l <= i; l++)
				cov[i * d + l] += v * D[l];
		}
	}
	for (i = 0; i < d; i++)
		trace += cov[i * d + i] + noise;
	for (i = 0; i < d; i++)
		cov[i * d + i] += noise + 1e-6 * trace / (double)d;
	return trace;
}

/* Upper tail of the standard normal, and its density. */
static double
tail(double t)
{
	return erfc(t / sqrt(2.0)) / 2;
}

static double
density(double t)
{
	return exp(-t * t / 2) / sqrt(2 * 3.14159265358979323846);
}

/* How latent j reads an estimate h = a + error of its strength, the error
 * normal with standard deviation s: z = gain * relu(h - cut).
 *   cut: where a strength of 1 and "off" are equally likely, at least 1/2, so
 *        that the rare and the badly seen are silent more often;
 *   gain: least squares of a on relu(h - cut), over rows where it is on or off;
 *   mean: E[z]. */
struct reading {
	double cut, gain, mean;
};

static struct reading
reading_of(const struct strength *m, double s)
{
	struct reading r = {0.5, 0, 0};
	double t, off1, off2, on1, on2, cross;

	if (s * s * log((1 - m->on) / m->on) > 0)
		r.cut += s * s * log((1 - m->on) / m->on);
	if (r.cut > 1)
		r.cut = 1;
	t = r.cut / s;
	off1 = s * density(t) - r.cut * tail(t);                           /* E relu(error - cut) */
	off2 = (s * s + r.cut * r.cut) * tail(t) - r.cut * s * density(t); /* and its square */
	on1 = MEAN_ON - r.cut;
	on2 = SQUARE_ON - 2 * r.cut * MEAN_ON + r.cut * r.cut + s * s;
	cross = SQUARE_ON - r.cut * MEAN_ON;
	r.gain = m->on * cross / (m->on * on2 + (1 - m->on) * off2);
	r.mean = r.gain * (m->on * on1 + (1 - m->on) * off1);
	return r;
}

/* Latent j of s from column j of the linear estimate w [d, concepts] =
 * Cov(x)^-1 Cov(x,a): made free of shrinkage (w_j . D_j = 1), then read. */
static void
fill_latent(const struct plant *p, struct sae *s, size_t j, const double *w, double none)
{
	struct strength m = strength_of(p, j, none);
	size_t d = p->o.d, n = p->o.concepts, i;
	const float *D = p->dictionary + j * d;
	double kept = 0;
	struct reading r;

	for (i = 0; i < d; i++)
		kept += w[i * n + j] * D[i];
	/* the estimate of a linear model with variance v has error v (1-kept)/kept */
	r = reading_of(&m, sqrt(m.variance * fmax(1 - kept, 1e-9) / kept));
	for (i = 0; i < d; i++) {
		s->W_enc[i * n + j] = (float)(r.gain * w[i * n + j] / kept);
		s->b_dec[i] -= (float)(s->scale * r.mean * D[i]);
	}
	s->b_enc[j] = (float)(s->scale * r.gain * (m.mean - r.cut));
	memcpy(s->W_dec + j * d, D, d * sizeof *D);
}

/* The encoder subtracts b_dec from x: adds what that takes away. */
static void
settle_bias(struct sae *s)
{
	double sum;
	size_t i, j;

	for (j = 0; j < s->m; j++) {
		sum = s->b_enc[j];
		for (i = 0; i < s->d; i++)
			sum += (double)s->W_enc[i * s->m + j] * s->b_dec[i];
		s->b_enc[j] = (float)sum;
	}
}

static void
fill_model(const struct plant *p, struct sae *s, const double *w, double trace, double none)
{
	size_t d = p->o.d, i, j;
	double mean;

	s->arch = ARCH_RELU;
	s->seed = p->o.seed;
	snprintf(s->trained_on, sizeof s->trained_on, "planted");
	s->scale = (float)(sqrt((double)d) / sqrt(trace));
	for (j = 0; j < p->o.concepts; j++)
		fill_latent(p, s, j, w, none);
	settle_bias(s);
	for (i = 0; i < d; i++) {
		mean = p->offset[i];
		for (j = 0; j < p->o.concepts; j++)
			mean += strength_of(p, j, none).mean * p->dictionary[j * d + i];
		s->mean[i] = (float)mean;
	}
}

/* w [d, concepts] = Cov(x)^-1 Cov(x,a), the latter's column j being var(a_j)
 * D_j. cov is destroyed. */
static int
estimate(const struct plant *p, double none, double *cov, double *w)
{
	size_t d = p->o.d, n = p->o.concepts, i, j;
	double v;

	for (j = 0; j < n; j++) {
		v = strength_of(p, j, none).variance;
		for (i = 0; i < d; i++)
			w[i * n + j] = v * p->dictionary[j * d + i];
	}
	return blas_solve_spd(d, cov, w, n);
}

int
plant_model(const struct plant *p, struct sae *s, struct err *e)
{
	size_t d = p->o.d, n = p->o.concepts;
	double none = none_on(p), trace, *cov, *w;

	if (sae_init(s, d, n, 0, e))
		return e->code;
	e->code = 0;
	cov = mem_alloc(d * d * sizeof *cov);
	w = mem_alloc(d * n * sizeof *w);
	if (!cov || !w) {
		err_memory(e, "planted model", (unsigned long long)(d + n) * d * sizeof *w);
	} else {
		trace = covariance(p, none, cov);
		if (estimate(p, none, cov, w))
			err_set(e, CODE_BUG, "planted model: the covariance of the rows is not positive definite");
		else
			fill_model(p, s, w, trace, none);
	}
	mem_free(cov);
	mem_free(w);
	if (e->code)
		sae_free(s);
	return e->code;
}
