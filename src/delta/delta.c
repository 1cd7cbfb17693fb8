/* delta.c - opening a table, and following its log. */
#include "delta/delta.h"

#include "base/ahead.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "delta/delta_schema.h"
#include "delta/delta_table.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>

enum {
	DIGITS = 20,
	CHECKPOINT_INTERVAL = 10,
	AHEAD_BYTES_MAX = 64 << 20,
	LOOK_BACK = 1000,
	FOLLOW_TRIES = 10,
};

const char *delta_table_commit_key(const struct delta_table *table, struct buf *out,
				   int64_t version)
{
	buf_clear(out);
	buf_addf(out, "%s/_delta_log/%020" PRId64 ".json", table->root, version);
	return buf_cstr(out);
}

/* Any thread may; it looks at nothing of the table that changes. */
enum err_code delta_table_get_commit(const struct delta_table *table, int64_t version,
				     struct buf *out, struct err *err)
{
	struct buf key;
	enum err_code code;

	buf_init(&key, STORE_KEY_MAX);
	code = store_get(table->store, delta_table_commit_key(table, &key, version), 0, UINT64_MAX,
			 out, err);
	if (code != ERR_OK && code != ERR_ABSENT)
		(void)err_prefix(err, "version %" PRId64 " of table \"%s\"", version, table->root);
	buf_release(&key);
	return code;
}

enum err_code delta_table_parse_commit(struct delta_table *table, int64_t version,
				       struct slice text, struct delta_actions *ret_actions,
				       struct err *err)
{
	if (delta_reader_parse(&table->reader, text, ret_actions, err) == ERR_OK)
		return ERR_OK;
	return err_prefix(err, "version %" PRId64 " of table \"%s\"", version, table->root);
}

enum err_code delta_table_read_commit(struct delta_table *table, int64_t version,
				      struct delta_actions *ret_actions, struct err *err)
{
	enum err_code code;

	buf_clear(&table->text);
	code = delta_table_get_commit(table, version, &table->text, err);
	if (code == ERR_OK)
		code = delta_table_parse_commit(table, version, buf_slice(&table->text),
						ret_actions, err);
	return code;
}

enum err_code delta_table_check_writable(struct delta_table *table, struct err *err)
{
	enum err_code code = delta_check_writable(&table->state.protocol, table->state.metadata,
						  table->reader.line, err);

	if (code != ERR_OK)
		(void)err_prefix(err, "table \"%s\"", table->root);
	return code;
}

enum err_code delta_compare(struct delta_table *table, const struct delta_schema *wanted,
			    struct delta_difference *ret_difference, struct err *err)
{
	enum err_code code = delta_schema_compare(table->state.metadata, wanted, table->reader.line,
						  ret_difference, err);

	if (code != ERR_OK)
		(void)err_prefix(err, "table \"%s\"", table->root);
	return code;
}

enum err_code delta_own_schema(struct delta_table *table, struct delta_schema *ret_schema,
			       struct err *err)
{
	enum err_code code = delta_table_check_writable(table, err);

	if (code != ERR_OK)
		return code;
	code = delta_schema_read(table->state.metadata, table->reader.line, ret_schema, err);
	return code == ERR_OK ? code : err_prefix(err, "table \"%s\"", table->root);
}

const char *delta_table_name(const struct delta_table *table)
{
	const char *slash = strrchr(table->root, '/');

	if (table->name)
		return table->name;
	return slash ? slash + 1 : table->root;
}

enum err_code delta_table_check_columns(struct delta_table *table, struct err *err)
{
	struct delta_difference difference;
	enum err_code code = delta_compare(table, table->schema, &difference, err);

	if (code != ERR_OK || difference.change == DELTA_SAME)
		return code;
	if (difference.change == DELTA_ADDED)
		return err_set(err, ERR_USAGE, "table \"%s\": %s", table->root, difference.says);
	return err_set(err, ERR_USAGE, "table \"%s\": %s; \"pinpipe rebuild %s\" cleans all again",
		       table->root, difference.says, delta_table_name(table));
}

enum err_code delta_table_advance(struct delta_table *table, struct delta_actions *actions,
				  struct err *err)
{
	const struct delta_state *state = &table->state;
	int64_t version = state->version + 1;
	const struct delta_protocol *protocol = actions->protocol.reader ? &actions->protocol :
		&state->protocol;
	const struct delta_metadata *metadata = actions->metadata ? actions->metadata :
		state->metadata;
	enum err_code code;

