#include "stream/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "base/io.h"
#include "base/text.h"

#define FILE_MOST 4096 /* of a certificate */
#define PEERS_MOST 65536
#define Z85 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

/* ---- one file ---- */

static bool
key_valid(const char *s, size_t n)
{
	unsigned char raw[KEY_BYTES];
	char text[KEY_TEXT];

	if (n != KEY_TEXT - 1)
		return false;
	memcpy(text, s, n);
	text[n] = 0;
	return strspn(text, Z85) == n && zmq_z85_decode(raw, text);
}

/* The value of a line like `    name = "value"`, which is a key. */
static bool
key_of_line(const char *line, size_t n, const char *name, char key[KEY_TEXT])
{
	const char *end = line + n, *p = line;

	for (; p < end && (*p == ' ' || *p == '\t'); p++)
		;
	if (p == line || (size_t)(end - p) < strlen(name) || memcmp(p, name, strlen(name)))
		return false;
	for (p += strlen(name); p < end && (*p == ' ' || *p == '\t'); p++)
		;
	if (p == end || *p++ != '=')
		return false;
	for (; p < end && (*p == ' ' || *p == '\t'); p++)
		;
	if (p < end && (*p == '"' || *p == '\''))
		p++;
	if (end - p < KEY_TEXT - 1 || !key_valid(p, KEY_TEXT - 1))
		return false;
	memcpy(key, p, KEY_TEXT - 1);
	key[KEY_TEXT - 1] = 0;
	return true;
}

/* Keys of a certificate's curve section; "" where it has none. */
static void
read_text(const char *s, size_t n, char public[KEY_TEXT], char secret[KEY_TEXT])
{
	const char *end = s + n, *line = s, *next;
	bool curve = false;
	size_t len;

	public[0] = secret[0] = 0;
	for (; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		len = (size_t)((next ? next : end) - line);
		next = next ? next + 1 : end;
		if (len && line[len - 1] == '\r')
			len--;
		if (len && *line != ' ' && *line != '\t' && *line != '#')
			curve = len >= 5 && !memcmp(line, "curve", 5) && strspn(line + 5, " \t") >= len - 5;
		else if (curve)
			(void)(key_of_line(line, len, "public-key", public) || key_of_line(line, len, "secret-key", secret));
	}
}

/* st tells of the file read. */
static int
read_file(const char *path, char public[KEY_TEXT], char secret[KEY_TEXT], struct stat *st, struct err *e)
{
	char text[FILE_MOST];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = -1;

	if (fd >= 0 && !fstat(fd, st) && S_ISREG(st->st_mode))
		n = io_read_full(fd, text, sizeof text);
	else if (fd >= 0)
		errno = EINVAL;
	if (n < 0)
		err_sys(e, CODE_NOINPUT, "%s: cannot read", path);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return e->code;
	read_text(text, (size_t)n, public, secret);
	memset(text, 0, sizeof text);
	return 0;
}

/* ---- making ---- */

static int
write_file(const char *path, mode_t mode, const char *kind, const char *public, const char *secret, struct err *e)
{
	char text[600];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode), n;

	if (fd < 0)
		return err_sys(e, CODE_CANTCREATE, "%s: cannot create", path);
	n = snprintf(text, sizeof text, "#   ZeroMQ CURVE %s certificate, made by msae keygen\n\nmetadata\ncurve\n    public-key = \"%s\"\n%s%s%s", kind, public,
	             *secret ? "    secret-key = \"" : "", secret, *secret ? "\"\n" : "");
	if (io_write_all(fd, text, (size_t)n) || fsync(fd))
		err_sys(e, CODE_IO, "%s: cannot write", path);
	if (close(fd) && !e->code)
		err_sys(e, CODE_IO, "%s: cannot write", path);
	if (e->code)
		unlink(path);
	memset(text, 0, sizeof text);
	return e->code;
}

