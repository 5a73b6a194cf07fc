/* The files room: matrix files, safetensors, models, concepts, lines. Expected
 * values are computed here, bytes are laid out by hand. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/checkpoint.h"
#include "files/concepts.h"
#include "files/lines.h"
#include "files/matfile.h"
#include "files/matwriter.h"
#include "files/modelfile.h"
#include "files/rowstore.h"
#include "files/safetensors.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static char dir[PATH_MAX / 2];
static struct err err;

/* The path of name in the test's own directory; eight are good at a time. */
static const char *
in_dir(const char *name)
{
	static char path[8][PATH_MAX];
	static unsigned next;
	char *p = path[next++ % 8];

	snprintf(p, PATH_MAX, "%s/%s", dir, name);
	return p;
}

static const char *
put_file(const char *name, const void *p, size_t n)
{
	const char *path = in_dir(name);
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(p, 1, n, f) != n || fclose(f)) {
		printf("Bail out! cannot write %s\n", path);
		exit(1);
	}
	return path;
}

static char *
get_file(const char *path, size_t *n)
{
	char *p = calloc(1, 1 << 20);
	FILE *f = fopen(path, "rb");

	*n = f ? fread(p, 1, (1 << 20) - 1, f) : 0;
	if (f)
		fclose(f);
	return p;
}

/* Entries in the test's directory: nothing may be left by a failed write. */
static unsigned
entries(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n - 2;
}

static void
empty_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *f;

	while (d && (f = readdir(d)))
		if (strcmp(f->d_name, ".") && strcmp(f->d_name, ".."))
			unlinkat(dirfd(d), f->d_name, 0);
	if (d)
		closedir(d);
}

/* rc and err say no with this code, in one line that names the file and holds
 * why. */
static void
refused(int rc, int code, const char *path, const char *why, const char *what)
{
	int good = rc == code && err.code == code && !strchr(err.text, '\n') && strstr(err.text, why) &&
	           !strncmp(err.text, path, strlen(path)) && err.text[strlen(path)] == ':';

	if (!tap_ok(good, "refused: %s", what))
		printf("# %d, %d, \"%s\"; expected %d and \"%s\"\n", rc, err.code, err.text, code, why);
}

/* ---- npy ---- */

struct bytes {
	unsigned char p[65536];
	size_t n;
};

static void
add(struct bytes *b, const void *p, size_t n)
{
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

/* Magic, version and dict as they are given; dict_len as it is claimed. */
static void
npy_start(struct bytes *b, unsigned version, const char *dict, size_t dict_len)
{
	unsigned char head[12] = "\x93NUMPY";
	unsigned i;

	head[6] = (unsigned char)version;
	for (i = 0; i < 4; i++)
		head[8 + i] = (unsigned char)(dict_len >> 8 * i);
	b->n = 0;
	add(b, head, version == 1 ? 10 : 12);
	add(b, dict, strlen(dict));
}

static const char *
put_npy(const char *name, const char *dict, const void *data, size_t n)
{
	struct bytes b;

	npy_start(&b, 1, dict, strlen(dict));
	add(&b, data, n);
	return put_file(name, b.p, b.n);
}

static uint64_t
float_bits(double v, enum dtype t)
{
	uint32_t w;
	uint64_t q;
	float f = (float)v;

	memcpy(&w, &f, 4);
	memcpy(&q, &v, 8);
	switch (t) {
	case DT_F8: return q;
	case DT_F4: return w;
	case DT_BF2: return w >> 16;
	default: /* a half, of values that fit one and are normal there */
		return v == 0 ? 0 : (w >> 16 & 0x8000) | (((w >> 23 & 0xff) - 112) << 10) | (w >> 13 & 0x3ff);
	}
}

/* Element i of every test array: exact in each type. */
static double
value_at(size_t i, enum dtype t)
{
	switch (t) {
	case DT_F2: case DT_BF2: case DT_F4: case DT_F8: return 0.25 * (double)(i % 101) - 7;
	case DT_BOOL: return (double)(i % 2);
	case DT_I1: case DT_I2: case DT_I4: case DT_I8: return (double)(i % 101) - 50;
	default: return (double)(i % 101);
	}
}

static void
add_value(struct bytes *b, size_t i, enum dtype t, bool big)
{
	bool is_float = t == DT_F2 || t == DT_BF2 || t == DT_F4 || t == DT_F8;
	double v = value_at(i, t);
	uint64_t bits = is_float ? float_bits(v, t) : (uint64_t)(int64_t)v;
	size_t size = dtype_size(t), k;
	unsigned char raw[8];

	for (k = 0; k < size; k++)
		raw[big ? size - 1 - k : k] = (unsigned char)(bits >> 8 * k);
	add(b, raw, size);
}

/* rows x cols elements, (i,j) being value i*cols + j, in either order. */
static void
add_matrix(struct bytes *b, size_t rows, size_t cols, enum dtype t, bool big, bool fortran)
{
	size_t i, j;

	if (fortran) {
		for (j = 0; j < cols; j++)
			for (i = 0; i < rows; i++)
				add_value(b, i * cols + j, t, big);
		return;
	}
	for (i = 0; i < rows * cols; i++)
		add_value(b, i, t, big);
}

/* Reads rows first.. in blocks of `block` and compares. */
static bool
rows_match(struct matfile *f, size_t block, enum dtype t)
{
	float *x = malloc((block * f->cols + 1) * sizeof *x);
	size_t first, n, i;
	bool same = true;

	for (first = 0; same && first < f->rows; first += n) {
		n = f->rows - first < block ? f->rows - first : block;
		x[n * f->cols] = 12345;
		same = !matfile_read(f, first, n, x, &err) && x[n * f->cols] == 12345;
		for (i = 0; same && i < n * f->cols; i++)
			same = x[i] == (float)value_at(first * f->cols + i, t);
	}
	free(x);
	return same;
}

static bool
reads_back(const char *path, const struct matfile_opts *o, size_t rows, size_t cols, enum dtype t)
{
	struct matfile f;
	bool good;

	if (matfile_open(&f, path, o, &err)) {
		printf("# %s\n", err.text);
		return false;
	}
	good = f.rows == rows && f.cols == cols && f.dtype == t &&
	       rows_match(&f, rows + 1, t) && rows_match(&f, 1, t) && rows_match(&f, 3, t) &&
	       !matfile_read(&f, rows, 0, NULL, &err) &&
	       matfile_read(&f, rows, 1, NULL, &err) == CODE_BUG;
	matfile_close(&f);
	return good;
}

static void
npy_types(void)
{
	static const struct { const char *code; enum dtype t; } types[] = {
		{"f2", DT_F2}, {"f4", DT_F4}, {"f8", DT_F8}, {"i1", DT_I1}, {"i2", DT_I2}, {"i4", DT_I4}, {"i8", DT_I8},
		{"u1", DT_U1}, {"u2", DT_U2}, {"u4", DT_U4}, {"u8", DT_U8}, {"b1", DT_BOOL}, {"V2", DT_BF2},
	};
	static const size_t shapes[][2] = {{0, 3}, {1, 5}, {4, 1}, {5, 7}, {37, 19}, {16, 32}};
	const struct matfile_opts o = {.dtype = DT_BF2};
	char dict[128];
	struct bytes b;
	unsigned i, s, how, bad;

	for (i = 0; i < COUNT(types); i++) {
		for (bad = s = 0; s < COUNT(shapes); s++)
			for (how = 0; how < 4; how++) {
				snprintf(dict, sizeof dict, "{'descr': '%c%s', 'fortran_order': %s, 'shape': (%zu, %zu), }\n",
				         how & 1 ? '>' : '<', types[i].code, how & 2 ? "True" : "False", shapes[s][0], shapes[s][1]);
				npy_start(&b, 1, dict, strlen(dict));
				add_matrix(&b, shapes[s][0], shapes[s][1], types[i].t, how & 1, how & 2);
				bad += !reads_back(put_file("t.npy", b.p, b.n), &o, shapes[s][0], shapes[s][1], types[i].t);
			}
		tap_ok(!bad, "npy %s: both byte orders, both array orders, six shapes", types[i].code);
	}
}

static void
npy_values(void)
{
	static const uint16_t half[] = {0x0001, 0x03ff, 0x8400, 0x7bff, 0xfc00, 0x7e00};
	static const double wide[] = {0.1, 1e300, -1e-300};
	static const int64_t whole[] = {16777217, INT64_MIN};
	struct matfile f;
	float x[6];

	matfile_open(&f, put_npy("v.npy", "{'descr':'<f2','fortran_order':False,'shape':(6,)}", half, sizeof half), NULL, &err);
	tap_ok(!matfile_read(&f, 0, 1, x, &err) && x[0] == 0x1p-24f && x[1] == 1023 * 0x1p-24f && x[2] == -0x1p-14f &&
	       x[3] == 65504 && x[4] == -INFINITY && isnan(x[5]), "half: subnormal, largest, infinite, NaN; 1-d is one row");
	matfile_close(&f);
	matfile_open(&f, put_npy("v.npy", "{'descr':'<f8','fortran_order':True,'shape':(3,)}", wide, sizeof wide), NULL, &err);
	tap_ok(!matfile_read(&f, 0, 1, x, &err) && x[0] == 0.1f && x[1] == INFINITY && x[2] == 0, "double: rounded to float");
	matfile_close(&f);
	matfile_open(&f, put_npy("v.npy", "{'descr':'<i8','fortran_order':False,'shape':(2,1)}", whole, sizeof whole), NULL, &err);
	tap_ok(!matfile_read(&f, 0, 2, x, &err) && x[0] == 16777216 && x[1] == -0x1p63f, "int64: rounded to float");
	matfile_close(&f);
}

static void
npy_headers(void)
{
	static const struct { unsigned version; const char *what, *dict; } good[] = {
		{1, "numpy's own", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }         \n"},
		{2, "version 2.0", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"},
		{3, "version 3.0", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"},
		{1, "double quotes, other order, longs", "{\"shape\": (2L, 3L), \"fortran_order\": False, \"descr\": \"<f4\"}\n"},
		{1, "no spaces, no end of line", "{'descr':'<f4','fortran_order':False,'shape':(2,3)}"},
		{1, "spaces everywhere", " { 'descr' : '<f4' ,\t'fortran_order' : False , 'shape' : ( 2 , 3 , ) , } \n"},
		{1, "native order", "{'descr': '=f4', 'fortran_order': False, 'shape': (2, 3)}"},
	};
	struct bytes b;
	unsigned i;

	for (i = 0; i < COUNT(good); i++) {
		npy_start(&b, good[i].version, good[i].dict, strlen(good[i].dict));
		add_matrix(&b, 2, 3, DT_F4, false, false);
		tap_ok(reads_back(put_file("h.npy", b.p, b.n), NULL, 2, 3, DT_F4), "npy header: %s", good[i].what);
		add(&b, "more", 4);
		tap_ok(reads_back(put_file("h.npy", b.p, b.n), NULL, 2, 3, DT_F4), "npy header: %s, bytes behind the array", good[i].what);
	}
}

#define DICT(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"
#define SHAPE(shape) DICT("'<f4'", "False", shape)
#define DESCR(descr) DICT(descr, "False", "(2, 3)")

static void
npy_refused(void)
{
	static const struct { const char *dict, *why; } bad[] = {
		{SHAPE("(2, 4)"), "claims 2 rows of 4 numbers (<f4), the file holds 1 whole rows"},
		{SHAPE("(1099511627776, 3)"), "claims 1099511627776 rows of 3 numbers (<f4), the file holds 2 whole rows"},
		{SHAPE("(4611686018427387912, 4)"), "larger than any file"},
		{SHAPE("(2, 9223372036854775808)"), "at most 16777216"},
		{SHAPE("(2, 16777217)"), "at most 16777216"},
		{SHAPE("(0, 16777217)"), "at most 16777216"},
		{SHAPE("(99999999999999999999, 3)"), "beyond 64 bits"},
		{SHAPE("(18446744073709551616, 3)"), "beyond 64 bits"},
		{SHAPE("(-2, 3)"), "negative"},
		{SHAPE("(2, 0)"), "without columns"},
		{SHAPE("(0,)"), "without columns"},
		{SHAPE("()"), "0 dimensions"},
		{SHAPE("(2, 3, 1)"), "3 dimensions"},
		{SHAPE("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"), "more than 32 dimensions"},
		{SHAPE("(6)"), "not a tuple"},
		{SHAPE("[2, 3]"), "a tuple behind 'shape'"},
		{SHAPE("((2, 3))"), "whole number in shape"},
		{SHAPE("(2, 3"), "whole number in shape"},
		{SHAPE("(2 3)"), "',' or ')' in shape"},
		{SHAPE("(,)"), "whole number in shape"},
		{SHAPE("(2.0, 3)"), "',' or ')' in shape"},
		{SHAPE("(1+1, 3)"), "',' or ')' in shape"},
		{SHAPE("(True, 3)"), "whole number in shape"},
		{SHAPE("(2, [3 for x in 'x'][0])"), "whole number in shape"},
		{DESCR("'|O'"), "Python objects"},
		{DESCR("'O'"), "save it as float32"},
		{DESCR("'<c8'"), "complex"},
		{DESCR("'<U2'"), "text"},
		{DESCR("'|S4'"), "text"},
		{DESCR("'<M8[ns]'"), "dates"},
		{DESCR("'|V2'"), "--dtype bfloat16"},
		{DESCR("'<V2'"), "--dtype bfloat16"},
		{DESCR("'|V4'"), "not understood"},
		{DESCR("'<f16'"), "not understood"},
		{DESCR("'bfloat16'"), "not understood"},
		{DESCR("''"), "not understood"},
		{DESCR("'<f4"), "\"<f4, \": not understood"},
		{"{'descr': '<f4\n", "not closed"},
		{"{'descr': \"<f4'", "not closed"},
		{DESCR("'<\\x664'"), "holds other characters"},
		{DESCR("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"), "too long"},
		{DESCR("4"), "name of a type"},
		{DESCR("[('a', '<f4'), ('b', '<f4')]"), "structured"},
		{DESCR("('<f4', (3,))"), "structured"},
		{DICT("'<f4'", "0", "(2, 3)"), "True or False"},
		{DICT("'<f4'", "Falsely", "(2, 3)"), "',' or '}'"},
		{"{'descr': '<f4', 'fortran_order': False, }", "'shape' is missing"},
		{"{'fortran_order': False, 'shape': (2, 3), }", "'descr' is missing"},
		{"{'descr': '<f4', 'shape': (2, 3), }", "'fortran_order' is missing"},
		{"{}", "is missing"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'shape': (2, 3)}", "twice"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}", "unknown key 'more'"},
		{"{'descr' '<f4', 'fortran_order': False, 'shape': (2, 3)}", "expected ':'"},
		{"{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3)}", "',' or '}'"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", "ends where ',' or '}'"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} or x", "nothing behind '}'"},
		{"{descr: '<f4', 'fortran_order': False, 'shape': (2, 3)}", "expected 'descr'"},
		{"__import__('os').system('true')", "expected '{'"},
		{"", "ends where '{'"},
	};
	struct matfile f;
	const char *path;
	float x[6] = {0};
	unsigned i;

	for (i = 0; i < COUNT(bad); i++) {
		path = put_npy("bad.npy", bad[i].dict, x, sizeof x);
		refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, bad[i].why, bad[i].why);
	}
}

static void
npy_broken(void)
{
	static const char dict[] = DICT("'<f4'", "False", "(2, 3)");
	char *deep = malloc(20100);
	struct matfile f;
	struct bytes b;
	const char *path;
	size_t n, bad = 0;

	npy_start(&b, 1, dict, strlen(dict));
	add_matrix(&b, 2, 3, DT_F4, false, false);
	for (n = 0; n < b.n; n++) {
		path = put_file("cut.npy", b.p, n);
		bad += matfile_open(&f, path, NULL, &err) != CODE_DATA || strncmp(err.text, path, strlen(path));
	}
	tap_ok(!bad, "npy cut at each of its %zu bytes: refused", n);

	npy_start(&b, 9, dict, strlen(dict));
	path = put_file("bad.npy", b.p, b.n);
	refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, "version 9.0", "npy version 9");
	npy_start(&b, 1, dict, 60000);
	path = put_file("bad.npy", b.p, b.n);
	refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, "beyond the end of the file", "header length beyond the file");
	npy_start(&b, 2, dict, 0xffffffff);
	path = put_file("bad.npy", b.p, b.n);
	refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, "at most 1048576", "header of 4 GiB");

	strcpy(deep, "{'descr': '<f4', 'fortran_order': False, 'shape': ");
	n = strlen(deep);
	memset(deep + n, '(', 20000);
	deep[n + 20000] = 0;
	path = put_npy("bad.npy", deep, "", 0);
	refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, "whole number in shape", "20000 parentheses");
	free(deep);
}

