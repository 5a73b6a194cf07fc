/* Models of other libraries, as their files lie about: recognised by what is in
 * them (names and shapes of tensors, keys of a configuration, first bytes),
 * brought into struct sae. docs/MODELS.md says what each library is known by.
 *
 * A path is a file of weights (safetensors, or what torch.save writes), whose
 * configuration may lie beside it as cfg.json or config.json; or the directory
 * that holds them. What several libraries have under the same names and no
 * configuration tells apart is refused, with what to say. */
#ifndef FILES_GUEST_H
#define FILES_GUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/model.h"

/* What overrides the files: `set` holds "key=value", value as JSON or plain text.
 * A key that the library's reader does not ask for is refused (CODE_USAGE). */
struct guest_opts {
	const char *from; /* the library; NULL: by content */
	const char *const *set;
	size_t nset;
};

/* s is the caller's (sae_free). Latents whose weights are not finite are left
 * out (they never fire) and s->note says so. s->sha256: of the weights file where
 * that alone decides; else of the text "weights HEX\n" and, of what else
 * decides, "config HEX\n", "scaler HEX\n", "name NAME\n", "set KEY=VALUE\n".
 * o may be NULL. */
int guest_load(struct sae *s, const char *path, const struct guest_opts *o, struct err *e);

/* The names of the libraries, for --from and messages: "SAELens", ... NULL. */
const char *guest_library(size_t i);

/* Every number a model must have finite; latents that have others are left out.
 * For tests and for guest_load. */
int guest_settle(struct sae *s, struct err *e);

#endif
