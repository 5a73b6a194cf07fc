/* What a training step costs: over one matrix product of the encoder's shape
 * made by the same threads in the same run, over PyTorch's step where that was
 * measured, and in memory; each beside its limit.
 *
 *   bench/train [-j THREADS] [-n STEPS] [-t FILE] [DxM ...]
 *
 * FILE is what bench/train_torch.py printed: lines "DxM NAME SECONDS". Exits
 * with 1 when a limit was missed. Each architecture runs in a child of its own,
 * because peak memory is a high-water mark.
 */
#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "keep.h"
#include "sae/blas.h"
#include "sae/train.h"

#define BATCH 4096
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Limits; 0: none. */
struct setup {
	const char *name, *torch; /* torch: as train_torch.py calls it */
	enum sae_arch arch;
	bool reverse;
	double active;  /* share of positive p, by b_enc; 0: as train_init leaves it, half */
	size_t k;
	double l1, l0;
	double most;    /* of step over product */
	double faster;  /* of torch's step over ours */
};

static const struct setup setups[] = {
	{"msae-rw, at the start", "msae-rw", ARCH_MSAE, true, 0, 0, 0, 0, 0, 10},
	{"msae-uw, at the start", "msae-rw", ARCH_MSAE, false, 0, 0, 0, 0, 0, 10},
	{"msae-rw, a fifth active", "msae-rw", ARCH_MSAE, true, .2, 0, 0, 0, 4, 10},
	{"topk 64", "topk", ARCH_TOPK, false, 0, 64, 0, 0, 2, 4},
	{"batchtopk 32", "batchtopk", ARCH_BATCHTOPK, false, 0, 32, 0, 0, 0, 0},
	{"relu, l1", "relu", ARCH_RELU, false, 0, 0, .03, 0, 0, 2.5},
	{"jumprelu, l0", "jumprelu", ARCH_JUMPRELU, false, 0, 0, 0, .003, 0, 0},
};

struct figures {
	double step, product;         /* seconds by the clock, the best of each */
	double step_cpu, product_cpu; /* of all threads */
	double active, seconds[TRAIN_PHASES], peak; /* share; of the best step; bytes */
};

struct options {
	unsigned threads;
	int steps;
	const char *torch;
};

static struct err err;

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "train: %s %s\n", what, err.text);
	exit(2);
}

static void *
need(size_t n)
{
	void *p = mem_alloc(n);

	if (!p)
		die("out of memory");
	return p;
}

static double
wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double
cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double
peak_bytes(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_maxrss * 1024;
}

/* ---- one architecture, in a child ---- */

/* Normal rows of variance 1 make every pre-activation normal: of deviation 0.1
 * to begin with, as the encoder's columns have norm 0.1. So its bias says how
 * many are positive: -0.0842 leaves a fifth. Bias and columns then scale
 * together, and at a rate of almost nothing that stays. */
static void
set_active(struct sae *s, double share)
{
	double low = -1, high = 1, z;
	size_t j;
	int i;

	for (i = 0; share > 0 && i < 60; i++) {
		z = (low + high) / 2;
		if (erfc(z / .1 / sqrt(2)) / 2 > share)
			low = z;
		else
			high = z;
	}
	for (j = 0; share > 0 && j < s->m; j++)
		s->b_enc[j] = (float)-low;
}

struct product {
	size_t d, m, share;
	const float *x, *w;
	float *p;
};

static void
product_job(void *arg, size_t job, unsigned thread)
{
	struct product *f = arg;
	size_t first = job * f->share, rows = first + f->share < BATCH ? f->share : BATCH - first;

	(void)thread;
	blas_gemm(rows, f->m, f->d, f->x + first * f->d, f->d, f->w, f->m, f->p + first * f->m, f->m);
}

static void
time_product(struct product *f, struct pool *pool, struct figures *out)
{
	double t = wall(), c = cpu();

	pool_run(pool, product_job, f, pool_threads(pool));
	t = wall() - t;
	c = cpu() - c;
	out->product = out->product > 0 ? fmin(out->product, t) : t;
	out->product_cpu = out->product_cpu > 0 ? fmin(out->product_cpu, c) : c;
}

