/* A search over streams of rows: queries become vectors for each stream, rows
 * come frame by frame, hits keep their row's number and texts.
 *
 *   struct finding f = {0};
 *   queries_...(&f.queries, ...);  f.model = &model or NULL;
 *   finding_begin(&f, n, pool, simd, &err);
 *   for each stream: finding_stream(&f, &space, codes, width, &err);
 *   for each frame:  finding_rows or finding_codes, then
 *                    if (finding_news(&f)) finding_texts(&f, row, ids, labels, &err);
 *   finding_write(&f, form, stdout, &err); finding_free(&f);
 */
#ifndef JOBS_FINDING_H
#define JOBS_FINDING_H

#include <stdio.h>

#include "jobs/queries.h"
#include "sae/search.h"
#include "view/hits.h"

struct finding {
	struct queries queries;
	const struct sae *model; /* NULL: none */
	struct encoder *encoder;
	struct search search;
	struct hits *hits;       /* [queries.n] */
	uint64_t rows, first;    /* of all streams: so far, before this frame */
	bool started, codes, normalised; /* what the stream's rows are */
	size_t width;
};

int finding_begin(struct finding *f, size_t n, struct pool *pool, const struct simd *simd, struct err *e);
/* Rows from now on are codes or dense, `width` wide, in that space. CODE_USAGE
 * when a model is needed; CODE_DATA when they do not fit the queries, the model
 * or the streams before. */
int finding_stream(struct finding *f, const struct space *space, bool codes, size_t width, struct err *e);
/* x [n, f->width], z [., f->width]. */
int finding_rows(struct finding *f, const float *x, size_t n, struct err *e);
int finding_codes(struct finding *f, struct csr_view z, struct err *e);
/* Whether the last frame changed anything; then its texts are wanted: of rows
 * numbered from `row` on, each or both NULL when there are none. */
bool finding_news(const struct finding *f);
int finding_texts(struct finding *f, uint64_t row, const char *const *ids, const char *const *labels, struct err *e);
/* 0 or -1 with errno; no rows after that. */
int finding_write(struct finding *f, enum hits_form form, FILE *to);
void finding_free(struct finding *f);

#endif
