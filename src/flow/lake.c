#include "flow/lake.h"

#include "base/mem.h"
#include "base/names.h"

#include <inttypes.h>
#include <stdio.h>

#define TEN_DIGITS_MAX INT64_C(9999999999)
#define LONG_BEGIN INT64_C(1000000000) /* the keys of longer ones come behind this one's */

static const char objects[] = "topics";
static const char manifests[] = "manifests";

static enum err_code check_topic(const struct lake_table *table, struct slice topic, const char *id,
				 struct err *err)
{
	const char *what = table->kind == TOPIC_STREAM ? "stream" : "topic";
	enum err_code code = table->kind == TOPIC_STREAM ? name_check_stream(topic, err)
							 : name_check_topic(topic, err);

	if (code == ERR_OK)
		return ERR_OK;
	if (topic.len > STREAM_NAME_MAX)
		return err_set(err, ERR_USAGE, "table \"%s\": with the id \"%.40s…\" the name of its %s"
			       " is too long", table->model->model.name, id, what);
	err->code = ERR_USAGE;
	return err_prefix(err, "table \"%s\": %s \"%.*s\"", table->model->model.name,
			  what, SLICE_ARG(topic));
}

enum err_code lake_table_init(struct lake_table *table, const struct clean_model *model,
			      enum topic_kind kind, const char *id, struct err *err)
{
	bool stream = kind == TOPIC_STREAM;
	enum err_code code;
	struct buf topic;

	*table = (struct lake_table){
		.model = model,
		.kind = kind,
		.shared = stream ? &model->stream_shared : &model->topic_shared,
	};
	buf_init(&topic, STORE_KEY_MAX);
	clean_name(&topic, stream ? model->stream : model->topic, id);
	code = check_topic(table, buf_slice(&topic), id, err);
	if (code == ERR_OK)
		(void)snprintf(table->topic, sizeof(table->topic), "%s", buf_cstr(&topic));
	buf_release(&topic);
	if (code != ERR_OK)
		return code;
	if (snprintf(table->root, sizeof(table->root), "tables/%s_%s_%s", id, model->model.name,
		     stream ? "table" : "clean") >= (int)sizeof(table->root))
		return err_set(err, ERR_USAGE,
			       "table \"%s\": its name is too long with the id \"%s\"",
			       model->model.name, id);
	return ERR_OK;
}

enum err_code lake_tables_new(const struct models *models, enum topic_kind kind, const char *id,
			      struct lake_table **ret_tables, struct err *err)
{
	struct lake_table *tables = xcalloc(models->clean_count, sizeof(*tables));

	for (size_t i = 0; i < models->clean_count; i++)
		if (lake_table_init(&tables[i], &models->clean[i], kind, id, err) != ERR_OK) {
			free(tables);
			return err->code;
		}
	*ret_tables = tables;
	return ERR_OK;
}

struct topic_ref lake_table_topic(const struct lake_table *table)
{
	return (struct topic_ref){ .kind = table->kind, .name = table->topic };
}

bool lake_table_leads(const struct lake_table *table)
{
	return table->shared->models[0] == table->model;
}

void lake_app_id(char app_id[LAKE_APP_ID_MAX], enum topic_kind kind, struct lake_partition where,
		 const char *uid)
{
	char text[PARTITION_TEXT_MAX];
	size_t len;

	(void)partition_text(kind, where.id, text);
	if (kind == TOPIC_LOG)
		(void)snprintf(app_id, LAKE_APP_ID_MAX, "pinpipe/batch/%s/%s", where.topic, text);
	else
		(void)snprintf(app_id, LAKE_APP_ID_MAX, "pinpipe/stream/%s/%s/%s", where.topic,
			       text, uid);
	len = strlen(app_id);
	if (where.generation > 1)
		(void)snprintf(app_id + len, LAKE_APP_ID_MAX - len, "/g%04" PRIu32,
			       where.generation);
}

bool lake_offset(struct position position, uint64_t *ret)
{
	return position_number(position, ret);
}

struct position lake_position(uint64_t offset) { return position_of_number(offset); }

