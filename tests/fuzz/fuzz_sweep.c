/* Sweeps as they are typed, NAME=FROM:TO:STEPS: names of concepts in the first
 * lines, then the text. Whatever it is, a sweep that makes sense or one line of
 * error. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/sweeps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1), *text, *end;
	struct concept items[64] = {0};
	struct concepts c = {.items = items};
	struct sweeps s = {0};
	struct lexicon l = {0};
	struct err e = {0};

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	copy[size] = 0;
	if (size % 3)
		strcpy(c.model, "some");
	for (text = copy; c.n < 64 && (end = strchr(text, '\n')); text = end + 1) {
		*end = 0;
		items[c.n] = (struct concept){.latent = (uint32_t)c.n, .name = text, .valid = c.n % 5 != 4};
		if (lexicon_add(&l, text, (uint32_t)c.n++, false, &e))
			break;
	}
	lexicon_sort(&l);
	if (!sweeps_add(&s, text, &l, &c, &e)) {
		const struct sweeps_item *item = &s.items[0];

		if (!item->nlatents || !*item->concept || item->nsteps < 2 || item->nsteps > SWEEPS_MAX_STEPS || !(item->from >= 0) || item->to <= item->from)
			abort();
	} else if ((e.code != CODE_USAGE && e.code != CODE_TRYAGAIN) || strchr(e.text, '\n') || !*e.text) {
		abort();
	}
	sweeps_free(&s);
	lexicon_free(&l);
	free(copy);
	return 0;
}
