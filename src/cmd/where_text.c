#include "cmd/where_text.h"

#include "base/json.h"
#include "base/time.h"
#include "cmd/cmd.h"
#include "cmd/output.h"

#include <inttypes.h>
#include <stdio.h>

enum { WHERE_BYTES_MAX = 64 << 20, LABEL = 8 };

/* --- words -------------------------------------------------------------------------- */

static const char *log_state_word(enum where_log_state state)
{
	static const char *const words[] = {
		[WHERE_LOG_UNKNOWN] = "not asked",   [WHERE_LOG_THERE] = "there",
		[WHERE_LOG_GONE] = "gone",	     [WHERE_LOG_NOT_YET] = "not yet",
		[WHERE_LOG_NO_RECORD] = "no record",
	};

	return words[state];
}

static const char *log_why(const struct where *where)
{
	switch (where->log.state) {
	case WHERE_LOG_GONE:
		return "the log begins behind it (log.retention)";
	case WHERE_LOG_NOT_YET:
		return "the log ends before it";
	case WHERE_LOG_NO_RECORD:
		return where->log.gap == GAP_NONE ? "no record has that number"
						  : gap_reason_text(where->log.gap);
	case WHERE_LOG_UNKNOWN:
		return where->is_old ? "it is of another topic of this name" : "it is not here";
	case WHERE_LOG_THERE:
		break;
	}
	return NULL;
}

static const char *lake_state_word(const struct where *where)
{
	static const char *const words[] = {
		[WHERE_NO_OBJECT_YET] = "waits", [WHERE_IN_OBJECT] = "object",
		[WHERE_PASSED] = "passed",	 [WHERE_LOST] = "lost",
		[WHERE_LET_GO] = "let go",
	};

	if (where->sinks && where->object.state != WHERE_IN_OBJECT)
		return "letter";
	return words[where->object.state];
}

static const char *lake_why(const struct where *where)
{
	if (where->sinks && where->object.state != WHERE_IN_OBJECT)
		return where->sinks->reason;
	switch (where->object.state) {
	case WHERE_NO_OBJECT_YET:
		return where->record.where.generation == 0
			       ? "the lake is of another topic of this name (new_history)"
			       : "for the sink to put its object";
	case WHERE_PASSED:
		return "the lake goes on behind it: it has no line";
	case WHERE_LOST:
		return where->object.lost;
	case WHERE_LET_GO:
		return "its object went (raw.retention); the tables keep their rows";
	case WHERE_IN_OBJECT:
		break;
	}
	return NULL;
}

static const char *table_state_word(const struct where_table *table)
{
	static const char *const words[] = {
		[WHERE_IS_WAITING] = "waits",	[WHERE_IS_ROW] = "row",
		[WHERE_IS_LETTER] = "letter",	[WHERE_IS_ANOTHERS] = "another's",
		[WHERE_IS_NOWHERE] = "nowhere",
	};

	return table->fault.code ? "unknown" : words[table->state];
}

static const char *table_why(const struct where *where, const struct where_table *table)
{
	if (table->fault.code)
		return table->fault.msg;
	switch (table->state) {
	case WHERE_IS_WAITING:
		if (where->record.topic.kind == TOPIC_STREAM)
			return "for `pinpipe stream`, which `up` runs";
		return where->object.state == WHERE_IN_OBJECT
			       ? "for the next batch (`pinpipe batch`, which `up` runs)"
			       : "for the sink, and then for the next batch";
	case WHERE_IS_LETTER:
		return table->letter ? table->letter->reason : NULL;
	case WHERE_IS_ANOTHERS:
		return "of the tables that share the topic it is another's";
	case WHERE_IS_NOWHERE:
		return "the table has passed it, with neither a row nor a letter "
		       "(`pinpipe check` tells more)";
	case WHERE_IS_ROW:
		break;
	}
	return NULL;
}

static const char *table_path_word(const struct where_table *table)
{
	return table->place->kind == TOPIC_STREAM ? "stream" : "batch";
}

/* --- JSON --------------------------------------------------------------------------- */

static void where_put_name(struct buf *out, const char *name, bool first)
{
	buf_addf(out, "%s\"%s\":", first ? "{" : ",", name);
}

static void where_put_text(struct buf *out, const char *name, const char *text, bool first)
{
	where_put_name(out, name, first);
	if (text)
		json_put_string(out, slice_str(text));
	else
		buf_add_str(out, "null");
}

static void where_put_number(struct buf *out, const char *name, int64_t number, bool known)
{
	where_put_name(out, name, false);
	if (known)
		buf_add_i64(out, number);
	else
		buf_add_str(out, "null");
}

static void where_put_row(struct buf *out, const struct answer *row)
{
	for (size_t i = 0; i < row->column_count; i++) {
		where_put_name(out, row->columns[i], i == 0);
		answer_put_cell(out, answer_cell(row, 0, i));
	}
	buf_add_str(out, row->column_count ? "}" : "null");
}

static void where_put_table(struct buf *out, const struct where *where,
			    const struct where_table *table)
{
	where_put_text(out, "table", table->place->model->model.name, true);
	where_put_text(out, "path", table_path_word(table), false);
	where_put_text(out, "state", table_state_word(table), false);
	where_put_number(out, "version", table->version,
			 table->state == WHERE_IS_ROW && table->version >= 0);
	where_put_text(out, "file", table->file, false);
	where_put_name(out, "row", false);
	where_put_row(out, &table->row);
	where_put_text(out, "letter", table->letter ? table->letter->key : NULL, false);
	where_put_text(out, "why", table_why(where, table), false);
	buf_add_char(out, '}');
}

