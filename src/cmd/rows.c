#include "cmd/rows.h"

#include "base/mem.h"

void rows_init(struct rows *rows, const char **columns, size_t column_count)
{
	*rows = (struct rows){ .answer = { .columns = columns, .column_count = column_count } };
	arena_init(&rows->arena, SIZE_MAX / 2);
}

void rows_release(struct rows *rows)
{
	free(rows->answer.cells);
	arena_release(&rows->arena);
}

struct cell *rows_add(struct rows *rows)
{
	struct answer *answer = &rows->answer;
	size_t columns = answer->column_count;
	struct cell *row;

	if (answer->row_count == ROWS_MAX) {
		rows->full = true;
		return NULL;
	}
	if (answer->row_count == rows->cap) {
		rows->cap = rows->cap ? rows->cap * 2 : 16;
		answer->cells = xreallocarray(answer->cells, rows->cap * columns,
					      sizeof(*answer->cells));
	}
	row = answer->cells + answer->row_count++ * columns;
	for (size_t i = 0; i < columns; i++)
		row[i] = cell_text(NULL);
	return row;
}

struct cell rows_text(struct rows *rows, struct slice text)
{
	struct cell cell = cell_text("");

	if (!text.ptr)
		return cell_text(NULL);
	cell.text = arena_copy(&rows->arena, text);
	return cell;
}

enum err_code rows_print(const struct rows *rows, const struct config *config, struct err *err)
{
	if (rows->full)
		return err_set(err, ERR_LIMIT, "there are more than %d rows: ask for fewer", ROWS_MAX);
	return output_print_list(config, &rows->answer, rows->spare, err);
}
