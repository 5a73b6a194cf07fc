/* The pictures of an evaluation. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "view/plot.h"
#include "view/scores.h"
#include "view/table.h"

/* A model's points: by level, and as it is used among them. */
struct curve {
	size_t n, used;
	double k[SCORES_MAX_LEVELS], l0[SCORES_MAX_LEVELS], fvu[SCORES_MAX_LEVELS], fvu_half[SCORES_MAX_LEVELS];
	double cosine[SCORES_MAX_LEVELS], cosine_half[SCORES_MAX_LEVELS];
};

static void
add_point(struct curve *c, const struct scores_level *l)
{
	c->k[c->n] = l->k ? (double)l->k : l->of[SCORE_L0].mean;
	c->l0[c->n] = l->of[SCORE_L0].mean;
	c->fvu[c->n] = l->of[SCORE_FVU].mean;
	c->fvu_half[c->n] = l->of[SCORE_FVU].half;
	c->cosine[c->n] = l->of[SCORE_COSINE].mean;
	c->cosine_half[c->n++] = l->of[SCORE_COSINE].half;
}

/* Levels ascend; what is used has its place by how many codes it has. by_k: the
 * levels alone, where there are any. */
static void
curve_of(const struct scores *s, bool by_k, struct curve *c)
{
	bool placed = by_k && s->nlevels > 1;
	size_t i;

	*c = (struct curve){.used = SIZE_MAX};
	for (i = 1; i < s->nlevels; i++) {
		if (!placed && s->levels[0].of[SCORE_L0].mean <= s->levels[i].of[SCORE_L0].mean) {
			placed = true;
			c->used = c->n;
			add_point(c, &s->levels[0]);
		}
		add_point(c, &s->levels[i]);
	}
	if (!placed) {
		c->used = c->n;
		add_point(c, &s->levels[0]);
	}
}

int
scores_plot(const struct scores *s, size_t n, FILE *to)
{
	struct curve *c = malloc(n * sizeof *c);
	struct plot_series *fvu = malloc(2 * n * sizeof *fvu), *cosine = fvu + n;
	bool one = n == 1 && s->nlevels > 1;
	struct plot_panel panels[2];
	char note[400], rows[32];
	size_t i;
	int rc = -1;

	if (c && fvu) {
		for (i = 0; i < n; i++) {
			curve_of(&s[i], one, &c[i]);
			fvu[i] = (struct plot_series){s[i].name, c[i].n, one ? c[i].k : c[i].l0, c[i].fvu, c[i].fvu_half, c[i].used};
			cosine[i] = (struct plot_series){s[i].name, c[i].n, one ? c[i].k : c[i].l0, c[i].cosine, c[i].cosine_half, c[i].used};
		}
		panels[0] = (struct plot_panel){"FVU", one ? "k largest codes" : "L0: active latents of a row", "fraction of variance unexplained",
		                                true, !one, one ? c[0].k : NULL, one ? c[0].n : 0, fvu, n, NULL};
		panels[1] = (struct plot_panel){"cosine", panels[0].x_label, "cosine of x and xhat", true, false, panels[0].ticks, panels[0].nticks, cosine, n, NULL};
		snprintf(note, sizeof note, "%s rows, %s%s", view_count(rows, s->rows), s->rows_are,
		         one ? "; bars: 95 % intervals" : s->nlevels > 1 ? "; large points: as used, lines: the k largest codes" : "; as used");
		rc = plot_svg(n == 1 ? s->name : "Reconstruction against sparsity", note, panels, 2, to);
	}
	free(c);
	free(fvu);
	return rc;
}

bool
scores_panel(const struct scores *s, FILE *to)
{
	struct plot_series fvu;
	struct plot_panel panel;
	struct curve c;

	if (s->nlevels < 3)
		return false;
	curve_of(s, true, &c);
	fvu = (struct plot_series){"FVU", c.n, c.k, c.fvu, c.fvu_half, c.used};
	panel = (struct plot_panel){.x_label = "k largest codes of a row", .y_label = "fraction of variance unexplained", .log_x = true,
	                            .ticks = c.k, .nticks = c.n, .series = &fvu, .n = 1};
	plot_panel(&panel, "fraction of variance unexplained against the number of codes kept", to);
	return true;
}
