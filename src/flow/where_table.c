/* The row that a record is in a table, and the version with which it came. */
#include "base/json.h"
#include "base/mem.h"
#include "delta/delta_history.h"
#include "flow/stream_table.h"
#include "flow/table_files.h"
#include "flow/where.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WHERE_STATS_MAX = 16 << 20, WHERE_SQL_MAX = 4096, WHERE_OFFSET_MAX = POSITION_TEXT_MAX + 8 };

/* A table in which a record is looked for. */
struct where_look {
	struct store *store;
	const struct where_record *record;
	const struct lake_table *place;
	struct delta_table *delta;
	struct lake_partition where; /* the table's own generation of it */
	char app_id[LAKE_APP_ID_MAX];
	char partition[PARTITION_TEXT_MAX]; /* as in _partition … */
	char offset[WHERE_OFFSET_MAX];	    /* … and _offset */
	size_t *files;			    /* places of those that may have the row */
	size_t file_count;
};

/* --- how far the table is ----------------------------------------------------------- */

static enum err_code where_name(struct where_look *look, struct err *err)
{
	const struct where_record *record = look->record;
	char position[POSITION_TEXT_MAX];
	enum err_code code = ERR_OK;

	look->where = record->where;
	if (record->topic.kind == TOPIC_STREAM)
		code = stream_newest_generation(look->delta, &look->where, record->uid, err);
	if (code != ERR_OK)
		return code;
	lake_app_id(look->app_id, record->topic.kind, look->where, record->uid);
	(void)partition_text(record->topic.kind, record->where.id, look->partition);
	(void)position_text(record->position, position);
	(void)snprintf(look->offset, sizeof(look->offset), "%s", position);
	if (look->where.generation > 1)
		(void)snprintf(look->offset, sizeof(look->offset), "g%04" PRIu32 "-%s",
			       look->where.generation, position);
	return ERR_OK;
}

/* Whether a version of the table had passed the record. */
static enum err_code where_is_passed(const struct where_look *look, const struct delta_table *delta,
				     bool *ret_passed, struct err *err)
{
	struct delta_progress done = { 0 };
	enum err_code code = delta_progress(delta, look->app_id, &done, err);
	struct position position = done.position;

	if (code != ERR_OK)
		return code;
	if (look->record->topic.kind == TOPIC_STREAM)
		position = position_made_whole(position, look->record->position);
	*ret_passed = done.any && position_cmp(look->record->position, position) <= 0;
	return ERR_OK;
}

/* --- the file ----------------------------------------------------------------------- */

/* Statistics hold the beginning of a long text, a maximum with a mark behind it. */
static int where_cmp(const char *value, struct slice bound)
{
	static const char mark[] = "\xf4\x8f\xbf\xbf"; /* U+10FFFF */
	size_t len = strlen(value);

	if (bound.len >= 4 && memcmp(bound.ptr + bound.len - 4, mark, 4) == 0)
		bound.len -= 4;
	return memcmp(value, bound.ptr, bound.len < len ? bound.len : len);
}

/* +1 for the minimum, -1 for the maximum: whether the value is not on that side of it. */
static bool where_is_within(struct json stats, const char *side, int sign, const char *column,
			    const char *value)
{
	struct json bounds, bound;
	struct slice text;

	return !json_member(stats, side, &bounds) || json_type(bounds) != JSON_OBJECT ||
	       !json_member(bounds, column, &bound) || !json_get_string(bound, &text) ||
	       where_cmp(value, text) * sign >= 0;
}

/* Without statistics any may. */
static bool where_file_may(const struct where_look *look, struct json_parser *parser,
			   const struct delta_add *file)
{
	struct json stats;
	struct err err;

	if (!file->stats || json_parse(parser, slice_str(file->stats), &stats, &err) != ERR_OK ||
	    json_type(stats) != JSON_OBJECT)
		return true;
	return where_is_within(stats, "minValues", 1, "_partition", look->partition) &&
	       where_is_within(stats, "maxValues", -1, "_partition", look->partition) &&
	       where_is_within(stats, "minValues", 1, "_offset", look->offset) &&
	       where_is_within(stats, "maxValues", -1, "_offset", look->offset);
}

static void where_choose_files(struct where_look *look)
{
	size_t count = delta_file_count(look->delta);
	struct json_parser *parser = json_parser_new(WHERE_STATS_MAX);

	look->files = xcalloc(count, sizeof(*look->files));
	for (size_t i = 0; i < count; i++)
		if (where_file_may(look, parser, delta_file(look->delta, i)))
			look->files[look->file_count++] = i;
	json_parser_free(parser);
}

/* --- the row ------------------------------------------------------------------------ */

/* Asked of these files alone; the row, if one of them has it. */
static enum err_code where_ask_files(const struct where_look *look, struct engine *engine,
				     const size_t *files, size_t count, struct answer *ret_row,
				     struct err *err)
{
	struct engine_table table = { .model = look->place->model };
	struct table_files opened;
	struct model question = { .name = "where", .file = (char *)(uintptr_t) "where", .line = 1 };
	enum err_code code = table_files_open_some(look->store, look->place->root, look->delta,
						   files, count, &opened, err);
	struct buf sql;

	if (code != ERR_OK)
		return code;
	table.files = opened.list;
	table.file_count = opened.count;
	code = engine_attach(engine, &table, 1, err);
	buf_init(&sql, WHERE_SQL_MAX);
	buf_addf(&sql, "FROM \"%s_all\" WHERE _partition = '%s' AND _offset = '%s' LIMIT 1",
		 look->place->model->model.name, look->partition, look->offset);
	question.sql = buf_cstr(&sql);
	if (code == ERR_OK)
		code = engine_query(engine, &question, ret_row, err);
	buf_release(&sql);
	return code;
}

