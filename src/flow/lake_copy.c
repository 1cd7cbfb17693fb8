#include "flow/lake_copy_inside.h"

#include "base/ahead.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "delta/delta.h"

#include <inttypes.h>

enum {
	AT_ONCE_FAR = 16,
	AT_ONCE_NEAR = 4,	/* what a disk's syncs wait for */
	TELL_MS = 5000,
};
#define COPY_BYTES_AT_ONCE ((uint64_t)256 << 20)

struct copying {
	const struct lake_copy_options *options;
	struct copy_plan plan;
	size_t *items;		/* those of the works at hand … */
	size_t *last;		/* … of a log: each goes up to this one, excluded */
	size_t count;
	uint64_t bytes;		/* in all */
	atomic_uint_fast64_t done;
	atomic_uint_fast64_t done_objects;
	_Atomic int64_t told_ms;
	const char *doing;
};

static void copy_tell(struct copying *copying, const struct copy_item *item)
{
	uint64_t done = atomic_fetch_add(&copying->done, item->size) + item->size;
	uint64_t objects = atomic_fetch_add(&copying->done_objects, 1) + 1;
	int64_t now = clock_mono_ms(), told = atomic_load(&copying->told_ms);

	if (now - told >= TELL_MS && atomic_compare_exchange_strong(&copying->told_ms, &told, now))
		trace_info("%s: %" PRIu64 " objects, %" PRIu64 " of %" PRIu64 " MiB",
			   copying->doing, objects, done >> 20, copying->bytes >> 20);
}

static uint64_t lake_copy_bytes(void *user, size_t i)
{
	const struct copying *copying = user;

	return copy_item_memory(&copying->plan.items[copying->items[i]]);
}

static enum err_code compare_one(void *user, size_t i, struct err *err)
{
	struct copying *copying = user;
	struct copy_item *item = &copying->plan.items[copying->items[i]];
	enum err_code code =
		copy_compare(copying->options->from, copying->options->to, item, err);

	copy_tell(copying, item);
	return code;
}

/* Of a log all that is left of it. */
static enum err_code copy_one(void *user, size_t i, struct err *err)
{
	struct copying *copying = user;
	enum err_code code = ERR_OK;

	for (size_t k = copying->items[i]; k < copying->last[i] && code == ERR_OK; k++) {
		struct copy_item *item = &copying->plan.items[k];
		const struct copy_table *table =
			item->stage == COPY_HINT ? &copying->plan.tables[item->table] : NULL;

		if (item->state == COPY_SAME || item->gone)
			continue;
		code = copy_object(copying->options->from, copying->options->to, item, table, err);
		copy_tell(copying, item);
	}
	return code;
}

static enum err_code copy_do(struct copying *copying,
			     enum err_code (*work)(void *user, size_t i, struct err *err),
			     struct err *err)
{
	const struct lake_copy_options *options = copying->options;
	bool far = store_at_once(options->from) > 1 || store_at_once(options->to) > 1;
	struct ahead_options ahead = {
		.count = copying->count,
		.at_once = far ? AT_ONCE_FAR : AT_ONCE_NEAR,
		.bytes_max = COPY_BYTES_AT_ONCE,
		.bytes = lake_copy_bytes,
		.work = work,
		.user = copying,
	};

	return ahead_all(&ahead, err);
}

static void copy_begin(struct copying *copying, const char *doing)
{
	copying->doing = doing;
	copying->count = 0;
	copying->bytes = 0;
	atomic_store(&copying->done, 0);
	atomic_store(&copying->done_objects, 0);
}

/* --- first, whether it may be ------------------------------------------------------ */

static enum err_code copy_refuse(const struct copying *copying, struct err *err)
{
	const struct copy_item *first = NULL;
	uint64_t count = 0;

	for (size_t i = copying->plan.count; i-- > 0;)
		if (copying->plan.items[i].state == COPY_OTHER && !copying->plan.items[i].gone) {
			first = &copying->plan.items[i];
			count++;
		}
	if (count == 0 || copying->options->replace)
		return ERR_OK;
	return err_set(err, ERR_EXISTS, "the destination has %" PRIu64 " objects that are others than "
		       "the source's of that name, \"%s\" is one; nothing was copied; --replace takes "
		       "the source's", count, first->key);
}

/* A log is one history, so it is taken as a whole. */
static void copy_replace_logs(struct copy_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct copy_item *item = &plan->items[i];

		if (item->stage > COPY_SEAL && item->state == COPY_OTHER && !item->gone)
			plan->tables[item->table].replaced = true;
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct copy_item *item = &plan->items[i];

		if (item->stage <= COPY_SEAL || !plan->tables[item->table].replaced)
			continue;
		plan->tables[item->table].there = false;
		item->there = item->there && item->state != COPY_SAME;
		item->state = COPY_MISSING;
	}
	copy_plan_order(plan);
}

static enum err_code copy_compare_all(struct copying *copying, struct err *err)
{
	enum err_code code;

	copy_begin(copying, "comparing what is there");
	for (size_t i = 0; i < copying->plan.count; i++)
		if (copying->plan.items[i].there) {
			copying->items[copying->count++] = i;
			copying->bytes += copying->plan.items[i].size;
		}
	code = copy_do(copying, compare_one, err);
	if (code == ERR_OK)
		code = copy_refuse(copying, err);
	if (code == ERR_OK)
		copy_replace_logs(&copying->plan);
	return code;
}

/* --- then all that lacks ------------------------------------------------------------- */

