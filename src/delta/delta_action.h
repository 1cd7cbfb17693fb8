/*
 * delta_action.h - the actions of a Delta log, as one commit or one checkpoint
 * holds them (PROTOCOL.md, "Actions"), and the JSON of a commit.
 *
 * Only what a reader and a blind appender need is kept. Actions and members
 * that are not known are passed over, as the protocol asks; what makes a table
 * unreadable to us is an error.
 *
 * Ownership: a struct delta_actions owns its texts until delta_state_apply()
 * takes them.
 */
#ifndef DELTA_DELTA_ACTION_H
#define DELTA_DELTA_ACTION_H

#include "base/json.h"
#include "delta/delta.h"

enum {
	DELTA_UUID_SIZE = 37,	   /* with its NUL */
	DELTA_FEATURES_SIZE = 200, /* more names than that are cut off */
	DELTA_PARTS_MAX = 128,	   /* of a checkpoint */
	DELTA_INFO_SIZE = 64,	   /* longer words of commitInfo are cut off */
};

struct delta_protocol {
	int64_t reader;			/* 0: the commit holds no protocol */
	int64_t writer;
	char reader_features[DELTA_FEATURES_SIZE];	/* names with a blank between */
	char writer_features[DELTA_FEATURES_SIZE];
};

/* One name more, as far as there is room. */
void delta_add_feature(char features[static DELTA_FEATURES_SIZE], struct slice name);

struct delta_setting {
	char *key;
	char *value;
};

struct delta_settings {
	struct delta_setting *items;
	size_t count;
};

void delta_settings_release(struct delta_settings *settings);

struct delta_metadata {
	char *id;
	char *name;			/* or NULL */
	char *description;		/* or NULL */
	char *provider;			/* "parquet" */
	struct delta_settings options;	/* of the provider */
	char *schema;			/* schemaString: JSON text */
	char *partitioned_by;		/* the first partition column; NULL: none */
	struct delta_settings settings;	/* configuration */
	int64_t created_ms;		/* -1: not given */
};

struct delta_remove {
	char *path;			/* as in struct delta_add */
	int64_t deleted_ms;		/* -1: no tombstone, a later add took its place */
	int64_t size;			/* -1: not given */
};

struct delta_app {
	char *id;
	int64_t version;
	int64_t updated_ms;		/* -1: not given */
};

struct delta_actions {
	struct delta_protocol protocol;
	struct delta_metadata *metadata;	/* or NULL */
	struct delta_add *adds;
	size_t add_count;
	struct delta_remove *removes;
	size_t remove_count;
	struct delta_app *apps;
	size_t app_count;
	bool data_change;		/* of one of the adds and removes */
	uint64_t tombstones;		/* of a checkpoint, whose removes are not read */
	int64_t timestamp_ms;		/* commitInfo.timestamp; 0: not given */
	int64_t read_version;		/* commitInfo.readVersion; -1: not given */
	char txn_id[DELTA_UUID_SIZE];	/* commitInfo.txnId; "": none */
	char operation[DELTA_INFO_SIZE]; /* commitInfo.operation; "": not given */
	char engine[DELTA_INFO_SIZE];	 /* commitInfo.engineInfo, or clientVersion */
};

void delta_actions_release(struct delta_actions *actions);
void delta_metadata_free(struct delta_metadata *metadata);	/* accepts NULL */

/* Add a zeroed element and return it; later additions move it. */
struct delta_add *delta_actions_new_add(struct delta_actions *actions);
struct delta_remove *delta_actions_new_remove(struct delta_actions *actions);
struct delta_app *delta_actions_new_app(struct delta_actions *actions);
struct delta_setting *delta_settings_new(struct delta_settings *settings);

/* The value of a setting; NULL: it is not set. */
const char *delta_setting(const struct delta_metadata *metadata, const char *key);

/* Reads texts of one commit after the other. */
struct delta_reader {
	struct json_parser *line;
	struct json_parser *stats;
};

void delta_reader_init(struct delta_reader *reader);
void delta_reader_release(struct delta_reader *reader);
/* ERR_CORRUPT names the line. On failure *ret_actions is untouched. */
MUST_USE enum err_code delta_reader_parse(struct delta_reader *reader, struct slice text,
					  struct delta_actions *ret_actions, struct err *err);
/* numRecords of a stats text; 0 if it has none. */
uint64_t delta_reader_rows(struct delta_reader *reader, struct slice stats);
/* Decode the path of an add or remove. ERR_UNSUPPORTED: absolute; ERR_CORRUPT: no path. */
MUST_USE enum err_code delta_path_decode(struct slice encoded, char **ret_path, struct err *err);

/* Write one line each; paths are URI-encoded (RFC 2396). */
void delta_put_path(struct buf *out, const char *path);
/* `data_change` false: the same rows in other files. */
void delta_put_add(struct buf *out, const struct delta_add *add, bool data_change);
void delta_put_remove(struct buf *out, const struct delta_add *gone, bool data_change,
		      int64_t now_ms);
void delta_put_txn(struct buf *out, const struct delta_txn *txn, int64_t now_ms);
/* All of it that the protocol knows, but with this schema (JSON text, not yet quoted). */
void delta_put_metadata(struct buf *out, const struct delta_metadata *metadata,
			struct slice schema);

/* A random UUID (version 4). */
void delta_uuid(char out[static DELTA_UUID_SIZE]);

#endif
