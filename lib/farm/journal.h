/* What left a farm, kept in a file so that a farm that is started again need
 * not have it computed again (docs/FARM.md, The journal).
 *
 *   journal_open -> journal_next for every job until it returns 0
 *   -> journal_add for every job from there -> journal_close
 *
 * One thread may read while another waits to add: not both at a time. */
#ifndef FARM_JOURNAL_H
#define FARM_JOURNAL_H

#include <stdint.h>

#include "base/error.h"
#include "farm/answer.h"

struct journal;

/* Makes the file when there is none. CODE_DATA when it is something else,
 * CODE_UNAVAILABLE when another farm has it open. */
struct journal *journal_open(const char *path, uint64_t max_frame, struct err *e);
/* Ends it: NULL is fine. */
void journal_close(struct journal *j);

/* The answer to job `job`, whose input has the hash in: 1 and a filled; 0 from
 * where there is none on, and what was torn is cut off; -1 when the file is of
 * another input. */
int journal_next(struct journal *j, uint64_t job, uint64_t in, struct answer *a, struct err *e);
int journal_add(struct journal *j, uint64_t job, uint64_t in, const struct answer *a, struct err *e);

#endif
