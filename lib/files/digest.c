#include "files/digest.h"

#include <stdint.h>
#include <stdio.h>

#include "base/io.h"
#include "base/mem.h"

#define BLOCK ((size_t)1 << 20)

void
digest_hex(struct sha256_ctx *ctx, char hex[SHA256_HEX])
{
	uint8_t sum[SHA256_DIGEST_SIZE];
	unsigned i;

	sha256_digest(ctx, sizeof sum, sum);
	for (i = 0; i < sizeof sum; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

int
digest_fd(int fd, char hex[SHA256_HEX], struct err *e)
{
	struct sha256_ctx ctx;
	unsigned char *block = mem_alloc(BLOCK);
	uint64_t at = 0;
	ssize_t got;

	if (!block)
		return err_memory(e, "digest", BLOCK);
	sha256_init(&ctx);
	while ((got = io_pread_full(fd, block, BLOCK, at)) > 0) {
		sha256_update(&ctx, (size_t)got, block);
		at += (uint64_t)got;
	}
	if (got < 0)
		err_sys(e, CODE_IO, "cannot read");
	else
		digest_hex(&ctx, hex);
	mem_free(block);
	return got < 0 ? e->code : 0;
}
