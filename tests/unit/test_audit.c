/* What an audit reckons with: shares, tails, ranks, sweeps -- against tables,
 * against counting all cases, and against the plain way. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/stats.h"
#include "jobs/audit.h"
#include "sae/ranksum.h"
#include "sae/sweep.h"
#include "tap.h"

static int
near(double a, double b, double by)
{
	return fabs(a - b) <= by * fmax(1, fabs(b));
}

static void
test_stats(void)
{
	double low, high, sum = 0, worst = 0;
	int n;

	tap_ok(near(stats_log_upper(0), log(.5), 1e-15) && near(stats_log_upper(10), -53.23128515051247, 1e-13) &&
	       near(stats_log_upper(20), -203.91715537109724, 1e-13) && near(stats_log_upper(40), -804.6084420137538, 1e-13) &&
	       near(stats_log_upper(1e4), -50000010.12927892, 1e-15) && near(stats_log_upper(-3), -.001350809964748193, 1e-15), "tails of the normal distribution");
	for (n = 2; n <= 3000; n++) {
		sum += log(n);
		worst = fmax(worst, fabs(stats_log_factorial(n) - sum) / sum);
	}
	tap_ok(worst < 1e-13 && stats_log_factorial(0) == 0 && stats_log_factorial(1) == 0, "factorials (off by %.1e)", worst);
	tap_ok(near(stats_log_choose(40, 17), log(88732378800.), 1e-14) && near(stats_log_choose(7, 0), 0, 1e-14), "binomials");
	/* Newcombe (1998), tables I and II */
	stats_wilson(81, 263, &low, &high);
	tap_ok(near(low, .2553, 5e-5) && near(high, .3662, 5e-5), "Wilson: 81 of 263");
	stats_wilson(0, 20, &low, &high);
	tap_ok(low == 0 && near(high, .1611, 5e-5), "Wilson: none of 20");
	stats_share_difference(56, 70, 48, 80, &low, &high);
	tap_ok(near(low, .0524, 5e-5) && near(high, .3339, 5e-5), "difference: 56/70 - 48/80");
	stats_share_difference(10, 10, 0, 10, &low, &high);
	tap_ok(near(low, .6075, 5e-5) && near(high, 1, 5e-5), "difference: 10/10 - 0/10");
	tap_ok(near(stats_log_add(-1000, -1000), -1000 + log(2), 1e-15) && stats_log_add(-INFINITY, 3) == 3, "sums of logarithms");
}

/* ---- ranks ---- */

/* Two groups as rows: codes [n], the first na are group a. */
static void
by_blocks(const double *code, const int *in_a, int n, struct ranksum_result *out)
{
	struct ranksum s;
	double at = INFINITY, next;
	int i, count[2], na = 0;

	for (i = 0; i < n; i++)
		na += in_a[i];
	ranksum_begin(&s, (uint64_t)na, (uint64_t)(n - na));
	for (;; at = next) {
		next = 0;
		for (i = 0; i < n; i++)
			next = code[i] < at && code[i] > next ? code[i] : next;
		if (next == 0)
			break;
		count[0] = count[1] = 0;
		for (i = 0; i < n; i++)
			count[!in_a[i]] += code[i] == next;
		ranksum_tied(&s, (uint64_t)count[0], (uint64_t)count[1]);
	}
	ranksum_end(&s, out);
}

static int
twice_u(const double *code, const int *in_a, int n)
{
	int i, j, u = 0;

	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++)
			if (in_a[i] && !in_a[j])
				u += code[i] > code[j] ? 2 : code[i] == code[j];
	return u;
}

/* By all ways to choose who is in group a. */
static double
counted_p(const double *code, const int *in_a, int n)
{
	int u = twice_u(code, in_a, n), na = 0, i, mine[16];
	double above = 0, below = 0, all = 0;
	unsigned set;

	for (i = 0; i < n; i++)
		na += in_a[i];
	for (set = 0; set < 1u << n; set++) {
		int size = 0, v;

		for (i = 0; i < n; i++)
			size += mine[i] = set >> i & 1;
		if (size != na)
			continue;
		v = twice_u(code, mine, n);
		all++;
		above += v >= u;
		below += v <= u;
	}
	return fmin(1, 2 * (u >= na * (n - na) ? above : below) / all);
}

