/* What every program of the suite shares: main(), options, help, the filter
 * loop, signals, status, progress and the way to fail.
 *
 * A program is a table, named `program`; main() is in the library:
 *
 *   struct self { uint64_t k; bool abs; };
 *   static const struct opt opts[] = {
 *       OPT_UINT('k', NULL, struct self, k, "K", "how many to keep"),
 *       OPT_END
 *   };
 *   const struct program program = { .name = "topk", .kind = PROGRAM_FILTER,
 *       .opts = opts, .self_size = sizeof(struct self), .start = ..., .rows = ... };
 *
 * Order of calls: start (options are set; check them, load models; nothing is
 * open yet) -> input and output open -> ready -> for each stream: head, rows...,
 * end -> stop (all input was whole) -> outputs are finished -> clean. Hooks
 * return 0 or a code with r->err filled; clean is called whatever happened.
 * A program with `loop` reads r->in and writes r->out itself, in place of
 * head/rows/end: sources do, and what is no plain filter. With `lane`, rows are
 * called for several frames at a time once input comes quicker than they go.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/io.h"
#include "base/model.h"
#include "base/pool.h"
#include "stream/stream.h"

enum opt_kind { OPT_K_FLAG, OPT_K_STR, OPT_K_UINT, OPT_K_SIZE, OPT_K_FLOAT, OPT_K_LIST };

struct opt {
	char letter;      /* 0: none */
	const char *name; /* long name; NULL: letter only */
	enum opt_kind kind;
	size_t offset;    /* in self: bool, const char *, uint64_t, uint64_t, double, opt_list */
	const char *arg;  /* name of the argument in the help */
	const char *help; /* one line; '\n' continues on the next */
};

/* What options that may be repeated were given, in the order of the command
 * line. Several may share one list. Start from {0}; freed when the run ends. */
struct opt_list {
	struct opt_value { const char *option, *value; } *items; /* option: its long name, or NULL */
	size_t n;
};

#define OPT_FLAG(l, n, type, field, help) {l, n, OPT_K_FLAG, offsetof(type, field), NULL, help}
#define OPT_STR(l, n, type, field, arg, help) {l, n, OPT_K_STR, offsetof(type, field), arg, help}
#define OPT_UINT(l, n, type, field, arg, help) {l, n, OPT_K_UINT, offsetof(type, field), arg, help}
#define OPT_SIZE(l, n, type, field, arg, help) {l, n, OPT_K_SIZE, offsetof(type, field), arg, help}
#define OPT_FLOAT(l, n, type, field, arg, help) {l, n, OPT_K_FLOAT, offsetof(type, field), arg, help}
#define OPT_LIST(l, n, type, field, arg, help) {l, n, OPT_K_LIST, offsetof(type, field), arg, help}
#define OPT_END {0, NULL, OPT_K_FLAG, 0, NULL, NULL}
/* Defaults are set by `defaults`: an image of self. A letter that every program
 * has and a program takes for itself is the program's; the long name stays. */

enum program_kind {
	PROGRAM_FILTER, /* stream -> stream */
	PROGRAM_SOURCE, /* nothing -> stream */
	PROGRAM_SINK,   /* stream -> text or files */
	PROGRAM_TOOL    /* files -> text or files: no stream on either side */
};

struct run;
struct sae;

