#include "jobs/gathering.h"

#include "sae/levels.h"
#include "sae/topk.h"

int
gather_codes(struct gathering *g, struct facts *f, const struct facts_rows *who, struct csr_view z, struct pool *pool, const struct simd *simd, struct err *e)
{
	const struct report_model *m = f->report.about;
	size_t i;

	if (facts_wants_best(f) && topk_rows(z, COFIRE_CODES < z.cols ? COFIRE_CODES : z.cols, false, pool, simd, &g->best, e))
		return e->code;
	if (facts_codes(f, who, z, csr_view(&g->best), e) || !m || !m->nlevels)
		return e->code;
	if (levels_cut(z, m->nesting, m->nlevels, pool, simd, g->cut, g->steps, e))
		return e->code;
	for (i = 0; i < m->nlevels; i++)
		facts_level(f, i, csr_view(&g->steps[i]));
	return 0;
}

void
gathering_free(struct gathering *g)
{
	size_t i;

	csr_free(&g->best);
	for (i = 0; i < 2; i++)
		csr_free(&g->cut[i]);
	for (i = 0; i <= SAE_MAX_LEVELS; i++)
		csr_free(&g->steps[i]);
}
