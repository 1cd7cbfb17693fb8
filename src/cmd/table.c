#include "cmd/table.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/terminal.h"
#include "base/visible.h"

#include <inttypes.h>

enum { CELL_BYTES_MAX = 256 << 20, GAP = 2, GAP_MIN = 1 };

/* While it is put. */
struct table {
	const struct answer *answer;
	const struct table_look *look;
	size_t gap;	  /* between columns */
	size_t *widths;	  /* by column */
	size_t *words;	  /* of its longest word: no narrower; 0: it may be */
	bool *right;	  /* numbers */
	struct buf plain; /* of one cell */
	struct arena cells; /* of the row that is put */
};

static struct slice table_plain(struct table *table, const struct cell *cell)
{
	struct buf *plain = &table->plain;

	buf_clear(plain);
	switch (cell->type) {
	case CELL_NULL:
		return slice_str(table->look->null);
	case CELL_BOOL:
		return slice_str(cell->i ? "true" : "false");
	case CELL_INT:
		buf_add_i64(plain, cell->i);
		break;
	case CELL_DOUBLE:
		json_put_double(plain, cell->d);
		break;
	case CELL_NUMBER:
	case CELL_TEXT:
	case CELL_JSON:
		return cell->text;
	}
	return buf_slice(plain);
}

static bool table_is_number(const struct cell *cell)
{
	return cell->type == CELL_INT || cell->type == CELL_DOUBLE || cell->type == CELL_NUMBER;
}

/* What fits, and how many columns it takes; "…" for the rest. */
static size_t table_put_cut(struct buf *out, struct slice text, size_t columns)
{
	size_t fits = terminal_fit(text, columns);

	if (fits < text.len && columns > 0) {
		fits = terminal_fit(text, columns - 1);
		visible_put(out, slice_of(text.ptr, fits), false);
		buf_add_str(out, "…");
		return terminal_columns(slice_of(text.ptr, fits)) + 1;
	}
	visible_put(out, slice_of(text.ptr, fits), false);
	return terminal_columns(slice_of(text.ptr, fits));
}

static void table_pad(struct buf *out, size_t width, const char *with)
{
	for (; width > 0; width--)
		buf_add_str(out, with);
}

/* `last`: nothing stands to the right of it. */
static void put_cell(struct table *table, struct buf *out, size_t column, struct slice text,
		     bool last)
{
	size_t width = table->widths[column];
	struct buf cut;
	size_t taken;

	buf_init(&cut, CELL_BYTES_MAX);
	taken = table_put_cut(&cut, text, width);
	table_pad(out, table->right[column] ? width - taken : 0, " ");
	buf_add_slice(out, buf_slice(&cut));
	if (!last)
		table_pad(out, (table->right[column] ? 0 : width - taken) + table->gap, " ");
	buf_release(&cut);
}

/* --- words ---------------------------------------------------------------------- */

/* The next word of a text, and the blanks before it go. False: there is none. */
static bool table_next_word(struct slice *text, struct slice *ret_word)
{
	size_t len = 0;

	while (text->len > 0 && *text->ptr == ' ')
		*text = slice_of(text->ptr + 1, text->len - 1);
	while (len < text->len && text->ptr[len] != ' ')
		len++;
	*ret_word = slice_of(text->ptr, len);
	*text = slice_of(text->ptr + len, text->len - len);
	return len > 0;
}

static size_t table_longest_word(struct slice text)
{
	size_t longest = 0;
	struct slice word;

	while (table_next_word(&text, &word)) {
		size_t columns = terminal_columns(word);

		longest = columns > longest ? columns : longest;
	}
	return longest;
}

/* Whole words of the text that a line takes; the others stay. */
static struct slice table_next_line(struct slice *text, size_t width)
{
	struct slice rest = *text, line = slice_of(text->ptr, 0), word;

	if (terminal_fit(*text, width) == text->len) {
		*text = slice_of(text->ptr + text->len, 0);
		return rest;
	}
	while (table_next_word(&rest, &word)) {
		struct slice longer = slice_of(line.ptr, (size_t)(rest.ptr - line.ptr));

		if (line.len > 0 && terminal_columns(longer) > width)
			break;
		if (line.len == 0)
			longer = word;
		line = longer;
		*text = rest;
	}
	while (text->len > 0 && *text->ptr == ' ')
		*text = slice_of(text->ptr + 1, text->len - 1);
	return line;
}

