/* dictionary_learning: ae.pt, with config.json {"trainer": {dict_class, k ...}};
 * the class is told from the names of the tensors, and where two share them, from
 * the configuration. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "files/guest_parts.h"

static bool
match(struct guest *g)
{
	bool linear = guest_find(g, "encoder.weight") && guest_find(g, "decoder.weight");

	if (linear && (guest_find(g, "bias") || guest_find(g, "decoder.bias") || guest_find(g, "decoder_bias") || guest_find(g, "b_dec")))
		return true;
	if (!g->torch || !guest_find(g, "W_enc") || !guest_find(g, "W_dec") || guest_find(g, "activation.threshold"))
		return false;
	if (guest_find(g, "group_sizes"))
		return true;
	/* JumpReLU's thresholds, one a latent; bartbussmann's is one for all */
	return guest_find(g, "threshold") && guest_find(g, "threshold")->ndim == 1 && !guest_get(g, "sae_type");
}

static int
load_linear(struct guest *g, struct sae *s, const char *bias, struct err *e)
{
	return guest_begin(g, s, "encoder.weight", true, false, e) || guest_weights(g, s, "encoder.weight", true, "decoder.weight", true, e) ||
	       guest_vector(g, bias, s->d, s->b_dec, e) ? e->code : 0;
}

static int
load_autoencoder(struct guest *g, struct sae *s, struct err *e)
{
	bool fresh = guest_find(g, "decoder.bias") != NULL, unit;

	if (load_linear(g, s, fresh ? "decoder.bias" : "bias", e) || guest_vector(g, "encoder.bias", s->m, s->b_enc, e) ||
	    guest_flag(g, "normalize_decoder", false, &unit, e) || (fresh && sae_subtract_nothing(s, e)))
		return e->code;
	s->arch = ARCH_RELU;
	if (unit) /* as the library loads by default: codes are as much longer */
		guest_fold_norms(s);
	return 0;
}

static const char *
class_of(struct guest *g)
{
	return guest_text(g, "dict_class", guest_text(g, "trainer.dict_class", ""));
}

/* AutoEncoderTopK and BatchTopKSAE have the same tensors. */
static int
load_topk(struct guest *g, struct sae *s, struct err *e)
{
	const char *class = class_of(g);
	bool by_threshold = strcmp(class, "AutoEncoderTopK") != 0;
	double k = 0, t = -1;

	if (*class && strcmp(class, "AutoEncoderTopK") != 0 && strcmp(class, "BatchTopKSAE") != 0)
		return guest_unknown("dict_class", class, "AutoEncoderTopK, BatchTopKSAE", e);
	if (load_linear(g, s, "b_dec", e) || guest_vector(g, "encoder.bias", s->m, s->b_enc, e) ||
	    guest_flag(g, "use_threshold", by_threshold, &by_threshold, e) || (guest_find(g, "k") && guest_scalar(g, "k", &k, e)))
		return e->code;
	if (guest_get(g, "k") || !(k >= 1)) {
		if (guest_count(g, guest_get(g, "k") ? "k" : "trainer.k", 1, s->m, &s->k, e))
			return e->code;
	} else if (k > (double)s->m) {
		return err_set(e, CODE_DATA, "k is %.0f; there are %zu latents", k, s->m);
	} else {
		s->k = (size_t)k;
	}
	s->arch = by_threshold ? ARCH_BATCHTOPK : ARCH_TOPK;
	if (!by_threshold)
		return 0;
	if (!*class && guest_find(g, "threshold"))
		snprintf(s->note, sizeof s->note, "nothing says whether it is TopK or BatchTopK: taken as BatchTopK, with its threshold "
		         "(else: sae-convert --set dict_class=AutoEncoderTopK)");
	return guest_scalar(g, "threshold", &t, e) ? e->code : guest_threshold(s, t, false, e);
}

static int
load_gated(struct guest *g, struct sae *s, struct err *e)
{
	return load_linear(g, s, "decoder_bias", e) ? e->code : guest_gated(g, s, "r_mag", "gate_bias", "mag_bias", e);
}

/* Sizes of the nested dictionaries, to where they end. */
static int
group_ends(struct guest *g, struct sae *s, struct err *e)
{
	const struct guest_tensor *t = guest_need(g, "group_sizes", e);
	float v[SAE_MAX_LEVELS];
	size_t i, at = 0;

	if (!t)
		return e->code;
	if (t->ndim != 1 || t->shape[0] > SAE_MAX_LEVELS)
		return err_set(e, CODE_DATA, "group_sizes: at most %d are accepted", SAE_MAX_LEVELS);
	if (guest_numbers(g, t, v, e))
		return e->code;
	for (i = 0; i < t->shape[0]; i++) {
		if (!(v[i] >= 1) || !(v[i] <= (float)(s->m - at)))
			return err_set(e, CODE_DATA, "group_sizes do not add up to the %zu latents", s->m);
		s->groups[i] = at += (size_t)v[i];
	}
	s->ngroups = (size_t)t->shape[0];
	return at == s->m ? 0 : err_set(e, CODE_DATA, "group_sizes do not add up to the %zu latents", s->m);
}