	if (!protocol->reader || !metadata)
		code = err_set(err, ERR_CORRUPT, "it has no protocol or no metadata");
	else
		code = delta_check_readable(protocol, metadata, err);
	if (code != ERR_OK)
		return err_prefix(err, "version %" PRId64 " of table \"%s\"", version, table->root);
	delta_state_apply(&table->state, actions, version);
	return ERR_OK;
}

/* ---- What lies in _delta_log ---- */

struct listed_commit {
	int64_t version;
	uint64_t size;
	struct buf text; /* while it is replayed */
};

struct versions {
	struct listed_commit *at;
	size_t count;
	size_t room;
};

/* A classic checkpoint. */
struct checkpoint {
	int64_t version;
	uint32_t parts;			/* 0: one file, which says nothing of parts */
	uint32_t there;			/* of the parts */
};

struct listing {
	size_t prefix_len;
	int64_t upto;			/* a later version is not looked at */
	struct versions commits;	/* ascending */
	struct checkpoint *checkpoints;	/* versions ascending; those in parts before the other */
	size_t checkpoint_count;
	bool other_checkpoints;		/* of a kind that is not read: V2 */
};

static void push(struct versions *versions, int64_t version, uint64_t size)
{
	if (versions->count == versions->room) {
		versions->room = versions->room ? versions->room * 2 : 64;
		versions->at = xreallocarray(versions->at, versions->room, sizeof(*versions->at));
	}
	versions->at[versions->count++] =
		(struct listed_commit){ .version = version, .size = size };
}

/* Parts of several checkpoints of one version may lie between each other. */
static void push_checkpoint(struct listing *listing, int64_t version, uint32_t parts)
{
	size_t count = listing->checkpoint_count;
	struct checkpoint *found;

	for (size_t i = count; i > 0 && listing->checkpoints[i - 1].version == version; i--)
		if (listing->checkpoints[i - 1].parts == parts) {
			listing->checkpoints[i - 1].there++;
			return;
		}
	if ((count & (count - 1)) == 0)
		listing->checkpoints = xreallocarray(listing->checkpoints, count ? count * 2 : 1,
						     sizeof(*listing->checkpoints));
	found = &listing->checkpoints[listing->checkpoint_count++];
	*found = (struct checkpoint){ .version = version, .parts = parts, .there = 1 };
}

/* ".checkpoint.<part, 10 digits>.<parts, 10 digits>.parquet" */
static bool parse_part(const char *rest, uint32_t *ret_parts)
{
	static const char shape[] = ".checkpoint.##########.##########.parquet";
	unsigned long part, parts;

	for (size_t i = 0; i < sizeof(shape); i++)	/* its NUL, too */
		if (shape[i] == '#' ? !isdigit((unsigned char)rest[i]) : rest[i] != shape[i])
			return false;
	part = strtoul(rest + strlen(".checkpoint."), NULL, 10);
	parts = strtoul(rest + strlen(".checkpoint.##########."), NULL, 10);
	if (part < 1 || part > parts || parts > DELTA_PARTS_MAX)
		return false;
	*ret_parts = (uint32_t)parts;
	return true;
}

enum delta_log_kind delta_log_name(const char *name, int64_t *ret_version, uint32_t *ret_parts)
{
	const char *rest = name + DIGITS;

	/* Below 10^18, so that a version and one more is a number. */
	if (strspn(name, "0123456789") != DIGITS || name[0] != '0' || name[1] != '0')
		return DELTA_LOG_NOTHING;
	*ret_version = strtoll(name, NULL, 10);
	*ret_parts = 0;
	if (strcmp(rest, ".json") == 0)
		return DELTA_LOG_COMMIT;
	if (strcmp(rest, ".checkpoint.parquet") == 0 || parse_part(rest, ret_parts))
		return DELTA_LOG_CHECKPOINT;
	if (strncmp(rest, ".checkpoint.", strlen(".checkpoint.")) == 0)
		return DELTA_LOG_OTHER_CHECKPOINT;
	return strcmp(rest, ".crc") == 0 ? DELTA_LOG_BESIDE : DELTA_LOG_NOTHING;
}

static bool list_one(void *user, const struct store_entry *entry)
{
	struct listing *listing = user;
	int64_t version = 0;
	uint32_t parts = 0;
	enum delta_log_kind kind =
		delta_log_name(entry->key + listing->prefix_len, &version, &parts);

	if (kind != DELTA_LOG_NOTHING && version > listing->upto)
		return false;
	switch (kind) {
	case DELTA_LOG_COMMIT:
		push(&listing->commits, version, entry->size);
		break;
	case DELTA_LOG_CHECKPOINT:
		push_checkpoint(listing, version, parts);
		break;
	case DELTA_LOG_OTHER_CHECKPOINT:
		listing->other_checkpoints = true;
		break;
	case DELTA_LOG_BESIDE:
	case DELTA_LOG_NOTHING:
		break;
	}
	return true;
}

