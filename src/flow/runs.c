#include "flow/runs.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"
#include "flow/run_ledger.h"

enum { RUN_TEXT_MAX = 4 << 20, RUNS_LOOKED_AT = 20, RUNS_ARENA_MAX = 64 << 20 };

/* 0 where it is not there. */
static int64_t run_int(struct json object, const char *name)
{
	struct json member;
	int64_t value = 0;

	if (json_member(object, name, &member))
		(void)json_get_i64(member, &value);
	return value;
}

static const char *run_text(struct arena *arena, struct json object, const char *name)
{
	struct json member;
	struct slice text;

	return json_member(object, name, &member) && json_get_string(member, &text) ?
		       arena_str(arena, text) : NULL;
}

static bool run_part_failed(struct json part)
{
	struct json error;

	return json_member(part, "error", &error);
}

static void run_add_parts(struct run *run, struct json root)
{
	struct json parts;
	struct json_iter iter;

	if (json_member(root, "tables", &parts) && json_type(parts) == JSON_OBJECT)
		for (iter = json_iter(parts); json_next(&iter);) {
			if (json_type(iter.value) != JSON_OBJECT)
				continue;
			run->rows += run_int(iter.value, "rows");
			run->dead += run_int(iter.value, "dead");
			run->tables_failed += run_part_failed(iter.value);
		}
	if (json_member(root, "analyses", &parts) && json_type(parts) == JSON_OBJECT)
		for (iter = json_iter(parts); json_next(&iter);)
			run->answers_failed += json_type(iter.value) == JSON_OBJECT &&
					       run_part_failed(iter.value);
}

/* Of a run that older programs kept it is known by its parts. */
static void run_take(struct run *run, struct json root, struct arena *arena)
{
	struct json status;

	run->duration_ms = run_int(root, "ms");
	run->outcome = run_text(arena, root, "outcome");
	run->by = run_text(arena, root, "by");
	run->error = run_text(arena, root, "error");
	run_add_parts(run, root);
	if (!run->outcome) {
		bool failed = run->tables_failed + run->answers_failed > 0;

		run->outcome = failed ? "failed" : "done";
		run->status = failed;
	} else if (!json_member(root, "exit", &status) || !json_get_i64(status, &run->status)) {
		run->status = -1;
	}
}

static enum err_code run_read(struct store *store, struct json_parser *parser, struct buf *text,
			      struct arena *arena, struct run *run, struct err *err)
{
	struct json root;
	enum err_code code;

	buf_clear(text);
	code = results_read_run(store, run->name, text, err);
	if (code != ERR_OK)
		return code;
	if (json_parse(parser, buf_slice(text), &root, err) != ERR_OK ||
	    json_type(root) != JSON_OBJECT)
		return err_set(err, ERR_CORRUPT, "results/runs/%s.json is no run of a batch",
			       run->name);
	run_take(run, root, arena);
	return ERR_OK;
}

/* A line of the ledger. */
static bool run_read_line(struct json_parser *parser, struct slice line, struct arena *arena,
			  struct run *ret_run)
{
	struct json root;
	struct err err;

	if (json_parse(parser, line, &root, &err) != ERR_OK || json_type(root) != JSON_OBJECT)
		return false;
	*ret_run = (struct run){ .name = run_text(arena, root, "run") };
	if (!ret_run->name || results_run_time(slice_str(ret_run->name)) < 0)
		return false;
	run_take(ret_run, root, arena);
	return true;
}

/* The newest first, none twice; the history's own goes before the ledger's. */
static void runs_insert(struct run *runs, size_t *count, size_t most, const struct run *run)
{
	size_t at = 0;

	while (at < *count && strcmp(runs[at].name, run->name) > 0)
		at++;
	if (at == most || (at < *count && strcmp(runs[at].name, run->name) == 0))
		return;
	*count += *count < most;
	memmove(runs + at + 1, runs + at, (*count - at - 1) * sizeof(*runs));
	runs[at] = *run;
}

static void runs_add_ledger(const char *dir, struct json_parser *parser, size_t most,
			    struct arena *arena, struct run *runs, size_t *count)
{
	struct run_ledger_text text;
	struct slice lines;
	struct run run;

	run_ledger_read(dir, &text);
	lines = buf_slice(&text.untold);
	while (lines.len > 0)
		if (run_read_line(parser, run_ledger_line(&lines), arena, &run))
			runs_insert(runs, count, most, &run);
	if (*text.running) {
		run = (struct run){ .name = arena_str(arena, slice_str(text.running)),
				    .by = arena_str(arena, slice_str(text.by)),
				    .outcome = text.killed ? "killed" : "running",
				    .status = -1 };
		if (!text.killed)
			run.duration_ms = clock_wall_ms() - results_run_time(slice_str(run.name));
		runs_insert(runs, count, most, &run);
	}
	buf_release(&text.untold);
}

enum err_code runs_read(struct store *store, const char *dir, size_t most, struct arena *arena,
			struct run **ret_runs, size_t *ret_count, struct err *err)
{
	struct json_parser *parser = json_parser_new(RUN_TEXT_MAX);
	char (*names)[RUN_NAME_MAX] = NULL;
	size_t count = 0, kept = 0;
	struct run *runs;
	struct buf text;
	enum err_code code = results_runs(store, most, &names, &count, err);

	buf_init(&text, RUN_TEXT_MAX);
	runs = xcalloc(most + 1, sizeof(*runs));
	for (size_t i = 0; i < count && code == ERR_OK; i++) {
		runs[kept] = (struct run){ .name = arena_str(arena, slice_str(names[i])) };
		code = run_read(store, parser, &text, arena, &runs[kept], err);
		kept += code == ERR_OK;
		if (code == ERR_CORRUPT)
			trace_warn("%s", err->msg);
		/* The oldest may have gone; and the others are none the worse for one. */
		if (code == ERR_ABSENT || code == ERR_CORRUPT)
			code = ERR_OK;
	}
	if (code == ERR_OK)
		runs_add_ledger(dir, parser, most, arena, runs, &kept);
	for (size_t i = 0; i < kept; i++)
		runs[i].began_ms = results_run_time(slice_str(runs[i].name));
	buf_release(&text);
	json_parser_free(parser);
	free(names);
	if (code == ERR_OK) {
		*ret_runs = runs;
		*ret_count = kept;
	} else {
		free(runs);
	}
	return code;
}

enum err_code runs_last(struct store *store, const char *dir, int64_t *ret_began_ms,
			struct err *err)
{
	struct arena arena;
	struct run *runs = NULL;
	size_t count = 0;
	enum err_code code;

	arena_init(&arena, RUNS_ARENA_MAX);
	code = runs_read(store, dir, RUNS_LOOKED_AT, &arena, &runs, &count, err);
	if (code == ERR_OK)
		*ret_began_ms = -1;
	for (size_t i = 0; i < count && code == ERR_OK && *ret_began_ms < 0; i++)
		if (runs[i].status >= 0 && runs[i].status != err_exit(ERR_BUSY))
			*ret_began_ms = runs[i].began_ms;
	free(runs);
	arena_release(&arena);
	return code;
}
