#include "sae/latents.h"

#include <math.h>
#include <string.h>

#include "sae/blas.h"
#include "sae/norm.h"

#define RANGE 64       /* latents of a job */
#define COLUMNS 256    /* of rows that stay in cache while a job's latents pass: 512 KiB */
#define SETTLE 8192    /* rows that are summed in float32 before they go to double */
#define PIECE 512      /* decoder rows made double at once */

int
latents_init(struct latent_sums *s, size_t m, size_t d, unsigned threads, struct err *e)
{
	size_t turned = (size_t)threads * RANGE * LATENTS_ROWS;

	*s = (struct latent_sums){.m = m, .d = d};
	s->rows = mem_alloc(m * sizeof *s->rows);
	s->sum = mem_alloc(m * sizeof *s->sum);
	s->square = mem_alloc(m * sizeof *s->square);
	s->direction = mem_alloc(m * d * sizeof *s->direction);
	s->recent = mem_alloc(m * d * sizeof *s->recent);
	s->zero = mem_alloc(LATENTS_ROWS * sizeof *s->zero);
	s->row = mem_alloc(turned * sizeof *s->row);
	s->val = mem_alloc(turned * sizeof *s->val);
	if (!s->rows || !s->sum || !s->square || !s->direction || !s->recent || !s->zero || !s->row || !s->val ||
	    mat_resize(&s->unit, LATENTS_ROWS, d, "unit rows", e)) {
		if (!e->code)
			err_memory(e, "sums of latents", m * d * 12ull);
		latents_free(s);
		return e->code;
	}
	memset(s->rows, 0, m * sizeof *s->rows);
	memset(s->sum, 0, m * sizeof *s->sum);
	memset(s->square, 0, m * sizeof *s->square);
	memset(s->direction, 0, m * d * sizeof *s->direction);
	memset(s->recent, 0, m * d * sizeof *s->recent);
	return 0;
}

void
latents_free(struct latent_sums *s)
{
	mem_free(s->rows);
	mem_free(s->sum);
	mem_free(s->square);
	mem_free(s->direction);
	mem_free(s->recent);
	mem_free(s->zero);
	mem_free(s->row);
	mem_free(s->val);
	mat_free(&s->unit);
	*s = (struct latent_sums){0};
}

struct work {
	struct latent_sums *s;
	struct csr_view z;
	const struct simd *simd;
};

/* The first code of row r that is of latent `from` or later. */
static uint32_t
lower(struct csr_view z, size_t r, size_t from)
{
	uint32_t lo = z.ptr[r], hi = z.ptr[r + 1], mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (z.idx[mid] < from)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Latents first.. turned: row[j * LATENTS_ROWS ...], count[j] of them. */
static void
turn(const struct work *w, size_t first, size_t n, size_t *count, uint32_t *row, float *val)
{
	size_t r, j;
	uint32_t i;

	memset(count, 0, n * sizeof *count);
	for (r = 0; r < w->z.rows; r++) {
		if (w->s->zero[r])
			continue;
		for (i = lower(w->z, r, first); i < w->z.ptr[r + 1] && w->z.idx[i] < first + n; i++) {
			j = w->z.idx[i] - first;
			row[j * LATENTS_ROWS + count[j]] = (uint32_t)r;
			val[j * LATENTS_ROWS + count[j]++] = w->z.val[i];
		}
	}
}

static void
range_job(void *arg, size_t job, unsigned thread)
{
	struct work *w = arg;
	struct latent_sums *s = w->s;
	size_t first = job * RANGE, n = s->m - first < RANGE ? s->m - first : RANGE, count[RANGE], d = s->d, c, cols, i, j;
	uint32_t *row = s->row + (size_t)thread * RANGE * LATENTS_ROWS;
	float *val = s->val + (size_t)thread * RANGE * LATENTS_ROWS, *to;

	turn(w, first, n, count, row, val);
	for (c = 0; c < d; c += cols) {
		cols = d - c < COLUMNS ? d - c : COLUMNS;
		for (j = 0; j < n; j++) {
			to = s->recent + (first + j) * d + c;
			w->simd->gather_rows(to, to, s->unit.data + c, d, cols, row + j * LATENTS_ROWS, val + j * LATENTS_ROWS, count[j]);
		}
	}
	for (j = 0; j < n; j++) {
		s->rows[first + j] += count[j];
		for (i = 0; i < count[j]; i++) {
			s->sum[first + j] += val[j * LATENTS_ROWS + i];
			s->square[first + j] += (double)val[j * LATENTS_ROWS + i] * val[j * LATENTS_ROWS + i];
		}
	}
}

void
latents_rows(struct latent_sums *s, const float *x, struct csr_view z, struct pool *pool, const struct simd *simd)
{
	struct work w = {s, z, simd};
	float norms[LATENTS_ROWS];
	size_t r;

	norm_l2(s->unit.data, x, z.rows, s->d, norms);
	for (r = 0; r < z.rows; r++)
		s->zero[r] = !(norms[r] > 0);
	pool_run(pool, range_job, &w, (s->m + RANGE - 1) / RANGE);
	s->recent_rows += z.rows;
	if (s->recent_rows >= SETTLE)
		latents_settle(s);
}

void
latents_settle(struct latent_sums *s)
{
	size_t i;

	for (i = 0; i < s->m * s->d; i++)
		s->direction[i] += s->recent[i];
	memset(s->recent, 0, s->m * s->d * sizeof *s->recent);
	s->recent_rows = 0;
}

void
latents_merge(struct latent_sums *s, struct latent_sums *other)
{
	size_t i;

	latents_settle(s);
	latents_settle(other);
	for (i = 0; i < s->m; i++) {
		s->rows[i] += other->rows[i];
		s->sum[i] += other->sum[i];
		s->square[i] += other->square[i];
	}
	for (i = 0; i < s->m * s->d; i++)
		s->direction[i] += other->direction[i];
}

double
latents_monosemanticity(const struct latent_sums *s, size_t latent)
{
	const double *v = s->direction + latent * s->d;
	double length = 0, pairs = s->sum[latent] * s->sum[latent] - s->square[latent];
	size_t i;

	for (i = 0; i < s->d; i++)
		length += v[i] * v[i];
	return s->rows[latent] > 1 && pairs > 0 ? (length - s->square[latent]) / pairs : NAN;
}

int
decoder_overlap(double *out, const float *W_dec, size_t m, size_t d, struct err *e)
{
	double *piece = mem_alloc(PIECE * d * sizeof *piece), *gram = mem_alloc(d * d * sizeof *gram);
	double all = 0, own = 0, row;
	size_t at, n, i, j;

	if (!piece || !gram) {
		err_memory(e, "decoder overlap", (PIECE + d) * d * sizeof *gram);
	} else {
		memset(gram, 0, d * d * sizeof *gram);
		for (at = 0; at < m; at += n) {
			n = m - at < PIECE ? m - at : PIECE;
			for (i = 0; i < n; i++) {
				for (j = 0, row = 0; j < d; j++) {
					piece[i * d + j] = W_dec[(at + i) * d + j];
					row += piece[i * d + j] * piece[i * d + j];
				}
				own += row * row;
			}
			blas_gram(n, d, piece, gram);
		}
		for (i = 0; i < d; i++)
			for (j = 0; j <= i; j++)
				all += (i == j ? 1 : 2) * gram[i * d + j] * gram[i * d + j];
		*out = (all - own) / ((double)m * (double)m);
	}
	mem_free(piece);
	mem_free(gram);
	return e->code;
}
