/*
 * delta_attempt.c - writing a version: a put that only one can win.
 *
 *	   ┌──────────────── lost: others hold the version ────────────────┐
 *	   ▼                                                               │
 *	its text ─► put <version + 1>.json, create-only ─► ours? ─► read up to the head
 *	   │         ▲              │                  │
 *	   │         └── not there ─┴─ unknown ────────┘ by commitInfo.txnId
 *	   └─► by the caller's look at the table: there is none, or it may not be
 *
 * A put whose answer was lost may come through later. So it is only ever
 * repeated with the same bytes under the same version until that version is
 * held, by us or by another; only then the next version is tried.
 *
 * A version that was won long after it was known to be the next may be one of
 * those that were cleaned up (delta_table.h): then it counts for nobody, and it
 * was lost.
 */
#include "base/backoff.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/time.h"
#include "delta/delta_attempt.h"
#include "delta/delta_retention.h"

#include <errno.h>
#include <inttypes.h>

enum {
	TRIES_MAX = 60,
	WAIT_FIRST_MS = 10,
	WAIT_MAX_MS = 1000,
	PRESENT_MS = 10000,
	KEPT_MS = 3600000,
};

/* Who has written the next version. */
enum delta_outcome { DELTA_WON, DELTA_LOST, DELTA_OPEN };

/* Begin the text of another version. Time in the log never goes back. */
static void attempt_begin(struct delta_attempt *attempt, const struct delta_table *table)
{
	int64_t now_ms = clock_wall_ms();

	attempt->timestamp_ms = now_ms > table->state.timestamp_ms ? now_ms
								   : table->state.timestamp_ms + 1;
	attempt->unknown = false;
	buf_clear(&attempt->text);
}

void delta_attempt_put_info(struct delta_attempt *attempt, const char *operation,
			    const char *parameters, bool blind_append, struct slice more)
{
	struct buf *out = &attempt->text;

	buf_addf(out, "{\"commitInfo\":{\"timestamp\":%" PRId64 ",\"operation\":",
		 attempt->timestamp_ms);
	json_put_string(out, slice_str(operation));
	buf_addf(out,
		 ",\"operationParameters\":%s,\"isBlindAppend\":%s,"
		 "\"engineInfo\":\"pinpipe/" PINPIPE_VERSION "\",\"txnId\":\"%s\"",
		 parameters, blind_append ? "true" : "false", attempt->txn_id);
	if (more.len > 0) {
		buf_add_char(out, ',');
		buf_add_slice(out, more);
	}
	buf_add_str(out, "}}\n");
}

/* ---- One version ---- */

/* The state goes on to the next version, whose actions are these. */
static enum err_code attempt_settle(struct delta_table *table, const struct delta_attempt *attempt,
				    struct delta_actions *actions, enum delta_outcome *ret_outcome,
				    struct err *err)
{
	bool own = strcmp(actions->txn_id, attempt->txn_id) == 0;
	enum err_code code = delta_table_advance(table, actions, err);

	delta_state_close_gaps(&table->state);
	if (code == ERR_OK)
		*ret_outcome = own ? DELTA_WON : DELTA_LOST;
	return code;
}

/* Who holds the next version: we, another, or nobody yet? */
static enum err_code attempt_look(struct delta_table *table, const struct delta_attempt *attempt,
				  enum delta_outcome *ret_outcome, struct err *err)
{
	struct delta_actions actions = { 0 };
	enum err_code code =
		delta_table_read_commit(table, table->state.version + 1, &actions, err);

	if (code == ERR_ABSENT) {
		*ret_outcome = DELTA_OPEN;
		return ERR_OK;
	}
	if (code == ERR_OK)
		code = attempt_settle(table, attempt, &actions, ret_outcome, err);
	delta_actions_release(&actions);
	return code;
}

static enum err_code attempt_put(struct delta_table *table, struct delta_attempt *attempt,
				 struct err *err)
{
	int sys = FAILPOINT("delta-before-commit");
	struct buf key;
	enum err_code code;

	if (sys != 0) {
		errno = sys;
		return err_errno(err, "failpoint delta-before-commit");
	}
	buf_init(&key, STORE_KEY_MAX);
	attempt->asked_ms = clock_boot_ms();
	code = store_put(table->store,
			 delta_table_commit_key(table, &key, table->state.version + 1),
			 buf_slice(&attempt->text), STORE_CREATE, err);
	buf_release(&key);
	if (code == ERR_OK && FAILPOINT("delta-committed") != 0)
		code = err_set(err, ERR_UNKNOWN, "failpoint delta-committed");
	return code;
}

