/* The frames that answer one job, each on a MEM_ALIGN boundary. Start from
 * {0}; answer_free. */
#ifndef FARM_ANSWER_H
#define FARM_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

struct answer {
	struct buf bytes;
	struct answer_frame { size_t at, size; } *frames;
	size_t n, cap;
};

/* Appends one frame's bytes, unlooked at. */
int answer_add(struct answer *a, const unsigned char *p, size_t size, struct err *e);
/* Appends frames that stand one behind the other. CODE_DATA when they are not
 * all whole, well formed, and of a kind that may stand between head and end. */
int answer_read(struct answer *a, const unsigned char *p, size_t size, struct err *e);
/* Sum of frame_hash over the frames. */
uint64_t answer_sum(const struct answer *a);
void answer_clear(struct answer *a);
void answer_free(struct answer *a);

#endif
