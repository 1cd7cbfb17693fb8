/*
 * delta_at.c - a table as it was at a version or at a time.
 *
 * A version's time is commitInfo.timestamp. Delta's own readers take the time at which the commit's
 * file was written, which a copy of the table to another place makes another one; the two differ
 * by what a commit takes. Writers of ours let it rise from version to version, so that a few
 * commits tell where a time lies, however long the log is. Where the clock of another writer was
 * behind, a version counts as no older than those before it, as Delta has it; so far back only
 * BEHIND_MAX versions are looked at.
 */
#include "base/time.h"
#include "delta/delta_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS = 20, BEHIND_MAX = 4 };

/* ---- What is kept ---- */

struct kept_listing {
	size_t prefix_len;
	struct delta_kept kept; /* -1: none yet */
	bool first;		/* only the oldest is asked for */
};

static bool see_entry(void *user, const struct store_entry *entry)
{
	static const char checkpoint[] = ".checkpoint.";
	struct kept_listing *listing = user;
	const char *name = entry->key + listing->prefix_len;
	const char *rest = name + DIGITS;
	bool commit;
	int64_t version;

	if (strspn(name, "0123456789") != DIGITS || name[0] != '0' || name[1] != '0')
		return true;
	commit = strcmp(rest, ".json") == 0;
	if (!commit && strncmp(rest, checkpoint, strlen(checkpoint)) != 0)
		return true;
	version = strtoll(name, NULL, 10);
	listing->kept.newest = version;
	if (listing->kept.oldest < 0 && (!commit || version == 0))
		listing->kept.oldest = version;
	return !listing->first || listing->kept.oldest < 0;
}

/* `first`: up to what tells of the oldest version; else all from version `from` on. */
static enum err_code list_kept(struct delta_table *table, bool first, int64_t from,
			       struct delta_kept *ret_kept, struct err *err)
{
	struct kept_listing listing = { .kept = { -1, -1 }, .first = first };
	struct buf prefix, after;
	enum err_code code;

	buf_init(&prefix, STORE_KEY_MAX);
	buf_init(&after, STORE_KEY_MAX);
	buf_addf(&prefix, "%s/_delta_log/", table->root);
	if (from > 0)
		buf_addf(&after, "%s/_delta_log/%020" PRId64, table->root, from);
	listing.prefix_len = prefix.len;
	code = store_list_some(table->store, buf_cstr(&prefix), buf_cstr(&after), first ? 2 : 0,
			       see_entry, &listing, err);
	buf_release(&prefix);
	buf_release(&after);
	if (code == ERR_OK)
		*ret_kept = listing.kept;
	return code;
}

enum err_code delta_table_oldest(struct delta_table *table, int64_t *ret_oldest, struct err *err)
{
	struct delta_kept start = { -1, -1 };
	enum err_code code = list_kept(table, true, 0, &start, err);

	if (code == ERR_OK && start.oldest < 0)
		code = err_set(err, ERR_ABSENT, "there is no table \"%s\"", table->root);
	if (code == ERR_OK)
		*ret_oldest = start.oldest;
	return code;
}

enum err_code delta_table_kept(struct delta_table *table, struct delta_kept *ret_kept,
			       struct err *err)
{
	struct delta_kept end = { -1, -1 };
	int64_t oldest = 0;
	enum err_code code = delta_table_oldest(table, &oldest, err);

	if (code == ERR_OK)
		code = list_kept(table, false, delta_checkpoint_last(table), &end, err);
	if (code == ERR_OK && end.newest < 0) /* the hint led nowhere */
		code = list_kept(table, false, 0, &end, err);
	if (code == ERR_OK)
		*ret_kept = (struct delta_kept){ oldest, end.newest };
	return code;
}

/* ---- When ---- */

/* Of a version whose commit says nothing of it, or went before its checkpoint did. */
static enum err_code time_of_object(struct delta_table *table, int64_t version, int64_t *ret_ms,
				    struct err *err)
{
	struct store_stat stat = { 0 };
	struct buf key;
	enum err_code code;

	buf_init(&key, STORE_KEY_MAX);
	code = store_stat(table->store, delta_table_commit_key(table, &key, version), &stat, err);
	if (code == ERR_ABSENT)
		code = store_stat(table->store, delta_checkpoint_key(table, &key, version), &stat,
				  err);
	buf_release(&key);
	if (code == ERR_OK)
		*ret_ms = stat.modified_ms;
	return code;
}

enum err_code delta_table_time_of(struct delta_table *table, int64_t version, int64_t *ret_ms,
				  struct err *err)
{
	struct delta_actions actions = { 0 };
	enum err_code code = delta_table_read_commit(table, version, &actions, err);

