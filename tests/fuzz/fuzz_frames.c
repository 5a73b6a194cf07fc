/* Frames from anywhere: scanned, parsed, packed again, read as a head. */
#include <string.h>

#include "stream/frame.h"
#include "stream/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame f = {0};
	struct frame_packed p = {0};
	struct head h = {0};
	struct mp_scan scan = {0};
	struct err e = {0};
	float *mean = NULL, scale;
	size_t d;
	uint64_t n;
	unsigned char *copy = mem_alloc(size);

	memcpy(copy, data, size);
	if (mp_scan(&scan, copy, size, &n) == MP_SCAN_DONE && !frame_parse(&f, copy, (size_t)n, &e)) {
		if (f.kind == FRAME_ROWS && f.n < 1000000) {
			(void)frame_pack_rows(&p, &f, 0, 0, 0, f.n, &e);
			if (f.n > 1)
				(void)frame_pack_rows(&p, &f, 0, 0, f.n / 2, f.n - f.n / 2, &e);
			(void)frame_packed_hash(&p);
		}
		if (f.kind == FRAME_HEAD && !head_read(&h, &f, &e)) {
			(void)head_get_norm(&h, &mean, &d, &scale, NULL, 0, &e);
			(void)head_add_prov(&h, "a", "b", "c", &e);
		}
	}
	mem_free(mean);
	head_free(&h);
	frame_packed_free(&p);
	frame_free(&f);
	mem_free(copy);
	return 0;
}
