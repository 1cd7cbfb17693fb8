/*
 * group_local.c - how far the groups of broker_local's readers are (commits.h).
 *
 * What a group wants, and where it begins, is in its file before it reads. Later
 * commits are kept here and told at most once a second and at the close; one
 * that goes back is told at once, since retention might let go of what is
 * wanted again.
 */
#include "broker/local/reader_local.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/local/members.h"

#include <inttypes.h>
#include <unistd.h>

enum { TELL_MS = 1000 };

/* With the readers' lock. */
static enum err_code group_tell(struct local_reader *reader, bool durable, struct err *err)
{
	struct local_broker *local = local_of(reader->base.broker);
	enum err_code code = commits_save(&reader->commits, local->dir_fd, reader->subs.group,
					  durable, err);

	reader->told_ms = clock_mono_ms(); /* if it failed, not again at once */
	reader->commits_told = code == ERR_OK;
	return code;
}

/* Topics went while nobody of the group was there to hear of it. */
static bool group_forget_gone(struct commits *commits, struct local_broker *local)
{
	struct err ignored;
	bool forgot;

	local_hold(local);
	forgot = local_refresh(local, &ignored) == ERR_OK &&
		 commits_forget_gone(commits, &local->topics);
	local_let_go(local);
	return forgot;
}

void group_join(struct local_reader *reader, const struct reader_options *options)
{
	struct local_broker *local = local_of(reader->base.broker);
	struct commits commits;
	enum err_code code;
	struct err err;
	bool changed;

	if (members_join(local->dir_fd, options->group, &reader->member_fd, &err) != ERR_OK)
		trace_warn("%s: nobody sees that it is read", err.msg);
	commits_init(&commits);
	code = commits_load(&commits, local->dir_fd, options->group, &err);
	if (code == ERR_CORRUPT)
		trace_warn("%s: it is written anew", err.msg);
	else if (code != ERR_OK && code != ERR_ABSENT) /* and is not written before it is known */
		trace_warn("group \"%s\": %s", options->group, err.msg);
	changed = group_forget_gone(&commits, local);
	changed |= commits_want(&commits, options->topics, options->topic_count);
	(void)pthread_mutex_lock(&local->readers_lock);
	reader->commits = commits;
	reader->commits_told = true;
	if (changed && group_tell(reader, true, &err) != ERR_OK)
		trace_warn("%s", err.msg);
	(void)pthread_mutex_unlock(&local->readers_lock);
}

void group_begin(struct local_reader *reader, const struct reader_event *event)
{
	struct local_broker *local = local_of(reader->base.broker);
	const struct sub *sub = subs_find(&reader->subs, event->topic, event->partition);
	struct err err;

	if (!sub)
		return;
	(void)pthread_mutex_lock(&local->readers_lock);
	if (!commits_has(&reader->commits, sub->uid, sub->partition)) {
		commits_set(&reader->commits, event->topic, sub->uid, sub->partition,
			    sub_position(sub, sub->next));
		if (group_tell(reader, true, &err) != ERR_OK)
			trace_warn("%s, partition %d: %s", event->topic.name, event->partition,
				   err.msg);
	}
	(void)pthread_mutex_unlock(&local->readers_lock);
}

void group_forget(struct local_reader *reader, struct topic_ref topic)
{
	struct local_broker *local = local_of(reader->base.broker);

	(void)pthread_mutex_lock(&local->readers_lock);
	commits_forget(&reader->commits, topic);
	reader->commits_told = false;
	(void)pthread_mutex_unlock(&local->readers_lock);
}

static void flush(struct local_reader *reader, bool at_once)
{
	struct local_broker *local = local_of(reader->base.broker);
	struct err err;

	if (!reader->subs.group)
		return;
	(void)pthread_mutex_lock(&local->readers_lock);
	if (!reader->commits_told &&
	    (at_once || clock_mono_ms() - reader->told_ms >= TELL_MS) &&
	    group_tell(reader, false, &err) != ERR_OK)
		trace_warn("%s", err.msg);
	(void)pthread_mutex_unlock(&local->readers_lock);
}

void group_flush(struct local_reader *reader)
{
	flush(reader, false);
}

void group_leave(struct local_reader *reader)
{
	flush(reader, true);
	if (reader->member_fd >= 0)
		(void)close(reader->member_fd);
}

enum err_code local_reader_commit(struct broker_reader *base, struct topic_ref ref, int32_t id,
				  struct position next, struct err *err)
{
	struct local_broker *local = local_of(base->broker);
	struct local_reader *reader = local_reader_of(base);
	const struct commit *before;
	struct sub *sub;
	enum err_code code;
	bool at_once;

