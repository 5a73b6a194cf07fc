/* The base room: types, text, order, buffers, files that appear whole, threads,
 * random numbers, counts. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/csr.h"
#include "base/dtype.h"
#include "base/io.h"
#include "base/keysort.h"
#include "base/mem.h"
#include "base/moments.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/shuffle.h"
#include "base/strcount.h"
#include "base/text.h"
#include "tap.h"

/* Half to single by the definition, not by the trick. */
static float
half_by_definition(unsigned h)
{
	int exp = (int)(h >> 10 & 31);
	double m = h & 1023, v;

	if (exp == 31)
		v = m != 0 ? NAN : INFINITY;
	else
		v = exp ? ldexp(1024 + m, exp - 25) : ldexp(m, -24);
	return (float)(h & 0x8000 ? -v : v);
}

static void
test_half(void)
{
	unsigned h, wrong = 0, wrong_back = 0, wrong_between = 0;

	for (h = 0; h < 65536; h++) {
		uint16_t in = (uint16_t)h, swapped = (uint16_t)(h << 8 | h >> 8), back;
		float want = half_by_definition(h), got, got_swapped;

		dtype_to_f32(&got, &in, 1, DT_F2, false);
		dtype_to_f32(&got_swapped, &swapped, 1, DT_F2, true);
		if (isnan(want)) {
			wrong += !isnan(got) || !isnan(got_swapped);
			continue;
		}
		wrong += memcmp(&want, &got, 4) || memcmp(&want, &got_swapped, 4);
		wrong_back += !dtype_store(&back, DT_F2, (double)got) || back != in;
		if ((h & 0x7fff) < 0x7bff) { /* halfway to the next: to the even one; a little more: up */
			float next = half_by_definition(h + 1);
			double mid = ((double)got + (double)next) / 2;

			dtype_store(&back, DT_F2, mid);
			wrong_between += back != (h & 1 ? h + 1 : h);
			dtype_store(&back, DT_F2, mid + ((double)next - (double)got) * 0x1p-10);
			wrong_between += back != h + 1;
		}
	}
	tap_ok(!wrong, "all 65536 halves widen exactly, both byte orders (%u wrong)", wrong);
	tap_ok(!wrong_back, "and narrow back (%u wrong)", wrong_back);
	tap_ok(!wrong_between, "between two, nearest even (%u wrong)", wrong_between);
}

static void
test_dtypes(void)
{
	static const struct { const char *name; enum dtype t; bool swap; } names[] = {
		{"<f4", DT_F4, false}, {">f4", DT_F4, true}, {"=f8", DT_F8, false}, {"f2", DT_F2, false}, {"|u1", DT_U1, false},
		{">i1", DT_I1, false}, {"|b1", DT_BOOL, false}, {"bfloat16", DT_BF2, false}, {"<c8", DT_NONE, false},
		{"|O", DT_NONE, false}, {"", DT_NONE, false}, {"f16", DT_NONE, false}, {"|V2", DT_NONE, false},
	};
	int16_t i16[2] = {-32768, 258};
	uint16_t bf = 0xc049; /* -3.140625 */
	double f8[2] = {0.1, 1e300};
	float out[2];
	uint8_t u8;
	bool swap;
	size_t i;

	for (i = 0; i < sizeof names / sizeof *names; i++)
		tap_ok(dtype_parse(names[i].name, &swap) == names[i].t && swap == names[i].swap, "type name '%s'", names[i].name);
	dtype_to_f32(out, i16, 2, DT_I2, false);
	tap_ok(out[0] == -32768 && out[1] == 258, "int16 is exact");
	dtype_to_f32(out, &i16[1], 1, DT_I2, true);
	tap_ok(out[0] == 513, "and swaps");
	dtype_to_f32(out, &bf, 1, DT_BF2, false);
	tap_ok(out[0] == -3.140625f, "bfloat16 is exact");
	dtype_to_f32(out, f8, 2, DT_F8, false);
	tap_ok(out[0] == 0.1f && isinf(out[1]), "double rounds, and overflows to infinity");
	tap_ok(dtype_store(&u8, DT_U1, 255) && u8 == 255 && !dtype_store(&u8, DT_U1, 256) && !dtype_store(&u8, DT_U1, 1.5) &&
	       !dtype_store(&u8, DT_U1, NAN), "integers are stored only when they fit");
	tap_ok(f32_shortest(0.1f) == 0.1 && f32_shortest(16777216.f) == 16777216 && f32_shortest(2.30999994f) == 2.31, "shortest decimals");
	out[0] = INFINITY;
	out[1] = NAN;
	tap_ok(f32_nonfinite(out, 2) == 2 && f32_nonfinite((float[]){0, -1e38f}, 2) == 0, "non-finite numbers are counted");
	tap_ok(dtype_size_of_name("<c16") == 16 && dtype_size_of_name("|S3") == 3 && !dtype_size_of_name("|O8") && !dtype_size_of_name("<f"), "sizes of unknown types");
}

