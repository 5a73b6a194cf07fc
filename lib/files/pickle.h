/* Python's pickle as data: a machine that builds values and calls nothing.
 *
 *   struct pickle *p = pickle_read(text, n, &used, &err);
 *   const struct value *k = value_get(pickle_root(p), "state_dict.k");
 *   pickle_free(p);
 *
 * Protocols 2 to 5, as torch.save, joblib and pickle.dump write them. What is
 * understood: None, booleans, integers, floats, strings, bytes, lists, tuples,
 * sets (as lists), dicts, and by name these calls, which are carried out here:
 *
 *   collections.OrderedDict                     a dict
 *   torch._utils._rebuild_tensor[_v2],
 *   torch._utils._rebuild_parameter[_with_state]  a tensor on a storage
 *   numpy.core.multiarray._reconstruct, numpy.core.numeric._frombuffer
 *                                               a tensor on bytes of the pickle
 *   numpy.core.multiarray.scalar                a number (numpy._core likewise)
 *   numpy.dtype, _codecs.encode, torch.Size, torch.device, collections.defaultdict,
 *   set, frozenset, pathlib's paths
 *
 * Every other REDUCE is refused by its name. Objects of other classes (NEWOBJ)
 * become VALUE_OBJECT: the name of the class and the dict of attributes that
 * BUILD gives, and nothing else. OBJ, INST, extension codes, out-of-band
 * buffers and protocol 0 are refused.
 *
 * Bounds: PICKLE_MAX_DEPTH levels, PICKLE_MAX_VALUES values, and memory of at
 * most a fixed multiple of n. Values may share parts and contain themselves, so
 * whoever walks them bounds the walk (value_each does). */
#ifndef FILES_PICKLE_H
#define FILES_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/error.h"

#define PICKLE_MAX_DEPTH 100
#define PICKLE_MAX_VALUES ((size_t)1 << 24)
#define VALUE_MAX_DIMS 8

enum value_kind {
	VALUE_NONE, VALUE_BOOL, VALUE_INT, VALUE_FLOAT, VALUE_STR, VALUE_BYTES,
	VALUE_LIST, VALUE_TUPLE, VALUE_DICT,
	VALUE_TENSOR,
	VALUE_GLOBAL, /* a class or function by name, "torch.float32" */
	VALUE_OBJECT, /* an instance of a class that is only kept */
	VALUE_BIG,    /* an integer beyond 64 bits */
	VALUE_STORAGE, VALUE_DTYPE /* parts of tensors */
};

/* Where the numbers of tensors lie. What a pickle says of it is checked by
 * whoever knows the file, who then fills the lower half. */
struct storage {
	struct storage *next;
	const char *key;
	enum dtype dtype;
	bool swap;
	uint64_t count;           /* elements */
	const unsigned char *mem; /* inside the pickle; NULL: in the file */
	size_t member;            /* for the file's reader */
	uint64_t at;
};

/* shape and stride in elements; the checks that all of it is inside the storage
 * are done. */
struct value_tensor {
	const struct storage *storage;
	uint64_t offset;
	unsigned ndim;
	uint64_t shape[VALUE_MAX_DIMS], stride[VALUE_MAX_DIMS];
};

struct value {
	enum value_kind kind;
	unsigned depth; /* levels of containers below */
	union {
		bool truth;
		int64_t whole;
		double real;
		struct { const char *s; size_t n; } text; /* str, bytes, global; NUL behind it */
		struct { const struct value **v; size_t n, cap; } items; /* list, tuple; dict: key, value, key ... */
		struct { const struct value *cls, *attrs; } object;      /* attrs: dict or NULL */
		struct value_tensor *tensor;
		struct storage *storage;
		struct { enum dtype type; bool swap; } dtype; /* type DT_NONE: not numbers */
	} as;
};

struct pickle;

/* text[n] holds a pickle and may go on behind it; *used (may be NULL) is its
 * length. text must outlive the result. NULL with e filled: CODE_DATA says at
 * which byte and what. *short_of (may be NULL) tells a pickle that goes on
 * behind n from one that is wrong. */
struct pickle *pickle_read(const void *text, size_t n, size_t *used, bool *short_of, struct err *e);
void pickle_free(struct pickle *p); /* NULL is fine */
const struct value *pickle_root(const struct pickle *p);
/* All storages that tensors name, as a list; those with mem need no file. */
struct storage *pickle_storages(struct pickle *p);

/* The value at a path of keys, indices and attributes joined by dots, or NULL.
 * Keys may hold dots themselves: "model.encoder.weight" finds encoder.weight in
 * the dict model. "" is v. Of a key that came twice the last counts. */
const struct value *value_get(const struct value *v, const char *path);
/* The text of a VALUE_STR, or NULL. */
const char *value_str(const struct value *v);
/* A boolean or an integer; for value_real a float too. False for all else; v may
 * be NULL. */
bool value_int(const struct value *v, int64_t *out);
bool value_real(const struct value *v, double *out);
/* "a dict of 3", "a tensor of 5 x 7 <f4", "a torch.nn.ReLU object": for messages. */
const char *value_what(const struct value *v, char *out, size_t size);

/* Calls each for every value that is no container below v, and for v, with its
 * path, in file order, each container once; a call that returns not 0 ends the
 * walk and is what is returned. Paths longer than 512 bytes are passed over. */
int value_each(const struct value *v, int (*each)(const char *path, const struct value *v, void *arg), void *arg);

#endif
