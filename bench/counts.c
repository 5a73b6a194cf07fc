/* Each kernel once, on fixed data, for callgrind to count its instructions:
 * bench/check. Prints the names in the order in which they ran.
 *
 *   bench/counts [TABLE]
 *
 * Exits with 64 where the machine has no such table; avx2 if none is named. It
 * says nothing about time. Counts depend on the compiler, and hardly on the machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "sae/decode.h"
#include "sae/encode.h"
#include "sae/topk.h"
#include "stream/frame.h"

#define D 256
#define M 1536
#define ROWS 50 /* not whole groups */
#define LONG 10007
#define K 64

struct data {
	const struct simd *simd;
	struct sae model;
	struct encoder *enc;
	float *x, *p, *out, *w; /* [ROWS,D], [ROWS,M] and [ROWS,M]; W_enc turned */
	float *v[4];            /* [LONG] */
	uint32_t *idx;          /* [LONG+16] */
	uint16_t *half;         /* [LONG] */
	int8_t *bytes;
	struct dot_pair *pair;  /* [LONG] */
	struct csr few, many, z;
	struct frame frame;
	struct frame_packed packed;
	unsigned char *packed_bytes;
	size_t packed_size;
};

static struct err err;
static volatile size_t sink;

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "bench/counts: %s: %s\n", what, err.text);
	exit(70);
}

static float *
numbers(struct rng *r, size_t n)
{
	float *p = mem_alloc((n + 16) * sizeof *p);
	size_t i;

	if (!p)
		die("out of memory");
	for (i = 0; i < n + 16; i++)
		p[i] = (float)rng_uniform(r) - .5f;
	return p;
}

static void do_add(struct data *d) { d->simd->add(d->v[3], d->v[0], LONG); }
static void do_gate(struct data *d) { d->simd->gate(d->v[3], d->v[0], LONG); }
static void do_shift_scale(struct data *d) { d->simd->shift_scale(d->v[2], d->v[0], d->v[1], .5f, LONG); }
static void do_unscale_shift(struct data *d) { d->simd->unscale_shift(d->v[2], d->v[0], d->v[1], .5f, LONG); }
static void do_count_above(struct data *d) { sink = d->simd->count_above(d->v[0], LONG, .1f); }
static void do_compress_above(struct data *d) { sink = d->simd->compress_above(d->v[0], LONG, .1f, 0, d->idx, d->v[2]); }
static void do_few_above(struct data *d) { sink = d->simd->few_above(d->v[0], LONG, .45f, 0, d->idx, d->v[2]); }
static void do_keep_above(struct data *d) { sink = d->simd->keep_above(d->idx, d->v[2], LONG, .2f); }
static void do_axpy(struct data *d) { d->simd->axpy(d->v[2], .5f, d->v[0], LONG); }
static void do_shorten(struct data *d) { d->simd->shorten(d->half, d->v[0], LONG); }
static void do_upper(struct data *d) { d->simd->upper(d->v[2], d->half, d->v[1], d->v[3], d->v[0], .5f, .1f, LONG); }
static void do_maxima(struct data *d) { d->simd->maxima(d->v[0], LONG, d->out, 4 * K); }
static void do_dot_tile(struct data *d) { d->simd->dot_tile(d->x, ROWS, d->w, 101, D, d->p, M); }
static void do_dot_pairs(struct data *d) { d->simd->dot_pairs(d->x, d->w, D, d->pair, LONG, d->v[2]); }
static void do_decode_few(struct data *d) { decode(&d->model, csr_view(&d->few), NULL, d->simd, d->out); }
static void do_decode_many(struct data *d) { decode(&d->model, csr_view(&d->many), NULL, d->simd, d->out); }

static void
do_compare(struct data *d)
{
	struct compared c;

	d->simd->compare(d->v[0], d->v[1], LONG, &c);
	sink = c.ee > 0;
}

static void
do_extremes(struct data *d)
{
	int32_t least, most;

	d->simd->extremes(d->v[0], LONG, &least, &most);
	sink = (size_t)(most > least);
}

static void
do_round_row(struct data *d)
{
	sink = d->simd->round_row(d->v[0], LONG / DOT_LANES * DOT_LANES, d->bytes).sum > 0;
}

static void
do_gather_rows(struct data *d)
{
	d->simd->gather_rows(d->out, d->model.b_dec, d->model.W_dec, D, D, d->few.idx, d->few.val, K);
}

static void
do_topk_dense(struct data *d)
{
	if (topk_dense(d->p, ROWS, M, K, false, NULL, d->simd, &d->z, &err))
		die("topk");
}

static void
do_topk_rows(struct data *d)
{
	if (topk_rows(csr_view(&d->many), K, false, NULL, d->simd, &d->z, &err))
		die("topk");
}

static void
do_encode(struct data *d)
{
	if (encode(d->enc, d->x, ROWS, 0, &d->z, &err))
		die("encode");
}

static void
do_encode_k(struct data *d)
{
	if (encode(d->enc, d->x, ROWS, K, &d->z, &err))
		die("encode");
}

static void
do_frame_pack(struct data *d)
{
	if (frame_pack_rows(&d->packed, &d->frame, 0, 0, 0, ROWS, &err))
		die("pack");
}

