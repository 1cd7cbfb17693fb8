#include "flow/answered_log.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* FOLLOWED_MAX: later commits that are looked into; of more the table is opened for less. */
enum { COMMIT_BYTES_MAX = 64 << 20, FOLLOWED_MAX = 100, LISTED = 8 };

static void commit_key(char key[STORE_KEY_MAX + 1], const char *root, int64_t version)
{
	(void)snprintf(key, STORE_KEY_MAX + 1, "%s/_delta_log/%020" PRId64 ".json", root, version);
}

/* --- where it ends ------------------------------------------------------------- */

struct log_end {
	const char *key; /* of the commit */
	struct answered_commit *commit;
	bool found;
	bool last;
};

/* Checkpoints of that version come before it, and what is no version behind all. */
static bool log_end_look(void *user, const struct store_entry *entry)
{
	struct log_end *end = user;
	size_t len = strlen(entry->key);

	if (strcmp(entry->key, end->key) == 0) {
		end->found = true;
		end->commit->size = entry->size;
		end->commit->mark = entry->version;
	} else if (strcmp(entry->key, end->key) > 0 && len == strlen(end->key) &&
		   strcmp(entry->key + len - strlen(".json"), ".json") == 0) {
		end->last = false;
	}
	return end->last;
}

static enum err_code list_end(struct store *store, const char *root, int64_t version,
			      struct log_end *end, struct err *err)
{
	char prefix[STORE_KEY_MAX + 1], after[STORE_KEY_MAX + 1] = "";

	(void)snprintf(prefix, sizeof(prefix), "%s/_delta_log/", root);
	if (version > 0)
		commit_key(after, root, version - 1);
	return store_list_some(store, prefix, after, LISTED, log_end_look, end, err);
}

/* A directory would be read as a whole. */
static enum err_code stat_end(struct store *store, const char *root, int64_t version,
			      struct log_end *end, struct err *err)
{
	struct store_stat stat;
	char next[STORE_KEY_MAX + 1];
	enum err_code code = store_stat(store, end->key, &stat, err);

	if (code != ERR_OK)
		return code;
	end->found = true;
	end->commit->size = stat.size;
	end->commit->mark = stat.version;
	commit_key(next, root, version + 1);
	code = store_stat(store, next, &stat, err);
	end->last = code == ERR_ABSENT;
	return end->last ? ERR_OK : code;
}

enum err_code answered_commit_find(struct store *store, const char *root, int64_t version,
				   struct answered_commit *ret_commit, bool *ret_last,
				   struct err *err)
{
	struct answered_commit commit = { .version = version };
	char key[STORE_KEY_MAX + 1];
	struct log_end end = { .key = key, .commit = &commit, .last = true };
	enum err_code code;

	commit_key(key, root, version);
	code = store_at_once(store) > 1 ? list_end(store, root, version, &end, err)
					: stat_end(store, root, version, &end, err);
	if (code == ERR_OK && !end.found)
		code = err_set(err, ERR_ABSENT, "there is no \"%s\"", key);
	if (code != ERR_OK)
		return code;
	*ret_commit = commit;
	*ret_last = end.last;
	return ERR_OK;
}

/* --- what came after ------------------------------------------------------------- */

/* An action that changes neither a row nor how far batch is. */
static bool is_harmless(struct slice name, struct json action)
{
	struct json member;
	struct slice app;
	bool changes = true;

	if (slice_is(name, "commitInfo"))
		return true;
	if (slice_is(name, "txn"))
		return json_member(action, "appId", &member) && json_get_string(member, &app) &&
		       !slice_starts(app, "pinpipe/batch/");
	return (slice_is(name, "add") || slice_is(name, "remove")) &&
	       json_member(action, "dataChange", &member) && json_get_bool(member, &changes) &&
	       !changes;
}

static bool line_is_harmless(struct json_parser *parser, struct slice line)
{
	struct json root;
	struct json_iter iter;
	struct err err;

	if (json_parse(parser, line, &root, &err) != ERR_OK || json_type(root) != JSON_OBJECT)
		return false;
	for (iter = json_iter(root); json_next(&iter);)
		if (json_type(iter.value) != JSON_OBJECT || !is_harmless(iter.key, iter.value))
			return false;
	return true;
}

static bool text_is_harmless(struct slice text)
{
	struct json_parser *parser = json_parser_new(COMMIT_BYTES_MAX);
	bool harmless = true;

	while (text.len > 0 && harmless) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t len = end ? (size_t)(end - text.ptr) : text.len;

		harmless = len == 0 || line_is_harmless(parser, slice_of(text.ptr, len));
		text = slice_from(text, end ? len + 1 : len);
	}
	json_parser_free(parser);
	return harmless;
}

static enum err_code look_into(struct store *store, const char *root, int64_t version,
			       bool *ret_harmless, struct err *err)
{
	char key[STORE_KEY_MAX + 1];
	struct buf text;
	enum err_code code;

	commit_key(key, root, version);
	buf_init(&text, COMMIT_BYTES_MAX);
	code = store_get(store, key, 0, UINT64_MAX, &text, err);
	if (code == ERR_OK)
		*ret_harmless = text_is_harmless(buf_slice(&text));
	buf_release(&text);
	return code;
}

enum err_code answered_commit_is_last(struct store *store, const char *root,
				      struct answered_commit *commit, bool *ret_is, struct err *err)
{
	struct answered_commit now;
	bool last = false, harmless = true;
	enum err_code code = answered_commit_find(store, root, commit->version, &now, &last, err);

	*ret_is = false;
	if (code != ERR_OK || now.size != commit->size || now.mark != commit->mark)
		return code == ERR_ABSENT ? ERR_OK : code;
	for (int i = 0; i < FOLLOWED_MAX && !last; i++) {
		code = look_into(store, root, now.version + 1, &harmless, err);
		if (code != ERR_OK || !harmless)
			return code;
		code = answered_commit_find(store, root, now.version + 1, &now, &last, err);
		if (code != ERR_OK)
			return code;
	}
	*ret_is = last;
	*commit = now;
	return ERR_OK;
}
