#include "files/jsonin.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "files/infile.h"

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

static int
load_open(int fd, uint64_t size, const char *what, uint64_t max_bytes, unsigned max_depth, size_t max_values, json_t **out, struct err *e)
{
	char *text, looks[160];

	if (size > max_bytes)
		return err_set(e, CODE_DATA, "%llu bytes are too many for %s: at most %llu are accepted",
		               (unsigned long long)size, what, (unsigned long long)max_bytes);
	text = malloc((size_t)size + 1);
	if (!text)
		return err_memory(e, what, size);
	if (!infile_read_at(fd, text, (size_t)size, 0, e)) {
		/* a better word than "not valid JSON" for what is often given instead */
		if (infile_sniff((const unsigned char *)text, (size_t)size, looks, sizeof looks) || !size)
			err_set(e, CODE_DATA, "not %s: %s", what, looks);
		else if (jsonin_parse(text, (size_t)size, max_depth, max_values, out, e))
			err_add(e, "not %s", what);
	}
	free(text);
	return e->code;
}

int
jsonin_load(const char *path, const char *what, uint64_t max_bytes, unsigned max_depth, size_t max_values, json_t **out, struct err *e)
{
	uint64_t size;
	int fd;

	*out = NULL;
	if (infile_open(path, &fd, &size, e))
		return infile_blame(e, path);
	e->code = 0;
	if (load_open(fd, size, what, max_bytes, max_depth, max_values, out, e))
		infile_blame(e, path);
	close(fd);
	return e->code;
}
