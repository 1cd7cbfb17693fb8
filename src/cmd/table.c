#include "cmd/table.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/terminal.h"
#include "base/visible.h"

#include <inttypes.h>

enum { CELL_BYTES_MAX = 256 << 20, GAP = 2 };

/* While it is put. */
struct table {
	const struct answer *answer;
	const struct table_look *look;
	size_t *widths;	  /* by column */
	bool *right;	  /* numbers */
	struct buf plain; /* of one cell */
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

static void put_cell(struct table *table, struct buf *out, size_t column, struct slice text)
{
	size_t width = table->widths[column];
	bool last = column + 1 == table->answer->column_count;
	struct buf cut;
	size_t taken;

	buf_init(&cut, CELL_BYTES_MAX);
	taken = table_put_cut(&cut, text, width);
	table_pad(out, table->right[column] ? width - taken : 0, " ");
	buf_add_slice(out, buf_slice(&cut));
	if (!last)
		table_pad(out, (table->right[column] ? 0 : width - taken) + GAP, " ");
	buf_release(&cut);
}

/* --- widths --------------------------------------------------------------------- */

static void table_measure(struct table *table)
{
	const struct answer *answer = table->answer;
	size_t most = table->look->width ? table->look->width : TABLE_CELL_MAX;

	for (size_t column = 0; column < answer->column_count; column++) {
		size_t width = terminal_columns(slice_str(answer->columns[column]));

		for (size_t row = 0; row < answer->row_count; row++) {
			const struct cell *cell = answer_cell(answer, row, column);
			struct slice text = table_plain(table, cell);
			/* What is longer is cut; to know how much longer would take long. */
			bool fits = terminal_fit(text, most) == text.len;
			size_t its = fits ? terminal_columns(text) : most;

			table->right[column] |= table_is_number(cell);
			width = its > width ? its : width;
		}
		table->widths[column] = width;
	}
}

static size_t table_total(const struct table *table, size_t cell_max)
{
	size_t total = 0;

	for (size_t column = 0; column < table->answer->column_count; column++)
		total += (table->widths[column] < cell_max ? table->widths[column] : cell_max) +
			 (column ? GAP : 0);
	return total;
}

/* False: they cannot be made to fit. */
static bool table_shrink(struct table *table)
{
	size_t width = table->look->width;
	size_t cell_max = width ? width : TABLE_CELL_MAX;

	while (width && cell_max > TABLE_CELL_MIN && table_total(table, cell_max) > width)
		cell_max--;
	if (width && table_total(table, cell_max) > width)
		return false;
	for (size_t column = 0; column < table->answer->column_count; column++)
		if (table->widths[column] > cell_max)
			table->widths[column] = cell_max;
	return true;
}

/* --- shapes --------------------------------------------------------------------- */

static void table_put_lines(struct table *table, struct buf *out)
{
	const struct answer *answer = table->answer;

	for (size_t column = 0; column < answer->column_count; column++)
		put_cell(table, out, column, slice_str(answer->columns[column]));
	buf_add_char(out, '\n');
	for (size_t column = 0; column < answer->column_count; column++) {
		table_pad(out, column ? GAP : 0, " ");
		table_pad(out, table->widths[column], "─");
	}
	buf_add_char(out, '\n');
	for (size_t row = 0; row < answer->row_count; row++) {
		for (size_t column = 0; column < answer->column_count; column++)
			put_cell(table, out, column,
				 table_plain(table, answer_cell(answer, row, column)));
		buf_add_char(out, '\n');
	}
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
			visible_put(out, table_plain(table, answer_cell(answer, row, column)),
				    false);
			buf_add_char(out, '\n');
		}
	}
}

void table_put(struct buf *out, const struct answer *answer, const struct table_look *look)
{
	struct table table = {
		.answer = answer,
		.look = look,
		.widths = xcalloc(answer->column_count, sizeof(size_t)),
		.right = xcalloc(answer->column_count, sizeof(bool)),
	};

	buf_init(&table.plain, CELL_BYTES_MAX);
	table_measure(&table);
	if (table_shrink(&table))
		table_put_lines(&table, out);
	else
		table_put_blocks(&table, out);
	if (look->counts)
		buf_addf(out, "(%zu row%s)\n", answer->row_count,
			 answer->row_count == 1 ? "" : "s");
	buf_release(&table.plain);
	free(table.widths);
	free(table.right);
}
