#include "flow/dlq.h"

#include "base/base64.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "flow/dlq_object.h"
#include "flow/letter_news.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	NUMBERS_MAX = 100000,	/* of one range */
	SPILL_BYTES = 32 << 20, /* of text are kept in memory; what is more goes into a file */
};

/* The index of a letter that is spilled costs 40 bytes; more of them is no commit but a mistake. */
#define BATCH_LETTERS_MAX ((size_t)100 << 20)

/* A rendered letter: a line of the batch's text. */
struct line {
	struct position position;
	uint64_t at;
	size_t len;
};

struct dlq_batch {
	struct store *store;
	struct dlq_source source;
	bool ranged; /* the range is known */
	struct dlq_range range;
	int spill;	  /* a file without a name, or -1: … */
	uint64_t spilled; /* … the text up to here; … */
	struct buf text;  /* … and what comes after it */
	struct line *lines;
	size_t count;
	size_t cap;
	uint32_t *numbers; /* of the range's objects, ascending: those that are ours */
	size_t number_count;
	struct letter_tally tally; /* of the lines */
};

struct dlq_source dlq_source_of(const struct lake_table *table, int32_t partition)
{
	return (struct dlq_source){
		.stage = table->kind == TOPIC_LOG ? "batch" : "stream",
		.table = table->model->model.name,
		.topic = lake_table_topic(table),
		.partition = partition,
	};
}

struct dlq_batch *dlq_batch_new(struct store *store, const struct dlq_source *source)
{
	struct dlq_batch *batch = xcalloc(1, sizeof(*batch));

	batch->store = store;
	batch->source = *source;
	batch->spill = -1;
	buf_init(&batch->text, SPILL_BYTES + DLQ_OBJECT_BYTES_MAX);
	return batch;
}

void dlq_batch_free(struct dlq_batch *batch)
{
	if (!batch)
		return;
	if (batch->spill >= 0)
		(void)close(batch->spill);
	buf_release(&batch->text);
	free(batch->lines);
	free(batch->numbers);
	free(batch);
}

/* --- collecting --------------------------------------------------------- */

static void dlq_put_member(struct buf *out, const char *name, struct slice value)
{
	buf_addf(out, "\"%s\":", name);
	json_put_string(out, value);
	buf_add_char(out, ',');
}

static void dlq_put_position(struct buf *out, const char *name, const struct dlq_source *source,
			     struct position position)
{
	char text[POSITION_TEXT_MAX];

	(void)position_text(position, text);
	buf_addf(out, "\"%s\":\"", name);
	if (source->generation > 1)
		buf_addf(out, "g%04" PRIu32 "-", source->generation);
	buf_addf(out, "%s\",", text);
}

static void put_letter(struct buf *out, const struct dlq_source *source,
		       const struct dlq_letter *letter)
{
	char partition[PARTITION_TEXT_MAX];
	size_t len = partition_text(source->topic.kind, source->partition, partition);

	buf_add_char(out, '{');
	dlq_put_member(out, "topic", slice_str(source->topic.name));
	dlq_put_member(out, "partition", slice_of(partition, len));
	dlq_put_position(out, "offset", source, letter->position);
	if (position_cmp(letter->last, letter->position) > 0)
		dlq_put_position(out, "last", source, letter->last);
	dlq_put_member(out, "stage", slice_str(source->stage));
	if (source->table)
		dlq_put_member(out, "table", slice_str(source->table));
	dlq_put_member(out, "reason", slice_str(letter->reason));
	buf_addf(out, "\"timestamp_ms\":%" PRId64 ",\"value\":", letter->timestamp_ms);
	if (letter->value.ptr) {
		buf_add_char(out, '"');
		base64_put(out, letter->value);
		buf_add_str(out, "\"}\n");
	} else {
		buf_add_str(out, "null}\n");
	}
}

/* Where the range ends is known only when all was cleaned, so letters wait, however many. */
static enum err_code spill_text(struct dlq_batch *batch, struct err *err)
{
	const char *dir = getenv("TMPDIR");
	enum err_code code;

	if (batch->text.len < SPILL_BYTES)
		return ERR_OK;
	if (batch->spill < 0)
		batch->spill =
			open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (batch->spill < 0) /* a file system without such files */
		batch->spill = memfd_create("letters", MFD_CLOEXEC);
	if (batch->spill < 0)
		return err_errno(err, "could not make a file for dead letters that wait");
	code = file_write_at(batch->spill, batch->text.ptr, batch->text.len, batch->spilled,
			     "the dead letters that wait", err);
	if (code == ERR_OK) {
		batch->spilled += batch->text.len;
		buf_clear(&batch->text);
	}
	return code;
}

