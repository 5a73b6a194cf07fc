/* What a search is asked with and answers with: names and their misspellings,
 * sums of names, the n best. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/best.h"
#include "base/expression.h"
#include "base/lexicon.h"
#include "base/rng.h"
#include "files/concepts.h"
#include "tap.h"

static const char *const names[] = {
	"fire", "fire truck", "hat", "t-shirt", "t", "shirt", "glasses", "zebra", "zebu", "zebra", "2", "baby_buggy",
	"arctic_(type_of_shoe)", "cat's eye", "2*4", "a_b", "a b", "Eiffel Tower", "\xc3\xa9toile", "hidden",
};
#define NAMES (sizeof names / sizeof *names)

static struct lexicon
all_names(void)
{
	struct lexicon l = {0};
	struct err e = {0};
	uint32_t i;

	for (i = 0; i < NAMES; i++)
		lexicon_add(&l, names[i], i, !strcmp(names[i], "hidden"), &e);
	lexicon_sort(&l);
	return l;
}

/* Levenshtein by the definition. */
static unsigned
distance_plain(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned drop, add, swap;

	if (!na || !nb)
		return (unsigned)(na + nb);
	drop = distance_plain(a + 1, na - 1, b, nb) + 1;
	add = distance_plain(a, na, b + 1, nb - 1) + 1;
	swap = distance_plain(a + 1, na - 1, b + 1, nb - 1) + (*a != *b);
	drop = drop < add ? drop : add;
	return drop < swap ? drop : swap;
}

static void
test_distance(void)
{
	unsigned wrong = 0, most, want, got;
	struct rng r = {0};
	char a[8], b[8];
	size_t na, nb, i;
	int turn;

	rng_seed(&r, 1, 0);
	for (turn = 0; turn < 3000; turn++) {
		na = rng_below(&r, 7);
		nb = rng_below(&r, 7);
		for (i = 0; i < na; i++)
			a[i] = (char)('a' + rng_below(&r, 3));
		for (i = 0; i < nb; i++)
			b[i] = (char)('a' + rng_below(&r, 3));
		most = (unsigned)rng_below(&r, 5);
		want = distance_plain(a, na, b, nb);
		got = lexicon_distance(a, na, b, nb, most);
		wrong += got != (want > most ? most + 1 : want);
	}
	tap_ok(!wrong, "distances are Levenshtein's, bounded: %u of 3000 wrong", wrong);
	tap_ok(lexicon_distance("T Shirt", 7, "t_shirt", 7, 3) == 0, "case and underscores aside");
	tap_ok(lexicon_distance(names[12], 100, names[12], 100, 3) == 4, "long texts are far");
}

static void
test_lexicon(void)
{
	struct lexicon l = all_names(), none = {0};
	const struct lexicon_entry *found;
	char out[300], small[12];
	size_t n, len;

	found = lexicon_find(&l, "zebra", 5, &n);
	tap_ok(found && n == 2 && found[0].number == 7 && found[1].number == 9, "two latents of one name");
	found = lexicon_find(&l, "baby buggy!", 10, &n);
	tap_ok(found && n == 1 && found->number == 11, "a blank for an underscore");
	found = lexicon_find(&l, "a b", 3, &n);
	tap_ok(found && n == 1 && found->number == 16, "the name with a blank where there are both");
	found = lexicon_find(&l, "a_b", 3, &n);
	tap_ok(found && n == 1 && found->number == 15, "and with an underscore");
	tap_ok(!lexicon_find(&l, "zebr", 4, &n) && !n && !lexicon_find(&l, "zebraa", 6, &n) && !lexicon_find(&l, "", 0, &n), "no beginnings, no endings");
	tap_ok(!lexicon_find(&none, "a", 1, &n) && !lexicon_longest(&none, "a", 1, &len, &n), "nothing in nothing");
	found = lexicon_longest(&l, "fire truck - hat", 16, &len, &n);
	tap_ok(found && found->number == 1 && len == 10, "the longest: fire truck");
	found = lexicon_longest(&l, "fire trucks", 11, &len, &n);
	tap_ok(found && found->number == 0 && len == 4, "only whole words: fire");
	found = lexicon_longest(&l, "t-shirt-hat", 11, &len, &n);
	tap_ok(found && found->number == 3 && len == 7, "operators inside a name");
	tap_ok(!strcmp(lexicon_suggest(&l, "zebr", 4, out, sizeof out), "; did you mean zebra or zebu?"), "near:%s", out);
	tap_ok(!strcmp(lexicon_suggest(&l, "EIFFEL TOWER", 12, out, sizeof out), "; did you mean Eiffel Tower?"), "case:%s", out);
	tap_ok(!strcmp(lexicon_suggest(&l, "truck", 5, out, sizeof out), "; did you mean fire truck?"), "part of a name:%s", out);
	tap_ok(!*lexicon_suggest(&l, "hiden", 5, out, sizeof out), "what is silent is not suggested");
	tap_ok(!*lexicon_suggest(&l, "quagmire", 8, out, sizeof out), "nothing near");
	tap_ok(strlen(lexicon_suggest(&l, "zebr", 4, small, sizeof small)) < sizeof small, "cut to size");
	lexicon_free(&l);
}

