#include "source/mysql_table.h"

#include "base/json.h"
#include "base/mem.h"

#include <errno.h>

enum { SQL_BYTES_MAX = 1 << 16 };

const char *const mysql_key_name[] = { "none", "index", "unique", "primary" };

static const char *const pin_columns[] = {
	"index", "unique_id", "title", "description", "poster_name", "follower_count", "tag_list",
	"is_image_or_video", "image_src", "downloaded", "save_location", "category", NULL,
};
static const char *const geo_columns[] = { "ind", "timestamp", "latitude", "longitude", "country",
					   NULL };
static const char *const user_columns[] = { "ind", "first_name", "last_name", "age", "date_joined",
					    NULL };

const struct mysql_schema mysql_schema[SOURCE_TABLES] = {
	[SOURCE_PIN] = {
		.name = "pinterest_data", .key = "index", .columns = pin_columns,
		.ddl = "`index` INT PRIMARY KEY, unique_id VARCHAR(64), title TEXT, description TEXT, "
		       "poster_name TEXT, follower_count VARCHAR(64), tag_list TEXT, "
		       "is_image_or_video VARCHAR(64), image_src TEXT, downloaded INT, "
		       "save_location TEXT, category VARCHAR(255)",
	},
	[SOURCE_GEO] = {
		.name = "geolocation_data", .key = "ind", .columns = geo_columns,
		.ddl = "ind INT PRIMARY KEY, timestamp DATETIME, latitude FLOAT, longitude FLOAT, "
		       "country VARCHAR(255)",
	},
	[SOURCE_USER] = {
		.name = "user_data", .key = "ind", .columns = user_columns,
		.ddl = "ind INT PRIMARY KEY, first_name VARCHAR(255), last_name VARCHAR(255), age INT, "
		       "date_joined DATETIME",
	},
};

/* --- what is there -------------------------------------------------------- */

void mysql_table_release(struct mysql_table *table)
{
	for (unsigned i = 0; i < table->column_count; i++) {
		free(table->columns[i].name);
		free(table->columns[i].head);
	}
	free(table->columns);
	table->columns = NULL;
	table->column_count = 0;
	buf_release(&table->select);
}

static void mysql_put_name(struct buf *out, const char *name)
{
	buf_add_char(out, '`');
	for (; *name; name++) {
		if (*name == '`')
			buf_add_char(out, '`');
		buf_add_char(out, *name);
	}
	buf_add_char(out, '`');
}

static void set_column(struct mysql_table *table, unsigned at, const MYSQL_FIELD *field)
{
	struct mysql_column *column = &table->columns[at];
	struct buf head;

	buf_init(&head, SQL_BYTES_MAX);
	buf_add_char(&head, at == 0 ? '{' : ',');
	json_put_string(&head, slice_str(field->name));
	buf_add_char(&head, ':');
	column->name = xstrdup(field->name);
	column->head = xstrdup(buf_cstr(&head));
	column->form = mysql_form_of(field);
	column->type = mysql_type_name(field);
	if (strcasecmp(field->name, table->schema->key) == 0)
		table->key_at = at;
	buf_add_str(&table->select, at == 0 ? "SELECT " : ",");
	mysql_put_name(&table->select, field->name);
	buf_release(&head);
}

static void take_columns(void *user, const MYSQL_FIELD *fields, unsigned count)
{
	struct mysql_table *table = user;

	mysql_table_release(table);
	buf_init(&table->select, SQL_BYTES_MAX);
	table->columns = xcalloc(count, sizeof(*table->columns));
	table->column_count = count;
	table->key_at = count;
	for (unsigned i = 0; i < count; i++)
		set_column(table, i, &fields[i]);
	buf_addf(&table->select, " FROM `%s`", table->schema->name);
}

static enum err_code no_row(void *user, const struct mysql_row *row, struct err *err)
{
	(void)user;
	(void)row;
	(void)err;
	return ERR_OK;
}

static void forget_key(void *user, const MYSQL_FIELD *fields, unsigned count)
{
	(void)fields;
	(void)count;
	((struct mysql_table *)user)->key = MYSQL_KEY_NONE;
}

