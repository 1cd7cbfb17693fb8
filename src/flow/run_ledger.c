#include "flow/run_ledger.h"

#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/stop.h"
#include "base/time.h"
#include "base/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char file_name[] = "batch.runs", what[] = "the ledger of the runs of batch";

/* `untold` lets go of the oldest beyond UNTOLD_BYTES_MAX. */
enum { UNTOLD_BYTES_MAX = 1 << 20, LEDGER_BYTES_MAX = 6 << 20 };

/* --- read ------------------------------------------------------------------------ */

static int64_t ledger_int(struct json object, const char *name, int64_t missing)
{
	struct json member;
	int64_t value = missing;

	if (json_member(object, name, &member))
		(void)json_get_i64(member, &value);
	return value;
}

static void ledger_take_exits(struct run_totals *totals, struct json exits)
{
	struct json_iter iter;
	char status[8];

	for (iter = json_iter(exits); json_next(&iter) && totals->exit_count < RUN_EXITS_MAX;) {
		struct run_exit *next = &totals->exits[totals->exit_count];

		(void)snprintf(status, sizeof(status), "%.*s", SLICE_ARG(iter.key));
		next->status = strtol(status, NULL, 10);
		totals->exit_count += json_get_i64(iter.value, &next->count);
	}
}

static void ledger_take(struct run_ledger_text *text, struct json root)
{
	struct json member;
	struct slice name;

	if (json_member(root, "running", &member) && json_get_string(member, &name) &&
	    results_run_time(name) >= 0)
		(void)snprintf(text->running, RUN_NAME_MAX, "%.*s", SLICE_ARG(name));
	if (json_member(root, "by", &member) && json_get_string(member, &name))
		(void)snprintf(text->by, RUN_NAME_MAX, "%.*s", SLICE_ARG(name));
	if (json_member(root, "exits", &member) && json_type(member) == JSON_OBJECT)
		ledger_take_exits(&text->totals, member);
	text->totals.ms = ledger_int(root, "ms", 0);
	text->totals.done_ms = ledger_int(root, "done_ms", 0);
	if (json_member(root, "last", &member) && json_type(member) == JSON_OBJECT) {
		text->totals.last_status = ledger_int(member, "exit", -1);
		text->totals.last_ms = ledger_int(member, "ms", 0);
		text->totals.last_end_ms = ledger_int(member, "end_ms", 0);
	}
}

/* What is no ledger begins anew. */
static void ledger_parse(struct run_ledger_text *text, const struct buf *file)
{
	struct json_parser *parser = json_parser_new(LEDGER_BYTES_MAX);
	struct slice lines = buf_slice(file), first = run_ledger_line(&lines);
	struct json root;
	struct err err;

	if (json_parse(parser, first, &root, &err) == ERR_OK && json_type(root) == JSON_OBJECT) {
		ledger_take(text, root);
		buf_add_slice(&text->untold, lines);
	} else {
		trace_warn("%s (\"%s\") cannot be read; it begins anew", what, file_name);
	}
	json_parser_free(parser);
}

static void ledger_read(int dir_fd, struct run_ledger_text *text)
{
	struct buf file;
	struct err err;
	enum err_code code;

	*text = (struct run_ledger_text){ .totals.last_status = -1 };
	buf_init(&text->untold, LEDGER_BYTES_MAX);
	buf_init(&file, LEDGER_BYTES_MAX);
	code = dir_fd < 0 ? ERR_ABSENT : file_read(dir_fd, file_name, &file, what, &err);
	if (code == ERR_OK)
		ledger_parse(text, &file);
	else if (code != ERR_ABSENT)
		trace_warn("%s", err.msg);
	buf_release(&file);
}

/* Whether a batch is at work: its lock is held. */
static bool ledger_is_locked(int dir_fd)
{
	int fd = openat(dir_fd, "batch.lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;

	if (fd >= 0)
		(void)close(fd);
	return locked;
}

void run_ledger_read(const char *dir, struct run_ledger_text *ret_text)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ledger_read(dir_fd, ret_text);
	ret_text->killed = *ret_text->running && !ledger_is_locked(dir_fd);
	if (dir_fd >= 0)
		(void)close(dir_fd);
}

/* --- written --------------------------------------------------------------------- */

struct slice run_ledger_line(struct slice *lines)
{
	const char *end = lines->len ? memchr(lines->ptr, '\n', lines->len) : NULL;
	struct slice line = { lines->ptr, end ? (size_t)(end - lines->ptr) + 1 : lines->len };

	*lines = slice_from(*lines, line.len);
	return line;
}