struct program {
	const char *name, *summary; /* "keep the largest codes of each row" */
	const char *operands;       /* "FILE..." or NULL */
	const char *about;          /* a paragraph or two for help and manual */
	const char *example;        /* lines of shell, with # comments */
	enum program_kind kind;
	const struct opt *opts;
	size_t self_size;
	const void *defaults;       /* self_size bytes; NULL: zeros */
	int (*start)(struct run *r);
	int (*ready)(struct run *r);
	int (*head)(struct run *r, struct head *h);
	int (*rows)(struct run *r, struct frame *f);
	int (*end)(struct run *r);
	int (*stop)(struct run *r);
	int (*loop)(struct run *r);
	void (*clean)(struct run *r);
	/* Rows of several frames at the same time, each in a lane: a thread with a
	 * run of its own, whose self begins as a copy. lane replaces in it what
	 * cannot be shared, lane_clean frees that. Not NULL promises that rows reads
	 * and writes nothing but its run's self and what nobody writes, and that
	 * what it makes of a frame does not depend on the frames before. A first
	 * frame has been done by then. *can false: not this time. */
	int (*lane)(struct run *r, bool *can);
	void (*lane_clean)(struct run *r);
	void (*metrics)(struct run *r, FILE *to); /* adds to --status; run_metric writes a line */
};

struct common {
	const char *in, *out, *status, *keys, *peers;
	uint64_t threads, max_frame, peer_timeout;
	bool quiet, verbose, no_prov, force, insecure, help, version, man, list;
};

struct run {
	const struct program *program;
	void *self;
	int argc;            /* operands */
	char **argv;
	struct common common;
	struct err err;
	struct keyring *keys; /* --keys, or NULL */
	struct pool *pool;   /* common.threads wide; made before start */
	const char *cpu;     /* $MSAE_CPU or NULL: for simd_for */
	struct stream *in, *out;
	struct head head;    /* of the stream being read */
	uint64_t head_number;
	bool text;           /* set by start: writes text (run_text), no stream */
	bool no_in;          /* set by start: reads no stream */
	bool resumable;      /* what a signal stops can be gone on with: exit 75, not 128 + signal */
	char command[2048];  /* own options and operands, quoted: for prov */
	struct csr sorted;   /* run_sparse's */
	char warned[768];    /* what warn said last */
	FILE *text_file;
	struct outfile text_out;
	struct progress *progress;
	double started, status_due, alive_due;
};

extern const struct program program;

