#include "files/saelens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "files/infile.h"
#include "files/modelfile.h"
#include "files/slots.h"

#define LAYOUT "6.18.0" /* the version of SAELens whose files these are */
#define WEIGHTS "sae_weights.safetensors"

/* ---- what SAELens can say ---- */

static const char *
architecture(const struct sae *s)
{
	if (s->transcoder)
		return s->W_skip ? "skip_transcoder" : s->threshold ? "jumprelu_transcoder" : "transcoder";
	if (sae_keep(s))
		return "topk";
	return s->threshold ? "jumprelu" : "standard";
}

static int
check(const struct sae *s, struct err *e)
{
	const char *what = NULL;

	if (s->soft_cap > 0)
		what = "a soft cap";
	else if (s->rule != RULE_POSITIVE)
		what = sae_rule_name(s->rule);
	else if (s->arch == ARCH_BATCHTOPK && !s->threshold)
		what = "batchtopk without a threshold";
	else if (sae_keep(s) && s->threshold)
		what = "thresholds and a k in one";
	else if (s->transcoder && sae_keep(s))
		what = "a topk transcoder";
	else if (s->W_skip && (!s->transcoder || s->threshold))
		what = "a skip connection past other codes than a transcoder's relu";
	else if (s->row_norm && !sae_takes_raw(s))
		what = "a mean and scale before rows are normalised one by one";
	else if (s->transcoder && !sae_takes_raw(s))
		what = "a transcoder with a mean and scale";
	return what ? err_set(e, CODE_DATA, "SAELens has no %s: it cannot be written as its directory", what) : 0;
}

static json_t *
list(const size_t *v, size_t n)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		json_array_append_new(a, json_integer((json_int_t)v[i]));
	return a;
}

/* What there is no place for in SAELens's own settings. */
static json_t *
ours(const struct sae *s)
{
	return json_pack("{s:s, s:I, s:I, s:o, s:o, s:s, s:s, s:I, s:I, s:s}", "architecture", sae_arch_name(s->arch), "k", (json_int_t)s->k,
	                 "keep", (json_int_t)s->keep, "nesting", list(s->nesting, s->levels), "groups", list(s->groups, s->ngroups),
	                 "weighting", s->weighting, "trained_on", s->trained_on, "rows", (json_int_t)s->rows, "seed", (json_int_t)s->seed,
	                 "made_by", "msae " MSAE_VERSION);
}

static json_t *
settings(const struct sae *s, bool subtract)
{
	static const char *const norms[] = {"none", "layer_norm", "constant_norm_rescale"};
	json_t *o = json_pack("{s:s, s:I, s:I, s:s, s:s, s:b, s:s, s:s, s:{s:s, s:s, s:o}}", "architecture", architecture(s), "d_in", (json_int_t)s->d,
	                      "d_sae", (json_int_t)s->m, "dtype", "float32", "device", "cpu", "apply_b_dec_to_input", subtract,
	                      "normalize_activations", norms[s->row_norm], "reshape_activations", "none",
	                      "metadata", "sae_lens_version", LAYOUT, "model_name", s->trained_on, "msae", ours(s));

	if (o && sae_keep(s)) {
		json_object_set_new(o, "k", json_integer((json_int_t)sae_keep(s)));
		json_object_set_new(o, "rescale_acts_by_decoder_norm", json_false());
	}
	if (o && s->transcoder)
		json_object_set_new(o, "d_out", json_integer((json_int_t)s->d_out));
	return o;
}

/* ---- weights ---- */

/* A copy of the small tensors and, where rows are not raw, the folded large ones. */
struct folded {
	float *W_enc, *W_dec, *b_enc, *b_dec, *W_skip;
	bool subtract, own;
};

static void
free_folded(struct folded *f)
{
	if (f->own) {
		mem_free(f->W_enc);
		mem_free(f->W_dec);
		mem_free(f->b_enc);
		mem_free(f->b_dec);
	}
	mem_free(f->W_skip);
}

