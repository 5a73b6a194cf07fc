/* libFuzzer entry for files of embeddings: the first byte chooses a format and
 * options, the rest is the file. Opens, lists, reads it in blocks, and once more
 * from somewhere in the middle.
 *
 *   make fuzz FUZZ_SECONDS=60
 */
#include "memfile.h"

#include "files/matfile.h"

static const char *const formats[] = {
	NULL, "npy", "npz", "safetensors", "pt", "fvecs", "bvecs", "ivecs", "csv", "tsv", "jsonl", "tar",
};
#define NFORMATS (sizeof formats / sizeof *formats)
#define MOST ((uint64_t)1 << 22) /* numbers read of one file */

/* Strings come one a row, each with its end. */
static void
check_names(const struct buf *b, bool has, size_t rows)
{
	size_t i, n = 0;

	for (i = 0; i < b->len; i++)
		n += !b->data[i];
	if (n != (has ? rows : 0) || (b->len && b->data[b->len - 1]))
		abort();
}

static void
read_from(struct matfile *f, size_t block, const char *path)
{
	struct matnames names = {{0}, {0}};
	struct err e = {0};
	uint64_t first = f->at, most;
	size_t got = 1;
	float *x;

	if (f->cols > MOST)
		return;
	x = malloc(block * (size_t)f->cols * sizeof *x);
	for (most = MOST; x && got && most >= block * f->cols; most -= block * f->cols) {
		names.id.len = names.label.len = 0;
		if (matfile_next(f, block, x, &names, &got, &e)) {
			check(&e, path);
			break;
		}
		if (got > block)
			abort();
		check_names(&names.id, f->has_ids, got);
		check_names(&names.label, f->has_labels, got);
	}
	if (!e.code && !got && f->rows != MATFILE_UNKNOWN && f->at != f->rows)
		abort();
	if (f->at < first)
		abort();
	matnames_free(&names);
	free(x);
}

static void
list(const char *path, const struct matfile_opts *o)
{
	struct matlist l = {0};
	struct err e = {0};
	const char *format = NULL;
	char shape[64];
	size_t i;

	if (matfile_list(path, o, &l, &format, &e))
		check(&e, path);
	else if (!format)
		abort();
	for (i = 0; i < l.n; i++)
		matlist_shape(&l.v[i], shape, sizeof shape);
	matlist_free(&l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct matfile_opts o = {0};
	struct err e = {0};
	struct matfile f;
	char path[64];
	int fd;

	if (!size)
		return 0;
	o.format = formats[data[0] % NFORMATS];
	o.id = data[0] & 0x80 ? "id" : NULL;
	o.label = data[0] & 0x40 ? "2" : NULL;
	o.key = data[0] & 0x20 ? "x" : NULL;
	fd = memfile(data + 1, size - 1, path);
	list(path, &o);
	if (matfile_open(&f, path, &o, &e))
		check(&e, path);
	else {
		read_from(&f, 3, path);
		matfile_close(&f);
	}
	if (!e.code && !matfile_open(&f, path, &o, &e)) {
		if (matfile_skip(&f, 2, &e))
			check(&e, path);
		else
			read_from(&f, 64, path);
		matfile_close(&f);
	}
	close(fd);
	return 0;
}
