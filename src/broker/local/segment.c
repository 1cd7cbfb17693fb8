#include "broker/local/segment.h"

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char spare_name[] = "spare";
static const char spare_new_name[] = "spare.new";
enum { FILL_BYTES = 256 * 1024, FILL_SYNC_BYTES = 4 * 1024 * 1024, BASE_DIGITS = 20 };

void segment_name(uint64_t base, const char *suffix, char name[SEGMENT_NAME_MAX])
{
	(void)snprintf(name, SEGMENT_NAME_MAX, "%0*" PRIu64 ".%s", BASE_DIGITS, base, suffix);
}

static bool parse_name(const char *name, uint64_t *ret_base)
{
	uint64_t base = 0;

	for (int i = 0; i < BASE_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		base = base * 10 + (uint64_t)(name[i] - '0');
	}
	*ret_base = base;
	return strcmp(name + BASE_DIGITS, ".segment") == 0;
}

static int base_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

enum err_code segment_list(int dir_fd, uint64_t **ret_bases, size_t *ret_count, struct err *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	uint64_t *bases = NULL, base;
	struct dirent *entry;
	size_t count = 0;

	if (!dir) {
		enum err_code code = err_errno(err, "could not list the log's segments");

		if (fd >= 0)
			(void)close(fd);
		return code;
	}
	while ((entry = readdir(dir))) {
		if (!parse_name(entry->d_name, &base))
			continue;
		bases = xreallocarray(bases, count + 1, sizeof(*bases));
		bases[count++] = base;
	}
	(void)closedir(dir);
	if (count > 0)
		qsort(bases, count, sizeof(*bases), base_cmp);
	*ret_bases = bases;
	*ret_count = count;
	return ERR_OK;
}

