#include "engine/engine.h"

#include "base/mem.h"

enum { PART_RECORDS = 2048 };

struct part {
	const struct raw_record *next;
	const struct raw_record *end;
};

static enum err_code open_part(struct raw_input *input, size_t index, void **ret_part,
			       struct err *err)
{
	const struct raw_list *list = (const struct raw_list *)input;
	struct part *part = xmalloc(sizeof(*part));
	size_t left = list->count - index * PART_RECORDS;

	(void)err;
	part->next = list->records + index * PART_RECORDS;
	part->end = part->next + (left < PART_RECORDS ? left : PART_RECORDS);
	*ret_part = part;
	return ERR_OK;
}

static enum err_code raw_list_next_record(void *p, struct raw_record *ret_record, bool *ret,
					  struct err *err)
{
	struct part *part = p;

	(void)err;
	*ret = part->next < part->end;
	if (*ret)
		*ret_record = *part->next++;
	return ERR_OK;
}

void clean_result_release(struct clean_result *result)
{
	buf_release(&result->stats);
	unknown_fields_release(&result->unknown);
}

void raw_list_init(struct raw_list *list, const struct raw_record *records, size_t count,
		   bool padded,
		   enum err_code (*dead)(struct raw_input *, const struct raw_record *,
					 const char *, struct err *))
{
	*list = (struct raw_list){
		.input = {
			.part_count = (count + PART_RECORDS - 1) / PART_RECORDS,
			.padded = padded,
			.open = open_part,
			.next = raw_list_next_record,
			.close = free,
			.dead = dead,
		},
		.records = records,
		.count = count,
	};
}