	if (code == ERR_ABSENT || (code == ERR_OK && actions.timestamp_ms <= 0))
		code = time_of_object(table, version, ret_ms, err);
	else if (code == ERR_OK)
		*ret_ms = actions.timestamp_ms;
	delta_actions_release(&actions);
	return code;
}

/* ---- Looking for it ---- */

enum { TIME_TEXT_MAX = 32 };

static const char *time_text(char text[static TIME_TEXT_MAX], int64_t wall_ms)
{
	struct buf iso;

	buf_init(&iso, TIME_TEXT_MAX - 1);
	time_put_iso(&iso, wall_ms);
	memcpy(text, buf_cstr(&iso), iso.len + 1);
	buf_release(&iso);
	return text;
}

/* `wanted`: "version 3", or a time. */
static enum err_code not_kept(struct delta_table *table, const char *wanted,
			      const struct delta_kept *kept, bool too_old, struct err *err)
{
	bool gone = too_old && kept->oldest > 0;
	char oldest[TIME_TEXT_MAX], newest[TIME_TEXT_MAX];
	int64_t oldest_ms, newest_ms;

	if (delta_table_time_of(table, kept->oldest, &oldest_ms, err) != ERR_OK ||
	    delta_table_time_of(table, kept->newest, &newest_ms, err) != ERR_OK)
		return err->code;
	return err_set(err, ERR_ABSENT,
		       "table \"%s\" has no %s%s: its oldest version is %" PRId64
		       ", of %s, its newest version is %" PRId64 ", of %s%s",
		       delta_table_name(table), wanted,
		       gone	 ? " any more"
		       : too_old ? ""
				 : " yet",
		       kept->oldest, time_text(oldest, oldest_ms), kept->newest,
		       time_text(newest, newest_ms),
		       gone ? " (delta.logRetentionDuration says how long they are kept)" : "");
}

static enum err_code find_version(struct delta_table *table, const struct delta_kept *kept,
				  int64_t version, struct err *err)
{
	char wanted[40];

	if (version >= kept->oldest && version <= kept->newest)
		return ERR_OK;
	(void)snprintf(wanted, sizeof(wanted), "version %" PRId64, version);
	return not_kept(table, wanted, kept, version < kept->oldest, err);
}

/* Where the clock of who wrote a version was behind: one before it is younger than the time. */
static enum err_code step_back(struct delta_table *table, const struct delta_kept *kept,
			       int64_t time_ms, int64_t *version, struct err *err)
{
	for (int64_t before = *version - 1;
	     before >= kept->oldest && before >= *version - BEHIND_MAX; before--) {
		int64_t its_ms;
		enum err_code code = delta_table_time_of(table, before, &its_ms, err);

		if (code != ERR_OK)
			return code;
		if (its_ms > time_ms && before > kept->oldest)
			*version = before - 1;
	}
	return ERR_OK;
}

/* The last version that is no younger. */
static enum err_code search_time(struct delta_table *table, const struct delta_kept *kept,
				 int64_t time_ms, int64_t *ret_version, struct err *err)
{
	int64_t from = kept->oldest, to = kept->newest + 1;

	while (to - from > 1) {
		int64_t middle = from + (to - from) / 2, its_ms;
		enum err_code code = delta_table_time_of(table, middle, &its_ms, err);

		if (code != ERR_OK)
			return code;
		if (its_ms <= time_ms)
			from = middle;
		else
			to = middle;
	}
	*ret_version = from;
	return step_back(table, kept, time_ms, ret_version, err);
}

static enum err_code find_time(struct delta_table *table, const struct delta_kept *kept,
			       int64_t time_ms, int64_t *ret_version, struct err *err)
{
	char text[TIME_TEXT_MAX], wanted[TIME_TEXT_MAX + 20];
	int64_t oldest_ms, newest_ms;
	enum err_code code = delta_table_time_of(table, kept->oldest, &oldest_ms, err);

	if (code == ERR_OK)
		code = delta_table_time_of(table, kept->newest, &newest_ms, err);
	if (code != ERR_OK)
		return code;
	(void)snprintf(wanted, sizeof(wanted), "version of %s", time_text(text, time_ms));
	if (time_ms < oldest_ms)
		return not_kept(table, wanted, kept, true, err);
	if (time_ms > newest_ms && time_ms > clock_wall_ms())
		return not_kept(table, wanted, kept, false, err);
	return search_time(table, kept, time_ms, ret_version, err);
}

enum err_code delta_table_load_at(struct delta_table *table, struct delta_at at, struct err *err)
{
	int64_t version = at.value;
	struct delta_kept kept;
	enum err_code code = delta_table_kept(table, &kept, err);

	if (code == ERR_OK && at.kind == DELTA_AT_VERSION)
		code = find_version(table, &kept, version, err);
	else if (code == ERR_OK)
		code = find_time(table, &kept, at.value, &version, err);
	return code == ERR_OK ? delta_table_load_upto(table, version, err) : code;
}
