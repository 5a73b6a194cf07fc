#include "base/dtype.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	enum dtype type;
	char code[4]; /* without the byte order */
	unsigned char size;
	const char *name;
} types[] = {
	{DT_F2, "f2", 2, "<f2"}, {DT_BF2, "", 2, "bfloat16"}, {DT_F4, "f4", 4, "<f4"},
	{DT_F8, "f8", 8, "<f8"}, {DT_I1, "i1", 1, "|i1"}, {DT_I2, "i2", 2, "<i2"},
	{DT_I4, "i4", 4, "<i4"}, {DT_I8, "i8", 8, "<i8"}, {DT_U1, "u1", 1, "|u1"},
	{DT_U2, "u2", 2, "<u2"}, {DT_U4, "u4", 4, "<u4"}, {DT_U8, "u8", 8, "<u8"},
	{DT_BOOL, "b1", 1, "|b1"},
};
#define NTYPES (sizeof types / sizeof types[0])

enum dtype
dtype_parse(const char *name, bool *swap)
{
	bool big = false;
	size_t i;

	if (swap)
		*swap = false;
	if (!strcmp(name, "bfloat16"))
		return DT_BF2;
	if (*name && strchr("<>=|", *name))
		big = *name++ == '>';
	for (i = 0; i < NTYPES; i++)
		if (types[i].code[0] && !strcmp(name, types[i].code)) {
			if (swap)
				*swap = big && types[i].size > 1;
			return big && !swap && types[i].size > 1 ? DT_NONE : types[i].type;
		}
	return DT_NONE;
}

const char *
dtype_name(enum dtype t)
{
	size_t i;

	for (i = 0; i < NTYPES; i++)
		if (types[i].type == t)
			return types[i].name;
	return "?";
}

size_t
dtype_size(enum dtype t)
{
	size_t i;

	for (i = 0; i < NTYPES; i++)
		if (types[i].type == t)
			return types[i].size;
	return 0;
}

size_t
dtype_size_of_name(const char *name)
{
	enum dtype t = dtype_parse(name, &(bool){false});
	unsigned long n;
	char *end;

	if (t)
		return dtype_size(t);
	if (strlen(name) < 3 || strlen(name) > 12 || !strchr("<|", name[0]) || name[1] == 'O' || name[1] == 'U')
		return 0;
	n = strtoul(name + 2, &end, 10);
	return *end || n > 65536 ? 0 : n;
}

/* Half to single without a table: the exponent is rebiased by a multiplication
 * with 2^112, which also normalises subnormals; infinities and NaNs get the
 * full exponent back by hand. Exact. */
static float
half_to_f32(uint16_t h)
{
	uint32_t bits = (uint32_t)(h & 0x7fff) << 13, out;
	float f;

	memcpy(&f, &bits, 4);
	f *= 0x1p112f;
	memcpy(&out, &f, 4);
	out |= ((h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0) | (uint32_t)(h & 0x8000) << 16;
	memcpy(&f, &out, 4);
	return f;
}

static uint16_t
swap16(uint16_t v)
{
	return (uint16_t)(v << 8 | v >> 8);
}

static uint32_t
swap32(uint32_t v)
{
	return (uint32_t)swap16((uint16_t)v) << 16 | swap16((uint16_t)(v >> 16));
}

static uint64_t
swap64(uint64_t v)
{
	return (uint64_t)swap32((uint32_t)v) << 32 | swap32((uint32_t)(v >> 32));
}

/* One loop a type: load n unaligned values, swap where asked, convert. */
#define CONVERT(ctype, utype, swapper, expr)                                  \
	do {                                                                  \
		const unsigned char *in = src;                                \
		for (size_t i = 0; i < n; i++) {                              \
			utype u;                                              \
			ctype v;                                              \
			memcpy(&u, in + i * sizeof u, sizeof u);              \
			if (swap)                                             \
				u = (utype)swapper(u);                        \
			memcpy(&v, &u, sizeof v);                             \
			dst[i] = (expr);                                      \
		}                                                             \
	} while (0)

static void
bf16_to_f32(float *dst, const void *src, size_t n, bool swap)
{
	const unsigned char *in = src;
	uint16_t h;
	uint32_t w;
	size_t i;

	for (i = 0; i < n; i++) {
		memcpy(&h, in + 2 * i, 2);
		w = (uint32_t)(swap ? swap16(h) : h) << 16;
		memcpy(dst + i, &w, 4);
	}
}

void
dtype_to_f32(float *dst, const void *src, size_t n, enum dtype t, bool swap)
{
	switch (t) {
	case DT_F2: CONVERT(uint16_t, uint16_t, swap16, half_to_f32(v)); break;
	case DT_BF2: bf16_to_f32(dst, src, n, swap); break;
	case DT_F4:
		if (swap)
			CONVERT(float, uint32_t, swap32, v);
		else
			memcpy(dst, src, n * sizeof *dst);
		break;
	case DT_F8: CONVERT(double, uint64_t, swap64, (float)v); break;
	case DT_I1: CONVERT(int8_t, uint8_t, , (float)v); break;
	case DT_BOOL:
	case DT_U1: CONVERT(uint8_t, uint8_t, , (float)v); break;
	case DT_I2: CONVERT(int16_t, uint16_t, swap16, (float)v); break;
	case DT_U2: CONVERT(uint16_t, uint16_t, swap16, (float)v); break;
	case DT_I4: CONVERT(int32_t, uint32_t, swap32, (float)v); break;
	case DT_U4: CONVERT(uint32_t, uint32_t, swap32, (float)v); break;
	case DT_I8: CONVERT(int64_t, uint64_t, swap64, (float)v); break;
	case DT_U8: CONVERT(uint64_t, uint64_t, swap64, (float)v); break;
	case DT_NONE: break;
	}
}

size_t
f32_nonfinite(const float *v, size_t n)
{
	uint32_t bits, bad = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		memcpy(&bits, v + i, 4);
		bad += (bits & 0x7f800000u) == 0x7f800000u;
	}
	return bad;
}

