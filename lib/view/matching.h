/* What comparing the latents of two models found, in text, JSON or CSV. The
 * caller fills in plain structs; everything is borrowed. */
#ifndef VIEW_MATCHING_H
#define VIEW_MATCHING_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct matching_model {
	const char *path, *sha256, *architecture;
	size_t latents, without; /* without: those that have no direction */
	double nearest;          /* mean over its latents of their largest cosine with the other's */
};

struct matching_pair {
	uint32_t a, b;
	float cosine;
};

struct matching {
	struct matching_model a, b;
	const char *by;  /* "encoder": what of the latents was compared */
	size_t inputs, npairs;
	const struct matching_pair *pairs; /* [npairs], npairs >= 1, in the order of a */
};

enum matching_form { MATCHING_TEXT, MATCHING_JSON, MATCHING_CSV };

/* 0, or -1 when writing or memory failed (errno). */
int matching_write(const struct matching *m, enum matching_form form, FILE *to);

#endif
