/* Included by train_kernels.c once for each instruction set, with TARGET (a
 * function attribute), NAME(f), BYTES (of a register) and, for AVX-512, WIDE.
 * No include guard: that is the point. */

typedef float NAME(vec) __attribute__((vector_size(BYTES), aligned(4), may_alias));
#define VEC NAME(vec)
#define VL (BYTES / sizeof(float))

/* N registers of acc held over all terms. */
#define ADD_ROWS(N) \
	for (; width >= N * VL; width -= N * VL, acc += N * VL, src += N * VL) { \
		VEC s[N]; \
		const float *w; \
		float v; \
		REPEAT_##N(LOAD_ACC) \
		for (t = 0; t < n; t++) { \
			w = src + idx[t] * ld; \
			v = val[t]; \
			REPEAT_##N(ADD_ACC) \
		} \
		REPEAT_##N(STORE_ACC) \
	}

TARGET static inline __attribute__((always_inline)) void
NAME(add_rows_of)(float *acc, size_t width, const float *src, size_t ld,
                  const uint16_t *idx, const float *val, size_t n)
{
	size_t t, i;

#ifndef WIDE
	ADD_ROWS(12)
#endif
	ADD_ROWS(8)
	ADD_ROWS(6)
	ADD_ROWS(4)
	ADD_ROWS(1)
	for (i = 0; i < width; i++)
		for (t = 0; t < n; t++)
			acc[i] += val[t] * src[idx[t] * ld + i];
}

/* The usual widths apart, here and below, for the compiler to unroll. */
TARGET static void
NAME(add_rows)(float *acc, size_t width, const float *src, size_t ld,
               const uint16_t *idx, const float *val, size_t n)
{
	if (width == 96 && ld == 96)
		NAME(add_rows_of)(acc, 96, src, 96, idx, val, n);
	else if (width == 128 && ld == 128)
		NAME(add_rows_of)(acc, 128, src, 128, idx, val, n);
	else
		NAME(add_rows_of)(acc, width, src, ld, idx, val, n);
}

/* Eight dot products; the lanes of each are added up in the same tree. */
TARGET static inline __attribute__((always_inline)) void
NAME(eight_dots)(float out[8], const float *g, size_t width, const float *const w[8])
{
	lanes a = {0}, b = {0}, c = {0}, d = {0}, e = {0}, f = {0}, h = {0}, k = {0}, v;
	size_t i;

	for (i = 0; i + 16 <= width; i += 16) {
		v = LANES_AT(g + i);
		a += v * LANES_AT(w[0] + i);
		b += v * LANES_AT(w[1] + i);
		c += v * LANES_AT(w[2] + i);
		d += v * LANES_AT(w[3] + i);
		e += v * LANES_AT(w[4] + i);
		f += v * LANES_AT(w[5] + i);
		h += v * LANES_AT(w[6] + i);
		k += v * LANES_AT(w[7] + i);
	}
	a = PAIRS(a, c); /* in each quarter: a c a c */
	b = PAIRS(b, d);
	e = PAIRS(e, h);
	f = PAIRS(f, k);
	a = PAIRS(a, b); /* a b c d */
	e = PAIRS(e, f);
	a = LOWER(a, e) + UPPER(a, e); /* a b c d, a b c d, e f h k, e f h k */
	a = EVEN(a) + ODD(a);
	memcpy(out, &a, 8 * sizeof *out);
	if (i < width)
		dots_tail(out, g + i, width - i, (const float *const[]){w[0] + i, w[1] + i, w[2] + i, w[3] + i,
		          w[4] + i, w[5] + i, w[6] + i, w[7] + i}, 8);
}

TARGET static inline __attribute__((always_inline)) void
NAME(four_dots)(float out[4], const float *g, size_t width, const float *const w[4])
{
	lanes a = {0}, b = {0}, c = {0}, d = {0}, v;
	size_t i;

	for (i = 0; i + 16 <= width; i += 16) {
		v = LANES_AT(g + i);
		a += v * LANES_AT(w[0] + i);
		b += v * LANES_AT(w[1] + i);
		c += v * LANES_AT(w[2] + i);
		d += v * LANES_AT(w[3] + i);
	}
	a = PAIRS(a, c);
	b = PAIRS(b, d);
	a = PAIRS(a, b);
	a = LOWER(a, a) + UPPER(a, a);
	a = EVEN(a) + ODD(a);
	memcpy(out, &a, 4 * sizeof *out);
	if (i < width)
		dots_tail(out, g + i, width - i, (const float *const[]){w[0] + i, w[1] + i, w[2] + i, w[3] + i}, 4);
}

