#include "flow/dlq.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/mem.h"
#include "broker/sequence.h"
#include "flow/replayed.h"

#include <inttypes.h>

enum {
	TEXT_MAX = 32 << 20,		/* a batch; one letter of the largest record fits */
	LETTERS_MAX = 100000,
	KEY_MAX = STORE_KEY_MAX + 1,
};

/* A rendered letter: a line of the batch's text. */
struct line {
	struct position position;
	size_t at;
	size_t len;
};

struct dlq_batch {
	struct store *store;
	struct dlq_source source;
	struct buf text;
	struct line *lines;
	size_t count;
	size_t cap;
};

struct dlq_source dlq_source_of(const struct lake_table *table, int32_t partition)
{
	return (struct dlq_source){
		.stage = table->kind == TOPIC_LOG ? "batch" : "stream",
		.table = table->model->model.name,
		.shared = table->shared->count > 1,
		.topic = lake_table_topic(table),
		.partition = partition,
	};
}

struct dlq_batch *dlq_batch_new(struct store *store, const struct dlq_source *source)
{
	struct dlq_batch *batch = xcalloc(1, sizeof(*batch));

	batch->store = store;
	batch->source = *source;
	buf_init(&batch->text, TEXT_MAX);
	return batch;
}

void dlq_batch_free(struct dlq_batch *batch)
{
	if (!batch)
		return;
	buf_release(&batch->text);
	free(batch->lines);
	free(batch);
}

static void dlq_put_member(struct buf *out, const char *name, struct slice value)
{
	buf_addf(out, "\"%s\":", name);
	json_put_string(out, value);
	buf_add_char(out, ',');
}

