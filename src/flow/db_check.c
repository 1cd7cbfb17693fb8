#include "flow/db_check.h"

#include "base/mem.h"

enum { SQL_BYTES_MAX = 4096 };

static enum err_code take_charset(void *user, const struct mysql_row *row, struct err *err)
{
	struct db_check_table *table = user;

	(void)err;
	(void)snprintf(table->charset, sizeof(table->charset), "%.*s",
		       SLICE_ARG(mysql_row_value(row, 0)));
	return ERR_OK;
}

static enum err_code find_charset(struct mysql_link *link, struct db_check_table *table,
				  struct err *err)
{
	struct mysql_reader reader = { .row = take_charset, .user = table };
	enum err_code code;
	struct buf sql;

	buf_init(&sql, SQL_BYTES_MAX);
	buf_addf(&sql, "SELECT SUBSTRING_INDEX(table_collation, '_', 1) FROM information_schema.tables "
		 "WHERE table_schema = DATABASE() AND table_name = '%s'", table->name);
	code = mysql_link_ask(link, buf_slice(&sql), &reader, err);
	buf_release(&sql);
	return code;
}

/* Also sorts them. */
static void look_at_keys(const struct mysql_table *table, struct mysql_keys *keys,
			 struct db_check_table *found)
{
	mysql_keys_sort(keys);
	found->rows = keys->count;
	if (keys->count == 0)
		return;
	found->first = keys->list[0];
	found->last = keys->list[keys->count - 1];
	for (size_t i = 1; i < keys->count; i++)
		if (keys->list[i] == keys->list[i - 1]) {
			(void)mysql_table_twice(table, keys->list[i], &found->fault);
			return;
		}
}

/* Fails of what lets nothing be said of the database: of the table it is a fault. */
static enum err_code db_check_one(struct mysql_link *link, enum source_table which,
				 struct mysql_keys *keys, struct db_check_table *found,
				 struct err *err)
{
	struct mysql_table table;
	enum err_code code = mysql_table_describe(link, which, &table, &found->fault);

	found->name = mysql_schema[which].name;
	found->there = code == ERR_OK;
	if (code == ERR_OK)
		code = find_charset(link, found, &found->fault);
	if (code == ERR_OK)
		code = mysql_table_check(&table, &found->fault);
	if (code == ERR_OK)
		code = mysql_table_keys(link, &table, keys, &found->fault);
	if (code == ERR_OK) {
		found->key = table.key;
		look_at_keys(&table, keys, found);
	} else if (found->there) {
		found->key = table.key;
	}
	mysql_table_release(&table);
	if (code == ERR_BUSY || code == ERR_STOPPED) {
		*err = found->fault;
		return code;
	}
	return ERR_OK;
}

/* Of sorted keys. */
static void compare_keys(const struct mysql_keys keys[SOURCE_TABLES],
			 struct db_check_report *report)
{
	size_t at[SOURCE_TABLES] = { 0 };

	for (;;) {
		uint64_t least = UINT64_MAX;
		size_t have = 0;

		for (size_t i = 0; i < SOURCE_TABLES; i++)
			if (at[i] < keys[i].count && keys[i].list[at[i]] < least)
				least = keys[i].list[at[i]];
		if (least == UINT64_MAX)
			return;
		for (size_t i = 0; i < SOURCE_TABLES; i++) {
			bool has = at[i] < keys[i].count && keys[i].list[at[i]] == least;

			have += has;
			while (at[i] < keys[i].count && keys[i].list[at[i]] == least)
				at[i]++;
		}
		report->posts++;
		report->whole += have == SOURCE_TABLES;
	}
}

enum err_code db_check(const struct mysql_options *options, uint64_t memory_bytes_max,
		       struct db_check_report *ret_report, struct err *err)
{
	struct mysql_keys keys[SOURCE_TABLES] = { 0 };
	struct mysql_link *link = NULL;
	enum err_code code = mysql_link_open(options, &link, err);

	if (code != ERR_OK)
		return code;
	*ret_report = (struct db_check_report){ 0 };
	(void)snprintf(ret_report->version, sizeof(ret_report->version), "%s",
		       mysql_link_version(link));
	if (mysql_link_cipher(link))
		(void)snprintf(ret_report->cipher, sizeof(ret_report->cipher), "%s",
			       mysql_link_cipher(link));
	for (size_t i = 0; i < SOURCE_TABLES && code == ERR_OK; i++) {
		keys[i].max = (size_t)(memory_bytes_max / sizeof(uint64_t) / SOURCE_TABLES);
		code = db_check_one(link, (enum source_table)i, &keys[i], &ret_report->tables[i],
				    err);
	}
	if (code == ERR_OK)
		compare_keys(keys, ret_report);
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		free(keys[i].list);
	mysql_link_close(link);
	return code;
}

bool db_check_is_well(const struct db_check_report *report)
{
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		if (report->tables[i].fault.code != ERR_OK || report->tables[i].rows == 0)
			return false;
	return report->posts == report->whole;
}
