/* sae-encode: embeddings to codes. */
#include "cli/cli.h"
#include "files/modelfile.h"
#include "sae/encode.h"
#include "sae/rowform.h"
#include "sae/topk.h"

#define ALL UINT64_MAX /* -k not given */

struct self {
	const char *path;
	uint64_t k, groups;
	bool keep, as_is, exact, fast;
	struct sae model;
	const struct simd *simd;
	struct encoder *encoder;
	struct csr z, some;
	struct mat scratch, form, skip;
};

static const struct opt opts[] = {
	OPT_STR('m', "model", struct self, path, "MODEL", "the model (needed): a file of ours or of another library"),
	OPT_UINT('k', NULL, struct self, k, "K", "keep the K largest codes of each row; 0: all positive ones\n(default: the model's own k where it has one, else all)"),
	OPT_UINT(0, "groups", struct self, groups, "N", "codes of the first N nested dictionaries only, where the model\nhas such (default: all)"),
	OPT_FLAG(0, "keep", struct self, keep, "pass x on too"),
	OPT_FLAG(0, "exact", struct self, exact, "with -k: certainly the K largest (the default)"),
	OPT_FLAG(0, "fast", struct self, fast, "with -k: almost certainly; says which share of the K largest was\nfound in one row of 64. Values are right either way"),
	OPT_FLAG(0, "as-is", struct self, as_is, "take rows that were not normalised"),
	OPT_END
};
static const struct self defaults = {.k = ALL};

static int
start(struct run *r)
{
	struct self *s = r->self;
	if (!s->path)
		return run_usage(r, "-m MODEL is needed");
	if (simd_pick(&s->simd, r->cpu, &r->err) || model_load(&s->model, s->path, &r->err) ||
	    run_model_fits(r, &s->model, s->path, ~0u))
		return r->err.code;
	if (s->k == ALL)
		s->k = sae_keep(&s->model);
	if (s->groups > s->model.ngroups)
		return run_usage(r, "--groups %llu: the model %s has %zu nested dictionaries", (unsigned long long)s->groups, s->path, s->model.ngroups);
	if (s->k > s->model.m)
		return run_usage(r, "-k %llu is more than the model's %zu latents", (unsigned long long)s->k, s->model.m);
	if (s->exact && s->fast)
		return run_usage(r, "--exact and --fast are opposites");
	s->encoder = encoder_new(&s->model, r->pool, s->simd, &r->err);
	if (s->encoder && s->fast)
		encoder_be_fast(s->encoder);
	return s->encoder ? 0 : r->err.code;
}

static int
check_normalised(struct run *r)
{
	struct self *s = r->self;

	if (run_normalised(r, &s->model, s->path) || s->as_is || sae_takes_raw(&s->model))
		return r->err.code;
	return run_fail(r, CODE_DATA, "%s: these embeddings were not normalised as the model expects; put `normalize -m %s |` before sae-encode (or say --as-is)",
	                stream_name(r->in), s->path);
}

static int
head(struct run *r, struct head *h)
{
	struct self *s = r->self;
	uint64_t m = s->model.m, two = 2, wide = s->model.d_out, d = run_declared_width(h, "x");

	if ((d && run_model_width(r, "x", d, s->path, s->model.d)) || check_normalised(r))
		return r->err.code;
	if (!s->keep)
		head_undeclare(h, "x");
	head_drop(h, "concepts");
	if ((rowform_needed(&s->model) && head_declare(h, "rowform", "<f4", 1, &two, &r->err)) ||
	    (s->model.W_skip && head_declare(h, "skip", "<f4", 1, &wide, &r->err)) ||
	    head_declare(h, "z", "<f4", 1, &m, &r->err))
		return r->err.code;
	return head_set_str(h, "model", s->model.sha256, &r->err);
}

/* What sae-decode needs of rows that codes do not hold. */
static int
put_rest(struct run *r, struct frame *f, const float *x)
{
	struct self *s = r->self;
	size_t n = (size_t)f->n;

	if (rowform_needed(&s->model)) {
		if (mat_resize(&s->form, n, 2, "rowform", &r->err) || mat_resize(&s->skip, n, s->model.d, "rows", &r->err))
			return r->err.code;
		rowform_apply(&s->model, s->skip.data, x, n, s->form.data);
		if (run_put_dense(r, f, "rowform", s->form.data, 2))
			return r->err.code;
	}
	if (!s->model.W_skip)
		return 0;
	if (mat_resize(&s->skip, n, s->model.d_out, "skip", &r->err))
		return r->err.code;
	rowform_skip(&s->model, x, n, r->pool, s->skip.data);
	return run_put_dense(r, f, "skip", s->skip.data, s->model.d_out);
}