/* Cliff's interval from the matrix of pairs. */
static void
plain_interval(const double *code, const int *in_a, int n, double *delta, double *low, double *high)
{
	double sum = 0, rows[16] = {0}, na = 0, nb, z = STATS_Z95, spread_a = 0, spread_b = 0, spread = 0, var, d, root;
	int i, j;

	for (i = 0; i < n; i++)
		na += in_a[i];
	nb = n - na;
	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++)
			if (in_a[i] && !in_a[j]) {
				d = (code[i] > code[j]) - (code[i] < code[j]);
				sum += d;
				rows[i] += d / nb;
				rows[j] += d / na;
			}
	*delta = d = sum / na / nb;
	for (i = 0; i < n; i++) {
		*(in_a[i] ? &spread_a : &spread_b) += (rows[i] - d) * (rows[i] - d);
		for (j = 0; j < n; j++)
			if (in_a[i] && !in_a[j])
				spread += pow((code[i] > code[j]) - (code[i] < code[j]) - d, 2);
	}
	if (na < 2 || nb < 2 || fabs(d) == 1) {
		stats_wilson((1 + d) / 2 * fmin(na, nb), fmin(na, nb), low, high);
		*low = 2 * *low - 1;
		*high = 2 * *high - 1;
		return;
	}
	var = fmax((nb * nb * spread_a + na * na * spread_b - spread) / (na * nb * (na - 1) * (nb - 1)), (1 - d * d) / (na * nb - 1));
	root = z * sqrt(var * (pow(1 - d * d, 2) + z * z * var));
	*low = (d - d * d * d - root) / (1 - d * d + z * z * var);
	*high = (d - d * d * d + root) / (1 - d * d + z * z * var);
}

static void
test_ranks(void)
{
	struct rng r;
	struct ranksum_result got, other;
	double code[16], delta, low, high, worst_p = 0, worst_d = 0, worst_i = 0, swapped = 0;
	int in_a[16], not_a[16], round, n, i, na;

	rng_seed(&r, 11, 0);
	for (round = 0; round < 400; round++) {
		n = 2 + (int)rng_below(&r, 10);
		na = 1 + (int)rng_below(&r, (uint64_t)n - 1);
		for (i = 0; i < n; i++) {
			in_a[i] = i < na;
			not_a[i] = !in_a[i];
			/* distinct, tied, mostly 0, all 0, all tied, apart */
			code[i] = round % 6 == 0 ? 1 + rng_uniform(&r) : round % 6 == 1 ? (double)rng_below(&r, 4) : round % 6 == 2 ? (double)(rng_below(&r, 4) == 0) * rng_uniform(&r)
			        : round % 6 == 3 ? 0 : round % 6 == 4 ? 3 : in_a[i] + 1;
		}
		by_blocks(code, in_a, n, &got);
		by_blocks(code, not_a, n, &other);
		plain_interval(code, in_a, n, &delta, &low, &high);
		worst_p = fmax(worst_p, fabs(exp(got.log_p) - counted_p(code, in_a, n)));
		worst_d = fmax(worst_d, fabs(got.delta - delta));
		worst_i = fmax(worst_i, fmax(fabs(got.low - low), fabs(got.high - high)));
		swapped = fmax(swapped, fmax(fabs(other.log_p - got.log_p), fmax(fabs(other.delta + got.delta), fabs(other.low + got.high))));
	}
	tap_ok(worst_p < 1e-12, "p is what counting all choices gives (off by %.1e)", worst_p);
	tap_ok(worst_d < 1e-14 && worst_i < 1e-12, "delta and its interval from the matrix of pairs (off by %.1e, %.1e)", worst_d, worst_i);
	tap_ok(swapped < 1e-11, "groups the other way round: the other sign, the same p (off by %.1e)", swapped);
}