static int
load_wide(struct guest *g, struct sae *s, struct err *e)
{
	bool nested = guest_find(g, "group_sizes") != NULL;
	double k, t;

	if (guest_begin(g, s, "W_enc", false, !nested, e) || guest_weights(g, s, "W_enc", false, "W_dec", false, e) ||
	    guest_vector(g, "b_enc", s->m, s->b_enc, e) || guest_vector(g, "b_dec", s->d, s->b_dec, e))
		return e->code;
	if (!nested) {
		s->arch = ARCH_JUMPRELU;
		return guest_vector(g, "threshold", s->m, s->threshold, e) || sae_subtract_nothing(s, e) ? e->code : 0;
	}
	s->arch = ARCH_BATCHTOPK;
	if (guest_scalar(g, "k", &k, e) || guest_scalar(g, "threshold", &t, e) || group_ends(g, s, e))
		return e->code;
	if (!(k >= 1 && k <= (double)s->m))
		return err_set(e, CODE_DATA, "k is %g; there are %zu latents", k, s->m);
	s->k = (size_t)k;
	return guest_threshold(s, t, false, e);
}

/* Backups hold biases in the units rows were normalised to in training; the
 * models that training ends with do not. */
static int
scale_biases(struct guest *g, struct sae *s, struct err *e)
{
	double by = json_number_value(json_object_get(g->root, "norm_factor"));
	bool scale;
	size_t i;

	if (guest_flag(g, "scale_biases", json_is_number(json_object_get(g->root, "norm_factor")), &scale, e) || !scale)
		return e->code;
	if (!(by > 0))
		return err_set(e, CODE_DATA, "norm_factor is %g; it must be a number greater than 0", by);
	for (i = 0; i < s->d; i++)
		s->b_dec[i] *= (float)by;
	for (i = 0; i < s->m; i++) {
		s->b_enc[i] *= (float)by;
		if (s->threshold && (s->arch == ARCH_JUMPRELU || s->threshold[i] >= 0))
			s->threshold[i] *= (float)by;
	}
	snprintf(s->folded, sizeof s->folded, "norm_factor of the backup into the biases");
	return 0;
}

/* A mean beside the state dict, as one project saves it. */
static int
centre(struct guest *g, struct sae *s, struct err *e)
{
	const struct value *mean = guest_beside(g, "act_mean");
	bool use;

	if (!mean || guest_flag(g, "act_mean", true, &use, e) || !use)
		return e->code;
	if (mean->kind != VALUE_TENSOR || mean->as.tensor->ndim != 1 || mean->as.tensor->shape[0] != s->d)
		return err_set(e, CODE_DATA, "act_mean is not a mean of %zu inputs", s->d);
	return pt_read_f32(&g->pt, mean, s->mean, e);
}

static int
load(struct guest *g, struct sae *s, struct err *e)
{
	int code = guest_find(g, "W_enc") ? load_wide(g, s, e)
	         : guest_find(g, "decoder_bias") ? load_gated(g, s, e)
	         : guest_find(g, "b_dec") ? load_topk(g, s, e)
	         : load_autoencoder(g, s, e);

	if (code || scale_biases(g, s, e) || centre(g, s, e))
		return e->code;
	snprintf(s->trained_on, sizeof s->trained_on, "%.100s", guest_text(g, "trainer.lm_name", guest_text(g, "lm_name", "")));
	return 0;
}

const struct guest_kind guest_dictionary = {"dictionary_learning", match, load};

/* ---- list-comp: W_enc and W_dec without any configuration, rows centred ---- */

static bool
match_listcomp(struct guest *g)
{
	return g->torch && guest_find(g, "W_enc") && guest_find(g, "W_dec") && guest_find(g, "b_enc") && guest_beside(g, "act_mean");
}

static int
load_listcomp(struct guest *g, struct sae *s, struct err *e)
{
	if (guest_begin(g, s, "W_enc", false, false, e) || guest_weights(g, s, "W_enc", false, "W_dec", false, e) ||
	    guest_vector(g, "b_enc", s->m, s->b_enc, e) || guest_vector(g, "b_dec", s->d, s->b_dec, e) || centre(g, s, e))
		return e->code;
	s->arch = ARCH_RELU;
	return guest_get(g, "k") ? guest_topk(g, s, "k", false, e) : 0;
}

const struct guest_kind guest_listcomp = {"list-comp", match_listcomp, load_listcomp};
