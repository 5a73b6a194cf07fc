#include "files/zipsource.h"

#include <errno.h>
#include <unistd.h>

#include "base/io.h"

static zip_int64_t
read_some(struct zipsource *s, void *p, uint64_t n)
{
	ssize_t got;

	if (n > s->size - s->at)
		n = s->size - s->at;
	s->read_at = s->at;
	got = io_pread_full(s->fd, p, (size_t)n, s->start + s->at);
	if (got < 0) {
		zip_error_set(&s->error, ZIP_ER_READ, errno);
		return -1;
	}
	s->at += (uint64_t)got;
	return got;
}

static zip_int64_t
write_some(struct zipsource *s, const void *p, uint64_t n)
{
	if (lseek(s->fd, (off_t)s->write_at, SEEK_SET) < 0 || io_write_all(s->fd, p, (size_t)n)) {
		s->saved = errno;
		zip_error_set(&s->error, ZIP_ER_WRITE, errno);
		return -1;
	}
	s->write_at += n;
	s->size = s->write_at > s->size ? s->write_at : s->size;
	return (zip_int64_t)n;
}

static zip_int64_t
move(struct zipsource *s, uint64_t *at, void *data, zip_uint64_t n)
{
	zip_int64_t to = zip_source_seek_compute_offset(*at, s->size, data, n, &s->error);

	if (to < 0 || (uint64_t)to > s->size)
		return -1;
	*at = (uint64_t)to;
	return 0;
}

static zip_int64_t
supports(const struct zipsource *s)
{
	zip_int64_t reads = zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL,
	                                                   ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_CLOSE, ZIP_SOURCE_FREE, -1);

	if (!s->writable)
		return reads;
	return reads | zip_source_make_command_bitmap(ZIP_SOURCE_BEGIN_WRITE, ZIP_SOURCE_COMMIT_WRITE, ZIP_SOURCE_ROLLBACK_WRITE,
	                                              ZIP_SOURCE_WRITE, ZIP_SOURCE_SEEK_WRITE, ZIP_SOURCE_TELL_WRITE, ZIP_SOURCE_REMOVE, -1);
}

static zip_int64_t
call(void *user, void *data, zip_uint64_t n, zip_source_cmd_t cmd)
{
	struct zipsource *s = user;

	switch (cmd) {
	case ZIP_SOURCE_OPEN: s->at = 0; return 0;
	case ZIP_SOURCE_READ: return read_some(s, data, n);
	case ZIP_SOURCE_SEEK: return move(s, &s->at, data, n);
	case ZIP_SOURCE_TELL: return (zip_int64_t)s->at;
	case ZIP_SOURCE_STAT:
		zip_stat_init(data);
		((zip_stat_t *)data)->valid = ZIP_STAT_SIZE;
		((zip_stat_t *)data)->size = s->size;
		return sizeof(zip_stat_t);
	case ZIP_SOURCE_ERROR: return zip_error_to_data(&s->error, data, n);
	case ZIP_SOURCE_BEGIN_WRITE: s->write_at = 0; return 0;
	case ZIP_SOURCE_WRITE: return write_some(s, data, n);
	case ZIP_SOURCE_SEEK_WRITE: return move(s, &s->write_at, data, n);
	case ZIP_SOURCE_TELL_WRITE: return (zip_int64_t)s->write_at;
	case ZIP_SOURCE_COMMIT_WRITE:
	case ZIP_SOURCE_ROLLBACK_WRITE:
	case ZIP_SOURCE_REMOVE:
	case ZIP_SOURCE_CLOSE:
	case ZIP_SOURCE_FREE: return 0;
	case ZIP_SOURCE_SUPPORTS: return supports(s);
	default: zip_error_set(&s->error, ZIP_ER_OPNOTSUPP, 0); return -1;
	}
}

zip_source_t *
zipsource_new(struct zipsource *s, int fd, uint64_t start, uint64_t size, bool writable, zip_error_t *why)
{
	*s = (struct zipsource){.fd = fd, .start = start, .size = size, .writable = writable};
	zip_error_init(&s->error);
	return zip_source_function_create(call, s, why);
}