/* Blocks of one row each: active rows [n], largest code first, 'a' or 'b'. */
static double
p_of(const char *active, double na, double nb)
{
	struct ranksum_result got;
	struct ranksum s;

	ranksum_begin(&s, (uint64_t)na, (uint64_t)nb);
	for (; *active; active++)
		ranksum_tied(&s, *active == 'a', *active == 'b');
	ranksum_end(&s, &got);
	return got.log_p;
}

static void
test_many(void)
{
	double z, p;
	char text[202];

	/* all active, none tied: the usual approximation. U = 100 * 100 */
	memset(text, 'a', 100);
	memset(text + 100, 'b', 100);
	text[200] = 0;
	z = (10000 - 5000 - .5) / sqrt(10000. * 201 / 12);
	tap_ok(near(p_of(text, 100, 100), log(2) + stats_log_upper(z), 1e-12), "none tied, none 0: normal, with continuity corrected");
	/* 3 of 5 rows active in the small group, none elsewhere: (5 choose 3) choices of (1000 choose 3), by 2 */
	tap_ok(near(p_of("aaa", 5, 995), log(2 * 10. / (1000. * 999 * 998 / 6)), 1e-9), "few active rows: hypergeometric");
	p = p_of("aaaaaaaaaaaaaaaaaaaaaaaa", 1e6, 1e6);
	tap_ok(near(p, -23 * log(2), 1e-4), "24 of 24 active rows in one half of two million: 2^-23");
	p = p_of("aaaaaaaaaaaaaaaaaaaaaaaaa", 1e6, 1e6);
	tap_ok(near(p, -24 * log(2), 1e-4), "25 of 25: 2^-24, across the limit of counting");
	tap_ok(p_of("abababababababababababababababababab", 18, 18) <= 0 && exp(p_of("ab", 1000, 1000)) > .9, "no difference, no p");
	p = p_of("a", 1, 999);
	tap_ok(near(p, log(2. / 1000), 1e-9), "one row that is alone active");
	memset(text, 'b', 200);
	text[0] = 'a';
	tap_ok(near(p_of(text, 1, 199), log(2. / 200), 1e-9), "one row above 199 others");
}

/* ---- keys, groups, q ---- */

static void
test_audit(void)
{
	static const uint32_t ptr[] = {0, 2, 3, 4, 4, 6, 7}, idx[] = {1, 4, 1, 4, 1, 4, 0};
	static const float val[] = {2, 1, 3, 1, .5f, 7, 1e-40f}; /* the last is denormal */
	static const char *const labels[] = {"x", "x", "y", "y", "x", "?"};
	struct csr_view z = {6, 6, ptr, idx, val};
	struct audit a = {0};
	struct err e = {0};
	const struct audited_test *t;

	tap_ok(!audit_leave_out(&a, "?", &e) && audit_leave_out(&a, "?", &e) == CODE_USAGE && audit_ask_for(&a, "?", &e) == CODE_USAGE, "a label named twice");
	tap_ok(!audit_rows(&a, z, labels, &e) && !audit_finish(&a, &e) && a.nsides == 1 && a.tested == 2 && a.ntests == 2, "latents that are active in rows that take part");
	t = a.tests[0].latent == 1 ? &a.tests[0] : &a.tests[1];
	tap_ok(t->latent == 1 && t->active[0] == 3 && t->active[1] == 0 && near(t->mean[0], 5.5 / 3, 1e-7) && t->mean[1] == 0 && t->delta == 1 &&
	       near(t->log_p, log(.2), 1e-12) && near(t->log_q, log(.4), 1e-12), "counts, means, p, q");
	tap_ok(a.most[1] == 3 && a.most[4] == 7 && a.most[0] == 0 && a.ignored == 1 && audit_group(&a, "y") == 1 && audit_group(&a, "?") == AUDIT_NONE, "largest codes and groups");
	audit_free(&a);
	tap_ok(!audit_ask_for(&a, "yy", &e) && !audit_rows(&a, z, labels, &e) && audit_finish(&a, &e) == CODE_DATA && strstr(e.text, "did you mean"), "a group without rows: %s", e.text);
	audit_free(&a);
}