static void put_letter(struct buf *out, const struct dlq_batch *batch,
		       const struct dlq_letter *letter)
{
	char partition[PARTITION_TEXT_MAX], offset[POSITION_TEXT_MAX];
	size_t partition_len =
		partition_text(batch->source.topic.kind, batch->source.partition, partition);
	size_t offset_len = position_text(letter->position, offset);

	buf_add_char(out, '{');
	dlq_put_member(out, "topic", slice_str(batch->source.topic.name));
	dlq_put_member(out, "partition", slice_of(partition, partition_len));
	dlq_put_member(out, "offset", slice_of(offset, offset_len));
	dlq_put_member(out, "stage", slice_str(batch->source.stage));
	if (batch->source.table)
		dlq_put_member(out, "table", slice_str(batch->source.table));
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

enum err_code dlq_batch_add(struct dlq_batch *batch, const struct dlq_letter *letter,
			    struct err *err)
{
	size_t at = batch->text.len;

	put_letter(&batch->text, batch, letter);
	if (batch->count == LETTERS_MAX || buf_full(&batch->text)) {
		batch->text.len = at;
		batch->text.full = false;
		return err_set(err, ERR_LIMIT, "%zu dead letters are as many as fit into an object",
			       batch->count);
	}
	if (batch->count == batch->cap) {
		batch->cap = batch->cap ? batch->cap * 2 : 16;
		batch->lines = xreallocarray(batch->lines, batch->cap, sizeof(*batch->lines));
	}
	batch->lines[batch->count++] = (struct line){ letter->position, at, batch->text.len - at };
	return ERR_OK;
}

size_t dlq_batch_count(const struct dlq_batch *batch) { return batch->count; }

static int by_position(const void *a, const void *b)
{
	return position_cmp(((const struct line *)a)->position, ((const struct line *)b)->position);
}

static void dlq_put_key(struct buf *out, const struct dlq_source *source, uint64_t start)
{
	if (source->shared)
		lake_dlq_shared_key(out, source->topic.kind, source->topic.name, source->partition,
				    start, source->table);
	else
		lake_dlq_key(out, source->topic.kind, source->topic.name, source->partition, start);
}

enum err_code dlq_batch_write(struct dlq_batch *batch, struct err *err)
{
	struct buf key, body;
	enum err_code code;

	if (batch->count == 0)
		return ERR_OK;
	buf_init(&key, KEY_MAX);
	buf_init(&body, batch->text.len);
	qsort(batch->lines, batch->count, sizeof(*batch->lines), by_position);
	for (size_t i = 0; i < batch->count; i++)
		buf_add(&body, batch->text.ptr + batch->lines[i].at, batch->lines[i].len);
	dlq_put_key(&key, &batch->source, position_ordinal(batch->lines[0].position));
	code = store_put_once(batch->store, buf_cstr(&key), buf_slice(&body), err);
	if (code == ERR_OK) {
		batch->count = 0;
		buf_clear(&batch->text);
	}
	buf_release(&body);
	buf_release(&key);
	return code;
}

enum err_code dlq_batch_put(struct dlq_batch *batch, const struct dlq_letter *letter,
			    struct err *err)
{
	enum err_code code = dlq_batch_add(batch, letter, err);

	if (code != ERR_LIMIT || batch->count == 0)
		return code;
	code = dlq_batch_write(batch, err);
	return code == ERR_OK ? dlq_batch_add(batch, letter, err) : code;
}

/* --- reading ----------------------------------------------------------- */

struct reading {
	struct store *store;
	bool (*each)(void *user, const struct dlq_entry *entry);
	void *user;
	struct json_parser *parser;
	struct buf body;		/* of the object being read */
	struct buf value;
	const struct replayed *replayed; /* NULL: it is not asked for */
	bool with_done;
	enum err_code code;
	struct err *err;
};

static void reading_init(struct reading *reading, struct store *store, struct err *err)
{
	*reading = (struct reading){ .store = store, .err = err };
	reading->parser = json_parser_new(TEXT_MAX);
	buf_init(&reading->body, TEXT_MAX);
	buf_init(&reading->value, TEXT_MAX);
}

static void reading_release(struct reading *reading)
{
	json_parser_free(reading->parser);
	buf_release(&reading->body);
	buf_release(&reading->value);
}

static bool dlq_get_text(struct json object, const char *name, struct slice *ret)
{
	struct json member;

	return json_member(object, name, &member) && json_get_string(member, ret);
}

static bool get_value(struct reading *reading, struct json object, struct slice *ret)
{
	struct json member;
	struct slice text;

	buf_clear(&reading->value);
	*ret = slice_of(NULL, 0);
	if (!json_member(object, "value", &member))
		return false;
	if (json_type(member) == JSON_NULL)
		return true;
	if (!json_get_string(member, &text) || !base64_decode(&reading->value, text))
		return false;
	*ret = slice_str("");
	if (reading->value.len)
		*ret = buf_slice(&reading->value);
	return true;
}

static bool parse_entry(struct reading *reading, struct slice line, struct dlq_entry *ret)
{
	struct json root, timestamp;
	struct err err;

	if (json_parse(reading->parser, line, &root, &err) != ERR_OK)
		return false;
	ret->table = slice_of(NULL, 0);
	(void)dlq_get_text(root, "table", &ret->table);
	return json_type(root) == JSON_OBJECT && dlq_get_text(root, "topic", &ret->topic) &&
	       dlq_get_text(root, "partition", &ret->partition) &&
	       dlq_get_text(root, "offset", &ret->offset) &&
	       dlq_get_text(root, "stage", &ret->stage) &&
	       dlq_get_text(root, "reason", &ret->reason) &&
	       json_member(root, "timestamp_ms", &timestamp) &&
	       json_get_i64(timestamp, &ret->timestamp_ms) && get_value(reading, root, &ret->value);
}

/* False: enough, or `reading->code` says why not. */
static bool read_object(struct reading *reading, const char *key)
{
	struct slice rest;

	buf_clear(&reading->body);
	reading->code = store_get(reading->store, key, 0, UINT64_MAX, &reading->body, reading->err);
	if (reading->code == ERR_ABSENT) {	/* forgotten since it was listed */
		reading->code = ERR_OK;
		return true;
	}
	rest = buf_slice(&reading->body);
	while (reading->code == ERR_OK && rest.len > 0) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
		struct dlq_entry entry;

		if (!end || !parse_entry(reading, slice_of(rest.ptr, len), &entry)) {
			reading->code = err_set(reading->err, ERR_CORRUPT,
						"\"%s\": byte %zu does not begin a dead letter", key,
						reading->body.len - rest.len);
			break;
		}
		entry.done = reading->replayed &&
			     replayed_has(reading->replayed, entry.topic, entry.table,
					  entry.partition, entry.offset);
		if ((!entry.done || reading->with_done) && !reading->each(reading->user, &entry))
			return false;
		rest = slice_from(rest, len + 1);
	}
	return reading->code == ERR_OK;
}

static bool read_listed(void *user, const struct store_entry *entry)
{
	return replayed_is_marker(entry->key) || read_object(user, entry->key);
}

