#include "base/mem.h"
#include "base/time.h"
#include "base/file.h"
#include "backends/backends.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

struct object {
	char *key;
	char *ptr;
	size_t len;
	int64_t modified_ms;
	uint64_t version;
	struct store_words words;
};

struct store_memory {
	struct store base;
	size_t bytes_max;
	pthread_mutex_t lock;		/* what follows */
	size_t bytes;
	uint64_t puts;
	struct object *objects;		/* by key, in byte order */
	size_t count;
	size_t cap;
};
static_assert(offsetof(struct store_memory, base) == 0, "base must be first");

/* The first object whose key is at or after `key`; `count` if there is none. */
static size_t lower_bound(const struct store_memory *mem, const char *key)
{
	size_t low = 0, high = mem->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(mem->objects[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct object *find(const struct store_memory *mem, const char *key)
{
	size_t at = lower_bound(mem, key);

	return at < mem->count && !strcmp(mem->objects[at].key, key) ? &mem->objects[at] : NULL;
}

static struct object *insert(struct store_memory *mem, const char *key)
{
	size_t at = lower_bound(mem, key);

	if (mem->count == mem->cap) {
		mem->cap = mem->cap ? mem->cap * 2 : 16;
		mem->objects = xreallocarray(mem->objects, mem->cap, sizeof(*mem->objects));
	}
	memmove(mem->objects + at + 1, mem->objects + at,
		(mem->count - at) * sizeof(*mem->objects));
	mem->count++;
	mem->objects[at] = (struct object){ .key = xstrdup(key) };
	return &mem->objects[at];
}

static bool read_source(const struct store_put *put, char *to, struct err *err)
{
	enum err_code code;
	struct buf all;

	buf_init(&all, put->size);
	code = store_source_read(put->source, 0, put->size, &all, err);
	if (code == ERR_OK && put->size)
		memcpy(to, all.ptr, put->size);
	buf_release(&all);
	return code == ERR_OK;
}

/* The new body, to be freed: of the file, of the source, or a copy of the bytes. */
static enum err_code body_of(const struct store_put *put, char **ret_body, struct err *err)
{
	char *body = xmalloc(put->size);
	int failure = 0;

	if (put->path && file_read_at(put->fd, body, put->size, 0, &failure) < put->size) {
		free(body);
		errno = failure;
		return err_errno(err, "could not read \"%s\"", put->path);
	}
	if (!put->path && put->source && !read_source(put, body, err)) {
		free(body);
		return err->code;
	}
	if (!put->path && !put->source && put->size)
		memcpy(body, put->body.ptr, put->size);
	*ret_body = body;
	return ERR_OK;
}

static enum err_code put_locked(struct store_memory *mem, const struct store_put *put, char *body,
				struct err *err)
{
	struct object *object = find(mem, put->key);
	size_t old = object ? object->len : 0;

	if (object && put->mode == STORE_CREATE)
		return err_set(err, ERR_EXISTS, "object \"%s\" exists already", put->key);
	if (put->size > mem->bytes_max - (mem->bytes - old))
		return err_set(err, ERR_SPACE, "object \"%s\" does not fit", put->key);
	if (!object)
		object = insert(mem, put->key);
	free(object->ptr);
	object->ptr = body;
	object->len = put->size;
	object->modified_ms = clock_wall_ms();
	object->version = ++mem->puts;
	object->words = put->words ? *put->words : (struct store_words){ 0 };
	mem->bytes += put->size - old;
	return ERR_OK;
}

static enum err_code memory_put(struct store *store, const struct store_put *put, struct err *err)
{
	struct store_memory *mem = (struct store_memory *)store;
	char *body = NULL;
	enum err_code code = body_of(put, &body, err);

	if (code != ERR_OK)
		return code;
	(void)pthread_mutex_lock(&mem->lock);
	code = put_locked(mem, put, body, err);
	(void)pthread_mutex_unlock(&mem->lock);
	if (code != ERR_OK)
		free(body);
	return code;
}

static enum err_code absent(struct err *err, const char *key)
{
	return err_set(err, ERR_ABSENT, "there is no object \"%s\"", key);
}

static enum err_code get_locked(const struct store_memory *mem, const char *key, uint64_t from,
				uint64_t len, struct buf *out, struct err *err)
{
	const struct object *object = find(mem, key);

	if (!object)
		return absent(err, key);
	if (from > object->len)
		from = object->len;
	if (len > object->len - from)
		len = object->len - from;
	if (!buf_room(out, len))
		return err_set(err, ERR_LIMIT, "object \"%s\": %llu bytes do not fit into %zu", key,
			       (unsigned long long)len, out->max - out->len);
	buf_add(out, object->ptr + from, len);
	return ERR_OK;
}

static enum err_code memory_get(struct store *store, const char *key, uint64_t from, uint64_t len,
				struct buf *out, struct err *err)
{
	struct store_memory *mem = (struct store_memory *)store;
	enum err_code code;

	(void)pthread_mutex_lock(&mem->lock);
	code = get_locked(mem, key, from, len, out, err);
	(void)pthread_mutex_unlock(&mem->lock);
	return code;
}

static enum err_code memory_stat(struct store *store, const char *key,
				 struct store_stat *ret_stat, struct err *err)
{
	struct store_memory *mem = (struct store_memory *)store;
	const struct object *object;

	(void)pthread_mutex_lock(&mem->lock);
	object = find(mem, key);
	if (object)
		*ret_stat = (struct store_stat){ object->len, object->modified_ms, object->words,
						 object->version };
	(void)pthread_mutex_unlock(&mem->lock);
	return object ? ERR_OK : absent(err, key);
}

/* The first object at or after `from` that begins with `prefix`, its key copied. */
static bool next_entry(struct store_memory *mem, const char *prefix, const char *from, bool past,
		       char key[STORE_KEY_MAX + 1], struct store_entry *ret_entry)
{
	bool found;
	size_t at;

	(void)pthread_mutex_lock(&mem->lock);
	at = lower_bound(mem, from);
	if (past && at < mem->count && !strcmp(mem->objects[at].key, from))
		at++;
	found = at < mem->count && slice_starts(slice_str(mem->objects[at].key), prefix);
	if (found) {
		const struct object *object = &mem->objects[at];

		memcpy(key, object->key, strlen(object->key) + 1);
		*ret_entry = (struct store_entry){ .key = key,
						   .size = object->len,
						   .modified_ms = object->modified_ms,
						   .version = object->version };
	}
	(void)pthread_mutex_unlock(&mem->lock);
	return found;
}

static enum err_code memory_list(struct store *store, const char *prefix, const char *after,
				 size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	struct store_memory *mem = (struct store_memory *)store;
	char key[2][STORE_KEY_MAX + 1];
	bool past = strcmp(after, prefix) >= 0;
	const char *from = past ? after : prefix;
	struct store_entry entry;

	(void)wanted;
	(void)err;
	for (int i = 0; next_entry(mem, prefix, from, past, key[i], &entry); i = !i) {
		if (!each(user, &entry))
			break;
		from = key[i];
		past = true;
	}
	return ERR_OK;
}

static enum err_code memory_remove(struct store *store, const char *key, struct err *err)
{
	struct store_memory *mem = (struct store_memory *)store;
	struct object *object;

	(void)err;
	(void)pthread_mutex_lock(&mem->lock);
	object = find(mem, key);
	if (object) {
		mem->bytes -= object->len;
		free(object->key);
		free(object->ptr);
		mem->count--;
		memmove(object, object + 1,
			(mem->count - (size_t)(object - mem->objects)) * sizeof(*object));
	}
	(void)pthread_mutex_unlock(&mem->lock);
	return ERR_OK;
}

static const char *memory_fetch_dir(struct store *store)
{
	(void)store;
	return "";
}

static bool memory_can(struct store *store, enum store_ability ability)
{
	(void)store;
	return ability != STORE_CAN_FETCH_FREE;
}

static void memory_free(struct store *store)
{
	struct store_memory *mem = (struct store_memory *)store;

	for (size_t i = 0; i < mem->count; i++) {
		free(mem->objects[i].key);
		free(mem->objects[i].ptr);
	}
	free(mem->objects);
	(void)pthread_mutex_destroy(&mem->lock);
	free(mem);
}

static const struct store_ops memory_ops = {
	.name = "memory",
	.put = memory_put,
	.get = memory_get,
	.stat = memory_stat,
	.list = memory_list,
	.remove = memory_remove,
	.fetch = store_fetch_copy,
	.level = store_level_by_list,
	.mark = store_mark_none,
	.last = store_last_none,
	.fetch_dir = memory_fetch_dir,
	.can = memory_can,
	.free = memory_free,
};

struct store *store_memory_new(size_t bytes_max)
{
	struct store_memory *mem = xcalloc(1, sizeof(*mem));

	mem->base.ops = &memory_ops;
	mem->bytes_max = bytes_max;
	(void)pthread_mutex_init(&mem->lock, NULL);
	return &mem->base;
}
