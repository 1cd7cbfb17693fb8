#include "flow/lake_copy_inside.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "flow/dlq_key.h"
#include "flow/group.h"

#include <errno.h>
#include <stdio.h>

enum { RAW_BYTES_MAX = 1 << 30 };

/* --- letters ----------------------------------------------------------------------- */

static void copy_note_letters(struct copy_plan *plan, const char *key)
{
	struct dlq_key ignored;

	if (!dlq_key_parse(key, &ignored))
		return;
	plan->letters =
		xreallocarray(plan->letters, plan->letter_count + 1, sizeof(*plan->letters));
	plan->letters[plan->letter_count++] = xstrdup(key);
}

/* --- tables ------------------------------------------------------------------------ */

/* A version behind the source's newest is none of it: the copy's table was written to. */
static enum err_code check_log(struct copy_plan *plan, const char *key, struct err *err)
{
	struct copy_table *table;
	int64_t version = -1;
	size_t root;
	const char *name = copy_log_name(key, &root);

	if (!name || (!copy_log_version(name, &version) && strcmp(name, "_last_checkpoint") != 0))
		return ERR_OK;
	table = copy_find_table(plan, key, root);
	if (!table)
		return ERR_OK;
	table->apart++;
	if (version > table->newest)
		return err_set(err, ERR_EXISTS,
			       "table \"%s\" of the destination has commits that the "
			       "source has not, \"%s\": it has gone its own way",
			       table->root, key);
	return ERR_OK;
}

struct copy_log {
	size_t root;
	char **keys;
	size_t count;
};

static bool note_log(void *user, const struct store_entry *entry)
{
	struct copy_log *log = user;
	size_t root;
	const char *name = copy_log_name(entry->key, &root);
	int64_t version;

	if (!name || root != log->root ||
	    (!copy_log_version(name, &version) && strcmp(name, "_last_checkpoint") != 0))
		return true;
	log->keys = xreallocarray(log->keys, log->count + 1, sizeof(*log->keys));
	log->keys[log->count++] = xstrdup(entry->key);
	return true;
}

/* The hint, sums and compacted commits say again, of versions, what those are. */
static bool says_again(const struct copy_log *log, const char *key)
{
	const char *name = key + log->root + sizeof("/_delta_log/") - 1;
	int64_t version;

	return !copy_log_version(name, &version) ||
	       (strcmp(name + strcspn(name, "."), ".json") != 0 && !strstr(name, ".checkpoint."));
}

static enum err_code copy_drop_keys(struct store *to, const struct copy_log *log, bool again,
				    struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = log->count; i-- > 0 && code == ERR_OK;) {
		if (says_again(log, log->keys[i]) != again)
			continue;
		errno = FAILPOINT("copy-remove");
		code = errno != 0 ? err_errno(err, "could not remove object \"%s\"", log->keys[i])
				  : store_remove(to, log->keys[i], err);
	}
	return code;
}

/*
 * In the order of keys, backwards: the newest version first, of each its commit before its
 * checkpoint. So what is left is always the version before.
 */
enum err_code copy_drop_log(struct store *to, const struct copy_table *table, struct err *err)
{
	struct copy_log log = { .root = strlen(table->root) };
	char prefix[STORE_KEY_MAX + 16];
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "%s/_delta_log/", table->root);
	code = store_list(to, prefix, "", note_log, &log, err);
	if (code == ERR_OK)
		code = copy_drop_keys(to, &log, true, err);
	if (code == ERR_OK)
		code = copy_drop_keys(to, &log, false, err);
	for (size_t i = 0; i < log.count; i++)
		free(log.keys[i]);
	free(log.keys);
	return code;
}

/* --- raw objects --------------------------------------------------------------------- */

/* What says of offsets that they are records: an object of values, or a group's manifest. */
struct copy_raw {
	const char *key;
	char topic[TOPIC_NAME_MAX + 1];
	struct lake_partition where;
	bool group;
	uint32_t number; /* of the group's */
	bool plain;	 /* an object that may stand for itself */
	uint64_t start;
};

static bool copy_take_raw(const struct copy_there *there, struct copy_raw *ret)
{
	struct lake_object_name manifest;
	struct lake_file_name file;
	struct slice topic, name;

	*ret = (struct copy_raw){ .key = there->key };
	if (lake_file_parse(there->key, &file)) {
		/* What has a number is nothing without its group. */
		if (file.side.ptr || file.number || group_is_bar(there->key, there->size))
			return false;
		topic = file.topic;
		ret->where = (struct lake_partition){ NULL, file.partition, file.generation };
		ret->plain = file.plain;
		ret->start = file.start;
	} else if (lake_manifest_parse(there->key, &manifest, &name) &&
		   group_parse_name(name, &ret->start, &ret->number)) {
		topic = manifest.topic;
		ret->where =
			(struct lake_partition){ NULL, manifest.partition, manifest.generation };
		ret->group = true;
	} else {
		return false;
	}
	if (topic.len >= sizeof(ret->topic))
		return false;
	(void)snprintf(ret->topic, sizeof(ret->topic), "%.*s", SLICE_ARG(topic));
	ret->where.topic = ret->topic;
	return true;
}

