#include "broker/local/watermark.h"

#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, LOOKS = 1000 };
static const char magic[8] = "PINPIPEW";
static const char file_name[] = "watermark";

struct watermark_page {
	char magic[8];
	uint64_t log_id;
	_Atomic uint64_t watermark;
	_Atomic uint64_t complement;
	_Atomic uint32_t bell;
	_Atomic uint32_t topics;
	_Atomic uint32_t layouts;
	_Atomic uint32_t overflow;
	_Atomic uint64_t ends_up_to;
	_Atomic uint64_t ends_sum;
	struct {
		_Atomic uint64_t name;
		_Atomic uint64_t next;
	} ends[WATERMARK_ENDS];
};
static_assert(sizeof(struct watermark_page) == PAGE, "the layout is a file format");

/* A whole new file under the name. */
static enum err_code watermark_write_new(int dir_fd, const char *name, uint64_t log_id,
					 uint64_t address, struct err *err)
{
	struct watermark_page page = { .log_id = log_id,
				       .watermark = address,
				       .complement = ~address };

	memcpy(page.magic, magic, sizeof(magic));
	/* All its blocks are written now, so that no later store through a mapping lacks one. */
	return file_write(dir_fd, name, slice_of(&page, PAGE), true, "the log's watermark", err);
}

/* `replace`: even if there is one. */
static enum err_code watermark_make(int dir_fd, bool replace, uint64_t log_id, struct err *err)
{
	char temporary[64];
	enum err_code code;
	uint64_t mine = 0;
	int rc;

	/* Not by the process' id: another container may have one of that number. */
	(void)!getrandom(&mine, sizeof(mine), 0);
	(void)snprintf(temporary, sizeof(temporary), "%s.%016" PRIx64, file_name, mine);
	code = watermark_write_new(dir_fd, temporary, log_id, 0, err);
	if (code != ERR_OK)
		return code;
	rc = replace ? renameat(dir_fd, temporary, dir_fd, file_name)
		     : linkat(dir_fd, temporary, dir_fd, file_name, 0);
	if (rc < 0 && errno != EEXIST)
		code = err_errno(err, "could not make the log's watermark");
	(void)unlinkat(dir_fd, temporary, 0);
	return code;
}

enum err_code watermark_write(int dir_fd, uint64_t log_id, uint64_t address, struct err *err)
{
	return watermark_write_new(dir_fd, file_name, log_id, address, err);
}

static bool is_good(const struct watermark_page *page, uint64_t log_id)
{
	return memcmp(page->magic, magic, sizeof(magic)) == 0 && page->log_id == log_id;
}

static enum err_code map(int dir_fd, bool writer, uint64_t log_id, struct watermark *ret,
			 struct err *err)
{
	int prot = writer ? PROT_READ | PROT_WRITE : PROT_READ;
	int fd = openat(dir_fd, file_name, (writer ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
	enum err_code code = ERR_OK;
	void *page = MAP_FAILED;
	struct stat st;

	if (fd < 0)
		return err_errno(err, "could not open the log's watermark");
	if (fstat(fd, &st) < 0)
		code = err_errno(err, "could not look at the log's watermark");
	else if (st.st_size < PAGE)
		code = err_set(err, ERR_CORRUPT, "the log's watermark file is too short");
	else if ((page = mmap(NULL, PAGE, prot, MAP_SHARED, fd, 0)) == MAP_FAILED)
		code = err_errno(err, "could not map the log's watermark");
	(void)close(fd);
	if (code == ERR_OK && !is_good(page, log_id)) {
		(void)munmap(page, PAGE);
		code = err_set(err, ERR_CORRUPT, "the watermark file is not of this log");
	}
	if (code == ERR_OK)
		ret->page = page;
	return code;
}

/* A page that says nothing, of this process alone. */
static enum err_code map_nothing(struct watermark *ret, struct err *err)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return err_errno(err, "could not map the log's watermark");
	ret->page = page;
	return ERR_OK;
}

enum err_code watermark_open(int dir_fd, enum watermark_mode mode, uint64_t log_id,
			     struct watermark *ret, struct err *err)
{
	bool writer = mode == WATERMARK_WRITE;
	enum err_code code = map(dir_fd, writer, log_id, ret, err);

