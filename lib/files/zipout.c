#include "files/zipout.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/zipsource.h"

#define DOS_DATE ((1 << 5) | 1) /* the first day that zip knows */

static int
failed(struct err *e, zip_error_t *why)
{
	if (zip_error_code_zip(why) == ZIP_ER_MEMORY)
		return err_set(e, CODE_TRYAGAIN, "zip archive: out of memory");
	return err_set(e, CODE_IO, "cannot write the zip archive: %s", zip_error_strerror(why));
}

static int
add(zip_t *z, struct zipsource *s, const struct zipout_part *part, struct err *e)
{
	zip_source_t *from;
	zip_int64_t i;
	struct stat st;

	if (fstat(part->fd, &st))
		return err_sys(e, CODE_IO, "cannot ask for the size of a temporary file");
	from = zipsource_new(s, part->fd, 0, (uint64_t)st.st_size, false, zip_get_error(z));
	i = from ? zip_file_add(z, part->name, from, ZIP_FL_ENC_UTF_8) : -1;
	if (i < 0) {
		zip_source_free(from);
		return failed(e, zip_get_error(z));
	}
	if (zip_set_file_compression(z, (zip_uint64_t)i, ZIP_CM_STORE, 0) || zip_file_set_dostime(z, (zip_uint64_t)i, 0, DOS_DATE, 0))
		return failed(e, zip_get_error(z));
	return 0;
}

int
zipout_write(int fd, const struct zipout_part *parts, size_t n, struct err *e)
{
	struct zipsource to, *from = calloc(n, sizeof *from);
	zip_source_t *out = NULL;
	zip_error_t why;
	zip_t *z = NULL;
	size_t i;

	if (!from)
		return err_memory(e, "zip archive", n * sizeof *from);
	zip_error_init(&why);
	out = zipsource_new(&to, fd, 0, 0, true, &why);
	z = out ? zip_open_from_source(out, ZIP_CREATE | ZIP_TRUNCATE, &why) : NULL;
	e->code = 0;
	if (!z) {
		zip_source_free(out);
		failed(e, &why);
	}
	for (i = 0; z && i < n && !e->code; i++)
		add(z, &from[i], &parts[i], e);
	if (z && !e->code && !zip_close(z))
		z = NULL;
	else if (z && !e->code)
		failed(e, zip_get_error(z));
	if (z)
		zip_discard(z);
	zip_error_fini(&why);
	zip_error_fini(&to.error);
	free(from);
	errno = to.saved;
	return e->code;
}
