/* A frame's codes as facts for a report: what needs choosing the largest of each
 * row -- example rows, latents that fire together, nesting levels -- is chosen
 * here, and only where the facts ask for it. Start from {0}, facts set up. */
#ifndef JOBS_GATHERING_H
#define JOBS_GATHERING_H

#include "base/csr.h"
#include "base/model.h"
#include "base/pool.h"
#include "sae/simd.h"
#include "view/facts.h"

struct gathering {
	struct csr best, cut[2], steps[SAE_MAX_LEVELS + 1];
};

/* z: the codes of rows `who`; facts_codes_begin has seen how many latents. */
int gather_codes(struct gathering *g, struct facts *f, const struct facts_rows *who, struct csr_view z, struct pool *pool, const struct simd *simd, struct err *e);
void gathering_free(struct gathering *g);

#endif