static void
test_text(void)
{
	static const char *const order[] = {"a", "a1", "a01", "a2", "a10", "a10b", "b", NULL};
	char out[32];
	size_t i;
	int ok = 1;

	for (i = 0; order[i + 1]; i++)
		ok &= text_natural_cmp(order[i], order[i + 1]) < 0 && text_natural_cmp(order[i + 1], order[i]) > 0;
	tap_ok(ok && !text_natural_cmp("x9", "x9"), "natural order");
	tap_ok(text_natural_cmp("p99999999999999999999998", "p99999999999999999999999") < 0, "of numbers of any length");
	tap_ok(text_utf8_valid("gr\xc3\xbc\xc3\x9f", 6) && !text_utf8_valid("\xc0\xaf", 2) && !text_utf8_valid("\xed\xa0\x80", 3) &&
	       !text_utf8_valid("\xf4\x90\x80\x80", 4) && !text_utf8_valid("\xc3", 1), "UTF-8 is told from what only looks like it");
	tap_ok(!strcmp(text_printable(out, sizeof out, "a\033[31m\n\xff", 8), "a\\x1b[31m\\x0a\\xff"), "control characters are shown, not sent");
	tap_ok(!strcmp(text_printable(out, 8, "abcdefghij", 10), "abcd..."), "what does not fit is cut");
	tap_ok(!strcmp(text_printable(out, 8, "abcdefg", 7), "abcdefg"), "what just fits is not");
}

static void
test_memory(void)
{
	struct buf b = {.max = 100};
	struct mat m = {0};
	struct csr c = {0};
	struct err e = {0};
	size_t v;

	tap_ok(!size_mul(SIZE_MAX / 2, 3, &v) && size_mul(0, SIZE_MAX, &v) && v == 0 && !size_add(SIZE_MAX, 1, &v), "sizes do not wrap");
	tap_ok(!buf_append(&b, "0123456789", 10, &e) && b.len == 10 && (uintptr_t)b.data % MEM_ALIGN == 0, "a buffer grows, aligned");
	tap_ok(buf_reserve(&b, 91, &e) == CODE_DATA && b.len == 10 && !memcmp(b.data, "0123456789", 10), "not beyond its cap, and keeps what it has");
	tap_ok(mat_resize(&m, SIZE_MAX / 2, 4, "x", &e) == CODE_DATA, "a matrix too large is refused");
	tap_ok(!mat_resize(&m, 0, 5, "x", &e) && m.data && !mat_resize(&m, 3, 5, "x", &e), "one of no rows is fine");
	tap_ok(csr_resize(&c, 1, 10, (size_t)UINT32_MAX + 1, &e) == CODE_DATA, "codes beyond 32 bits are refused");
	buf_free(&b);
	mat_free(&m);
	csr_free(&c);
}

