#include "files/rowstore.h"

#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "files/digest.h"
#include "files/infile.h"

#define NONE UINT64_MAX
#define PICKS ((uint64_t)1 << 62) /* tells orders within windows from those of blocks */

int
rowstore_files(struct rowstore *s, char **paths, size_t n, const struct matfile_opts *o, struct err *e)
{
	*s = (struct rowstore){.spool = -1, .loaded = NONE};
	if (fileset_open(&s->files, paths, n, o, e))
		return e->code;
	if (fileset_need_random(&s->files, e)) {
		fileset_close(&s->files);
		return e->code;
	}
	s->rows = s->files.rows;
	s->cols = s->files.cols;
	return 0;
}

int
rowstore_spool(struct rowstore *s, uint64_t cols, struct err *e)
{
	*s = (struct rowstore){.cols = cols, .loaded = NONE};
	s->spool = io_tempfile(e);
	return s->spool < 0 ? e->code : 0;
}

int
rowstore_add(struct rowstore *s, const float *x, size_t n, struct err *e)
{
	if (io_write_all(s->spool, x, n * (size_t)s->cols * sizeof *x))
		return err_sys(e, CODE_IO, "spool in %s: cannot write; set TMPDIR to where there is room", io_tempdir());
	s->rows += n;
	return 0;
}

void
rowstore_close(struct rowstore *s)
{
	if (!s->cols)
		return; /* never opened */
	if (s->spool >= 0)
		close(s->spool);
	fileset_close(&s->files);
	mat_free(&s->window);
	mem_free(s->pick);
	*s = (struct rowstore){.spool = -1};
}

int
rowstore_read(struct rowstore *s, uint64_t first, size_t n, float *x, struct err *e)
{
	size_t row = (size_t)s->cols * sizeof *x;

	if (s->spool < 0)
		return fileset_read(&s->files, first, n, x, e);
	return infile_read_at(s->spool, x, n * row, first * row, e) ? err_add(e, "spool in %s", io_tempdir()) : 0;
}

int
rowstore_order(struct rowstore *s, bool shuffle, uint64_t window, uint64_t seed, struct err *e)
{
	uint64_t rows = window / (s->cols * sizeof(float)) / ROWSTORE_BLOCK * ROWSTORE_BLOCK;

	rows = rows < ROWSTORE_BLOCK ? ROWSTORE_BLOCK : rows > UINT32_MAX / 2 ? UINT32_MAX / 2 : rows;
	s->shuffled = shuffle;
	s->seed = seed;
	s->all = s->rows <= rows;
	s->window_rows = (size_t)(s->all ? s->rows : rows);
	s->loaded = NONE;
	if (!shuffle)
		return 0;
	mem_free(s->pick);
	s->pick = mem_alloc((s->window_rows + 1) * sizeof *s->pick);
	if (!s->pick)
		return err_memory(e, "order of rows", (s->window_rows + 1) * sizeof *s->pick);
	return mat_resize(&s->window, s->window_rows, (size_t)s->cols, "rows to shuffle", e);
}

/* Where block `place` of this epoch's order lies, and how many rows it has. */
static size_t
block_at(const struct rowstore *s, uint64_t place, uint64_t *first)
{
	*first = shuffle_at(&s->blocks, place) * ROWSTORE_BLOCK;
	return s->rows - *first < ROWSTORE_BLOCK ? (size_t)(s->rows - *first) : ROWSTORE_BLOCK;
}

/* The places of a window's blocks: from *from up to the result. */
static uint64_t
window_blocks(const struct rowstore *s, uint64_t window, uint64_t *from)
{
	uint64_t each = s->window_rows / ROWSTORE_BLOCK;

	*from = window * each;
	return *from + each < s->blocks.n ? *from + each : s->blocks.n;
}

static size_t
window_size(const struct rowstore *s, uint64_t window)
{
	uint64_t from, to = window_blocks(s, window, &from), first;
	size_t n = 0;

	for (; from < to; from++)
		n += block_at(s, from, &first);
	return n;
}

static int
load_window(struct rowstore *s, uint64_t window, struct err *e)
{
	uint64_t from, to = window_blocks(s, window, &from), first;
	size_t n;

	s->loaded = NONE;
	s->held = 0;
	for (; from < to; from++) {
		n = block_at(s, from, &first);
		if (rowstore_read(s, first, n, s->window.data + s->held * (size_t)s->cols, e))
			return e->code;
		s->held += n;
	}
	shuffle_list(s->pick, s->held, s->seed, PICKS + (s->epoch << 32) + window);
	s->loaded = window;
	return 0;
}

/* Makes the window that holds s->at the one in memory. */
static int
find_window(struct rowstore *s, struct err *e)
{
	uint64_t window = s->loaded == NONE ? 0 : s->loaded;
	size_t n;

	if (s->all) {
		s->held = (size_t)s->rows;
		if (rowstore_read(s, 0, s->held, s->window.data, e))
			return e->code;
		s->loaded = 0;
		return 0;
	}
	while (s->at >= s->held_from + (n = s->loaded == window ? s->held : window_size(s, window))) {
		s->held_from += n;
		window++;
	}
	return s->loaded == window ? 0 : load_window(s, window, e);
}

void
rowstore_seek(struct rowstore *s, uint64_t epoch, uint64_t row)
{
	s->epoch = epoch;
	s->at = row;
	s->held_from = 0;
	if (!s->shuffled)
		return;
	if (s->all) { /* the rows themselves stay */
		shuffle_list(s->pick, (size_t)s->rows, s->seed, PICKS + (epoch << 32));
		return;
	}
	shuffle_init(&s->blocks, (s->rows + ROWSTORE_BLOCK - 1) / ROWSTORE_BLOCK, s->seed, epoch);
	s->loaded = NONE;
}

int
rowstore_next(struct rowstore *s, size_t most, float *x, size_t *n, struct err *e)
{
	size_t d = (size_t)s->cols;

	*n = (size_t)(s->rows - s->at < most ? s->rows - s->at : most);
	if (!s->shuffled) {
		s->at += *n;
		return rowstore_read(s, s->at - *n, *n, x, e);
	}
	for (most = *n; most; most--, x += d, s->at++) {
		if ((s->loaded == NONE || s->at >= s->held_from + s->held) && find_window(s, e))
			return e->code;
		memcpy(x, s->window.data + s->pick[s->at - s->held_from] * d, d * sizeof *x);
	}
	return 0;
}

int
rowstore_print(struct rowstore *s, char out[SHA256_HEX], struct err *e)
{
	const uint64_t shape[2] = {s->rows, s->cols}, rows[3] = {0, s->rows / 2, s->rows ? s->rows - 1 : 0};
	struct mat row = {0};
	struct sha256_ctx ctx;
	size_t i;

	if (mat_resize(&row, 1, (size_t)s->cols, "row", e))
		return e->code;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof shape, (const uint8_t *)shape);
	for (i = 0; i < 3 && s->rows && !e->code; i++)
		if (!rowstore_read(s, rows[i], 1, row.data, e))
			sha256_update(&ctx, (size_t)s->cols * sizeof(float), (const uint8_t *)row.data);
	digest_hex(&ctx, out);
	mat_free(&row);
	return e->code;
}
