#include "view/plot.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "view/private.h"
#include "view/table.h"

#define WIDTH 460    /* of a panel, axes and all */
#define HEIGHT 330
#define LEFT 62      /* of the axes within it */
#define RIGHT 14
#define TOP 34
#define BOTTOM 46
#define HEAD 66      /* above the panels */
#define LEGEND 20    /* a line of it */
#define MAX_TICKS 16

static const char *const colours[] = {"#3b6fd8", "#e0782f", "#2a9d6f", "#b5489a", "#c9a227", "#7a5cc7", "#4b9fb3", "#c94f4f", "#7f8790", "#6d9a2e"};
#define NCOLOURS (sizeof colours / sizeof *colours)

/* ---- axes ---- */

struct axis {
	bool log;
	double low, high; /* of the data, widened; logarithms where log */
	double ticks[MAX_TICKS];
	size_t n;
};

static double
along(const struct axis *a, double v)
{
	return ((a->log ? log10(v) : v) - a->low) / (a->high - a->low);
}

static bool
shown(const struct axis *a, double v)
{
	return isfinite(v) && (!a->log || v > 0);
}

static void
widen(struct axis *a, double v)
{
	if (!shown(a, v))
		return;
	v = a->log ? log10(v) : v;
	if (v < a->low)
		a->low = v;
	if (v > a->high)
		a->high = v;
}

static void
add_tick(struct axis *a, double v)
{
	double t = along(a, v);

	if (a->n < MAX_TICKS && t > -1e-9 && t < 1 + 1e-9)
		a->ticks[a->n++] = v;
}

/* 1, 2, 5 times powers of ten: as many as make four to eight. */
static void
linear_ticks(struct axis *a)
{
	double step = pow(10, floor(log10((a->high - a->low) / 4))), first, v;
	int i;

	if ((a->high - a->low) / step > 20)
		step *= 5;
	else if ((a->high - a->low) / step > 8)
		step *= 2;
	first = ceil(a->low / step - 1e-9);
	for (i = 0; i < MAX_TICKS; i++) {
		v = (first + i) * step;
		add_tick(a, fabs(v) < step * 1e-6 ? 0 : v);
	}
}

static void
log_ticks(struct axis *a)
{
	static const double some[] = {1, 2, 5};
	bool few = a->high - a->low > 3.5;
	double decade;
	size_t i;

	for (decade = floor(a->low); decade <= a->high; decade++)
		for (i = 0; i < (few ? 1 : 3); i++)
			add_tick(a, some[i] * pow(10, decade));
}

static void
settle(struct axis *a, const double *ticks, size_t n)
{
	double room;
	size_t i;

	if (a->low > a->high)
		a->low = 0, a->high = 1; /* nothing to show */
	room = a->high > a->low ? .05 * (a->high - a->low) : a->log ? .3 : fabs(a->high) > 0 ? .1 * fabs(a->high) : 1;
	/* a linear axis that begins close to 0 begins there */
	if (!a->log && a->low >= 0 && a->low < .3 * a->high)
		a->low = room;
	a->low -= room;
	a->high += room;
	for (i = 0; i < n; i++)
		add_tick(a, ticks[i]);
	if (!n && a->log)
		log_ticks(a);
	else if (!n)
		linear_ticks(a);
}

static void
axes_of(const struct plot_panel *p, struct axis *x, struct axis *y)
{
	size_t i, j;

	*x = (struct axis){.log = p->log_x, .low = INFINITY, .high = -INFINITY};
	*y = (struct axis){.log = p->log_y, .low = INFINITY, .high = -INFINITY};
	for (i = 0; i < p->n; i++)
		for (j = 0; j < p->series[i].n; j++)
			if (shown(x, p->series[i].x[j]) && shown(y, p->series[i].y[j])) {
				widen(x, p->series[i].x[j]);
				widen(y, p->series[i].y[j]);
			}
	for (i = 0; p->bars && i < p->bars->n; i++) {
		widen(x, p->bars->edges[i]);
		widen(x, p->bars->edges[i + 1]);
		widen(y, 0);
		widen(y, (double)p->bars->counts[i]);
	}
	settle(x, p->ticks, p->nticks);
	settle(y, NULL, 0);
}

