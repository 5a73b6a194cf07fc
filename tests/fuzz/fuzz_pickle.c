/* libFuzzer entry for pickles and PyTorch files: runs the bytes as a pickle,
 * then as a file of either container, and reads every tensor that comes out.
 *
 *   make fuzz FUZZ_SECONDS=60
 */
#include "memfile.h"

#include "files/ptfile.h"

#define MOST ((uint64_t)1 << 20) /* numbers read of one tensor */

static int
read_one(const char *path, const struct value *v, void *arg)
{
	struct err e = {0};
	struct ptfile *f = arg;
	uint64_t n = 1;
	unsigned k;
	float *x;
	char what[64];

	value_what(v, what, sizeof what);
	if (!value_get(f->root, path)) /* a part that came by another way, too: the path is still good */
		abort();
	if (v->kind != VALUE_TENSOR)
		return 0;
	for (k = 0; k < v->as.tensor->ndim; k++)
		n *= v->as.tensor->shape[k];
	if (n > MOST)
		return 0;
	x = malloc((size_t)n * sizeof *x + 1);
	if (x && (f->fd >= 0 || v->as.tensor->storage->mem) && pt_read_f32(f, v, x, &e) && f->path)
		check(&e, f->path);
	free(x);
	return 0;
}

static void
as_pickle(const uint8_t *data, size_t size)
{
	struct ptfile f = {.fd = -1};
	struct err e = {0};
	struct pickle *p = pickle_read(data, size, NULL, NULL, &e);

	if (!p) {
		if ((e.code != CODE_DATA && e.code != CODE_TRYAGAIN) || !e.text[0] || strchr(e.text, '\n'))
			abort();
		return;
	}
	f.root = pickle_root(p);
	value_each(f.root, read_one, &f);
	value_get(f.root, "a.b.0.c");
	pickle_free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = {0};
	struct ptfile f;
	char path[64];
	int fd = memfile(data, size, path);

	as_pickle(data, size);
	if (pt_open(&f, path, &e))
		check(&e, path);
	else {
		value_each(f.root, read_one, &f);
		pt_close(&f);
	}
	close(fd);
	return 0;
}
