#include "broker/commits.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "broker/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 8 * 1024 * 1024, PATH_BYTES = TOPIC_NAME_MAX + 32, CRC_LINE = 13 };

void commits_init(struct commits *commits)
{
	*commits = (struct commits){ 0 };
}

void commits_release(struct commits *commits)
{
	free(commits->items);
	commits_init(commits);
}

static void add(struct commits *commits, const struct commit *commit)
{
	commits->items = xreallocarray(commits->items, commits->count + 1, sizeof(*commit));
	commits->items[commits->count++] = *commit;
}

void commits_set(struct commits *commits, struct topic_ref topic, uint64_t uid,
		 int32_t partition, struct position next)
{
	struct commit commit = { .kind = topic.kind, .uid = uid, .partition = partition,
				 .next = next };
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
	add(commits, &commit);
}

bool commits_has(const struct commits *commits, uint64_t uid, int32_t partition)
{
	for (size_t i = 0; i < commits->count; i++)
		if (commits->items[i].uid == uid && commits->items[i].partition == partition)
			return true;
	return false;
}

static bool parse_line(const char *line, struct commit *ret)
{
	char kind[8], position[POSITION_TEXT_MAX];

	*ret = (struct commit){ 0 };
	if (sscanf(line, "commit %7s %16" SCNx64 " %" SCNd32 " %58s %249s", kind, &ret->uid,
		   &ret->partition, position, ret->name) != 5)
		return false;
	ret->kind = strcmp(kind, "log") == 0 ? TOPIC_LOG : TOPIC_STREAM;
	return position_parse(slice_str(position), &ret->next);
}

static bool parse(struct commits *commits, char *text, size_t len)
{
	struct commit commit;
	uint32_t crc;

	if (len < CRC_LINE || sscanf(text + len - CRC_LINE, "crc %8" SCNx32, &crc) != 1 ||
	    crc32c(0, text, len - CRC_LINE) != crc)
		return false;
	text[len - CRC_LINE] = '\0';
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (parse_line(line, &commit))
			add(commits, &commit);
	}
	return true;
}

bool commits_load(struct commits *commits, int dir_fd, const char *group)
{
	char path[PATH_BYTES];
	bool good = false;
	struct stat st;
	char *text;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "groups/%s", group);
	fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT;
	if (fstat(fd, &st) == 0 && st.st_size < FILE_BYTES_MAX) {
		text = xcalloc((size_t)st.st_size + 1, 1);
		n = pread(fd, text, (size_t)st.st_size, 0);
		good = n > 0 && parse(commits, text, (size_t)n);
		free(text);
	}
	(void)close(fd);
	return good;
}

static void put(struct buf *out, const struct commits *commits)
{
	for (size_t i = 0; i < commits->count; i++) {
		const struct commit *commit = &commits->items[i];
		char position[POSITION_TEXT_MAX];

		(void)position_text(commit->next, position);
		buf_addf(out, "commit %s %016" PRIx64 " %" PRId32 " %s %s\n",
			 commit->kind == TOPIC_LOG ? "log" : "stream", commit->uid,
			 commit->partition, position, commit->name);
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
	int fd;

	(void)snprintf(path, sizeof(path), "groups/%s", group);
	(void)snprintf(fresh, sizeof(fresh), "groups/.%s.new", group);
	if (mkdirat(dir_fd, "groups", 0700) < 0 && errno != EEXIST)
		return err_errno(err, "could not make the directory of groups");
	fd = openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "could not write the position of group \"%s\"", group);
	buf_init(&text, FILE_BYTES_MAX);
	put(&text, commits);
	code = write_all(fd, text.ptr, text.len, 0, err);
	buf_release(&text);
	if (code == ERR_OK && durable && fsync(fd) < 0)
		code = err_errno(err, "could not sync the position of group \"%s\"", group);
	(void)close(fd);
	if (code == ERR_OK && renameat(dir_fd, fresh, dir_fd, path) < 0)
		code = err_errno(err, "could not write the position of group \"%s\"", group);
	return code == ERR_OK && durable ? sync_dirs(dir_fd, err) : code;
}

bool commits_walk(int dir_fd, void (*each)(void *user, const char *group,
					   const struct commit *commit), void *user)
{
	int fd = openat(dir_fd, "groups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool none = fd < 0 && errno == ENOENT;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool known = true;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return none;
	}
	while ((entry = readdir(dir))) {
		struct commits commits;

		if (entry->d_name[0] == '.')
			continue;
		commits_init(&commits);
		known = commits_load(&commits, dir_fd, entry->d_name) && known;
		for (size_t i = 0; i < commits.count; i++)
			each(user, entry->d_name, &commits.items[i]);
		commits_release(&commits);
	}
	(void)closedir(dir);
	return known;
}
