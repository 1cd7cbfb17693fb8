#include "broker/local/commits.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"
#include "broker/local/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FILE_BYTES_MAX = 8 * 1024 * 1024,
	PATH_BYTES = TOPIC_NAME_MAX + 32,
	CRC_LINE = 13,
	LOCK_TRIES = 10000, /* one a millisecond: who has it may have been stopped */
};

static const char the_position[] = "the position of a group";

void commits_init(struct commits *commits) { *commits = (struct commits){ 0 }; }

void commits_release(struct commits *commits)
{
	free(commits->items);
	free(commits->wanted);
	commits_init(commits);
}

/* A list that is full, as its count is a power of two, gets twice the room. */
static void *list_room(void *list, size_t count, size_t size)
{
	if ((count & (count - 1)) != 0)
		return list;
	return xreallocarray(list, count ? 2 * count : 1, size);
}

static void commits_add(struct commits *commits, const struct commit *commit)
{
	commits->items = list_room(commits->items, commits->count, sizeof(*commit));
	commits->items[commits->count++] = *commit;
}

static void add_wanted(struct commits *commits, struct topic_ref topic)
{
	struct wanted *wanted;

	commits->wanted = list_room(commits->wanted, commits->wanted_count, sizeof(*wanted));
	wanted = &commits->wanted[commits->wanted_count++];
	wanted->kind = topic.kind;
	memcpy(wanted->name, topic.name, strlen(topic.name) + 1);
}

bool commits_want(struct commits *commits, const struct topic_ref *topics, size_t count)
{
	bool same = count == commits->wanted_count;

	for (size_t i = 0; same && i < count; i++)
		same = topics[i].kind == commits->wanted[i].kind &&
		       strcmp(topics[i].name, commits->wanted[i].name) == 0;
	if (same)
		return false;
	commits->wants_changed = true;
	commits->wanted_count = 0;
	for (size_t i = 0; i < count; i++)
		add_wanted(commits, topics[i]);
	return true;
}

static struct commit *commits_place(struct commits *commits, uint64_t uid, int32_t partition)
{
	for (size_t i = 0; i < commits->count; i++)
		if (commits->items[i].uid == uid && commits->items[i].partition == partition)
			return &commits->items[i];
	return NULL;
}

/* A topic of that name that is gone is of no interest any more. */
static void commits_forget_but(struct commits *commits, struct topic_ref topic, uint64_t uid)
{
	for (size_t i = 0; i < commits->count; i++) {
		struct commit *old = &commits->items[i];

		if (old->kind == topic.kind && strcmp(old->name, topic.name) == 0 &&
		    old->uid != uid)
			old->gone = old->changed = true;
	}
}

void commits_set(struct commits *commits, struct topic_ref topic, uint64_t uid, int32_t partition,
		 struct position next)
{
	struct commit commit = { .kind = topic.kind,
				 .uid = uid,
				 .partition = partition,
				 .next = next,
				 .changed = true };
	struct commit *place = commits_place(commits, uid, partition);

	memcpy(commit.name, topic.name, strlen(topic.name) + 1);
	commits_forget_but(commits, topic, uid);
	if (place && !place->gone)
		commit.back = place->back || position_cmp(next, place->next) < 0;
	if (place)
		*place = commit;
	else
		commits_add(commits, &commit);
}

void commits_forget(struct commits *commits, struct topic_ref topic)
{
	commits_forget_but(commits, topic, 0);
}

bool commits_forget_gone(struct commits *commits, const struct topics *topics)
{
	bool forgot = false;

	for (size_t i = 0; i < commits->count; i++) {
		struct commit *commit = &commits->items[i];

		if (commit->gone || topics_find_uid(topics, commit->uid))
			continue;
		commit->gone = commit->changed = forgot = true;
	}
	return forgot;
}

const struct commit *commits_find(const struct commits *commits, uint64_t uid, int32_t partition)
{
	const struct commit *found =
		commits_place((struct commits *)(uintptr_t)commits, uid, partition);

	return found && !found->gone ? found : NULL;
}

