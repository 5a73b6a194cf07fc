/* What each kernel costs beside what the machine allows at all: the bytes it
 * must move over the measured speed of moving them, or the operations it must
 * do over the measured peak of the same instruction set, whichever is longer.
 *
 *   bench/kernels [-n TURNS] [NAME ...]
 *
 * One thread, CPU time, the median of turns in which bounds and kernel take
 * turns, so that other work on the machine shows little. NAME picks kernels
 * whose name contains it. MSAE_CPU chooses the table. Exits with 1 when a kernel
 * reaches less than LIMIT of its bound.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "keep.h"
#include "sae/decode.h"
#include "sae/encode.h"
#include "sae/norm.h"
#include "sae/topk.h"
#include "stream/frame.h"

#define D 768
#define M 6144
#define FRAME (1u << 20)   /* bytes of a frame, as programs make them */
#define LARGE (256u << 20) /* bytes that no cache holds */
#define K 64
#define LIMIT .7
#define SHORTEST .01 /* seconds of a turn */
#define TURNS_MOST 99

static struct err err;

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "bench/kernels: %s%s%s\n", what, err.code ? ": " : "", err.text);
	exit(err.code ? err.code : 70);
}

static void *
need(size_t n)
{
	void *p = mem_alloc(n);

	if (!p)
		die("out of memory");
	return memset(p, 0, n);
}

static double
cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- what the machine allows ---- */

static volatile float sink; /* so that no loop is thrown away */

#define ONE_READ(sum, at) \
	memcpy(&v, p + (at), sizeof v); \
	sum += v;
/* Reading n bytes, a multiple of 256, by four sums of registers as wide as the table's. */
#define READ(NAME, HOW, BYTES) \
	HOW static void read_##NAME(const char *p, size_t n) \
	{ \
		typedef float vec __attribute__((vector_size(BYTES))); \
		vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, v; \
		size_t i; \
		for (i = 0; i + 4 * sizeof v <= n; i += 4 * sizeof v) { \
			ONE_READ(s0, i) \
			ONE_READ(s1, i + sizeof v) \
			ONE_READ(s2, i + 2 * sizeof v) \
			ONE_READ(s3, i + 3 * sizeof v) \
		} \
		s0 += s1 + s2 + s3; \
		sink = s0[0]; \
	}

/* Twelve sums under way keep two units of up to six cycles busy. */
#define SUMS 12
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define ONE_SUM(i) vec s##i = {0};
#define ONE_SINK(i) sink = s##i[0];
/* turns times SUMS registers of BYTES */
#define PEAK(NAME, HOW, BYTES, ONE) \
	HOW static void peak_##NAME(size_t turns) \
	{ \
		typedef float vec __attribute__((vector_size(BYTES))); \
		vec a = {sink}; /* unknown to the compiler */ \
		EACH(ONE_SUM) \
		for (; turns; turns--) { \
			EACH(ONE) \
		} \
		EACH(ONE_SINK) \
	}

READ(plain, , 16)
#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f")))
#define ONE_AVX(i) __asm__("vfmadd231ps %1, %1, %0" : "+x"(s##i) : "x"(a));
READ(avx2, AVX2, 32)
READ(avx512, AVX512, 64)
PEAK(avx2, AVX2, 32, ONE_AVX)
PEAK(avx512, AVX512, 64, ONE_AVX)
#endif
#if defined(__aarch64__)
#define ONE_NEON(i) __asm__("fmla %0.4s, %1.4s, %1.4s" : "+w"(s##i) : "w"(a));
PEAK(plain, , 16, ONE_NEON)
#define PLAIN_LANES 4
#else
/* What plain C has is fmaf(), which may be a call. */
#define ONE_PLAIN(i) s##i[0] = fmaf(a[0], a[0], s##i[0]);
PEAK(plain, , 16, ONE_PLAIN)
#define PLAIN_LANES 1
#endif

struct machine {
	const char *name;
	void (*read)(const char *p, size_t n);
	void (*peak)(size_t turns);
	size_t lanes;
};

static struct machine
machine_of(const struct simd *simd)
{
#if defined(__x86_64__)
	if (!strncmp(simd->name, "avx512", 6))
		return (struct machine){simd->name, read_avx512, peak_avx512, 16};
	if (!strcmp(simd->name, "avx2"))
		return (struct machine){simd->name, read_avx2, peak_avx2, 8};
#endif
	return (struct machine){simd->name, read_plain, peak_plain, PLAIN_LANES};
}

