#include "sql/duckdb_api.h"

#include "base/mem.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

/* Where the build found it, then wherever the system looks. By its path, because a sanitizer that
 * stands in for dlopen() hides this program's RUNPATH from it. */
static const char *const duckdb_api_libraries[] = { PINPIPE_DUCKDB, "libduckdb.so" };

struct duckdb_api duckdb;

static struct err duckdb_api_why; /* it could not be loaded */

static const struct {
	const char *name;
	size_t at;
} duckdb_api_functions[] = {
#define X(name) { "duckdb_" #name, offsetof(struct duckdb_api, name) },
	DUCKDB_FUNCTIONS(X)
#undef X
};

/*
 * The library stays for the process' life. Lazily: to bind all of its calls
 * at once takes 15 ms, as much as the rest of loading it.
 */
static void duckdb_api_load_once(void)
{
	const char *library = "";
	struct err *why = &duckdb_api_why;
	void *handle = NULL;

	for (size_t i = 0; !handle && i < ARRAY_LEN(duckdb_api_libraries); i++) {
		library = duckdb_api_libraries[i];
		handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
	}
	if (!handle) {
		err_set(why, ERR_USAGE, "could not load DuckDB: %s", dlerror());
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(duckdb_api_functions); i++) {
		void *function = dlsym(handle, duckdb_api_functions[i].name);

		if (!function) {
			err_set(why, ERR_USAGE, "%s has no function %s: is it DuckDB 1.5?", library,
				duckdb_api_functions[i].name);
			return;
		}
		memcpy((char *)&duckdb + duckdb_api_functions[i].at, &function, sizeof(function));
	}
}

enum err_code duckdb_api_load(struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, duckdb_api_load_once);
	if (duckdb_api_why.code != ERR_OK)
		*err = duckdb_api_why;
	return duckdb_api_why.code;
}
