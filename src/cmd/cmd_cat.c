#include "base/base64.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "broker/sequence.h"
#include "cmd/cmd.h"
#include "cmd/setup.h"

#include <inttypes.h>

enum {
	EVENT_BYTES = 4 << 20,
	OUT_BYTES = 128 << 20,		/* an event's records as JSON, one very large record */
	WRITE_BYTES = 128 << 10,	/* printed at once, unless somebody waits for it */
	WAIT_MS = 500,
};

static const enum option options[] = { OPT_OFFSET, OPT_COUNT, OPT_FOLLOW, OPTION_COUNT };

/* A partition that is read, and where its end was when the reading began. */
struct part {
	struct position next;
	struct position goal;
};

struct cat {
	struct broker *broker;
	struct broker_reader *reader;
	struct topic_info info;
	struct part *parts;		/* as info.partitions */
	int32_t only;			/* a partition, or PARTITION_ANY */
	bool envelope;			/* --format json: with topic, partition, offset, … */
	bool follow;
	uint64_t left;			/* records still to print */
	uint64_t damaged;
	struct json_parser *parser;
	struct buf out;
	struct buf text;
};

/* --- printing ---------------------------------------------------------- */

static bool is_text(struct cat *cat, struct slice bytes)
{
	struct json root;
	struct slice back;
	struct err err;

	buf_clear(&cat->text);
	json_put_string(&cat->text, bytes);	/* what is no UTF-8 does not come back */
	return json_parse(cat->parser, buf_slice(&cat->text), &root, &err) == ERR_OK &&
	       json_get_string(root, &back) && slice_eq(back, bytes);
}

static void put_base64(struct cat *cat, const char *name, struct slice bytes)
{
	buf_addf(&cat->out, ",\"%s_base64\":\"", name);
	base64_put(&cat->out, bytes);
	buf_add_char(&cat->out, '"');
}

static void put_key(struct cat *cat, struct slice key)
{
	if (!key.ptr) {
		buf_add_str(&cat->out, ",\"key\":null");
	} else if (is_text(cat, key)) {
		buf_add_str(&cat->out, ",\"key\":");
		json_put_string(&cat->out, key);
	} else {
		put_base64(cat, "key", key);
	}
}

static void cmd_cat_put_value(struct cat *cat, struct slice value)
{
	struct json root;
	struct err err;

	if (!value.ptr) {
		buf_add_str(&cat->out, ",\"value\":null,\"tombstone\":true");
	} else if (json_parse(cat->parser, value, &root, &err) == ERR_OK) {
		buf_add_str(&cat->out, ",\"value\":");
		json_put(&cat->out, root);
	} else {
		put_base64(cat, "value", value);
	}
}

/* As text where it is some, so that it can be told from base64. */
static void put_header_part(struct cat *cat, struct slice bytes)
{
	if (!bytes.ptr) {
		buf_add_str(&cat->out, "null");
	} else if (is_text(cat, bytes)) {
		json_put_string(&cat->out, bytes);
	} else {
		buf_add_str(&cat->out, "{\"base64\":\"");
		base64_put(&cat->out, bytes);
		buf_add_str(&cat->out, "\"}");
	}
}

static void cmd_cat_put_headers(struct cat *cat, const struct record *record)
{
	for (size_t i = 0; i < record->header_count; i++) {
		buf_add_str(&cat->out, i == 0 ? ",\"headers\":[[" : ",[");
		put_header_part(cat, record->headers[i].name);
		buf_add_char(&cat->out, ',');
		put_header_part(cat, record->headers[i].value);
		buf_add_char(&cat->out, ']');
	}
	if (record->header_count > 0)
		buf_add_char(&cat->out, ']');
}

static void put_envelope(struct cat *cat, int32_t partition, const struct record *record)
{
	char part[PARTITION_TEXT_MAX], offset[POSITION_TEXT_MAX];

	(void)partition_text(cat->info.kind, partition, part);
	(void)position_text(record->position, offset);
	buf_addf(&cat->out,
		 "{\"topic\":\"%s\",\"partition\":\"%s\",\"offset\":\"%s\",\"timestamp_ms\":%" PRId64,
		 cat->info.name, part, offset, record->timestamp_ms);
	cmd_cat_put_headers(cat, record);
	put_key(cat, record->key);
	cmd_cat_put_value(cat, record->value);
	buf_add_str(&cat->out, "}\n");
}

static enum err_code print_records(struct cat *cat, const struct reader_event *event,
				   struct err *err)
{
	struct part *part = &cat->parts[event->partition];

