#include "store/store.h"

#include "base/ahead.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/store_copy.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PART_BYTES = 8 << 20, COPY_TRIES = 3 };

void store_fetched_release(struct store_fetched *fetched)
{
	if (!fetched->path)
		return;
	(void)close(fetched->fd);
	free(fetched->path);
	*fetched = (struct store_fetched){ .fd = -1 };
}

void store_fetched_release_all(struct store_fetched *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		store_fetched_release(&list[i]);
}

/* --- a copy -------------------------------------------------------------------- */

static enum err_code copy_parts(struct store *store, const char *key, struct buf *part, int fd,
				uint64_t *ret_size, struct err *err)
{
	enum err_code code = ERR_OK;
	uint64_t size = 0;

	do {
		buf_clear(part);
		code = store_get(store, key, size, PART_BYTES, part, err);
		if (code == ERR_OK)
			code = file_write_at(fd, part->ptr, part->len, size, "a fetched object",
					     err);
		size += part->len;
	} while (code == ERR_OK && part->len == PART_BYTES);
	if (code == ERR_OK)
		*ret_size = size;
	return code;
}

/* One that is not known by its key alone may be replaced between two parts; *ret_again: it was. */
static enum err_code copy_same(struct store *store, const struct store_entry *entry,
			       struct buf *part, int fd, uint64_t *ret_size, bool *ret_again,
			       struct err *err)
{
	struct store_stat before;
	enum err_code code = store_stat(store, entry->key, &before, err);

	if (code == ERR_OK)
		code = copy_parts(store, entry->key, part, fd, ret_size, err);
	if (code != ERR_OK)
		return code;
	code = store_check_same(store, entry->key, &before, err);
	*ret_again = code == ERR_BUSY;
	return code;
}

static enum err_code copy_by(struct store *store, const struct store_entry *entry, struct buf *part,
			     int fd, uint64_t *ret_size, struct err *err)
{
	bool in_parts = entry->version && entry->size >= PART_BYTES, again = false;
	enum err_code code = ERR_OK;
	uint64_t size = 0;

	if (!in_parts) {
		code = copy_parts(store, entry->key, part, fd, &size, err);
		again = code == ERR_OK && entry->version && size >= PART_BYTES;
	}
	for (int tries = 0; (again || in_parts) && tries < COPY_TRIES; tries++) {
		in_parts = again = false;
		if (ftruncate(fd, 0) < 0)
			return err_errno(err, "could not empty the copy of an object");
		code = copy_same(store, entry, part, fd, &size, &again, err);
	}
	if (code == ERR_OK)
		*ret_size = size;
	return code;
}

enum err_code store_copy_to(struct store *store, const struct store_entry *entry, int fd,
			    uint64_t *ret_size, struct err *err)
{
	struct buf own, *part = entry->passing ? entry->passing : &own;
	enum err_code code;

	buf_init(&own, PART_BYTES);
	code = copy_by(store, entry, part, fd, ret_size, err);
	if (code != ERR_OK || *ret_size != part->len) /* the last part is not all of it */
		buf_clear(part);
	buf_release(&own);
	return code;
}

enum err_code store_fetch_copy(struct store *store, const struct store_entry *entry,
			       struct store_fetched *ret_fetched, struct err *err)
{
	struct store_fetched copy = { .fd = memfd_create("object", MFD_CLOEXEC) };
	enum err_code code;
	char path[64];

	if (copy.fd < 0)
		return err_errno(err, "could not make a file in memory for object \"%s\"",
				 entry->key);
	code = store_copy_to(store, entry, copy.fd, &copy.size, err);
	if (code != ERR_OK) {
		(void)close(copy.fd);
		return code;
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), copy.fd);
	copy.path = xstrdup(path);
	*ret_fetched = copy;
	return ERR_OK;
}

/* --- its bytes ------------------------------------------------------------------- */

static enum err_code read_fetched(const struct store_fetched *fetched, const char *key,
				  struct buf *out, struct err *err)
{
	char *room = buf_room(out, fetched->size);
	int sys = 0;

	if (!room)
		return err_set(err, ERR_LIMIT, "object \"%s\" is too large", key);
	if (file_read_at(fetched->fd, room, fetched->size, 0, &sys) < fetched->size) {
		errno = sys;
		return err_errno(err, "could not read the copy of object \"%s\"", key);
	}
	buf_grew(out, fetched->size);
	return ERR_OK;
}

enum err_code store_get_kept(struct store *store, const struct store_entry *entry, struct buf *out,
			     struct err *err)
{
	struct store_entry asked = *entry;
	struct store_fetched fetched;
	enum err_code code;
	bool same;

	if (store_can(store, STORE_CAN_FETCH_FREE))
		return store_get(store, entry->key, 0, UINT64_MAX, out, err);
	asked.passing = out->len == 0 ? out : NULL;
	code = store_fetch(store, &asked, &fetched, err);
	if (code == ERR_SPACE)		/* where copies are kept; memory may do */
		return store_get(store, entry->key, 0, UINT64_MAX, out, err);
	if (code != ERR_OK)
		return code;
	same = fetched.size == entry->size;
	if (!same && asked.passing)
		buf_clear(out);
	if (same && (!asked.passing || out->len < fetched.size))
		code = read_fetched(&fetched, entry->key, out, err);
	store_fetched_release(&fetched);
	return same ? code : store_get(store, entry->key, 0, UINT64_MAX, out, err);
}

/* --- many ---------------------------------------------------------------------- */

struct fetching {
	struct store *store;
	const struct store_entry *entries;
	struct store_fetched *list;
};

static enum err_code fetch_one(void *user, size_t i, struct err *err)
{
	struct fetching *fetching = user;

	return store_fetch(fetching->store, &fetching->entries[i], &fetching->list[i], err);
}

enum err_code store_fetch_all(struct store *store, const struct store_entry *entries, size_t count,
			      struct store_fetched *ret_list, struct err *err)
{
	struct fetching fetching = { store, entries, ret_list };
	enum err_code code;

	if (count)
		memset(ret_list, 0, count * sizeof(*ret_list));
	code = ahead_all(&(struct ahead_options){ .count = count, .at_once = store_at_once(store),
						  .work = fetch_one, .user = &fetching }, err);
	if (code != ERR_OK)
		store_fetched_release_all(ret_list, count);
	return code;
}
