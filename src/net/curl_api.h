/*
 * curl_api.h - libcurl's calls out of a library that is loaded when it is first
 * asked for: curl.easy_init() is curl_easy_init() of <curl/curl.h>.
 *
 * Debian's libcurl brings 25 libraries along. A process that only links them
 * starts 6 ms later, and each library that it loads itself, as DuckDB, is then
 * bound through all of them: 9 ms more. Only who speaks to another server asks.
 * Threads: any, once it is loaded.
 */
#ifndef NET_CURL_API_H
#define NET_CURL_API_H

#include "base/err.h"

#include <curl/curl.h>

/* What this program calls of it. */
#define CURL_FUNCTIONS(X) \
	X(easy_cleanup) \
	X(easy_getinfo) \
	X(easy_init) \
	X(easy_setopt) \
	X(easy_strerror) \
	X(getdate) \
	X(global_cleanup) \
	X(global_init) \
	X(multi_add_handle) \
	X(multi_cleanup) \
	X(multi_info_read) \
	X(multi_init) \
	X(multi_perform) \
	X(multi_poll) \
	X(multi_remove_handle) \
	X(multi_setopt) \
	X(slist_append) \
	X(slist_free_all)

struct curl_api {
#define X(name) __typeof__(curl_##name) *name;
	CURL_FUNCTIONS(X)
#undef X
};

extern struct curl_api curl;

/* ERR_USAGE: the library is not there, or is not libcurl; says what was tried. */
MUST_USE enum err_code curl_api_load(struct err *err);

#endif
