#include "view/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int
tally_init(struct tally *t, size_t m, struct err *e)
{
	memset(t, 0, sizeof *t);
	t->min = UINT64_MAX;
	/* calloc: what is never active never costs memory */
	t->latents = calloc(m + 1, sizeof *t->latents);
	t->l0 = calloc(m + 1, sizeof *t->l0);
	if (!t->latents || !t->l0) {
		tally_free(t);
		return err_memory(e, "statistics of latents", (unsigned long long)m * sizeof *t->latents);
	}
	t->m = m;
	return 0;
}

void
tally_free(struct tally *t)
{
	free(t->latents);
	free(t->l0);
	t->latents = NULL;
	t->l0 = NULL;
}

static void
keep_example(struct tally_latent *l, float v, uint64_t row, const char *id, const char *label)
{
	unsigned i = l->nexamples;

	if (i == TALLY_EXAMPLES) {
		if (v <= l->best[i - 1].value)
			return;
		i--;
	} else {
		l->nexamples++;
	}
	for (; i && l->best[i - 1].value < v; i--)
		l->best[i] = l->best[i - 1];
	l->best[i].value = v;
	l->best[i].row = row;
	text_printable(l->best[i].id, sizeof l->best[i].id, id, strlen(id));
	text_printable(l->best[i].label, sizeof l->best[i].label, label, strlen(label));
}

void
tally_rows(struct tally *t, struct csr_view z, uint64_t first_row, const char *const *ids, const char *const *labels)
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
			if (z.val[at] == 0)
				continue;
			l = &t->latents[z.idx[at]];
			l->sum += (double)z.val[at];
			l->max = !l->rows++ || z.val[at] > l->max ? z.val[at] : l->max;
			keep_example(l, z.val[at], first_row + i, ids ? ids[i] : "", labels ? labels[i] : "");
		}
	}
	t->rows += z.rows;
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
