/*
 * make_rows.c - made-up rows, shaped like the real ones, for the benchmarks.
 *
 *	make_rows rows COUNT DIR	DIR/pin.ndjson, geo.ndjson, user.ndjson
 *	make_rows lake COUNT DIR [FROM]	the sink's objects of 1,000 records, from post FROM on
 */
#include "base/mem.h"
#include "flow/lake.h"
#include "source/source.h"

#include <stdio.h>
#include <sys/stat.h>

enum { OBJECT_RECORDS = 1000, PATH_BYTES = 4096 };

static void make_dirs(char *path)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		(void)mkdir(path, 0700);
		*at = '/';
	}
}

static FILE *create(char *path)
{
	FILE *file;

	make_dirs(path);
	file = fopen(path, "w");
	if (!file) {
		perror(path);
		exit(1);
	}
	return file;
}

static FILE *open_rows(const char *dir, enum source_table table)
{
	char path[PATH_BYTES];

	(void)snprintf(path, sizeof(path), "%s/%s.ndjson", dir, source_table_name[table]);
	return create(path);
}

static FILE *open_object(const char *dir, enum source_table table, uint64_t start)
{
	char path[PATH_BYTES];
	struct buf topic, key;

	buf_init(&topic, PATH_BYTES);
	buf_init(&key, PATH_BYTES);
	buf_addf(&topic, "124df56aef51.%s", source_table_name[table]);
	lake_object_key(&key, (struct lake_partition){ .topic = buf_cstr(&topic) }, start);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, buf_cstr(&key));
	buf_release(&topic);
	buf_release(&key);
	return create(path);
}

static struct slice row_of(const struct source_post *post, enum source_table table)
{
	return table == SOURCE_PIN ? post->pin : table == SOURCE_GEO ? post->geo : post->user;
}

int main(int argc, char **argv)
{
	FILE *files[SOURCE_TABLES] = { NULL };
	uint64_t count, from;
	struct source *source;
	bool lake;

	if (argc < 4) {
		fprintf(stderr, "usage: make_rows rows|lake COUNT DIR [FROM]\n");
		return 2;
	}
	lake = strcmp(argv[1], "lake") == 0;
	count = strtoull(argv[2], NULL, 10);
	from = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	source = source_generated_new(100, from + count);
	for (uint64_t k = from; k < from + count; k++) {
		struct source_post post;
		struct err err;

		if (source_row(source, k, &post, &err) != ERR_OK) {
			fprintf(stderr, "%s\n", err.msg);
			return 1;
		}
		for (int t = 0; t < SOURCE_TABLES; t++) {
			struct slice row = row_of(&post, (enum source_table)t);

			if (lake && (k - from) % OBJECT_RECORDS == 0) {
				if (files[t])
					(void)fclose(files[t]);
				files[t] = NULL;
			}
			if (!files[t])
				files[t] = lake ? open_object(argv[3], (enum source_table)t, k)
						: open_rows(argv[3], (enum source_table)t);
			fprintf(files[t], "%.*s\n", SLICE_ARG(row));
		}
	}
	for (int t = 0; t < SOURCE_TABLES; t++)
		if (files[t] && fclose(files[t]) != 0)
			return 1;
	source_free(source);
	return 0;
}