/* ---- sweeps ---- */

static void
test_sweeps(void)
{
	static const size_t shapes[][4] = {{1, 1, 2, 1}, {3, 5, 2, 1}, {17, 9, 3, 2}, {64, 40, 7, 5}, {33, 4, 2, 4}};
	size_t k, i, j, n;
	double worst = 0, steps[4] = {0, .5, 2, 30};
	struct rng r;

	rng_seed(&r, 3, 0);
	for (k = 0; k < sizeof shapes / sizeof *shapes; k++) {
		size_t d = shapes[k][0], m = shapes[k][1], classes = shapes[k][2], nlatents = shapes[k][3];
		struct err e = {0};
		struct sae model;
		struct probe probe;
		struct sweep s;
		uint32_t latents[5], idx[40];
		float val[40], raw[64], changed[64];
		double scratch[64 + 7], out[5 * 7], plain[5 * 7];

		sae_init(&model, d, m, 0, &e);
		probe_init(&probe, d, classes, &e);
		for (i = 0; i < m * d; i++)
			model.W_dec[i] = (float)rng_normal(&r);
		for (i = 0; i < d * classes; i++)
			probe.W[i] = (float)rng_normal(&r);
		for (i = 0; i < classes; i++)
			probe.b[i] = (float)rng_normal(&r);
		for (i = 0; i < nlatents; i++)
			latents[i] = (uint32_t)(i * m / nlatents);
		sweep_init(&s, &probe, &model, 2.5f, latents, nlatents, steps, 4, &e);
		for (j = 0; j < 20; j++) {
			for (i = n = 0; i < m; i++)
				if (j && rng_uniform(&r) < .6) {
					idx[n] = (uint32_t)i;
					val[n++] = (float)(3 * rng_uniform(&r));
				}
			for (i = 0; i < d; i++)
				raw[i] = j == 1 ? 0 : (float)rng_normal(&r); /* a row of zeros has no direction */
			sweep_row(&s, raw, idx, val, n, scratch, out);
			sweep_row_plain(&s, raw, idx, val, n, changed, plain);
			for (i = 0; i < 5 * classes; i++)
				worst = fmax(worst, fabs(out[i] - plain[i]));
		}
		sweep_free(&s);
		probe_free(&probe);
		sae_free(&model);
	}
	tap_ok(worst < 1e-6, "sweeps in closed form are the plain ones (off by %.1e)", worst);
}

/* A step that takes all of a row away. */
static void
test_nothing_left(void)
{
	struct err e = {0};
	struct sae model;
	struct probe probe;
	struct sweep s;
	uint32_t latent = 0;
	float raw[2] = {.6f, .8f}, one = 1;
	double steps[2] = {0, 1}, scratch[4], out[6];

	sae_init(&model, 2, 1, 0, &e);
	probe_init(&probe, 2, 2, &e);
	memcpy(model.W_dec, raw, sizeof raw);
	probe.W[0] = 9;
	probe.b[1] = 1;
	sweep_init(&s, &probe, &model, 1, &latent, 1, steps, 2, &e);
	sweep_row(&s, raw, &latent, &one, 1, scratch, out);
	tap_ok(near(out[2], 1 / (1 + exp(1)), 1e-12) && near(out[4], out[0], 1e-12), "a row brought to nothing is what b says; brought back, what it was");
	sweep_free(&s);
	probe_free(&probe);
	sae_free(&model);
}

int
main(void)
{
	test_stats();
	test_ranks();
	test_many();
	test_audit();
	test_sweeps();
	test_nothing_left();
	return tap_done();
}
