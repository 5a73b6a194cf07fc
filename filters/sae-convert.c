/* sae-convert: models of any library to ours, ours to SAELens; what is in them. */
#include <string.h>

#include "cli/cli.h"
#include "files/modelfile.h"
#include "files/saelens.h"
#include "view/card.h"

struct self {
	const char *from, *to;
	bool info, json;
	struct opt_list set;
	struct sae model;
};

static const struct opt opts[] = {
	OPT_FLAG(0, "info", struct self, info, "write nothing but a description of each FILE"),
	OPT_FLAG(0, "json", struct self, json, "with --info: as JSON"),
	OPT_STR(0, "from", struct self, from, "NAME", "what IN is, where it does not say: msae, SAELens, MSAE, OpenAI,\nHypotheSAEs, DN-CBM, overcomplete, saev, latent-sae, sparsify,\ndictionary_learning, bartbussmann, Prisma, list-comp"),
	OPT_STR(0, "to", struct self, to, "NAME", "msae: one file (default); saelens: a directory (default where\nOUT ends in /)"),
	OPT_LIST(0, "set", struct self, set, "KEY=VALUE", "a setting of IN that its files do not say, or not rightly"),
	OPT_END
};

static int
start(struct run *r)
{
	struct self *s = r->self;

	r->text = s->info;
	if (s->info && (s->to || r->argc < 1))
		return run_usage(r, s->to ? "--info writes no model: without --to" : "--info needs a model to describe");
	if (!s->info && (r->argc != 2 || s->json))
		return run_usage(r, s->json ? "--json goes with --info" : "IN and OUT are needed, %d given", r->argc);
	if (s->to && strcmp(s->to, "msae") != 0 && strcmp(s->to, "saelens") != 0)
		return run_usage(r, "--to %s: msae or saelens", s->to);
	return 0;
}

static int
load(struct run *r, const char *path)
{
	struct self *s = r->self;
	const char *set[64];
	struct guest_opts o = {s->from, set, s->set.n};
	size_t i;

	if (s->set.n > sizeof set / sizeof *set)
		return run_usage(r, "--set %zu times: at most %zu", s->set.n, sizeof set / sizeof *set);
	for (i = 0; i < s->set.n; i++)
		set[i] = s->set.items[i].value;
	sae_free(&s->model);
	return model_load_as(&s->model, path, &o, &r->err) ? r->err.code : run_model_fits(r, &s->model, path, ~0u);
}

static int
describe(struct run *r)
{
	struct self *s = r->self;
	FILE *to;
	int i;

	for (i = 0; i < r->argc; i++) {
		if (load(r, r->argv[i]))
			return r->err.code;
		to = run_text(r);
		if (run_wrote(r, s->json ? card_json(&s->model, r->argv[i], to) : card_text(&s->model, r->argv[i], to)))
			return r->err.code;
		if (!s->json && i + 1 < r->argc && fputc('\n', to) == EOF)
			return run_wrote(r, 1);
	}
	return 0;
}

static int
loop(struct run *r)
{
	struct self *s = r->self;
	const char *out = r->argc > 1 ? r->argv[1] : "";
	size_t n = strlen(out);

	if (s->info)
		return describe(r);
	if (load(r, r->argv[0]))
		return r->err.code;
	if (s->to ? !strcmp(s->to, "saelens") : n && out[n - 1] == '/')
		return saelens_save(&s->model, out, &r->err);
	return model_save(&s->model, out, NULL, &r->err);
}

static void
clean(struct run *r)
{
	sae_free(&((struct self *)r->self)->model);
}

const struct program program = {
	.name = "sae-convert",
	.summary = "bring models of other libraries into one file, and back",
	.operands = "IN OUT | --info FILE...",
	.about = "Reads a model of any library that is known here (a file of weights, or the directory\n"
	         "with its configuration) and writes it as one file of ours; with --to saelens, as the\n"
	         "directory that SAELens loads. Both ways codes and reconstructions stay what they were.\n"
	         "What the other side cannot express is refused by name.\n\n"
	         "All programs open such models with -m directly. Converting is for what a file does not\n"
	         "say of itself (--set), for sharing, and for opening it faster. --info describes any\n"
	         "model: architecture, shapes, normalisation, decoder norms, dead latents.\n\n"
	         "PyTorch files are read as data: nothing in them is run.",
	.example = "  sae-convert --info gemma_sae/ clip.msae\n"
	           "  sae-convert sae/ae.pt words.msae --set dict_class=AutoEncoderTopK\n"
	           "  sae-convert model.pth clip.msae --set activation=TopKReLU_256_RW\n"
	           "  sae-convert clip.msae for_saelens/",
	.kind = PROGRAM_TOOL, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .loop = loop, .clean = clean,
};
