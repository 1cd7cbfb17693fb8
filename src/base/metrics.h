/*
 * metrics.h - every counter and gauge of the program, declared once in
 * METRIC_TABLE with its help text; /metrics (Prometheus text format 0.0.4) and
 * docs/reference.md are printed from it.
 *
 * Threads: any; updates are relaxed atomics.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"

/*	id                      name                                    type     help */
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
	X(METRIC_BROKER_CALLS, "pinpipe_broker_calls_total", COUNTER, \
	  "Calls of the broker that may take long: topics, groups, seeks") \
	X(METRIC_BROKER_CALL_US, "pinpipe_broker_call_microseconds_total", COUNTER, \
	  "Time spent in them, in microseconds") \
	X(METRIC_BROKER_APPENDS, "pinpipe_broker_appends_total", COUNTER, \
	  "Appends handed to the broker, counted in steps of 64") \
	X(METRIC_BROKER_APPEND_US, "pinpipe_broker_append_microseconds_total", COUNTER, \
	  "Time that handing them over took, by every 64th, in microseconds") \
	X(METRIC_LOG_BYTES, "pinpipe_log_bytes", GAUGE, "Bytes of log segments on disk") \
	X(METRIC_LOG_DAMAGE, "pinpipe_log_damaged_batches_total", COUNTER, \
	  "Batches below the durable watermark that failed their check") \
	X(METRIC_AUTH_FAILED, "pinpipe_auth_failures_total", COUNTER, \
	  "Requests with a missing or wrong API key") \
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
	X(METRIC_STORE_PUTS, "pinpipe_store_puts_total", COUNTER, \
	  "Objects that the lake was asked to take") \
	X(METRIC_STORE_PUT_US, "pinpipe_store_put_microseconds_total", COUNTER, \
	  "Time until it had, in microseconds") \
	X(METRIC_STORE_GETS, "pinpipe_store_gets_total", COUNTER, \
	  "Reads of objects of the lake, or of parts of them") \
	X(METRIC_STORE_GET_US, "pinpipe_store_get_microseconds_total", COUNTER, \
	  "Time that they took, in microseconds") \
	X(METRIC_STORE_STATS, "pinpipe_store_stats_total", COUNTER, \
	  "Questions for the size and the words of an object") \
	X(METRIC_STORE_STAT_US, "pinpipe_store_stat_microseconds_total", COUNTER, \
	  "Time that they took, in microseconds") \
	X(METRIC_STORE_LISTS, "pinpipe_store_lists_total", COUNTER, "Listings of the lake") \
	X(METRIC_STORE_LIST_US, "pinpipe_store_list_microseconds_total", COUNTER, \
	  "Time that they took without what was done with each key, in microseconds") \
	X(METRIC_STORE_REMOVES, "pinpipe_store_removes_total", COUNTER, \
	  "Objects that the lake was asked to remove") \
	X(METRIC_STORE_REMOVE_US, "pinpipe_store_remove_microseconds_total", COUNTER, \
	  "Time that this took, in microseconds") \
	X(METRIC_STORE_FETCHES, "pinpipe_store_fetches_total", COUNTER, \
	  "Objects that were asked for as local files") \
	X(METRIC_STORE_FETCH_US, "pinpipe_store_fetch_microseconds_total", COUNTER, \
	  "Time until they were there, in microseconds") \
	X(METRIC_STORE_FAILED, "pinpipe_store_failures_total", COUNTER, \
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
	X(METRIC_CACHE_HITS, "pinpipe_store_cache_hits_total", COUNTER, \
	  "Objects asked for as local files that were kept already") \
	X(METRIC_CACHE_DROPPED, "pinpipe_store_cache_dropped_total", COUNTER, \
	  "Kept objects that had to make room for others")

enum metric {
#define X(id, name, type, help) id,
	METRIC_TABLE(X)
#undef X
	METRIC_COUNT
};

void metric_add(enum metric metric, int64_t delta);
void metric_set(enum metric metric, int64_t value);
int64_t metric_get(enum metric metric);
/* All of them, in the table's order. */
void metrics_put_text(struct buf *out);

#endif