/*
 * Put if absent, then look who is there: after an unknown outcome a version
 * that exists may be our own, and only its content tells.
 */
static enum err_code attempt_decide_how(struct delta_table *table, struct delta_attempt *attempt,
					struct delta_actions *actions,
					enum delta_outcome *ret_outcome, struct err *err)
{
	struct backoff backoff = { .first_ms = WAIT_FIRST_MS, .max_ms = WAIT_MAX_MS };
	enum err_code code = ERR_OK;

	for (int tries = 0; tries < TRIES_MAX; tries++) {
		code = attempt_put(table, attempt, err);
		if (code == ERR_OK)
			return attempt_settle(table, attempt, actions, ret_outcome, err);
		attempt->unknown |= code == ERR_UNKNOWN;
		if (code != ERR_EXISTS && !attempt->unknown)
			return code;
		code = attempt_look(table, attempt, ret_outcome, err);
		if (code == ERR_OK && *ret_outcome != DELTA_OPEN)
			return ERR_OK;
		if (code == ERR_CORRUPT || code == ERR_UNSUPPORTED)
			return code;
		clock_sleep_ms(backoff_next_ms(&backoff));
	}
	return err_set(err, attempt->unknown ? ERR_UNKNOWN : ERR_BUSY,
		       "table \"%s\": could not find "
		       "out who wrote version %" PRId64,
		       table->root, table->state.version + 1);
}

/*
 * The state is at the version that was won. Where that was below a checkpoint by then the state is
 * the table's latest, which has the attempt's last file only if it counts after all.
 */
static enum err_code attempt_confirm(struct delta_table *table, const struct delta_attempt *attempt,
				     bool has_files, enum delta_outcome *ret_outcome,
				     struct err *err)
{
	const struct delta_state *state = &table->state;
	int64_t version = state->version;
	enum err_code code;
	char *path;
	size_t at;

	if (delta_table_is_sure(table)) {
		table->sure_ms = attempt->asked_ms;
		return ERR_OK;
	}
	path = has_files ? xstrdup(state->files[state->file_count - 1].add.path) : NULL;
	code = delta_table_ensure(table, err);
	if (code == ERR_OK && state->version != version)
		*ret_outcome = path && delta_map_get(&state->by_path, path, &at) ? DELTA_WON
										 : DELTA_LOST;
	else if (code != ERR_OK && code != ERR_CORRUPT)
		err->code = code = ERR_UNKNOWN;
	free(path);
	return code;
}

/* Write the attempt as the next version. ERR_OK: it is WON or LOST, and the state is at it or
 * beyond. Any other code: nothing was written, but ERR_UNKNOWN. */
static enum err_code attempt_decide(struct delta_table *table, struct delta_attempt *attempt,
				    enum delta_outcome *ret_outcome, struct err *err)
{
	struct delta_actions actions = { 0 };
	enum err_code code;
	bool has_files;

	if (!store_can(table->store, STORE_CAN_CREATE_ONLY))
		return err_set(err, ERR_UNSUPPORTED,
			       "table \"%s\": the store lets several writers "
			       "create the same object, so a commit could be lost: no table can be "
			       "written there",
			       table->root);
	if (buf_full(&attempt->text))
		return err_set(err, ERR_LIMIT, "a commit of more than %d bytes", COMMIT_BYTES_MAX);
	/* What cannot be read back must not get into the log. */
	code = delta_reader_parse(&table->reader, buf_slice(&attempt->text), &actions, err);
	if (code != ERR_OK) {
		(void)err_prefix(err, "the commit cannot be written");
		return err->code = ERR_SHAPE;
	}
	has_files = actions.add_count > 0;
	code = attempt_decide_how(table, attempt, &actions, ret_outcome, err);
	if (code == ERR_OK && *ret_outcome == DELTA_WON)
		code = attempt_confirm(table, attempt, has_files, ret_outcome, err);
	delta_actions_release(&actions);
	return code;
}

/* ---- What is looked at first ---- */

