#include "files/guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "files/digest.h"
#include "files/guest_parts.h"
#include "files/infile.h"
#include "files/jsonin.h"
#include "files/modelfile.h"
#include "files/slots.h"

#define CONFIG_BYTES ((uint64_t)1 << 24)
#define CONFIG_DEPTH 64
#define CONFIG_VALUES ((size_t)1 << 20)

/* Tried from first to last: those that others could be taken for come late. */
static const struct guest_kind *const kinds[] = {
	&guest_msae, &guest_openai, &guest_hypothesaes, &guest_dncbm, &guest_overcomplete, &guest_saev, &guest_latentsae,
	&guest_sparsify, &guest_dictionary, &guest_saelens, &guest_bartbussmann, &guest_prisma, &guest_listcomp,
};
#define NKINDS (sizeof kinds / sizeof *kinds)

const char *
guest_library(size_t i)
{
	return i < NKINDS ? kinds[i]->library : NULL;
}

static const char *
shown(char out[96], const char *name)
{
	return text_printable(out, 96, name, strlen(name));
}

/* ---- which file ---- */

static char *
join(const char *folder, const char *name)
{
	size_t n = strlen(folder) + strlen(name) + 2;
	char *path = malloc(n);

	if (path)
		snprintf(path, n, "%s%s%s", folder, *folder && folder[strlen(folder) - 1] != '/' ? "/" : "", name);
	return path;
}

static bool
ends(const char *s, const char *with)
{
	size_t n = strlen(s), m = strlen(with);

	return n > m && !strcmp(s + n - m, with);
}

static bool
is_weights(const char *name)
{
	return (ends(name, ".safetensors") || ends(name, ".pt") || ends(name, ".pth")) && strcmp(name, "sparsity.safetensors") != 0 &&
	       strcmp(name, "msae_norm.safetensors") != 0;
}

static bool
is_there(const char *folder, const char *name)
{
	char *path = join(folder, name);
	struct stat st;
	bool is = path && !stat(path, &st) && S_ISREG(st.st_mode);

	free(path);
	return is;
}

/* The file of weights in a directory: the one the libraries give that name, else
 * the only one. */
static int
choose_file(const char *folder, char **path, struct err *e)
{
	static const char *const usual[] = {"sae_weights.safetensors", "sae.safetensors", "ae.pt", "sae.pt"};
	struct dirent *entry;
	char first[256] = "", text[96];
	size_t n = 0, i;
	DIR *dir;

	for (i = 0; i < sizeof usual / sizeof *usual; i++)
		if (is_there(folder, usual[i])) {
			*path = join(folder, usual[i]);
			return *path ? 0 : err_memory(e, "path", strlen(folder));
		}
	dir = opendir(folder);
	if (!dir)
		return err_sys(e, CODE_NOINPUT, "cannot open");
	while ((entry = readdir(dir)))
		if (is_weights(entry->d_name) && n++ == 0)
			snprintf(first, sizeof first, "%.255s", entry->d_name);
	closedir(dir);
	if (!n)
		return err_set(e, CODE_DATA, "a directory without weights: no .safetensors, .pt or .pth in it");
	if (n > 1)
		return err_set(e, CODE_DATA, "a directory with %zu files of weights, %s among them; name the one that is meant", n, shown(text, first));
	*path = join(folder, first);
	return *path ? 0 : err_memory(e, "path", strlen(folder));
}

static int
find_files(struct guest *g, const char *path, struct err *e)
{
	struct stat st;
	const char *slash;

	if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
		if (choose_file(path, &g->weights, e))
			return e->code;
	} else if (!(g->weights = strdup(path))) {
		return err_memory(e, "path", strlen(path));
	}
	slash = strrchr(g->weights, '/');
	g->name = slash ? slash + 1 : g->weights;
	g->folder = slash ? strdup(g->weights) : strdup(".");
	if (!g->folder)
		return err_memory(e, "path", strlen(path));
	if (slash)
		g->folder[slash == g->weights ? 1 : slash - g->weights] = 0;
	return 0;
}

/* ---- tensors ---- */

