#include "files/checkpoint.h"

#include "files/modelfile.h"
#include "files/slots.h"

int
checkpoint_save(const char *path, struct sae *model, const struct tensor *t, size_t n,
                const char *const *meta, struct err *e)
{
	struct st_out out[CHECKPOINT_MAX_TENSORS];
	size_t i;

	if (n > CHECKPOINT_MAX_TENSORS)
		return err_set(e, CODE_BUG, "%s: %zu tensors are too many for a checkpoint", path, n);
	for (i = 0; i < n; i++)
		out[i] = tensor_out(&t[i]);
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

int
checkpoint_restore(const struct checkpoint *c, const struct tensor *t, size_t n, struct err *e)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (tensor_read(&c->file, &t[i], e))
			return e->code;
	return 0;
}

void
checkpoint_close(struct checkpoint *c)
{
	st_close(&c->file);
}