size_t lake_offset_text(uint32_t generation, uint64_t offset, char text[LAKE_OFFSET_TEXT_MAX])
{
	int len = generation > 1 ? snprintf(text, LAKE_OFFSET_TEXT_MAX, "g%04" PRIu32 "-",
					    generation) : 0;

	len += snprintf(text + len, LAKE_OFFSET_TEXT_MAX - (size_t)len, "%020" PRIu64, offset);
	return (size_t)len;
}

void lake_partition_prefix(struct buf *out, const char *place, struct lake_partition where)
{
	buf_clear(out);
	buf_addf(out, "%s/%s/", place, where.topic);
	if (where.generation > 1)
		buf_addf(out, "generation=%u/", where.generation);
	buf_addf(out, "partition=%d/", where.id);
}

void lake_object_prefix(struct buf *out, struct lake_partition where)
{
	lake_partition_prefix(out, objects, where);
	buf_addf(out, "%s+%d+", where.topic, where.id);
}

void lake_object_key(struct buf *out, struct lake_partition where, uint64_t start)
{
	lake_object_prefix(out, where);
	buf_addf(out, "%010" PRIu64 ".json", start);
}

void lake_file_key(struct buf *out, struct lake_partition where, const char *path, uint64_t start,
		   uint32_t number, bool packed)
{
	buf_clear(out);
	buf_addf(out, "%s/%s/", objects, where.topic);
	if (where.generation > 1)
		buf_addf(out, "generation=%u/", where.generation);
	buf_addf(out, "%s/%s+%d+%010" PRIu64, path, where.topic, where.id, start);
	if (number > 0)
		buf_addf(out, ".%" PRIu32, number);
	buf_addf(out, ".json%s", packed ? ".gz" : "");
}

void lake_plain_path(char path[LAKE_PATH_MAX], struct lake_partition where)
{
	(void)snprintf(path, LAKE_PATH_MAX, "partition=%d", where.id);
}

void lake_entry_key(struct buf *out, struct lake_partition where, const struct lake_entry *entry)
{
	lake_object_key(out, where, entry->start);
	if (entry->packed)
		buf_add_str(out, ".gz");
}

/* A listing of one partition's objects. */
struct lake_listing {
	bool (*each)(void *user, const struct lake_entry *entry);
	void *user;
	int64_t after;
	bool enough;		      /* `each` said so */
	struct lake_entry *long_list; /* of those whose offset has more than ten digits */
	size_t long_count;
	size_t long_room;
};

static bool take_listed(const struct lake_listing *listing, const struct store_entry *listed,
			struct lake_entry *ret_entry)
{
	struct lake_file_name name;

	if (!lake_file_parse(listed->key, &name) || !name.plain || name.side.ptr || name.number)
		return false;
	*ret_entry = (struct lake_entry){ .start = name.start,
					  .size = listed->size,
					  .packed = name.packed,
					  .version = listed->version,
					  .modified_ms = listed->modified_ms };
	return (int64_t)name.start > listing->after;
}

static bool give_short(void *user, const struct store_entry *listed)
{
	struct lake_listing *listing = user;
	struct lake_entry entry;

	if (take_listed(listing, listed, &entry) && entry.start <= (uint64_t)TEN_DIGITS_MAX)
		listing->enough = !listing->each(listing->user, &entry);
	return !listing->enough;
}

static bool keep_long(void *user, const struct store_entry *listed)
{
	struct lake_listing *listing = user;
	struct lake_entry entry;

	if (!take_listed(listing, listed, &entry) || entry.start <= (uint64_t)TEN_DIGITS_MAX)
		return true;
	if (listing->long_count == listing->long_room) {
		listing->long_room = listing->long_room * 2 + 64;
		listing->long_list = xreallocarray(listing->long_list, listing->long_room,
						   sizeof(*listing->long_list));
	}
	listing->long_list[listing->long_count++] = entry;
	return true;
}

static bool give_or_keep(void *user, const struct store_entry *listed)
{
	return keep_long(user, listed) && give_short(user, listed);
}

