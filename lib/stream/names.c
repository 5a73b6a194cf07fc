#include "stream/names.h"

#include <math.h>

int
names_begin(struct buf *b, size_t n, struct err *e)
{
	return mp_put_array(b, n, e);
}

static int
add_real(struct buf *b, const char *key, double v, struct err *e)
{
	return isfinite(v) ? mp_put_str(b, key, e) || mp_put_double(b, v, e) : 0;
}

int
names_add(struct buf *b, const struct name *name, struct err *e)
{
	size_t keys = 3 + !!isfinite(name->score) + !!isfinite(name->ratio);

	if (mp_put_map(b, keys, e) || mp_put_str(b, "latent", e) || mp_put_uint(b, name->latent, e) ||
	    mp_put_str(b, "name", e) || mp_put_strn(b, name->text, name->n, e) ||
	    mp_put_str(b, "valid", e) || mp_put_bool(b, name->valid, e) ||
	    add_real(b, "score", name->score, e) || add_real(b, "ratio", name->ratio, e))
		return e->code;
	return 0;
}

/* A number that may be missing, or of no use: then NaN. */
static double
real_of(struct mp m, const char *key)
{
	struct mp_token t;
	struct mp at;

	if (!mp_find(m, key, &at) || !mp_next(&at, &t))
		return NAN;
	if (t.kind == MP_UINT)
		return (double)t.n;
	if (t.kind == MP_INT)
		return (double)t.i;
	return t.kind == MP_FLOAT && isfinite(t.f) ? t.f : NAN;
}

int
names_each(const struct head *h, void (*each)(void *arg, const struct name *name), void *arg, struct err *e)
{
	struct mp list, m, at;
	struct mp_token t;
	struct name name;
	uint64_t n, i, latent;

	if (!head_get(h, "concepts", &list))
		return 0;
	if (!mp_array(&list, &n))
		return err_set(e, CODE_DATA, "head: concepts is no list");
	for (i = 0; i < n; i++) {
		m = list;
		if (!mp_skip(&list) || !mp_find(m, "latent", &at) || !mp_uint(&at, &latent) || latent > UINT32_MAX ||
		    !mp_find(m, "name", &at) || !mp_str(&at, &name.text, &name.n))
			return err_set(e, CODE_DATA, "head: concept %llu needs latent and name", (unsigned long long)i);
		name.latent = (uint32_t)latent;
		name.valid = !mp_find(m, "valid", &at) || (mp_next(&at, &t) && t.kind == MP_BOOL && t.n);
		name.score = real_of(m, "score");
		name.ratio = real_of(m, "ratio");
		each(arg, &name);
	}
	return 0;
}