enum err_code dlq_batch_add(struct dlq_batch *batch, const struct dlq_letter *letter,
			    struct err *err)
{
	enum err_code code = spill_text(batch, err);
	size_t at = batch->text.len;

	if (code != ERR_OK)
		return code;
	put_letter(&batch->text, &batch->source, letter);
	if (buf_full(&batch->text) || batch->text.len - at > DLQ_OBJECT_BYTES_MAX ||
	    batch->count == BATCH_LETTERS_MAX) {
		batch->text.len = at;
		batch->text.full = false;
		return err_set(
			err, ERR_LIMIT,
			"a dead letter of %zu bytes beside %zu others is more than a commit may"
			" have",
			letter->value.len, batch->count);
	}
	if (batch->count == batch->cap) {
		batch->cap = batch->cap ? batch->cap * 2 : 16;
		batch->lines = xreallocarray(batch->lines, batch->cap, sizeof(*batch->lines));
	}
	batch->lines[batch->count++] =
		(struct line){ letter->position, batch->spilled + at, batch->text.len - at };
	letter_tally_note(&batch->tally,
			  batch->source.table ? batch->source.table : batch->source.topic.name,
			  letter->reason);
	return ERR_OK;
}

size_t dlq_batch_count(const struct dlq_batch *batch) { return batch->count; }

/* --- writing ------------------------------------------------------------ */

void dlq_batch_range(struct dlq_batch *batch, const struct position *from, struct position upto)
{
	struct dlq_range range = dlq_range_of(from, upto);

	if (!batch->ranged || dlq_range_cmp(&range, &batch->range) != 0)
		batch->number_count = 0;
	batch->ranged = true;
	batch->range = range;
}

static int by_position(const void *a, const void *b)
{
	return position_cmp(((const struct line *)a)->position, ((const struct line *)b)->position);
}

static void note_number(struct dlq_batch *batch, uint32_t number)
{
	batch->numbers =
		xreallocarray(batch->numbers, batch->number_count + 1, sizeof(*batch->numbers));
	batch->numbers[batch->number_count++] = number;
}

/* Under the first number, of those behind the range's objects so far, where nothing else stands. */
static enum err_code dlq_put_object(struct dlq_batch *batch, struct slice body, struct err *err)
{
	uint32_t number = batch->number_count ? batch->numbers[batch->number_count - 1] : 0;
	struct dlq_place place = dlq_place_of(&batch->source);
	enum err_code code = ERR_EXISTS;
	struct buf key;

	buf_init(&key, DLQ_KEY_MAX * 2); /* one that is too long is the store's to refuse */
	while (code == ERR_EXISTS && number++ < NUMBERS_MAX) {
		dlq_key_put(&key, &place, &batch->range, number, batch->source.table);
		code = store_put_once(batch->store, buf_cstr(&key), body, err);
	}
	buf_release(&key);
	if (code == ERR_OK)
		note_number(batch, number);
	return code;
}

static enum err_code add_line_text(const struct dlq_batch *batch, const struct line *line,
				   struct buf *body, struct err *err)
{
	char *room;
	int sys = 0;

	if (line->at >= batch->spilled) {
		buf_add(body, batch->text.ptr + (line->at - batch->spilled), line->len);
		return ERR_OK;
	}
	room = buf_room(body, line->len);
	assert(room);
	if (file_read_at(batch->spill, room, line->len, line->at, &sys) < line->len) {
		errno = sys;
		return err_errno(err, "could not read the dead letters that wait");
	}
	buf_grew(body, line->len);
	return ERR_OK;
}

/* From line `*at` on as many as an object holds. */
static enum err_code fill_object(const struct dlq_batch *batch, size_t *at, struct buf *body,
				 struct err *err)
{
	size_t first = *at;
	enum err_code code = ERR_OK;

	buf_clear(body);
	while (code == ERR_OK && *at < batch->count && *at - first < DLQ_OBJECT_LETTERS_MAX &&
	       body->len + batch->lines[*at].len <= DLQ_OBJECT_BYTES_MAX)
		code = add_line_text(batch, &batch->lines[(*at)++], body, err);
	return code;
}

