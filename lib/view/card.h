/* What a model is, for people and as JSON. */
#ifndef VIEW_CARD_H
#define VIEW_CARD_H

#include <stdio.h>

#include "base/model.h"

/* path: as the user named it. Both return 0, or -1 when writing failed. */
int card_text(const struct sae *s, const char *path, FILE *to);
int card_json(const struct sae *s, const char *path, FILE *to);

#endif
