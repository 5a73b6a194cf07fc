/* What a supervisor is told: sd_notify's protocol, one datagram to the socket in
 * $NOTIFY_SOCKET. Nothing when there is none. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/private.h"

void
run_notify(struct run *r, const char *text)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;
	int fd;

	(void)r;
	if (n < 2 || n >= sizeof a.sun_path || (*path != '/' && *path != '@'))
		return;
	memcpy(a.sun_path, path, n);
	if (*path == '@') /* an abstract name */
		a.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&a,
	             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

/* Twice in the time the supervisor gives, which it says in $WATCHDOG_USEC. */
void
run_alive(struct run *r)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	double every = usec ? strtod(usec, NULL) * 0.5e-6 : 0, t = clock_now();

	if (every <= 0 || t < r->alive_due || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return;
	r->alive_due = t + every;
	run_notify(r, "WATCHDOG=1");
}
