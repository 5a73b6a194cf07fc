/* What sae-eval --json wrote, read back for those who show it. */
#ifndef JOBS_SCORES_FILE_H
#define JOBS_SCORES_FILE_H

#include "base/error.h"
#include "base/model.h"
#include "view/scores.h"

struct scores_file {
	struct scores scores; /* levels, rows, sizes and texts; nothing per latent */
	char name[256], arch[32], sha256[SHA256_HEX], rows_are[256];
};

/* The scores of a model; of several in a file, those of the one whose SHA-256 is
 * model. CODE_DATA, naming the file: no such JSON, or of other models (model
 * NULL: several). s points into itself: not to be copied. */
int scores_load(struct scores_file *s, const char *path, const char *model, struct err *e);

#endif
