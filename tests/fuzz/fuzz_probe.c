/* libFuzzer entry for probe files: what loads must be sound, say something
 * finite of a row, and load the same after it was saved. `make fuzz` builds it. */
#include "memfile.h"

#include <math.h>

#include "files/probefile.h"
#include "sae/probe.h"

static void
save_and_compare(struct probe *p)
{
	char path[] = "/tmp/fuzz_probe.XXXXXX";
	struct err e = {0};
	struct probe q;
	size_t i;
	int fd = mkstemp(path);

	if (fd < 0 || probe_save(p, path, &e) || probe_load(&q, path, &e) || q.d != p->d || q.classes != p->classes ||
	    memcmp(p->W, q.W, p->d * p->classes * sizeof *p->W) || memcmp(p->b, q.b, p->classes * sizeof *p->b))
		abort();
	for (i = 0; i < p->classes; i++)
		if (strcmp(p->names[i], q.names[i]) || p->rows[i] != q.rows[i])
			abort();
	probe_free(&q);
	close(fd);
	unlink(path);
}

static void
ask(const struct probe *p)
{
	float *x = calloc(p->d, sizeof *x), *out = calloc(p->classes, sizeof *out);
	struct mat scratch = {0};
	struct err e = {0};
	size_t i;

	for (i = 0; i < p->d; i++)
		x[i] = (float)i + 1;
	if (probe_logp(p, x, 1, NULL, simd_for(NULL), &scratch, out, &e))
		abort();
	for (i = 0; i < p->classes; i++)
		if (!isfinite(out[i]))
			abort();
	mat_free(&scratch);
	free(x);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = memfile(data, size, path);
	struct err e = {0};
	struct probe p;

	if (probe_load(&p, path, &e))
		check(&e, path);
	else {
		if (p.classes < 2 || p.classes > PROBE_MAX_CLASSES || !p.d)
			abort();
		ask(&p);
		save_and_compare(&p);
		probe_free(&p);
	}
	close(fd);
	return 0;
}