/* A row: the name of an index that begins with the key, whether it may hold one twice, how many
 * columns it has. */
static enum err_code take_index(void *user, const struct mysql_row *row, struct err *err)
{
	struct mysql_table *table = user;
	bool unique = slice_is(mysql_row_value(row, 1), "0") &&
		      slice_is(mysql_row_value(row, 2), "1");
	enum mysql_key key = !unique ? MYSQL_KEY_INDEX
			   : slice_is(mysql_row_value(row, 0), "PRIMARY") ? MYSQL_KEY_PRIMARY
									   : MYSQL_KEY_UNIQUE;

	(void)err;
	if (key > table->key)
		table->key = key;
	return ERR_OK;
}

static enum err_code find_key(struct mysql_link *link, struct mysql_table *table, struct err *err)
{
	struct mysql_reader reader = { .begin = forget_key, .row = take_index, .user = table };
	enum err_code code;
	struct buf sql;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql, "SELECT index_name, MAX(non_unique), COUNT(*) FROM information_schema.statistics "
		 "WHERE table_schema = DATABASE() AND table_name = '%s' AND index_type IN "
		 "('BTREE', 'HASH') GROUP BY index_name HAVING "
		 "SUM(seq_in_index = 1 AND column_name = '%s') = 1",
		 table->schema->name, table->schema->key);
	code = mysql_link_ask(link, buf_slice(&sql), &reader, err);
	buf_release(&sql);
	return code;
}

enum err_code mysql_table_describe(struct mysql_link *link, enum source_table which,
				   struct mysql_table *table, struct err *err)
{
	struct mysql_reader reader = { .begin = take_columns, .row = no_row, .user = table };
	enum err_code code;
	struct buf sql;

	*table = (struct mysql_table){ .schema = &mysql_schema[which] };
	buf_init(&table->select, SQL_BYTES_MAX);
	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql, "SELECT * FROM `%s` LIMIT 0", table->schema->name);
	code = mysql_link_ask(link, buf_slice(&sql), &reader, err);
	buf_release(&sql);
	return code == ERR_OK ? find_key(link, table, err) : code;
}

static const struct mysql_column *mysql_table_column(const struct mysql_table *table,
						     const char *name)
{
	for (unsigned i = 0; i < table->column_count; i++)
		if (strcasecmp(table->columns[i].name, name) == 0)
			return &table->columns[i];
	return NULL;
}

enum err_code mysql_table_check(const struct mysql_table *table, struct err *err)
{
	const struct mysql_schema *schema = table->schema;

	for (unsigned i = 0; i < table->column_count; i++) {
		const struct mysql_column *column = &table->columns[i];

		if (column->form == MYSQL_FORM_NONE)
			return err_set(err, ERR_SHAPE, "table \"%s\", column \"%s\": its type %s is no text "
				       "and no number that could be posted",
				       schema->name, column->name, column->type);
	}
	for (const char *const *name = schema->columns; *name; name++)
		if (!mysql_table_column(table, *name))
			return err_set(err, ERR_SHAPE, "table \"%s\" has no column \"%s\"",
				       schema->name, *name);
	if (table->columns[table->key_at].form != MYSQL_FORM_INT)
		return err_set(err, ERR_SHAPE, "table \"%s\", column \"%s\": the key must be a whole "
			       "number, not %s", schema->name, schema->key,
			       table->columns[table->key_at].type);
	if (buf_full(&table->select) || table->column_count > MYSQL_COLUMNS_MAX)
		return err_set(err, ERR_LIMIT, "table \"%s\" has more than %d columns", schema->name,
			       MYSQL_COLUMNS_MAX);
	return ERR_OK;
}

/* --- rows ----------------------------------------------------------------- */