static void
do_frame_parse(struct data *d)
{
	if (frame_parse(&d->frame, d->packed_bytes, d->packed_size, &err))
		die("parse");
}

static const struct kernel {
	const char *name;
	void (*run)(struct data *d);
} kernels[] = {
	{"add", do_add}, {"gate", do_gate}, {"shift_scale", do_shift_scale}, {"unscale_shift", do_unscale_shift},
	{"count_above", do_count_above}, {"compress_above", do_compress_above}, {"few_above", do_few_above},
	{"keep_above", do_keep_above}, {"maxima", do_maxima}, {"extremes", do_extremes},
	{"axpy", do_axpy}, {"gather_rows", do_gather_rows}, {"compare", do_compare}, {"round_row", do_round_row},
	{"shorten", do_shorten}, {"upper", do_upper}, {"dot_tile", do_dot_tile}, {"dot_pairs", do_dot_pairs}, {"decode_few", do_decode_few},
	{"decode_many", do_decode_many}, {"topk_dense", do_topk_dense}, {"topk_rows", do_topk_rows}, {"encode", do_encode},
	{"encode_k", do_encode_k}, {"frame_pack", do_frame_pack}, {"frame_parse", do_frame_parse},
};

/* What callgrind counts is what happens in here, by this name: so it is not
 * static. The barrier keeps the call a call: a jump would never come back. */
__attribute__((noinline)) void measured(const struct kernel *k, struct data *d);
void
measured(const struct kernel *k, struct data *d)
{
	k->run(d);
	__asm__ volatile("" ::: "memory");
}

/* Every step-th latent. */
static void
codes(struct csr *z, struct rng *r, size_t step)
{
	size_t i, j;
	uint32_t at = 0;

	if (csr_resize(z, ROWS, M, ROWS * M / step + ROWS, &err))
		die("codes");
	for (i = 0; i < ROWS; i++) {
		for (j = i % step; j < M; j += step) {
			z->idx[at] = (uint32_t)j;
			z->val[at++] = (float)rng_uniform(r) + .1f;
		}
		z->ptr[i + 1] = at;
	}
}

static void
make_frame(struct data *d)
{
	struct iovec *iov;
	size_t n, i, at = 0;

	d->frame.kind = FRAME_ROWS;
	d->frame.n = ROWS;
	if (frame_put_csr(&d->frame, "z", csr_view(&d->many), &err) || frame_pack_rows(&d->packed, &d->frame, 0, 0, 0, ROWS, &err))
		die("frame");
	iov = frame_packed_iov(&d->packed, &n);
	d->packed_size = d->packed.size;
	d->packed_bytes = mem_alloc(d->packed_size);
	if (!d->packed_bytes)
		die("out of memory");
	for (i = 0; i < n; at += iov[i++].iov_len)
		memcpy(d->packed_bytes + at, iov[i].iov_base, iov[i].iov_len);
}

static void
make(struct data *d)
{
	struct rng r = {0};
	size_t i;

	rng_seed(&r, 1, 0);
	if (sae_init(&d->model, D, M, 0, &err))
		die("model");
	mem_free(d->model.W_enc);
	mem_free(d->model.W_dec);
	d->model.W_enc = numbers(&r, (size_t)D * M);
	d->model.W_dec = numbers(&r, (size_t)D * M);
	d->w = numbers(&r, (size_t)D * M);
	dot_weights(d->w, d->model.W_enc, D, M);
	d->enc = encoder_new_way(&d->model, NULL, d->simd, ENCODE_ALL, &err);
	if (!d->enc)
		die("encoder");
	d->x = numbers(&r, ROWS * D);
	d->p = numbers(&r, (size_t)ROWS * M);
	d->out = numbers(&r, (size_t)ROWS * M);
	for (i = 0; i < 4; i++)
		d->v[i] = numbers(&r, LONG);
	d->idx = mem_alloc((LONG + 16) * sizeof *d->idx);
	d->half = mem_alloc(LONG * sizeof *d->half);
	d->bytes = mem_alloc(LONG);
	d->pair = mem_alloc(LONG * sizeof *d->pair);
	if (!d->idx || !d->half || !d->bytes || !d->pair)
		die("out of memory");
	memset(d->idx, 0, (LONG + 16) * sizeof *d->idx);
	for (i = 0; i < LONG; i++)
		d->pair[i] = (struct dot_pair){(uint32_t)rng_below(&r, ROWS), (uint32_t)rng_below(&r, M), (uint32_t)i};
	codes(&d->few, &r, M / K);
	codes(&d->many, &r, 2);
	make_frame(d);
	do_encode(d); /* it reads its weights at the first rows */
}

int
main(int argc, char **argv)
{
	struct data d = {.simd = simd_for(argc > 1 ? argv[1] : "avx2")};
	size_t i;

	if (!d.simd)
		return 64;
	make(&d);
	for (i = 0; i < sizeof kernels / sizeof *kernels; i++) {
		puts(kernels[i].name);
		measured(&kernels[i], &d);
	}
	return 0; /* the process ends: nothing is freed */
}
