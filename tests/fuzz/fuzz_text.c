/* Text for `frames --pack`: scanned, parsed as a frame, printed, scanned again. */
#include <stdlib.h>
#include <string.h>

#include "stream/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame f = {0};
	struct buf b = {.max = 1 << 20};
	struct err e = {0};
	char *text = NULL;
	size_t n = 0;
	FILE *to;

	if (!frame_scan((const char *)data, size, &b, &e) && !frame_parse(&f, b.data, b.len, &e)) {
		to = open_memstream(&text, &n);
		if (to) {
			(void)frame_print(to, &f, true, &e);
			fclose(to);
			b.len = 0;
			if (n)
				(void)frame_scan(text, n, &b, &e);
			free(text);
		}
	}
	frame_free(&f);
	buf_free(&b);
	return 0;
}
