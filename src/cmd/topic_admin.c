#include "cmd/topic_admin.h"

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/rows.h"
#include "cmd/setup.h"
#include "cmd/table.h"

enum { REPLICAS_TEXT_MAX = 64 << 10 };

static const char *noun(enum topic_kind kind) { return kind == TOPIC_STREAM ? "stream" : "topic"; }

/* A service need not tell where its partitions end. */
static struct cell unknown_cell(void) { return cell_text("unknown"); }

static struct cell position_cell(struct rows *rows, struct position position)
{
	char text[POSITION_TEXT_MAX];

	return rows_text(rows, slice_of(text, position_text(position, text)));
}

/* --- list -------------------------------------------------------------- */

static const char *list_columns[] = { "name", "partitions", "records" };
static const char *list_columns_of_streams[] = { "name", "shards", "records" };

static bool topic_admin_add_name(void *user, const char *name)
{
	struct rows *rows = user;
	struct cell *row = rows_add(rows);

	if (row)
		row[0] = rows_text(rows, slice_str(name));
	return row != NULL;
}

/* A topic that has gone since it was listed keeps its nulls. */
static enum err_code add_figures(struct broker *broker, enum topic_kind kind, struct rows *rows,
				 struct cell *row, struct err *err)
{
	struct topic_ref topic = { kind, arena_str(&rows->arena, row[0].text) };
	struct topic_info info;
	uint64_t records = 0;
	bool known = true;
	enum err_code code = broker_describe(broker, topic, &info, err);

	if (code != ERR_OK)
		return code == ERR_NO_TOPIC ? ERR_OK : code;
	for (int32_t i = 0; i < info.partition_count; i++) {
		known = known && info.partitions[i].next_known;
		records += info.partitions[i].records;
	}
	row[1] = cell_int(info.partition_count);
	row[2] = known ? cell_int((int64_t)records) : unknown_cell();
	topic_info_release(&info);
	return ERR_OK;
}

static enum err_code list(const struct config *config, struct broker *broker, enum topic_kind kind,
			  struct err *err)
{
	struct rows rows;
	enum err_code code;

	rows_init(&rows, kind == TOPIC_STREAM ? list_columns_of_streams : list_columns,
		  ARRAY_LEN(list_columns));
	code = broker_list(broker, kind, topic_admin_add_name, &rows, err);
	for (size_t i = 0; i < rows.answer.row_count && code == ERR_OK; i++)
		code = add_figures(broker, kind, &rows,
				   rows.answer.cells + i * ARRAY_LEN(list_columns), err);
	if (code == ERR_OK)
		code = rows_print(&rows, config, err);
	rows_release(&rows);
	return code;
}

/* --- describe ---------------------------------------------------------- */

/* Who has a partition is told of topics only. */
enum { COLUMNS_OF_STREAMS = 5 };
static const char *describe_columns[] = { "partition", "records", "first",    "next",
					  "open",      "leader",  "replicas", "in_sync" };

/* "1,2,3": all of them, or those in sync. */
static struct cell replicas_cell(struct rows *rows, const struct partition_info *partition,
				 bool all)
{
	struct cell cell;
	struct buf text;

	buf_init(&text, REPLICAS_TEXT_MAX);
	for (size_t i = 0; i < partition->replica_count; i++)
		if (all || partition->replicas[i].in_sync)
			buf_addf(&text, "%s%d", text.len ? "," : "", partition->replicas[i].node);
	cell = rows_text(rows, text.len ? buf_slice(&text) : slice_str(""));
	buf_release(&text);
	return cell;
}

static void add_partition(struct rows *rows, const struct topic_info *info, int32_t i)
{
	const struct partition_info *partition = &info->partitions[i];
	struct cell *row = rows_add(rows);
	char text[PARTITION_TEXT_MAX];
	size_t len = partition_text(info->kind, partition->id, text);

	row[0] = rows_text(rows, slice_of(text, len));
	row[1] = partition->next_known ? cell_int((int64_t)partition->records) : unknown_cell();
	row[2] = position_cell(rows, partition->first);
	row[3] = partition->next_known ? position_cell(rows, partition->next) : unknown_cell();
	row[4] = (struct cell){ .type = CELL_BOOL, .i = partition->open };
	if (info->kind == TOPIC_STREAM || partition->replica_count == 0)
		return;
	if (partition->leader != NODE_NONE)
		row[5] = cell_int(partition->leader);
	row[6] = replicas_cell(rows, partition, true);
	row[7] = replicas_cell(rows, partition, false);
}

static enum err_code topic_admin_describe(const struct config *config, struct broker *broker,
					  struct topic_ref topic, struct err *err)
{
	struct topic_info info;
	enum err_code code = broker_describe(broker, topic, &info, err);
	struct rows rows;

