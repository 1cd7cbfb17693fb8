/*
 * metrics.h - everything that the program counts, declared once with its help text: METRIC_TABLE,
 * HISTOGRAM_TABLE, and SERIES_TABLE for what is counted by topic, stream or table. /metrics
 * (Prometheus text format 0.0.4), `pinpipe status` and docs/reference.md are printed from them.
 *
 * Where they are kept, and what others see of them, is for registry.h. Once a process has joined
 * that, an update is a relaxed atomic on a mapped page, as before it is on one of its own.
 *
 * Threads: any.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"
#include "base/histogram.h"

/*
 * COUNTER: never falls, also when its process is started again. EACH: one that several kinds of
 * processes move, told of each, by the label `process`. GAUGE: of what lives. Rows of one name, by
 * a label, stand together, and the first has the help.
 *
 *	id                      name                                    type     help
 */
#define METRIC_TABLE(X) \
	X(METRIC_REQUESTS_2XX, "pinpipe_http_requests_2xx_total", COUNTER, \
	  "Requests answered with a 2xx status") \
	X(METRIC_REQUESTS_4XX, "pinpipe_http_requests_4xx_total", COUNTER, \
	  "Requests answered with a 4xx status") \
	X(METRIC_REQUESTS_5XX, "pinpipe_http_requests_5xx_total", COUNTER, \
	  "Requests answered with a 5xx status") \
	X(METRIC_CONNECTIONS, "pinpipe_http_connections", GAUGE, "Open client connections") \
	X(METRIC_REFUSED, "pinpipe_http_connections_refused_total", COUNTER, \
	  "Connections closed at once because a limit was reached") \
	X(METRIC_UNTOLD, "pinpipe_http_answers_lost_total", COUNTER, \
	  "Answers whose client left before it had all of them: stored or not, it does not know") \
	X(METRIC_RECORDS, "pinpipe_records_appended_total", COUNTER, \
	  "Records made durable in the log") \
	X(METRIC_RECORD_BYTES, "pinpipe_record_bytes_appended_total", COUNTER, \
	  "Bytes of keys and values made durable in the log") \
	X(METRIC_APPEND_BUSY, "pinpipe_append_busy_total", COUNTER, \
	  "Appends refused because too many bytes were in flight") \
	X(METRIC_APPEND_FAILED, "pinpipe_append_failed_total", COUNTER, \
	  "Records whose append failed or whose outcome is unknown") \
	X(METRIC_COMMITS, "pinpipe_log_commits_total", COUNTER, "Group commits (one sync each)") \
	X(METRIC_COMMIT_US, "pinpipe_log_commit_microseconds_total", COUNTER, \
	  "Time spent in group commits, in microseconds") \
	X(METRIC_BROKER_CALLS, "pinpipe_broker_calls_total", EACH, \
	  "Calls of the broker that may take long: topics, groups, seeks") \
	X(METRIC_BROKER_CALL_US, "pinpipe_broker_call_microseconds_total", EACH, \
	  "Time spent in them, in microseconds") \
	X(METRIC_BROKER_APPENDS, "pinpipe_broker_appends_total", EACH, \
	  "Appends handed to the broker, counted in steps of 64") \
	X(METRIC_BROKER_APPEND_US, "pinpipe_broker_append_microseconds_total", EACH, \
	  "Time that handing them over took, by every 64th, in microseconds") \
	X(METRIC_LOG_BYTES, "pinpipe_log_bytes", GAUGE, "Bytes of log segments on disk") \
	X(METRIC_LOG_DAMAGE, "pinpipe_log_damaged_batches_total", COUNTER, \
	  "Batches below the durable watermark that failed their check") \
	X(METRIC_AUTH_MISSING, "pinpipe_auth_failures_total{reason=\"missing\"}", COUNTER, \
	  "Requests that were not let in: no API key, a wrong one, one without the scope; a session " \
	  "that ended or is not ours; too many wrong tries") \
	X(METRIC_AUTH_WRONG, "pinpipe_auth_failures_total{reason=\"wrong\"}", COUNTER, "") \
	X(METRIC_AUTH_SCOPE, "pinpipe_auth_failures_total{reason=\"scope\"}", COUNTER, "") \
	X(METRIC_AUTH_SESSION, "pinpipe_auth_failures_total{reason=\"session\"}", COUNTER, "") \
	X(METRIC_AUTH_SLOWED, "pinpipe_auth_failures_total{reason=\"slowed\"}", COUNTER, "") \
	X(METRIC_SINK_RECORDS, "pinpipe_sink_records_total", COUNTER, \
	  "Records put into the lake's objects") \
	X(METRIC_SINK_OBJECTS, "pinpipe_sink_objects_total", COUNTER, "Objects put into the lake") \
	X(METRIC_SINK_DEAD, "pinpipe_sink_dead_letters_total", COUNTER, \
	  "Records that the sink put among the dead letters") \
	X(METRIC_SINK_DAMAGED, "pinpipe_sink_damaged_records_total", COUNTER, \
	  "Records that the sink found damaged in the log") \
	X(METRIC_SINK_MISSED, "pinpipe_sink_missed_records_total", COUNTER, \
	  "Records that the log no longer had when the sink came to them") \
	X(METRIC_SINK_RETRIES, "pinpipe_sink_retries_total", COUNTER, \
	  "Puts into the lake that failed and were tried again") \
	X(METRIC_SINK_HALTED, "pinpipe_sink_halted_partitions", GAUGE, \
	  "Partitions that the sink has given up until it is started again") \
	X(METRIC_STREAM_ROWS, "pinpipe_stream_rows_total", COUNTER, \
	  "Rows that the stream committed to its tables") \
	X(METRIC_STREAM_REFUSED, "pinpipe_stream_tables_left_out", GAUGE, \
	  "Tables that the stream has left out until it is started again") \
	X(METRIC_STORE_PUTS, "pinpipe_store_puts_total", EACH, \
	  "Objects that the lake was asked to take") \
	X(METRIC_STORE_PUT_US, "pinpipe_store_put_microseconds_total", EACH, \
	  "Time until it had, in microseconds") \
	X(METRIC_STORE_GETS, "pinpipe_store_gets_total", EACH, \
	  "Reads of objects of the lake, or of parts of them") \
	X(METRIC_STORE_GET_US, "pinpipe_store_get_microseconds_total", EACH, \
	  "Time that they took, in microseconds") \
	X(METRIC_STORE_STATS, "pinpipe_store_stats_total", EACH, \
	  "Questions for the size and the words of an object") \
	X(METRIC_STORE_STAT_US, "pinpipe_store_stat_microseconds_total", EACH, \
	  "Time that they took, in microseconds") \
	X(METRIC_STORE_LISTS, "pinpipe_store_lists_total", EACH, "Listings of the lake") \
	X(METRIC_STORE_LIST_US, "pinpipe_store_list_microseconds_total", EACH, \
	  "Time that they took without what was done with each key, in microseconds") \
	X(METRIC_STORE_REMOVES, "pinpipe_store_removes_total", EACH, \
	  "Objects that the lake was asked to remove") \
	X(METRIC_STORE_REMOVE_US, "pinpipe_store_remove_microseconds_total", EACH, \
	  "Time that this took, in microseconds") \
	X(METRIC_STORE_FETCHES, "pinpipe_store_fetches_total", EACH, \
	  "Objects that were asked for as local files") \
	X(METRIC_STORE_FETCH_US, "pinpipe_store_fetch_microseconds_total", EACH, \
	  "Time until they were there, in microseconds") \
	X(METRIC_STORE_FAILED, "pinpipe_store_failures_total", EACH, \
	  "Calls of the lake that failed; a key that is taken or absent is no failure") \
	X(METRIC_COMPACTIONS, "pinpipe_compactions_total", COUNTER, \
	  "Commits that put the rows of small files into a larger one") \
	X(METRIC_COMPACT_FILES_IN, "pinpipe_compaction_files_in_total", COUNTER, \
	  "Files that they took away") \
	X(METRIC_COMPACT_FILES_OUT, "pinpipe_compaction_files_out_total", COUNTER, \
	  "Files that they put there") \
	X(METRIC_COMPACT_BYTES_IN, "pinpipe_compaction_bytes_in_total", COUNTER, \
	  "Bytes of the files that they took away") \
	X(METRIC_COMPACT_BYTES_OUT, "pinpipe_compaction_bytes_out_total", COUNTER, \
	  "Bytes of the files that they put there") \
	X(METRIC_COMPACT_LOST, "pinpipe_compaction_conflicts_total", COUNTER, \
	  "Merges that were dropped because another writer took one of their files away") \
	X(METRIC_HEALED, "pinpipe_healed_rows_total", COUNTER, \
	  "Rows that an OPTIMIZE of another program had doubled, and that are there once again") \
	X(METRIC_HEAL_LEFT, "pinpipe_doubled_rows_left_total", COUNTER, \
	  "Records that such a commit left with rows that differ, which stay as they are") \
	X(METRIC_CACHE_HITS, "pinpipe_store_cache_hits_total", EACH, \
	  "Objects asked for as local files that were kept already") \
	X(METRIC_CACHE_DROPPED, "pinpipe_store_cache_dropped_total", EACH, \
	  "Kept objects that had to make room for others")

