/* Dot products, compiled for each instruction set as simd.c is, into the same
 * tables. Floats: the sum of sae/dot.h, of many rows with many latents, held in
 * registers. Bytes: the products by which sae/screen.c looks for candidates.
 *
 * The multiply-adds are written in assembly because GCC 12 copies registers
 * around the intrinsics that change their first operand, at half the speed. */
#include "sae/products.h"

#include <math.h>
#include <string.h>

#include "sae/dot.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed" /* of loops in functions that were inlined, and are not needed themselves */
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* A sum of sixteen lanes is PARTS registers. */
#if defined(__AVX512F__)

typedef __m512 part;
#define PARTS 1
#define TILE_ROWS 4
#define TILE_COLS 6
#define ZERO() _mm512_setzero_ps()
#define LOAD(p) _mm512_loadu_ps(p)
#define FMA(sum, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))

/* Of four sums: in each quarter of the register the four quarters of one. */
static inline __m512
fold(__m512 a, __m512 b, __m512 c, __m512 d)
{
	__m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
	__m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));

	return _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
}

/* Neighbours added, in each quarter: a01 a23 b01 b23. */
static inline __m512
pairs(__m512 a, __m512 b)
{
	return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
}

/* Sixteen sums at once, n of them wanted. */
#define SUM(k) s[(k) < n ? (k) : n - 1][0]
static inline void
finish_16(part (*s)[PARTS], const int n, float *out)
{
	__m512 q0 = fold(SUM(0), SUM(4), SUM(8), SUM(12)), q1 = fold(SUM(1), SUM(5), SUM(9), SUM(13));
	__m512 q2 = fold(SUM(2), SUM(6), SUM(10), SUM(14)), q3 = fold(SUM(3), SUM(7), SUM(11), SUM(15));
	__m512 all = pairs(pairs(q0, q1), pairs(q2, q3));

	_mm512_mask_storeu_ps(out, (__mmask16)((1u << n) - 1), all);
}
#undef SUM

static inline void
finish(part (*s)[PARTS], const int n, float *out)
{
	int i;

	UNROLL
	for (i = 0; i < n; i += 16)
		finish_16(s + i, n - i < 16 ? n - i : 16, out + i);
}

#elif defined(__AVX2__)

typedef __m256 part;
#define PARTS 2
#define TILE_ROWS 2
#define TILE_COLS 3
#define ZERO() _mm256_setzero_ps()
#define LOAD(p) _mm256_loadu_ps(p)
#define FMA(sum, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b))

/* Of two sums: in each half of the register the four quarters of one. */
static inline __m256
fold(part (*s)[PARTS], int a, int b)
{
	__m256 x = _mm256_add_ps(s[a][0], s[a][1]), y = _mm256_add_ps(s[b][0], s[b][1]);

	return _mm256_add_ps(_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31));
}

/* Eight sums at once, n of them wanted. */
#define AT(k) ((k) < n ? (k) : n - 1)
static inline void
finish_8(part (*s)[PARTS], const int n, float *out)
{
	__m256 low = _mm256_hadd_ps(fold(s, AT(0), AT(4)), fold(s, AT(1), AT(5)));
	__m256 high = _mm256_hadd_ps(fold(s, AT(2), AT(6)), fold(s, AT(3), AT(7)));
	float all[8];

	_mm256_storeu_ps(all, _mm256_hadd_ps(low, high));
	memcpy(out, all, (size_t)n * sizeof *out);
}
#undef AT

static inline void
finish(part (*s)[PARTS], const int n, float *out)
{
	int i;

	UNROLL
	for (i = 0; i < n; i += 8)
		finish_8(s + i, n - i < 8 ? n - i : 8, out + i);
}

#elif defined(__ARM_NEON) && defined(__aarch64__)

typedef float32x4_t part;
#define PARTS 4
#define TILE_ROWS 2
#define TILE_COLS 2
#define ZERO() vdupq_n_f32(0)
#define LOAD(p) vld1q_f32(p)
#define FMA(sum, a, b) ((sum) = vfmaq_f32(sum, a, b))

static inline void
finish(part (*s)[PARTS], const int n, float *out)
{
	float32x4_t q;
	int i;

	UNROLL
	for (i = 0; i < n; i++) {
		q = vaddq_f32(vaddq_f32(s[i][0], s[i][2]), vaddq_f32(s[i][1], s[i][3]));
		q = vpaddq_f32(q, q);
		out[i] = vgetq_lane_f32(vpaddq_f32(q, q), 0);
	}
}

#else

typedef float part;
#define PARTS 16
#define TILE_ROWS 1
#define TILE_COLS 1
#define ZERO() 0.0f
#define LOAD(p) (*(p))
#define FMA(sum, a, b) ((sum) = fmaf(a, b, sum))

