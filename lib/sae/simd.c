/* Compiled once for each instruction set, with -DSIMD=plain, avx2 or avx512:
 * defines the table simd_SIMD. The arithmetic is written with the compiler's
 * vector type as wide as one register, so the three builds differ in width and
 * in nothing else: every element sees the same operations in the same order,
 * and -ffp-contract=off keeps a product and a sum two roundings. Only what
 * compresses, which no compiler vectorises, has intrinsics. */
#include "sae/simd.h"

#include <math.h>
#include <string.h>

#include "sae/products.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX2__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define LANES (BYTES / sizeof(float))

#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)

typedef float vec __attribute__((vector_size(BYTES)));

static inline vec
load(const float *p)
{
	vec v;

	__builtin_memcpy(&v, p, sizeof v);
	return v;
}

static inline void
store(float *p, vec v)
{
	__builtin_memcpy(p, &v, sizeof v);
}

static void
add(float *p, const float *b, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		store(p + i, load(p + i) + load(b + i));
	for (; i < n; i++)
		p[i] = p[i] + b[i];
}

static void
gate(float *p, const float *t, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = p[i] > t[i] ? p[i] : 0;
}

static void
shift_scale(float *out, const float *x, const float *mean, float scale, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		store(out + i, (load(x + i) - load(mean + i)) * scale);
	for (; i < n; i++)
		out[i] = (x[i] - mean[i]) * scale;
}

static void
unscale_shift(float *out, const float *x, const float *mean, float scale, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		store(out + i, load(x + i) / scale + load(mean + i));
	for (; i < n; i++)
		out[i] = x[i] / scale + mean[i];
}

/* Counts in 32 bits, which vectorise, for as long as they cannot overflow. */
static size_t
count_above(const float *p, size_t n, float t)
{
	size_t total = 0, len, i;
	uint32_t c;

	for (; n; n -= len, p += len) {
		len = n < 1u << 30 ? n : 1u << 30;
		c = 0;
		for (i = 0; i < len; i++)
			c += p[i] > t;
		total += c;
	}
	return total;
}

/* The plain way and everybody's tail: writes always, advances on a hit. */
static size_t
compress_tail(const float *p, size_t i, size_t n, float t, uint32_t first, uint32_t *idx, float *val, size_t c)
{
	for (; i < n; i++) {
		idx[c] = first + (uint32_t)i;
		val[c] = p[i];
		c += p[i] > t;
	}
	return c;
}

static size_t
keep_tail(uint32_t *idx, float *val, size_t i, size_t n, float t, size_t c)
{
	float v;

	for (; i < n; i++) {
		v = val[i];
		idx[c] = idx[i];
		val[c] = v;
		c += v > t;
	}
	return c;
}

#if defined(__AVX2__)

/* LEFT(m): the set bits of the byte m, lowest first, four bits each: the
 * permutation that moves the chosen lanes to the left. AVX-512 has an instruction
 * for that, which takes Zen twice as long as table and permutation. */
#define BELOW(m, j) (((m) & 1 && (j) > 0) + ((m) >> 1 & 1 && (j) > 1) + ((m) >> 2 & 1 && (j) > 2) + \
                     ((m) >> 3 & 1 && (j) > 3) + ((m) >> 4 & 1 && (j) > 4) + ((m) >> 5 & 1 && (j) > 5) + \
                     ((m) >> 6 & 1 && (j) > 6))
#define LANE(m, j) ((m) >> (j) & 1 ? (uint32_t)(j) << 4 * BELOW(m, j) : 0u)
#define LEFT(m) (LANE(m, 1) | LANE(m, 2) | LANE(m, 3) | LANE(m, 4) | LANE(m, 5) | LANE(m, 6) | LANE(m, 7))
#define LEFT4(m) LEFT(m), LEFT((m) + 1), LEFT((m) + 2), LEFT((m) + 3)
#define LEFT16(m) LEFT4(m), LEFT4((m) + 4), LEFT4((m) + 8), LEFT4((m) + 12)
#define LEFT64(m) LEFT16(m), LEFT16((m) + 16), LEFT16((m) + 32), LEFT16((m) + 48)

static const uint32_t left[256] = {LEFT64(0), LEFT64(64), LEFT64(128), LEFT64(192)};

