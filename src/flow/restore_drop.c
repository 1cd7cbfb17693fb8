#include "flow/restore_inside.h"

#include "base/failpoint.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { NOTE_BYTES_MAX = 64 << 20 };

/* Objects with what is beside them. */
static void put_keys(struct buf *keys, const struct group *group)
{
	struct buf side;

	buf_init(&side, STORE_KEY_MAX + 1);
	for (size_t i = 0; i < group->object_count; i++) {
		buf_addf(keys, "%s\n", group->objects[i].key);
		for (int k = 0; k < GROUP_SIDES; k++) {
			group_side_key(&side, group->objects[i].key, (enum group_side)k);
			if (group->sides[k])
				buf_addf(keys, "%s\n", buf_cstr(&side));
		}
	}
	buf_release(&side);
}

static void put_manifest_key(struct buf *keys, const struct restore_part *part,
			     const struct group *group)
{
	struct buf key;

	buf_init(&key, STORE_KEY_MAX + 1);
	group_key(&key, part->where, group->first, group->number);
	buf_addf(keys, "%s\n", buf_cstr(&key));
	buf_release(&key);
}

/* With the manifests, or the objects, of those that were given up before. */
static void put_unfinished(struct buf *keys, const struct restore_part *part, bool manifests)
{
	for (size_t i = 0; i <= part->given_up_count; i++) {
		bool last = i == part->given_up_count;
		const struct group *group = last ? &part->last_group : &part->given_up[i];

		if (manifests)
			put_manifest_key(keys, part, group);
		else
			put_keys(keys, group);
	}
}

uint64_t restore_unfinished(const struct restore_plan *plan, struct buf *keys)
{
	uint64_t count = 0;

	for (int manifests = 1; manifests >= 0; manifests--)
		for (size_t i = 0; i < plan->count; i++)
			for (int32_t k = 0; k < plan->topics[i]->part_count; k++) {
				const struct restore_part *part = plan->topics[i]->parts[k];

				if (!part->unfinished)
					continue;
				count += (uint64_t)manifests;
				put_unfinished(keys, part, manifests);
			}
	return count;
}

static enum err_code drop_keys(struct store *store, struct slice keys, struct err *err)
{
	enum err_code code = ERR_OK;

	while (keys.len > 0 && code == ERR_OK) {
		const char *end = memchr(keys.ptr, '\n', keys.len);
		size_t len = end ? (size_t)(end - keys.ptr) : 0;
		char key[STORE_KEY_MAX + 1];

		if (len == 0 || len > STORE_KEY_MAX)
			return err_set(err, ERR_CORRUPT, "\"%s\" beside the log is damaged", RESTORE_NOTE);
		memcpy(key, keys.ptr, len);
		key[len] = '\0';
		keys = slice_from(keys, len + 1);
		errno = FAILPOINT("restore-drop");
		code = errno ? err_errno(err, "could not remove object \"%s\"", key)
			     : store_remove(store, key, err);
	}
	return code;
}

enum err_code restore_drop(struct store *store, const char *dir, bool *ret_any, struct err *err)
{
	char path[PATH_MAX];
	enum err_code code;
	struct buf keys;
	int dir_fd;

	*ret_any = false;
	if (snprintf(path, sizeof(path), "%s/log", dir) >= (int)sizeof(path))
		return err_set(err, ERR_USAGE, "the directory's name is too long");
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return errno == ENOENT ? ERR_OK : err_errno(err, "could not open \"%s\"", path);
	buf_init(&keys, NOTE_BYTES_MAX);
	code = file_read(dir_fd, RESTORE_NOTE, &keys, "what is to be taken away", err);
	*ret_any = code == ERR_OK;
	if (code == ERR_OK)
		code = drop_keys(store, buf_slice(&keys), err);
	if (code == ERR_OK && unlinkat(dir_fd, RESTORE_NOTE, 0) < 0)
		code = err_errno(err, "could not remove \"%s/%s\"", path, RESTORE_NOTE);
	(void)close(dir_fd);
	buf_release(&keys);
	return code == ERR_ABSENT ? ERR_OK : code;
}
