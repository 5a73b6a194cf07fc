#include "files/headout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "files/infile.h"

#define BLOCK ((size_t)1 << 20)

int
headout_open(struct headout *h, const char *path, struct err *e)
{
	bool file = path && strcmp(path, "-");

	*h = HEADOUT_NONE;
	h->path = strdup(path ? path : "");
	if (!h->path)
		return err_memory(e, "output", strlen(path ? path : ""));
	if (file && outfile_open(&h->out, path, e)) {
		headout_abort(h);
		return e->code;
	}
	/* a pipe cannot be rewound */
	if (!file || h->out.plain) {
		h->spool = io_tempfile(e);
		if (h->spool < 0) {
			headout_abort(h);
			return e->code;
		}
	}
	return 0;
}

int
headout_fd(const struct headout *h)
{
	return h->spool >= 0 ? h->spool : h->out.fd;
}

int
headout_failed(const struct headout *h, struct err *e)
{
	int saved = errno;

	err_sys(e, CODE_IO, "cannot write");
	infile_blame(e, !*h->path ? "temporary file" : strcmp(h->path, "-") ? h->path : "standard output");
	errno = saved;
	return e->code;
}

static int
copy_spool(struct headout *h, struct err *e)
{
	int fd = h->out.fd >= 0 ? h->out.fd : STDOUT_FILENO;
	unsigned char *block = mem_alloc(BLOCK);
	ssize_t n = -1;

	if (!block)
		return err_memory(e, "spool", BLOCK);
	e->code = 0;
	if (lseek(h->spool, 0, SEEK_SET) == 0)
		while ((n = io_read_full(h->spool, block, BLOCK)) > 0)
			if (io_write_all(fd, block, (size_t)n)) {
				headout_failed(h, e);
				break;
			}
	if (n < 0)
		err_sys(e, CODE_IO, "cannot read the spool of the output back");
	mem_free(block);
	return e->code;
}

int
headout_finish(struct headout *h, struct err *e)
{
	int saved;

	e->code = 0;
	if ((h->spool < 0 || !copy_spool(h, e)) && h->out.fd >= 0)
		outfile_commit(&h->out, e);
	saved = errno;
	headout_abort(h);
	errno = saved;
	return e->code;
}

int
headout_take(struct headout *h)
{
	int fd = h->spool;

	h->spool = -1;
	headout_abort(h);
	return lseek(fd, 0, SEEK_SET) == 0 ? fd : (close(fd), -1);
}

void
headout_abort(struct headout *h)
{
	outfile_abort(&h->out);
	if (h->spool >= 0)
		close(h->spool);
	free(h->path);
	*h = HEADOUT_NONE;
}
