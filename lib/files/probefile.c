#include "files/probefile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "files/infile.h"
#include "files/jsonin.h"
#include "files/slots.h"

#define FORMAT "msae-probe"
#define VERSION "1"
#define MAX_META 16
#define NUMBERS 5        /* metadata that is printed: its texts are kept until written */
#define MAX_WEIGHT 1e30f /* beyond, logits would overflow */

static int
check_size(size_t d, size_t classes, struct err *e)
{
	if (classes < 2 || classes > PROBE_MAX_CLASSES)
		return err_set(e, CODE_DATA, "%zu classes; expected 2 to %d", classes, PROBE_MAX_CLASSES);
	return d && d <= INT32_MAX ? 0 : err_set(e, CODE_DATA, "%zu inputs; expected 1 to %d", d, INT32_MAX);
}

static void
slots_of(const struct probe *p, struct slot t[2])
{
	t[0] = (struct slot){"W", 2, {p->d, p->classes}, p->W};
	t[1] = (struct slot){"b", 1, {p->classes, 0}, p->b};
}

/* Metadata key as a JSON list of n values; NULL with e filled, or, when it may
 * be missing, without. */
static json_t *
list_of(const struct st_file *f, const char *key, struct err *e)
{
	const char *text = st_meta(f, key);
	json_t *list;

	if (!text)
		return NULL;
	if (jsonin_parse(text, strlen(text), 1, PROBE_MAX_CLASSES + 2, &list, e)) {
		err_add(e, "metadata %s", key);
		return NULL;
	}
	if (json_is_array(list))
		return list;
	json_decref(list);
	meta_bad(key, text, "a JSON list", e);
	return NULL;
}

static int
load_names(struct probe *p, const json_t *list, struct err *e)
{
	const char *name;
	size_t i;

	for (i = 0; i < p->classes; i++) {
		name = json_string_value(json_array_get(list, i));
		if (!name)
			return err_set(e, CODE_DATA, "metadata classes: entry %zu is no text", i);
		p->names[i] = strdup(name);
		if (!p->names[i])
			return err_memory(e, "class names", strlen(name));
	}
	return probe_check_names(p, e);
}

static int
load_rows(struct probe *p, const struct st_file *f, struct err *e)
{
	json_t *list, *v;
	size_t i;

	e->code = 0;
	list = list_of(f, "rows", e);
	if (!list)
		return e->code;
	if (json_array_size(list) != p->classes)
		err_set(e, CODE_DATA, "metadata rows has %zu entries for %zu classes", json_array_size(list), p->classes);
	for (i = 0; i < p->classes && !e->code; i++) {
		v = json_array_get(list, i);
		if (!json_is_integer(v) || json_integer_value(v) < 0)
			err_set(e, CODE_DATA, "metadata rows: entry %zu is no whole number from 0 on", i);
		else
			p->rows[i] = (uint64_t)json_integer_value(v);
	}
	json_decref(list);
	return e->code;
}

/* A number >= 0 in full precision; NAN where it is missing. */
static int
load_real(const struct st_file *f, const char *key, double most, double *v, struct err *e)
{
	const char *text = st_meta(f, key);
	float checked;

	if (!text)
		return 0;
	if (!meta_real(text, strlen(text), &checked) || (*v = strtod(text, NULL)) > most)
		return meta_bad(key, text, most < INFINITY ? "a number from 0 to 1" : "a number from 0 on", e);
	return 0;
}

static int
load_meta(struct probe *p, const struct st_file *f, struct err *e)
{
	const char *v;

	if ((v = st_meta(f, "held_out")) && !meta_count(v, &p->held_out))
		return meta_bad("held_out", v, "a whole number", e);
	if ((v = st_meta(f, "seed")) && !meta_count(v, &p->seed))
		return meta_bad("seed", v, "a whole number", e);
	if ((v = st_meta(f, "trained_on")))
		text_printable(p->trained_on, sizeof p->trained_on, v, strlen(v));
	if (load_real(f, "l2", INFINITY, &p->l2, e) || load_real(f, "accuracy", 1, &p->accuracy, e) ||
	    load_real(f, "log_loss", INFINITY, &p->log_loss, e))
		return e->code;
	return load_rows(p, f, e);
}

/* Shapes before anything is allocated on their word. */
static int
load_size(struct probe *p, const struct st_file *f, const json_t *names, struct err *e)
{
	const struct st_tensor *t = st_find(f, "W");
	struct probe dims = {.classes = json_array_size(names)};
	struct slot slots[2];
	char why[64];

	if (!t)
		return err_set(e, CODE_DATA, "tensor W is missing");
	dims.d = t->ndim == 2 && t->shape[0] <= INT32_MAX ? (size_t)t->shape[0] : 0;
	slots_of(&dims, slots);
	snprintf(why, sizeof why, " for %zu classes", dims.classes);
	if (check_size(dims.d ? dims.d : 1, dims.classes, e) || slot_find(f, &slots[0], why, &t, e) ||
	    slot_find(f, &slots[1], why, &t, e) || check_size(dims.d, dims.classes, e))
		return e->code;
	return probe_init(p, dims.d, dims.classes, e);
}

