#include "flow/answered_file.h"

#include "base/json.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 64 << 20, FORMAT = 1, MARKS = 6 };

/* --- results ------------------------------------------------------------------- */

void answered_results_add(struct answered_results *results, const char *key, uint64_t size,
			  uint64_t version)
{
	results->list = xreallocarray(results->list, results->count + 1, sizeof(*results->list));
	results->list[results->count++] = (struct answered_result){ xstrdup(key), size, version };
}

bool answered_results_same(const struct answered_results *a, const struct answered_results *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (strcmp(a->list[i].key, b->list[i].key) != 0 ||
		    a->list[i].size != b->list[i].size || a->list[i].version != b->list[i].version)
			return false;
	return a->count == b->count;
}

void answered_results_release(struct answered_results *results)
{
	for (size_t i = 0; i < results->count; i++)
		free(results->list[i].key);
	free(results->list);
	*results = (struct answered_results){ 0 };
}

/* --- the file ------------------------------------------------------------------ */

void answered_file_init(struct answered_file *file, const char *hash, const struct models *models)
{
	*file = (struct answered_file){ .analysis_count = models->analysis_count,
					.table_count = models->clean_count };
	(void)snprintf(file->hash, sizeof(file->hash), "%s", hash);
	file->analysis_rows = xcalloc(models->analysis_count + 1, sizeof(*file->analysis_rows));
	file->tables = xcalloc(models->clean_count + 1, sizeof(*file->tables));
	for (size_t i = 0; i < models->clean_count; i++)
		file->tables[i].name = xstrdup(models->clean[i].model.name);
	buf_init(&file->read, FILE_BYTES_MAX);
}

void answered_file_release(struct answered_file *file)
{
	for (size_t i = 0; i < file->table_count; i++) {
		free(file->tables[i].name);
		batch_known_release(&file->tables[i].known);
	}
	free(file->tables);
	free(file->analysis_rows);
	answered_results_release(&file->results);
	buf_release(&file->read);
	*file = (struct answered_file){ 0 };
}

bool answered_file_fits(const struct answered_file *file, const struct models *models)
{
	if (file->table_count != models->clean_count ||
	    file->analysis_count != models->analysis_count)
		return false;
	for (size_t i = 0; i < file->table_count; i++)
		if (strcmp(file->tables[i].name, models->clean[i].model.name) != 0)
			return false;
	return true;
}

/* --- written ------------------------------------------------------------------- */

static void put_results(struct buf *out, const struct answered_results *results)
{
	for (size_t i = 0; i < results->count; i++) {
		buf_add_str(out, i ? ",[" : "[");
		json_put_string(out, slice_str(results->list[i].key));
		buf_addf(out, ",%" PRIu64 ",\"%" PRIx64 "\"]", results->list[i].size,
			 results->list[i].version);
	}
}

static void put_known(struct buf *out, const struct batch_known *known)
{
	buf_add_str(out, ",\"txns\":{");
	for (size_t i = 0; i < known->txn_count; i++) {
		buf_add_str(out, i ? "," : "");
		json_put_string(out, slice_str(known->txns[i].app_id));
		buf_addf(out, ":%" PRId64, known->txns[i].version);
	}
	buf_add_str(out, "},\"partitions\":[");
	for (size_t i = 0; i < known->mark_count; i++) {
		const struct batch_marks *marks = &known->marks[i];

		buf_addf(out,
			 "%s[%" PRId32 ",%" PRIu32 ",\"%" PRIx64 "\",\"%" PRIx64 "\",\"%" PRIx64
			 "\",\"%" PRIx64 "\"]",
			 i ? "," : "", marks->partition, marks->generation, marks->next,
			 marks->objects, marks->manifests, marks->until);
	}
	buf_add_char(out, ']');
}

