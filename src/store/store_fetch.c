#include "store/store.h"

#include "base/file.h"
#include "base/mem.h"
#include "store/store_copy.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Enough to hide a service's latency; more would only divide its bandwidth. */
enum { FETCHERS = 16, PART_BYTES = 8 << 20 };

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

enum err_code store_copy_to(struct store *store, const char *key, int fd, uint64_t *ret_size,
			    struct err *err)
{
	enum err_code code = ERR_OK;
	uint64_t size = 0;
	struct buf part;

	buf_init(&part, PART_BYTES);
	do {
		buf_clear(&part);
		code = store_get(store, key, size, PART_BYTES, &part, err);
		if (code == ERR_OK)
			code = file_write_at(fd, part.ptr, part.len, size, "a fetched object", err);
		size += part.len;
	} while (code == ERR_OK && part.len == PART_BYTES);
	buf_release(&part);
	if (code == ERR_OK)
		*ret_size = size;
	return code;
}

enum err_code store_fetch_copy(struct store *store, const char *key,
			       struct store_fetched *ret_fetched, struct err *err)
{
	struct store_fetched copy = { .fd = memfd_create("object", MFD_CLOEXEC) };
	enum err_code code;
	char path[64];

	if (copy.fd < 0)
		return err_errno(err, "could not make a file in memory for object \"%s\"", key);
	code = store_copy_to(store, key, copy.fd, &copy.size, err);
	if (code != ERR_OK) {
		(void)close(copy.fd);
		return code;
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), copy.fd);
	copy.path = xstrdup(path);
	*ret_fetched = copy;
	return ERR_OK;
}

/* --- many ---------------------------------------------------------------------- */

struct fetching {
	struct store *store;
	const char *const *keys;
	size_t count;
	struct store_fetched *list;
	atomic_size_t next;
	pthread_mutex_t lock;		/* what follows */
	size_t failed_at;		/* the first; `count`: none */
	struct err err;
};

static void fetch_failed(struct fetching *fetching, size_t i, const struct err *err)
{
	(void)pthread_mutex_lock(&fetching->lock);
	if (i < fetching->failed_at) {
		fetching->failed_at = i;
		fetching->err = *err;
	}
	(void)pthread_mutex_unlock(&fetching->lock);
	atomic_store(&fetching->next, fetching->count);		/* the others need not go on */
}

static void *fetch_some(void *user)
{
	struct fetching *fetching = user;
	size_t i;

	while ((i = atomic_fetch_add(&fetching->next, 1)) < fetching->count) {
		struct err err;

		if (store_fetch(fetching->store, fetching->keys[i], &fetching->list[i], &err) !=
		    ERR_OK)
			fetch_failed(fetching, i, &err);
	}
	return NULL;
}

enum err_code store_fetch_all(struct store *store, const char *const *keys, size_t count,
			      struct store_fetched *ret_list, struct err *err)
{
	struct fetching fetching = { .store = store, .keys = keys, .count = count,
				     .list = ret_list, .failed_at = count };
	size_t helpers = store_can(store, STORE_CAN_FETCH_FREE) ? 0 : FETCHERS - 1, started = 0;
	pthread_t threads[FETCHERS];

	if (count)
		memset(ret_list, 0, count * sizeof(*ret_list));
	(void)pthread_mutex_init(&fetching.lock, NULL);
	while (started < helpers && started + 1 < count &&
	       pthread_create(&threads[started], NULL, fetch_some, &fetching) == 0)
		started++;
	(void)fetch_some(&fetching);	/* alone, if need be */
	while (started > 0)
		(void)pthread_join(threads[--started], NULL);
	(void)pthread_mutex_destroy(&fetching.lock);
	if (fetching.failed_at == count)
		return ERR_OK;
	store_fetched_release_all(ret_list, count);
	*err = fetching.err;
	return err->code;
}
