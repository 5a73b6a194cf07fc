#include "base/moments.h"

#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "base/mem.h"

void
moments_add(struct moments *s, double v)
{
	double delta = v - s->mean;

	if (!s->n++ || v < s->min)
		s->min = v;
	if (s->n == 1 || v > s->max)
		s->max = v;
	s->mean += delta / (double)s->n;
	s->m2 += delta * (v - s->mean);
}

double
moments_sd(const struct moments *s)
{
	return s->n > 1 ? sqrt(s->m2 / (double)(s->n - 1)) : 0;
}

int
rowstats_rows(struct rowstats *s, const float *x, size_t n, size_t d, struct err *e)
{
	size_t i, j;
	double square;

	if (s->sum && d != s->d)
		return err_set(e, CODE_DATA, "rows are %zu wide here, %zu before", d, s->d);
	if (!s->sum) {
		s->sum = mem_alloc((d + 1) * sizeof *s->sum);
		if (!s->sum)
			return err_memory(e, "mean", d * sizeof *s->sum);
		memset(s->sum, 0, (d + 1) * sizeof *s->sum);
		s->d = d;
	}
	for (i = 0; i < n; i++, x += d) {
		if (f32_nonfinite(x, d)) {
			s->nonfinite++;
			continue;
		}
		for (square = 0, j = 0; j < d; j++) {
			square += (double)x[j] * (double)x[j];
			s->sum[j] += (double)x[j];
		}
		moments_add(&s->norm, sqrt(square));
	}
	return 0;
}

double
rowstats_mean_norm(const struct rowstats *s)
{
	double square = 0;
	size_t j;

	for (j = 0; j < s->d && s->norm.n; j++)
		square += s->sum[j] / (double)s->norm.n * (s->sum[j] / (double)s->norm.n);
	return sqrt(square);
}

void
rowstats_free(struct rowstats *s)
{
	mem_free(s->sum);
	memset(s, 0, sizeof *s);
}

struct estimate
estimate_mean(double sum, double square, double n)
{
	const double z95 = 1.959963984540054; /* the normal distribution's .975 quantile */
	double spread = square - sum / n * sum;
	struct estimate out = {n > 0 ? sum / n : NAN, NAN, NAN};

	if (n > 1) {
		spread = spread > 0 ? spread : 0;
		out.sd = sqrt(spread / n);
		out.half = z95 * sqrt(spread / (n - 1) / n);
	}
	return out;
}
