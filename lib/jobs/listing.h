/* What files of embeddings hold, as a table for people. */
#ifndef JOBS_LISTING_H
#define JOBS_LISTING_H

#include <stdio.h>

#include "files/matfile.h"

/* One line an array: file, format, name, shape, type. Rows of files that do not
 * say how many they have are counted. */
int listing_print(char *const *paths, size_t n, const struct matfile_opts *o, FILE *to, struct err *e);

#endif
