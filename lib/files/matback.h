/* What a format's reader is made of: for matfile.c and the mat_*.c files only.
 *
 * An opener finds f->fd and f->size (a regular file, to be read by position) or
 * f->src (bytes in order), as its entry in the table asks, and fills rows, cols,
 * dtype, random, has_ids, has_labels, and `array` or `back` and `state`. What it
 * leaves behind after a failure matfile.c closes. Errors do not name the file. */
#ifndef FILES_MATBACK_H
#define FILES_MATBACK_H

#include "files/matfile.h"
#include "files/npy.h"
#include "files/source.h"

struct matback {
	/* matfile_next; NULL: f->array is read */
	int (*next)(struct matfile *f, size_t most, float *x, struct matnames *names, size_t *got, struct err *e);
	void (*close)(struct matfile *f); /* f->state; NULL is fine */
};

typedef int mat_opener(struct matfile *f, const struct matfile_opts *o, struct err *e);
typedef int mat_lister(struct matfile *f, const struct matfile_opts *o, struct matlist *l, struct err *e);

mat_opener mat_open_npz, mat_open_safetensors, mat_open_pt;           /* fd */
mat_lister mat_list_npz, mat_list_safetensors, mat_list_pt;           /* fd */
mat_opener mat_open_npy_stream, mat_open_raw_stream;                  /* src */
mat_opener mat_open_csv, mat_open_tsv, mat_open_jsonl, mat_open_tar;  /* src */

/* The numbers of an npy array out of a source, in C order. */
struct npyin {
	struct npy_header h;
	uint64_t rows, cols, left; /* left: rows not yet read */
	size_t head;               /* bytes of the header */
	struct buf block;
};

/* Reads the header. */
int npyin_begin(struct npyin *r, struct source *s, enum dtype void2, struct err *e);
/* The next n of the rows that are left. */
int npyin_rows(struct npyin *r, struct source *s, size_t n, float *x, struct err *e);
void npyin_free(struct npyin *r);

/* Takes s[n] as the next key or label: UTF-8 without NUL. */
int matnames_put(struct buf *to, const char *s, size_t n, struct err *e);
/* "WHAT NAME: " in front of e's text, fit for a terminal; returns e->code. */
int mat_blame(const char *what, const char *name, struct err *e);
/* Checks a width: 1 to NPY_MAX_COLS. */
int mat_check_cols(uint64_t cols, struct err *e);

#endif
