#include "sae/logistic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sae/blas.h"

/* One row's logits become its residuals; returns its loss. */
static double
residuals(float *l, size_t classes, uint32_t y, const float *b, float w)
{
	double sum = 0, loss;
	float most = l[0] + b[0], scale;
	size_t c;

	for (c = 0; c < classes; c++) {
		l[c] += b[c];
		most = l[c] > most ? l[c] : most;
	}
	loss = most - (double)l[y];
	for (c = 0; c < classes; c++) {
		l[c] = expf(l[c] - most);
		sum += l[c];
	}
	scale = (float)(w / sum);
	for (c = 0; c < classes; c++)
		l[c] *= scale;
	l[y] -= w;
	return w * (loss + log(sum));
}

double
logistic_block(const float *x, const uint32_t *y, size_t n, size_t d, size_t classes, const float *weights,
               const float *theta, float *logits, float *gradient)
{
	const float *b = theta + d * classes;
	double loss = 0;
	float *sums;
	size_t r, c;

	blas_gemm(n, classes, d, x, d, theta, classes, logits, classes);
	for (r = 0; r < n; r++)
		loss += residuals(logits + r * classes, classes, y[r], b, weights ? weights[y[r]] : 1);
	if (!gradient)
		return loss;
	blas_gemm_tn(d, classes, n, x, d, logits, classes, gradient, classes);
	sums = gradient + d * classes;
	memset(sums, 0, classes * sizeof *sums);
	for (r = 0; r < n; r++)
		for (c = 0; c < classes; c++)
			sums[c] += logits[r * classes + c];
	return loss;
}

double
logistic_plain(const float *x, const uint32_t *y, size_t n, size_t d, size_t classes, const float *weights,
               const double *theta, double *gradient)
{
	double *l = malloc(classes * sizeof *l), loss = 0, sum, most, r, w;
	size_t i, j, c;

	for (i = 0; l && i < n; i++, x += d) {
		w = weights ? weights[y[i]] : 1;
		for (most = -INFINITY, c = 0; c < classes; c++) {
			l[c] = theta[d * classes + c];
			for (j = 0; j < d; j++)
				l[c] += x[j] * theta[j * classes + c];
			most = fmax(most, l[c]);
		}
		for (sum = 0, c = 0; c < classes; c++)
			sum += exp(l[c] - most);
		loss += w * (most + log(sum) - l[y[i]]);
		for (c = 0; c < classes; c++) {
			r = w * (exp(l[c] - most) / sum - (c == y[i]));
			for (j = 0; j < d; j++)
				gradient[j * classes + c] += r * x[j];
			gradient[d * classes + c] += r;
		}
	}
	free(l);
	return loss;
}