/* To look is a request, of a service, for what hardly ever is; there it is done now and then. */
void delta_table_seen(struct delta_table *table)
{
	table->present_version = table->state.version;
	if (store_at_once(table->store) > 1)
		table->present_until_ms = clock_mono_ms() + PRESENT_MS;
}

/* The end as it was at the last look: what came after that may be our own, put into a log that was
 * gone already. Of a look long ago it may have been cleaned away. */
static int64_t attempt_version_to_look_for(const struct delta_table *table)
{
	bool lately = table->present_until_ms != 0 &&
		      clock_mono_ms() - table->present_until_ms < KEPT_MS;

	return lately ? table->present_version : table->state.version;
}

/* A log whose end is gone was removed or made anew, unless it was cleaned up: a version put into it
 * would break it. */
enum err_code delta_table_check_present(struct delta_table *table, struct err *err)
{
	uint64_t size;
	int64_t version;
	struct buf key;
	enum err_code code = delta_table_ensure(table, err);

	if (code != ERR_OK || clock_mono_ms() < table->present_until_ms)
		return code;
	version = attempt_version_to_look_for(table);
	buf_init(&key, STORE_KEY_MAX);
	code = store_size(table->store, delta_table_commit_key(table, &key, version), &size, err);
	if (code == ERR_ABSENT && table->state.checkpoint >= version)
		code = store_size(table->store, delta_checkpoint_key(table, &key, version), &size,
				  err);
	buf_release(&key);
	if (code == ERR_ABSENT)
		code = delta_table_reload(table, err);
	if (code == ERR_OK)
		delta_table_seen(table);
	return code;
}

enum err_code delta_attempt_check_files(const struct delta_table *table,
					const struct delta_add *adds, size_t count, struct err *err)
{
	int64_t kept_ms = delta_retention_files_ms(table->state.metadata);
	int64_t now_ms = clock_boot_ms();

	for (size_t i = 0; i < count; i++) {
		const struct delta_add *add = &adds[i];

		if (add->made_ms && now_ms - add->made_ms > kept_ms / DELTA_AGE_SHARE)
			return err_set(err, ERR_EXPIRED,
				       "table \"%s\": file \"%s\" was put %" PRId64
				       " s ago, so long that a clean-up may take it",
				       table->root, add->path, (now_ms - add->made_ms) / 1000);
	}
	return ERR_OK;
}

/* ---- One version after the other ---- */

static enum err_code attempt_somewhere(struct delta_table *table, struct delta_attempt *attempt,
				       delta_attempt_put_fn *put, const void *user, struct err *err)
{
	struct backoff backoff = { .first_ms = WAIT_FIRST_MS, .max_ms = WAIT_MAX_MS };

	for (int tries = 0; tries < TRIES_MAX; tries++) {
		enum delta_outcome outcome = DELTA_LOST;
		enum err_code code;

		attempt_begin(attempt, table);
		code = put(table, user, attempt, err);
		if (code != ERR_OK || attempt->text.len == 0)
			return code;
		code = attempt_decide(table, attempt, &outcome, err);
		if (code != ERR_OK || outcome == DELTA_WON)
			return code;
		clock_sleep_ms(backoff_next_ms(&backoff));
		code = delta_table_follow(table, err);
		if (code != ERR_OK)
			return code;
	}
	return err_set(err, ERR_BUSY, "table \"%s\": lost %d versions to other writers",
		       table->root, TRIES_MAX);
}

enum err_code delta_attempt_run(struct delta_table *table, delta_attempt_put_fn *put,
				const void *user, struct err *err)
{
	struct delta_attempt attempt = { 0 };
	enum err_code code;

	buf_init(&attempt.text, COMMIT_BYTES_MAX);
	delta_uuid(attempt.txn_id);
	code = attempt_somewhere(table, &attempt, put, user, err);
	buf_release(&attempt.text);
	return code;
}

enum err_code delta_attempt_commit(struct delta_table *table, delta_attempt_put_fn *put,
				   const void *user, int64_t *ret_version, struct err *err)
{
	struct err failure = { 0 }; /* on the way to success there may be some */
	enum err_code code = delta_table_check_present(table, &failure);

	if (code == ERR_OK)
		code = delta_attempt_run(table, put, user, &failure);
	if (code != ERR_OK) {
		*err = failure;
		return code;
	}
	*ret_version = table->state.version;
	delta_checkpoint_if_due(table, table->checkpoint_times);
	return ERR_OK;
}
