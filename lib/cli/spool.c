#include "cli/spool.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/private.h"

/* Where a regular file can be read again from: its offset, or -1. */
static off_t
rereadable(const struct run *r, int *fd)
{
	struct stat st;

	*fd = -1;
	if (strcmp(r->common.in, "-"))
		return !transport_is_link(r->common.in) && stat(r->common.in, &st) == 0 && S_ISREG(st.st_mode) ? 0 : -1;
	if (fstat(STDIN_FILENO, &st) || !S_ISREG(st.st_mode))
		return -1;
	*fd = STDIN_FILENO;
	return lseek(STDIN_FILENO, 0, SEEK_CUR);
}

struct pass {
	int spool; /* -1: the input can be read again as it is */
	int (*each)(struct run *r, struct frame *f);
};

static int
keep_frame(struct run *r, struct frame *f, void *arg)
{
	const struct pass *p = arg;

	if (p->spool >= 0 && io_write_all(p->spool, f->bytes, f->size))
		return err_sys(&r->err, CODE_IO, "spool in %s: cannot write; set TMPDIR to where there is room", io_tempdir());
	return p->each(r, f);
}

int
spool_first_pass(struct run *r, int (*each)(struct run *r, struct frame *f))
{
	struct transport_opts o = {.max_frame = r->common.max_frame, .stop = signals_stop()};
	char path[32], name[256];
	int fd, spool = -1, code;
	off_t start = rereadable(r, &fd);

	if (start < 0 && (spool = io_tempfile(&r->err)) < 0)
		return r->err.code;
	code = run_frames(r, keep_frame, &(struct pass){spool, each});
	if (!code) {
		snprintf(name, sizeof name, "%s", stream_name(r->in));
		o.name = name;
		stream_close(r->in);
		r->in = NULL;
		if (spool >= 0)
			snprintf(path, sizeof path, "/dev/fd/%d", spool);
		if (lseek(spool >= 0 ? spool : fd, start < 0 ? 0 : start, SEEK_SET) < 0 && (spool >= 0 || fd >= 0))
			code = err_sys(&r->err, CODE_IO, "cannot read the input again");
		else
			r->in = stream_open_in(spool >= 0 ? path : r->common.in, &o, &r->err);
		if (!code && !r->in)
			code = r->err.code;
	}
	if (spool >= 0)
		close(spool); /* /dev/fd opened it once more */
	return code;
}
