/*
 * store_file.c - objects as files below one directory, the root.
 *
 * Putting an object, each step once the one before is done:
 *
 *	write root/.tmp/<instance>/<n> ─ fsync it ─ move it to its key ─ fsync its directory
 *	        │ crash: a leftover          │ crash: a leftover      │ crash: there or not, whole
 *
 * Nothing is moved from one mount to another, not even of the same file system.
 * Where a directory of the store is a mount of its own, its objects are written
 * in a .tmp beside them.
 *
 * The move is renameat2(RENAME_NOREPLACE) to create, which fails if the key is
 * taken, and rename to replace; so a reader sees all of an object or none. A
 * file system without RENAME_NOREPLACE gets link() and unlink() instead.
 *
 * A directory on the way to a key is made on demand. The first time that this
 * store puts into a directory it syncs all above it, whoever made them: another
 * process may have died between its mkdir and its sync, and another thread may
 * be there now. From then on an object costs two syncs. ERR_EXISTS comes after a
 * sync of the directory too, so that a caller who finds its own object there may
 * rely on it.
 *
 * Leftovers: each store that writes has a directory of its own in a .tmp, on
 * which it holds a lock for its lifetime. One that can be locked has no owner
 * any more and is removed by the next store that begins to write.
 *
 * The words of an object are an extended attribute of its file, set before it is
 * moved. A file system that has none of those keeps no words (store_can() says so).
 *
 * Paths are walked a segment at a time without following symbolic links, from
 * the root's descriptor, so that no key leads out of it.
 */
#include "base/dir.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "store/content.h"
#include "store/file_words.h"
#include "store/store.h"
#include "store/store_check.h"
#include "store/tree.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KNOWN_MAX = 1024, TEMP_NAME_MAX = 32 };
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct store_file {
	struct store base;
	char *root;			/* absolute */
	int root_fd;
	bool has_words;			/* its file system has attributes */
	atomic_uint temp_next;
	pthread_mutex_t lock;		/* what follows */
	int temp_fd;			/* .tmp/<instance>, or -1 before the first put */
	char temp_dir[TEMP_NAME_MAX];	/* <instance> */
	char *known[KNOWN_MAX];		/* directories whose way from the root is durable */
	size_t known_count;
};
static_assert(offsetof(struct store_file, base) == 0, "base must be first");

/* Where an object is: the directory, open, and its name in there. */
struct place {
	int dir_fd;
	const char *name;		/* points into the key */
};

static void close_keeping_errno(int fd)
{
	int saved = errno;

	(void)close(fd);
	errno = saved;
}

/* errno as err_errno() has it, but a file where a directory should be is the key's fault. */
static enum err_code key_errno(struct err *err, const char *what, const char *key)
{
	if (errno == ENOTDIR || errno == EISDIR || errno == ELOOP)
		return err_set(err, ERR_SHAPE,
			       "could not %s object \"%s\": a part of its key is no directory, or all of it is one",
			       what, key);
	return err_errno(err, "could not %s object \"%s\"", what, key);
}

/* --- directories ------------------------------------------------------- */

static bool is_known(struct store_file *file, struct slice dir)
{
	for (size_t i = 0; i < file->known_count; i++)
		if (slice_is(dir, file->known[i]))
			return true;
	return false;
}

static bool was_made_durable(struct store_file *file, struct slice dir)
{
	bool known;

	(void)pthread_mutex_lock(&file->lock);
	known = is_known(file, dir);
	(void)pthread_mutex_unlock(&file->lock);
	return known;
}

static void forget_known(struct store_file *file)
{
	while (file->known_count > 0)
		free(file->known[--file->known_count]);
}

static void remember_durable(struct store_file *file, struct slice dir)
{
	(void)pthread_mutex_lock(&file->lock);
	if (file->known_count == KNOWN_MAX)
		forget_known(file);
	if (!is_known(file, dir))
		file->known[file->known_count++] = xstrndup(dir.ptr, dir.len);
	(void)pthread_mutex_unlock(&file->lock);
}

/* Open `name` in `at`; if `make`, make it first where it is missing. -1 with errno. */
static int open_dir_at(int at, const char *name, bool make)
{
	if (make && mkdirat(at, name, 0777) < 0 && errno != EEXIST)
		return -1;
	return openat(at, name, DIR_FLAGS);
}

