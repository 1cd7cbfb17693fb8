#include "delta/delta_state.h"

#include "base/mem.h"

#define NEW(items, count, room) \
	((items) = delta_state_grow((items), (count), &(room), sizeof(*(items))), \
	 &(items)[(count)++])

static void *delta_state_grow(void *items, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return items;
	*room = *room ? *room * 2 : 16;
	return xreallocarray(items, *room, size);
}

void delta_state_init(struct delta_state *state, bool keep_stats)
{
	*state = (struct delta_state){
		.version = -1, .checkpoint = -1, .doubled.at = -1, .keep_stats = keep_stats
	};
}

static void forget_gone(struct delta_state *state)
{
	for (size_t i = 0; i < state->gone_count; i++)
		free(state->gone[i].remove.path);
	state->gone_count = 0;
}

static void free_file(struct delta_state_file *file)
{
	free(file->add.path);
	free(file->add.stats);
}

void delta_state_release(struct delta_state *state)
{
	delta_metadata_free(state->metadata);
	for (size_t i = 0; i < state->file_count; i++)
		free_file(&state->files[i]);
	for (size_t i = 0; i < state->app_count; i++)
		free(state->apps[i].id);
	forget_gone(state);
	free(state->files);
	free(state->apps);
	free(state->gone);
	delta_map_release(&state->by_path);
	delta_map_release(&state->by_app);
}

/* Its place stays, as a gap: to close one at each removal would cost as many steps as there are
 * files. False: no such file. */
static bool drop_file(struct delta_state *state, const char *path)
{
	struct delta_state_file *file;
	size_t at;

	if (!delta_map_get(&state->by_path, path, &at))
		return false;
	delta_map_remove(&state->by_path, path);
	file = &state->files[at];
	state->rows -= file->add.rows;
	state->bytes -= file->add.size;
	free_file(file);
	file->add = (struct delta_add){ 0 };
	state->gap_count++;
	return true;
}

void delta_state_close_gaps(struct delta_state *state)
{
	size_t to = 0, new_from = state->new_from;

	if (state->gap_count == 0)
		return;
	for (size_t i = 0; i < state->file_count; i++) {
		const char *path = state->files[i].add.path;

		if (!path) {
			new_from -= i < state->new_from;
			continue;
		}
		if (to < i) {
			state->files[to] = state->files[i];
			delta_map_put(&state->by_path, path, to);
		}
		to++;
	}
	state->file_count = to;
	state->new_from = new_from;
	state->gap_count = 0;
}

static void remember_gone(struct delta_state *state, struct delta_remove gone, int64_t version)
{
	*NEW(state->gone, state->gone_count, state->gone_room) =
		(struct delta_gone){ .remove = gone, .version = version };
}

/* The first time: who removes it once more says nothing of when its rows went elsewhere. */
static int64_t gone_since(const struct delta_state *state, const char *path, int64_t otherwise)
{
	for (size_t i = 0; i < state->gone_count; i++)
		if (strcmp(state->gone[i].remove.path, path) == 0)
			return state->gone[i].version - 1;
	return otherwise;
}

/* A file that is removed is not there. */
static void note_doubled(struct delta_state *state, const struct delta_actions *actions,
			 const char *path, int64_t version)
{
	int64_t since;

	if (actions->data_change || actions->add_count == 0)
		return;
	since = gone_since(state, path, actions->read_version);
	if (state->doubled.at < 0 || since < state->doubled.since)
		state->doubled.since = since;
	state->doubled.at = version;
}

static void apply_remove(struct delta_state *state, const struct delta_actions *actions,
			 struct delta_remove *remove, int64_t version)
{
	if (!drop_file(state, remove->path))
		note_doubled(state, actions, remove->path, version);
	remember_gone(state, *remove, version);
	remove->path = NULL;
}

/* A file of the same path is replaced. */
static void apply_add(struct delta_state *state, struct delta_add *add, int64_t version)
{
	struct delta_state_file *file;

	if (drop_file(state, add->path))
		remember_gone(state,
			      (struct delta_remove){
				      .path = xstrdup(add->path), .deleted_ms = -1, .size = -1 },
			      version);
	file = NEW(state->files, state->file_count, state->file_room);
	*file = (struct delta_state_file){ .add = *add, .version = version };
	*add = (struct delta_add){ 0 };
	if (!state->keep_stats) {
		free(file->add.stats);
		file->add.stats = NULL;
	}
	state->rows += file->add.rows;
	state->bytes += file->add.size;
	delta_map_put(&state->by_path, file->add.path, state->file_count - 1);
}

static void apply_app(struct delta_state *state, struct delta_app *app)
{
	size_t at;

	if (delta_map_get(&state->by_app, app->id, &at)) {
		state->apps[at].version = app->version;
		state->apps[at].updated_ms = app->updated_ms;
		return;
	}
	*NEW(state->apps, state->app_count, state->app_room) = *app;
	app->id = NULL;
	delta_map_put(&state->by_app, state->apps[state->app_count - 1].id, state->app_count - 1);
}

static bool is_optimized_by_others(const struct delta_actions *actions)
{
	return strcmp(actions->operation, "OPTIMIZE") == 0 &&
	       strncmp(actions->engine, "pinpipe/", strlen("pinpipe/")) != 0;
}

void delta_state_apply(struct delta_state *state, struct delta_actions *actions, int64_t version)
{
	if (actions->protocol.reader)
		state->protocol = actions->protocol;
	if (actions->metadata) {
		delta_metadata_free(state->metadata);
		state->metadata = actions->metadata;
		actions->metadata = NULL;
	}
	for (size_t i = 0; i < actions->remove_count; i++)
		apply_remove(state, actions, &actions->removes[i], version);
	for (size_t i = 0; i < actions->add_count; i++)
		apply_add(state, &actions->adds[i], version);
	for (size_t i = 0; i < actions->app_count; i++)
		apply_app(state, &actions->apps[i]);
	if (is_optimized_by_others(actions))
		state->others_optimized_ms = actions->timestamp_ms;
	state->timestamp_ms = actions->timestamp_ms;
	state->version = version;
	if (state->gap_count > state->file_count / 2)
		delta_state_close_gaps(state);
	delta_actions_release(actions);
}

/* Files come in the order of their versions. */
void delta_state_checkpointed(struct delta_state *state, int64_t version, uint32_t parts)
{
	size_t kept = 0;

	for (; state->new_from < state->file_count &&
	       state->files[state->new_from].version <= version;
	     state->new_from++) {
		free(state->files[state->new_from].add.stats);
		state->files[state->new_from].add.stats = NULL;
	}
	for (size_t i = 0; i < state->gone_count; i++)
		if (state->gone[i].version > version)
			state->gone[kept++] = state->gone[i];
		else
			free(state->gone[i].remove.path);
	state->gone_count = kept;
	state->checkpoint = version;
	state->checkpoint_parts = parts;
}

void delta_state_keep_doubled(struct delta_state *state, const struct delta_doubled *old)
{
	if (old->at < 0)
		return;
	if (state->doubled.at < 0)
		state->doubled = *old;
	else if (old->since < state->doubled.since)
		state->doubled.since = old->since;
}

const struct delta_app *delta_state_app(const struct delta_state *state, const char *app_id)
{
	size_t at;

	return delta_map_get(&state->by_app, app_id, &at) ? &state->apps[at] : NULL;
}

int64_t delta_state_app_version(const struct delta_state *state, const char *app_id)
{
	const struct delta_app *app = delta_state_app(state, app_id);

	return app ? app->version : -1;
}
