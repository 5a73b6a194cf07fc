/* Small text helpers that more than one room needs. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* True when s[n] is valid UTF-8 (no overlong forms, no surrogates). */
bool text_utf8_valid(const char *s, size_t n);

/* True when text_printable would change nothing: valid UTF-8 without control
 * characters. */
bool text_is_printable(const char *s, size_t n);

/* Natural order: digit runs compare as numbers, so part2 < part10. For equal
 * numbers fewer leading zeros first, then byte order. <0, 0, >0. */
int text_natural_cmp(const char *a, const char *b);

/* Copies s into out[size] with control characters and invalid UTF-8 written
 * as \xNN, so that a hostile name cannot drive a terminal; what does not fit is
 * cut and ends in "...". size >= 4. Returns out. */
char *text_printable(char *out, size_t size, const char *s, size_t n);

/* words[0..n-1] parted by spaces, printable, cut to size >= 4. Returns out. */
char *text_join(char *out, size_t size, char *const *words, size_t n);

#endif
