#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/place.h"
#include "cmd/rows.h"
#include "cmd/setup.h"
#include "cmd/table.h"

static const enum option options[] = { OPT_START, OPT_DRY_RUN, OPTION_COUNT };

static struct cell cmd_groups_position(struct rows *rows, struct position position)
{
	char text[POSITION_TEXT_MAX];

	return rows_text(rows, slice_of(text, position_text(position, text)));
}

static struct cell cmd_groups_partition(struct rows *rows, const struct group_place *place)
{
	char text[PARTITION_TEXT_MAX];

	return rows_text(rows, slice_of(text, partition_text(place->kind, place->partition, text)));
}

/* --- list ---------------------------------------------------------------- */

static const char *cmd_groups_columns[] = { "group", "state", "members", "partitions" };

static bool cmd_groups_add_name(void *user, const char *name)
{
	struct rows *rows = user;
	struct cell *row = rows_add(rows);

	if (row)
		row[0] = rows_text(rows, slice_str(name));
	return row != NULL;
}

/* A group that has gone since it was listed keeps its nulls. */
static enum err_code cmd_groups_add_state(struct broker *broker, struct rows *rows,
					  struct cell *row, struct err *err)
{
	struct group_info info;
	enum err_code code =
		broker_describe_group(broker, arena_str(&rows->arena, row[0].text), &info, err);

	if (code != ERR_OK)
		return code == ERR_ABSENT ? ERR_OK : code;
	row[1] = cell_text(group_state_text(info.state));
	row[2] = cell_int((int64_t)info.member_count);
	row[3] = cell_int((int64_t)info.place_count);
	group_info_release(&info);
	return ERR_OK;
}

static enum err_code cmd_groups_list(const struct config *config, struct broker *broker,
				     struct err *err)
{
	enum { COLUMNS = ARRAY_LEN(cmd_groups_columns) };
	struct rows rows;
	enum err_code code;

	rows_init(&rows, cmd_groups_columns, COLUMNS);
	code = broker_groups(broker, cmd_groups_add_name, &rows, err);
	for (size_t i = 0; i < rows.answer.row_count && code == ERR_OK; i++)
		code = cmd_groups_add_state(broker, &rows, rows.answer.cells + i * COLUMNS, err);
	if (code == ERR_OK)
		code = rows_print(&rows, config, err);
	rows_release(&rows);
	return code;
}

/* --- describe -------------------------------------------------------------- */

static const char *place_columns[] = { "topic", "partition", "committed", "next",
				       "lag",	"member",    "client",	  "host" };

/* The topic that was asked for last: places are in order of topic. */
struct last_topic {
	struct topic_info info;
	bool known;
};

/* NULL: the topic or the partition has gone. */
static enum err_code cmd_groups_find(struct broker *broker, struct last_topic *last,
				     const struct group_place *place,
				     const struct partition_info **ret_partition, struct err *err)
{
	struct topic_ref topic = { place->kind, place->topic };
	bool same = last->known && last->info.kind == place->kind &&
		    strcmp(last->info.name, place->topic) == 0;

	*ret_partition = NULL;
	if (!same) {
		enum err_code code;

		topic_info_release(&last->info);
		code = broker_describe(broker, topic, &last->info, err);
		last->known = code == ERR_OK;
		if (code != ERR_OK)
			return code == ERR_NO_TOPIC ? ERR_OK : code;
	}
	*ret_partition = topic_info_partition(&last->info, place->partition);
	return ERR_OK;
}

/* Of one who committed nothing it is all there is. */
static struct cell lag_cell(const struct group_place *place, const struct partition_info *partition)
{
	struct position from = place->committed ? place->next : partition->first;

	return partition->next_known ? cell_int((int64_t)partition_records_from(partition, from))
				     : cell_text("unknown");
}

static void cmd_groups_put_member(struct rows *rows, struct cell *row,
				  const struct group_member *member)
{
	row[5] = rows_text(rows, slice_str(member->id));
	row[6] = rows_text(rows, slice_str(member->client));
	row[7] = rows_text(rows, slice_str(member->host));
}

static const struct group_member *member_named(const struct group_info *info, const char *id)
{
	for (size_t i = 0; i < info->member_count; i++)
		if (info->members[i].id == id)
			return &info->members[i];
	return NULL;
}

