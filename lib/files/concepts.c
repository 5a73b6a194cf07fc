#include "files/concepts.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "files/infile.h"
#include "files/jsonin.h"

#define FORMAT "msae-concepts"
#define MAX_FILE ((uint64_t)256 << 20)
#define MAX_DEPTH 16
#define MAX_VALUES ((size_t)1 << 24)

/* 64 hex digits, as lower case into out. */
static bool
parse_sha256(const char *s, char out[SHA256_HEX])
{
	size_t i;

	if (!s || strlen(s) != SHA256_HEX - 1 || strspn(s, "0123456789abcdefABCDEF") != SHA256_HEX - 1)
		return false;
	for (i = 0; i < SHA256_HEX; i++)
		out[i] = (char)(s[i] >= 'A' && s[i] <= 'F' ? s[i] - 'A' + 'a' : s[i]);
	return true;
}

/* A number that may be missing or null: then NAN. */
static int
parse_real(const json_t *v, const char *key, double *out, struct err *e)
{
	if (v && !json_is_null(v) && !json_is_number(v))
		return err_set(e, CODE_DATA, "\"%s\" is no number", key);
	*out = json_is_number(v) ? json_number_value(v) : NAN;
	return 0;
}

static int
parse_concept(struct concept *c, const json_t *v, struct err *e)
{
	const json_t *latent = json_object_get(v, "latent"), *valid = json_object_get(v, "valid");
	const char *name = json_string_value(json_object_get(v, "name"));

	if (!json_is_integer(latent) || json_integer_value(latent) < 0 || json_integer_value(latent) > UINT32_MAX)
		return err_set(e, CODE_DATA, "\"latent\" is no whole number from 0 to 4294967295");
	if (!name)
		return err_set(e, CODE_DATA, "\"name\" is no string");
	if (valid && !json_is_boolean(valid))
		return err_set(e, CODE_DATA, "\"valid\" is neither true nor false");
	if (parse_real(json_object_get(v, "score"), "score", &c->score, e) ||
	    parse_real(json_object_get(v, "ratio"), "ratio", &c->ratio, e))
		return e->code;
	c->latent = (uint32_t)json_integer_value(latent);
	c->valid = !json_is_false(valid);
	c->name = strdup(name);
	return c->name ? 0 : err_memory(e, "concepts", strlen(name));
}

static int
by_latent(const void *a, const void *b)
{
	const struct concept *x = a, *y = b;

	return (x->latent > y->latent) - (x->latent < y->latent);
}

static int
parse_list(struct concepts *c, const json_t *list, struct err *e)
{
	size_t n = json_array_size(list), i;

	c->items = calloc(n + 1, sizeof *c->items);
	if (!c->items)
		return err_memory(e, "concepts", n * sizeof *c->items);
	for (; c->n < n; c->n++)
		if (parse_concept(&c->items[c->n], json_array_get(list, c->n), e))
			return err_add(e, "concept %zu", c->n);
	qsort(c->items, n, sizeof *c->items, by_latent);
	for (i = 1; i < n; i++)
		if (c->items[i].latent == c->items[i - 1].latent)
			return err_set(e, CODE_DATA, "latent %lu is named twice", (unsigned long)c->items[i].latent);
	return 0;
}

static int
parse_root(struct concepts *c, const json_t *root, struct err *e)
{
	const json_t *version = json_object_get(root, "version"), *list = json_object_get(root, "concepts");
	const char *format = json_string_value(json_object_get(root, "format"));

	if (!format || strcmp(format, FORMAT))
		return err_set(e, CODE_DATA, "not a concepts file: \"format\" is not \"" FORMAT "\"");
	if (!json_is_integer(version) || json_integer_value(version) != 1)
		return err_set(e, CODE_DATA, "concepts file of a version other than 1");
	if (!parse_sha256(json_string_value(json_object_get(root, "model")), c->model))
		return err_set(e, CODE_DATA, "\"model\" is no SHA-256: 64 hexadecimal digits");
	if (!json_is_array(list))
		return err_set(e, CODE_DATA, "\"concepts\" is no list");
	return parse_list(c, list, e);
}

