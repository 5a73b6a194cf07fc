/* The report: what a stream holds, said in text, JSON or one HTML page. The
 * caller gathers the facts into these plain structs (everything borrowed) and
 * sorts nothing; the writers choose what to show. */
#ifndef VIEW_REPORT_H
#define VIEW_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/model.h"
#include "view/scores.h"

#define REPORT_EXAMPLES 8
#define REPORT_SAMPLE_CODES 5
#define REPORT_TOGETHER 8

struct report_stage { const char *program, *version, *command; };
struct report_column { const char *name, *dtype, *shape; };

/* Numbers about the rows of one dense column. */
struct report_dense {
	const char *name;
	size_t width;
	double norm_mean, norm_sd, norm_min, norm_max; /* Euclidean norms */
	double mean_norm; /* norm of the mean row */
	uint64_t nonfinite; /* rows with NaN or infinity, left out above */
};

struct report_example { const char *id, *label; uint64_t row; double value; }; /* "": none */

/* A latent that fires with another: see view/cofire.h. */
struct report_together { uint32_t latent; const char *name; uint64_t rows; double overlap, lift; };

/* What a model file says of the model that made the codes. */
struct report_model {
	const char *architecture, *trained_on; /* "": does not say */
	size_t inputs, latents, k;             /* k 0: none */
	size_t nesting[SAE_MAX_LEVELS], nlevels; /* 0: not nested */
	uint64_t rows, seed;                   /* of its training */
};

struct report_latent {
	uint32_t latent;
	const char *name; /* NULL: unnamed */
	double score, ratio; /* cosine of name and latent, and to the second best's; NaN: unknown */
	uint64_t rows;    /* where active */
	double mean, max; /* of its value there */
	size_t nexamples; /* strongest first */
	struct report_example examples[REPORT_EXAMPLES];
	/* its positive values: bins[i] of them from i to i+1 times bin_width */
	const uint64_t *bins;
	size_t nbins;     /* the last is not empty */
	double bin_width;
	uint64_t negative; /* values below 0 */
	/* where the model is nested: in how many rows it is among the nesting[i]
	 * largest and not among the nesting[i-1] largest codes of the row */
	const uint64_t *level_rows; /* or NULL */
	/* the smallest nesting level k such that in at least half of the rows where
	 * it is active it is among the k largest codes; 0: none is, or unknown */
	size_t level;
	uint64_t fired;   /* rows drawn where it fires */
	size_t ntogether;
	struct report_together together[REPORT_TOGETHER]; /* most overlap first */
};

struct report_codes {
	size_t m, named;
	uint64_t rows;
	double l0_mean, l0_sd, l0_median;
	uint64_t l0_min, l0_max;
	const uint64_t *l0_rows; /* [m+1]: rows by L0 */
	size_t never, always; /* latents active in no row, in every row */
	uint64_t drawn;       /* rows in which firing together was counted; 0: it was not */
	const struct report_latent *latents; /* [nlatents], those ever active */
	size_t nlatents;
};

struct report_sample {
	const char *id, *label; /* or NULL */
	uint64_t row;
	size_t n;
	struct { uint32_t latent; const char *name; double value; } codes[REPORT_SAMPLE_CODES]; /* strongest first */
	size_t l0;
};

struct report_label { const char *label; uint64_t rows; };

struct report {
	const char *title;
	const char *stream, *model, *norm; /* or NULL */
	const struct report_model *about;  /* the model; NULL: unknown */
	const struct scores *eval;         /* how good the model is; NULL: unknown */
	uint64_t streams, frames, rows, bytes;
	uint64_t more_stages; /* beyond those given */
	const struct report_stage *stages; size_t nstages;
	const struct report_column *columns; size_t ncolumns;
	const struct report_dense *dense; size_t ndense;
	const struct report_codes *codes; /* NULL: none */
	const struct report_sample *samples; size_t nsamples;
	const struct report_label *labels; size_t nlabels; /* most frequent first */
	uint64_t other_labels; /* rows whose labels came after too many others to count */
	size_t top; /* how many latents a table shows */
	bool thumbs; /* the page shows ids that are pictures */
};

enum report_form { REPORT_TEXT, REPORT_JSON, REPORT_HTML };

/* 0, or -1 when writing or memory failed (errno). */
int report_write(const struct report *r, enum report_form form, FILE *to);

/* Latents in the order of a table: by rows (frequency); by mean strength, where
 * the rarely active (under 1 row in 1000, or 2 rows) come last; by rows, those
 * with a name first. Fills out[nlatents]. */
enum report_order { REPORT_FREQUENT, REPORT_STRONG, REPORT_NAMED };
void report_sort(const struct report_codes *c, enum report_order how, const struct report_latent **out);

#endif
