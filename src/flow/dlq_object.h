/*
 * dlq_object.h - the letters in one object, as struct dlq_entry; the parts of dlq*.c to each other.
 *
 * Threads: one at a time a reader.
 */
#ifndef FLOW_DLQ_OBJECT_H
#define FLOW_DLQ_OBJECT_H

#include "base/json.h"
#include "flow/dlq.h"

enum {
	DLQ_OBJECT_BYTES_MAX = 32 << 20, /* one letter of the largest record fits */
	DLQ_OBJECT_LETTERS_MAX = 100000,
	DLQ_KEY_MAX = STORE_KEY_MAX + 1,
};

struct dlq_reader {
	struct store *store;
	struct json_parser *parser;
	struct buf body; /* of the object being read */
	struct buf value;
};

void dlq_reader_init(struct dlq_reader *reader, struct store *store);
void dlq_reader_release(struct dlq_reader *reader);

/*
 * Calls `each` for the letters of an object until it returns false. An object that is not there any
 * more has none. ERR_CORRUPT: a line is no letter. Entries live during the call.
 */
MUST_USE enum err_code dlq_reader_each(struct dlq_reader *reader, const char *key,
				       bool (*each)(void *user, const struct dlq_entry *entry),
				       void *user, struct err *err);
/* Of one whose text is `body`. */
MUST_USE enum err_code dlq_reader_each_of(struct dlq_reader *reader, const char *key,
					  struct slice body,
					  bool (*each)(void *user, const struct dlq_entry *entry),
					  void *user, struct err *err);
/* The text of an object; none if it is not there any more. Any thread may. */
MUST_USE enum err_code dlq_get(struct store *store, const char *key, struct buf *body,
			       struct err *err);

struct dlq_place dlq_place_of(const struct dlq_source *source);

/* Whether a letter is of this source. One that names no table is older than tables were named: then
 * its stage tells enough. */
bool dlq_entry_is_of(const struct dlq_entry *entry, const struct dlq_source *source);

/* Keys that were listed. */
struct dlq_listed {
	char *text;
	struct dlq_key key; /* parts of the text */
	uint64_t size;
	int64_t modified_ms;
	struct buf body; /* while it is being read */
	bool known;   /* it is the name of an object of letters */
	bool crowded; /* another object of its source may hold the same letters */
};

struct dlq_listing {
	struct dlq_listed *at;
	size_t count;
	size_t room;
};

void dlq_list_add(struct dlq_listing *list, const struct store_entry *entry);
void dlq_list_clear(struct dlq_listing *list);
void dlq_list_release(struct dlq_listing *list);

#endif