static enum err_code refuse_raw(const struct copy_raw *raw, struct err *err)
{
	return err_set(err, ERR_EXISTS,
		       "partition %d of topic \"%s\" of the destination has records "
		       "of its own where the source has others, \"%s\": it has gone its own way",
		       raw->where.id, raw->topic, raw->key);
}

static enum err_code ask_grouped(struct store *from, const struct copy_raw *raw,
				 struct copy_front *front, struct err *err)
{
	enum err_code code;

	if (front->asked)
		return ERR_OK;
	code = group_find_first(from, raw->where, &front->grouped, err);
	front->asked = code == ERR_OK;
	return code;
}

/* A group is for ever: from there on nothing counts but what groups name. */
static enum err_code copy_check_group(struct store *to, const struct copy_raw *raw,
				      const struct copy_front *front, struct err *err)
{
	struct group group;
	enum err_code code = group_load(to, raw->where, raw->start, raw->number, &group, err);

	if (code != ERR_OK)
		return code;
	if (!group.plain && (front->grouped == UINT64_MAX || group.end > front->first))
		code = refuse_raw(raw, err);
	group_release(&group);
	return code;
}

/* The offset after a plain object's last line. */
static enum err_code find_raw_end(struct store *to, const struct copy_raw *raw, uint64_t *ret_end,
				  struct err *err)
{
	struct manifest manifest = { 0 };
	struct manifests manifests;
	enum err_code code =
		manifests_load(to, raw->where, (int64_t)raw->start - 1, &manifests, err);
	struct buf text;
	uint64_t lines;

	if (code != ERR_OK)
		return code;
	buf_init(&text, RAW_BYTES_MAX);
	code = group_get_text(to, raw->key, &text, err);
	if (code == ERR_OK)
		code = manifests_find(&manifests, to, raw->start, buf_slice(&text), &manifest, err);
	if (code == ERR_OK) {
		lines = manifest_count_lines(buf_slice(&text));
		*ret_end = lines > 0 ? manifest_offset(&manifest, lines - 1) + 1 : raw->start;
	}
	manifest_release(&manifest);
	manifests_release(&manifests);
	buf_release(&text);
	return code;
}

/* One that begins before the source's first: the last of those may reach into it. */
static void note_older(struct copy_front *front, const struct copy_there *there,
		       const struct copy_raw *raw)
{
	/* In folders of times nothing but a group tells what its lines are. */
	if (!raw->plain || (front->older && raw->start < front->older_start))
		return;
	front->older = there;
	front->older_start = raw->start;
}

static enum err_code check_older(struct store *to, const struct copy_front *front, struct err *err)
{
	uint64_t grouped, end = 0;
	struct copy_raw raw;
	enum err_code code;

	if (!front->older || !copy_take_raw(front->older, &raw))
		return ERR_OK;
	code = group_find_first(to, raw.where, &grouped, err);
	if (code == ERR_OK && raw.start < grouped)
		code = find_raw_end(to, &raw, &end, err);
	return code == ERR_OK && end > front->first ? refuse_raw(&raw, err) : code;
}

/*
 * Where the source's objects begin, everything is said of each offset that comes then: what only
 * the copy has there would count twice, and behind them it is in the way of what will come.
 */
static enum err_code check_raw(struct copy_planning *planning, struct store *from, struct store *to,
			       const struct copy_there *there, struct err *err)
{
	char where[STORE_KEY_MAX + 1];
	struct copy_front *front;
	struct copy_raw raw;
	enum err_code code;

	if (!copy_take_raw(there, &raw))
		return ERR_OK;
	copy_put_where(where, slice_str(raw.topic), raw.where.generation, raw.where.id);
	front = copy_find_front(planning, where);
	if (!front || front->first == UINT64_MAX)
		return ERR_OK;
	code = ask_grouped(from, &raw, front, err);
	if (code != ERR_OK)
		return code;
	if (raw.group)
		return copy_check_group(to, &raw, front, err);
	if (raw.start < front->first)
		note_older(front, there, &raw);
	else if (raw.start < front->grouped)
		code = refuse_raw(&raw, err);
	return code;
}

enum err_code copy_find_other(struct copy_planning *planning, struct store *from, struct store *to,
			      struct err *err)
{
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < planning->there_count && code == ERR_OK; i++) {
		const struct copy_there *there = &planning->there[i];

		if (there->wanted)
			continue;
		planning->plan.other++;
		copy_note_letters(&planning->plan, there->key);
		code = check_log(&planning->plan, there->key, err);
		if (code == ERR_OK)
			code = check_raw(planning, from, to, there, err);
	}
	for (size_t i = 0; i < planning->front_count && code == ERR_OK; i++)
		code = check_older(to, &planning->fronts[i], err);
	return code;
}
