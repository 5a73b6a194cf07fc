#include "files/checkpoint.h"

#include "files/infile.h"
#include "files/modelfile.h"

int
checkpoint_save(const char *path, struct sae *model, const struct tensor *t, size_t n,
                const char *const *meta, struct err *e)
{
	struct st_out out[CHECKPOINT_MAX_TENSORS];
	size_t i;

	if (n > CHECKPOINT_MAX_TENSORS)
		return err_set(e, CODE_BUG, "%s: %zu tensors are too many for a checkpoint", path, n);
	for (i = 0; i < n; i++)
		out[i] = (struct st_out){t[i].name, t[i].dtype, t[i].cols > 1 ? 2 : 1, {t[i].rows, t[i].cols}, t[i].data};
	return model_save_with(model, path, meta, out, n, e);
}

int
checkpoint_open(struct checkpoint *c, const char *path, struct err *e)
{
	if (st_open_as(&c->file, path, "a checkpoint", e))
		return e->code;
	if (st_meta(&c->file, "checkpoint"))
		return 0;
	err_set(e, CODE_DATA, "%s: is a model, not a checkpoint of sae-train; to start from it say --init", path);
	checkpoint_close(c);
	return e->code;
}

const char *
checkpoint_meta(const struct checkpoint *c, const char *key, struct err *e)
{
	const char *value = st_meta(&c->file, key);

	if (!value)
		err_set(e, CODE_DATA, "%s: metadata %s is missing", c->file.path, key);
	return value;
}

static int
restore(const struct checkpoint *c, const struct tensor *want, struct err *e)
{
	const struct st_tensor *t = st_find(&c->file, want->name);
	size_t bad;

	if (!t)
		return err_set(e, CODE_DATA, "%s: tensor %s is missing", c->file.path, want->name);
	if (t->dtype != want->dtype || t->ndim != (want->cols > 1 ? 2 : 1) || t->shape[0] != want->rows ||
	    (t->ndim == 2 && t->shape[1] != want->cols))
		return err_set(e, CODE_DATA, "%s: tensor %s is not of the shape [%zu,%zu] that this run has",
		               c->file.path, want->name, want->rows, want->cols);
	if (st_read_raw(&c->file, t, want->data, e))
		return e->code;
	bad = t->dtype == DT_F4 ? f32_nonfinite(want->data, want->rows * want->cols) : 0;
	return bad ? err_set(e, CODE_DATA, "%s: tensor %s holds %zu values that are NaN or infinite", c->file.path, want->name, bad) : 0;
}

int
checkpoint_restore(const struct checkpoint *c, const struct tensor *t, size_t n, struct err *e)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (restore(c, &t[i], e))
			return e->code;
	return 0;
}

void
checkpoint_close(struct checkpoint *c)
{
	st_close(&c->file);
}