int
concepts_load(struct concepts *c, const char *path, struct err *e)
{
	json_t *root;

	memset(c, 0, sizeof *c);
	if (jsonin_load(path, "a concepts file", MAX_FILE, MAX_DEPTH, MAX_VALUES, &root, e))
		return e->code;
	e->code = 0;
	if (parse_root(c, root, e)) {
		concepts_free(c);
		infile_blame(e, path);
	}
	json_decref(root);
	return e->code;
}

void
concepts_free(struct concepts *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		free(c->items[i].name);
	free(c->items);
	memset(c, 0, sizeof *c);
}

const struct concept *
concepts_find(const struct concepts *c, uint32_t latent)
{
	const struct concept key = {.latent = latent};

	return c->n ? bsearch(&key, c->items, c->n, sizeof *c->items, by_latent) : NULL;
}

int
concepts_lexicon(const struct concepts *c, struct lexicon *l, struct err *e)
{
	size_t i;

	*l = (struct lexicon){0};
	for (i = 0; i < c->n; i++)
		if (lexicon_add(l, c->items[i].name, (uint32_t)i, !c->items[i].valid, e)) {
			lexicon_free(l);
			return e->code;
		}
	lexicon_sort(l);
	return 0;
}

int
concepts_keep_valid(const struct concepts *c, struct csr_view z, struct csr *out, struct err *e)
{
	const struct concept *k;
	uint32_t t, n = 0;
	size_t i;

	if (csr_resize(out, z.rows, z.cols, z.ptr[z.rows], e))
		return e->code;
	for (i = 0; i < z.rows; i++) {
		for (t = z.ptr[i]; t < z.ptr[i + 1]; t++) {
			k = concepts_find(c, z.idx[t]);
			if (!k || !k->valid)
				continue;
			out->idx[n] = z.idx[t];
			out->val[n++] = z.val[t];
		}
		out->ptr[i + 1] = n;
	}
	return 0;
}

int
concepts_meant(const struct concepts *c, const struct meant *m, uint32_t *latents, size_t *n, struct err *e)
{
	const struct concept *best = NULL, *k;
	char name[80];
	size_t i;

	*n = 0;
	if (!m->entries) {
		latents[(*n)++] = m->number;
		return 0;
	}
	for (i = 0; i < m->count; i++) {
		k = &c->items[m->entries[i].number];
		if (k->valid)
			latents[(*n)++] = k->latent;
		if (!best || k->score > best->score)
			best = k;
	}
	if (*n)
		return 0;
	return err_set(e, CODE_USAGE, "'%s' is nearest to latent #%lu, but not a valid name of it; say #%lu if it is meant all the same",
	               text_printable(name, sizeof name, best->name, strlen(best->name)), (unsigned long)best->latent, (unsigned long)best->latent);
}

int
concepts_named(const struct concepts *c, const struct lexicon *l, const char *s, size_t len, uint32_t **latents, size_t *n, struct err *e)
{
	struct meant m;

	*latents = NULL;
	if (expression_name(&m, s, len, l, "concept", true, e))
		return *c->model ? e->code : err_set(e, CODE_USAGE, "names are looked up in a concepts file: give one with -c, or a latent as #17");
	*latents = calloc(m.count + 1, sizeof **latents);
	if (!*latents)
		return err_memory(e, "latents", m.count * sizeof **latents);
	if (!concepts_meant(c, &m, *latents, n, e))
		return 0;
	free(*latents);
	*latents = NULL;
	return e->code;
}

int
concepts_of_model(const struct concepts *c, const char *path, const char *model, const char *sha256, struct err *e)
{
	if (!strcmp(c->model, sha256))
		return 0;
	return err_set(e, CODE_DATA, "%s: names the latents of another model (%.12s...) than %s (%.12s...)", path, c->model, model, sha256);
}

static int
append_text(struct buf *b, const char *s, struct err *e)
{
	return buf_append(b, s, strlen(s), e);
}

