#include "farm/message.h"

#include <string.h>

static void
put_u64(unsigned char *p, uint64_t v)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t
get_u64(const unsigned char *p)
{
	uint64_t v = 0;
	unsigned i;

	for (i = 8; i--;)
		v = v << 8 | p[i];
	return v;
}

void
message_header(unsigned char *p, const struct message *m)
{
	memcpy(p, "msf1", 4);
	memset(p + 4, 0, 4);
	p[4] = (unsigned char)m->type;
	put_u64(p + 8, m->run);
	put_u64(p + 16, m->number);
	put_u64(p + 24, m->extra);
}

bool
message_read(struct message *m, const unsigned char *p, size_t n)
{
	if (n < MESSAGE_HEADER || memcmp(p, "msf1", 4) || p[5] || p[6] || p[7])
		return false;
	if (!(p[4] >= MESSAGE_READY && p[4] <= MESSAGE_BYE) && !(p[4] >= MESSAGE_WELCOME && p[4] <= MESSAGE_END))
		return false;
	m->type = p[4];
	m->run = get_u64(p + 8);
	m->number = get_u64(p + 16);
	m->extra = get_u64(p + 24);
	m->body = p + MESSAGE_HEADER;
	m->size = n - MESSAGE_HEADER;
	return true;
}

void
message_counts(unsigned char *p, const struct message_counts *c)
{
	put_u64(p, c->frames);
	put_u64(p + 8, c->rows);
	put_u64(p + 16, c->sum);
}

void
message_read_counts(struct message_counts *c, const unsigned char *p)
{
	c->frames = get_u64(p);
	c->rows = get_u64(p + 8);
	c->sum = get_u64(p + 16);
}

int
message_pack(struct parcel *p, const struct message *m, struct err *e)
{
	if (parcel_new(p, MESSAGE_HEADER + m->size, e))
		return e->code;
	message_header(parcel_data(p), m);
	if (m->size)
		memcpy(parcel_data(p) + MESSAGE_HEADER, m->body, m->size);
	return 0;
}
