/* Between the files of lib/view only. */
#ifndef VIEW_PRIVATE_H
#define VIEW_PRIVATE_H

#include <stdbool.h>
#include <stdio.h>

#include "view/report.h"

/* The places where strings from data enter a page or a picture: as its text or
 * the value of an attribute in quotes; as a JSON string, quotes and all, in a
 * script element. Control characters are written as \xNN. (escape.c) */
void view_escaped(FILE *to, const char *s);
void view_json(FILE *to, const char *s);

/* Where a latent is strongest, for people: the labels of its first REPORT_FEW
 * example rows, "beagle x3, pug", where they have labels and no ids; else ids,
 * else numbers. */
#define REPORT_FEW 4
#define REPORT_WHERE (REPORT_FEW * 530) /* bytes that are always enough */
void report_examples(const struct report_latent *l, char *out, size_t size);

int report_text(const struct report *r, FILE *to); /* report_text.c */
int report_json(const struct report *r, FILE *to); /* report_json.c */
int report_html(const struct report *r, FILE *to); /* page.c */

/* Parts of the page. 0, or -1 when memory failed; writing is checked at the end. */
void page_cards(const struct report *r, FILE *to);    /* page_parts.c */
void page_origin(const struct report *r, FILE *to);
void page_samples(const struct report *r, FILE *to);
void page_labels(const struct report *r, FILE *to);
void page_plots(const struct report *r, FILE *to);    /* page_plots.c */
int page_concepts(const struct report *r, FILE *to);  /* page_concepts.c */

/* What the page brings with it, in pieces that belong behind each other. */
extern const char *const page_style[], *const page_script[]; /* page_style.c, page_script.c */

/* Where the picture is that an id names, into out[size]: an http(s) address as
 * it is; a path that ends as pictures do, with what means something else in an
 * address encoded. False for all else: other schemes, //host, backslashes, what
 * was cut. (thumb.c) */
bool thumb_address(const char *id, char *out, size_t size);

#endif
