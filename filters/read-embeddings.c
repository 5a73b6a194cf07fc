/* read-embeddings: files of rows to one stream. */
#include <string.h>

#include "cli/cli.h"
#include "files/fileset.h"
#include "files/lines.h"
#include "stream/ids.h"

typedef unsigned long long ull;

struct self {
	uint64_t batch, skip, limit, dim;
	const char *shard, *key, *ids, *labels, *nan, *dtype;
	bool as_given, skip_nan;
	struct matfile_opts file_opts;
	struct fileset files;
	uint64_t from, to; /* the rows asked for */
	struct lines id_lines, label_lines;
	struct buf id_text, label_text;
	struct mat x;
	uint64_t skipped, first_skipped;
};

static const struct opt opts[] = {
	OPT_UINT('b', "batch", struct self, batch, "ROWS", "rows a frame (default: as many as make 1 MiB)"),
	OPT_UINT(0, "skip", struct self, skip, "N", "leave out the first N rows"),
	OPT_UINT(0, "limit", struct self, limit, "N", "read at most N rows"),
	OPT_STR(0, "shard", struct self, shard, "I/N", "the I-th of N equal parts of those rows, I from 0 to N-1"),
	OPT_STR(0, "ids", struct self, ids, "FILE", "row keys: one line a row, over all files in order"),
	OPT_STR(0, "labels", struct self, labels, "FILE", "class labels, likewise"),
	OPT_UINT(0, "dim", struct self, dim, "D", "columns of files without a header"),
	OPT_STR(0, "dtype", struct self, dtype, "NAME", "type of files without a header, or of numpy's |V2:\nf2 f4 (default) f8 i1 u1 bfloat16 ..."),
	OPT_STR(0, "nan", struct self, nan, "HOW", "rows with NaN or infinity: fail (default) or skip"),
	OPT_STR(0, "key", struct self, key, "NAME", "the array to read in files that hold several"),
	OPT_FLAG(0, "as-given", struct self, as_given, "read the files in the order given (default: natural order,\npart2 before part10)"),
	OPT_END
};
static const struct self defaults = {.limit = UINT64_MAX, .nan = "fail"};

static int
check_options(struct run *r)
{
	struct self *s = r->self;

	if (!r->argc)
		return run_usage(r, "name the files to read");
	if (strcmp(s->nan, "fail") && strcmp(s->nan, "skip"))
		return run_usage(r, "--nan %s: fail or skip", s->nan);
	s->skip_nan = !strcmp(s->nan, "skip");
	if (s->dtype && !(s->file_opts.dtype = dtype_parse(s->dtype, &(bool){false})))
		return run_usage(r, "--dtype %s: one of f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 bfloat16", s->dtype);
	s->file_opts.dim = s->dim;
	s->file_opts.key = s->key;
	if (!s->as_given)
		fileset_sort(r->argv, (size_t)r->argc);
	return fileset_open(&s->files, r->argv, (size_t)r->argc, &s->file_opts, &r->err);
}

static int
range(struct run *r)
{
	struct self *s = r->self;
	uint64_t rows = s->files.rows;

	s->from = s->skip < rows ? s->skip : rows;
	s->to = s->limit < rows - s->from ? s->from + s->limit : rows;
	if (s->shard && fileset_shard(s->shard, &s->from, &s->to))
		return run_usage(r, "--shard %s: I/N with I from 0 to N-1, such as 0/4", s->shard);
	return 0;
}

static int
start(struct run *r)
{
	struct self *s = r->self;

	if (check_options(r) || range(r) ||
	    (s->ids && lines_open_rows(&s->id_lines, s->ids, s->files.rows, s->from, &r->err)) ||
	    (s->labels && lines_open_rows(&s->label_lines, s->labels, s->files.rows, s->from, &r->err)))
		return r->err.code;
	s->batch = run_batch(r, s->batch, s->files.cols, s->to - s->from);
	return mat_resize(&s->x, (size_t)s->batch, (size_t)s->files.cols, "x", &r->err);
}

/* The stream's id: made of what was asked for, of which files, how many rows
 * they hold, and what the first and the last row read are. */
static int
identify(struct run *r, char *id)
{
	struct self *s = r->self;
	uint64_t counts[3] = {s->files.rows, s->from, s->to};
	size_t row = (size_t)s->files.cols * sizeof(float);
	struct buf b = {0};
	int i, code;

	code = buf_append(&b, MSAE_VERSION, sizeof MSAE_VERSION, &r->err) || buf_append(&b, r->command, strlen(r->command) + 1, &r->err) ||
	       buf_append(&b, counts, sizeof counts, &r->err);
	for (i = 0; i < r->argc && !code; i++)
		code = buf_append(&b, r->argv[i], strlen(r->argv[i]) + 1, &r->err);
	for (i = 0; i < 2 && !code && s->from < s->to; i++)
		code = fileset_read(&s->files, i ? s->to - 1 : s->from, 1, s->x.data, &r->err) || buf_append(&b, s->x.data, row, &r->err);
	if (!code)
		stream_id(id, b.data, b.len);
	buf_free(&b);
	return r->err.code;
}

