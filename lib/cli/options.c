/* Options are data: parsing, help, manual page and completion all come from
 * one table, so that they cannot disagree. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/private.h"

#define C(field) offsetof(struct common, field)

static const struct opt common_opts[] = {
	{'i', "in", OPT_K_STR, C(in), "EP", "where to read: - (standard input, the default), a file,\ntcp://HOST:PORT or ipc://PATH (connect), @tcp://... (bind)"},
	{'o', "out", OPT_K_STR, C(out), "EP", "where to write, likewise; a file appears whole or not at all"},
	{'t', "threads", OPT_K_UINT, C(threads), "N", "threads (default: as many as cores)"},
	{0, "max-frame", OPT_K_SIZE, C(max_frame), "SIZE", "largest frame read or written (default 64M)"},
	{0, "status", OPT_K_STR, C(status), "FILE", "keep FILE up to date with counts, in Prometheus' text form"},
	{0, "peer-timeout", OPT_K_UINT, C(peer_timeout), "SECONDS", "wait that long for a peer at a socket (default 60, 0: for ever)"},
	{0, "keys", OPT_K_STR, C(keys), "FILE", "encrypt sockets: our secret file, made by `msae keygen`"},
	{0, "peers", OPT_K_STR, C(peers), "PATH", "who may be at the other side: a public file, or a directory\nof them (default: the directory --keys is in)"},
	{0, "insecure", OPT_K_FLAG, C(insecure), NULL, "allow sockets beyond this machine without keys"},
	{0, "no-prov", OPT_K_FLAG, C(no_prov), NULL, "add no provenance entry to the stream's head"},
	{0, "force", OPT_K_FLAG, C(force), NULL, "write binary to a terminal all the same"},
	{'q', "quiet", OPT_K_FLAG, C(quiet), NULL, "no warnings, no progress"},
	{'v', "verbose", OPT_K_FLAG, C(verbose), NULL, "say at the end what went through and how fast"},
	{'h', "help", OPT_K_FLAG, C(help), NULL, "this help"},
	{'V', "version", OPT_K_FLAG, C(version), NULL, "the version"},
	OPT_END
};
/* not in the help: what the manual and the shell's completion are made from */
static const struct opt hidden_opts[] = {
	{0, "man", OPT_K_FLAG, C(man), NULL, NULL},
	{0, "list-options", OPT_K_FLAG, C(list), NULL, NULL},
	OPT_END
};

#define MAX_OPTS 64

/* getopt's view of the three tables, and the way back. */
struct getopt_tables {
	char letters[2 * MAX_OPTS + 2];
	struct option longs[MAX_OPTS + 1];
	const struct opt *opts[MAX_OPTS];
	bool own[MAX_OPTS];
	int n;
};

static bool
is_end(const struct opt *o)
{
	return !o->letter && !o->name;
}

/* Whether a table has an option of that letter. */
static bool
has_letter(const struct opt *o, char letter)
{
	for (; letter && o && !is_end(o); o++)
		if (o->letter == letter)
			return true;
	return false;
}

static void
add_table(struct getopt_tables *g, const struct opt *o, bool own)
{
	size_t len = strlen(g->letters), nlong = 0;

	while (g->longs[nlong].name)
		nlong++;
	for (; o && !is_end(o) && g->n < MAX_OPTS; o++, g->n++) {
		bool arg = o->kind != OPT_K_FLAG;

		g->opts[g->n] = o;
		g->own[g->n] = own;
		if (o->letter && !strchr(g->letters, o->letter)) { /* else a program's own stands */
			g->letters[len++] = o->letter;
			if (arg)
				g->letters[len++] = ':';
		}
		if (o->name)
			g->longs[nlong++] = (struct option){o->name, arg ? required_argument : no_argument, NULL, 256 + g->n};
	}
}

static int
parse_uint(const char *s, uint64_t *v)
{
	char *end;

	errno = 0;
	if (!isdigit((unsigned char)*s))
		return -1;
	*v = strtoull(s, &end, 10);
	return errno || *end || *v == UINT64_MAX ? -1 : 0; /* that one stands for "not given" */
}

