/* Editing codes, against the same on dense rows. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "sae/steer.h"
#include "tap.h"

/* What a row with the edits is, latent by latent. */
static float
plain(float code, uint32_t latent, const struct edit *edits, size_t n)
{
	double v = code;
	int touched = 0;
	size_t i;

	for (i = 0; i < n; i++)
		if (edits[i].latent == latent) {
			touched = 1;
			if (edits[i].how == EDIT_SET)
				v = edits[i].by;
			if (edits[i].how == EDIT_SCALE)
				v *= edits[i].by;
			if (edits[i].how == EDIT_ADD)
				v += edits[i].by;
		}
	return !touched ? code : (float)v > 0 ? (float)v : 0;
}

static size_t
random_codes(struct rng *r, struct csr *z, size_t rows, size_t m, double density)
{
	struct err e = {0};
	size_t i, j, at = 0;

	csr_resize(z, rows, m, rows * m, &e);
	for (i = 0; i < rows; i++) {
		for (j = 0; j < m; j++)
			if (rng_uniform(r) < density) {
				z->idx[at] = (uint32_t)j;
				z->val[at++] = (float)(rng_normal(r) + 1.5); /* some below 0, as --abs keeps them */
			}
		z->ptr[i + 1] = (uint32_t)at;
	}
	return at;
}

/* Whether got is z with the edits, ascending and without zeros. */
static int
is_steered(struct csr_view z, struct csr_view got, const struct edit *edits, size_t n)
{
	float *row = malloc(z.cols * sizeof *row);
	size_t i, j, t = 0;
	uint32_t at;
	int good = got.rows == z.rows && got.cols == z.cols && got.ptr[0] == 0;

	for (i = 0; i < z.rows && good; i++) {
		memset(row, 0, z.cols * sizeof *row);
		for (at = z.ptr[i]; at < z.ptr[i + 1]; at++)
			row[z.idx[at]] = z.val[at];
		for (j = 0; j < z.cols && good; j++) {
			float want = plain(row[j], (uint32_t)j, edits, n);

			if (want != 0) {
				good = t < got.ptr[i + 1] && got.idx[t] == j && !memcmp(&got.val[t], &want, sizeof want);
				t++;
			}
		}
		good = good && t == got.ptr[i + 1];
	}
	free(row);
	return good;
}

static void
test_random(void)
{
	static const size_t shapes[][2] = {{0, 5}, {1, 1}, {1, 7}, {3, 64}, {17, 33}, {100, 9}};
	unsigned wrong = 0, turns = 0;
	struct csr z = {0}, out = {0};
	struct edit edits[12], sorted[12];
	struct rng r = {0};
	struct err e = {0};
	size_t s, n, i, turn;

	rng_seed(&r, 3, 0);
	for (s = 0; s < sizeof shapes / sizeof *shapes; s++)
		for (turn = 0; turn < 40; turn++, turns++) {
			random_codes(&r, &z, shapes[s][0], shapes[s][1], turn % 4 / 3.0);
			n = (size_t)rng_below(&r, 13);
			for (i = 0; i < n; i++)
				edits[i] = (struct edit){(uint32_t)rng_below(&r, shapes[s][1]), (enum edit_how)rng_below(&r, 3), rng_normal(&r) + .5};
			memcpy(sorted, edits, sizeof edits);
			steer_sort(sorted, n);
			wrong += steer_rows(csr_view(&z), sorted, n, &out, &e) || !is_steered(csr_view(&z), csr_view(&out), edits, n);
		}
	tap_ok(!wrong, "edits of sparse rows are those of dense ones, %u of %u wrong", wrong, turns);
	csr_free(&z);
	csr_free(&out);
}

static void
test_corners(void)
{
	uint32_t ptr[] = {0, 2, 2}, idx[] = {1, 4};
	float val[] = {0x1.23p-7f, FLT_MAX};
	struct csr_view z = {2, 5, ptr, idx, val};
	struct csr out = {0};
	struct err e = {0};
	struct edit order[] = {{3, EDIT_ADD, 1}, {3, EDIT_SCALE, 3}, {1, EDIT_SET, 2}, {3, EDIT_ADD, -1}}, one;

	tap_ok(!steer_rows(z, NULL, 0, &out, &e) && out.ptr[2] == 2 && !memcmp(out.val, val, sizeof val) && !memcmp(out.idx, idx, sizeof idx), "no edits: the same bits");
	one = (struct edit){1, EDIT_SCALE, 1};
	tap_ok(!steer_rows(z, &one, 1, &out, &e) && out.ptr[2] == 2 && !memcmp(out.val, val, sizeof val), "scaled by 1: the same bits");
	steer_sort(order, 4);
	tap_ok(order[0].latent == 1 && order[1].by == 1 && order[2].by == 3 && order[3].by == -1, "sorting keeps the order of one latent");
	tap_ok(!steer_rows(z, order, 4, &out, &e) && out.ptr[1] == 3 && out.ptr[2] == 5 && out.idx[3] == 1 && out.val[4] == 2, "one after another: (0 + 1) * 3 - 1");
	one = (struct edit){4, EDIT_SCALE, 2};
	tap_ok(steer_rows(z, &one, 1, &out, &e) == CODE_DATA && strstr(e.text, "#4"), "beyond float32: %s", e.text);
	one = (struct edit){4, EDIT_SCALE, -1};
	tap_ok(!steer_rows(z, &one, 1, &out, &e) && out.ptr[2] == 1, "below zero is no code");
	one = (struct edit){0, EDIT_SET, 1e-60};
	tap_ok(!steer_rows(z, &one, 1, &out, &e) && out.ptr[2] == 2, "nor is what rounds to zero");
	csr_free(&out);
}

int
main(void)
{
	test_random();
	test_corners();
	return tap_done();
}
