/* Plots as SVG: panels beside each other, each some series of points over one
 * pair of axes. No script, no font of its own; light and dark by the viewer's
 * preference. Everything is borrowed; names are escaped. */
#ifndef VIEW_PLOT_H
#define VIEW_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct plot_series {
	const char *name;     /* in the legend, where there are several */
	size_t n;
	const double *x, *y;  /* points that are not finite, or not positive on a logarithmic axis, are left out */
	const double *half;   /* half an interval about y; NULL: none */
	size_t mark;          /* a point drawn large; SIZE_MAX: none */
};

/* A histogram: counts[i] from edges[i] to edges[i+1], ascending. */
struct plot_bars {
	size_t n;
	const double *edges;  /* [n+1] */
	const uint64_t *counts;
	const char *unit;     /* what is counted */
};

struct plot_panel {
	const char *title, *x_label, *y_label; /* title NULL: none */
	bool log_x, log_y;
	const double *ticks;  /* of x, nticks; NULL: chosen */
	size_t nticks;
	const struct plot_series *series;
	size_t n;
	const struct plot_bars *bars; /* or NULL */
};

/* The legend is that of the first panel: panels have the same series. 0, or -1
 * when writing failed. */
int plot_svg(const char *title, const char *note, const struct plot_panel *panels, size_t n, FILE *to);

/* One panel for a page whose style sheet knows the classes grid, tick, axis,
 * xtick, ytick, line and bar; without legend. label: what it shows, for those who
 * do not see it. */
void plot_panel(const struct plot_panel *p, const char *label, FILE *to);

#endif