static void listing_release(struct listing *listing)
{
	free(listing->commits.at);
	free(listing->checkpoints);
}

/* All of the log from version `from` on. */
static enum err_code list_log(struct delta_table *table, int64_t from, struct listing *ret_listing,
			      struct err *err)
{
	struct listing listing = { .upto = table->upto };
	enum err_code code;
	struct buf prefix;
	struct buf after;

	buf_init(&prefix, STORE_KEY_MAX);
	buf_init(&after, STORE_KEY_MAX);
	buf_addf(&prefix, "%s/_delta_log/", table->root);
	buf_addf(&after, "%s/_delta_log/%020" PRId64, table->root, from);
	listing.prefix_len = prefix.len;
	code = store_list(table->store, buf_cstr(&prefix), from > 0 ? buf_cstr(&after) : "",
			  list_one, &listing, err);
	buf_release(&prefix);
	buf_release(&after);
	if (code == ERR_OK)
		*ret_listing = listing;
	else
		listing_release(&listing);
	return code;
}

/* ---- Loading ---- */

static void start_over(struct delta_table *table)
{
	delta_state_release(&table->state);
	delta_state_init(&table->state, table->checkpoints);
}

static enum err_code apply_commit(struct delta_table *table, int64_t version, struct slice text,
				  struct err *err)
{
	struct delta_actions actions = { 0 };
	enum err_code code = delta_table_parse_commit(table, version, text, &actions, err);

	if (code == ERR_OK)
		code = delta_table_advance(table, &actions, err);
	delta_actions_release(&actions);
	return code;
}

/* Listed commits from `first` on, which are brought many at a time before it is their turn. */
struct replay {
	struct delta_table *table;
	struct listed_commit *commits;
	size_t count;
	struct ahead *ahead;
};

static enum err_code bring_commit(void *user, size_t item, struct err *err)
{
	const struct replay *replay = user;
	struct listed_commit *commit = &replay->commits[item];

	buf_init(&commit->text, COMMIT_BYTES_MAX);
	return delta_table_get_commit(replay->table, commit->version, &commit->text, err);
}

static uint64_t bytes_of_commit(void *user, size_t item)
{
	return ((const struct replay *)user)->commits[item].size;
}

/* Those after version `after`. */
static void replay_begin(struct replay *replay, struct delta_table *table,
			 const struct listing *listing, int64_t after)
{
	*replay = (struct replay){ .table = table,
				   .commits = listing->commits.at,
				   .count = listing->commits.count };
	while (replay->count > 0 && replay->commits->version <= after) {
		replay->commits++;
		replay->count--;
	}
	replay->ahead = ahead_new(&(struct ahead_options){ .count = replay->count,
							   .at_once = store_at_once(table->store),
							   .bytes_max = AHEAD_BYTES_MAX,
							   .bytes = bytes_of_commit,
							   .work = bring_commit,
							   .user = replay });
}

static void replay_end(struct replay *replay)
{
	ahead_free(replay->ahead);
	for (size_t i = 0; i < replay->count; i++)
		buf_release(&replay->commits[i].text);
}

static enum err_code replay_one(const struct replay *replay, size_t item, struct err *err)
{
	struct listed_commit *commit = &replay->commits[item];
	enum err_code code = ahead_take(replay->ahead, item, err);

	if (code == ERR_OK)
		code = apply_commit(replay->table, commit->version, buf_slice(&commit->text), err);
	buf_release(&commit->text);
	return code;
}

/* Of the commits after the state's version none may be missing. */
static enum err_code replay_run(struct replay *replay, const struct listing *listing,
				struct err *err)
{
	struct delta_table *table = replay->table;
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < replay->count && code == ERR_OK; i++) {
		if (replay->commits[i].version == table->state.version + 1)
			code = replay_one(replay, i, err);
		else if (table->state.version < 0 && listing->other_checkpoints)
			code = err_set(err, ERR_UNSUPPORTED, "table \"%s\" has only checkpoints of a "
				       "newer kind (V2), or in more than %d parts", table->root,
				       DELTA_PARTS_MAX);
		else
			code = err_set(err, ERR_CORRUPT,
				       "table \"%s\": version %" PRId64
				       " is missing from the log, which goes on to %" PRId64,
				       table->root, table->state.version + 1,
				       replay->commits[replay->count - 1].version);
	}
	delta_state_close_gaps(&table->state);
	if (code == ERR_ABSENT)		/* listed, and removed since: the log was cleaned up */
		err->code = code = ERR_CORRUPT;
	return code;
}

