#include "base/library.h"

#include "base/beside.h"
#include "base/buf.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* What begins with "../" is told by its whole path, and only if it is there: the loader would look
 * from the working directory, and to a RUNPATH a sanitizer that stands in for dlopen() is blind. */
static bool library_place(const char *file, char ret_path[PATH_MAX])
{
	const char *const paths[] = { file, NULL };
	struct err unused;

	return strncmp(file, "../", 3) == 0 ? beside_find(paths, ret_path, &unused) == ERR_OK
					    : snprintf(ret_path, PATH_MAX, "%s", file) < PATH_MAX;
}

/* Lazily: to bind all calls of DuckDB at once takes 15 ms, as much as the rest of loading it. */
static void *library_open(const struct library *library, const char **ret_file, struct err *err)
{
	void *handle = NULL;
	char path[PATH_MAX];
	struct buf tried;

	buf_init(&tried, ERR_MSG_MAX);
	for (size_t i = 0; library->files[i] && !handle; i++) {
		*ret_file = library->files[i];
		if (!library_place(library->files[i], path))
			continue;
		handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
		if (!handle)
			buf_addf(&tried, "%s%s", tried.len ? "; " : "", dlerror());
	}
	if (!handle)
		(void)err_set(err, ERR_USAGE, "could not load a library: %s", buf_cstr(&tried));
	buf_release(&tried);
	return handle;
}

static enum err_code library_bind(struct library *library, struct err *err)
{
	const char *file = "";
	void *handle = library_open(library, &file, err);

	if (!handle)
		return err->code;
	for (size_t i = 0; library->functions[i].name; i++) {
		void *function = dlsym(handle, library->functions[i].name);

		if (!function) {
			(void)err_set(err, ERR_USAGE, "%s has no function %s", file,
				      library->functions[i].name);
			(void)dlclose(handle);
			return err->code;
		}
		memcpy((char *)library->api + library->functions[i].at, &function,
		       sizeof(function));
	}
	library->loaded = true;
	return ERR_OK;
}

enum err_code library_load(struct library *library, struct err *err)
{
	enum err_code code = ERR_OK;

	(void)pthread_mutex_lock(&library->lock);
	if (!library->loaded)
		code = library_bind(library, err);
	(void)pthread_mutex_unlock(&library->lock);
	return code;
}
