/* The report: what a stream holds, said in text, JSON or one HTML page. The
 * caller gathers the facts into these plain structs (everything borrowed) and
 * sorts nothing; the writers choose what to show. */
#ifndef VIEW_REPORT_H
#define VIEW_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define REPORT_EXAMPLES 4
#define REPORT_SAMPLE_CODES 5

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

struct report_latent {
	uint32_t latent;
	const char *name; /* NULL: unnamed */
	uint64_t rows;    /* where active */
	double mean, max; /* of its value there */
	size_t nexamples;
	struct report_example examples[REPORT_EXAMPLES];
};

struct report_codes {
	size_t m, named;
	uint64_t rows;
	double l0_mean, l0_sd, l0_median;
	uint64_t l0_min, l0_max;
	size_t never, always; /* latents active in no row, in every row */
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
};

enum report_form { REPORT_TEXT, REPORT_JSON, REPORT_HTML };

/* 0, or -1 when writing or memory failed (errno). */
int report_write(const struct report *r, enum report_form form, FILE *to);

/* Latents in the order of a table: by rows (frequency) or by mean strength,
 * where the rarely active (under 1 row in 1000, or 2 rows) come last. Fills
 * out[nlatents]. */
enum report_order { REPORT_FREQUENT, REPORT_STRONG };
void report_sort(const struct report_codes *c, enum report_order how, const struct report_latent **out);

#endif