/*	id, name, help; all are times */
#define HISTOGRAM_TABLE(X) \
	X(HISTOGRAM_ACK, "pinpipe_ack_seconds", \
	  "From a request with records to their being kept, which is then answered") \
	X(HISTOGRAM_COMMIT, "pinpipe_log_commit_seconds", \
	  "A group commit of the log: write and sync") \
	X(HISTOGRAM_SYNC, "pinpipe_log_sync_seconds", "The sync alone") \
	X(HISTOGRAM_PUT, "pinpipe_store_put_seconds", \
	  "An object, or a commit, until the lake has it") \
	X(HISTOGRAM_FLUSH, "pinpipe_stream_commit_seconds", \
	  "A micro-batch of the stream: cleaned, put and committed") \
	X(HISTOGRAM_ROW_AGE, "pinpipe_stream_row_age_seconds", \
	  "Age of the oldest row of each commit of the stream when it could be read")

/*
 * Rows by a name: of topics, streams, tables and services. Each process has SERIES_NAMES_MAX names
 * of a kind, and counts all others as "other". A name stays, as its counters do.
 *
 *	id, labels, who keeps them
 */
#define SERIES_KIND_TABLE(X) \
	X(SERIES_TOPIC, "topic", "gateway") \
	X(SERIES_STREAM, "stream", "gateway") \
	X(SERIES_SINK, "topic", "sink") \
	X(SERIES_STREAM_TABLE, "path=\"stream\",table", "stream") \
	X(SERIES_BATCH_TABLE, "path=\"batch\",table", "batch") \
	X(SERIES_SERVICE, "service", "up") \
	X(SERIES_CHECKED, "part", "check")

