#include "broker/local/backup.h"

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/stop.h"
#include "broker/local/catalog.h"
#include "broker/local/journal_check.h"
#include "broker/local/recover.h"
#include "broker/local/watermark.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BACKUP_PATH_MAX = 4096,
	COPY_BYTES = 1 << 20,
	STEP_BYTES = 64 << 20, /* between two looks whether to stop */
	GROUP_BYTES_MAX = 8 << 20,
};

struct backup_work {
	char part[BACKUP_PATH_MAX]; /* what becomes `to` */
	const char *to;
	int from_fd; /* DIR/log */
	int part_fd; /* TO.part, locked … */
	int log_fd;  /* … and its log */
	uint64_t log_id;
	uint64_t watermark;
	bool refused; /* TO.part is another's, or holds what we did not make */
	bool named;   /* it is TO now, and whole: whatever happens, it stays */
	struct backup made;
};

/* --- the directory beside it ------------------------------------------- */

/* Removes the files of a directory of the copy, and itself. */
static bool backup_remove_files(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return fd < 0 && errno == ENOENT;
	}
	while ((entry = readdir(dir)))
		(void)unlinkat(fd, entry->d_name, 0);
	(void)closedir(dir);
	return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0;
}

static bool backup_clear(const struct backup_work *work)
{
	return backup_remove_files(work->part_fd, "log/groups") &&
	       backup_remove_files(work->part_fd, "log");
}

/* Ours, under its name, by the lock. */
static enum err_code backup_lock(struct backup_work *work, struct err *err)
{
	struct stat mine, named;