static void put_file(struct buf *out, const struct answered_file *file)
{
	buf_addf(out, "{\"format\":%d,\"models\":\"%s\",\"results\":[", FORMAT, file->hash);
	put_results(out, &file->results);
	buf_add_str(out, "],\"answers\":[");
	for (size_t i = 0; i < file->analysis_count; i++)
		buf_addf(out, "%s%" PRIu64, i ? "," : "", file->analysis_rows[i]);
	buf_add_str(out, "],\"tables\":[");
	for (size_t i = 0; i < file->table_count; i++) {
		const struct answered_table *table = &file->tables[i];

		buf_addf(out,
			 "%s{\"name\":\"%s\",\"version\":%" PRId64 ",\"commit\":[%" PRIu64
			 ",\"%" PRIx64 "\"],\"rows\":%" PRIu64,
			 i ? "," : "", table->name, table->commit.version, table->commit.size,
			 table->commit.mark, table->rows);
		put_known(out, &table->known);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "]}\n");
}

enum err_code answered_file_put(struct store *store, const char *key,
				const struct answered_file *file, struct err *err)
{
	struct buf text;
	enum err_code code;

	buf_init(&text, FILE_BYTES_MAX);
	put_file(&text, file);
	code = buf_full(&text) ? err_set(err, ERR_LIMIT, "\"%s\" is too large", key)
			       : store_put(store, key, buf_slice(&text), STORE_REPLACE, err);
	buf_release(&text);
	return code;
}

bool answered_file_is_as_read(const struct answered_file *file)
{
	struct buf text;
	bool same;

	buf_init(&text, FILE_BYTES_MAX);
	put_file(&text, file);
	same = slice_eq(buf_slice(&text), buf_slice(&file->read));
	buf_release(&text);
	return same;
}

/* --- read ---------------------------------------------------------------------- */

static bool answered_get_count(struct json value, uint64_t *ret)
{
	int64_t number;

	if (!json_get_i64(value, &number) || number < 0)
		return false;
	*ret = (uint64_t)number;
	return true;
}

/* A number of 64 bits, in hex. */
static bool get_hex(struct json value, uint64_t *ret)
{
	struct slice text;
	char digits[17] = "";

	if (!json_get_string(value, &text) || text.len == 0 || text.len >= sizeof(digits))
		return false;
	memcpy(digits, text.ptr, text.len);
	*ret = strtoull(digits, NULL, 16);
	return strspn(digits, "0123456789abcdef") == text.len;
}

/* [<number>,"<hex>"] */
static bool get_mark(struct json_iter *iter, uint64_t *ret_size, uint64_t *ret_mark)
{
	return json_next(iter) && answered_get_count(iter->value, ret_size) && json_next(iter) &&
	       get_hex(iter->value, ret_mark);
}

static bool get_results(struct json list, struct answered_results *results)
{
	struct json_iter iter, of;

	for (iter = json_iter(list); json_next(&iter);) {
		char key[STORE_KEY_MAX + 1];
		uint64_t size, version;
		struct slice text;

		if (json_type(iter.value) != JSON_ARRAY)
			return false;
		of = json_iter(iter.value);
		if (!json_next(&of) || !json_get_string(of.value, &text) ||
		    text.len > STORE_KEY_MAX)
			return false;
		(void)snprintf(key, sizeof(key), "%.*s", SLICE_ARG(text));
		if (!get_mark(&of, &size, &version))
			return false;
		answered_results_add(results, key, size, version);
	}
	return true;
}

static bool get_marks(struct json value, struct batch_marks *marks)
{
	uint64_t partition, generation;
	uint64_t *const hex[] = { &marks->next, &marks->objects, &marks->manifests, &marks->until };
	struct json_iter iter;

	if (json_type(value) != JSON_ARRAY || json_count(value) != MARKS)
		return false;
	iter = json_iter(value);
	if (!json_next(&iter) || !answered_get_count(iter.value, &partition) || !json_next(&iter) ||
	    !answered_get_count(iter.value, &generation) || partition > INT32_MAX ||
	    generation > LAKE_GENERATIONS_MAX)
		return false;
	marks->partition = (int32_t)partition;
	marks->generation = (uint32_t)generation;
	for (size_t i = 0; i < ARRAY_LEN(hex); i++)
		if (!json_next(&iter) || !get_hex(iter.value, hex[i]))
			return false;
	return true;
}

