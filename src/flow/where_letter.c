/* The letters that tell of a record. */
#include "base/mem.h"
#include "flow/dlq_object.h"
#include "flow/where.h"

#include <string.h>

/* While they are looked for. */
struct where_search {
	const struct where_record *record;
	struct replayed *replayed;
	struct dlq_listing objects; /* that may have one */
	const char *key;	    /* of the one that is read */
	struct where_letters letters;
};

static bool where_object_may(const struct dlq_key *key, const struct where_record *record)
{
	char partition[PARTITION_TEXT_MAX];

	(void)partition_text(record->topic.kind, record->where.id, partition);
	return slice_is(key->partition, partition) &&
	       (key->old || (dlq_range_is_before(&key->range, record->position) &&
			     position_cmp(record->position, key->range.upto) <= 0));
}

static bool where_note_object(void *user, const struct store_entry *entry)
{
	struct where_search *search = user;
	struct dlq_key key;

	if (dlq_key_parse(entry->key, &key) && where_object_may(&key, search->record))
		dlq_list_add(&search->objects, entry);
	return true;
}

static char *copy_of(struct slice text) { return text.ptr ? xstrndup(text.ptr, text.len) : NULL; }

static bool letter_is_same(const char *text, struct slice other)
{
	return text ? other.ptr && slice_is(other, text) : !other.ptr;
}

/* Another object of its source may hold the same letter. */
static bool where_has(const struct where_letters *letters, const struct dlq_entry *entry)
{
	for (size_t i = 0; i < letters->count; i++)
		if (letter_is_same(letters->list[i].stage, entry->stage) &&
		    letter_is_same(letters->list[i].table, entry->table))
			return true;
	return false;
}

static bool where_note_letter(void *user, const struct dlq_entry *entry)
{
	struct where_search *search = user;
	const struct where_record *record = search->record;
	struct where_letters *letters = &search->letters;
	bool its = record->topic.kind == TOPIC_STREAM ||
		   entry->generation == record->where.generation;

	if (!entry->placed || !its || position_cmp(record->position, entry->position) < 0 ||
	    position_cmp(record->position, entry->last_position) > 0 || where_has(letters, entry))
		return true;
	letters->list = xreallocarray(letters->list, letters->count + 1, sizeof(*letters->list));
	letters->list[letters->count++] = (struct where_letter){
		.stage = copy_of(entry->stage),
		.table = copy_of(entry->table),
		.reason = copy_of(entry->reason),
		.key = xstrdup(search->key),
		.done = entry->table.ptr &&
			replayed_has(search->replayed, entry->topic, entry->table, entry->partition,
				     entry->offset),
	};
	return true;
}

static enum err_code where_read_objects(struct where_search *search, struct store *store,
					struct err *err)
{
	enum err_code code = ERR_OK;
	struct dlq_reader reader;

	if (search->objects.count == 0)
		return ERR_OK;
	code = replayed_load(store, search->record->topic.name, NULL, NULL, &search->replayed, err);
	if (code != ERR_OK)
		return code;
	dlq_reader_init(&reader, store);
	for (size_t i = 0; i < search->objects.count && code == ERR_OK; i++) {
		search->key = search->objects.at[i].text;
		code = dlq_reader_each(&reader, search->key, where_note_letter, search, err);
	}
	dlq_reader_release(&reader);
	replayed_free(search->replayed);
	return code;
}

enum err_code where_letters_find(struct store *store, const struct where_record *record,
				 struct where_letters *ret_letters, struct err *err)
{
	struct where_search search = { .record = record };
	const struct dlq_place place = { record->topic, record->where.generation,
					 record->where.id };
	enum err_code code;
	struct buf dir;

	buf_init(&dir, DLQ_KEY_MAX);
	if (record->topic.kind == TOPIC_LOG)
		dlq_key_dir(&dir, &place);
	else /* of whatever generation each table has it in */
		buf_addf(&dir, "dlq/%s/", record->topic.name);
	code = store_list(store, buf_cstr(&dir), "", where_note_object, &search, err);
	if (code == ERR_OK)
		code = where_read_objects(&search, store, err);
	dlq_list_release(&search.objects);
	buf_release(&dir);
	if (code == ERR_OK)
		*ret_letters = search.letters;
	else
		where_letters_release(&search.letters);
	return code;
}

void where_letters_release(struct where_letters *letters)
{
	for (size_t i = 0; i < letters->count; i++) {
		struct where_letter *letter = &letters->list[i];

		free(letter->stage);
		free(letter->table);
		free(letter->reason);
		free(letter->key);
	}
	free(letters->list);
	*letters = (struct where_letters){ 0 };
}

const struct where_letter *where_letters_of(const struct where_letters *letters,
					    const struct lake_table *table, bool done)
{
	for (size_t i = 0; i < letters->count; i++) {
		const struct where_letter *letter = &letters->list[i];
		bool sinks = strcmp(letter->stage, "sink") == 0;
		bool its = table && !sinks &&
			   (letter->table ? strcmp(letter->table, table->model->model.name) == 0
					  : lake_table_leads(table));

		if (letter->done == done && (table ? its : sinks))
			return letter;
	}
	return NULL;
}
