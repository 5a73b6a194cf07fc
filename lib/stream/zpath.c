#define _XOPEN_SOURCE 700 /* S_ISVTX */
#include "stream/zpath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* True while the lock's path leads to the file we hold: its last owner may
 * have removed it between our open and our flock. */
static bool
same_file(int fd, const char *path, struct stat *held)
{
	struct stat there;

	return !fstat(fd, held) && !lstat(path, &there) && held->st_dev == there.st_dev && held->st_ino == there.st_ino;
}

static int
take_lock(struct zpath *p, struct err *e)
{
	struct stat st;

	snprintf(p->lock_path, sizeof p->lock_path, "%s.lock", p->path);
	do {
		if (p->lock >= 0)
			close(p->lock);
		p->lock = open(p->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (p->lock < 0)
			return err_sys(e, CODE_UNAVAILABLE, "%s: cannot bind: %s", p->name, p->lock_path);
		if (flock(p->lock, LOCK_EX | LOCK_NB)) {
			if (errno == EWOULDBLOCK)
				err_set(e, CODE_UNAVAILABLE, "%s: cannot bind: in use, another process holds %s", p->name, p->lock_path);
			else
				err_sys(e, CODE_UNAVAILABLE, "%s: cannot bind: %s", p->name, p->lock_path);
			close(p->lock);
			p->lock = -1;
			return e->code;
		}
	} while (!same_file(p->lock, p->lock_path, &st));
	if (S_ISREG(st.st_mode) && !st.st_size)
		return 0;
	close(p->lock); /* and leave it: zpath_release would remove it */
	p->lock = -1;
	return err_set(e, CODE_CANTCREATE, "%s: cannot bind: %s is there and is no lock file", p->name, p->lock_path);
}

/* Our socket goes first (libzmq leaves it), while the path is still ours. */
void
zpath_release(struct zpath *p)
{
	if (p->lock < 0)
		return;
	if (p->placed)
		unlink(p->path);
	unlink(p->lock_path);
	close(p->lock);
	p->lock = -1;
}

/* True when a server that knows nothing of our lock listens there. */
static bool
answers(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool yes;

	if (fd < 0)
		return false;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	memcpy(a.sun_path, path, strlen(path));
	yes = !connect(fd, (struct sockaddr *)&a, sizeof a) || errno != ECONNREFUSED;
	close(fd);
	return yes;
}

/* The directory of the socket, made for us alone when it is missing. Who may
 * write to it may put another socket in the place of ours; in one like /tmp
 * only the owner of a file may. */
static int
claim_directory(const struct zpath *p, struct err *e)
{
	char dir[ZADDRESS_PATH + 1];
	const char *slash = strrchr(p->path, '/');
	struct stat st;

	snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - p->path) : 1, slash ? p->path : ".");
	if (!*dir)
		return 0; /* the root */
	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_sys(e, CODE_UNAVAILABLE, "%s: cannot bind: cannot make the directory %s", p->name, dir);
	if (stat(dir, &st))
		return err_sys(e, CODE_UNAVAILABLE, "%s: cannot bind: %s", p->name, dir);
	if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
		return err_set(e, CODE_REFUSED, "%s: refused: anybody may write to the directory %s, and so take the socket's place; chmod 700 it, or name another",
		               p->name, dir);
	return 0;
}

int
zpath_claim(struct zpath *p, const char *path, const char *name, struct err *e)
{
	struct stat st;

	p->path = path;
	p->name = name;
	if (claim_directory(p, e) || take_lock(p, e))
		return e->code;
	if (lstat(p->path, &st))
		return errno == ENOENT ? 0 : err_sys(e, CODE_UNAVAILABLE, "%s: cannot bind", p->name);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, CODE_CANTCREATE, "%s: cannot bind: what is there is not a socket, and would be lost", p->name);
	if (answers(p->path))
		return err_set(e, CODE_UNAVAILABLE, "%s: cannot bind: in use, another program answers there", p->name);
	return 0;
}