/* A checkpoint has no commitInfo; the commit of its version may still be there. */
static void find_timestamp(struct delta_table *table)
{
	struct delta_actions actions = { 0 };
	struct err ignored;

	if (delta_table_read_commit(table, table->state.version, &actions, &ignored) == ERR_OK)
		table->state.timestamp_ms = actions.timestamp_ms;
	delta_actions_release(&actions);
}

static enum err_code start_at(struct delta_table *table, const struct checkpoint *checkpoint,
			      struct err *err)
{
	struct delta_actions actions = { 0 };
	enum err_code code = delta_checkpoint_read(table, checkpoint->version, checkpoint->parts,
						   &actions, err);

	start_over(table);
	if (code == ERR_OK) {
		table->state.tombstones = actions.tombstones;
		delta_state_apply(&table->state, &actions, checkpoint->version);
		delta_state_checkpointed(&table->state, checkpoint->version, checkpoint->parts);
	}
	return code;
}

/* The newest checkpoint of those before `*left` that is whole; NULL: there is none. Others are
 * being written, or never were to their end. */
static const struct checkpoint *next_checkpoint(const struct listing *listing, size_t *left)
{
	while (*left > 0) {
		const struct checkpoint *checkpoint = &listing->checkpoints[--*left];

		if (checkpoint->there >= checkpoint->parts)
			return checkpoint;
	}
	return NULL;
}

/* From a checkpoint (NULL: from version 0); the commits after it are brought while it is read. */
static enum err_code load_at(struct delta_table *table, const struct listing *listing,
			     const struct checkpoint *checkpoint, bool *ret_unreadable,
			     struct err *err)
{
	enum err_code code = ERR_OK;
	struct replay replay;

	replay_begin(&replay, table, listing, checkpoint ? checkpoint->version : -1);
	if (checkpoint)
		code = start_at(table, checkpoint, err);
	*ret_unreadable = code == ERR_CORRUPT;
	if (code == ERR_OK)
		code = replay_run(&replay, listing, err);
	replay_end(&replay);
	return code;
}

/* NULL: version 0 is there, or no checkpoint is. */
static const struct checkpoint *oldest_checkpoint(const struct listing *listing)
{
	if (listing->commits.count > 0 && listing->commits.at[0].version == 0)
		return NULL;
	for (size_t i = 0; i < listing->checkpoint_count; i++)
		if (listing->checkpoints[i].there >= listing->checkpoints[i].parts)
			return &listing->checkpoints[i];
	return NULL;
}

/* From the oldest one, for who wants to know what was committed before. */
static bool load_looking_back(struct delta_table *table, const struct listing *listing)
{
	bool unreadable;
	struct err err;

	if (table->look_back == 0)
		return false;
	if (load_at(table, listing, oldest_checkpoint(listing), &unreadable, &err) == ERR_OK)
		return true;
	start_over(table);
	return false;
}

/* From the newest checkpoint that can be read, or from version 0. */
static enum err_code load_listed(struct delta_table *table, const struct listing *listing,
				 struct err *err)
{
	size_t left = listing->checkpoint_count;
	enum err_code code = ERR_OK;
	bool unreadable;

	start_over(table);
	unreadable = !load_looking_back(table, listing);
	while (unreadable) {
		code = load_at(table, listing, next_checkpoint(listing, &left), &unreadable, err);
		if (unreadable)
			trace_warn("%s; trying without it", err->msg);
	}
	if (code != ERR_OK)
		return code;
	if (table->state.version < 0)
		return err_set(err, ERR_ABSENT, "there is no table \"%s\"", table->root);
	if (table->state.version == table->state.checkpoint)
		find_timestamp(table);
	return ERR_OK;
}

static enum err_code load_from(struct delta_table *table, int64_t from, struct err *err)
{
	struct listing listing;
	enum err_code code = list_log(table, from, &listing, err);

	if (code != ERR_OK)
		return code;
	code = load_listed(table, &listing, err);
	listing_release(&listing);
	return code;
}

