#if defined(__linux__)
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#endif
#include "farm/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define PIPE_BYTES (1 << 20)
#define READ_BYTES (256 << 10)
#define READS_AT_ONCE 16
#define POLL_MS 5

extern char **environ;

static int
make_pipe(int p[2], int ours)
{
	if (pipe(p))
		return -1;
	(void)fcntl(p[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(p[1], F_SETFD, FD_CLOEXEC);
	(void)fcntl(p[ours], F_SETFL, O_NONBLOCK);
#ifdef F_SETPIPE_SZ
	(void)fcntl(p[0], F_SETPIPE_SZ, PIPE_BYTES); /* a courtesy */
#endif
	return 0;
}

static int
spawn(pid_t *pid, char *const argv[], int in, int out)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t none, pipe_only;
	int r;

	sigemptyset(&none);
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	if (posix_spawn_file_actions_init(&fa))
		return ENOMEM;
	if (posix_spawnattr_init(&at)) {
		posix_spawn_file_actions_destroy(&fa);
		return ENOMEM;
	}
	/* its own group: a terminal's ^C is for the worker, which lets it finish */
	if (!(r = posix_spawn_file_actions_adddup2(&fa, in, STDIN_FILENO)) && !(r = posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO)) &&
	    !(r = posix_spawnattr_setflags(&at, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)) &&
	    !(r = posix_spawnattr_setpgroup(&at, 0)) && !(r = posix_spawnattr_setsigmask(&at, &none)) &&
	    !(r = posix_spawnattr_setsigdefault(&at, &pipe_only)))
		r = posix_spawnp(pid, argv[0], &fa, &at, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&at);
	return r;
}

int
child_start(struct child *c, char *const argv[], struct err *e)
{
	int in[2], out[2], r;
	char name[200];

	c->nfeed = c->got.len = c->start = 0;
	c->scan = (struct mp_scan){0};
	c->answers = 0;
	if (make_pipe(in, 1))
		return err_sys(e, CODE_TRYAGAIN, "cannot make a pipe");
	if (make_pipe(out, 0)) {
		close(in[0]);
		close(in[1]);
		return err_sys(e, CODE_TRYAGAIN, "cannot make a pipe");
	}
	r = spawn(&c->pid, argv, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	c->in = in[1];
	c->out = out[0];
	if (!r)
		return 0;
	c->pid = 0;
	close(c->in);
	close(c->out);
	errno = r;
	return err_sys(e, CODE_NOINPUT, "%s: cannot run", text_printable(name, sizeof name, argv[0], strlen(argv[0])));
}

/* n bytes of feed are out; a piece of none goes too. */
static void
advance(struct child *c, size_t n)
{
	size_t i = 0;

	for (; i < c->nfeed && n >= c->feed[i].iov_len; i++)
		n -= c->feed[i].iov_len;
	c->nfeed -= i;
	memmove(c->feed, c->feed + i, c->nfeed * sizeof *c->feed);
	if (!c->nfeed)
		return;
	c->feed[0].iov_base = (char *)c->feed[0].iov_base + n;
	c->feed[0].iov_len -= n;
}

bool
child_write(struct child *c)
{
	ssize_t w;

	while (c->nfeed) {
		w = writev(c->in, c->feed, (int)c->nfeed);
		if (w >= 0)
			advance(c, (size_t)w);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return true;
		else if (errno != EINTR)
			return false;
	}
	return true;
}

bool
child_read(struct child *c, struct err *e)
{
	size_t keep = c->got.len - c->start;
	unsigned reads = 0;
	ssize_t r;

	if (c->start && (!keep || c->got.cap - c->got.len < READ_BYTES)) {
		memmove(c->got.data, c->got.data + c->start, keep);
		c->got.len = keep;
		c->start = 0;
	}
	while (reads < READS_AT_ONCE) {
		if (buf_reserve(&c->got, READ_BYTES, e))
			return false;
		reads++;
		r = read(c->out, c->got.data + c->got.len, c->got.cap - c->got.len);
		if (r > 0)
			c->got.len += (size_t)r;
		else if (r == 0)
			return false;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return true;
		else if (errno != EINTR)
			return false;
	}
	return true;
}

int
child_frame(struct child *c, const unsigned char **p, size_t *n, uint64_t max, struct err *e)
{
	uint64_t need;
	enum mp_scan_result r;

	if (c->start == c->got.len)
		return 0;
	r = mp_scan(&c->scan, c->got.data + c->start, c->got.len - c->start, &need);
	if (r == MP_SCAN_BAD || need > max) {
		err_set(e, CODE_DATA, r == MP_SCAN_BAD ? "it writes no frames" : "it writes a frame larger than --max-frame");
		return -1;
	}
	if (r == MP_SCAN_MORE)
		return 0;
	*p = c->got.data + c->start;
	*n = (size_t)need;
	c->start += (size_t)need;
	c->scan = (struct mp_scan){0};
	return 1;
}

static void
wait_a_little(void)
{
	struct timespec t = {.tv_nsec = POLL_MS * 1000000L};

	nanosleep(&t, NULL);
}

int
child_end(struct child *c, int ms)
{
	int status = 0;
	pid_t r;

	if (!c->pid)
		return 0;
	if (!ms)
		kill(-c->pid, SIGKILL);
	close(c->in);
	for (; (r = waitpid(c->pid, &status, WNOHANG)) == 0 && ms > 0; ms -= POLL_MS)
		wait_a_little();
	if (!r) {
		kill(-c->pid, SIGKILL);
		while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
			;
	} else {
		kill(-c->pid, SIGTERM); /* what a shell left behind */
	}
	close(c->out);
	c->pid = 0;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void
child_free(struct child *c)
{
	child_end(c, 0);
	buf_free(&c->got);
}
