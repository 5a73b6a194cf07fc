/* libFuzzer entry for concepts files: what loads must be in order, be found
 * again, and load the same after it was saved.
 *
 *   make fuzz FUZZ_SECONDS=60
 */
#include "memfile.h"

#include "files/concepts.h"

static void
compare(const struct concepts *a, const struct concepts *b)
{
	size_t i;

	if (a->n != b->n || strcmp(a->model, b->model))
		abort();
	for (i = 0; i < a->n; i++)
		if (a->items[i].latent != b->items[i].latent || a->items[i].valid != b->items[i].valid ||
		    strcmp(a->items[i].name, b->items[i].name) ||
		    (a->items[i].score == a->items[i].score) != (b->items[i].score == b->items[i].score) ||
		    (a->items[i].score == a->items[i].score && a->items[i].score != b->items[i].score) ||
		    concepts_find(a, a->items[i].latent) != &a->items[i])
			abort();
}

static void
save_and_compare(const struct concepts *c)
{
	char path[] = "/tmp/fuzz_concepts.XXXXXX";
	struct err e = {0};
	struct concepts d;
	int fd = mkstemp(path);

	if (fd < 0 || concepts_save(c, path, NULL, &e) || concepts_load(&d, path, &e))
		abort();
	compare(c, &d);
	concepts_free(&d);
	close(fd);
	unlink(path);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = memfile(data, size, path);
	struct err e = {0};
	struct concepts c;

	if (concepts_load(&c, path, &e))
		check(&e, path);
	else {
		save_and_compare(&c);
		concepts_free(&c);
	}
	close(fd);
	return 0;
}
