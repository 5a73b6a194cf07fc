/* Concepts files: names for latents (docs/FORMAT.md, "Concepts file"). */
#ifndef FILES_CONCEPTS_H
#define FILES_CONCEPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/expression.h"
#include "base/lexicon.h"
#include "base/model.h"

struct concept_word {
	const char *text;
	double cosine;
};

struct concept {
	uint32_t latent;
	char *name;      /* UTF-8, never NULL */
	bool valid;
	double score;    /* cosine of the best word; NAN when unknown */
	double ratio;    /* best / second best; NAN when unknown */
	struct concept_word *words; /* [nwords] the best, first the name: written, not read */
	size_t nwords;   /* texts and array stay the caller's */
};

struct concepts {
	char model[SHA256_HEX]; /* SHA-256 of the model they belong to */
	size_t n;
	struct concept *items;  /* ascending latent */
};

/* Refused (CODE_DATA): not JSON, another format or version, a latent twice,
 * a latent that is no integer in 0..2^32-1, a model that is no SHA-256,
 * more than 256 MiB or 16 levels of nesting. "valid" missing means true.
 * Unknown keys are ignored. */
int concepts_load(struct concepts *c, const char *path, struct err *e);
/* Atomic; one concept a line. items must be in order (CODE_BUG else). how: the
 * value of "how" as JSON text, or NULL for {}. */
int concepts_save(const struct concepts *c, const char *path, const char *how, struct err *e);
void concepts_free(struct concepts *c);
/* The concept of a latent, or NULL. */
const struct concept *concepts_find(const struct concepts *c, uint32_t latent);

/* out = z without latents that have no valid name. */
int concepts_keep_valid(const struct concepts *c, struct csr_view z, struct csr *out, struct err *e);

/* All names, each entry's number its place in items; names that are not valid
 * are silent. The names stay c's. */
int concepts_lexicon(const struct concepts *c, struct lexicon *l, struct err *e);
/* The latents that a name stands for: all that carry it validly, ascending, or
 * the one of a bare number. latents has room for m->count + 1; *n of them. CODE_USAGE
 * when the name is there but not valid anywhere. */
int concepts_meant(const struct concepts *c, const struct meant *m, uint32_t *latents, size_t *n, struct err *e);
/* The same of the name s[len] as it is typed, #17 too; *latents is the caller's to free. CODE_USAGE also when there are
 * no names, since no file was loaded. */
int concepts_named(const struct concepts *c, const struct lexicon *l, const char *s, size_t len, uint32_t **latents, size_t *n, struct err *e);
/* CODE_DATA unless c, of the file `path`, are names for the model sha256, of the file `model`. */
int concepts_of_model(const struct concepts *c, const char *path, const char *model, const char *sha256, struct err *e);

#endif
