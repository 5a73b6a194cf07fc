/* concept-score: gives codes the names of a concepts file. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "cli/cli.h"
#include "files/concepts.h"
#include "sae/topk.h"
#include "stream/names.h"

struct self {
	const char *path;
	uint64_t top;
	bool json, only_valid;
	struct concepts concepts;
	struct csr valid, kept;
	const struct simd *simd;
};

static const struct opt opts[] = {
	OPT_STR('c', "concepts", struct self, path, "FILE", "the concepts file (needed)"),
	OPT_UINT(0, "top", struct self, top, "N", "keep the N strongest codes of each row (default: all)"),
	OPT_FLAG(0, "only-valid", struct self, only_valid, "leave out latents whose name is missing or not valid"),
	OPT_FLAG(0, "json", struct self, json, "write text: one JSON line a row, strongest first"),
	OPT_END
};

static int
start(struct run *r)
{
	struct self *s = r->self;

	if (!s->path)
		return run_usage(r, "-c CONCEPTS is needed");
	r->text = s->json;
	return simd_pick(&s->simd, r->cpu, &r->err) ? r->err.code : concepts_load(&s->concepts, s->path, &r->err);
}

static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	char made_with[SHA256_HEX];
	size_t i;
	struct buf b = {0};
	int code;

	if (!head_get_str(h, "model", made_with, sizeof made_with))
		warn(r, "%s: does not say which model made it; taking %s on trust", stream_name(r->in), s->path);
	else if (strcmp(made_with, s->concepts.model))
		return run_fail(r, CODE_DATA, "%s: these codes were made with model %.12s..., %s names the latents of %.12s...",
		                stream_name(r->in), made_with, s->path, s->concepts.model);
	code = names_begin(&b, s->concepts.n, &r->err);
	for (i = 0; i < s->concepts.n && !code; i++) {
		const struct concept *c = &s->concepts.items[i];

		code = names_add(&b, c->latent, c->name, c->valid, c->score, &r->err);
	}
	if (!code)
		code = head_set(h, "concepts", b.data, b.len, &r->err);
	buf_free(&b);
	return code;
}

static bool
named(const struct self *s, uint32_t latent)
{
	const struct concept *c = concepts_find(&s->concepts, latent);

	return c && c->valid;
}

/* z without latents that have no valid name. */
static int
drop_unnamed(struct run *r, struct csr_view *z)
{
	struct self *s = r->self;
	uint32_t t, n = 0;
	size_t i;

	if (csr_resize(&s->valid, z->rows, z->cols, z->ptr[z->rows], &r->err))
		return r->err.code;
	for (i = 0; i < z->rows; i++) {
		for (t = z->ptr[i]; t < z->ptr[i + 1]; t++)
			if (named(s, z->idx[t])) {
				s->valid.idx[n] = z->idx[t];
				s->valid.val[n++] = z->val[t];
			}
		s->valid.ptr[i + 1] = n;
	}
	*z = csr_view(&s->valid);
	return 0;
}

struct scored { float value; uint32_t latent; };

static int
strongest(const void *a, const void *b)
{
	const struct scored *x = a, *y = b;

	return x->value != y->value ? (x->value > y->value ? -1 : 1) : (x->latent > y->latent) - (x->latent < y->latent);
}

static json_t *
row_concepts(const struct self *s, struct csr_view z, size_t i)
{
	size_t n = z.ptr[i + 1] - z.ptr[i], t;
	struct scored *order = malloc((n + 1) * sizeof *order);
	json_t *list = json_array();

	if (!order)
		return list;
	for (t = 0; t < n; t++)
		order[t] = (struct scored){z.val[z.ptr[i] + t], z.idx[z.ptr[i] + t]};
	qsort(order, n, sizeof *order, strongest);
	for (t = 0; t < n; t++) {
		const struct concept *c = concepts_find(&s->concepts, order[t].latent);

		json_array_append_new(list, json_pack("{s:I, s:s?, s:f}", "latent", (json_int_t)order[t].latent,
		                                      "name", c && c->valid ? c->name : NULL, "value", f32_shortest(order[t].value)));
	}
	free(order);
	return list;
}

/* {"row":17,"id":"a.jpg","concepts":[{"latent":3,"name":"zebra","value":2.1},...]} */
static int
print_rows(struct run *r, struct frame *f, struct csr_view z)
{
	static const char *const keys[] = {"id", "label"};
	struct col *text[2] = {frame_col(f, keys[0]), frame_col(f, keys[1])};
	size_t at[2] = {0, 0}, i, k, len;
	FILE *to = run_text(r);
	const char *str;
	bool failed = false;

	for (i = 0; to && i < z.rows && !failed; i++) {
		json_t *row = json_object();

		json_object_set_new(row, "row", json_integer((json_int_t)(f->row + i)));
		for (k = 0; k < 2; k++)
			if (text[k] && text[k]->form == COL_STR && col_string_next(text[k], &at[k], &str, &len))
				json_object_set_new(row, keys[k], json_stringn(str, len));
		json_object_set_new(row, "concepts", row_concepts(r->self, z, i));
		failed = json_dumpf(row, to, JSON_COMPACT | JSON_REAL_PRECISION(9)) || putc('\n', to) == EOF;
		json_decref(row);
	}
	return failed ? err_sys(&r->err, CODE_IO, "%s: cannot write", strcmp(r->common.out, "-") ? r->common.out : "standard output") : r->err.code;
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	struct csr_view z;

	if (!run_sparse(r, f, "z", &z) || (s->only_valid && drop_unnamed(r, &z)))
		return r->err.code;
	if (s->top) {
		if (topk_rows(z, (size_t)(s->top < z.cols ? s->top : z.cols), false, r->pool, s->simd, &s->kept, &r->err))
			return r->err.code;
		z = csr_view(&s->kept);
	}
	return s->json ? print_rows(r, f, z) : frame_put_csr(f, "z", z, &r->err);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	concepts_free(&s->concepts);
	csr_free(&s->valid);
	csr_free(&s->kept);
}

const struct program program = {
	.name = "concept-score",
	.summary = "give codes the names of their concepts",
	.about = "Checks that the concepts file belongs to the model the codes were made with, and puts\n"
	         "its names into the stream's head, where report and others find them. With --json it\n"
	         "writes one line a row instead, for jq and the like; a latent without a valid name\n"
	         "has null for a name.",
	.example = "  concept-score -c concepts.json --top 5 --json < codes.sae |\n"
	           "    jq -r '[.id, .concepts[0].name] | @tsv'",
	.kind = PROGRAM_FILTER, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .head = head, .rows = rows, .clean = clean,
};
