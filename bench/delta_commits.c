/*
 * delta_commits.c - how long commits to a Delta table take, early and late.
 *
 *	delta_commits LAKE FROM COMMITS WINDOWS [INTERVAL]
 *
 * LAKE: "file:DIR" or "s3://bucket/prefix".
 * Makes LAKE's "table" with versions up to FROM, or takes one of the geo model
 * that is there, then for each window of COMMITS commits prints three figures in
 * microseconds: the mean, and that of CPU, checkpoints included (a window is to
 * be as long as the interval between checkpoints is there, so that it holds one;
 * INTERVAL: the least of them, in place of the default),
 * and the median, which is that of a commit without a checkpoint.
 * The data files that the commits name do not exist; a commit does not look at them.
 */
#include "base/mem.h"
#include "base/time.h"
#include "delta/delta.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { NAME_BYTES = 128 };

static const struct delta_column columns[] = {
	{ "ind", DELTA_INTEGER },
	{ "country", DELTA_STRING },
	{ "coordinates", DELTA_ARRAY_DOUBLE },
	{ "timestamp", DELTA_TIMESTAMP },
	{ "_partition", DELTA_STRING },
	{ "_offset", DELTA_STRING },
};
static const struct delta_schema schema = { columns, sizeof(columns) / sizeof(*columns) };

static char stats[] = "{\"numRecords\":250,\"minValues\":{\"ind\":3,\"country\":\"Albania\","
	"\"timestamp\":\"2017-12-14T03:27:15.000Z\"},\"maxValues\":{\"ind\":11153,\"country\":"
	"\"Zimbabwe\",\"timestamp\":\"2022-10-31T10:01:46.000Z\"},\"nullCount\":{\"ind\":0,"
	"\"country\":0,\"timestamp\":0}}";

static void check(enum err_code code, const struct err *err)
{
	if (code == ERR_OK)
		return;
	(void)fprintf(stderr, "delta_commits: %s\n", err->msg);
	exit(1);
}

static void commit(struct delta_table *table)
{
	static const char app_id[] = "pinpipe/stream/streaming-124df56aef51-pin/"
				     "shardId-000000000000/0123456789abcdef";
	struct delta_txn txn = { app_id, delta_version(table) + 1,
				 delta_txn_version(table, app_id) };
	struct delta_add add = { .size = 20000, .modified_ms = clock_wall_ms(), .rows = 250,
				 .stats = stats };
	struct delta_commit next = { .operation = "STREAMING UPDATE", .adds = &add, .add_count = 1,
				     .txns = &txn, .txn_count = 1 };
	int64_t version;
	struct buf name;
	struct err err;

	buf_init(&name, NAME_BYTES);
	delta_new_file_name(&name);
	add.path = xstrdup(buf_cstr(&name));
	check(delta_commit(table, &next, &version, &err), &err);
	free(add.path);
	buf_release(&name);
}

static double cpu_us(void)
{
	struct timespec used;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

static double mono_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void time_commits(struct delta_table *table, long count)
{
	double *times = xreallocarray(NULL, (size_t)count, sizeof(*times));
	double began = mono_us(), cpu_began = cpu_us();

	for (long i = 0; i < count; i++) {
		double one_began = mono_us();

		commit(table);
		times[i] = mono_us() - one_began;
	}
	qsort(times, (size_t)count, sizeof(*times), compare);
	printf("%.1f %.1f %.1f\n", (mono_us() - began) / (double)count,
	       (cpu_us() - cpu_began) / (double)count, times[count / 2]);
	free(times);
}

int main(int argc, char **argv)
{
	struct delta_options options = { .create = &schema, .checkpoints = true };
	const struct store_options place = { 0 };	/* the environment says the rest */
	struct delta_table *table;
	struct store *store;
	struct err err;
	long from, commits, windows;

	if (argc != 5 && argc != 6) {
		(void)fprintf(stderr,
			      "usage: delta_commits LAKE FROM COMMITS WINDOWS [INTERVAL]\n");
		return 2;
	}
	from = strtol(argv[2], NULL, 10);
	commits = strtol(argv[3], NULL, 10);
	windows = strtol(argv[4], NULL, 10);
	options.checkpoint_interval = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : 0;
	check(store_open(argv[1], &place, &store, &err), &err);
	check(delta_open(store, "table", &options, &table, &err), &err);
	while (delta_version(table) < from - 1)
		commit(table);
	for (long i = 0; i < windows; i++)
		time_commits(table, commits);
	delta_close(table);
	store_free(store);
	return 0;
}