/* z of this frame, in s->z or s->some. */
static int
make_codes(struct run *r, const struct frame *f, const float *x, struct csr_view *z)
{
	struct self *s = r->self;
	size_t limit = s->groups ? s->model.groups[s->groups - 1] : s->model.m, k = (size_t)s->k;

	encoder_at(s->encoder, f->row);
	if (encode(s->encoder, x, (size_t)f->n, limit < s->model.m ? 0 : k, &s->z, &r->err))
		return r->err.code;
	*z = csr_view(&s->z);
	if (limit == s->model.m)
		return 0;
	csr_below(&s->z, (uint32_t)limit);
	*z = csr_view(&s->z);
	if (k && topk_rows(*z, k, false, r->pool, s->simd, &s->some, &r->err))
		return r->err.code;
	if (k)
		*z = csr_view(&s->some);
	return 0;
}

/* The weights are everybody's; what is written to, each lane's. */
static int
lane(struct run *r, bool *can)
{
	struct self *s = r->self;

	s->encoder = encoder_share(s->encoder, &r->err);
	*can = s->encoder;
	s->z = s->some = (struct csr){0};
	s->scratch = s->form = s->skip = (struct mat){0};
	return r->err.code;
}

static int
rows(struct run *r, struct frame *f)
{
	struct self *s = r->self;
	struct csr_view z;
	size_t cols;
	const float *x = run_dense(r, f, "x", &cols, &s->scratch);

	if (!x || run_model_width(r, "x", cols, s->path, s->model.d))
		return r->err.code;
	if (make_codes(r, f, x, &z))
		return run_blame(r, f);
	if (put_rest(r, f, x))
		return r->err.code;
	if (!s->keep)
		frame_drop(f, "x");
	return frame_put_csr(f, "z", z, &r->err);
}

/* How it went: --fast states what it found, -v what the screen did. */
static int
stop(struct run *r)
{
	const struct self *s = r->self;
	struct encode_counts c = encoder_counts(s->encoder);

	if (c.wanted)
		warn(r, "--fast: found %llu of %llu codes that belong to the %llu largest, %.4f %%, in one row of 64",
		     (unsigned long long)c.found, (unsigned long long)c.wanted, (unsigned long long)s->k, 100 * (double)c.found / (double)c.wanted);
	if (r->common.verbose && c.screened)
		warn(r, "%.2f %% of the rows were decided by computing %.0f of %zu latents each, the others by all",
		     100 * (double)c.screened / (double)c.rows, (double)c.computed / (double)c.screened, s->model.m);
	return 0;
}

static void
metrics(struct run *r, FILE *to)
{
	const struct self *s = r->self;
	struct encode_counts c;

	if (!s->encoder)
		return; /* it did not come that far */
	c = encoder_counts(s->encoder);
	run_metric(r, to, "encode_rows_screened_total", "counter", "", (double)c.screened);
	run_metric(r, to, "encode_latents_computed_total", "counter", "", (double)c.computed);
}

static void
lane_clean(struct run *r)
{
	struct self *s = r->self;

	encoder_free(s->encoder);
	csr_free(&s->z);
	csr_free(&s->some);
	mat_free(&s->scratch);
	mat_free(&s->form);
	mat_free(&s->skip);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	lane_clean(r);
	sae_free(&s->model);
}

const struct program program = {
	.name = "sae-encode",
	.summary = "turn embeddings into sparse codes",
	.about = "Reads normalised embeddings x and writes codes z = relu((x - b_dec) W_enc + b_enc),\n"
	         "all of them or the K largest of each row. The model's SHA-256 goes into the head,\n"
	         "so that a later stage given another model refuses the stream.\n\n"
	         "Codes are the same bytes on every machine, for every number of threads and size of\n"
	         "frames, and -k K keeps what topk -k K would keep. -k is also quicker: where the CPU\n"
	         "multiplies bytes (AVX-512 VNNI), they find the few latents that may be among the K\n"
	         "largest, with a bound on their error, and only these are computed.\n\n"
	         "Models of other libraries open as they are: SAELens, sparsify, dictionary_learning,\n"
	         "OpenAI's ... (`sae-convert --help` lists them); their own rules decide which codes a row\n"
	         "has. Where such a model normalises each row by itself, or has a skip connection, what\n"
	         "sae-decode needs for that travels in the columns rowform and skip.",
	.example = "  read-embeddings photos/*.npy | normalize -m clip.msae |\n"
	           "    sae-encode -m clip.msae -k 32 > codes.sae",
	.kind = PROGRAM_FILTER, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .head = head, .rows = rows, .lane = lane, .lane_clean = lane_clean, .stop = stop, .clean = clean, .metrics = metrics,
};