static enum err_code cmd_groups_add_place(struct broker *broker, struct rows *rows,
					  struct last_topic *last, const struct group_info *info,
					  const struct group_place *place, struct err *err)
{
	const struct group_member *member = member_named(info, place->member);
	const struct partition_info *partition;
	enum err_code code = cmd_groups_find(broker, last, place, &partition, err);
	struct cell *row = code == ERR_OK ? rows_add(rows) : NULL;

	if (!row)
		return code;
	row[0] = rows_text(rows, slice_str(place->topic));
	row[1] = cmd_groups_partition(rows, place);
	if (place->committed)
		row[2] = cmd_groups_position(rows, place->next);
	if (partition)
		row[3] = partition->next_known ? cmd_groups_position(rows, partition->next)
					       : cell_text("unknown");
	if (partition)
		row[4] = lag_cell(place, partition);
	if (member)
		cmd_groups_put_member(rows, row, member);
	return ERR_OK;
}

/* Who has no partition alone has a row without one. */
static void add_idle_member(struct rows *rows, const struct group_info *info,
			    const struct group_member *member)
{
	struct cell *row;

	for (size_t i = 0; i < info->place_count; i++)
		if (info->places[i].member == member->id)
			return;
	row = rows_add(rows);
	if (row)
		cmd_groups_put_member(rows, row, member);
}

static enum err_code cmd_groups_describe(const struct config *config, struct broker *broker,
					 const char *group, struct err *err)
{
	struct last_topic last = { .known = false };
	struct group_info info;
	struct rows rows;
	enum err_code code = broker_describe_group(broker, group, &info, err);

	if (code != ERR_OK)
		return code;
	rows_init(&rows, place_columns, ARRAY_LEN(place_columns));
	rows.spare = TABLE_SPARE(5) | TABLE_SPARE(7);
	for (size_t i = 0; i < info.place_count && code == ERR_OK; i++)
		code = cmd_groups_add_place(broker, &rows, &last, &info, &info.places[i], err);
	for (size_t i = 0; i < info.member_count; i++)
		add_idle_member(&rows, &info, &info.members[i]);
	if (code == ERR_OK)
		code = rows_print(&rows, config, err);
	rows_release(&rows);
	topic_info_release(&last.info);
	group_info_release(&info);
	return code;
}

/* --- reset ----------------------------------------------------------------- */

static const char *reset_columns[] = { "topic", "partition", "committed", "reset" };

/* What is asked for: `info` becomes the places that are to be set, `was` is the group as it is. */
struct reset {
	struct broker *broker;
	struct reader_start start;
	struct group_info was;
	struct group_info info;
};

static enum err_code reset_partition(struct reset *reset, const struct topic_info *topic,
				     const struct partition_info *partition, struct err *err)
{
	struct position next;
	enum err_code code = place_position(reset->broker,
					    (struct topic_ref){ topic->kind, topic->name },
					    partition, reset->start, &next, err);

	if (code == ERR_OK)
		group_info_place(&reset->info, topic->kind, topic->name, partition->id)->next =
			next;
	return code;
}

/* Of one topic, all of it or a partition. */
static enum err_code reset_topic(struct reset *reset, const char *text, struct err *err)
{
	struct topic_info topic;
	int32_t only;
	enum err_code code = place_find(reset->broker, text, &topic, &only, err);

	if (code != ERR_OK)
		return code;
	for (int32_t i = 0; i < topic.partition_count && code == ERR_OK; i++)
		if (only == PARTITION_ANY || only == topic.partitions[i].id)
			code = reset_partition(reset, &topic, &topic.partitions[i], err);
	topic_info_release(&topic);
	return code;
}

/* Of all that the group has committed, or reads. */
static enum err_code reset_all(struct reset *reset, const char *group, struct err *err)
{
	struct last_topic last = { .known = false };
	enum err_code code = ERR_OK;

	for (size_t i = 0; i < reset->was.place_count && code == ERR_OK; i++) {
		const struct partition_info *partition;

		code = cmd_groups_find(reset->broker, &last, &reset->was.places[i], &partition,
				       err);
		if (code == ERR_OK && partition)
			code = reset_partition(reset, &last.info, partition, err);
	}
	topic_info_release(&last.info);
	if (code == ERR_OK && reset->info.place_count == 0)
		return err_set(err, ERR_ABSENT,
			       "group \"%s\" has committed nothing: which topic is meant?", group);
	return code;
}

static enum err_code print_reset(const struct config *config, struct reset *reset, struct err *err)
{
	struct rows rows;
	enum err_code code;

	rows_init(&rows, reset_columns, ARRAY_LEN(reset_columns));
	for (size_t i = 0; i < reset->info.place_count; i++) {
		const struct group_place *place = &reset->info.places[i], *was;
		struct cell *row = rows_add(&rows);

		if (!row)
			break;
		was = group_info_place(&reset->was, place->kind, place->topic, place->partition);
		row[0] = rows_text(&rows, slice_str(place->topic));
		row[1] = cmd_groups_partition(&rows, place);
		if (was->committed)
			row[2] = cmd_groups_position(&rows, was->next);
		row[3] = cmd_groups_position(&rows, place->next);
	}
	code = rows_print(&rows, config, err);
	rows_release(&rows);
	return code;
}

