/* plant-embeddings: rows made of known concepts, to try everything else on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "files/concepts.h"
#include "files/modelfile.h"
#include "sae/plant.h"
#include "stream/ids.h"

struct self {
	uint64_t rows, dim, concepts, seed, batch;
	double active, power, noise;
	const char *truth, *names;
	bool codes, vocabulary;
	struct plant plant;
	struct mat x;
	struct csr z;
	struct buf ids;
};

static const struct opt opts[] = {
	OPT_UINT(0, "rows", struct self, rows, "N", "how many rows (default 10000)"),
	OPT_UINT(0, "dim", struct self, dim, "D", "how wide (default 64)"),
	OPT_UINT(0, "concepts", struct self, concepts, "C", "how many concepts are planted (default 48)"),
	OPT_UINT(0, "seed", struct self, seed, "S", "which planting (default 0)"),
	OPT_FLOAT(0, "active", struct self, active, "L0", "concepts in a row on average (default 4)"),
	OPT_FLOAT(0, "power", struct self, power, "P", "frequencies fall as 1/rank^P (default 0.8)"),
	OPT_FLOAT(0, "noise", struct self, noise, "S", "norm of the noise beside concepts of strength 1\n(default 0.2)"),
	OPT_STR(0, "truth", struct self, truth, "FILE", "write the truth there: a model file whose decoder rows are\nthe planted directions, with an encoder that reads them"),
	OPT_STR(0, "names", struct self, names, "FILE", "write the concepts' names there, for concept-score -c\n(goes with --truth)"),
	OPT_FLAG(0, "vocabulary", struct self, vocabulary, "send the concepts themselves instead: a row each, its name as\nid, as text embeddings of words would be"),
	OPT_FLAG(0, "codes", struct self, codes, "send the planted strengths along as column `planted`"),
	OPT_UINT('b', "batch", struct self, batch, "ROWS", "rows a frame (default: as many as make 1 MiB)"),
	OPT_END
};
static const struct self defaults = {.rows = 10000, .dim = 64, .concepts = 48, .active = 4, .power = 0.8, .noise = 0.2};

static int
write_names(struct run *r, const struct sae *model)
{
	struct self *s = r->self;
	struct concepts c = {.n = (size_t)s->concepts};
	char name[32];
	size_t j;

	memcpy(c.model, model->sha256, sizeof c.model);
	c.items = calloc(c.n, sizeof *c.items);
	if (!c.items)
		return err_memory(&r->err, "names", c.n * sizeof *c.items);
	for (j = 0; j < c.n; j++)
		c.items[j] = (struct concept){.latent = (uint32_t)j, .name = strdup(plant_name(j, name)), .valid = true, .score = 1, .ratio = 0.0 / 0.0};
	concepts_save(&c, s->names, "{\"by\":\"planted\"}", &r->err);
	concepts_free(&c);
	return r->err.code;
}

static int
write_truth(struct run *r)
{
	struct self *s = r->self;
	struct sae model;

	if (!s->truth)
		return 0;
	if (plant_model(&s->plant, &model, &r->err))
		return r->err.code;
	model.rows = s->rows;
	model.seed = s->seed;
	if (!model_save(&model, s->truth, NULL, &r->err) && s->names)
		write_names(r, &model);
	sae_free(&model);
	return r->err.code;
}

static int
start(struct run *r)
{
	struct self *s = r->self;
	struct plant_opts o = {(size_t)s->dim, (size_t)s->concepts, s->seed, s->active, s->power, s->noise};

	if (s->names && !s->truth)
		return run_usage(r, "--names needs --truth: names belong to a model file");
	if (s->dim < 1 || s->dim > 65536 || s->concepts < 1 || s->concepts > 1000000)
		return run_usage(r, "--dim is 1 to 65536, --concepts 1 to 1000000");
	if (s->active <= 0 || s->active > (double)s->concepts / 2 || s->power < 0 || s->noise < 0)
		return run_usage(r, "--active is more than 0 and at most half of --concepts; --power and --noise are not negative");
	if (s->vocabulary && s->codes)
		return run_usage(r, "--vocabulary: has no --codes");
	if (s->vocabulary)
		s->rows = s->concepts;
	s->batch = run_batch(r, s->batch, s->dim, s->rows);
	if (plant_init(&s->plant, &o, &r->err))
		return r->err.code;
	return mat_resize(&s->x, (size_t)s->batch, (size_t)s->dim, "x", &r->err);
}

static int
fill_rows(struct run *r, uint64_t row, size_t n)
{
	struct self *s = r->self;
	size_t d = (size_t)s->dim, i;

	if (!s->vocabulary)
		return plant_rows(&s->plant, row, n, r->pool, s->x.data, s->codes ? &s->z : NULL, &r->err);
	for (i = 0; i < n * d; i++)
		s->x.data[i] = s->plant.offset[i % d] + s->plant.dictionary[row * d + i];
	return 0;
}

static int
put_rows(struct run *r, uint64_t row, size_t n)
{
	struct self *s = r->self;
	struct frame f = {.kind = FRAME_ROWS, .n = n, .row = row};
	char id[32];
	size_t i;

	s->ids.len = 0;
	for (i = 0; i < n; i++) {
		snprintf(id, sizeof id, "row-%llu", (unsigned long long)(row + i));
		if (mp_put_str(&s->ids, s->vocabulary ? plant_name((size_t)(row + i), id) : id, &r->err))
			return r->err.code;
	}
	if (fill_rows(r, row, n) ||
	    run_put_dense(r, &f, "x", s->x.data, (size_t)s->dim) || frame_put_strings(&f, "id", n, &s->ids, &r->err) ||
	    (s->codes && frame_put_csr(&f, "planted", csr_view(&s->z), &r->err)))
		return r->err.code;
	return stream_rows(r->out, &f, &r->err);
}

static int
loop(struct run *r)
{
	struct self *s = r->self;
	char id[STREAM_ID_MAX];
	uint64_t at;
	size_t n;

	stream_id(id, r->command, strlen(r->command));
	if (head_set_str(&r->head, "stream", id, &r->err) || head_declare(&r->head, "x", "<f4", 1, &s->dim, &r->err) ||
	    head_declare(&r->head, "id", "str", 0, NULL, &r->err) ||
	    (s->codes && head_declare(&r->head, "planted", "<f4", 1, &s->concepts, &r->err)) || run_put_head(r, &r->head))
		return r->err.code;
	for (at = 0; at < s->rows; at += n) {
		n = (size_t)(s->rows - at < s->batch ? s->rows - at : s->batch);
		if (put_rows(r, at, n))
			return r->err.code;
		run_progress(r, at + n, s->rows);
		if (run_stopped())
			return run_stop(r, at + n);
	}
	return stream_end(r->out, &r->err);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	plant_free(&s->plant);
	mat_free(&s->x);
	csr_free(&s->z);
	buf_free(&s->ids);
}

const struct program program = {
	.name = "plant-embeddings",
	.summary = "make embeddings out of known, named concepts",
	.about = "Writes rows x = offset + sum of a few concepts' directions, each with a strength, +\n"
	         "noise. Concepts have names and power-law frequencies, and --truth keeps what was\n"
	         "planted, so that everything after can be compared with it. Row i depends on the\n"
	         "seed and i alone.",
	.example = "  plant-embeddings --rows 20000 --truth truth.msae --names names.json > x.sae\n"
	           "  normalize -m truth.msae < x.sae | sae-encode -m truth.msae | concept-score -c names.json | report",
	.kind = PROGRAM_SOURCE, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .ready = write_truth, .loop = loop, .clean = clean,
};
