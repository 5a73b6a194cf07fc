/* JSON lines: an array of numbers a line, or an object with one among its
 * members. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "files/jsonin.h"
#include "files/matback.h"

#define MAX_LINE ((size_t)1 << 26)
#define MAX_DEPTH 32
#define MAX_VALUES ((size_t)1 << 22)

struct jsonl {
	struct buf line;
	uint64_t number;
	json_t *held;      /* the first row, not yet given out; or NULL */
	char *key, *id, *label;
};

static bool
is_numbers(const json_t *v)
{
	return json_is_array(v) && json_array_size(v) && json_is_number(json_array_get(v, 0));
}

/* The next line that is not blank, parsed: 1, 0 at the end, -1. */
static int
read_value(struct jsonl *j, struct source *src, json_t **out, struct err *e)
{
	int got;
	size_t n;

	do {
		j->line.len = 0;
		got = source_line(src, &j->line, MAX_LINE, e);
		if (got <= 0)
			break;
		j->number++;
		for (n = 0; n < j->line.len && strchr(" \t\r\n", j->line.data[n]); n++)
			;
	} while (n == j->line.len);
	if (got > 0 && !jsonin_parse((char *)j->line.data, j->line.len, MAX_DEPTH, MAX_VALUES, out, e))
		return 1;
	if (got)
		err_add(e, "line %llu", (unsigned long long)j->number);
	return got ? -1 : 0;
}

/* The member that holds the numbers, when nobody has named one: there must be
 * exactly one array of numbers. */
static int
choose_key(struct jsonl *j, const json_t *first, struct err *e)
{
	const char *key, *found = NULL;
	size_t n = 0;
	json_t *v;

	if (json_is_array(first) || j->key)
		return 0;
	json_object_foreach((json_t *)(uintptr_t)first, key, v)
		if (is_numbers(v)) {
			found = key;
			n++;
		}
	if (n != 1)
		return err_set(e, CODE_DATA, "line %llu: %zu members are arrays of numbers; name one with --key", (unsigned long long)j->number, n);
	j->key = strdup(found);
	return j->key ? 0 : err_memory(e, "key", strlen(found));
}

static int
find_array(const struct jsonl *j, const json_t *v, const json_t **array, struct err *e)
{
	char text[96];

	*array = json_is_object(v) && j->key ? json_object_get(v, j->key) : v;
	if (!*array)
		return err_set(e, CODE_DATA, "no member \"%s\"", text_printable(text, sizeof text, j->key, strlen(j->key)));
	if (!json_is_array(*array))
		return err_set(e, CODE_DATA, "no array of numbers");
	return 0;
}

static int
take_name(struct buf *to, const char *member, const json_t *v, struct err *e)
{
	const json_t *name = json_object_get(v, member);
	char text[96], digits[32];

	if (json_is_string(name))
		return matnames_put(to, json_string_value(name), json_string_length(name), e);
	if (json_is_integer(name))
		return matnames_put(to, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(name)), e);
	return err_set(e, CODE_DATA, "member \"%s\" is %s; a string or an integer is needed",
	               text_printable(text, sizeof text, member, strlen(member)), name ? "neither string nor integer" : "missing");
}

static int
take_value(const struct jsonl *j, const json_t *v, size_t cols, float *x, struct matnames *names, struct err *e)
{
	const json_t *array = NULL, *number;
	size_t i;

	if (find_array(j, v, &array, e))
		return e->code;
	if (json_array_size(array) != cols)
		return err_set(e, CODE_DATA, "%zu numbers, where %zu are expected", json_array_size(array), cols);
	for (i = 0; i < cols; i++) {
		number = json_array_get(array, i);
		if (!json_is_number(number))
			return err_set(e, CODE_DATA, "element %zu of the array is no number", i);
		x[i] = json_is_integer(number) ? (float)json_integer_value(number) : (float)json_real_value(number);
	}
	if ((j->id && names && take_name(&names->id, j->id, v, e)) || (j->label && names && take_name(&names->label, j->label, v, e)))
		return e->code;
	return 0;
}

static int
next_jsonl(struct matfile *f, size_t most, float *x, struct matnames *names, size_t *got, struct err *e)
{
	struct jsonl *j = f->state;
	json_t *v;
	int more, code;

	for (*got = 0; *got < most; ++*got, x += f->cols) {
		v = j->held;
		j->held = NULL;
		more = v ? 1 : read_value(j, f->src, &v, e);
		if (more <= 0)
			return more ? e->code : 0;
		code = take_value(j, v, (size_t)f->cols, x, names, e);
		json_decref(v);
		if (code)
			return err_add(e, "line %llu", (unsigned long long)j->number);
	}
	return 0;
}

static void
close_jsonl(struct matfile *f)
{
	struct jsonl *j = f->state;

	if (!j)
		return;
	json_decref(j->held);
	buf_free(&j->line);
	free(j->key);
	free(j->id);
	free(j->label);
	free(j);
}

static const struct matback jsonl_back = {next_jsonl, close_jsonl};

/* Copies what the options name, which need not live as long as the file. */
static int
keep(char **to, const char *s, struct err *e)
{
	*to = s ? strdup(s) : NULL;
	return *to || !s ? 0 : err_memory(e, "key", strlen(s));
}

int
mat_open_jsonl(struct matfile *f, const struct matfile_opts *o, struct err *e)
{
	struct jsonl *j = f->state = calloc(1, sizeof *j);
	const json_t *array = NULL;
	int got;

	f->back = &jsonl_back;
	if (!j)
		return err_memory(e, "JSON lines", sizeof *j);
	if (keep(&j->key, o->key, e) || keep(&j->id, o->id, e) || keep(&j->label, o->label, e))
		return e->code;
	got = read_value(j, f->src, &j->held, e);
	if (got < 0)
		return e->code;
	if (!got)
		return err_set(e, CODE_DATA, "no lines in it");
	if (choose_key(j, j->held, e))
		return e->code;
	if (find_array(j, j->held, &array, e))
		return err_add(e, "line %llu", (unsigned long long)j->number);
	f->cols = json_array_size(array);
	f->rows = MATFILE_UNKNOWN;
	f->has_ids = j->id != NULL;
	f->has_labels = j->label != NULL;
	return mat_check_cols(f->cols, e) ? err_add(e, "line %llu", (unsigned long long)j->number) : 0;
}