enum err_code delta_table_load(struct delta_table *table, struct err *err)
{
	int64_t hint = delta_checkpoint_last(table);
	enum err_code code = ERR_CORRUPT;

	table->sure_ms = clock_boot_ms();
	if (hint > table->look_back)
		code = load_from(table, hint - table->look_back, err);
	if (code == ERR_CORRUPT || code == ERR_ABSENT || code == ERR_UNSUPPORTED)
		/* The hint may be wrong, or lead to a checkpoint that is of no use here. */
		code = load_from(table, 0, err);
	if (code == ERR_CORRUPT) /* what was listed may have been cleaned up since */
		code = load_from(table, 0, err);
	if (code == ERR_ABSENT && hint >= 0)
		code = err_set(err, ERR_CORRUPT, "table \"%s\" has a checkpoint by its own word, but "
			       "no log", table->root);
	return code;
}

/* The checkpoint that it begins with is looked for among the versions just before it first: to list
 * a long log takes a while. */
enum err_code delta_table_load_upto(struct delta_table *table, int64_t version, struct err *err)
{
	enum err_code code = ERR_CORRUPT;

	table->upto = version;
	if (version > LOOK_BACK)
		code = load_from(table, version - LOOK_BACK, err);
	if (code == ERR_CORRUPT || code == ERR_ABSENT || code == ERR_UNSUPPORTED)
		code = load_from(table, 0, err);
	if (code == ERR_OK && table->state.version != version)
		code = err_set(err, ERR_ABSENT,
			       "version %" PRId64 " is missing from the log of table "
			       "\"%s\"",
			       version, delta_table_name(table));
	return code;
}

/* ---- A log that is cleaned up ---- */

static enum err_code it_is_gone(const struct delta_table *table, int64_t version, struct err *err)
{
	return err_set(err, ERR_CORRUPT,
		       "version %" PRId64 " of table \"%s\" is gone: was the table "
		       "removed while it is written?",
		       version, table->root);
}

enum err_code delta_table_reload(struct delta_table *table, struct err *err)
{
	struct delta_state old = table->state;
	int64_t sure_ms = table->sure_ms;
	enum err_code code;

	delta_state_init(&table->state, table->checkpoints);
	code = delta_table_load(table, err);
	if (code == ERR_ABSENT || code == ERR_CORRUPT ||
	    (code == ERR_OK && old.version >= 0 &&
	     (table->state.version < old.version ||
	      strcmp(table->state.metadata->id, old.metadata->id) != 0)))
		code = it_is_gone(table, old.version, err);
	if (code == ERR_OK) {
		delta_state_keep_doubled(&table->state, &old.doubled);
		delta_state_release(&old);
	} else {
		delta_state_release(&table->state);
		table->state = old;
		table->sure_ms = sure_ms;
	}
	return code;
}

bool delta_table_is_sure(const struct delta_table *table)
{
	return clock_boot_ms() - table->sure_ms <= DELTA_SURE_MS;
}

static bool listing_has(const struct listing *listing, int64_t version)
{
	for (size_t i = 0; i < listing->commits.count; i++)
		if (listing->commits.at[i].version == version)
			return true;
	return false;
}

enum err_code delta_table_ensure(struct delta_table *table, struct err *err)
{
	int64_t now_ms = clock_boot_ms(), version = table->state.version;
	int64_t newest = -1;
	struct listing listing;
	enum err_code code;
	bool there;

	if (delta_table_is_sure(table))
		return ERR_OK;
	code = list_log(table, version, &listing, err);
	if (code != ERR_OK)
		return code;
	if (listing.checkpoint_count > 0)
		newest = listing.checkpoints[listing.checkpoint_count - 1].version;
	there = version < 0 || newest == version || listing_has(&listing, version);
	listing_release(&listing);
	if (newest > version || !there)
		return delta_table_reload(table, err);
	table->sure_ms = now_ms;
	delta_table_seen(table);
	return ERR_OK;
}

/* ---- The interface ---- */

struct delta_table *delta_table_new(struct store *store, const char *root,
				    const struct delta_options *options)
{
	struct delta_table *table = xcalloc(1, sizeof(*table));

	table->store = store;
	table->root = xstrdup(root);
	table->schema = options->create;
	table->columns = options->columns;
	table->name = options->name;
	table->checkpoints = options->checkpoints;
	table->checkpoint_interval = options->checkpoint_interval ? options->checkpoint_interval :
		CHECKPOINT_INTERVAL;
	table->upto = INT64_MAX;
	table->look_back = options->look_back;
	table->checkpoint_times = options->checkpoint_times ? options->checkpoint_times : 1;
	table->keep_files_ms = options->keep_files_ms;
	table->keep_log_ms = options->keep_log_ms;
	table->description = options->description;
	delta_state_init(&table->state, options->checkpoints);
	delta_reader_init(&table->reader);
	buf_init(&table->text, COMMIT_BYTES_MAX);
	return table;
}

