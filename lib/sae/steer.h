/* Editing codes: chosen latents set, scaled or added to in every row. */
#ifndef SAE_STEER_H
#define SAE_STEER_H

#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"

enum edit_how { EDIT_SET, EDIT_SCALE, EDIT_ADD };

struct edit {
	uint32_t latent;
	enum edit_how how;
	double by; /* finite */
};

/* Brings edits into the order steer_rows wants: by latent, those of one latent
 * in the order they were in. */
void steer_sort(struct edit *edits, size_t n);

/* out = z with the edits [n] made in every row. A latent that is not in a row
 * counts as 0: it is set and added to like any other. All edits of a latent are
 * made in double, one after another, and rounded once; what is then not above 0
 * is no code and is left out. Latents without edits are the same bits. Latents
 * ascend in z and out; edits sorted, their latents below z.cols. CODE_DATA when
 * a code would be beyond float32. */
int steer_rows(struct csr_view z, const struct edit *edits, size_t n, struct csr *out, struct err *e);

#endif
