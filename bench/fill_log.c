/*
 * fill_log.c - a log of a given size for the benchmarks, left as a kill leaves it.
 *
 *	fill_log DIR ROWS.ndjson MIB SEGMENT_MIB [RECORDS [PARTITIONS [HOURS]]]
 *
 * Appends the rows again and again to the topic "124df56aef51.pin" until there
 * are MIB of values, RECORDS (100) an append, then kills itself. PARTITIONS: 1.
 * HOURS: the records' times lie in so many hours, in no order; else they are now.
 */
#include "base/mem.h"
#include "broker/broker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { ROWS_MAX = 20000, AHEAD = 64, RECORDS = 100, RECORDS_MAX = 1000 };

static uint64_t span_ms;

static const struct topic_ref topic = { TOPIC_LOG, "124df56aef51.pin" };

/* Appends that were taken and have not ended. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static int open_appends;

struct job {
	struct append append;
	struct append_record records[RECORDS_MAX];
	struct append_outcome outcomes[RECORDS_MAX];
};

static void fail(const char *what)
{
	(void)fprintf(stderr, "fill_log: %s\n", what);
	exit(1);
}

static void done(void *user, struct append *chain)
{
	(void)user;
	(void)pthread_mutex_lock(&lock);
	while (chain) {
		struct append *next = chain->next;

		for (size_t i = 0; i < chain->count; i++)
			if (chain->outcomes[i].code != ERR_OK)
				fail("a record was refused");
		free(chain->user);
		open_appends--;
		chain = next;
	}
	(void)pthread_cond_signal(&some);
	(void)pthread_mutex_unlock(&lock);
}

static void wait_until_open(int most)
{
	(void)pthread_mutex_lock(&lock);
	while (open_appends > most)
		(void)pthread_cond_wait(&some, &lock);
	open_appends++;
	(void)pthread_mutex_unlock(&lock);
}

static size_t load(const char *path, struct slice *rows)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t count = 0, cap = 0;
	ssize_t len;

	if (!file)
		fail("the rows cannot be opened");
	while (count < ROWS_MAX && (len = getline(&line, &cap, file)) > 1) {
		rows[count++] = slice_of(line, (size_t)len - 1);
		line = NULL;		/* kept for good */
		cap = 0;
	}
	(void)fclose(file);
	return count;
}

/* 0: now. Else one of the span from 2022-03-01T00:00Z on. */
static int64_t next_time(void)
{
	static uint64_t number;

	if (span_ms == 0)
		return 0;
	return INT64_C(1646092800000) +
	       (int64_t)((number++ * UINT64_C(0x9e3779b97f4a7c15) >> 16) % span_ms);
}

/* The values' bytes of one append, all of it to one partition. */
static uint64_t put(struct broker *broker, const struct slice *rows, size_t count, size_t *row,
		    size_t records, int32_t partition)
{
	struct job *job = xcalloc(1, sizeof(*job));
	uint64_t bytes = 0;
	struct err err;

	for (size_t i = 0; i < records; i++, *row = (*row + 1) % count) {
		job->records[i] = (struct append_record){ .value = rows[*row],
							  .partition = partition,
							  .timestamp_ms = next_time() };
		bytes += rows[*row].len;
	}
	job->append = (struct append){ .topic = topic, .records = job->records,
				       .count = records, .outcomes = job->outcomes,
				       .user = job };
	wait_until_open(AHEAD);
	if (broker_append(broker, &job->append, &err) != ERR_OK)
		fail(err.msg);
	return bytes;
}

int main(int argc, char **argv)
{
	static struct slice rows[ROWS_MAX];
	struct broker_local_options options = { .writer = true, .done = done };
	size_t records = RECORDS, count, row = 0;
	struct broker *broker;
	struct topic_options shape = { .partitions = 1 };
	uint64_t goal, bytes = 0;
	struct err err;

	if (argc < 5)
		fail("DIR ROWS MIB SEGMENT_MIB [RECORDS [PARTITIONS [HOURS]]] are wanted");
	options.dir = argv[1];
	options.segment_bytes = strtoul(argv[4], NULL, 10) << 20;
	count = load(argv[2], rows);
	goal = strtoull(argv[3], NULL, 10) << 20;
	if (argc > 5)
		records = strtoul(argv[5], NULL, 10);
	if (argc > 6)
		shape.partitions = (int32_t)strtol(argv[6], NULL, 10);
	if (argc > 7)
		span_ms = strtoull(argv[7], NULL, 10) * 3600 * 1000;
	if (count == 0 || records == 0 || records > RECORDS_MAX)
		fail("there are no rows, or too many for an append");
	if (broker_local_new(&options, &broker, &err) != ERR_OK ||
	    broker_create(broker, topic, &shape, &err) != ERR_OK)
		fail(err.msg);
	for (int32_t turn = 0; bytes < goal; turn++)
		bytes += put(broker, rows, count, &row, records, turn % shape.partitions);
	wait_until_open(0);
	(void)raise(SIGKILL);
	return 1;
}
