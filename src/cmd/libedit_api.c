#include "cmd/libedit_api.h"

#include "base/library.h"

struct libedit_api libedit;

enum err_code libedit_api_load(struct err *err)
{
	static const char *const files[] = { "libedit.so.2", NULL };
	static const struct library_function functions[] = {
#define X(name) { #name, offsetof(struct libedit_api, name) },
		LIBEDIT_FUNCTIONS(X)
#undef X
			{ 0 }
	};
	static struct library library = { .files = files,
					  .functions = functions,
					  .api = &libedit,
					  .lock = PTHREAD_MUTEX_INITIALIZER };

	return library_load(&library, err);
}
