#include "base/mem.h"
#include "backends/backends.h"

#include <assert.h>
#include <stdatomic.h>

struct store_faulty {
	struct store base;
	struct store *inner;
	atomic_int calls;
	int fail_at;
	enum err_code code;
	bool after;
};
static_assert(offsetof(struct store_faulty, base) == 0, "base must be first");

/* Run `call` on the inner store, or fail in its place, or both. */
#define FAULTY(faulty, err, call) do { \
	bool fails_ = atomic_fetch_add(&(faulty)->calls, 1) + 1 == (faulty)->fail_at; \
	enum err_code code_ = ERR_OK; \
	if (!fails_ || (faulty)->after) \
		code_ = (call); \
	if (fails_ && code_ == ERR_OK) \
		code_ = err_set((err), (faulty)->code, "injected fault"); \
	return code_; \
} while (0)

static struct store_faulty *self(struct store *store) { return (struct store_faulty *)store; }

static enum err_code faulty_put(struct store *store, const char *key, struct slice body,
				enum store_mode mode, struct err *err)
{
	FAULTY(self(store), err, store_put(self(store)->inner, key, body, mode, err));
}

static enum err_code faulty_put_file(struct store *store, const char *key, const char *path,
				     struct err *err)
{
	FAULTY(self(store), err, store_put_file(self(store)->inner, key, path, err));
}

static enum err_code faulty_get(struct store *store, const char *key, uint64_t from, uint64_t len,
				struct buf *out, struct err *err)
{
	FAULTY(self(store), err, store_get(self(store)->inner, key, from, len, out, err));
}

static enum err_code faulty_size(struct store *store, const char *key, uint64_t *ret_size,
				 struct err *err)
{
	FAULTY(self(store), err, store_size(self(store)->inner, key, ret_size, err));
}

static enum err_code faulty_list(struct store *store, const char *prefix, const char *after,
				 bool (*each)(void *user, const struct store_entry *entry),
				 void *user, struct err *err)
{
	FAULTY(self(store), err, store_list(self(store)->inner, prefix, after, each, user, err));
}

static enum err_code faulty_remove(struct store *store, const char *key, struct err *err)
{
	FAULTY(self(store), err, store_remove(self(store)->inner, key, err));
}

static enum err_code faulty_locate(struct store *store, const char *key, struct buf *out,
				   struct err *err)
{
	return store_locate(self(store)->inner, key, out, err);
}

static void faulty_free(struct store *store)
{
	store_free(self(store)->inner);
	free(self(store));
}

static const struct store_ops faulty_ops = {
	.name = "faulty",
	.put = faulty_put,
	.put_file = faulty_put_file,
	.get = faulty_get,
	.size = faulty_size,
	.list = faulty_list,
	.remove = faulty_remove,
	.locate = faulty_locate,
	.free = faulty_free,
};

struct store *store_faulty_new(struct store *inner, int fail_at, enum err_code code, bool after)
{
	struct store_faulty *faulty = xcalloc(1, sizeof(*faulty));

	faulty->base.ops = &faulty_ops;
	faulty->inner = inner;
	faulty->fail_at = fail_at;
	faulty->code = code;
	faulty->after = after;
	return &faulty->base;
}
