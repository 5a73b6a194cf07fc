/* The dot product that defines a code, and the order in which it is summed.
 *
 * Float sums depend on their order, and every matrix product has an order of
 * its own. So the pre-activation of a row and a latent is defined, once, as
 *
 *   s[l] = 0, then s[l] = fma(x[i], w[i], s[l]) for i = l, l+16, l+32 ...   l = 0..15
 *   h[l] = s[l] + s[l+8],  q[l] = h[l] + h[l+4]
 *   dot  = (q[0] + q[1]) + (q[2] + q[3])
 *   p    = dot + b_enc
 *
 * with x = x - b_in rounded to float32. Sixteen lanes are one AVX-512 register,
 * two of AVX2, four of NEON, or a loop in plain C: all give the same bits, in
 * every batch and on every machine. What is quicker than this sum (int8, BLAS)
 * only looks for the latents that it has to be computed for: sae/screen.h.
 *
 * Its rounding error is at most (n + 5) u sum|x_i w_i| to first order, n = ceil(d/16)
 * and u = 2^-24: each product passes through n fused multiply-adds and four
 * additions (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
 */
#ifndef SAE_DOT_H
#define SAE_DOT_H

#include <stddef.h>
#include <stdint.h>

#define DOT_LANES 16

/* A row of x, a latent, and where their product goes. */
struct dot_pair {
	uint32_t row, latent, at;
};

/* d rounded up to whole lanes: how wide rows are stored, zeros behind. */
static inline size_t
dot_width(size_t d)
{
	return (d + DOT_LANES - 1) / DOT_LANES * DOT_LANES;
}

/* to [m,dot_width(d)] = W [d,m] transposed, zeros behind each row. */
void dot_weights(float *to, const float *W, size_t d, size_t m);

/* The definition above, as it is written: the reference for the kernels in
 * struct simd (dot_tile, dot_pairs). width is a multiple of DOT_LANES. */
float dot_plain(const float *x, const float *w, size_t width);

#endif
