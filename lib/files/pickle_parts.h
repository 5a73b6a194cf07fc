/* What the machine (pickle.c) and the calls it knows (pickle_calls.c) share. */
#ifndef FILES_PICKLE_PARTS_H
#define FILES_PICKLE_PARTS_H

#include "files/pickle.h"

struct pickle {
	struct pickle_chunk *chunks;
	size_t taken, most; /* bytes of chunks, and what they may become */
	size_t values;
	struct value *root;
	struct storage *storages, **last;
};

/* Memory that lives as long as p, for pointers aligned; NULL with e filled. */
void *pickle_alloc(struct pickle *p, size_t n, struct err *e);
struct value *pickle_value(struct pickle *p, enum value_kind kind, struct err *e);
/* v (a list, tuple or dict) gets one more item; a dict two in turn. */
int pickle_append(struct pickle *p, struct value *v, const struct value *item, struct err *e);
/* Takes n bytes of UTF-8 as v's text. */
int pickle_text(struct pickle *p, struct value *v, const char *s, size_t n, struct err *e);

/* fn(*args) for a fn on the list, its result into out (cleared before). */
int pickle_call(struct pickle *p, const struct value *fn, const struct value *args, struct value *out, struct err *e);
/* An instance of cls, or a dict for dicts. */
int pickle_instance(struct pickle *p, const struct value *cls, struct value *out, struct err *e);
/* What BUILD does. */
int pickle_build(struct pickle *p, struct value *v, const struct value *state, struct err *e);
/* The storage that a persistent id names. */
int pickle_persistent(struct pickle *p, const struct value *id, struct value *out, struct err *e);

#endif