enum err_code mysql_table_key(const struct mysql_table *table, const struct mysql_row *row,
			      unsigned at, uint64_t *ret_key, struct err *err)
{
	const char *text = row->values[at];
	char *end = NULL;
	unsigned long long key = 0;

	errno = 0;
	if (text)
		key = strtoull(text, &end, 10);
	if (!text || *text == '-' || *end || errno || key > INT64_MAX)
		return err_set(err, ERR_SHAPE, "table \"%s\" has a row whose \"%s\" is %s: it must be an "
			       "integer from 0 on", table->schema->name, table->schema->key,
			       text ? text : "null");
	*ret_key = key;
	return ERR_OK;
}

enum err_code mysql_table_put(const struct mysql_table *table, struct buf *out,
			      const struct mysql_row *row, uint64_t *ret_key, struct err *err)
{
	size_t before = out->len;
	enum err_code code;

	if (row->count != table->column_count)
		return err_set(err, ERR_SHAPE, "table \"%s\" has changed", table->schema->name);
	code = mysql_table_key(table, row, table->key_at, ret_key, err);
	for (unsigned i = 0; i < row->count; i++) {
		buf_add_str(out, table->columns[i].head);
		mysql_text_put(out, table->columns[i].form, mysql_row_value(row, i));
	}
	buf_add_char(out, '}');
	if (code == ERR_OK && out->len - before > MYSQL_ROW_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "table \"%s\", \"%s\" %llu: longer than %d bytes",
			       table->schema->name, table->schema->key,
			       (unsigned long long)*ret_key, MYSQL_ROW_BYTES_MAX);
	return code;
}

enum err_code mysql_table_twice(const struct mysql_table *table, uint64_t key, struct err *err)
{
	return err_set(err, ERR_SHAPE, "table \"%s\" has several rows whose \"%s\" is %llu",
		       table->schema->name, table->schema->key, (unsigned long long)key);
}

/* --- keys ----------------------------------------------------------------- */

void mysql_keys_add(struct mysql_keys *keys, uint64_t key)
{
	if (keys->count == keys->room) {
		keys->room = keys->room ? 2 * keys->room : 1024;
		keys->list = xreallocarray(keys->list, keys->room, sizeof(*keys->list));
	}
	keys->list[keys->count++] = key;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void mysql_keys_sort(struct mysql_keys *keys)
{
	if (keys->count > 0)
		qsort(keys->list, keys->count, sizeof(*keys->list), by_value);
}

bool mysql_keys_have(const struct mysql_keys *keys, uint64_t key)
{
	return keys->count > 0 &&
	       bsearch(&key, keys->list, keys->count, sizeof(key), by_value) != NULL;
}

struct key_reader {
	const struct mysql_table *table;
	struct mysql_keys *keys;
};

static void forget_keys(void *user, const MYSQL_FIELD *fields, unsigned count)
{
	(void)fields;
	(void)count;
	((struct key_reader *)user)->keys->count = 0;
}

static enum err_code mysql_take_key(void *user, const struct mysql_row *row, struct err *err)
{
	struct key_reader *reading = user;
	struct mysql_keys *keys = reading->keys;
	uint64_t key = 0;
	enum err_code code = mysql_table_key(reading->table, row, 0, &key, err);

	if (code != ERR_OK)
		return code;
	if (keys->count == keys->max)
		return err_set(err, ERR_LIMIT, "table \"%s\" has more than %zu rows",
			       reading->table->schema->name, keys->max);
	mysql_keys_add(keys, key);
	return ERR_OK;
}

enum err_code mysql_table_keys(struct mysql_link *link, const struct mysql_table *table,
			       struct mysql_keys *keys, struct err *err)
{
	struct key_reader reading = { table, keys };
	struct mysql_reader reader = {
		.begin = forget_keys, .row = mysql_take_key, .user = &reading,
	};
	const char *key = table->schema->key;
	enum err_code code;
	struct buf sql;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql, "SELECT `%s` FROM `%s`", key, table->schema->name);
	if (table->key != MYSQL_KEY_NONE)
		buf_addf(&sql, " ORDER BY `%s`", key);
	code = mysql_link_ask(link, buf_slice(&sql), &reader, err);
	buf_release(&sql);
	return code;
}
