/* What a head says, as plain strings for people. Owned; describe_free. */
#ifndef STREAM_DESCRIBE_H
#define STREAM_DESCRIBE_H

#include <stddef.h>

#include "base/error.h"
#include "stream/head.h"

#define DESCRIBE_MAX 64 /* stages and columns kept; the totals are counted */

struct description {
	char stream[64], model[80], norm[64]; /* "" when the head does not say */
	size_t nstages, ncolumns;       /* kept */
	uint64_t all_stages, all_columns; /* there were */
	struct described_stage { char *program, *version, *command; } *stages;
	struct described_column { char *name, *dtype, *shape; } *columns;
};

/* Replaces what d holds. */
int describe_head(struct description *d, const struct head *h, struct err *e);
void describe_free(struct description *d);

#endif
