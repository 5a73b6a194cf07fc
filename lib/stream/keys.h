/* CURVE keys of sockets, in files as czmq's zcert writes them: NAME with the
 * public key, NAME_secret (readable by its owner alone) with both. */
#ifndef STREAM_KEYS_H
#define STREAM_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define KEY_TEXT 41 /* Z85, with its NUL */
#define KEY_BYTES 32

struct keyring {
	char public[KEY_TEXT], secret[KEY_TEXT];
	unsigned char (*peers)[KEY_BYTES]; /* who may be at the other side */
	size_t npeers;
};

/* Makes a pair and writes both files; CODE_CANTCREATE when one is there. */
int keys_generate(const char *name, struct err *e);
/* Our own pair, and the public keys of the others: those in the file peers, or
 * in all certificates of the directory peers (NULL: the one our file is in),
 * secret ones and our own left out. CODE_REFUSED when others may read the
 * secret, CODE_DATA when a named file is no certificate. keys_free. */
struct keyring *keys_load(const char *secret, const char *peers, struct err *e);
void keys_free(struct keyring *k);
bool keys_allow(const struct keyring *k, const unsigned char key[KEY_BYTES]);

#endif
