#include "sae/steer.h"

#include <float.h>
#include <string.h>

/* Insertion: edits are few, and equal latents must stay in order. */
void
steer_sort(struct edit *edits, size_t n)
{
	struct edit e;
	size_t i, j;

	for (i = 1; i < n; i++) {
		e = edits[i];
		for (j = i; j > 0 && edits[j - 1].latent > e.latent; j--)
			edits[j] = edits[j - 1];
		edits[j] = e;
	}
}

static double
apply(const struct edit *edit, double v)
{
	return edit->how == EDIT_SET ? edit->by : edit->how == EDIT_SCALE ? v * edit->by : v + edit->by;
}

static size_t
distinct(const struct edit *edits, size_t n)
{
	size_t i, count = n > 0;

	for (i = 1; i < n; i++)
		count += edits[i].latent != edits[i - 1].latent;
	return count;
}

/* One row: codes and edits, both ascending, merged into idx and val. Returns
 * how many codes there are now, or SIZE_MAX with *bad set. */
static size_t
steer_row(const uint32_t *in_idx, const float *in_val, size_t codes, const struct edit *edits, size_t n,
          uint32_t *idx, float *val, uint32_t *bad)
{
	size_t c = 0, i = 0, out = 0;
	uint32_t latent;
	double v;
	float f;

	while (i < n) {
		latent = edits[i].latent;
		for (; c < codes && in_idx[c] < latent; c++, out++) {
			idx[out] = in_idx[c];
			val[out] = in_val[c];
		}
		v = c < codes && in_idx[c] == latent ? in_val[c++] : 0;
		for (; i < n && edits[i].latent == latent; i++)
			v = apply(&edits[i], v);
		if (!(v <= FLT_MAX)) {
			*bad = latent;
			return SIZE_MAX;
		}
		f = (float)v;
		if (f > 0) {
			idx[out] = latent;
			val[out++] = f;
		}
	}
	memcpy(idx + out, in_idx + c, (codes - c) * sizeof *idx);
	memcpy(val + out, in_val + c, (codes - c) * sizeof *val);
	return out + codes - c;
}

int
steer_rows(struct csr_view z, const struct edit *edits, size_t n, struct csr *out, struct err *e)
{
	size_t more = distinct(edits, n), r, at = 0, got;
	uint32_t bad = 0;

	if (more > UINT32_MAX / (z.rows + 1))
		return err_set(e, CODE_DATA, "codes: %zu edits in each of %zu rows are too many; use smaller frames", more, z.rows);
	if (csr_resize(out, z.rows, z.cols, z.ptr[z.rows] + z.rows * more, e))
		return e->code;
	for (r = 0; r < z.rows; r++) {
		got = steer_row(z.idx + z.ptr[r], z.val + z.ptr[r], z.ptr[r + 1] - z.ptr[r], edits, n, out->idx + at, out->val + at, &bad);
		if (got == SIZE_MAX)
			return err_set(e, CODE_DATA, "row %zu of the frame: latent #%lu would be beyond what float32 holds", r, (unsigned long)bad);
		out->ptr[r + 1] = (uint32_t)(at += got);
	}
	return 0;
}
