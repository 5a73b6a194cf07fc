/* Libraries that save a state dict, with little around it: HypotheSAEs, DN-CBM,
 * overcomplete, saev, bartbussmann's, Prisma and its relatives. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "files/guest_parts.h"

/* Encoder and decoder as torch.nn.Linear has them, or W_enc and W_dec. */
static int
begin(struct guest *g, struct sae *s, bool linear, const char *b_enc, const char *b_dec, struct err *e)
{
	const char *enc = linear ? "encoder.weight" : "W_enc", *dec = linear ? "decoder.weight" : "W_dec";

	return guest_begin(g, s, enc, linear, false, e) || guest_weights(g, s, enc, linear, dec, linear, e) ||
	       (b_enc && guest_vector(g, b_enc, s->m, s->b_enc, e)) || guest_vector(g, b_dec, s->d, s->b_dec, e) ? e->code : 0;
}

/* ---- HypotheSAEs ---- */

static bool
match_hypothesaes(struct guest *g)
{
	return guest_find(g, "input_bias") && guest_find(g, "neuron_bias") && guest_find(g, "encoder.weight");
}

static int
load_hypothesaes(struct guest *g, struct sae *s, struct err *e)
{
	const json_t *prefixes = guest_get(g, "prefix_lengths");
	bool batch;
	size_t i, end;
	double t;

	if (begin(g, s, true, "neuron_bias", "input_bias", e) || guest_flag(g, "use_batch_topk", false, &batch, e) ||
	    guest_agree(g, "input_dim", s->d, "inputs", e) || guest_agree(g, "m_total_neurons", s->m, "latents", e) || guest_topk(g, s, "k_active_neurons", false, e))
		return e->code;
	for (i = 0; i < json_array_size(prefixes) && i < SAE_MAX_LEVELS; i++) {
		end = (size_t)json_integer_value(json_array_get(prefixes, i));
		if (end <= (i ? s->groups[i - 1] : 0) || end > s->m)
			return err_set(e, CODE_DATA, "prefix_lengths do not rise to the %zu latents", s->m);
		s->groups[s->ngroups++] = end;
	}
	if (!batch)
		return 0;
	s->arch = ARCH_BATCHTOPK;
	return guest_scalar(g, "threshold", &t, e) ? e->code : guest_threshold(s, t, false, e);
}

const struct guest_kind guest_hypothesaes = {"HypotheSAEs", match_hypothesaes, load_hypothesaes};

/* ---- DN-CBM ---- */

static bool
match_dncbm(struct guest *g)
{
	return guest_find(g, "encoder._weight") && guest_find(g, "decoder._weight") && guest_find(g, "tied_bias");
}

/* A first axis, of hook points, which is there or not, and has one in DN-CBM. */
static void
drop_axis(struct guest *g, const char *name, unsigned ndim)
{
	struct guest_tensor *t;

	for (t = g->tensors; t < g->tensors + g->n; t++)
		if (!strcmp(t->name, name) && t->ndim == ndim + 1 && t->shape[0] == 1) {
			t->ndim = ndim;
			memmove(t->shape, t->shape + 1, ndim * sizeof *t->shape);
		}
}

static int
load_dncbm(struct guest *g, struct sae *s, struct err *e)
{
	drop_axis(g, "encoder._weight", 2);
	drop_axis(g, "decoder._weight", 2);
	drop_axis(g, "encoder._bias", 1);
	drop_axis(g, "tied_bias", 1);
	if (guest_begin(g, s, "encoder._weight", true, false, e) || guest_weights(g, s, "encoder._weight", true, "decoder._weight", true, e))
		return e->code;
	s->arch = ARCH_RELU;
	return guest_vector(g, "encoder._bias", s->m, s->b_enc, e) || guest_vector(g, "tied_bias", s->d, s->b_dec, e) ? e->code : 0;
}

const struct guest_kind guest_dncbm = {"DN-CBM", match_dncbm, load_dncbm};

/* ---- overcomplete ---- */

static bool
match_overcomplete(struct guest *g)
{
	return guest_find(g, "encoder.final_block.0.weight") != NULL;
}

/* A row's norm, or the largest of all for the names with max_. */
static double
row_norm(const float *row, size_t d, bool l1)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < d; i++)
		sum += l1 ? fabs((double)row[i]) : (double)row[i] * row[i];
	return l1 ? sum : sqrt(sum);
}

