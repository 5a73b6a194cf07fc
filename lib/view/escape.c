#include "view/private.h"

static bool
control(unsigned char c)
{
	return (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
}

void
view_escaped(FILE *to, const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '<': fputs("&lt;", to); break;
		case '>': fputs("&gt;", to); break;
		case '&': fputs("&amp;", to); break;
		case '"': fputs("&quot;", to); break;
		case '\'': fputs("&#39;", to); break;
		default:
			if (control((unsigned char)*s))
				fprintf(to, "\\x%02x", (unsigned char)*s);
			else
				putc(*s, to);
		}
}

/* < too: neither </script> nor <!-- may stand in a script element. */
void
view_json(FILE *to, const char *s)
{
	putc('"', to);
	for (; *s; s++)
		if (*s == '"' || *s == '\\')
			fprintf(to, "\\%c", *s);
		else if (*s == '<' || *s == '>' || *s == '&' || *s == '\t' || *s == '\n')
			fprintf(to, "\\u%04x", (unsigned char)*s);
		else if (control((unsigned char)*s))
			fprintf(to, "\\\\x%02x", (unsigned char)*s);
		else
			putc(*s, to);
	putc('"', to);
}
