#include "base/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

int
probe_init(struct probe *p, size_t d, size_t classes, struct err *e)
{
	size_t n, bytes;

	*p = (struct probe){.d = d, .classes = classes, .l2 = NAN, .accuracy = NAN, .log_loss = NAN};
	if (!size_mul(d, classes, &n) || !size_mul(n, sizeof *p->W, &bytes))
		return err_memory(e, "probe", (unsigned long long)d * classes * sizeof *p->W);
	p->W = mem_alloc(bytes);
	p->b = mem_alloc(classes * sizeof *p->b);
	p->names = calloc(classes, sizeof *p->names);
	p->rows = calloc(classes, sizeof *p->rows);
	if (!p->W || !p->b || !p->names || !p->rows) {
		probe_free(p);
		return err_memory(e, "probe", bytes);
	}
	memset(p->W, 0, bytes);
	memset(p->b, 0, classes * sizeof *p->b);
	return 0;
}

void
probe_free(struct probe *p)
{
	size_t i;

	for (i = 0; p->names && i < p->classes; i++)
		free(p->names[i]);
	free(p->names);
	free(p->rows);
	mem_free(p->W);
	mem_free(p->b);
	memset(p, 0, sizeof *p);
}

size_t
probe_best(const float *logp, size_t classes)
{
	size_t best = 0, c;

	for (c = 1; c < classes; c++)
		best = logp[c] > logp[best] ? c : best;
	return best;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
probe_check_names(const struct probe *p, struct err *e)
{
	char **sorted = malloc((p->classes + 1) * sizeof *sorted), text[64];
	size_t i;

	if (!sorted)
		return err_memory(e, "class names", p->classes * sizeof *sorted);
	e->code = 0;
	for (i = 0; i < p->classes && !e->code; i++) {
		sorted[i] = p->names[i];
		if (!sorted[i] || !*sorted[i])
			err_set(e, CODE_DATA, "class %zu has no name", i);
	}
	if (!e->code)
		qsort(sorted, p->classes, sizeof *sorted, by_name);
	for (i = 1; i < p->classes && !e->code; i++)
		if (!strcmp(sorted[i], sorted[i - 1]))
			err_set(e, CODE_DATA, "two classes are called \"%s\"", text_printable(text, sizeof text, sorted[i], strlen(sorted[i])));
	free(sorted);
	return e->code;
}