/* ---- the kernels ---- */

struct data {
	const struct simd *simd;
	struct sae model;
	struct encoder *enc;
	float *x, *out;       /* [rows,D], or [rows,M] for topk */
	size_t rows;
	struct csr z, kept;
	struct frame frame;
	struct frame_packed packed;
	unsigned char *bytes; /* a frame */
	size_t size;
};

static void
run_decode(struct data *d)
{
	decode(&d->model, csr_view(&d->z), NULL, d->simd, d->out);
}

static void
run_topk(struct data *d)
{
	if (topk_dense(d->x, d->rows, M, K, false, NULL, d->simd, &d->kept, &err))
		die("topk");
}

static void
run_encode(struct data *d)
{
	if (encode(d->enc, d->x, d->rows, 0, &d->z, &err))
		die("encode");
}

static void
run_norm(struct data *d)
{
	norm_apply(d->out, d->x, d->rows, D, d->model.mean, .5f, d->simd);
}

/* As streams do: laid out for writev, and summed. */
static void
run_pack(struct data *d)
{
	if (frame_pack_rows(&d->packed, &d->frame, 0, 0, 0, d->rows, &err))
		die("pack");
	sink = (float)frame_packed_hash(&d->packed);
}

static void
run_parse(struct data *d)
{
	if (frame_parse(&d->frame, d->bytes, d->size, &err))
		die("parse");
	sink = (float)frame_hash(d->bytes, d->size);
}

/* ---- their data ---- */

static float *
normals(uint64_t which, size_t n)
{
	float *p = need(n * sizeof *p);
	struct rng r = {0};
	size_t i;

	rng_seed(&r, 1, which);
	for (i = 0; i < n && i < LARGE / 64; i++)
		p[i] = (float)rng_normal(&r);
	for (; i < n; i++) /* drawing them all would take longer than the bench */
		p[i] = p[i - LARGE / 64];
	return p;
}

/* Rows with so many codes each, at latents drawn anew for each row. */
static void
codes(struct data *d, size_t rows, size_t each)
{
	struct rng r = {0};
	size_t i, j, left;

	rng_seed(&r, 1, each);
	if (csr_resize(&d->z, rows, M, rows * each, &err))
		die("codes");
	for (i = 0; i < rows; i++) {
		d->z.ptr[i + 1] = (uint32_t)((i + 1) * each);
		for (j = 0, left = each; left; j++)
			if (rng_below(&r, M - j) < left) {
				d->z.idx[(i + 1) * each - left] = (uint32_t)j;
				d->z.val[(i + 1) * each - left] = (float)rng_uniform(&r) + .1f;
				left--;
			}
	}
}

static void
model(struct data *d)
{
	if (sae_init(&d->model, D, M, 0, &err))
		die("model");
	mem_free(d->model.W_dec);
	mem_free(d->model.W_enc);
	d->model.W_enc = normals(2, (size_t)D * M);
	d->model.W_dec = normals(3, (size_t)D * M);
}

/* What one turn of a kernel cannot do without. */
struct must {
	bool copy;          /* bytes are copied; else read */
	size_t bytes, span; /* so many, of an array so large: its speed is measured */
	double flops;
};

static struct must
set_decode(struct data *d, double each)
{
	d->rows = FRAME / 4 / D;
	model(d);
	codes(d, d->rows, (size_t)each);
	d->out = need(d->rows * D * sizeof(float));
	return (struct must){false, d->rows * ((size_t)each * (D * 4 + 8) + D * 4), (size_t)M * D * 4, 0};
}

static struct must
set_topk(struct data *d, double bytes)
{
	d->rows = (size_t)bytes / 4 / M;
	d->x = normals(4, d->rows * M);
	return (struct must){false, d->rows * M * 4, d->rows * M * 4, 0};
}

/* Rows and columns of W_enc are normal, so p is too, with deviation sqrt(D):
 * its bias says how many are positive. */
