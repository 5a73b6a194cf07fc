/* What a probe says of rows when one concept's code is changed and all else is
 * kept: the counterfactual of the MSAE paper's study of bias, in closed form.
 *
 * A row's codes z give xhat = z W_dec + b_dec, and the row is x = xhat + rest. Setting the latents L of a concept to
 * v and keeping the rest moves the embedding as its encoder made it, raw = x/scale + mean, along a line:
 *
 *   raw(v) = base + v w,    base = raw - sum_L z_l W_dec[l] / scale,    w = sum_L W_dec[l] / scale
 *
 * so that the probe's logits at any v are (base P + v w P) / |raw(v)| + b, with |raw(v)|^2 = |base|^2 + 2 v base.w +
 * v^2 |w|^2: two products a row, whatever the number of steps.
 */
#ifndef SAE_SWEEP_H
#define SAE_SWEEP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/model.h"
#include "base/probe.h"

struct sweep {
	const struct probe *probe;
	const uint32_t *latents; /* [nlatents] ascending */
	size_t nlatents;
	const double *steps;     /* [nsteps] what the codes are set to, >= 0 */
	size_t nsteps;
	double *w, *wp, ww;      /* [d], [classes], |w|^2 */
	double *rows;            /* [nlatents,d] W_dec[l] / scale */
};

/* probe, latents and steps are borrowed; probe->d == model->d, latents < model->m. scale: what the rows were
 * multiplied by when they were normalised, 1 for raw ones. sweep_free. */
int sweep_init(struct sweep *s, const struct probe *probe, const struct sae *model, float scale,
               const uint32_t *latents, size_t nlatents, const double *steps, size_t nsteps, struct err *e);
void sweep_free(struct sweep *s);

/* One row: raw [d], its codes idx, val [n] ascending. out [1 + nsteps, classes]: probabilities as it is, then at
 * each step. scratch [d + classes]. In double; allocates nothing. A row that a step brings to length 0 is what the
 * probe says without a direction. */
void sweep_row(const struct sweep *s, const float *raw, const uint32_t *idx, const float *val, size_t n, double *scratch, double *out);

/* Reference: every step's row by itself, through probe_logp_plain. changed [d]. */
void sweep_row_plain(const struct sweep *s, const float *raw, const uint32_t *idx, const float *val, size_t n, float *changed, double *out);

#endif
