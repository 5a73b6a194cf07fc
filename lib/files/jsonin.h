/* JSON text from files that nobody vouches for. */
#ifndef FILES_JSONIN_H
#define FILES_JSONIN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Parses text[n] into *out (json_decref when done). Refused with CODE_DATA:
 * arrays and objects nested deeper than max_depth or more than max_values
 * values, both counted before the parser allocates anything; text that is not
 * UTF-8 or not JSON; an object with the same key twice; NUL in a string;
 * numbers beyond 64 bits or a double. */
int jsonin_parse(const char *text, size_t n, unsigned max_depth, size_t max_values, json_t **out, struct err *e);

/* The same with a whole file, which should be `what` ("a concepts file"), of at
 * most max_bytes. Errors name it. CODE_NOINPUT when it cannot be read. */
int jsonin_load(const char *path, const char *what, uint64_t max_bytes, unsigned max_depth, size_t max_values, json_t **out, struct err *e);

#endif