static int
exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static void
test_transpose(void)
{
	static const size_t shape[][2] = {{1, 1}, {1, 50}, {50, 1}, {32, 32}, {33, 31}, {65, 100}, {0, 4}};
	float from[6500], to[6500];
	size_t t, i, j;
	int ok = 1;

	for (t = 0; t < sizeof shape / sizeof *shape; t++) {
		size_t rows = shape[t][0], cols = shape[t][1];

		for (i = 0; i < rows * cols; i++) {
			from[i] = (float)i;
			to[i] = -1;
		}
		mat_transpose(to, from, rows, cols);
		for (i = 0; i < rows; i++)
			for (j = 0; j < cols; j++)
				ok &= to[j * rows + i] == from[i * cols + j];
	}
	tap_ok(ok, "mat_transpose turns rows into columns");
}

static void
test_files(void)
{
	char dir[] = "/tmp/msae-base.XXXXXX", path[64], text[8] = "";
	struct outfile f;
	struct err e = {0};
	FILE *to;
	int fd;

	if (!mkdtemp(dir)) {
		tap_skip("output files", "no temporary directory");
		return;
	}
	snprintf(path, sizeof path, "%s/out", dir);
	tap_ok(!outfile_open(&f, path, &e) && !io_write_all(f.fd, "abc", 3) && !exists(path), "an output file is not there while it is written");
	outfile_abort(&f);
	tap_ok(!exists(path) && rmdir(dir) == 0 && mkdir(dir, 0700) == 0, "given up, nothing is left");
	to = outfile_stdio(&f, path, &e);
	tap_ok(to && fputs("abc", to) >= 0 && !outfile_stdio_close(&f, to, false, &e) && exists(path), "finished, it is there");
	fd = open(path, O_RDONLY);
	tap_ok(io_read_full(fd, text, 8) == 3 && !strcmp(text, "abc"), "whole");
	close(fd);
	tap_ok(!outfile_open(&f, path, &e) && !io_write_all(f.fd, "defg", 4) && !outfile_commit(&f, &e), "it replaces an older one");
	tap_ok(unlink(path) == 0 && rmdir(dir) == 0, "and leaves nothing beside it");
	tap_ok(outfile_open(&f, "/nowhere/at/all", &e) == CODE_CANTCREATE && strstr(e.text, "/nowhere/at/all: cannot create: "), "no such directory: %s", e.text);
	tap_ok(outfile_open(&f, "/tmp", &e) == CODE_CANTCREATE, "a directory is refused");
	if (exists("/dev/full")) {
		to = outfile_stdio(&f, "/dev/full", &e);
		tap_ok(to && fputs("abc", to) >= 0 && outfile_stdio_close(&f, to, false, &e) == CODE_IO, "a full disk is noticed: %s", e.text);
	}
	fd = io_tempfile(&e);
	tap_ok(fd >= 0 && !io_write_all(fd, "x", 1), "a spool can be written");
	close(fd);
}

struct job { uint64_t out[1000]; };

static void
square(void *arg, size_t i, unsigned thread)
{
	(void)thread;
	((struct job *)arg)->out[i] += (uint64_t)i * i;
}

static void
count(void *arg, size_t i, unsigned thread)
{
	(void)thread;
	((struct job *)arg)->out[i]++;
}

static void
test_pool(void)
{
	static struct job j;
	struct err e = {0};
	struct pool *p = pool_new(3, &e);
	size_t i, round, wrong = 0;

	for (round = 0; round < 200; round++)
		pool_run(p, square, &j, round % 2 ? 1000 : 1);
	for (i = 0; i < 1000; i++)
		wrong += j.out[i] != (i ? 100 : 200) * (uint64_t)i * i;
	tap_ok(p && pool_threads(p) == 3 && !wrong, "200 rounds on 3 threads: every job once");
	pool_run(NULL, square, &j, 10);
	pool_run(p, square, &j, 0);
	tap_ok(pool_threads(NULL) == 1, "no pool is one thread");
	for (round = wrong = 0; round < 50000; round++) {
		size_t jobs = 2 + round * 7 % 15;

		memset(j.out, 0, sizeof *j.out * 20);
		pool_run(p, count, &j, jobs);
		for (i = 0; i < 20; i++)
			wrong += j.out[i] != (i < jobs);
	}
	tap_ok(!wrong, "50,000 short rounds of other lengths: every job once, and no other");
	pool_free(p);
}

