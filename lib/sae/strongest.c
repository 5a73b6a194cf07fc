#include "sae/strongest.h"

#include <stdlib.h>

int
strongest_init(struct strongest *s, size_t m, size_t most, struct err *e)
{
	*s = (struct strongest){.m = m, .most = most};
	s->count = calloc(m, sizeof *s->count);
	s->rows = calloc(m, most * sizeof *s->rows);
	if (s->count && s->rows)
		return 0;
	strongest_free(s);
	return err_memory(e, "strongest rows", (unsigned long long)m * most * sizeof *s->rows);
}

void
strongest_free(struct strongest *s)
{
	free(s->count);
	free(s->rows);
	free(s->refs);
	*s = (struct strongest){0};
}

void
strongest_codes(struct strongest *s, struct csr_view z, uint64_t first)
{
	struct strongest_row *rows;
	size_t i, at;
	uint32_t t, *count;

	for (i = 0; i < z.rows; i++)
		for (t = z.ptr[i]; t < z.ptr[i + 1]; t++) {
			rows = s->rows + z.idx[t] * s->most;
			count = s->count + z.idx[t];
			if (*count == s->most && !(z.val[t] > rows[s->most - 1].value))
				continue;
			at = *count < s->most ? (*count)++ : s->most - 1;
			for (; at > 0 && z.val[t] > rows[at - 1].value; at--)
				rows[at] = rows[at - 1];
			rows[at] = (struct strongest_row){first + i, z.val[t]};
		}
}

static int
by_row(const void *a, const void *b)
{
	const struct strongest_ref *x = a, *y = b;

	return x->row != y->row ? (x->row > y->row) - (x->row < y->row) : (x->latent > y->latent) - (x->latent < y->latent);
}

int
strongest_order(struct strongest *s, struct err *e)
{
	size_t j, i;

	s->refs = malloc((s->m * s->most + 1) * sizeof *s->refs);
	if (!s->refs)
		return err_memory(e, "strongest rows", (unsigned long long)s->m * s->most * sizeof *s->refs);
	for (j = 0; j < s->m; j++)
		for (i = 0; i < s->count[j]; i++)
			s->refs[s->nrefs++] = (struct strongest_ref){s->rows[j * s->most + i].row, (uint32_t)j, s->rows[j * s->most + i].value};
	qsort(s->refs, s->nrefs, sizeof *s->refs, by_row);
	return 0;
}

uint64_t
strongest_next(const struct strongest *s)
{
	return s->at < s->nrefs ? s->refs[s->at].row : STRONGEST_END;
}

void
strongest_add(struct strongest *s, const float *x, size_t d, float *sums)
{
	const uint64_t row = strongest_next(s);
	float *sum;
	size_t i;

	for (; s->at < s->nrefs && s->refs[s->at].row == row; s->at++) {
		sum = sums + s->refs[s->at].latent * d;
		for (i = 0; i < d; i++)
			sum[i] += s->refs[s->at].value * x[i];
	}
}