static inline void
finish(part (*s)[PARTS], const int n, float *out)
{
	float h[8];
	int i, l;

	for (i = 0; i < n; i++) {
		for (l = 0; l < 8; l++)
			h[l] = s[i][l] + s[i][l + 8];
		for (l = 0; l < 4; l++)
			h[l] += h[l + 4];
		out[i] = (h[0] + h[1]) + (h[2] + h[3]);
	}
}

#endif

#define STEP (DOT_LANES / PARTS)

/* out[R*C]: rows x[0..R-1] with C latents that lie one behind the other. */
#define TILE(R, C) \
	static void tile_##R##_##C(const float *const *x, const float *w, size_t width, float *out) \
	{ \
		part s[(R) * (C)][PARTS], b[C], a; \
		int h, r, c; \
		size_t i; \
		UNROLL \
		for (r = 0; r < (R) * (C); r++) { \
			UNROLL \
			for (h = 0; h < PARTS; h++) \
				s[r][h] = ZERO(); \
		} \
		for (i = 0; i < width; i += DOT_LANES) { \
			UNROLL \
			for (h = 0; h < PARTS; h++) { \
				UNROLL \
				for (c = 0; c < (C); c++) \
					b[c] = LOAD(w + (size_t)c * width + i + (size_t)h * STEP); \
				UNROLL \
				for (r = 0; r < (R); r++) { \
					a = LOAD(x[r] + i + (size_t)h * STEP); \
					UNROLL \
					for (c = 0; c < (C); c++) \
						FMA(s[r * (C) + c][h], a, b[c]); \
				} \
			} \
		} \
		finish(s, (R) * (C), out); \
	}

#define TILE_OF(R, C) tile_##R##_##C
#define CALL_TILE(R, C) TILE_OF(R, C)
#define MAKE_TILE(R, C) TILE(R, C)

MAKE_TILE(TILE_ROWS, TILE_COLS)
#if TILE_ROWS * TILE_COLS > 1
MAKE_TILE(TILE_ROWS, 1)
MAKE_TILE(1, TILE_COLS)
MAKE_TILE(1, 1)
#endif

/* One panel of C latents, which stays in the first cache while all rows pass by. */
#define PANEL(C) \
	static void panel_##C(const float *x, size_t rows, const float *w, size_t width, float *p, size_t ld) \
	{ \
		const float *row[TILE_ROWS]; \
		float out[TILE_ROWS * (C)]; \
		size_t r = 0, i; \
		for (; r + TILE_ROWS <= rows; r += TILE_ROWS) { \
			for (i = 0; i < TILE_ROWS; i++) \
				row[i] = x + (r + i) * width; \
			CALL_TILE(TILE_ROWS, C)(row, w, width, out); \
			for (i = 0; i < TILE_ROWS; i++) \
				memcpy(p + (r + i) * ld, out + i * (C), (C) * sizeof *p); \
		} \
		for (; r < rows; r++) { \
			row[0] = x + r * width; \
			CALL_TILE(1, C)(row, w, width, p + r * ld); \
		} \
	}
#define MAKE_PANEL(C) PANEL(C)
#define PANEL_OF(C) panel_##C
#define CALL_PANEL(C) PANEL_OF(C)

#if TILE_COLS > 1
MAKE_PANEL(TILE_COLS)
#endif
MAKE_PANEL(1)

void
PRODUCT(dot_tile)(const float *x, size_t rows, const float *w, size_t cols, size_t width, float *p, size_t ld)
{
	size_t c = 0;

	for (; c + TILE_COLS <= cols; c += TILE_COLS)
		CALL_PANEL(TILE_COLS)(x, rows, w + c * width, width, p + c, ld);
	for (; c < cols; c++)
		panel_1(x, rows, w + c * width, width, p + c, ld);
}

/* N rows, each with a latent of its own. */
#define PAIRS(N) \
	static inline void pairs_##N(const float *x, const float *w, size_t width, const struct dot_pair *pair, float *out) \
	{ \
		const float *a[N], *b[N]; \
		part s[N][PARTS]; \
		float sum[N]; \
		size_t i; \
		int h, k; \
		UNROLL \
		for (k = 0; k < (N); k++) { \
			a[k] = x + pair[k].row * width; \
			b[k] = w + pair[k].latent * width; \
			UNROLL \
			for (h = 0; h < PARTS; h++) \
				s[k][h] = ZERO(); \
		} \
		for (i = 0; i < width; i += DOT_LANES) { \
			UNROLL \
			for (h = 0; h < PARTS; h++) { \
				UNROLL \
				for (k = 0; k < (N); k++) \
					FMA(s[k][h], LOAD(a[k] + i + (size_t)h * STEP), LOAD(b[k] + i + (size_t)h * STEP)); \
			} \
		} \
		finish(s, (N), sum); \
		UNROLL \
		for (k = 0; k < (N); k++) \
			out[pair[k].at] = sum[k]; \
	}