static int
parse_size(const char *s, uint64_t *v)
{
	static const char units[] = "KMGT";
	char *end;
	const char *u;
	unsigned shift = 0;

	errno = 0;
	if (!isdigit((unsigned char)*s))
		return -1;
	*v = strtoull(s, &end, 10);
	if (*end && (u = strchr(units, toupper((unsigned char)*end)))) {
		shift = 10 * (unsigned)(u - units + 1);
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B')
			end++;
	}
	if (errno || *end || !*v || *v > UINT64_MAX >> (shift + 1))
		return -1;
	*v <<= shift;
	return 0;
}

static int
parse_float(const char *s, double *v)
{
	char *end;

	errno = 0;
	*v = strtod(s, &end);
	return errno || end == s || *end || !isfinite(*v) ? -1 : 0;
}

static void
opt_spelling(const struct opt *o, char *out, size_t size)
{
	if (o->name)
		snprintf(out, size, "--%s", o->name);
	else
		snprintf(out, size, "-%c", o->letter);
}

static int
add_value(struct run *r, struct opt_list *list, const struct opt *o, const char *arg)
{
	struct opt_value *more = realloc(list->items, (list->n + 1) * sizeof *more);

	if (!more)
		return err_memory(&r->err, "options", (list->n + 1) * sizeof *more);
	list->items = more;
	list->items[list->n++] = (struct opt_value){o->name, arg};
	return 0;
}

void
options_free(struct run *r)
{
	const struct opt *o = r->program->opts;
	struct opt_list *list;

	for (; o && !is_end(o); o++)
		if (o->kind == OPT_K_LIST) {
			list = (struct opt_list *)((char *)r->self + o->offset);
			free(list->items);
			*list = (struct opt_list){0};
		}
}

static int
set_value(struct run *r, const struct opt *o, void *base, const char *arg)
{
	char *at = (char *)base + o->offset;
	char name[64];
	int bad = 0;

	opt_spelling(o, name, sizeof name);
	switch (o->kind) {
	case OPT_K_FLAG:
		*(bool *)at = true;
		return 0;
	case OPT_K_STR:
		memcpy(at, &arg, sizeof arg);
		return 0;
	case OPT_K_UINT:
		bad = parse_uint(arg, (uint64_t *)at);
		return bad ? run_usage(r, "%s %s: a whole number is needed", name, arg) : 0;
	case OPT_K_SIZE:
		bad = parse_size(arg, (uint64_t *)at);
		return bad ? run_usage(r, "%s %s: a size is needed, such as 64M", name, arg) : 0;
	case OPT_K_FLOAT:
		bad = parse_float(arg, (double *)at);
		return bad ? run_usage(r, "%s %s: a number is needed", name, arg) : 0;
	case OPT_K_LIST:
		return add_value(r, (struct opt_list *)at, o, arg);
	}
	return 0;
}

/* Appends a word to the command line kept for provenance, quoted where a shell
 * would need it. What does not fit is cut, and said. */
static void
add_word(struct run *r, const char *prefix, const char *word)
{
	char *to = r->command + strlen(r->command), *end = r->command + sizeof r->command - 8, safe[1024];
	bool plain = *word && !word[strcspn(word, " \t\n'\"\\$&|;<>()*?[]#~`!{}")];
	const char *p;

	/* heads hold UTF-8 and nothing that drives a terminal */
	if (!text_is_printable(word, strlen(word)))
		word = text_printable(safe, sizeof safe, word, strlen(word));
	if (strlen(prefix) + 4 * strlen(word) + 4 > (size_t)(end - to)) {
		if (to[-1] != '.')
			strcpy(to, " ...");
		return;
	}
	to += sprintf(to, " %s%s", prefix, plain ? "" : "'");
	for (p = word; *p; p++)
		to += sprintf(to, *p == '\'' && !plain ? "'\\''" : "%c", *p);
	strcpy(to, plain ? "" : "'");
}

