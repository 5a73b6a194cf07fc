/* Multinomial logistic regression: what a block of rows adds to the objective
 *
 *   sum over rows of w_y (log sum_c exp(l_c) - l_y),  l = x W + b
 *
 * and to its gradient, x^T r and sum of r with r_c = w_y (softmax(l)_c - [c = y]).
 */
#ifndef SAE_LOGISTIC_H
#define SAE_LOGISTIC_H

#include <stddef.h>
#include <stdint.h>

/* x [n,d], y [n] below classes; theta [d+1,classes]: W, and b as its last row;
 * weights [classes] of the classes w, NULL: all 1. logits [n,classes] is
 * scratch. gradient [d+1,classes] is written; NULL: not wanted. Returns the
 * loss. Products in float32, the loss in double. */
double logistic_block(const float *x, const uint32_t *y, size_t n, size_t d, size_t classes, const float *weights,
                      const float *theta, float *logits, float *gradient);

/* Reference: in double throughout; gradient is added to. */
double logistic_plain(const float *x, const uint32_t *y, size_t n, size_t d, size_t classes, const float *weights,
                      const double *theta, double *gradient);

#endif
