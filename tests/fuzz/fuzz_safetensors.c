/* libFuzzer entry for safetensors: opens and reads every tensor, then the same
 * bytes as a model and as statistics.
 *
 *   make fuzz FUZZ_SECONDS=60
 */
#include "memfile.h"

#include "base/mem.h"
#include "files/modelfile.h"
#include "files/safetensors.h"

static void
read_tensors(const char *path)
{
	struct err e = {0};
	struct st_file f;
	uint64_t n;
	size_t i;
	unsigned k;
	float *x;

	if (st_open(&f, path, &e)) {
		check(&e, path);
		return;
	}
	for (i = 0; i < f.ntensors; i++) {
		for (n = 1, k = 0; k < f.tensors[i].ndim; k++)
			n *= f.tensors[i].shape[k];
		x = malloc((size_t)n * sizeof *x + 1);
		if (x && st_read_f32(&f, &f.tensors[i], x, &e))
			check(&e, path);
		free(x);
		if (st_find(&f, f.tensors[i].name) != &f.tensors[i])
			abort();
	}
	st_close(&f);
}

static void
load_model(const char *path)
{
	struct err e = {0};
	struct sae s;

	if (model_load(&s, path, &e)) {
		check(&e, path);
		return;
	}
	if (!s.d || !s.m || !(s.scale > 0) || s.levels > SAE_MAX_LEVELS || s.k > s.m || strlen(s.sha256) != 64)
		abort();
	sae_free(&s);
}

static void
load_stats(const char *path)
{
	struct err e = {0};
	float *mean, scale;
	size_t d;

	if (stats_load(path, &mean, &d, &scale, &e)) {
		check(&e, path);
		return;
	}
	if (!d || !(scale > 0))
		abort();
	mem_free(mean);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = memfile(data, size, path);

	read_tensors(path);
	load_model(path);
	load_stats(path);
	close(fd);
	return 0;
}