static void
not_npy(void)
{
	static const struct { const char *text, *why; } bad[] = {
		{"", "it is empty"},
		{"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "git-lfs pointer"},
		{"\n<!DOCTYPE html><title>404</title>", "web page"},
		{"<HTML><body>", "web page"},
		{"PK\3\4 rest of it", "zip archive"},
		{"\x93NUMPX\1", "starts with \"\\x93NUMPX\\x01\""},
		{"hello\nworld", "starts with \"hello\\x0aworld\""},
	};
	const struct matfile_opts o = {.dim = 1, .dtype = DT_U1};
	struct matfile f;
	const char *path;
	unsigned i;

	for (i = 0; i < COUNT(bad); i++) {
		path = put_file("no.npy", bad[i].text, strlen(bad[i].text));
		refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, bad[i].why, bad[i].why);
	}
	path = put_file("no.npy", bad[1].text, strlen(bad[1].text));
	refused(matfile_open(&f, path, &o, &err), CODE_DATA, path, "git-lfs", "a git-lfs pointer is not raw data either");
	path = in_dir("absent.npy");
	refused(matfile_open(&f, path, NULL, &err), CODE_NOINPUT, path, "cannot open", "no such file");
	refused(matfile_open(&f, dir, NULL, &err), CODE_NOINPUT, dir, "is a directory", "a directory");
	path = in_dir("pipe.npy");
	mkfifo(path, 0600);
	refused(matfile_open(&f, path, NULL, &err), CODE_NOINPUT, path, "is a pipe", "a pipe, without waiting for a writer");
	refused(matfile_open(&f, "/dev/null", NULL, &err), CODE_NOINPUT, "/dev/null", "is a device", "a device");
}

static void
hostile_name(void)
{
	struct matfile f;

	put_file("a\nb\x1b[2J", "x", 1);
	tap_ok(matfile_open(&f, in_dir("a\nb\x1b[2J"), NULL, &err) == CODE_DATA && !strchr(err.text, '\n') &&
	       !strchr(err.text, 0x1b) && strstr(err.text, "a\\x0ab\\x1b[2J: of no known format"), "a name with control characters stays one line");
}