static int by_start(const void *a, const void *b)
{
	const struct lake_entry *x = a;
	const struct lake_entry *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static void give_long(struct lake_listing *listing)
{
	if (listing->long_count > 0)
		qsort(listing->long_list, listing->long_count, sizeof(*listing->long_list),
		      by_start);
	for (size_t i = 0; i < listing->long_count && !listing->enough; i++)
		listing->enough = !listing->each(listing->user, &listing->long_list[i]);
	free(listing->long_list);
}

/*
 * Keys of ten digits are in the order of their offsets and are handed on as they come; longer ones,
 * which lie between those that begin with the same digits, are kept until the end. They begin with
 * no 0: so a listing that begins before the 1 has met them all, and another one is a second.
 */
enum err_code lake_list_objects(struct store *store, struct lake_partition where, int64_t after,
				bool (*each)(void *user, const struct lake_entry *entry),
				void *user, struct err *err)
{
	struct lake_listing listing = { .each = each, .user = user, .after = after };
	enum err_code code = ERR_OK;
	struct buf prefix, from;

	buf_init(&prefix, STORE_KEY_MAX + 1);
	buf_init(&from, STORE_KEY_MAX + 1);
	lake_object_prefix(&prefix, where);
	if (after >= 0)
		lake_object_key(&from, where, (uint64_t)after);
	if (after < LONG_BEGIN)
		code = store_list(store, buf_cstr(&prefix), buf_cstr(&from), give_or_keep, &listing,
				  err);
	else if (after < TEN_DIGITS_MAX)
		code = store_list(store, buf_cstr(&prefix), buf_cstr(&from), give_short, &listing,
				  err);
	if (code == ERR_OK && !listing.enough && after >= LONG_BEGIN) {
		buf_clear(&from);
		buf_addf(&from, "%s1", buf_cstr(&prefix));
		code = store_list(store, buf_cstr(&prefix), buf_cstr(&from), keep_long, &listing,
				  err);
	}
	if (code != ERR_OK)
		listing.enough = true;
	give_long(&listing);
	buf_release(&from);
	buf_release(&prefix);
	return code;
}

/* The text between two marks; `rest` moves behind it. False: `end` is not there. */
static bool take_until(struct slice *rest, char end, struct slice *ret)
{
	const char *at = memchr(rest->ptr, end, rest->len);

	if (!at)
		return false;
	*ret = slice_of(rest->ptr, (size_t)(at - rest->ptr));
	*rest = slice_from(*rest, ret->len + 1);
	return true;
}

/* Ten digits or, without a zero in front, more. */
static bool lake_parse_start(struct slice text, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.len < 10 || text.len > 19 || (text.len > 10 && text.ptr[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	*ret = value;
	return true;
}

/* "generation=<g>/", g from 2 on; nothing: the first. */
static bool lake_parse_generation(struct slice *rest, uint32_t *ret)
{
	static const char name[] = "generation=";
	struct slice text;
	uint32_t value = 0;

	*ret = 1;
	if (!slice_starts(*rest, name))
		return true;
	*rest = slice_from(*rest, sizeof(name) - 1);
	if (!take_until(rest, '/', &text) || text.len == 0 || text.len > 4 || text.ptr[0] == '0')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (uint32_t)(text.ptr[i] - '0');
	}
	*ret = value;
	return value > 1;
}

enum lake_folder lake_folder_parse(const char *key, struct lake_partition *where)
{
	struct slice rest = slice_str(key), kind, text;
	uint32_t generation;

	if (!take_until(&rest, '/', &kind) || !take_until(&rest, '/', &text) ||
	    !lake_parse_generation(&rest, &generation))
		return LAKE_FOLDER_OTHER;
	where->generation = generation;
	if (rest.len == 0)
		return generation > 1 ? LAKE_FOLDER_GENERATION : LAKE_FOLDER_OTHER;
	if (!take_until(&rest, '=', &text) || !slice_is(text, "partition") ||
	    !take_until(&rest, '/', &text) || rest.len > 0 ||
	    !partition_parse(TOPIC_LOG, text, &where->id))
		return LAKE_FOLDER_OTHER;
	return LAKE_FOLDER_PARTITION;
}

/* "<number>.": at most nine digits, without a zero in front. False: it begins with none. */
static bool lake_parse_number(struct slice *rest, uint32_t *ret)
{
	uint32_t value = 0;
	size_t len = 0;

	while (len < rest->len && len < 9 && rest->ptr[len] >= '0' && rest->ptr[len] <= '9')
		value = value * 10 + (uint32_t)(rest->ptr[len++] - '0');
	if (len == 0 || len == rest->len || rest->ptr[len] != '.' || rest->ptr[0] == '0')
		return false;
	*rest = slice_from(*rest, len + 1);
	*ret = value;
	return true;
}

/* "[.keys|.headers].json[.gz]", without the first dot. */
static bool lake_parse_extension(struct slice text, struct lake_file_name *name)
{
	static const char *const sides[] = { "keys", "headers" };

	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		if (slice_starts(text, sides[i]) && text.len > strlen(sides[i]) &&
		    text.ptr[strlen(sides[i])] == '.') {
			name->side = slice_of(text.ptr, strlen(sides[i]));
			text = slice_from(text, strlen(sides[i]) + 1);
			break;
		}
	name->packed = slice_is(text, "json.gz");
	return name->packed || slice_is(text, "json");
}

/* "<topic>+<p>+<start>.[<number>.]<extension>" */
static bool lake_parse_file(struct slice rest, struct lake_file_name *name,
			    struct slice *ret_partition)
{
	struct slice text;

	if (!take_until(&rest, '+', &text) || !slice_eq(text, name->topic) ||
	    !take_until(&rest, '+', ret_partition) ||
	    !partition_parse(TOPIC_LOG, *ret_partition, &name->partition) ||
	    !take_until(&rest, '.', &text) || !lake_parse_start(text, &name->start))
		return false;
	(void)lake_parse_number(&rest, &name->number);
	return lake_parse_extension(rest, name);
}

bool lake_file_parse(const char *key, struct lake_file_name *ret)
{
	struct slice rest = slice_str(key);
	struct lake_file_name name = { 0 };
	struct slice text, partition;
	const char *slash;

	if (!take_until(&rest, '/', &text) || !slice_is(text, objects) ||
	    !take_until(&rest, '/', &name.topic) || !lake_parse_generation(&rest, &name.generation))
		return false;
	slash = memrchr(rest.ptr, '/', rest.len);
	if (!slash)
		return false;
	name.path = slice_of(rest.ptr, (size_t)(slash - rest.ptr));
	if (!lake_parse_file(slice_from(rest, name.path.len + 1), &name, &partition))
		return false;
	name.plain = slice_starts(name.path, "partition=") &&
		     slice_eq(slice_from(name.path, sizeof("partition=") - 1), partition);
	*ret = name;
	return name.plain || !slice_starts(name.path, "partition=");
}

bool lake_object_parse(const char *key, struct lake_object_name *ret)
{
	struct lake_file_name name;

	if (!lake_file_parse(key, &name) || !name.plain || name.packed || name.side.ptr ||
	    name.number)
		return false;
	*ret = (struct lake_object_name){ .topic = name.topic,
					  .partition = name.partition,
					  .generation = name.generation,
					  .start = name.start };
	return true;
}

bool lake_manifest_parse(const char *key, struct lake_object_name *ret, struct slice *ret_name)
{
	struct slice rest = slice_str(key);
	struct lake_object_name name = { 0 };
	struct slice text;

	if (!take_until(&rest, '/', &text) || !slice_is(text, manifests) ||
	    !take_until(&rest, '/', &name.topic) ||
	    !lake_parse_generation(&rest, &name.generation) || !take_until(&rest, '=', &text) ||
	    !slice_is(text, "partition") || !take_until(&rest, '/', &text) ||
	    !partition_parse(TOPIC_LOG, text, &name.partition))
		return false;
	*ret = name;
	*ret_name = rest;
	return true;
}