/* Objects are works of their own; a log's rest is one. */
static void copy_take_stage(struct copying *copying, enum copy_stage stage, size_t *at)
{
	const struct copy_plan *plan = &copying->plan;

	copying->count = 0;
	for (; *at < plan->count && plan->items[*at].stage == stage; ++*at) {
		size_t before = copying->count - 1;

		if (stage == COPY_LOG && copying->count > 0 &&
		    plan->items[copying->items[before]].table == plan->items[*at].table) {
			copying->last[before] = *at + 1;
			continue;
		}
		if (stage != COPY_LOG && plan->items[*at].state == COPY_SAME)
			continue;
		copying->items[copying->count] = *at;
		copying->last[copying->count++] = *at + 1;
	}
}

/* Their readers have the old ones up to here, and then none until the first commit. */
static enum err_code copy_drop_logs(struct copying *copying, struct err *err)
{
	const struct copy_plan *plan = &copying->plan;
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < plan->table_count && code == ERR_OK; i++)
		if (plan->tables[i].replaced)
			code = copy_drop_log(copying->options->to, &plan->tables[i], err);
	return code;
}

static enum err_code lake_copy_all(struct copying *copying, struct err *err)
{
	enum err_code code = ERR_OK;
	size_t at = 0;

	copy_begin(copying, "copying");
	for (size_t i = 0; i < copying->plan.count; i++)
		if (copying->plan.items[i].state != COPY_SAME)
			copying->bytes += copying->plan.items[i].size;
	for (int stage = 0; stage < COPY_STAGES && code == ERR_OK; stage++) {
		if (stage == COPY_LOG_BULK)
			code = copy_drop_logs(copying, err);
		copy_take_stage(copying, (enum copy_stage)stage, &at);
		if (code == ERR_OK)
			code = copy_do(copying, copy_one, err);
	}
	return code;
}

static bool is_gone_of(const struct copy_item *item, const char *root)
{
	size_t len = strlen(root);

	return item->gone && item->stage == COPY_DATA && strncmp(item->key, root, len) == 0 &&
	       item->key[len] == '/';
}

static bool copy_needs(const struct delta_table *delta, const char *path)
{
	for (size_t i = 0; i < delta_file_count(delta); i++)
		if (strcmp(delta_file(delta, i)->path, path) == 0)
			return true;
	return false;
}

/* Data files that were cleaned up meanwhile are none that the copy needs, if it was fast enough. */
static enum err_code copy_check_table(const struct copying *copying, const char *root,
				      struct err *err)
{
	const struct copy_plan *plan = &copying->plan;
	const struct delta_options read = { 0 };
	struct delta_table *delta = NULL;
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < plan->count && code == ERR_OK; i++) {
		const struct copy_item *item = &plan->items[i];

		if (!is_gone_of(item, root))
			continue;
		if (!delta)
			code = delta_open(copying->options->to, root, &read, &delta, err);
		if (code == ERR_OK && copy_needs(delta, item->key + strlen(root) + 1))
			code = err_set(err, ERR_BUSY,
				       "\"%s\" was cleaned up before it was copied: the "
				       "copy took longer than the table keeps files; make it again",
				       item->key);
	}
	delta_close(delta);
	return code;
}

static enum err_code copy_check_gone(const struct copying *copying, struct err *err)
{
	const struct copy_plan *plan = &copying->plan;
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < plan->table_count && code == ERR_OK; i++)
		code = copy_check_table(copying, plan->tables[i].root, err);
	return code;
}

/* The source's tables are there by now, whose letters those are no more. */
static enum err_code copy_drop_letters(struct copying *copying, struct err *err)
{
	const struct copy_plan *plan = &copying->plan;
	enum err_code code = ERR_OK;

	for (size_t i = 0; copying->options->replace && i < plan->letter_count && code == ERR_OK;
	     i++)
		code = store_remove(copying->options->to, plan->letters[i], err);
	return code;
}

static void copy_report(const struct copying *copying, struct lake_copy_report *ret)
{
	const struct copy_plan *plan = &copying->plan;

	*ret = (struct lake_copy_report){ .late = plan->late, .other = plan->other,
					   .letters = plan->letter_count };
	for (size_t i = 0; i < plan->table_count; i++)
		ret->logs += plan->tables[i].replaced ? plan->tables[i].apart : 0;
	for (size_t i = 0; i < plan->count; i++) {
		const struct copy_item *item = &plan->items[i];

		ret->objects++;
		ret->bytes += item->size;
		ret->gone += item->gone;
		ret->wordless += item->wordless;
		ret->same += item->state == COPY_SAME;
		if (item->gone || item->state == COPY_SAME)
			continue;
		ret->copied++;
		ret->copied_bytes += item->size;
		ret->replaced += item->there;
	}
}

enum err_code lake_copy(const struct lake_copy_options *options,
			struct lake_copy_report *ret_report, struct err *err)
{
	struct copying copying = { .options = options, .told_ms = clock_mono_ms() };
	enum err_code code = copy_plan_make(options->from, options->to, &copying.plan, err);

	if (code != ERR_OK)
		return code;
	copying.items = xcalloc(copying.plan.count, sizeof(*copying.items));
	copying.last = xcalloc(copying.plan.count, sizeof(*copying.last));
	code = copy_compare_all(&copying, err);
	if (code == ERR_OK && !options->dry_run)
		code = lake_copy_all(&copying, err);
	if (code == ERR_OK && !options->dry_run)
		code = copy_check_gone(&copying, err);
	if (code == ERR_OK && !options->dry_run)
		code = copy_drop_letters(&copying, err);
	if (code == ERR_OK)
		copy_report(&copying, ret_report);
	free(copying.items);
	free(copying.last);
	copy_plan_release(&copying.plan);
	return code;
}