static void
headerless(void)
{
	struct matfile_opts o = {0};
	struct matfile f;
	struct bytes b = {.n = 0};
	const char *path;

	add_matrix(&b, 5, 7, DT_F4, false, false);
	tap_ok(reads_back(put_file("emb_5_7.npy", b.p, b.n), NULL, 5, 7, DT_F4), "headerless: _ROWS_DIM.npy");
	tap_ok(reads_back(put_file("7_5_7.npy", b.p, b.n), NULL, 5, 7, DT_F4), "headerless: digits in front");
	path = put_file("_0_7.npy", "", 0);
	tap_ok(reads_back(path, NULL, 0, 7, DT_F4), "headerless: no rows");
	path = put_file("emb_6_7.npy", b.p, b.n);
	refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, "6 rows of 7 x <f4, 168 bytes; the file holds 140", "headerless: too short");
	path = put_file("emb_4_7.npy", b.p, b.n);
	refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, "112 bytes; the file holds 140", "headerless: too long");
	path = put_file("emb_5_0.npy", b.p, b.n);
	refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, "out of range", "headerless: no columns");
	path = put_file("emb_99999999999999999999_7.npy", b.p, b.n);
	refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, "out of range", "headerless: number beyond 64 bits");
	path = put_file("emb_4611686018427387909_4.npy", b.p, b.n);
	refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, "out of range", "headerless: product beyond 64 bits");
	path = put_file("emb-5_7.npy", b.p, b.n);
	refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, "of no known format", "headerless: the name says nothing");
	path = put_file("5_7.npy", b.p, b.n);
	refused(matfile_open(&f, path, NULL, &err), CODE_DATA, path, "of no known format", "headerless: the name lacks an underscore");

	o.dim = 7;
	tap_ok(reads_back(put_file("plain.f32", b.p, b.n), &o, 5, 7, DT_F4), "raw: --dim");
	o.dim = 6;
	path = put_file("plain.f32", b.p, b.n);
	refused(matfile_open(&f, path, &o, &err), CODE_DATA, path, "no whole number of rows of 6 x <f4", "raw: not a multiple");
	o.dim = UINT64_MAX / 4 + 2;
	refused(matfile_open(&f, path, &o, &err), CODE_DATA, path, "at most 16777216", "raw: absurd --dim");
	b.n = 0;
	add_matrix(&b, 5, 7, DT_BF2, false, false);
	o = (struct matfile_opts){.dim = 7, .dtype = DT_BF2};
	tap_ok(reads_back(put_file("plain.bf16", b.p, b.n), &o, 5, 7, DT_BF2), "raw: --dim and --dtype");
	path = put_npy("with.npy", SHAPE("(2, 3)"), b.p, 24);
	refused(matfile_open(&f, path, &o, &err), CODE_DATA, path, "has 3 columns; --dim says 7", "--dim contradicts the header");
}

static void
shrinking(void)
{
	struct matfile f;
	float x[6] = {0};
	const char *path = put_npy("s.npy", SHAPE("(2, 3)"), x, sizeof x);

	matfile_open(&f, path, NULL, &err);
	tap_ok(!truncate(path, 80), "file cut");
	refused(matfile_read(&f, 0, 2, x, &err), CODE_DATA, path, "did it change", "file cut while it is read");
	matfile_close(&f);
}

/* ---- writing npy ---- */

static void
writer_bytes(void)
{
	const uint64_t dims[] = {7};
	const char *path = in_dir("w.npy");
	struct matwriter *w = matwriter_create(path, MATWRITER_NPY, "x", "<f4", dims, 1, DT_NONE, &err);
	struct bytes b = {.n = 0};
	char want[129], *p;
	size_t n;

	memcpy(want, "\x93NUMPY\1\0v\0", 10);
	snprintf(want + 10, sizeof want - 10, "%-117s\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 7), }");
	add_matrix(&b, 5, 7, DT_F4, false, false);
	tap_ok(w && !matwriter_append(w, b.p, 2, 28, &err) && !matwriter_append(w, b.p, 0, 28, &err) &&
	       !matwriter_append(w, b.p + 56, 3, 28, &err) && access(path, F_OK), "npy writer: no file before the end");
	tap_ok(w && matwriter_append(w, b.p, 1, 24, &err) == CODE_BUG, "npy writer: rows of another size are a bug");
	tap_ok(!matwriter_finish(w, &err), "npy writer: finishes");
	p = get_file(path, &n);
	tap_ok(n == 128 + 140 && !memcmp(p, want, 128) && !memcmp(p + 128, b.p, 140), "npy writer: the very bytes");
	free(p);
	tap_ok(reads_back(path, NULL, 5, 7, DT_F4), "npy writer: reads back");
}

static void
writer_shapes(void)
{
	static const struct { const char *dtype; enum dtype t; size_t rows; uint64_t dim; } cases[] = {
		{"<f4", DT_F4, 0, 3}, {"<f8", DT_F8, 1, 1}, {"|i1", DT_I1, 3, 2}, {"<u4", DT_U4, 4, 5},
		{"<f2", DT_F2, 300, 7}, {"bfloat16", DT_BF2, 3, 3}, {"|b1", DT_BOOL, 2, 9},
	};
	const struct matfile_opts o = {.dtype = DT_BF2};
	struct matwriter *w;
	struct bytes b;
	const char *path;
	unsigned i;

	for (i = 0; i < COUNT(cases); i++) {
		path = in_dir("w.npy");
		b.n = 0;
		add_matrix(&b, cases[i].rows, cases[i].dim, cases[i].t, false, false);
		w = matwriter_create(path, MATWRITER_NPY, "x", cases[i].dtype, &cases[i].dim, 1, DT_NONE, &err);
		tap_ok(w && !matwriter_append(w, b.p, cases[i].rows, cases[i].dim * dtype_size(cases[i].t), &err) && !matwriter_finish(w, &err) &&
		       reads_back(path, &o, cases[i].rows, cases[i].dim, cases[i].t), "npy writer: %s", cases[i].dtype);
	}
}

static void
writer_dims(void)
{
	const uint64_t dims[] = {3, 2}, huge[] = {UINT64_MAX, 2};
	const char *path = in_dir("d.npy");
	float x[12] = {0};
	struct matwriter *w = matwriter_create(path, MATWRITER_NPY, "x", "<f4", dims, 2, DT_NONE, &err);
	size_t n;
	char *p;

	tap_ok(w && !matwriter_append(w, x, 2, 24, &err) && !matwriter_finish(w, &err), "npy writer: three dimensions");
	p = get_file(path, &n);
	tap_ok(n == 128 + 48 && strstr(p + 10, "'shape': (2, 3, 2), }"), "npy writer: their shape");
	free(p);
	w = matwriter_create(path, MATWRITER_NPY, "x", "<f4", NULL, 0, DT_NONE, &err);
	tap_ok(w && !matwriter_append(w, x, 5, 4, &err) && !matwriter_finish(w, &err), "npy writer: one dimension");
	p = get_file(path, &n);
	tap_ok(n == 128 + 20 && strstr(p + 10, "'shape': (5,), }"), "npy writer: its shape");
	free(p);
	tap_ok(!matwriter_create(path, MATWRITER_NPY, "x", "str", NULL, 0, DT_NONE, &err) && err.code == CODE_DATA, "npy writer: no text");
	tap_ok(!matwriter_create(path, MATWRITER_NPY, "x", "|O", NULL, 0, DT_NONE, &err) && err.code == CODE_DATA, "npy writer: no objects");
	tap_ok(!matwriter_create(path, MATWRITER_NPY, "x", "<f4", huge, 2, DT_NONE, &err) && err.code == CODE_DATA, "npy writer: row size overflow");
	tap_ok(!matwriter_create(in_dir("no/such/dir.npy"), MATWRITER_NPY, "x", "<f4", dims, 1, DT_NONE, &err) && err.code == CODE_CANTCREATE, "npy writer: no such directory");
	tap_ok(!matwriter_create(dir, MATWRITER_NPY, "x", "<f4", dims, 1, DT_NONE, &err) && err.code == CODE_CANTCREATE, "npy writer: a directory");
}

static void
writer_atomic(void)
{
	const uint64_t dim = 2;
	const float x[4] = {1, 2, 3, 4};
	const char *path;
	struct matwriter *w;
	unsigned before;
	size_t n;
	char *p;

	empty_dir();
	before = entries();
	path = in_dir("a.npy");
	w = matwriter_create(path, MATWRITER_NPY, "x", "<f4", &dim, 1, DT_NONE, &err);
	matwriter_append(w, x, 2, 8, &err);
	matwriter_abort(w);
	matwriter_abort(NULL);
	tap_ok(entries() == before, "npy writer: abort leaves nothing");
	put_file("a.npy", "old", 3);
	w = matwriter_create(path, MATWRITER_NPY, "x", "<f4", &dim, 1, DT_NONE, &err);
	matwriter_append(w, x, 2, 8, &err);
	matwriter_abort(w);
	p = get_file(path, &n);
	tap_ok(n == 3 && !memcmp(p, "old", 3) && entries() == before + 1, "npy writer: abort leaves the old file");
	free(p);
}

static void
writer_pipes(void)
{
	const uint64_t dim = 2;
	const float x[4] = {1, 2, 3, 4};
	const char *path = in_dir("fifo"), *out = in_dir("out.npy");
	char got[256] = "";
	struct matwriter *w;
	int fd, saved, rc;
	ssize_t n;

	mkfifo(path, 0600);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	w = matwriter_create(path, MATWRITER_NPY, "x", "<f4", &dim, 1, DT_NONE, &err);
	tap_ok(w && !matwriter_append(w, x, 2, 8, &err) && read(fd, got, sizeof got) <= 0 && !matwriter_finish(w, &err), "npy writer: a pipe gets it at the end");
	n = read(fd, got, sizeof got);
	tap_ok(n == 144 && strstr(got + 10, "(2, 2), }") && !memcmp(got + 128, x, 16), "npy writer: a pipe gets the right rows");
	close(fd);

	fflush(stdout);
	saved = dup(1);
	fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(fd, 1);
	w = matwriter_create("-", MATWRITER_NPY, "x", "<f4", &dim, 1, DT_NONE, &err);
	rc = !w || matwriter_append(w, x, 2, 8, &err) || matwriter_finish(w, &err);
	dup2(saved, 1);
	close(fd);
	tap_ok(!rc && !access(out, F_OK), "npy writer: standard output");
	fd = open(out, O_RDONLY);
	n = read(fd, got, sizeof got);
	tap_ok(n == 144 && strstr(got + 10, "(2, 2), }") && !memcmp(got + 128, x, 16), "npy writer: standard output has the right rows");
	close(fd);
	close(saved);

	if (access("/dev/full", W_OK)) {
		tap_skip("npy writer: full device", "no /dev/full");
		return;
	}
	w = matwriter_create("/dev/full", MATWRITER_NPY, "x", "<f4", &dim, 1, DT_NONE, &err);
	matwriter_append(w, x, 2, 8, &err);
	refused(matwriter_finish(w, &err), CODE_IO, "/dev/full", "cannot write", "npy writer: full device");
}

