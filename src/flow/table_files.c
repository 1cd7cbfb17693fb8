#include "flow/table_files.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

/* What else this process has open, the engine's own descriptors of the same files among them. */
enum { DESCRIPTORS_OTHER = 200, DESCRIPTORS_A_FILE = 2 };

/* What a shell or a service manager lets a process have by default is for tables of fewer files. */
static enum err_code allow_files(size_t count, struct err *err)
{
	rlim_t wanted = (rlim_t)count * DESCRIPTORS_A_FILE + DESCRIPTORS_OTHER;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return ERR_OK;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > (rlim_t)count)
		return ERR_OK;
	return err_set(err, ERR_LIMIT,
		       "%zu files of a table are more than this process may open (ulimit -Hn; "
		       "`pinpipe optimize` makes few of them)",
		       count);
}

/* As the log has them: it names each file once, so its key tells what it is. `places` NULL: all. */
static struct store_entry *new_entries(const char *root, const struct delta_table *table,
				       const size_t *places, size_t count)
{
	struct store_entry *entries = xcalloc(count, sizeof(*entries));

	for (size_t i = 0; i < count; i++) {
		const struct delta_add *file = delta_file(table, places ? places[i] : i);
		size_t room = strlen(root) + strlen(file->path) + 2;
		char *key = xmalloc(room);

		(void)snprintf(key, room, "%s/%s", root, file->path);
		entries[i].key = key;
		entries[i].size = (uint64_t)file->size;
	}
	return entries;
}

static void free_entries(struct store_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free((void *)(uintptr_t)entries[i].key);
	free(entries);
}

static enum err_code table_files_open_at(struct store *store, const char *root,
					 const struct delta_table *table, const size_t *places,
					 size_t count, struct table_files *ret_files,
					 struct err *err)
{
	struct table_files files = { .count = count };
	enum err_code code = allow_files(files.count, err);
	struct store_entry *entries;

	if (code != ERR_OK)
		return code;
	files.list = xcalloc(files.count, sizeof(*files.list));
	entries = new_entries(root, table, places, files.count);
	code = store_fetch_all(store, entries, files.count, files.list, err);
	free_entries(entries, files.count);
	if (code == ERR_OK)
		*ret_files = files;
	else
		free(files.list);
	return code;
}

enum err_code table_files_open(struct store *store, const char *root,
			       const struct delta_table *table, struct table_files *ret_files,
			       struct err *err)
{
	return table_files_open_at(store, root, table, NULL, delta_file_count(table), ret_files,
				   err);
}

enum err_code table_files_open_some(struct store *store, const char *root,
				    const struct delta_table *table, const size_t *places,
				    size_t count, struct table_files *ret_files, struct err *err)
{
	return table_files_open_at(store, root, table, places, count, ret_files, err);
}

void table_files_close(struct table_files *files)
{
	store_fetched_release_all(files->list, files->count);
	free(files->list);
	*files = (struct table_files){ 0 };
}
