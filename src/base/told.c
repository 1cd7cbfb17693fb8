#include "base/told.h"

#include "base/fnv.h"
#include "base/time.h"
#include "base/trace.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum { TOLD_MAX = 256 };

struct told_turn {
	size_t count;
	struct news news;
	uint64_t hashes[TOLD_MAX];
};

static struct {
	pthread_mutex_t lock;
	struct told_turn last, now;
	char path[PATH_MAX];
} told = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool turn_has(const struct told_turn *turn, uint64_t hash)
{
	for (size_t i = 0; i < turn->count; i++)
		if (turn->hashes[i] == hash)
			return true;
	return false;
}

static bool was_told(const char *text)
{
	uint64_t hash = fnv1a_text(FNV1A_BEGIN, text);
	bool known;

	(void)pthread_mutex_lock(&told.lock);
	known = turn_has(&told.last, hash);
	if (!turn_has(&told.now, hash) && told.now.count < TOLD_MAX)
		told.now.hashes[told.now.count++] = hash;
	(void)pthread_mutex_unlock(&told.lock);
	return known;
}

static bool path_of(char path[PATH_MAX], const char *dir, const char *name)
{
	return snprintf(path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX;
}

/* As the file has it: what is no such file is none. */
static bool read_turn(int fd, struct told_turn *turn)
{
	ssize_t bytes = read(fd, turn, sizeof(*turn));
	int64_t latest_ms = clock_mono_ms() + NEWS_MS;

	/* Of a clock that began anew since then it tells nothing. */
	return bytes == (ssize_t)sizeof(*turn) && turn->count <= TOLD_MAX &&
	       turn->news.lines <= NEWS_LINES && turn->news.until_ms <= latest_ms;
}

void told_begin(const char *dir, const char *name)
{
	int fd;

	if (!path_of(told.path, dir, name))
		return;
	fd = open(told.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || !read_turn(fd, &told.last))
		told.last = (struct told_turn){ .count = 0 };
	if (fd >= 0)
		(void)close(fd);
	told.now = (struct told_turn){ .news = told.last.news };
	trace_set_known(was_told);
}

/* A turn that is cut short here tells too much next time, no more. */
static void keep_turn(const struct told_turn *turn)
{
	int fd = open(told.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return;
	(void)!write(fd, turn, sizeof(*turn));
	(void)close(fd);
}

void told_end(void)
{
	trace_set_known(NULL);
	if (told.now.count > 0 || told.last.count > 0 || told.now.news.lines > 0)
		keep_turn(&told.now);
}

struct news *told_news(void) { return &told.now.news; }

void told_forget(const char *dir, const char *name)
{
	char path[PATH_MAX];

	if (path_of(path, dir, name))
		(void)unlink(path);
}
