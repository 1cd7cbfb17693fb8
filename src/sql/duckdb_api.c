#include "sql/duckdb_api.h"

#include "base/library.h"

struct duckdb_api duckdb;

enum err_code duckdb_api_load(struct err *err)
{
	/* Of the installation that the program is in; of the checkout that it, or a test, was
	 * built in; wherever the system looks. */
	static const char *const files[] = {
		"../lib/pinpipe/libduckdb.so",
		"../.cache/duckdb/libduckdb.so",
		"../../.cache/duckdb/libduckdb.so",
		"../../../.cache/duckdb/libduckdb.so",
		"libduckdb.so",
		NULL,
	};
	static const struct library_function functions[] = {
#define X(name) { "duckdb_" #name, offsetof(struct duckdb_api, name) },
		DUCKDB_FUNCTIONS(X)
#undef X
		{ 0 }
	};
	static struct library library = { .files = files, .functions = functions, .api = &duckdb,
					  .lock = PTHREAD_MUTEX_INITIALIZER };

	if (library_load(&library, err) != ERR_OK)
		return err_prefix(err, "DuckDB 1.5");
	return ERR_OK;
}