/* ---- drawing ---- */

static double
at_x(const struct axis *a, double v)
{
	return LEFT + along(a, v) * (WIDTH - LEFT - RIGHT);
}

static double
at_y(const struct axis *a, double v)
{
	return HEIGHT - BOTTOM - along(a, v) * (HEIGHT - TOP - BOTTOM);
}

static void
label(FILE *to, const char *class, double x, double y, const char *s)
{
	fprintf(to, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
	view_escaped(to, s);
	fputs("</text>\n", to);
}

static void
draw_axes(const struct plot_panel *p, const struct axis *x, const struct axis *y, FILE *to)
{
	char text[32];
	size_t i;

	if (p->title)
		label(to, "panel", LEFT, TOP - 14, p->title);
	for (i = 0; i < y->n; i++) {
		snprintf(text, sizeof text, "%.6g", y->ticks[i]);
		fprintf(to, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n", LEFT, WIDTH - RIGHT, at_y(y, y->ticks[i]), at_y(y, y->ticks[i]));
		label(to, "ytick", LEFT - 8, at_y(y, y->ticks[i]) + 4, text);
	}
	for (i = 0; i < x->n; i++) {
		snprintf(text, sizeof text, "%.6g", x->ticks[i]);
		fprintf(to, "<line class=\"tick\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n", at_x(x, x->ticks[i]), at_x(x, x->ticks[i]), HEIGHT - BOTTOM, HEIGHT - BOTTOM + 5);
		label(to, "xtick", at_x(x, x->ticks[i]), HEIGHT - BOTTOM + 18, text);
	}
	fprintf(to, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM);
	label(to, "xtick", LEFT + (WIDTH - LEFT - RIGHT) / 2., HEIGHT - 8, p->x_label);
	fprintf(to, "<text class=\"xtick\" transform=\"translate(14 %.1f) rotate(-90)\">", TOP + (HEIGHT - TOP - BOTTOM) / 2.);
	view_escaped(to, p->y_label);
	fputs("</text>\n", to);
}

static void
draw_series(const struct plot_series *s, const struct axis *x, const struct axis *y, const char *colour, FILE *to)
{
	bool begun = false;
	size_t i;

	fputs("<path class=\"line\" d=\"", to);
	for (i = 0; i < s->n; i++)
		if (shown(x, s->x[i]) && shown(y, s->y[i])) {
			fprintf(to, "%c%.1f %.1f", begun ? 'L' : 'M', at_x(x, s->x[i]), at_y(y, s->y[i]));
			begun = true;
		}
	fprintf(to, "\" stroke=\"%s\"/>\n", colour);
	for (i = 0; i < s->n; i++) {
		if (!shown(x, s->x[i]) || !shown(y, s->y[i]))
			continue;
		if (s->half && isfinite(s->half[i]) && shown(y, s->y[i] - s->half[i]))
			fprintf(to, "<line stroke=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", colour, at_x(x, s->x[i]), at_x(x, s->x[i]),
			        at_y(y, s->y[i] - s->half[i]), at_y(y, s->y[i] + s->half[i]));
		fprintf(to, "<circle fill=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>", colour, at_x(x, s->x[i]), at_y(y, s->y[i]), i == s->mark ? "6" : "3");
		view_escaped(to, s->name);
		fprintf(to, ": %.6g, %.4g</title></circle>\n", s->x[i], s->y[i]);
	}
}

static void
draw_bars(const struct plot_bars *b, const struct axis *x, const struct axis *y, FILE *to)
{
	double left, right, top;
	size_t i;

	for (i = 0; i < b->n; i++) {
		if (!b->counts[i])
			continue;
		left = at_x(x, b->edges[i]) + .5;
		right = at_x(x, b->edges[i + 1]) - .5;
		top = at_y(y, (double)b->counts[i]);
		/* what there is can be seen */
		top = top > HEIGHT - BOTTOM - 1 ? HEIGHT - BOTTOM - 1 : top;
		fprintf(to, "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%.4g to %.4g: %llu ", left, top,
		        right - left > 1 ? right - left : 1, HEIGHT - BOTTOM - top, b->edges[i], b->edges[i + 1], (unsigned long long)b->counts[i]);
		view_escaped(to, b->unit);
		fputs("</title></rect>\n", to);
	}
}

void
plot_panel(const struct plot_panel *p, const char *label, FILE *to)
{
	struct axis x, y;
	size_t i;

	axes_of(p, &x, &y);
	fprintf(to, "<svg class=\"plot\" viewBox=\"0 %d %d %d\" role=\"img\" aria-label=\"", TOP - 12, WIDTH, HEIGHT - TOP + 12);
	view_escaped(to, label);
	fputs("\">\n", to);
	draw_axes(p, &x, &y, to);
	if (p->bars)
		draw_bars(p->bars, &x, &y, to);
	for (i = 0; i < p->n; i++)
		draw_series(&p->series[i], &x, &y, colours[i % NCOLOURS], to);
	fputs("</svg>\n", to);
}

/* Names in lines as wide as the picture; returns how many lines there are, and
 * draws them when to is not NULL. */
static size_t
legend(const struct plot_panel *p, double width, FILE *to)
{
	size_t lines = p->n > 1, i;
	double x = LEFT, step;

	for (i = 0; i < p->n && p->n > 1; i++, x += step) {
		step = 34 + 7. * (double)view_width(p->series[i].name);
		if (x > LEFT && x + step > width) {
			x = LEFT;
			lines++;
		}
		if (to) {
			fprintf(to, "<circle fill=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>\n", colours[i % NCOLOURS], x, HEAD - 1 + LEGEND * (double)(lines - 1));
			label(to, "name", x + 10, HEAD + 3 + LEGEND * (double)(lines - 1), p->series[i].name);
		}
	}
	return lines;
}

int
plot_svg(const char *title, const char *note, const struct plot_panel *panels, size_t n, FILE *to)
{
	double width = WIDTH * (double)n, top = HEAD + LEGEND * (double)legend(panels, width, NULL);
	struct axis x, y;
	size_t i, j;

	fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n", width, top + HEIGHT, width, top + HEIGHT);
	fputs("<style>svg{background:#fff;font:12px system-ui,sans-serif}text{fill:#566070}.title{font-size:17px;font-weight:600;fill:#1d2330}"
	      ".panel{font-weight:600;fill:#1d2330}.xtick{text-anchor:middle}.ytick{text-anchor:end}.grid{stroke:#e4e7ec}.tick,.axis{stroke:#98a2b3}"
	      ".line{fill:none;stroke-width:2;stroke-linejoin:round}"
	      "@media(prefers-color-scheme:dark){svg{background:#14171d}text{fill:#98a2b3}.title,.panel{fill:#e6e9ef}.grid{stroke:#2a303b}}</style>\n", to);
	label(to, "title", LEFT, 24, title);
	label(to, "note", LEFT, 42, note);
	legend(panels, width, to);
	for (i = 0; i < n; i++) {
		fprintf(to, "<g transform=\"translate(%.0f %.0f)\">\n", WIDTH * (double)i, top);
		axes_of(&panels[i], &x, &y);
		draw_axes(&panels[i], &x, &y, to);
		for (j = 0; j < panels[i].n; j++)
			draw_series(&panels[i].series[j], &x, &y, colours[j % NCOLOURS], to);
		fputs("</g>\n", to);
	}
	fputs("</svg>\n", to);
	return ferror(to) ? -1 : 0;
}
