#include "delta/delta_history.h"

#include "base/ahead.h"
#include "base/mem.h"
#include "delta/delta_table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { HISTORY_BYTES_MAX = 64 << 20, WRITER_SEGMENTS = 2 };

static_assert((int)DELTA_WORD_SIZE == (int)DELTA_INFO_SIZE, "words of commitInfo");

/* --- commits, brought ahead ------------------------------------------------------ */

struct commits {
	const struct delta_table *table;
	int64_t first; /* version of item 0, … */
	int64_t step;  /* … and by how much the next ones differ */
	size_t count;
	struct buf *texts;
	struct ahead *ahead;
};

static enum err_code delta_history_bring(void *user, size_t item, struct err *err)
{
	struct commits *commits = user;
	struct buf *text = &commits->texts[item];

	buf_init(text, COMMIT_BYTES_MAX);
	return delta_table_get_commit(commits->table,
				      commits->first + (int64_t)item * commits->step, text, err);
}

static void commits_begin(struct commits *commits, const struct delta_table *table, int64_t first,
			  int64_t step, size_t count)
{
	*commits = (struct commits){ .table = table,
				     .first = first,
				     .step = step,
				     .count = count,
				     .texts = xcalloc(count, sizeof(*commits->texts)) };
	commits->ahead = ahead_new(&(struct ahead_options){ .count = count,
							    .at_once = store_at_once(table->store),
							    .bytes_max = HISTORY_BYTES_MAX,
							    .work = delta_history_bring,
							    .user = commits });
}

static enum err_code commits_take(struct commits *commits, struct delta_table *table, size_t item,
				  struct delta_actions *ret_actions, struct err *err)
{
	struct buf *text = &commits->texts[item];
	enum err_code code = ahead_take(commits->ahead, item, err);

	if (code == ERR_OK)
		code = delta_table_parse_commit(table,
						commits->first + (int64_t)item * commits->step,
						buf_slice(text), ret_actions, err);
	buf_release(text);
	return code;
}

static void commits_end(struct commits *commits)
{
	ahead_free(commits->ahead);
	for (size_t i = 0; i < commits->count; i++)
		buf_release(&commits->texts[i]);
	free(commits->texts);
}

/* --- one commit -------------------------------------------------------------------- */

/* "pinpipe/stream" of "pinpipe/stream/<stream>/…"; of others the whole id. */
static void take_writer(struct delta_event *event, const char *app_id)
{
	const char *end = app_id;
	bool ours = strncmp(app_id, "pinpipe/", strlen("pinpipe/")) == 0;

	for (int i = 0; ours && end && i < WRITER_SEGMENTS; i++)
		end = strchr(end + (i > 0), '/');
	(void)snprintf(event->writer, sizeof(event->writer), "%.*s",
		       ours && end ? (int)(end - app_id) : (int)sizeof(event->writer), app_id);
}

/* `before`: the state that the commit was made on; NULL: it is not known. */
static void take_removes(struct delta_event *event, const struct delta_actions *actions,
			 const struct delta_state *before)
{
	event->removed_known = before || actions->remove_count == 0;
	event->files_removed = actions->remove_count;
	for (size_t i = 0; i < actions->remove_count && before; i++) {
		size_t at;

		if (!delta_map_get(&before->by_path, actions->removes[i].path, &at))
			continue;
		event->bytes_removed += before->files[at].add.size;
		event->rows_removed += before->files[at].add.rows;
	}
}

static enum err_code delta_history_take_event(struct delta_table *table, int64_t version,
					      const struct delta_actions *actions,
					      const struct delta_state *before,
					      struct delta_event *ret_event, struct err *err)
{
	struct delta_event event = { .version = version, .time_ms = actions->timestamp_ms };
	enum err_code code = ERR_OK;

	memcpy(event.operation, actions->operation, sizeof(event.operation));
	memcpy(event.engine, actions->engine, sizeof(event.engine));
	if (actions->app_count > 0)
		take_writer(&event, actions->apps[0].id);
	event.files_added = actions->add_count;
	for (size_t i = 0; i < actions->add_count; i++) {
		event.bytes_added += actions->adds[i].size;
		event.rows_added += actions->adds[i].rows;
	}
	take_removes(&event, actions, before);
	if (event.time_ms <= 0)
		code = delta_table_time_of(table, version, &event.time_ms, err);
	if (code == ERR_OK)
		*ret_event = event;
	return code;
}

/* --- history ----------------------------------------------------------------------- */

/* The state goes on from commit to commit, so that what a file held which goes is known. */
static enum err_code history_one(struct delta_table *table, struct commits *commits, size_t item,
				 struct delta_event *ret_event, struct err *err)
{
	int64_t version = commits->first + (int64_t)item;
	struct delta_state *state = &table->state;
	struct delta_actions actions = { 0 };
	enum err_code code = commits_take(commits, table, item, &actions, err);