int
keys_generate(const char *name, struct err *e)
{
	char public[KEY_TEXT], secret[KEY_TEXT], path[PATH_MAX];

	if (!*name || strlen(name) + 8 > sizeof path)
		return err_set(e, CODE_USAGE, "a name for the files is needed");
	if (zmq_curve_keypair(public, secret))
		return err_set(e, CODE_UNAVAILABLE, "this libzmq has no CURVE");
	snprintf(path, sizeof path, "%s_secret", name);
	if (write_file(path, 0600, "secret", public, secret, e) || !write_file(name, 0644, "public", public, "", e)) {
		memset(secret, 0, sizeof secret);
		return e->code;
	}
	unlink(path);
	memset(secret, 0, sizeof secret);
	return e->code;
}

/* ---- loading ---- */

static int
add_peer(struct keyring *k, const char *public, struct err *e)
{
	void *grown;

	if (!strcmp(public, k->public))
		return 0;
	if (k->npeers == PEERS_MOST)
		return err_set(e, CODE_DATA, "--peers: more than %d keys", PEERS_MOST);
	grown = realloc(k->peers, (k->npeers + 1) * sizeof *k->peers);
	if (!grown)
		return err_memory(e, "keys", (k->npeers + 1) * sizeof *k->peers);
	k->peers = grown;
	zmq_z85_decode(k->peers[k->npeers++], public);
	return 0;
}

static bool
ends_in_secret(const char *name)
{
	size_t n = strlen(name);

	return n >= 7 && !strcmp(name + n - 7, "_secret");
}

/* What is no certificate may lie there too. */
static int
add_directory(struct keyring *k, const char *path, DIR *dir, struct err *e)
{
	char file[PATH_MAX + 300], public[KEY_TEXT], secret[KEY_TEXT];
	struct err ignored = {0};
	struct dirent *d;
	struct stat st;

	while (!e->code && (d = readdir(dir))) {
		if (*d->d_name == '.' || ends_in_secret(d->d_name))
			continue;
		snprintf(file, sizeof file, "%s/%s", path, d->d_name);
		if (!read_file(file, public, secret, &st, &ignored) && *public)
			add_peer(k, public, e);
	}
	memset(secret, 0, sizeof secret);
	return e->code;
}

static int
load_peers(struct keyring *k, const char *path, struct err *e)
{
	char public[KEY_TEXT], secret[KEY_TEXT];
	DIR *dir = opendir(path);
	struct stat st;

	if (dir) {
		add_directory(k, path, dir, e);
		closedir(dir);
	} else if (!read_file(path, public, secret, &st, e)) {
		if (!*public)
			err_set(e, CODE_DATA, "%s: holds no public key", path);
		else
			add_peer(k, public, e);
		memset(secret, 0, sizeof secret);
	}
	return e->code;
}

static int
load_own(struct keyring *k, const char *path, struct err *e)
{
	char public[KEY_TEXT];
	struct stat st;

	if (read_file(path, k->public, k->secret, &st, e))
		return e->code;
	if (!*k->public || !*k->secret)
		return err_set(e, CODE_DATA, "%s: holds no secret key; make one with: msae keygen NAME", path);
	if (st.st_mode & 077)
		return err_set(e, CODE_REFUSED, "%s: refused: others may read this secret; chmod 600 it, and if they may have, make a new one", path);
	if (zmq_curve_public(public, k->secret) || strcmp(public, k->public))
		return err_set(e, CODE_DATA, "%s: its two keys do not belong together", path);
	return 0;
}

struct keyring *
keys_load(const char *secret, const char *peers, struct err *e)
{
	struct keyring *k = calloc(1, sizeof *k);
	char beside[PATH_MAX];
	const char *slash;

	if (!k) {
		err_memory(e, "keys", sizeof *k);
		return NULL;
	}
	slash = strrchr(secret, '/');
	snprintf(beside, sizeof beside, "%.*s", slash ? (int)(slash - secret) + 1 : 1, slash ? secret : ".");
	if (load_own(k, secret, e) || load_peers(k, peers ? peers : beside, e)) {
		keys_free(k);
		return NULL;
	}
	return k;
}

void
keys_free(struct keyring *k)
{
	if (!k)
		return;
	memset(k->secret, 0, sizeof k->secret);
	free(k->peers);
	free(k);
}

bool
keys_allow(const struct keyring *k, const unsigned char key[KEY_BYTES])
{
	size_t i;

	for (i = 0; i < k->npeers; i++)
		if (!memcmp(k->peers[i], key, KEY_BYTES))
			return true;
	return false;
}