bool commits_has(const struct commits *commits, uint64_t uid, int32_t partition)
{
	return commits_find(commits, uid, partition) != NULL;
}

static void commits_parse_line(struct commits *commits, const char *line)
{
	char kind[8], name[TOPIC_NAME_MAX + 1], position[POSITION_TEXT_MAX];
	struct topic_ref topic = { .name = name };
	struct commit commit = { 0 };

	if (sscanf(line, "wants %7s %249s", kind, name) == 2 && topic_kind_parse(kind, &topic.kind))
		add_wanted(commits, topic);
	if (sscanf(line, "commit %7s %16" SCNx64 " %" SCNd32 " %58s %249s", kind, &commit.uid,
		   &commit.partition, position, commit.name) != 5)
		return;
	if (topic_kind_parse(kind, &commit.kind) &&
	    position_parse(slice_str(position), &commit.next))
		commits_add(commits, &commit);
}

static bool commits_parse(struct commits *commits, char *text, size_t len)
{
	uint32_t crc;

	if (len < CRC_LINE || sscanf(text + len - CRC_LINE, "crc %8" SCNx32, &crc) != 1 ||
	    crc32c(0, text, len - CRC_LINE) != crc)
		return false;
	text[len - CRC_LINE] = '\0';
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		commits_parse_line(commits, line);
	}
	return true;
}

enum err_code commits_load(struct commits *commits, int dir_fd, const char *group, struct err *err)
{
	char path[PATH_BYTES];
	enum err_code code;
	struct buf text;

	(void)snprintf(path, sizeof(path), "groups/%s", group);
	buf_init(&text, FILE_BYTES_MAX);
	code = file_read(dir_fd, path, &text, the_position, err);
	if (code == ERR_LIMIT ||
	    (code == ERR_OK && (!buf_cstr(&text) || !commits_parse(commits, text.ptr, text.len))))
		code = err_set(err, ERR_CORRUPT, "the position of group \"%s\" is damaged", group);
	buf_release(&text);
	return code;
}

static void commits_put(struct buf *out, const struct commits *commits)
{
	for (size_t i = 0; i < commits->wanted_count; i++)
		buf_addf(out, "wants %s %s\n", topic_kind_text(commits->wanted[i].kind),
			 commits->wanted[i].name);
	for (size_t i = 0; i < commits->count; i++) {
		const struct commit *commit = &commits->items[i];
		char position[POSITION_TEXT_MAX];

		(void)position_text(commit->next, position);
		buf_addf(out, "commit %s %016" PRIx64 " %" PRId32 " %s %s\n",
			 topic_kind_text(commit->kind), commit->uid, commit->partition, position,
			 commit->name);
	}
	buf_addf(out, "crc %08" PRIx32 "\n", crc32c(0, out->ptr, out->len));
}

/* --- telling ------------------------------------------------------------- */

enum err_code commits_lock(int dir_fd, int *ret_fd, struct err *err)
{
	int fd, tries = 0;

	if (mkdirat(dir_fd, "groups", 0700) < 0 && errno != EEXIST)
		return err_errno(err, "could not make the directory of groups");
	fd = openat(dir_fd, "groups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "could not open the directory of groups");
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK && ++tries < LOCK_TRIES) {
			clock_sleep_ms(1);
			continue;
		}
		if (errno == EWOULDBLOCK)
			(void)err_set(err, ERR_BUSY,
				      "another process writes the groups' positions");
		else
			(void)err_errno(err, "could not lock the directory of groups");
		(void)close(fd);
		return err->code;
	}
	*ret_fd = fd;
	return ERR_OK;
}

static void drop_topic(struct commits *commits, uint64_t uid)
{
	size_t kept = 0;

	for (size_t i = 0; i < commits->count; i++)
		if (commits->items[i].uid != uid)
			commits->items[kept++] = commits->items[i];
	commits->count = kept;
}

