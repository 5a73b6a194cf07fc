#include "files/jsonin.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

/* Counts what the parser would have to build. Text that is no JSON may be
 * counted wrongly; the parser refuses it anyway, and recursion and memory stay
 * bounded since it stops at the first fault. */
static int
check_bounds(const char *text, size_t n, unsigned max_depth, size_t max_values, struct err *e)
{
	bool in_string = false;
	unsigned depth = 0;
	size_t values = 1, i;

	for (i = 0; i < n; i++) {
		if (in_string) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				in_string = false;
			continue;
		}
		switch (text[i]) {
		case '"': in_string = true; break;
		case '[': case '{':
			if (++depth > max_depth)
				return err_set(e, CODE_DATA, "JSON nested deeper than %u at byte %zu", max_depth, i);
			values++;
			break;
		case ']': case '}': depth -= depth > 0; break;
		case ',': case ':': values++; break;
		}
		if (values > max_values)
			return err_set(e, CODE_DATA, "JSON with more than %zu values", max_values);
	}
	return 0;
}

int
jsonin_parse(const char *text, size_t n, unsigned max_depth, size_t max_values, json_t **out, struct err *e)
{
	char shown[2 * JSON_ERROR_TEXT_LENGTH];
	json_error_t je;

	if (check_bounds(text, n, max_depth, max_values, e))
		return e->code;
	errno = 0; /* the parser may call a failed malloc a fault of the text */
	*out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
	if (*out)
		return 0;
	if (errno == ENOMEM)
		return err_memory(e, "JSON", n);
	/* the parser's text quotes the input */
	text_printable(shown, sizeof shown, je.text, strlen(je.text));
	return err_set(e, CODE_DATA, "not valid JSON at line %d, byte %d: %s", je.line, je.position, shown);
}
