/* An audit of a stream: its rows compared in one pass (jobs/audit.h), and, where
 * there is a probe to ask, concepts swept in a second one (jobs/sweeps.h).
 *
 *   struct auditing a = {.model = ..., .pool = ..., .simd = ...};
 *   auditing_begin(&a, &err)
 *   auditing_stream(&a, mean, d, scale, &err); auditing_rows(...) ...
 *   if (a.sweeping) {
 *           auditing_turn(&a, &err)                and all of that again
 *   }
 *   auditing_finish(&a, &told, &err)
 *   auditing_free(&a)
 */
#ifndef JOBS_AUDITING_H
#define JOBS_AUDITING_H

#include "files/concepts.h"
#include "jobs/audit.h"
#include "jobs/sweeps.h"
#include "sae/encode.h"
#include "sae/norm.h"

struct auditing {
	/* what is wanted, all borrowed */
	const struct sae *model;     /* NULL: rows come with codes */
	const struct probe *probe;   /* or NULL */
	const struct concepts *concepts; /* names, or NULL */
	struct pool *pool;
	const struct simd *simd;
	struct audit audit;          /* with groups asked for and labels to ignore */
	struct sweeps sweeps;        /* with those asked for */
	size_t nsweeps;              /* of the latents told first, where no sweep was asked for */
	const char *of;              /* the group to sweep in, or NULL: all */
	bool sweeping, only_valid;   /* there will be a second pass; latents without a name are not told, nor swept */
	/* within */
	bool second, guessed;        /* this is it; the probe told groups apart */
	uint32_t of_group;
	double square, numbers;      /* of normalised rows x: sum of squares, and how many numbers */
	struct encoder *encoder;
	struct undo undo;            /* of the stream at hand */
	struct csr z;
	struct mat xhat, unit, logp;
	struct buf said, chosen;     /* const char *, uint32_t a row */
};

int auditing_begin(struct auditing *a, struct err *e);
/* The rows that follow were normalised so: mean [d] is taken over (mem_alloc's), or NULL. */
int auditing_stream(struct auditing *a, float *mean, size_t d, float scale, struct err *e);
/* n rows: x [n,d] as the stream has it, or NULL; their codes, or NULL: they are encoded (x and a model are needed);
 * their labels, or NULL: what the probe says, of x, or of what the codes decode to (a model is needed). CODE_USAGE when
 * what is needed is missing. */
int auditing_rows(struct auditing *a, const float *x, size_t d, const struct csr_view *z, const char *const *labels, size_t n, struct err *e);
/* Between the passes: compares, and says what is to be swept. */
int auditing_turn(struct auditing *a, struct err *e);
/* What was found; by, probe, names and top are the caller's to add. */
int auditing_finish(struct auditing *a, struct audited *told, struct err *e);
/* How long normalised rows are, against what a model is trained on, where the root mean square of x is 1: far from that,
 * they are not of its kind, or not of its length. NAN when there was no x. */
double auditing_length(const struct auditing *a);
void auditing_free(struct auditing *a);

#endif
