#include "sae/sweep.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "sae/probe.h"

#define NOTHING 1e-14 /* a squared length that is no larger a share of its terms is rounding */

int
sweep_init(struct sweep *s, const struct probe *probe, const struct sae *model, float scale,
           const uint32_t *latents, size_t nlatents, const double *steps, size_t nsteps, struct err *e)
{
	size_t d = model->d, classes = probe->classes, l, i, c;

	*s = (struct sweep){.probe = probe, .latents = latents, .nlatents = nlatents, .steps = steps, .nsteps = nsteps};
	s->w = mem_alloc(d * sizeof *s->w);
	s->wp = mem_alloc(classes * sizeof *s->wp);
	s->rows = mem_alloc(nlatents * d * sizeof *s->rows);
	if (!s->w || !s->wp || !s->rows) {
		sweep_free(s);
		return err_memory(e, "sweep", (nlatents + 1) * d * sizeof *s->rows);
	}
	memset(s->w, 0, d * sizeof *s->w);
	memset(s->wp, 0, classes * sizeof *s->wp);
	for (l = 0; l < nlatents; l++)
		for (i = 0; i < d; i++) {
			s->rows[l * d + i] = (double)model->W_dec[latents[l] * d + i] / (double)scale;
			s->w[i] += s->rows[l * d + i];
		}
	for (i = 0; i < d; i++) {
		s->ww += s->w[i] * s->w[i];
		for (c = 0; c < classes; c++)
			s->wp[c] += s->w[i] * (double)probe->W[i * classes + c];
	}
	return 0;
}

void
sweep_free(struct sweep *s)
{
	mem_free(s->w);
	mem_free(s->wp);
	mem_free(s->rows);
	*s = (struct sweep){0};
}

/* p [classes], the logits without b and length, becomes probabilities. */
static void
softmax(const struct probe *p, double square, double *v)
{
	double length = square > 0 ? 1 / sqrt(square) : 0, most = -INFINITY, sum = 0;
	size_t c;

	for (c = 0; c < p->classes; c++) {
		v[c] = v[c] * length + (double)p->b[c];
		most = v[c] > most ? v[c] : most;
	}
	for (c = 0; c < p->classes; c++)
		sum += v[c] = exp(v[c] - most);
	for (c = 0; c < p->classes; c++)
		v[c] /= sum;
}

/* out [classes] = x P; returns |x|^2. */
static double
project(const struct probe *p, const double *x, double *out)
{
	double square = 0;
	size_t i, c;

	memset(out, 0, p->classes * sizeof *out);
	for (i = 0; i < p->d; i++) {
		square += x[i] * x[i];
		for (c = 0; c < p->classes; c++)
			out[c] += x[i] * (double)p->W[i * p->classes + c];
	}
	return square;
}

/* The code of one of the concept's latents in a row; *t: where to look on from. */
static double
code_of(uint32_t latent, const uint32_t *idx, const float *val, size_t n, size_t *t)
{
	while (*t < n && idx[*t] < latent)
		++*t;
	return *t < n && idx[*t] == latent ? (double)val[*t] : 0;
}

void
sweep_row(const struct sweep *s, const float *raw, const uint32_t *idx, const float *val, size_t n, double *scratch, double *out)
{
	size_t d = s->probe->d, classes = s->probe->classes, i, c, l, t = 0;
	double *base = scratch, *bp = scratch + d, square, along = 0, code, v, whole;

	for (i = 0; i < d; i++)
		base[i] = (double)raw[i];
	square = project(s->probe, base, out);
	softmax(s->probe, square, out);
	for (l = 0; l < s->nlatents; l++) {
		code = code_of(s->latents[l], idx, val, n, &t);
		for (i = 0; i < d && code != 0; i++)
			base[i] -= code * s->rows[l * d + i];
	}
	square = project(s->probe, base, bp);
	for (i = 0; i < d; i++)
		along += base[i] * s->w[i];
	for (l = 0; l < s->nsteps; l++) {
		v = s->steps[l];
		out += classes;
		for (c = 0; c < classes; c++)
			out[c] = bp[c] + v * s->wp[c];
		whole = square + 2 * v * along + v * v * s->ww;
		softmax(s->probe, whole > NOTHING * (square + v * v * s->ww) ? whole : 0, out);
	}
}

void
sweep_row_plain(const struct sweep *s, const float *raw, const uint32_t *idx, const float *val, size_t n, float *changed, double *out)
{
	size_t d = s->probe->d, classes = s->probe->classes, step, i, l, c, t;

	for (step = 0; step <= s->nsteps; step++, out += classes) {
		for (i = 0; i < d; i++) {
			double x = (double)raw[i];

			for (l = t = 0; l < s->nlatents && step; l++)
				x += (s->steps[step - 1] - code_of(s->latents[l], idx, val, n, &t)) * s->rows[l * d + i];
			changed[i] = (float)x;
		}
		probe_logp_plain(s->probe, changed, out);
		for (c = 0; c < classes; c++)
			out[c] = exp(out[c]);
	}
}
