/* From a request of the page to the words of the command that answers it. */
#include "base/mem.h"
#include "gateway/ui_relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	WORDS_BYTES_MAX = 256 << 10,
	VALUE_MAX = 4096,
	NAME_MAX_BYTES = 128,
	ROWS_MAX = 1000,
	UI_MEMBERS_MAX = 2
};

/* One that is being put together; once something does not fit, the call is refused and the rest
 * does nothing. */
struct ui_command {
	struct call *call;
	struct ui_order order;
	struct buf value;
	bool refused;
};

static void ui_begin(struct ui_command *command, struct call *call, const char *const *words)
{
	*command = (struct ui_command){
		.call = call,
		.order = { .in_fd = -1,
			   .type = media_name(MEDIA_JSON),
			   .most_ms = UI_ANSWER_MS,
			   .failed_status = 500 },
	};
	arena_init(&command->order.memory, WORDS_BYTES_MAX);
	buf_init(&command->value, VALUE_MAX);
	for (; *words; words++)
		command->order.args[command->order.count++] = *words;
}

#define UI_BEGIN(command, call, ...) \
	ui_begin(command, call, (const char *const[]){ __VA_ARGS__, NULL })

static void ui_refuse_value(struct ui_command *command, const char *what)
{
	if (!command->refused)
		call_failf(command->call, ERR_USAGE, "%s", what);
	command->refused = true;
}

/* A word that begins an option would be taken for one: those of a request come behind "--", or as
 * --name=value. */
static void ui_put_word(struct ui_command *command, const char *flag, struct slice value)
{
	struct ui_order *order = &command->order;
	struct buf word;

	if (command->refused)
		return;
	if (memchr(value.ptr, '\0', value.len)) {
		ui_refuse_value(command, "a value holds a NUL");
		return;
	}
	buf_init(&word, 2 * VALUE_MAX);
	if (*flag)
		buf_addf(&word, "--%s=", flag);
	buf_add_slice(&word, value);
	order->args[order->count++] = arena_str(&order->memory, buf_slice(&word));
	if (buf_full(&word))
		ui_refuse_value(command, "a value is too long");
	buf_release(&word);
}

/* The value of a query's parameter; null: it is not there, or cannot be one, and is refused: what
 * was to choose some must not be left out, and show all. */
static struct slice ui_query(struct ui_command *command, const char *name)
{
	struct slice query = command->call->query;

	buf_clear(&command->value);
	if (!http_query(query, name, &command->value)) {
		if (http_query_names(query, name))
			ui_refuse_value(command, "a value is too long, or badly encoded");
		return slice_of(NULL, 0);
	}
	return slice_of(command->value.ptr ? command->value.ptr : "", command->value.len);
}

/* The parameter as an option; `otherwise` where it is absent or empty, none where that is, too. */
static void ui_put_query(struct ui_command *command, const char *name, const char *flag,
			 const char *otherwise)
{
	struct slice value = ui_query(command, name);

	if (value.len == 0)
		value = slice_str(otherwise);
	if (value.len > 0)
		ui_put_word(command, flag, value);
}

static void ui_put_number(struct ui_command *command, const char *name, const char *flag,
			  int64_t otherwise)
{
	struct slice value = ui_query(command, name);
	int64_t number = value.len ? 0 : otherwise;
	char text[24];

	for (size_t i = 0; i < value.len && number <= ROWS_MAX; i++)
		number = value.ptr[i] >= '0' && value.ptr[i] <= '9'
				 ? number * 10 + value.ptr[i] - '0'
				 : ROWS_MAX + 1;
	if (number < 1 || number > ROWS_MAX)
		ui_refuse_value(command, "limit and count are numbers from 1 to 1000");
	(void)snprintf(text, sizeof(text), "%" PRId64, number);
	ui_put_word(command, flag, slice_str(text));
}