int
options_parse(struct run *r, int argc, char **argv)
{
	struct getopt_tables g = {.letters = ":"};
	char spelled[64], prefix[72];
	int c, i, which, code;

	add_table(&g, r->program->opts, true);
	add_table(&g, common_opts, false);
	add_table(&g, hidden_opts, false);
	snprintf(r->command, sizeof r->command, "%s", r->program->name);
	opterr = 0;
	while ((c = getopt_long(argc, argv, g.letters, g.longs, NULL)) != -1) {
		if (c == '?' && optopt && optopt < 256)
			return run_usage(r, "-%c: no such option", optopt);
		if (c == '?' && optopt >= 256)
			return run_usage(r, "%s: takes no argument", argv[optind - 1]);
		if (c == '?')
			return run_usage(r, "%s: no such option, or not enough of its name", argv[optind - 1]);
		if (c == ':' && optopt < 256)
			return run_usage(r, "-%c: needs an argument", optopt);
		if (c == ':')
			return run_usage(r, "%s: needs an argument", argv[optind - 1]);
		which = c - 256;
		if (c < 256) /* of two with one letter the program's own, which come first */
			for (which = 0; g.opts[which]->letter != c; which++)
				;
		code = set_value(r, g.opts[which], g.own[which] ? r->self : (void *)&r->common, optarg);
		if (code)
			return code;
		/* Only what decides about rows is provenance: not -i, -o, -t ..., so
		 * that a stream is the same bytes wherever and however it was made. */
		if (g.own[which]) {
			opt_spelling(g.opts[which], spelled, sizeof spelled);
			if (optarg) {
				snprintf(prefix, sizeof prefix, "%s%s", spelled, g.opts[which]->name ? "=" : " ");
				add_word(r, prefix, optarg);
			} else {
				add_word(r, "", spelled);
			}
		}
	}
	r->argc = argc - optind;
	r->argv = argv + optind;
	for (i = 0; i < r->argc; i++)
		add_word(r, "", r->argv[i]);
	return 0;
}

/* own: whose letters are not everyone's; NULL for the program's own table. */
static void
help_table(const struct opt *o, const struct opt *own, FILE *to)
{
	char left[48], letter;
	const char *p, *nl;
	size_t n;

	for (; o && !is_end(o); o++) {
		letter = has_letter(own, o->letter) ? 0 : o->letter;
		n = (size_t)snprintf(left, sizeof left, letter ? "  -%c" : "    ", letter);
		if (o->name)
			n += (size_t)snprintf(left + n, sizeof left - n, "%s--%s", letter ? ", " : "  ", o->name);
		if (o->arg)
			snprintf(left + n, sizeof left - n, " %s", o->arg);
		fprintf(to, "%-26s%s", left, strlen(left) >= 26 ? "\n                          " : "");
		for (p = o->help; (nl = strchr(p, '\n')); p = nl + 1)
			fprintf(to, "%.*s\n%26s", (int)(nl - p), p, "");
		fprintf(to, "%s\n", p);
	}
}

static const char *
redirections(const struct program *p)
{
	switch (p->kind) {
	case PROGRAM_FILTER: return " < stream > stream";
	case PROGRAM_SOURCE: return " > stream";
	case PROGRAM_SINK: return " < stream";
	case PROGRAM_TOOL: break;
	}
	return "";
}

void
options_help(const struct program *p, FILE *to)
{
	fprintf(to, "%s - %s\n\nUsage: %s [options]%s%s%s\n\n%s\n", p->name, p->summary, p->name,
	        p->operands ? " " : "", p->operands ? p->operands : "", redirections(p), p->about);
	if (p->opts && !is_end(p->opts)) {
		fputs("\nOptions:\n", to);
		help_table(p->opts, NULL, to);
	}
	fputs("\nOptions of every program:\n", to);
	help_table(common_opts, p->opts, to);
	fprintf(to, "\nExample:\n%s\n", p->example);
	fputs("\nExit codes: 0 done, 64 usage, 65 bad or truncated data, 66 no such input,\n"
	      "69 peer unavailable, 70 a bug, 73 cannot create, 74 I/O, 75 try again.\n", to);
}

