/*
 * lake.h - the names and contents of what lies in the lake.
 *
 *	topics/<topic>/partition=<p>/<topic>+<p>+<start offset, 10 digits>.json
 *	topics/<topic>/generation=<g>/partition=<p>/…
 *	topics/<topic>/[generation=<g>/]<path>/<topic>+<p>+<start>[.<number>][.keys|.headers].json[.gz]
 *	manifests/<topic>/…			see manifest.h, group.h, history.h
 *	dlq/<topic>/partition=<p>/<from>-<upto>….ndjson		(dlq_key.h)
 *	tables/<id>_<table>_clean | <id>_<table>_table
 *	results/<analysis>.json|csv|parquet, results/runs/<run>.json
 *
 * The first line follows Confluent's S3 sink connector (DefaultPartitioner,
 * JsonFormat, schemaless). An object holds one value a line; the n-th line is
 * the record at start offset + n, so the object itself tells where it ends,
 * unless a manifest tells which offsets its lines have. The others are those of the
 * same connector with other options (TimeBasedPartitioner, gzip, keys and headers
 * beside the values), which here are always named by a group's manifest; but
 * packed ones below partition=<p> may be the connector's own. Offsets are counted
 * here and nowhere above it: lake_offset() and lake_position() lead in and out.
 *
 * A topic that was made anew, and whose offsets began again, goes on as the next
 * generation, if it is told to; the first one is not named.
 *
 * A dead letter object holds one JSON object a line:
 *	{"topic":…,"partition":"0","offset":"00000000000000000005","stage":"sink|batch|stream",
 *	 "table":"clicks","reason":…,"timestamp_ms":…,"value":"<base64 of the raw bytes>"}
 * (value null: a tombstone, or, with "last" beside "offset", a range of records that were lost; no
 * table: of the sink, or older than tables were named; timestamp_ms the record's, 0 where it is not
 * known). Of a stream, <p> is the shard ("shardId-000000000000") and offset the sequence number.
 */
#ifndef FLOW_LAKE_H
#define FLOW_LAKE_H

#include "base/buf.h"
#include "broker/broker.h"
#include "engine/model.h"
#include "store/store.h"

/* How long a table keeps data files and commits that its latest version does not need, and after
 * how many commits it gets a checkpoint; 0: as whoever made it has it, as its size pays for. */
struct lake_keep {
	int64_t files_ms, log_ms;
	uint32_t checkpoint_commits;
};

/* A clean model's table on one of the paths. */
struct lake_table {
	const struct clean_model *model;
	enum topic_kind kind; /* TOPIC_LOG: the batch path; TOPIC_STREAM: the streaming path */
	char topic[TOPIC_NAME_MAX + 1];	   /* "<id>.<table>" or "streaming-<id>-<table>" */
	char root[STORE_KEY_MAX / 2];	   /* "tables/<id>_<table>_clean" or "…_table" */
	const struct clean_shared *shared; /* the tables of that topic */
};

/* ERR_USAGE: with this id a name is none that a topic, a stream or a key can have. */
MUST_USE enum err_code lake_table_init(struct lake_table *table, const struct clean_model *model,
				       enum topic_kind kind, const char *id, struct err *err);
/* All of a path, in order of name; the caller frees *ret_tables (models->clean_count). */
MUST_USE enum err_code lake_tables_new(const struct models *models, enum topic_kind kind,
				       const char *id, struct lake_table **ret_tables,
				       struct err *err);
struct topic_ref lake_table_topic(const struct lake_table *table);
/* Whether it is the first of those that share its topic. */
bool lake_table_leads(const struct lake_table *table);

/* A partition of one of a topic's generations. */
struct lake_partition {
	const char *topic;
	int32_t id;
	uint32_t generation;	/* 0 or 1: the first */
};

enum { LAKE_APP_ID_MAX = TOPIC_NAME_MAX + 90 };
/*
 * The id under which a table's `txn` says how far a partition is: "pinpipe/batch/<topic>/<partition>",
 * "pinpipe/stream/<stream>/<shard>/<uid of the stream>", and "/g0002" after it in the second
 * generation. The batch path reads objects, which tell no uid.
 */