/*
 * Walk from the root to the directory `path` ("" is the root itself). With `make`, missing ones are
 * made, and each but the last is synced. -1 with errno.
 */
static int store_file_walk(struct store_file *file, struct slice path, bool make)
{
	int fd = openat(file->root_fd, ".", DIR_FLAGS);

	for (size_t at = 0; fd >= 0 && at < path.len;) {
		char name[STORE_SEGMENT_MAX + 1];
		const char *slash = memchr(path.ptr + at, '/', path.len - at);
		size_t len = slash ? (size_t)(slash - path.ptr) - at : path.len - at;
		int next;

		memcpy(name, path.ptr + at, len);
		name[len] = '\0';
		next = open_dir_at(fd, name, make);
		if (next >= 0 && make && fsync(fd) < 0) {
			close_keeping_errno(next);
			next = -1;
		}
		close_keeping_errno(fd);
		fd = next;
		at += len + 1;
	}
	return fd;
}

/* What comes before the last '/' of a key; "" if there is none. */
static struct slice key_dir(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slice_of(key, slash ? (size_t)(slash - key) : 0);
}

static struct place open_place(struct store_file *file, const char *key, bool make)
{
	struct slice dir = key_dir(key);

	return (struct place){
		.dir_fd = store_file_walk(file, dir, make),
		.name = dir.len ? key + dir.len + 1 : key,
	};
}

static struct place find_place(struct store_file *file, const char *key)
{
	return open_place(file, key, false);
}

/* As find_place, the directory being made if missing and durable all the way from the root. */
static struct place make_place(struct store_file *file, const char *key)
{
	struct slice dir = key_dir(key);
	struct place place = { .dir_fd = -1 };

	if (was_made_durable(file, dir))
		place = find_place(file, key);
	if (place.dir_fd >= 0)
		return place;
	place = open_place(file, key, true);	/* if it was known, it has been removed */
	if (place.dir_fd >= 0)
		remember_durable(file, dir);
	return place;
}

/* --- temporary files --------------------------------------------------- */

/* Remove what an owner that is gone left in .tmp/<name>. Failing costs disk space only. */
static void sweep_instance(int tmp_fd, const char *name)
{
	int fd = openat(tmp_fd, name, DIR_FLAGS);
	DIR *dir;

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || !(dir = fdopendir(fd))) {
		(void)close(fd);
		return;
	}
	for (const struct dirent *entry; (entry = readdir(dir));)
		(void)unlinkat(fd, entry->d_name, 0);
	(void)unlinkat(tmp_fd, name, AT_REMOVEDIR);
	(void)closedir(dir);
}

static void store_file_sweep(int tmp_fd)
{
	int fd = openat(tmp_fd, ".", DIR_FLAGS);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	for (const struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			sweep_instance(tmp_fd, entry->d_name);
	(void)closedir(dir);
}

/* Open and lock a new directory; ENOENT or EWOULDBLOCK: a sweeper came between mkdir and lock. */
static int lock_instance(int tmp_fd, const char *name)
{
	int fd = openat(tmp_fd, name, DIR_FLAGS);
	struct stat ours, there;

	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &ours) == 0 &&
	    fstatat(tmp_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0) {
		if (ours.st_ino == there.st_ino)
			return fd;
		errno = ENOENT;
	}
	close_keeping_errno(fd);
	return -1;
}

/* Make and lock a directory of our own in .tmp. -1 with errno. */
static int make_instance(int tmp_fd, char name[TEMP_NAME_MAX])
{
	static atomic_uint instances;

	for (;;) {
		int fd;

		(void)snprintf(name, TEMP_NAME_MAX, "%d-%u", (int)getpid(),
			       atomic_fetch_add(&instances, 1));
		if (mkdirat(tmp_fd, name, 0777) < 0) {
			if (errno == EEXIST)
				continue;	/* of the same number, in another container */
			return -1;
		}
		fd = lock_instance(tmp_fd, name);
		if (fd >= 0 || (errno != ENOENT && errno != EWOULDBLOCK))
			return fd;
	}
}