/* Of a table or an analysis: what can be a file's name in models/. */
static bool ui_is_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] == '"' || (unsigned char)name.ptr[i] < ' ')
			return false;
	return name.len > 0 && name.len <= NAME_MAX_BYTES;
}

static void ui_put_name(struct ui_command *command)
{
	struct slice name = command->call->param[0];

	if (!ui_is_name(name))
		ui_refuse_value(command, "that is no name of a table or an analysis");
	ui_put_word(command, "", slice_str("--"));
	ui_put_word(command, "", name);
}

static void ui_put_path(struct ui_command *command)
{
	struct slice path = ui_query(command, "path");

	if (path.len && !slice_is(path, "batch") && !slice_is(path, "stream"))
		ui_refuse_value(command, "path is batch or stream");
	ui_put_word(command, "from", path.len ? path : slice_str("batch"));
}

static void ui_check_topic(struct ui_command *command, struct slice topic)
{
	struct err err;

	if (!command->refused && name_check_topic(topic, &err) != ERR_OK) {
		call_fail(command->call, &err);
		command->refused = true;
	}
	command->order.failed_status = 404;
}

static void ui_run_command(struct ui_command *command)
{
	buf_release(&command->value);
	if (command->refused)
		ui_order_release(&command->order);
	else
		ui_relay(command->call, &command->order);
}

void ui_tables(struct call *call)
{
	struct ui_command command;

	UI_BEGIN(&command, call, "tables", "--format=json", "--from=both");
	command.order.tells = true;
	ui_run_command(&command);
}

void ui_table(struct call *call)
{
	struct ui_command command;

	UI_BEGIN(&command, call, "connect", "--format=json");
	ui_put_path(&command);
	ui_put_name(&command);
	ui_run_command(&command);
}

void ui_rows(struct call *call)
{
	struct ui_command command;
	char sql[NAME_MAX_BYTES + 64];
	struct slice name = call->param[0];

	UI_BEGIN(&command, call, "sql", "--format=json");
	ui_put_path(&command);
	ui_put_number(&command, "limit", "rows", 20);
	if (!ui_is_name(name))
		ui_refuse_value(&command, "that is no name of a table");
	(void)snprintf(sql, sizeof(sql), "FROM \"%.*s_all\" ORDER BY _offset DESC",
		       SLICE_ARG(name));
	ui_put_word(&command, "", slice_str("--"));
	ui_put_word(&command, "", slice_str(sql));
	command.order.failed_status = 400;
	ui_run_command(&command);
}

void ui_history(struct call *call)
{
	struct ui_command command;

	UI_BEGIN(&command, call, "tables", "--history", "--format=json");
	ui_put_path(&command);
	ui_put_name(&command);
	ui_run_command(&command);
}

void ui_answers(struct call *call)
{
	struct ui_command command;

	UI_BEGIN(&command, call, "analyse", "--list", "--format=json");
	command.order.tells = true;
	ui_run_command(&command);
}

static void ui_put_format(struct ui_command *command)
{
	static const struct {
		const char *name;
		const char *type;
		bool is_file;
	} formats[] = {
		{ "json", "application/json", false },
		{ "csv", "text/csv; charset=utf-8", true },
		{ "parquet", "application/vnd.apache.parquet", true },
	};
	struct slice asked = ui_query(command, "format");
	struct slice name = command->call->param[0];
	size_t i = 0;

	while (i < ARRAY_LEN(formats) && asked.len && !slice_is(asked, formats[i].name))
		i++;
	if (i == ARRAY_LEN(formats)) {
		ui_refuse_value(command, "format is json, csv or parquet");
		return;
	}
	ui_put_word(command, "format", slice_str(formats[i].name));
	command->order.type = formats[i].type;
	for (size_t at = 0; at < name.len && formats[i].is_file; at++)
		if (name.ptr[at] > '~' || name.ptr[at] == '\\' || name.ptr[at] < ' ')
			return; /* a header cannot say it: the browser names the file itself */
	if (formats[i].is_file)
		(void)snprintf(command->order.file, sizeof(command->order.file),
			       "Content-Disposition: attachment; filename=\"%.*s.%s\"\r\n",
			       SLICE_ARG(name), formats[i].name);
}