/* Which file has it: of few that may each is asked, of many the name is not worth that. */
static enum err_code where_find_row(struct where_look *look, struct engine *engine,
				    struct where_table *found, size_t *ret_file, struct err *err)
{
	enum { APART_MAX = 8 };
	size_t step = look->file_count <= APART_MAX ? 1 : look->file_count;
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < look->file_count && code == ERR_OK && !found->file; i += step) {
		code = where_ask_files(look, engine, look->files + i, step, &found->row, err);
		if (code != ERR_OK)
			break;
		if (found->row.row_count == 0) {
			answer_release(&found->row);
			found->row = (struct answer){ 0 };
			continue;
		}
		found->state = WHERE_IS_ROW;
		if (step == 1) {
			const char *path = delta_file(look->delta, look->files[i])->path;
			size_t room = strlen(look->place->root) + strlen(path) + 2;

			*ret_file = look->files[i];
			found->file = xmalloc(room);
			(void)snprintf(found->file, room, "%s/%s", look->place->root, path);
		}
		break;
	}
	return code;
}

/* --- the version -------------------------------------------------------------------- */

/* *ret_passed: whether the record was done with at that version. */
static enum err_code where_passed_at(const struct where_look *look, int64_t version,
				     bool *ret_passed, struct err *err)
{
	const struct delta_options options = { .name = look->place->model->model.name,
					       .at = { DELTA_AT_VERSION, version } };
	struct delta_table *then = NULL;
	enum err_code code = delta_open(look->store, look->place->root, &options, &then, err);

	if (code == ERR_OK)
		code = where_is_passed(look, then, ret_passed, err);
	delta_close(then);
	return code;
}

/* The first one, of those that the log has, at which the record was done with. `newest` is one that
 * has the row: that of its file, which has come with it, or later, by a compaction. */
static enum err_code where_find_version(const struct where_look *look, int64_t newest,
					struct where_table *found, struct err *err)
{
	int64_t low = found->oldest, high = newest; /* passed at `high` */
	bool passed = false;
	enum err_code code = ERR_OK;

	if (high > low)
		code = where_passed_at(look, high - 1, &passed, err);
	if (code == ERR_OK && (high <= low || !passed)) {
		found->version = high;
		return ERR_OK;
	}
	while (code == ERR_OK && low < high) {
		int64_t middle = low + (high - low) / 2;

		code = where_passed_at(look, middle, &passed, err);
		if (passed)
			high = middle;
		else
			low = middle + 1;
	}
	if (code == ERR_OK)
		found->version = high == found->oldest && high > 0 ? -1 : high;
	return code;
}

/* A row is told without it where old commits cannot be read. One that a replay made came when the
 * table had passed its record long since: with its file, or before that was put together. `file`
 * is the row's where found->file tells that it is known. */
static void where_tell_version(const struct where_look *look, size_t file, bool replayed,
			       struct where_table *found)
{
	int64_t newest = found->file ? delta_file_version(look->delta, file)
				     : delta_version(look->delta);
	struct delta_recent recent;
	struct err unused;

	found->version = -1;
	found->oldest = delta_version(look->delta);
	if (delta_recent(look->delta, &recent, &unused) != ERR_OK)
		return;
	found->oldest = recent.oldest;
	if (replayed)
		found->version = found->file ? newest : -1;
	else if (where_find_version(look, newest, found, &unused) != ERR_OK)
		found->version = -1;
}

/* ------------------------------------------------------------------------------------ */

static bool where_is_shared(const struct lake_table *place)
{
	return place->shared && place->shared->count > 1;
}

static enum err_code where_look_at(struct where_look *look, const struct where_letters *letters,
				   struct engine *engine, struct where_table *found,
				   struct err *err)
{
	bool passed = false;
	size_t file = 0;
	enum err_code code = where_name(look, err);

	if (code == ERR_OK && look->where.generation > 0)
		code = where_is_passed(look, look->delta, &passed, err);
	if (code != ERR_OK || !passed)
		return code;
	found->letter = where_letters_of(letters, look->place, false);
	found->state = WHERE_IS_LETTER;
	if (found->letter)
		return ERR_OK;
	found->state = where_is_shared(look->place) ? WHERE_IS_ANOTHERS : WHERE_IS_NOWHERE;
	where_choose_files(look);
	code = where_find_row(look, engine, found, &file, err);
	if (code == ERR_OK && found->state == WHERE_IS_ROW)
		where_tell_version(look, file, where_letters_of(letters, look->place, true) != NULL,
				   found);
	return code;
}

void where_table_find(struct store *store, const struct where_record *record,
		      const struct lake_table *place, const struct where_letters *letters,
		      struct engine *engine, struct where_table *ret_table)
{
	const struct delta_options options = { .name = place->model->model.name };
	struct where_look look = { .store = store, .record = record, .place = place };
	struct where_table found = { .place = place };
	struct err err;
	enum err_code code = delta_open(store, place->root, &options, &look.delta, &err);

	found.there = code == ERR_OK;
	if (code == ERR_OK)
		code = where_look_at(&look, letters, engine, &found, &err);
	if (code != ERR_OK && code != ERR_ABSENT)
		found.fault = err;
	delta_close(look.delta);
	free(look.files);
	*ret_table = found;
}

void where_table_release(struct where_table *table)
{
	answer_release(&table->row);
	free(table->file);
	*table = (struct where_table){ 0 };
}
