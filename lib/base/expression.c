#include "base/expression.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define MAX_TERMS 1024
#define SHOWN 60 /* bytes of a text in messages */

struct parser {
	const char *at;
	const struct lexicon *lexicon;
	const char *kind;
	bool numbers;
	struct err *e;
};

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
unknown(const char *s, size_t n, const struct lexicon *l, const char *kind, struct err *e)
{
	char shown[SHOWN], near[300];

	return err_set(e, CODE_USAGE, "no %s '%s'%s", kind, text_printable(shown, sizeof shown, s, n), lexicon_suggest(l, s, n, near, sizeof near));
}

/* "#17" or "17" in s[n]: 1 with *number set, 0 when it is neither, -1. */
static int
bare_number(const char *s, size_t n, uint32_t *number, struct err *e)
{
	bool sharp = n && *s == '#';
	char shown[SHOWN];
	uint64_t v = 0;
	size_t i;

	for (i = sharp; i < n && digit(s[i]); i++) {
		v = v * 10 + (uint64_t)(s[i] - '0');
		if (v > UINT32_MAX)
			return err_set(e, CODE_USAGE, "%s: numbers go up to 4294967295", text_printable(shown, sizeof shown, s, n)), -1;
	}
	if (i < n || n == sharp)
		return 0;
	*number = (uint32_t)v;
	return 1;
}

int
expression_name(struct meant *m, const char *s, size_t n, const struct lexicon *l, const char *kind, bool numbers, struct err *e)
{
	int got;

	*m = (struct meant){0};
	m->entries = lexicon_find(l, s, n, &m->count);
	if (m->entries)
		return 0;
	got = numbers ? bare_number(s, n, &m->number, e) : 0;
	return got < 0 ? e->code : got ? 0 : unknown(s, n, l, kind, e);
}

static int
wrong(const struct parser *p, const char *what)
{
	char shown[SHOWN];

	if (!*p->at)
		return err_set(p->e, CODE_USAGE, "%s, but it ends", what);
	return err_set(p->e, CODE_USAGE, "%s at '%s'", what, text_printable(shown, sizeof shown, p->at, strlen(p->at)));
}

static void
skip_blanks(struct parser *p)
{
	while (*p->at == ' ')
		p->at++;
}

/* number "*" in front of a name; *weight stays when there is none. */
static int
parse_weight(struct parser *p, double *weight)
{
	const char *s = p->at;
	size_t digits = 0, dots = 0;

	for (; digit(*s) || *s == '.'; s++)
		*(*s == '.' ? &dots : &digits) += 1;
	if (s == p->at)
		return 0;
	while (*s == ' ')
		s++;
	if (*s != '*')
		return 0;
	if (!digits || dots > 1)
		return wrong(p, "a weight such as 2 or 0.5 is needed before '*'");
	*weight = strtod(p->at, NULL);
	if (!(*weight <= EXPRESSION_MAX_WEIGHT))
		return wrong(p, "a weight is beyond a million");
	p->at = s + 1;
	skip_blanks(p);
	return 0;
}

static int
parse_quoted(struct parser *p, struct meant *m)
{
	const char *begin = p->at + 1, *end = strchr(begin, *p->at);

	if (!end)
		return wrong(p, "a quoted name has no second quote");
	p->at = end + 1;
	return expression_name(m, begin, (size_t)(end - begin), p->lexicon, p->kind, false, p->e);
}

static int
parse_name(struct parser *p, struct meant *m)
{
	size_t run = strcspn(p->at, "+-*"), len = run;
	const char *behind;

	if (!run)
		return wrong(p, "a name is needed");
	*m = (struct meant){0};
	m->entries = lexicon_longest(p->lexicon, p->at, strlen(p->at), &len, &m->count);
	if (!m->entries && (*p->at == '"' || *p->at == '\''))
		return parse_quoted(p, m);
	while (run && p->at[run - 1] == ' ')
		run--;
	if (!m->entries && expression_name(m, p->at, run, p->lexicon, p->kind, p->numbers, p->e))
		return p->e->code;
	len = m->entries ? len : run;
	for (behind = p->at + len; *behind == ' '; behind++)
		;
	if (*behind && !strchr("+-*", *behind)) /* only the beginning is a name */
		return unknown(p->at, run, p->lexicon, p->kind, p->e);
	p->at += len;
	return 0;
}

static int
parse_sum(struct parser *p, struct expression *x)
{
	struct expression_term *t;
	double sign = 1;

	skip_blanks(p);
	if (!*p->at)
		return err_set(p->e, CODE_USAGE, "empty: a %s is needed", p->kind);
	do {
		if (*p->at == '+' || *p->at == '-') {
			sign = *p->at++ == '-' ? -1 : 1;
			skip_blanks(p);
		} else if (x->n) {
			return wrong(p, "+ or - is needed");
		}
		if (x->n == MAX_TERMS)
			return wrong(p, "too many names");
		t = realloc(x->terms, (x->n + 1) * sizeof *t);
		if (!t)
			return err_memory(p->e, "query", (x->n + 1) * sizeof *t);
		x->terms = t;
		t += x->n++;
		t->weight = 1;
		if (parse_weight(p, &t->weight) || parse_name(p, &t->name))
			return p->e->code;
		t->weight *= sign;
		skip_blanks(p);
	} while (*p->at);
	return 0;
}

/* A copy of text with every run of blanks outside quotes as one blank. */
static char *
single_blanks(const char *text)
{
	char *copy = malloc(strlen(text) + 1), *to = copy, quote = 0;

	for (; copy && *text; text++) {
		if (quote ? *text == quote : *text == '"' || *text == '\'')
			quote = quote ? 0 : *text;
		if (quote || !strchr(" \t", *text))
			*to++ = *text;
		else if (to > copy && to[-1] != ' ')
			*to++ = ' ';
	}
	if (copy)
		*to = 0;
	return copy;
}

int
expression_parse(struct expression *x, const char *text, const struct lexicon *l, const char *kind, bool numbers, struct err *e)
{
	struct parser p = {.lexicon = l, .kind = kind, .numbers = numbers, .e = e};
	char *copy;

	*x = (struct expression){0};
	if (strlen(text) > EXPRESSION_MAX_BYTES)
		return err_set(e, CODE_USAGE, "too long: at most %d bytes", EXPRESSION_MAX_BYTES);
	p.at = copy = single_blanks(text);
	if (!copy)
		return err_memory(e, "query", strlen(text));
	e->code = 0;
	if (parse_sum(&p, x))
		expression_free(x);
	free(copy);
	return e->code;
}

void
expression_free(struct expression *x)
{
	free(x->terms);
	*x = (struct expression){0};
}
