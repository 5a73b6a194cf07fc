/* Directories of SAELens (cfg.json, sae_weights.safetensors): writing them, and
 * what one of ours remembers beyond what SAELens has a place for. */
#ifndef FILES_SAELENS_H
#define FILES_SAELENS_H

#include <jansson.h>

#include "base/error.h"
#include "base/model.h"

/* Makes the directory `path`, which must not be there yet: whole, or not at all.
 * SAELens then computes on raw rows what s does behind `normalize -m`: mean and
 * scale are folded into the weights, and kept in a file of their own. CODE_DATA,
 * naming it, for what SAELens cannot express; CODE_CANTCREATE. */
int saelens_save(const struct sae *s, const char *path, struct err *e);

/* s, as read from the directory `folder` with this configuration: what
 * saelens_save had noted is put back. *norm (may be NULL) gets the digest of the
 * file with mean and scale, or "". Nothing noted is fine. */
int saelens_recall(struct sae *s, const json_t *config, const char *folder, char norm[SHA256_HEX], struct err *e);

#define SAELENS_NORM "msae_norm.safetensors"

#endif
