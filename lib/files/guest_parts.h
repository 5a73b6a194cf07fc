/* What the readers of guest_*.c share: a model's files, opened. Private to them.
 * Errors do not name the file; guest_load does. */
#ifndef FILES_GUEST_PARTS_H
#define FILES_GUEST_PARTS_H

#include <jansson.h>

#include "files/guest.h"
#include "files/ptfile.h"
#include "files/safetensors.h"

#define GUEST_DIMS 4

struct guest_tensor {
	char *name;      /* below the state dict, as state_dict() would call it */
	unsigned ndim;
	uint64_t shape[GUEST_DIMS];
	enum dtype dtype;
	const void *what; /* struct value, or struct st_tensor */
};

struct guest {
	char *weights, *folder; /* paths; folder of the weights */
	const char *name;       /* weights without its folders */
	bool torch;
	struct ptfile pt;
	struct st_file st;
	struct guest_tensor *tensors;
	size_t n;
	const char *inside; /* "model", "ae", ...: the state dict's place, or "" */
	json_t *root;   /* what the file holds beside tensors: an object */
	json_t *config; /* the configuration: an object, empty when there is none */
	const char *config_name; /* "cfg.json", "the pickled cfg", ...; NULL: none */
	json_t *set, *asked;     /* --set; which of its keys were looked up */
	char decides[1024];      /* further lines of what sha256 is taken of */
	char config_sha256[SHA256_HEX];
};

/* ---- tensors ---- */
const struct guest_tensor *guest_find(const struct guest *g, const char *name);
/* The same, or NULL with e filled. */
const struct guest_tensor *guest_need(const struct guest *g, const char *name, struct err *e);
/* Its sizes when it has two dimensions, 1 to 2^32-1 each. */
int guest_sizes(const struct guest *g, const char *name, size_t *rows, size_t *cols, struct err *e);
/* dst [rows,cols] of a tensor of this shape; with turned, of one [cols,rows]. */
int guest_matrix(struct guest *g, const char *name, size_t rows, size_t cols, bool turned, float *dst, struct err *e);
int guest_vector(struct guest *g, const char *name, size_t n, float *dst, struct err *e);
/* What stands beside the state dict in a file of torch.save; NULL when nothing does. */
const struct value *guest_beside(const struct guest *g, const char *name);
/* One number of t after the other, whatever its shape and type: dst [its size]. */
int guest_numbers(struct guest *g, const struct guest_tensor *t, float *dst, struct err *e);
/* A tensor with one element, or a number of the pickle. */
int guest_scalar(struct guest *g, const char *name, double *out, struct err *e);

/* ---- configuration: --set first, then `config`. path: keys joined by dots ---- */
const json_t *guest_get(struct guest *g, const char *path);
const char *guest_text(struct guest *g, const char *path, const char *otherwise);
int guest_flag(struct guest *g, const char *path, bool otherwise, bool *out, struct err *e);
int guest_real(struct guest *g, const char *path, double otherwise, double *out, struct err *e);
/* A whole number from least to most; CODE_DATA also when it is not there. */
int guest_count(struct guest *g, const char *path, uint64_t least, uint64_t most, size_t *out, struct err *e);
/* What config says must be what the tensors say; nothing said is fine. */
int guest_agree(struct guest *g, const char *path, size_t is, const char *what, struct err *e);
/* "library: WHAT is "VALUE"; known are WANT". */
int guest_unknown(const char *what, const char *value, const char *want, struct err *e);
/* Adds a line to what the digest is taken of. */
void guest_decides(struct guest *g, const char *key, const char *value);
/* An object of plain values out of a pickle, bounded; never NULL but without memory. */
json_t *guest_plain(const struct value *v);

/* ---- what readers do with a model ---- */
/* Sizes from an encoder called name ([n,d], or [d,n] with turned false), and room. */
int guest_begin(struct guest *g, struct sae *s, const char *encoder, bool turned, bool threshold, struct err *e);
/* W_enc and W_dec under these names, with their orientation in the file. */
int guest_weights(struct guest *g, struct sae *s, const char *encoder, bool enc_turned, const char *decoder, bool dec_turned, struct err *e);
/* k as topk's: the k largest positive ones; signed_codes: negative ones too. */
int guest_topk(struct guest *g, struct sae *s, const char *path, bool signed_codes, struct err *e);
/* A threshold for all latents: p > t, or p >= t. */
int guest_threshold(struct sae *s, double t, bool or_equal, struct err *e);
/* Gate and magnitude on one product, q + gate > 0 and relu(q exp(r) + mag), is a
 * threshold: W_enc, b_enc and threshold become that. r, gate, mag: tensors. */
int guest_gated(struct guest *g, struct sae *s, const char *r, const char *gate, const char *mag, struct err *e);
/* Codes times |W_dec_j|, rows of W_dec of unit length: the norms go into W_enc, b_enc. */
void guest_fold_norms(struct sae *s);
/* One dimension `name` of logarithms -> s->threshold. */
int guest_log_threshold(struct guest *g, struct sae *s, const char *name, bool or_equal, struct err *e);

/* ---- the readers ---- */
struct guest_kind {
	const char *library;
	bool (*match)(struct guest *g);
	int (*load)(struct guest *g, struct sae *s, struct err *e);
};
extern const struct guest_kind guest_saelens, guest_msae, guest_openai, guest_hypothesaes, guest_dncbm, guest_overcomplete,
	guest_latentsae, guest_sparsify, guest_saev, guest_dictionary, guest_bartbussmann, guest_prisma, guest_listcomp;

#endif
