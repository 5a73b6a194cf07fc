#if defined(__linux__)
#define _GNU_SOURCE /* O_TMPFILE */
#endif
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define SLICE_MS 250
#define GRACE_MS 1000 /* for a reader, when told to stop in the middle of a frame */

static bool
wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

/* True when the call that set errno is worth repeating. */
static bool
again(int fd, short events)
{
	if (errno == EINTR)
		return true;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return wait_for(fd, events);
	return false;
}

ssize_t
io_read_some(int fd, void *p, size_t n, volatile const int *stop)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	ssize_t r;
	int ready;

	for (;;) {
		/* A signal between the look at *stop and read() would be slept
		 * over; waiting in slices notices it. */
		do
			if (stop && *stop) {
				errno = EINTR;
				return -1;
			}
		while (stop && ((ready = poll(&wait, 1, SLICE_MS)) == 0 || (ready < 0 && errno == EINTR)));
		r = read(fd, p, n);
		if (r >= 0 || !again(fd, POLLIN))
			return r;
	}
}

ssize_t
io_read_full(int fd, void *p, size_t n)
{
	size_t got = 0;
	ssize_t r;

	while (got < n) {
		r = io_read_some(fd, (char *)p + got, n - got, NULL);
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

ssize_t
io_pread_full(int fd, void *p, size_t n, uint64_t at)
{
	size_t got = 0;
	ssize_t r;

	while (got < n) {
		r = pread(fd, (char *)p + got, n - got, (off_t)(at + got));
		if (r < 0 && again(fd, POLLIN))
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

int
io_write_all(int fd, const void *p, size_t n)
{
	struct iovec v = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};

	return io_writev_all(fd, &v, 1, NULL);
}

/* Some of iov. Told to stop while it wrote, a call comes back short, and the
 * next would sleep where nobody reads. Then only what does not block, which is
 * PIPE_BUF bytes to who can take any, so that frames stay whole for who reads. */
static ssize_t
write_some(int fd, struct iovec *iov, int count, volatile const int *stop, double *until)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};

	if (!stop || !*stop)
		return writev(fd, iov, count < IOV_MAX ? count : IOV_MAX);
	if (*until == 0)
		*until = clock_now() + GRACE_MS / 1e3;
	if (clock_now() > *until || poll(&wait, 1, GRACE_MS) <= 0) {
		errno = EINTR;
		return -1;
	}
	return write(fd, iov->iov_base, iov->iov_len < PIPE_BUF ? iov->iov_len : PIPE_BUF);
}

int
io_writev_all(int fd, struct iovec *iov, int count, volatile const int *stop)
{
	double until = 0;
	ssize_t w;

	for (;;) {
		while (count && !iov->iov_len) {
			iov++;
			count--;
		}
		if (!count)
			return 0;
		w = write_some(fd, iov, count, stop, &until);
		if (w < 0 && errno == EINTR && stop && *stop)
			return -1;
		if (w < 0 && again(fd, POLLOUT))
			continue;
		if (w < 0)
			return -1;
		if (w == 0) {
			errno = ENOSPC;
			return -1;
		}
		while (count && (size_t)w >= iov->iov_len) {
			w -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count && w) {
			iov->iov_base = (char *)iov->iov_base + w;
			iov->iov_len -= (size_t)w;
		}
	}
}

static char *
dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static void
outfile_reset(struct outfile *f)
{
	free(f->path);
	free(f->dir);
	free(f->temp);
	*f = (struct outfile){.fd = -1};
}

int
outfile_open(struct outfile *f, const char *path, struct err *e)
{
	struct stat st;
	size_t n;

	*f = (struct outfile){.fd = -1};
	if (!*path)
		return err_set(e, CODE_CANTCREATE, "an output file needs a name");
	f->path = strdup(path);
	f->dir = dir_of(path);
	n = strlen(path) + 16;
	f->temp = malloc(n);
	if (!f->path || !f->dir || !f->temp) {
		outfile_reset(f);
		return err_memory(e, path, n);
	}
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		outfile_reset(f);
		return err_set(e, CODE_CANTCREATE, "%s: is a directory; name a file", path);
	}
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		f->plain = true;
		f->fd = open(path, O_WRONLY | O_CLOEXEC);
	} else {
		f->temp[0] = 0;
#ifdef O_TMPFILE
		f->fd = open(f->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
#endif
		if (f->fd < 0) {
			mode_t mask = umask(0);

			umask(mask);
			snprintf(f->temp, n, "%s.XXXXXX", path);
			f->fd = mkstemp(f->temp);
			if (f->fd >= 0)
				(void)fchmod(f->fd, 0666 & ~mask);
		}
	}
	if (f->fd < 0) {
		err_sys(e, CODE_CANTCREATE, "%s: cannot create", path);
		outfile_reset(f);
		return e->code;
	}
	return 0;
}

