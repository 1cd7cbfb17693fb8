/*
 * plain_sql.c - runs a file of SQL statements in the DuckDB that pinpipe links, as its shell would.
 *
 *	plain_sql FILE
 *
 * Rows are fetched and thrown away.
 */
#include "base/buf.h"

#include <duckdb.h>
#include <stdio.h>

enum { SQL_BYTES_MAX = 1 << 20 };

static int read_all(const char *path, struct buf *out)
{
	FILE *file = fopen(path, "r");
	size_t n;

	if (!file) {
		perror(path);
		return 1;
	}
	do {
		char *room = buf_room(out, 4096);

		n = room ? fread(room, 1, 4096, file) : 0;
		buf_grew(out, n);
	} while (n);
	(void)fclose(file);
	return 0;
}

int main(int argc, char **argv)
{
	duckdb_connection connection = NULL;
	duckdb_database database = NULL;
	duckdb_result result = { 0 };
	struct buf sql;
	int status = 1;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: plain_sql FILE\n");
		return 2;
	}
	buf_init(&sql, SQL_BYTES_MAX);
	if (read_all(argv[1], &sql) != 0)
		goto out;
	if (duckdb_open(NULL, &database) != DuckDBSuccess ||
	    duckdb_connect(database, &connection) != DuckDBSuccess) {
		(void)fprintf(stderr, "could not open a database\n");
		goto out;
	}
	if (duckdb_query(connection, buf_cstr(&sql), &result) == DuckDBSuccess)
		status = 0;
	else
		(void)fprintf(stderr, "%s\n", duckdb_result_error(&result));
	duckdb_destroy_result(&result);
out:
	duckdb_disconnect(&connection);
	duckdb_close(&database);
	buf_release(&sql);
	return status;
}