static enum err_code need_empty(const struct group_info *info, const char *group, struct err *err)
{
	if (info->state == GROUP_EMPTY)
		return ERR_OK;
	return err_set(err, ERR_BUSY, "group \"%s\" has members (%s of %s): end them first", group,
		       info->members[0].client, info->members[0].host);
}

static enum err_code run_reset(const struct config *config, struct reset *reset, const char *group,
			       const char *topic, struct err *err)
{
	enum err_code code = broker_describe_group(reset->broker, group, &reset->was, err);

	if (code == ERR_ABSENT && topic)
		code = ERR_OK; /* it begins there */
	if (code == ERR_OK)
		code = need_empty(&reset->was, group, err);
	if (code == ERR_OK)
		code = topic ? reset_topic(reset, topic, err) : reset_all(reset, group, err);
	if (code == ERR_OK && !config_bool(config, OPT_DRY_RUN))
		code = broker_reset_group(reset->broker, group, reset->info.places,
					  reset->info.place_count, err);
	return code == ERR_OK ? print_reset(config, reset, err) : code;
}

static enum err_code cmd_groups_reset(const struct config *config, struct broker *broker,
				      const char *group, const char *topic, struct err *err)
{
	struct reset reset = { .broker = broker };
	enum err_code code;

	if (!config_is_set(config, OPT_START))
		return err_set(err, ERR_USAGE, "where to? --from says it");
	code = place_parse_start(config_text(config, OPT_START), &reset.start, err);
	if (code == ERR_OK)
		code = run_reset(config, &reset, group, topic, err);
	group_info_release(&reset.was);
	group_info_release(&reset.info);
	return code;
}

/* --- which ----------------------------------------------------------------- */

static enum err_code check_words(int argc, const char *const *argv, struct err *err)
{
	bool reset = argc > 0 && !strcmp(argv[0], "reset");

	if (argc == 0 || (argc == 1 && !strcmp(argv[0], "list")))
		return ERR_OK;
	if (!strcmp(argv[0], "list"))
		return err_set(err, ERR_USAGE, "\"list\" takes no name, \"describe\" does");
	if (!reset && strcmp(argv[0], "describe") != 0)
		return err_set(err, ERR_USAGE, "\"%s\" is none of list, describe and reset",
			       argv[0]);
	if (argc == 1)
		return err_set(err, ERR_USAGE, "which group? A name goes after \"%s\"", argv[0]);
	if (argc == 3 && !reset)
		return err_set(err, ERR_USAGE, "\"describe\" takes one name");
	return ERR_OK;
}

static enum err_code cmd_groups_act(const struct config *config, int argc, const char *const *argv,
				    struct err *err)
{
	struct broker *broker;
	enum err_code code = check_words(argc, argv, err);

	if (code == ERR_OK)
		code = setup_log_there(config, &broker, err);
	if (code != ERR_OK)
		return code;
	if (argc < 2)
		code = cmd_groups_list(config, broker, err);
	else if (!strcmp(argv[0], "describe"))
		code = cmd_groups_describe(config, broker, argv[1], err);
	else
		code = cmd_groups_reset(config, broker, argv[1], argc == 3 ? argv[2] : NULL, err);
	broker_free(broker);
	return code;
}

static int cmd_groups_run(struct config *config, int argc, const char *const *argv)
{
	struct err err;

	return cmd_groups_act(config, argc, argv, &err) == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_groups = {
	.name = "groups",
	.summary = "List or describe the groups that read topics, or say where they go on",
	.usage = "[list | describe GROUP | reset GROUP [TOPIC[/PARTITION]] --from WHERE] [options]",
	.details =
		"`describe` tells of each partition how far the group has committed, what comes next in it, how\n"
		"many records lie between (at most, where numbers may be no records), and who reads it. `reset`\n"
		"sets what is committed, of all that the group reads or of one topic, to what a reader would meet\n"
		"first that begins there; only while the group has no member. Where pinpipe's own groups `sink` and\n"
		"`stream` go on the lake decides, not what they committed (`rebuild` reads again).\n",
	.examples = "pinpipe groups --dir data\n"
		    "pinpipe groups describe sink --format json\n"
		    "pinpipe groups reset mine 124df56aef51.pin --from beginning --dry-run\n"
		    "pinpipe groups reset mine --from @2026-03-01T12:30Z\n",
	.options = options,
	.positional_max = 3,
	.run = cmd_groups_run,
};