enum err_code dlq_batch_write(struct dlq_batch *batch, struct err *err)
{
	size_t before = batch->number_count;
	enum err_code code = ERR_OK;
	struct buf body;

	if (batch->count == 0)
		return ERR_OK;
	assert(batch->ranged);
	buf_init(&body, DLQ_OBJECT_BYTES_MAX);
	qsort(batch->lines, batch->count, sizeof(*batch->lines), by_position);
	for (size_t at = 0; at < batch->count && code == ERR_OK;) {
		code = fill_object(batch, &at, &body, err);
		if (code == ERR_OK)
			code = dlq_put_object(batch, buf_slice(&body), err);
	}
	if (code == ERR_OK) {
		batch->count = 0;
		batch->spilled = 0;
		buf_clear(&batch->text);
		letter_news_add(&batch->tally);
	} else {
		batch->number_count = before;
	}
	buf_release(&body);
	return code;
}

/* --- settling ------------------------------------------------------------ */

struct settling {
	const struct dlq_batch *batch;
	struct dlq_listing lost;
	struct dlq_listing old; /* by their names; which of them have lost, their letters tell */
};

static bool is_own_object(const struct dlq_batch *batch, const struct dlq_key *key)
{
	if (dlq_range_cmp(&key->range, &batch->range) != 0)
		return false;
	for (size_t i = 0; i < batch->number_count; i++)
		if (batch->numbers[i] == key->number)
			return true;
	return false;
}

/*
 * An object that begins where progress was, or after it, and before where it is now, and is not
 * what was committed, can be no other commit's: those end before it or begin behind.
 */
static bool has_lost(const struct dlq_batch *batch, const struct dlq_key *key)
{
	const struct dlq_range *range = &batch->range;

	if (!dlq_key_is_of(key, batch->source.table))
		return false;
	if (!dlq_range_is_before(&key->range, range->upto) ||
	    (!range->begins && (dlq_range_is_before(&key->range, range->from) ||
				position_cmp(key->range.upto, range->from) <= 0)))
		return false;
	return !is_own_object(batch, key);
}

static bool settle_listed(void *user, const struct store_entry *entry)
{
	struct settling *settling = user;
	struct dlq_key key;

	if (dlq_key_parse(entry->key, &key) && !key.old && has_lost(settling->batch, &key))
		dlq_list_add(&settling->lost, entry);
	return true;
}

static bool settle_listed_old(void *user, const struct store_entry *entry)
{
	struct settling *settling = user;
	struct dlq_key key;

	if (dlq_key_parse(entry->key, &key) && key.old)
		dlq_list_add(&settling->old, entry);
	return true;
}

/* Names in the order of their text are in the order of the positions they begin with. */
static enum err_code settle_list(struct settling *settling, struct err *err)
{
	const struct dlq_batch *batch = settling->batch;
	struct dlq_place place = dlq_place_of(&batch->source);
	char from[POSITION_TEXT_MAX];
	struct buf prefix, after;
	enum err_code code;

	buf_init(&prefix, DLQ_KEY_MAX);
	buf_init(&after, DLQ_KEY_MAX);
	dlq_key_dir(&prefix, &place);
	if (!batch->range.begins) {
		(void)position_text(batch->range.from, from);
		buf_addf(&after, "%s%s", buf_cstr(&prefix), from);
	}
	code = store_list(batch->store, buf_cstr(&prefix), buf_cstr(&after), settle_listed,
			  settling, err);
	buf_addf(&prefix, "%s+", batch->source.topic.name);
	if (code == ERR_OK)
		code = store_list(batch->store, buf_cstr(&prefix), "", settle_listed_old, settling,
				  err);
	buf_release(&after);
	buf_release(&prefix);
	return code;
}

/* An old object's letters are of one source, and in order: the first tells. */
struct first_letter {
	const struct dlq_source *source;
	bool ours;
	bool known;
	struct position position;
};

static bool look_at_first(void *user, const struct dlq_entry *entry)
{
	struct first_letter *first = user;

	first->ours = dlq_entry_is_of(entry, first->source);
	first->known = entry->placed;
	first->position = entry->position;
	return false;
}

static int by_start_downwards(const void *a, const void *b)
{
	uint64_t x = ((const struct dlq_listed *)a)->key.start;
	uint64_t y = ((const struct dlq_listed *)b)->key.start;

	return (x < y) - (x > y);
}

/* What a program of before left behind progress when it died: the last of its objects, if any. */
static enum err_code settle_old(struct settling *settling, struct err *err)
{
	const struct dlq_batch *batch = settling->batch;
	const struct dlq_range *range = &batch->range;
	enum err_code code = ERR_OK;
	struct dlq_reader reader;