	if (code == ERR_OK)
		code = delta_history_take_event(table, version, &actions,
						state->version == version - 1 ? state : NULL,
						ret_event, err);
	if (code == ERR_OK && state->version < version)
		code = delta_table_advance(table, &actions, err);
	delta_actions_release(&actions);
	return code;
}

/* Versions `first` to the newest. A commit may have gone before its checkpoint did. */
static enum err_code history_from(struct delta_table *table, int64_t first, int64_t newest,
				  struct delta_event *events, size_t *ret_count, struct err *err)
{
	size_t wanted = (size_t)(newest - first + 1), count = 0;
	enum err_code code = ERR_OK;
	struct commits commits;

	commits_begin(&commits, table, first, 1, wanted);
	for (size_t i = 0; i < wanted && code == ERR_OK; i++) {
		code = history_one(table, &commits, i, &events[count], err);
		if (code == ERR_ABSENT && table->state.version == first && i == 0)
			code = ERR_OK;
		else
			count += code == ERR_OK;
	}
	commits_end(&commits);
	*ret_count = count;
	return code;
}

static void turn_round(struct delta_event *events, size_t count)
{
	for (size_t i = 0; i < count / 2; i++) {
		struct delta_event event = events[i];

		events[i] = events[count - 1 - i];
		events[count - 1 - i] = event;
	}
}

static enum err_code history_of(struct delta_table *table, size_t limit,
				struct delta_event **ret_events, size_t *ret_count, struct err *err)
{
	struct delta_event *events;
	struct delta_kept kept;
	int64_t first;
	enum err_code code = delta_table_kept(table, &kept, err);

	if (code != ERR_OK)
		return code;
	first = kept.newest - (int64_t)limit + 1;
	if (first < kept.oldest)
		first = kept.oldest;
	if (first > 0)
		code = delta_table_load_upto(table, first > kept.oldest ? first - 1 : first, err);
	if (code != ERR_OK)
		return code;
	events = xcalloc((size_t)(kept.newest - first + 1), sizeof(*events));
	code = history_from(table, first, kept.newest, events, ret_count, err);
	turn_round(events, *ret_count);
	if (code == ERR_OK)
		*ret_events = events;
	else
		free(events);
	return code;
}

enum err_code delta_history(struct store *store, const char *root, size_t limit,
			    struct delta_event **ret_events, size_t *ret_count, struct err *err)
{
	const struct delta_options read_only = { 0 };
	struct delta_table *table = delta_table_new(store, root, &read_only);
	enum err_code code = history_of(table, limit, ret_events, ret_count, err);

	delta_close(table);
	return code;
}

/* --- what is recent ------------------------------------------------------------------ */

static bool is_optimize(const struct delta_actions *actions)
{
	return strcmp(actions->operation, "OPTIMIZE") == 0;
}

/* From the newest back, until it was compacted. */
static enum err_code delta_history_look_back(struct delta_table *table, struct delta_recent *recent,
					     struct err *err)
{
	int64_t newest = table->state.version, kept = newest - recent->oldest + 1;
	size_t count = kept < DELTA_RECENT_COMMITS ? (size_t)kept : DELTA_RECENT_COMMITS;
	enum err_code code = ERR_OK;
	struct commits commits;

	commits_begin(&commits, table, newest, -1, count);
	for (size_t i = 0; i < count && code == ERR_OK && recent->optimized_ms == 0; i++) {
		struct delta_actions actions = { 0 };
		int64_t version = newest - (int64_t)i;

		code = commits_take(&commits, table, i, &actions, err);
		if (code == ERR_OK && i == 0)
			code = delta_history_take_event(table, version, &actions, NULL,
							&recent->last, err);
		if (code == ERR_OK && is_optimize(&actions))
			code = delta_table_time_of(table, version, &recent->optimized_ms, err);
		delta_actions_release(&actions);
	}
	commits_end(&commits);
	return code == ERR_ABSENT ? ERR_OK : code; /* cleaned away, or just a checkpoint */
}

enum err_code delta_recent(struct delta_table *table, struct delta_recent *ret_recent,
			   struct err *err)
{
	struct delta_recent recent = { .last.version = table->state.version };
	struct err why;
	enum err_code code = delta_table_oldest(table, &recent.oldest, err);

	if (code == ERR_OK)
		code = delta_history_look_back(table, &recent, err);
	if (code == ERR_OK && recent.last.time_ms == 0)
		code = delta_table_time_of(table, table->state.version, &recent.last.time_ms, err);
	if (code == ERR_OK && delta_table_check_writable(table, &why) != ERR_OK)
		(void)snprintf(recent.refused, sizeof(recent.refused), "%s", why.msg);
	if (code == ERR_OK)
		*ret_recent = recent;
	return code;
}
