#include "gateway/ended.h"

#include "base/file.h"
#include "net/http_chars.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define ENDED_FRESH_NAME ENDED_NAME ".new"

enum {
	NUMBER_CHARS = 16,
	LINE_CHARS = 2 * NUMBER_CHARS + 2,
	FILE_BYTES_MAX = (ENDED_MAX + 1) * LINE_CHARS,
};

void ended_init(struct ended *ended)
{
	ended->count = 0;
	ended->all_until_s = 0;
	ended->unkept = false;
	(void)pthread_mutex_init(&ended->writing, NULL);
	(void)pthread_mutex_init(&ended->lock, NULL);
}

void ended_release(struct ended *ended)
{
	(void)pthread_mutex_destroy(&ended->lock);
	(void)pthread_mutex_destroy(&ended->writing);
}

static bool ended_holds(const struct ended *ended, uint64_t id, int64_t until_s)
{
	for (size_t i = 0; i < ended->count; i++)
		if (ended->list[i].id == id)
			return true;
	return id == 0 || until_s <= ended->all_until_s;
}

/* A place in the full list. */
static size_t ended_give_way(struct ended *ended)
{
	size_t first = 0;

	for (size_t i = 1; i < ended->count; i++)
		if (ended->list[i].until_s < ended->list[first].until_s)
			first = i;
	if (ended->list[first].until_s > ended->all_until_s)
		ended->all_until_s = ended->list[first].until_s;
	return first;
}

/* Under the lock. */
static void ended_put(struct ended *ended, uint64_t id, int64_t until_s)
{
	size_t at;

	if (id == 0 && until_s > ended->all_until_s)
		ended->all_until_s = until_s;
	if (ended_holds(ended, id, until_s))
		return;
	at = ended->count < ENDED_MAX ? ended->count++ : ended_give_way(ended);
	ended->list[at].id = id;
	ended->list[at].until_s = until_s;
}

void ended_add(struct ended *ended, uint64_t id, int64_t until_s)
{
	(void)pthread_mutex_lock(&ended->lock);
	ended_put(ended, id, until_s);
	ended->unkept = true;
	(void)pthread_mutex_unlock(&ended->lock);
}

bool ended_has(struct ended *ended, uint64_t id, int64_t until_s)
{
	bool has;

	(void)pthread_mutex_lock(&ended->lock);
	has = ended_holds(ended, id, until_s);
	(void)pthread_mutex_unlock(&ended->lock);
	return has;
}

bool ended_is_kept(struct ended *ended)
{
	bool kept;

	(void)pthread_mutex_lock(&ended->lock);
	kept = !ended->unkept;
	(void)pthread_mutex_unlock(&ended->lock);
	return kept;
}

static bool ended_parse_number(const char *text, uint64_t *ret)
{
	uint64_t value = 0;

	for (size_t i = 0; i < NUMBER_CHARS; i++) {
		int digit = http_hex_value(text[i]);

		if (digit < 0)
			return false;
		value = value << 4 | (unsigned)digit;
	}
	*ret = value;
	return true;
}

/* Under the lock. */
static enum err_code ended_parse(struct ended *ended, struct slice text, struct err *err)
{
	for (; text.len > 0; text = slice_from(text, LINE_CHARS)) {
		uint64_t id, until_s;

		if (text.len < LINE_CHARS || !ended_parse_number(text.ptr, &id) ||
		    text.ptr[NUMBER_CHARS] != ' ' ||
		    !ended_parse_number(text.ptr + NUMBER_CHARS + 1, &until_s) ||
		    text.ptr[LINE_CHARS - 1] != '\n' || until_s > INT64_MAX)
			return err_set(err, ERR_CORRUPT,
				       "it is not what this program wrote: remove it");
		ended_put(ended, id, (int64_t)until_s);
	}
	return ERR_OK;
}

static enum err_code ended_read(struct ended *ended, int dir_fd, struct err *err)
{
	enum err_code code;
	struct buf text;

	buf_init(&text, FILE_BYTES_MAX);
	code = file_read(dir_fd, ENDED_NAME, &text, "it", err);
	if (code == ERR_OK) {
		(void)pthread_mutex_lock(&ended->lock);
		code = ended_parse(ended, buf_slice(&text), err);
		(void)pthread_mutex_unlock(&ended->lock);
	}
	buf_release(&text);
	return code == ERR_ABSENT ? ERR_OK : code;
}

enum err_code ended_load(struct ended *ended, const char *dir, struct err *err)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err_code code;

	if (dir_fd < 0)
		return err_errno(err, "\"%s\"", dir) == ERR_ABSENT ? ERR_OK : err->code;
	code = ended_read(ended, dir_fd, err);
	(void)close(dir_fd);
	return code == ERR_OK ? code : err_prefix(err, "\"%s/" ENDED_NAME "\"", dir);
}

static void ended_put_line(struct buf *text, uint64_t id, int64_t until_s, int64_t now_s)
{
	if (until_s > now_s)
		buf_addf(text, "%016" PRIx64 " %016" PRIx64 "\n", id, (uint64_t)until_s);
}

static void ended_put_text(struct ended *ended, int64_t now_s, struct buf *text)
{
	(void)pthread_mutex_lock(&ended->lock);
	ended_put_line(text, 0, ended->all_until_s, now_s);
	for (size_t i = 0; i < ended->count; i++)
		ended_put_line(text, ended->list[i].id, ended->list[i].until_s, now_s);
	ended->unkept = false;
	(void)pthread_mutex_unlock(&ended->lock);
}

static enum err_code ended_write(struct ended *ended, int dir_fd, int64_t now_s, struct err *err)
{
	enum err_code code;
	struct err unused;
	struct buf text;

	buf_init(&text, FILE_BYTES_MAX);
	/* Of another gateway on this directory. What is not to be read was told when it began. */
	(void)!ended_read(ended, dir_fd, &unused);
	ended_put_text(ended, now_s, &text);
	code = file_replace(dir_fd, ENDED_NAME, ENDED_FRESH_NAME, buf_slice(&text), true, "it",
			    err);
	if (code == ERR_OK && fsync(dir_fd) < 0)
		code = err_errno(err, "could not sync its directory");
	buf_release(&text);
	return code;
}

enum err_code ended_keep(struct ended *ended, const char *dir, int64_t now_s, struct err *err)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err_code code;

	if (dir_fd < 0)
		return err_errno(err, "\"%s\"", dir);
	(void)pthread_mutex_lock(&ended->writing);
	code = ended_write(ended, dir_fd, now_s, err);
	if (code != ERR_OK) {
		(void)pthread_mutex_lock(&ended->lock);
		ended->unkept = true;
		(void)pthread_mutex_unlock(&ended->lock);
	}
	(void)pthread_mutex_unlock(&ended->writing);
	(void)close(dir_fd);
	return code == ERR_OK ? code : err_prefix(err, "\"%s/" ENDED_NAME "\"", dir);
}
