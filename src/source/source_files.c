/*
 * source_files.c - rows out of pin.ndjson, geo.ndjson and user.ndjson, one JSON
 * object a line, found by their key (`index` in pin, `ind` in the others). A
 * file that is not there is a table without rows; one that is there has some.
 *
 * The own order: the keys as the lines of the first file have them, then those
 * that only the second has, then those that only the third has.
 *
 * Opening reads every line once, checks it and notes where it is; a row is
 * read from its place when it is asked for, so memory grows by 24 bytes a
 * row and 8 a key, whatever the rows hold. The files must not change meanwhile; if the
 * line that is found there is another one, the row is ERR_CORRUPT.
 */
#include "source/source.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum {
	LINE_BYTES_MAX = 1 << 20,
	READ_BYTES = 2 * LINE_BYTES_MAX,
	PATH_BYTES_MAX = 4096,
};

struct entry {
	uint64_t key;
	uint64_t offset;
	uint32_t len;
	uint32_t line;
};

struct table {
	const char *name;		/* "pin.ndjson" */
	const char *key;		/* the column that rows are found by */
	int fd;				/* -1: there is no such file */
	struct entry *entries;		/* in order of key, once loaded */
	size_t count;
	size_t room;
	struct buf row;			/* the one handed out last, compact */
};

struct source_files {
	struct source base;
	struct table tables[SOURCE_TABLES];
	struct json_parser *parser;
	char *line;			/* LINE_BYTES_MAX bytes, for the row that is read */
	uint64_t count;
	uint64_t *order;		/* the keys, each once */
	size_t posts;
	size_t order_room;
};
static_assert(offsetof(struct source_files, base) == 0, "base must be first");

/* The lines of a file, each seen in place. */
struct lines {
	int fd;
	char *bytes;			/* READ_BYTES */
	size_t at;
	size_t end;
	uint64_t offset;		/* in the file, of bytes[0] */
	bool whole;			/* the file ends at `end` */
};

static enum err_code read_at(int fd, char *to, size_t len, uint64_t offset, size_t *ret_len,
			     struct err *err)
{
	size_t have = 0;
	ssize_t n = 1;

	while (have < len && n > 0) {
		n = pread(fd, to + have, len - have, (off_t)(offset + have));
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return err_errno(err, "could not read");
		else
			have += (size_t)n;
	}
	*ret_len = have;
	return ERR_OK;
}

static enum err_code source_files_fill(struct lines *lines, struct err *err)
{
	size_t kept = lines->end - lines->at;
	size_t got = 0;
	enum err_code code;

	memmove(lines->bytes, lines->bytes + lines->at, kept);
	lines->offset += lines->at;
	lines->at = 0;
	lines->end = kept;
	code = read_at(lines->fd, lines->bytes + kept, READ_BYTES - kept, lines->offset + kept,
		       &got, err);
	if (code != ERR_OK)
		return code;
	lines->end += got;
	lines->whole = lines->end < READ_BYTES;
	return ERR_OK;
}

/* A null slice at the end of the file. */
static enum err_code source_files_next_line(struct lines *lines, struct slice *ret_line,
					    uint64_t *ret_offset, struct err *err)
{
	const char *from = lines->bytes + lines->at;
	const char *newline = memchr(from, '\n', lines->end - lines->at);
	enum err_code code;
	size_t len;

	if (!newline && !lines->whole) {
		code = source_files_fill(lines, err);
		if (code != ERR_OK)
			return code;
		from = lines->bytes + lines->at;
		newline = memchr(from, '\n', lines->end - lines->at);
	}
	len = newline ? (size_t)(newline - from) : lines->end - lines->at;
	if (len > LINE_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "longer than %d bytes", LINE_BYTES_MAX);
	*ret_offset = lines->offset + lines->at;
	*ret_line = newline || len > 0 ? slice_of(from, len) : (struct slice){ 0 };
	lines->at += len + (newline ? 1 : 0);
	return ERR_OK;
}

static enum err_code parse_row(struct json_parser *parser, const struct table *table,
			       struct slice line, struct json *ret_row, uint64_t *ret_key,
			       struct err *err)
{
	struct json value;
	int64_t key = -1;
	enum err_code code = json_parse(parser, line, ret_row, err);

	if (code != ERR_OK)
		return code;
	if (json_type(*ret_row) != JSON_OBJECT)
		return err_set(err, ERR_SHAPE, "a row must be a JSON object");
	if (!json_member(*ret_row, table->key, &value))
		return err_set(err, ERR_SHAPE, "column \"%s\" is missing", table->key);
	if (!json_get_i64(value, &key) || key < 0)
		return err_set(err, ERR_SHAPE, "column \"%s\" must be an integer from 0 on", table->key);
	*ret_key = (uint64_t)key;
	return ERR_OK;
}