/* --- widths --------------------------------------------------------------------- */

static void table_measure(struct table *table)
{
	const struct answer *answer = table->answer;
	size_t most = table->look->width ? table->look->width : TABLE_CELL_MAX;
	bool whole = table->look->whole;

	for (size_t column = 0; column < answer->column_count; column++) {
		size_t width = terminal_columns(slice_str(answer->columns[column]));

		table->words[column] = whole ? width : 0;

		for (size_t row = 0; row < answer->row_count; row++) {
			const struct cell *cell = answer_cell(answer, row, column);
			struct slice text = table_plain(table, cell);
			/* What is longer is cut; to know how much longer would take long. */
			bool fits = whole || terminal_fit(text, most) == text.len;
			size_t its = fits ? terminal_columns(text) : most;
			size_t word = whole ? table_longest_word(text) : 0;

			table->right[column] |= table_is_number(cell);
			width = its > width ? its : width;
			if (word > table->words[column])
				table->words[column] = word;
		}
		table->widths[column] = width;
	}
}

/* What a column has, if none is to be wider than `cell_max`. */
static size_t table_width(const struct table *table, size_t column, size_t cell_max)
{
	size_t width = table->widths[column];

	if (cell_max < table->words[column])
		cell_max = table->words[column];
	return width < cell_max ? width : cell_max;
}

static size_t table_total(const struct table *table, size_t cell_max)
{
	size_t total = 0;

	for (size_t column = 0; column < table->answer->column_count; column++)
		total += table_width(table, column, cell_max) + (column ? table->gap : 0);
	return total;
}

/* False: they cannot be made to fit. */
static bool table_shrink(struct table *table)
{
	size_t width = table->look->width;
	size_t cell_max = width ? width : TABLE_CELL_MAX;

	if (!width && table->look->whole)
		return true;
	while (width && cell_max > TABLE_CELL_MIN && table_total(table, cell_max) > width)
		cell_max--;
	if (width && table_total(table, cell_max) > width)
		return false;
	for (size_t column = 0; column < table->answer->column_count; column++)
		table->widths[column] = table_width(table, column, cell_max);
	return true;
}

/* --- shapes --------------------------------------------------------------------- */

/* As many lines as its longest cell takes; one, where cells are cut. */
static void table_put_row(struct table *table, struct buf *out, size_t row)
{
	size_t count = table->answer->column_count, last = count - 1;
	struct slice *rest = xcalloc(count, sizeof(*rest));
	bool whole = table->look->whole, more = true;

	for (size_t column = 0; column < count; column++) {
		struct slice text = table_plain(table, answer_cell(table->answer, row, column));

		rest[column] = arena_copy(&table->cells, text);
	}
	while (more) {
		more = false;
		for (size_t column = 0; column < count; column++) {
			struct slice line = rest[column];

			if (whole)
				line = table_next_line(&rest[column], table->widths[column]);
			put_cell(table, out, column, line, column == last);
			more |= whole && rest[column].len > 0;
		}
		buf_add_char(out, '\n');
	}
	free(rest);
	arena_reset(&table->cells);
}

static void table_put_lines(struct table *table, struct buf *out)
{
	const struct answer *answer = table->answer;
	size_t last = answer->column_count - 1;

	for (size_t column = 0; column < answer->column_count; column++)
		put_cell(table, out, column, slice_str(answer->columns[column]), column == last);
	buf_add_char(out, '\n');
	for (size_t column = 0; column < answer->column_count; column++) {
		table_pad(out, column ? table->gap : 0, " ");
		table_pad(out, table->widths[column], "─");
	}
	buf_add_char(out, '\n');
	for (size_t row = 0; row < answer->row_count; row++)
		table_put_row(table, out, row);
}

void table_put_text(struct buf *out, struct slice text, size_t indent, size_t width)
{
	if (width < indent + TABLE_CELL_MIN) {
		visible_put(out, text, false);
		return;
	}
	do {
		visible_put(out, table_next_line(&text, width - indent), false);
		if (text.len > 0) {
			buf_add_char(out, '\n');
			table_pad(out, indent, " ");
		}
	} while (text.len > 0);
}

