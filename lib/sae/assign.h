/* Linear sum assignment: rows matched with columns one to one so that the sum
 * of their costs is the least, or the greatest, there is. Of a matrix that is
 * not square as many are matched as the shorter side has.
 *
 *   assign_begin(&a, cost, rows, cols, goal, &err);
 *   while (assign_step(&a))
 *           ;                                  a.left rows are to be matched yet
 *   a.col_of[row], a.row_of[col]               ASSIGN_NONE: left over
 *   assign_free(&a);
 *
 * Shortest augmenting paths over prices of columns, begun by augmenting row
 * reduction (R. Jonker, A. Volgenant, Computing 38, 1987; for rectangles D.
 * Crouse, IEEE Trans. AES 52, 2016). O(n^2 m) at worst, n being the shorter
 * side. Their column reduction is left out: it holds for squares only, and on
 * cosines between the latents of two models it makes what follows 2 to 10 times
 * as long.
 *
 * Costs are float32 and taken as they are. Prices are doubles that begin at 0
 * and change by differences of costs: nothing is rounded while the costs are
 * multiples of some q and their sums stay below 2^53 q (whole numbers; cosines,
 * but for those under some 1e-8), else in the last of 53 bits. assign_gap says
 * what that can have cost.
 *
 * Several matchings may be equally good. Which of them is found depends on the
 * costs alone: the shorter side (of a square, the rows) is gone through in its
 * order, and among equals a free partner comes first, then the lowest. So when
 * all costs are the same, i is matched with i.
 *
 * Memory: some 40 bytes a row or column, and with more rows than columns a
 * transposed copy of the costs.
 */
#ifndef SAE_ASSIGN_H
#define SAE_ASSIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ASSIGN_NONE UINT32_MAX

enum assign_goal { ASSIGN_LEAST, ASSIGN_MOST };

struct assign {
	size_t rows, cols;
	uint32_t *col_of, *row_of; /* [rows], [cols] */
	size_t left;               /* of the shorter side, not matched yet */
	/* the solver's own, where rows are the shorter side: n x m, n <= m */
	size_t n, m;
	const float *cost;
	float *turned;             /* cost transposed, or NULL */
	double sign;               /* cost times sign is to be least */
	uint32_t *mate, *taken_by; /* of rows, of columns */
	double *price;             /* [m], never above 0; 0 where the column is free */
	size_t at, scans;          /* next row; passes that the reduction has taken */
	bool reduced;
	uint32_t displaced;        /* row that the reduction's last step left without */
	struct {                   /* of a search for an augmenting path */
		double *key;       /* [m] cost of the shortest path; infinite once settled */
		double *price;     /* [m] infinite (below) once settled */
		double *low;       /* least key of each chunk of columns */
		double *length;    /* [n] of the path to a settled column */
		uint32_t *settled; /* [n] columns in the order they were settled */
		uint32_t *from;    /* [m] row the path comes from */
	} path;
	double *doubles;           /* the blocks all these are in */
	uint32_t *indices;
};

/* cost [rows,cols] is borrowed until assign_free. CODE_DATA when it holds NaN
 * or infinities; CODE_TRYAGAIN when memory is short: nothing to free then. */
int assign_begin(struct assign *a, const float *cost, size_t rows, size_t cols, enum assign_goal goal, struct err *e);
/* Some more of the work, at most n passes over m costs; false when it is done. */
bool assign_step(struct assign *a);
/* The sum of the matched costs. */
double assign_total(const struct assign *a);
/* By how much the total of another matching could be better, at most, as the
 * prices prove: 0 but for rounding. Takes a pass over the costs. */
double assign_gap(const struct assign *a);
void assign_free(struct assign *a);

#endif