static void
time_step(struct trainer *t, const float *x, size_t m, struct figures *out)
{
	struct train_result r;
	double at = wall(), c = cpu();

	if (trainer_step(t, x, BATCH, 1e-12, &r, &err))
		die("step:");
	at = wall() - at;
	c = cpu() - c;
	out->active = r.l0 / (double)m;
	if (!(out->step > 0) || at < out->step)
		memcpy(out->seconds, r.seconds, sizeof r.seconds);
	out->step = out->step > 0 ? fmin(out->step, at) : at;
	out->step_cpu = out->step_cpu > 0 ? fmin(out->step_cpu, c) : c;
}

static struct train_opts
opts_of(const struct setup *a, size_t m)
{
	struct train_opts o;

	train_defaults(&o, a->arch, m);
	train_weights(&o, a->reverse);
	o.batch = BATCH;
	o.l1 = a->l1;
	o.l0 = a->l0;
	if (a->k)
		o.k = a->k;
	return o;
}

static struct figures
measure(const struct setup *a, size_t d, size_t m, const struct options *how)
{
	struct figures f = {0};
	struct train_opts o = opts_of(a, m);
	struct pool *pool = pool_new(how->threads, &err);
	struct product product = {.d = d, .m = m, .share = (BATCH + how->threads - 1) / how->threads};
	float *x = need(BATCH * d * sizeof *x);
	const struct simd *simd;
	struct trainer *t;
	struct rng r;
	struct sae s;
	size_t i;
	int step;

	if (!pool || simd_pick(&simd, getenv("MSAE_CPU"), &err) || sae_init(&s, d, m, a->arch == ARCH_JUMPRELU, &err))
		die("set up:");
	rng_seed(&r, 1, 1);
	for (i = 0; i < BATCH * d; i++)
		x[i] = (float)rng_normal(&r);
	train_init(&s, 1);
	set_active(&s, a->active);
	t = trainer_new(&s, &o, pool, simd, &err);
	if (!t)
		die("trainer:");
	time_step(t, x, m, &f); /* touches memory for the first time: not counted */
	f.peak = peak_bytes();
	f.step = f.step_cpu = 0;
	product.x = x;
	product.w = s.W_enc;
	product.p = need(BATCH * m * sizeof *product.p);
	time_product(&product, pool, &f);
	f.product = f.product_cpu = 0; /* likewise */
	for (step = 0; step < how->steps; step++) {
		time_product(&product, pool, &f);
		time_step(t, x, m, &f);
	}
	return f; /* the child ends: nothing is freed */
}

static struct figures
in_child(const struct setup *a, size_t d, size_t m, const struct options *how)
{
	struct figures f;
	int end[2], status;
	pid_t pid;

	fflush(NULL);
	if (pipe(end) || (pid = fork()) < 0)
		die("no child");
	if (!pid) {
		f = measure(a, d, m, how);
		_exit(write(end[1], &f, sizeof f) != (ssize_t)sizeof f);
	}
	close(end[1]);
	if (read(end[0], &f, sizeof f) != (ssize_t)sizeof f)
		die("a child ended early");
	close(end[0]);
	waitpid(pid, &status, 0);
	return f;
}

/* ---- what is printed ---- */

/* Seconds of torch's step, or 0. */
static double
torch_seconds(const char *file, size_t d, size_t m, const char *name)
{
	char line[256], is[64];
	double seconds, found = 0;
	size_t rd, rm;
	FILE *f = file ? fopen(file, "r") : NULL;

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "%zux%zu %63s %lf", &rd, &rm, is, &seconds) == 4 && rd == d && rm == m && !strcmp(is, name))
			found = seconds;
	if (f)
		fclose(f);
	return found;
}

/* A limit beside what was just printed, which is `what` of a setup; 1 when it is
 * missed. Room for it is kept where there is none. */
