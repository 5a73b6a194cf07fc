#include "farm/answer.h"

#include <stdlib.h>
#include <string.h>

#include "stream/frame.h"

static int
one_more(struct answer *a, size_t at, size_t size, struct err *e)
{
	size_t cap = a->cap ? 2 * a->cap : 1;
	struct answer_frame *grown;

	if (a->n == a->cap) {
		grown = realloc(a->frames, cap * sizeof *grown);
		if (!grown)
			return err_memory(e, "frames", cap * sizeof *grown);
		a->frames = grown;
		a->cap = cap;
	}
	a->frames[a->n++] = (struct answer_frame){at, size};
	return 0;
}

int
answer_add(struct answer *a, const unsigned char *p, size_t size, struct err *e)
{
	size_t pad = -a->bytes.len & (MEM_ALIGN - 1);

	if (!size)
		return err_set(e, CODE_DATA, "an empty frame");
	if (buf_reserve(&a->bytes, pad + size, e))
		return e->code;
	memset(a->bytes.data + a->bytes.len, 0, pad);
	a->bytes.len += pad;
	if (one_more(a, a->bytes.len, size, e))
		return e->code;
	memcpy(a->bytes.data + a->bytes.len, p, size);
	a->bytes.len += size;
	return 0;
}

int
answer_read(struct answer *a, const unsigned char *p, size_t size, struct err *e)
{
	const unsigned char *end = p + size;
	struct frame f = {0};
	struct mp_scan scan;
	uint64_t n;
	int code = 0;

	if (buf_reserve(&a->bytes, size + MEM_ALIGN, e))
		return e->code;
	for (; p < end && !code; p += n) {
		scan = (struct mp_scan){0};
		if (mp_scan(&scan, p, (uint64_t)(end - p), &n) != MP_SCAN_DONE) {
			code = err_set(e, CODE_DATA, "not whole frames");
			break;
		}
		code = answer_add(a, p, (size_t)n, e) || frame_parse(&f, a->bytes.data + a->frames[a->n - 1].at, (size_t)n, e) ? e->code : 0;
		if (!code && f.kind != FRAME_ROWS && f.kind != FRAME_OTHER)
			code = err_set(e, CODE_DATA, "a frame of kind %s among the rows", f.kind_text);
	}
	frame_free(&f);
	return code;
}

uint64_t
answer_sum(const struct answer *a)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < a->n; i++)
		sum += frame_hash(a->bytes.data + a->frames[i].at, a->frames[i].size);
	return sum;
}

void
answer_clear(struct answer *a)
{
	a->bytes.len = 0;
	a->n = 0;
}

void
answer_free(struct answer *a)
{
	buf_free(&a->bytes);
	free(a->frames);
	*a = (struct answer){0};
}
