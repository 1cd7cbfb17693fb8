#include "flow/lake_copy_inside.h"

#include "base/crc32c.h"
#include "base/json.h"
#include "base/mem.h"
#include "flow/dlq_key.h"

#include <stdio.h>

enum { VERSION_DIGITS = 20, HINT_BYTES_MAX = 64 << 10 };

static const char log_dir[] = "/_delta_log/";
/* What is remembered of a store itself (store_prove.c), and says nothing of another. */
static const char of_the_store[] = "_pinpipe/";

/* --- tables ------------------------------------------------------------------------ */

const char *copy_log_name(const char *key, size_t *ret_root)
{
	const char *found = NULL, *next = strstr(key, log_dir);

	for (; next; next = strstr(next + 1, log_dir))
		found = next;
	if (!found || strchr(found + sizeof(log_dir) - 1, '/'))
		return NULL;
	*ret_root = (size_t)(found - key);
	return found + sizeof(log_dir) - 1;
}

bool copy_log_version(const char *name, int64_t *ret)
{
	int64_t version = 0;

	for (int i = 0; i < VERSION_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9' || version > (INT64_MAX - 9) / 10)
			return false;
		version = version * 10 + (name[i] - '0');
	}
	*ret = version;
	return name[VERSION_DIGITS] == '.';
}

/* Keys of one log come in a row. */
struct copy_table *copy_find_table(struct copy_plan *plan, const char *key, size_t root)
{
	for (size_t i = plan->table_count; i-- > 0;)
		if (strlen(plan->tables[i].root) == root &&
		    memcmp(plan->tables[i].root, key, root) == 0)
			return &plan->tables[i];
	return NULL;
}

static size_t copy_table_of(struct copy_plan *plan, const char *key, size_t root)
{
	struct copy_table *table = copy_find_table(plan, key, root);

	if (table)
		return (size_t)(table - plan->tables);
	plan->tables = xreallocarray(plan->tables, plan->table_count + 1, sizeof(*plan->tables));
	table = &plan->tables[plan->table_count];
	*table = (struct copy_table){ .root = xstrndup(key, root), .newest = -1, .checkpoint = -1 };
	return plan->table_count++;
}

bool copy_hint_fits(const struct copy_table *table, struct slice hint)
{
	struct json_parser *parser = json_parser_new(HINT_BYTES_MAX);
	int64_t version = INT64_MAX;
	struct json root, member;
	struct err ignored;

	if (json_parse(parser, hint, &root, &ignored) == ERR_OK &&
	    json_type(root) == JSON_OBJECT && json_member(root, "version", &member))
		(void)json_get_i64(member, &version);
	json_parser_free(parser);
	return version <= table->checkpoint;
}

/* --- what it is ---------------------------------------------------------------------- */

static struct copy_item *copy_add(struct copy_plan *plan, const struct store_entry *entry)
{
	struct copy_item *item;

	if (plan->count == plan->room) {
		plan->room = plan->room * 2 + 256;
		plan->items = xreallocarray(plan->items, plan->room, sizeof(*plan->items));
	}
	item = &plan->items[plan->count++];
	*item = (struct copy_item){ .key = xstrdup(entry->key), .size = entry->size,
				    .stage = COPY_DATA, .version = -1 };
	return item;
}

/* False: it is of no log, but for what lies in directories of one, which are data. */
static bool add_of_log(struct copy_planning *planning, const struct store_entry *entry)
{
	struct copy_plan *plan = &planning->plan;
	size_t root, at;
	const char *name = copy_log_name(entry->key, &root);
	struct copy_table *table;
	struct copy_item *item;
	int64_t version = -1;
	bool hint = name && strcmp(name, "_last_checkpoint") == 0;

	if (!name || (!hint && !copy_log_version(name, &version)))
		return false;
	if (!planning->logs)
		return true;
	at = copy_table_of(plan, entry->key, root);
	table = &plan->tables[at];
	item = copy_add(plan, entry);
	item->stage = hint ? COPY_HINT : COPY_LOG;
	item->table = at;
	item->version = version;
	item->is_commit = !hint && strcmp(name + VERSION_DIGITS, ".json") == 0;
	if (item->is_commit && version > table->newest)
		table->newest = version;
	if (!item->is_commit && strstr(name, ".checkpoint.") && version > table->checkpoint)
		table->checkpoint = version;
	return true;
}

static bool ends_with(const char *key, const char *end)
{
	size_t len = strlen(key), tail = strlen(end);

	return len >= tail && strcmp(key + len - tail, end) == 0;
}

