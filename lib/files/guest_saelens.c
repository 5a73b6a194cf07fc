/* SAELens: a directory with cfg.json and sae_weights.safetensors. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "files/guest_parts.h"
#include "files/infile.h"
#include "files/jsonin.h"
#include "files/saelens.h"

static bool
match(struct guest *g)
{
	return guest_find(g, "W_enc") && guest_find(g, "W_dec") && !g->torch &&
	       (guest_get(g, "d_sae") || guest_get(g, "architecture") || guest_get(g, "hook_name") || guest_get(g, "hook_point"));
}

/* Versions before 6 have flat settings with other names and defaults. A model
 * that was trained there says so under a key of its own, which says nothing. */
static bool
is_legacy(struct guest *g)
{
	const char *version = guest_text(g, "sae_lens_version", NULL);

	if (!version)
		version = guest_text(g, "metadata.sae_lens_version", NULL);
	return !version || atoi(version) < 6;
}

static const char *
architecture(struct guest *g, bool legacy)
{
	const char *arch = guest_text(g, "architecture", legacy ? "standard" : NULL), *act;

	if (!legacy || !arch || strcmp(arch, "standard") != 0)
		return arch;
	act = guest_text(g, "activation_fn_str", guest_text(g, "activation_fn", "relu"));
	return !strcmp(act, "topk") ? "topk" : arch;
}

/* The file that a training checkpoint keeps its factor in. */
static int
read_scaler(struct guest *g, struct sae *s, struct err *e)
{
	char path[4096], value[32];
	json_t *o = NULL;
	double by = 0;
	int n = snprintf(path, sizeof path, "%s/activation_scaler.json", g->folder), fd = -1;
	uint64_t size;

	if (guest_get(g, "scale")) {
		if (guest_real(g, "scale", 1, &by, e))
			return e->code;
	} else if (n > 0 && (size_t)n < sizeof path && !infile_open(path, &fd, &size, e)) {
		close(fd);
		e->code = 0;
		if (jsonin_load(path, "an activation scaler", 1 << 16, 8, 64, &o, e))
			return e->code;
		by = json_number_value(json_object_get(o, "scaling_factor"));
		json_decref(o);
		snprintf(value, sizeof value, "%.17g", by);
		guest_decides(g, "scaler", value);
	} else {
		return err_set(e, CODE_DATA, "normalize_activations is expected_average_only_in, but activation_scaler.json is not there; "
		               "say the factor with: sae-convert --set scale=NUMBER (1: rows are scaled already)");
	}
	if (!(by > 0) || !isfinite(by))
		return err_set(e, CODE_DATA, "scaling_factor is %g; it must be a number greater than 0", by);
	s->scale = (float)by;
	return 0;
}

static int
normalisation(struct guest *g, struct sae *s, struct err *e)
{
	const json_t *v = guest_get(g, "normalize_activations");
	const char *how = json_is_string(v) ? json_string_value(v) : json_is_true(v) ? "expected_average_only_in" : "none";

	if (v && !json_is_string(v) && !json_is_boolean(v))
		return err_set(e, CODE_DATA, "normalize_activations is neither text nor true or false");
	if (!strcmp(how, "layer_norm"))
		s->row_norm = ROWS_LAYER;
	else if (!strcmp(how, "constant_norm_rescale"))
		s->row_norm = ROWS_LENGTH;
	else if (!strcmp(how, "expected_average_only_in"))
		return read_scaler(g, s, e);
	else if (strcmp(how, "none") != 0)
		return guest_unknown("normalize_activations", how, "none, layer_norm, constant_norm_rescale, expected_average_only_in", e);
	return 0;
}

/* Of the finetuning of versions before 6: what it did is not known well enough
 * to be done here. */
static int
check_finetuned(struct guest *g, const struct sae *s, struct err *e)
{
	float *v = NULL;
	size_t i;

	if (!guest_find(g, "scaling_factor"))
		return 0;
	if (sae_add(&v, s->m, 1, e))
		return e->code;
	if (!guest_vector(g, "scaling_factor", s->m, v, e))
		for (i = 0; i < s->m && !e->code; i++)
			if (v[i] < 1 || v[i] > 1)
				err_set(e, CODE_DATA, "it was finetuned: its scaling_factor is not all 1, which is not understood here");
	mem_free(v);
	return e->code;
}

static int
load_topk(struct guest *g, struct sae *s, bool legacy, struct err *e)
{
	bool rescale = false;

	if (guest_topk(g, s, legacy ? "activation_fn_kwargs.k" : "k", false, e) || guest_flag(g, "rescale_acts_by_decoder_norm", false, &rescale, e))
		return e->code;
	if (rescale)
		guest_fold_norms(s);
	return 0;
}

