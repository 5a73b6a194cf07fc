/* libFuzzer entry for states of evaluations: what loads must give results, and
 * must merge with itself. `make fuzz` builds it. */
#include "memfile.h"

#include "jobs/evaluation.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = memfile(data, size, path);
	struct err e = {0};
	struct evaluation v, w;
	struct scores s;

	if (evaluation_load(&v, path, NULL, simd_for(NULL), &e)) {
		check(&e, path);
	} else {
		if (evaluation_load(&w, path, NULL, simd_for(NULL), &e))
			abort();
		evaluation_merge(&v, &w, path, &e);
		evaluation_free(&w);
		if (!e.code && !evaluation_finish(&v, &e))
			evaluation_scores(&v, &s, &e);
		evaluation_free(&v);
	}
	close(fd);
	return 0;
}