static void note(struct table *table, struct entry entry)
{
	if (table->count == table->room) {
		table->room = table->room ? 2 * table->room : 1024;
		table->entries = xreallocarray(table->entries, table->room, sizeof(entry));
	}
	table->entries[table->count++] = entry;
}

static enum err_code load_lines(struct source_files *files, struct table *table,
				struct lines *lines, struct err *err)
{
	struct entry entry = { 0 };
	struct slice line;
	struct json row;
	enum err_code code;

	for (;;) {
		entry.line++;
		code = source_files_next_line(lines, &line, &entry.offset, err);
		if (code == ERR_OK && !line.ptr)
			return ERR_OK;
		if (code == ERR_OK && entry.line == 1) {
			entry.offset += line.len;
			line = json_without_bom(line);
			entry.offset -= line.len;
		}
		if (code == ERR_OK)
			code = parse_row(files->parser, table, line, &row, &entry.key, err);
		if (code != ERR_OK) {
			(void)err_prefix(err, "%s, line %u", table->name, entry.line);
			return code;
		}
		entry.len = (uint32_t)line.len;
		note(table, entry);
	}
}

static int by_key(const void *a, const void *b)
{
	const struct entry *x = a;
	const struct entry *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->line < y->line ? -1 : 1;
}

static enum err_code sort_entries(struct table *table, struct err *err)
{
	const struct entry *e = table->entries;

	if (table->count == 0)
		return err_set(err, ERR_SHAPE, "%s has no rows", table->name);
	qsort(table->entries, table->count, sizeof(*e), by_key);
	for (size_t i = 1; i < table->count; i++)
		if (e[i].key == e[i - 1].key)
			return err_set(err, ERR_SHAPE, "%s, line %u: \"%s\" %llu is on line %u already",
				       table->name, e[i].line, table->key,
				       (unsigned long long)e[i].key, e[i - 1].line);
	return ERR_OK;
}

/* NULL: the table has no such row. */
static const struct entry *source_files_find(const struct table *table, uint64_t key)
{
	size_t low = 0;
	size_t high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->entries[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low < table->count && table->entries[low].key == key ? &table->entries[low] : NULL;
}

/* Whether a table before this one, sorted already, has a row of that key. */
static bool stands_before(const struct source_files *files, const struct table *table, uint64_t key)
{
	for (const struct table *t = files->tables; t < table; t++)
		if (source_files_find(t, key))
			return true;
	return false;
}

/* Puts the keys that only this table has so far into the order, while its entries are in the order
 * of its lines. */
static void note_order(struct source_files *files, const struct table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		uint64_t key = table->entries[i].key;

		if (stands_before(files, table, key))
			continue;
		if (files->posts == files->order_room) {
			files->order_room = files->order_room ? 2 * files->order_room : 1024;
			files->order = xreallocarray(files->order, files->order_room,
						     sizeof(*files->order));
		}
		files->order[files->posts++] = key;
	}
}

static enum err_code source_files_load(struct source_files *files, struct table *table,
				       const char *dir, struct err *err)
{
	struct lines lines = { 0 };
	char path[PATH_BYTES_MAX];
	enum err_code code;

	if (snprintf(path, sizeof(path), "%s/%s", dir, table->name) >= (int)sizeof(path))
		return err_set(err, ERR_USAGE, "the path of the data directory is too long");
	table->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (table->fd < 0 && errno == ENOENT)
		return ERR_OK;
	if (table->fd < 0)
		return err_errno(err, "could not open \"%s\"", path);
	lines.fd = table->fd;
	lines.bytes = xmalloc(READ_BYTES);
	code = load_lines(files, table, &lines, err);
	free(lines.bytes);
	if (code == ERR_OK)
		note_order(files, table);
	if (code == ERR_OK)
		code = sort_entries(table, err);
	if (code == ERR_OK && table->entries[table->count - 1].key >= files->count)
		files->count = table->entries[table->count - 1].key + 1;
	return code;
}

static bool key_differs(struct source_files *files, const struct table *table,
			const struct entry *entry, struct json *ret_row)
{
	struct slice line = slice_of(files->line, entry->len);
	uint64_t key = 0;
	struct err err;

	return parse_row(files->parser, table, line, ret_row, &key, &err) != ERR_OK ||
	       key != entry->key;
}

