#include "net/curl_api.h"

#include "base/library.h"

struct curl_api curl;

enum err_code curl_api_load(struct err *err)
{
	static const char *const files[] = { "libcurl.so.4", NULL };
	static const struct library_function functions[] = {
#define X(name) { "curl_" #name, offsetof(struct curl_api, name) },
		CURL_FUNCTIONS(X)
#undef X
		{ 0 }
	};
	static struct library library = { .files = files, .functions = functions, .api = &curl,
					  .lock = PTHREAD_MUTEX_INITIALIZER };

	return library_load(&library, err);
}
