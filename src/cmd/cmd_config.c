/* Prints every option, its value and where that was set. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/output.h"

static const char *shown_value(const struct config *config, enum option option)
{
	const char *value = config_text(config, option);

	return option_type(option) == CONFIG_SECRET && *value ? "***" : value;
}

static int cmd_config_run(struct config *config, int argc, const char *const *argv)
{
	static const char *columns[] = { "key", "value", "origin" };
	struct cell cells[OPTION_COUNT][ARRAY_LEN(columns)];
	struct answer answer = { .columns = columns, .column_count = ARRAY_LEN(columns),
				 .cells = cells[0] };
	struct err err;

	(void)argc;
	(void)argv;
	for (int i = 0; i < OPTION_COUNT; i++) {
		enum option option = (enum option)i;
		struct cell *row = cells[answer.row_count];

		if (!*option_key(option))
			continue;	/* it says what one call shall do */
		row[0] = cell_text(option_key(option));
		row[1] = cell_text(shown_value(config, option));
		row[2] = cell_text(config_place(config, option));
		answer.row_count++;
	}
	return output_print(config, &answer, &err) == ERR_OK ? 0 : cmd_fail(&err);
}

static const enum option options[] = { OPTION_COUNT };

const struct command cmd_config = {
	.name = "config",
	.summary = "Show every option, its value and where that was set",
	.usage = "[options]",
	.options = options,
	.examples = "pinpipe config\n"
		    "pinpipe config --format json\n"
		    "PINPIPE_GATEWAY_LISTEN=127.0.0.1:9000 pinpipe config\n",
	.run = cmd_config_run,
};
