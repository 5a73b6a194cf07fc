#include "jobs/queries.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "base/text.h"
#include "files/lines.h"
#include "files/matfile.h"
#include "sae/norm.h"
#include "sae/search.h"

#define NOTHING 1e-6   /* a sum of unit vectors that is shorter cancelled out */
#define ROUNDING 1e-12 /* of the largest weight: a smaller one did */

int
queries_concepts(struct queries *q, const char *path, struct err *e)
{
	q->named = true;
	return concepts_load(&q->concepts, path, e) ? e->code : concepts_lexicon(&q->concepts, &q->names, e);
}

int
queries_add_words(struct queries *q, const float *x, const char *const *texts, size_t n, size_t d, struct err *e)
{
	char **more = realloc(q->texts, (q->words + n + 1) * sizeof *more);
	size_t i;

	q->named = q->by_word = true;
	if (!more)
		return err_memory(e, "words", n * sizeof *more);
	q->texts = more;
	if (q->words && d != q->d)
		return err_set(e, CODE_DATA, "words are %zu wide, before they were %zu", d, q->d);
	q->d = d;
	for (i = 0; i < n; i++) {
		more[q->words] = strdup(texts[i]);
		if (!more[q->words])
			return err_memory(e, "words", strlen(texts[i]));
		q->words++;
	}
	return buf_append(&q->vectors, x, n * d * sizeof *x, e);
}

int
queries_end_words(struct queries *q, struct err *e)
{
	float *mean = mem_alloc((q->d + 1) * sizeof *mean), *x = (float *)(void *)q->vectors.data, scale;
	struct norm_fit sums = {0};
	size_t i, j;

	if (!mean)
		err_memory(e, "words", q->d * sizeof *mean);
	else if (!q->words)
		err_set(e, CODE_DATA, "no words");
	else if (!norm_fit_init(&sums, q->d, e)) {
		norm_fit_rows(&sums, x, q->words);
		norm_fit_result(&sums, mean, &scale);
		for (i = 0; i < q->words; i++)
			for (j = 0; j < q->d; j++)
				x[i * q->d + j] -= mean[j];
	}
	for (i = 0; i < q->words && !e->code; i++)
		lexicon_add(&q->names, q->texts[i], (uint32_t)i, false, e);
	lexicon_sort(&q->names);
	norm_fit_free(&sums);
	mem_free(mean);
	return e->code;
}

/* All rows of a matrix file. */
static int
read_matrix(const char *path, struct mat *x, struct err *e)
{
	struct matfile f;

	if (matfile_open(&f, path, NULL, e))
		return e->code;
	if (!f.rows || f.rows > SIZE_MAX / 8 / f.cols)
		err_set(e, CODE_DATA, f.rows ? "%s: too many rows to hold" : "%s: has no rows", path);
	else if (!mat_resize(x, (size_t)f.rows, (size_t)f.cols, path, e) && !matfile_read(&f, 0, x->rows, x->data, e) &&
	         f32_nonfinite(x->data, x->rows * x->cols))
		err_set(e, CODE_DATA, "%s: holds NaN or infinity", path);
	matfile_close(&f);
	return e->code;
}

int
queries_words(struct queries *q, const char *path, const char *ids, struct err *e)
{
	struct mat x = {0};
	struct lines l = {0};
	const char *text;
	size_t i;

	if (!read_matrix(path, &x, e) && !lines_open_rows(&l, ids, x.rows, 0, e))
		for (i = 0; i < x.rows && !lines_row(&l, e); i++) {
			text = l.text;
			if (queries_add_words(q, x.data + i * x.cols, &text, 1, x.cols, e))
				break;
		}
	lines_close(&l);
	mat_free(&x);
	return e->code ? e->code : queries_end_words(q, e);
}

static int
add_query(struct queries *q, const char *text, struct query **new, struct err *e)
{
	struct query *more;

	if (q->n == SEARCH_MAX_QUERIES)
		return err_set(e, CODE_USAGE, "more than %d queries at once", SEARCH_MAX_QUERIES);
	more = realloc(q->items, (q->n + 1) * sizeof *more);
	if (!more)
		return err_memory(e, "queries", (q->n + 1) * sizeof *more);
	q->items = more;
	*new = &more[q->n];
	**new = (struct query){.text = strdup(text)};
	if (!(*new)->text)
		return err_memory(e, "queries", strlen(text));
	q->n++;
	return 0;
}