/* ---- safetensors ---- */

static const char *
put_st(const char *name, const char *json, const void *data, size_t n)
{
	uint64_t len = strlen(json);
	struct bytes b = {.n = 0};
	unsigned i;

	for (i = 0; i < 8; i++)
		b.p[b.n++] = (unsigned char)(len >> 8 * i);
	add(&b, json, len);
	add(&b, data, n);
	return put_file(name, b.p, b.n);
}

static void
st_good(void)
{
	static const char json[] = "{\"__metadata__\":{\"a\":\"1\",\"b\":\"\\u00e9\"},"
	                           "\"y\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]},"
	                           "\"e\":{\"dtype\":\"I64\",\"shape\":[3,0],\"data_offsets\":[8,8]},"
	                           "\"\\u0078\":{\"data_offsets\":[0,8],\"shape\":[1,2],\"dtype\":\"F32\",\"more\":1},"
	                           "\"q\":{\"dtype\":\"F8_E4M3\",\"shape\":[],\"data_offsets\":[12,13]},"
	                           "\"n\":{\"dtype\":\"F4\",\"shape\":[3,2],\"data_offsets\":[13,16]}}  ";
	static const unsigned char data[16] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0x40, 0x40, 0x80, 0xbf, 1, 2, 3, 4};
	const char *path = put_st("good.safetensors", json, data, sizeof data);
	struct st_file f;
	float v[2];

	if (!tap_ok(!st_open(&f, path, &err), "safetensors: opens")) {
		printf("# %s\n", err.text);
		return;
	}
	tap_ok(f.ntensors == 5 && f.nmeta == 2 && !strcmp(st_meta(&f, "b"), "\xc3\xa9") && !st_meta(&f, "c") && !st_find(&f, "z"), "safetensors: contents");
	tap_ok(!strcmp(f.tensors[0].name, "x") && !strcmp(f.tensors[4].name, "n"), "safetensors: in order of the data");
	tap_ok(!st_read_f32(&f, st_find(&f, "x"), v, &err) && v[0] == 1 && v[1] == -2, "safetensors: F32");
	tap_ok(!st_read_f32(&f, st_find(&f, "y"), v, &err) && v[0] == 3 && v[1] == -1, "safetensors: BF16");
	tap_ok(!st_read_f32(&f, st_find(&f, "e"), v, &err), "safetensors: an empty tensor");
	refused(st_read_f32(&f, st_find(&f, "q"), v, &err), CODE_DATA, path, "tensor q: numbers of type F8_E4M3", "F8_E4M3 cannot be read");
	st_close(&f);
}

static void
st_digest(void)
{
	/* sha256sum of the file's bytes */
	static const char want[] = "55c0ab0986d405d523d55d2cd65e54341deda18a89421265c472bef6c95220bd";
	const float x[2] = {1, 2};
	const struct st_out t = {"x", DT_F4, 1, {2}, x};
	char sum[65];
	struct st_file f;
	const char *path = in_dir("digest.safetensors");
	size_t n;
	char *p;

	tap_ok(!st_save(path, &t, 1, NULL, 0, sum, &err), "safetensors: saves");
	p = get_file(path, &n);
	tap_ok(n == 72 && !memcmp(p, "\x38\0\0\0\0\0\0\0{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}  ", 64) &&
	       !memcmp(p + 64, x, 8), "safetensors: the very bytes");
	free(p);
	tap_ok(!st_open(&f, path, &err) && !strcmp(f.sha256, sum) && !strcmp(sum, want), "safetensors: the digest, written and read");
	st_close(&f);
}

#define T(dtype, shape, offsets) "{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define ONE(dtype, shape, offsets) "{\"a\":" T(dtype, shape, offsets) "}"
#define F32(shape, offsets) ONE("\"F32\"", shape, offsets)

static void
st_refused(void)
{
	static const struct { const char *json, *why; } bad[] = {
		{F32("[3]", "[0,12]"), "lies at bytes 0 to 12 of the data; the file holds 8"},
		{F32("[2]", "[0,1099511627776]"), "lies at bytes"},
		{F32("[2]", "[8,0]"), "before it begins"},
		{F32("[2]", "[-8,0]"), "two whole numbers"},
		{F32("[2]", "[0.0,8.0]"), "two whole numbers"},
		{F32("[2]", "[0]"), "two whole numbers"},
		{F32("[2]", "[0,8,8]"), "two whole numbers"},
		{F32("[2]", "8"), "two whole numbers"},
		{F32("[2]", "[0,18446744073709551616]"), "not valid JSON"},
		{F32("[3]", "[0,8]"), "ask for 12 bytes, \"data_offsets\" give 8"},
		{F32("[4294967296,4294967296]", "[0,8]"), "larger than any file"},
		{F32("[4611686018427387906]", "[0,8]"), "larger than any file"},
		{F32("[-2]", "[0,8]"), "whole numbers from 0"},
		{F32("[2.0]", "[0,8]"), "whole numbers from 0"},
		{F32("[\"2\"]", "[0,8]"), "whole numbers from 0"},
		{F32("2", "[0,8]"), "no \"shape\""},
		{F32("[1,1,1,1,2]", "[0,8]"), "5 dimensions"},
		{ONE("\"FOO\"", "[2]", "[0,8]"), "unknown dtype \"FOO\""},
		{ONE("\"F4\"", "[17]", "[0,8]"), "within a byte"},
		{ONE("4", "[2]", "[0,8]"), "no \"dtype\""},
		{"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "no \"dtype\""},
		{"{\"a\":[1]}", "not described by an object"},
		{F32("[1]", "[0,4]"), "last 4 bytes belong to no tensor"},
		{F32("[1]", "[4,8]"), "4 bytes before tensor a belong to no tensor"},
		{"{\"a\":" T("\"F32\"", "[2]", "[0,8]") ",\"b\":" T("\"F32\"", "[1]", "[4,8]") "}", "tensor b overlaps"},
		{"{\"a\":" T("\"F32\"", "[2]", "[0,8]") ",\"b\":" T("\"F32\"", "[2]", "[0,8]") "}", "overlaps"},
		{"{\"a\":" T("\"F32\"", "[2]", "[0,8]") ",\"a\":" T("\"F32\"", "[2]", "[0,8]") "}", "duplicate object key"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}}", "duplicate object key"},
		{"{\"a\\u0000b\":" T("\"F32\"", "[2]", "[0,8]") "}", "NUL"},
		{"{\"\x1b\xff\":" T("\"F32\"", "[2]", "[0,8]") "}", "not valid JSON"},
		{"{\"a\xff\":" T("\"F32\"", "[2]", "[0,8]") "}", "not valid JSON"},
		{"{\"a\":[[[[[[[[8]]]]]]]]}", "nested deeper than 8"},
		{"{\"__metadata__\":{\"k\":1}}", "\"k\" is no string"},
		{"{\"__metadata__\":[]}", "__metadata__ is no object"},
		{"{\"__metadata__\":{}}", "holds no tensors"},
		{"{}", "holds no tensors"},
		{F32("[2]", "[0,8]") "}", "not valid JSON"},
		{F32("[2]", "[0,8"), "not valid JSON"},
		{"{\"a\":1e400}", "not valid JSON"},
		{"[1,2,3]", "not a safetensors file"},
		{" {}", "not a safetensors file"},
		{"{", "not a safetensors file"},
	};
	struct st_file f;
	const char *path;
	float x[2] = {0};
	unsigned i;

	for (i = 0; i < COUNT(bad); i++) {
		path = put_st("bad.safetensors", bad[i].json, x, sizeof x);
		refused(st_open(&f, path, &err), CODE_DATA, path, bad[i].why, bad[i].why);
	}
}

static void
st_broken(void)
{
	static const char json[] = F32("[2]", "[0,8]");
	static const unsigned char huge[] = "\0\0\0\0\0\0\0\x10{}", wraps[] = "\xff\xff\xff\xff\xff\xff\xff\xff{}";
	struct st_file f;
	const char *path;
	size_t n, i, bad = 0;
	char *p, *deep;

	p = get_file(put_st("good.safetensors", json, "12345678", 8), &n);
	for (i = 0; i < n; i++)
		bad += st_open(&f, put_file("cut.safetensors", p, i), &err) != CODE_DATA;
	free(p);
	tap_ok(!bad, "safetensors cut at each of its %zu bytes: refused", n);
	path = put_file("bad.safetensors", huge, 10);
	refused(st_open(&f, path, &err), CODE_DATA, path, "at most 100000000", "header of 2^60 bytes");
	path = put_file("bad.safetensors", wraps, 10);
	refused(st_open(&f, path, &err), CODE_DATA, path, "at most 100000000", "header of 2^64-1 bytes");
	path = put_file("bad.safetensors", "\x40\0\0\0\0\0\0\0{}", 10);
	refused(st_open(&f, path, &err), CODE_DATA, path, "beyond the end of the file", "header beyond the file");
	path = put_file("bad.safetensors", "PK\3\4 and so on", 14);
	refused(st_open(&f, path, &err), CODE_DATA, path, "zip archive", "a zip archive");
	refused(st_open(&f, dir, &err), CODE_NOINPUT, dir, "is a directory", "a directory");

	deep = malloc(60001);
	strcpy(deep, "{\"a\":");
	memset(deep + 5, '[', 59995);
	deep[60000] = 0;
	path = put_st("bad.safetensors", deep, "", 0);
	refused(st_open(&f, path, &err), CODE_DATA, path, "nested deeper than 8", "59995 brackets");
	free(deep);
}

