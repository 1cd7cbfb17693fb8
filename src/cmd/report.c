#include "cmd/report.h"

#include "base/json.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/rows.h"

static bool report_add(struct rows *rows, struct slice what, struct slice table, struct json value)
{
	struct cell *row = rows_add(rows);

	if (!row)
		return false;
	row[0] = rows_text(rows, what);
	row[1] = rows_text(rows, table);
	row[2] = (struct cell){ .type = json_type(value) == JSON_OBJECT ? CELL_JSON : CELL_NUMBER,
				.text = json_text(value) };
	return true;
}

static void report_add_all(struct rows *rows, struct json root)
{
	struct json_iter iter = json_iter(root);

	while (json_next(&iter)) {
		struct json_iter tables;

		if (json_type(iter.value) != JSON_OBJECT) {
			(void)report_add(rows, iter.key, slice_of(NULL, 0), iter.value);
			continue;
		}
		tables = json_iter(iter.value);
		while (json_next(&tables))
			(void)report_add(rows, iter.key, tables.key, tables.value);
	}
}

enum err_code report_print(const struct config *config, struct buf *report, struct err *err)
{
	static const char *columns[] = { "what", "table", "count" };
	struct json_parser *parser;
	struct json root;
	struct rows rows;
	enum err_code code;

	if (output_format(config) == OUTPUT_JSON || buf_full(report))
		return cmd_print(report, err);
	parser = json_parser_new(report->max);
	rows_init(&rows, columns, ARRAY_LEN(columns));
	code = json_parse(parser, buf_slice(report), &root, err);
	if (code == ERR_OK) {
		report_add_all(&rows, root);
		code = rows_print(&rows, config, err);
	}
	rows_release(&rows);
	json_parser_free(parser);
	buf_clear(report);
	return code;
}
