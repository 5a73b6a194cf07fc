#include "view/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

int
tally_init(struct tally *t, size_t m, size_t nlevels, struct err *e)
{
	size_t counts;

	memset(t, 0, sizeof *t);
	t->min = UINT64_MAX;
	/* calloc: what is never active never costs memory */
	t->latents = calloc(m + 1, sizeof *t->latents);
	t->l0 = calloc(m + 1, sizeof *t->l0);
	t->levels = size_mul(m, nlevels, &counts) ? calloc(counts + 1, sizeof *t->levels) : NULL;
	t->m = m;
	t->nlevels = nlevels;
	if (!t->latents || !t->l0 || !t->levels) {
		t->m = 0;
		tally_free(t);
		return err_memory(e, "statistics of latents", (unsigned long long)m * sizeof *t->latents);
	}
	return 0;
}

void
tally_free(struct tally *t)
{
	size_t j;
	unsigned i;

	for (j = 0; j < t->m; j++)
		for (i = 0; i < t->latents[j].nexamples; i++) {
			free(t->latents[j].best[i].id);
			free(t->latents[j].best[i].label);
		}
	free(t->latents);
	free(t->l0);
	free(t->levels);
	memset(t, 0, sizeof *t);
}

/* A printable copy, size bytes at most; *failed without memory. */
static char *
copy(const char *s, size_t size, bool *failed)
{
	char text[TALLY_ID];
	char *out;

	if (!s || !*s)
		return NULL;
	out = strdup(text_printable(text, size, s, strlen(s)));
	*failed |= !out;
	return out;
}

static int
keep_example(struct tally_latent *l, float v, uint64_t row, const char *id, const char *label, struct err *e)
{
	struct tally_example new = {.value = v, .row = row};
	bool failed = false;
	unsigned i = l->nexamples;

	new.id = copy(id, TALLY_ID, &failed);
	new.label = copy(label, TALLY_LABEL, &failed);
	if (failed) {
		free(new.id);
		free(new.label);
		return err_memory(e, "example rows", TALLY_ID);
	}
	if (i == TALLY_EXAMPLES) {
		i--;
		free(l->best[i].id);
		free(l->best[i].label);
	} else {
		l->nexamples++;
	}
	for (; i && l->best[i - 1].value < v; i--)
		l->best[i] = l->best[i - 1];
	l->best[i] = new;
	l->floor = l->best[TALLY_EXAMPLES - 1].value;
	return 0;
}

static void
use_exponent(struct tally_bins *b, int exponent)
{
	b->exponent = exponent;
	b->per_unit = ldexp(1, -exponent);
}

void
tally_bin(struct tally_bins *b, double v)
{
	size_t i;
	int x;

	if (b->per_unit == 0) {
		frexp(v, &x);
		use_exponent(b, x - 5); /* v in the upper half of 32 */
	}
	while (v * b->per_unit >= TALLY_BINS) {
		for (i = 0; i < TALLY_BINS / 2; i++)
			b->n[i] = b->n[2 * i] + b->n[2 * i + 1];
		memset(b->n + TALLY_BINS / 2, 0, TALLY_BINS / 2 * sizeof *b->n);
		use_exponent(b, b->exponent + 1);
	}
	b->n[(size_t)(v * b->per_unit)]++;
}

#define AHEAD 12 /* codes between the one counted and the one whose latent is fetched */

int
tally_rows(struct tally *t, struct csr_view z, uint64_t first_row, const char *const *ids, const char *const *labels, struct err *e)
{
	struct tally_latent *l;
	uint64_t n;
	uint32_t at;
	size_t i;

	for (i = 0; i < z.rows; i++) {
		for (n = 0, at = z.ptr[i]; at < z.ptr[i + 1]; at++)
			n += z.val[at] != 0;
		t->nnz += n;
		t->square += (double)n * (double)n;
		t->min = n < t->min ? n : t->min;
		t->max = n > t->max ? n : t->max;
		t->l0[n < t->m ? n : t->m]++;
		for (at = z.ptr[i]; at < z.ptr[i + 1]; at++) {
			if (at + AHEAD < z.ptr[z.rows])
				__builtin_prefetch(&t->latents[z.idx[at + AHEAD]], 1);
			if (z.val[at] == 0)
				continue;
			l = &t->latents[z.idx[at]];
			l->sum += (double)z.val[at];
			l->max = !l->rows++ || z.val[at] > l->max ? z.val[at] : l->max;
			if (z.val[at] > 0)
				tally_bin(&l->bins, (double)z.val[at]);
			else
				l->negative++;
			if (l->nexamples == TALLY_EXAMPLES && z.val[at] <= l->floor)
				continue;
			if (keep_example(l, z.val[at], first_row + i, ids ? ids[i] : NULL, labels ? labels[i] : NULL, e))
				return e->code;
		}
	}
	t->rows += z.rows;
	return 0;
}

void
tally_level(struct tally *t, size_t level, struct csr_view codes)
{
	uint32_t at;

	for (at = 0; at < codes.ptr[codes.rows]; at++)
		t->levels[codes.idx[at] * t->nlevels + level]++;
}

uint64_t
tally_quantile(const struct tally *t, double q)
{
	uint64_t want = (uint64_t)ceil(q * (double)t->rows), seen = 0, n;

	for (n = 0; n < t->m; n++) {
		seen += t->l0[n];
		if (seen >= want && seen)
			break;
	}
	return n;
}
