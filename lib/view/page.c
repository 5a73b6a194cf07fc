/* The report as one HTML page: no network (but for pictures, where --thumbs asks
 * for them), no library, light and dark, wide and narrow. All text goes through
 * view_escaped or view_json. Concepts are data that the page's script makes
 * tables and sections of; where scripts do not run, there are plain tables. */
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <string.h>

#include "base/text.h"
#include "view/private.h"
#include "view/table.h"

static void
all(const char *const *pieces, FILE *to)
{
	for (; *pieces; pieces++)
		fputs(*pieces, to);
}

/* Only this page's own script may run, and nothing may be fetched: should a text
 * ever get past the escaping, it still does nothing. */
static void
policy(bool thumbs, FILE *to)
{
	char hash[BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) + 1];
	uint8_t digest[SHA256_DIGEST_SIZE];
	const char *const *piece;
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	for (piece = page_script; *piece; piece++)
		sha256_update(&ctx, strlen(*piece), (const uint8_t *)*piece);
	sha256_digest(&ctx, sizeof digest, digest);
	base64_encode_raw(hash, sizeof digest, digest);
	hash[sizeof hash - 1] = 0;
	fprintf(to, "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; script-src 'sha256-%s'%s\">\n",
	        hash, thumbs ? "; img-src 'self' http: https: file:" : "");
}

static void
lead(const struct report *r, FILE *to)
{
	char rows[32], model[20];

	fprintf(to, "<p class=lead>%s rows", view_count(rows, r->rows));
	if (r->streams > 1)
		fputs(" of several streams", to);
	if (r->model) {
		fputs(", codes of model <code>", to);
		view_escaped(to, text_printable(model, sizeof model, r->model, strlen(r->model)));
		fputs("</code>", to);
	}
	fputs("</p>\n", to);
}

int
report_html(const struct report *r, FILE *to)
{
	fputs("<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>\n", to);
	policy(r->thumbs, to);
	fputs("<title>", to);
	view_escaped(to, r->title);
	fputs("</title>\n<style>", to);
	all(page_style, to);
	fputs("</style></head><body>\n<h1>", to);
	view_escaped(to, r->title);
	fputs("</h1>\n", to);
	lead(r, to);
	page_origin(r, to);
	page_cards(r, to);
	page_plots(r, to);
	if (r->codes && r->codes->nlatents && page_concepts(r, to))
		return -1;
	page_samples(r, to);
	page_labels(r, to);
	fputs("<script>", to);
	all(page_script, to);
	fputs("</script>\n</body></html>\n", to);
	return ferror(to) ? -1 : 0;
}