/* What training writes in between: not folded, a threshold for all. */
static int
load_batchtopk(struct guest *g, struct sae *s, struct err *e)
{
	bool rescale;
	double t;

	s->arch = ARCH_BATCHTOPK;
	if (guest_scalar(g, "topk_threshold", &t, e) || guest_threshold(s, t, false, e) ||
	    guest_flag(g, "rescale_acts_by_decoder_norm", true, &rescale, e))
		return e->code;
	if (rescale)
		guest_fold_norms(s);
	return 0;
}

static int
load_arch(struct guest *g, struct sae *s, const char *arch, bool legacy, struct err *e)
{
	if (!strcmp(arch, "gated"))
		return guest_gated(g, s, "r_mag", "b_gate", "b_mag", e);
	if (guest_vector(g, "b_enc", s->m, s->b_enc, e))
		return e->code;
	s->arch = ARCH_RELU;
	if (!strcmp(arch, "topk"))
		return load_topk(g, s, legacy, e);
	if (!strcmp(arch, "batchtopk") || !strcmp(arch, "matryoshka_batchtopk"))
		return load_batchtopk(g, s, e);
	if (!strcmp(arch, "jumprelu") || !strcmp(arch, "jumprelu_transcoder")) {
		s->arch = ARCH_JUMPRELU;
		return sae_add(&s->threshold, s->m, 1, e) ? e->code : guest_vector(g, "threshold", s->m, s->threshold, e);
	}
	return 0;
}

static int
load_transcoder(struct guest *g, struct sae *s, const char *arch, size_t d, size_t m, struct err *e)
{
	size_t n, d_out;

	if (guest_sizes(g, "W_dec", &n, &d_out, e) || guest_agree(g, "d_out", d_out, "outputs", e) || sae_init_wide(s, d, m, d_out, false, e))
		return e->code;
	if (strcmp(arch, "skip_transcoder") != 0)
		return 0;
	return sae_add(&s->W_skip, d, d_out, e) ? e->code : guest_matrix(g, "W_skip", d, d_out, true, s->W_skip, e);
}

static int
load(struct guest *g, struct sae *s, struct err *e)
{
	static const char *const known[] = {"standard", "topk", "batchtopk", "matryoshka_batchtopk", "jumprelu", "gated",
	                                    "transcoder", "skip_transcoder", "jumprelu_transcoder"};
	bool legacy = is_legacy(g), subtract;
	char norm[SHA256_HEX];
	const char *arch = architecture(g, legacy);
	size_t d, m, i;

	if (!g->config_name && !json_object_size(g->set))
		return err_set(e, CODE_DATA, "no cfg.json beside it, which says how to compute");
	for (i = 0; arch && i < sizeof known / sizeof *known && strcmp(arch, known[i]) != 0; i++)
		;
	if (!arch || i == sizeof known / sizeof *known)
		return guest_unknown("architecture", arch ? arch : "", "standard, topk, batchtopk, matryoshka_batchtopk, jumprelu, gated, transcoder, skip_transcoder, jumprelu_transcoder", e);
	if (guest_sizes(g, "W_enc", &d, &m, e) || guest_agree(g, "d_in", d, "inputs", e) || guest_agree(g, "d_sae", m, "latents", e) ||
	    guest_flag(g, "apply_b_dec_to_input", true, &subtract, e))
		return e->code;
	if (strstr(arch, "transcoder") ? load_transcoder(g, s, arch, d, m, e) : sae_init(s, d, m, false, e))
		return e->code;
	if (!s->transcoder && !subtract && sae_subtract_nothing(s, e))
		return e->code;
	if (guest_weights(g, s, "W_enc", false, "W_dec", false, e) || guest_vector(g, "b_dec", s->d_out, s->b_dec, e) ||
	    load_arch(g, s, arch, legacy, e) || normalisation(g, s, e) || check_finetuned(g, s, e))
		return e->code;
	snprintf(s->trained_on, sizeof s->trained_on, "%.80s %.120s", guest_text(g, "metadata.model_name", guest_text(g, "model_name", "")),
	         guest_text(g, "metadata.hook_name", guest_text(g, "hook_name", guest_text(g, "hook_point", ""))));
	if (saelens_recall(s, g->config, g->folder, norm, e))
		return e->code;
	if (norm[0])
		guest_decides(g, "norm", norm);
	return 0;
}

const struct guest_kind guest_saelens = {"SAELens", match, load};