/* ((raw - mean) s - b) W = (raw - (mean + b/s)) (s W), and xhat/s + mean likewise. */
static int
fold(struct folded *f, const struct sae *s, struct err *e)
{
	size_t i, j;
	double shift;

	*f = (struct folded){s->W_enc, s->W_dec, s->b_enc, s->b_dec, NULL, s->b_in == s->b_dec, false};
	if (s->W_skip) {
		if (sae_add(&f->W_skip, s->d_out, s->d, e))
			return e->code;
		mat_transpose(f->W_skip, s->W_skip, s->d, s->d_out);
	}
	if (sae_takes_raw(s))
		return 0;
	*f = (struct folded){NULL, NULL, NULL, NULL, f->W_skip, s->b_in == s->b_dec, true};
	if (sae_add(&f->W_enc, s->d, s->m, e) || sae_add(&f->W_dec, s->m, s->d, e) || sae_add(&f->b_enc, s->m, 1, e) || sae_add(&f->b_dec, s->d, 1, e))
		return e->code;
	for (i = 0; i < s->d * s->m; i++) {
		f->W_enc[i] = s->W_enc[i] * s->scale;
		f->W_dec[i] = s->W_dec[i] / s->scale;
	}
	for (i = 0; i < s->d; i++)
		f->b_dec[i] = (float)((double)s->b_dec[i] / (double)s->scale + (double)s->mean[i]);
	for (j = 0; j < s->m; j++) {
		for (shift = 0, i = 0; i < s->d && !f->subtract; i++)
			shift += (double)s->mean[i] * f->W_enc[i * s->m + j];
		f->b_enc[j] = (float)((double)s->b_enc[j] - shift);
	}
	return 0;
}

static int
write_weights(const struct sae *s, const struct folded *f, const char *path, struct err *e)
{
	struct st_out out[6];
	size_t n = 0;

	out[n++] = (struct st_out){"W_dec", DT_F4, 2, {s->m, s->d_out}, f->W_dec};
	out[n++] = (struct st_out){"W_enc", DT_F4, 2, {s->d, s->m}, f->W_enc};
	out[n++] = (struct st_out){"b_dec", DT_F4, 1, {s->d_out}, f->b_dec};
	out[n++] = (struct st_out){"b_enc", DT_F4, 1, {s->m}, f->b_enc};
	if (s->threshold)
		out[n++] = (struct st_out){"threshold", DT_F4, 1, {s->m}, s->threshold};
	if (s->W_skip)
		out[n++] = (struct st_out){"W_skip", DT_F4, 2, {s->d_out, s->d}, f->W_skip};
	return st_save(path, out, n, NULL, 0, NULL, e);
}

static int
write_norm(const struct sae *s, const char *path, struct err *e)
{
	char format[] = "msae-stats", version[] = "1";
	const struct st_meta meta[] = {{(char[]){"format"}, format}, {(char[]){"version"}, version}};
	const struct st_out out[] = {{"mean", DT_F4, 1, {s->d}, s->mean}, {"scale", DT_F4, 1, {1}, &s->scale},
	                             {"b_dec", DT_F4, 1, {s->d}, s->b_dec}, {"b_enc", DT_F4, 1, {s->m}, s->b_enc}};

	return st_save(path, out, 4, meta, 2, NULL, e);
}

/* ---- the directory ---- */

static const char *const files[] = {"cfg.json", WEIGHTS, SAELENS_NORM};

static void
remove_all(const char *folder)
{
	char path[4200];
	size_t i;

	for (i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, files[i]);
		unlink(path);
	}
	rmdir(folder);
}

static int
write_files(const struct sae *s, const char *folder, struct err *e)
{
	struct folded f = {0};
	char path[4200];
	json_t *o;

	e->code = 0;
	snprintf(path, sizeof path, "%s/%s", folder, WEIGHTS);
	if (!fold(&f, s, e) && !write_weights(s, &f, path, e)) {
		snprintf(path, sizeof path, "%s/cfg.json", folder);
		o = settings(s, f.subtract);
		errno = 0;
		if (!o || json_dump_file(o, path, JSON_INDENT(2)))
			err_sys(e, CODE_IO, "cfg.json: cannot write");
		json_decref(o);
		snprintf(path, sizeof path, "%s/%s", folder, SAELENS_NORM);
		if (!e->code && f.own)
			write_norm(s, path, e);
	}
	free_folded(&f);
	return e->code;
}