/* Latents that a name means, from concepts_meant; the caller frees. */
static int
latents_of(const struct queries *q, const struct meant *name, uint32_t **latents, size_t *n, struct err *e)
{
	*latents = calloc(name->count + 1, sizeof **latents);
	if (!*latents)
		return err_memory(e, "latents", name->count * sizeof **latents);
	if (concepts_meant(&q->concepts, name, *latents, n, e))
		free(*latents);
	return e->code;
}

int
queries_sum(struct queries *q, const char *text, struct err *e)
{
	struct query *new = NULL;
	uint32_t *latents;
	size_t t, i, n;

	q->sums = true;
	if (add_query(q, text, &new, e) || expression_parse(&new->sum, text, &q->names, q->by_word ? "word" : "concept", !q->by_word, e))
		return e->code;
	for (t = 0; t < new->sum.n && !q->by_word; t++) {
		if (latents_of(q, &new->sum.terms[t].name, &latents, &n, e))
			return e->code;
		for (i = 0; i < n; i++)
			q->highest = latents[i] > q->highest ? latents[i] : q->highest;
		free(latents);
	}
	return 0;
}

int
queries_file(struct queries *q, const char *path, struct err *e)
{
	struct lines l;

	if (lines_open(&l, path, e))
		return e->code;
	while (lines_next(&l, e) > 0)
		if (queries_sum(q, l.text, e)) {
			e->code = e->code == CODE_USAGE ? CODE_DATA : e->code;
			err_add(e, "%s: line %llu", path, (unsigned long long)l.line);
			break;
		}
	if (!e->code && !l.line)
		err_set(e, CODE_DATA, "%s: no queries in it", path);
	lines_close(&l);
	return e->code;
}

int
queries_rows(struct queries *q, const char *path, struct err *e)
{
	char text[400], shown[300];
	struct query *new = NULL;
	size_t i;

	if (read_matrix(path, &q->rows, e))
		return e->code;
	text_printable(shown, sizeof shown, path, strlen(path));
	for (i = 0; i < q->rows.rows; i++) {
		snprintf(text, sizeof text, "%s#%zu", shown, i);
		if (add_query(q, text, &new, e))
			return e->code;
		new->row = i;
	}
	return 0;
}

void
queries_free(struct queries *q)
{
	size_t i;

	for (i = 0; i < q->n; i++) {
		expression_free(&q->items[i].sum);
		free(q->items[i].text);
	}
	free(q->items);
	for (i = 0; i < q->words; i++)
		free(q->texts[i]);
	free(q->texts);
	lexicon_free(&q->names);
	concepts_free(&q->concepts);
	buf_free(&q->vectors);
	mat_free(&q->rows);
	*q = (struct queries){0};
}

bool
queries_need_model(const struct queries *q, bool codes)
{
	return codes ? q->by_word || q->rows.rows : q->sums && !q->by_word;
}

/* ---- vectors ---- */

static double
length(const double *v, size_t d)
{
	double s = 0;
	size_t i;

	for (i = 0; i < d; i++)
		s += v[i] * v[i];
	return sqrt(s);
}

/* to += from / |from|; nothing where from has no length. */
static void
add_unit(double *to, const float *from, size_t d)
{
	double s = 0;
	size_t i;

	for (i = 0; i < d; i++)
		s += (double)from[i] * from[i];
	for (i = 0; i < d && s > 0; i++)
		to[i] += from[i] / sqrt(s);
}

static int
no_direction(const struct query *query, const char *why, struct err *e)
{
	char shown[100];

	return err_set(e, CODE_DATA, "query '%s': %s", text_printable(shown, sizeof shown, query->text, strlen(query->text)), why);
}

