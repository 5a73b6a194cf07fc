#include "sae/decode.h"

#define ROWS 32 /* rows a job */
/* With one code in DENSE latents or more, rows share the reading of W_dec: a
 * piece of LATENTS x COLUMNS, 64 KiB, serves ROWS rows before the next one.
 * At every second latent that is three times as fast as row by row. */
#define DENSE 12
#define LATENTS 64
#define COLUMNS 256

struct work {
	const struct sae *model;
	struct csr_view z;
	const struct simd *simd;
	const float *onto; /* row r of what is added to is onto + r * stride */
	size_t stride;
	float *xhat;
};

/* Few codes a row: each row by itself, held in registers. */
static void
decode_sparse(const struct work *w, size_t first, size_t end)
{
	const struct sae *s = w->model;
	size_t r, at;

	for (r = first; r < end; r++) {
		at = w->z.ptr[r];
		w->simd->gather_rows(w->xhat + r * s->d_out, w->onto + r * w->stride, s->W_dec, s->d_out, s->d_out,
		                     w->z.idx + at, w->z.val + at, w->z.ptr[r + 1] - at);
	}
}

/* Adds the codes from[] on that are below latent `limit`, the last of a piece
 * of W_dec, to rows first..end-1. from[] moves on. */
static void
add_piece(const struct work *w, size_t first, size_t end, size_t limit, size_t *from)
{
	const struct sae *s = w->model;
	size_t to[ROWS], c, cols, r, i;
	float *out;

	for (r = first, i = 0; r < end; r++, i++)
		for (to[i] = from[i]; to[i] < w->z.ptr[r + 1] && w->z.idx[to[i]] < limit; to[i]++)
			;
	for (c = 0; c < s->d_out; c += cols) {
		cols = s->d_out - c < COLUMNS ? s->d_out - c : COLUMNS;
		for (r = first, i = 0; r < end; r++, i++) {
			out = w->xhat + r * s->d_out + c;
			w->simd->gather_rows(out, limit == LATENTS ? w->onto + r * w->stride + c : out, s->W_dec + c, s->d_out, cols,
			                     w->z.idx + from[i], w->z.val + from[i], to[i] - from[i]);
		}
	}
	for (r = first, i = 0; r < end; r++, i++)
		from[i] = to[i];
}

/* Many codes a row: W_dec piece by piece, all rows before the next piece. Each
 * row still sums its latents in ascending order: the same bytes. */
static void
decode_dense(const struct work *w, size_t first, size_t end)
{
	size_t from[ROWS], limit, r;

	for (r = first; r < end; r++)
		from[r - first] = w->z.ptr[r];
	for (limit = LATENTS; limit < w->model->m + LATENTS; limit += LATENTS)
		add_piece(w, first, end, limit, from);
}

/* At most ROWS rows. */
static void
decode_few(const struct work *w, size_t first, size_t end)
{
	size_t codes = w->z.ptr[end] - w->z.ptr[first];

	if (codes / (end - first) < w->model->m / DENSE)
		decode_sparse(w, first, end);
	else
		decode_dense(w, first, end);
}

static void
decode_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	size_t first = job * ROWS;

	(void)thread;
	decode_few(w, first, first + ROWS < w->z.rows ? first + ROWS : w->z.rows);
}

void
decode(const struct sae *model, struct csr_view z, struct pool *pool, const struct simd *simd, float *xhat)
{
	struct work w = {model, z, simd, model->b_dec, 0, xhat};

	pool_run(pool, decode_job, &w, (z.rows + ROWS - 1) / ROWS);
}

void
decode_rows(const struct sae *model, struct csr_view z, size_t first, size_t end, const struct simd *simd,
            const float *onto, float *xhat)
{
	struct work w = {model, z, simd, onto ? onto : model->b_dec, onto ? model->d_out : 0, xhat};
	size_t to;

	for (; first < end; first = to) {
		to = end - first < ROWS ? end : first + ROWS;
		decode_few(&w, first, to);
	}
}

void
decode_plain(const struct sae *model, struct csr_view z, double *xhat)
{
	size_t d = model->d_out, r, i, t;
	double s;

	for (r = 0; r < z.rows; r++)
		for (i = 0; i < d; i++) {
			s = model->b_dec[i];
			for (t = z.ptr[r]; t < z.ptr[r + 1]; t++)
				s += (double)z.val[t] * model->W_dec[z.idx[t] * d + i];
			xhat[r * d + i] = s;
		}
}