static void merge_one(struct commits *into, const struct commit *commit)
{
	struct commit *place = commits_place(into, commit->uid, commit->partition);

	if (commit->gone)
		drop_topic(into, commit->uid);
	else if (!place)
		commits_add(into, commit);
	else if (commit->back || position_cmp(commit->next, place->next) > 0)
		place->next = commit->next;
}

/* `all`: also what has not changed. */
static void commits_merge(struct commits *into, const struct commits *own, bool all)
{
	for (size_t i = 0; i < own->count; i++)
		if (all || own->items[i].changed)
			merge_one(into, &own->items[i]);
	if (!all && !own->wants_changed)
		return;
	into->wanted_count = 0;
	for (size_t i = 0; i < own->wanted_count; i++)
		add_wanted(into, (struct topic_ref){ own->wanted[i].kind, own->wanted[i].name });
}

static void commits_are_told(struct commits *commits)
{
	size_t kept = 0;

	for (size_t i = 0; i < commits->count; i++) {
		struct commit commit = commits->items[i];

		commit.changed = commit.back = false;
		if (!commit.gone)
			commits->items[kept++] = commit;
	}
	commits->count = kept;
	commits->wants_changed = false;
}

static enum err_code commits_write(const struct commits *commits, int dir_fd, const char *group,
				   bool durable, struct err *err)
{
	char path[PATH_BYTES], fresh[PATH_BYTES];
	enum err_code code;
	struct buf text;

	(void)snprintf(path, sizeof(path), "groups/%s", group);
	(void)snprintf(fresh, sizeof(fresh), "groups/.%s.new", group);
	buf_init(&text, FILE_BYTES_MAX);
	commits_put(&text, commits);
	code = buf_full(&text) ? err_set(err, ERR_LIMIT,
					 "the positions of group \"%s\" are more than %d bytes",
					 group, FILE_BYTES_MAX)
			       : file_replace(dir_fd, path, fresh, buf_slice(&text), durable,
					      the_position, err);
	buf_release(&text);
	return code;
}

enum err_code commits_save_locked(struct commits *commits, int dir_fd, int lock_fd,
				  const char *group, bool durable, struct err *err)
{
	struct commits file;
	enum err_code code;

	commits_init(&file);
	code = commits_load(&file, dir_fd, group, err);
	if (code == ERR_OK || code == ERR_ABSENT || code == ERR_CORRUPT) {
		commits_merge(&file, commits, code != ERR_OK);
		code = commits_write(&file, dir_fd, group, durable, err);
	}
	if (code == ERR_OK && durable && fsync(lock_fd) < 0)
		code = err_errno(err, "could not sync the directory of groups");
	if (code == ERR_OK && durable)
		code = dir_sync(dir_fd, err);
	commits_release(&file);
	if (code == ERR_OK)
		commits_are_told(commits);
	return code;
}

enum err_code commits_save(struct commits *commits, int dir_fd, const char *group, bool durable,
			   struct err *err)
{
	int fd = -1;
	enum err_code code = commits_lock(dir_fd, &fd, err);

	if (code != ERR_OK)
		return code;
	code = commits_save_locked(commits, dir_fd, fd, group, durable, err);
	(void)close(fd);
	return code;
}

bool commits_walk(int dir_fd, commits_each_fn *each, void *user)
{
	int fd = openat(dir_fd, "groups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool none = fd < 0 && errno == ENOENT;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return none;
	}
	while ((entry = readdir(dir))) {
		struct commits commits;
		enum err_code code;
		struct err err;

		if (entry->d_name[0] == '.')
			continue;
		commits_init(&commits);
		code = commits_load(&commits, dir_fd, entry->d_name, &err);
		each(user, entry->d_name, code == ERR_OK || code == ERR_ABSENT, &commits);
		commits_release(&commits);
	}
	(void)closedir(dir);
	return true;
}
