#include "cmd/output.h"

#include "base/json.h"
#include "base/terminal.h"
#include "cmd/cmd.h"
#include "cmd/table.h"

#include <unistd.h>

enum { OUTPUT_MAX = 256 << 20 }; /* bytes */

enum output_format output_format(const struct config *config)
{
	const char *format = config_text(config, OPT_FORMAT);

	if (strcmp(format, "table") == 0)
		return OUTPUT_TABLE;
	if (strcmp(format, "csv") == 0)
		return OUTPUT_CSV;
	if (strcmp(format, "parquet") == 0)
		return OUTPUT_PARQUET;
	if (strcmp(format, "auto") == 0 && isatty(STDOUT_FILENO))
		return OUTPUT_TABLE;
	return OUTPUT_JSON;
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

/* To a terminal, no wider than that. */
static void output_put_table(struct buf *out, const struct answer *answer, enum output_of of,
			     uint64_t spare)
{
	const struct table_look look = {
		.width = terminal_width(STDOUT_FILENO),
		.null = of == OUTPUT_OF_QUESTION ? "NULL" : "-",
		.counts = of == OUTPUT_OF_QUESTION,
		.whole = of == OUTPUT_OF_LIST,
		.spare = spare,
	};

	table_put(out, answer, &look);
}

static void output_put_spared(struct buf *out, const struct answer *answer, enum output_of of,
			      uint64_t spare, enum output_format format)
{
	switch (format) {
	case OUTPUT_TABLE:
		output_put_table(out, answer, of, spare);
		break;
	case OUTPUT_JSON:
		output_put_json(out, answer);
		break;
	case OUTPUT_CSV:
		answer_put_csv(out, answer);
		break;
	case OUTPUT_PARQUET:
		break;
	}
}

void output_put(struct buf *out, const struct answer *answer, enum output_of of,
		enum output_format format)
{
	output_put_spared(out, answer, of, 0, format);
}

static enum err_code output_print_spared(const struct config *config, const struct answer *answer,
					 enum output_of of, uint64_t spare, struct err *err)
{
	enum err_code code;
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	output_put_spared(&out, answer, of, spare, output_format(config));
	code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}

enum err_code output_print(const struct config *config, const struct answer *answer,
			   enum output_of of, struct err *err)
{
	return output_print_spared(config, answer, of, 0, err);
}

enum err_code output_print_list(const struct config *config, const struct answer *answer,
				uint64_t spare, struct err *err)
{
	return output_print_spared(config, answer, OUTPUT_OF_LIST, spare, err);
}
