#include "cmd/models_watch.h"

#include "base/fnv.h"
#include "base/time.h"
#include "base/trace.h"
#include "cmd/setup.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LOOK_EVERY_MS = 500 };

/* Names, sizes and times of a directory's SQL files, in whatever order. */
static uint64_t state_of_dir(const char *dir, const char *below)
{
	char path[PATH_MAX + 32];
	uint64_t state = 0;
	DIR *listing;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, below);
	listing = opendir(path);
	if (!listing)
		return 0;
	for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
		size_t len = strlen(entry->d_name);
		struct stat st;

		if (len < 4 || strcmp(entry->d_name + len - 4, ".sql") != 0 ||
		    fstatat(dirfd(listing), entry->d_name, &st, 0) < 0)
			continue;
		uint64_t file = fnv1a(FNV1A_BEGIN, entry->d_name, len);

		file = fnv1a(file, &st.st_size, sizeof(st.st_size));
		state += fnv1a(file, &st.st_mtim, sizeof(st.st_mtim));
	}
	(void)closedir(listing);
	return state;
}

static uint64_t state_of_models(const char *dir)
{
	return state_of_dir(dir, "clean") * 31 + state_of_dir(dir, "analyses");
}

enum err_code models_watch_begin(struct models_watch *watch, const struct config *config,
				 struct err *err)
{
	enum err_code code = setup_models_dir(config, watch->dir, err);

	if (code == ERR_OK)
		watch->state = state_of_models(watch->dir);
	return code;
}

void models_watch_look(void *user)
{
	struct models_watch *watch = user;
	int64_t now_ms = clock_mono_ms();
	uint64_t state;

	if (now_ms < watch->due_ms)
		return;
	watch->due_ms = now_ms + LOOK_EVERY_MS;
	state = state_of_models(watch->dir);
	if (state == watch->state)
		return;
	watch->state = state;
	if (watch->batch && !watch->batch->schedule)
		watch->batch->early = true;
	if (watch->told)
		return;
	trace_warn("the models in \"%s\" changed: batch takes them %s, the stream takes"
		   " them at its next start; a new table has its topic and stream once `pinpipe up`"
		   " was started again",
		   watch->dir, watch->batch && watch->batch->early ? "now" : "at its next run");
	watch->told = true;
}
