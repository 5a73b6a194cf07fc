/* How groups of rows differ in each latent: ranks of the codes, exactly, in
 * memory that does not grow with the rows.
 *
 *   struct audit a = {0};
 *   audit_leave_out(&a, "?", &err), audit_ask_for(&a, "Men", &err)   as often as wanted
 *   audit_rows(&a, z, labels, &err)     as often as wanted
 *   audit_finish(&a, &err)              sides and tests are there then
 *   audit_group(&a, label)              which group, in a second pass
 *   audit_free(&a)
 *
 * Two groups are compared with each other; more, each with all others. When
 * groups are asked for, they are all that counts: one of them against all other
 * rows, two against each other, more each against the others asked for.
 *
 * Codes are kept as sorted keys (base/keysort.h): 64 MiB of memory, and 8 bytes a
 * code in $TMPDIR beyond that.
 */
#ifndef JOBS_AUDIT_H
#define JOBS_AUDIT_H

#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/keysort.h"
#include "base/mem.h"
#include "base/strcount.h"
#include "view/audited.h"

#define AUDIT_MAX_GROUPS AUDITED_MAX_SIDES
#define AUDIT_NONE UINT32_MAX

struct audit {
	const char *groups[AUDIT_MAX_GROUPS], **ignore; /* asked for, and to be left out; all different */
	size_t asked, nignore;
	size_t m;               /* latents, by the first rows */
	float *most;            /* [m] the largest code in rows that take part */
	struct strcount labels; /* where no group was asked for: those that take part, ids in order of appearance */
	struct strcount others; /* some that do not */
	uint64_t rows[AUDIT_MAX_GROUPS], ignored, not_asked;
	struct keysort keys;
	struct buf batch;
	/* from audit_finish */
	struct audited_side sides[AUDIT_MAX_GROUPS];
	uint32_t first[AUDIT_MAX_GROUPS]; /* the group that a side is about */
	size_t nsides, ngroups, tested;
	struct audited_test *tests; /* [ntests], see view/audited.h; names NULL */
	size_t ntests, cap, significant;
};

/* Rows of that label are left out; a group to compare. The label stays the caller's. CODE_USAGE: it was named before. */
int audit_leave_out(struct audit *a, const char *label, struct err *e);
int audit_ask_for(struct audit *a, const char *label, struct err *e);
/* z [n,m] of n rows, and their labels. Refused (CODE_DATA): codes below 0, more than AUDIT_MAX_GROUPS groups, another
 * m than before. */
int audit_rows(struct audit *a, struct csr_view z, const char *const *labels, struct err *e);
/* Tests latents that are active in some row, sorts, and corrects p for their number (Benjamini and Hochberg 1995).
 * CODE_DATA: a group without rows, or only one group. */
int audit_finish(struct audit *a, struct err *e);
/* The group of a row with that label, or AUDIT_NONE; for rows that audit_rows has seen. */
uint32_t audit_group(const struct audit *a, const char *label);
/* After audit_finish: the group called so, to look at alone. CODE_USAGE when there is none. */
int audit_find(const struct audit *a, const char *name, uint32_t *group, struct err *e);
void audit_free(struct audit *a);

#endif
