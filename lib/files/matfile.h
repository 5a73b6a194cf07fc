/* Files of embeddings: rows of numbers, read as float32.
 *
 *   struct matfile f;
 *   matfile_open(&f, path, &opts, &err);          what it is, and how wide
 *   matfile_read(&f, first, n, x, &err);          any rows, where f.random
 *   matfile_next(&f, n, x, names, &got, &err);    the next rows, always
 *   matfile_close(&f);
 *
 * One reader a format behind the struct (matback.h): npy, raw, npz,
 * safetensors, pt, fvecs, bvecs, ivecs, csv, tsv, jsonl, tar. docs/FILES.md says
 * what each takes. A file says by its first bytes what it is, else by its name;
 * gzip and zstd around any of them are undone. "-" is standard input.
 *
 * Memory is bounded by the block asked for, whatever the file's size and
 * order; nothing is mapped. Formats whose rows have a place in the file are
 * random: they can be read in any order. The others come in order, and may not
 * know their number of rows before the end. */
#ifndef FILES_MATFILE_H
#define FILES_MATFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/mem.h"
#include "files/array.h"
#include "files/matlist.h"

#define MATFILE_UNKNOWN UINT64_MAX

struct matfile_opts {
	enum dtype dtype;   /* what |V2 or raw bytes mean; DT_NONE: float32 / refuse |V2 */
	uint64_t dim;       /* raw: columns; 0: the file must say */
	const char *key;    /* the array, in files that hold several; NULL: the only one */
	const char *format; /* one of MATFILE_FORMATS; NULL: by content and name */
	const char *id, *label; /* column or member that holds row keys, class labels; NULL */
	enum matfile_heading { MATFILE_GUESS, MATFILE_HEADING, MATFILE_NO_HEADING } heading; /* csv, tsv */
};

/* Row keys and labels, where the file has them: C strings one behind the other,
 * one a row. Start from {0}. */
struct matnames {
	struct buf id, label;
};

struct matfile {
	char *path;
	const char *format;
	uint64_t rows; /* MATFILE_UNKNOWN: not before the end */
	uint64_t cols;
	enum dtype dtype; /* in the file; DT_NONE: text */
	bool random, has_ids, has_labels;
	bool rereadable;  /* opening it again gives the same: no pipe */
	/* private */
	int fd;
	uint64_t size, at; /* bytes of fd; the next row */
	struct source *src;
	struct array array;
	const struct matback *back;
	void *state;
};

/* CODE_NOINPUT when it cannot be opened, CODE_DATA when it is not what it says
 * it is. Nothing needs closing after a failure. A 1-d array is one row. 0 rows
 * are fine; 0 columns, more than 2^24 and 3 dimensions are not. opts.dim must be
 * what a header says. Regular files and "-" only. o may be NULL. A format that
 * needs to jump is copied to $TMPDIR when it comes through a pipe. */
int matfile_open(struct matfile *f, const char *path, const struct matfile_opts *o, struct err *e);

/* Rows first..first+n-1 (inside the file) as float32 into x [n, cols]. */
int matfile_read(struct matfile *f, uint64_t first, size_t n, float *x, struct err *e);
/* The next rows, at most `most`: *got of them, 0 only at the end. names may be
 * NULL; else their keys and labels are appended, where the file has them. */
int matfile_next(struct matfile *f, size_t most, float *x, struct matnames *names, size_t *got, struct err *e);
/* Leaves out the next n rows; fewer when there are fewer. */
int matfile_skip(struct matfile *f, uint64_t n, struct err *e);
void matfile_close(struct matfile *f);

/* How many rows a file has, by reading it where it does not say. */
int matfile_count(const char *path, const struct matfile_opts *o, uint64_t *rows, struct err *e);
/* Adds every array that the file holds to l; *format gets the format's name. */
int matfile_list(const char *path, const struct matfile_opts *o, struct matlist *l, const char **format, struct err *e);

/* Is it a name of a format? MATFILE_FORMATS names them all, for messages. */
bool matfile_is_format(const char *name);
#define MATFILE_FORMATS "npy raw npz safetensors pt fvecs bvecs ivecs csv tsv jsonl tar"
void matnames_free(struct matnames *n);

#endif
