#include "base/base64.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"
#include "cmd/cmd.h"
#include "cmd/place.h"
#include "cmd/setup.h"

#include <inttypes.h>
#include <string.h>

enum {
	EVENT_BYTES = 4 << 20,
	OUT_BYTES = 128 << 20,		/* an event's records as JSON, one very large record */
	WRITE_BYTES = 128 << 10,	/* printed at once, unless somebody waits for it */
	WAIT_MS = 500,
};

static const enum option options[] = {
	OPT_START, OPT_COUNT, OPT_CONTAINS, OPT_FOLLOW, OPTION_COUNT,
};

/* A partition that is read. */
struct part {
	int32_t id;
	bool done; /* all that is asked for of it was printed */
	bool has_goal;
	struct position goal; /* where its end was when the reading began, if that is known */
	struct position from; /* what stands before it is not asked for */
};

struct cat {
	struct broker *broker;
	struct broker_reader *reader;
	struct topic_info info;
	struct part *parts;
	size_t part_count;
	int32_t only;			/* a partition, or PARTITION_ANY */
	bool envelope;			/* --format json: with topic, partition, offset, … */
	bool follow;
	struct slice contains;		/* empty: all records are printed */
	uint64_t left;			/* records still to print */
	uint64_t damaged;		/* ranges */
	struct json_parser *parser;
	struct buf out;
	struct buf text;
};

static struct topic_ref cat_topic_ref(const struct cat *cat)
{
	return (struct topic_ref){ cat->info.kind, cat->info.name };
}

static struct part *cat_part(struct cat *cat, int32_t id)
{
	for (size_t i = 0; i < cat->part_count; i++)
		if (cat->parts[i].id == id)
			return &cat->parts[i];
	return NULL;
}

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
	buf_addf(&cat->out, "\"%s_base64\":\"", name);
	base64_put(&cat->out, bytes);
	buf_add_char(&cat->out, '"');
}

/* As text where it is text. */
static void put_bytes(struct cat *cat, const char *name, struct slice bytes)
{
	if (!bytes.ptr) {
		buf_addf(&cat->out, "\"%s\":null", name);
	} else if (is_text(cat, bytes)) {
		buf_addf(&cat->out, "\"%s\":", name);
		json_put_string(&cat->out, bytes);
	} else {
		put_base64(cat, name, bytes);
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
		buf_add_char(&cat->out, ',');
		put_base64(cat, "value", value);
	}
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
	buf_add_char(&cat->out, ',');
	put_bytes(cat, "key", record->key);
	cmd_cat_put_value(cat, record->value);
	buf_add_str(&cat->out, "}\n");
}

static bool is_asked_for(const struct cat *cat, const struct record *record)
{
	struct slice text = cat->contains;

	return text.len == 0 ||
	       (record->value.ptr &&
		memmem(record->value.ptr, record->value.len, text.ptr, text.len)) ||
	       (record->key.ptr && memmem(record->key.ptr, record->key.len, text.ptr, text.len));
}

static void print_record(struct cat *cat, int32_t partition, const struct record *record)
{
	if (cat->envelope) {
		put_envelope(cat, partition, record);
	} else {
		buf_add_slice(&cat->out, record->value);
		buf_add_char(&cat->out, '\n');
	}
	cat->left--;
}

static enum err_code print_records(struct cat *cat, const struct reader_event *event,
				   struct err *err)
{
	struct part *part = cat_part(cat, event->partition);

	for (size_t i = 0; i < event->count && cat->left > 0 && !part->done; i++) {
		const struct record *record = &event->records[i];

		if (!cat->follow && part->has_goal &&
		    position_cmp(record->position, part->goal) >= 0)
			part->done = true; /* came after the reading began */
		else if (position_cmp(record->position, part->from) >= 0 &&
			 is_asked_for(cat, record))
			print_record(cat, event->partition, record);
	}
	if (!cat->follow && cat->out.len < WRITE_BYTES && !buf_full(&cat->out))
		return ERR_OK;
	return cmd_print(&cat->out, err);
}

/* What is not there to be printed. Numbers that were never records are nobody's loss. */
static void tell_gap(struct cat *cat, const struct reader_event *event)
{
	char part[PARTITION_TEXT_MAX], first[POSITION_TEXT_MAX], last[POSITION_TEXT_MAX];

	(void)partition_text(cat->info.kind, event->partition, part);
	(void)position_text(event->first, first);
	(void)position_text(event->last, last);
	if (gap_is_loss(event->gap))
		trace_warn("%s, partition %s: %s to %s are left out: %s", cat->info.name, part,
			   first, last, gap_reason_text(event->gap));
	else if (event->gap != GAP_NONE)
		trace_info("%s, partition %s: %s to %s are left out: %s", cat->info.name, part,
			   first, last, gap_reason_text(event->gap));
	cat->damaged += event->gap == GAP_DAMAGED;
}

/* --- where to begin ---------------------------------------------------- */

/* Past the end there is nothing, which is not to be taken for an empty partition. */
static void cat_tell_end(const struct cat *cat, const struct partition_info *partition,
			 struct position from)
{
	char part[PARTITION_TEXT_MAX], asked[POSITION_TEXT_MAX], next[POSITION_TEXT_MAX];

	(void)partition_text(cat->info.kind, partition->id, part);
	(void)position_text(from, asked);
	(void)position_text(partition->next, next);
	trace_info("%s, partition %s: there is no %s yet; what comes next will be %s",
		   cat->info.name, part, asked, next);
}