static void where_put_lake(struct buf *out, const struct where *where)
{
	bool in = where->object.state == WHERE_IN_OBJECT;
	const char *key = where->sinks ? where->sinks->key : NULL;

	where_put_name(out, "lake", false);
	if (where->record.topic.kind == TOPIC_STREAM) {
		buf_add_str(out, "null");
		return;
	}
	where_put_text(out, "state", lake_state_word(where), true);
	where_put_text(out, "key", in ? where->object.key : key, false);
	where_put_number(out, "line", (int64_t)where->object.line, in);
	where_put_number(out, "generation", where->record.where.generation,
			 where->record.where.generation > 0);
	where_put_text(out, "why", lake_why(where), false);
	buf_add_char(out, '}');
}

static void where_put_json(struct buf *out, const struct where *where, const char *partition,
			   const char *position)
{
	bool stream = where->record.topic.kind == TOPIC_STREAM;

	where_put_text(out, "topic", where->topic, true);
	where_put_text(out, "kind", stream ? "stream" : "topic", false);
	where_put_text(out, "partition", partition, false);
	where_put_text(out, "offset", position, false);
	where_put_name(out, "log", false);
	where_put_text(out, "state", log_state_word(where->log.state), true);
	where_put_number(out, "timestamp_ms", where->log.timestamp_ms,
			 where->log.state == WHERE_LOG_THERE);
	where_put_text(out, "why", log_why(where), false);
	buf_add_char(out, '}');
	where_put_lake(out, where);
	where_put_name(out, "tables", false);
	for (size_t i = 0; i < where->found_count; i++) {
		buf_add_str(out, i ? ",\n " : "[");
		where_put_table(out, where, &where->found[i]);
	}
	buf_add_str(out, where->found_count ? "]}\n" : "[]}\n");
}

/* --- lines -------------------------------------------------------------------------- */

static void where_put_label(struct buf *out, const char *label)
{
	buf_addf(out, "%-*s", LABEL, label);
}

static void where_put_log_line(struct buf *out, const struct where *where)
{
	where_put_label(out, "log");
	buf_add_str(out, log_state_word(where->log.state));
	if (where->log.state == WHERE_LOG_THERE) {
		buf_add_str(out, ", with the time ");
		time_put_iso(out, where->log.timestamp_ms);
	} else {
		buf_addf(out, ": %s", log_why(where));
	}
	buf_add_char(out, '\n');
}

static void where_put_lake_line(struct buf *out, const struct where *where)
{
	if (where->record.topic.kind == TOPIC_STREAM)
		return;
	where_put_label(out, "lake");
	if (where->object.state == WHERE_IN_OBJECT)
		buf_addf(out, "line %" PRIu64 " of %s\n", where->object.line, where->object.key);
	else if (where->sinks)
		buf_addf(out, "letter: %s\n%*s%s\n", where->sinks->reason, LABEL, "",
			 where->sinks->key);
	else
		buf_addf(out, "%s: %s\n", lake_state_word(where), lake_why(where));
}

static void where_put_table_line(struct buf *out, const struct where *where,
				 const struct where_table *table)
{
	buf_addf(out, "table   %s (%s): %s", table->place->model->model.name,
		 table_path_word(table), table_state_word(table));
	if (table->state != WHERE_IS_ROW || table->fault.code) {
		buf_addf(out, ": %s\n", table_why(where, table));
		if (table->letter)
			buf_addf(out, "%*s%s\n", LABEL, "", table->letter->key);
		return;
	}
	if (table->version >= 0)
		buf_addf(out, ", since version %" PRId64 "\n", table->version);
	else
		buf_addf(out, ", since before version %" PRId64 ", the oldest that is kept\n",
			 table->oldest);
	if (table->file)
		buf_addf(out, "%*s%s\n", LABEL, "", table->file);
	buf_addf(out, "%*s", LABEL, "");
	where_put_row(out, &table->row);
	buf_add_char(out, '\n');
}

static void where_put_lines(struct buf *out, const struct where *where, const char *partition,
			    const char *position)
{
	bool stream = where->record.topic.kind == TOPIC_STREAM;

	where_put_label(out, stream ? "stream" : "topic");
	buf_addf(out, "%s, %s %s\n", where->topic, stream ? "shard" : "partition", partition);
	where_put_label(out, stream ? "number" : "offset");
	buf_addf(out, "%s\n", position);
	where_put_log_line(out, where);
	where_put_lake_line(out, where);
	for (size_t i = 0; i < where->found_count; i++)
		where_put_table_line(out, where, &where->found[i]);
	if (where->found_count == 0)
		buf_add_str(out, "table   none of the models reads it\n");
}

enum err_code where_print(const struct where *where, struct err *err)
{
	char partition[PARTITION_TEXT_MAX], position[POSITION_TEXT_MAX];
	enum output_format format = output_format(where->config);
	enum err_code code;
	struct buf out;

	if (format == OUTPUT_CSV)
		return err_set(err, ERR_USAGE,
			       "a record's places are no CSV: --format json has them");
	(void)partition_text(where->record.topic.kind, where->partition, partition);
	(void)position_text(where->record.position, position);
	buf_init(&out, WHERE_BYTES_MAX);
	if (format == OUTPUT_TABLE)
		where_put_lines(&out, where, partition, position);
	else
		where_put_json(&out, where, partition, position);
	code = cmd_print(&out, err);
	buf_release(&out);
	return code;
}
