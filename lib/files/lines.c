#include "files/lines.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "files/infile.h"

#define BLOCK ((size_t)1 << 16)

/* Lines in the regular file fd; its position stays. */
static int
count_lines(int fd, uint64_t *count, struct err *e)
{
	unsigned char *block = mem_alloc(BLOCK), *p, *end, last = '\n';
	uint64_t at = 0;
	ssize_t n;

	if (!block)
		return err_memory(e, "lines", BLOCK);
	*count = 0;
	while ((n = io_pread_full(fd, block, BLOCK, at)) > 0) {
		end = block + n;
		for (p = block; (p = memchr(p, '\n', (size_t)(end - p))); p++)
			++*count;
		last = end[-1];
		at += (uint64_t)n;
	}
	*count += last != '\n'; /* a last line without its end */
	mem_free(block);
	return n < 0 ? err_sys(e, CODE_IO, "cannot read") : 0;
}

static int
open_stream(struct lines *l, const char *path, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_sys(e, CODE_NOINPUT, "cannot open");
	l->f = fdopen(fd, "r");
	if (!l->f) {
		close(fd);
		return err_memory(e, "lines", BLOCK);
	}
	if (fstat(fd, &st))
		return err_sys(e, CODE_IO, "cannot ask for its kind");
	if (S_ISDIR(st.st_mode))
		return err_set(e, CODE_NOINPUT, "is a directory; name a file");
	l->count = UINT64_MAX;
	return S_ISREG(st.st_mode) ? count_lines(fd, &l->count, e) : 0;
}

int
lines_open(struct lines *l, const char *path, struct err *e)
{
	memset(l, 0, sizeof *l);
	l->cap = LINE_MAX_BYTES + 2; /* CR or the byte too many, and the NUL */
	l->path = strdup(path);
	l->text = malloc(l->cap);
	if (!l->path || !l->text)
		err_memory(e, path, l->cap);
	else if (!open_stream(l, path, e))
		return 0;
	else
		infile_blame(e, path);
	lines_close(l);
	return e->code;
}

/* The next line into l->text as far as it fits: 1, 0 at the end of the file
 * or when reading failed. */
static int
fill(struct lines *l)
{
	int c;

	l->len = 0;
	flockfile(l->f);
	while ((c = getc_unlocked(l->f)) != EOF && c != '\n' && l->len < l->cap - 1)
		l->text[l->len++] = (char)c;
	funlockfile(l->f);
	/* the buffer is full and the end of the line just behind it */
	if (c != '\n' && c != EOF)
		l->len = l->cap;
	return c != EOF || l->len > 0;
}

static int
refuse(struct lines *l, const char *why, struct err *e)
{
	err_set(e, CODE_DATA, "line %llu: %s", (unsigned long long)l->line, why);
	infile_blame(e, l->path);
	return -1;
}

static void
strip(struct lines *l)
{
	if (l->len && l->text[l->len - 1] == '\r')
		l->len--;
	l->text[l->len] = 0;
	/* Windows editors put a mark in front of UTF-8 */
	if (l->line == 1 && l->len >= 3 && !memcmp(l->text, "\xef\xbb\xbf", 3)) {
		l->len -= 3;
		memmove(l->text, l->text + 3, l->len + 1);
	}
}

int
lines_next(struct lines *l, struct err *e)
{
	int more = fill(l);

	if (ferror(l->f)) {
		err_sys(e, CODE_IO, "cannot read");
		infile_blame(e, l->path);
		return -1;
	}
	if (!more)
		return 0;
	l->line++;
	if (l->len < l->cap)
		strip(l);
	if (l->len > LINE_MAX_BYTES) {
		l->text[l->len = 0] = 0;
		return refuse(l, "longer than 65536 bytes", e);
	}
	if (memchr(l->text, 0, l->len))
		return refuse(l, "holds a NUL byte: not a text file", e);
	if (!text_utf8_valid(l->text, l->len))
		return refuse(l, "is not UTF-8", e);
	return 1;
}

void
lines_close(struct lines *l)
{
	if (l->f)
		fclose(l->f);
	free(l->path);
	free(l->text);
	memset(l, 0, sizeof *l);
}

int
lines_row(struct lines *l, struct err *e)
{
	int got = lines_next(l, e);

	if (got)
		return got < 0 ? e->code : 0;
	err_set(e, CODE_DATA, "ends after %llu lines, but there are more rows", (unsigned long long)l->line);
	infile_blame(e, l->path);
	return e->code;
}

int
lines_end(struct lines *l, struct err *e)
{
	int got = lines_next(l, e);

	if (got > 0) {
		err_set(e, CODE_DATA, "more lines than the %llu rows there are", (unsigned long long)l->line - 1);
		infile_blame(e, l->path);
	}
	return got ? e->code : 0;
}

int
lines_open_rows(struct lines *l, const char *path, uint64_t rows, uint64_t skip, struct err *e)
{
	if (lines_open(l, path, e))
		return e->code;
	if (rows != UINT64_MAX && l->count != UINT64_MAX && l->count != rows) {
		err_set(e, CODE_DATA, "%llu lines, but the files hold %llu rows", (unsigned long long)l->count, (unsigned long long)rows);
		infile_blame(e, path);
		return e->code;
	}
	while (skip--)
		if (lines_row(l, e))
			return e->code;
	return 0;
}
