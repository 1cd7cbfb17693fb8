#include "source/source.h"

#include <assert.h>

const char *const source_table_name[SOURCE_TABLES] = { "pin", "geo", "user" };

enum err_code source_want(struct source *source, enum source_by by, const uint64_t *numbers,
			  size_t count, struct err *err)
{
	assert(count <= SOURCE_WANT_MAX);
	return count ? source->ops->want(source, by, numbers, count, err) : ERR_OK;
}

enum err_code source_want_nothing(struct source *source, enum source_by by,
				  const uint64_t *numbers, size_t count, struct err *err)
{
	(void)source;
	(void)by;
	(void)numbers;
	(void)count;
	(void)err;
	return ERR_OK;
}

bool source_always_ready(struct source *source, enum source_by by, uint64_t number, int64_t wait_ms)
{
	(void)source;
	(void)by;
	(void)number;
	(void)wait_ms;
	return true;
}