static inline __m256i
order_of(unsigned hit)
{
	/* the permutes read the low three bits of each lane only */
	return _mm256_srlv_epi32(_mm256_set1_epi32((int)left[hit]), _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
}

/* Eight pairs, those of the byte hit to the left; how many they are. Stores
 * whether or not there are any: a branch could not be predicted and would cost
 * more than the stores. */
static inline size_t
put_8(uint32_t *idx, float *val, __m256i j, __m256 v, unsigned hit)
{
	__m256i order = order_of(hit);

	_mm256_storeu_ps(val, _mm256_permutevar8x32_ps(v, order));
	_mm256_storeu_si256((__m256i *)(void *)idx, _mm256_permutevar8x32_epi32(j, order));
	return (size_t)__builtin_popcount(hit);
}

/* Bit i: p[i] > t. */
static inline uint64_t
above_64(const float *p, float t)
{
	uint64_t hit = 0;
	unsigned i;

#if defined(__AVX512F__)
	for (i = 0; i < 64; i += 16)
		hit |= (uint64_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(p + i), _mm512_set1_ps(t), _CMP_GT_OQ) << i;
#else
	for (i = 0; i < 64; i += 8)
		hit |= (uint64_t)(unsigned)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(p + i), _mm256_set1_ps(t), _CMP_GT_OQ)) << i;
#endif
	return hit;
}

/* compress_above for p[i..n-1], c pairs being there. */
static inline size_t
compress_rest(const float *p, size_t i, size_t n, float t, uint32_t first, uint32_t *idx, float *val, size_t c)
{
	const __m256 limit = _mm256_set1_ps(t);
	const __m256i step = _mm256_set1_epi32(8);
	__m256i at = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)(first + (uint32_t)i)));
	__m256 v;

	for (; i + 8 <= n; i += 8, at = _mm256_add_epi32(at, step)) {
		v = _mm256_loadu_ps(p + i);
		c += put_8(idx + c, val + c, at, v, (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, limit, _CMP_GT_OQ)));
	}
	return compress_tail(p, i, n, t, first, idx, val, c);
}

static size_t
compress_above(const float *p, size_t n, float t, uint32_t first, uint32_t *idx, float *val)
{
	return compress_rest(p, 0, n, t, first, idx, val, 0);
}

#define FEW 2 /* hits among 64 that are put one by one, unasked: a branch could not be predicted */
#define AHEAD 1536 /* numbers between those looked at and those fetched */

/* The place of the lowest bit of 64; of none, any place. */
static inline uint32_t
lowest(uint64_t hit)
{
	return (uint32_t)__builtin_ctzll(hit | 1ull << 63);
}

static size_t
few_above(const float *p, size_t n, float t, uint32_t first, uint32_t *idx, float *val)
{
	const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	size_t i, j, c = 0, few;
	uint64_t hit;

	for (i = 0; i + 64 <= n; i += 64) {
		for (j = 0; j < 64; j += 16)
			__builtin_prefetch(p + i + j + AHEAD);
		hit = above_64(p + i, t);
		few = (size_t)__builtin_popcountll(hit);
		if (few > 2 * FEW) {
			for (j = i; j < i + 64; j += 8, hit >>= 8)
				c += put_8(idx + c, val + c, _mm256_add_epi32(lane, _mm256_set1_epi32((int)(first + (uint32_t)j))), _mm256_loadu_ps(p + j), hit & 255);
			continue;
		}
		for (j = 0; j < FEW; j++, hit &= hit - 1)
			idx[c + j] = first + (uint32_t)i + lowest(hit);
		if (few > FEW)
			for (; j < 2 * FEW; j++, hit &= hit - 1)
				idx[c + j] = first + (uint32_t)i + lowest(hit);
		c += few;
	}
	for (j = 0; j < c; j++)
		val[j] = p[idx[j] - first];
	return compress_rest(p, i, n, t, first, idx, val, c);
}

static size_t
keep_above(uint32_t *idx, float *val, size_t n, float t)
{
	const __m256 limit = _mm256_set1_ps(t);
	size_t i, c = 0;

	for (i = 0; i + 8 <= n; i += 8) {
		__m256 v = _mm256_loadu_ps(val + i);

		c += put_8(idx + c, val + c, _mm256_loadu_si256((const __m256i *)(const void *)(idx + i)), v,
		           (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, limit, _CMP_GT_OQ)));
	}
	return keep_tail(idx, val, i, n, t, c);
}

#else

static size_t
compress_above(const float *p, size_t n, float t, uint32_t first, uint32_t *idx, float *val)
{
	return compress_tail(p, 0, n, t, first, idx, val, 0);
}

static size_t
few_above(const float *p, size_t n, float t, uint32_t first, uint32_t *idx, float *val)
{
	return compress_tail(p, 0, n, t, first, idx, val, 0);
}

static size_t
keep_above(uint32_t *idx, float *val, size_t n, float t)
{
	return keep_tail(idx, val, 0, n, t, 0);
}

#endif