static struct guest_tensor *
add_tensor(struct guest *g, const char *name, unsigned ndim, const uint64_t *shape, struct err *e)
{
	struct guest_tensor *more = realloc(g->tensors, (g->n + 1) * sizeof *more), *t;

	if (!more) {
		err_memory(e, "tensors", (g->n + 1) * sizeof *more);
		return NULL;
	}
	g->tensors = more;
	t = &more[g->n];
	*t = (struct guest_tensor){.name = strdup(name)};
	if (!t->name) {
		err_memory(e, "tensors", strlen(name));
		return NULL;
	}
	g->n++;
	t->ndim = ndim;
	memcpy(t->shape, shape, (ndim < GUEST_DIMS ? ndim : GUEST_DIMS) * sizeof *shape);
	return t;
}

/* A module's tensors as its state_dict() would name them. */
static void
module_name(char *out, size_t size, const char *path)
{
	static const char *const parts[] = {"_modules.", "_parameters.", "_buffers."};
	size_t at = 0, i;

	while (*path && at + 1 < size) {
		for (i = 0; i < 3; i++)
			if ((at == 0 || out[at - 1] == '.') && !strncmp(path, parts[i], strlen(parts[i])))
				break;
		if (i < 3)
			path += strlen(parts[i]);
		else
			out[at++] = *path++;
	}
	out[at] = 0;
}

struct collect {
	struct guest *g;
	struct err *e;
	bool module;
};

static int
collect_tensor(const char *path, const struct value *v, void *arg)
{
	struct collect *c = arg;
	struct guest_tensor *t;
	char name[512];

	if (v->kind != VALUE_TENSOR)
		return 0;
	if (c->module)
		module_name(name, sizeof name, path);
	else
		snprintf(name, sizeof name, "%.511s", path);
	t = add_tensor(c->g, name, v->as.tensor->ndim, v->as.tensor->shape, c->e);
	if (!t)
		return c->e->code;
	t->what = v;
	t->dtype = v->as.tensor->storage->dtype;
	return 0;
}

static bool
holds_tensors(const struct value *v)
{
	size_t i;

	if (!v || v->kind != VALUE_DICT)
		return false;
	for (i = 1; i < v->as.items.n; i += 2)
		if (v->as.items.v[i]->kind == VALUE_TENSOR)
			return true;
	return false;
}

static int
open_torch(struct guest *g, struct err *e)
{
	static const char *const places[] = {"state_dict", "model_state_dict", "model", "ae", "sae"};
	struct collect c = {g, e, false};
	const struct value *state, *v;
	size_t i;

	if (pt_open(&g->pt, g->weights, e))
		return e->code;
	g->torch = true;
	g->inside = "";
	state = g->pt.root;
	c.module = state->kind == VALUE_OBJECT;
	for (i = 0; i < sizeof places / sizeof *places && !c.module; i++) {
		v = value_get(state, places[i]);
		if (holds_tensors(v)) {
			g->inside = places[i];
			state = v;
			break;
		}
	}
	if (state->kind != VALUE_DICT && state->kind != VALUE_OBJECT)
		return err_set(e, CODE_DATA, "no model: the file does not hold a dict of tensors");
	e->code = 0;
	if (value_each(state, collect_tensor, &c))
		return e->code;
	g->root = guest_plain(g->pt.root);
	return g->root ? 0 : err_memory(e, "configuration", 1);
}

static int
open_safetensors(struct guest *g, struct err *e)
{
	struct guest_tensor *t;
	size_t i;

	if (st_open(&g->st, g->weights, e))
		return e->code;
	for (i = 0; i < g->st.ntensors; i++) {
		t = add_tensor(g, g->st.tensors[i].name, g->st.tensors[i].ndim, g->st.tensors[i].shape, e);
		if (!t)
			return e->code;
		t->what = &g->st.tensors[i];
		t->dtype = g->st.tensors[i].dtype;
	}
	g->root = json_object();
	return g->root ? 0 : err_memory(e, "configuration", 1);
}

const struct guest_tensor *
guest_find(const struct guest *g, const char *name)
{
	size_t i;

	/* of a key that came twice the last counts, as in Python */
	for (i = g->n; i-- > 0;)
		if (!strcmp(g->tensors[i].name, name))
			return &g->tensors[i];
	return NULL;
}

const struct guest_tensor *
guest_need(const struct guest *g, const char *name, struct err *e)
{
	const struct guest_tensor *t = guest_find(g, name);

	if (!t)
		err_set(e, CODE_DATA, "tensor %s is missing", name);
	return t;
}

static int
wrong_shape(const struct guest_tensor *t, const char *want, struct err *e)
{
	char text[96], name[96];

	return err_set(e, CODE_DATA, "tensor %s has shape [%s], expected [%s]", shown(name, t->name),
	               slot_shape(text, sizeof text, t->shape, t->ndim < GUEST_DIMS ? t->ndim : GUEST_DIMS), want);
}

