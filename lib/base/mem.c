#if defined(__linux__)
#define _DEFAULT_SOURCE /* madvise, sbrk */
#endif
#include "base/mem.h"

#if defined(__GLIBC__)
#include <malloc.h>
#include <unistd.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HEAP_AHEAD (96 << 20)
#define HUGE_PAGE ((size_t)2 << 20)
#define KEEP_PROBE (1 << 20)

bool
size_mul(size_t a, size_t b, size_t *out)
{
	if (b && a > SIZE_MAX / b)
		return false;
	*out = a * b;
	return true;
}

bool
size_add(size_t a, size_t b, size_t *out)
{
	if (a > SIZE_MAX - b)
		return false;
	*out = a + b;
	return true;
}

void *
mem_alloc(size_t n)
{
	void *p = NULL;
	size_t rounded;

	if (!size_add(n, MEM_ALIGN, &rounded))
		return NULL;
	rounded -= rounded % MEM_ALIGN;
	return posix_memalign(&p, MEM_ALIGN, rounded) ? NULL : p;
}

void *
mem_alloc_large(size_t n)
{
#ifdef MADV_HUGEPAGE
	void *p = NULL;
	size_t rounded;

	if (n < 8 * HUGE_PAGE || !size_add(n, HUGE_PAGE, &rounded))
		return mem_alloc(n);
	rounded -= rounded % HUGE_PAGE;
	if (posix_memalign(&p, HUGE_PAGE, rounded))
		return NULL;
	/* advice: where it is not taken, pages are small */
	(void)madvise(p, rounded, MADV_HUGEPAGE);
	return p;
#else
	return mem_alloc(n);
#endif
}

void
mem_free(void *p)
{
	free(p);
}

int
buf_reserve(struct buf *b, size_t n, struct err *e)
{
	size_t need, cap;
	unsigned char *p;

	if (!size_add(b->len, n, &need) || (b->max && need > b->max))
		return err_set(e, CODE_DATA, "larger than the limit of %zu bytes", b->max);
	if (need <= b->cap)
		return 0;
	cap = b->cap ? b->cap : 4096;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (b->max && cap > b->max)
		cap = b->max;
	p = mem_alloc(cap);
	if (!p)
		return err_memory(e, "buffer", cap);
	if (b->len)
		memcpy(p, b->data, b->len);
	mem_free(b->data);
	b->data = p;
	b->cap = cap;
	return 0;
}

int
buf_append(struct buf *b, const void *p, size_t n, struct err *e)
{
	if (buf_reserve(b, n, e))
		return e->code;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	return 0;
}

int
buf_resize(struct buf *b, size_t n, struct err *e)
{
	b->len = 0;
	if (buf_reserve(b, n, e))
		return e->code;
	b->len = n;
	return 0;
}

void
buf_free(struct buf *b)
{
	mem_free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

int
mat_resize(struct mat *m, size_t rows, size_t cols, const char *what, struct err *e)
{
	size_t n, bytes;

	if (!size_mul(rows, cols, &n) || !size_mul(n, sizeof *m->data, &bytes))
		return err_set(e, CODE_DATA, "%s: %zu x %zu floats is too large", what, rows, cols);
	if (n > m->cap || !m->data) {
		mem_free(m->data);
		m->data = mem_alloc(bytes);
		m->cap = m->data ? n : 0;
		if (!m->data)
			return err_memory(e, what, bytes);
	}
	m->rows = rows;
	m->cols = cols;
	return 0;
}

void
mat_free(struct mat *m)
{
	mem_free(m->data);
	memset(m, 0, sizeof *m);
}

/* In tiles, so that what is read and what is written both stay in the cache. */
void
mat_transpose(float *to, const float *from, size_t rows, size_t cols)
{
	const size_t tile = 32;
	size_t i, j, row, col;

	for (row = 0; row < rows; row += tile)
		for (col = 0; col < cols; col += tile)
			for (i = row; i < row + tile && i < rows; i++)
				for (j = col; j < col + tile && j < cols; j++)
					to[j * rows + i] = from[i * cols + j];
}

void
mem_keep_large(void)
{
#if defined(M_MMAP_THRESHOLD) && defined(MADV_HUGEPAGE)
	char *probe, *p, *end;

	(void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 128 << 20);
	/* one heap, and room on it that is not yet touched */
	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_TOP_PAD, HEAP_AHEAD);
	p = probe = malloc(KEEP_PROBE);
	end = sbrk(0);
	/* else another allocator has taken the place of the C library's */
	if (p && end > p && end - p <= 2 * HEAP_AHEAD) {
		p += -(uintptr_t)p % HUGE_PAGE;
		if (p < end)
			(void)madvise(p, (size_t)(end - p), MADV_HUGEPAGE);
	}
	free(probe);
#endif
}