static int
normalise_dictionary(struct guest *g, struct sae *s, struct err *e)
{
	const char *how = guest_text(g, "normalization", "l2");
	bool most = !strncmp(how, "max_", 4), l1 = !strcmp(how + 4 * most, "l1"), none = !strcmp(how, "identity");
	double largest = 0, by = 0, n;
	size_t i, j;

	if (!none && !l1 && strcmp(how + 4 * most, "l2") != 0)
		return guest_unknown("normalization", how, "l2, max_l2, l1, max_l1, identity", e);
	if (guest_find(g, "dictionary.multiplier") && guest_scalar(g, "dictionary.multiplier", &by, e))
		return e->code;
	for (j = 0; j < s->m; j++)
		largest = fmax(largest, row_norm(s->W_dec + j * s->d, s->d, l1));
	for (j = 0; j < s->m; j++) {
		n = none ? 1 : most ? largest : row_norm(s->W_dec + j * s->d, s->d, l1) + 1e-8;
		for (i = 0; i < s->d && n > 0; i++)
			s->W_dec[j * s->d + i] = (float)((double)s->W_dec[j * s->d + i] / n * exp(by));
	}
	snprintf(s->folded, sizeof s->folded, "the dictionary's normalisation (%s) and multiplier into the decoder", how);
	return 0;
}

static int
load_overcomplete(struct guest *g, struct sae *s, struct err *e)
{
	const char *name = "dictionary._weights", *fused = "dictionary._fused_dictionary";
	bool whole = guest_find(g, fused) != NULL;

	if (guest_find(g, "dictionary.Relax") || guest_find(g, "dictionary.W"))
		return err_set(e, CODE_DATA, "an archetypal dictionary is not understood here; save its fused dictionary as dictionary._weights");
	if (guest_begin(g, s, "encoder.final_block.0.weight", true, false, e) ||
	    guest_weights(g, s, "encoder.final_block.0.weight", true, whole ? fused : name, false, e) ||
	    guest_vector(g, "encoder.final_block.0.bias", s->m, s->b_enc, e) || (!whole && normalise_dictionary(g, s, e)))
		return e->code;
	s->arch = ARCH_RELU;
	if (guest_find(g, "thresholds")) {
		s->arch = ARCH_JUMPRELU;
		if (guest_log_threshold(g, s, "thresholds", true, e))
			return e->code;
	}
	if (guest_get(g, "top_k"))
		return guest_topk(g, s, "top_k", false, e);
	if (guest_get(g, "k"))
		return guest_topk(g, s, "k", false, e);
	if (!guest_find(g, "thresholds"))
		snprintf(s->note, sizeof s->note, "its file does not say whether it is a TopK's: taken as ReLU (else: -k K, or sae-convert --set k=K)");
	return 0;
}

const struct guest_kind guest_overcomplete = {"overcomplete", match_overcomplete, load_overcomplete};

/* ---- saev: a line of JSON, then the archive ---- */

static bool
match_saev(struct guest *g)
{
	return g->torch && g->pt.preface != NULL;
}

static int
load_saev(struct guest *g, struct sae *s, struct err *e)
{
	const char *act = guest_text(g, "cfg.activation.cls", "Relu");
	size_t schema = 0;
	double t;

	if (!guest_get(g, "schema") && !guest_get(g, "d_vit"))
		return err_set(e, CODE_DATA, "the first line has no schema");
	if (guest_get(g, "schema") && guest_count(g, "schema", 1, 5, &schema, e))
		return e->code;
	if (begin(g, s, false, "b_enc", "b_dec", e) || sae_subtract_nothing(s, e) || guest_agree(g, "cfg.d_model", s->d, "inputs", e) ||
	    guest_agree(g, "d_vit", s->d, "inputs", e) || guest_agree(g, "cfg.d_sae", s->m, "latents", e))
		return e->code;
	s->arch = ARCH_RELU;
	if (!strcmp(act, "TopK"))
		return guest_topk(g, s, "cfg.activation.params.top_k", true, e);
	if (!strcmp(act, "BatchTopK")) {
		if (guest_topk(g, s, "cfg.activation.params.top_k", false, e) || guest_scalar(g, "activation.threshold", &t, e))
			return e->code;
		s->arch = ARCH_BATCHTOPK;
		return guest_threshold(s, t, false, e);
	}
	return !strcmp(act, "Relu") ? 0 : guest_unknown("activation", act, "Relu, TopK, BatchTopK", e);
}

const struct guest_kind guest_saev = {"saev", match_saev, load_saev};

/* ---- bartbussmann: the class is named in config.json alone ---- */

static bool
match_bartbussmann(struct guest *g)
{
	return guest_find(g, "W_enc") && guest_find(g, "W_dec") && g->torch && guest_get(g, "sae_type");
}

