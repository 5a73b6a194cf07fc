/* Model files (docs/FORMAT.md, "Model file") and normalisation statistics. */
#ifndef FILES_MODELFILE_H
#define FILES_MODELFILE_H

#include "base/model.h"
#include "files/guest.h"
#include "files/safetensors.h"

/* Reads a model: one of ours (safetensors with format=msae), or one of another
 * library (guest.h, which says what s->sha256 and s->note are then). Of ours every
 * tensor must be there, agree in shape and be finite; scale must be > 0. s is owned
 * by the caller (sae_free). s->sha256 is the file's digest. */
int model_load(struct sae *s, const char *path, struct err *e);
/* The same where the user says what it is: o->from "msae", or a library's name. */
int model_load_as(struct sae *s, const char *path, const struct guest_opts *o, struct err *e);

/* CODE_DATA for what a model of this architecture must have and s has not; numbers
 * are not looked at. */
int model_check(const struct sae *s, struct err *e);

/* Writes s atomically; fills s->sha256. What model_load would refuse (NaN, a
 * scale of 0, topk without k ...) is not written: CODE_DATA. extra: further
 * __metadata__ pairs (key, value, key, value ... NULL), or NULL. */
int model_save(struct sae *s, const char *path, const char *const *extra, struct err *e);

/* The same with further tensors, at most MODEL_MAX_MORE, behind the model's own:
 * what model_load does not ask for it does not read. */
#define MODEL_MAX_MORE 32
int model_save_with(struct sae *s, const char *path, const char *const *extra, const struct st_out *more, size_t nmore, struct err *e);

/* Mean and scale alone, as `normalize --stats` keeps them: a safetensors file
 * with `mean` [d] and `scale` [1] (any model serves too, of other libraries also). *mean is
 * allocated with mem_alloc and owned by the caller. */
int stats_load(const char *path, float **mean, size_t *d, float *scale, struct err *e);
int stats_save(const char *path, const float *mean, size_t d, float scale, uint64_t rows, struct err *e);

#endif