	if (!reader->subs.group)
		return err_set(err, ERR_USAGE, "only a member of a group can commit");
	code = subs_get(&reader->subs, ref, id, &sub, err);
	if (code != ERR_OK || sub->revoked)
		return code; /* of a topic that is gone: nobody asks for that position again */
	(void)pthread_mutex_lock(&local->readers_lock);
	before = commits_find(&reader->commits, sub->uid, id);
	at_once = clock_mono_ms() - reader->told_ms >= TELL_MS ||
		  (before && position_cmp(next, before->next) < 0);
	commits_set(&reader->commits, ref, sub->uid, id, next);
	reader->commits_told = false;
	if (at_once)
		code = group_tell(reader, false, err);
	(void)pthread_mutex_unlock(&local->readers_lock);
	return code;
}

/* --- without a member -------------------------------------------------- */

/* The member of the group in this process. With the readers' lock. NULL: none. */
static struct local_reader *member_of(struct local_broker *local, const char *group)
{
	struct local_reader *reader = local->readers;

	while (reader && (!reader->subs.group || strcmp(reader->subs.group, group) != 0))
		reader = reader->next;
	return reader;
}

static enum err_code find_uid(struct local_broker *local, const char *group, struct topic_ref ref,
			      int32_t partition, uint64_t *ret_uid, struct err *err)
{
	struct partition *found;
	enum err_code code = name_check_topic(slice_str(group), err);

	if (code != ERR_OK)
		return err_prefix(err, "group");
	local_hold(local);
	code = local_find_partition(local, ref, partition, &found, err);
	if (code == ERR_OK)
		*ret_uid = found->topic->uid;
	local_let_go(local);
	return code;
}

/* Of a group that has no member here; one that committed nothing has no file. */
static enum err_code load_group(struct commits *commits, const struct local_broker *local,
				const char *group, struct err *err)
{
	enum err_code code = commits_load(commits, local->dir_fd, group, err);

	return code == ERR_ABSENT ? ERR_OK : code;
}

enum err_code local_committed(struct broker *broker, const char *group, struct topic_ref ref,
			      int32_t partition, struct position *ret_next, struct err *err)
{
	struct local_broker *local = local_of(broker);
	const struct local_reader *member;
	const struct commit *found = NULL;
	struct commits commits;
	uint64_t uid = 0;
	enum err_code code = find_uid(local, group, ref, partition, &uid, err);

	if (code != ERR_OK)
		return code;
	commits_init(&commits);
	(void)pthread_mutex_lock(&local->readers_lock);
	member = member_of(local, group);
	if (member)
		found = commits_find(&member->commits, uid, partition);
	else
		code = load_group(&commits, local, group, err);
	if (!member)
		found = commits_find(&commits, uid, partition);
	if (found)
		*ret_next = found->next;
	else if (code == ERR_OK)
		code = err_set(err, ERR_ABSENT, "group \"%s\" has committed nothing of partition "
			       "%" PRId32 " of \"%s\"", group, partition, ref.name);
	(void)pthread_mutex_unlock(&local->readers_lock);
	commits_release(&commits);
	return code;
}

enum err_code local_commit(struct broker *broker, const char *group, struct topic_ref ref,
			   int32_t partition, struct position next, struct err *err)
{
	struct local_broker *local = local_of(broker);
	struct local_reader *member;
	struct commits commits;
	uint64_t uid = 0;
	enum err_code code = find_uid(local, group, ref, partition, &uid, err);

	if (code != ERR_OK)
		return code;
	commits_init(&commits);
	(void)pthread_mutex_lock(&local->readers_lock);
	member = member_of(local, group);
	if (member) {
		commits_set(&member->commits, ref, uid, partition, next);
		code = group_tell(member, false, err);
	} else {
		/* Of one that is damaged its members alone know what else it said. */
		code = load_group(&commits, local, group, err);
		commits_set(&commits, ref, uid, partition, next);
		if (code == ERR_OK)
			code = commits_save(&commits, local->dir_fd, group, false, err);
	}
	(void)pthread_mutex_unlock(&local->readers_lock);
	commits_release(&commits);
	return code;
}

/* --- as seen from outside ------------------------------------------------ */

struct group_names {
	char **items;
	size_t count;
};

static void group_local_add_name(void *user, const char *group, bool known,
				 const struct commits *commits)
{
	struct group_names *names = user;

	(void)known;
	(void)commits;
	names->items = xreallocarray(names->items, names->count + 1, sizeof(char *));
	names->items[names->count++] = xstrdup(group);
}

