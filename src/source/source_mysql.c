/*
 * source_mysql.c - rows out of three tables of a MySQL or MariaDB database
 * (mysql_table.h), which must all be there.
 *
 * A statement a row would be slow: what is wanted is fetched with one IN (…) or
 * range a table, by a thread of the source's own, into one of two windows, while the
 * rows of the other are used.
 *
 *	FREE ──want──► WANTED ──► FILLING ──► READY or FAILED ──want──► WANTED
 *
 * A table without an index on its key would be read from end to end for each
 * statement; it is read once, into memory, when the source is opened.
 *
 * The own order: the keys of the pins, ascending (without an index: as the
 * table gives its rows), then those that only the geolocations have, then those
 * that only the users have. It is read when it is first asked for.
 *
 * Threads: `lock` guards the windows' states, and `link_lock`, which is taken
 * first, the connection and what is read once. A window is its filler's while
 * it is FILLING, else the source's thread's.
 */
#include "source/mysql_table.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>

enum {
	WINDOWS = 2,
	WINDOW_BYTES_MAX = 256 << 20,
	STATEMENT_BYTES_MAX = 1 << 17,
	RANGE_SPREAD = 2, /* a range may hold so many keys for each that is wanted */
};

enum window_state { FREE, WANTED, FILLING, READY, FAILED };

/* A row's text in a buffer; none if it has no length. */
struct piece {
	size_t at;
	size_t len;
};

struct wanted_key {
	uint64_t key;
	size_t at;	/* in the window */
};

struct window {
	enum window_state state;
	enum source_by by;
	size_t count;
	size_t next;		/* where the next number that is asked for probably is */
	uint64_t numbers[SOURCE_WANT_MAX];
	uint64_t keys[SOURCE_WANT_MAX];		/* UINT64_MAX: no such place */
	struct wanted_key sorted[SOURCE_WANT_MAX];
	struct piece rows[SOURCE_TABLES][SOURCE_WANT_MAX];
	struct buf text;
	struct err err;		/* why it is FAILED */
};

/* A table that is held in memory. */
struct kept_row {
	uint64_t key;
	struct piece text;
};

struct kept_table {
	struct kept_row *rows;	/* in order of key, once all are there */
	size_t count;
	size_t room;
	struct buf text;
	struct mysql_keys keys;	/* as the table gave them */
};

struct source_mysql {
	struct source base;
	struct mysql_options options;
	uint64_t memory_bytes_max;
	struct mysql_link *link;
	struct mysql_table tables[SOURCE_TABLES];
	struct kept_table kept[SOURCE_TABLES];	/* of those without an index */
	uint64_t count;
	struct mysql_keys order;
	bool ordered;
	struct window *windows;			/* WINDOWS, and one for what was not wanted */
	size_t latest;				/* of the windows, was wanted last */
	pthread_mutex_t link_lock;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool started;
	bool ending;
};
static_assert(offsetof(struct source_mysql, base) == 0, "base must be first");

/* --- a table in memory ------------------------------------------------------ */

struct keeping {
	struct source_mysql *mysql;
	const struct mysql_table *table;
	struct kept_table *kept;
};

static void forget_rows(void *user, const MYSQL_FIELD *fields, unsigned count)
{
	struct kept_table *kept = ((struct keeping *)user)->kept;

	(void)fields;
	(void)count;
	kept->count = 0;
	kept->keys.count = 0;
	buf_clear(&kept->text);
}

static uint64_t kept_bytes(const struct source_mysql *mysql)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < SOURCE_TABLES; i++)
		bytes += mysql->kept[i].text.len +
			 mysql->kept[i].count * (sizeof(struct kept_row) + sizeof(uint64_t));
	return bytes;
}

static enum err_code keep_row(void *user, const struct mysql_row *row, struct err *err)
{
	struct keeping *keeping = user;
	struct kept_table *kept = keeping->kept;
	size_t before = kept->text.len;
	uint64_t key = 0;
	enum err_code code = mysql_table_put(keeping->table, &kept->text, row, &key, err);