static void
st_saving(void)
{
	char key[] = "k\"\n", value[] = "caf\xc3\xa9\t\"", odd[] = "bad\xff", odd_key[] = "o";
	const struct st_meta meta[] = {{key, value}, {odd_key, odd}};
	const float x[4] = {1, -0.0f, 3e-40f, 4};
	const struct st_out t[] = {{"two words", DT_F4, 2, {2, 2}, x}, {"scalar", DT_F4, 0, {0}, x + 3}, {"none", DT_F4, 1, {0}, x}};
	const struct st_out twice[] = {{"a", DT_F4, 1, {1}, x}, {"a", DT_F4, 1, {1}, x}};
	const char *path = in_dir("m.safetensors");
	struct st_file f;
	char sum[65], again[65];
	float v[4];

	tap_ok(!st_save(path, t, 3, meta, 2, sum, &err) && !st_save(in_dir("n.safetensors"), t, 3, meta, 2, again, &err) &&
	       !strcmp(sum, again), "safetensors: the same arguments, the same bytes");
	tap_ok(!st_open(&f, path, &err) && !strcmp(f.sha256, sum) && !strcmp(st_meta(&f, key), value) &&
	       !strcmp(st_meta(&f, "o"), "bad\\xff"), "safetensors: metadata round trip");
	tap_ok(!st_read_f32(&f, st_find(&f, "two words"), v, &err) && !memcmp(v, x, 16) && st_find(&f, "scalar")->ndim == 0 &&
	       !st_read_f32(&f, st_find(&f, "scalar"), v, &err) && v[0] == 4, "safetensors: tensors round trip");
	st_close(&f);
	empty_dir();
	tap_ok(st_save(path, twice, 2, NULL, 0, sum, &err) == CODE_BUG && !entries(), "safetensors: a name twice is not written");
	tap_ok(st_save(in_dir("no/dir"), t, 3, NULL, 0, NULL, &err) == CODE_CANTCREATE, "safetensors: no such directory");
	if (!access("/dev/full", W_OK))
		refused(st_save("/dev/full", t, 3, NULL, 0, NULL, &err), CODE_IO, "/dev/full", "cannot write", "safetensors: full device");
	else
		tap_skip("safetensors: full device", "no /dev/full");
}

/* ---- models ---- */

#define D 3
#define M 4

static void
fill(float *v, size_t n, unsigned which)
{
	size_t i;

	for (i = 0; i < n; i++)
		v[i] = (float)which / (float)(3 * i + 7) - 0.1f;
}

static void
make_model(struct sae *s, enum sae_arch arch)
{
	sae_init(s, D, M, arch == ARCH_JUMPRELU, &err);
	fill(s->W_enc, D * M, 1);
	fill(s->b_enc, M, 2);
	fill(s->W_dec, D * M, 3);
	fill(s->b_dec, D, 4);
	fill(s->mean, D, 5);
	if (s->threshold)
		fill(s->threshold, M, 6);
	s->scale = 1 / 3.0f;
	s->arch = arch;
	s->k = arch == ARCH_TOPK || arch == ARCH_BATCHTOPK ? 2 : 0;
}

static bool
same_model(const struct sae *a, const struct sae *b)
{
	return a->d == b->d && a->m == b->m && !memcmp(a->W_enc, b->W_enc, D * M * 4) && !memcmp(a->b_enc, b->b_enc, M * 4) &&
	       !memcmp(a->W_dec, b->W_dec, D * M * 4) && !memcmp(a->b_dec, b->b_dec, D * 4) && !memcmp(a->mean, b->mean, D * 4) &&
	       !memcmp(&a->scale, &b->scale, 4) && !a->threshold == !b->threshold &&
	       (!a->threshold || !memcmp(a->threshold, b->threshold, M * 4)) && a->arch == b->arch && a->k == b->k &&
	       a->levels == b->levels && !memcmp(a->nesting, b->nesting, sizeof a->nesting) && a->soft_cap == b->soft_cap &&
	       a->rows == b->rows && a->seed == b->seed && !strcmp(a->weighting, b->weighting) &&
	       !strcmp(a->trained_on, b->trained_on) && !strcmp(a->sha256, b->sha256);
}

static void
model_round_trip(void)
{
	static const char *const extra[] = {"note", "free text", NULL};
	struct sae s, t;
	const char *path = in_dir("m.msae"), *again = in_dir("n.msae");
	char *p, *q;
	size_t n, k;
	int a;

	for (a = ARCH_MSAE; a <= ARCH_JUMPRELU; a++) {
		make_model(&s, (enum sae_arch)a);
		if (a == ARCH_MSAE) {
			s.levels = 3;
			s.nesting[0] = 1;
			s.nesting[1] = 2;
			s.nesting[2] = 4;
			strcpy(s.weighting, "0.5,1e-3,1");
			strcpy(s.trained_on, "train_*.npy \"caf\xc3\xa9\"");
			s.soft_cap = 0.1f;
			s.rows = UINT64_MAX;
			s.seed = 42;
		}
		tap_ok(!model_save(&s, path, extra, &err) && strlen(s.sha256) == 64, "model %s: saves", sae_arch_name(s.arch));
		if (!tap_ok(!model_load(&t, path, &err) && same_model(&s, &t), "model %s: round trip", sae_arch_name(s.arch)))
			printf("# %s\n", err.text);
		model_save(&t, again, extra, &err);
		p = get_file(path, &n);
		q = get_file(again, &k);
		tap_ok(n == k && n % 4 == 0 && !memcmp(p, q, n), "model %s: saved again, the same bytes", sae_arch_name(s.arch));
		free(p);
		free(q);
		sae_free(&s);
		sae_free(&t);
	}
}

/* A model file spelled out: metadata, and tensors left out or changed. */
struct model_case {
	const char *meta, *without, *odd, *why;
	uint64_t shape[2];
	float value;
};