static int
check_type(const struct guest_tensor *t, struct err *e)
{
	char name[96];

	if (t->dtype == DT_F4 || t->dtype == DT_F2 || t->dtype == DT_BF2 || t->dtype == DT_F8)
		return 0;
	return err_set(e, CODE_DATA, "tensor %s holds %s numbers; weights are float32, float64, float16 or bfloat16", shown(name, t->name),
	               t->dtype ? dtype_name(t->dtype) : "8-bit or other");
}

int
guest_sizes(const struct guest *g, const char *name, size_t *rows, size_t *cols, struct err *e)
{
	const struct guest_tensor *t = guest_need(g, name, e);

	if (!t)
		return e->code;
	if (t->ndim != 2 || !t->shape[0] || !t->shape[1] || t->shape[0] > UINT32_MAX || t->shape[1] > UINT32_MAX)
		return wrong_shape(t, "rows,columns", e);
	*rows = (size_t)t->shape[0];
	*cols = (size_t)t->shape[1];
	return check_type(t, e);
}

const struct value *
guest_beside(const struct guest *g, const char *name)
{
	return g->torch ? value_get(g->pt.root, name) : NULL;
}

int
guest_numbers(struct guest *g, const struct guest_tensor *t, float *dst, struct err *e)
{
	return g->torch ? pt_read_f32(&g->pt, t->what, dst, e) : st_read_f32(&g->st, t->what, dst, e);
}

/* A matrix that lies in columns is turned by reading it row by row. */
static int
read_turned(struct guest *g, const struct guest_tensor *t, size_t rows, size_t cols, float *dst, struct err *e)
{
	const struct value *v = t->what;
	struct value_tensor turned;
	struct value copy;
	float *rest;
	size_t n;

	if (g->torch && v->as.tensor->ndim == 2 && v->as.tensor->stride[0] == 1 && v->as.tensor->stride[1] >= v->as.tensor->shape[0]) {
		turned = *v->as.tensor;
		turned.shape[0] = v->as.tensor->shape[1];
		turned.shape[1] = v->as.tensor->shape[0];
		turned.stride[0] = v->as.tensor->stride[1];
		turned.stride[1] = v->as.tensor->stride[0];
		copy = *v;
		copy.as.tensor = &turned;
		return pt_read_f32(&g->pt, &copy, dst, e);
	}
	if (!size_mul(rows, cols, &n) || !size_mul(n, sizeof *rest, &n) || !(rest = mem_alloc(n)))
		return err_memory(e, "model", (unsigned long long)rows * cols * sizeof *rest);
	e->code = 0;
	if (!guest_numbers(g, t, rest, e))
		mat_transpose(dst, rest, cols, rows);
	mem_free(rest);
	return e->code;
}

int
guest_matrix(struct guest *g, const char *name, size_t rows, size_t cols, bool turned, float *dst, struct err *e)
{
	const struct guest_tensor *t = guest_need(g, name, e);
	char want[48];

	if (!t)
		return e->code;
	if (t->ndim != 2 || t->shape[turned] != rows || t->shape[!turned] != cols) {
		snprintf(want, sizeof want, "%zu,%zu", turned ? cols : rows, turned ? rows : cols);
		return wrong_shape(t, want, e);
	}
	if (check_type(t, e))
		return e->code;
	return turned ? read_turned(g, t, rows, cols, dst, e) : guest_numbers(g, t, dst, e);
}

int
guest_vector(struct guest *g, const char *name, size_t n, float *dst, struct err *e)
{
	const struct guest_tensor *t = guest_need(g, name, e);
	char want[24];

	if (!t)
		return e->code;
	if (t->ndim != 1 || t->shape[0] != n) {
		snprintf(want, sizeof want, "%zu", n);
		return wrong_shape(t, want, e);
	}
	return check_type(t, e) ? e->code : guest_numbers(g, t, dst, e);
}

int
guest_scalar(struct guest *g, const char *name, double *out, struct err *e)
{
	const struct guest_tensor *t = guest_find(g, name);
	const struct st_tensor *st;
	unsigned char raw[8];

	if (g->torch)
		return pt_number(&g->pt, t ? t->what : value_get(g->pt.root, name), name, out, e) ? 0 : e->code;
	if (!t)
		return guest_need(g, name, e) ? 0 : e->code;
	st = t->what;
	if (!st->dtype || st->bytes != dtype_size(st->dtype))
		return wrong_shape(t, "1", e);
	if (st_read_raw(&g->st, st, raw, e))
		return e->code;
	*out = dtype_load(raw, st->dtype);
	return 0;
}

