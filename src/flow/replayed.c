#include "flow/replayed.h"

#include "base/ahead.h"
#include "base/json.h"
#include "base/mem.h"
#include "delta/delta.h"
#include "flow/dlq_object.h"
#include "flow/staging.h"

#include <stdio.h>
#include <string.h>

struct open_table {
	char root[STORE_KEY_MAX];
	struct delta_table *delta; /* NULL: there is none */
};

struct replayed {
	char **list; /* "<topic>/<table>/<partition>/<offset>", sorted */
	size_t count;
	size_t room;
	/* While it is loaded. */
	struct store *store;
	replayed_table_fn *table;
	void *user;
	struct open_table *tables;
	size_t table_count;
	struct json_parser *parser;
	struct dlq_listing markers;
	enum err_code code; /* of a table's opening */
	struct err *err;
};

void replayed_app_id(char app_id[REPLAYED_APP_ID_MAX], const char *file)
{
	(void)snprintf(app_id, REPLAYED_APP_ID_MAX, REPLAY_APP_ID "/%.120s", file);
}

void replayed_key(struct buf *out, const char *topic, const char *file)
{
	buf_clear(out);
	buf_addf(out, "dlq/%s/replayed/%s.json", topic, file);
}

bool replayed_is_marker(const char *key)
{
	const char *topic = key + strlen("dlq/");

	return slice_starts(slice_str(topic + strcspn(topic, "/")), "/replayed/");
}

static char *letter_name(struct slice topic, struct slice table, struct slice partition,
			 struct slice offset)
{
	struct buf name;
	char *copy;

	buf_init(&name, STORE_KEY_MAX * 2);
	buf_addf(&name, "%.*s/%.*s/%.*s/%.*s", SLICE_ARG(topic), SLICE_ARG(table),
		 SLICE_ARG(partition), SLICE_ARG(offset));
	copy = xstrdup(buf_cstr(&name));
	buf_release(&name);
	return copy;
}

static void replayed_add(struct replayed *replayed, char *name)
{
	if (replayed->count == replayed->room) {
		replayed->room = replayed->room * 2 + 64;
		replayed->list = xreallocarray(replayed->list, replayed->room, sizeof(char *));
	}
	replayed->list[replayed->count++] = name;
}

static enum err_code replayed_open_table(struct replayed *replayed, const char *root,
					 const struct delta_table **ret_delta)
{
	struct delta_options options = { 0 };
	struct open_table *table;
	enum err_code code;

	for (size_t i = 0; i < replayed->table_count; i++)
		if (strcmp(replayed->tables[i].root, root) == 0) {
			*ret_delta = replayed->tables[i].delta;
			return ERR_OK;
		}
	replayed->tables = xreallocarray(replayed->tables, replayed->table_count + 1,
					 sizeof(*replayed->tables));
	table = &replayed->tables[replayed->table_count++];
	*table = (struct open_table){ 0 };
	(void)snprintf(table->root, sizeof(table->root), "%s", root);
	code = delta_open(replayed->store, root, &options, &table->delta, replayed->err);
	*ret_delta = table->delta;
	return code == ERR_ABSENT ? ERR_OK : code;
}

static bool is_live(const struct delta_table *delta, const char *file)
{
	for (size_t i = 0; i < delta_file_count(delta); i++)
		if (strcmp(delta_file(delta, i)->path, file) == 0)
			return true;
	return false;
}

/* Whether its letters are rows of the table as it is: no crash cut the replay off before its
 * commit, and no rebuild has cleaned them again since. */
static bool marker_counts(struct replayed *replayed, const char *root, const char *file,
			  struct json marker)
{
	const struct delta_table *delta = NULL;
	char app_id[REPLAYED_APP_ID_MAX];
	int64_t rebuild, made_on;
	struct json said;

	if (replayed->table)
		delta = replayed->table(replayed->user, root);
	else
		replayed->code = replayed_open_table(replayed, root, &delta);
	replayed_app_id(app_id, file);
	if (replayed->code != ERR_OK || !delta || delta_txn_version(delta, app_id) < 0)
		return false;
	rebuild = delta_txn_version(delta, STAGING_APP_ID);
	if (json_member(marker, "rebuild", &said) && json_get_i64(said, &made_on))
		return made_on == rebuild;
	return rebuild < 0 || is_live(delta, file);
}

static bool replayed_text(struct json object, const char *name, struct slice *ret)
{
	struct json member;

	return json_member(object, name, &member) && json_get_string(member, ret);
}

static bool take_letters(struct replayed *replayed, struct slice topic, struct slice table,
			 struct json letters)
{
	struct json_iter letter = json_iter(letters);

	while (json_next(&letter)) {
		struct slice texts[2] = { 0 };
		size_t count = 0;
		struct json_iter text;

		if (json_type(letter.value) != JSON_ARRAY)
			return false;
		text = json_iter(letter.value);
		while (count < 2 && json_next(&text) && json_get_string(text.value, &texts[count]))
			count++;
		if (count < 2)
			return false;
		replayed_add(replayed, letter_name(topic, table, texts[0], texts[1]));
	}
	return true;
}