static bool get_known(struct json object, struct batch_known *known)
{
	struct json txns, partitions;
	struct json_iter iter;

	if (!json_member(object, "txns", &txns) || json_type(txns) != JSON_OBJECT ||
	    !json_member(object, "partitions", &partitions) || json_type(partitions) != JSON_ARRAY)
		return false;
	for (iter = json_iter(txns); json_next(&iter);) {
		char app_id[LAKE_APP_ID_MAX + 16];
		int64_t version;

		if (!json_get_i64(iter.value, &version))
			return false;
		(void)snprintf(app_id, sizeof(app_id), "%.*s", SLICE_ARG(iter.key));
		batch_known_add_txn(known, app_id, version);
	}
	known->marks = xcalloc(json_count(partitions) + 1, sizeof(*known->marks));
	for (iter = json_iter(partitions); json_next(&iter); known->mark_count++)
		if (!get_marks(iter.value, &known->marks[known->mark_count]))
			return false;
	return true;
}

static bool get_table(struct json object, struct answered_table *table)
{
	struct json name, version, commit, rows;
	struct json_iter iter;
	struct slice text;

	if (json_type(object) != JSON_OBJECT || !json_member(object, "name", &name) ||
	    !json_get_string(name, &text) || !json_member(object, "version", &version) ||
	    !json_get_i64(version, &table->commit.version) || table->commit.version < 0 ||
	    !json_member(object, "commit", &commit) || json_type(commit) != JSON_ARRAY ||
	    !json_member(object, "rows", &rows) || !answered_get_count(rows, &table->rows))
		return false;
	table->name = xstrndup(text.ptr, text.len);
	iter = json_iter(commit);
	return get_mark(&iter, &table->commit.size, &table->commit.mark) &&
	       get_known(object, &table->known);
}

static bool get_file(struct json root, struct answered_file *file)
{
	struct json format, models, results, answers, tables;
	struct json_iter iter;
	struct slice hash;
	int64_t number;

	if (json_type(root) != JSON_OBJECT || !json_member(root, "format", &format) ||
	    !json_get_i64(format, &number) || number != FORMAT ||
	    !json_member(root, "models", &models) || !json_get_string(models, &hash) ||
	    hash.len != ANSWERED_HASH_MAX || !json_member(root, "results", &results) ||
	    json_type(results) != JSON_ARRAY || !json_member(root, "answers", &answers) ||
	    json_type(answers) != JSON_ARRAY || !json_member(root, "tables", &tables) ||
	    json_type(tables) != JSON_ARRAY)
		return false;
	memcpy(file->hash, hash.ptr, hash.len);
	file->analysis_rows = xcalloc(json_count(answers) + 1, sizeof(*file->analysis_rows));
	for (iter = json_iter(answers); json_next(&iter);)
		if (!answered_get_count(iter.value, &file->analysis_rows[file->analysis_count++]))
			return false;
	file->tables = xcalloc(json_count(tables) + 1, sizeof(*file->tables));
	for (iter = json_iter(tables); json_next(&iter);)
		if (!get_table(iter.value, &file->tables[file->table_count++]))
			return false;
	return get_results(results, &file->results);
}

enum err_code answered_file_get(struct store *store, const char *key,
				struct answered_file *ret_file, struct err *err)
{
	struct json_parser *parser = json_parser_new(FILE_BYTES_MAX);
	struct answered_file file = { 0 };
	struct json root;
	enum err_code code;

	buf_init(&file.read, FILE_BYTES_MAX);
	code = store_get(store, key, 0, UINT64_MAX, &file.read, err);
	if (code == ERR_OK && (json_parse(parser, buf_slice(&file.read), &root, err) != ERR_OK ||
			       !get_file(root, &file)))
		code = err_set(err, ERR_CORRUPT, "\"%s\" cannot be read", key);
	json_parser_free(parser);
	if (code == ERR_OK)
		*ret_file = file;
	else
		answered_file_release(&file);
	return code;
}
