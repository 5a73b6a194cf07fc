#include "stream/zaddress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

static int
malformed(const char *endpoint, const char *why, struct err *e)
{
	char text[256];

	text_printable(text, sizeof text, endpoint, strlen(endpoint));
	return err_set(e, CODE_USAGE, "%s: %s; connect to an address like tcp://127.0.0.1:5555 or ipc:///tmp/msae.sock, "
	               "bind one with @ in front: @tcp://:5555", text, why);
}

static bool
port_valid(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && n <= 5 && !s[n] && atoi(s) > 0 && atoi(s) <= 65535;
}

static bool
host_is_v6(struct zaddress *a, const char *host)
{
	struct in6_addr ip;
	char bare[INET6_ADDRSTRLEN + 1];
	size_t n = strcspn(host, "%"); /* the zone of a link-local one */

	if (n >= sizeof bare || strspn(host + n, "%0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-") != strlen(host + n))
		return false;
	memcpy(bare, host, n);
	bare[n] = 0;
	if (inet_pton(AF_INET6, bare, &ip) != 1)
		return false;
	a->v6 = true;
	a->local = IN6_IS_ADDR_LOOPBACK(&ip);
	return true;
}

/* A name, an IPv4 address or "*". What is made of digits and dots must be an
 * address in full: resolvers read 127.1 and 0177.0.0.1 as they please. */
static bool
host_is_v4_or_name(struct zaddress *a, const char *host)
{
	struct in_addr ip;

	if (inet_pton(AF_INET, host, &ip) == 1) {
		a->local = ntohl(ip.s_addr) >> 24 == 127;
		return true;
	}
	if (!strcmp(host, "*"))
		return true;
	return host[strspn(host, "0123456789.")] &&
	       !host[strspn(host, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_")];
}

static int
parse_tcp(struct zaddress *a, const char *endpoint, const char *rest, struct err *e)
{
	const char *colon = strrchr(rest, ':');
	char host[256];
	size_t n;

	if (!colon || !port_valid(colon + 1))
		return malformed(endpoint, "it needs a port from 1 to 65535", e);
	n = (size_t)(colon - rest);
	if (n >= 2 && rest[0] == '[' && rest[n - 1] == ']') {
		rest++;
		n -= 2;
	}
	if (n >= sizeof host)
		return malformed(endpoint, "the host name is too long", e);
	memcpy(host, rest, n);
	host[n] = 0;
	/* libzmq binds to no name, not even this one */
	if (!*host || !strcasecmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	if (!(strchr(host, ':') ? host_is_v6(a, host) : host_is_v4_or_name(a, host)))
		return malformed(endpoint, "there is no such host", e);
	snprintf(a->text, sizeof a->text, a->v6 ? "tcp://[%s]%s" : "tcp://%s%s", host, colon);
	return 0;
}

static int
parse_ipc(struct zaddress *a, const char *endpoint, const char *path, struct err *e)
{
	if (!*path || !strcmp(path, "*") || *path == '@')
		return malformed(endpoint, "it needs the path of a socket", e);
	if (strlen(path) >= sizeof a->path)
		return malformed(endpoint, "the path is longer than a socket's may be", e);
	strcpy(a->path, path);
	snprintf(a->text, sizeof a->text, "ipc://%s", path);
	a->local = true;
	return 0;
}

int
zaddress_parse(struct zaddress *a, const char *endpoint, struct err *e)
{
	const char *p = endpoint;

	*a = (struct zaddress){.bound = *p == '@'};
	p += a->bound;
	if (!strncmp(p, "tcp://", 6))
		return parse_tcp(a, endpoint, p + 6, e);
	if (!strncmp(p, "ipc://", 6))
		return parse_ipc(a, endpoint, p + 6, e);
	return malformed(endpoint, "it is no socket address", e);
}

int
zaddress_check(const struct zaddress *a, const char *endpoint, bool allowed, struct err *e)
{
	char name[256];

	text_printable(name, sizeof name, a->text, strlen(a->text));
	if (!a->local && !allowed)
		return err_set(e, CODE_REFUSED, "%s: refused: the link would be unprotected, anyone on the network could read it and write to it; "
		               "give it --keys, lead a tunnel to 127.0.0.1, or allow it with --insecure", name);
	if (!a->bound && !strncmp(a->text, "tcp://*", 7))
		return malformed(endpoint, "* can be bound, not connected to", e);
	return 0;
}
