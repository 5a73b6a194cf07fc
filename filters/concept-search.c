/* concept-search: the rows that are nearest to what is asked for. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "files/modelfile.h"
#include "jobs/finding.h"

#define MOST_HITS 1000000

struct self {
	const char *concepts, *path, *words, *ids, *like, *file, *column;
	struct opt_list asked;
	uint64_t n;
	bool json, csv;
	struct finding f;
	struct sae model;
	/* the stream at hand */
	const char *from; /* its column */
	bool ready;       /* there are vectors for it */
	struct strings ids_of, labels_of;
	struct mat scratch;
};

static const struct opt opts[] = {
	OPT_LIST('q', "query", struct self, asked, "QUERY", "what to look for (may be repeated): a name, or names with\nweights: \"beard + 2*glasses - hat\""),
	OPT_STR('Q', "queries", struct self, file, "FILE", "more of them, one a line"),
	OPT_STR(0, "like", struct self, like, "FILE", "look for rows like those of a file: each is a query"),
	OPT_UINT('n', NULL, struct self, n, "N", "rows for each query (default 10)"),
	OPT_STR('c', "concepts", struct self, concepts, "FILE", "names are those of a concepts file (or a latent, as #17)"),
	OPT_STR(0, "words", struct self, words, "FILE", "names are words: their embeddings, raw, with --ids; or a\nstream of them with their texts as id"),
	OPT_STR(0, "ids", struct self, ids, "FILE", "the texts of --words FILE, one a line"),
	OPT_STR('m', "model", struct self, path, "MODEL", "the model: for concepts over x, and for words and --like\nover z"),
	OPT_STR(0, "column", struct self, column, "NAME", "the column to search (default z, else x, else xhat)"),
	OPT_FLAG(0, "json", struct self, json, "one JSON line a hit"),
	OPT_FLAG(0, "csv", struct self, csv, "CSV: a line a hit"),
	OPT_END
};
static const struct self defaults = {.n = 10};

static int
words_frame(struct run *r, struct frame *f, void *none)
{
	struct self *s = r->self;
	const char *const *texts;
	const float *x;
	size_t d;

	(void)none;
	if (f->kind == FRAME_HEAD && head_is_set(&r->head, "norm"))
		return run_fail(r, CODE_DATA, "%s: is normalised; words are taken as they come: leave out normalize", s->words);
	if (f->kind != FRAME_ROWS)
		return 0;
	x = run_dense(r, f, "x", &d, &s->scratch);
	texts = x ? run_strings(r, f, "id", &s->ids_of) : NULL;
	if (texts)
		return queries_add_words(&s->f.queries, x, texts, (size_t)f->n, d, &r->err);
	return r->err.code ? r->err.code : run_fail(r, CODE_DATA, "%s: no column id of text: which word is which? (--ids FILE)", s->words);
}

static int
load_words(struct run *r)
{
	struct self *s = r->self;

	if (s->ids)
		return queries_words(&s->f.queries, s->words, s->ids, &r->err);
	if (run_frames_of(r, s->words, words_frame, NULL))
		return r->err.code;
	return queries_end_words(&s->f.queries, &r->err) ? err_add(&r->err, "%s", s->words) : 0;
}

static int
load_queries(struct run *r)
{
	struct self *s = r->self;
	char why[sizeof r->err.text];
	size_t i;

	for (i = 0; i < s->asked.n; i++)
		if (queries_sum(&s->f.queries, s->asked.items[i].value, &r->err)) {
			if (!s->f.queries.named) {
				snprintf(why, sizeof why, "%s", r->err.text);
				return run_usage(r, "-q '%s': %s (names come from -c CONCEPTS or --words FILE)", s->asked.items[i].value, why);
			}
			return err_add(&r->err, "-q '%s'", s->asked.items[i].value);
		}
	return (s->file && queries_file(&s->f.queries, s->file, &r->err)) || (s->like && queries_rows(&s->f.queries, s->like, &r->err)) ? r->err.code : 0;
}

static int
start(struct run *r)
{
	struct self *s = r->self;
	const struct simd *simd;

	if (!s->asked.n && !s->file && !s->like)
		return run_usage(r, "say what to look for: -q QUERY, -Q FILE or --like FILE");
	if (s->concepts && s->words)
		return run_usage(r, "give one of -c and --words: names are concepts or words");
	if ((s->ids && !s->words) || (s->json && s->csv))
		return run_usage(r, s->json ? "give one of --json and --csv" : "--ids is for --words");
	if (!s->n || s->n > MOST_HITS)
		return run_usage(r, "-n %llu: 1 to %d", (unsigned long long)s->n, MOST_HITS);
	r->text = true;
	if (simd_pick(&simd, r->cpu, &r->err) || (s->path && (model_load(&s->model, s->path, &r->err) || run_model_fits(r, &s->model, s->path, ~(unsigned)SAE_TRANSCODER))) ||
	    (s->concepts && queries_concepts(&s->f.queries, s->concepts, &r->err)) || (s->words && load_words(r)) || load_queries(r))
		return r->err.code;
	if (s->path && s->concepts && concepts_of_model(&s->f.queries.concepts, s->concepts, s->path, s->model.sha256, &r->err))
		return r->err.code;
	s->f.model = s->path ? &s->model : NULL;
	return finding_begin(&s->f, (size_t)s->n, r->pool, simd, &r->err);
}

