/* Gathering what a report tells, from plain arrays, in memory that does not
 * grow with the rows; facts_report hands it over as the struct report that the
 * writers take.
 *
 *   struct facts f; facts_init(&f, examples, together); facts_model(&f, &model);
 *   ... facts_codes_begin once m is known, facts_name for each known name ...
 *   ... for each frame: facts_dense, facts_codes, facts_level, facts_labels ...
 *   facts_report(&f); report_text(&f.report, stdout); facts_free(&f);
 *
 * Texts given are copied where they are kept. All functions that can fail
 * return 0 or a code with e filled.
 */
#ifndef VIEW_FACTS_H
#define VIEW_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/moments.h"
#include "base/model.h"
#include "base/strcount.h"
#include "view/cofire.h"
#include "view/report.h"
#include "view/tally.h"

#define FACTS_MAX_DENSE 8
#define FACTS_MAX_SAMPLES 64
#define FACTS_MAX_LABELS 100000
#define FACTS_MAX_STAGES 64
#define FACTS_MAX_COLUMNS 64

struct facts {
	struct report report;   /* filled by facts_report; title etc. are the caller's */
	struct tally tally;
	struct facts_name { char *text; double score, ratio; } *names; /* [tally.m]; text NULL: unnamed */
	bool together;          /* count what fires together */
	struct cofire cofire;
	size_t want_samples;
	struct facts_dense { char name[64]; struct rowstats stats; } dense[FACTS_MAX_DENSE];
	size_t ndense;
	struct report_sample samples[FACTS_MAX_SAMPLES];
	struct strcount labels;
	/* what report points into */
	struct report_model model;
	char trained_on[256];
	struct report_codes codes;
	struct report_latent *latents;
	struct report_dense dense_out[FACTS_MAX_DENSE];
	struct report_label *labels_out;
	struct report_stage stages[FACTS_MAX_STAGES];
	struct report_column columns[FACTS_MAX_COLUMNS];
};

/* One frame's strings: s[i] of len[i] bytes, or NULL for none. */
struct facts_rows {
	uint64_t row;           /* number of the first */
	size_t n;
	const char *const *ids; /* [n] or NULL */
	const char *const *labels;
};

void facts_init(struct facts *f, size_t want_samples, bool together);
/* What the codes are made by; before facts_codes_begin. Nothing of it is kept. */
void facts_model(struct facts *f, const struct sae *model);
/* A stage that made the stream, a column it has: strings the caller keeps. */
void facts_stage(struct facts *f, const char *program, const char *version, const char *command);
void facts_column(struct facts *f, const char *name, const char *dtype, const char *shape);
/* Codes have m latents; a later call with another m is CODE_DATA. */
int facts_codes_begin(struct facts *f, size_t m, struct err *e);
/* text of n bytes; score and ratio: NaN when unknown. The first name of a latent
 * stays; without memory it has none. */
void facts_name(struct facts *f, uint32_t latent, const char *text, size_t n, double score, double ratio);
int facts_dense(struct facts *f, const char *column, const float *x, size_t n, size_t d, struct err *e);
/* z's rows; best: the same rows with their COFIRE_CODES largest codes (looked at
 * while facts_wants_best). */
int facts_codes(struct facts *f, const struct facts_rows *rows, struct csr_view z, struct csr_view best, struct err *e);
bool facts_wants_best(const struct facts *f);
/* Of the same rows, the codes that come in with the model's nesting level: among
 * the nesting[level] largest and not among the nesting[level-1] largest. */
void facts_level(struct facts *f, size_t level, struct csr_view codes);
int facts_labels(struct facts *f, const struct facts_rows *rows, struct err *e);
int facts_report(struct facts *f, struct err *e);
void facts_free(struct facts *f);

#endif