void lake_app_id(char app_id[LAKE_APP_ID_MAX], enum topic_kind kind, struct lake_partition where,
		 const char *uid);

enum { LAKE_GENERATIONS_MAX = 9999 };

/* The number that the text of a topic's position is. False: more than 63 bits. */
bool lake_offset(struct position position, uint64_t *ret);
struct position lake_position(uint64_t offset);
enum { LAKE_OFFSET_TEXT_MAX = POSITION_TEXT_MAX + 8 };
/* As a row's _offset has it: 20 digits, with "g0002-" before them from the second generation on, so
 * that text order is the order of a partition's records. NUL at the end; returns its length. */
size_t lake_offset_text(uint32_t generation, uint64_t offset, char text[LAKE_OFFSET_TEXT_MAX]);

/*
 * Keys end up in `out`, which is cleared first. Start offsets of more than ten digits are simply
 * longer, so from there on the order of keys is not that of offsets: lake_list_objects() knows.
 */
void lake_object_prefix(struct buf *out, struct lake_partition where);
void lake_object_key(struct buf *out, struct lake_partition where, uint64_t start);
/* "<place>/<topic>/partition=<p>/", with the generation from the second on. */
void lake_partition_prefix(struct buf *out, const char *place, struct lake_partition where);

/* A folder one level below "<place>/<topic>/", or below a generation's there. */
enum lake_folder { LAKE_FOLDER_OTHER, LAKE_FOLDER_GENERATION, LAKE_FOLDER_PARTITION };
/* What the key of such a one names goes into *where: the generation and, of a partition's, the
 * number. */
enum lake_folder lake_folder_parse(const char *key, struct lake_partition *where);

struct lake_object_name {
	struct slice topic;
	int32_t partition;
	uint32_t generation; /* at least 1 */
	uint64_t start;
};
/* False: not the name of an object of the lake. */
bool lake_object_parse(const char *key, struct lake_object_name *ret);

/* "topics/<topic>/[generation=<g>/]<path>/<topic>+<p>+<start>[.<number>].json[.gz]"; number 0: it
 * has none. Others have that of their group's manifest, since the name without it is taken
 * (group.h). */
void lake_file_key(struct buf *out, struct lake_partition where, const char *path, uint64_t start,
		   uint32_t number, bool packed);
/* The path of objects that are in no time's: "partition=<p>". */
enum { LAKE_PATH_MAX = 400 };
void lake_plain_path(char path[LAKE_PATH_MAX], struct lake_partition where);

/* Any file that the sink, or Confluent's, puts below topics/. */
struct lake_file_name {
	struct slice topic;
	struct slice path;
	int32_t partition;
	uint32_t generation; /* at least 1 */
	uint64_t start;
	uint32_t number;   /* 0: none */
	struct slice side; /* "keys" or "headers"; null: the values */
	bool packed;
	bool plain; /* its path is that of its partition */
};
bool lake_file_parse(const char *key, struct lake_file_name *ret);
/* Of "manifests/<topic>/[generation=<g>/]partition=<p>/…"; *ret_name: what follows that. */
bool lake_manifest_parse(const char *key, struct lake_object_name *ret, struct slice *ret_name);

/* An object as it is listed. */
struct lake_entry {
	uint64_t start; /* offset of its first record */
	uint64_t size;	/* bytes; 0: it holds nothing, whoever put it there */
	bool packed;	/* by gzip; the size is that of the file */
	uint64_t version;    /* struct store_entry's, … */
	int64_t modified_ms; /* … and this, too */
};
void lake_entry_key(struct buf *out, struct lake_partition where, const struct lake_entry *entry);
/*
 * Call `each` for the objects below partition=<p> that begin after offset `after` (-1: for all), in
 * the order of their offsets however many digits those have, until it returns false. From a
 * partition's first group on they tell nothing by themselves (group.h).
 */
MUST_USE enum err_code lake_list_objects(struct store *store, struct lake_partition where,
					 int64_t after,
					 bool (*each)(void *user, const struct lake_entry *entry),
					 void *user, struct err *err);

#endif