static enum err_code read_row(struct source_files *files, struct table *table,
			      const struct entry *entry, struct err *err)
{
	struct json row;
	size_t len = 0;
	enum err_code code = read_at(table->fd, files->line, entry->len, entry->offset, &len, err);

	if (code != ERR_OK)
		return err_prefix(err, "%s, line %u", table->name, entry->line);
	if (len != entry->len || key_differs(files, table, entry, &row))
		return err_set(err, ERR_CORRUPT, "%s, line %u: changed since it was first read",
			       table->name, entry->line);
	buf_clear(&table->row);
	json_put(&table->row, row);
	return ERR_OK;
}

/* What there is of the post. */
static enum err_code read_post(struct source_files *files, uint64_t key,
			       struct source_post *ret_post, struct err *err)
{
	struct slice rows[SOURCE_TABLES] = { 0 };

	for (size_t i = 0; i < SOURCE_TABLES; i++) {
		struct table *table = &files->tables[i];
		const struct entry *entry = source_files_find(table, key);
		enum err_code code = entry ? read_row(files, table, entry, err) : ERR_OK;

		if (code != ERR_OK)
			return code;
		if (entry)
			rows[i] = buf_slice(&table->row);
	}
	*ret_post = (struct source_post){ .pin = rows[0], .geo = rows[1], .user = rows[2] };
	return ERR_OK;
}

static enum err_code files_row(struct source *source, uint64_t k, struct source_post *ret_post,
			       struct err *err)
{
	struct source_files *files = (struct source_files *)source;

	for (size_t i = 0; i < SOURCE_TABLES; i++) {
		const struct table *table = &files->tables[i];

		if (table->fd >= 0 && !source_files_find(table, k))
			return err_set(err, ERR_ABSENT, "%s has no row with \"%s\" %llu",
				       table->name, table->key, (unsigned long long)k);
	}
	return read_post(files, k, ret_post, err);
}

static enum err_code files_post_at(struct source *source, uint64_t n, uint64_t *ret_k,
				   struct source_post *ret_post, struct err *err)
{
	struct source_files *files = (struct source_files *)source;
	enum err_code code;

	if (n >= files->posts)
		return err_set(err, ERR_ABSENT, "there is no post %llu: the files have %zu",
			       (unsigned long long)n, files->posts);
	code = read_post(files, files->order[n], ret_post, err);
	if (code == ERR_OK)
		*ret_k = files->order[n];
	return code;
}

static enum err_code files_posts(struct source *source, uint64_t *ret_posts, struct err *err)
{
	(void)err;
	*ret_posts = ((struct source_files *)source)->posts;
	return ERR_OK;
}

static enum err_code files_count(struct source *source, uint64_t *ret_count, struct err *err)
{
	(void)err;
	*ret_count = ((struct source_files *)source)->count;
	return ERR_OK;
}

static void files_free(struct source *source)
{
	struct source_files *files = (struct source_files *)source;

	for (size_t i = 0; i < SOURCE_TABLES; i++) {
		struct table *table = &files->tables[i];

		if (table->fd >= 0)
			(void)close(table->fd);
		free(table->entries);
		buf_release(&table->row);
	}
	json_parser_free(files->parser);
	free(files->line);
	free(files->order);
	free(files);
}

static const struct source_ops files_ops = {
	.name = "files",
	.count = files_count,
	.want = source_want_nothing,
	.ready = source_always_ready,
	.row = files_row,
	.posts = files_posts,
	.post_at = files_post_at,
	.free = files_free,
};

enum err_code source_files_new(const char *dir, struct source **ret_source, struct err *err)
{
	static const struct table tables[SOURCE_TABLES] = {
		{ .name = "pin.ndjson", .key = "index", .fd = -1 },
		{ .name = "geo.ndjson", .key = "ind", .fd = -1 },
		{ .name = "user.ndjson", .key = "ind", .fd = -1 },
	};
	struct source_files *files = xcalloc(1, sizeof(*files));
	enum err_code code = ERR_OK;

	files->base.ops = &files_ops;
	files->parser = json_parser_new(LINE_BYTES_MAX);
	files->line = xmalloc(LINE_BYTES_MAX);
	memcpy(files->tables, tables, sizeof(tables));
	for (size_t i = 0; i < SOURCE_TABLES; i++)
		buf_init(&files->tables[i].row, LINE_BYTES_MAX);
	for (size_t i = 0; i < SOURCE_TABLES && code == ERR_OK; i++)
		code = source_files_load(files, &files->tables[i], dir, err);
	if (code == ERR_OK && files->posts == 0)
		code = err_set(err, ERR_ABSENT, "there is neither \"%s/%s\" nor %s nor %s beside it",
			       dir, tables[0].name, tables[1].name, tables[2].name);
	if (code == ERR_OK)
		*ret_source = &files->base;
	else
		files_free(&files->base);
	return code;
}
