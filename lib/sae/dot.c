#include "sae/dot.h"

#include <math.h>
#include <string.h>

#define BLOCK 32 /* a piece of BLOCK x BLOCK numbers is turned while it is in cache */

static void
turn(float *to, size_t width, const float *from, size_t m, size_t rows, size_t cols)
{
	size_t i, j;

	for (j = 0; j < cols; j++)
		for (i = 0; i < rows; i++)
			to[j * width + i] = from[i * m + j];
}

void
dot_weights(float *to, const float *W, size_t d, size_t m)
{
	size_t width = dot_width(d), i, j;

	for (j = 0; j < m; j += BLOCK)
		for (i = 0; i < d; i += BLOCK)
			turn(to + j * width + i, width, W + i * m + j, m, d - i < BLOCK ? d - i : BLOCK, m - j < BLOCK ? m - j : BLOCK);
	for (j = 0; j < m && width > d; j++)
		memset(to + j * width + d, 0, (width - d) * sizeof *to);
}

float
dot_plain(const float *x, const float *w, size_t width)
{
	float s[DOT_LANES] = {0};
	size_t i, l;

	for (i = 0; i < width; i++)
		s[i % DOT_LANES] = fmaf(x[i], w[i], s[i % DOT_LANES]);
	for (l = 0; l < 8; l++)
		s[l] += s[l + 8];
	for (l = 0; l < 4; l++)
		s[l] += s[l + 4];
	return (s[0] + s[1]) + (s[2] + s[3]);
}