/* Does the name still lead to this file? It may have been recycled before we had the lock. */
static bool still_named(int dir_fd, const char *name, const struct stat *st)
{
	struct stat now;

	return fstatat(dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == st->st_ino &&
	       now.st_dev == st->st_dev;
}

static enum err_code segment_read_header(struct segment *segment, uint64_t base, const char *name,
					 struct err *err)
{
	unsigned char bytes[SEGMENT_HEADER_BYTES];
	int failure;
	size_t n = file_read_at(segment->fd, bytes, sizeof(bytes), 0, &failure);

	errno = failure;
	if (failure != 0)
		return err_errno(err, "could not read segment \"%s\"", name);
	if (n == sizeof(bytes) && segment_header_is_newer(bytes))
		return err_set(err, ERR_UNSUPPORTED,
			       "segment \"%s\" was written by a newer version of pinpipe", name);
	segment->header_good = n == sizeof(bytes) &&
			       segment_header_decode(bytes, &segment->header) &&
			       segment->header.base == base;
	if (!segment->header_good)
		segment->header = (struct segment_header){ 0 };
	segment->header.base = base;
	return ERR_OK;
}

enum err_code segment_open(int dir_fd, uint64_t base, struct segment *ret_segment, struct err *err)
{
	struct segment segment = { .fd = -1 };
	char name[SEGMENT_NAME_MAX];
	struct stat st;
	enum err_code code;

	segment_name(base, "segment", name);
	segment.fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (segment.fd < 0)
		return err_errno(err, "could not open segment \"%s\"", name);
	if (flock(segment.fd, LOCK_SH) < 0 || fstat(segment.fd, &st) < 0) {
		code = err_errno(err, "could not lock segment \"%s\"", name);
		segment_close(&segment);
		return code;
	}
	if (!still_named(dir_fd, name, &st)) {
		segment_close(&segment);
		return err_set(err, ERR_ABSENT, "segment \"%s\" is gone", name);
	}
	code = segment_read_header(&segment, base, name, err);
	if (code != ERR_OK) {
		segment_close(&segment);
		return code;
	}
	segment.header.size = (uint64_t)st.st_size;
	*ret_segment = segment;
	return ERR_OK;
}

void segment_close(struct segment *segment)
{
	if (segment->fd >= 0)
		(void)close(segment->fd); /* nothing written here is waited for at close */
	*segment = (struct segment){ .fd = -1 };
}

enum err_code dir_sync(int dir_fd, struct err *err)
{
	errno = FAILPOINT("segment-dirsync");
	if (errno != 0 || fsync(dir_fd) < 0)
		return err_errno(err, "could not sync the log directory");
	return ERR_OK;
}

/* Zeros from `offset` to `size`, synced in steps so that no other sync waits for all of them. */
static enum err_code segment_fill(int fd, uint64_t offset, uint64_t size, struct err *err)
{
	char *zeros = xalloc_huge(FILL_BYTES);
	enum err_code code = ERR_OK;

	memset(zeros, 0, FILL_BYTES);
	direct_set(fd, (offset | size) % STAGE_BLOCK_BYTES == 0);
	while (offset < size && code == ERR_OK) {
		size_t len = size - offset < FILL_BYTES ? (size_t)(size - offset) : FILL_BYTES;

		errno = FAILPOINT("segment-fill");
		code = errno ? err_errno(err, "could not fill a log segment")
			     : direct_write(fd, zeros, len, offset, "a log segment", err);
		offset += len;
		if (code == ERR_OK && (offset % FILL_SYNC_BYTES == 0 || offset == size) &&
		    fdatasync(fd) < 0)
			code = err_errno(err, "could not sync a log segment that was filled");
	}
	free(zeros);
	return code;
}

static bool spare_is_there(int dir_fd, uint64_t size)
{
	struct stat st;

	return fstatat(dir_fd, spare_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (uint64_t)st.st_size >= size;
}

enum err_code segment_spare_make(int dir_fd, uint64_t size, struct err *err)
{
	enum err_code code;
	struct stat st;
	int fd;

	if (spare_is_there(dir_fd, size))
		return ERR_OK;
	/* A spare that is too small grows, under the other name meanwhile. */
	(void)renameat(dir_fd, spare_name, dir_fd, spare_new_name);
	errno = FAILPOINT("segment-create");
	fd = errno ? -1
		   : openat(dir_fd, spare_new_name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			    0600);
	if (fd < 0)
		return err_errno(err, "could not create a log segment");
	if (fstat(fd, &st) < 0)
		code = err_errno(err, "could not look at a log segment");
	else
		code = segment_fill(fd, (uint64_t)st.st_size, size, err);
	(void)close(fd);
	if (code == ERR_OK && renameat(dir_fd, spare_new_name, dir_fd, spare_name) < 0)
		code = err_errno(err, "could not name the spare log segment");
	if (code != ERR_OK)
		(void)unlinkat(dir_fd, spare_new_name, 0); /* what it holds may be
							      what lacks */
	return code;
}

static enum err_code put_header(int fd, struct segment_header *header, struct err *err)
{
	unsigned char bytes[SEGMENT_HEADER_BYTES];
	enum err_code code;

	segment_header_encode(header, bytes);
	errno = FAILPOINT("segment-header");
	if (errno != 0)
		return err_errno(err, "could not write a segment header");
	code = file_write_at(fd, bytes, sizeof(bytes), 0, "a segment header", err);
	if (code == ERR_OK && fsync(fd) < 0)
		code = err_errno(err, "could not sync a segment header");
	return code;
}

enum err_code segment_create(int dir_fd, const struct segment_header *header,
			     struct segment *ret_segment, struct err *err)
{
	struct segment segment = { .header = *header, .header_good = true };
	enum err_code code = segment_spare_make(dir_fd, header->size, err);
	char name[SEGMENT_NAME_MAX];
	struct stat st;

	if (code != ERR_OK)
		return code;
	segment.fd = openat(dir_fd, spare_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (segment.fd < 0)
		return err_errno(err, "could not open the spare log segment");
	if (fstat(segment.fd, &st) < 0) {
		code = err_errno(err, "could not look at the spare log segment");
		goto out;
	}
	segment.header.size = (uint64_t)st.st_size;
	code = put_header(segment.fd, &segment.header, err);
	if (code != ERR_OK)
		goto out;
	segment_name(header->base, "segment", name);
	if (renameat(dir_fd, spare_name, dir_fd, name) < 0) {
		code = err_errno(err, "could not name log segment \"%s\"", name);
		goto out;
	}
	code = dir_sync(dir_fd, err);
out:
	if (code != ERR_OK)
		segment_close(&segment);
	else
		*ret_segment = segment;
	return code;
}

enum err_code segment_retire(int dir_fd, uint64_t base, struct err *err)
{
	char name[SEGMENT_NAME_MAX], index[SEGMENT_NAME_MAX];
	bool mine;
	int fd, rc;

	segment_name(base, "segment", name);
	segment_name(base, "index", index);
	fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(err, "could not open log segment \"%s\"", name);
	mine = flock(fd, LOCK_EX | LOCK_NB) == 0 && !spare_is_there(dir_fd, 0);
	errno = FAILPOINT("segment-recycle");
	if (errno != 0)
		rc = -1;
	else if (mine)
		rc = renameat(dir_fd, name, dir_fd, spare_name);
	else
		rc = unlinkat(dir_fd, name, 0);
	if (rc < 0) {
		enum err_code code = err_errno(err, "could not let go of log segment \"%s\"", name);

		(void)close(fd);
		return code;
	}
	(void)close(fd);
	(void)unlinkat(dir_fd, index, 0);
	return dir_sync(dir_fd, err);
}