void ui_answer(struct call *call)
{
	struct ui_command command;

	UI_BEGIN(&command, call, "analyse");
	if (!ui_is_name(call->param[0]))
		ui_refuse_value(&command, "that is no name of an analysis");
	ui_put_format(&command);
	ui_put_query(&command, "from", "from", "auto");
	ui_put_name(&command);
	command.order.failed_status = 400;
	ui_run_command(&command);
}

void ui_runs(struct call *call)
{
	struct ui_command command;

	UI_BEGIN(&command, call, "runs", "--format=json");
	ui_put_number(&command, "limit", "limit", 50);
	ui_run_command(&command);
}

/* "topic/partition", behind "--". */
static void ui_put_place(struct ui_command *command, struct slice topic, struct slice partition)
{
	struct buf place;

	buf_init(&place, VALUE_MAX);
	buf_add_slice(&place, topic);
	if (partition.len) {
		buf_add_char(&place, '/');
		buf_add_slice(&place, partition);
	}
	ui_put_word(command, "", slice_str("--"));
	ui_put_word(command, "", buf_slice(&place));
	buf_release(&place);
}

void ui_records(struct call *call)
{
	struct ui_command command;

	UI_BEGIN(&command, call, "cat", "--format=json");
	ui_check_topic(&command, call->param[0]);
	ui_put_query(&command, "from", "from", "-50");
	ui_put_number(&command, "count", "count", 50);
	ui_put_query(&command, "contains", "contains", "");
	ui_put_place(&command, call->param[0], ui_query(&command, "partition"));
	command.order.type = "application/x-ndjson";
	ui_run_command(&command);
}

void ui_where(struct call *call)
{
	struct ui_command command;
	char topic[TOPIC_NAME_MAX + 1];
	struct slice asked;

	UI_BEGIN(&command, call, "where", "--format=json");
	asked = ui_query(&command, "topic");
	ui_check_topic(&command, asked.ptr ? asked : slice_str(""));
	if (!command.refused) {
		(void)snprintf(topic, sizeof(topic), "%.*s", SLICE_ARG(asked));
		ui_put_place(&command, slice_str(topic), ui_query(&command, "partition"));
		if (ui_query(&command, "position").len == 0)
			ui_refuse_value(&command, "topic, partition and position are wanted");
		ui_put_query(&command, "position", "", "");
	}
	command.order.tells = true;
	ui_run_command(&command);
}

void ui_letters(struct call *call)
{
	struct ui_command command;

	UI_BEGIN(&command, call, "dlq", "--format=json");
	ui_run_command(&command);
}

void ui_letters_of(struct call *call)
{
	struct ui_command command;

	UI_BEGIN(&command, call, "dlq", "--format=json");
	ui_check_topic(&command, call->param[0]);
	if (slice_is(call->param[0], "replay")) /* which the command takes for its own word */
		ui_refuse_value(&command, "the letters of a topic \"replay\" are not shown");
	ui_put_query(&command, "reason", "reason", "");
	ui_put_number(&command, "count", "count", 20);
	ui_put_place(&command, call->param[0], slice_str(""));
	ui_run_command(&command);
}

/* --- what changes something --------------------------------------------------------- */

/* The members of a body, which none at all has none of; NULL ends the names that there are. What
 * is mistyped, or says nothing, must not be taken for what is left out: that means all of them. */
static void ui_members(struct ui_command *command, const char *const *names,
		       struct slice ret_texts[UI_MEMBERS_MAX])
{
	struct call *call = command->call;
	struct json_iter iter;
	struct json root;
	struct err err;

