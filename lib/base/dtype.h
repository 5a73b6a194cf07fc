/* Element types, by numpy's names. Streams hold little-endian data only;
 * files may be big-endian, which `swap` undoes. */
#ifndef BASE_DTYPE_H
#define BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>

enum dtype {
	DT_NONE = 0, /* not one of ours */
	DT_F2, DT_BF2, DT_F4, DT_F8,
	DT_I1, DT_I2, DT_I4, DT_I8,
	DT_U1, DT_U2, DT_U4, DT_U8,
	DT_BOOL
};

/* "<f4", "|u1", ">f8", "=f4", "f4" ...: the type, and in *swap (may be NULL)
 * whether bytes are in the other order. bfloat16 is called "bfloat16" here,
 * since numpy has only "|V2" for it. DT_NONE for anything else. */
enum dtype dtype_parse(const char *name, bool *swap);

/* numpy's little-endian name ("<f4"); "?" for DT_NONE. */
const char *dtype_name(enum dtype t);

/* Bytes of one element; 0 for DT_NONE. */
size_t dtype_size(enum dtype t);

/* Bytes of one element of any numpy type name, known or not ("<c8", "<M8"):
 * the number in it; 0 when there is none. For columns that only pass. */
size_t dtype_size_of_name(const char *name);

/* dst[n] = src[n] as float32: exact for half, bfloat16, 8- and 16-bit
 * integers, rounded to nearest otherwise. src needs no alignment. */
void dtype_to_f32(float *dst, const void *src, size_t n, enum dtype t, bool swap);

/* The inverse for half and single precision (DT_F2, DT_F4), rounded to nearest,
 * ties to even: dst[n] = src[n], little-endian on little-endian machines. How
 * many were converted: fewer than n when a finite number is beyond half. */
size_t dtype_from_f32(void *dst, const float *src, size_t n, enum dtype t);

/* How many of v[n] are NaN or infinite. */
size_t f32_nonfinite(const float *v, size_t n);

/* The double whose %.9g is the shortest decimal that reads back as v: for
 * printing float32 without digits that mean nothing. */
double f32_shortest(float v);

/* The inverse of dtype_to_f32 for text: v as one element of t at dst (wide
 * enough); false when it does not fit t (integers: not whole, out of range). */
bool dtype_store(void *dst, enum dtype t, double v);
/* One element as double, exact for all but 64-bit integers. */
double dtype_load(const void *src, enum dtype t);

#endif