	if (settling->old.count == 0)
		return ERR_OK;
	dlq_reader_init(&reader, batch->store);
	qsort(settling->old.at, settling->old.count, sizeof(*settling->old.at), by_start_downwards);
	for (size_t i = 0; i < settling->old.count && code == ERR_OK; i++) {
		struct first_letter first = { .source = &batch->source };
		const char *key = settling->old.at[i].text;

		code = dlq_reader_each(&reader, key, look_at_first, &first, err);
		if (code != ERR_OK || !first.known ||
		    (!range->begins && position_cmp(first.position, range->from) <= 0))
			break;
		if (first.ours && position_cmp(first.position, range->upto) <= 0)
			code = store_remove(batch->store, key, err);
	}
	dlq_reader_release(&reader);
	return code;
}

enum err_code dlq_settle(struct dlq_batch *batch, struct err *err)
{
	struct settling settling = { .batch = batch };
	enum err_code code;

	assert(batch->ranged);
	code = settle_list(&settling, err);
	for (size_t i = 0; i < settling.lost.count && code == ERR_OK; i++)
		code = store_remove(batch->store, settling.lost.at[i].text, err);
	if (code == ERR_OK)
		code = settle_old(&settling, err);
	dlq_list_release(&settling.lost);
	dlq_list_release(&settling.old);
	return code;
}

enum err_code dlq_withdraw(struct dlq_batch *batch, struct position upto, struct err *err)
{
	struct dlq_place place = dlq_place_of(&batch->source);
	enum err_code code = ERR_OK;
	struct buf key;

	if (position_cmp(batch->range.upto, upto) == 0)
		return ERR_OK;
	buf_init(&key, DLQ_KEY_MAX * 2);
	while (code == ERR_OK && batch->number_count > 0) {
		dlq_key_put(&key, &place, &batch->range, batch->numbers[batch->number_count - 1],
			    batch->source.table);
		code = store_remove(batch->store, buf_cstr(&key), err);
		batch->number_count -= code == ERR_OK;
	}
	buf_release(&key);
	return code;
}

/* --- all of a table ------------------------------------------------------- */

static bool list_any(void *user, const struct store_entry *entry)
{
	dlq_list_add(user, entry);
	return true;
}

/* The object that is listed, if it is of the table. */
static enum err_code look_at_object(struct dlq_reader *reader, const struct dlq_listed *listed,
				    const struct dlq_source *source, struct dlq_object *ret_object,
				    bool *ret_ours, struct err *err)
{
	struct first_letter first = { .source = source };
	const struct dlq_key *key = &listed->key;
	enum err_code code = ERR_OK;

	*ret_ours = false;
	if (!listed->known || !partition_parse(source->topic.kind, key->partition,
					       &ret_object->partition))
		return ERR_OK;
	ret_object->key = listed->text;
	ret_object->generation = key->generation;
	ret_object->begins = !key->old && key->range.begins;
	ret_object->from = key->range.from;
	ret_object->has_from = key->old;
	if (!key->old) {
		*ret_ours = dlq_key_is_of(key, source->table);
		return ERR_OK;
	}
	code = dlq_reader_each(reader, listed->text, look_at_first, &first, err);
	ret_object->begins = !first.known;
	ret_object->from = first.position;
	*ret_ours = first.ours;
	return code;
}

enum err_code dlq_objects(struct store *store, const struct lake_table *table,
			  enum err_code (*each)(void *user, const struct dlq_object *object,
						struct err *err),
			  void *user, struct err *err)
{
	struct dlq_source source = dlq_source_of(table, 0);
	struct dlq_listing list = { 0 };
	struct dlq_reader reader;
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, DLQ_KEY_MAX);
	buf_addf(&prefix, "dlq/%s/", table->topic);
	dlq_reader_init(&reader, store);
	code = store_list(store, buf_cstr(&prefix), "", list_any, &list, err);
	for (size_t i = 0; i < list.count && code == ERR_OK; i++) {
		struct dlq_object object = { 0 };
		bool ours;

		code = look_at_object(&reader, &list.at[i], &source, &object, &ours, err);
		if (code == ERR_OK && ours)
			code = each(user, &object, err);
	}
	dlq_list_release(&list);
	dlq_reader_release(&reader);
	buf_release(&prefix);
	return code;
}