	for (size_t i = 0; i < event->count && cat->left > 0; i++) {
		const struct record *record = &event->records[i];

		if (!cat->follow && position_cmp(record->position, part->goal) >= 0)
			break;		/* came after the reading began */
		if (cat->envelope) {
			put_envelope(cat, event->partition, record);
		} else {
			buf_add_slice(&cat->out, record->value);
			buf_add_char(&cat->out, '\n');
		}
		cat->left--;
	}
	if (event->count > 0) {
		struct position last = event->records[event->count - 1].position;

		part->next = position_with_ordinal(last, position_ordinal(last) + 1);
	}
	if (!cat->follow && cat->out.len < WRITE_BYTES && !buf_full(&cat->out))
		return ERR_OK;
	return cmd_print(&cat->out, err);
}

static void tell_damage(struct cat *cat, const struct reader_event *event)
{
	uint64_t first = position_ordinal(event->first), last = position_ordinal(event->last);

	if (event->gap == GAP_DAMAGED) {
		trace_warn("%s, partition %d: records %" PRIu64 " to %" PRIu64
			   " are damaged and left out", cat->info.name, event->partition, first,
			   last);
		cat->damaged += last - first + 1;
	}
	cat->parts[event->partition].next = position_with_ordinal(event->last, last + 1);
}

/* --- where to begin ---------------------------------------------------- */

/* "beginning", "end", "-N" (the last N of each partition), "@MS" (since 1970), or an offset. */
static bool cmd_cat_parse_start(const char *text, const struct partition_info *partition,
				struct reader_start *ret)
{
	uint64_t next = position_ordinal(partition->next);
	uint64_t first = position_ordinal(partition->first);
	struct position number;

	if (!strcmp(text, "beginning")) {
		*ret = (struct reader_start){ .kind = START_FIRST };
	} else if (!strcmp(text, "end")) {
		*ret = (struct reader_start){ .kind = START_NEXT };
	} else if (*text == '@' && position_parse(slice_str(text + 1), &number)) {
		*ret = (struct reader_start){ .kind = START_TIME,
					      .time_ms = (int64_t)position_ordinal(number) };
	} else if (*text == '-' && position_parse(slice_str(text + 1), &number)) {
		uint64_t back = position_ordinal(number);

		back = back > next - first ? next - first : back;
		*ret = (struct reader_start){
			.kind = START_AT,
			.position = position_with_ordinal(partition->next, next - back),
		};
	} else if (position_parse(slice_str(text), &number)) {
		*ret = (struct reader_start){ .kind = START_AT, .position = number };
	} else {
		return false;
	}
	return true;
}

static enum err_code cmd_cat_seek(struct cat *cat, const char *offset, int32_t i, struct err *err)
{
	const struct partition_info *partition = &cat->info.partitions[i];
	struct topic_ref topic = { cat->info.kind, cat->info.name };
	struct reader_start start;

	if (!cmd_cat_parse_start(offset, partition, &start))
		return err_set(err, ERR_USAGE,
			       "\"%s\" is no offset: a number, -N, @milliseconds, beginning or end", offset);
	/* A person may ask for what is yet to come; it is no position that was read. */
	if (start.kind == START_AT && position_cmp(start.position, partition->next) > 0)
		start.kind = START_NEXT;
	cat->parts[i].next = partition->first;
	cat->parts[i].goal = partition->next;
	if (start.kind == START_NEXT)
		cat->parts[i].next = partition->next;
	if (start.kind == START_AT && position_cmp(start.position, partition->first) > 0)
		cat->parts[i].next = start.position;
	return reader_seek(cat->reader, topic, partition->id, start, err);
}

static enum err_code start(struct cat *cat, const char *offset, struct err *err)
{
	const struct reader_options reader = { .bytes_max = EVENT_BYTES };
	enum err_code code = broker_reader_open(cat->broker, &reader, &cat->reader, err);

	cat->parts = xcalloc((size_t)cat->info.partition_count, sizeof(*cat->parts));
	for (int32_t i = 0; i < cat->info.partition_count && code == ERR_OK; i++)
		if (cat->only == PARTITION_ANY || cat->only == i)
			code = cmd_cat_seek(cat, offset, i, err);
	return code;
}

/* --- reading ----------------------------------------------------------- */

static bool ended(const struct cat *cat)
{
	if (cat->left == 0 || stop_requested())
		return true;
	for (int32_t i = 0; i < cat->info.partition_count; i++)
		if (position_cmp(cat->parts[i].next, cat->parts[i].goal) < 0)
			return false;
	return !cat->follow;
}

static enum err_code cmd_cat_read_all(struct cat *cat, struct err *err)
{
	enum err_code code = ERR_OK;