static struct must
set_encode(struct data *d, double share)
{
	double low = -9, high = 9, mid = 0;
	size_t i;

	d->rows = FRAME / 4 / D;
	model(d);
	for (i = 0; i < 60; i++) {
		mid = (low + high) / 2;
		if (erfc(mid / sqrt(2)) / 2 > share)
			low = mid;
		else
			high = mid;
	}
	for (i = 0; i < M; i++)
		d->model.b_enc[i] = (float)(-mid * sqrt(D));
	d->x = normals(1, d->rows * D);
	d->enc = encoder_new(&d->model, NULL, d->simd, &err);
	if (!d->enc)
		die("encoder");
	return (struct must){false, (size_t)D * M * 4, (size_t)D * M * 4, (double)d->rows * D * M * 2};
}

static struct must
set_norm(struct data *d, double bytes)
{
	d->rows = (size_t)bytes / 4 / D;
	model(d);
	d->x = normals(5, d->rows * D);
	d->out = need(d->rows * D * sizeof(float));
	return (struct must){true, d->rows * D * 4, d->rows * D * 4, 0};
}

/* A frame of so many bytes of x, or for 0 a MiB of z with K codes a row; and all
 * of it in one piece. */
static struct must
set_frame(struct data *d, double bytes)
{
	uint64_t shape[2] = {(uint64_t)bytes / 4 / D, D};
	struct iovec *iov;
	size_t n, i;

	d->frame.kind = FRAME_ROWS;
	if (bytes > 0) {
		d->x = normals(6, (size_t)shape[0] * D);
		frame_put_dense(&d->frame, "x", "<f4", 2, shape, d->x, &err);
	} else {
		codes(d, FRAME / 8 / K, K);
		shape[0] = d->z.rows;
		frame_put_csr(&d->frame, "z", csr_view(&d->z), &err);
	}
	d->rows = d->frame.n = shape[0];
	if (err.code || frame_pack_rows(&d->packed, &d->frame, 0, 0, 0, d->rows, &err))
		die("frame");
	d->bytes = need(d->packed.size);
	iov = frame_packed_iov(&d->packed, &n);
	for (i = 0; i < n; i++) {
		memcpy(d->bytes + d->size, iov[i].iov_base, iov[i].iov_len);
		d->size += iov[i].iov_len;
	}
	return (struct must){false, d->size, d->size, 0};
}

static void
data_free(struct data *d)
{
	encoder_free(d->enc);
	sae_free(&d->model);
	mem_free(d->x);
	mem_free(d->out);
	mem_free(d->bytes);
	csr_free(&d->z);
	csr_free(&d->kept);
	frame_free(&d->frame);
	frame_packed_free(&d->packed);
	*d = (struct data){.simd = d->simd};
}

struct kernel {
	const char *name;
	struct must (*setup)(struct data *d, double arg);
	void (*run)(struct data *d);
	double arg;
	bool limited;
};

/* A MiB is what frames are by default, and lies in cache; what no cache holds is
 * held to the limit. */
static const struct kernel kernels[] = {
	{"decode, 32 codes a row", set_decode, run_decode, 32, true},
	{"decode, 64 codes a row", set_decode, run_decode, 64, true},
	{"topk, dense rows, a MiB", set_topk, run_topk, FRAME, false},
	{"topk, dense rows, 256 MiB", set_topk, run_topk, LARGE, true},
	{"encode, a fifth active", set_encode, run_encode, .2, true},
	{"encode, half active", set_encode, run_encode, .5, true},
	{"normalize, a MiB", set_norm, run_norm, FRAME, true},
	{"normalize, 256 MiB", set_norm, run_norm, LARGE, true},
	{"frame of x, packed, a MiB", set_frame, run_pack, FRAME, false},
	{"frame of x, packed, 64 MiB", set_frame, run_pack, LARGE / 4, true},
	{"frame of x, read, a MiB", set_frame, run_parse, FRAME, false},
	{"frame of x, read, 64 MiB", set_frame, run_parse, LARGE / 4, true},
	{"frame of z, packed, a MiB", set_frame, run_pack, 0, false},
	{"frame of z, read, a MiB", set_frame, run_parse, 0, false},
};

/* ---- measuring ---- */

/* Something timed: so many calls a turn, seconds a call. */
struct timed {
	size_t calls;
	double seconds[TURNS_MOST];
};

