#include "store/store.h"

#include "base/mem.h"
#include "base/trace.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long a call of a service is made again; each try is itself several (net/aws_client.h). */
enum { RETRY_MS = 10000 };

/*
 * As people write a directory. A bare name that is none yet could as well be a service's that was
 * misspelt: only one that is there is taken.
 */
static bool is_path(struct slice url)
{
	struct stat st;

	return slice_starts(url, "/") || slice_starts(url, "./") || slice_starts(url, "../") ||
	       (stat(url.ptr, &st) == 0 && S_ISDIR(st.st_mode));
}

const char *store_dir(const char *url)
{
	struct slice all = slice_str(url);

	if (slice_starts(all, "file:///"))
		return url + strlen("file://");
	if (slice_starts(all, "file:") && !slice_starts(all, "file://") && all.len > strlen("file:"))
		return url + strlen("file:");
	return !store_is_service(url) && is_path(all) ? url : NULL;
}

bool store_is_service(const char *url) { return slice_starts(slice_str(url), "s3://"); }

/* What a service needs above it. */
static enum err_code open_service(const char *url, const struct store_options *options,
				  struct store **ret_store, struct err *err)
{
	static const struct store_options none;
	struct store *store;
	enum err_code code = store_s3_new(url, options ? options : &none, &store, err);
	char *place;

	if (code != ERR_OK)
		return code;
	place = xstrdup(store_s3_place(store));
	store = store_prove_new(store_retry_new(store, RETRY_MS), place);
	if (options && options->cache_dir)
		code = store_cache_new(store, options->cache_dir, place, options->cache_bytes_max,
				       &store, err);
	if (code == ERR_OK)
		*ret_store = store;
	free(place);
	return code;
}

enum err_code store_open(const char *url, const struct store_options *options,
			 struct store **ret_store, struct err *err)
{
	const char *dir = store_dir(url);
	enum err_code code;

	if (dir)
		code = store_file_new(dir, ret_store, err);
	else if (store_is_service(url))
		code = open_service(url, options, ret_store, err);
	else
		code = err_set(err, ERR_USAGE,
			       "\"%s\" is no place for objects; it is a directory that is there, "
			       "\"file:DIR\" or \"s3://BUCKET/PREFIX\"",
			       url);
	if (code == ERR_OK && trace_shows(TRACE_DEBUG))
		*ret_store = store_trace_new(*ret_store);
	return code;
}

bool store_is_there(const char *url)
{
	const char *dir = store_dir(url);

	return !dir || access(dir, F_OK) == 0;
}