/* False: it is no marker. */
static bool take_marker(struct replayed *replayed, struct slice topic, struct json root)
{
	char place[STORE_KEY_MAX], name[REPLAYED_APP_ID_MAX];
	struct slice table, where, file;
	struct json letters;

	if (json_type(root) != JSON_OBJECT || !replayed_text(root, "table", &table) ||
	    !replayed_text(root, "root", &where) || !replayed_text(root, "file", &file) ||
	    !json_member(root, "letters", &letters) || json_type(letters) != JSON_ARRAY)
		return false;
	(void)snprintf(place, sizeof(place), "%.*s", SLICE_ARG(where));
	(void)snprintf(name, sizeof(name), "%.*s", SLICE_ARG(file));
	if (!marker_counts(replayed, place, name, root))
		return true;
	return take_letters(replayed, topic, table, letters);
}

static bool replayed_list_marker(void *user, const struct store_entry *entry)
{
	struct replayed *replayed = user;

	if (replayed_is_marker(entry->key))
		dlq_list_add(&replayed->markers, entry);
	return true;
}

static enum err_code bring_marker(void *user, size_t item, struct err *err)
{
	const struct replayed *replayed = user;
	struct dlq_listed *marker = &replayed->markers.at[item];

	buf_init(&marker->body, REPLAYED_BYTES_MAX);
	return store_get(replayed->store, marker->text, 0, UINT64_MAX, &marker->body, err);
}

static uint64_t bytes_of_marker(void *user, size_t item)
{
	return ((const struct replayed *)user)->markers.at[item].size;
}

static enum err_code replayed_read_marker(struct replayed *replayed, struct dlq_listed *marker,
					  struct err *err)
{
	const char *topic = marker->text + strlen("dlq/");
	enum err_code code;
	struct json root;

	code = json_parse(replayed->parser, buf_slice(&marker->body), &root, err);
	if (code == ERR_OK && !take_marker(replayed, slice_of(topic, strcspn(topic, "/")), root))
		code = err_set(err, ERR_CORRUPT, "\"%s\" is no marker of a replay", marker->text);
	buf_release(&marker->body);
	return code == ERR_OK ? replayed->code : code;
}

static enum err_code replayed_read_markers(struct replayed *replayed, struct err *err)
{
	enum err_code code = ERR_OK;
	struct ahead *ahead = ahead_new(&(struct ahead_options){
		.count = replayed->markers.count,
		.at_once = store_at_once(replayed->store),
		.bytes_max = REPLAYED_BYTES_MAX,
		.bytes = bytes_of_marker,
		.work = bring_marker,
		.user = replayed,
	});

	for (size_t i = 0; i < replayed->markers.count && code == ERR_OK; i++) {
		code = ahead_take(ahead, i, err);
		if (code == ERR_OK)
			code = replayed_read_marker(replayed, &replayed->markers.at[i], err);
	}
	ahead_free(ahead);
	return code;
}

static int replayed_by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void end_loading(struct replayed *replayed)
{
	for (size_t i = 0; i < replayed->table_count; i++)
		delta_close(replayed->tables[i].delta);
	free(replayed->tables);
	replayed->tables = NULL;
	replayed->table_count = 0;
	json_parser_free(replayed->parser);
	dlq_list_release(&replayed->markers);
	if (replayed->count > 0)
		qsort(replayed->list, replayed->count, sizeof(char *), replayed_by_name);
}

enum err_code replayed_load(struct store *store, const char *topic, replayed_table_fn *table,
			    void *user, struct replayed **ret_replayed, struct err *err)
{
	struct replayed *replayed = xcalloc(1, sizeof(*replayed));
	char prefix[STORE_KEY_MAX];
	enum err_code code;

	replayed->store = store;
	replayed->table = table;
	replayed->user = user;
	replayed->err = err;
	replayed->parser = json_parser_new(REPLAYED_BYTES_MAX);
	(void)snprintf(prefix, sizeof(prefix), "dlq/%s%s", topic ? topic : "",
		       topic ? "/replayed/" : "");
	code = store_list(store, prefix, "", replayed_list_marker, replayed, err);
	if (code == ERR_OK)
		code = replayed_read_markers(replayed, err);
	end_loading(replayed);
	if (code == ERR_OK)
		*ret_replayed = replayed;
	else
		replayed_free(replayed);
	return code;
}

void replayed_free(struct replayed *replayed)
{
	if (!replayed)
		return;
	for (size_t i = 0; i < replayed->count; i++)
		free(replayed->list[i]);
	free(replayed->list);
	free(replayed);
}

bool replayed_has(const struct replayed *replayed, struct slice topic, struct slice table,
		  struct slice partition, struct slice offset)
{
	char *name;
	bool has;

	if (replayed->count == 0)
		return false;
	name = letter_name(topic, table, partition, offset);
	has = bsearch(&name, replayed->list, replayed->count, sizeof(char *), replayed_by_name) !=
	      NULL;
	free(name);
	return has;
}