/* Gives the nameless file of O_TMPFILE a temporary name beside path. */
static int
name_it(struct outfile *f)
{
#ifdef O_TMPFILE
	char link[64];
	unsigned i;

	snprintf(link, sizeof link, "/proc/self/fd/%d", f->fd);
	for (i = 0; i < 1000; i++) {
		sprintf(f->temp, "%s.%u.%03u", f->path, (unsigned)getpid() % 1000000u, i);
		if (linkat(AT_FDCWD, link, AT_FDCWD, f->temp, AT_SYMLINK_FOLLOW) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	f->temp[0] = 0;
#endif
	(void)f;
	return -1;
}

int
outfile_commit(struct outfile *f, struct err *e)
{
	int dirfd;

	e->code = 0;
	if (f->plain) {
		if (close(f->fd))
			err_sys(e, CODE_IO, "%s: cannot finish writing", f->path);
		f->fd = -1;
		outfile_reset(f);
		return e->code;
	}
	if (fsync(f->fd))
		err_sys(e, CODE_IO, "%s: cannot finish writing", f->path);
	else if (!f->temp[0] && name_it(f))
		err_sys(e, CODE_CANTCREATE, "%s: cannot name the finished file", f->path);
	else if (rename(f->temp, f->path))
		err_sys(e, CODE_CANTCREATE, "%s: cannot put the finished file in place", f->path);
	else {
		f->temp[0] = 0;
		dirfd = open(f->dir, O_RDONLY | O_CLOEXEC);
		if (dirfd >= 0) {
			(void)fsync(dirfd); /* not every file system can */
			close(dirfd);
		}
	}
	outfile_abort(f);
	return e->code;
}

void
outfile_abort(struct outfile *f)
{
	if (f->fd < 0)
		return;
	close(f->fd);
	if (!f->plain && f->temp[0])
		unlink(f->temp);
	outfile_reset(f);
}

FILE *
outfile_stdio(struct outfile *f, const char *path, struct err *e)
{
	FILE *to;
	int fd;

	if (outfile_open(f, path, e))
		return NULL;
	fd = dup(f->fd);
	to = fd < 0 ? NULL : fdopen(fd, "w");
	if (!to) {
		err_sys(e, CODE_CANTCREATE, "%s: cannot open", path);
		if (fd >= 0)
			close(fd);
		outfile_abort(f);
	}
	return to;
}

int
outfile_stdio_close(struct outfile *f, FILE *to, bool failed, struct err *e)
{
	failed |= ferror(to) != 0;
	failed |= fclose(to) != 0;
	if (!failed)
		return outfile_commit(f, e);
	err_sys(e, CODE_IO, "%s: cannot write", f->path);
	outfile_abort(f);
	return e->code;
}

const char *
io_tempdir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/tmp";
}

int
io_tempfile(struct err *e)
{
	const char *dir = io_tempdir();
	char name[PATH_MAX];
	int fd = -1;

#ifdef O_TMPFILE
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
#endif
	snprintf(name, sizeof name, "%s/msae.XXXXXX", dir);
	fd = mkstemp(name);
	if (fd < 0) {
		err_sys(e, CODE_CANTCREATE, "%s: cannot create a temporary file; set TMPDIR", dir);
		return -1;
	}
	unlink(name);
	return fd;
}
