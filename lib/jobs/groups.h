/* CKNNA of a stream: over groups of rows that follow each other, for every
 * level of codes. Group g holds the rows numbered g*size to g*size+size-1, so
 * that shards of one stream make the groups of the whole: what a pass has of
 * the groups at its ends is kept, and joined when states are merged. */
#ifndef JOBS_GROUPS_H
#define JOBS_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/mem.h"
#include "sae/quality.h"

/* Rows first .. first+n-1, part of a group. */
struct group_piece {
	uint64_t first;
	size_t n;
	struct mat x; /* n rows of it filled */
	struct csr z; /* all that the levels choose from */
};

struct group_sums {
	double sum, square;
	double groups;    /* added up */
	double undefined; /* in which one space had no structure: not added */
};

struct groups {
	size_t size, neighbours; /* rows of a group, nearest of a row */
	size_t d, nlevels;
	struct group_piece now, head;  /* being filled; what the pass had of the group it began in */
	struct group_sums levels[QUALITY_MAX_KS + 1];
	uint64_t rows;           /* in whole groups */
	uint64_t left_out;       /* rows of groups that were cut in the middle of a pass */
};

/* size > neighbours + 1 (CODE_USAGE else). Memory: a group's rows and codes. */
int groups_init(struct groups *g, size_t size, size_t neighbours, size_t d, size_t nlevels, struct err *e);
void groups_free(struct groups *g);
/* x [n,d] and all codes z [n,m] of rows row, row+1, ...; q knows the levels and
 * how what is used is chosen. */
int groups_rows(struct groups *g, struct quality *q, const float *x, struct csr_view z, uint64_t row, struct err *e);
/* Adds what another pass made; its rows come after. */
int groups_merge(struct groups *g, struct groups *after, struct quality *q, struct err *e);
/* When no group became whole: the rows there are, if they are enough for it, as
 * one group. CODE_DATA when they are not. */
int groups_finish(struct groups *g, struct quality *q, struct err *e);

#endif