/* The terms of a text as "1*3 -2*7,9 0.5*#12"; or the error. */
static char *
parsed(const char *text, const struct lexicon *l, bool numbers)
{
	static char out[800];
	struct expression x;
	struct err e = {0};
	size_t at = 0, i, j;

	if (expression_parse(&x, text, l, "concept", numbers, &e)) {
		snprintf(out, sizeof out, "%d %.700s", e.code, e.text);
		return out;
	}
	out[0] = 0;
	for (i = 0; i < x.n && at < 600; i++) {
		at += (size_t)snprintf(out + at, sizeof out - at, "%s%g*", i ? " " : "", x.terms[i].weight);
		if (!x.terms[i].name.entries)
			at += (size_t)snprintf(out + at, sizeof out - at, "#%u", x.terms[i].name.number);
		for (j = 0; j < x.terms[i].name.count; j++)
			at += (size_t)snprintf(out + at, sizeof out - at, "%s%u", j ? "," : "", x.terms[i].name.entries[j].number);
	}
	expression_free(&x);
	return out;
}

static void
test_expressions(void)
{
	static const struct { const char *text, *want; } good[] = {
		{"hat", "1*2"},
		{"  hat\t", "1*2"},
		{"zebra", "1*7,9"},
		{"hat + 2*glasses - zebu", "1*2 2*6 -1*8"},
		{"hat+2 * glasses-zebu", "1*2 2*6 -1*8"},
		{"- hat", "-1*2"},
		{"-.5*hat + 0*hat", "-0.5*2 0*2"},
		{"fire truck", "1*1"},
		{"fire   truck - fire", "1*1 -1*0"},
		{"t-shirt", "1*3"},
		{"t - shirt", "1*4 -1*5"},
		{"t -shirt", "1*4 -1*5"},
		{"'t' -shirt", "1*4 -1*5"},
		{"3*\"fire truck\"+'hat'", "3*1 1*2"},
		{"arctic (type of shoe) - hat", "1*12 -1*2"},
		{"cat's eye + hat", "1*13 1*2"},
		{"'2*4'", "1*14"},
		{"\xc3\xa9toile", "1*18"},
		{"2", "1*10"},
		{"2*2", "2*10"},
		{"#2 + 17 + 3*5", "1*#2 1*#17 3*#5"},
		{"#4294967295", "1*#4294967295"},
	}, bad[] = {
		{"", "64 empty: a concept is needed"},
		{" \t ", "64 empty: a concept is needed"},
		{"zebr", "64 no concept 'zebr'; did you mean zebra or zebu?"},
		{"hat + zebr - t", "64 no concept 'zebr'; did you mean zebra or zebu?"},
		{"hat +", "64 a name is needed, but it ends"},
		{"hat ++ hat", "64 a name is needed at '+ hat'"},
		{"hat hat", "64 no concept 'hat hat'"},
		{"fire hydrant + hat", "64 no concept 'fire hydrant'"},
		{"big fire truc - hat", "64 no concept 'big fire truc'"},
		{"'hat' hat", "64 + or - is needed at 'hat'"},
		{"hat * 2", "64 + or - is needed at '* 2'"},
		{"2*", "64 a name is needed, but it ends"},
		{"*hat", "64 a name is needed at '*hat'"},
		{".*hat", "64 a weight such as 2 or 0.5 is needed before '*' at '.*hat'"},
		{"1.2.3*hat", "64 a weight such as 2 or 0.5 is needed before '*' at '1.2.3*hat'"},
		{"99999999*hat", "64 a weight is beyond a million at '99999999*hat'"},
		{"'hat", "64 a quoted name has no second quote at ''hat'"},
		{"''", "64 no concept ''"},
		{"'#3'", "64 no concept '#3'"},
		{"#", "64 no concept '#'"},
		{"#4294967296", "64 #4294967296: numbers go up to 4294967295"},
		{"\x1b[31m", "64 no concept '\\x1b[31m'"},
	};
	struct lexicon l = all_names(), none = {0};
	char *got, *many = malloc(7000);
	size_t i;

	for (i = 0; i < sizeof good / sizeof *good; i++) {
		got = parsed(good[i].text, &l, true);
		tap_ok(!strcmp(got, good[i].want), "\"%s\": %s", good[i].text, got);
	}
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		got = parsed(bad[i].text, &l, true);
		tap_ok(!strcmp(got, bad[i].want), "bad %zu: %s", i, got);
	}
	tap_ok(!strcmp(parsed("#3", &l, false), "64 no concept '#3'"), "no numbers among words");
	tap_ok(!strcmp(parsed("hat", &none, true), "64 no concept 'hat'"), "no names at all");
	tap_ok(!strcmp(parsed("7", &none, true), "1*#7"), "but numbers");
	memset(many, '7', 7000);
	many[6999] = 0;
	tap_ok(!strncmp(parsed(many, &l, true), "64 too long", 11), "too long");
	many[4000] = 0;
	for (i = 1; i < 4000; i += 2)
		many[i] = '+';
	tap_ok(!strncmp(parsed(many, &l, true), "64 too many names", 17), "too many names");
	free(many);
	lexicon_free(&l);
}

