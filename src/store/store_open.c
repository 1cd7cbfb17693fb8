#include "store/store.h"

#include "base/trace.h"

#include <string.h>
#include <unistd.h>

/* The directory of "file:DIR"; NULL: it is no such URL. */
static const char *dir_of(const char *url)
{
	struct slice all = slice_str(url);

	if (slice_starts(all, "file:///"))
		return url + strlen("file://");
	if (slice_starts(all, "file:") && !slice_starts(all, "file://") && all.len > strlen("file:"))
		return url + strlen("file:");
	return NULL;
}

/* A directory needs no retry and no cache; a service's store will be wrapped in both here. */
enum err_code store_open(const char *url, struct store **ret_store, struct err *err)
{
	const char *dir = dir_of(url);
	enum err_code code;

	if (!dir)
		return err_set(err, ERR_USAGE, "\"%s\" is no place for objects; it is \"file:DIR\"", url);
	code = store_file_new(dir, ret_store, err);
	if (code == ERR_OK && trace_shows(TRACE_DEBUG))
		*ret_store = store_trace_new(*ret_store);
	return code;
}

bool store_is_there(const char *url)
{
	const char *dir = dir_of(url);

	return !dir || access(dir, F_OK) == 0;
}
