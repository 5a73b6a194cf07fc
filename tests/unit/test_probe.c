/* Linear probes: the file, and what a probe says of rows. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "files/probefile.h"
#include "sae/probe.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct err err;
static char path[64];

static void
die(const char *what)
{
	printf("Bail out! %s\n", what);
	exit(1);
}

/* A probe of random numbers, classes called c0, c1 ... */
static void
make_probe(struct probe *p, size_t d, size_t classes, double size, uint64_t seed)
{
	struct rng r = {0};
	char name[32];
	size_t i;

	if (probe_init(p, d, classes, &err))
		die(err.text);
	rng_seed(&r, seed, 0);
	for (i = 0; i < d * classes; i++)
		p->W[i] = (float)(size * rng_normal(&r));
	for (i = 0; i < classes; i++) {
		p->b[i] = (float)rng_normal(&r);
		snprintf(name, sizeof name, "c%zu", i);
		p->names[i] = strdup(name);
		p->rows[i] = 10 * i;
	}
}

/* ---- what it says ---- */

static void
says_as_the_reference(void)
{
	static const struct { size_t n, d, classes; double size; } shapes[] = {
		{1, 1, 2, 1}, {1, 7, 3, 1}, {3, 64, 2, 10}, {17, 33, 129, 3}, {50, 19, 301, 1}, {16, 512, 2, 30}, {0, 4, 2, 1},
	};
	struct pool *pool = pool_new(3, &err);
	struct rng r = {0};
	size_t s, i;

	rng_seed(&r, 9, 1);
	for (s = 0; s < COUNT(shapes); s++) {
		size_t n = shapes[s].n, d = shapes[s].d, c = shapes[s].classes;
		float *x = malloc((n * d + 1) * sizeof *x), *out = malloc((n * c + 1) * sizeof *out), *one = malloc((n * c + 1) * sizeof *one);
		double *want = malloc(c * sizeof *want), worst = 0, sum, off = 0;
		struct mat scratch = {0};
		struct probe p;

		make_probe(&p, d, c, shapes[s].size, s);
		for (i = 0; i < n * d; i++)
			x[i] = (float)(11 * rng_normal(&r) + 3);
		if (n > 2)
			memset(x + d, 0, d * sizeof *x); /* a row of zeros */
		if (probe_logp(&p, x, n, pool, simd_for(NULL), &scratch, out, &err))
			die(err.text);
		for (i = 0; i < n; i++) {
			size_t j;

			probe_logp_plain(&p, x + i * d, want);
			for (sum = 0, j = 0; j < c; j++) {
				worst = fmax(worst, fabs(out[i * c + j] - want[j]) / (1 + fabs(want[j])));
				sum += exp(out[i * c + j]);
			}
			off = fmax(off, fabs(sum - 1));
		}
		tap_ok(worst < 2e-5, "%zu rows of %zu, %zu classes: as the reference (%.1e off)", n, d, c, worst);
		tap_ok(off < 1e-5, "%zu rows of %zu, %zu classes: probabilities add up to 1", n, d, c);
		for (i = 0; i < n; i++)
			if (probe_logp(&p, x + i * d, 1, NULL, simd_for("plain"), &scratch, one + i * c, &err))
				die(err.text);
		tap_ok(!memcmp(one, out, n * c * sizeof *one), "%zu rows of %zu, %zu classes: the same bytes row by row, on one thread, in plain C", n, d, c);
		free(x);
		free(out);
		free(one);
		free(want);
		mat_free(&scratch);
		probe_free(&p);
	}
	pool_free(pool);
}

static void
what_a_row_is_worth(void)
{
	struct mat scratch = {0};
	struct probe p;
	float x[] = {3, 4, 0.0003f, 0.0004f, 0, 0}, out[6];
	static const float tied[] = {-1, -1, -2, -5, -1, -1};

	make_probe(&p, 2, 2, 1, 3);
	if (probe_logp(&p, x, 3, NULL, simd_for(NULL), &scratch, out, &err))
		die(err.text);
	tap_ok(fabsf(out[0] - out[2]) < 1e-6f && fabsf(out[1] - out[3]) < 1e-6f, "a row's length does not matter");
	tap_ok(fabs((double)(out[5] - out[4]) - (double)(p.b[1] - p.b[0])) < 1e-6, "a row of zeros is what b says");
	tap_ok(probe_best(tied, 3) == 0 && probe_best(tied + 3, 3) == 1, "the most probable class, ties to the first");
	mat_free(&scratch);
	probe_free(&p);
}