	if (code == ERR_ABSENT && mode == WATERMARK_READ)
		return map_nothing(ret, err);
	if (code == ERR_ABSENT || (code == ERR_CORRUPT && writer)) {
		code = watermark_make(dir_fd, code == ERR_CORRUPT, log_id, err);
		if (code == ERR_OK)
			code = map(dir_fd, writer, log_id, ret, err);
	}
	return code;
}

void watermark_close(struct watermark *watermark)
{
	if (watermark->page)
		(void)munmap(watermark->page, PAGE);
	watermark->page = NULL;
}

uint64_t watermark_get(const struct watermark *watermark)
{
	const struct watermark_page *page = watermark->page;
	uint64_t address, complement;

	/* Between its two stores the writer is for nanoseconds, or dead for good. */
	for (int i = 0; i < LOOKS; i++) {
		complement = atomic_load(&page->complement);
		address = atomic_load(&page->watermark);
		if (address == ~complement)
			return address;
	}
	return 0;
}

static void ring(struct watermark_page *page)
{
	atomic_fetch_add(&page->bell, 1);
	(void)syscall(SYS_futex, &page->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void watermark_publish(struct watermark *watermark, uint64_t address)
{
	atomic_store(&watermark->page->ends_up_to, address);
	atomic_store(&watermark->page->watermark, address);
	atomic_store(&watermark->page->complement, ~address);
	ring(watermark->page);
}

/* Uids are random, so no two partitions of a log share a name, or the place to look first. */
static uint64_t end_name(uint64_t uid, int32_t partition)
{
	uint64_t name = uid ^ (uint64_t)(uint32_t)partition * 0x9e3779b97f4a7c15;

	return name ? name : 1;
}

/* What an entry adds to the sum: every bit of it counts (the finalizer of SplitMix64). */
static uint64_t end_weight(uint64_t name, uint64_t next)
{
	uint64_t bits = name + next * 0x9e3779b97f4a7c15;

	bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
	bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
	return bits ^ bits >> 31;
}

void watermark_ends_change(struct watermark *watermark, uint64_t address)
{
	atomic_store(&watermark->page->ends_up_to, address);
}

void watermark_ends_begin(struct watermark *watermark)
{
	struct watermark_page *page = watermark->page;

	atomic_fetch_or(&page->layouts, 1);
	atomic_store(&page->overflow, 0);
	for (size_t i = 0; i < WATERMARK_ENDS; i++) {
		atomic_store(&page->ends[i].name, 0);
		atomic_store(&page->ends[i].next, 0);
	}
	atomic_store(&page->ends_sum, 0);
}

void watermark_ends_done(struct watermark *watermark)
{
	atomic_fetch_add(&watermark->page->layouts, 1);
}

void watermark_set_end(struct watermark *watermark, uint64_t uid, int32_t partition, uint64_t next)
{
	struct watermark_page *page = watermark->page;
	uint64_t name = end_name(uid, partition), there, sum = atomic_load(&page->ends_sum);
	size_t at = name % WATERMARK_ENDS, tries = 0;

	for (; tries < WATERMARK_ENDS; tries++, at = (at + 1) % WATERMARK_ENDS) {
		there = atomic_load_explicit(&page->ends[at].name, memory_order_relaxed);
		if (there == name || there == 0)
			break;
	}
	if (tries == WATERMARK_ENDS) {
		atomic_store(&page->overflow, 1);
		return;
	}
	if (there == name)
		sum -= end_weight(name, atomic_load(&page->ends[at].next));
	atomic_store_explicit(&page->ends[at].next, next, memory_order_release);
	if (there == 0)
		atomic_store(&page->ends[at].name, name);
	atomic_store(&page->ends_sum, sum + end_weight(name, next));
}

/* False: they change meanwhile, do not hold all, or are of several times. */
static bool ends_copy(const struct watermark_page *page, struct ends *ret)
{
	uint32_t layouts = atomic_load(&page->layouts);
	uint64_t sum = 0;

	if (layouts & 1)
		return false;
	for (size_t i = 0; i < WATERMARK_ENDS; i++) {
		ret->places[i].name = atomic_load(&page->ends[i].name);
		ret->places[i].next = atomic_load(&page->ends[i].next);
		if (ret->places[i].name != 0)
			sum += end_weight(ret->places[i].name, ret->places[i].next);
	}
	return atomic_load(&page->ends_sum) == sum && !atomic_load(&page->overflow) &&
	       atomic_load(&page->layouts) == layouts;
}

bool watermark_ends(const struct watermark *watermark, uint64_t at_least, struct ends *ret)
{
	const struct watermark_page *page = watermark->page;

	ret->watermark = 0;
	/* Between its stores the writer is for microseconds, or dead for good. */
	for (int i = 0; i < LOOKS && !atomic_load(&page->overflow); i++) {
		uint64_t now = watermark_get(watermark);

		if (now == 0 || now < at_least)
			return false;
		if (atomic_load(&page->ends_up_to) != now || !ends_copy(page, ret) ||
		    atomic_load(&page->ends_up_to) != now)
			continue;
		ret->watermark = now;
		return true;
	}
	return false;
}

bool watermark_ends_or_more(const struct watermark *watermark, uint64_t up_to, struct ends *ret)
{
	const struct watermark_page *page = watermark->page;
	bool known = up_to > 0 && atomic_load(&page->ends_up_to) >= up_to && ends_copy(page, ret);

	ret->watermark = known ? up_to : 0;
	return known;
}

uint64_t ends_next(const struct ends *ends, uint64_t uid, int32_t partition)
{
	uint64_t name = end_name(uid, partition);
	size_t at = name % WATERMARK_ENDS;

	for (size_t i = 0; i < WATERMARK_ENDS; i++, at = (at + 1) % WATERMARK_ENDS) {
		if (ends->places[at].name == name)
			return ends->places[at].next;
		if (ends->places[at].name == 0)
			break;
	}
	return 0;
}

void watermark_ring(struct watermark *watermark)
{
	atomic_fetch_add(&watermark->page->topics, 1);
	ring(watermark->page);
}

uint32_t watermark_topics(const struct watermark *watermark)
{
	return atomic_load(&watermark->page->topics);
}

uint32_t watermark_bell(const struct watermark *watermark)
{
	return atomic_load(&watermark->page->bell);
}

void watermark_wait(const struct watermark *watermark, uint32_t bell, int64_t ms)
{
	struct timespec wait = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)syscall(SYS_futex, &watermark->page->bell, FUTEX_WAIT, bell, &wait, NULL, 0);
}

void watermark_sync(struct watermark *watermark)
{
	(void)msync(watermark->page, PAGE, MS_SYNC); /* of use only if it works */
}
