#include "base/stats.h"

#include <math.h>

#define HALF_LOG_2PI .9189385332046727
#define FAR 30  /* z from where on erfc gives way to its asymptotic series */
#define FEW 32  /* n! below that is multiplied out */

double
stats_log_add(double a, double b)
{
	double most = fmax(a, b), least = fmin(a, b);

	return least == -INFINITY ? most : most + log1p(exp(least - most));
}

double
stats_log_upper(double z)
{
	double w = 1 / (z * z);

	if (z < FAR)
		return log(.5 * erfc(z * .7071067811865476));
	/* Abramowitz & Stegun 26.2.12 */
	return -.5 * z * z - HALF_LOG_2PI - log(z) + log1p(w * (-1 + w * (3 + w * (-15 + w * 105))));
}

double
stats_log_factorial(double n)
{
	double product = 1, i;

	if (n < FEW) {
		for (i = 2; i <= n; i++)
			product *= i;
		return log(product);
	}
	return (n + .5) * log(n) - n + HALF_LOG_2PI + (1 - (1 - 2 / (7 * n * n)) / (30 * n * n)) / (12 * n);
}

double
stats_log_choose(double n, double k)
{
	return stats_log_factorial(n) - stats_log_factorial(k) - stats_log_factorial(n - k);
}

void
stats_wilson(double x, double n, double *low, double *high)
{
	const double z = STATS_Z95;
	double p = x / n, middle = p + z * z / (2 * n), half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n));

	*low = (middle - half) / (1 + z * z / n);
	*high = (middle + half) / (1 + z * z / n);
	*low = *low < 0 ? 0 : *low; /* by rounding */
	*high = *high > 1 ? 1 : *high;
}

void
stats_share_difference(double xa, double na, double xb, double nb, double *low, double *high)
{
	double a = xa / na, b = xb / nb, la, ha, lb, hb;

	stats_wilson(xa, na, &la, &ha);
	stats_wilson(xb, nb, &lb, &hb);
	*low = a - b - sqrt((a - la) * (a - la) + (hb - b) * (hb - b));
	*high = a - b + sqrt((ha - a) * (ha - a) + (b - lb) * (b - lb));
}