static enum copy_stage stage_of(const char *key)
{
	struct slice text = slice_str(key);

	if (slice_starts(text, "manifests/"))
		return COPY_MANIFEST;
	if (slice_starts(text, "topics/"))
		return COPY_OBJECT;
	if (slice_starts(text, "dlq/"))
		return COPY_LETTERS;
	return ends_with(key, "/_rebuild/sealed") ? COPY_SEAL : COPY_DATA;
}

/* --- how far -------------------------------------------------------------------------- */

void copy_put_where(char where[STORE_KEY_MAX + 1], struct slice topic, uint32_t generation,
		    int32_t partition)
{
	(void)snprintf(where, STORE_KEY_MAX + 1, "%.*s/%u/%d", SLICE_ARG(topic), generation,
		       partition);
}

/* The partition, and where the object begins. False: it is none of those
 * that are put one after the other. */
static bool copy_place(const char *key, char where[STORE_KEY_MAX + 1], uint64_t *ret_start)
{
	struct lake_file_name object;
	struct dlq_key letters;
	int32_t partition;
	uint64_t from = 0;

	if (lake_file_parse(key, &object)) {
		copy_put_where(where, object.topic, object.generation, object.partition);
		*ret_start = object.start;
		return true;
	}
	if (!dlq_key_parse(key, &letters) || letters.table.ptr ||
	    !partition_parse(TOPIC_LOG, letters.partition, &partition))
		return false;
	if (letters.old)
		from = letters.start;
	else if (!letters.range.begins && !lake_offset(letters.range.from, &from))
		return false;
	copy_put_where(where, letters.topic, letters.generation, partition);
	*ret_start = from + (!letters.old && !letters.range.begins);
	return true;
}

struct copy_front *copy_find_front(struct copy_planning *planning, const char *where)
{
	for (size_t i = 0; i < planning->front_count; i++) {
		size_t at = (planning->front_at + i) % planning->front_count;

		if (strcmp(planning->fronts[at].where, where) == 0) {
			planning->front_at = at;
			return &planning->fronts[at];
		}
	}
	return NULL;
}

static bool copy_note_front(void *user, const struct store_entry *entry)
{
	struct copy_planning *planning = user;
	char where[STORE_KEY_MAX + 1];
	struct lake_file_name object;
	struct copy_front *front;
	uint64_t start;

	if (!copy_place(entry->key, where, &start))
		return true;
	front = copy_find_front(planning, where);
	if (!front) {
		planning->fronts = xreallocarray(planning->fronts, planning->front_count + 1,
						 sizeof(*planning->fronts));
		front = &planning->fronts[planning->front_count++];
		*front = (struct copy_front){ .where = xstrdup(where), .first = UINT64_MAX };
	}
	if (start < front->first && entry->size > 0 && lake_file_parse(entry->key, &object) &&
	    !object.side.ptr)
		front->first = start;
	if (start > front->start)
		front->start = start;
	return true;
}

static bool is_late(struct copy_planning *planning, const char *key)
{
	char where[STORE_KEY_MAX + 1];
	const struct copy_front *front;
	uint64_t start;

	if (!copy_place(key, where, &start))
		return false;
	front = copy_find_front(planning, where);
	return !front || start > front->start;
}

/* --- listing ---------------------------------------------------------------------------- */

static bool add_log(void *user, const struct store_entry *entry)
{
	(void)add_of_log(user, entry);
	return true;
}

static bool add_rest(void *user, const struct store_entry *entry)
{
	struct copy_planning *planning = user;

	if (add_of_log(planning, entry) || slice_starts(slice_str(entry->key), of_the_store))
		return true;
	if (is_late(planning, entry->key))
		planning->plan.late++;
	else
		copy_add(&planning->plan, entry)->stage = stage_of(entry->key);
	return true;
}

static bool add_there(void *user, const struct store_entry *entry)
{
	struct copy_planning *planning = user;

	if (slice_starts(slice_str(entry->key), of_the_store))
		return true;
	if (planning->there_count == planning->there_room) {
		planning->there_room = planning->there_room * 2 + 256;
		planning->there = xreallocarray(planning->there, planning->there_room,
						sizeof(*planning->there));
	}
	planning->there[planning->there_count++] =
		(struct copy_there){ .key = xstrdup(entry->key), .size = entry->size };
	return true;
}

static bool copy_note_mark(void *user, const struct store_entry *entry)
{
	struct copy_planning *planning = user;

	if (strstr(entry->key, "/kept+"))
		planning->marks += crc32c(0, entry->key, strlen(entry->key));
	return true;
}