	if (code != ERR_OK)
		return code;
	rows_init(&rows, describe_columns,
		  topic.kind == TOPIC_STREAM ? COLUMNS_OF_STREAMS : ARRAY_LEN(describe_columns));
	rows.spare = TABLE_SPARE(4) | TABLE_SPARE(7);
	for (int32_t i = 0; i < info.partition_count; i++)
		add_partition(&rows, &info, i);
	code = rows_print(&rows, config, err);
	rows_release(&rows);
	topic_info_release(&info);
	return code;
}

static const char *settings_columns[] = { "name", "value" };

static bool topic_admin_add_setting(void *user, const char *name, const char *value)
{
	struct rows *rows = user;
	struct cell *row = rows_add(rows);

	if (!row)
		return false;
	row[0] = rows_text(rows, slice_str(name));
	row[1] = value ? rows_text(rows, slice_str(value)) : cell_text(NULL);
	return true;
}

static enum err_code topic_admin_settings(const struct config *config, struct broker *broker,
					  struct topic_ref topic, struct err *err)
{
	struct rows rows;
	enum err_code code;

	rows_init(&rows, settings_columns, ARRAY_LEN(settings_columns));
	code = broker_settings(broker, topic, topic_admin_add_setting, &rows, err);
	if (code == ERR_OK)
		code = rows_print(&rows, config, err);
	rows_release(&rows);
	return code;
}

/* --- create and delete: of a log in --dir, as its only writer ------------- */

static enum err_code open_writer(const struct config *config, enum topic_kind kind,
				 struct broker **ret_broker, struct err *err)
{
	enum err_code code = setup_log_admin(config, kind, ret_broker, err);

	if (code == ERR_LOCKED)
		return err_set(
			err, ERR_LOCKED,
			"a gateway is running on \"%s\" and is the only one that may change its log;"
			" it creates what is posted to, see gateway --auto-create",
			config_text(config, OPT_DIR));
	return code;
}

static enum err_code change(const struct config *config, const char *action,
			    struct topic_ref topic, struct err *err)
{
	enum option count = topic.kind == TOPIC_STREAM ? OPT_SHARDS : OPT_PARTITIONS;
	struct topic_options options = { .partitions = (int32_t)config_int(config, count) };
	struct broker *broker;
	enum err_code code = open_writer(config, topic.kind, &broker, err);

	if (topic.kind == TOPIC_LOG)
		options.replicas = (int32_t)config_int(config, OPT_REPLICAS);

	if (code != ERR_OK)
		return code;
	if (!strcmp(action, "create"))
		code = broker_create(broker, topic, &options, err);
	else
		code = broker_remove(broker, topic, err);
	broker_free(broker);
	return code;
}

/* --- which ------------------------------------------------------------- */

static enum err_code topic_admin_look(const struct config *config, enum topic_kind kind,
				      const char *name, struct err *err)
{
	struct topic_ref topic = { kind, name };
	struct broker *broker;
	enum err_code code = setup_log_kind_there(config, kind, &broker, err);

	if (code != ERR_OK)
		return code;
	if (!name)
		code = list(config, broker, kind, err);
	else if (config_bool(config, OPT_SETTINGS))
		code = topic_admin_settings(config, broker, topic, err);
	else
		code = topic_admin_describe(config, broker, topic, err);
	broker_free(broker);
	return code;
}

static bool is_action(const char *word)
{
	return !strcmp(word, "create") || !strcmp(word, "describe") || !strcmp(word, "delete");
}

static enum err_code topic_admin_act(const struct config *config, enum topic_kind kind,
				     const char *action, const char *name, struct err *err)
{
	struct slice text = slice_str(name);
	enum err_code code = kind == TOPIC_STREAM ? name_check_stream(text, err)
						  : name_check_topic(text, err);

	if (code != ERR_OK)
		return code;
	if (!strcmp(action, "describe"))
		return topic_admin_look(config, kind, name, err);
	return change(config, action, (struct topic_ref){ kind, name }, err);
}

int topic_admin(const struct config *config, enum topic_kind kind, int argc,
		const char *const *argv)
{
	struct err err;
	enum err_code code;

	if (argc == 0 || (argc == 1 && !strcmp(argv[0], "list")))
		code = topic_admin_look(config, kind, NULL, &err);
	else if (!strcmp(argv[0], "list"))
		code = err_set(&err, ERR_USAGE, "\"list\" takes no name, \"describe\" does");
	else if (!is_action(argv[0]))
		code = err_set(&err, ERR_USAGE, "\"%s\" is none of list, create, describe and delete",
			       argv[0]);
	else if (argc == 1)
		code = err_set(&err, ERR_USAGE, "which %s? A name goes after \"%s\"", noun(kind), argv[0]);
	else
		code = topic_admin_act(config, kind, argv[0], argv[1], &err);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}
