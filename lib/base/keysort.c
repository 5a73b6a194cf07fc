#include "base/keysort.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

uint32_t
keysort_of_float(float v)
{
	uint32_t bits;

	v += 0.0f; /* -0 becomes 0 */
	memcpy(&bits, &v, sizeof bits);
	return bits >> 31 ? ~bits : bits | 0x80000000u;
}

/* Least significant byte first; bytes that all keys share are passed over. The
 * sorted keys end up in s->keys. */
static void
radix(struct keysort *s)
{
	size_t count[256], i, sum, n;
	uint64_t *swap;
	unsigned shift;

	for (shift = 0; shift < 64 && s->n; shift += 8) {
		memset(count, 0, sizeof count);
		for (i = 0; i < s->n; i++)
			count[s->keys[i] >> shift & 255]++;
		if (count[s->keys[0] >> shift & 255] == s->n)
			continue;
		for (i = sum = 0; i < 256; i++) {
			n = count[i];
			count[i] = sum;
			sum += n;
		}
		for (i = 0; i < s->n; i++)
			s->spare[count[s->keys[i] >> shift & 255]++] = s->keys[i];
		swap = s->keys;
		s->keys = s->spare;
		s->spare = swap;
	}
}

static int
grow(struct keysort *s, struct err *e)
{
	size_t most = s->chunk ? s->chunk : KEYSORT_CHUNK, cap = s->cap ? 2 * s->cap : 1024;
	uint64_t *keys, *spare;

	cap = cap < most ? cap : most;
	keys = mem_alloc(cap * sizeof *keys);
	spare = mem_alloc(cap * sizeof *spare);
	if (!keys || !spare) {
		mem_free(keys);
		mem_free(spare);
		return err_memory(e, "ranks", 2 * cap * sizeof *keys);
	}
	if (s->n)
		memcpy(keys, s->keys, s->n * sizeof *keys);
	mem_free(s->keys);
	mem_free(s->spare);
	s->keys = keys;
	s->spare = spare;
	s->cap = cap;
	return 0;
}

/* The chunk in memory becomes one sorted run of the file. */
static int
spill(struct keysort *s, struct err *e)
{
	struct keysort_run *run = realloc(s->run, (s->runs + 1) * sizeof *run);
	uint64_t from = s->runs && run ? run[s->runs - 1].to : 0;

	if (!run)
		return err_memory(e, "ranks", (s->runs + 1) * sizeof *run);
	s->run = run;
	if (!s->runs && (s->spool = io_tempfile(e)) < 0)
		return e->code;
	run[s->runs++] = (struct keysort_run){.from = from, .to = from + s->n};
	radix(s);
	if (io_write_all(s->spool, s->keys, s->n * sizeof *s->keys))
		return err_sys(e, CODE_IO, "spool in %s: cannot write; set TMPDIR to where there is room", io_tempdir());
	s->n = 0;
	return 0;
}

int
keysort_add(struct keysort *s, const uint64_t *keys, size_t n, struct err *e)
{
	size_t most = s->chunk ? s->chunk : KEYSORT_CHUNK, some;

	for (; n; n -= some, keys += some) {
		if (s->n == most && spill(s, e))
			return e->code;
		if (s->n == s->cap && grow(s, e))
			return e->code;
		some = s->cap - s->n < n ? s->cap - s->n : n;
		memcpy(s->keys + s->n, keys, some * sizeof *keys);
		s->n += some;
	}
	return 0;
}

static int
refill(struct keysort *s, struct keysort_run *r, struct err *e)
{
	uint64_t left = r->to - r->from;
	ssize_t got;

	r->held = (size_t)(left < s->each ? left : s->each);
	r->at = 0;
	got = io_pread_full(s->spool, r->buf, r->held * sizeof *r->buf, r->from * sizeof *r->buf);
	if (got < 0 || (size_t)got < r->held * sizeof *r->buf)
		return got < 0 ? err_sys(e, CODE_IO, "spool in %s: cannot read", io_tempdir()) : err_set(e, CODE_IO, "spool in %s: became shorter", io_tempdir());
	r->from += r->held;
	return 0;
}

static uint64_t
first_of(const struct keysort_run *r)
{
	return r->buf[r->at];
}

/* Lets the run at i sink to where its first key belongs. */
static void
sink(struct keysort *s, size_t i)
{
	struct keysort_run moved = s->run[i];
	size_t child;

	for (; (child = 2 * i + 1) < s->live; i = child) {
		if (child + 1 < s->live && first_of(&s->run[child + 1]) < first_of(&s->run[child]))
			child++;
		if (first_of(&moved) <= first_of(&s->run[child]))
			break;
		s->run[i] = s->run[child];
	}
	s->run[i] = moved;
}

int
keysort_begin(struct keysort *s, struct err *e)
{
	size_t i;

	s->at = 0;
	if (!s->runs) {
		radix(s);
		return 0;
	}
	if (s->n && spill(s, e))
		return e->code;
	s->each = 2 * s->cap / s->runs; /* the two chunks, shared out; at least a few keys each */
	s->each = s->each < 64 ? 64 : s->each;
	mem_free(s->spare);
	mem_free(s->keys);
	s->spare = NULL;
	s->keys = mem_alloc(s->each * s->runs * sizeof *s->keys);
	if (!s->keys)
		return err_memory(e, "ranks", s->each * s->runs * sizeof *s->keys);
	for (i = 0; i < s->runs; i++) {
		s->run[i].buf = s->keys + i * s->each;
		if (refill(s, &s->run[i], e))
			return e->code;
	}
	s->live = s->runs;
	for (i = s->live / 2; i-- > 0;)
		sink(s, i);
	return 0;
}

int
keysort_next(struct keysort *s, uint64_t *key, struct err *e)
{
	struct keysort_run *r = s->run;

	if (!s->runs) {
		if (s->at == s->n)
			return 0;
		*key = s->keys[s->at++];
		return 1;
	}
	if (!s->live)
		return 0;
	*key = r->buf[r->at++];
	if (r->at == r->held) {
		if (r->from < r->to) {
			if (refill(s, r, e))
				return -1;
		} else {
			*r = s->run[--s->live];
		}
	}
	if (s->live)
		sink(s, 0);
	return 1;
}

void
keysort_free(struct keysort *s)
{
	if (s->runs)
		close(s->spool);
	mem_free(s->keys);
	mem_free(s->spare);
	free(s->run);
	*s = (struct keysort){0};
}
