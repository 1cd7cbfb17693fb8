#include "source/mariadb_api.h"

#include "base/library.h"

struct mariadb_api mariadb;

enum err_code mariadb_api_load(struct err *err)
{
	static const char *const files[] = { "libmariadb.so.3", NULL };
	static const struct library_function functions[] = {
#define X(name) { "mysql_" #name, offsetof(struct mariadb_api, name) },
		MARIADB_FUNCTIONS(X)
#undef X
		{ 0 }
	};
	static struct library library = { .files = files, .functions = functions, .api = &mariadb,
					  .lock = PTHREAD_MUTEX_INITIALIZER };

	return library_load(&library, err);
}