static void
maxima(const float *restrict p, size_t n, float *restrict most, size_t groups)
{
	size_t g, len;

	memset(most, 0, groups * sizeof *most);
	for (; n; n -= len, p += len) {
		len = n < groups ? n : groups;
		for (g = 0; g < len; g++)
			most[g] = p[g] > most[g] ? p[g] : most[g];
	}
}

static void
axpy(float *y, float a, const float *x, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		store(y + i, load(y + i) + a * load(x + i));
	for (; i < n; i++)
		y[i] = y[i] + a * x[i];
}

/* Eight registers of one output row, held over all of its non-zeros. */
static void
gather_8(float *out, const float *b, const float *W, size_t ld, const uint32_t *idx, const float *val, size_t nnz)
{
	vec s0 = load(b), s1 = load(b + LANES), s2 = load(b + 2 * LANES), s3 = load(b + 3 * LANES);
	vec s4 = load(b + 4 * LANES), s5 = load(b + 5 * LANES), s6 = load(b + 6 * LANES), s7 = load(b + 7 * LANES);
	const float *w;
	float a;
	size_t t;

	for (t = 0; t < nnz; t++) {
		w = W + idx[t] * ld;
		a = val[t];
		s0 += a * load(w);
		s1 += a * load(w + LANES);
		s2 += a * load(w + 2 * LANES);
		s3 += a * load(w + 3 * LANES);
		s4 += a * load(w + 4 * LANES);
		s5 += a * load(w + 5 * LANES);
		s6 += a * load(w + 6 * LANES);
		s7 += a * load(w + 7 * LANES);
	}
	store(out, s0);
	store(out + LANES, s1);
	store(out + 2 * LANES, s2);
	store(out + 3 * LANES, s3);
	store(out + 4 * LANES, s4);
	store(out + 5 * LANES, s5);
	store(out + 6 * LANES, s6);
	store(out + 7 * LANES, s7);
}

static void
gather_rows(float *out, const float *b, const float *W, size_t ld, size_t d,
            const uint32_t *idx, const float *val, size_t nnz)
{
	size_t i = 0, t;
	float s;
	vec v;

	for (; i + 8 * LANES <= d; i += 8 * LANES)
		gather_8(out + i, b + i, W + i, ld, idx, val, nnz);
	for (; i + LANES <= d; i += LANES) {
		v = load(b + i);
		for (t = 0; t < nnz; t++)
			v += val[t] * load(W + idx[t] * ld + i);
		store(out + i, v);
	}
	for (; i < d; i++) {
		s = b[i];
		for (t = 0; t < nnz; t++)
			s += val[t] * W[idx[t] * ld + i];
		out[i] = s;
	}
}

#define WIDE 8 /* lanes of the sums in compare, for every instruction set */
typedef float few __attribute__((vector_size(WIDE * sizeof(float))));
typedef double wide __attribute__((vector_size(WIDE * sizeof(double))));
typedef int64_t bits __attribute__((vector_size(WIDE * sizeof(int64_t))));

/* A macro: passing a vector this wide to a function would be another ABI on
 * each instruction set. */
#define SUM_WIDE(v) ((((v)[0] + (v)[4]) + ((v)[2] + (v)[6])) + (((v)[1] + (v)[5]) + ((v)[3] + (v)[7])))

/* The compiler makes as many registers of `wide` as it takes. */
static void
compare(const float *x, const float *y, size_t n, struct compared *out)
{
	const bits sign = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
	wide e = {0}, ee = {0}, abs = {0}, yy = {0}, xy = {0}, a, b, c;
	float restx[WIDE] = {0}, resty[WIDE] = {0};
	size_t i, len;
	few f;

	for (i = 0; i < n; i += len) {
		len = n - i < WIDE ? n - i : WIDE;
		if (len < WIDE) {
			__builtin_memcpy(restx, x + i, len * sizeof *x);
			__builtin_memcpy(resty, y + i, len * sizeof *y);
		}
		__builtin_memcpy(&f, len < WIDE ? restx : x + i, sizeof f);
		a = __builtin_convertvector(f, wide);
		__builtin_memcpy(&f, len < WIDE ? resty : y + i, sizeof f);
		b = __builtin_convertvector(f, wide);
		c = a - b;
		e += c;
		ee += c * c;
		abs += (wide)((bits)c & sign);
		yy += b * b;
		xy += a * b;
	}
	*out = (struct compared){SUM_WIDE(e), SUM_WIDE(ee), SUM_WIDE(abs), SUM_WIDE(yy), SUM_WIDE(xy)};
}

typedef uint32_t word __attribute__((vector_size(BYTES)));
typedef uint16_t half __attribute__((vector_size(BYTES / 2)));

