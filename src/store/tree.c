#include "store/tree.h"

#include "base/mem.h"
#include "base/time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
	const struct tree_listing *asked;
	bool ended;			/* `each` has seen enough */
};

/* The entries of one directory, as the keys that they begin: a directory's ends in '/'. */
struct names {
	char **list;
	size_t count;
	size_t cap;
	size_t most; /* the first so many of them are kept; 0: all */
	bool more;   /* there are others behind those */
	char *after; /* those behind this one alone, or NULL */
	bool only_last;
};

static int tree_by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);	/* compares as unsigned bytes */
}

static void names_clear(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->after);
	names->after = NULL;
	names->count = 0;
	names->more = false;
}

/* Of a heap whose last one is at the top, that one has been replaced. */
static void names_sink(struct names *names)
{
	char **list = names->list;
	size_t at = 0, below;

	while ((below = 2 * at + 1) < names->count) {
		char *top = list[at];

		if (below + 1 < names->count && strcmp(list[below + 1], list[below]) > 0)
			below++;
		if (strcmp(list[below], top) <= 0)
			return;
		list[at] = list[below];
		list[below] = top;
		at = below;
	}
}

/* In place of the last one, if it comes before that. */
static void names_replace(struct names *names, const char *key)
{
	names->more = true;
	if (strcmp(key, names->list[0]) >= 0)
		return;
	free(names->list[0]);
	names->list[0] = xstrdup(key);
	names_sink(names);
}

static void names_add(struct names *names, const char *key)
{
	size_t at = names->count;

	if (names->only_last && at > 0) {
		if (strcmp(key, names->list[0]) < 0)
			return;
		names_clear(names);
		at = 0;
	}
	if (names->most > 0 && at == names->most) {
		names_replace(names, key);
		return;
	}
	if (at == names->cap) {
		names->cap = names->cap ? names->cap * 2 : 64;
		names->list = xreallocarray(names->list, names->cap, sizeof(*names->list));
	}
	names->list[names->count++] = xstrdup(key);
	for (size_t above; names->most > 0 && at > 0; at = above) {
		char *key_above = names->list[above = (at - 1) / 2];

		if (strcmp(names->list[at], key_above) <= 0)
			return;
		names->list[above] = names->list[at];
		names->list[at] = key_above;
	}
}

static bool is_dir_key(const char *key) { return key[strlen(key) - 1] == '/'; }

/* Can this key, or one below this directory, be asked for? */
static bool wanted(const struct walk *walk, const char *key)
{
	struct slice all = slice_str(key);

	if (!slice_starts(all, walk->asked->prefix) &&
	    !(is_dir_key(key) && slice_starts(slice_str(walk->asked->prefix), key)))
		return false;
	return strcmp(key, walk->asked->after) > 0 ||
	       (is_dir_key(key) && slice_starts(slice_str(walk->asked->after), key));
}

/* 'd' a directory, 'f' a file, 0 anything else, or gone meanwhile. */
static char entry_type(int dir_fd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type == DT_DIR)
		return 'd';
	if (entry->d_type == DT_REG)
		return 'f';
	if (entry->d_type != DT_UNKNOWN ||
	    fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return S_ISDIR(st.st_mode) ? 'd' : S_ISREG(st.st_mode) ? 'f' : 0;
}

/* `key` begins with the directory's, of `dir_len` bytes. */
static void tree_add_name(struct names *names, const struct walk *walk, char key[PATH_MAX],
			  size_t dir_len, const char *name, char type)
{
	size_t len = strlen(name);

	if (dir_len + len + 2 > PATH_MAX)
		return; /* longer than any key */
	memcpy(key + dir_len, name, len + 1);
	if (type == 'd')
		memcpy(key + dir_len + len, "/", 2);
	if (wanted(walk, key) && (!names->after || strcmp(key, names->after) > 0))
		names_add(names, key);
}

/* False with errno. */
static bool read_names(DIR *handle, const struct walk *walk, const char *dir,
		       struct names *names)
{
	const struct dirent *entry;
	size_t dir_len = strlen(dir);
	char key[PATH_MAX];
	bool done;

	(void)snprintf(key, sizeof(key), "%s", dir);
	while (errno = 0, entry = readdir(handle)) {
		char type = entry_type(dirfd(handle), entry);

		if (!type || !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    !strcmp(entry->d_name, STORE_RESERVED))
			continue;
		tree_add_name(names, walk, key, dir_len, entry->d_name, type);
	}
	done = errno == 0;
	if (names->count)
		qsort(names->list, names->count, sizeof(*names->list), tree_by_bytes);
	return done;
}

