/* A row's codes with their names: for other programs a line of JSON a row, or
 * CSV (RFC 4180, but lines end in LF alone), a line a code; for people a table a
 * row. Codes are printed in the order given. */
#ifndef VIEW_SCORED_H
#define VIEW_SCORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct scored_text { const char *s; size_t n; }; /* s NULL: there is none */

struct scored_code {
	uint32_t latent;
	float value;
	const char *name; /* NULL: none */
	double share;     /* of the row that it explains; NAN: unknown */
};

struct scored_row {
	uint64_t row;
	struct scored_text id, label;
	const struct scored_code *codes;
	size_t n, all;    /* codes told, and how many there are */
	bool shares;      /* they are known, and */
	double explained; /* their sum over all codes */
};

/* {"row":17,"id":"a.jpg","explained":0.98,"concepts":[{"latent":3,"name":"zebra","value":2.1,"share":0.2},...]}
 * False when it could not be written. */
bool scored_json(FILE *to, const struct scored_row *r);
/* row,id,label,latent,name,value and, where shares are known, share: what there is none of is left empty. */
bool scored_csv_head(FILE *to, bool shares);
bool scored_csv(FILE *to, const struct scored_row *r);

/* A heading and a table. */
bool scored_table(FILE *to, const struct scored_row *r);

#endif
