/* sae-align: matches the latents of two models one to one. */
#include <string.h>

#include "cli/cli.h"
#include "files/modelfile.h"
#include "sae/align.h"
#include "sae/assign.h"
#include "view/matching.h"

/* What rounding may leave of a gap, for each pair, is far below this. */
#define GAP_A_PAIR 1e-6

struct self {
	bool decoder, json, csv;
	struct side {
		struct matching_model about;
		char sha256[SHA256_HEX];
		struct mat directions;
	} side[2];
	bool swapped; /* B's latents are the rows of what follows: fewer of them */
	struct mat cosines;
	struct assign assign;
	struct matching_pair *pairs;
};

static const struct opt opts[] = {
	OPT_FLAG(0, "decoder", struct self, decoder, "compare rows of the decoder (default: columns of the encoder)"),
	OPT_FLAG(0, "json", struct self, json, "write JSON: the figures and every pair, [latent of A, of B, cosine]"),
	OPT_FLAG(0, "csv", struct self, csv, "write the pairs only, as lines a,b,cosine"),
	OPT_END
};

static int
start(struct run *r)
{
	struct self *s = r->self;

	if (r->argc != 2)
		return run_usage(r, "two model files are needed, %d given", r->argc);
	if (s->json && s->csv)
		return run_usage(r, "one of --json and --csv");
	r->text = true;
	return 0;
}

static int
load(struct run *r, struct side *side, const char *path)
{
	struct self *s = r->self;
	struct side *first = &s->side[0];
	struct sae model;

	if (model_load(&model, path, &r->err))
		return r->err.code;
	if (run_model_fits(r, &model, path, s->decoder ? ~(unsigned)SAE_TRANSCODER : ~0u)) {
		sae_free(&model);
		return r->err.code;
	}
	side->about = (struct matching_model){.path = path, .sha256 = side->sha256, .architecture = sae_arch_name(model.arch), .latents = model.m};
	memcpy(side->sha256, model.sha256, sizeof side->sha256);
	if (side != first && model.d != first->directions.cols)
		run_fail(r, CODE_DATA, "%s: takes %zu inputs, %s %zu: their latents cannot be compared", path, model.d, first->about.path, first->directions.cols);
	else
		align_directions(&side->directions, &model, s->decoder ? ALIGN_DECODER : ALIGN_ENCODER, &side->about.without, &r->err);
	sae_free(&model);
	return r->err.code;
}

static double
mean(const float *v, size_t n)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += (double)v[i];
	return sum / (double)n;
}

/* Cosines, with the smaller model as rows; its directions are not needed any
 * more then. */
static int
compare(struct run *r)
{
	struct self *s = r->self;
	struct side *row = &s->side[0], *col = &s->side[1];
	float *nearest;

	s->swapped = row->about.latents > col->about.latents;
	if (s->swapped)
		row = &s->side[1], col = &s->side[0];
	if (align_cosines(&s->cosines, &row->directions, &col->directions, r->pool, &r->err))
		return r->err.code;
	mat_free(&row->directions);
	mat_free(&col->directions);
	nearest = mem_alloc((row->about.latents + col->about.latents) * sizeof *nearest);
	if (!nearest)
		return err_memory(&r->err, "cosines", (row->about.latents + col->about.latents) * sizeof *nearest);
	align_nearest(&s->cosines, nearest, nearest + row->about.latents);
	row->about.nearest = mean(nearest, row->about.latents);
	col->about.nearest = mean(nearest + row->about.latents, col->about.latents);
	mem_free(nearest);
	return 0;
}

static int
match(struct run *r)
{
	struct self *s = r->self;
	struct assign *a = &s->assign;
	char line[96];
	double gap;

	if (assign_begin(a, s->cosines.data, s->cosines.rows, s->cosines.cols, ASSIGN_MOST, &r->err))
		return r->err.code;
	while (assign_step(a)) {
		snprintf(line, sizeof line, "%zu of %zu latents matched", a->rows - a->left, a->rows);
		run_progress_line(r, line);
		if (run_stopped())
			return run_fail(r, CODE_TRYAGAIN, "stopped: by a signal, %s", line);
	}
	run_progress_clear(r);
	gap = assign_gap(a);
	if (gap > GAP_A_PAIR * (double)a->rows)
		return run_fail(r, CODE_BUG, "the matching is not the best there is: it misses up to %g; please report this", gap);
	return 0;
}

/* In the order of A's latents. */
static size_t
gather(struct self *s)
{
	const struct assign *a = &s->assign;
	const uint32_t *of_a = s->swapped ? a->row_of : a->col_of;
	size_t n = 0, i;

	for (i = 0; i < s->side[0].about.latents; i++)
		if (of_a[i] != ASSIGN_NONE)
			s->pairs[n++] = (struct matching_pair){(uint32_t)i, of_a[i],
			                                       s->cosines.data[s->swapped ? of_a[i] * a->cols + i : i * a->cols + of_a[i]]};
	return n;
}

static int
loop(struct run *r)
{
	struct self *s = r->self;
	size_t inputs;
	struct matching m;

	if (load(r, &s->side[0], r->argv[0]) || load(r, &s->side[1], r->argv[1]))
		return r->err.code;
	inputs = s->side[0].directions.cols;
	if (compare(r) || match(r))
		return r->err.code;
	s->pairs = mem_alloc(s->assign.rows * sizeof *s->pairs);
	if (!s->pairs)
		return err_memory(&r->err, "pairs", s->assign.rows * sizeof *s->pairs);
	m = (struct matching){.a = s->side[0].about, .b = s->side[1].about, .by = s->decoder ? "decoder" : "encoder",
	                      .inputs = inputs, .npairs = gather(s), .pairs = s->pairs};
	return run_wrote(r, matching_write(&m, s->json ? MATCHING_JSON : s->csv ? MATCHING_CSV : MATCHING_TEXT, run_text(r)));
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	mat_free(&s->side[0].directions);
	mat_free(&s->side[1].directions);
	mat_free(&s->cosines);
	assign_free(&s->assign);
	mem_free(s->pairs);
}

const struct program program = {
	.name = "sae-align",
	.summary = "match the latents of two models one to one",
	.operands = "A B",
	.about = "Do two models learn the same concepts? Each latent of A is matched with one of B so that\n"
	         "the mean cosine of the pairs is the largest there is (the Hungarian method); that mean\n"
	         "is the score. By default columns of the encoders are compared, as the paper does. Of\n"
	         "models of different size, the larger has latents left over.\n\n"
	         "Nearest is what a one-to-one matching cannot show: the mean of each latent's largest\n"
	         "cosine with any of the other model's. Where it is far above the score, one model has\n"
	         "several latents for what is one in the other.\n\n"
	         "4,096 latents take a second or two, and memory for all cosines (4 bytes each).",
	.example = "  sae-align run1.msae run2.msae\n"
	           "  sae-align run1.msae run2.msae --decoder --json |\n"
	           "    jq -r '.matching[] | select(.[2] > .9) | @tsv'",
	.kind = PROGRAM_TOOL, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .loop = loop, .clean = clean,
};