static int
check_weights(const char *name, const float *v, size_t n, struct err *e)
{
	size_t i;

	if (slot_check_finite(name, v, n, e))
		return e->code;
	for (i = 0; i < n; i++)
		if (fabsf(v[i]) > MAX_WEIGHT)
			return err_set(e, CODE_DATA, "tensor %s holds %g: weights beyond %g are no probe's", name, (double)v[i], (double)MAX_WEIGHT);
	return 0;
}

static int
check_tensors(const struct probe *p, struct err *e)
{
	return check_weights("W", p->W, p->d * p->classes, e) || check_weights("b", p->b, p->classes, e) ? e->code : 0;
}

static int
load_open(struct probe *p, const struct st_file *f, struct err *e)
{
	struct slot slots[2];
	json_t *names;

	if (meta_format(f, FORMAT, VERSION, "a probe", "probe --fit makes one", e))
		return infile_blame(e, f->path);
	e->code = 0;
	names = list_of(f, "classes", e);
	if (!names && !e->code)
		err_set(e, CODE_DATA, "metadata classes is missing");
	if (names && !load_size(p, f, names, e))
		load_names(p, names, e);
	json_decref(names);
	if (e->code || load_meta(p, f, e))
		return infile_blame(e, f->path);
	slots_of(p, slots);
	if (slot_read(f, &slots[0], "", e) || slot_read(f, &slots[1], "", e))
		return e->code;
	memcpy(p->sha256, f->sha256, sizeof p->sha256);
	return check_tensors(p, e) ? infile_blame(e, f->path) : 0;
}

int
probe_load(struct probe *p, const char *path, struct err *e)
{
	struct st_file f;

	memset(p, 0, sizeof *p);
	if (st_open_as(&f, path, "a probe", e))
		return e->code;
	if (load_open(p, &f, e))
		probe_free(p);
	st_close(&f);
	return e->code;
}

/* A JSON list as text (free), or NULL. */
static char *
list_text(json_t *list)
{
	char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;

	json_decref(list);
	return text;
}

static char *
names_text(const struct probe *p)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < p->classes; i++)
		json_array_append_new(list, json_string(p->names[i]));
	if (json_array_size(list) == p->classes)
		return list_text(list);
	json_decref(list); /* a name that is not UTF-8 */
	return NULL;
}

static char *
rows_text(const struct probe *p)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < p->classes; i++)
		json_array_append_new(list, json_integer((json_int_t)p->rows[i]));
	return list_text(list);
}

static int
check_saved(const struct probe *p, struct err *e)
{
	const double known[] = {p->l2, p->accuracy, p->log_loss};
	size_t i;

	if (check_size(p->d, p->classes, e) || probe_check_names(p, e) || check_tensors(p, e))
		return e->code;
	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (!isnan(known[i]) && !(known[i] >= 0 && known[i] <= 1e30))
			return err_set(e, CODE_BUG, "a probe's figure is %g", known[i]);
	return 0;
}

struct pairs {
	struct st_meta pair[MAX_META];
	size_t n;
	char text[NUMBERS][32];
};

static void
add_text(struct pairs *p, const char *key, const char *value)
{
	/* st_save reads them only */
	p->pair[p->n++] = (struct st_meta){(char *)(uintptr_t)key, (char *)(uintptr_t)value};
}

static void
add_real(struct pairs *p, char text[32], const char *key, double v)
{
	if (isnan(v))
		return;
	snprintf(text, 32, "%.17g", v);
	add_text(p, key, text);
}

static void
add_count(struct pairs *p, char text[32], const char *key, uint64_t v)
{
	snprintf(text, 32, "%llu", (unsigned long long)v);
	add_text(p, key, text);
}

int
probe_save(struct probe *p, const char *path, struct err *e)
{
	struct pairs m = {.n = 0};
	struct slot slots[2];
	struct st_out out[2];
	char *names, *rows;

	slots_of(p, slots);
	if (check_saved(p, e))
		return infile_blame(e, path);
	out[0] = slot_out(&slots[0]);
	out[1] = slot_out(&slots[1]);
	names = names_text(p);
	rows = rows_text(p);
	add_text(&m, "format", FORMAT);
	add_text(&m, "version", VERSION);
	add_text(&m, "classes", names);
	add_text(&m, "rows", rows);
	add_real(&m, m.text[0], "l2", p->l2);
	add_count(&m, m.text[1], "held_out", p->held_out);
	add_real(&m, m.text[2], "accuracy", p->accuracy);
	add_real(&m, m.text[3], "log_loss", p->log_loss);
	add_count(&m, m.text[4], "seed", p->seed);
	if (p->trained_on[0])
		add_text(&m, "trained_on", p->trained_on);
	if (names && rows)
		st_save(path, out, 2, m.pair, m.n, p->sha256, e);
	else {
		err_set(e, CODE_DATA, "a class name is not UTF-8, or memory is short");
		infile_blame(e, path);
	}
	free(names);
	free(rows);
	return e->code;
}
