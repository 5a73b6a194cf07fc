#include "view/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "view/private.h"

/* A latent is judged by its mean only when that mean is of something. */
static bool
rare(const struct report_latent *l, uint64_t rows)
{
	return l->rows < 2 || (double)l->rows < 1e-3 * (double)rows;
}

struct keyed { double key; bool late; const struct report_latent *l; };

static int
by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	if (x->late != y->late)
		return x->late ? 1 : -1;
	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	return (x->l->latent > y->l->latent) - (x->l->latent < y->l->latent);
}

void
report_sort(const struct report_codes *c, enum report_order how, const struct report_latent **out)
{
	struct keyed *k = malloc((c->nlatents + 1) * sizeof *k);
	size_t i;

	for (i = 0; i < c->nlatents; i++) {
		const struct report_latent *l = &c->latents[i];

		out[i] = l;
		if (k)
			k[i] = (struct keyed){how == REPORT_STRONG ? l->mean : (double)l->rows,
			                      how == REPORT_STRONG ? rare(l, c->rows) : how == REPORT_NAMED && !l->name, l};
	}
	if (!k)
		return;
	qsort(k, c->nlatents, sizeof *k, by_key);
	for (i = 0; i < c->nlatents; i++)
		out[i] = k[i].l;
	free(k);
}

void
report_examples(const struct report_latent *l, char *out, size_t size)
{
	size_t few = l->nexamples < REPORT_FEW ? l->nexamples : REPORT_FEW, i, j, same, n = 0;

	out[0] = 0;
	for (i = 0; i < few && n < size; i++) {
		const struct report_example *x = &l->examples[i];
		bool by_label = x->label[0] && !x->id[0], seen = false;

		for (same = 1, j = 0; by_label && j < few; j++) {
			seen |= j < i && !strcmp(l->examples[j].label, x->label);
			same += j > i && !strcmp(l->examples[j].label, x->label);
		}
		if (seen)
			continue;
		n += (size_t)snprintf(out + n, size - n, "%s", n ? ", " : "");
		if (n >= size)
			break;
		if (by_label)
			n += (size_t)snprintf(out + n, size - n, same > 1 ? "%s ×%zu" : "%s", x->label, same);
		else if (x->id[0])
			n += (size_t)snprintf(out + n, size - n, "%s", x->id);
		else
			n += (size_t)snprintf(out + n, size - n, "#%" PRIu64, x->row);
	}
}

int
report_write(const struct report *r, enum report_form form, FILE *to)
{
	switch (form) {
	case REPORT_TEXT: return report_text(r, to);
	case REPORT_JSON: return report_json(r, to);
	case REPORT_HTML: break;
	}
	return report_html(r, to);
}
