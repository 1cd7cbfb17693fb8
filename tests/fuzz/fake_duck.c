#include "fake_duck.h"

#include "sql/duck_rows.h"
#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 64 << 10, CELLS_MAX = 16 };

static char file[FILE_BYTES_MAX];
static struct slice rest;		/* of the file, not yet asked for */
static struct cell {
	bool known;
	char *ptr;			/* NULL: null */
	size_t len;
} cells[CELLS_MAX];			/* the texts of the row at hand, by column */
static idx_t set_columns;		/* the first ones, which are never null */

enum err_code duck_open(const struct duck_options *options, struct duck *ret_duck, struct err *err)
{
	(void)options;
	(void)err;
	*ret_duck = (struct duck){ 0 };
	return ERR_OK;
}

void duck_close(struct duck *duck)
{
	(void)duck;
}

enum err_code duck_run(struct duck *duck, const char *sql, struct err *err)
{
	(void)duck;
	(void)sql;
	(void)err;
	return ERR_OK;
}

enum err_code duck_error(struct duck *duck, duckdb_error_type type, const char *message,
			 struct err *err)
{
	(void)duck;
	(void)type;
	return err_set(err, ERR_IO, "%s", message ? message : "");
}

void duck_put_literal(struct buf *out, struct slice text)
{
	buf_add_slice(out, text);
}

void duck_put_name(struct buf *out, struct slice name)
{
	buf_add_slice(out, name);
}

/* "'…'" in a list of them; its length goes to *ret_len. */
static void read_one(const char *quoted, size_t *ret_len)
{
	char path[64];
	ssize_t len;
	int fd;

	*ret_len = strcspn(quoted + 1, "'");
	(void)snprintf(path, sizeof(path), "%.*s", (int)*ret_len, quoted + 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = pread(fd, file + rest.len, sizeof(file) - rest.len, 0);
	FUZZ_MUST(fd >= 0 && len >= 0);
	(void)close(fd);
	rest.len += (size_t)len;
}

/* The query for the columns names the files, and comes first. */
static void read_files(const char *sql)
{
	static const char before[] = " FROM read_parquet([";
	const char *from;
	size_t len;

	if (strncmp(sql, "SELECT column_name", strlen("SELECT column_name")) != 0)
		return;
	from = strstr(sql, before);
	FUZZ_MUST(from != NULL);
	rest = slice_of(file, 0);
	for (from += strlen(before); *from == '\''; from += strspn(from, ", ")) {
		read_one(from, &len);
		from += len + 2;
	}
}

static size_t count_text(const char *text, const char *word)
{
	size_t count = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		count++;
	}
	return count;
}

enum err_code duck_rows_open(struct duck *duck, const char *sql, struct duck_rows *ret_rows,
			     struct err *err)
{
	static const enum err_code codes[] = { ERR_IO, ERR_SHAPE, ERR_USAGE, ERR_LIMIT };
	uint8_t how;

	(void)duck;
	read_files(sql);
	how = fuzz_take(&rest);
	if (how >= FAKE_FAILS_FROM)
		return err_set(err, codes[how % ARRAY_LEN(codes)], "the file says so");
	set_columns = count_text(sql, "IS NOT NULL");
	*ret_rows = (struct duck_rows){ .count = how % FAKE_ROWS_MAX };
	return ERR_OK;
}

static void forget_cells(void)
{
	for (size_t i = 0; i < CELLS_MAX; i++)
		free(cells[i].ptr);
	memset(cells, 0, sizeof(cells));
}

void duck_rows_close(struct duck_rows *rows)
{
	(void)rows;
	forget_cells();
}

bool duck_rows_next(struct duck_rows *rows)
{
	forget_cells();
	return rows->at++ < rows->count;
}

static bool is_null(uint8_t how, idx_t column)
{
	return how < FAKE_NULL_BELOW && column >= set_columns;
}

int64_t duck_i64(struct duck_rows *rows, idx_t column, int64_t if_null)
{
	uint8_t how = fuzz_take(&rest);
	uint64_t value = 0;

	(void)rows;
	if (is_null(how, column))
		return if_null;
	if (how < FAKE_SMALL_BELOW)
		return fuzz_take(&rest);
	for (size_t i = 0; i < sizeof(value); i++)
		value = value << 8 | fuzz_take(&rest);
	return (int64_t)value;
}

static size_t text_len(uint8_t how)
{
	const char *end;

	if (how < FAKE_COUNTED_FROM) {
		end = memchr(rest.ptr, '\0', rest.len);
		return end ? (size_t)(end - rest.ptr) : rest.len;
	}
	how = fuzz_take(&rest);
	return how < rest.len ? how : rest.len;
}

static struct cell read_text(idx_t column)
{
	struct cell cell = { .known = true };
	uint8_t how = fuzz_take(&rest);

	if (is_null(how, column))
		return cell;
	cell.len = text_len(how);
	cell.ptr = xmalloc(cell.len);	/* no byte behind it, so that one too far is found */
	memcpy(cell.ptr, rest.ptr, cell.len);
	rest = slice_from(rest, cell.len + (how < FAKE_COUNTED_FROM && cell.len < rest.len));
	return cell;
}

struct slice duck_slice(struct duck_rows *rows, idx_t column)
{
	struct cell *cell = &cells[column];

	(void)rows;
	FUZZ_MUST(column < CELLS_MAX);
	if (!cell->known)
		*cell = read_text(column);
	return slice_of(cell->ptr, cell->len);
}

char *duck_text(struct duck_rows *rows, idx_t column)
{
	struct slice text = duck_slice(rows, column);

	return !text.ptr || memchr(text.ptr, '\0', text.len) ? NULL : xstrndup(text.ptr, text.len);
}
