/*
 * answered_file.h - the text of answered.h's object.
 *
 * Ownership: answered_file_release(). Threads: one at a time.
 */
#ifndef FLOW_ANSWERED_FILE_H
#define FLOW_ANSWERED_FILE_H

#include "engine/model.h"
#include "flow/answered_log.h"
#include "flow/batch_find.h"

enum { ANSWERED_HASH_MAX = 64 };

struct answered_results {
	struct answered_result {
		char *key;
		uint64_t size;
		uint64_t version;
	} * list; /* in order of key */
	size_t count;
};

struct answered_table {
	char *name;
	struct answered_commit commit;
	uint64_t rows;
	struct batch_known known;
};

struct answered_file {
	char hash[ANSWERED_HASH_MAX + 1];
	struct answered_results results;
	uint64_t *analysis_rows; /* in order of the models */
	size_t analysis_count;
	struct answered_table *tables; /* likewise */
	size_t table_count;
	struct buf read; /* as it was read; empty: it was not */
};

/* Nothing is known of them. */
void answered_file_init(struct answered_file *file, const char *hash, const struct models *models);
void answered_file_release(struct answered_file *file);
/* ERR_CORRUPT: it is none. Nothing is to be released then. */
MUST_USE enum err_code answered_file_get(struct store *store, const char *key,
					 struct answered_file *ret_file, struct err *err);
MUST_USE enum err_code answered_file_put(struct store *store, const char *key,
					 const struct answered_file *file, struct err *err);
/* Whether it has these models, all of them, in their order. */
bool answered_file_fits(const struct answered_file *file, const struct models *models);
/* Whether putting it would change nothing. */
bool answered_file_is_as_read(const struct answered_file *file);

void answered_results_add(struct answered_results *results, const char *key, uint64_t size,
			  uint64_t version);
bool answered_results_same(const struct answered_results *a, const struct answered_results *b);
void answered_results_release(struct answered_results *results);

#endif