enum series_kind {
#define X(id, labels, role) id,
	SERIES_KIND_TABLE(X)
#undef X
	SERIES_KINDS
};

/* The values of a row; what a kind has no use for stays 0. */
enum series_value {
	SERIES_RECORDS, /* posted, landed, or rows */
	SERIES_DEAD,	/* dead letters */
	SERIES_COMMITS,
	SERIES_LAG,	    /* records of the log that it has not; -1: that is not known */
	SERIES_COMPLETE_MS, /* all that was posted before then it has; wall clock, 0: not known */
	SERIES_LANDED_MS,   /* its last commit or object */
	SERIES_PERIOD_MS,   /* how far it may be behind when all is well */
	SERIES_BASE,	    /* of batch: what the sink had landed of the topic when it began, … */
	SERIES_OF,	    /* … by this row of its, plus 1; 0: that is not known */
	SERIES_VALUES,

	/* Those of SERIES_SERVICE. */
	SERVICE_STARTS = SERIES_RECORDS,
	SERVICE_ENDS = SERIES_DEAD,	      /* of its own, and not well */
	SERVICE_STATUS = SERIES_LAG,	      /* of its last end; -1: none yet */
	SERVICE_DUE_MS = SERIES_COMPLETE_MS,  /* when it is started next; 0: it runs */
	SERVICE_SINCE_MS = SERIES_LANDED_MS,  /* when the last `up` began that has it */
	SERVICE_PERIOD_MS = SERIES_PERIOD_MS, /* of a job */
};

#define KIND(kind) (1u << (kind))
#define TABLE_KINDS (KIND(SERIES_STREAM_TABLE) | KIND(SERIES_BATCH_TABLE))

/*
 * TOTAL: never falls. NUMBER: of now, where it is known. TIME: in ms here, in seconds there.
 * FOUND: as it was then.
 *
 *	kinds, value, name, type, help
 */