/* ,"key":v in the shortest form that reads back as v; nothing when unknown. */
static int
append_real(struct buf *b, const char *key, double v, struct err *e)
{
	char text[64];
	int digits = 6;

	if (!isfinite(v))
		return 0;
	do
		snprintf(text, sizeof text, "%.*g", digits, v);
	while (strtod(text, NULL) != v && ++digits <= 17);
	if (append_text(b, ",\"", e) || append_text(b, key, e) || append_text(b, "\":", e))
		return e->code;
	return append_text(b, text, e);
}

static int
append_string(struct buf *b, const char *s, const struct concept *c, struct err *e)
{
	json_t *v;
	char *text;

	errno = 0;
	v = json_string(s);
	text = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
	json_decref(v);
	if (!text && errno == ENOMEM)
		return err_memory(e, "concepts", strlen(s));
	if (!text)
		return err_set(e, CODE_DATA, "the name of latent %lu is not UTF-8", (unsigned long)c->latent);
	append_text(b, text, e);
	free(text);
	return e->code;
}

static int
append_words(struct buf *b, const struct concept *c, struct err *e)
{
	char cosine[32];
	size_t i;

	for (i = 0; i < c->nwords; i++) {
		snprintf(cosine, sizeof cosine, ",%.4f]", c->words[i].cosine);
		if (append_text(b, i ? ",[" : ",\"words\":[[", e) || append_string(b, c->words[i].text, c, e) || append_text(b, cosine, e))
			return e->code;
	}
	return c->nwords ? append_text(b, "]", e) : 0;
}

static int
append_concept(struct buf *b, const struct concept *c, struct err *e)
{
	char start[40];

	snprintf(start, sizeof start, "{\"latent\":%lu,\"name\":", (unsigned long)c->latent);
	if (append_text(b, start, e) || append_string(b, c->name, c, e) ||
	    append_text(b, c->valid ? ",\"valid\":true" : ",\"valid\":false", e) ||
	    append_real(b, "score", c->score, e) || append_real(b, "ratio", c->ratio, e) || append_words(b, c, e))
		return e->code;
	return append_text(b, "}", e);
}

/* "how" as compact JSON; the caller frees. */
static int
how_text(const char *how, char **out, struct err *e)
{
	json_t *v;

	*out = NULL;
	if (jsonin_parse(how, strlen(how), MAX_DEPTH, MAX_VALUES, &v, e))
		return err_add(e, "\"how\"");
	*out = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(v);
	return *out ? 0 : err_memory(e, "concepts", strlen(how));
}

static int
append_all(struct buf *b, const struct concepts *c, const char *how, struct err *e)
{
	size_t i;

	if (append_text(b, "{\"format\":\"" FORMAT "\",\"version\":1,\n\"model\":\"", e) || append_text(b, c->model, e) ||
	    append_text(b, "\",\n\"how\":", e) || append_text(b, how, e) || append_text(b, ",\n\"concepts\":[", e))
		return e->code;
	for (i = 0; i < c->n; i++) {
		if (i && c->items[i].latent <= c->items[i - 1].latent)
			return err_set(e, CODE_BUG, "concepts are not in order of their latents");
		if (append_text(b, i ? ",\n" : "\n", e) || append_concept(b, &c->items[i], e))
			return e->code;
	}
	return append_text(b, "\n]}\n", e);
}

static int
write_file(const char *path, const struct buf *b, struct err *e)
{
	struct outfile out = {.fd = -1};

	if (outfile_open(&out, path, e))
		return e->code;
	if (!io_write_all(out.fd, b->data, b->len))
		return outfile_commit(&out, e);
	err_sys(e, CODE_IO, "cannot write");
	outfile_abort(&out);
	return infile_blame(e, path);
}

int
concepts_save(const struct concepts *c, const char *path, const char *how, struct err *e)
{
	struct buf b = {0};
	char model[SHA256_HEX], *text;

	e->code = 0;
	if (!parse_sha256(c->model, model)) {
		err_set(e, CODE_BUG, "concepts of no model");
		return infile_blame(e, path);
	}
	if (how_text(how ? how : "{}", &text, e) || append_all(&b, c, text, e))
		infile_blame(e, path);
	else
		write_file(path, &b, e);
	free(text);
	buf_free(&b);
	return e->code;
}