static void
shorten(uint16_t *to, const float *from, size_t n)
{
	size_t i = 0;
	word w;
	half h;

	for (; i + LANES <= n; i += LANES) {
		__builtin_memcpy(&w, from + i, sizeof w);
		w = (w + 0x7fff + (w >> 16 & 1)) >> 16;
		h = __builtin_convertvector(w, half);
		__builtin_memcpy(to + i, &h, sizeof h);
	}
	for (; i < n; i++) {
		uint32_t one;

		__builtin_memcpy(&one, from + i, sizeof one);
		to[i] = (uint16_t)((one + 0x7fff + (one >> 16 & 1)) >> 16);
	}
}

static void
upper(float *u, const uint16_t *a, const float *by_x, const float *by_rest, const float *fixed, float x, float rest, size_t n)
{
	size_t i = 0;
	word w, sign;
	half h;
	vec v, size;

	for (; i + LANES <= n; i += LANES) {
		__builtin_memcpy(&h, a + i, sizeof h);
		w = __builtin_convertvector(h, word) << 16;
		sign = w & 0x7fffffff;
		__builtin_memcpy(&v, &w, sizeof v);
		__builtin_memcpy(&size, &sign, sizeof size);
		store(u + i, (v + size * 0x1p-8f) + ((x * load(by_x + i) + rest * load(by_rest + i)) + load(fixed + i)));
	}
	for (; i < n; i++) {
		uint32_t one = (uint32_t)a[i] << 16;
		float f;

		__builtin_memcpy(&f, &one, sizeof f);
		u[i] = (f + fabsf(f) * 0x1p-8f) + ((x * by_x[i] + rest * by_rest[i]) + fixed[i]);
	}
}

static void
extremes(const float *v, size_t n, int32_t *least, int32_t *most)
{
	int32_t low = INT32_MAX, high = INT32_MIN, bits;
	size_t i;

	for (i = 0; i < n; i++) {
		__builtin_memcpy(&bits, v + i, sizeof bits);
		low = bits < low ? bits : low;
		high = bits > high ? bits : high;
	}
	*least = low;
	*most = high;
}

/* The largest magnitude, by the order of bits. */
static float
largest(const float *x, size_t n)
{
	int32_t most = 0, bits;
	float f;
	size_t i;

	for (i = 0; i < n; i++) {
		__builtin_memcpy(&bits, x + i, sizeof bits);
		bits &= 0x7fffffff;
		most = bits > most ? bits : most;
	}
	__builtin_memcpy(&f, &most, sizeof f);
	return f;
}

static float
sum_lanes(const float *s)
{
	float all = 0;
	size_t l;

	for (l = 0; l < DOT_LANES; l++)
		all += s[l];
	return all;
}

/* Adding and taking away 1.5 * 2^23 rounds to the nearest whole number. */
#define TO_WHOLE 12582912.0f
/* Between these, nothing below over- or underflows to speak of. */
#define LEAST 1e-18f
#define MOST 1e18f

static struct rounded
round_row(const float *x, size_t n, int8_t *q)
{
	float most = largest(x, n), scale = most / 127, by = 127 / most;
	float xx[DOT_LANES] = {0}, ee[DOT_LANES] = {0}, v, e;
	int32_t sum = 0;
	size_t i, l;

	if (!(most >= LEAST && most <= MOST)) {
		memset(q, 0, n);
		return (struct rounded){scale, 0, most == 0 ? 0 : NAN, most == 0 ? 0 : NAN};
	}
	for (i = 0; i < n; i += DOT_LANES)
		for (l = 0; l < DOT_LANES; l++) {
			v = (x[i + l] * by + TO_WHOLE) - TO_WHOLE;
			e = x[i + l] - v * scale;
			q[i + l] = (int8_t)(int32_t)v;
			xx[l] += x[i + l] * x[i + l];
			ee[l] += e * e;
		}
	for (i = 0; i < n; i++)
		sum += q[i];
	return (struct rounded){scale, sum, sqrtf(sum_lanes(xx)), sqrtf(sum_lanes(ee))};
}

#if defined(__AVX512F__)
#define QUICK true
#else
#define QUICK false
#endif
#if defined(__AVX512VNNI__)
#define BYTE_TILE PRODUCT(byte_tile)
#else
#define BYTE_TILE NULL
#endif

extern const struct simd PRODUCT(simd);
const struct simd PRODUCT(simd) = {
	TEXT(SIMD), add, gate, shift_scale, unscale_shift, count_above, compress_above, few_above, keep_above, maxima, extremes, axpy, gather_rows, compare,
	QUICK, PRODUCT(dot_tile), PRODUCT(dot_pairs), round_row, BYTE_TILE, shorten, upper
};
