/*
 * delta_table.h - what an open table consists of, for the files of this layer.
 */
#ifndef DELTA_DELTA_TABLE_H
#define DELTA_DELTA_TABLE_H

#include "sql/duck.h"
#include "delta/delta_state.h"

enum {
	DELTA_KEEP_MIN_MS = 60000, /* no clean-up takes what is younger */
	DELTA_SURE_MS = DELTA_KEEP_MIN_MS / 4,
	DELTA_AGE_SHARE = 4, /* of the time that files are kept: no older one is committed */
	COMMIT_BYTES_MAX = 256 << 20,
	CHECKPOINT_BYTES_MAX = 1 << 30,
};

struct delta_table {
	struct store *store;
	char *root;
	const struct delta_schema *schema;	/* the caller's: what a writer needs, or NULL */
	enum delta_columns columns;
	const char *name;
	bool checkpoints;
	uint32_t checkpoint_interval;
	int64_t upto;				/* the last version that is read */
	int64_t look_back;
	uint32_t checkpoint_times;		/* so often overdue is due */
	int64_t keep_files_ms, keep_log_ms;	/* for its creation; 0: none */
	const char *description;		/* likewise; NULL: none, and no name */
	int64_t checkpoint_not_before;		/* version; after a checkpoint that failed */
	int64_t present_until_ms;		/* its log is taken to be there; … */
	int64_t present_version;		/* … then it is to have this, which it had */
	int64_t sure_ms;			/* clock_boot_ms(): see delta_table_is_sure() */
	struct delta_state state;
	struct delta_reader reader;
	struct duck duck;			/* opened for the first checkpoint */
	struct buf text;			/* of the commit at hand; its memory is kept */
};

/* "<root>/_delta_log/<version>.json", in `out`, which is cleared first. */
const char *delta_table_commit_key(const struct delta_table *table, struct buf *out,
				   int64_t version);

MUST_USE struct delta_table *delta_table_new(struct store *store, const char *root,
					     const struct delta_options *options);
/* A user's word for it. */
const char *delta_table_name(const struct delta_table *table);
/* The text of one version, appended. Any thread may. ERR_ABSENT: there is none. */
MUST_USE enum err_code delta_table_get_commit(const struct delta_table *table, int64_t version,
					      struct buf *out, struct err *err);
MUST_USE enum err_code delta_table_parse_commit(struct delta_table *table, int64_t version,
						struct slice text,
						struct delta_actions *ret_actions, struct err *err);
/* What a file of `_delta_log` is, by its name; NOTHING: of no version, or of a kind that we do not
 * know. */
enum delta_log_kind {
	DELTA_LOG_COMMIT,
	DELTA_LOG_CHECKPOINT,	    /* classic, of that many parts; 0: one file */
	DELTA_LOG_OTHER_CHECKPOINT, /* V2 */
	DELTA_LOG_BESIDE,	    /* a checksum */
	DELTA_LOG_NOTHING,
};
enum delta_log_kind delta_log_name(const char *name, int64_t *ret_version, uint32_t *ret_parts);

/* The actions of one version; ERR_ABSENT: the log ends before it. */
MUST_USE enum err_code delta_table_read_commit(struct delta_table *table, int64_t version,
					       struct delta_actions *ret_actions, struct err *err);
/* Forget all and read the table anew; ERR_ABSENT: there is none. */
MUST_USE enum err_code delta_table_load(struct delta_table *table, struct err *err);
/* The same up to this version, which is kept (delta_table_kept()). */
MUST_USE enum err_code delta_table_load_upto(struct delta_table *table, int64_t version,
					     struct err *err);
