#include "farm/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "stream/mp.h"
#include "stream/stream.h"

struct journal {
	char name[256];
	int fd;
	struct stream *in; /* while there is something to read */
	uint64_t whole;    /* bytes up to the last mark */
	struct buf mark;
};

/* {"sae":1, "kind":kind, ...}: the beginning of a frame of n keys. */
static int
begin(struct buf *b, const char *kind, unsigned n, struct err *e)
{
	b->len = 0;
	return mp_put_map(b, n, e) || mp_put_str(b, "sae", e) || mp_put_uint(b, STREAM_VERSION, e) || mp_put_str(b, "kind", e) || mp_put_str(b, kind, e)
	       ? e->code : 0;
}

static int
put_number(struct buf *b, const char *key, uint64_t v, struct err *e)
{
	return mp_put_str(b, key, e) || mp_put_uint(b, v, e) ? e->code : 0;
}

static int
write_out(struct journal *j, struct iovec *iov, int n, struct err *e)
{
	return io_writev_all(j->fd, iov, n, NULL) ? err_sys(e, CODE_IO, "--resume %s: cannot write", j->name) : 0;
}

/* The first frame, by which a journal is known; true when the file has it. */
static int
read_first(struct journal *j, const char *path, uint64_t max_frame, struct err *e)
{
	struct transport_opts o = {.max_frame = max_frame};
	struct frame *f;

	j->in = stream_open_in(path, &o, e);
	if (!j->in)
		return e->code;
	if (stream_next_unchecked(j->in, &f, e) == 1 && !strcmp(f->kind_text, "farm")) {
		j->whole = stream_counts(j->in).bytes;
		return 0;
	}
	return err_set(e, CODE_DATA, "--resume %s: is there, and is no farm's journal; it would be overwritten", j->name);
}

/* True when all that is in the file is the beginning of a first frame. */
static bool
begins_as(int fd, const struct buf *first, size_t size)
{
	unsigned char there[64];

	return size <= sizeof there && io_pread_full(fd, there, size, 0) == (ssize_t)size && !memcmp(there, first->data, size);
}

static int
open_it(struct journal *j, const char *path, uint64_t max_frame, struct err *e)
{
	struct stat st;
	struct iovec v;

	j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (j->fd < 0)
		return err_sys(e, CODE_CANTCREATE, "--resume %s: cannot open", j->name);
	if (flock(j->fd, LOCK_EX | LOCK_NB))
		return err_set(e, CODE_UNAVAILABLE, "--resume %s: another farm has it open", j->name);
	if (fstat(j->fd, &st) || !S_ISREG(st.st_mode))
		return err_set(e, CODE_CANTCREATE, "--resume %s: is no file that can be gone on with", j->name);
	if (begin(&j->mark, "farm", 3, e) || put_number(&j->mark, "version", 1, e))
		return e->code;
	if ((uint64_t)st.st_size >= j->mark.len || !begins_as(j->fd, &j->mark, (size_t)st.st_size))
		return read_first(j, path, max_frame, e);
	j->whole = j->mark.len;
	v = (struct iovec){j->mark.data, j->mark.len};
	if (ftruncate(j->fd, 0))
		return err_sys(e, CODE_IO, "--resume %s: cannot write", j->name);
	return write_out(j, &v, 1, e);
}

struct journal *
journal_open(const char *path, uint64_t max_frame, struct err *e)
{
	struct journal *j = calloc(1, sizeof *j);

	if (!j) {
		err_memory(e, path, sizeof *j);
		return NULL;
	}
	text_printable(j->name, sizeof j->name, path, strlen(path));
	if (open_it(j, path, max_frame, e)) {
		journal_close(j);
		return NULL;
	}
	return j;
}

void
journal_close(struct journal *j)
{
	if (!j)
		return;
	stream_close(j->in);
	if (j->fd >= 0)
		close(j->fd);
	buf_free(&j->mark);
	free(j);
}

/* From here on it is added to. */
static int
end_reading(struct journal *j, struct err *e)
{
	stream_close(j->in);
	j->in = NULL;
	if (ftruncate(j->fd, (off_t)j->whole) || lseek(j->fd, (off_t)j->whole, SEEK_SET) < 0)
		return err_sys(e, CODE_IO, "--resume %s: cannot cut off what was torn", j->name);
	return 0;
}

static bool
number(const struct frame *f, const char *key, uint64_t *v)
{
	struct mp m = {f->bytes, f->bytes + f->size}, value;

	return mp_find(m, key, &value) && mp_uint(&value, v);
}

/* One record: 1, or 0 when there is none that is whole. */
static int
read_record(struct journal *j, uint64_t *job, uint64_t *in, struct answer *a, struct err *e)
{
	struct err torn = {0};
	struct frame *f;
	uint64_t sum;

	answer_clear(a);
	while (stream_next_unchecked(j->in, &f, &torn) == 1) {
		if (strcmp(f->kind_text, "farmed")) {
			if (answer_add(a, f->bytes, f->size, e))
				return -1;
			continue;
		}
		if (!number(f, "job", job) || !number(f, "in", in) || !number(f, "out", &sum) || sum != answer_sum(a))
			return 0;
		j->whole = stream_counts(j->in).bytes;
		return 1;
	}
	return 0;
}

int
journal_next(struct journal *j, uint64_t job, uint64_t in, struct answer *a, struct err *e)
{
	uint64_t its_job, its_in;
	int r;

	if (!j->in)
		return 0;
	r = read_record(j, &its_job, &its_in, a, e);
	if (r == 1 && (its_job != job || its_in != in)) {
		err_set(e, CODE_DATA, "--resume %s: is of another input: it differs from item %llu on; name another file, or remove it",
		        j->name, (unsigned long long)job);
		return -1;
	}
	if (r)
		return r;
	answer_clear(a);
	return end_reading(j, e) ? -1 : 0;
}

int
journal_add(struct journal *j, uint64_t job, uint64_t in, const struct answer *a, struct err *e)
{
	struct iovec v;
	size_t i;

	if (begin(&j->mark, "farmed", 5, e) || put_number(&j->mark, "job", job, e) || put_number(&j->mark, "in", in, e) ||
	    put_number(&j->mark, "out", answer_sum(a), e))
		return e->code;
	for (i = 0; i < a->n; i++) {
		v = (struct iovec){a->bytes.data + a->frames[i].at, a->frames[i].size};
		if (write_out(j, &v, 1, e))
			return e->code;
	}
	v = (struct iovec){j->mark.data, j->mark.len};
	return write_out(j, &v, 1, e);
}
