/* libFuzzer entry for matrix files: opens and reads what it is given, as npy
 * and as raw bytes, in blocks of several sizes.
 *
 *   make fuzz FUZZ_SECONDS=60
 */
#include "memfile.h"

#include "files/matfile.h"

static void
read_all(struct matfile *f, size_t block, const char *path)
{
	float *x = malloc(block * f->cols * sizeof *x);
	struct err e = {0};
	uint64_t first;
	size_t n;

	for (first = 0; x && first < f->rows; first += n) {
		n = f->rows - first < block ? (size_t)(f->rows - first) : block;
		if (matfile_read(f, first, n, x, &e)) {
			check(&e, path);
			break;
		}
	}
	free(x);
}

static void
try(const char *path, const struct matfile_opts *o)
{
	struct err e = {0};
	struct matfile f;

	if (matfile_open(&f, path, o, &e)) {
		check(&e, path);
		return;
	}
	/* the bytes are there, so these products are small */
	read_all(&f, f.rows ? (size_t)f.rows : 1, path);
	read_all(&f, 3, path);
	matfile_close(&f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct matfile_opts opts[] = {
		{.format = "npy"}, {.format = "npy", .dtype = DT_BF2}, {.format = "raw", .dim = 3}, {.format = "raw", .dim = 2, .dtype = DT_F8},
	};
	char path[64];
	int fd = memfile(data, size, path);
	unsigned i;

	for (i = 0; i < sizeof opts / sizeof *opts; i++)
		try(path, &opts[i]);
	close(fd);
	return 0;
}