	if (mkdir(work->part, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "could not make \"%s\"", work->part);
	work->part_fd = open(work->part, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (work->part_fd < 0)
		return err_errno(err, "could not open \"%s\"", work->part);
	work->refused = true;
	if (flock(work->part_fd, LOCK_EX | LOCK_NB) < 0 || fstat(work->part_fd, &mine) < 0 ||
	    lstat(work->part, &named) < 0 || mine.st_ino != named.st_ino)
		return err_set(err, ERR_LOCKED, "another backup makes \"%s\"", work->to);
	if (!backup_clear(work))
		return err_set(err, ERR_EXISTS, "\"%s\" holds what no backup has left there",
			       work->part);
	work->refused = false;
	return ERR_OK;
}

static enum err_code backup_begin(struct backup_work *work, struct err *err)
{
	struct stat there;
	enum err_code code;
	int n = snprintf(work->part, sizeof(work->part), "%s.part", work->to);

	if (n < 0 || (size_t)n >= sizeof(work->part))
		return err_set(err, ERR_USAGE, "the name \"%s\" is too long", work->to);
	if (lstat(work->to, &there) == 0)
		return err_set(err, ERR_EXISTS, "\"%s\" is there already", work->to);
	code = backup_lock(work, err);
	if (code != ERR_OK)
		return code;
	if (mkdirat(work->part_fd, "log", 0700) < 0 ||
	    mkdirat(work->part_fd, "log/groups", 0700) < 0)
		return err_errno(err, "could not make \"%s/log\"", work->part);
	work->log_fd = openat(work->part_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (work->log_fd < 0)
		return err_errno(err, "could not open \"%s/log\"", work->part);
	return ERR_OK;
}

/* --- what is copied ---------------------------------------------------- */

static enum err_code backup_sync(int dir_fd, const char *name, struct err *err)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err_code code = ERR_OK;

	if (fd < 0 || fsync(fd) < 0)
		code = err_errno(err, "could not sync the copy's \"%s\"", name);
	if (fd >= 0)
		(void)close(fd);
	return code;
}

static enum err_code backup_group(int from_fd, int to_fd, const char *name, struct err *err)
{
	enum err_code code;
	struct buf text;

	buf_init(&text, GROUP_BYTES_MAX);
	code = file_read(from_fd, name, &text, "a group's file", err);
	if (code == ERR_OK)
		code = file_write(to_fd, name, buf_slice(&text), true, "a group's file", err);
	else if (code == ERR_ABSENT)
		code = ERR_OK; /* one that was being written */
	buf_release(&text);
	return code;
}

static enum err_code backup_groups(struct backup_work *work, struct err *err)
{
	int from = openat(work->from_fd, "groups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int to = openat(work->log_fd, "groups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = from < 0 ? NULL : fdopendir(from);
	enum err_code code = ERR_OK;
	struct dirent *entry;

	if (from < 0 && errno == ENOENT)
		code = ERR_OK; /* nobody has read yet */
	else if (!dir || to < 0)
		code = err_errno(err, "could not list the log's groups");
	while (dir && code == ERR_OK && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			code = backup_group(from, to, entry->d_name, err);
	if (dir)
		(void)closedir(dir);
	else if (from >= 0)
		(void)close(from);
	if (to >= 0)
		(void)close(to);
	return code == ERR_OK ? backup_sync(work->log_fd, "groups", err) : code;
}

/* The moment. A log whose writer never published is what a recovery would make of it. */
static enum err_code backup_moment(struct backup_work *work, struct err *err)
{
	struct watermark watermark = { 0 };
	struct recovery plan;
	enum err_code code =
		watermark_open(work->from_fd, WATERMARK_READ, work->log_id, &watermark, err);

	if (code != ERR_OK && code != ERR_CORRUPT)
		return code;
	if (code == ERR_OK)
		work->watermark = watermark_get(&watermark);
	watermark_close(&watermark);
	if (work->watermark > 0)
		return ERR_OK;
	code = recover_plan(work->from_fd, 0, NULL, &plan, err);
	if (code != ERR_OK)
		return code;
	work->watermark = plan.watermark;
	recovery_release(&plan);
	return ERR_OK;
}

/* By hand, where the kernel cannot do it. */
static enum err_code backup_copy_slowly(int from, int to, uint64_t at, uint64_t len,
					struct err *err)
{
	unsigned char *bytes = xmalloc(COPY_BYTES);
	enum err_code code = ERR_OK;

	while (code == ERR_OK && len > 0) {
		size_t want = len < COPY_BYTES ? (size_t)len : COPY_BYTES, n;
		int failure;

		n = file_read_at(from, bytes, want, at, &failure);
		errno = failure;
		if (failure != 0)
			code = err_errno(err, "could not read a log segment");
		else if (n == 0)
			break; /* what lacks at the end of a file counts as zeros */
		else
			code = file_write_at(to, bytes, n, at, "the copy of a log segment", err);
		at += n;
		len -= n;
	}
	free(bytes);
	return code;
}

static enum err_code backup_copy_bytes(int from, int to, uint64_t len, struct err *err)
{
	uint64_t at = 0;

	while (at < len) {
		off_t in = (off_t)at, out = (off_t)at;
		size_t want = len - at < STEP_BYTES ? (size_t)(len - at) : STEP_BYTES;
		ssize_t n;

		if (stop_requested())
			return err_set(err, ERR_STOPPED, "stopped");
		errno = FAILPOINT("backup-copied");
		n = errno ? -1 : copy_file_range(from, &in, to, &out, want, 0);
		if (n == 0)
			return ERR_OK;
		if (n < 0 && errno == ENOSPC)
			return err_errno(err, "could not write the copy of a log segment");
		if (n < 0) {
			enum err_code code = backup_copy_slowly(from, to, at, want, err);

			if (code != ERR_OK)
				return code;
			n = (ssize_t)want;
		}
		at += (uint64_t)n;
	}
	return ERR_OK;
}

/* The file's length is one of whole blocks, so that the next segment begins at one. */
static enum err_code backup_segment(struct backup_work *work, const struct segment *segment,
				    struct err *err)
{
	uint64_t base = segment->header.base, limit = segment_limit(segment);
	uint64_t len = (work->watermark < limit ? work->watermark : limit) - base;
	uint64_t blocks = (len + SEGMENT_HEADER_BYTES - 1) / SEGMENT_HEADER_BYTES;
	char name[SEGMENT_NAME_MAX];
	enum err_code code;
	int fd;

	segment_name(base, "segment", name);
	fd = openat(work->log_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "could not make the copy of segment \"%s\"", name);
	code = backup_copy_bytes(segment->fd, fd, len, err);
	if (code == ERR_OK &&
	    (ftruncate(fd, (off_t)(blocks * SEGMENT_HEADER_BYTES)) < 0 || fsync(fd) < 0))
		code = err_errno(err, "could not sync the copy of segment \"%s\"", name);
	(void)close(fd);
	work->made.segments++;
	work->made.bytes += len;
	return code == ERR_OK || code == ERR_STOPPED ? code
						     : err_prefix(err, "segment \"%s\"", name);
}

static enum err_code backup_segments(struct backup_work *work, struct err *err)
{
	uint64_t *bases;
	size_t count;
	enum err_code code = segment_list(work->from_fd, &bases, &count, err);

	if (code != ERR_OK)
		return code;
	while (count > 0 && bases[count - 1] >= work->watermark)
		count--;
	while (code == ERR_OK && count-- > 0) {
		struct segment segment;

		code = segment_open(work->from_fd, bases[count], &segment, err);
		if (code != ERR_OK)
			break;
		code = backup_segment(work, &segment, err);
		segment_close(&segment);
	}
	free(bases);
	/* Retention has let go of this one, and of all before it. */
	return code == ERR_ABSENT && work->made.segments > 0 ? ERR_OK : code;
}

/* --- whether it is one ------------------------------------------------- */

static void backup_ignore(void *user, const char *what)
{
	(void)user;
	(void)what;
}

static enum err_code backup_count(const char *dir, uint64_t *ret_records, uint64_t *ret_damaged,
				  struct err *err)
{
	struct journal_report report;
	enum err_code code = journal_check(dir, backup_ignore, NULL, &report, err);

	if (code != ERR_OK)
		return code;
	*ret_records = report.records;
	*ret_damaged = report.damaged;
	for (size_t i = 0; i < report.partition_count; i++)
		*ret_damaged += report.partitions[i].lost + report.partitions[i].doubled;
	journal_report_release(&report);
	return ERR_OK;
}

static enum err_code backup_verify(struct backup_work *work, const char *dir, struct err *err)
{
	uint64_t records, damaged = 0;
	enum err_code code =
		backup_count(work->part, &work->made.records, &work->made.damaged, err);

	if (code != ERR_OK || work->made.damaged == 0)
		return code;
	code = backup_count(dir, &records, &damaged, err);
	if (code == ERR_OK && damaged < work->made.damaged)
		code = err_set(err, ERR_CORRUPT, "the copy of the log is damaged, the log is not");
	return code;
}

static enum err_code backup_name(struct backup_work *work, struct err *err)
{
	char parent[BACKUP_PATH_MAX];
	enum err_code code;
	char *slash;

	(void)snprintf(parent, sizeof(parent), "%s", work->to);
	slash = strrchr(parent, '/');
	if (slash)
		slash[slash == parent] = '\0';
	(void)FAILPOINT("backup-named");
	if (renameat2(AT_FDCWD, work->part, AT_FDCWD, work->to, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return err_set(err, ERR_EXISTS, "\"%s\" is there already", work->to);
		if (errno != EINVAL || rename(work->part, work->to) < 0)
			return err_errno(err, "could not name \"%s\"", work->to);
	}
	work->named = true;
	errno = FAILPOINT("backup-renamed");
	code = errno ? err_errno(err, "could not sync \"%s\"", slash ? parent : ".")
		     : backup_sync(AT_FDCWD, slash ? parent : ".", err);
	return code == ERR_OK
		       ? code
		       : err_prefix(err, "the copy is whole, but a power cut may take its name");
}

static enum err_code backup_run(struct backup_work *work, const char *dir, struct err *err)
{
	enum err_code code = backup_groups(work, err);

	if (code == ERR_OK)
		code = backup_moment(work, err);
	if (code == ERR_OK)
		code = catalog_copy(work->from_fd, work->log_fd, err);
	if (code == ERR_OK)
		code = backup_segments(work, err);
	if (code == ERR_OK && work->watermark > 0)
		code = watermark_write(work->log_fd, work->log_id, work->watermark, err);
	if (code == ERR_OK)
		code = backup_sync(work->part_fd, "log", err);
	if (code == ERR_OK)
		code = backup_sync(work->part_fd, ".", err);
	if (code == ERR_OK)
		code = backup_verify(work, dir, err);
	return code == ERR_OK ? backup_name(work, err) : code;
}

static enum err_code backup_open_log(struct backup_work *work, const char *dir, struct err *err)
{
	char path[BACKUP_PATH_MAX];
	struct topics topics;
	enum err_code code;

	(void)snprintf(path, sizeof(path), "%s/log", dir);
	work->from_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (work->from_fd < 0 && errno == ENOENT)
		return err_set(err, ERR_ABSENT, "there is no pinpipe data in \"%s\"", dir);
	if (work->from_fd < 0)
		return err_errno(err, "could not open the log in \"%s\"", dir);
	topics_init(&topics);
	code = catalog_load(work->from_fd, &topics, &work->log_id, err);
	topics_release(&topics);
	return code;
}

enum err_code backup_make(const char *dir, const char *to, struct backup *ret, struct err *err)
{
	char *name = xstrdup(to);
	struct backup_work work = { .to = name, .from_fd = -1, .part_fd = -1, .log_fd = -1 };
	enum err_code code;

	for (size_t len = strlen(name); len > 1 && name[len - 1] == '/'; len--)
		name[len - 1] = '\0';
	code = backup_open_log(&work, dir, err);
	if (code == ERR_OK)
		code = backup_begin(&work, err);
	if (code == ERR_OK)
		code = backup_run(&work, dir, err);
	if (code != ERR_OK && work.part_fd >= 0 && !work.refused && !work.named &&
	    backup_clear(&work))
		(void)rmdir(work.part);
	if (work.log_fd >= 0)
		(void)close(work.log_fd);
	if (work.part_fd >= 0)
		(void)close(work.part_fd);
	if (work.from_fd >= 0)
		(void)close(work.from_fd);
	free(name);
	if (code == ERR_OK)
		*ret = work.made;
	return code;
}
