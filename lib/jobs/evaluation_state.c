/* An evaluation's sums as a file: safetensors, so that everything can read it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tensor.h"
#include "base/text.h"
#include "files/infile.h"
#include "files/slots.h"
#include "jobs/evaluation_parts.h"

#define FORMAT "msae-evaluation"
#define VERSION "1"
#define MAX_TENSORS 32
#define MAX_META 24
#define MAX_ROWS (UINT64_C(1) << 53) /* counts stay exact as doubles */

typedef unsigned long long ull;

/* Counts that are not per latent, in the order in which they are saved. */
enum { ROWS, FLAT, ANY, FIRST_ROW, NEXT_ROW, GROUP_ROWS, LEFT_OUT, HEAD_FIRST, HEAD_N, HEAD_CODES, NOW_FIRST, NOW_N, NOW_CODES, COUNTS };

static void
get_counts(const struct evaluation *v, uint64_t c[COUNTS])
{
	const struct groups *g = &v->groups;
	const uint64_t now[COUNTS] = {
		v->quality.rows, v->quality.flat, v->any, v->first_row, v->next_row, g->rows, g->left_out,
		g->head.first, g->head.n, g->head.n ? g->head.z.ptr[g->head.n] : 0, g->now.first, g->now.n, g->now.n ? g->now.z.ptr[g->now.n] : 0,
	};

	memcpy(c, now, sizeof now);
}

static size_t
add_piece(struct group_piece *p, bool head, size_t d, uint64_t codes, struct tensor *t)
{
	if (!p->n)
		return 0;
	t[0] = (struct tensor){head ? "head_x" : "now_x", DT_F4, p->n, d, p->x.data};
	t[1] = (struct tensor){head ? "head_ptr" : "now_ptr", DT_U4, p->n + 1, 1, p->z.ptr};
	t[2] = (struct tensor){head ? "head_idx" : "now_idx", DT_U4, (size_t)codes, 1, p->z.idx};
	t[3] = (struct tensor){head ? "head_val" : "now_val", DT_F4, (size_t)codes, 1, p->z.val};
	return 4;
}

/* Every tensor of a state: what is saved, and where it is loaded to. */
static size_t
tensors_of(struct evaluation *v, const uint64_t c[COUNTS], struct tensor *t)
{
	struct quality *q = &v->quality;
	size_t m = v->model->m, d = v->model->d, levels = q->nks + 1, n = 0;

	t[n++] = (struct tensor){"levels", DT_F8, levels, sizeof *q->levels / sizeof(double), q->levels};
	t[n++] = (struct tensor){"x_sum", DT_F8, QUALITY_PARTS, d, q->x_sum};
	t[n++] = (struct tensor){"x_square", DT_F8, QUALITY_PARTS, 1, q->x_square};
	t[n++] = (struct tensor){"part_rows", DT_U8, QUALITY_PARTS, 1, q->part_rows};
	t[n++] = (struct tensor){"fired", DT_U8, levels, m, q->fired};
	t[n++] = (struct tensor){"latent_rows", DT_U8, m, 1, v->latents.rows};
	t[n++] = (struct tensor){"latent_sum", DT_F8, m, 1, v->latents.sum};
	t[n++] = (struct tensor){"latent_square", DT_F8, m, 1, v->latents.square};
	t[n++] = (struct tensor){"latent_direction", DT_F8, m, d, v->latents.direction};
	if (v->probe_sha[0])
		t[n++] = (struct tensor){"probe", DT_F8, levels, sizeof *v->lp / sizeof(double), v->lp};
	if (v->cknna)
		t[n++] = (struct tensor){"cknna", DT_F8, levels, sizeof *v->groups.levels / sizeof(double), v->groups.levels};
	if (v->model->threshold)
		t[n++] = (struct tensor){"threshold", DT_F4, m, 1, v->model->threshold};
	n += add_piece(&v->groups.head, true, d, c[HEAD_CODES], t + n);
	return n + add_piece(&v->groups.now, false, d, c[NOW_CODES], t + n);
}

/* ---- saving ---- */

struct texts { char keep[24], k[24], d[24], m[24], ks[512], group[24], neighbours[24], cap[32], overlap[32]; };