/* ---- the file ---- */

static bool
same_probe(const struct probe *a, const struct probe *b)
{
	size_t i;

	for (i = 0; i < a->classes && i < b->classes; i++)
		if (strcmp(a->names[i], b->names[i]) || a->rows[i] != b->rows[i])
			return false;
	return a->d == b->d && a->classes == b->classes && !memcmp(a->W, b->W, a->d * a->classes * sizeof *a->W) &&
	       !memcmp(a->b, b->b, a->classes * sizeof *a->b) && a->held_out == b->held_out && a->seed == b->seed &&
	       (a->l2 == b->l2 || (isnan(a->l2) && isnan(b->l2))) && (a->accuracy == b->accuracy || (isnan(a->accuracy) && isnan(b->accuracy))) &&
	       (a->log_loss == b->log_loss || (isnan(a->log_loss) && isnan(b->log_loss))) && !strcmp(a->trained_on, b->trained_on) &&
	       !strcmp(a->sha256, b->sha256);
}

static void
comes_back(void)
{
	struct probe p, q;
	unsigned full;

	for (full = 0; full < 2; full++) {
		make_probe(&p, 5, 3, 1, 1);
		if (full) {
			free(p.names[1]);
			p.names[1] = strdup("caf\xc3\xa9 \"quoted\", [a]\n");
			p.l2 = 1 / 3.0;
			p.held_out = UINT64_MAX;
			p.seed = 12345678901234567890u;
			p.accuracy = 0.1;
			p.log_loss = 7e-5;
			strcpy(p.trained_on, "rows.npy");
		}
		tap_ok(!probe_save(&p, path, &err) && strlen(p.sha256) == 64, "a probe is saved");
		if (!tap_ok(!probe_load(&q, path, &err) && same_probe(&p, &q), "and comes back as it was"))
			printf("# %s\n", err.text);
		probe_free(&p);
		probe_free(&q);
	}
}

/* A probe file by hand: W [d,classes] and b [classes] all of one value. */
static void
put_file(const char *meta, const char *tensors, const float *data, size_t n)
{
	char json[2048];
	unsigned char head[8] = {0};
	size_t len = (size_t)snprintf(json, sizeof json, "{\"__metadata__\":{%s}%s}", meta, tensors);
	FILE *f = fopen(path, "wb");

	head[0] = (unsigned char)len;
	head[1] = (unsigned char)(len >> 8);
	if (!f || fwrite(head, 1, 8, f) != 8 || fwrite(json, 1, len, f) != len || fwrite(data, sizeof *data, n, f) != n || fclose(f))
		die("cannot write");
}

#define META "\"format\":\"msae-probe\",\"version\":\"1\""
#define TWO META ",\"classes\":\"[\\\"a\\\",\\\"b\\\"]\""
#define CLASSES(list) META ",\"classes\":\"" list "\""
#define WITH(key, value) TWO ",\"" key "\":\"" value "\""
#define TENSORS ",\"W\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]}"

