/* Between the files of lib/view only. */
#ifndef VIEW_PRIVATE_H
#define VIEW_PRIVATE_H

#include "view/report.h"

/* The one place where strings from data enter a page or a picture. */
void view_escaped(FILE *to, const char *s); /* escape.c */

/* Where a latent is strongest, for people: the labels of its example rows,
 * "beagle x3, pug", where they have labels and no ids; else ids, else numbers. */
void report_examples(const struct report_latent *l, char *out, size_t size);

int report_html(const struct report *r, FILE *to); /* html.c */

#endif