static void
test_meant(void)
{
	static char zebra[] = "zebra", hat[] = "hat";
	struct concept items[] = {
		{.latent = 3, .name = zebra, .valid = true, .score = .5},
		{.latent = 5, .name = hat, .valid = false, .score = .2},
		{.latent = 8, .name = zebra, .valid = true, .score = NAN},
		{.latent = 9, .name = zebra, .valid = false, .score = .9},
		{.latent = 11, .name = hat, .valid = false, .score = .3},
	};
	struct concepts c = {.items = items, .n = 5};
	struct err e = {0};
	struct lexicon l;
	struct meant m;
	uint32_t latents[6];
	size_t n;

	tap_ok(!concepts_lexicon(&c, &l, &e), "a lexicon of concepts");
	tap_ok(!expression_name(&m, "zebra", 5, &l, "concept", true, &e) && !concepts_meant(&c, &m, latents, &n, &e) &&
	       n == 2 && latents[0] == 3 && latents[1] == 8, "all latents that carry a name validly");
	tap_ok(!expression_name(&m, "#5", 2, &l, "concept", true, &e) && !concepts_meant(&c, &m, latents, &n, &e) &&
	       n == 1 && latents[0] == 5, "a latent by its number");
	tap_ok(!expression_name(&m, "hat", 3, &l, "concept", true, &e) && concepts_meant(&c, &m, latents, &n, &e) == CODE_USAGE &&
	       strstr(e.text, "#11"), "no valid one: %s", e.text);
	e = (struct err){0};
	tap_ok(expression_name(&m, "hatt", 4, &l, "concept", true, &e) && !strstr(e.text, "did you mean"), "which is not suggested: %s", e.text);
	lexicon_free(&l);
}

struct pair { double score; uint64_t number; };

static int
best_first(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return x->score != y->score ? (x->score < y->score ? 1 : -1) : (x->number > y->number) - (x->number < y->number);
}

/* Against sorting everything; few different scores, so that ties are common. */
static void
test_best(void)
{
	static const size_t sizes[] = {1, 2, 3, 10, 64, 1000}, limits[] = {1, 2, 7, 64, 2000};
	unsigned wrong = 0, wrong_slots = 0;
	struct pair all[1000], at[2000];
	struct rng r = {0};
	struct err e = {0};
	size_t i, j, t, n, slot, used;

	rng_seed(&r, 2, 0);
	for (i = 0; i < 6; i++)
		for (j = 0; j < 5; j++) {
			struct best b = {.max = limits[j]};

			for (t = 0, used = 0; t < sizes[i]; t++) {
				/* in an order that is not that of the numbers */
				all[t] = (struct pair){(double)rng_below(&r, 20) - 10, t * 7919 % 1009};
				if (!best_takes(&b, all[t].score, all[t].number))
					continue;
				slot = best_put(&b, all[t].score, all[t].number, &e);
				wrong_slots += slot > used || slot >= limits[j];
				used += slot == used;
				at[slot] = all[t];
			}
			best_sort(&b);
			qsort(all, sizes[i], sizeof *all, best_first);
			n = sizes[i] < limits[j] ? sizes[i] : limits[j];
			wrong += b.n != n;
			for (t = 0; t < n && t < b.n; t++) {
				wrong += b.items[t].score != all[t].score || b.items[t].number != all[t].number;
				wrong_slots += at[b.items[t].slot].number != b.items[t].number;
			}
			best_free(&b);
		}
	tap_ok(!wrong, "the best are those that sorting gives, ties by number");
	tap_ok(!wrong_slots, "what belongs to them is in their slots");
	{
		struct best b = {.max = 3}, none = {0};

		tap_ok(!best_takes(&b, NAN, 1) && best_takes(&b, -INFINITY, 1) && !best_takes(&none, 1, 1), "NaN never, no room never");
	}
}

int
main(void)
{
	test_distance();
	test_lexicon();
	test_expressions();
	test_meant();
	test_best();
	return tap_done();
}