static size_t
meta_of(struct evaluation *v, struct texts *t, struct st_meta *meta)
{
	const struct sae *s = v->model;
	struct quality *q = &v->quality;
	size_t at = 0, n = 0, i;

	snprintf(t->k, sizeof t->k, "%zu", s->k);
	snprintf(t->keep, sizeof t->keep, "%zu", s->keep);
	snprintf(t->d, sizeof t->d, "%zu", s->d);
	snprintf(t->m, sizeof t->m, "%zu", s->m);
	t->ks[0] = 0;
	for (i = 0; i < q->nks; i++)
		at += (size_t)snprintf(t->ks + at, sizeof t->ks - at, "%s%zu", i ? "," : "", q->ks[i]);
	snprintf(t->group, sizeof t->group, "%zu", v->cknna ? v->groups.size : 0);
	snprintf(t->neighbours, sizeof t->neighbours, "%zu", v->cknna ? v->groups.neighbours : 0);
	snprintf(t->cap, sizeof t->cap, "%.9g", s->soft_cap);
	snprintf(t->overlap, sizeof t->overlap, "%.17g", v->overlap);
	meta[n++] = (struct st_meta){"format", FORMAT};
	meta[n++] = (struct st_meta){"version", VERSION};
	meta[n++] = (struct st_meta){"model", (char *)(uintptr_t)s->sha256};
	meta[n++] = (struct st_meta){"name", v->name};
	meta[n++] = (struct st_meta){"rows_are", v->rows_are};
	meta[n++] = (struct st_meta){"architecture", (char *)(uintptr_t)sae_arch_name(s->arch)};
	meta[n++] = (struct st_meta){"k", t->k};
	meta[n++] = (struct st_meta){"inputs", t->d};
	meta[n++] = (struct st_meta){"latents", t->m};
	meta[n++] = (struct st_meta){"levels", t->ks};
	meta[n++] = (struct st_meta){"group", t->group};
	meta[n++] = (struct st_meta){"neighbours", t->neighbours};
	meta[n++] = (struct st_meta){"soft_cap", t->cap};
	meta[n++] = (struct st_meta){"overlap", t->overlap};
	meta[n++] = (struct st_meta){"probe", v->probe_sha};
	if (s->keep)
		meta[n++] = (struct st_meta){"keep", t->keep};
	if (s->rule)
		meta[n++] = (struct st_meta){"rule", (char *)(uintptr_t)sae_rule_name(s->rule)};
	return n;
}

int
evaluation_save(struct evaluation *v, const char *path, struct err *e)
{
	struct tensor t[MAX_TENSORS];
	struct st_out out[MAX_TENSORS + 1];
	struct st_meta meta[MAX_META];
	struct texts texts;
	uint64_t counts[COUNTS];
	size_t n, i;

	if (evaluation_settle(v, e))
		return e->code;
	get_counts(v, counts);
	n = tensors_of(v, counts, t);
	for (i = 0; i < n; i++)
		out[i] = tensor_out(&t[i]);
	out[n++] = (struct st_out){"counts", DT_U8, 1, {COUNTS}, counts};
	return st_save(path, out, n, meta, meta_of(v, &texts, meta), NULL, e);
}

/* ---- loading ---- */

static const char *
text_of(const struct st_file *f, const char *key, struct err *e)
{
	const char *v = st_meta(f, key);

	if (!v && !e->code)
		err_set(e, CODE_DATA, "metadata %s is missing", key);
	return v ? v : "";
}

static size_t
count_of(const struct st_file *f, const char *key, uint64_t most, struct err *e)
{
	const char *s = text_of(f, key, e);
	uint64_t v = 0;

	if (!e->code && (!meta_count(s, &v) || v > most))
		meta_bad(key, s, "a whole number, not too large", e);
	return e->code ? 0 : (size_t)v;
}

static size_t
levels_of(const struct st_file *f, size_t m, size_t ks[QUALITY_MAX_KS], struct err *e)
{
	const char *s = text_of(f, "levels", e), *at = s;
	size_t n = 0;
	uint64_t k;

	while (!e->code && *at) {
		if (n == QUALITY_MAX_KS || !meta_take_count(&at, &k) || !k || k > m || (n && k <= ks[n - 1]))
			meta_bad("levels", s, "ascending numbers up to the latents", e);
		else
			ks[n++] = (size_t)k;
	}
	return n;
}