PAIRS(4)
PAIRS(1)

#define AHEAD 24 /* pairs before a latent's weights are wanted, they are asked for */

/* Weights come from memory, each latent's once for several pairs, and too few
 * of them for the CPU to see that they will. */
static inline void
ask_for(const float *w, size_t width, const struct dot_pair *pair, size_t i, size_t n)
{
	size_t j;

	if (i + AHEAD + 4 > n || pair[i + AHEAD + 3].latent == pair[i + AHEAD - 1].latent)
		return;
	for (j = 0; j < width; j += 64 / sizeof *w)
		__builtin_prefetch(w + pair[i + AHEAD + 3].latent * width + j, 0, 2);
}

/* Four at a time: four sums under way hide how long an addition takes. */
void
PRODUCT(dot_pairs)(const float *x, const float *w, size_t width, const struct dot_pair *pair, size_t n, float *out)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		ask_for(w, width, pair, i, n);
		pairs_4(x, w, width, pair + i, out);
	}
	for (; i < n; i++)
		pairs_1(x, w, width, pair + i, out);
}

#if defined(__AVX512VNNI__)

/* GROUPS x 4 rows with BYTE_COLS latents. Each group of x is [depth][4] fours of
 * bytes, w is [depth][2][16] fours; what comes of it is an approximate row of p. */
#define BYTES(GROUPS) \
	static void bytes_##GROUPS(const struct byte_rows *b, size_t first, const uint8_t *w, const float *scale, const float *bias, \
	                           float *a, size_t ld) \
	{ \
		__m512i s[(GROUPS) * 4][2], w0, w1, x; \
		const int8_t *from[GROUPS]; \
		__m512 t, by; \
		int g, r, four; \
		size_t i; \
		UNROLL \
		for (g = 0; g < (GROUPS); g++) \
			from[g] = b->x + (first + (size_t)g * 4) * b->depth * 4; \
		UNROLL \
		for (r = 0; r < (GROUPS) * 4; r++) \
			s[r][0] = s[r][1] = _mm512_setzero_si512(); \
		for (i = 0; i < b->depth; i++) { \
			w0 = _mm512_loadu_si512(w + i * 128); \
			w1 = _mm512_loadu_si512(w + i * 128 + 64); \
			UNROLL \
			for (g = 0; g < (GROUPS); g++) { \
				UNROLL \
				for (r = 0; r < 4; r++) { \
					memcpy(&four, from[g] + i * 16 + (size_t)r * 4, 4); \
					x = _mm512_set1_epi32(four); \
					__asm__("vpdpbusd %2, %1, %0" : "+v"(s[g * 4 + r][0]) : "v"(w0), "v"(x)); \
					__asm__("vpdpbusd %2, %1, %0" : "+v"(s[g * 4 + r][1]) : "v"(w1), "v"(x)); \
				} \
			} \
		} \
		UNROLL \
		for (r = 0; r < (GROUPS) * 4; r++) { \
			x = _mm512_set1_epi32(b->offset[first + (size_t)r]); \
			by = _mm512_set1_ps(b->scale[first + (size_t)r]); \
			t = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(s[r][0], x)), by); \
			_mm512_storeu_ps(a + (size_t)r * ld, _mm512_fmadd_ps(t, _mm512_loadu_ps(scale), _mm512_loadu_ps(bias))); \
			t = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(s[r][1], x)), by); \
			_mm512_storeu_ps(a + (size_t)r * ld + 16, _mm512_fmadd_ps(t, _mm512_loadu_ps(scale + 16), _mm512_loadu_ps(bias + 16))); \
		} \
	}

BYTES(3)
BYTES(1)

void
PRODUCT(byte_tile)(const struct byte_rows *b, size_t first, size_t rows, const uint8_t *w, size_t cols,
                   const float *scale, const float *bias, float *a, size_t ld)
{
	size_t panel = b->depth * 4 * BYTE_COLS, r = 0, c;

	for (; r < rows; r += rows - r >= 12 ? 12 : 4)
		for (c = 0; c < cols; c += BYTE_COLS)
			(rows - r >= 12 ? bytes_3 : bytes_1)(b, first + r, w + c / BYTE_COLS * panel, scale + c, bias + c, a + r * ld + c, ld);
}

#endif
