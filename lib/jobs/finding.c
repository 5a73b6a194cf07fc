#include "jobs/finding.h"

#include <stdlib.h>
#include <string.h>

int
finding_begin(struct finding *f, size_t n, struct pool *pool, const struct simd *simd, struct err *e)
{
	f->hits = calloc(f->queries.n + 1, sizeof *f->hits);
	if (!f->hits)
		return err_memory(e, "hits", f->queries.n * sizeof *f->hits);
	return search_init(&f->search, f->queries.n, n, pool, simd, e);
}

static int
look_for_codes(struct finding *f, const struct space *space, struct err *e)
{
	size_t k = f->model ? sae_keep(f->model) : 0; /* as sae-encode has it */
	struct csr w = {0};

	if (f->model && f->model->m != f->width)
		return err_set(e, CODE_DATA, "codes of %zu latents, the model has %zu", f->width, f->model->m);
	if (queries_need_model(&f->queries, true) && !f->encoder && !(f->encoder = encoder_new(f->model, f->search.pool, f->search.simd, e)))
		return e->code;
	if (!queries_codes(&f->queries, space, f->width, f->encoder, k, &w, e))
		search_weights(&f->search, csr_view(&w), e);
	csr_free(&w);
	return e->code;
}

static int
look_for_directions(struct finding *f, const struct space *space, struct err *e)
{
	struct mat q = {0};

	if (!queries_directions(&f->queries, space, f->model, &q, e))
		search_directions(&f->search, q.data, q.cols, e);
	mat_free(&q);
	return e->code;
}

int
finding_stream(struct finding *f, const struct space *space, bool codes, size_t width, struct err *e)
{
	bool normalised = space->mean || space->l2;

	if (queries_need_model(&f->queries, codes) && !f->model)
		return err_set(e, CODE_USAGE, "-m MODEL is needed: %s", codes ? "over codes, words and rows are encoded" : "over embeddings, concepts are rows of its decoder");
	if (f->started && (codes != f->codes || (!codes && normalised != f->normalised)))
		return err_set(e, CODE_DATA, "these rows are not like those of the stream before, and scores would not compare");
	f->started = true;
	f->codes = codes;
	f->normalised = normalised;
	f->width = width;
	return codes ? look_for_codes(f, space, e) : look_for_directions(f, space, e);
}

int
finding_rows(struct finding *f, const float *x, size_t n, struct err *e)
{
	f->first = f->rows;
	f->rows += n;
	return search_rows(&f->search, x, n, f->first, e);
}

int
finding_codes(struct finding *f, struct csr_view z, struct err *e)
{
	f->first = f->rows;
	f->rows += z.rows;
	return search_codes(&f->search, z, f->first, e);
}

bool
finding_news(const struct finding *f)
{
	size_t q;

	for (q = 0; q < f->queries.n && !f->search.fresh[q]; q++)
		;
	return q < f->queries.n;
}

int
finding_texts(struct finding *f, uint64_t row, const char *const *ids, const char *const *labels, struct err *e)
{
	size_t q, i, at;

	for (q = 0; q < f->queries.n; q++)
		for (i = 0; f->search.fresh[q] && i < f->search.best[q].n; i++) {
			const struct best_item *b = &f->search.best[q].items[i];

			if (b->number < f->first)
				continue;
			at = (size_t)(b->number - f->first);
			if (hits_put(&f->hits[q], b->slot, row + at, ids ? ids[at] : NULL, labels ? labels[at] : NULL, e))
				return e->code;
		}
	return 0;
}

int
finding_write(struct finding *f, enum hits_form form, FILE *to)
{
	size_t q;

	for (q = 0; q < f->queries.n; q++) {
		best_sort(&f->search.best[q]);
		f->hits[q].query = f->queries.items[q].text;
		f->hits[q].best = &f->search.best[q];
	}
	return hits_write(f->hits, f->queries.n, form, to);
}

void
finding_free(struct finding *f)
{
	size_t q;

	for (q = 0; f->hits && q < f->queries.n; q++)
		hits_free(&f->hits[q]);
	free(f->hits);
	search_free(&f->search);
	encoder_free(f->encoder);
	queries_free(&f->queries);
	*f = (struct finding){0};
}