static void
test_random(void)
{
	struct rng a, b;
	struct moments m = {0};
	double v;
	int i, same = 0, range = 1;

	rng_seed(&a, 1, 2);
	rng_seed(&a, 1, 2);
	rng_seed(&b, 1, 2);
	for (i = 0; i < 100; i++)
		same += rng_normal(&a) == rng_normal(&b);
	tap_ok(same == 100, "the same seed gives the same numbers");
	rng_seed(&b, 1, 3);
	tap_ok(rng_u64(&a) != rng_u64(&b), "another stream others");
	for (i = 0; i < 200000; i++) {
		v = rng_normal(&a);
		moments_add(&m, v);
		range &= rng_below(&a, 7) < 7 && rng_uniform(&a) < 1;
	}
	tap_ok(fabs(m.mean) < 0.01 && fabs(moments_sd(&m) - 1) < 0.01 && m.n == 200000 && range, "normal: mean %.4f, sd %.4f", m.mean, moments_sd(&m));
}

static void
test_counts(void)
{
	struct strcount c = {.max = 3};
	struct strcount_entry *at;
	struct rowstats r = {0};
	struct err e = {0};
	int i;

	for (i = 0; i < 10; i++)
		strcount_add(&c, i % 2 ? "b" : i % 4 ? "a" : "ccc", i % 2 ? 1 : i % 4 ? 1 : 3, &e);
	strcount_add(&c, "fourth", 6, &e);
	tap_ok(strcount_find(&c, "ccc")->id == 0 && strcount_find(&c, "b")->id == 1 && strcount_find(&c, "a")->n == 2 && !strcount_find(&c, "fourth"),
	       "strings are found by the order they came in");
	strcount_sort(&c);
	tap_ok(c.used == 3 && c.other == 1 && !strcmp(c.slots[0].s, "b") && c.slots[0].n == 5 && !strcmp(c.slots[1].s, "ccc") && c.slots[2].n == 2,
	       "strings are counted, up to a cap");
	strcount_free(&c);
	c.max = 1;
	tap_ok(!strcount_entry(&c, "a", 1, &at, &e) && at->n == 1 && !strcount_entry(&c, "a\0b", 3, &at, &e) && at->id == 0 && at->n == 2 &&
	       !strcount_entry(&c, "b", 1, &at, &e) && !at && c.other == 1, "an entry is handed out, but not beyond the cap");
	strcount_free(&c);
	tap_ok(!rowstats_rows(&r, (float[]){3, 4, 0, 0, -3, -4}, 3, 2, &e) && r.norm.max == 5 && r.norm.min == 0 && rowstats_mean_norm(&r) == 0, "norms of rows");
	tap_ok(rowstats_rows(&r, (float[]){1}, 1, 1, &e) == CODE_DATA, "of one width only");
	rowstats_free(&r);
}

