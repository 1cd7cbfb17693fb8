#include "base/mem.h"
#include "backends/backends.h"
#include "store/layer.h"

#include <assert.h>
#include <stdatomic.h>

struct store_faulty {
	struct store_layer layer;
	atomic_int calls;
	int fail_at;
	enum err_code code;
	bool after;
};
static_assert(offsetof(struct store_faulty, layer.base) == 0, "base must be first");

/* Run `call` on the inner store, or fail with `code` in its place, or both. */
#define FAULTY_AS(store, err, code, call) do { \
	struct store_faulty *faulty_ = (struct store_faulty *)(store); \
	bool fails_ = atomic_fetch_add(&faulty_->calls, 1) + 1 == faulty_->fail_at; \
	enum err_code code_ = ERR_OK; \
	if (!fails_ || faulty_->after) \
		code_ = (call); \
	if (fails_ && code_ == ERR_OK) \
		code_ = err_set((err), (code), "injected fault"); \
	return code_; \
} while (0)
#define FAULTY(store, err, call) \
	FAULTY_AS(store, err, faulty_->code, call)
/* What only reads has no unknown outcome: no answer is an error on the way. */
#define FAULTY_READ(store, err, call) \
	FAULTY_AS(store, err, faulty_->code == ERR_UNKNOWN ? ERR_IO : faulty_->code, call)

static enum err_code faulty_put(struct store *store, const struct store_put *put, struct err *err)
{
	FAULTY(store, err, store_layer_put(store, put, err));
}

static enum err_code faulty_get(struct store *store, const char *key, uint64_t from, uint64_t len,
				struct buf *out, struct err *err)
{
	FAULTY_READ(store, err, store_layer_get(store, key, from, len, out, err));
}

static enum err_code faulty_stat(struct store *store, const char *key,
				 struct store_stat *ret_stat, struct err *err)
{
	FAULTY_READ(store, err, store_layer_stat(store, key, ret_stat, err));
}

static enum err_code faulty_list(struct store *store, const char *prefix, const char *after,
				 size_t wanted, store_each_fn *each, void *user, struct err *err)
{
	FAULTY_READ(store, err, store_layer_list(store, prefix, after, wanted, each, user, err));
}

static enum err_code faulty_level(struct store *store, const char *folder, store_each_fn *each,
				  void *user, struct err *err)
{
	FAULTY_READ(store, err, store_layer_level(store, folder, each, user, err));
}

static enum err_code faulty_remove(struct store *store, const char *key, struct err *err)
{
	FAULTY(store, err, store_layer_remove(store, key, err));
}

static const struct store_ops faulty_ops = {
	.name = "faulty",
	.layer = true,
	.put = faulty_put,
	.get = faulty_get,
	.stat = faulty_stat,
	.list = faulty_list,
	.remove = faulty_remove,
	.fetch = store_layer_fetch,
	.level = faulty_level,
	.mark = store_layer_mark,
	.last = store_layer_last,
	.fetch_dir = store_layer_fetch_dir,
	.can = store_layer_can,
	.free = store_layer_free,
};

struct store *store_faulty_new(struct store *inner, int fail_at, enum err_code code, bool after)
{
	struct store_faulty *faulty = xcalloc(1, sizeof(*faulty));

	faulty->layer = (struct store_layer){ { &faulty_ops }, inner };
	faulty->fail_at = fail_at;
	faulty->code = code;
	faulty->after = after;
	return &faulty->layer.base;
}
