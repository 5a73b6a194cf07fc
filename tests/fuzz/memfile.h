/* Included first, and once, by the fuzzers of files: the input as a file that
 * has a path, and what an error about it must look like. */
#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The descriptor, for close; path gets its name. */
static int
memfile(const uint8_t *data, size_t size, char path[64])
{
	int fd = memfd_create("fuzz", 0);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

/* An error must have a code, one line, and name the file. */
static void
check(const struct err *e, const char *path)
{
	if ((e->code != CODE_DATA && e->code != CODE_TRYAGAIN) || strchr(e->text, '\n') ||
	    strncmp(e->text, path, strlen(path)))
		abort();
}
