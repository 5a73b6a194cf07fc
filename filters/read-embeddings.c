/* read-embeddings: files of rows to one stream. */
#include <string.h>

#include "cli/cli.h"
#include "jobs/listing.h"
#include "jobs/rowsource.h"
#include "stream/ids.h"

typedef unsigned long long ull;

struct self {
	uint64_t batch;
	const char *nan, *dtype, *header;
	bool as_given, list;
	struct rowsource_opts want;
	struct rowsource rows;
	struct buf ids, labels; /* packed for a frame */
};

static const struct opt opts[] = {
	OPT_UINT('b', "batch", struct self, batch, "ROWS", "rows a frame (default: as many as make 1 MiB)"),
	OPT_UINT(0, "skip", struct self, want.skip, "N", "leave out the first N rows"),
	OPT_UINT(0, "limit", struct self, want.limit, "N", "read at most N rows"),
	OPT_STR(0, "shard", struct self, want.shard, "I/N", "the I-th of N equal parts of those rows, I from 0 to N-1"),
	OPT_STR(0, "key", struct self, want.file.key, "NAME", "the array in files that hold several: npz, safetensors, pt\n(a path joined by dots), the member in JSON, tar"),
	OPT_STR(0, "ids", struct self, want.ids, "FILE", "row keys: one line a row, over all files in order"),
	OPT_STR(0, "labels", struct self, want.labels, "FILE", "class labels, likewise"),
	OPT_STR(0, "id-column", struct self, want.file.id, "NAME", "csv, tsv, jsonl: the column (or its number) or member that\nholds row keys"),
	OPT_STR(0, "label-column", struct self, want.file.label, "NAME", "the one that holds class labels"),
	OPT_STR(0, "header", struct self, header, "HOW", "csv, tsv: yes or no, the first line is a heading (default:\nwhen it holds something else than numbers)"),
	OPT_STR(0, "format", struct self, want.file.format, "NAME", "what the files are (default: by content, then by name):\n" MATFILE_FORMATS),
	OPT_UINT(0, "dim", struct self, want.file.dim, "D", "columns of files without a header"),
	OPT_STR(0, "dtype", struct self, dtype, "NAME", "type of files without a header, or of numpy's |V2:\nf2 f4 (default) f8 i1 u1 bfloat16 ..."),
	OPT_STR(0, "nan", struct self, nan, "HOW", "rows with NaN or infinity: fail (default) or skip"),
	OPT_FLAG(0, "as-given", struct self, as_given, "read the files in the order given (default: natural order,\npart2 before part10)"),
	OPT_FLAG(0, "list", struct self, list, "print what arrays the files hold, and read nothing"),
	OPT_END
};
static const struct self defaults = {.want.limit = UINT64_MAX, .nan = "fail"};

static int
check_options(struct run *r)
{
	struct self *s = r->self;

	if (!r->argc)
		return run_usage(r, "name the files to read, or - for standard input");
	if (strcmp(s->nan, "fail") && strcmp(s->nan, "skip"))
		return run_usage(r, "--nan %s: fail or skip", s->nan);
	if (s->header && strcmp(s->header, "yes") && strcmp(s->header, "no"))
		return run_usage(r, "--header %s: yes or no", s->header);
	if (s->want.file.format && !matfile_is_format(s->want.file.format))
		return run_usage(r, "--format %s: one of " MATFILE_FORMATS, s->want.file.format);
	if (s->dtype && !(s->want.file.dtype = dtype_parse(s->dtype, &(bool){false})))
		return run_usage(r, "--dtype %s: one of f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 bfloat16", s->dtype);
	s->want.skip_nan = !strcmp(s->nan, "skip");
	s->want.file.heading = !s->header ? MATFILE_GUESS : !strcmp(s->header, "yes") ? MATFILE_HEADING : MATFILE_NO_HEADING;
	if (!s->as_given)
		fileset_sort(r->argv, (size_t)r->argc);
	return 0;
}

static int
start(struct run *r)
{
	struct self *s = r->self;

	if (check_options(r))
		return r->err.code;
	r->text = s->list;
	if (s->list)
		return 0;
	if (rowsource_open(&s->rows, r->argv, (size_t)r->argc, &s->want, &r->err))
		return r->err.code;
	s->batch = run_batch(r, s->batch, s->rows.files.cols, s->rows.to - s->rows.from);
	return 0;
}