#define SERIES_TABLE(X) \
	X(KIND(SERIES_TOPIC), SERIES_RECORDS, "pinpipe_topic_records_total", TOTAL, \
	  "Records kept, by topic") \
	X(KIND(SERIES_STREAM), SERIES_RECORDS, "pinpipe_stream_records_total", TOTAL, \
	  "Records kept, by stream") \
	X(KIND(SERIES_SINK), SERIES_RECORDS, "pinpipe_sink_topic_records_total", TOTAL, \
	  "Records put into the lake's objects, by topic") \
	X(KIND(SERIES_SINK), SERIES_DEAD, "pinpipe_sink_topic_dead_letters_total", TOTAL, \
	  "Records that the sink put among the dead letters, by topic") \
	X(KIND(SERIES_SINK), SERIES_LAG, "pinpipe_sink_topic_lag_records", NUMBER, \
	  "Records of the topic that are not in the lake yet") \
	X(KIND(SERIES_SINK), SERIES_COMPLETE_MS, "pinpipe_sink_topic_complete_timestamp_seconds", \
	  TIME, "All that was posted to the topic before then is in the lake") \
	X(TABLE_KINDS, SERIES_RECORDS, "pinpipe_table_rows_total", TOTAL, "Rows committed") \
	X(TABLE_KINDS, SERIES_DEAD, "pinpipe_table_dead_letters_total", TOTAL, \
	  "Records that were no rows of the table") \
	X(TABLE_KINDS, SERIES_COMMITS, "pinpipe_table_commits_total", TOTAL, "Commits with rows") \
	X(TABLE_KINDS, SERIES_LAG, "pinpipe_table_lag_records", NUMBER, \
	  "Records that the table has not yet, at most") \
	X(TABLE_KINDS, SERIES_COMPLETE_MS, "pinpipe_table_complete_timestamp_seconds", TIME, \
	  "All that was posted before then the table has") \
	X(TABLE_KINDS, SERIES_LANDED_MS, "pinpipe_table_commit_timestamp_seconds", TIME, \
	  "Its last commit with rows") \
	X(KIND(SERIES_SERVICE), SERVICE_STARTS, "pinpipe_service_starts_total", TOTAL, \
	  "How often `up` started it") \
	X(KIND(SERIES_SERVICE), SERVICE_ENDS, "pinpipe_service_failures_total", TOTAL, \
	  "How often it ended of its own, and not well") \
	X(KIND(SERIES_SERVICE), SERVICE_DUE_MS, "pinpipe_service_due_timestamp_seconds", TIME, \
	  "When it is started next, where it does not run") \
	X(KIND(SERIES_CHECKED), SERIES_DEAD, "pinpipe_check_faults", FOUND, \
	  "What the last `pinpipe check` found wrong: in the log, on the batch path, on the streaming path") \
	X(KIND(SERIES_CHECKED), SERIES_LANDED_MS, "pinpipe_check_timestamp_seconds", TIME, \
	  "When it ended")

/*	name, type, function, help; by the label `process`: gateway, sink, stream, … */
#define PROCESS_TABLE(X) \
	X("pinpipe_process_up", GAUGE, is_up, "1 while it runs") \
	X("pinpipe_process_unwell", GAUGE, is_unwell, \
	  "1 while it does not get on; `pinpipe status` says why") \
	X("pinpipe_process_start_time_seconds", GAUGE, began_s, "When it began last") \
	X("pinpipe_process_starts_total", COUNTER, starts, "How often one began") \
	X("pinpipe_process_kills_total", COUNTER, kills, "How often one ended without a word")

enum { SERIES_NAMES_MAX = 256, SERIES_NAME_MAX = 256 };

enum metric {
#define X(id, name, type, help) id,
	METRIC_TABLE(X)
#undef X
	METRIC_COUNT
};

enum histogram_id {
#define X(id, name, help) id,
	HISTOGRAM_TABLE(X)
#undef X
	HISTOGRAM_COUNT
};

void metric_add(enum metric metric, int64_t delta);
void metric_set(enum metric metric, int64_t value);
/* Of this process, and of those that had its place before. */
int64_t metric_get(enum metric metric);
void histogram_note(enum histogram_id id, int64_t us);

struct series;

/* The row of that name, made if there is none; stays where it is. */
struct series *series_of(enum series_kind kind, const char *name);
void series_add(struct series *series, enum series_value value, int64_t delta);
void series_set(struct series *series, enum series_value value, int64_t to);
int64_t series_get(const struct series *series, enum series_value value);
/* For times that only move on. */
void series_raise(struct series *series, enum series_value value, int64_t to);

#endif
