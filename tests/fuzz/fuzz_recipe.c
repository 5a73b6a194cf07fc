/* Recipes as they stand in checkpoints: whatever the text, a plan or an error. */
#include <stdlib.h>
#include <string.h>

#include "sae/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recipe r = RECIPE_UNSET, again = RECIPE_UNSET;
	char text[RECIPE_TEXT], *copy = malloc(size + 1);
	struct err e = {0};
	struct plan p;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	copy[size] = 0;
	if (!recipe_resume(&r, copy, "a checkpoint", 16, &e)) {
		/* what was understood is understood again, as the same */
		recipe_text(&r, text);
		if (recipe_resume(&again, text, "a checkpoint", 16, &e) && strlen(text) + 1 < sizeof text)
			abort();
		e = (struct err){0};
		if (!recipe_plan(&r, 16, 100000, &p, &e) && !(plan_rate(&p, 0) >= 0))
			abort();
	}
	free(copy);
	return 0;
}
