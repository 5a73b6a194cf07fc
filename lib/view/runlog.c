#include "view/runlog.h"

#include <inttypes.h>
#include <math.h>

#include "view/table.h"

/* ,"name":v with the digits that v has as a double, or null. */
static void
number(FILE *to, const char *name, double v)
{
	if (isfinite(v))
		fprintf(to, ",\"%s\":%.9g", name, v);
	else
		fprintf(to, ",\"%s\":null", name);
}

void
runlog_step(FILE *to, const struct runlog_step *s)
{
	size_t i;

	fprintf(to, "{\"step\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"rows\":%" PRIu64, s->step, s->epoch, s->rows);
	number(to, "seconds", s->seconds);
	number(to, "lr", s->lr);
	number(to, "loss", s->loss);
	number(to, "fvu", s->fvu);
	number(to, "l0", s->l0);
	number(to, "l1", s->l1);
	number(to, "grad_norm", s->grad_norm);
	fprintf(to, ",\"dead\":%" PRIu64 ",\"revived\":%" PRIu64, s->dead, s->revived);
	if (s->nlevels > 1) {
		fputs(",\"levels\":[", to);
		for (i = 0; i < s->nlevels; i++)
			fprintf(to, "%s%.9g", i ? "," : "", s->levels[i]);
		fputc(']', to);
	}
	fputs("}\n", to);
	fflush(to);
}

static void
quality(FILE *to, const struct runlog_quality *q)
{
	number(to, "fvu", q->fvu);
	number(to, "fvu_data", q->fvu_data);
	number(to, "cosine", q->cosine);
	number(to, "mae", q->mae);
	number(to, "l0", q->l0);
	number(to, "zeros", q->zeros);
}

void
runlog_valid(FILE *to, uint64_t epoch, uint64_t step, uint64_t rows, uint64_t silent, const struct runlog_quality *q, size_t n)
{
	size_t i;

	fprintf(to, "{\"epoch\":%" PRIu64 ",\"step\":%" PRIu64 ",\"valid\":{\"rows\":%" PRIu64 ",\"silent\":%" PRIu64, epoch, step, rows, silent);
	quality(to, &q[0]);
	fputs(",\"at\":[", to);
	for (i = 1; i < n; i++) {
		fprintf(to, "%s{\"k\":%zu", i > 1 ? "," : "", q[i].k);
		quality(to, &q[i]);
		fputc('}', to);
	}
	fputs("]}}\n", to);
	fflush(to);
}

void
runlog_event(FILE *to, const char *what, uint64_t step)
{
	fprintf(to, "{\"event\":\"%s\",\"step\":%" PRIu64 "}\n", what, step);
	fflush(to);
}

/* 3723 -> "1:02:03", 63 -> "1:03". */
static void
duration(char *out, size_t size, double seconds)
{
	unsigned long long s = seconds > 0 && seconds < 1e12 ? (unsigned long long)(seconds + 0.5) : 0;

	if (s < 3600)
		snprintf(out, size, "%llu:%02llu", s / 60, s % 60);
	else
		snprintf(out, size, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
}

char *
runlog_line(const struct runlog_step *s, char *out, size_t size)
{
	double each = s->steps_here ? s->seconds / (double)s->steps_here : 0;
	char left[40], rate[32];

	duration(left, sizeof left, each * (double)(s->steps - s->step));
	view_count(rate, (unsigned long long)s->rows_a_second);
	snprintf(out, size, "epoch %" PRIu64 " of %.0f, step %" PRIu64 " of %" PRIu64 ", %s rows/s, loss %.4g, FVU %.3g, L0 %.0f, %" PRIu64 " dead, %s left",
	         s->epoch + 1, s->epochs, s->step, s->steps, rate, s->loss, s->fvu, s->l0, s->dead, left);
	return out;
}

char *
runlog_quality_line(const struct runlog_quality *q, uint64_t silent, char *out, size_t size)
{
	char zeros[32];

	snprintf(out, size, "FVU %.4f, cosine %.4f, L0 %.0f (%s zeros), %" PRIu64 " latents silent", q->fvu, q->cosine, q->l0,
	         view_percent(zeros, q->zeros), silent);
	return out;
}