static int
check_latents(const struct queries *q, size_t m, struct err *e)
{
	if (!q->sums || q->by_word || q->highest < m)
		return 0;
	return err_set(e, CODE_USAGE, "latent #%lu: there are %zu, numbered from 0", (unsigned long)q->highest, m);
}

/* term [d] = the sum of unit vectors that a name means. */
static int
term_direction(const struct queries *q, const struct query *query, const struct meant *name, const struct sae *model, size_t d, double *term, struct err *e)
{
	uint32_t *latents;
	size_t n, i;

	memset(term, 0, d * sizeof *term);
	if (q->by_word) {
		for (i = 0; i < name->count; i++)
			add_unit(term, (const float *)(const void *)q->vectors.data + name->entries[i].number * d, d);
	} else {
		if (latents_of(q, name, &latents, &n, e))
			return e->code;
		for (i = 0; i < n; i++)
			add_unit(term, model->W_dec + latents[i] * d, d);
		free(latents);
	}
	if (length(term, d) > NOTHING)
		return 0;
	return no_direction(query, q->by_word ? "a word of it is where the mean of all words is" : "a latent of it has a decoder row of zeros", e);
}

/* sum [d], not yet of unit length; term [d] is scratch. */
static int
sum_direction(const struct queries *q, const struct query *query, const struct sae *model, size_t d, double *sum, double *term, struct err *e)
{
	double len, most = 0;
	size_t t, i;

	memset(sum, 0, d * sizeof *sum);
	for (t = 0; t < query->sum.n; t++) {
		const struct expression_term *x = &query->sum.terms[t];

		if (term_direction(q, query, &x->name, model, d, term, e))
			return e->code;
		len = length(term, d);
		most = fmax(most, fabs(x->weight));
		for (i = 0; i < d; i++)
			sum[i] += x->weight * term[i] / len;
	}
	return length(sum, d) > NOTHING * most ? 0 : no_direction(query, "adds up to nothing", e);
}

static int
row_direction(const struct queries *q, const struct query *query, const struct space *space, double *out, struct err *e)
{
	const float *x = q->rows.data + query->row * space->d;
	double by = 1;
	size_t i;

	for (i = 0; i < space->d; i++)
		out[i] = x[i];
	if (space->l2 && length(out, space->d) > 0)
		by = 1 / length(out, space->d);
	for (i = 0; i < space->d; i++)
		out[i] = space->mean ? (out[i] * by - space->mean[i]) * space->scale : out[i] * by;
	return length(out, space->d) > 0 ? 0 : no_direction(query, space->mean ? "is the mean of the stream's rows" : "is all zeros", e);
}

static int
check_widths(const struct queries *q, const struct space *space, const struct sae *model, struct err *e)
{
	if (q->by_word && q->d != space->d)
		return err_set(e, CODE_DATA, "words are %zu wide, the rows searched %zu", q->d, space->d);
	if (q->rows.rows && q->rows.cols != space->d)
		return err_set(e, CODE_DATA, "rows to find the like of are %zu wide, the rows searched %zu", q->rows.cols, space->d);
	if (model && model->d != space->d)
		return err_set(e, CODE_DATA, "the model takes rows %zu wide, these are %zu", model->d, space->d);
	return 0;
}

/* A query as a vector out [d] of length `len`, but a row as it is with as_is.
 * room [2 d]. */
static int
direction_of(const struct queries *q, const struct query *query, const struct space *space, const struct sae *model, double len, bool as_is,
             double *room, float *out, struct err *e)
{
	size_t d = space->d, i;
	double by;

	if (query->sum.n ? sum_direction(q, query, model, d, room, room + d, e) : row_direction(q, query, space, room, e))
		return e->code;
	by = as_is && !query->sum.n ? 1 : len / length(room, d);
	if (!(length(room, d) * by <= FLT_MAX))
		return no_direction(query, "is beyond what float32 holds", e);
	for (i = 0; i < d; i++)
		out[i] = (float)(room[i] * by);
	return 0;
}