/* An object that went away since its name was read is left out. */
static void list_object(int dir_fd, const char *name, const char *key, struct walk *walk)
{
	struct store_entry entry = { .key = key };
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	entry.size = (uint64_t)st.st_size;
	entry.modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	walk->ended = !walk->asked->each(walk->asked->user, &entry);
}

static enum err_code list_dir(int fd, const char *dir, struct walk *walk, struct err *err);

/* One entry: an object, or a directory (its key ends in '/'), which may have gone meanwhile. */
static enum err_code list_entry(int dir_fd, char *name, const char *key, struct walk *walk,
				struct err *err)
{
	const struct store_entry folder = { .key = key };
	size_t last = strlen(name) - 1;
	int below;

	if (name[last] != '/') {
		list_object(dir_fd, name, key, walk);
		return ERR_OK;
	}
	if (walk->asked->level) {
		walk->ended = !walk->asked->each(walk->asked->user, &folder);
		return ERR_OK;
	}
	name[last] = '\0';
	below = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	name[last] = '/';
	if (below < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return err_errno(err, "could not list \"%s\"", key);
	return below < 0 ? ERR_OK : list_dir(below, key, walk, err);
}

static enum err_code list_names(DIR *handle, const char *dir, struct names *names,
				struct walk *walk, struct err *err)
{
	enum err_code code = ERR_OK;

	if (!read_names(handle, walk, dir, names))
		code = err_errno(err, "could not list \"%s\"", dir);
	for (size_t i = 0; i < names->count && !walk->ended && code == ERR_OK; i++)
		code = list_entry(dirfd(handle), names->list[i] + strlen(dir), names->list[i], walk,
				  err);
	return code;
}

/* Behind the last one of them, where more are asked for than were thought. */
static enum err_code list_others(DIR *handle, const char *dir, struct names *names,
				 struct walk *walk, struct err *err)
{
	char *last = xstrdup(names->list[names->count - 1]);

	names_clear(names);
	names->after = last;
	names->most = 0;
	rewinddir(handle);
	return list_names(handle, dir, names, walk, err);
}

/*
 * List below `dir` (the beginning of a key up to and with a '/', or ""), whose descriptor is taken.
 * Sorting the names with a '/' behind those of directories, and going down where one stands, gives
 * keys in byte order.
 */
static enum err_code list_dir(int fd, const char *dir, struct walk *walk, struct err *err)
{
	DIR *handle = fdopendir(fd);
	struct names names = { .most = walk->asked->wanted };
	enum err_code code;

	if (!handle) {
		(void)close(fd);
		return err_errno(err, "could not list \"%s\"", dir);
	}
	code = list_names(handle, dir, &names, walk, err);
	if (code == ERR_OK && names.more && !walk->ended)
		code = list_others(handle, dir, &names, walk, err);
	names_clear(&names);
	free(names.list);
	(void)closedir(handle);
	return code;
}

enum err_code tree_list(int fd, const char *start, const struct tree_listing *listing,
			struct err *err)
{
	struct walk walk = { .asked = listing };

	return list_dir(fd, start, &walk, err);
}

bool tree_last(int fd, const char *start, const char *prefix, char ret_key[STORE_KEY_MAX + 1])
{
	const struct tree_listing asked = { .prefix = prefix, .after = "" };
	struct walk walk = { .asked = &asked };
	struct names names = { .only_last = true };
	DIR *handle = fdopendir(fd);
	bool found;

	if (!handle) {
		(void)close(fd);
		return false;
	}
	found = read_names(handle, &walk, start, &names) && names.count > 0 &&
		!is_dir_key(names.list[0]) && strlen(names.list[0]) <= STORE_KEY_MAX;
	if (found)
		(void)snprintf(ret_key, STORE_KEY_MAX + 1, "%s", names.list[0]);
	names_clear(&names);
	free(names.list);
	(void)closedir(handle);
	return found;
}

/*
 * Clocks of file systems go in steps, and two changes in one step leave the same time: only one
 * that is past is a mark.
 */
struct store_mark tree_mark(int fd)
{
	enum { SPREAD = 1000003, SETTLED_MS = 1000 };
	struct store_mark mark = { 0 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return mark;
	mark.bytes = (uint64_t)st.st_size;
	if ((int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 <
	    clock_wall_ms() - SETTLED_MS)
		mark.mark = ((uint64_t)st.st_ino * SPREAD + (uint64_t)st.st_mtim.tv_sec) * SPREAD +
			    (uint64_t)st.st_mtim.tv_nsec;
	return mark;
}
