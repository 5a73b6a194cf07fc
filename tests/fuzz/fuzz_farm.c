/* What a farm hears from anybody, and what a journal and a certificate may hold. */
#include "memfile.h"

#include "base/mem.h"
#include "farm/answer.h"
#include "farm/ends.h"
#include "farm/journal.h"
#include "farm/message.h"
#include "stream/keys.h"

static void
hear(const uint8_t *data, size_t size)
{
	struct answer a = {0}, head = {0};
	struct err e = {0};
	struct message m;
	uint64_t print;

	if (!message_read(&m, data, size))
		return;
	if (m.type == MESSAGE_DONE)
		(void)answer_read(&a, m.body, m.size, &e);
	else if (m.type == MESSAGE_HEAD_MADE && !answer_add(&head, m.body, m.size, &e))
		(void)head_print(head.bytes.data, m.size, &print, &e);
	answer_free(&a);
	answer_free(&head);
}

static void
resume(const char *path)
{
	struct answer a = {0};
	struct err e = {0};
	struct journal *j = journal_open(path, 1 << 20, &e);
	uint64_t job;

	for (job = 0; j && job < 100 && journal_next(j, job, job, &a, &e) > 0; job++)
		;
	answer_free(&a);
	journal_close(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = {0};
	char path[64];
	int fd;

	hear(data, size);
	if (size < 2)
		return 0;
	fd = memfile(data, size, path);
	keys_free(keys_load(path, path, &e));
	resume(path);
	close(fd);
	return 0;
}