static enum err_code cmd_cat_seek(struct cat *cat, const struct partition_info *partition,
				  struct reader_start start, struct err *err)
{
	struct part *part = &cat->parts[cat->part_count++];

	*part = (struct part){ .id = partition->id,
			       .has_goal = partition->next_known,
			       .goal = partition->next };
	if (start.kind == START_AT) {
		part->from = start.position;
		/* To wait there for what comes is no error here. */
		if (partition->next_known && position_cmp(start.position, partition->next) > 0)
			start.kind = START_NEXT;
		if (partition->next_known && position_cmp(start.position, partition->next) >= 0)
			cat_tell_end(cat, partition, start.position);
	}
	return reader_seek(cat->reader, cat_topic_ref(cat), partition->id, start, err);
}

static enum err_code start(struct cat *cat, const char *from, struct err *err)
{
	const struct reader_options options_of_reader = { .bytes_max = EVENT_BYTES };
	struct reader_start start;
	enum err_code code;

	if (place_parse_start(from, &start, err) != ERR_OK)
		return err->code;
	cat->parts = xcalloc((size_t)cat->info.partition_count, sizeof(*cat->parts));
	code = broker_reader_open(cat->broker, &options_of_reader, &cat->reader, err);
	for (int32_t i = 0; i < cat->info.partition_count && code == ERR_OK; i++)
		if (cat->only == PARTITION_ANY || cat->only == cat->info.partitions[i].id)
			code = cmd_cat_seek(cat, &cat->info.partitions[i], start, err);
	return code;
}

/* --- reading ----------------------------------------------------------- */

static enum err_code read_child(struct cat *cat, int32_t id, struct err *err)
{
	const struct partition_info child = { .id = id };

	if (cat_part(cat, id))
		return ERR_OK;
	cat->parts = xreallocarray(cat->parts, cat->part_count + 1, sizeof(*cat->parts));
	return cmd_cat_seek(cat, &child, (struct reader_start){ .kind = START_FIRST }, err);
}

/* A closed partition is at its end; those that came out of it go on where it was. */
static enum err_code end_part(struct cat *cat, const struct reader_event *event, struct err *err)
{
	char text[PARTITION_TEXT_MAX];
	enum err_code code = ERR_OK;

	cat_part(cat, event->partition)->done = true;
	for (int i = 0; i < 2 && code == ERR_OK; i++) {
		if (event->children[i] < 0)
			continue;
		(void)partition_text(cat->info.kind, event->children[i], text);
		if (cat->only == PARTITION_ANY)
			code = read_child(cat, event->children[i], err);
		else
			trace_info("%s: the partition is closed, and %s goes on", cat->info.name,
				   text);
	}
	return code;
}

static enum err_code cat_take_event(struct cat *cat, const struct reader_event *event,
				    struct err *err)
{
	switch (event->kind) {
	case READER_RECORDS:
		return print_records(cat, event, err);
	case READER_GAP:
		tell_gap(cat, event);
		break;
	case READER_END:
		return end_part(cat, event, err);
	case READER_CAUGHT_UP:
		if (!cat->follow)
			cat_part(cat, event->partition)->done = true;
		break;
	case READER_FAILED:
		*err = *event->failure;
		return err->code;
	case READER_IDLE:
	case READER_ASSIGNED:
	case READER_REVOKED:
		break;
	}
	return ERR_OK;
}

static bool ended(const struct cat *cat)
{
	if (cat->left == 0 || stop_requested())
		return true;
	for (size_t i = 0; i < cat->part_count; i++)
		if (!cat->parts[i].done)
			return false;
	return true;
}

static enum err_code cmd_cat_read_all(struct cat *cat, struct err *err)
{
	enum err_code code = ERR_OK;

	while (code == ERR_OK && !ended(cat)) {
		struct reader_event event;

		code = reader_next(cat->reader, clock_mono_ms() + WAIT_MS, &event, err);
		if (code == ERR_OK)
			code = cat_take_event(cat, &event, err);
	}
	if (cat->out.len > 0 && code != ERR_STOPPED) {	/* also if reading failed after it */
		struct err late;
		enum err_code printed = cmd_print(&cat->out, code == ERR_OK ? err : &late);

		code = code == ERR_OK ? printed : code;
	}
	if (code == ERR_OK && cat->damaged > 0)
		return err_set(err, ERR_CORRUPT,
			       "records are damaged and were left out, in %" PRIu64 " places",
			       cat->damaged);
	return code;
}

static enum err_code cat_topic(const struct config *config, struct cat *cat, const char *text,
			       struct err *err)
{
	enum err_code code = setup_log_there(config, &cat->broker, err);

	if (code == ERR_OK)
		code = place_find(cat->broker, text, &cat->info, &cat->only, err);
	if (code == ERR_OK)
		code = start(cat, config_text(config, OPT_START), err);
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
		.contains = slice_str(config_text(config, OPT_CONTAINS)),
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
		"when it began, unless told to --follow. --contains picks those with a text; --count counts what\n"
		"is printed. What cannot be read, or is not there any more, is told\n"
		"on stderr.\n",
	.examples = "pinpipe cat 124df56aef51.pin --dir data\n"
		    "pinpipe cat 124df56aef51.pin/0 --from 42 --count 1 --format json\n"
		    "pinpipe cat 124df56aef51.pin --contains '\"index\":42,'\n"
		    "pinpipe cat streaming-124df56aef51-pin --from -10 --follow\n",
	.options = options,
	.positional_min = 1,
	.positional_max = 1,
	.run = cmd_cat_run,
};