int
queries_directions(const struct queries *q, const struct space *space, const struct sae *model, struct mat *out, struct err *e)
{
	size_t d = space->d, i;
	double *room;

	if (check_widths(q, space, model, e) || (model && check_latents(q, model->m, e)))
		return e->code;
	if (q->sums && !q->by_word && !space->mean)
		return err_set(e, CODE_DATA, "rows are not normalised, and concepts are directions about the model's mean; put `normalize -m MODEL |` before concept-search");
	room = mem_alloc(2 * (d + 1) * sizeof *room);
	if (!room)
		return err_memory(e, "queries", 2 * d * sizeof *room);
	mat_resize(out, q->n, d, "queries", e);
	for (i = 0; i < q->n && !e->code; i++)
		direction_of(q, &q->items[i], space, model, 1, false, room, out->data + i * d, e);
	mem_free(room);
	return e->code;
}

/* ---- codes ---- */

/* row [m] += the concepts of a query, each of length 1 times its weight, *most of
 * them the largest. */
static int
concept_weights(const struct queries *q, const struct query *query, double *row, double *most, struct err *e)
{
	uint32_t *latents;
	size_t t, i, n;

	*most = 0;
	for (t = 0; t < query->sum.n; t++) {
		if (latents_of(q, &query->sum.terms[t].name, &latents, &n, e))
			return e->code;
		*most = fmax(*most, fabs(query->sum.terms[t].weight));
		for (i = 0; i < n; i++)
			row[latents[i]] += query->sum.terms[t].weight / sqrt((double)n);
		free(latents);
	}
	return 0;
}

/* Appends what of row [m] is not zero, but for rounding, to out. */
static int
append_weights(const struct query *query, const double *row, size_t m, double most, struct csr *one, struct csr *out, struct err *e)
{
	size_t j, n = 0;

	if (csr_resize(one, 1, m, m, e))
		return e->code;
	for (j = 0; j < m; j++)
		if (fabs(row[j]) > ROUNDING * most) {
			one->idx[n] = (uint32_t)j;
			one->val[n++] = (float)row[j];
		}
	one->ptr[1] = (uint32_t)n;
	return n ? csr_append(out, csr_view(one), 0, 1, e) : no_direction(query, "adds up to nothing", e);
}

/* Words and rows are encoded, concepts are latents already. */
static bool
is_encoded(const struct queries *q, const struct query *query)
{
	return q->by_word || !query->sum.n;
}

/* codes [queries that are encoded, m], in order. */
static int
encode_some(const struct queries *q, const struct space *space, struct encoder *enc, size_t k, double *room, struct csr *codes, struct err *e)
{
	struct mat x = {0};
	size_t n = 0, i;

	if (mat_resize(&x, q->n, space->d, "queries", e))
		return e->code;
	for (i = 0; i < q->n && !e->code; i++)
		if (is_encoded(q, &q->items[i]))
			direction_of(q, &q->items[i], space, NULL, sqrt((double)space->d), true, room, x.data + n++ * space->d, e);
	if (!e->code)
		encode(enc, x.data, n, k, codes, e);
	mat_free(&x);
	return e->code;
}

int
queries_codes(const struct queries *q, const struct space *space, size_t m, struct encoder *enc, size_t k, struct csr *out, struct err *e)
{
	double *room = mem_alloc((2 * space->d + m + 1) * sizeof *room), most;
	struct csr codes = {0}, one = {0};
	size_t i, at = 0;

	if (!room)
		return err_memory(e, "queries", m * sizeof *room);
	if (!check_latents(q, m, e) && !check_widths(q, space, NULL, e) && !csr_resize(out, 0, m, 0, e) && enc)
		encode_some(q, space, enc, k, room, &codes, e);
	for (i = 0; i < q->n && !e->code; i++) {
		const struct query *query = &q->items[i];

		if (is_encoded(q, query)) {
			if (codes.ptr[at + 1] == codes.ptr[at])
				no_direction(query, "no latent of the model answers to it", e);
			else
				csr_append(out, csr_view(&codes), at, at + 1, e);
			at++;
			continue;
		}
		memset(room, 0, m * sizeof *room);
		if (!concept_weights(q, query, room, &most, e))
			append_weights(query, room, m, most, &one, out, e);
	}
	mem_free(room);
	csr_free(&codes);
	csr_free(&one);
	return e->code;
}
