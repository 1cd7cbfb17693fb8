/* Prints every option, its value and where that was set. */
#include "base/arena.h"
#include "base/mem.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/doctor.h"
#include "cmd/output.h"

enum { KEYS_BYTES_MAX = 1 << 20 };

static const char *shown_value(const struct config *config, enum option option)
{
	const char *value = config_text(config, option);

	return option_type(option) == CONFIG_SECRET && *value ? "***" : value;
}

static size_t count_settings(const struct config *config)
{
	size_t all = 0;

	for (int i = 0; i < OPTION_GROUPS; i++) {
		size_t count;

		(void)config_settings(config, (enum option_group)i, &count);
		all += count;
	}
	return all;
}

/* A row for each setting of the group; returns how many. */
static size_t config_put_group(const struct config *config, enum option_group group,
			   struct arena *keys, struct cell rows[][3])
{
	size_t count;
	const struct config_setting *settings = config_settings(config, group, &count);

	for (size_t i = 0; i < count; i++) {
		const struct config_setting *setting = &settings[i];
		bool masked = option_group_is_secret(setting->name) && *setting->text;
		struct buf key;

		buf_init(&key, KEYS_BYTES_MAX);
		buf_addf(&key, "%s.%s", option_group_name(group), setting->name);
		rows[i][0] = cell_text(arena_str(keys, buf_slice(&key)));
		rows[i][1] = cell_text(masked ? "***" : setting->text);
		rows[i][2] = cell_text(setting->place);
		buf_release(&key);
	}
	return count;
}

static int cmd_config_run(struct config *config, int argc, const char *const *argv)
{
	static const char *columns[] = { "key", "value", "origin" };
	struct answer answer = { .columns = columns, .column_count = ARRAY_LEN(columns) };
	struct cell(*cells)[ARRAY_LEN(columns)] =
		xcalloc(OPTION_COUNT + count_settings(config), sizeof(*cells));
	struct arena keys;
	size_t key_count;
	struct err err;
	int status;

	(void)argc;
	(void)argv;
	arena_init(&keys, KEYS_BYTES_MAX);
	answer.cells = cells[0];
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
	for (int i = 0; i < OPTION_GROUPS; i++)
		answer.row_count += config_put_group(config, (enum option_group)i, &keys,
						 cells + answer.row_count);
	status = output_print(config, &answer, OUTPUT_OF_LIST, &err) == ERR_OK ? 0 : cmd_fail(&err);
	if (config_check_groups(config, &err) != ERR_OK) /* every other command refuses it */
		trace_warn("%s", err.msg);
	if (cmd_gateway_count_keys(config, &key_count, &err) != ERR_OK)
		trace_warn("%s", err.msg);
	arena_release(&keys);
	free(cells);
	return status;
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