/* Text for roff: backslashes, hyphens and leading dots made harmless. */
static void
roff(FILE *to, const char *s)
{
	bool start = true;

	for (; *s; s++) {
		if (start && (*s == '.' || *s == '\''))
			fputs("\\&", to);
		if (*s == '\\')
			fputs("\\e", to);
		else if (*s == '-')
			fputs("\\-", to);
		else
			fputc(*s, to);
		start = *s == '\n';
	}
}

static void
man_table(const struct opt *o, const struct opt *own, FILE *to)
{
	char letter;

	for (; o && !is_end(o); o++) {
		letter = has_letter(own, o->letter) ? 0 : o->letter;
		fputs(".TP\n", to);
		if (letter)
			fprintf(to, "\\fB\\-%c\\fR%s", letter, o->name ? ", " : "");
		if (o->name) {
			fputs("\\fB\\-\\-", to);
			roff(to, o->name);
			fputs("\\fR", to);
		}
		if (o->arg)
			fprintf(to, " \\fI%s\\fR", o->arg);
		fputc('\n', to);
		roff(to, o->help);
		fputc('\n', to);
	}
}

static void
roff_paragraphs(FILE *to, const char *s)
{
	const char *gap;

	while ((gap = strstr(s, "\n\n"))) {
		char part[2048];

		snprintf(part, sizeof part, "%.*s", (int)(gap - s), s);
		roff(to, part);
		fputs("\n.PP\n", to);
		s = gap + 2;
	}
	roff(to, s);
	fputc('\n', to);
}

void
options_man(const struct program *p, FILE *to)
{
	const char *c;

	fputs(".TH ", to);
	for (c = p->name; *c; c++)
		fputc(toupper((unsigned char)*c), to);
	fprintf(to, " 1 \"\" \"msae %s\" \"User commands\"\n.SH NAME\n", MSAE_VERSION);
	roff(to, p->name);
	fputs(" \\- ", to);
	roff(to, p->summary);
	fputs("\n.SH SYNOPSIS\n\\fB", to);
	roff(to, p->name);
	fprintf(to, "\\fR [\\fIoptions\\fR]%s%s%s\n.SH DESCRIPTION\n", p->operands ? " \\fI" : "", p->operands ? p->operands : "", p->operands ? "\\fR" : "");
	roff_paragraphs(to, p->about);
	if (p->opts && !is_end(p->opts)) {
		fputs(".SH OPTIONS\n", to);
		man_table(p->opts, NULL, to);
	}
	fputs(".SH OPTIONS OF EVERY PROGRAM\n", to);
	man_table(common_opts, p->opts, to);
	fputs(".SH EXAMPLES\n.nf\n", to);
	roff(to, p->example);
	fputs("\n.fi\n.SH EXIT STATUS\n"
	      "0 done; 64 usage; 65 bad or truncated data; 66 no such input; 69 peer unavailable;\n"
	      "70 a bug; 73 cannot create; 74 I/O; 75 try again; 76 protocol; 77 refused.\n"
	      "Stopped by a signal: 128 and its number.\n"
	      ".SH ENVIRONMENT\n.TP\n\\fBTMPDIR\\fR\nwhere spools are kept (default /tmp)\n"
	      ".TP\n\\fBMSAE_CPU\\fR\nplain, avx2, avx512 or avx512vnni: force the kernels of one instruction set\n"
	      ".SH SEE ALSO\n.BR msae (1)\n", to);
}

void
options_list(const struct program *p, FILE *to)
{
	const struct opt *tables[] = {p->opts, common_opts};
	const struct opt *o;
	size_t i;

	for (i = 0; i < 2; i++)
		for (o = tables[i]; o && !is_end(o); o++) {
			if (o->name)
				fprintf(to, "--%s\n", o->name);
			if (o->letter && !(i && has_letter(p->opts, o->letter)))
				fprintf(to, "-%c\n", o->letter);
		}
}
