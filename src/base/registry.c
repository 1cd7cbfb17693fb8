#include "base/registry_inside.h"

#include "base/fnv.h"
#include "base/time.h"
#include "base/trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_BYTE = 0, FIRST_SLOT_BYTE = 1, LOCK_TRIES = 200, LOCK_WAIT_MS = 5, REPLACED_MAX = 8 };

/* Until a file is joined, and where none can be. */
static struct registry_slot own;
struct registry_slot *_Atomic registry_own_slot = &own;
static char joined_dir[PATH_MAX];
static atomic_int joined_fd = -1;
static pthread_mutex_t words_lock = PTHREAD_MUTEX_INITIALIZER;

struct registry_slot *registry_mine(void) { return registry_slot_here(); }

const char *registry_dir(void) { return atomic_load(&joined_fd) >= 0 ? joined_dir : NULL; }

/* --- the layout ------------------------------------------------------------------- */

uint64_t registry_layout(void)
{
	static const char *const names[] = {
#define X(id, name, type, help) name,
		METRIC_TABLE(X)
#undef X
#define X(id, name, help) name,
			HISTOGRAM_TABLE(X)
#undef X
#define X(id, labels, role) #id,
				SERIES_KIND_TABLE(X)
#undef X
	};
	uint64_t hash = FNV1A_BEGIN ^ sizeof(struct registry_slot) ^ (uint64_t)SERIES_VALUES << 32;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		hash = fnv1a(hash, names[i], strlen(names[i]) + 1);
	return hash;
}

void registry_name(char ret_name[REGISTRY_NAME_MAX])
{
	(void)snprintf(ret_name, REGISTRY_NAME_MAX, REGISTRY_FILE ".%08x",
		       (uint32_t)registry_layout());
}

bool registry_head_fits(const struct registry_head *head, uint64_t file_bytes)
{
	uint32_t slots = atomic_load(&head->slots);

	return memcmp(head->magic, REGISTRY_MAGIC, sizeof(head->magic)) == 0 &&
	       head->layout == registry_layout() && head->slot_bytes == REGISTRY_SLOT_BYTES &&
	       slots <= REGISTRY_SLOTS_MAX && file_bytes >= registry_bytes(slots);
}

/* --- locks ------------------------------------------------------------------------- */

/* Of an open file, not of a process: it ends with the last descriptor. */
static bool lock_byte(int fd, off_t byte, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* Others hold it for microseconds. */
static bool lock_head(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (lock_byte(fd, HEAD_BYTE, F_WRLCK))
			return true;
		clock_sleep_ms(LOCK_WAIT_MS);
	}
	errno = EAGAIN;
	return false;
}

/* --- the file ---------------------------------------------------------------------- */

static bool has_the_name(int dir_fd, const char *name, int fd)
{
	struct stat named, open_one;

	return fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(fd, &open_one) == 0 && named.st_ino == open_one.st_ino &&
	       named.st_dev == open_one.st_dev;
}

/* Unless a process has a slot of it, or is about to. */
static void remove_if_left(int dir_fd, const char *name)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (fcntl(fd, F_OFD_SETLK, &all) == 0 && has_the_name(dir_fd, name, fd))
		(void)unlinkat(dir_fd, name, 0);
	(void)close(fd);
}

static bool is_of_a_layout(const char *name)
{
	static const char begins[] = REGISTRY_FILE ".";
	const char *layout = name + strlen(begins);

	return strncmp(name, begins, strlen(begins)) == 0 &&
	       strspn(layout, "0123456789abcdef") == 8 && layout[8] == '\0';
}

static void remove_others(int dir_fd, const char *mine)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	while (list && (entry = readdir(list)) != NULL)
		if (is_of_a_layout(entry->d_name) && strcmp(entry->d_name, mine) != 0)
			remove_if_left(dir_fd, entry->d_name);
	if (list)
		(void)closedir(list);
	else if (fd >= 0)
		(void)close(fd);
}

/* An empty one, in place of the one that has the name if `replace`; else nothing happens if there
 * is one by now. False with errno. */