static void ledger_put(struct buf *out, const struct run_ledger *ledger, bool running)
{
	const struct run_totals *totals = &ledger->totals;
	struct slice untold = buf_slice(&ledger->untold);

	buf_addf(out, running ? "{\"running\":\"%s\"" : "{\"running\":null", ledger->run);
	buf_addf(out, ",\"by\":\"%s\",\"exits\":{", ledger->by);
	for (size_t i = 0; i < totals->exit_count; i++)
		buf_addf(out, "%s\"%" PRId64 "\":%" PRId64, i ? "," : "", totals->exits[i].status,
			 totals->exits[i].count);
	buf_addf(out, "},\"ms\":%" PRId64 ",\"done_ms\":%" PRId64, totals->ms, totals->done_ms);
	if (totals->last_status >= 0)
		buf_addf(out,
			 ",\"last\":{\"exit\":%" PRId64 ",\"ms\":%" PRId64 ",\"end_ms\":%" PRId64
			 "}",
			 totals->last_status, totals->last_ms, totals->last_end_ms);
	buf_add_str(out, "}\n");
	while (untold.len > UNTOLD_BYTES_MAX) /* the oldest */
		(void)run_ledger_line(&untold);
	buf_add_slice(out, untold);
}

static enum err_code ledger_write(const struct run_ledger *ledger, bool running, struct err *err)
{
	int dir_fd = open(ledger->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct buf text;
	enum err_code code;

	if (dir_fd < 0)
		return err_errno(err, "could not open \"%s\"", ledger->dir);
	buf_init(&text, LEDGER_BYTES_MAX);
	ledger_put(&text, ledger, running);
	code = file_replace(dir_fd, file_name, "batch.runs.new", buf_slice(&text), true, what, err);
	buf_release(&text);
	(void)close(dir_fd);
	return code;
}

static void ledger_count(struct run_totals *totals, int64_t status)
{
	size_t i = 0;

	while (i < totals->exit_count && totals->exits[i].status != status)
		i++;
	if (i == RUN_EXITS_MAX)
		return;
	if (i == totals->exit_count)
		totals->exits[totals->exit_count++] = (struct run_exit){ .status = status };
	totals->exits[i].count++;
}

static void ledger_put_run(struct run_ledger *ledger, const char *run, struct slice by,
			   const char *outcome, int64_t ms, const char *error)
{
	struct buf *out = &ledger->untold;

	buf_addf(out, "{\"run\":\"%s\",\"by\":", run);
	json_put_string(out, by);
	buf_addf(out, ",\"outcome\":%s,\"ms\":%" PRId64 ",\"error\":", outcome, ms);
	json_put_string(out, slice_str(error));
	buf_add_str(out, ",\"tables\":{},\"analyses\":{}}\n");
}

static void ledger_add_killed(struct run_ledger *ledger, const char *run, const char *by)
{
	ledger_put_run(ledger, run, slice_str(by), "\"killed\",\"exit\":null", 0,
		       "it was killed, or the machine stopped");
	ledger_count(&ledger->totals, RUN_KILLED);
	ledger->totals.last_status = RUN_KILLED;
	ledger->totals.last_ms = 0;
	ledger->totals.last_end_ms = results_run_time(slice_str(run));
}

enum err_code run_ledger_begin(struct run_ledger *ledger, const char *dir, const char *by,
			       struct err *err)
{
	struct run_ledger_text text;
	enum err_code code;
	struct err why;

	*ledger = (struct run_ledger){
		.dir = dir, .by = by ? by : "command", .lock = -1, .start_ms = clock_mono_ms()
	};
	buf_init(&ledger->untold, LEDGER_BYTES_MAX);
	code = lock_take(dir, "batch.lock", "batch", &ledger->lock, err);
	if (code != ERR_OK) {
		buf_release(&ledger->untold);
		return code;
	}
	run_ledger_read(dir, &text);
	ledger->totals = text.totals;
	buf_add_slice(&ledger->untold, buf_slice(&text.untold));
	if (*text.running)
		ledger_add_killed(ledger, text.running, text.by);
	buf_release(&text.untold);
	results_run_name(clock_wall_ms(), ledger->run);
	if (ledger_write(ledger, true, &why) != ERR_OK) /* its work does not hang on that */
		trace_warn("%s", why.msg);
	return ERR_OK;
}

/* The name in a line of the history; "": it is none. */
static void ledger_line_name(struct slice line, char run[RUN_NAME_MAX])
{
	static const char before[] = "{\"run\":\"";
	struct slice name = { line.ptr + sizeof(before) - 1, strlen("20260102T030405678Z") };

	*run = '\0';
	if (line.len > sizeof(before) + name.len && slice_starts(line, before) &&
	    results_run_time(name) >= 0)
		(void)snprintf(run, RUN_NAME_MAX, "%.*s", SLICE_ARG(name));
}

void run_ledger_tell(struct run_ledger *ledger, struct store *store)
{
	struct slice lines = buf_slice(&ledger->untold);
	char run[RUN_NAME_MAX];
	struct buf left;
	struct err err;

	buf_init(&left, LEDGER_BYTES_MAX);
	while (lines.len > 0) {
		struct slice line = run_ledger_line(&lines);
		enum err_code code = ERR_OK;

		ledger_line_name(line, run);
		if (*run)
			code = results_write_run(store, run, line, STORE_CREATE, &err);
		if (code == ERR_OK || code == ERR_EXISTS)
			continue;
		trace_warn("the run %s is not in the history yet: %s", run, err.msg);
		buf_add_slice(&left, line);
	}
	buf_release(&ledger->untold);
	ledger->untold = left;
}

enum err_code run_ledger_record(struct run_ledger *ledger, struct store *store, bool idle,
				struct slice text, struct err *err)
{
	enum err_code code = idle ? results_write_idle_run(store, ledger->run, text, err)
				  : results_write_run(store, ledger->run, text, STORE_REPLACE, err);