int
saelens_save(const struct sae *s, const char *path, struct err *e)
{
	char folder[4096], to[4000];
	size_t n = strlen(path);
	struct stat st;

	if (check(s, e))
		return infile_blame(e, path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n >= sizeof to)
		return err_set(e, CODE_CANTCREATE, "%.60s...: a path that long cannot be made", path);
	memcpy(to, path, n);
	to[n] = 0;
	if (!lstat(to, &st)) {
		err_set(e, CODE_CANTCREATE, "is there already; name a directory that is not");
		return infile_blame(e, path);
	}
	snprintf(folder, sizeof folder, "%s.XXXXXX", to);
	if (!mkdtemp(folder)) {
		err_sys(e, CODE_CANTCREATE, "cannot make the directory");
		return infile_blame(e, path);
	}
	if (!write_files(s, folder, e) && (chmod(folder, 0755) || rename(folder, to)))
		err_sys(e, CODE_CANTCREATE, "cannot put the directory into its place");
	if (e->code) {
		remove_all(folder);
		return infile_blame(e, path);
	}
	return 0;
}

/* ---- back ---- */

static bool
take_list(const json_t *v, size_t *out, size_t *n, size_t most)
{
	size_t i;
	json_int_t x;

	*n = 0;
	for (i = 0; i < json_array_size(v); i++) {
		x = json_integer_value(json_array_get(v, i));
		if (i == SAE_MAX_LEVELS || x < 1 || (size_t)x > most || (i && (size_t)x <= out[i - 1]))
			return false;
		out[i] = (size_t)x;
	}
	*n = i;
	return true;
}

static bool
take_size(const json_t *v, size_t most, size_t *out)
{
	json_int_t x = json_integer_value(v);

	if (x < 0 || (uint64_t)x > most)
		return false;
	*out = (size_t)x;
	return true;
}

static int
read_norm(struct sae *s, const char *path, char norm[SHA256_HEX], struct err *e)
{
	struct slot slots[] = {{"mean", 1, {s->d, 0}, s->mean}, {"scale", 1, {1, 0}, &s->scale},
	                       {"b_dec", 1, {s->d, 0}, s->b_dec}, {"b_enc", 1, {s->m, 0}, s->b_enc}};
	struct st_file f;
	size_t i;

	if (st_open(&f, path, e))
		return e->code;
	for (e->code = 0, i = 0; i < 4 && !e->code; i++)
		slot_read(&f, &slots[i], "", e);
	memcpy(norm, f.sha256, SHA256_HEX);
	st_close(&f);
	if (!e->code && !(s->scale > 0))
		err_set(e, CODE_DATA, "%s: scale is %g; it must be greater than 0", SAELENS_NORM, (double)s->scale);
	for (i = 0; i < s->d * s->m && !e->code; i++) {
		s->W_enc[i] /= s->scale;
		s->W_dec[i] *= s->scale;
	}
	return e->code;
}

int
saelens_recall(struct sae *s, const json_t *config, const char *folder, char norm[SHA256_HEX], struct err *e)
{
	const json_t *o = json_object_get(json_object_get(config, "metadata"), "msae");
	const char *arch = json_string_value(json_object_get(o, "architecture")), *text;
	char path[4200];
	struct stat st;
	size_t x;

	norm[0] = 0;
	if (!json_is_object(o))
		return 0;
	if (!arch || sae_arch_parse(arch) < 0 || !take_size(json_object_get(o, "k"), s->m, &s->k) || !take_size(json_object_get(o, "keep"), s->m, &s->keep) ||
	    !take_list(json_object_get(o, "nesting"), s->nesting, &s->levels, s->m) || !take_list(json_object_get(o, "groups"), s->groups, &s->ngroups, s->m))
		return err_set(e, CODE_DATA, "cfg.json: what msae noted in metadata.msae is not as msae notes it");
	s->arch = (enum sae_arch)sae_arch_parse(arch);
	if ((text = json_string_value(json_object_get(o, "weighting"))))
		snprintf(s->weighting, sizeof s->weighting, "%.63s", text);
	if ((text = json_string_value(json_object_get(o, "trained_on"))))
		snprintf(s->trained_on, sizeof s->trained_on, "%.255s", text);
	if (take_size(json_object_get(o, "rows"), SIZE_MAX, &x))
		s->rows = x;
	if (take_size(json_object_get(o, "seed"), SIZE_MAX, &x))
		s->seed = x;
	snprintf(path, sizeof path, "%s/%s", folder, SAELENS_NORM);
	return s->transcoder || stat(path, &st) ? 0 : read_norm(s, path, norm, e);
}