	if (code != ERR_OK)
		return code;
	if (kept->count == kept->room) {
		kept->room = kept->room ? 2 * kept->room : 1024;
		kept->rows = xreallocarray(kept->rows, kept->room, sizeof(*kept->rows));
	}
	kept->rows[kept->count++] = (struct kept_row){ key, { before, kept->text.len - before } };
	mysql_keys_add(&kept->keys, key);
	if (buf_full(&kept->text) || kept_bytes(keeping->mysql) > keeping->mysql->memory_bytes_max)
		return err_set(err, ERR_LIMIT, "the rows of \"%s\" and other tables without a key take more "
			       "than %llu bytes of memory (mysql.memory_bytes_max): give \"%s\" a key",
			       keeping->table->schema->name,
			       (unsigned long long)keeping->mysql->memory_bytes_max,
			       keeping->table->schema->key);
	return ERR_OK;
}

static int by_kept_key(const void *a, const void *b)
{
	const struct kept_row *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static enum err_code keep_table(struct source_mysql *mysql, size_t i, struct err *err)
{
	struct kept_table *kept = &mysql->kept[i];
	struct keeping keeping = { mysql, &mysql->tables[i], kept };
	struct mysql_reader reader = { .begin = forget_rows, .row = keep_row, .user = &keeping };
	const struct mysql_schema *schema = keeping.table->schema;
	enum err_code code;

	trace_warn("table \"%s\" has no index that begins with \"%s\": its rows are read into memory, "
		   "all of them (ALTER TABLE %s ADD PRIMARY KEY (`%s`) would spare that)",
		   schema->name, schema->key, schema->name, schema->key);
	code = mysql_link_ask(mysql->link, buf_slice(&keeping.table->select), &reader, err);
	if (code != ERR_OK)
		return code;
	if (kept->count > 0)
		qsort(kept->rows, kept->count, sizeof(*kept->rows), by_kept_key);
	for (size_t n = 1; n < kept->count; n++)
		if (kept->rows[n].key == kept->rows[n - 1].key)
			return mysql_table_twice(keeping.table, kept->rows[n].key, err);
	if (kept->count > 0 && kept->rows[kept->count - 1].key >= mysql->count)
		mysql->count = kept->rows[kept->count - 1].key + 1;
	return ERR_OK;
}

static void fill_from_kept(const struct kept_table *kept, struct window *window, size_t table)
{
	for (size_t i = 0; i < window->count; i++) {
		struct kept_row wanted = { .key = window->keys[i] };
		const struct kept_row *row = kept->count == 0 ? NULL :
			bsearch(&wanted, kept->rows, kept->count, sizeof(wanted), by_kept_key);

		if (!row)
			continue;
		window->rows[table][i] = (struct piece){ window->text.len, row->text.len };
		buf_add(&window->text, kept->text.ptr + row->text.at, row->text.len);
	}
}

/* --- a window ---------------------------------------------------------------- */

struct filling {
	const struct mysql_table *table;
	struct window *window;
	struct piece *rows;
	size_t text_len;	/* before the table's first row */
};

static void begin_filling(void *user, const MYSQL_FIELD *fields, unsigned count)
{
	struct filling *filling = user;

	(void)fields;
	(void)count;
	memset(filling->rows, 0, sizeof(struct piece) * filling->window->count);
	filling->window->text.len = filling->text_len;
}

static int by_wanted_key(const void *a, const void *b)
{
	const struct wanted_key *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static enum err_code fill_row(void *user, const struct mysql_row *row, struct err *err)
{
	struct filling *filling = user;
	struct window *window = filling->window;
	struct piece piece = { .at = window->text.len };
	struct wanted_key wanted = { .at = 0 };
	const struct wanted_key *found;
	enum err_code code = mysql_table_put(filling->table, &window->text, row, &wanted.key, err);

	if (code != ERR_OK)
		return code;
	if (buf_full(&window->text))
		return err_set(err, ERR_LIMIT, "%zu rows take more than %d bytes", window->count,
			       WINDOW_BYTES_MAX);
	piece.len = window->text.len - piece.at;
	found = bsearch(&wanted, window->sorted, window->count, sizeof(wanted), by_wanted_key);
	if (!found) { /* of a range */
		window->text.len = piece.at;
		return ERR_OK;
	}
	while (found > window->sorted && found[-1].key == wanted.key)
		found--;
	if (filling->rows[found->at].len > 0)
		return mysql_table_twice(filling->table, wanted.key, err);
	for (; found < window->sorted + window->count && found->key == wanted.key; found++)
		filling->rows[found->at] = piece;
	return ERR_OK;
}

/* Which rows are wanted; false: none. Neighbours are a range: to find them one by one takes the
 * server four times as long. */
static bool put_condition(struct buf *sql, const struct window *window, const char *key)
{
	size_t count = window->count;
	uint64_t first = window->sorted[0].key, last;

	while (count > 0 && window->sorted[count - 1].key > INT64_MAX)
		count--;
	if (count == 0)
		return false;
	last = window->sorted[count - 1].key;
	if (last - first < RANGE_SPREAD * count) {
		buf_addf(sql, " WHERE `%s` BETWEEN %" PRIu64 " AND %" PRIu64, key, first, last);
		return true;
	}
	buf_addf(sql, " WHERE `%s` IN (", key);
	for (size_t i = 0; i < count; i++) {
		buf_add_str(sql, i > 0 ? "," : "");
		buf_add_u64(sql, window->sorted[i].key);
	}
	buf_add_char(sql, ')');
	return true;
}

static enum err_code fill_by_key(struct source_mysql *mysql, struct window *window, size_t table,
				 struct err *err)
{
	struct filling filling = { &mysql->tables[table], window, window->rows[table],
				   window->text.len };
	struct mysql_reader reader = { .begin = begin_filling, .row = fill_row, .user = &filling };
	enum err_code code = ERR_OK;
	struct buf sql;

	buf_init(&sql, STATEMENT_BYTES_MAX);
	buf_add_slice(&sql, buf_slice(&filling.table->select));
	if (put_condition(&sql, window, filling.table->schema->key)) {
		assert(!buf_full(&sql));
		code = mysql_link_ask(mysql->link, buf_slice(&sql), &reader, err);
	}
	buf_release(&sql);
	return code;
}

static enum err_code mysql_load_order(struct source_mysql *mysql, struct err *err);

/* With link_lock held. */
static enum err_code mysql_fill(struct source_mysql *mysql, struct window *window, struct err *err)
{
	enum err_code code = window->by == SOURCE_BY_PLACE ? mysql_load_order(mysql, err) : ERR_OK;

	buf_clear(&window->text);
	memset(window->rows, 0, sizeof(window->rows));
	for (size_t i = 0; i < window->count && code == ERR_OK; i++) {
		uint64_t n = window->numbers[i];

		if (window->by == SOURCE_BY_KEY)
			window->keys[i] = n;
		else
			window->keys[i] = n < mysql->order.count ? mysql->order.list[n]
								 : UINT64_MAX;
		window->sorted[i] = (struct wanted_key){ window->keys[i], i };
	}
	if (code == ERR_OK)
		qsort(window->sorted, window->count, sizeof(*window->sorted), by_wanted_key);
	for (size_t i = 0; i < SOURCE_TABLES && code == ERR_OK; i++) {
		if (mysql->tables[i].key == MYSQL_KEY_NONE)
			fill_from_kept(&mysql->kept[i], window, i);
		else
			code = fill_by_key(mysql, window, i, err);
	}
	return code;
}

/* With `lock` held, but not while it is filled. */
static void fill_unlocked(struct source_mysql *mysql, struct window *window)
{
	enum err_code code;

	window->state = FILLING;
	pthread_mutex_unlock(&mysql->lock);
	pthread_mutex_lock(&mysql->link_lock);
	code = mysql_fill(mysql, window, &window->err);
	pthread_mutex_unlock(&mysql->link_lock);
	pthread_mutex_lock(&mysql->lock);
	window->state = code == ERR_OK ? READY : FAILED;
	pthread_cond_broadcast(&mysql->changed);
}

static struct window *next_wanted(struct source_mysql *mysql)
{
	struct window *latest = &mysql->windows[mysql->latest];
	struct window *other = &mysql->windows[1 - mysql->latest];

	return other->state == WANTED ? other : latest->state == WANTED ? latest : NULL;
}

static void *mysql_fetch(void *user)
{
	struct source_mysql *mysql = user;

	pthread_mutex_lock(&mysql->lock);
	while (!mysql->ending) {
		struct window *window = next_wanted(mysql);

		if (window)
			fill_unlocked(mysql, window);
		else
			pthread_cond_wait(&mysql->changed, &mysql->lock);
	}
	pthread_mutex_unlock(&mysql->lock);
	return NULL;
}

/* --- the source ---------------------------------------------------------------- */

static enum err_code mysql_want(struct source *source, enum source_by by, const uint64_t *numbers,
				size_t count, struct err *err)
{
	struct source_mysql *mysql = (struct source_mysql *)source;
	struct window *window;

	(void)err;
	pthread_mutex_lock(&mysql->lock);
	mysql->latest = 1 - mysql->latest;
	window = &mysql->windows[mysql->latest];
	while (window->state == FILLING)
		pthread_cond_wait(&mysql->changed, &mysql->lock);
	window->by = by;
	window->count = count;
	window->next = 0;
	memcpy(window->numbers, numbers, count * sizeof(*numbers));
	window->state = WANTED;
	pthread_cond_broadcast(&mysql->changed);
	pthread_mutex_unlock(&mysql->lock);
	return ERR_OK;
}

/* Where the window has it, after the last that was asked for or anywhere. */
static bool window_find(struct window *window, enum source_by by, uint64_t number, size_t *ret_at)
{
	if (window->state == FREE || window->by != by)
		return false;
	for (size_t i = 0; i < window->count; i++) {
		size_t at = (window->next + i) % window->count;

		if (window->numbers[at] == number) {
			*ret_at = at;
			return true;
		}
	}
	return false;
}

static struct window *find_wanted(struct source_mysql *mysql, enum source_by by, uint64_t number,
				  size_t *ret_at)
{
	if (window_find(&mysql->windows[1 - mysql->latest], by, number, ret_at))
		return &mysql->windows[1 - mysql->latest];
	if (window_find(&mysql->windows[mysql->latest], by, number, ret_at))
		return &mysql->windows[mysql->latest];
	return NULL;
}

static bool is_under_way(const struct window *window)
{
	return window && (window->state == WANTED || window->state == FILLING);
}

static bool mysql_ready(struct source *source, enum source_by by, uint64_t number, int64_t wait_ms)
{
	struct source_mysql *mysql = (struct source_mysql *)source;
	struct timespec until;
	struct window *window;
	size_t at;
	bool ready;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += wait_ms % 1000 * 1000000;
	until.tv_sec += wait_ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&mysql->lock);
	window = find_wanted(mysql, by, number, &at);
	while (is_under_way(window) &&
	       pthread_cond_timedwait(&mysql->changed, &mysql->lock, &until) == 0)
		;
	ready = !is_under_way(window);
	pthread_mutex_unlock(&mysql->lock);
	return ready;
}

/* The window that has it, filled. NULL: it failed, `err` says why. */
static struct window *mysql_find(struct source_mysql *mysql, enum source_by by, uint64_t number,
				 size_t *ret_at, struct err *err)
{
	struct window *window;
	enum window_state state;
	size_t at = 0;

	pthread_mutex_lock(&mysql->lock);
	window = find_wanted(mysql, by, number, &at);
	while (is_under_way(window))
		pthread_cond_wait(&mysql->changed, &mysql->lock);
	if (!window) {
		window = &mysql->windows[WINDOWS];
		window->by = by;
		window->count = 1;
		window->numbers[0] = number;
		fill_unlocked(mysql, window);
	}
	state = window->state;
	pthread_mutex_unlock(&mysql->lock);
	if (state == FAILED) {
		*err = window->err;
		return NULL;
	}
	window->next = (at + 1) % window->count;
	*ret_at = at;
	return window;
}

static struct slice window_row(const struct window *window, size_t table, size_t at)
{
	const struct piece *piece = &window->rows[table][at];

	return piece->len ? slice_of(window->text.ptr + piece->at, piece->len)
			  : (struct slice){ 0 };
}

static struct source_post window_post(const struct window *window, size_t at)
{
	return (struct source_post){
		.pin = window_row(window, SOURCE_PIN, at),
		.geo = window_row(window, SOURCE_GEO, at),
		.user = window_row(window, SOURCE_USER, at),
	};
}

static enum err_code mysql_row(struct source *source, uint64_t k, struct source_post *ret_post,
			       struct err *err)
{
	struct source_mysql *mysql = (struct source_mysql *)source;
	size_t at = 0;
	const struct window *window = mysql_find(mysql, SOURCE_BY_KEY, k, &at, err);

	if (!window)
		return err->code;
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		if (window->rows[i][at].len == 0)
			return err_set(err, ERR_ABSENT, "%s has no row with \"%s\" %llu",
				       mysql_schema[i].name, mysql_schema[i].key,
				       (unsigned long long)k);
	*ret_post = window_post(window, at);
	return ERR_OK;
}

static enum err_code mysql_post_at(struct source *source, uint64_t n, uint64_t *ret_k,
				   struct source_post *ret_post, struct err *err)
{
	struct source_mysql *mysql = (struct source_mysql *)source;
	size_t at = 0;
	const struct window *window = mysql_find(mysql, SOURCE_BY_PLACE, n, &at, err);

	if (!window)
		return err->code;
	if (window->keys[at] == UINT64_MAX)
		return err_set(err, ERR_ABSENT, "there is no post %llu: the database has %zu",
			       (unsigned long long)n, mysql->order.count);
	*ret_post = window_post(window, at);
	if (!ret_post->pin.ptr && !ret_post->geo.ptr && !ret_post->user.ptr)
		return err_set(err, ERR_ABSENT, "the rows of post %llu went while the database was read",
			       (unsigned long long)n);
	*ret_k = window->keys[at];
	return ERR_OK;
}

static enum err_code mysql_count(struct source *source, uint64_t *ret_count, struct err *err)
{
	(void)err;
	*ret_count = ((struct source_mysql *)source)->count;
	return ERR_OK;
}

static enum err_code mysql_posts(struct source *source, uint64_t *ret_posts, struct err *err)
{
	struct source_mysql *mysql = (struct source_mysql *)source;
	enum err_code code;

	pthread_mutex_lock(&mysql->link_lock);
	code = mysql_load_order(mysql, err);
	if (code == ERR_OK)
		*ret_posts = mysql->order.count;
	pthread_mutex_unlock(&mysql->link_lock);
	return code;
}

/* --- its own order -------------------------------------------------------------- */

static enum err_code order_table(struct source_mysql *mysql, size_t i,
				 struct mysql_keys seen[SOURCE_TABLES], struct err *err)
{
	const struct mysql_table *table = &mysql->tables[i];
	struct mysql_keys *keys = &seen[i];
	enum err_code code = ERR_OK;

	if (table->key == MYSQL_KEY_NONE)
		for (size_t n = 0; n < mysql->kept[i].keys.count; n++)
			mysql_keys_add(keys, mysql->kept[i].keys.list[n]);
	else
		code = mysql_table_keys(mysql->link, table, keys, err);
	for (size_t n = 0; n < keys->count && code == ERR_OK; n++) {
		bool before = false;

		for (size_t t = 0; t < i && !before; t++)
			before = mysql_keys_have(&seen[t], keys->list[n]);
		if (!before)
			mysql_keys_add(&mysql->order, keys->list[n]);
	}
	mysql_keys_sort(keys);
	for (size_t n = 1; n < keys->count && code == ERR_OK; n++)
		if (keys->list[n] == keys->list[n - 1])
			code = mysql_table_twice(table, keys->list[n], err);
	return code;
}

/* With link_lock held. */
static enum err_code mysql_load_order(struct source_mysql *mysql, struct err *err)
{
	struct mysql_keys seen[SOURCE_TABLES] = { 0 };
	enum err_code code = ERR_OK;

	if (mysql->ordered)
		return ERR_OK;
	mysql->order.count = 0;
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		seen[i].max = (size_t)(mysql->memory_bytes_max / sizeof(uint64_t) / 6);
	for (size_t i = 0; i < SOURCE_TABLES && code == ERR_OK; i++)
		code = order_table(mysql, i, seen, err);
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		free(seen[i].list);
	mysql->ordered = code == ERR_OK;
	return code;
}

/* --- opening ------------------------------------------------------------------- */

struct greatest {
	const struct mysql_table *table;
	uint64_t *count;
};

static enum err_code take_greatest(void *user, const struct mysql_row *row, struct err *err)
{
	struct greatest *greatest = user;
	uint64_t key = 0;
	enum err_code code;

	if (!row->values[0])
		return ERR_OK;	/* no rows */
	code = mysql_table_key(greatest->table, row, 0, &key, err);
	if (code == ERR_OK && key >= *greatest->count)
		*greatest->count = key + 1;
	return code;
}

static enum err_code count_table(struct source_mysql *mysql, size_t i, struct err *err)
{
	struct greatest greatest = { &mysql->tables[i], &mysql->count };
	struct mysql_reader reader = { .row = take_greatest, .user = &greatest };
	enum err_code code;
	struct buf sql;

	buf_init(&sql, STATEMENT_BYTES_MAX);
	buf_addf(&sql, "SELECT MAX(`%s`) FROM `%s`", mysql_schema[i].key, mysql_schema[i].name);
	code = mysql_link_ask(mysql->link, buf_slice(&sql), &reader, err);
	buf_release(&sql);
	return code;
}

static enum err_code open_table(struct source_mysql *mysql, size_t i, struct err *err)
{
	struct mysql_table *table = &mysql->tables[i];
	enum err_code code =
		mysql_table_describe(mysql->link, (enum source_table)i, table, err);

	if (code == ERR_OK)
		code = mysql_table_check(table, err);
	if (code != ERR_OK)
		return code;
	buf_init(&mysql->kept[i].text, (size_t)mysql->memory_bytes_max);
	return table->key == MYSQL_KEY_NONE ? keep_table(mysql, i, err)
					    : count_table(mysql, i, err);
}

static enum err_code mysql_start(struct source_mysql *mysql, struct err *err)
{
	int failed = pthread_create(&mysql->thread, NULL, mysql_fetch, mysql);

	if (failed)
		return err_set(err, ERR_LIMIT, "could not start a thread: %s", strerror(failed));
	mysql->started = true;
	return ERR_OK;
}

static void mysql_free(struct source *source)
{
	struct source_mysql *mysql = (struct source_mysql *)source;

	if (mysql->started) {
		mysql_link_cancel(mysql->link);
		pthread_mutex_lock(&mysql->lock);
		mysql->ending = true;
		pthread_cond_broadcast(&mysql->changed);
		pthread_mutex_unlock(&mysql->lock);
		(void)pthread_join(mysql->thread, NULL);
	}
	mysql_link_close(mysql->link);
	for (size_t i = 0; i < SOURCE_TABLES; i++) {
		mysql_table_release(&mysql->tables[i]);
		buf_release(&mysql->kept[i].text);
		free(mysql->kept[i].rows);
		free(mysql->kept[i].keys.list);
	}
	for (size_t i = 0; i <= WINDOWS; i++)
		buf_release(&mysql->windows[i].text);
	free(mysql->windows);
	free(mysql->order.list);
	(void)pthread_cond_destroy(&mysql->changed);
	(void)pthread_mutex_destroy(&mysql->lock);
	(void)pthread_mutex_destroy(&mysql->link_lock);
	free(mysql);
}

static const struct source_ops mysql_ops = {
	.name = "mysql",
	.count = mysql_count,
	.want = mysql_want,
	.ready = mysql_ready,
	.row = mysql_row,
	.posts = mysql_posts,
	.post_at = mysql_post_at,
	.free = mysql_free,
};

static struct source_mysql *mysql_make(const struct mysql_options *options,
				       uint64_t memory_bytes_max)
{
	struct source_mysql *mysql = xcalloc(1, sizeof(*mysql));
	pthread_condattr_t attr;

	mysql->base.ops = &mysql_ops;
	mysql->options = *options;
	mysql->memory_bytes_max = memory_bytes_max;
	mysql->windows = xcalloc(WINDOWS + 1, sizeof(*mysql->windows));
	for (size_t i = 0; i <= WINDOWS; i++)
		buf_init(&mysql->windows[i].text, WINDOW_BYTES_MAX);
	(void)pthread_mutex_init(&mysql->lock, NULL);
	(void)pthread_mutex_init(&mysql->link_lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&mysql->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	return mysql;
}

enum err_code source_mysql_new(const struct mysql_options *options, uint64_t memory_bytes_max,
			       struct source **ret_source, struct err *err)
{
	struct source_mysql *mysql = mysql_make(options, memory_bytes_max);
	enum err_code code = mysql_link_open(&mysql->options, &mysql->link, err);

	for (size_t i = 0; i < SOURCE_TABLES && code == ERR_OK; i++)
		code = open_table(mysql, i, err);
	if (code == ERR_OK && mysql->count == 0)
		code = err_set(err, ERR_ABSENT, "the tables of database \"%s\" have no rows",
			       options->database);
	if (code == ERR_OK)
		code = mysql_start(mysql, err);
	if (code == ERR_OK)
		*ret_source = &mysql->base;
	else
		mysql_free(&mysql->base);
	return code;
}
