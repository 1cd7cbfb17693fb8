/*
 * store_cache.c - fetched objects, kept as files that processes share.
 *
 *	<dir>/<64 hex digits>	an object: the SHA-256 of which store it is of, its key,
 *				the boot of the machine and, where they are known, its
 *				version and size
 *	<dir>/.<pid>-<n>	one on its way here
 *
 * So an object whose version is known is never taken for one that came in its place.
 * Where it is not, as of data files, which a table's log names, a name is used once:
 * there the size alone is compared, and what is put or removed here is forgotten.
 *
 * A file gets its name once all of it is written, so what has a name is whole; but it
 * is not synced, which would cost more than to fetch it. After a power cut it may be of
 * any bytes: so what is of another boot is not known, and goes as what is not asked
 * for does. Of two who fetch the same, both write, and the name goes to the later one;
 * it is the same object. A file that is put is kept at once, as a second name of it,
 * where one file system has both.
 *
 * Whoever has fetched one holds a shared lock on the file until he closes it.
 * To remove one takes the exclusive lock, so only what nobody has goes. A file that
 * lost its name before its reader had the lock is as good as absent to him. The
 * time of a file's last change is when it was last asked for.
 */
#include "store/layer.h"
#include "store/store_copy.h"

#include "base/dir.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/time.h"
#include "base/trace.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 2 * SHA256_DIGEST_LENGTH + 1, VERSION_BYTES = 40, SCANS_A_BOUND = 16 };

struct store_cache {
	struct store_layer layer;
	char dir[PATH_MAX];
	int dir_fd;
	char *of;			/* which store, and which boot: a line each */
	uint64_t bytes_max;
	atomic_uint next_temp;
	atomic_bool told;		/* that nothing can be kept */
	pthread_mutex_t lock;		/* what follows, and of scans */
	uint64_t added;			/* bytes since the last scan; UINT64_MAX: there was none */
};
static_assert(offsetof(struct store_cache, layer.base) == 0, "base must be first");

struct kept {
	char name[NAME_MAX_BYTES];
	uint64_t size;
	struct timespec used;
};

struct kept_list {
	struct kept *list;
	size_t count, cap;
	uint64_t bytes;
};

static void name_of(const struct store_cache *cache, const struct store_entry *entry,
		    char name[NAME_MAX_BYTES])
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	struct buf text;

	buf_init(&text, strlen(cache->of) + STORE_KEY_MAX + VERSION_BYTES + 1);
	buf_addf(&text, "%s%s", cache->of, entry->key);
	if (entry->version) /* no key has a line's end */
		buf_addf(&text, "\n%016" PRIx64 " %" PRIu64, entry->version, entry->size);
	(void)SHA256((const unsigned char *)text.ptr, text.len, hash);
	buf_release(&text);
	for (size_t i = 0; i < sizeof(hash); i++)
		(void)snprintf(name + 2 * i, 3, "%02x", hash[i]);
}

/* --- what goes ------------------------------------------------------------------- */

/* Unless somebody has it. */
static bool cache_drop(const struct store_cache *cache, const char *name)
{
	int fd = openat(cache->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat ours, there;
	bool dropped = false;

	if (fd < 0)
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &ours) == 0 &&
	    fstatat(cache->dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    ours.st_ino == there.st_ino)
		dropped = unlinkat(cache->dir_fd, name, 0) == 0;
	(void)close(fd);
	return dropped;
}

