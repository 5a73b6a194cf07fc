/* Checkpoints: a training run that can be gone on with. The file is a model
 * file with more tensors (the trainer's state) and more metadata (where the run
 * stands, how it is done), so that what understands models understands it.
 * Saving is atomic: a crash leaves the checkpoint before. */
#ifndef FILES_CHECKPOINT_H
#define FILES_CHECKPOINT_H

#include <stddef.h>

#include "base/model.h"
#include "base/tensor.h"
#include "files/safetensors.h"

#define CHECKPOINT_MAX_TENSORS 32

/* meta: key, value, ... NULL. model->sha256 becomes that of the checkpoint. */
int checkpoint_save(const char *path, struct sae *model, const struct tensor *t, size_t n,
                    const char *const *meta, struct err *e);

struct checkpoint {
	struct st_file file;
};

/* Opens path; a model that is no checkpoint is refused (CODE_DATA). */
int checkpoint_open(struct checkpoint *c, const char *path, struct err *e);
/* A metadata value; CODE_DATA with e filled, and NULL, when it is missing. */
const char *checkpoint_meta(const struct checkpoint *c, const char *key, struct err *e);
/* Fills data of every tensor named; type and shape must be as given. */
int checkpoint_restore(const struct checkpoint *c, const struct tensor *t, size_t n, struct err *e);
void checkpoint_close(struct checkpoint *c);

#endif