/* What the model was, as far as sums have to do with it. */
static int
load_shell(struct evaluation *v, const struct st_file *f, struct err *e)
{
	struct sae *s = &v->shell;
	const char *text;
	int arch;

	s->d = count_of(f, "inputs", 1 << 20, e);
	s->m = count_of(f, "latents", 1 << 26, e);
	s->k = count_of(f, "k", s->m, e);
	text = text_of(f, "architecture", e);
	arch = sae_arch_parse(text);
	if (!e->code && (!s->d || !s->m || arch < 0))
		return meta_bad("architecture", text, "one that is known, with inputs and latents", e);
	text = text_of(f, "soft_cap", e);
	if (!e->code && !meta_real(text, strlen(text), &s->soft_cap))
		return meta_bad("soft_cap", text, "a number from 0 on", e);
	text = text_of(f, "model", e);
	if (!e->code && strlen(text) != SHA256_HEX - 1)
		return meta_bad("model", text, "a SHA-256", e);
	if (e->code)
		return e->code;
	s->arch = (enum sae_arch)arch;
	s->d_out = s->d;
	if (st_meta(f, "keep"))
		s->keep = count_of(f, "keep", s->m, e);
	text = st_meta(f, "rule");
	if (!e->code && text && sae_rule_parse(text) < 0)
		meta_bad("rule", text, "one that is known", e);
	if (e->code)
		return e->code;
	s->rule = text ? (enum sae_rule)sae_rule_parse(text) : RULE_POSITIVE;
	text = st_meta(f, "model");
	memcpy(s->sha256, text, SHA256_HEX);
	if (st_find(f, "threshold")) {
		s->threshold = mem_alloc(s->m * sizeof *s->threshold);
		if (!s->threshold)
			return err_memory(e, "threshold", s->m * sizeof *s->threshold);
	}
	v->model = s;
	return 0;
}

static int
load_texts(struct evaluation *v, const struct st_file *f, struct err *e)
{
	const char *name = text_of(f, "name", e), *rows_are = text_of(f, "rows_are", e), *probe = text_of(f, "probe", e);
	const char *overlap = text_of(f, "overlap", e);
	float checked;

	if (e->code)
		return e->code;
	text_printable(v->name, sizeof v->name, name, strlen(name));
	text_printable(v->rows_are, sizeof v->rows_are, rows_are, strlen(rows_are));
	if (*probe && strlen(probe) != SHA256_HEX - 1)
		return meta_bad("probe", probe, "a SHA-256", e);
	memcpy(v->probe_sha, probe, strlen(probe) + 1);
	if (!meta_real(overlap, strlen(overlap), &checked))
		return meta_bad("overlap", overlap, "a number from 0 on", e);
	v->overlap = strtod(overlap, NULL);
	return 0;
}

/* Room for a piece that is to be loaded. */
static int
make_piece(struct group_piece *p, uint64_t first, uint64_t n, uint64_t codes, const struct groups *g, size_t m, struct err *e)
{
	if (!n)
		return 0;
	if (n > g->size || codes > UINT32_MAX || codes > n * m)
		return err_set(e, CODE_DATA, "tensor counts: %llu rows with %llu codes are no part of a group of %zu", (ull)n, (ull)codes, g->size);
	p->first = first;
	p->n = (size_t)n;
	return mat_resize(&p->x, p->n, g->d, "group", e) ? e->code : csr_resize(&p->z, p->n, m, (size_t)codes, e);
}

static int
check_piece(const struct group_piece *p, size_t m, uint64_t codes, struct err *e)
{
	const struct csr *z = &p->z;
	size_t r;
	uint32_t i;

	if (!p->n)
		return 0;
	if (z->ptr[0] || z->ptr[p->n] != codes)
		return err_set(e, CODE_DATA, "codes of a group are not whole");
	for (r = 0; r < p->n; r++) {
		if (z->ptr[r] > z->ptr[r + 1] || z->ptr[r + 1] > codes)
			return err_set(e, CODE_DATA, "codes of row %zu of a group are not whole", r);
		for (i = z->ptr[r]; i < z->ptr[r + 1]; i++)
			if (z->idx[i] >= m || (i > z->ptr[r] && z->idx[i] <= z->idx[i - 1]) || !(z->val[i] > 0))
				return err_set(e, CODE_DATA, "codes of row %zu of a group are not in order, or not positive", r);
	}
	return 0;
}

