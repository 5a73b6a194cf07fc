/* name-concepts: names for latents, out of a vocabulary's embeddings. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/spool.h"
#include "files/concepts.h"
#include "files/modelfile.h"
#include "sae/naming.h"
#include "sae/norm.h"

struct self {
	const char *path;
	uint64_t best;
	double min_sim, min_ratio;
	bool published;
	struct sae model;
	struct norm_fit words;
	struct naming naming;
	struct mat scratch;
	struct strings texts; /* of the frame at hand */
};

static const struct opt opts[] = {
	OPT_STR('m', "model", struct self, path, "MODEL", "the model whose latents are to be named (needed)"),
	OPT_FLOAT(0, "min-sim", struct self, min_sim, "C", "a name is valid from this cosine on (default .42)"),
	OPT_FLOAT(0, "min-ratio", struct self, min_ratio, "R", "and when it is R times that of the second (default 2)"),
	OPT_UINT(0, "best", struct self, best, "N", "words kept for each latent (default 5)"),
	OPT_FLAG(0, "published", struct self, published, "compare decoder row / scale + mean with the words as they are,\nas the paper does; default: decoder row with words about\ntheir own mean"),
	OPT_END
};
static const struct self defaults = {.min_sim = .42, .min_ratio = 2, .best = 5};

static int
start(struct run *r)
{
	struct self *s = r->self;

	if (!s->path)
		return run_usage(r, "-m MODEL is needed");
	if (!strcmp(r->common.out, "-"))
		return run_usage(r, "-o FILE is needed: where the names go");
	if (!s->best || s->best > 1000)
		return run_usage(r, "--best %" PRIu64 ": 1 to 1000", s->best);
	return model_load(&s->model, s->path, &r->err);
}

static const float *
words_of(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	size_t d;
	const float *x = run_dense(r, f, "x", &d, &s->scratch);

	return x && !run_model_width(r, "x", d, s->path, s->model.d) ? x : NULL;
}

/* The words' mean, before any of them is compared. */
static int
fit_frame(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	const float *x;

	if (f->kind == FRAME_HEAD && head_is_set(&r->head, "norm"))
		return run_fail(r, CODE_DATA, "%s: is normalised; words are compared as they come: leave out normalize", stream_name(r->in));
	if (f->kind != FRAME_ROWS)
		return 0;
	x = words_of(r, f);
	if (!x)
		return r->err.code;
	norm_fit_rows(&s->words, x, (size_t)f->n);
	return 0;
}

static int
ready(struct run *r)
{
	struct self *s = r->self;
	float *mean, scale;

	if (norm_fit_init(&s->words, s->model.d, &r->err) || spool_first_pass(r, fit_frame))
		return r->err.code;
	if (!s->words.rows)
		return run_fail(r, CODE_DATA, "%s: no words", stream_name(r->in));
	mean = mem_alloc(s->model.d * sizeof *mean);
	if (!mean)
		return err_memory(&r->err, "mean", s->model.d * sizeof *mean);
	norm_fit_result(&s->words, mean, &scale);
	naming_init(&s->naming, &s->model, s->published ? NAMING_PUBLISHED : NAMING_CENTRED, mean, (size_t)s->best, r->pool, &r->err);
	mem_free(mean);
	return r->err.code;
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	const float *x = words_of(r, f);
	const char *const *texts = x ? run_strings(r, f, "id", &s->texts) : NULL;

	if (texts)
		return naming_words(&s->naming, x, texts, (size_t)f->n, &r->err);
	if (r->err.code)
		return r->err.code;
	run_fail(r, CODE_DATA, "no column id of text here: which word is which? (read-embeddings words.npy --ids words.txt)");
	return run_blame(r, f);
}

/* The second best's cosine may be nothing or less: then the best stands out. */
static void
name_latent(const struct self *s, size_t j, struct concept *c, struct concept_word *words)
{
	const struct naming_word *w = naming_best(&s->naming, j, &c->nwords);
	size_t i;

	*c = (struct concept){.latent = (uint32_t)j, .name = w[0].text, .score = w[0].cosine, .ratio = NAN, .words = words, .nwords = c->nwords};
	for (i = 0; i < c->nwords; i++)
		words[i] = (struct concept_word){w[i].text, w[i].cosine};
	if (c->nwords > 1 && w[1].cosine > 0)
		c->ratio = (double)w[0].cosine / w[1].cosine;
	c->valid = c->score >= s->min_sim && (isnan(c->ratio) || c->ratio >= s->min_ratio);
}

static int
stop(struct run *r)
{
	struct self *s = r->self;
	struct concepts all = {.n = s->model.m};
	struct concept_word *words = calloc(s->model.m, (size_t)s->best * sizeof *words);
	size_t j, valid = 0;
	char how[300];

	all.items = calloc(all.n, sizeof *all.items);
	memcpy(all.model, s->model.sha256, sizeof all.model);
	if (!all.items || !words)
		err_memory(&r->err, "concepts", all.n * sizeof *all.items);
	for (j = 0; j < all.n && !r->err.code; j++) {
		name_latent(s, j, &all.items[j], words + j * s->best);
		valid += all.items[j].valid;
	}
	snprintf(how, sizeof how, "{\"by\":\"decoder\",\"words\":%" PRIu64 ",\"published\":%s,\"min_sim\":%.9g,\"min_ratio\":%.9g,\"valid\":%zu}",
	         s->words.rows, s->published ? "true" : "false", s->min_sim, s->min_ratio, valid);
	if (!r->err.code && !concepts_save(&all, r->common.out, how, &r->err) && !r->common.quiet)
		printf("%s: %zu of %zu latents have a valid name, from %" PRIu64 " words\n", r->common.out, valid, all.n, s->words.rows);
	free(all.items);
	free(words);
	return r->err.code;
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	naming_free(&s->naming);
	norm_fit_free(&s->words);
	strings_free(&s->texts);
	mat_free(&s->scratch);
	sae_free(&s->model);
}

const struct program program = {
	.name = "name-concepts",
	.summary = "name a model's latents with words",
	.about = "Reads the embeddings of a vocabulary, a word a row with its text as id, and writes a\n"
	         "concepts file: for each latent the words nearest to its decoder row, and whether the\n"
	         "best is near enough and stands out enough to be a name (`valid`).",
	.example = "  read-embeddings words.npy --ids words.txt | name-concepts -m clip.msae -o concepts.json\n"
	           "  sae-encode -m clip.msae < x.sae | concept-score -c concepts.json --only-valid | report",
	.kind = PROGRAM_SINK, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .ready = ready, .rows = rows, .stop = stop, .clean = clean,
};
