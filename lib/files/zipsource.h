/* A part of a file as libzip reads it, and an empty file as libzip writes an
 * archive into it: for zipin.c and zipout.c only. */
#ifndef FILES_ZIPSOURCE_H
#define FILES_ZIPSOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <zip.h>

struct zipsource {
	int fd;
	uint64_t start, size; /* of the part of fd; size grows when written */
	uint64_t at;          /* next byte, from start */
	uint64_t read_at;     /* where the last read began */
	uint64_t write_at;    /* next byte written */
	bool writable;
	zip_error_t error;
	int saved;            /* errno of a write that failed */
};

/* fd and s must outlive what is returned. */
zip_source_t *zipsource_new(struct zipsource *s, int fd, uint64_t start, uint64_t size, bool writable, zip_error_t *why);

#endif
