#include "cmd/output.h"

#include "base/json.h"
#include "base/mem.h"
#include "cmd/cmd.h"

#include <unistd.h>

enum {
	WIDTH_MAX = 60,			/* characters of a column */
	OUTPUT_MAX = 256 << 20,		/* bytes */
};

enum output_format output_format(const struct config *config)
{
	const char *format = config_text(config, OPT_FORMAT);

	if (strcmp(format, "table") == 0)
		return OUTPUT_TABLE;
	if (strcmp(format, "csv") == 0)
		return OUTPUT_CSV;
	if (strcmp(format, "auto") == 0 && isatty(STDOUT_FILENO))
		return OUTPUT_TABLE;
	return OUTPUT_JSON;
}

static void put_plain(struct buf *out, const struct cell *cell)
{
	switch (cell->type) {
	case CELL_NULL:
		break;
	case CELL_BOOL:
		buf_add_str(out, cell->i ? "true" : "false");
		break;
	case CELL_INT:
		buf_add_i64(out, cell->i);
		break;
	case CELL_DOUBLE:
		json_put_double(out, cell->d);
		break;
	case CELL_NUMBER: case CELL_TEXT: case CELL_JSON:
		buf_add_slice(out, cell->text);
		break;
	}
}

/* JSON */

static void output_put_json(struct buf *out, const struct answer *answer)
{
	const struct cell *cell = answer->cells;

	buf_add_char(out, '[');
	for (size_t row = 0; row < answer->row_count; row++) {
		buf_add_str(out, row ? ",\n {" : "{");
		for (size_t column = 0; column < answer->column_count; column++) {
			if (column)
				buf_add_str(out, ", ");
			json_put_string(out, slice_str(answer->columns[column]));
			buf_add_str(out, ": ");
			answer_put_cell(out, cell++);
		}
		buf_add_char(out, '}');
	}
	buf_add_str(out, "]\n");
}

/* Table */

/* The byte begins a character; others go on with one (UTF-8). */
static bool begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

static bool is_control(struct slice text, size_t at)
{
	unsigned char c = (unsigned char)text.ptr[at];

	if (c == 0xc2 && at + 1 < text.len)	/* U+0080 to U+009F: what some terminals obey */
		return (unsigned char)text.ptr[at + 1] < 0xa0;
	return c < 0x20 || c == 0x7f;
}

/* What a person sees of a cell, at most WIDTH_MAX characters; returns how many. */
static size_t put_visible(struct buf *out, const struct cell *cell)
{
	struct buf plain;
	struct slice text;
	size_t width = 0;

	buf_init(&plain, OUTPUT_MAX);
	put_plain(&plain, cell);
	text = buf_slice(&plain);
	for (size_t i = 0; i < text.len; i++) {
		if (width >= WIDTH_MAX - 4 && begins_character(text.ptr[i]) && text.len - i > 8) {
			buf_add_str(out, "…");
			width++;
			break;
		}
		if (is_control(text, i)) {
			buf_addf(out, "\\x%02x", (unsigned char)text.ptr[i]);
			width += 4;
		} else {
			buf_add_char(out, text.ptr[i]);
			width += begins_character(text.ptr[i]);
		}
	}
	buf_release(&plain);
	return width;
}

static void pad(struct buf *out, size_t width)
{
	for (; width > 0; width--)
		buf_add_char(out, ' ');
}

static void measure(const struct answer *answer, size_t *widths)
{
	const struct cell *cell = answer->cells;
	struct buf scratch;

	buf_init(&scratch, 4096);
	for (size_t column = 0; column < answer->column_count; column++)
		widths[column] = strlen(answer->columns[column]);
	for (size_t row = 0; row < answer->row_count; row++)
		for (size_t column = 0; column < answer->column_count; column++) {
			size_t width;

			buf_clear(&scratch);
			width = put_visible(&scratch, cell++);
			if (width > widths[column])
				widths[column] = width;
		}
	buf_release(&scratch);
}

static void put_table_row(struct buf *out, const struct cell *cells, size_t count,
			  const size_t *widths)
{
	struct buf text;

	buf_init(&text, 4096);
	for (size_t column = 0; column < count; column++) {
		const struct cell *cell = &cells[column];
		bool right = cell->type == CELL_INT || cell->type == CELL_DOUBLE ||
			     cell->type == CELL_NUMBER;
		size_t space;

		buf_clear(&text);
		space = widths[column] - put_visible(&text, cell);
		pad(out, right ? space : 0);
		buf_add_slice(out, buf_slice(&text));
		if (column + 1 < count)
			pad(out, (right ? 0 : space) + 2);
	}
	buf_add_char(out, '\n');
	buf_release(&text);
}

static void output_put_table(struct buf *out, const struct answer *answer)
{
	size_t count = answer->column_count;
	size_t *widths = xcalloc(count, sizeof(*widths));
	struct cell *heads = xcalloc(count, sizeof(*heads));

	measure(answer, widths);
	for (size_t column = 0; column < count; column++)
		heads[column] = cell_text(answer->columns[column]);
	put_table_row(out, heads, count, widths);
	for (size_t row = 0; row < answer->row_count; row++)
		put_table_row(out, answer->cells + row * count, count, widths);
	free(heads);
	free(widths);
}

void output_put(struct buf *out, const struct answer *answer, enum output_format format)
{
	switch (format) {
	case OUTPUT_TABLE:
		output_put_table(out, answer);
		break;
	case OUTPUT_JSON:
		output_put_json(out, answer);
		break;
	case OUTPUT_CSV:
		answer_put_csv(out, answer);
		break;
	}
}

enum err_code output_print(const struct config *config, const struct answer *answer,
			   struct err *err)
{
	enum err_code code;
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	output_put(&out, answer, output_format(config));
	code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}