static int least_used_first(const void *a, const void *b)
{
	const struct timespec *x = &((const struct kept *)a)->used;
	const struct timespec *y = &((const struct kept *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static void add_kept(const struct store_cache *cache, const char *name, struct kept_list *all)
{
	struct kept *kept;
	struct stat st;

	if (strlen(name) + 1 != NAME_MAX_BYTES ||
	    fstatat(cache->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (all->count == all->cap) {
		all->cap = all->cap ? all->cap * 2 : 64;
		all->list = xreallocarray(all->list, all->cap, sizeof(*all->list));
	}
	kept = &all->list[all->count++];
	memcpy(kept->name, name, NAME_MAX_BYTES);
	kept->size = (uint64_t)st.st_size;
	kept->used = st.st_mtim;
	all->bytes += kept->size;
}

/* What is kept here; files of writers that are gone are removed on the way. */
static void cache_scan(const struct store_cache *cache, struct kept_list *all)
{
	int fd = openat(cache->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	for (const struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] != '.')
			add_kept(cache, entry->d_name, all);
		else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)cache_drop(cache, entry->d_name);
	}
	(void)closedir(dir);
	if (all->count)
		qsort(all->list, all->count, sizeof(*all->list), least_used_first);
}

/* At most `bytes_max` stay, but for what somebody has. */
static void cache_shrink(struct store_cache *cache, uint64_t bytes_max)
{
	struct kept_list all = { 0 };

	cache_scan(cache, &all);
	for (size_t i = 0; i < all.count && all.bytes > bytes_max; i++) {
		if (!cache_drop(cache, all.list[i].name))
			continue;
		all.bytes -= all.list[i].size;
		metric_add(METRIC_CACHE_DROPPED, 1);
	}
	cache->added = 0;
	free(all.list);
}

/* `bytes` came. What other processes add is found by the next scan, which is never far. */
static void cache_added(struct store_cache *cache, uint64_t bytes)
{
	(void)pthread_mutex_lock(&cache->lock);
	if (cache->added != UINT64_MAX)
		cache->added += bytes;
	if (cache->added >= cache->bytes_max / SCANS_A_BOUND)
		cache_shrink(cache, cache->bytes_max - cache->bytes_max / SCANS_A_BOUND);
	(void)pthread_mutex_unlock(&cache->lock);
}

/* --- what comes -------------------------------------------------------------------- */

static void give_kept(const struct store_cache *cache, const char *name, int fd, uint64_t size,
		 struct store_fetched *ret_fetched)
{
	struct buf path;

	buf_init(&path, PATH_MAX + NAME_MAX_BYTES);
	buf_addf(&path, "%s/%s", cache->dir, name);
	(void)buf_cstr(&path);			/* ends it */
	*ret_fetched = (struct store_fetched){ fd, size, path.ptr };
}

/* False: it is not here, or just going, or of another size than `size`, unless that is 0. */
static bool find_kept(const struct store_cache *cache, const char *name, uint64_t size,
		      struct store_fetched *ret_fetched)
{
	int fd = openat(cache->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return false;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0 || fstat(fd, &st) < 0 || st.st_nlink == 0 ||
	    (size && (uint64_t)st.st_size != size)) {
		(void)close(fd);
		return false;
	}
	(void)futimens(fd, NULL);
	give_kept(cache, name, fd, (uint64_t)st.st_size, ret_fetched);
	metric_add(METRIC_CACHE_HITS, 1);
	return true;
}

/*
 * The directory is where its name leads: false if it is not, and cannot be made again, where
 * somebody removed it, or moved it, while it was open.
 */
static bool cache_is_there(struct store_cache *cache)
{
	struct stat ours, there;
	struct err err;
	bool same = fstat(cache->dir_fd, &ours) == 0 && stat(cache->dir, &there) == 0 &&
		    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
	int fd;

	if (same)
		return true;
	(void)pthread_mutex_lock(&cache->lock);
	fd = dir_make(cache->dir, 0700, &err) != ERR_OK
		     ? -1
		     : open(cache->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	same = fd >= 0 && dup3(fd, cache->dir_fd, O_CLOEXEC) >= 0;
	if (fd >= 0)
		(void)close(fd);
	(void)pthread_mutex_unlock(&cache->lock);
	return same;
}

/* A new file, locked; -1 with errno. */
static int new_temp(struct store_cache *cache, char temp[NAME_MAX_BYTES])
{
	struct stat st;

	for (;;) {
		int fd;

		(void)snprintf(temp, NAME_MAX_BYTES, ".%d-%u", (int)getpid(),
			       atomic_fetch_add(&cache->next_temp, 1));
		fd = openat(cache->dir_fd, temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0600);
		if (fd < 0 && errno == EEXIST)
			continue;	/* of the same number, in another container */
		if (fd < 0)
			return -1;
		/* A scan may have taken it for a leftover before the lock was there. */
		if (flock(fd, LOCK_SH) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
			return fd;
		(void)close(fd);
	}
}

/* *ret_ours: what failed is a name here, and tells nothing of the object. */
static enum err_code bring(struct store_cache *cache, const struct store_entry *entry,
			   const char *name, struct store_fetched *ret_fetched, bool *ret_ours,
			   struct err *err)
{
	char temp[NAME_MAX_BYTES];
	int fd = new_temp(cache, temp);
	enum err_code code;
	uint64_t size = 0;

	*ret_ours = fd < 0;
	if (fd < 0)
		return err_errno(err, "could not make a file in \"%s\"", cache->dir);
	code = store_copy_to(cache->layer.inner, entry, fd, &size, err);
	if (code == ERR_OK && renameat(cache->dir_fd, temp, cache->dir_fd, name) < 0) {
		code = err_errno(err, "could not name a file in \"%s\"", cache->dir);
		*ret_ours = true;
	}
	if (code != ERR_OK) {
		(void)unlinkat(cache->dir_fd, temp, 0);
		(void)close(fd);
		return code;
	}
	give_kept(cache, name, fd, size, ret_fetched);
	cache_added(cache, size);
	return ERR_OK;
}

/* By way of a file here, which is made where it was not. */
static enum err_code fetch_kept(struct store_cache *cache, const struct store_entry *entry,
				struct store_fetched *ret_fetched, bool *ret_ours, struct err *err)
{
	char name[NAME_MAX_BYTES];
	enum err_code code;

	*ret_ours = !cache_is_there(cache);
	if (*ret_ours)
		return err_set(err, ERR_IO, "\"%s\" is not there any more", cache->dir);
	name_of(cache, entry, name);
	if (find_kept(cache, name, entry->size, ret_fetched))
		return ERR_OK;
	code = bring(cache, entry, name, ret_fetched, ret_ours, err);
	if (code != ERR_SPACE)
		return code;
	(void)pthread_mutex_lock(&cache->lock);		/* the disk is smaller than the bound */
	cache_shrink(cache, 0);
	(void)pthread_mutex_unlock(&cache->lock);
	return bring(cache, entry, name, ret_fetched, ret_ours, err);
}

/* Where nothing can be kept, for another reason than that the disk is full, memory does: what ails
 * a directory here is nothing that is wrong with the object, which an error would be taken for. */
static enum err_code cache_fetch(struct store *store, const struct store_entry *entry,
				 struct store_fetched *ret_fetched, struct err *err)
{
	struct store_cache *cache = (struct store_cache *)store;
	bool ours;
	enum err_code code = fetch_kept(cache, entry, ret_fetched, &ours, err);

	if (code == ERR_OK || code == ERR_SPACE || !ours)
		return code;
	if (!atomic_exchange(&cache->told, true))
		trace_warn("%s: what is fetched is kept in memory, for as long as it is used",
			   err->msg);
	return store_layer_fetch(store, entry, ret_fetched, err);
}

/* --- what changes ------------------------------------------------------------------- */

/* What is known by its key alone. */
static void forget(const struct store_cache *cache, const char *key)
{
	char name[NAME_MAX_BYTES];

	name_of(cache, &(struct store_entry){ .key = key }, name);
	(void)unlinkat(cache->dir_fd, name, 0);
}

/* What was uploaded from a file here need not come back: its next reader is often this process. One
 * that would push out much else is not kept. */
static void keep_put(struct store_cache *cache, const struct store_put *put)
{
	char name[NAME_MAX_BYTES];

	if (put->size > cache->bytes_max / SCANS_A_BOUND)
		return;
	name_of(cache, &(struct store_entry){ .key = put->key }, name);
	if (linkat(AT_FDCWD, put->path, cache->dir_fd, name, 0) == 0)
		cache_added(cache, put->size);
}

static enum err_code cache_put(struct store *store, const struct store_put *put, struct err *err)
{
	struct store_cache *cache = (struct store_cache *)store;
	enum err_code code = store_layer_put(store, put, err);

	/* What is created, too, may come after one that another process removed. */
	if (put->mode == STORE_REPLACE || code == ERR_OK || code == ERR_UNKNOWN)
		forget(cache, put->key);
	if (put->mode == STORE_CREATE && code == ERR_OK && put->path)
		keep_put(cache, put);
	return code;
}

static enum err_code cache_remove(struct store *store, const char *key, struct err *err)
{
	enum err_code code = store_layer_remove(store, key, err);

	forget((struct store_cache *)store, key);
	return code;
}

/* --- the decorator -------------------------------------------------------------------- */

static const char *cache_fetch_dir(struct store *store)
{
	return ((struct store_cache *)store)->dir;
}

static void cache_free(struct store *store)
{
	struct store_cache *cache = (struct store_cache *)store;

	if (cache->dir_fd >= 0)
		(void)close(cache->dir_fd);
	(void)pthread_mutex_destroy(&cache->lock);
	free(cache->of);
	store_layer_free(store);
}

static const struct store_ops cache_ops = {
	.name = "cache",
	.layer = true,
	.put = cache_put,
	.get = store_layer_get,
	.stat = store_layer_stat,
	.list = store_layer_list,
	.level = store_layer_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.remove = cache_remove,
	.fetch = cache_fetch,
	.fetch_dir = cache_fetch_dir,
	.can = store_layer_can,
	.free = cache_free,
};

/* A line of each; where the boot cannot be told, every start is one. */
static char *store_and_boot(const char *of)
{
	char boot[64] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, boot, sizeof(boot) - 1);
	struct buf text;

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		(void)snprintf(boot, sizeof(boot), "%d at %lld\n", (int)getpid(),
			       (long long)clock_mono_us());
	buf_init(&text, strlen(of) + sizeof(boot) + 1);
	buf_addf(&text, "%s\n%s", of, boot);
	(void)buf_cstr(&text);			/* ends it */
	return text.ptr;
}

enum err_code store_cache_new(struct store *inner, const char *dir, const char *of,
			      uint64_t bytes_max, struct store **ret_store, struct err *err)
{
	struct store_cache *cache = xcalloc(1, sizeof(*cache));
	enum err_code code = dir_make(dir, 0700, err);

	cache->layer = (struct store_layer){ { &cache_ops }, inner };
	cache->dir_fd = -1;
	cache->of = store_and_boot(of);
	cache->bytes_max = bytes_max;
	cache->added = UINT64_MAX;
	(void)pthread_mutex_init(&cache->lock, NULL);
	if (code == ERR_OK && !realpath(dir, cache->dir))
		code = err_errno(err, "could not find \"%s\"", dir);
	if (code == ERR_OK) {
		cache->dir_fd = open(cache->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (cache->dir_fd < 0)
			code = err_errno(err, "could not open \"%s\"", dir);
	}
	if (code == ERR_OK)
		*ret_store = &cache->layer.base;
	else
		cache_free(&cache->layer.base);
	return code;
}