enum err_code dlq_query(struct store *store, const struct dlq_query *query,
			bool (*each)(void *user, const struct dlq_entry *entry), void *user,
			struct err *err)
{
	struct replayed *replayed = NULL;
	struct reading reading;
	enum err_code code;
	struct buf prefix;

	/* First, so that what is committed meanwhile is not yet done, rather than nowhere. */
	code = replayed_load(store, query->topic, query->committed, query->committed_user,
			     &replayed, err);
	if (code != ERR_OK)
		return code;
	buf_init(&prefix, KEY_MAX);
	buf_addf(&prefix, "dlq/%s%s", query->topic ? query->topic : "", query->topic ? "/" : "");
	reading_init(&reading, store, err);
	reading.each = each;
	reading.user = user;
	reading.replayed = replayed;
	reading.with_done = query->with_done;
	code = store_list(store, buf_cstr(&prefix), "", read_listed, &reading, err);
	if (code == ERR_OK)
		code = reading.code;
	reading_release(&reading);
	replayed_free(replayed);
	buf_release(&prefix);
	return code;
}

enum err_code dlq_list(struct store *store, const char *topic,
		       bool (*each)(void *user, const struct dlq_entry *entry), void *user,
		       struct err *err)
{
	struct dlq_query query = { .topic = topic };

	return dlq_query(store, &query, each, user, err);
}

/* --- the letters of one stage and partition ---------------------------- */

/* Looks at the objects whose first ordinal is at or above `from`. */
struct search {
	struct reading reading;
	const struct dlq_source *source;
	uint64_t from;
	/* Of the object just read: is it of our stage, and where does it end? */
	bool ours;
	uint64_t end;
	uint64_t end_max;	/* of all */
	bool forget;		/* remove ours */
};

/* A letter without a table is older than tables shared topics: then its stage tells enough. */
static bool of_source(const struct dlq_entry *entry, const struct dlq_source *source)
{
	return slice_is(entry->stage, source->stage) &&
	       (!source->table || !entry->table.ptr || slice_is(entry->table, source->table));
}

static bool look_at_letter(void *user, const struct dlq_entry *entry)
{
	struct search *search = user;
	struct position position;

	search->ours = of_source(entry, search->source);
	if (!search->ours || !position_parse(entry->offset, &position))
		return false;		/* all of an object are of one stage */
	search->end = position_ordinal(position) + 1;
	return true;
}

static bool search_listed(void *user, const struct store_entry *entry)
{
	struct search *search = user;
	struct reading *reading = &search->reading;
	struct slice topic;
	int32_t partition;
	uint64_t start;

	if (!lake_dlq_parse(entry->key, search->source->topic.kind, &topic, &partition, &start) ||
	    start < search->from)
		return true;
	search->ours = false;
	(void)read_object(reading, entry->key);
	if (reading->code != ERR_OK || !search->ours)
		return reading->code == ERR_OK;
	if (search->end > search->end_max)
		search->end_max = search->end;
	if (search->forget)
		reading->code = store_remove(reading->store, entry->key, reading->err);
	return reading->code == ERR_OK;
}

static enum err_code search_run(struct search *search, struct store *store, struct err *err)
{
	const struct dlq_source *source = search->source;
	enum err_code code;
	struct buf prefix;

	buf_init(&prefix, KEY_MAX);
	reading_init(&search->reading, store, err);
	search->reading.each = look_at_letter;
	search->reading.user = search;
	lake_dlq_prefix(&prefix, source->topic.kind, source->topic.name, source->partition);
	/* Not with `after`: beyond ten digits the order of keys is not that of ordinals. */
	code = store_list(store, buf_cstr(&prefix), "", search_listed, search, err);
	if (code == ERR_OK)
		code = search->reading.code;
	reading_release(&search->reading);
	buf_release(&prefix);
	return code;
}

enum err_code dlq_forget_after(struct store *store, const struct dlq_source *source,
			       int64_t ordinal, struct err *err)
{
	struct search search = { .source = source,
				 .from = (uint64_t)(ordinal + 1),
				 .forget = true };

	return search_run(&search, store, err);
}

enum err_code dlq_end(struct store *store, const struct dlq_source *source, uint64_t from,
		      uint64_t *ret_end, struct err *err)
{
	struct search search = { .source = source, .from = from, .end_max = from };
	enum err_code code = search_run(&search, store, err);

	if (code == ERR_OK)
		*ret_end = search.end_max;
	return code;
}