static int
limit(const char *setup, const char *what, const char *relation, double value, double bound, const char *format)
{
	char text[32] = "", name[128];
	bool missed = bound > 0 && (relation[0] == '<' ? value > bound : value < bound);

	if (bound > 0)
		snprintf(text, sizeof text, format, bound);
	printf(" %-2s%5s %-6s", bound > 0 ? relation : "", text, missed ? "MISSED" : bound > 0 ? "ok" : "");
	snprintf(name, sizeof name, "%s: %s", setup, what);
	keep("train", name, value, strchr(what, '/') ? "x" : "MB", relation, bound, !missed);
	return missed;
}

static int
print_line(const struct setup *a, const struct figures *f, size_t d, size_t m, const char *torch)
{
	/* the model with Adam's two moments and the gradients; p; x, x - b_dec and
	 * as much again for what a block of rows needs */
	double model = (double)(2 * d * m + m + d) * 4, batch = BATCH * ((double)m + 4 * (double)d) * 4;
	double theirs = torch_seconds(torch, d, m, a->torch);
	char setup[96];
	int missed = 0;

	snprintf(setup, sizeof setup, "%zux%zu, %s", d, m, a->name);
	printf("  %-24s%6.1f%8.3f%8.3f%7.2f%7.2f", a->name, 100 * f->active, f->step, f->product, f->step / f->product,
	       f->step_cpu / f->product_cpu);
	missed += limit(setup, "step / product", "<=", f->step / f->product, a->most, "%.0f");
	printf("%7.0f", f->peak / 1e6);
	missed += limit(setup, "peak memory", "<=", f->peak / 1e6, (4 * model + batch) / 1e6, "%.0f");
	if (theirs > 0) {
		printf("%8.2f%7.1f", theirs, theirs / f->step);
		missed += limit(setup, "step of torch / step", ">=", theirs / f->step, a->faster, "%g");
	}
	putchar('\n');
	return missed;
}

static void
print_phases(const struct setup *a, const struct figures *f)
{
	double sum = 0;
	int i;

	for (i = 0; i < TRAIN_PHASES; i++)
		sum += f->seconds[i];
	printf("  %-24s", a->name);
	for (i = 0; i < TRAIN_PHASES; i++)
		printf("%12.1f", 100 * f->seconds[i] / sum);
	putchar('\n');
}

static int
shape(size_t d, size_t m, const struct options *how)
{
	struct figures f[COUNT(setups)];
	int missed = 0;
	size_t i;

	printf("training, %zu x %zu, %d rows a step, %u threads: seconds, over the encoder's product (by the clock, in\n"
	       "CPU time), peak MB%s\n", d, m, BATCH, how->threads, how->torch ? ", torch's seconds over ours" : "");
	printf("  %-24s%6s%8s%8s%7s%7s %-14s%7s %-14s", "", "on %", "step", "product", "ratio", "cpu", "limit", "peak", "limit");
	puts(how->torch ? "   torch faster limit" : "");
	for (i = 0; i < COUNT(setups); i++) {
		f[i] = in_child(&setups[i], d, m, how);
		missed += print_line(&setups[i], &f[i], d, m, how->torch);
	}
	printf("  %-24s", "where the time goes, %");
	for (i = 0; i < TRAIN_PHASES; i++)
		printf("%12s", train_phase_name((enum train_phase)i));
	putchar('\n');
	for (i = 0; i < COUNT(setups); i++)
		print_phases(&setups[i], &f[i]);
	return missed;
}

int
main(int argc, char **argv)
{
	struct options how = {2, 3, NULL};
	size_t d, m;
	int c, missed = 0;

	while ((c = getopt(argc, argv, "j:n:t:")) != -1)
		switch (c) {
		case 'j': how.threads = (unsigned)atoi(optarg); break;
		case 'n': how.steps = atoi(optarg); break;
		case 't': how.torch = optarg; break;
		default: return 2;
		}
	if (how.threads < 1 || how.steps < 1)
		die("-j and -n take numbers above 0");
	if (optind == argc)
		missed += shape(768, 6144, &how);
	for (; optind < argc; optind++) {
		if (sscanf(argv[optind], "%zux%zu", &d, &m) != 2 || !d || !m)
			die("a shape is DxM, as 768x6144");
		missed += shape(d, m, &how);
	}
	return missed > 0;
}
