/* Sums of names as they are typed: names in the first lines, then the text.
 * Whatever it is, terms that make sense or one line of error. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/expression.h"
#include "base/lexicon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct expression *x, const struct lexicon *l)
{
	size_t i;

	if (!x->n)
		abort();
	for (i = 0; i < x->n; i++) {
		const struct meant *m = &x->terms[i].name;

		if (!(fabs(x->terms[i].weight) <= EXPRESSION_MAX_WEIGHT))
			abort();
		if (m->entries && (!m->count || m->entries < l->items || m->entries + m->count > l->items + l->n))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1), *text, *end;
	struct expression x;
	struct lexicon l = {0};
	struct err e = {0};
	uint32_t number = 0;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	copy[size] = 0;
	for (text = copy; (end = strchr(text, '\n')); text = end + 1) {
		*end = 0;
		if (lexicon_add(&l, text, number, number % 5 == 0, &e))
			break;
		number++;
	}
	lexicon_sort(&l);
	if (!expression_parse(&x, text, &l, "concept", size % 2, &e)) {
		check(&x, &l);
		expression_free(&x);
	} else if ((e.code != CODE_USAGE && e.code != CODE_TRYAGAIN) || strchr(e.text, '\n') || !*e.text) {
		abort();
	}
	lexicon_free(&l);
	free(copy);
	return 0;
}
