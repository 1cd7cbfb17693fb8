#include "flow/restore_inside.h"

#include "base/mem.h"
#include "base/names.h"
#include "base/trace.h"
#include "delta/delta.h"

#include <inttypes.h>
#include <stdio.h>

/* An application id, taken apart. */
struct restore_app {
	enum topic_kind kind;
	struct slice topic;
	int32_t partition;
	uint64_t uid;			/* of a stream */
	uint32_t generation;
};

struct table_walk {
	struct store *store;
	struct restore_plan *plan;
	const struct delta_table *delta;
	enum err_code code;
	struct err *err;
};

static bool restore_take(struct slice *rest, struct slice *ret)
{
	const char *slash = rest->len ? memchr(rest->ptr, '/', rest->len) : NULL;

	if (rest->len == 0)
		return false;
	*ret = slice_of(rest->ptr, slash ? (size_t)(slash - rest->ptr) : rest->len);
	*rest = slash ? slice_from(*rest, ret->len + 1) : slice_of(rest->ptr + rest->len, 0);
	return true;
}

/* "g<4 digits>"; nothing: the first. */
static bool take_generation(struct slice rest, uint32_t *ret)
{
	*ret = 1;
	if (rest.len == 0)
		return true;
	if (rest.len != 5 || rest.ptr[0] != 'g')
		return false;
	*ret = 0;
	for (size_t i = 1; i < rest.len; i++) {
		if (rest.ptr[i] < '0' || rest.ptr[i] > '9')
			return false;
		*ret = *ret * 10 + (uint32_t)(rest.ptr[i] - '0');
	}
	return *ret > 1;
}

/* pinpipe/batch/<topic>/<p>[/g<4 digits>], pinpipe/stream/<stream>/<shard>/<uid>[/g<4 digits>] */
static bool parse_app(struct slice id, struct restore_app *ret)
{
	struct restore_app app = { .kind = TOPIC_LOG };
	struct slice text;
	struct err ignored;

	if (!restore_take(&id, &text) || !slice_is(text, "pinpipe") || !restore_take(&id, &text))
		return false;
	if (slice_is(text, "stream"))
		app.kind = TOPIC_STREAM;
	else if (!slice_is(text, "batch"))
		return false;
	if (!restore_take(&id, &app.topic) || name_check_topic(app.topic, &ignored) != ERR_OK ||
	    !restore_take(&id, &text) || !partition_parse(app.kind, text, &app.partition) ||
	    app.partition >= PARTITIONS_MAX)
		return false;
	if (app.kind == TOPIC_STREAM &&
	    (!restore_take(&id, &text) || !restore_parse_uid(text, &app.uid)))
		return false;
	if (!take_generation(id, &app.generation))
		return false;
	*ret = app;
	return true;
}

static void note_batch(struct table_walk *walk, const struct restore_app *app,
		       struct position done)
{
	struct restore_topic *topic = restore_plan_topic(walk->plan, TOPIC_LOG, app->topic);
	struct restore_part *part;
	uint64_t offset;

	if (app->generation != topic->generation || !lake_offset(done, &offset))
		return;
	part = restore_topic_part(topic, app->partition);
	restore_tell(part, offset + 1);
}

/* Of all that had its name, a stream is the one that came furthest: numbers begin with the second
 * in which a stream was made. What any of them has used is used up. */
static void note_stream(struct table_walk *walk, const struct restore_app *app,
			struct position done)
{
	struct restore_topic *topic = restore_plan_topic(walk->plan, TOPIC_STREAM, app->topic);
	struct restore_part *part = restore_topic_part(topic, app->partition);

	if (topic->uid == 0 || position_cmp(done, topic->uid_at) > 0) {
		topic->uid = app->uid;
		topic->uid_at = done;
	}
	if (position_cmp(done, part->above) > 0)
		part->above = done;
}

/* A position of several versions is met by the first of them. */
static bool note_app(void *user, const char *id)
{
	struct table_walk *walk = user;
	const char *part = strchr(id, '#');
	struct slice base = slice_of(id, part ? (size_t)(part - id) : strlen(id));
	struct delta_progress done;
	struct restore_app app;
	char *app_id;

	if ((part && strcmp(part, "#0") != 0) || !parse_app(base, &app))
		return true;
	app_id = xstrndup(base.ptr, base.len);
	walk->code = delta_progress(walk->delta, app_id, &done, walk->err);
	free(app_id);
	if (walk->code != ERR_OK || !done.any)
		return walk->code == ERR_OK;
	if (app.kind == TOPIC_LOG)
		note_batch(walk, &app, done.position);
	else
		note_stream(walk, &app, done.position);
	return true;
}

static enum err_code note_table(void *user, struct slice name, struct err *err)
{
	struct table_walk *walk = user;
	struct delta_options options = { 0 };
	char root[STORE_KEY_MAX + 1];
	struct delta_table *delta;
	enum err_code code;

	(void)snprintf(root, sizeof(root), "tables/%.*s", SLICE_ARG(name));
	code = delta_open(walk->store, root, &options, &delta, err);
	if (code == ERR_ABSENT)
		return ERR_OK; /* no table */
	if (code == ERR_UNSUPPORTED) {
		/* Of another program, or so changed that batch and stream do not touch it. */
		trace_warn("table \"%s\" is passed over: %s", root, err->msg);
		return ERR_OK;
	}
	if (code != ERR_OK)
		return err_prefix(err, "table \"%s\"", root);
	walk->delta = delta;
	walk->err = err;
	delta_each_app(delta, note_app, walk);
	delta_close(delta);
	return walk->code;
}

enum err_code restore_plan_tables(struct store *store, struct restore_plan *plan, struct err *err)
{
	struct table_walk walk = { .store = store, .plan = plan };

	return restore_names(store, "tables/", note_table, &walk, err);
}