static bool registry_make(int dir_fd, const char *name, bool replace)
{
	struct registry_head head = { .layout = registry_layout(),
				      .slot_bytes = REGISTRY_SLOT_BYTES };
	char page[REGISTRY_PAGE] = { 0 };
	char fresh[64];
	uint64_t unique = 0;
	bool made;
	int fd, failed;

	(void)!getrandom(&unique, sizeof(unique), 0);
	(void)snprintf(fresh, sizeof(fresh), REGISTRY_FILE ".%016llx", (unsigned long long)unique);
	memcpy(head.magic, REGISTRY_MAGIC, sizeof(head.magic));
	memcpy(page, &head, sizeof(head));
	fd = openat(dir_fd, fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	errno = ENOSPC;
	made = pwrite(fd, page, sizeof(page), 0) == (ssize_t)sizeof(page) &&
	       (replace ? renameat(dir_fd, fresh, dir_fd, name) == 0
			: linkat(dir_fd, fresh, dir_fd, name, 0) == 0 || errno == EEXIST);
	failed = errno;
	if (!made || !replace)
		(void)unlinkat(dir_fd, fresh, 0);
	(void)close(fd);
	remove_others(dir_fd, name);
	errno = failed;
	return made;
}

static bool file_fits(int fd)
{
	struct registry_head head;
	struct stat st;

	return fstat(fd, &st) == 0 && pread(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	       registry_head_fits(&head, (uint64_t)st.st_size);
}

/* The file, of our layout, with its head locked; -1: errno says why not. Whoever makes one opens it
 * by its name as all others do; one that does not fit is replaced under its lock. */
static int registry_open_locked(int dir_fd, const char *name)
{
	for (int i = 0; i < REPLACED_MAX; i++) {
		int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		bool ours = fd >= 0 && lock_head(fd), made = true;
		int failed = errno;

		if (fd < 0 && errno != ENOENT)
			return -1;
		if (fd < 0 || (ours && has_the_name(dir_fd, name, fd))) {
			if (fd >= 0 && file_fits(fd))
				return fd;
			made = registry_make(dir_fd, name, fd >= 0);
			failed = errno;
		}
		if (fd >= 0)
			(void)close(fd);
		errno = failed;
		if (!made)
			return -1;
	}
	errno = EAGAIN;
	return -1;
}

/* --- slots ------------------------------------------------------------------------- */

static struct registry_slot *map_slot(int fd, uint32_t at)
{
	void *slot = mmap(NULL, REGISTRY_SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  (off_t)registry_bytes(at));

	return slot == MAP_FAILED ? NULL : slot;
}

/* One that the last of the role has left; its lock is ours then. */
static struct registry_slot *slot_take(int fd, uint32_t slots, const char *role)
{
	for (uint32_t i = 0; i < slots; i++) {
		struct registry_slot *slot;
		char its[REGISTRY_ROLE_MAX] = "";

		if (pread(fd, its, sizeof(its) - 1, (off_t)registry_bytes(i)) <= 0 ||
		    strcmp(its, role) != 0 || !lock_byte(fd, FIRST_SLOT_BYTE + (off_t)i, F_WRLCK))
			continue;
		slot = map_slot(fd, i);
		if (slot)
			return slot;
		(void)lock_byte(fd, FIRST_SLOT_BYTE + (off_t)i, F_UNLCK);
	}
	return NULL;
}

static struct registry_slot *slot_add(int fd, uint32_t slots, const char *role)
{
	struct registry_slot *slot;
	uint32_t now = slots + 1;

	if (slots >= REGISTRY_SLOTS_MAX) {
		errno = ENOSPC;
		return NULL;
	}
	/* All its blocks are there now, so that no later store through the mapping lacks one. */
	errno = posix_fallocate(fd, (off_t)registry_bytes(slots), REGISTRY_SLOT_BYTES);
	if (errno != 0 || !lock_byte(fd, FIRST_SLOT_BYTE + (off_t)slots, F_WRLCK))
		return NULL;
	slot = map_slot(fd, slots);
	if (!slot)
		return NULL;
	memset(slot->role, 0, sizeof(slot->role)); /* of one that was killed amid this */
	memcpy(slot->role, role, strlen(role));
	if (pwrite(fd, &now, sizeof(now), offsetof(struct registry_head, slots)) !=
	    (ssize_t)sizeof(now)) {
		(void)munmap(slot, REGISTRY_SLOT_BYTES);
		return NULL;
	}
	return slot;
}

/* --- joining ----------------------------------------------------------------------- */

/* What was of the last process only. */
static void slot_forget(struct registry_slot *slot)
{
	for (int i = 0; i < METRIC_COUNT; i++)
		if (metric_is_gauge((enum metric)i))
			atomic_store(&slot->values[i], 0);
	for (int i = 0; i < REGISTRY_MOMENTS; i++)
		atomic_store(&slot->moments[i].at_ms, 0);
	for (int i = 0; i < REGISTRY_ROWS_MAX; i++)
		if (slot->rows[i].kind != 0)
			atomic_store(&slot->rows[i].values[SERIES_LAG], -1);
}

/* What was counted before it was joined. */
static void slot_carry(struct registry_slot *slot, struct registry_slot *from)
{
	for (int i = 0; i < METRIC_COUNT && slot != from; i++)
		atomic_fetch_add(&slot->values[i], atomic_exchange(&from->values[i], 0));
}

static void slot_begin(struct registry_slot *slot)
{
	if (atomic_load(&slot->starts) > 0 && atomic_load(&slot->ended_ms) == 0)
		atomic_fetch_add(&slot->kills, 1);
	slot_forget(slot);
	atomic_store(&slot->ended_ms, 0);
	atomic_store(&slot->pid, getpid());
	atomic_store(&slot->began_ms, clock_wall_ms());
	atomic_fetch_add(&slot->starts, 1);
}

static struct registry_slot *registry_claim(int fd, const char *role)
{
	struct registry_head head;
	struct registry_slot *slot = NULL;

	if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return NULL;
	slot = slot_take(fd, atomic_load(&head.slots), role);
	if (!slot)
		slot = slot_add(fd, atomic_load(&head.slots), role);
	(void)lock_byte(fd, HEAD_BYTE, F_UNLCK);
	return slot;
}

static void registry_begin(struct registry_slot *slot)
{
	struct registry_slot *before = registry_mine();

	slot_begin(slot);
	atomic_store(&registry_own_slot, slot);
	for (int word = 0; word < REGISTRY_WORDS; word++) {
		char said[REGISTRY_TEXT_MAX];

		registry_text(before, (enum registry_word)word, said);
		registry_say((enum registry_word)word, "%s", said);
	}
	slot_carry(slot, before);
	registry_tick();
}

bool registry_may_join(const char *dir)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[REGISTRY_NAME_MAX];
	bool may;

	registry_name(name);
	may = dir_fd >= 0 && faccessat(dir_fd, name, R_OK | W_OK, 0) == 0;
	if (dir_fd >= 0)
		(void)close(dir_fd);
	return may;
}

void registry_join(const char *dir, const char *role)
{
	char name[REGISTRY_NAME_MAX];
	struct registry_slot *slot;
	int dir_fd, fd, failed;

	if (registry_dir())
		return;
	registry_name(name);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = dir_fd >= 0 ? registry_open_locked(dir_fd, name) : -1;
	slot = fd >= 0 ? registry_claim(fd, role) : NULL;
	failed = errno;
	if (dir_fd >= 0)
		(void)close(dir_fd);
	if (!slot) {
		if (fd >= 0)
			(void)close(fd);
		trace_warn("what this process counts is not to be seen from others: \"%s/%s\": %s",
			   dir, name, strerror(failed));
		memcpy(own.role, role, strlen(role));
		registry_begin(&own);
		return;
	}
	(void)snprintf(joined_dir, sizeof(joined_dir), "%s", dir);
	registry_begin(slot);
	atomic_store(&joined_fd, fd);
}

void registry_leave(void)
{
	int fd = atomic_exchange(&joined_fd, -1);

	if (fd < 0)
		return;
	/* The mapping stays: who has a row of it may still count. */
	atomic_store(&registry_mine()->ended_ms, clock_wall_ms());
	(void)close(fd);
}

/* --- words and moments ------------------------------------------------------------------ */

void registry_say(enum registry_word word, const char *fmt, ...)
{
	struct registry_text *text = &registry_mine()->words[word];
	char said[REGISTRY_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
	(void)pthread_mutex_lock(&words_lock);
	if (strcmp(said, text->text) != 0) {
		/* One that was killed amid this left it odd. */
		atomic_fetch_or(&text->turn, 1);
		atomic_thread_fence(memory_order_release);
		memcpy(text->text, said, sizeof(said));
		atomic_fetch_add(&text->turn, 1);
	}
	(void)pthread_mutex_unlock(&words_lock);
}

static void moment_take(struct registry_moment *moment, int64_t now_ms)
{
	struct registry_slot *slot = registry_mine();

	atomic_store(&moment->at_ms, 0);
	for (int i = 0; i < METRIC_COUNT; i++)
		atomic_store_explicit(&moment->values[i], metric_get((enum metric)i),
				      memory_order_relaxed);
	for (int i = 0; i < HISTOGRAM_COUNT; i++) {
		const struct histogram *from = &slot->histograms[i];
		struct histogram *to = &moment->histograms[i];

		atomic_store_explicit(&to->sum_us, atomic_load(&from->sum_us),
				      memory_order_relaxed);
		for (int b = 0; b < HISTOGRAM_BUCKETS; b++)
			atomic_store_explicit(&to->buckets[b], atomic_load(&from->buckets[b]),
					      memory_order_relaxed);
	}
	atomic_store(&moment->at_ms, now_ms);
}

/* Into the oldest one's place, if the newest is old enough. */
void registry_tick(void)
{
	struct registry_slot *slot = registry_mine();
	struct registry_moment *oldest = NULL;
	int64_t now_ms = clock_mono_ms(), newest_ms = 0, oldest_ms = INT64_MAX;

	for (int i = 0; i < REGISTRY_MOMENTS; i++) {
		int64_t at_ms = atomic_load(&slot->moments[i].at_ms);

		newest_ms = at_ms > newest_ms ? at_ms : newest_ms;
		if (at_ms < oldest_ms) {
			oldest_ms = at_ms;
			oldest = &slot->moments[i];
		}
	}
	if (newest_ms == 0 || now_ms - newest_ms >= REGISTRY_MOMENT_MS)
		moment_take(oldest, now_ms);
}
