/* The least a C test needs: numbered TAP lines and a closing plan.
 *
 *   int main(void) { tap_ok(1 + 1 == 2, "sums"); return tap_done(); }
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdio.h>

static int tap_count, tap_failed;

static inline int
tap_ok(int ok, const char *fmt, ...)
{
	va_list ap;

	tap_failed += !ok;
	printf("%sok %d - ", ok ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	return ok;
}

static inline void
tap_skip(const char *what, const char *why)
{
	printf("ok %d - %s # skip %s\n", ++tap_count, what, why);
}

static inline int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