static int
put_head(struct run *r)
{
	struct self *s = r->self;
	char id[STREAM_ID_MAX];

	if (identify(r, id) || head_set_str(&r->head, "stream", id, &r->err) || head_declare(&r->head, "x", "<f4", 1, &s->files.cols, &r->err) ||
	    (s->ids && head_declare(&r->head, "id", "str", 0, NULL, &r->err)) ||
	    (s->labels && head_declare(&r->head, "label", "str", 0, NULL, &r->err)))
		return r->err.code;
	return run_put_head(r, &r->head);
}

static int
take_line(struct run *r, struct lines *l, struct buf *to, bool keep)
{
	if (lines_row(l, &r->err))
		return r->err.code;
	return keep ? mp_put_strn(to, l->text, l->len, &r->err) : 0;
}

/* Rows at..at+n-1 were read: checks them and takes their lines, closing up over
 * rows that are left out. *kept: how many stay. */
static int
accept_rows(struct run *r, uint64_t at, size_t n, size_t *kept)
{
	struct self *s = r->self;
	size_t d = (size_t)s->files.cols, i;
	float *from = s->x.data, *to = s->x.data;
	bool any = f32_nonfinite(from, n * d) != 0, good;
	const char *path;
	uint64_t row;

	for (i = 0; i < n; i++, from += d) {
		good = !any || !f32_nonfinite(from, d);
		path = fileset_where(&s->files, at + i, &row);
		if (!good && !s->skip_nan)
			return run_fail(r, CODE_DATA, "%s: row %llu holds NaN or infinity; --nan=skip leaves such rows out", path, (ull)row);
		if (!good && !s->skipped++)
			s->first_skipped = at + i;
		if ((s->ids && take_line(r, &s->id_lines, &s->id_text, good)) ||
		    (s->labels && take_line(r, &s->label_lines, &s->label_text, good)))
			return r->err.code;
		if (!good)
			continue;
		if (to != from)
			memcpy(to, from, d * sizeof *to);
		to += d;
	}
	*kept = (size_t)(to - s->x.data) / d;
	return 0;
}

static int
put_rows(struct run *r, uint64_t row, size_t n)
{
	struct self *s = r->self;
	struct frame f = {.kind = FRAME_ROWS, .n = n, .row = row};

	if (run_put_dense(r, &f, "x", s->x.data, (size_t)s->files.cols) ||
	    (s->ids && frame_put_strings(&f, "id", n, &s->id_text, &r->err)) ||
	    (s->labels && frame_put_strings(&f, "label", n, &s->label_text, &r->err)) ||
	    stream_rows(r->out, &f, &r->err))
		return r->err.code;
	s->id_text.len = s->label_text.len = 0;
	return 0;
}

static int
loop(struct run *r)
{
	struct self *s = r->self;
	uint64_t at, row = s->from, inside;
	size_t n, kept = 0;
	const char *path;

	if (put_head(r))
		return r->err.code;
	for (at = s->from; at < s->to; at += n, row += kept) {
		n = (size_t)(s->to - at < s->batch ? s->to - at : s->batch);
		if (fileset_read(&s->files, at, n, s->x.data, &r->err) || accept_rows(r, at, n, &kept) || (kept && put_rows(r, row, kept)))
			return r->err.code;
		run_progress(r, at + n - s->from, s->to - s->from);
		if (run_stopped())
			return run_stop(r, at + n - s->from);
	}
	if (s->skipped) {
		path = fileset_where(&s->files, s->first_skipped, &inside);
		warn(r, "left out %llu rows with NaN or infinity, the first %s: row %llu", (ull)s->skipped, path, (ull)inside);
	}
	return stream_end(r->out, &r->err);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	lines_close(&s->id_lines);
	lines_close(&s->label_lines);
	buf_free(&s->id_text);
	buf_free(&s->label_text);
	mat_free(&s->x);
	fileset_close(&s->files);
}

const struct program program = {
	.name = "read-embeddings",
	.summary = "read files of embeddings into one stream",
	.operands = "FILE...",
	.about = "Reads .npy files (versions 1.0 to 3.0, any byte order, C or Fortran order, half to\n"
	         "double precision and small integers), headerless float32 files whose names end in\n"
	         "_ROWS_DIM.npy, and raw files with --dim, and writes their rows as float32 column x,\n"
	         "in natural order of the file names, as one stream. Half precision widens exactly.\n\n"
	         "Every header is checked before the first row is written. Rows are numbered over all\n"
	         "files, so a --shard keeps the numbers its rows have in the whole.",
	.example = "  read-embeddings train_*.npy --ids paths.txt | frames --text | head\n"
	           "  read-embeddings big/*.npy --shard \"$SLURM_ARRAY_TASK_ID/64\" -o part.sae",
	.kind = PROGRAM_SOURCE, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .loop = loop, .clean = clean,
};