static const char *
put_model(const struct model_case *c)
{
	static const struct { const char *name; unsigned ndim; uint64_t shape[2]; } all[] = {
		{"W_enc", 2, {D, M}}, {"b_enc", 1, {M}}, {"W_dec", 2, {M, D}}, {"b_dec", 1, {D}}, {"mean", 1, {D}}, {"scale", 1, {1}},
	};
	struct bytes b = {.n = 0};
	char json[4096];
	float x[64];
	uint64_t count, shape[2], at = 0;
	size_t n, i, j;

	n = (size_t)snprintf(json, sizeof json, "{\"__metadata__\":{%s}", c->meta);
	for (i = 0; i < COUNT(all); i++) {
		if (c->without && !strcmp(c->without, all[i].name))
			continue;
		memcpy(shape, all[i].shape, sizeof shape);
		if (c->odd && !strcmp(c->odd, all[i].name) && c->shape[0])
			memcpy(shape, c->shape, sizeof shape);
		count = shape[0] * (all[i].ndim > 1 ? shape[1] : 1);
		for (j = 0; j < count; j++)
			x[j] = c->odd && !strcmp(c->odd, all[i].name) && !c->shape[0] && j == count - 1 ? c->value : 0.5f;
		add(&b, x, count * 4);
		n += (size_t)snprintf(json + n, sizeof json - n, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%llu", all[i].name, (unsigned long long)shape[0]);
		if (all[i].ndim > 1)
			n += (size_t)snprintf(json + n, sizeof json - n, ",%llu", (unsigned long long)shape[1]);
		n += (size_t)snprintf(json + n, sizeof json - n, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at, (unsigned long long)(at + count * 4));
		at += count * 4;
	}
	snprintf(json + n, sizeof json - n, "}");
	return put_st("case.msae", json, b.p, b.n);
}

#define META "\"format\":\"msae\",\"version\":\"1\",\"architecture\":\"msae\""
#define TOPK(k) "\"format\":\"msae\",\"version\":\"1\",\"architecture\":\"topk\",\"k\":\"" k "\""
#define WITH(key, value) META ",\"" key "\":\"" value "\""

static void
model_refused(void)
{
	static const struct model_case bad[] = {
		{.meta = META, .without = "W_enc", .why = "tensor W_enc is missing"},
		{.meta = META, .without = "b_enc", .why = "tensor b_enc is missing"},
		{.meta = META, .without = "W_dec", .why = "tensor W_dec is missing"},
		{.meta = META, .without = "b_dec", .why = "tensor b_dec is missing"},
		{.meta = META, .without = "mean", .why = "tensor mean is missing"},
		{.meta = META, .without = "scale", .why = "tensor scale is missing"},
		{.meta = META, .odd = "W_dec", .shape = {D, M}, .why = "tensor W_dec has shape [3,4], expected [4,3] as W_enc is [3,4]"},
		{.meta = META, .odd = "W_dec", .shape = {M, D + 1}, .why = "tensor W_dec has shape [4,4], expected [4,3]"},
		{.meta = META, .odd = "b_enc", .shape = {D, 0}, .why = "tensor b_enc has shape [3], expected [4]"},
		{.meta = META, .odd = "mean", .shape = {M, 0}, .why = "tensor mean has shape [4], expected [3]"},
		{.meta = META, .odd = "scale", .shape = {2, 0}, .why = "tensor scale has shape [2], expected [1]"},
		{.meta = META, .odd = "W_enc", .value = NAN, .why = "tensor W_enc holds 1 values that are NaN or infinite"},
		{.meta = META, .odd = "W_dec", .value = INFINITY, .why = "tensor W_dec holds 1 values that are NaN"},
		{.meta = META, .odd = "mean", .value = -INFINITY, .why = "tensor mean holds 1 values that are NaN"},
		{.meta = META, .odd = "scale", .value = NAN, .why = "tensor scale holds 1 values that are NaN"},
		{.meta = META, .odd = "scale", .value = 0, .why = "scale is 0; it must be greater than 0"},
		{.meta = META, .odd = "scale", .value = -1, .why = "scale is -1; it must be greater than 0"},
		{.meta = "", .why = "a model of no library that is known here"},
		{.meta = "\"format\":\"pt\"", .why = "metadata has format \"pt\""},
		{.meta = "\"format\":\"msae-stats\",\"version\":\"1\"", .why = "its format is \"msae-stats\""},
		{.meta = "\"format\":\"a\\u001b\\n\"", .why = "metadata has format \"a\\x1b\\x0a\""},
		{.meta = "\"format\":\"msae\",\"architecture\":\"relu\"", .why = "metadata version is \"\"; expected 1"},
		{.meta = "\"format\":\"msae\",\"version\":\"3\",\"architecture\":\"relu\"", .why = "metadata version is \"3\"; expected 1"},
		{.meta = "\"format\":\"msae\",\"version\":\"1\"", .why = "metadata architecture is \"\""},
		{.meta = "\"format\":\"msae\",\"version\":\"1\",\"architecture\":\"quantum\"", .why = "metadata architecture is \"quantum\""},
		{.meta = "\"format\":\"msae\",\"version\":\"1\",\"architecture\":\"topk\"", .why = "metadata k is missing"},
		{.meta = "\"format\":\"msae\",\"version\":\"1\",\"architecture\":\"batchtopk\"", .why = "neither metadata k nor tensor threshold"},
		{.meta = "\"format\":\"msae\",\"version\":\"1\",\"architecture\":\"jumprelu\"", .why = "tensor threshold is missing"},
		{.meta = TOPK("0"), .why = "metadata k is \"0\""}, {.meta = TOPK("5"), .why = "metadata k is \"5\""},
		{.meta = TOPK("-1"), .why = "metadata k is \"-1\""}, {.meta = TOPK(""), .why = "metadata k is \"\""},
		{.meta = TOPK("2x"), .why = "metadata k is \"2x\""}, {.meta = TOPK(" 2"), .why = "metadata k is \" 2\""},
		{.meta = TOPK("1e1"), .why = "metadata k is"}, {.meta = TOPK("18446744073709551618"), .why = "metadata k is"},
		{.meta = TOPK("1,2"), .why = "metadata k is"}, {.meta = WITH("k", "two"), .why = "metadata k is \"two\""},
		{.meta = WITH("nesting", ""), .why = "metadata nesting is"}, {.meta = WITH("nesting", "1,"), .why = "metadata nesting is"},
		{.meta = WITH("nesting", "2,2"), .why = "metadata nesting is"}, {.meta = WITH("nesting", "2,1"), .why = "metadata nesting is"},
		{.meta = WITH("nesting", "0,1"), .why = "metadata nesting is"}, {.meta = WITH("nesting", "1,5"), .why = "metadata nesting is"},
		{.meta = WITH("nesting", "1;2"), .why = "metadata nesting is"}, {.meta = WITH("nesting", "1,,2"), .why = "metadata nesting is"},
		{.meta = WITH("nesting", "[1,2]"), .why = "metadata nesting is"},
		{.meta = WITH("weighting", "xx"), .why = "metadata weighting is"}, {.meta = WITH("weighting", "1,"), .why = "metadata weighting is"},
		{.meta = WITH("weighting", "1,-1"), .why = "metadata weighting is"}, {.meta = WITH("weighting", ""), .why = "metadata weighting is"},
		{.meta = WITH("weighting", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"), .why = "metadata weighting is"},
		{.meta = WITH("soft_cap", "-1"), .why = "metadata soft_cap is"}, {.meta = WITH("soft_cap", "nan"), .why = "metadata soft_cap is"},
		{.meta = WITH("soft_cap", "0x1p3"), .why = "metadata soft_cap is"}, {.meta = WITH("soft_cap", "1e99"), .why = "metadata soft_cap is"},
		{.meta = WITH("soft_cap", "1.2.3"), .why = "metadata soft_cap is"}, {.meta = WITH("soft_cap", ""), .why = "metadata soft_cap is"},
		{.meta = WITH("rows", "many"), .why = "metadata rows is"}, {.meta = WITH("rows", "1.5"), .why = "metadata rows is"},
		{.meta = WITH("seed", "+1"), .why = "metadata seed is"}, {.meta = WITH("seed", "99999999999999999999"), .why = "metadata seed is"},
	};
	const char *path;
	struct sae s;
	unsigned i;

	for (i = 0; i < COUNT(bad); i++) {
		path = put_model(&bad[i]);
		refused(model_load(&s, path, &err), CODE_DATA, path, bad[i].why, bad[i].why);
	}
	path = put_file("x.msae", "PK\3\4....................", 24);
	refused(model_load(&s, path, &err), CODE_DATA, path, "broken zip archive", "a PyTorch file");
	path = put_npy("x.msae", SHAPE("(1, 1)"), "1234", 4);
	refused(model_load(&s, path, &err), CODE_DATA, path, "not an msae model file: it is an npy file", "an npy file");
	path = in_dir("absent.msae");
	refused(model_load(&s, path, &err), CODE_NOINPUT, path, "cannot open", "no model file");
}

static void
model_accepted(void)
{
	static const struct model_case good[] = {
		{.meta = META}, {.meta = WITH("unknown", "x")}, {.meta = WITH("nesting", "1,3")}, {.meta = WITH("nesting", "4")},
		{.meta = WITH("k", "9")}, {.meta = TOPK("4")}, {.meta = WITH("weighting", "uw")}, {.meta = WITH("soft_cap", "30.0")},
		{.meta = WITH("trained_on", "a\\nb")}, {.meta = WITH("rows", "0")},
	};
	struct sae s;
	unsigned i;
	char long_text[700], meta[1024];
	struct model_case c = {.meta = meta};

	for (i = 0; i < COUNT(good); i++) {
		if (!tap_ok(!model_load(&s, put_model(&good[i]), &err) && s.d == D && s.m == M && s.W_enc[0] == 0.5f,
		            "model: accepted: %s", good[i].meta))
			printf("# %s\n", err.text);
		sae_free(&s);
	}
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = 0;
	snprintf(meta, sizeof meta, META ",\"trained_on\":\"%s\"", long_text);
	tap_ok(!model_load(&s, put_model(&c), &err) && strlen(s.trained_on) < sizeof s.trained_on && strstr(s.trained_on, "x..."),
	       "model: a long trained_on is cut");
	sae_free(&s);
}

static void
model_not_saved(void)
{
	static const char *const twice[] = {"seed", "1", NULL};
	const char *path = in_dir("bad.msae");
	struct sae s;

	empty_dir();
	make_model(&s, ARCH_TOPK);
	s.W_dec[5] = NAN;
	refused(model_save(&s, path, NULL, &err), CODE_DATA, path, "tensor W_dec holds 1 values", "a model with NaN");
	s.W_dec[5] = 0;
	s.scale = 0;
	refused(model_save(&s, path, NULL, &err), CODE_DATA, path, "scale is 0", "a model with scale 0");
	s.scale = 1;
	s.k = M + 1;
	refused(model_save(&s, path, NULL, &err), CODE_DATA, path, "k is 5", "a model with k beyond its latents");
	s.k = 0;
	refused(model_save(&s, path, NULL, &err), CODE_DATA, path, "k is missing", "topk without k");
	s.k = 1;
	s.levels = 2;
	s.nesting[0] = s.nesting[1] = 3;
	refused(model_save(&s, path, NULL, &err), CODE_DATA, path, "nesting must rise", "a nesting that does not rise");
	s.levels = 0;
	tap_ok(model_save(&s, path, twice, &err) == CODE_BUG, "refused: an extra that is there already");
	tap_ok(!entries(), "model: nothing was written");
	tap_ok(model_save(&s, in_dir("no/dir.msae"), NULL, &err) == CODE_CANTCREATE, "model: no such directory");
	sae_free(&s);
}

static void
stats(void)
{
	static const struct model_case good = {.meta = META}, foreign = {.meta = ""};
	static const struct model_case bad[] = {
		{.meta = "", .without = "mean", .why = "a model of no library that is known here"},
		{.meta = "", .without = "scale", .why = "tensor scale is missing"},
		{.meta = "", .odd = "mean", .value = NAN, .why = "tensor mean holds 1"},
		{.meta = "", .odd = "scale", .value = -2, .why = "scale is -2"},
		{.meta = "", .odd = "scale", .shape = {2, 0}, .why = "tensor scale has shape [2], expected [1]"},
	};
	const float mean[D] = {0.1f, -2, 1e-30f};
	const char *path = in_dir("s.safetensors");
	float *m = NULL, scale;
	size_t d, i;
	struct sae s;

	tap_ok(!stats_save(path, mean, D, 0.3f, 99, &err) && !stats_load(path, &m, &d, &scale, &err) && d == D &&
	       !memcmp(m, mean, sizeof mean) && scale == 0.3f, "statistics: round trip");
	mem_free(m);
	refused(model_load(&s, path, &err), CODE_DATA, path, "its format is \"msae-stats\"", "statistics are no model");
	tap_ok(!stats_load(put_model(&good), &m, &d, &scale, &err) && d == D && m[0] == 0.5f && scale == 0.5f, "statistics: of a model file");
	mem_free(m);
	tap_ok(!stats_load(put_model(&foreign), &m, &d, &scale, &err) && d == D, "statistics: of any safetensors file");
	mem_free(m);
	for (i = 0; i < COUNT(bad); i++) {
		path = put_model(&bad[i]);
		refused(stats_load(path, &m, &d, &scale, &err), CODE_DATA, path, bad[i].why, bad[i].why);
	}
	path = in_dir("t.safetensors");
	refused(stats_save(path, mean, D, NAN, 1, &err), CODE_DATA, path, "tensor scale holds 1", "statistics with NaN");
}

/* ---- concepts ---- */

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CON(list) "{\"format\":\"msae-concepts\",\"version\":1,\"model\":\"" SHA "\",\"concepts\":" list "}"

static const char *
put_text(const char *name, const char *text)
{
	return put_file(name, text, strlen(text));
}

static void
concepts_round_trip(void)
{
	static const char want[] =
	    "{\"format\":\"msae-concepts\",\"version\":1,\n\"model\":\"" SHA "\",\n\"how\":{\"by\":\"decoder\"},\n\"concepts\":[\n"
	    "{\"latent\":0,\"name\":\"\",\"valid\":false},\n"
	    "{\"latent\":17,\"name\":\"z\xc3\xa9 \\\"bra\\\"\\n\",\"valid\":true,\"score\":0.41,\"ratio\":2.3,"
	    "\"words\":[[\"z\xc3\xa9 \\\"bra\\\"\\n\",0.4100],[\"last\",0.1250]]},\n"
	    "{\"latent\":4294967295,\"name\":\"last\",\"valid\":true,\"score\":0.3333333333333333}\n]}\n";
	char none[] = "", zebra[] = "z\xc3\xa9 \"bra\"\n", last[] = "last";
	struct concept_word words[] = {{zebra, .41}, {last, .125}};
	struct concept items[] = {
		{0, none, false, NAN, NAN, NULL, 0}, {17, zebra, true, 0.41, 2.3, words, 2}, {UINT32_MAX, last, true, 1.0 / 3, INFINITY, NULL, 0},
	};
	struct concepts c = {.model = SHA, .n = 3, .items = items}, d;
	const char *path = in_dir("c.json");
	char *p;
	size_t n;

	tap_ok(!concepts_save(&c, path, "{ \"by\": \"decoder\" }", &err), "concepts: saves");
	p = get_file(path, &n);
	if (!tap_ok(!strcmp(p, want), "concepts: the very bytes, one a line"))
		printf("# got %s\n", p);
	free(p);
	tap_ok(!concepts_load(&d, path, &err) && d.n == 3 && !strcmp(d.model, SHA) && !d.items[0].valid && isnan(d.items[0].score) &&
	       d.items[1].score == 0.41 && d.items[1].ratio == 2.3 && !strcmp(d.items[1].name, zebra) &&
	       d.items[2].score == 1.0 / 3 && isnan(d.items[2].ratio), "concepts: round trip");
	tap_ok(concepts_find(&d, 17) == &d.items[1] && concepts_find(&d, UINT32_MAX) == &d.items[2] && !concepts_find(&d, 16), "concepts: find");
	concepts_free(&d);
	c.n = 0;
	tap_ok(!concepts_save(&c, path, NULL, &err) && !concepts_load(&d, path, &err) && !d.n && !concepts_find(&d, 0), "concepts: none");
	concepts_free(&d);

	empty_dir();
	c.n = 3;
	tap_ok(concepts_save(&c, path, "{", &err) == CODE_DATA && concepts_save(&c, path, "{} x", &err) == CODE_DATA, "concepts: \"how\" must be JSON");
	items[1].latent = 0;
	tap_ok(concepts_save(&c, path, NULL, &err) == CODE_BUG, "concepts: out of order is a bug");
	items[1].latent = 17;
	zebra[0] = '\xff';
	refused(concepts_save(&c, path, NULL, &err), CODE_DATA, path, "latent 17 is not UTF-8", "concepts: a name that is not UTF-8");
	c.model[3] = 'g';
	tap_ok(concepts_save(&c, path, NULL, &err) == CODE_BUG, "concepts: of no model is a bug");
	tap_ok(!entries(), "concepts: nothing was written");
}

static void
concepts_accepted(void)
{
	static const char text[] = "{\"concepts\":[{\"latent\":9,\"name\":\"b\",\"score\":1,\"ratio\":null,\"words\":[[\"b\",0.4],[\"c\",0.1]]},"
	                           "{\"name\":\"a\",\"latent\":2,\"more\":{}}],\"more\":[[1]],\"how\":7,"
	                           "\"model\":\"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\",\"version\":1,\"format\":\"msae-concepts\"}";
	struct concepts c;

	tap_ok(!concepts_load(&c, put_text("c.json", text), &err) && c.n == 2 && c.items[0].latent == 2 && c.items[0].valid &&
	       c.items[1].score == 1 && isnan(c.items[1].ratio) && !strcmp(c.model, SHA), "concepts: any order, unknown keys");
	concepts_free(&c);
}

static void
concepts_refused(void)
{
	static const struct { const char *text, *why; } bad[] = {
		{"", "not a concepts file: it is empty"},
		{"hello", "not a concepts file: not valid JSON"},
		{"<!doctype html>", "web page"},
		{"[]", "\"format\" is not"},
		{"{\"format\":\"other\"}", "\"format\" is not"},
		{"{\"format\":1}", "\"format\" is not"},
		{"{\"format\":\"msae-concepts\",\"version\":2}", "version other than 1"},
		{"{\"format\":\"msae-concepts\",\"version\":\"1\"}", "version other than 1"},
		{"{\"format\":\"msae-concepts\"}", "version other than 1"},
		{"{\"format\":\"msae-concepts\",\"version\":1,\"model\":\"abc\",\"concepts\":[]}", "no SHA-256"},
		{"{\"format\":\"msae-concepts\",\"version\":1,\"concepts\":[]}", "no SHA-256"},
		{"{\"format\":\"msae-concepts\",\"version\":1,\"model\":\"" SHA "\"}", "\"concepts\" is no list"},
		{CON("{}"), "\"concepts\" is no list"},
		{CON("[{\"latent\":1,\"name\":\"a\"},{\"latent\":1,\"name\":\"b\"}]"), "latent 1 is named twice"},
		{CON("[{\"latent\":-1,\"name\":\"a\"}]"), "concept 0: \"latent\""},
		{CON("[{\"latent\":4294967296,\"name\":\"a\"}]"), "\"latent\""},
		{CON("[{\"latent\":1.0,\"name\":\"a\"}]"), "\"latent\""},
		{CON("[{\"latent\":\"1\",\"name\":\"a\"}]"), "\"latent\""},
		{CON("[{\"name\":\"a\"}]"), "\"latent\""},
		{CON("[7]"), "\"latent\""},
		{CON("[{\"latent\":0,\"name\":\"a\"},{\"latent\":1}]"), "concept 1: \"name\" is no string"},
		{CON("[{\"latent\":1,\"name\":null}]"), "\"name\" is no string"},
		{CON("[{\"latent\":1,\"name\":\"a\",\"valid\":1}]"), "\"valid\""},
		{CON("[{\"latent\":1,\"name\":\"a\",\"score\":\"x\"}]"), "\"score\""},
		{CON("[{\"latent\":1,\"name\":\"a\",\"ratio\":[]}]"), "\"ratio\""},
		{CON("[{\"latent\":1,\"latent\":1,\"name\":\"a\"}]"), "duplicate object key"},
		{CON("[{\"latent\":1,\"name\":\"a\\u0000b\"}]"), "not valid JSON"},
		{CON("[{\"latent\":1,\"name\":\"\xff\"}]"), "not valid JSON"},
		{CON("[]") "x", "not valid JSON"},
		{CON("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"), "nested deeper than 16"},
	};
	struct concepts c;
	const char *path;
	unsigned i;

	for (i = 0; i < COUNT(bad); i++) {
		path = put_text("bad.json", bad[i].text);
		refused(concepts_load(&c, path, &err), CODE_DATA, path, bad[i].why, bad[i].why);
	}
	path = put_text("big.json", "");
	if (!truncate(path, ((off_t)256 << 20) + 1))
		refused(concepts_load(&c, path, &err), CODE_DATA, path, "too many for a concepts file", "a file beyond 256 MiB");
	refused(concepts_load(&c, dir, &err), CODE_NOINPUT, dir, "is a directory", "a directory");
	path = in_dir("absent.json");
	refused(concepts_load(&c, path, &err), CODE_NOINPUT, path, "cannot open", "no concepts file");
}

/* ---- lines ---- */

/* Lines of text[n], joined with '|', and the count; NULL after an error. */
static const char *
lines_of(const char *text, size_t n, uint64_t *count)
{
	static char out[1024];
	struct lines l;
	int more;

	out[0] = 0;
	if (lines_open(&l, put_file("l.txt", text, n), &err))
		return NULL;
	*count = l.count;
	while ((more = lines_next(&l, &err)) == 1)
		if (l.len == strlen(l.text))
			snprintf(out + strlen(out), sizeof out - strlen(out), "%s|", l.text);
	if (!more && l.line != l.count)
		more = -1;
	lines_close(&l);
	return more ? NULL : out;
}

static void
lines_good(void)
{
	static const struct { const char *text, *want; uint64_t count; } good[] = {
		{"", "", 0}, {"\n", "|", 1}, {"a", "a|", 1}, {"a\nb\n", "a|b|", 2}, {"a\r\nb\r\n", "a|b|", 2}, {"a\n\nb", "a||b|", 3},
		{"\r", "|", 1}, {"a\rb\n", "a\rb|", 1}, {"\xef\xbb\xbfx\n\xef\xbb\xbfy", "x|\xef\xbb\xbfy|", 2}, {"caf\xc3\xa9 \n", "caf\xc3\xa9 |", 1},
	};
	const char *got;
	uint64_t count = 0;
	unsigned i;

	for (i = 0; i < COUNT(good); i++) {
		got = lines_of(good[i].text, strlen(good[i].text), &count);
		tap_ok(got && !strcmp(got, good[i].want) && count == good[i].count, "lines: case %u, %u lines", i, (unsigned)good[i].count);
	}
}

static void
lines_long(void)
{
	static const struct { size_t n; const char *end; bool good; } cases[] = {
		{LINE_MAX_BYTES, "", true}, {LINE_MAX_BYTES, "\n", true}, {LINE_MAX_BYTES, "\r\n", true}, {LINE_MAX_BYTES, "\nx\n", true},
		{LINE_MAX_BYTES + 1, "", false}, {LINE_MAX_BYTES + 1, "\n", false}, {LINE_MAX_BYTES + 1, "\r\n", false}, {LINE_MAX_BYTES + 900, "\n", false},
	};
	char *text = malloc(LINE_MAX_BYTES + 1000);
	struct lines l;
	const char *path;
	unsigned i;
	int rc;

	for (i = 0; i < COUNT(cases); i++) {
		memset(text, 'x', cases[i].n);
		strcpy(text + cases[i].n, cases[i].end);
		path = put_text("l.txt", text);
		if (lines_open(&l, path, &err))
			continue;
		rc = lines_next(&l, &err);
		if (cases[i].good)
			tap_ok(rc == 1 && l.len == LINE_MAX_BYTES && strlen(l.text) == l.len, "lines: the longest, case %u", i);
		else
			refused(rc < 0 ? err.code : 0, CODE_DATA, path, "line 1: longer than 65536 bytes", "lines: too long");
		lines_close(&l);
	}
	free(text);
}

static void
lines_refused(void)
{
	static const struct { const char *text; size_t n; const char *why; } bad[] = {
		{"a\nb\xff\n", 5, "line 2: is not UTF-8"}, {"a\nb\nc\0d\n", 8, "line 3: holds a NUL"}, {"\xed\xa0\x80", 3, "line 1: is not UTF-8"},
		{"\xef\xbb", 2, "line 1: is not UTF-8"},
	};
	struct lines l;
	const char *path;
	unsigned i;
	int fd;

	for (i = 0; i < COUNT(bad); i++) {
		path = put_file("bad.txt", bad[i].text, bad[i].n);
		lines_open(&l, path, &err);
		while (lines_next(&l, &err) == 1)
			;
		refused(err.code, CODE_DATA, path, bad[i].why, bad[i].why);
		lines_close(&l);
	}
	refused(lines_open(&l, dir, &err), CODE_NOINPUT, dir, "is a directory", "lines of a directory");
	path = in_dir("absent.txt");
	refused(lines_open(&l, path, &err), CODE_NOINPUT, path, "cannot open", "lines of no file");

	path = in_dir("lines.pipe");
	mkfifo(path, 0600);
	fd = open(path, O_RDWR); /* so that opening to read does not wait */
	tap_ok(write(fd, "one\ntwo\n", 8) == 8 && !lines_open(&l, path, &err) && l.count == UINT64_MAX && lines_next(&l, &err) == 1 &&
	       !strcmp(l.text, "one") && lines_next(&l, &err) == 1 && !strcmp(l.text, "two") && l.line == 2, "lines: of a pipe, uncounted");
	lines_close(&l);
	close(fd);
}

static void
lines_many(void)
{
	char *text = malloc(900000), *p = text;
	unsigned i, bad = 0;
	char want[16];
	struct lines l;

	for (i = 0; i < 100000; i++)
		p += sprintf(p, "%u%s", i, i % 3 ? "\n" : "\r\n");
	lines_open(&l, put_file("many.txt", text, (size_t)(p - text)), &err);
	for (i = 0; lines_next(&l, &err) == 1; i++) {
		snprintf(want, sizeof want, "%u", i);
		bad += strcmp(l.text, want) != 0;
	}
	tap_ok(i == 100000 && l.count == 100000 && !bad, "lines: many");
	lines_close(&l);
	free(text);
}

/* Rows whose first number says which row they are. */
static void
check_epoch(struct rowstore *s, uint64_t epoch, size_t most, float *order, const char *what)
{
	unsigned char *seen = calloc(1, (size_t)s->rows);
	float *x = malloc(most * (size_t)s->cols * sizeof *x);
	size_t n, i, wrong = 0, got = 0;

	rowstore_seek(s, epoch, 0);
	while (!rowstore_next(s, most, x, &n, &err) && n)
		for (i = 0; i < n; i++) {
			wrong += x[i * s->cols + 1] != -x[i * s->cols] || seen[(size_t)x[i * s->cols]]++;
			order[got++] = x[i * s->cols];
		}
	tap_ok(got == s->rows && !wrong, "rowstore: %s: every row once", what);
	free(seen);
	free(x);
}

static void
check_seeks(struct rowstore *s, uint64_t epoch, const float *order, const char *what)
{
	float x[3 * 2];
	size_t n, wrong = 0;
	uint64_t at;

	for (at = 0; at < s->rows; at += 37) {
		rowstore_seek(s, epoch, at);
		wrong += rowstore_next(s, 3, x, &n, &err) || n != (s->rows - at < 3 ? s->rows - at : 3) || x[0] != order[at] ||
		         (n > 2 && x[4] != order[at + 2]);
	}
	tap_ok(!wrong, "rowstore: %s: the same order from anywhere", what);
}

static void
rowstore_orders(void)
{
	enum { ROWS = 1000 };
	static float rows[2 * ROWS], a[ROWS], b[ROWS], c[ROWS];
	static const struct { uint64_t window; const char *name; } windows[] = {{1 << 20, "one window"}, {2048, "windows of 256 rows"}, {1, "the smallest window"}};
	struct rowstore s;
	size_t i, moved, w;

	for (i = 0; i < ROWS; i++) {
		rows[2 * i] = (float)i;
		rows[2 * i + 1] = -(float)i;
	}
	tap_ok(!rowstore_spool(&s, 2, &err) && !rowstore_add(&s, rows, 600, &err) && !rowstore_add(&s, rows + 1200, 400, &err) && s.rows == ROWS,
	       "rowstore: a spool");
	for (w = 0; w < 3; w++) {
		tap_ok(!rowstore_order(&s, true, windows[w].window, 5, &err), "rowstore: %s", windows[w].name);
		check_epoch(&s, 0, 64, a, windows[w].name);
		check_epoch(&s, 1, 64, b, "the next epoch");
		check_epoch(&s, 0, 1000, c, "the first again, in one batch");
		for (i = 0, moved = 0; i < ROWS; i++)
			moved += a[i] != b[i];
		tap_ok(moved > ROWS * 9 / 10 && !memcmp(a, c, sizeof a), "rowstore: %s: an order for each epoch", windows[w].name);
		check_seeks(&s, 0, a, windows[w].name);
	}
	tap_ok(!rowstore_order(&s, false, 1, 5, &err), "rowstore: in order");
	check_epoch(&s, 3, 64, a, "in order");
	for (i = 0, moved = 0; i < ROWS; i++)
		moved += a[i] != (float)i;
	tap_ok(!moved, "rowstore: as they lie");
	rowstore_close(&s);
	rowstore_close(&s);
}

static void
checkpoints(void)
{
	uint64_t steps = 1234567890123456789u, got_steps = 0;
	float m[6] = {1, 2, 3, 4, 5, 6}, got[6] = {0};
	const struct tensor out[] = {{"steps", DT_U8, 1, 1, &steps}, {"adam_m", DT_F4, 2, 3, m}};
	const struct tensor in[] = {{"steps", DT_U8, 1, 1, &got_steps}, {"adam_m", DT_F4, 2, 3, got}};
	const struct tensor turned = {"adam_m", DT_F4, 3, 2, got}, none = {"adam_v", DT_F4, 2, 3, got}, type = {"adam_m", DT_U8, 2, 3, got};
	const char *const meta[] = {"checkpoint", "1", "recipe", "arch=relu", NULL};
	const char *path = in_dir("a.checkpoint");
	struct checkpoint c;
	struct sae s, back;

	sae_init(&s, 2, 3, 0, &err);
	s.arch = ARCH_RELU;
	s.W_dec[5] = 7;
	tap_ok(!checkpoint_save(path, &s, out, 2, meta, &err), "checkpoint: saved");
	tap_ok(!model_load(&back, path, &err) && back.W_dec[5] == 7, "checkpoint: is a model");
	sae_free(&back);
	tap_ok(!checkpoint_open(&c, path, &err) && !strcmp(checkpoint_meta(&c, "recipe", &err), "arch=relu"), "checkpoint: opened");
	tap_ok(!checkpoint_restore(&c, in, 2, &err) && got_steps == steps && !memcmp(m, got, sizeof m), "checkpoint: restored, 64 bits and all");
	refused(checkpoint_restore(&c, &turned, 1, &err), CODE_DATA, path, "shape", "checkpoint: another shape");
	refused(checkpoint_restore(&c, &type, 1, &err), CODE_DATA, path, "adam_m", "checkpoint: another type");
	refused(checkpoint_restore(&c, &none, 1, &err), CODE_DATA, path, "adam_v is missing", "checkpoint: a tensor that is not there");
	tap_ok(!checkpoint_meta(&c, "data", &err) && err.code == CODE_DATA, "checkpoint: metadata that is not there");
	checkpoint_close(&c);
	m[3] = NAN;
	tap_ok(!checkpoint_save(path, &s, out, 2, meta, &err) && !checkpoint_open(&c, path, &err), "checkpoint: with a NaN");
	refused(checkpoint_restore(&c, in, 2, &err), CODE_DATA, path, "NaN", "checkpoint: NaN is not restored");
	checkpoint_close(&c);
	sae_free(&s);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof dir, "%s/files.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir)) {
		printf("Bail out! %s: %s\n", dir, strerror(errno));
		return 1;
	}
	npy_types();
	npy_values();
	npy_headers();
	npy_refused();
	npy_broken();
	not_npy();
	hostile_name();
	headerless();
	shrinking();
	writer_bytes();
	writer_shapes();
	writer_dims();
	writer_atomic();
	writer_pipes();
	st_good();
	st_digest();
	st_refused();
	st_broken();
	st_saving();
	model_round_trip();
	model_refused();
	model_accepted();
	model_not_saved();
	stats();
	concepts_round_trip();
	concepts_accepted();
	concepts_refused();
	lines_good();
	lines_long();
	lines_refused();
	lines_many();
	rowstore_orders();
	checkpoints();
	empty_dir();
	tap_ok(!rmdir(dir), "the test leaves nothing");
	return tap_done();
}
