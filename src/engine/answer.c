#include "engine/answer.h"

#include "base/json.h"
#include "base/mem.h"

void answer_release(struct answer *answer)
{
	if (answer->memory)
		arena_release(answer->memory);
	free(answer->memory);
	*answer = (struct answer){ 0 };
}

void answer_put_cell(struct buf *out, const struct cell *cell)
{
	switch (cell->type) {
	case CELL_NULL:
		buf_add_str(out, "null");
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
	case CELL_NUMBER: case CELL_JSON:
		buf_add_slice(out, cell->text);
		break;
	case CELL_TEXT:
		json_put_string(out, cell->text);
		break;
	}
}

void answer_put_members(struct buf *out, const struct answer *answer)
{
	buf_add_str(out, "\"columns\":[");
	for (size_t i = 0; i < answer->column_count; i++) {
		buf_add_str(out, i ? "," : "");
		json_put_string(out, slice_str(answer->columns[i]));
	}
	buf_add_str(out, "],\"rows\":[");
	for (size_t row = 0; row < answer->row_count; row++) {
		buf_add_str(out, row ? ",[" : "[");
		for (size_t i = 0; i < answer->column_count; i++) {
			buf_add_str(out, i ? "," : "");
			answer_put_cell(out, answer_cell(answer, row, i));
		}
		buf_add_char(out, ']');
	}
	buf_add_char(out, ']');
}

void answer_put_json(struct buf *out, const struct answer *answer)
{
	buf_add_char(out, '{');
	answer_put_members(out, answer);
	buf_add_char(out, '}');
}

static bool csv_needs_quotes(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (strchr("\",\r\n", text.ptr[i]))	/* a NUL too */
			return true;
	return text.len == 0;
}

static void put_csv_text(struct buf *out, struct slice text)
{
	if (!csv_needs_quotes(text)) {
		buf_add_slice(out, text);
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"')
			buf_add_char(out, '"');
		buf_add_char(out, text.ptr[i]);
	}
	buf_add_char(out, '"');
}

void answer_put_csv(struct buf *out, const struct answer *answer)
{
	for (size_t i = 0; i < answer->column_count; i++) {
		buf_add_str(out, i ? "," : "");
		put_csv_text(out, slice_str(answer->columns[i]));
	}
	buf_add_str(out, "\r\n");
	for (size_t row = 0; row < answer->row_count; row++) {
		for (size_t i = 0; i < answer->column_count; i++) {
			const struct cell *cell = answer_cell(answer, row, i);

			buf_add_str(out, i ? "," : "");
			if (cell->type == CELL_TEXT || cell->type == CELL_JSON)
				put_csv_text(out, cell->text);
			else if (cell->type != CELL_NULL)
				answer_put_cell(out, cell);
		}
		buf_add_str(out, "\r\n");
	}
}