/* The stream's id: made of what was asked for and what rows that gives. */
static int
put_head(struct run *r)
{
	struct self *s = r->self;
	const struct fileset *f = &s->rows.files;
	char id[STREAM_ID_MAX];
	struct buf b = {0};
	int code;

	code = buf_append(&b, MSAE_VERSION, sizeof MSAE_VERSION, &r->err) || buf_append(&b, r->command, strlen(r->command) + 1, &r->err) ||
	       buf_append(&b, s->rows.print.data, s->rows.print.len, &r->err);
	if (!code)
		stream_id(id, b.data, b.len);
	buf_free(&b);
	if (code || head_set_str(&r->head, "stream", id, &r->err) || head_declare(&r->head, "x", "<f4", 1, &f->cols, &r->err) ||
	    (s->rows.has_ids && head_declare(&r->head, "id", "str", 0, NULL, &r->err)) ||
	    (s->rows.has_labels && head_declare(&r->head, "label", "str", 0, NULL, &r->err)))
		return r->err.code;
	return run_put_head(r, &r->head);
}

/* n C strings, one behind the other, as a column. */
static int
put_strings(struct run *r, struct frame *f, const char *name, const struct buf *text, struct buf *packed)
{
	const char *p = (const char *)text->data;
	uint64_t i;

	packed->len = 0;
	for (i = 0; i < f->n; i++, p += strlen(p) + 1)
		if (mp_put_strn(packed, p, strlen(p), &r->err))
			return r->err.code;
	return frame_put_strings(f, name, f->n, packed, &r->err);
}

static int
put_rows(struct run *r)
{
	struct self *s = r->self;
	struct frame f = {.kind = FRAME_ROWS, .n = s->rows.n, .row = s->rows.row};

	if (run_put_dense(r, &f, "x", s->rows.x.data, (size_t)s->rows.files.cols) ||
	    (s->rows.has_ids && put_strings(r, &f, "id", &s->rows.names.id, &s->ids)) ||
	    (s->rows.has_labels && put_strings(r, &f, "label", &s->rows.names.label, &s->labels)))
		return r->err.code;
	return stream_rows(r->out, &f, &r->err);
}

static int
loop(struct run *r)
{
	struct self *s = r->self;
	uint64_t inside;
	const char *path;

	if (s->list)
		return run_text(r) ? listing_print(r->argv, (size_t)r->argc, &s->want.file, run_text(r), &r->err) : r->err.code;
	if (rowsource_begin(&s->rows, s->batch, &r->err) || put_head(r))
		return r->err.code;
	while (s->rows.n) {
		if (put_rows(r))
			return r->err.code;
		run_progress(r, rowsource_done(&s->rows), rowsource_total(&s->rows));
		if (run_stopped())
			return run_stop(r, rowsource_done(&s->rows));
		if (rowsource_next(&s->rows, &r->err))
			return r->err.code;
	}
	if (s->rows.skipped) {
		path = fileset_where(&s->rows.files, s->rows.first_skipped, &inside);
		warn(r, "left out %llu rows with NaN or infinity, the first %s: row %llu", (ull)s->rows.skipped, path, (ull)inside);
	}
	return stream_end(r->out, &r->err);
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	buf_free(&s->ids);
	buf_free(&s->labels);
	rowsource_close(&s->rows);
}

const struct program program = {
	.name = "read-embeddings",
	.summary = "read files of embeddings into one stream",
	.operands = "FILE...",
	.about = "Reads .npy (any version, order and type), .npz, .safetensors, PyTorch's .pt and .pth\n"
	         "(nothing in them is run), faiss' .fvecs .bvecs .ivecs, CSV, TSV, JSON lines, tar files of\n"
	         ".npy members, headerless float32 files whose names end in _ROWS_DIM.npy, and raw numbers\n"
	         "with --dim; gzip and zstd around them are undone. Their rows, widened to float32, become\n"
	         "column x of one stream, in natural order of the file names. - is standard input.\n\n"
	         "Every file is looked at before the first row is written. Rows are numbered over all\n"
	         "files, so a --shard keeps the numbers its rows have in the whole. docs/FILES.md has the\n"
	         "rules of each format.",
	.example = "  read-embeddings train_*.npy --ids paths.txt | frames --text | head\n"
	           "  read-embeddings --list clip.pt; read-embeddings clip.pt --key image.features -o x.sae\n"
	           "  zcat words.csv.gz | read-embeddings - --format csv --id-column word -o words.sae\n"
	           "  read-embeddings big/*.npy --shard \"$SLURM_ARRAY_TASK_ID/64\" -o part.sae",
	.kind = PROGRAM_SOURCE, .opts = opts, .self_size = sizeof(struct self), .defaults = &defaults,
	.start = start, .loop = loop, .clean = clean,
};