double
f32_shortest(float v)
{
	char text[32];
	int digits;

	if (!isfinite(v))
		return v;
	for (digits = 6; digits < 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)v);
		if (strtof(text, NULL) == v)
			return strtod(text, NULL);
	}
	snprintf(text, sizeof text, "%.9g", (double)v);
	return strtod(text, NULL);
}

/* v >> shift, rounded to nearest, ties to even. 0 < shift < 32. */
static uint32_t
shift_round(uint32_t v, unsigned shift)
{
	uint32_t q = v >> shift, rest = v & ((1u << shift) - 1), tie = 1u << (shift - 1);

	return q + (rest > tie || (rest == tie && (q & 1)));
}

/* As hardware does: nearest even, overflow to infinity. */
static uint16_t
f32_to_half(float f)
{
	uint32_t bits, sign, mant;
	int exp;

	memcpy(&bits, &f, 4);
	sign = bits >> 16 & 0x8000;
	exp = (int)(bits >> 23 & 0xff) - 112;
	mant = bits & 0x7fffff;
	if (exp == 0xff - 112)
		return (uint16_t)(sign | 0x7c00 | (mant ? 0x200 : 0));
	if (exp > 30)
		return (uint16_t)(sign | 0x7c00);
	if (exp < -10)
		return (uint16_t)sign;
	if (exp <= 0)
		return (uint16_t)(sign | shift_round(mant | 0x800000, (unsigned)(14 - exp)));
	return (uint16_t)(sign | shift_round((uint32_t)exp << 23 | mant, 13)); /* a carry goes into the exponent */
}

#define STORE_INT(ctype, lo, hi)                                              \
	do {                                                                  \
		ctype i;                                                      \
		if (!(v >= (double)(lo) && v <= (double)(hi)) || v != floor(v)) \
			return false;                                         \
		i = (ctype)v;                                                 \
		memcpy(dst, &i, sizeof i);                                    \
		return true;                                                  \
	} while (0)

size_t
dtype_from_f32(void *dst, const float *src, size_t n, enum dtype t)
{
	unsigned char *to = dst;
	uint16_t h;
	size_t i;

	if (t == DT_F4) {
		memcpy(dst, src, n * sizeof *src);
		return n;
	}
	for (i = 0; i < n && t == DT_F2; i++) {
		h = f32_to_half(src[i]);
		if ((h & 0x7fff) == 0x7c00 && isfinite(src[i]))
			break;
		memcpy(to + 2 * i, &h, 2);
	}
	return i;
}

bool
dtype_store(void *dst, enum dtype t, double v)
{
	float f = (float)v;
	uint32_t bits;
	uint16_t h;

	switch (t) {
	case DT_F4: memcpy(dst, &f, 4); return true;
	case DT_F8: memcpy(dst, &v, 8); return true;
	case DT_F2: h = f32_to_half(f); memcpy(dst, &h, 2); return true;
	case DT_BF2:
		memcpy(&bits, &f, 4);
		h = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
		memcpy(dst, &h, 2);
		return true;
	case DT_I1: STORE_INT(int8_t, INT8_MIN, INT8_MAX);
	case DT_I2: STORE_INT(int16_t, INT16_MIN, INT16_MAX);
	case DT_I4: STORE_INT(int32_t, INT32_MIN, INT32_MAX);
	case DT_I8: STORE_INT(int64_t, -0x1p63, 0x1p63 - 1024);
	case DT_BOOL: STORE_INT(uint8_t, 0, 1);
	case DT_U1: STORE_INT(uint8_t, 0, UINT8_MAX);
	case DT_U2: STORE_INT(uint16_t, 0, UINT16_MAX);
	case DT_U4: STORE_INT(uint32_t, 0, UINT32_MAX);
	case DT_U8: STORE_INT(uint64_t, 0, 0x1p64 - 2048);
	case DT_NONE: break;
	}
	return false;
}

double
dtype_load(const void *src, enum dtype t)
{
	double d;
	float f;
	int64_t i;
	uint64_t u;
	int32_t w;
	uint32_t uw;

	switch (t) {
	case DT_F8: memcpy(&d, src, 8); return d;
	case DT_I8: memcpy(&i, src, 8); return (double)i;
	case DT_U8: memcpy(&u, src, 8); return (double)u;
	case DT_I4: memcpy(&w, src, 4); return w;
	case DT_U4: memcpy(&uw, src, 4); return uw;
	default: dtype_to_f32(&f, src, 1, t, false); return f;
	}
}