/* Every number once, and not in order, for sizes around powers of two. */
static void
test_shuffle(void)
{
	static const size_t sizes[] = {1, 2, 3, 4, 5, 63, 64, 65, 1000, 4096, 4097};
	unsigned char seen[4097];
	uint32_t list[4097];
	struct shuffle s, other;
	size_t k, i, n, moved, twice, differ;
	uint64_t at;

	for (k = 0; k < sizeof sizes / sizeof *sizes; k++) {
		n = sizes[k];
		shuffle_init(&s, n, 7, 1);
		shuffle_init(&other, n, 7, 2);
		memset(seen, 0, sizeof seen);
		moved = twice = differ = 0;
		for (i = 0; i < n; i++) {
			at = shuffle_at(&s, i);
			twice += at >= n || seen[at]++;
			moved += at != i;
			differ += at != shuffle_at(&other, i);
		}
		tap_ok(!twice && (n < 60 || (moved > n * 9 / 10 && differ > n * 9 / 10)), "shuffle of %zu: a permutation, another for another epoch", n);
		shuffle_list(list, n, 7, 1);
		memset(seen, 0, sizeof seen);
		for (i = 0, twice = 0, moved = 0; i < n; i++) {
			twice += list[i] >= n || seen[list[i]]++;
			moved += list[i] != i;
		}
		tap_ok(!twice && (n < 60 || moved > n * 9 / 10), "list of %zu: likewise", n);
	}
	shuffle_init(&s, (uint64_t)1 << 40, 1, 1);
	tap_ok(shuffle_at(&s, 12345678901u) < (uint64_t)1 << 40, "a permutation too large to keep");
}

static void
test_join(void)
{
	char one[] = "a", two[] = "b\n", three[] = "a long one that does not fit", out[16];
	char *words[] = {one, two, three};

	tap_ok(!strcmp(text_join(out, sizeof out, words, 0), ""), "no words");
	tap_ok(!strcmp(text_join(out, sizeof out, words, 2), "a b\\x0a"), "words, printable: %s", out);
	tap_ok(strlen(text_join(out, sizeof out, words, 3)) < sizeof out, "cut to size: %s", out);
}

static int
by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Against qsort: in memory, in runs, with many equal keys. */
static void
test_keysort(void)
{
	static const struct { size_t n, chunk; uint64_t mask; } cases[] = {
		{0, 0, 0}, {1, 0, ~0ull}, {5000, 0, ~0ull}, {5000, 0, 7}, {4096, 4096, 0xffff00}, {4097, 4096, ~0ull}, {100000, 3000, ~0ull}, {100000, 300, 1023}, {64, 1, ~0ull},
	};
	static const float floats[] = {-INFINITY, -3e38f, -2, -1e-45f, 0, 1e-45f, 1, 1.0000001f, 3e38f, INFINITY};
	struct rng r = {0};
	struct err e = {0};
	uint64_t *keys = malloc(100000 * sizeof *keys), key;
	size_t i, j, some, wrong;
	int more;

	rng_seed(&r, 3, 3);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct keysort s = {.chunk = cases[i].chunk};

		for (j = 0; j < cases[i].n; j++)
			keys[j] = rng_u64(&r) & cases[i].mask;
		for (j = 0; j < cases[i].n; j += some) {
			some = (size_t)rng_below(&r, 700) + 1;
			some = some < cases[i].n - j ? some : cases[i].n - j;
			keysort_add(&s, keys + j, some, &e);
		}
		qsort(keys, cases[i].n, sizeof *keys, by_size);
		keysort_begin(&s, &e);
		for (wrong = j = 0; (more = keysort_next(&s, &key, &e)) > 0; j++)
			wrong += j >= cases[i].n || key != keys[j];
		tap_ok(!more && !e.code && j == cases[i].n && !wrong, "%zu keys in chunks of %zu are sorted", cases[i].n, cases[i].chunk);
		keysort_free(&s);
	}
	free(keys);
	for (wrong = 0, i = 1; i < sizeof floats / sizeof *floats; i++)
		wrong += keysort_of_float(floats[i]) <= keysort_of_float(floats[i - 1]);
	tap_ok(!wrong && keysort_of_float(-0.0f) == keysort_of_float(0), "floats as keys sort as they do");
}

int
main(void)
{
	test_half();
	test_dtypes();
	test_text();
	test_memory();
	test_transpose();
	test_files();
	test_pool();
	test_random();
	test_shuffle();
	test_join();
	test_counts();
	test_keysort();
	return tap_done();
}
