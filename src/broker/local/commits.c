#include "broker/local/commits.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/mem.h"
#include "broker/local/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 8 * 1024 * 1024, PATH_BYTES = TOPIC_NAME_MAX + 32, CRC_LINE = 13 };

void commits_init(struct commits *commits) { *commits = (struct commits){ 0 }; }

void commits_release(struct commits *commits)
{
	free(commits->items);
	free(commits->wanted);
	commits_init(commits);
}

static void commits_add(struct commits *commits, const struct commit *commit)
{
	commits->items = xreallocarray(commits->items, commits->count + 1, sizeof(*commit));
	commits->items[commits->count++] = *commit;
}

static void add_wanted(struct commits *commits, struct topic_ref topic)
{
	struct wanted *wanted;

	commits->wanted =
		xreallocarray(commits->wanted, commits->wanted_count + 1, sizeof(*wanted));
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
	commits->wanted_count = 0;
	for (size_t i = 0; i < count; i++)
		add_wanted(commits, topics[i]);
	return true;
}

void commits_set(struct commits *commits, struct topic_ref topic, uint64_t uid, int32_t partition,
		 struct position next)
{
	struct commit commit = {
		.kind = topic.kind, .uid = uid, .partition = partition, .next = next
	};
	size_t kept = 0;

	memcpy(commit.name, topic.name, strlen(topic.name) + 1);
	/* A topic of the same name that is gone is of no interest any more. */
	for (size_t i = 0; i < commits->count; i++) {
		const struct commit *old = &commits->items[i];
		bool same = old->kind == topic.kind && strcmp(old->name, topic.name) == 0;

		if (!same || (old->uid == uid && old->partition != partition))
			commits->items[kept++] = *old;
	}
	commits->count = kept;
	commits_add(commits, &commit);
}

void commits_forget(struct commits *commits, struct topic_ref topic)
{
	size_t kept = 0;

	for (size_t i = 0; i < commits->count; i++) {
		const struct commit *old = &commits->items[i];

		if (old->kind != topic.kind || strcmp(old->name, topic.name) != 0)
			commits->items[kept++] = *old;
	}
	commits->count = kept;
}

bool commits_forget_gone(struct commits *commits, const struct topics *topics)
{
	size_t kept = 0;
	size_t before = commits->count;

	for (size_t i = 0; i < before; i++)
		if (topics_find_uid(topics, commits->items[i].uid))
			commits->items[kept++] = commits->items[i];
	commits->count = kept;
	return kept < before;
}

const struct commit *commits_find(const struct commits *commits, uint64_t uid, int32_t partition)
{
	for (size_t i = 0; i < commits->count; i++)
		if (commits->items[i].uid == uid && commits->items[i].partition == partition)
			return &commits->items[i];
	return NULL;
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

bool commits_load(struct commits *commits, int dir_fd, const char *group)
{
	char path[PATH_BYTES];
	enum err_code code;
	struct buf text;
	struct err err;
	bool good;

	(void)snprintf(path, sizeof(path), "groups/%s", group);
	buf_init(&text, FILE_BYTES_MAX);
	code = file_read(dir_fd, path, &text, "the position of a group", &err);
	good = code == ERR_ABSENT;
	if (code == ERR_OK && buf_cstr(&text))
		good = commits_parse(commits, text.ptr, text.len);
	buf_release(&text);
	return good;
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

/* The directory of groups and the way to it. */
static enum err_code sync_dirs(int dir_fd, struct err *err)
{
	int fd = openat(dir_fd, "groups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err_code code = ERR_OK;

	if (fd < 0 || fsync(fd) < 0)
		code = err_errno(err, "could not sync the directory of groups");
	if (fd >= 0)
		(void)close(fd);
	return code == ERR_OK ? dir_sync(dir_fd, err) : code;
}

enum err_code commits_save(const struct commits *commits, int dir_fd, const char *group,
			   bool durable, struct err *err)
{
	char path[PATH_BYTES], fresh[PATH_BYTES];
	enum err_code code = ERR_OK;
	struct buf text;

	(void)snprintf(path, sizeof(path), "groups/%s", group);
	(void)snprintf(fresh, sizeof(fresh), "groups/.%s.new", group);
	if (mkdirat(dir_fd, "groups", 0700) < 0 && errno != EEXIST)
		return err_errno(err, "could not make the directory of groups");
	buf_init(&text, FILE_BYTES_MAX);
	commits_put(&text, commits);
	code = buf_full(&text) ? err_set(err, ERR_LIMIT,
					 "the positions of group \"%s\" are more than %d bytes",
					 group, FILE_BYTES_MAX)
			       : file_replace(dir_fd, path, fresh, buf_slice(&text), durable,
					      "the position of a group", err);
	buf_release(&text);
	return code == ERR_OK && durable ? sync_dirs(dir_fd, err) : code;
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
		bool known;

		if (entry->d_name[0] == '.')
			continue;
		commits_init(&commits);
		known = commits_load(&commits, dir_fd, entry->d_name);
		each(user, entry->d_name, known, &commits);
		commits_release(&commits);
	}
	(void)closedir(dir);
	return true;
}
