/* libFuzzer entry for what sae-eval --json wrote: what loads must have levels in
 * order, and can be drawn.
 *
 *   make fuzz
 */
#include "memfile.h"

#include "jobs/scores_file.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = memfile(data, size, path);
	struct err e = {0};
	struct scores_file f;
	FILE *to = fopen("/dev/null", "w");
	size_t i;

	if (!to)
		abort();
	if (scores_load(&f, path, NULL, &e)) {
		check(&e, path);
	} else {
		if (!f.scores.nlevels || f.scores.nlevels > SCORES_MAX_LEVELS || f.scores.levels[0].k)
			abort();
		for (i = 1; i < f.scores.nlevels; i++)
			if (f.scores.levels[i].k <= f.scores.levels[i - 1].k || f.scores.levels[i].k > f.scores.m)
				abort();
		scores_panel(&f.scores, to);
	}
	fclose(to);
	close(fd);
	return 0;
}