static int
head(struct run *r, struct head *h)
{
	static const char *const usual[] = {"z", "x", "xhat"};
	struct self *s = r->self;
	struct col c;
	size_t i;

	s->from = s->column;
	for (i = 0; i < 3 && !s->from; i++)
		if (head_declared(h, usual[i], &c))
			s->from = usual[i];
	s->from = s->from ? s->from : "z";
	s->ready = false;
	return 0;
}

/* Where the stream's rows are. *mean is the caller's to free. */
static int
find_space(struct run *r, bool codes, size_t width, struct space *space, float **mean)
{
	const struct self *s = r->self;
	char how[16] = "";
	size_t d = 0;
	int got;

	*space = (struct space){.scale = 1, .l2 = head_is_set(&r->head, "l2"), .d = !codes ? width : s->path ? s->model.d : 0};
	got = head_get_norm(&r->head, mean, &d, &space->scale, how, sizeof how, &r->err);
	if (got < 0)
		return err_add(&r->err, "%s", stream_name(r->in));
	if (got && space->d && d != space->d)
		return run_width(r, "norm's mean", d, "rows are", space->d);
	if (got && s->path && !strcmp(how, "model") && d == s->model.d && memcmp(*mean, s->model.mean, d * sizeof **mean))
		warn(r, "%s: was normalised by another model than %s", stream_name(r->in), s->path);
	space->mean = *mean;
	if (!got && codes && s->path) { /* what made the codes was normalised so */
		space->mean = s->model.mean;
		space->scale = s->model.scale;
	}
	return 0;
}

/* The queries as vectors for this stream, at its first rows. */
static int
prepare(struct run *r, bool codes, size_t width)
{
	struct self *s = r->self;
	struct space space;
	float *mean = NULL;

	s->ready = true;
	if (codes && ((s->path && run_made_with(r, &r->head, s->path, s->model.sha256)) ||
	              (s->concepts && run_made_with(r, &r->head, s->concepts, s->f.queries.concepts.model))))
		return r->err.code;
	if (!find_space(r, codes, width, &space, &mean) && finding_stream(&s->f, &space, codes, width, &r->err))
		r->err.code == CODE_USAGE ? 0 : err_add(&r->err, "%s", stream_name(r->in));
	mem_free(mean);
	return r->err.code;
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	const struct col *c = frame_col(f, s->from);
	bool codes = c && c->form == COL_CSR;
	const char *const *ids, *const *labels;
	struct csr_view z = {0};
	const float *x = NULL;
	size_t width = 0;

	if (codes ? !run_sparse(r, f, s->from, &z) : !(x = run_dense(r, f, s->from, &width, &s->scratch)))
		return r->err.code;
	width = codes ? z.cols : width;
	if (!s->ready && prepare(r, codes, width))
		return r->err.code;
	if (codes != s->f.codes || width != s->f.width) {
		run_fail(r, CODE_DATA, "column %s changes its form or width inside a stream", s->from);
		return run_blame(r, f);
	}
	if (codes ? finding_codes(&s->f, z, &r->err) : finding_rows(&s->f, x, (size_t)f->n, &r->err))
		return r->err.code;
	if (!finding_news(&s->f))
		return 0;
	ids = run_strings(r, f, "id", &s->ids_of);
	labels = r->err.code ? NULL : run_strings(r, f, "label", &s->labels_of);
	return r->err.code ? r->err.code : finding_texts(&s->f, f->row, ids, labels, &r->err);
}

static int
stop(struct run *r)
{
	struct self *s = r->self;

	return run_wrote(r, finding_write(&s->f, s->json ? HITS_JSON : s->csv ? HITS_CSV : HITS_TEXT, run_text(r)));
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	finding_free(&s->f);
	sae_free(&s->model);
	strings_free(&s->ids_of);
	strings_free(&s->labels_of);
	mat_free(&s->scratch);
}

const struct program program = {
	.name = "concept-search",
	.summary = "find the rows nearest to concepts, words or other rows",
	.about = "Prints the N rows with the highest cosine to each query, of any number of rows. Over\n"
	         "codes z a concept is weight on its latents; over embeddings x it is its direction in\n"
	         "the decoder, and a word is its embedding about the mean of all words, since texts and\n"
	         "images lie about means of their own. Every name of a sum counts with length 1, times\n"
	         "its weight. Rows of --like are raw, and are normalised as the stream was.\n\n"
	         "Words find most over x; concepts find what the model knows. The longest known name\n"
	         "is taken, blanks and all (a blank stands for _ too); quote it where that goes wrong.",
	.example = "  read-embeddings photos.npy --ids photos.txt | normalize -m clip.msae |\n"
	           "    concept-search --words words.npy --ids words.txt -q zebra -q 'dog - leash'\n"
	           "  concept-search -c concepts.json -q 'beard + 2*glasses' -n 100 --csv < codes.sae",
	.kind = PROGRAM_SINK, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .head = head, .rows = rows, .stop = stop, .clean = clean,
};