static bool
whole(double v)
{
	return v >= 0 && v <= (double)MAX_ROWS && v == floor(v);
}

/* Counts must be counts, and agree with each other as far as sums need it. */
static int
check_counts(const struct evaluation *v, const uint64_t c[COUNTS], struct err *e)
{
	const struct quality *q = &v->quality;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < COUNTS; i++)
		if (c[i] > MAX_ROWS)
			return err_set(e, CODE_DATA, "tensor counts: %llu is too large", (ull)c[i]);
	for (i = 0; i < QUALITY_PARTS; i++)
		sum += q->part_rows[i] <= MAX_ROWS ? q->part_rows[i] : MAX_ROWS;
	if (sum != c[ROWS] || c[FLAT] > c[ROWS] || c[ANY] > 1 || c[ANY] != (c[ROWS] > 0))
		return err_set(e, CODE_DATA, "tensor counts: they do not add up");
	for (i = 0; i <= q->nks; i++)
		if (!whole(v->groups.levels[i].groups) || !whole(v->groups.levels[i].undefined))
			return err_set(e, CODE_DATA, "tensor cknna: numbers of groups are no counts");
	for (i = 0; i < (q->nks + 1) * v->model->m; i++)
		if (q->fired[i] > c[ROWS])
			return err_set(e, CODE_DATA, "tensor fired: a latent is active in more rows than there are");
	return 0;
}

static int
load_sums(struct evaluation *v, const struct st_file *f, struct err *e)
{
	struct groups *g = &v->groups;
	struct tensor t[MAX_TENSORS];
	uint64_t c[COUNTS];
	size_t m = v->model->m, n, i;

	if (tensor_read(f, &(struct tensor){"counts", DT_U8, COUNTS, 1, c}, e))
		return e->code;
	if (v->cknna && (make_piece(&g->head, c[HEAD_FIRST], c[HEAD_N], c[HEAD_CODES], g, m, e) ||
	                 make_piece(&g->now, c[NOW_FIRST], c[NOW_N], c[NOW_CODES], g, m, e)))
		return infile_blame(e, f->path);
	n = tensors_of(v, c, t);
	for (i = 0; i < n; i++)
		if (tensor_read(f, &t[i], e))
			return e->code;
	v->quality.rows = c[ROWS];
	v->quality.flat = c[FLAT];
	v->any = c[ANY];
	v->first_row = c[FIRST_ROW];
	v->next_row = c[NEXT_ROW];
	g->rows = c[GROUP_ROWS];
	g->left_out = c[LEFT_OUT];
	if (check_counts(v, c, e) || check_piece(&g->head, m, c[HEAD_CODES], e) || check_piece(&g->now, m, c[NOW_CODES], e))
		return infile_blame(e, f->path);
	return 0;
}

static int
load(struct evaluation *v, const struct st_file *f, struct err *e)
{
	size_t ks[QUALITY_MAX_KS], nks, group, neighbours;
	const struct st_tensor *direction = st_find(f, "latent_direction");

	if (meta_format(f, FORMAT, VERSION, "a state of sae-eval", NULL, e) || load_shell(v, f, e) || load_texts(v, f, e))
		return e->code;
	nks = levels_of(f, v->model->m, ks, e);
	group = count_of(f, "group", UINT32_MAX / 2, e);
	neighbours = count_of(f, "neighbours", UINT32_MAX / 2, e);
	if (e->code)
		return e->code;
	/* the largest tensor has to be there before room is made on the metadata's word */
	if (!direction || direction->ndim != (v->model->d > 1 ? 2 : 1) || direction->shape[0] != v->model->m ||
	    (direction->ndim == 2 && direction->shape[1] != v->model->d))
		return err_set(e, CODE_DATA, "tensor latent_direction is not of the shape [%zu,%zu]", v->model->m, v->model->d);
	v->cknna = group > 0;
	if (evaluation_make(v, ks, nks, e))
		return e->code;
	if (v->cknna && groups_init(&v->groups, group, neighbours, v->model->d, nks + 1, e))
		e->code = CODE_DATA; /* the file's doing, not the command line's */
	return e->code;
}