	if (code != ERR_OK)
		buf_add_slice(&ledger->untold, text);
	ledger->recorded = true;
	return code;
}

static int64_t ledger_status(const struct err *verdict)
{
	if (verdict->code == ERR_OK)
		return 0;
	return verdict->code == ERR_STOPPED ? 128 + stop_signal() : err_exit(verdict->code);
}

static void ledger_close(struct run_ledger *ledger, const struct err *verdict)
{
	struct run_totals *totals = &ledger->totals;

	totals->last_status = ledger_status(verdict);
	totals->last_ms = clock_mono_ms() - ledger->start_ms;
	totals->last_end_ms = clock_wall_ms();
	totals->ms += totals->last_ms;
	if (verdict->code == ERR_OK)
		totals->done_ms = totals->last_end_ms;
	ledger_count(totals, totals->last_status);
}

/* Of one that ended before the lake was open. */
static void ledger_add_this(struct run_ledger *ledger, const struct err *verdict)
{
	char outcome[64];

	if (verdict->code == ERR_STOPPED)
		(void)snprintf(outcome, sizeof(outcome), "\"stopped\",\"exit\":null");
	else
		(void)snprintf(outcome, sizeof(outcome), "\"%s\",\"exit\":%" PRId64,
			       verdict->code == ERR_OK ? "done" : "failed", ledger_status(verdict));
	ledger_put_run(ledger, ledger->run, slice_str(ledger->by), outcome, ledger->totals.last_ms,
		       verdict->code == ERR_OK ? "" : verdict->msg);
}

void run_ledger_end(struct run_ledger *ledger, const struct err *verdict)
{
	struct err err;

	ledger_close(ledger, verdict);
	if (!ledger->recorded)
		ledger_add_this(ledger, verdict);
	if (ledger_write(ledger, false, &err) != ERR_OK)
		trace_warn("%s", err.msg);
	buf_release(&ledger->untold);
	lock_release(ledger->lock);
}

/* --- metrics --------------------------------------------------------------------- */

static void ledger_put_gauge(struct buf *out, const char *name, const char *help, double value)
{
	buf_addf(out,
		 "# HELP pinpipe_batch_%s %s\n# TYPE pinpipe_batch_%s gauge\npinpipe_batch_%s ",
		 name, help, name, name);
	json_put_double(out, value);
	buf_add_char(out, '\n');
}

static void ledger_put_totals(struct buf *out, const struct run_totals *totals)
{
	buf_add_str(out, "# HELP pinpipe_batch_runs_total Runs of batch in this directory, by exit "
			 "status\n# TYPE pinpipe_batch_runs_total counter\n");
	for (size_t i = 0; i < totals->exit_count; i++)
		buf_addf(out, "pinpipe_batch_runs_total{exit=\"%" PRId64 "\"} %" PRId64 "\n",
			 totals->exits[i].status, totals->exits[i].count);
	buf_add_str(out, "# HELP pinpipe_batch_run_milliseconds_total Time that they took\n"
			 "# TYPE pinpipe_batch_run_milliseconds_total counter\n");
	buf_addf(out, "pinpipe_batch_run_milliseconds_total %" PRId64 "\n", totals->ms);
}

void run_ledger_put_metrics(const char *dir, struct buf *out)
{
	struct run_ledger_text text;
	const struct run_totals *totals = &text.totals;

	run_ledger_read(dir, &text);
	if (*text.running || totals->exit_count > 0) {
		ledger_put_totals(out, totals);
		ledger_put_gauge(out, "running", "1 while a batch is at work",
				 *text.running && !text.killed);
	}
	if (totals->last_status >= 0) {
		ledger_put_gauge(out, "last_run_exit", "Exit status of the last run",
				 (double)totals->last_status);
		ledger_put_gauge(out, "last_run_seconds", "Time that the last run took",
				 (double)totals->last_ms / 1000);
		ledger_put_gauge(out, "last_run_timestamp_seconds", "When the last run ended",
				 (double)totals->last_end_ms / 1000);
		ledger_put_gauge(out, "last_success_timestamp_seconds",
				 "When the last run ended that ended with 0; 0: none did",
				 (double)totals->done_ms / 1000);
	}
	buf_release(&text.untold);
}
