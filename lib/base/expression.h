/* Sums of names with weights, as people type them: beard + 2*glasses - hat.
 *
 *   sum    = ["+" | "-"] term { ("+" | "-") term }
 *   term   = [number "*"] name                     2*glasses, .5 * hat
 *   name   = '...' or "..."                        quoted, as it stands
 *          | the longest beginning that is a name  fire truck, t-shirt
 *          | "#" digits | digits                   a number, where names have numbers
 *
 * Blanks part nothing but words; a run of them is one. So `t-shirt - hat` takes
 * a hat from a t-shirt when there is a name t-shirt.
 */
#ifndef BASE_EXPRESSION_H
#define BASE_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/lexicon.h"

#define EXPRESSION_MAX_BYTES 4096
#define EXPRESSION_MAX_WEIGHT 1e6

/* What a name turned out to be: entries of the lexicon, or a bare number. */
struct meant {
	const struct lexicon_entry *entries; /* [count]; NULL: number */
	size_t count;
	uint32_t number;
};

struct expression {
	struct expression_term {
		double weight;
		struct meant name;
	} *terms;
	size_t n;
};

/* kind: what the names are, in messages: "concept", "word". With numbers, #17
 * is a name, and so is 17 where no name is spelt so. CODE_USAGE says where the
 * text goes wrong, or which name is unknown and what is near. */
int expression_parse(struct expression *x, const char *text, const struct lexicon *l, const char *kind, bool numbers, struct err *e);
void expression_free(struct expression *x);

/* One name alone, without quotes: all of s[n]. */
int expression_name(struct meant *m, const char *s, size_t n, const struct lexicon *l, const char *kind, bool numbers, struct err *e);

#endif