int
evaluation_load(struct evaluation *v, const char *path, struct pool *pool, const struct simd *simd, struct err *e)
{
	struct st_file f;

	*v = (struct evaluation){.pool = pool, .simd = simd};
	if (st_open_as(&f, path, "a state of sae-eval", e))
		return e->code;
	if (load(v, &f, e))
		infile_blame(e, path);
	else
		load_sums(v, &f, e);
	st_close(&f);
	if (e->code)
		evaluation_free(v);
	return e->code;
}

/* ---- merging ---- */

int
evaluation_merge(struct evaluation *v, struct evaluation *other, const char *path, struct err *e)
{
	const struct sae *a = v->model, *b = other->model;
	size_t i;

	if (strcmp(a->sha256, b->sha256))
		return err_set(e, CODE_DATA, "%s: is of another model (%.12s...) than the states before (%.12s...)", path, b->sha256, a->sha256);
	if (a->d != b->d || a->m != b->m || v->quality.nks != other->quality.nks ||
	    memcmp(v->quality.ks, other->quality.ks, sizeof v->quality.ks) || v->cknna != other->cknna ||
	    v->groups.size != other->groups.size || v->groups.neighbours != other->groups.neighbours || strcmp(v->probe_sha, other->probe_sha))
		return err_set(e, CODE_DATA, "%s: was measured with other options (--progressive, --group, --neighbours, --probe) than the states before", path);
	if (strcmp(v->rows_are, other->rows_are))
		return err_set(e, CODE_DATA, "%s: its rows are %s, those before are %s", path, other->rows_are, v->rows_are);
	if (evaluation_settle(v, e) || evaluation_settle(other, e))
		return e->code;
	quality_merge(&v->quality, &other->quality);
	latents_merge(&v->latents, &other->latents);
	for (i = 0; i <= v->quality.nks; i++) {
		v->lp[i].kl += other->lp[i].kl;
		v->lp[i].kl_square += other->lp[i].kl_square;
		v->lp[i].same += other->lp[i].same;
	}
	if (!v->any)
		v->first_row = other->first_row;
	v->next_row = other->next_row;
	v->any = v->any || other->any;
	return v->cknna ? groups_merge(&v->groups, &other->groups, &v->quality, e) : 0;
}

struct span { const char *path; uint64_t first, next; };

static int
by_first(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int
read_span(struct span *s, struct err *e)
{
	uint64_t c[COUNTS] = {0};
	struct st_file f;

	if (st_open_as(&f, s->path, "a state of sae-eval", e))
		return e->code;
	if (!meta_format(&f, FORMAT, VERSION, "a state of sae-eval", NULL, e))
		tensor_read(&f, &(struct tensor){"counts", DT_U8, COUNTS, 1, c}, e);
	else
		infile_blame(e, s->path);
	st_close(&f);
	s->first = c[FIRST_ROW];
	s->next = c[NEXT_ROW];
	return e->code;
}

/* s[n] for paths[n], sorted if no two have the same rows. */
static int
order(struct span *s, char *const *paths, size_t n, struct err *e)
{
	size_t i;

	for (i = 0; i < n; i++) {
		s[i].path = paths[i];
		if (read_span(&s[i], e))
			return e->code;
	}
	qsort(s, n, sizeof *s, by_first);
	for (i = 1; i < n && s[i].first >= s[i - 1].next; i++)
		;
	if (i < n)
		for (i = 0; i < n; i++)
			s[i].path = paths[i];
	return 0;
}

int
evaluation_load_all(struct evaluation *v, char *const *paths, size_t n, struct pool *pool, const struct simd *simd, struct err *e)
{
	struct span *s = malloc(n * sizeof *s);
	struct evaluation next;
	size_t i;

	if (!s)
		return err_memory(e, "states", n * sizeof *s);
	if (!order(s, paths, n, e) && !evaluation_load(v, s[0].path, pool, simd, e))
		for (i = 1; i < n && !e->code; i++)
			if (!evaluation_load(&next, s[i].path, pool, simd, e)) {
				evaluation_merge(v, &next, s[i].path, e);
				evaluation_free(&next);
			}
	free(s);
	return e->code;
}
