#include "files/infile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

static const char *
kind_of(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISFIFO(mode))
		return "a pipe";
	if (S_ISSOCK(mode))
		return "a socket";
	return "a device";
}

int
infile_open(const char *path, int *fd, uint64_t *size, struct err *e)
{
	struct stat st;

	/* non-blocking: opening a pipe that nobody writes to must not hang */
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return err_sys(e, CODE_NOINPUT, "cannot open");
	if (fstat(*fd, &st))
		err_sys(e, CODE_IO, "cannot ask for its size");
	else if (!S_ISREG(st.st_mode))
		err_set(e, CODE_NOINPUT, "is %s; a regular file is needed here", kind_of(st.st_mode));
	else {
		*size = (uint64_t)st.st_size;
		return 0;
	}
	close(*fd);
	*fd = -1;
	return e->code;
}

int
infile_read_at(int fd, void *p, size_t n, uint64_t at, struct err *e)
{
	ssize_t got = io_pread_full(fd, p, n, at);

	if (got < 0)
		return err_sys(e, CODE_IO, "cannot read %zu bytes at offset %llu", n, (unsigned long long)at);
	if ((size_t)got < n)
		return err_set(e, CODE_DATA, "ended at byte %llu while %zu bytes were read at offset %llu: did it change?",
		               (unsigned long long)at + (unsigned long long)got, n, (unsigned long long)at);
	return 0;
}

int
infile_blame(struct err *e, const char *path)
{
	char name[320]; /* leaves room for the reason in e->text */

	return err_add(e, "%s", text_printable(name, sizeof name, path, strlen(path)));
}

static bool
starts(const unsigned char *head, size_t n, const char *with, size_t len)
{
	return n >= len && !memcmp(head, with, len);
}

static bool
is_html(const unsigned char *head, size_t n)
{
	while (n && (*head == ' ' || *head == '\n' || *head == '\r' || *head == '\t')) {
		head++;
		n--;
	}
	return (n >= 9 && !strncasecmp((const char *)head, "<!doctype", 9)) ||
	       (n >= 5 && !strncasecmp((const char *)head, "<html", 5));
}

bool
infile_sniff(const unsigned char *head, size_t n, char *text, size_t size)
{
	char shown[80];

	if (!n) {
		snprintf(text, size, "it is empty");
		return false;
	}
	if (starts(head, n, "version https://git-lfs", 23))
		snprintf(text, size, "it is a git-lfs pointer; fetch the file itself with `git lfs pull`");
	else if (is_html(head, n))
		snprintf(text, size, "it is a web page, as a failed download leaves it");
	else if (starts(head, n, "PK\3\4", 4))
		snprintf(text, size, "it is a zip archive, such as .npz or a PyTorch file");
	else if (starts(head, n, "\x93NUMPY", 6))
		snprintf(text, size, "it is an npy file");
	else {
		text_printable(shown, sizeof shown, (const char *)head, n < 16 ? n : 16);
		snprintf(text, size, "it starts with \"%s\"", shown);
		return false;
	}
	return true;
}