/* r->err, as a hook returns it. */
int run_fail(struct run *r, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
int run_usage(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3); /* adds "try --help" */
/* Refuses to write binary to a terminal on standard output, but with --force. */
int run_refuse_terminal(struct run *r);
/* One line on standard error, unless -q; the same again only once, since a
 * stream may be shown to us frame by frame, each with its head. */
void warn(const struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Where text goes: standard output or -o FILE (which then appears whole). */
FILE *run_text(struct run *r);
/* r->err.code, or where text could not be written (failed) CODE_IO saying so. */
int run_wrote(struct run *r, int failed);

/* The input's frame number and rows, in front of the error in r->err:
 * "standard input: frame 3 (rows 512-1023): ...". Returns the code. */
int run_blame(struct run *r, const struct frame *f);

/* A two-dimensional numeric column as float32, widened into scratch where it
 * is of another type, every value finite. NULL with r->err filled: not there
 * (CODE_DATA naming what is), sparse, not 2-d, a NaN. */
const float *run_dense(struct run *r, struct frame *f, const char *name, size_t *cols, struct mat *scratch);
/* The same, NaN and infinities let through. */
const float *run_numbers(struct run *r, struct frame *f, const char *name, size_t *cols, struct mat *scratch);
/* Puts x [f->n, cols] as column name, replacing what was there; x stays the
 * caller's until the frame is written. */
int run_put_dense(struct run *r, struct frame *f, const char *name, const float *x, size_t cols);
/* Puts f->n strings as column name; packed in room, which must live until the
 * frame is written. */
int run_put_strings(struct run *r, struct frame *f, const char *name, const char *const *s, struct buf *room);
/* Fails saying how wide a column is and how wide it should be, after `want`
 * ("the model m.msae takes"): for columns of the wrong width. */
int run_width(struct run *r, const char *name, uint64_t cols, const char *want, uint64_t expected);
/* 0 when cols is d, what the model in the file `model` takes; else fails so. */
int run_model_width(struct run *r, const char *name, uint64_t cols, const char *model, uint64_t d);
/* 0 when the codes of the stream were made with the model sha256, which the file
 * `path` is (or belongs to); a stream that does not say is warned about. */
int run_made_with(struct run *r, const struct head *h, const char *path, const char *sha256);
/* 1 when x of the stream was normalised, as the model (in the file `path`) expects: codes of raw embeddings are numbers
 * without meaning, and nothing about them looks wrong. By another model is warned about. 0 when it was not; -1 with
 * r->err filled. */
int run_normalised(struct run *r, const struct sae *model, const char *path);
/* 0 when the model in the file `path` has nothing beyond `able` (bits of enum
 * sae_feature) that this program cannot do; what it is warned of is said. */
int run_model_fits(struct run *r, const struct sae *model, const char *path, unsigned able);
/* The width the head declares for a 2-d column; 0 when it does not say. */
uint64_t run_declared_width(const struct head *h, const char *name);
/* The sparse column name, every value finite, each row in the order of latents
 * (sorted here where it came otherwise); false with r->err filled. */
bool run_sparse(struct run *r, struct frame *f, const char *name, struct csr_view *v);

/* The strings of a column as C strings, NUL where they have one cut short; they
 * live until the next call with the same `to` (start from {0}; strings_free).
 * NULL when there is no such column, or with r->err filled. */
struct strings { char **s; size_t cap; };
const char *const *run_strings(struct run *r, struct frame *f, const char *name, struct strings *to);
void strings_free(struct strings *s);

/* Calls each for every frame of r->in, r->head being the last head seen, until
 * the input is over, a call returns a code, or a signal came (run_stop). Programs
 * without `loop` are run by it. */
int run_frames(struct run *r, int (*each)(struct run *r, struct frame *f, void *arg), void *arg);
/* The same for a stream of its own, in the file `path`; r->in is as before then,
 * and r->head empty. */
int run_frames_of(struct run *r, const char *path, int (*each)(struct run *r, struct frame *f, void *arg), void *arg);

/* Adds the provenance entry to h and writes it: for programs with `loop`. */
int run_put_head(struct run *r, struct head *h);

/* Rows a frame for a source: asked (0: as many as make 1 MiB of cols float32),
 * but never more than there are (rows) or than --max-frame lets through. */
uint64_t run_batch(const struct run *r, uint64_t asked, uint64_t cols, uint64_t rows);

/* Says how far along: rows done of total (0: unknown). Shown only on a
 * terminal, at most six times a second. Also keeps --status fresh. */
void run_progress(struct run *r, uint64_t done, uint64_t total);
/* The same with a text of one's own. */
void run_progress_line(struct run *r, const char *text);
/* What is due: --status, an answer to SIGUSR1. For loops that show no progress. */
void run_tick(struct run *r);
/* Seconds since the program was started. */
double run_elapsed(const struct run *r);
/* One line of --status: msae_NAME{program="...",LABELS} v; type NULL for a
 * further line of the same name. */
void run_metric(struct run *r, FILE *to, const char *name, const char *type, const char *labels, double v);
/* Several lines, over the ones shown before; on a terminal only, like the others. */
void run_progress_table(struct run *r, const char *text);
/* Tells a supervisor (systemd's Type=notify): "READY=1", "STATUS=...". */
void run_notify(struct run *r, const char *text);
/* Tells its watchdog that work goes on: from the loop that works, nowhere else. */
void run_alive(struct run *r);
/* Takes it away, before something else is written. */
void run_progress_clear(struct run *r);

/* How sockets and files are to be opened, by the options of every program. */
struct transport_opts run_transport(const struct run *r);
/* Makes all that waits for input or output give up, as a signal would. */
void run_halt(void);

/* True once SIGINT or SIGTERM came: finish the frame and return run_stop. */
bool run_stopped(void);
int run_stop(struct run *r, uint64_t rows);

#endif