static void table_put_blocks(struct table *table, struct buf *out)
{
	const struct answer *answer = table->answer;
	size_t names = 0;

	for (size_t column = 0; column < answer->column_count; column++) {
		size_t width = terminal_columns(slice_str(answer->columns[column]));

		names = width > names ? width : names;
	}
	for (size_t row = 0; row < answer->row_count; row++) {
		buf_addf(out, "── row %zu ", row + 1);
		table_pad(out, names, "─");
		buf_add_char(out, '\n');
		for (size_t column = 0; column < answer->column_count; column++) {
			struct slice name = slice_str(answer->columns[column]);

			visible_put(out, name, false);
			table_pad(out, names - terminal_columns(name) + GAP, " ");
			table_put_text(out, table_plain(table, answer_cell(answer, row, column)),
				       names + GAP, table->look->whole ? table->look->width : 0);
			buf_add_char(out, '\n');
		}
	}
}

/* --- what fits ------------------------------------------------------------------ */

static void table_init(struct table *table, const struct answer *answer,
		       const struct table_look *look, size_t gap)
{
	*table = (struct table){
		.answer = answer,
		.look = look,
		.gap = gap,
		.widths = xcalloc(answer->column_count, sizeof(size_t)),
		.words = xcalloc(answer->column_count, sizeof(size_t)),
		.right = xcalloc(answer->column_count, sizeof(bool)),
	};
	buf_init(&table->plain, CELL_BYTES_MAX);
	arena_init(&table->cells, SIZE_MAX / 2);
}

static void table_release(struct table *table)
{
	buf_release(&table->plain);
	arena_release(&table->cells);
	free(table->widths);
	free(table->words);
	free(table->right);
}

/* False: it does not fit, and nothing was put. */
static bool table_try(struct buf *out, const struct answer *answer, const struct table_look *look,
		      size_t gap)
{
	struct table table;
	bool fits;

	table_init(&table, answer, look, gap);
	table_measure(&table);
	fits = table_shrink(&table);
	if (fits)
		table_put_lines(&table, out);
	table_release(&table);
	return fits;
}

static bool column_is_spare(const struct answer *answer, const struct table_look *look,
			    size_t column)
{
	bool empty = answer->row_count > 0;

	for (size_t row = 0; row < answer->row_count && empty; row++)
		empty = answer_cell(answer, row, column)->type == CELL_NULL;
	return empty || (column < TABLE_SPARE_MAX && look->spare & TABLE_SPARE(column));
}

/* The same without what may be left out; its cells are the other's. */
static struct answer table_fewer(const struct answer *answer, const struct table_look *look)
{
	size_t *kept = xcalloc(answer->column_count, sizeof(*kept));
	struct answer fewer = { .row_count = answer->row_count };

	fewer.columns = xcalloc(answer->column_count, sizeof(*fewer.columns));
	for (size_t column = 0; column < answer->column_count; column++)
		if (!column_is_spare(answer, look, column)) {
			kept[fewer.column_count] = column;
			fewer.columns[fewer.column_count++] = answer->columns[column];
		}
	fewer.cells = xcalloc(fewer.row_count * fewer.column_count, sizeof(*fewer.cells));
	for (size_t row = 0; row < fewer.row_count; row++)
		for (size_t column = 0; column < fewer.column_count; column++)
			fewer.cells[row * fewer.column_count + column] =
				*answer_cell(answer, row, kept[column]);
	free(kept);
	return fewer;
}

static bool table_try_fewer(struct buf *out, const struct answer *answer,
			    const struct table_look *look)
{
	struct answer fewer = table_fewer(answer, look);
	bool fits = fewer.column_count > 0 &&
		    (table_try(out, &fewer, look, GAP) || table_try(out, &fewer, look, GAP_MIN));

	if (fits && look->spare)
		buf_add_str(out, "(more columns in a wider terminal, or with --format json)\n");
	free(fewer.cells);
	free(fewer.columns);
	return fits;
}

void table_put(struct buf *out, const struct answer *answer, const struct table_look *look)
{
	if (!table_try(out, answer, look, GAP) &&
	    !(look->whole && table_try_fewer(out, answer, look))) {
		struct table table;

		table_init(&table, answer, look, GAP);
		table_put_blocks(&table, out);
		table_release(&table);
	}
	if (look->counts)
		buf_addf(out, "(%zu row%s)\n", answer->row_count,
			 answer->row_count == 1 ? "" : "s");
}
