/* libFuzzer entry for models of other libraries: one byte that says whose it is
 * (or that nobody says), two of the length of a configuration, that, and the file
 * of weights. What is understood is encoded with, written as our own, and read again.
 *
 *   make fuzz FUZZ_SECONDS=60
 */
#include "memfile.h"

#include <fcntl.h>
#include <math.h>

#include "base/mem.h"
#include "files/modelfile.h"
#include "sae/decode.h"
#include "sae/encode.h"

#define NAME "15_6_TopKReLU_3_RW_False_True_2.0_x.pth" /* which is MSAE's configuration */

static void
put(const char *folder, const char *name, const uint8_t *data, size_t size)
{
	char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

static void
use(const struct sae *s)
{
	const struct simd *simd = simd_for(NULL);
	struct err e = {0};
	struct encoder *enc = encoder_new(s, NULL, simd, &e);
	struct csr z = {0};
	size_t n = 3, i;
	float *x = mem_alloc(n * s->d * sizeof *x), *y = mem_alloc(n * s->d_out * sizeof *y);

	for (i = 0; x && i < n * s->d; i++)
		x[i] = (float)(i % 7) - 3;
	if (enc && x && y && !encode(enc, x, n, sae_keep(s), &z, &e))
		decode(s, csr_view(&z), NULL, simd, y);
	encoder_free(enc);
	csr_free(&z);
	mem_free(x);
	mem_free(y);
}

static void
check_model(struct sae *s, const char *folder)
{
	struct err e = {0};
	struct sae again;
	char path[256];
	size_t i;

	if (!s->d || !s->m || !s->d_out || !(s->scale > 0) || s->k > s->m || s->keep > s->m || s->levels > SAE_MAX_LEVELS ||
	    s->ngroups > SAE_MAX_LEVELS || strlen(s->sha256) != 64 || !memchr(s->note, 0, sizeof s->note))
		abort();
	for (i = 0; i < s->d * s->m; i++)
		if (!isfinite(s->W_enc[i]))
			abort();
	use(s);
	snprintf(path, sizeof path, "%s/out.msae", folder);
	if (model_save(s, path, NULL, &e) || model_load(&again, path, &e))
		abort();
	if (again.d != s->d || again.m != s->m || memcmp(again.W_dec, s->W_dec, s->m * s->d_out * sizeof *s->W_dec))
		abort();
	sae_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char folder[64];
	struct guest_opts o = {0};
	struct err e = {0};
	struct sae s;
	char path[256];
	size_t n;

	(void)memfile; /* the configuration lies beside the weights, which takes a folder */
	if (!folder[0]) {
		strcpy(folder, "/dev/shm/fuzz-models.XXXXXX");
		if (!mkdtemp(folder))
			abort();
	}
	if (size < 3)
		return 0;
	n = (size_t)data[1] | (size_t)data[2] << 8;
	if (n > size - 3)
		return 0;
	o.from = guest_library(data[0]);
	put(folder, "cfg.json", data + 3, n);
	if (!n) {
		snprintf(path, sizeof path, "%s/cfg.json", folder);
		unlink(path);
	}
	put(folder, NAME, data + 3 + n, size - 3 - n);
	snprintf(path, sizeof path, "%s/%s", folder, NAME);
	if (guest_load(&s, path, &o, &e)) {
		/* a bad configuration is named itself */
		check(&e, folder);
		return 0;
	}
	check_model(&s, folder);
	sae_free(&s);
	return 0;
}