/* ---- configuration ---- */

static int
hash_file(const char *path, char hex[SHA256_HEX], struct err *e)
{
	uint64_t size;
	int fd, code;

	if (infile_open(path, &fd, &size, e))
		return e->code;
	code = digest_fd(fd, hex, e);
	close(fd);
	return code;
}

/* The configuration beside the weights, or the one within them. */
static int
read_config(struct guest *g, struct err *e)
{
	static const char *const names[] = {"cfg.json", "config.json"}, *const within[] = {"cfg", "config"};
	char *path;
	size_t i;

	if (g->torch && g->pt.preface) {
		g->config_name = "the first line";
		return jsonin_parse(g->pt.preface, strlen(g->pt.preface), CONFIG_DEPTH, CONFIG_VALUES, &g->config, e) ? err_add(e, "the first line") : 0;
	}
	for (i = 0; i < 2; i++)
		if (json_object_size(json_object_get(g->root, within[i])) > 0) {
			g->config_name = "the configuration in the file";
			g->config = json_incref(json_object_get(g->root, within[i]));
			return 0;
		}
	for (i = 0; i < 2; i++) {
		if (!is_there(g->folder, names[i]))
			continue;
		path = join(g->folder, names[i]);
		if (!path)
			return err_memory(e, "path", strlen(g->folder));
		g->config_name = names[i];
		if (!jsonin_load(path, "a configuration", CONFIG_BYTES, CONFIG_DEPTH, CONFIG_VALUES, &g->config, e))
			hash_file(path, g->config_sha256, e);
		free(path);
		return e->code;
	}
	g->config = g->root ? json_incref(g->root) : NULL;
	return 0;
}

static int
read_settings(struct guest *g, const struct guest_opts *o, struct err *e)
{
	const char *equals;
	char key[64];
	json_t *v;
	size_t i;

	g->set = json_object();
	g->asked = json_object();
	if (!g->set || !g->asked)
		return err_memory(e, "settings", 1);
	for (i = 0; o && i < o->nset; i++) {
		equals = strchr(o->set[i], '=');
		if (!equals || equals == o->set[i] || (size_t)(equals - o->set[i]) >= sizeof key)
			return err_set(e, CODE_USAGE, "--set %.80s: give it as KEY=VALUE", o->set[i]);
		memcpy(key, o->set[i], (size_t)(equals - o->set[i]));
		key[equals - o->set[i]] = 0;
		v = strlen(equals) < 256 ? json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL) : NULL;
		if (!v)
			v = json_string(equals + 1);
		if (!v || json_object_set_new(g->set, key, v))
			return err_set(e, CODE_USAGE, "--set %.80s: not text", o->set[i]);
		guest_decides(g, "set", o->set[i]);
	}
	return 0;
}

static int
check_settings(struct guest *g, const char *library, struct err *e)
{
	char text[96];
	const char *key;
	json_t *v;

	json_object_foreach(g->set, key, v)
		if (!json_object_get(g->asked, key))
			return err_set(e, CODE_USAGE, "--set %s: models of %s have no such setting", shown(text, key), library);
	return 0;
}

/* ---- the whole ---- */

static int
open_files(struct guest *g, const char *path, const struct guest_opts *o, struct err *e)
{
	unsigned char head[9] = {0};
	uint64_t size;
	int fd;

	if (find_files(g, path, e) || infile_open(g->weights, &fd, &size, e))
		return e->code;
	if (size < sizeof head || infile_read_at(fd, head, sizeof head, 0, e))
		size = 0;
	close(fd);
	/* a first line of JSON is saev's, before the archive */
	if (size && head[8] == '{' && head[0] != '{' && memcmp(head, "PK\3\4", 4) != 0) {
		if (open_safetensors(g, e))
			return e->code;
	} else if (open_torch(g, e)) {
		return e->code;
	}
	if (read_settings(g, o, e) || read_config(g, e))
		return e->code;
	return json_is_object(g->config) ? 0 : err_set(e, CODE_DATA, "%s: no object of settings", g->config_name ? g->config_name : "configuration");
}

