/* Errors: how the library says no.
 *
 * A library function that can fail returns 0 or one of the exit codes below
 * and, when not 0, has filled the caller's struct err. It never prints and
 * never exits; lib/cli turns the struct into the one line `program: what: why`
 * and the process's exit code.
 *
 * Six verbs, each with one meaning:
 *   err_set   the input or the request is wrong       (returns the code)
 *   err_sys   a system call failed; strerror is added (returns the code)
 *   err_add   puts context in front: `what: ` + text  (returns the code)
 *   die, die_usage, warn                              (lib/cli/cli.h)
 *
 * A text is written as "what: why": the file, frame or row first, then what
 * was found and what was expected.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum exit_code {
	CODE_OK = 0,
	CODE_NO = 1,           /* a check answered no */
	CODE_USAGE = 64,       /* wrong command line */
	CODE_DATA = 65,        /* bad or truncated data */
	CODE_NOINPUT = 66,     /* no such input */
	CODE_UNAVAILABLE = 69, /* peer unavailable */
	CODE_BUG = 70,         /* a bug in this program */
	CODE_CANTCREATE = 73,  /* cannot create the output */
	CODE_IO = 74,          /* reading or writing failed */
	CODE_TRYAGAIN = 75,    /* memory, stopped: what schedulers may retry */
	CODE_PROTOCOL = 76,    /* a peer broke the protocol */
	CODE_REFUSED = 77      /* keys refused */
};

struct err {
	int code;       /* enum exit_code, 0 while nothing failed */
	char text[768]; /* "what: why", no newline */
};

#if defined(__GNUC__)
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#else
#define PRINTF_LIKE(f, a)
#endif

/* Fills e with code and text; returns code. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Like err_set, with ": " and strerror(errno) behind the text. */
int err_sys(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts `context: ` in front of the text e already holds; returns e->code. */
int err_add(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Out of memory while getting n bytes for what; returns CODE_TRYAGAIN. */
int err_memory(struct err *e, const char *what, unsigned long long n);

#endif