/* Read what others committed since. Of what they have cleaned up a checkpoint tells. */
MUST_USE enum err_code delta_table_follow(struct delta_table *table, struct err *err);
/* For who found that the log lacks the state's version: cleaned up, or (ERR_CORRUPT) it is gone. */
MUST_USE enum err_code delta_table_reload(struct delta_table *table, struct err *err);
/*
 * The log is cleaned up at its old end while others go on at its new one. Whoever has not looked at
 * it for long may have a version after which the next ones are gone: the place of the next would
 * be free, and a commit put there be lost, as readers begin at a checkpoint beyond it. So what is
 * not there proves something only for DELTA_SURE_MS after the state's version was known to be the
 * log's; after that _ensure() lists what follows, and reads the table anew where a checkpoint is
 * beyond it. What is cleaned up was there for DELTA_KEEP_MIN_MS at least.
 */
bool delta_table_is_sure(const struct delta_table *table);
MUST_USE enum err_code delta_table_ensure(struct delta_table *table, struct err *err);
/* Put the actions of the next version into the state, or refuse them: then it is as before. Gaps
 * among its files are closed by who calls it, after the last one (delta_state_close_gaps()). */
MUST_USE enum err_code delta_table_advance(struct delta_table *table, struct delta_actions *actions,
					   struct err *err);
/* As the table is now: that we may write it at all, and that it has just the writer's columns. */
MUST_USE enum err_code delta_table_check_writable(struct delta_table *table, struct err *err);
MUST_USE enum err_code delta_table_check_columns(struct delta_table *table, struct err *err);

/* ---- delta_at.c ---- */

/* The versions that can be read. */
struct delta_kept {
	int64_t oldest;
	int64_t newest;
};

/* ERR_ABSENT: there is no table. The state does not matter, and stays as it is. */
MUST_USE enum err_code delta_table_kept(struct delta_table *table, struct delta_kept *ret_kept,
					struct err *err);
/* The first of them alone. */
MUST_USE enum err_code delta_table_oldest(struct delta_table *table, int64_t *ret_oldest,
					  struct err *err);
/* When a version was committed: by commitInfo's timestamp; without one, by its object's. */
MUST_USE enum err_code delta_table_time_of(struct delta_table *table, int64_t version,
					   int64_t *ret_ms, struct err *err);
/* Load what is asked for. */
MUST_USE enum err_code delta_table_load_at(struct delta_table *table, struct delta_at at,
					   struct err *err);

/* ---- delta_attempt.c ---- */

/* Its log was there just now. */
void delta_table_seen(struct delta_table *table);

/* ---- delta_commit.c ---- */

/* Write version 0, or load what another one created meanwhile. */
MUST_USE enum err_code delta_table_create(struct delta_table *table, struct err *err);
/* A commit of other metadata, which others' commits meanwhile may make needless. */
struct delta_amendment {
	const char *operation;
	enum err_code (*look)(struct delta_table *table, const void *user, bool *ret_needed,
			      struct err *err);
	enum err_code (*put)(struct delta_table *table, const void *user, struct buf *out,
			     struct err *err);
	const void *user;
};
MUST_USE enum err_code delta_table_amend(struct delta_table *table,
					 const struct delta_amendment *amendment, struct err *err);
/* Add the columns that the writer has and the table lacks, if that is all the difference. */
MUST_USE enum err_code delta_table_evolve(struct delta_table *table, struct err *err);

/* ---- delta_checkpoint.c ---- */

/* Version of the newest one by `_last_checkpoint`, which is a hint only; -1: none. */
int64_t delta_checkpoint_last(struct delta_table *table);
/* "<root>/_delta_log/<version>.checkpoint.parquet" */
const char *delta_checkpoint_key(const struct delta_table *table, struct buf *out, int64_t version);
/* Adds the files that were removed after this time, as the checkpoint has them that the state
 * rests on. ERR_CORRUPT: it is gone. */
MUST_USE enum err_code delta_checkpoint_tombstones(struct delta_table *table, int64_t after_ms,
						   struct delta_actions *actions, struct err *err);
/* `parts`: of how many files it is, 0 for the one of that key. ERR_CORRUPT: unreadable, or gone. */
MUST_USE enum err_code delta_checkpoint_read(struct delta_table *table, int64_t version,
					     uint32_t parts, struct delta_actions *ret_actions,
					     struct err *err);
#endif