/* Lists that do not divide by four or eight repeat their last entry. */
TARGET static inline __attribute__((always_inline)) void
NAME(dots_of)(float *out, const float *g, size_t width, const float *src, size_t ld,
              const uint16_t *idx, size_t n)
{
	const float *w[8];
	float s[8];
	size_t t = 0, j;

	for (; t + 8 <= n; t += 8) {
		for (j = 0; j < 8; j++)
			w[j] = src + idx[t + j] * ld;
		NAME(eight_dots)(s, g, width, w);
		for (j = 0; j < 8; j++)
			out[t + j] += s[j];
	}
	if (t == n)
		return;
	for (j = 0; j < 8; j++)
		w[j] = src + idx[t + j < n ? t + j : n - 1] * ld;
	if (n - t > 4)
		NAME(eight_dots)(s, g, width, w);
	else
		NAME(four_dots)(s, g, width, w);
	for (j = 0; t + j < n; j++)
		out[t + j] += s[j];
}

TARGET static void
NAME(dots)(float *out, const float *g, size_t width, const float *src, size_t ld,
           const uint16_t *idx, size_t n)
{
	if (width == 96 && ld == 96)
		NAME(dots_of)(out, g, 96, src, 96, idx, n);
	else if (width == 128 && ld == 128)
		NAME(dots_of)(out, g, 128, src, 128, idx, n);
	else
		NAME(dots_of)(out, g, width, src, ld, idx, n);
}

TARGET static size_t
NAME(place)(const float *p, size_t n, float low, float high, uint16_t *idx, float *val)
{
	size_t i = 0, c = 0;

#ifdef WIDE
	const __m512 least = _mm512_set1_ps(low), most = _mm512_set1_ps(high);
	const __m512i step = _mm512_set1_epi32(16);
	__m512i at = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	__m512 v;
	__mmask16 hit, room;

	for (; i + 16 <= n; i += 16, at = _mm512_add_epi32(at, step)) {
		v = _mm512_loadu_ps(p + i);
		hit = _mm512_cmp_ps_mask(v, least, _CMP_GE_OQ);
		hit = _mm512_mask_cmp_ps_mask(hit, v, most, _CMP_NGE_UQ);
		room = (__mmask16)((1u << __builtin_popcount(hit)) - 1);
		_mm512_mask_storeu_ps(val + c, room, _mm512_maskz_compress_ps(hit, v));
		_mm256_mask_storeu_epi16(idx + c, room, _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(hit, at)));
		c += (size_t)__builtin_popcount(hit);
	}
#endif
	for (; i < n; i++)
		if (p[i] >= low && !(p[i] >= high)) {
			idx[c] = (uint16_t)i;
			val[c++] = p[i];
		}
	return c;
}

TARGET static void
NAME(adam)(float *restrict p, float *restrict m, float *restrict v, const float *restrict g, size_t n, const struct adam *a)
{
	const struct adam c = *a;
	float grad;
	size_t i;

	for (i = 0; i < n; i++) {
		grad = g[i] * c.clip;
		m[i] = c.beta1 * m[i] + c.rest1 * grad;
		v[i] = c.beta2 * v[i] + c.rest2 * grad * grad;
		p[i] -= c.step * (m[i] / (sqrtf(v[i]) / c.root + c.eps));
	}
}

/* Sums in double, in sixteen running sums. */
TARGET static double
NAME(square_sum)(const float *a, size_t n)
{
	double s[16] = {0}, sum = 0, v;
	size_t i, j;

	for (i = 0; i + 16 <= n; i += 16)
		for (j = 0; j < 16; j++) {
			v = a[i + j];
			s[j] += v * v;
		}
	for (; i < n; i++)
		s[0] += (double)a[i] * a[i];
	for (j = 0; j < 16; j++)
		sum += s[j];
	return sum;
}

TARGET static double
NAME(total)(const float *a, size_t n)
{
	double s[16] = {0}, sum = 0;
	size_t i, j;

	for (i = 0; i + 16 <= n; i += 16)
		for (j = 0; j < 16; j++)
			s[j] += a[i + j];
	for (; i < n; i++)
		s[i % 16] += a[i];
	for (j = 0; j < 16; j++)
		sum += s[j];
	return sum;
}

static const struct train_kernels NAME(table) = {
	NAME(add_rows), NAME(dots), NAME(place), NAME(adam), NAME(square_sum), NAME(total)
};

#undef VEC
#undef VL
#undef ADD_ROWS
#undef TARGET
#undef NAME
#undef BYTES
#undef WIDE
