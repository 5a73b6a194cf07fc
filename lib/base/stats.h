/* A few things of statistics that more than one room needs. Probabilities that
 * may be tiny are natural logarithms: 10^-400 is no double, its logarithm is. */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#define STATS_Z95 1.959963984540054 /* of the standard normal, between -z and z: 95 % */

/* log(e^a + e^b); -INFINITY is nothing. */
double stats_log_add(double a, double b);

/* log P(Z > z) of a standard normal Z, any z. */
double stats_log_upper(double z);

/* log n! and log (n over k), 0 <= k <= n whole numbers; relative error of n!
 * near 1e-15 of its logarithm (Stirling's series). */
double stats_log_factorial(double n);
double stats_log_choose(double n, double k);

/* 95 % interval of a share of x in n > 0, x and n any real numbers with
 * 0 <= x <= n: Wilson's score interval (Wilson 1927). */
void stats_wilson(double x, double n, double *low, double *high);

/* 95 % interval of the difference xa/na - xb/nb of two independent shares: the
 * Wilson intervals put together (Newcombe 1998, method 10). */
void stats_share_difference(double xa, double na, double xb, double nb, double *low, double *high);

#endif