static int group_local_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Who has joined has a file. */
enum err_code local_groups(struct broker *broker, bool (*each)(void *user, const char *name),
			   void *user, struct err *err)
{
	struct group_names names = { 0 };
	enum err_code code = ERR_OK;
	bool more = true;

	if (!commits_walk(local_of(broker)->dir_fd, group_local_add_name, &names))
		code = err_set(err, ERR_IO, "could not list the log's groups");
	if (names.count > 1)
		qsort(names.items, names.count, sizeof(char *), group_local_compare);
	for (size_t i = 0; i < names.count; i++) {
		more = more && code == ERR_OK && each(user, names.items[i]);
		free(names.items[i]);
	}
	free(names.items);
	return code;
}

/* What members in this process have not told yet goes into the file. */
static enum err_code tell_all(struct local_broker *local, const char *group, struct err *err)
{
	enum err_code code = ERR_OK;

	(void)pthread_mutex_lock(&local->readers_lock);
	for (struct local_reader *reader = local->readers; reader; reader = reader->next)
		if (code == ERR_OK && reader->subs.group && !reader->commits_told &&
		    strcmp(reader->subs.group, group) == 0)
			code = group_tell(reader, false, err);
	(void)pthread_mutex_unlock(&local->readers_lock);
	return code;
}

/* Each member is given all partitions. */
static enum err_code put_places(struct local_broker *local, const struct commits *commits,
				struct group_info *info, struct err *err)
{
	enum err_code code;

	local_hold(local);
	code = local_refresh(local, err);
	for (size_t i = 0; i < commits->count && code == ERR_OK; i++) {
		const struct commit *commit = &commits->items[i];
		struct group_place *place;

		if (!topics_find_uid(&local->topics, commit->uid))
			continue;
		place = group_info_place(info, commit->kind, commit->name, commit->partition);
		place->committed = true;
		place->next = commit->next;
		place->member = info->member_count == 1 ? info->members[0].id : NULL;
	}
	local_let_go(local);
	return code;
}

enum err_code local_describe_group(struct broker *broker, const char *group,
				   struct group_info *ret_info, struct err *err)
{
	struct local_broker *local = local_of(broker);
	struct group_info info = { 0 };
	struct commits commits;
	enum err_code code;

	if (name_check_topic(slice_str(group), err) != ERR_OK) /* it has no file, then */
		return err_set(err, ERR_ABSENT, "there is no group \"%s\"", group);
	commits_init(&commits);
	code = tell_all(local, group, err);
	if (code == ERR_OK)
		code = commits_load(&commits, local->dir_fd, group, err);
	if (code == ERR_ABSENT)
		code = err_set(err, ERR_ABSENT, "there is no group \"%s\"", group);
	if (code == ERR_OK)
		code = members_list(local->dir_fd, group, &info, err);
	if (code == ERR_OK)
		code = put_places(local, &commits, &info, err);
	commits_release(&commits);
	if (code != ERR_OK) {
		group_info_release(&info);
		return code;
	}
	group_info_sort(&info);
	*ret_info = info;
	return ERR_OK;
}

/* With the groups' lock nobody joins. */
static enum err_code need_no_member(const struct local_broker *local, const char *group,
				    struct err *err)
{
	struct group_info info = { 0 };
	enum err_code code = members_list(local->dir_fd, group, &info, err);

	if (code == ERR_OK && info.member_count > 0)
		code = err_set(err, ERR_BUSY, "group \"%s\" has members: %s of %s reads in it",
			       group, info.members[0].client, info.members[0].host);
	group_info_release(&info);
	return code;
}

static enum err_code set_places(struct local_broker *local, struct commits *commits,
				const char *group, const struct group_place *places, size_t count,
				struct err *err)
{
	enum err_code code = ERR_OK;
	uint64_t uid = 0;

	for (size_t i = 0; i < count && code == ERR_OK; i++) {
		struct topic_ref topic = { places[i].kind, places[i].topic };

		code = find_uid(local, group, topic, places[i].partition, &uid, err);
		if (code == ERR_OK)
			commits_set(commits, topic, uid, places[i].partition, places[i].next);
	}
	return code;
}

enum err_code local_reset_group(struct broker *broker, const char *group,
				const struct group_place *places, size_t count, struct err *err)
{
	struct local_broker *local = local_of(broker);
	struct commits commits;
	int lock_fd = -1;
	enum err_code code = name_check_topic(slice_str(group), err);

	if (code != ERR_OK)
		return err_prefix(err, "group");
	code = commits_lock(local->dir_fd, &lock_fd, err);
	if (code != ERR_OK)
		return code;
	commits_init(&commits);
	code = need_no_member(local, group, err);
	if (code == ERR_OK)
		code = load_group(&commits, local, group, err);
	if (code == ERR_OK)
		code = set_places(local, &commits, group, places, count, err);
	if (code == ERR_OK) /* what is to be read again must not go meanwhile */
		code = commits_save_locked(&commits, local->dir_fd, lock_fd, group, true, err);
	(void)close(lock_fd);
	commits_release(&commits);
	return code;
}
