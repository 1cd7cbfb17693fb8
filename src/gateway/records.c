#include "gateway/records.h"

#include "base/mem.h"

#include <assert.h>

enum { COUNT_KEPT = 1024, BYTES_KEPT = 1 << 20 };

void records_init(struct records *records, size_t bytes_max)
{
	*records = (struct records){ .count = 0 };
	buf_init(&records->bytes, bytes_max);
}

void records_release(struct records *records)
{
	free(records->at);
	buf_release(&records->bytes);
}

void records_begin(struct records *records, size_t count, size_t bytes_max)
{
	if (count > records->room || (records->room > COUNT_KEPT && count <= COUNT_KEPT)) {
		records->room = count > COUNT_KEPT ? count : COUNT_KEPT;
		free(records->at);
		records->at = xreallocarray(NULL, records->room, sizeof(*records->at));
	}
	if (records->bytes.cap > BYTES_KEPT && bytes_max <= BYTES_KEPT)
		buf_release(&records->bytes);
	records->count = 0;
	buf_clear(&records->bytes);
	(void)buf_room(&records->bytes, bytes_max);
}

void records_add(struct records *records, struct append_record record)
{
	assert(records->count < records->room);
	records->at[records->count++] = record;
}
