/* steer: sets, scales and adds to chosen concepts of the codes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "files/concepts.h"
#include "files/modelfile.h"
#include "sae/decode.h"
#include "sae/steer.h"

struct self {
	const char *concepts_path, *path;
	bool residual, keep;
	struct opt_list asked;
	struct concepts concepts;
	struct lexicon names;
	struct edit *edits;
	size_t n;
	struct sae model;
	const struct simd *simd;
	struct csr z;
	struct mat rest, scratch;
};

static const struct opt opts[] = {
	OPT_STR('c', "concepts", struct self, concepts_path, "FILE", "the concepts file that names are looked up in"),
	OPT_LIST(0, "set", struct self, asked, "NAME=V", "make a concept's code V in every row"),
	OPT_LIST(0, "scale", struct self, asked, "NAME=F", "multiply it by F; 0 takes the concept away"),
	OPT_LIST(0, "add", struct self, asked, "NAME=V", "add V to it, where it was not active too"),
	OPT_FLAG(0, "keep-residual", struct self, residual, "pass on what the codes leave unsaid, x - xhat, for sae-decode\nto add again (needs -m and a stream with x: sae-encode --keep)"),
	OPT_STR('m', "model", struct self, path, "MODEL", "the model file, for --keep-residual"),
	OPT_FLAG(0, "keep", struct self, keep, "pass x and xhat on too, as they were before"),
	OPT_END
};

static int
add_edits(struct run *r, const struct opt_value *o, const uint32_t *latents, size_t n, double by)
{
	struct self *s = r->self;
	struct edit *more = realloc(s->edits, (s->n + n) * sizeof *more);
	size_t i;

	if (!more)
		return err_memory(&r->err, "edits", (s->n + n) * sizeof *more);
	s->edits = more;
	for (i = 0; i < n; i++)
		s->edits[s->n++] = (struct edit){latents[i], !strcmp(o->option, "set") ? EDIT_SET : !strcmp(o->option, "scale") ? EDIT_SCALE : EDIT_ADD, by};
	return 0;
}

/* NAME=V: the last '=' parts them, since names may have one. */
static int
parse_edit(struct run *r, const struct opt_value *o)
{
	struct self *s = r->self;
	const char *equals = strrchr(o->value, '=');
	uint32_t *latents;
	size_t n;
	double by;
	char *end;

	if (!equals || equals == o->value)
		return run_usage(r, "--%s %s: give it as NAME=NUMBER", o->option, o->value);
	by = strtod(equals + 1, &end);
	if (end == equals + 1 || *end || !isfinite(by))
		return run_usage(r, "--%s %s: a number is needed behind the '='", o->option, o->value);
	if (concepts_named(&s->concepts, &s->names, o->value, (size_t)(equals - o->value), &latents, &n, &r->err))
		return err_add(&r->err, "--%s %s", o->option, o->value);
	add_edits(r, o, latents, n, by);
	free(latents);
	return r->err.code;
}

static int
start(struct run *r)
{
	struct self *s = r->self;
	size_t i;

	if (s->residual != (s->path != NULL))
		return run_usage(r, s->path ? "-m is for --keep-residual" : "--keep-residual needs -m MODEL");
	if (s->concepts_path && (concepts_load(&s->concepts, s->concepts_path, &r->err) || concepts_lexicon(&s->concepts, &s->names, &r->err)))
		return r->err.code;
	for (i = 0; i < s->asked.n; i++)
		if (parse_edit(r, &s->asked.items[i]))
			return r->err.code;
	steer_sort(s->edits, s->n);
	if (!s->path)
		return 0;
	return simd_pick(&s->simd, r->cpu, &r->err) || model_load(&s->model, s->path, &r->err) ? r->err.code
	       : run_model_fits(r, &s->model, s->path, SAE_SIGNED | SAE_OWN_ORDER | SAE_GROUPS);
}

static int
check_latents(struct run *r, uint64_t m)
{
	const struct self *s = r->self;

	if (!s->n || s->edits[s->n - 1].latent < m)
		return 0;
	return run_usage(r, "latent #%lu: the codes have %llu latents, numbered from 0", (unsigned long)s->edits[s->n - 1].latent, (unsigned long long)m);
}

static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	uint64_t d = s->model.d, m = run_declared_width(h, "z");
	struct col c;

	if ((s->concepts_path && run_made_with(r, h, s->concepts_path, s->concepts.model)) ||
	    (s->path && run_made_with(r, h, s->path, s->model.sha256)) || (m && check_latents(r, m)))
		return r->err.code;
	if (s->residual && !head_declared(h, "x", &c))
		return run_fail(r, CODE_DATA, "%s: has no x to take a residual from; make the codes with sae-encode --keep", stream_name(r->in));
	if (!s->keep) {
		head_undeclare(h, "x");
		head_undeclare(h, "xhat");
	}
	return s->residual ? head_declare(h, "residual", "<f4", 1, &d, &r->err) : 0;
}

/* residual = x - xhat of the codes as they came. */
static int
put_residual(struct run *r, struct frame *f, struct csr_view z)
{
	struct self *s = r->self;
	size_t d, i, n;
	const float *x = run_dense(r, f, "x", &d, &s->scratch);

	if (!x || run_model_width(r, "x", d, s->path, s->model.d) || mat_resize(&s->rest, z.rows, d, "residual", &r->err))
		return r->err.code;
	if (z.cols != s->model.m) {
		run_fail(r, CODE_DATA, "z has %zu latents, the model %s has %zu", z.cols, s->path, s->model.m);
		return run_blame(r, f);
	}
	decode(&s->model, z, r->pool, s->simd, s->rest.data);
	for (i = 0, n = z.rows * d; i < n; i++)
		s->rest.data[i] = x[i] - s->rest.data[i];
	return run_put_dense(r, f, "residual", s->rest.data, d);
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	struct csr_view z;

	if (!run_sparse(r, f, "z", &z) || check_latents(r, z.cols) || (s->residual && put_residual(r, f, z)))
		return r->err.code;
	if (!s->keep) {
		frame_drop(f, "x");
		frame_drop(f, "xhat");
	}
	if (steer_rows(z, s->edits, s->n, &s->z, &r->err))
		return run_blame(r, f);
	return frame_put_csr(f, "z", csr_view(&s->z), &r->err);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	lexicon_free(&s->names);
	concepts_free(&s->concepts);
	free(s->edits);
	sae_free(&s->model);
	csr_free(&s->z);
	mat_free(&s->rest);
	mat_free(&s->scratch);
}

const struct program program = {
	.name = "steer",
	.summary = "set, scale and add to chosen concepts",
	.about = "Changes the codes z of chosen concepts in every row, in the order of the command line;\n"
	         "sae-decode then makes embeddings of them. A concept is a name out of the concepts file\n"
	         "or a latent as #17 (or 17, where no concept is called so). A name that several latents\n"
	         "carry validly means all of them. A code that becomes 0 or less is taken away.\n\n"
	         "What x has beyond its codes is lost in a reconstruction; with --keep-residual it\n"
	         "travels along in the column `residual`, and rows differ from what they were by what\n"
	         "was steered alone. x itself is dropped (--keep), since it is not what z says any more.",
	.example = "  normalize -m clip.msae < x.sae | sae-encode -m clip.msae --keep |\n"
	           "    steer -c concepts.json --set beard=4 --scale glasses=0 -m clip.msae --keep-residual |\n"
	           "    sae-decode -m clip.msae | normalize --undo | write-embeddings bearded.npy",
	.kind = PROGRAM_FILTER, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .head = head, .rows = rows, .clean = clean,
};
