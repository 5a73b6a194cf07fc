/* Reading golden vectors: .npy files under a directory. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *golden_dir = "tests/golden";

struct array {
	size_t rows, cols; /* cols 1 for a vector */
	double *v;         /* row-major */
};

static inline void
golden_bail(const char *sub, const char *name, const char *why)
{
	printf("Bail out! %s/%s/%s: %s\n", golden_dir, sub, name, why);
	exit(1);
}

static inline double
golden_element(const unsigned char *p, char kind, int size)
{
	float f;
	double d;
	int64_t i;

	memcpy(&f, p, 4);
	memcpy(&d, p, size == 8 ? 8 : 4);
	memcpy(&i, p, size == 8 ? 8 : 4);
	return kind == 'i' ? (double)i : size == 8 ? d : (double)f;
}

/* The least npy reader: version 1, "<f4", "<f8" or "<i8", one or two axes. */
static inline struct array
golden_npy(const char *sub, const char *name)
{
	static unsigned char data[1 << 20];
	struct array a = {0, 1, NULL};
	char path[1024], kind = 0;
	const char *head = (const char *)data + 10, *shape;
	size_t got, start, i, at;
	int size = 0, fortran;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s/%s", golden_dir, sub, name);
	f = fopen(path, "rb");
	if (!f)
		golden_bail(sub, name, "cannot open");
	got = fread(data, 1, sizeof data - 1, f);
	fclose(f);
	data[got] = 0;
	if (got < 12 || memcmp(data, "\223NUMPY\001", 7))
		golden_bail(sub, name, "not npy version 1");
	start = 10u + data[8] + 256u * data[9];
	shape = strstr(head, "'shape': (");
	if (sscanf(head, "{'descr': '<%c%d'", &kind, &size) != 2 || !strchr("fi", kind) || (size != 4 && size != 8) ||
	    !shape || sscanf(shape + 10, "%zu, %zu", &a.rows, &a.cols) < 1 || got != start + a.rows * a.cols * (size_t)size)
		golden_bail(sub, name, "not a shape and type read here");
	fortran = !!strstr(head, "'fortran_order': True");
	a.v = mem_alloc((a.rows * a.cols + 1) * sizeof *a.v);
	for (i = 0; i < a.rows * a.cols; i++) {
		at = fortran ? i % a.cols * a.rows + i / a.cols : i;
		a.v[i] = golden_element(data + start + at * (size_t)size, kind, size);
	}
	return a;
}

#endif
