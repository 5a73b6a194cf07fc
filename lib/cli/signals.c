/* The one place with global state: a handler has nowhere else to write. */
#include <signal.h>
#include <unistd.h>

#include "cli/private.h"

static volatile int stop_signal;
static volatile int report_wanted;

static void
on_stop(int sig)
{
	if (stop_signal > 0)
		_exit(128 + sig);
	stop_signal = sig;
}

static void
on_nudge(int sig)
{
	(void)sig;
}

static void
on_report(int sig)
{
	(void)sig;
	report_wanted = 1;
}

void
signals_setup(void)
{
	struct sigaction sa = {.sa_handler = on_stop}; /* no SA_RESTART: a blocked read must return */

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = on_nudge; /* interrupts a thread that writes what nobody reads */
	sigaction(SIGUSR2, &sa, NULL);
	sa.sa_handler = on_report;
	sa.sa_flags = SA_RESTART; /* a question must not disturb the work */
	sigaction(SIGUSR1, &sa, NULL);
	/* A parent may have left it ignored; a filter dies of it. */
	signal(SIGPIPE, SIG_DFL);
}

volatile const int *
signals_stop(void)
{
	return &stop_signal;
}

bool
signals_asked_report(void)
{
	bool asked = report_wanted;

	report_wanted = 0;
	return asked;
}

void
run_halt(void)
{
	if (!stop_signal)
		stop_signal = -1;
}

bool
run_stopped(void)
{
	return stop_signal != 0;
}
