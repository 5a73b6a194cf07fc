#include "sae/explain.h"

#include <math.h>

double
explain_row(const struct sae *model, const float *x, const uint32_t *idx, const float *val, size_t n, double *share)
{
	size_t d = model->d, t, i;
	double square = 0, sum = 0, along, v;

	for (i = 0; i < d; i++) {
		v = (double)x[i] - (double)model->b_dec[i];
		square += v * v;
	}
	for (t = 0; t < n; t++) {
		const float *row = model->W_dec + idx[t] * d;

		for (i = 0, along = 0; i < d; i++)
			along += (double)row[i] * ((double)x[i] - (double)model->b_dec[i]);
		share[t] = square > 0 ? (double)val[t] * along / square : NAN;
		sum += share[t];
	}
	return square > 0 ? sum : NAN;
}