struct work {
	const struct machine *machine;
	struct data data;
	struct must must;
	const struct kernel *kernel;
	char *from, *to;
};

#define PEAK_TURNS 10000

static void
call_peak(struct work *w)
{
	w->machine->peak(PEAK_TURNS);
}

static void
call_span(struct work *w)
{
	if (w->must.copy)
		memcpy(w->to, w->from, w->must.span);
	else
		w->machine->read(w->from, w->must.span);
}

static void
call_kernel(struct work *w)
{
	w->kernel->run(&w->data);
}

/* The first time finds out how many calls make a turn long enough. */
static void
turn(struct timed *t, void (*call)(struct work *w), struct work *w, int at)
{
	double from, took = 0;
	size_t i, calls = t->calls ? t->calls : 1;

	for (;;) {
		from = cpu_now();
		for (i = 0; i < calls; i++)
			call(w);
		took = cpu_now() - from;
		if (t->calls || took > SHORTEST)
			break;
		calls *= 2;
	}
	t->calls = calls;
	t->seconds[at] = took / (double)calls;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(struct timed *t, int turns)
{
	qsort(t->seconds, (size_t)turns, sizeof *t->seconds, by_size);
	return t->seconds[turns / 2];
}

static bool
measure(const struct kernel *k, const struct machine *machine, const struct simd *simd, int turns)
{
	struct work w = {.machine = machine, .data = {.simd = simd}, .kernel = k};
	struct timed peak = {0}, span = {0}, kernel = {0};
	double rate, flops, moving, doing, took, bound;
	bool fine;
	int i;

	w.must = k->setup(&w.data, k->arg);
	w.from = need(w.must.span + 256);
	w.to = need(w.must.copy ? w.must.span : 1);
	for (i = -1; i < turns; i++) { /* the first touches memory and is not counted */
		turn(&peak, call_peak, &w, i < 0 ? 0 : i);
		turn(&span, call_span, &w, i < 0 ? 0 : i);
		turn(&kernel, call_kernel, &w, i < 0 ? 0 : i);
	}
	rate = (double)w.must.span / median(&span, turns);
	flops = PEAK_TURNS * SUMS * 2 * (double)machine->lanes / median(&peak, turns);
	took = median(&kernel, turns);
	moving = (double)w.must.bytes / rate;
	doing = w.must.flops / flops;
	bound = moving > doing ? moving : doing;
	fine = !k->limited || bound >= LIMIT * took;
	printf("  %-26s %10.1f us  bound %10.1f us: ", k->name, took * 1e6, bound * 1e6);
	if (moving > doing)
		printf("%-4s %6.1f GB/s", w.must.copy ? "copy" : "read", rate / 1e9);
	else
		printf("peak %6.1f GF/s", flops / 1e9);
	printf("  %5.1f %%", 100 * bound / took);
	if (k->limited)
		printf("  limit >= %g %%  %s", 100 * LIMIT, fine ? "ok" : "MISSED");
	putchar('\n');
	fflush(stdout);
	keep("kernels", k->name, 100 * bound / took, "%", ">=", k->limited ? 100 * LIMIT : 0, fine);
	mem_free(w.from);
	mem_free(w.to);
	data_free(&w.data);
	return fine;
}

static bool
chosen(const char *name, char **words)
{
	if (!*words)
		return true;
	for (; *words; words++)
		if (strstr(name, *words))
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	const struct simd *simd;
	struct machine machine;
	int turns = 9, c;
	bool fine = true;
	size_t i;

	while ((c = getopt(argc, argv, "n:")) != -1)
		if (c == 'n')
			turns = atoi(optarg);
		else
			return 64;
	if (turns < 1 || turns > TURNS_MOST) {
		fprintf(stderr, "bench/kernels: -n takes 1 to %d\n", TURNS_MOST);
		return 64;
	}
	if (simd_pick(&simd, getenv("MSAE_CPU"), &err))
		die("kernels");
	machine = machine_of(simd);
	printf("kernels, %s, one thread, %d x %d: CPU time beside what the machine allows\n", simd->name, D, M);
	for (i = 0; i < sizeof kernels / sizeof *kernels; i++)
		if (chosen(kernels[i].name, argv + optind))
			fine = measure(&kernels[i], &machine, simd, turns) && fine;
	return !fine;
}