/* Objects went that the tables need not have had when their logs were listed. */
static enum err_code copy_check_marks(struct copy_planning *planning, struct store *from,
				      struct err *err)
{
	uint64_t before = planning->marks;
	enum err_code code;

	planning->marks = 0;
	code = store_list(from, "manifests/", "", copy_note_mark, planning, err);
	if (code == ERR_OK && planning->marks != before)
		code = err_set(err, ERR_BUSY, "raw objects went by raw.retention while the source was"
			       " listed; make the copy again");
	return code;
}

static enum err_code list_all(struct copy_planning *planning, struct store *from, struct store *to,
			      struct err *err)
{
	enum err_code code = store_list(from, "manifests/", "", copy_note_mark, planning, err);

	planning->logs = true;
	if (code == ERR_OK)
		code = store_list(from, "", "", add_log, planning, err);
	planning->logs = false;
	if (code == ERR_OK)
		code = store_list(from, "topics/", "", copy_note_front, planning, err);
	if (code == ERR_OK)
		code = store_list(from, "dlq/", "", copy_note_front, planning, err);
	if (code == ERR_OK)
		code = store_list(from, "", "", add_rest, planning, err);
	if (code == ERR_OK)
		code = copy_check_marks(planning, from, err);
	return code == ERR_OK ? store_list(to, "", "", add_there, planning, err) : code;
}

/* --- what is there ------------------------------------------------------------------------ */

static int by_there_key(const void *a, const void *b)
{
	const char *key = a;
	const struct copy_there *there = b;

	return strcmp(key, there->key);
}

static void find_there(struct copy_planning *planning)
{
	struct copy_plan *plan = &planning->plan;

	for (size_t i = 0; i < plan->count && planning->there_count > 0; i++) {
		struct copy_item *item = &plan->items[i];
		struct copy_there *there = bsearch(item->key, planning->there,
						   planning->there_count, sizeof(*there),
						   by_there_key);

		if (!there)
			continue;
		there->wanted = true;
		item->there = true;
		item->there_size = there->size;
		if (item->stage == COPY_LOG && (!item->is_commit || item->version == 0))
			plan->tables[item->table].there = true;
	}
}

/* --- the order ------------------------------------------------------------------------------ */

static void order_logs(struct copy_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct copy_item *item = &plan->items[i];
		const struct copy_table *table;

		if (item->stage != COPY_LOG)
			continue;
		table = &plan->tables[item->table];
		item->cleaned = item->version < table->checkpoint;
		if (table->there || item->version > table->checkpoint)
			continue;
		if (!item->is_commit)
			item->stage = COPY_LOG_CHECKPOINT;
		else
			item->stage = item->version == 0 ? COPY_LOG_FIRST : COPY_LOG_BULK;
	}
}

static int by_stage(const void *a, const void *b)
{
	const struct copy_item *x = a, *y = b;

	if (x->stage != y->stage)
		return (int)x->stage - (int)y->stage;
	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return strcmp(x->key, y->key);
}

void copy_plan_order(struct copy_plan *plan)
{
	order_logs(plan);
	if (plan->count > 0)
		qsort(plan->items, plan->count, sizeof(*plan->items), by_stage);
}

enum err_code copy_plan_make(struct store *from, struct store *to, struct copy_plan *ret_plan,
			     struct err *err)
{
	struct copy_planning planning = { 0 };
	struct copy_plan *plan = &planning.plan;
	enum err_code code = list_all(&planning, from, to, err);

	if (code == ERR_OK) {
		find_there(&planning);
		code = copy_find_other(&planning, from, to, err);
	}
	if (code == ERR_OK)
		copy_plan_order(plan);
	for (size_t i = 0; i < planning.front_count; i++)
		free(planning.fronts[i].where);
	free(planning.fronts);
	for (size_t i = 0; i < planning.there_count; i++)
		free(planning.there[i].key);
	free(planning.there);
	if (code == ERR_OK)
		*ret_plan = *plan;
	else
		copy_plan_release(plan);
	return code;
}

void copy_plan_release(struct copy_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		free(plan->items[i].key);
	for (size_t i = 0; i < plan->table_count; i++)
		free(plan->tables[i].root);
	for (size_t i = 0; i < plan->letter_count; i++)
		free(plan->letters[i]);
	free(plan->letters);
	free(plan->items);
	free(plan->tables);
	*plan = (struct copy_plan){ 0 };
}
