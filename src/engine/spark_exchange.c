#include "engine/spark_exchange.h"

#include "base/mem.h"
#include "base/time.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { EXCHANGE_OLD_MS = 24 * 60 * 60 * 1000 };

static enum err_code exchange_too_long(const char *path, struct err *err)
{
	return err_set(err, ERR_USAGE, "the path \"%.80s…\" is too long", path);
}

static bool is_local(const struct spark_exchange *exchange) { return !*exchange->prefix; }

/* --- opening and closing ------------------------------------------------------------ */

static enum err_code exchange_open_dir(struct spark_exchange *exchange, const char *dir,
				       struct err *err)
{
	char path[PATH_MAX];
	enum err_code code;

	if (!realpath(dir, path))
		return err_errno(err, "could not find the place for Spark's files \"%s\"", dir);
	spills_open(path, "spark", &exchange->spills);
	if (exchange->spills.lock_fd < 0)
		return err_set(err, ERR_DENIED,
			       "nothing can be written to \"%s\", where Spark's"
			       " files go (engine.exchange)",
			       path);
	code = store_file_new(exchange->spills.path, &exchange->store, err);
	if (code != ERR_OK) {
		spills_close(&exchange->spills);
		return code;
	}
	(void)snprintf(exchange->url, sizeof(exchange->url), "file://%s", exchange->spills.path);
	return ERR_OK;
}

struct leftovers {
	char keys[64][STORE_KEY_MAX + 1];
	size_t count;
	int64_t before_ms;
};

static bool note_leftover(void *user, const struct store_entry *entry)
{
	struct leftovers *leftovers = user;

	if (entry->modified_ms < leftovers->before_ms)
		(void)snprintf(leftovers->keys[leftovers->count++], STORE_KEY_MAX + 1, "%s",
			       entry->key);
	return leftovers->count < ARRAY_LEN(leftovers->keys);
}

/* Objects below `prefix` that are older than that. */
static void exchange_sweep(struct store *store, const char *prefix, int64_t before_ms)
{
	struct leftovers *leftovers = xmalloc(sizeof(*leftovers));
	struct err err;

	leftovers->before_ms = before_ms;
	do {
		leftovers->count = 0;
		if (store_list(store, prefix, "", note_leftover, leftovers, &err) != ERR_OK)
			break;
		for (size_t i = 0; i < leftovers->count; i++)
			if (store_remove(store, leftovers->keys[i], &err) != ERR_OK)
				leftovers->count = 0;
	} while (leftovers->count > 0);
	free(leftovers);
}

/* A bucket has no locks: what is left there is known by its age. */
static void exchange_open_bucket(struct spark_exchange *exchange,
				 const struct spark_options *options)
{
	uint64_t number = 0;

	(void)!getrandom(&number, sizeof(number), 0);
	exchange->store = options->exchange;
	(void)snprintf(exchange->prefix, sizeof(exchange->prefix), "spark-%016llx/",
		       (unsigned long long)number);
	(void)snprintf(exchange->url, sizeof(exchange->url), "%s/%.*s", options->exchange_url,
		       (int)strlen(exchange->prefix) - 1, exchange->prefix);
	exchange_sweep(exchange->store, "spark-", clock_wall_ms() - EXCHANGE_OLD_MS);
}

enum err_code spark_exchange_open(struct spark_exchange *exchange,
				  const struct engine_options *options, struct err *err)
{
	const struct spark_options *spark = options->spark;
	const char *dir = spark->exchange_dir ? spark->exchange_dir : options->temp_dir;

	*exchange = (struct spark_exchange){ .spills = { .lock_fd = -1 } };
	if (options->temp_dir)
		(void)snprintf(exchange->temp_dir, sizeof(exchange->temp_dir), "%s",
			       options->temp_dir);
	if (!spark->exchange && dir)
		return exchange_open_dir(exchange, dir, err);
	if (spark->exchange)
		exchange_open_bucket(exchange, spark);
	else
		exchange->store = store_none_new();
	return ERR_OK;
}

void spark_exchange_close(struct spark_exchange *exchange)
{
	if (exchange->store && !is_local(exchange))
		exchange_sweep(exchange->store, exchange->prefix, INT64_MAX);
	store_free(exchange->store);
	spills_close(&exchange->spills);
	*exchange = (struct spark_exchange){ .spills = { .lock_fd = -1 } };
}

/* --- files ------------------------------------------------------------------------- */

enum err_code spark_exchange_path(const struct spark_exchange *exchange, const char *name,
				  char ret_path[PATH_MAX], struct err *err)
{
	const char *dir = is_local(exchange) ? exchange->spills.path : exchange->temp_dir;

	if (!*dir)
		return err_set(err, ERR_DENIED,
			       "spark needs a place for files: --dir cannot be"
			       " written, and engine.exchange is not set");
	return snprintf(ret_path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX
		       ? ERR_OK
		       : exchange_too_long(dir, err);
}

enum err_code spark_exchange_put(struct spark_exchange *exchange, const char *name, struct err *err)
{
	char path[PATH_MAX], key[STORE_KEY_MAX + 1];
	enum err_code code = spark_exchange_path(exchange, name, path, err);

	if (code != ERR_OK || is_local(exchange))
		return code;
	(void)snprintf(key, sizeof(key), "%s%s", exchange->prefix, name);
	code = store_put_file(exchange->store, key, path, err);
	if (code != ERR_OK)
		(void)unlink(path);
	return code;
}

struct parts {
	struct store_entry *list;
	size_t count;
};

/* Spark's own files beside its rows begin with "_" or "." */
static bool is_part(const char *key)
{
	const char *name = strrchr(key, '/');
	size_t len = strlen(key);

	name = name ? name + 1 : key;
	return strncmp(name, "part-", 5) == 0 && len > 8 &&
	       strcmp(key + len - 8, ".parquet") == 0 && !strstr(key, "/_temporary/");
}

static bool note_part(void *user, const struct store_entry *entry)
{
	struct parts *parts = user;

	if (!is_part(entry->key))
		return true;
	parts->list = xreallocarray(parts->list, parts->count + 1, sizeof(*parts->list));
	parts->list[parts->count++] =
		(struct store_entry){ .key = xstrdup(entry->key), .size = entry->size };
	return true;
}

enum err_code spark_exchange_fetch(struct spark_exchange *exchange, const char *name,
				   struct store_fetched **ret_files, size_t *ret_count,
				   struct err *err)
{
	char prefix[STORE_KEY_MAX + 1];
	struct store_fetched *files = NULL;
	struct parts parts = { 0 };
	enum err_code code;

	(void)snprintf(prefix, sizeof(prefix), "%s%s/", exchange->prefix, name);
	code = store_list(exchange->store, prefix, "", note_part, &parts, err);
	if (code == ERR_OK) {
		files = xcalloc(parts.count, sizeof(*files));
		code = store_fetch_all(exchange->store, parts.list, parts.count, files, err);
	}
	for (size_t i = 0; i < parts.count; i++)
		free((void *)(uintptr_t)parts.list[i].key);
	free(parts.list);
	if (code != ERR_OK) {
		free(files);
		return code;
	}
	*ret_files = files;
	*ret_count = parts.count;
	return ERR_OK;
}

void spark_exchange_drop(struct spark_exchange *exchange, const char *name)
{
	char key[STORE_KEY_MAX + 1];

	(void)snprintf(key, sizeof(key), "%s%s", exchange->prefix, name);
	if (is_local(exchange))
		spills_drop(&exchange->spills, name);
	else
		exchange_sweep(exchange->store, key, INT64_MAX);
}