/* "[7, 14, 35]", as text or as a list. */
static int
group_ends(struct guest *g, struct sae *s, struct err *e)
{
	const json_t *v = guest_get(g, "group_sizes"), *item;
	json_t *parsed = json_is_string(v) ? json_loads(json_string_value(v), JSON_REJECT_DUPLICATES, NULL) : json_deep_copy(v);
	size_t i, at = 0;
	json_int_t n;

	json_array_foreach(parsed, i, item) {
		n = json_integer_value(item);
		if (i >= SAE_MAX_LEVELS || n < 1 || (size_t)n > s->m - at)
			break;
		s->groups[i] = at += (size_t)n;
	}
	s->ngroups = at == s->m ? i : 0;
	json_decref(parsed);
	return at == s->m ? 0 : err_set(e, CODE_DATA, "group_sizes do not add up to the %zu latents", s->m);
}

static int
load_bartbussmann(struct guest *g, struct sae *s, struct err *e)
{
	const char *type = guest_text(g, "sae_type", "");
	bool topk = !strcmp(type, "topk"), batch = !strcmp(type, "batch-topk") || !strcmp(type, "batchtopk"), nested = strstr(type, "matryoshka") != NULL;
	bool unit;
	double t;

	/* the biases of the encoder are there, but of these only two classes use them */
	if (begin(g, s, false, topk || batch || nested ? NULL : "b_enc", "b_dec", e) || guest_agree(g, "act_size", s->d, "inputs", e) ||
	    guest_agree(g, "dict_size", s->m, "latents", e) || guest_flag(g, "input_unit_norm", false, &unit, e))
		return e->code;
	s->row_norm = unit ? ROWS_LAYER : ROWS_AS_THEY_ARE;
	snprintf(s->trained_on, sizeof s->trained_on, "%.80s", guest_text(g, "model_name", ""));
	if (topk)
		return guest_topk(g, s, "top_k", false, e);
	if (batch || nested) {
		if (guest_topk(g, s, "top_k", false, e) || guest_scalar(g, "threshold", &t, e) || (nested && group_ends(g, s, e)))
			return e->code;
		s->arch = ARCH_BATCHTOPK;
		return guest_threshold(s, t, false, e);
	}
	if (!strcmp(type, "jumprelu")) {
		s->arch = ARCH_JUMPRELU;
		return sae_subtract_nothing(s, e) ? e->code : guest_log_threshold(g, s, "jumprelu.log_threshold", false, e);
	}
	s->arch = ARCH_RELU;
	return !strcmp(type, "vanilla") ? 0 : guest_unknown("sae_type", type, "vanilla, topk, batch-topk, jumprelu, global-matryoshka-topk", e);
}

const struct guest_kind guest_bartbussmann = {"bartbussmann", match_bartbussmann, load_bartbussmann};

/* ---- Prisma, PatchSAE, HugoFry's: {cfg: an object, state_dict} ---- */

static bool
match_prisma(struct guest *g)
{
	return g->torch && guest_find(g, "W_enc") && guest_find(g, "W_dec") && g->config_name && guest_get(g, "d_in");
}

static int
load_prisma(struct guest *g, struct sae *s, struct err *e)
{
	const char *arch = guest_text(g, "architecture", "standard"), *act = guest_text(g, "activation_fn_str", "relu");
	/* HugoFry's, which normalises nothing, has no such key; Prisma writes it always */
	const char *norm = guest_text(g, "normalize_activations", "none");
	bool gated = !strcmp(arch, "gated"), transcoder;

	if (begin(g, s, false, gated ? NULL : "b_enc", "b_dec", e) || guest_agree(g, "d_in", s->d, "inputs", e) ||
	    guest_flag(g, "is_transcoder", false, &transcoder, e))
		return e->code;
	if (transcoder)
		return err_set(e, CODE_DATA, "a transcoder of this library is not understood here");
	if (!strcmp(norm, "layer_norm"))
		s->row_norm = ROWS_LAYER;
	else if (!strcmp(norm, "constant_norm_rescale"))
		s->row_norm = ROWS_LENGTH;
	else if (strcmp(norm, "none") != 0)
		return guest_unknown("normalize_activations", norm, "none, layer_norm, constant_norm_rescale", e);
	snprintf(s->trained_on, sizeof s->trained_on, "%.120s", guest_text(g, "model_name", ""));
	s->arch = ARCH_RELU;
	if (gated)
		return guest_gated(g, s, "r_mag", "b_gate", "b_mag", e);
	if (strcmp(arch, "standard") != 0 && strcmp(arch, "vanilla") != 0)
		return guest_unknown("architecture", arch, "standard, gated", e);
	if (!strcmp(act, "topk"))
		return guest_topk(g, s, "activation_fn_kwargs.k", false, e);
	if (!strcmp(act, "tanh-relu"))
		s->soft_cap = 1;
	return !strcmp(act, "relu") || !strcmp(act, "tanh-relu") ? 0 : guest_unknown("activation_fn_str", act, "relu, topk, tanh-relu", e);
}

const struct guest_kind guest_prisma = {"Prisma", match_prisma, load_prisma};
