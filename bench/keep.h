/* Verdicts as JSON, beside what is printed: bench/README.md. */
#ifndef BENCH_KEEP_H
#define BENCH_KEEP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Adds a line to the file that $MSAE_BENCH_KEEP names; nothing without it. name
 * and unit hold no quotes. limit 0: none. */
static inline void
keep(const char *bench, const char *name, double value, const char *unit, const char *relation, double limit, bool fine)
{
	const char *path = getenv("MSAE_BENCH_KEEP");
	FILE *f = path && *path ? fopen(path, "a") : NULL;

	if (!f)
		return;
	fprintf(f, "{\"bench\":\"%s\",\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"", bench, name, value, unit);
	if (limit > 0)
		fprintf(f, ",\"relation\":\"%s\",\"limit\":%g,\"ok\":%s", relation, limit, fine ? "true" : "false");
	fputs("}\n", f);
	if (fclose(f))
		fprintf(stderr, "%s: %s\n", path, "cannot be written");
}

#endif