/* Our directory for temporary files, made at the first put. -1 with errno. */
static int temp_dir(struct store_file *file)
{
	int tmp_fd, fd;

	(void)pthread_mutex_lock(&file->lock);
	if (file->temp_fd < 0) {
		tmp_fd = open_dir_at(file->root_fd, STORE_RESERVED, true);
		if (tmp_fd >= 0) {
			store_file_sweep(tmp_fd);
			file->temp_fd = make_instance(tmp_fd, file->temp_dir);
			close_keeping_errno(tmp_fd);
		}
	}
	fd = file->temp_fd;
	(void)pthread_mutex_unlock(&file->lock);
	return fd;
}

/* As if a call had failed where a test says so. */
static bool fail_as(int sys)
{
	if (sys)
		errno = sys;
	return sys != 0;
}

static bool set_words(const struct store_file *file, int fd, const struct store_words *words)
{
	return !file->has_words || file_words_set(fd, words);
}

/* Write and sync a temporary file; its name ends up in `name`. False with errno and no file. */
static bool write_temp(const struct store_file *file, int temp_fd, unsigned number,
		       const struct content *content, char name[TEMP_NAME_MAX])
{
	bool done;
	int fd;

	(void)snprintf(name, TEMP_NAME_MAX, "%u", number);
	fd = openat(temp_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return false;
	done = !fail_as(FAILPOINT("store-temp")) && content_write(content, fd) &&
	       (!content->words || set_words(file, fd, content->words)) && fsync(fd) == 0 &&
	       !fail_as(FAILPOINT("store-synced"));
	close_keeping_errno(fd);
	if (!done) {
		int saved = errno;

		(void)unlinkat(temp_fd, name, 0);
		errno = saved;
	}
	return done;
}

/* --- put --------------------------------------------------------------- */

/* Move without replacing; link() and unlink() where the file system knows no other way. */
static int move_new(int from_fd, const char *from, struct place to)
{
	if (renameat2(from_fd, from, to.dir_fd, to.name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(from_fd, from, to.dir_fd, to.name, 0) < 0)
		return -1;
	(void)unlinkat(from_fd, from, 0);
	return 0;
}

static enum err_code move_to_key(int from_fd, const char *from, struct place to,
				 enum store_mode mode, const char *key, struct err *err)
{
	int rc = mode == STORE_CREATE ? move_new(from_fd, from, to)
				      : renameat(from_fd, from, to.dir_fd, to.name);

	if (rc < 0 && errno != EEXIST)
		return key_errno(err, "put", key);
	if (fail_as(FAILPOINT("store-linked")) || fsync(to.dir_fd) < 0 ||
	    fail_as(FAILPOINT("store-dirsync"))) {
		(void)err_errno(err, "could not sync the directory of object \"%s\"", key);
		err->code = ERR_UNKNOWN;
		return ERR_UNKNOWN;
	}
	if (rc < 0)
		return err_set(err, ERR_EXISTS, "object \"%s\" exists already", key);
	return ERR_OK;
}

/* Are both on one mount? If that cannot be told, yes: a move will tell. */
static bool same_mount(int a_fd, int b_fd)
{
	struct statx a, b;

	if (statx(a_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &a) < 0 ||
	    statx(b_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &b) < 0 ||
	    !(a.stx_mask & b.stx_mask & STATX_MNT_ID))
		return true;
	return a.stx_mnt_id == b.stx_mnt_id;
}

/* By way of a temporary file in `temp_fd`. */
static enum err_code put_through(struct store_file *file, const char *key,
				 const struct content *content, int temp_fd, struct place place,
				 enum store_mode mode, struct err *err)
{
	char temp[TEMP_NAME_MAX];
	enum err_code code;

	if (!write_temp(file, temp_fd, atomic_fetch_add(&file->temp_next, 1), content, temp))
		return err_errno(err, "could not write object \"%s\"", key);
	code = move_to_key(temp_fd, temp, place, mode, key, err);
	if (code != ERR_OK)
		(void)unlinkat(temp_fd, temp, 0);	/* gone already if it had moved */
	return code;
}

/* The same, in a .tmp of the object's own directory. */
static enum err_code put_beside(struct store_file *file, const char *key,
				const struct content *content, struct place place,
				enum store_mode mode, struct err *err)
{
	int tmp_fd = open_dir_at(place.dir_fd, STORE_RESERVED, true);
	char instance[TEMP_NAME_MAX];
	enum err_code code;
	int fd = -1;

	if (tmp_fd >= 0) {
		store_file_sweep(tmp_fd);
		fd = make_instance(tmp_fd, instance);
	}
	if (fd >= 0) {
		code = put_through(file, key, content, fd, place, mode, err);
		(void)unlinkat(tmp_fd, instance, AT_REMOVEDIR);
		(void)close(fd);
	} else {
		code = err_errno(err, "could not make a directory in \"%s\" beside object \"%s\"",
				 STORE_RESERVED, key);
	}
	if (tmp_fd >= 0)
		(void)close(tmp_fd);
	return code;
}

static enum err_code put_content(struct store_file *file, const char *key,
				 const struct content *content, enum store_mode mode,
				 struct err *err)
{
	struct err why = { .sys = EXDEV };
	enum err_code code = ERR_IO;
	struct place place;
	int temp_fd = temp_dir(file);

	if (temp_fd < 0)
		return err_errno(err, "could not make a directory in \"%s/%s\"", file->root,
				 STORE_RESERVED);
	place = make_place(file, key);
	if (place.dir_fd < 0)
		return key_errno(err, "make the directory of", key);
	if (same_mount(temp_fd, place.dir_fd))
		code = put_through(file, key, content, temp_fd, place, mode, &why);
	if (code != ERR_OK && why.sys == EXDEV)
		code = put_beside(file, key, content, place, mode, &why);
	(void)close(place.dir_fd);
	if (code != ERR_OK)
		*err = why;
	return code;
}

/* err->sys EXDEV: it has to be copied. */
static enum err_code move_file(struct store_file *file, const struct store_put *put,
			       struct err *err)
{
	enum err_code code;
	struct place place = make_place(file, put->key);

	if (place.dir_fd < 0)
		return key_errno(err, "make the directory of", put->key);
	if (!same_mount(put->fd, place.dir_fd)) {
		errno = EXDEV;
		code = err_errno(err, "could not move \"%s\"", put->path);
	} else if (!set_words(file, put->fd, put->words) || fsync(put->fd) < 0) {
		code = err_errno(err, "could not sync \"%s\"", put->path);
	} else {
		code = move_to_key(AT_FDCWD, put->path, place, put->mode, put->key, err);
	}
	(void)close(place.dir_fd);
	return code;
}

static enum err_code file_put(struct store *store, const struct store_put *put, struct err *err)
{
	struct store_file *file = (struct store_file *)store;
	struct content content = { .body = put->body, .fd = put->path ? put->fd : -1,
				   .source = put->source, .words = put->words };
	struct err why = { .sys = EXDEV };
	enum err_code code = ERR_IO;

	if (put->path)
		code = move_file(file, put, &why);
	if (code != ERR_OK && why.sys == EXDEV)
		code = put_content(file, put->key, &content, put->mode, &why);
	if (code != ERR_OK)
		*err = why;
	return code;
}

/* --- get, stat, remove ------------------------------------------------- */

/* Open the object's file. -1 with errno; what is no plain file is absent. */
static int store_file_open_object(struct store_file *file, const char *key, struct stat *ret_st)
{
	struct place place = find_place(file, key);
	int fd;

	if (place.dir_fd < 0)
		return -1;
	fd = openat(place.dir_fd, place.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	close_keeping_errno(place.dir_fd);
	if (fd < 0)
		return -1;
	if (fstat(fd, ret_st) < 0 || !S_ISREG(ret_st->st_mode)) {
		(void)close(fd);
		errno = ENOENT;
		return -1;
	}
	return fd;
}

/* Nothing there, or something that no key leads to. */
static bool is_absence(int sys) { return sys == ENOENT || sys == ENOTDIR || sys == ELOOP; }

static enum err_code not_found(struct err *err, const char *key)
{
	if (is_absence(errno))
		return err_set(err, ERR_ABSENT, "there is no object \"%s\"", key);
	return err_errno(err, "could not open object \"%s\"", key);
}

/* Read [from, from + len) of `fd` into `to`; the file does not change. False with errno. */
static bool read_range(int fd, char *to, uint64_t from, size_t len)
{
	while (len > 0) {
		ssize_t n = pread(fd, to, len, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n < 0 ? errno : EIO;
			return false;
		}
		to += n;
		from += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

static enum err_code get_open(int fd, uint64_t size, const char *key, uint64_t from, uint64_t len,
			      struct buf *out, struct err *err)
{
	char *to;

	if (from > size)
		from = size;
	if (len > size - from)
		len = size - from;
	to = buf_room(out, len);
	if (!to)
		return err_set(err, ERR_LIMIT, "object \"%s\": %llu bytes do not fit into %zu", key,
			       (unsigned long long)len, out->max - out->len);
	if (!read_range(fd, to, from, len))
		return err_errno(err, "could not read object \"%s\"", key);
	buf_grew(out, len);
	return ERR_OK;
}

static enum err_code file_get(struct store *store, const char *key, uint64_t from, uint64_t len,
			      struct buf *out, struct err *err)
{
	enum err_code code;
	struct stat st;
	int fd = store_file_open_object((struct store_file *)store, key, &st);

	if (fd < 0)
		return not_found(err, key);
	code = get_open(fd, (uint64_t)st.st_size, key, from, len, out, err);
	(void)close(fd);
	return code;
}

/* Whoever puts an object makes a new file; other programs may write into the one that is there. */
static uint64_t file_version(const struct stat *st)
{
	enum { SPREAD = 1000003 }; /* a number may be taken again soon */
	uint64_t version = (uint64_t)st->st_ino * SPREAD + (uint64_t)st->st_mtim.tv_sec;

	return version * SPREAD + (uint64_t)st->st_mtim.tv_nsec;
}

static enum err_code file_stat(struct store *store, const char *key, struct store_stat *ret_stat,
			       struct err *err)
{
	struct store_file *file = (struct store_file *)store;
	enum err_code code;
	struct stat st;
	int fd = store_file_open_object(file, key, &st);

	if (fd < 0)
		return not_found(err, key);
	ret_stat->size = (uint64_t)st.st_size;
	ret_stat->modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	ret_stat->version = file_version(&st);
	code = file->has_words ? file_words_get(fd, key, &ret_stat->words, err) : ERR_OK;
	(void)close(fd);
	return code;
}

static enum err_code remove_name(int dir_fd, const char *name, const char *key, struct err *err)
{
	if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT && errno != EISDIR)
		return err_errno(err, "could not remove object \"%s\"", key);
	if (fail_as(FAILPOINT("store-removed")))
		return err_errno(err, "failpoint store-removed");
	return ERR_OK;
}

/* Those from keys[0] on that are in one directory, which is synced once. *ret_count: so many. */
static enum err_code remove_together(struct store_file *file, const char *const *keys, size_t count,
				     size_t *ret_count, struct err *err)
{
	struct place place = find_place(file, keys[0]);
	struct slice dir = key_dir(keys[0]);
	size_t dir_len = (size_t)(place.name - keys[0]);
	enum err_code code = ERR_OK;
	size_t i = 0;

	if (place.dir_fd < 0) {
		*ret_count = 1;
		return is_absence(errno) ? ERR_OK : not_found(err, keys[0]);
	}
	for (; i < count && code == ERR_OK && slice_eq(key_dir(keys[i]), dir); i++)
		code = remove_name(place.dir_fd, keys[i] + dir_len, keys[i], err);
	if (code == ERR_OK && fsync(place.dir_fd) < 0)
		code = err_errno(err, "could not sync the directory of object \"%s\"", keys[0]);
	(void)close(place.dir_fd);
	*ret_count = i;
	return code;
}

static enum err_code file_remove_all(struct store *store, const char *const *keys, size_t count,
				     struct err *err)
{
	enum err_code code = ERR_OK;
	size_t done;

	for (size_t i = 0; i < count && code == ERR_OK; i += done)
		code = remove_together((struct store_file *)store, keys + i, count - i, &done, err);
	return code;
}

static enum err_code file_remove(struct store *store, const char *key, struct err *err)
{
	return file_remove_all(store, &key, 1, err);
}

/* --- list -------------------------------------------------------------- */

/* Open the directory that holds all keys which begin with `prefix`; -1 with errno. */
static int open_start(struct store_file *file, const char *prefix, char start[STORE_KEY_MAX + 2])
{
	struct slice dir = key_dir(prefix);
	struct err err;

	(void)snprintf(start, STORE_KEY_MAX + 2, "%.*s", SLICE_ARG(dir));
	if (dir.len && store_check_key(start, &err) != ERR_OK) {
		errno = ENOENT;		/* no key begins like that */
		return -1;
	}
	if (dir.len)
		memcpy(start + dir.len, "/", 2);
	return store_file_walk(file, dir, false);
}

static enum err_code file_walk(struct store *store, const struct tree_listing *listing,
			       struct err *err)
{
	char start[STORE_KEY_MAX + 2];
	int fd = open_start((struct store_file *)store, listing->prefix, start);

	if (fd < 0)
		return is_absence(errno) ? ERR_OK
					 : err_errno(err, "could not list \"%s\"", listing->prefix);
	return tree_list(fd, start, listing, err);
}

static enum err_code file_list(struct store *store, const char *prefix, const char *after,
			       size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	const struct tree_listing listing = { prefix, after, each, user, false, wanted };

	return file_walk(store, &listing, err);
}

static enum err_code file_level(struct store *store, const char *folder, store_each_fn *each,
				void *user, struct err *err)
{
	const struct tree_listing listing = { folder, "", each, user, true, 0 };

	return file_walk(store, &listing, err);
}

static struct store_mark file_mark(struct store *store, const char *folder)
{
	char start[STORE_KEY_MAX + 2];
	int fd = open_start((struct store_file *)store, folder, start);
	struct store_mark mark = tree_mark(fd);

	if (fd >= 0)
		(void)close(fd);
	return mark;
}

static bool file_last(struct store *store, const char *prefix, char ret_key[STORE_KEY_MAX + 1])
{
	char start[STORE_KEY_MAX + 2];
	int fd = open_start((struct store_file *)store, prefix, start);

	return fd >= 0 && tree_last(fd, start, prefix, ret_key);
}

/* --- the store --------------------------------------------------------- */

static enum err_code file_fetch(struct store *store, const struct store_entry *entry,
				struct store_fetched *ret_fetched, struct err *err)
{
	struct store_file *file = (struct store_file *)store;
	struct stat st;
	struct buf path;
	int fd = store_file_open_object(file, entry->key, &st);

	if (fd < 0)
		return not_found(err, entry->key);
	buf_init(&path, strlen(file->root) + STORE_KEY_MAX + 2);
	buf_addf(&path, "%s/%s", file->root, entry->key);
	(void)buf_cstr(&path);			/* ends it */
	*ret_fetched = (struct store_fetched){ fd, (uint64_t)st.st_size, path.ptr };
	return ERR_OK;
}

static const char *file_fetch_dir(struct store *store)
{
	return ((struct store_file *)store)->root;
}

static bool file_can(struct store *store, enum store_ability ability)
{
	return ability != STORE_CAN_WORDS || ((struct store_file *)store)->has_words;
}

static void file_free(struct store *store)
{
	struct store_file *file = (struct store_file *)store;
	char path[sizeof(STORE_RESERVED) + TEMP_NAME_MAX];

	if (file->temp_fd >= 0) {
		(void)snprintf(path, sizeof(path), "%s/%s", STORE_RESERVED, file->temp_dir);
		(void)unlinkat(file->root_fd, path, AT_REMOVEDIR);
		(void)close(file->temp_fd);
	}
	(void)close(file->root_fd);
	forget_known(file);
	(void)pthread_mutex_destroy(&file->lock);
	free(file->root);
	free(file);
}

static const struct store_ops file_ops = {
	.name = "file",
	.put = file_put,
	.get = file_get,
	.stat = file_stat,
	.list = file_list,
	.level = file_level,
	.mark = file_mark,
	.last = file_last,
	.remove = file_remove,
	.remove_all = file_remove_all,
	.fetch = file_fetch,
	.fetch_dir = file_fetch_dir,
	.can = file_can,
	.free = file_free,
};

enum err_code store_file_new(const char *dir, struct store **ret_store, struct err *err)
{
	enum err_code code = dir_make(dir, 0777, err);
	struct store_file *file;
	char *root;
	int fd;

	if (code != ERR_OK)
		return code;
	root = realpath(dir, NULL);
	fd = root ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0) {
		free(root);
		return err_errno(err, "could not open \"%s\"", dir);
	}
	file = xcalloc(1, sizeof(*file));
	file->base.ops = &file_ops;
	file->root = root;
	file->root_fd = fd;
	file->has_words = file_words_can(fd);
	file->temp_fd = -1;
	(void)pthread_mutex_init(&file->lock, NULL);
	*ret_store = &file->base;
	return ERR_OK;
}