	while (code == ERR_OK && !ended(cat)) {
		struct reader_event event;

		code = reader_next(cat->reader, clock_mono_ms() + WAIT_MS, &event, err);
		if (code == ERR_OK && event.kind == READER_RECORDS)
			code = print_records(cat, &event, err);
		else if (code == ERR_OK && event.kind == READER_GAP)
			tell_damage(cat, &event);
		else if (code == ERR_OK && event.kind == READER_IDLE && !cat->follow)
			break;		/* with --offset @MS: nothing is as new as that */
	}
	if (cat->out.len > 0 && code != ERR_STOPPED) {	/* also if reading failed after it */
		struct err late;
		enum err_code printed = cmd_print(&cat->out, code == ERR_OK ? err : &late);

		code = code == ERR_OK ? printed : code;
	}
	if (code == ERR_OK && cat->damaged > 0)
		return err_set(err, ERR_CORRUPT, "%" PRIu64 " records are damaged and were left out",
			       cat->damaged);
	return code;
}

/* A topic of that name, or else a stream. */
static enum err_code cmd_cat_find(struct cat *cat, const char *name, struct err *err)
{
	struct topic_ref topic = { TOPIC_LOG, name };
	enum err_code code = broker_describe(cat->broker, topic, &cat->info, err);

	if (code != ERR_NO_TOPIC)
		return code;
	topic.kind = TOPIC_STREAM;
	code = broker_describe(cat->broker, topic, &cat->info, err);
	if (code == ERR_NO_TOPIC)
		return err_set(err, code, "there is neither a topic nor a stream \"%s\"", name);
	return code;
}

/* "TOPIC" or "TOPIC/PARTITION", a shard by its number or its name. */
static enum err_code cmd_cat_find_part(struct cat *cat, const char *text, struct err *err)
{
	const char *slash = strchr(text, '/');
	char *name = xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
	enum err_code code = cmd_cat_find(cat, name, err);

	free(name);
	cat->only = PARTITION_ANY;
	if (code != ERR_OK || !slash)
		return code;
	if (!partition_parse(TOPIC_LOG, slice_str(slash + 1), &cat->only) &&
	    !partition_parse(cat->info.kind, slice_str(slash + 1), &cat->only))
		return err_set(err, ERR_USAGE, "\"%s\" is no partition", slash + 1);
	if (cat->only >= cat->info.partition_count)
		return err_set(err, ERR_NO_PARTITION, "\"%s\" has %d partitions, no %s",
			       cat->info.name, cat->info.partition_count, slash + 1);
	return ERR_OK;
}

static enum err_code cat_topic(const struct config *config, struct cat *cat, const char *text,
			       struct err *err)
{
	enum err_code code = setup_log_there(config, &cat->broker, err);

	if (code == ERR_OK)
		code = cmd_cat_find_part(cat, text, err);
	if (code == ERR_OK)
		code = start(cat, config_text(config, OPT_OFFSET), err);
	return code == ERR_OK ? cmd_cat_read_all(cat, err) : code;
}

static void cmd_cat_release(struct cat *cat)
{
	reader_close(cat->reader);
	topic_info_release(&cat->info);
	broker_free(cat->broker);
	json_parser_free(cat->parser);
	buf_release(&cat->out);
	buf_release(&cat->text);
	free(cat->parts);
}

static int cmd_cat_run(struct config *config, int argc, const char *const *argv)
{
	int64_t count = config_int(config, OPT_COUNT);
	struct cat cat = {
		.envelope = !strcmp(config_text(config, OPT_FORMAT), "json"),
		.follow = config_bool(config, OPT_FOLLOW),
		.left = count > 0 ? (uint64_t)count : UINT64_MAX,
		.parser = json_parser_new(OUT_BYTES),
	};
	struct err err;
	enum err_code code;

	(void)argc;
	buf_init(&cat.out, OUT_BYTES);
	buf_init(&cat.text, OUT_BYTES);
	code = cat_topic(config, &cat, argv[0], &err);
	cmd_cat_release(&cat);
	return code == ERR_OK ? 0 : cmd_fail(&err);
}

const struct command cmd_cat = {
	.name = "cat",
	.summary = "Print the records of a topic or a stream",
	.usage = "TOPIC[/PARTITION] [options]",
	.details =
		"Prints the values, a line each, as they are; with --format json an object for each record:\n"
		"topic, partition, offset, timestamp_ms, headers (if it has any: [name, value] each, what is no\n"
		"text as {\"base64\": …}), key, value (value_base64 if it is not JSON). Ends at what was the end\n"
		"when it began, unless told to --follow.\n",
	.examples = "pinpipe cat 124df56aef51.pin --dir data\n"
		    "pinpipe cat 124df56aef51.pin/0 --offset 42 --count 1 --format json\n"
		    "pinpipe cat streaming-124df56aef51-pin --offset -10 --follow\n",
	.options = options,
	.positional_min = 1,
	.positional_max = 1,
	.run = cmd_cat_run,
};
