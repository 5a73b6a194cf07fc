/* frames: looks at a stream, checks it, and turns it into text and back. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "stream/text.h"

struct self {
	bool check, text, pack, rows;
	struct frame frame;
	struct frame_packed packed;
	struct buf bytes;
	uint64_t frames, count, sum; /* of the stream being packed */
};

static const struct opt opts[] = {
	OPT_FLAG(0, "check", struct self, check, "is this stream whole? Says so and exits 0, or says what is\nwrong and exits 65"),
	OPT_FLAG(0, "text", struct self, text, "one line of JSON a frame (the default)"),
	OPT_FLAG(0, "rows", struct self, rows, "with --text: values too, so that --pack can read it"),
	OPT_FLAG(0, "pack", struct self, pack, "read such text, write the stream"),
	OPT_END
};

/* --text and --check look at a frame before they judge it, so that what is
 * wrong can be seen. */
static int
look(struct run *r)
{
	struct self *s = r->self;
	FILE *to = run_text(r);
	struct stream_counts c;
	struct frame *f;
	int got;

	if (!to)
		return r->err.code;
	do {
		got = stream_next_unchecked(r->in, &f, &r->err);
		if (got > 0 && s->text && frame_print(to, f, s->rows, &r->err))
			return r->err.code;
		if (got < 0 || stream_check(r->in, got, &r->err) < 0)
			return r->err.code;
		run_progress(r, stream_counts(r->in).rows, 0);
		if (run_stopped())
			return run_stop(r, stream_counts(r->in).rows);
	} while (got > 0);
	c = stream_counts(r->in);
	if (s->check && !r->common.quiet)
		fprintf(to, "whole: %" PRIu64 " stream%s, %" PRIu64 " frames, %" PRIu64 " rows, %" PRIu64 " bytes\n",
		        c.streams, c.streams == 1 ? "" : "s", c.frames, c.rows, c.bytes);
	return 0;
}

/* Writes the frame in s->bytes: rows laid out as our writer does, the counts
 * and the sum of an end filled in where the text does not say them. */
static int
put_frame(struct run *r)
{
	struct self *s = r->self;
	struct frame *f = &s->frame;
	struct err *e = &r->err;
	int code;

	if (frame_parse(f, s->bytes.data, s->bytes.len, e))
		return e->code;
	if (f->kind == FRAME_HEAD)
		s->frames = s->count = s->sum = 0;
	if (f->kind == FRAME_ROWS)
		code = frame_pack_rows(&s->packed, f, f->seq, f->row, 0, f->n, e);
	else if (f->kind == FRAME_END && !f->has_sum)
		code = frame_pack_end(&s->packed, f->frames, f->rows, s->sum, e);
	else
		code = frame_pack_bytes(&s->packed, s->bytes.data, s->bytes.len, e);
	if (code || stream_raw(r->out, &s->packed, e))
		return e->code;
	if (f->kind == FRAME_ROWS)
		s->sum += frame_packed_hash(&s->packed);
	return 0;
}

static int
pack(struct run *r)
{
	struct self *s = r->self;
	const char *name = strcmp(r->common.in, "-") ? r->common.in : "standard input";
	FILE *from = strcmp(r->common.in, "-") ? fopen(r->common.in, "r") : stdin;
	char *line = NULL;
	size_t cap = 0, number = 0;
	ssize_t n;

	if (!from)
		return err_sys(&r->err, CODE_NOINPUT, "%s: cannot open", name);
	while (!r->err.code && !run_stopped() && (n = getline(&line, &cap, from)) > 0) {
		number++;
		if (line[0] == '#' || line[strspn(line, " \t\r\n")] == 0)
			continue;
		s->bytes.len = 0;
		if (frame_scan(line, (size_t)n, &s->bytes, &r->err) || put_frame(r))
			err_add(&r->err, "%s: line %zu", name, number);
	}
	if (!r->err.code && run_stopped())
		run_stop(r, 0);
	if (!r->err.code && ferror(from))
		err_sys(&r->err, CODE_IO, "%s: cannot read", name);
	if (!r->err.code && !number)
		run_fail(r, CODE_DATA, "%s: empty: lines of text were expected", name);
	free(line);
	if (from != stdin)
		fclose(from);
	return r->err.code;
}

static int
loop(struct run *r)
{
	return ((struct self *)r->self)->pack ? pack(r) : look(r);
}

static int
start(struct run *r)
{
	struct self *s = r->self;

	if (s->check + s->text + s->pack > 1)
		return run_usage(r, "one of --check, --text and --pack");
	if ((s->pack || s->check) && s->rows)
		return run_usage(r, "--rows goes with --text");
	if (s->pack && transport_is_link(r->common.in))
		return run_usage(r, "-i %s: text comes from a file or a pipe", r->common.in);
	if (!s->check && !s->pack)
		s->text = true;
	r->no_in = s->pack;
	r->text = !s->pack;
	return 0;
}

static void
clean(struct run *r)
{
	struct self *s = r->self;

	frame_free(&s->frame);
	frame_packed_free(&s->packed);
	buf_free(&s->bytes);
}

const struct program program = {
	.name = "frames",
	.summary = "look at a stream, check it, turn it into text and back",
	.about = "A stream is one head, rows frames and an end mark; --check says whether that is what\n"
	         "came, down to sequence numbers, row counts and the checksum. --text prints a line of\n"
	         "JSON for each frame, also of a broken stream, up to what is wrong with it. --pack\n"
	         "makes a stream from text with values; lines that begin with # are comments. Frames must\n"
	         "be well formed, but their order, counts and sum are written as the text says, wrong or\n"
	         "not: that is how broken streams for tests are made.",
	.example = "  frames --check < codes.sae\n"
	           "  frames --text --rows < small.sae > small.txt; frames --pack < small.txt | cmp - small.sae",
	.kind = PROGRAM_FILTER, .opts = opts, .self_size = sizeof(struct self),
	.start = start, .loop = loop, .clean = clean,
};