static const struct guest_kind *
recognise(struct guest *g, const struct guest_opts *o, struct err *e)
{
	char list[256] = "", text[96];
	const char *format = g->torch ? NULL : st_meta(&g->st, "format");
	size_t i, at = 0;

	for (i = 0; i < NKINDS; i++) {
		if (o && o->from ? !strcmp(o->from, kinds[i]->library) : kinds[i]->match(g))
			return kinds[i];
		if (o && o->from && at < sizeof list)
			at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", kinds[i]->library);
	}
	if (o && o->from) {
		err_set(e, CODE_USAGE, "--from %.40s: known are msae, %s", o->from, list);
		return NULL;
	}
	for (i = 0; i < g->n && at < 160; i++)
		at += (size_t)snprintf(list + at, sizeof list - at, "%s%.40s", i ? ", " : "", shown(text, g->tensors[i].name));
	err_set(e, CODE_DATA, "a model of no library that is known here: %zu tensors, %s%s; %s%s; metadata %s%s%s", g->n, g->n ? list : "none",
	        i < g->n ? " ..." : "", g->config_name ? "settings in " : "no configuration beside it", g->config_name ? g->config_name : "",
	        format ? "has format \"" : "has no format", format ? shown(text, format) : "", format ? "\"" : "");
	return NULL;
}

static int
digest(struct guest *g, struct sae *s, struct err *e)
{
	char weights[SHA256_HEX];
	struct sha256_ctx sum;

	if (g->torch ? digest_fd(g->pt.fd, weights, e) : 0)
		return e->code;
	if (!g->torch)
		memcpy(weights, g->st.sha256, sizeof weights);
	if (!g->config_sha256[0] && !g->decides[0]) {
		memcpy(s->sha256, weights, sizeof weights);
		return 0;
	}
	sha256_init(&sum);
	sha256_update(&sum, 8, (const uint8_t *)"weights ");
	sha256_update(&sum, SHA256_HEX - 1, (const uint8_t *)weights);
	sha256_update(&sum, 1, (const uint8_t *)"\n");
	if (g->config_sha256[0]) {
		sha256_update(&sum, 7, (const uint8_t *)"config ");
		sha256_update(&sum, SHA256_HEX - 1, (const uint8_t *)g->config_sha256);
		sha256_update(&sum, 1, (const uint8_t *)"\n");
	}
	sha256_update(&sum, strlen(g->decides), (const uint8_t *)g->decides);
	digest_hex(&sum, s->sha256);
	return 0;
}

static int
load(struct guest *g, struct sae *s, const struct guest_opts *o, struct err *e)
{
	const struct guest_kind *kind = recognise(g, o, e);
	char text[sizeof s->trained_on];

	if (!kind)
		return e->code;
	if (kind->load(g, s, e))
		return e->code == CODE_USAGE ? e->code : err_add(e, "a model of %s", kind->library);
	snprintf(s->library, sizeof s->library, "%s", kind->library);
	memcpy(text, s->trained_on, sizeof text);
	text_printable(s->trained_on, sizeof s->trained_on, text, strlen(text));
	return check_settings(g, kind->library, e) || guest_settle(s, e) || model_check(s, e) ? e->code : digest(g, s, e);
}

static void
close_guest(struct guest *g)
{
	size_t i;

	for (i = 0; i < g->n; i++)
		free(g->tensors[i].name);
	free(g->tensors);
	if (g->pt.path)
		pt_close(&g->pt);
	if (g->st.path)
		st_close(&g->st);
	json_decref(g->root);
	json_decref(g->config);
	json_decref(g->set);
	json_decref(g->asked);
	free(g->weights);
	free(g->folder);
}

/* Readers of one file name it in their errors; it may be another than path. */
static int
blame(struct err *e, const char *path, const char *weights)
{
	char name[400];
	const char *given[2] = {weights, path};
	size_t i;

	for (i = 0; i < 2; i++)
		if (given[i]) {
			text_printable(name, sizeof name, given[i], strlen(given[i]));
			if (!strncmp(e->text, name, strlen(name)) && (e->text[strlen(name)] == ':' || e->text[strlen(name)] == '/'))
				return e->code;
		}
	return infile_blame(e, path);
}

int
guest_load(struct sae *s, const char *path, const struct guest_opts *o, struct err *e)
{
	struct guest g = {0};

	memset(s, 0, sizeof *s);
	e->code = 0;
	if (open_files(&g, path, o, e) || load(&g, s, o, e)) {
		sae_free(s);
		blame(e, path, g.weights);
	}
	close_guest(&g);
	return e->code;
}