static void
is_refused(void)
{
	static const struct { const char *meta, *tensors, *why; float value; } bad[] = {
		{"", TENSORS, "not a probe: its metadata has no format; probe --fit makes one", 0},
		{"\"format\":\"msae\",\"version\":\"1\"", TENSORS, "not a probe: its format is \"msae\"", 0},
		{"\"format\":\"msae-probe\"", TENSORS, "metadata version is \"\"; expected 1", 0},
		{"\"format\":\"msae-probe\",\"version\":\"2\"", TENSORS, "metadata version is \"2\"; expected 1", 0},
		{META, TENSORS, "metadata classes is missing", 0},
		{CLASSES("a,b"), TENSORS, "metadata classes: not valid JSON", 0},
		{CLASSES("{}"), TENSORS, "metadata classes is \"{}\"; expected a JSON list", 0},
		{CLASSES("[[]]"), TENSORS, "nested deeper", 0},
		{CLASSES("[1,2]"), TENSORS, "entry 0 is no text", 0},
		{CLASSES("[]"), TENSORS, "0 classes; expected 2 to 4096", 0},
		{CLASSES("[\\\"a\\\"]"), TENSORS, "1 classes; expected 2 to 4096", 0},
		{CLASSES("[\\\"a\\\",\\\"a\\\"]"), TENSORS, "two classes are called \"a\"", 0},
		{CLASSES("[\\\"a\\\",\\\"\\\"]"), TENSORS, "class 1 has no name", 0},
		{CLASSES("[\\\"a\\\",\\\"b\\\",\\\"c\\\"]"), TENSORS, "tensor W has shape [2,2], expected [2,3] for 3 classes", 0},
		{TWO, ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", "tensor W is missing", 0},
		{TWO, ",\"W\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}", "tensor b is missing", 0},
		{TWO, ",\"W\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]}", "tensor W has shape [4]", 0},
		{TWO, ",\"W\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[16,24]}", "tensor b has shape [1,2]", 0},
		{TWO, ",\"W\":{\"dtype\":\"F32\",\"shape\":[0,2],\"data_offsets\":[0,0]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", "0 inputs", 0},
		{TWO, TENSORS, "tensor W holds 4 values that are NaN or infinite", NAN},
		{TWO, TENSORS, "weights beyond", -2e30f},
		{WITH("rows", "[1]"), TENSORS, "metadata rows has 1 entries for 2 classes", 0},
		{WITH("rows", "[1,-1]"), TENSORS, "metadata rows: entry 1 is no whole number", 0},
		{WITH("rows", "7"), TENSORS, "metadata rows", 0},
		{WITH("l2", "-1"), TENSORS, "metadata l2 is \"-1\"; expected a number from 0 on", 0},
		{WITH("l2", "nan"), TENSORS, "metadata l2 is", 0},
		{WITH("accuracy", "1.5"), TENSORS, "metadata accuracy is \"1.5\"; expected a number from 0 to 1", 0},
		{WITH("log_loss", "x"), TENSORS, "metadata log_loss is", 0},
		{WITH("held_out", "1.5"), TENSORS, "metadata held_out is", 0},
		{WITH("seed", "-1"), TENSORS, "metadata seed is", 0},
	};
	float data[6];
	struct probe p;
	size_t i, j;

	for (i = 0; i < COUNT(bad); i++) {
		for (j = 0; j < COUNT(data); j++)
			data[j] = bad[i].value;
		put_file(bad[i].meta, bad[i].tensors, data, strstr(bad[i].tensors, "[16,24]") ? 6 : strstr(bad[i].tensors, "[0,16]") ? 4 : 2);
		err.code = 0;
		if (!tap_ok(probe_load(&p, path, &err) == CODE_DATA && strstr(err.text, bad[i].why) && !strncmp(err.text, path, strlen(path)) && !p.W,
		            "refused: %s", bad[i].why))
			printf("# %d %s\n", err.code, err.text);
	}
	put_file(TWO, TENSORS, data, 6);
	tap_ok(!probe_load(&p, path, &err) && p.d == 2 && p.classes == 2 && isnan(p.l2) && isnan(p.accuracy) && !p.rows[0], "accepted: no more than is needed");
	probe_free(&p);
}

static void
is_not_saved(void)
{
	struct probe p;

	unlink(path);
	make_probe(&p, 2, 2, 1, 1);
	p.W[3] = NAN;
	tap_ok(probe_save(&p, path, &err) == CODE_DATA && strstr(err.text, "tensor W holds 1"), "not saved: NaN");
	p.W[3] = 1;
	p.names[1][1] = '0';
	tap_ok(probe_save(&p, path, &err) == CODE_DATA && strstr(err.text, "two classes are called \"c0\""), "not saved: a name twice");
	p.names[1][0] = '\xff';
	tap_ok(probe_save(&p, path, &err) == CODE_DATA && strstr(err.text, "UTF-8"), "not saved: a name that is not UTF-8");
	p.names[1][0] = 0;
	tap_ok(probe_save(&p, path, &err) == CODE_DATA && strstr(err.text, "class 1 has no name"), "not saved: no name");
	p.names[1][0] = 'x';
	p.l2 = INFINITY;
	tap_ok(probe_save(&p, path, &err) == CODE_BUG, "not saved: a figure that is none");
	tap_ok(access(path, F_OK), "and nothing is there");
	probe_free(&p);
}

int
main(void)
{
	int fd;

	strcpy(path, "/tmp/test_probe.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		die("no temporary file");
	close(fd);
	says_as_the_reference();
	what_a_row_is_worth();
	comes_back();
	is_refused();
	is_not_saved();
	unlink(path);
	return tap_done();
}
