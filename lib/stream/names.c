#include "stream/names.h"

#include <math.h>

int
names_begin(struct buf *b, size_t n, struct err *e)
{
	return mp_put_array(b, n, e);
}

int
names_add(struct buf *b, uint32_t latent, const char *name, bool valid, double score, struct err *e)
{
	if (mp_put_map(b, isnan(score) ? 3 : 4, e) || mp_put_str(b, "latent", e) || mp_put_uint(b, latent, e) ||
	    mp_put_str(b, "name", e) || mp_put_str(b, name, e) || mp_put_str(b, "valid", e) || mp_put_bool(b, valid, e))
		return e->code;
	return isnan(score) ? 0 : mp_put_str(b, "score", e) || mp_put_double(b, score, e);
}

int
names_each(const struct head *h, void (*each)(void *arg, uint32_t latent, const char *name, size_t n, bool valid), void *arg, struct err *e)
{
	struct mp list, m, at;
	struct mp_token t;
	uint64_t n, i, latent;
	const char *s;
	size_t len;

	if (!head_get(h, "concepts", &list))
		return 0;
	if (!mp_array(&list, &n))
		return err_set(e, CODE_DATA, "head: concepts is no list");
	for (i = 0; i < n; i++) {
		m = list;
		if (!mp_skip(&list) || !mp_find(m, "latent", &at) || !mp_uint(&at, &latent) || latent > UINT32_MAX ||
		    !mp_find(m, "name", &at) || !mp_str(&at, &s, &len))
			return err_set(e, CODE_DATA, "head: concept %llu needs latent and name", (unsigned long long)i);
		each(arg, (uint32_t)latent, s, len, !mp_find(m, "valid", &at) || (mp_next(&at, &t) && t.kind == MP_BOOL && t.n));
	}
	return 0;
}