	memset(ret_texts, 0, UI_MEMBERS_MAX * sizeof(*ret_texts));
	if (command->refused || call->body.len == 0)
		return;
	if (call->body.len > UI_BODY_MAX) {
		call_refuse(call, 413);
		command->refused = true;
		return;
	}
	if (json_parse(call->json, call->body, &root, &err) != ERR_OK) {
		call_fail(call, &err);
		command->refused = true;
		return;
	}
	if (json_type(root) != JSON_OBJECT) {
		ui_refuse_value(command, "the body must be an object");
		return;
	}
	for (iter = json_iter(root); json_next(&iter);) {
		size_t at = 0;

		while (names[at] && !slice_is(iter.key, names[at]))
			at++;
		if (!names[at])
			ui_refuse_value(command, "the body has a member that means nothing here");
		else if (!json_get_string(iter.value, &ret_texts[at]) || ret_texts[at].len == 0)
			ui_refuse_value(command, "a member of the body must be a text, not empty");
	}
}

#define UI_MEMBERS(command, texts, ...) \
	ui_members(command, (const char *const[]){ __VA_ARGS__, NULL }, texts)

static void ui_put_member(struct ui_command *command, const char *flag, struct slice text)
{
	if (text.len > VALUE_MAX)
		ui_refuse_value(command, "a value is too long");
	else if (text.len)
		ui_put_word(command, flag, text);
}

/* As far as this gateway knows: models may have come since it began. */
static bool ui_is_of_model(const struct gateway *gateway, struct slice topic)
{
	for (int kind = TOPIC_LOG; kind <= TOPIC_STREAM; kind++)
		for (size_t i = 0; i < gateway->options.own[kind].count; i++)
			if (slice_is(topic, gateway->options.own[kind].names[i]))
				return true;
	return false;
}

void ui_replay(struct call *call)
{
	struct slice texts[UI_MEMBERS_MAX];
	struct ui_command command;

	UI_BEGIN(&command, call, "dlq", "replay", "--format=json");
	UI_MEMBERS(&command, texts, "topic", "reason");
	ui_put_member(&command, "topic", texts[0]);
	ui_put_member(&command, "reason", texts[1]);
	if (texts[0].ptr && !ui_is_of_model(call->gateway, texts[0]))
		command.order.failed_status = 404;
	command.order.most_ms = UI_WORK_MS;
	command.order.tells = command.order.stays = true;
	ui_run_command(&command);
}

void ui_run(struct call *call)
{
	struct slice texts[UI_MEMBERS_MAX];
	struct ui_command command;

	UI_BEGIN(&command, call, "batch", "--by=page", "--format=json");
	ui_members(&command, (const char *const[]){ NULL }, texts);
	command.order.most_ms = UI_WORK_MS;
	command.order.tells = command.order.stays = true;
	ui_run_command(&command);
}

/* On its stdin: an argument has a bound, and everybody sees it. */
static void ui_give_text(struct ui_command *command, struct slice text)
{
	int fd = command->refused ? -1 : memfd_create("sql", MFD_CLOEXEC);

	command->order.in_fd = fd;
	if (command->refused)
		return;
	if (fd < 0 || write(fd, text.ptr, text.len) != (ssize_t)text.len ||
	    lseek(fd, 0, SEEK_SET) < 0) {
		call_failf(command->call, ERR_IO, "no memory for the statement");
		command->refused = true;
	}
}

void ui_sql(struct call *call)
{
	struct slice texts[UI_MEMBERS_MAX];
	struct ui_command command;

	UI_BEGIN(&command, call, "sql", "--format=json", "--rows=1000");
	UI_MEMBERS(&command, texts, "sql", "from");
	if (texts[0].len == 0)
		ui_refuse_value(&command, "the body wants {\"sql\":\"…\"}");
	ui_put_member(&command, "from", texts[1].ptr ? texts[1] : slice_str("auto"));
	ui_give_text(&command, texts[0]);
	command.order.failed_status = 400;
	ui_run_command(&command);
}
