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

	ADD_ROWS(12)
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
	if (width == 192 && ld == 192)
		NAME(add_rows_of)(acc, 192, src, 192, idx, val, n);
	else if (width == 128 && ld == 128)
		NAME(add_rows_of)(acc, 128, src, 128, idx, val, n);
	else
		NAME(add_rows_of)(acc, width, src, ld, idx, val, n);
}

/* In each quarter: what the lanes of that quarter of s[0..3] add up to. */
TARGET static inline __attribute__((always_inline)) void
NAME(quarters)(lanes *out, const lanes *s)
{
	lanes a = PAIRS(s[0], s[2]), b = PAIRS(s[1], s[3]); /* in each quarter: 0 2 0 2 */

	*out = PAIRS(a, b);
}

/* out[0..n) += sums of the lanes of each of n <= 16, all in the same tree. */
TARGET static inline __attribute__((always_inline)) void
NAME(lanes_up)(float *out, const lanes s[16], size_t n)
{
	lanes q[4], a, b;
	float sum[16];
	size_t i;

	NAME(quarters)(&q[0], s);
	NAME(quarters)(&q[1], s + 4);
	a = LOWER(q[0], q[1]) + UPPER(q[0], q[1]);
	b = a;
	if (n > 8) {
		NAME(quarters)(&q[2], s + 8);
		NAME(quarters)(&q[3], s + 12);
		b = LOWER(q[2], q[3]) + UPPER(q[2], q[3]);
	}
	a = EVEN(a, b) + ODD(a, b);
	if (n == 16) {
		*(lanes *)out += a;
		return;
	}
	memcpy(sum, &a, sizeof sum);
	for (i = 0; i < n; i++)
		out[i] += sum[i];
}

TARGET static inline __attribute__((always_inline)) void
NAME(dot_and_add_of)(float *out, float *acc, const float *row, size_t width, const float *src, size_t ld,
                     const uint16_t *idx, const float *val, size_t n)
{
	size_t whole = width - width % 16, t, i;
	lanes s[16] = {{0}};
	VEC sum[16 / VL], g; /* registers, not lanes: compilers take those apart in memory */
	const float *w;
	float tail;
	size_t j;

	for (t = 0; t < n; t++) {
		w = src + idx[t] * ld;
		memset(sum, 0, sizeof sum);
		for (i = 0; i < whole; i += 16)
			for (j = 0; j < 16 / VL; j++) {
				g = *(const VEC *)(w + i + j * VL);
				sum[j] += g * *(const VEC *)(row + i + j * VL);
				*(VEC *)(acc + i + j * VL) += val[t] * g;
			}
		memcpy(&s[t % 16], sum, sizeof sum);
		if (t % 16 == 15 || t + 1 == n)
			NAME(lanes_up)(out + t / 16 * 16, s, t % 16 + 1);
	}
	for (t = 0; whole < width && t < n; t++) {
		w = src + idx[t] * ld;
		for (tail = 0, i = whole; i < width; i++) {
			tail += w[i] * row[i];
			acc[i] += val[t] * w[i];
		}
		out[t] += tail;
	}
}

#ifdef WIDE
/* N registers each of row and acc held over all terms. */
#define DOT_AND_ADD(N) \
	TARGET static void \
	NAME(dot_and_add_##N)(float *out, float *acc, const float *row, const float *src, \
	                      const uint16_t *idx, const float *val, size_t n) \
	{ \
		VEC s[N], d[N], sum, g; \
		lanes part[16]; \
		const float *w; \
		size_t t, u, end; \
		float v; \
		REPEAT_##N(LOAD_ACC) \
		REPEAT_##N(LOAD_ROW) \
		for (t = 0; t < n; t = end) { \
			end = t + 16 < n ? t + 16 : n; \
			for (u = t; u < end; u++) { \
				w = src + idx[u] * (N * VL); \
				v = val[u]; \
				sum = (VEC){0}; \
				REPEAT_##N(DOT_ACC) \
				part[u - t] = sum; \
			} \
			for (u = end - t; u < 16; u++) \
				part[u] = (lanes){0}; \
			NAME(lanes_up)(out + t, part, end - t); \
		} \
		REPEAT_##N(STORE_ACC) \
	}
DOT_AND_ADD(8)
DOT_AND_ADD(12)
#undef DOT_AND_ADD
#endif

TARGET static void
NAME(dot_and_add)(float *out, float *acc, const float *row, size_t width, const float *src, size_t ld,
                  const uint16_t *idx, const float *val, size_t n)
{
#ifdef WIDE
	if (width == 192 && ld == 192) {
		NAME(dot_and_add_12)(out, acc, row, src, idx, val, n);
		return;
	}
	if (width == 128 && ld == 128) {
		NAME(dot_and_add_8)(out, acc, row, src, idx, val, n);
		return;
	}
#endif
	NAME(dot_and_add_of)(out, acc, row, width, src, ld, idx, val, n);
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
	NAME(add_rows), NAME(dot_and_add), NAME(place), NAME(adam), NAME(square_sum), NAME(total)
};

#undef VEC
#undef VL
#undef ADD_ROWS
#undef TARGET
#undef NAME
#undef BYTES
#undef WIDE