void delta_close(struct delta_table *table)
{
	if (!table)
		return;
	delta_state_release(&table->state);
	delta_reader_release(&table->reader);
	duck_close(&table->duck);
	buf_release(&table->text);
	free(table->root);
	free(table);
}

static enum err_code delta_open_table(struct delta_table *table, struct err *err)
{
	enum err_code code = delta_table_load(table, err);

	if (code == ERR_ABSENT && table->schema) {
		code = delta_table_create(table, err);
		if (code == ERR_OK) /* another one may have, and may have gone on */
			code = delta_table_follow(table, err);
	}
	if (code == ERR_OK)
		delta_table_seen(table);
	if (code != ERR_OK || !table->schema)
		return code;
	if (table->columns == DELTA_COLUMNS_EVOLVE)
		return delta_table_evolve(table, err);
	code = delta_table_check_writable(table, err);
	if (code == ERR_OK && table->columns == DELTA_COLUMNS_SAME)
		code = delta_table_check_columns(table, err);
	return code;
}

enum err_code delta_open(struct store *store, const char *root,
			 const struct delta_options *options, struct delta_table **ret_table,
			 struct err *err)
{
	struct delta_table *table = delta_table_new(store, root, options);
	struct err failure = { 0 };	/* on the way to success there may be some */
	bool newest = options->at.kind == DELTA_AT_NEWEST;
	enum err_code code;

	assert(newest || !options->create);
	code = newest ? delta_open_table(table, &failure)
		      : delta_table_load_at(table, options->at, &failure);
	if (code == ERR_OK) {
		*ret_table = table;
	} else {
		delta_close(table);
		*err = failure;
	}
	return code;
}

/* Up to a version that is not there. */
static enum err_code follow_on(struct delta_table *table, struct err *err)
{
	int64_t asked_ms;
	enum err_code code;

	do {
		asked_ms = clock_boot_ms();
		buf_clear(&table->text);
		code = delta_table_get_commit(table, table->state.version + 1, &table->text, err);
		if (code == ERR_OK)
			code = apply_commit(table, table->state.version + 1,
					    buf_slice(&table->text), err);
	} while (code == ERR_OK);
	delta_state_close_gaps(&table->state);
	if (code == ERR_ABSENT && delta_table_is_sure(table))
		table->sure_ms = asked_ms;
	return code == ERR_ABSENT ? ERR_OK : code;
}

/* To have read thousands of versions may have taken long. */
enum err_code delta_table_follow(struct delta_table *table, struct err *err)
{
	enum err_code code = ERR_OK;

	for (int tries = 0; tries < FOLLOW_TRIES; tries++) {
		code = delta_table_ensure(table, err);
		if (code == ERR_OK)
			code = follow_on(table, err);
		if (code != ERR_OK || delta_table_is_sure(table))
			return code;
	}
	return err_set(err, ERR_TIMEOUT,
		       "table \"%s\": the store is too slow to tell which version is "
		       "the last",
		       table->root);
}

enum err_code delta_refresh(struct delta_table *table, struct err *err)
{
	struct err failure;
	enum err_code code;

	if (table->upto < INT64_MAX)
		return ERR_OK;
	code = delta_table_follow(table, &failure);
	if (code != ERR_OK)
		*err = failure;
	return code;
}

int64_t delta_version(const struct delta_table *table)
{
	return table->state.version;
}

int64_t delta_txn_version(const struct delta_table *table, const char *app_id)
{
	return table ? delta_state_app_version(&table->state, app_id) : -1;
}

void delta_each_app(const struct delta_table *table, bool (*each)(void *user, const char *app_id),
		    void *user)
{
	for (size_t i = 0; i < table->state.app_count; i++)
		if (!each(user, table->state.apps[i].id))
			return;
}

size_t delta_file_count(const struct delta_table *table)
{
	assert(table->state.gap_count == 0);
	return table->state.file_count;
}

const struct delta_add *delta_file(const struct delta_table *table, size_t i)
{
	assert(table->state.gap_count == 0);
	return &table->state.files[i].add;
}

uint64_t delta_rows(const struct delta_table *table)
{
	return table->state.rows;
}
