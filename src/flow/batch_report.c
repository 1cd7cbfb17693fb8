#include "base/json.h"
#include "base/mem.h"
#include "flow/batch.h"

#include <inttypes.h>

enum err_code batch_report_verdict(const struct batch_report *report, struct err *err)
{
	enum err_code code = ERR_SHAPE;

	for (size_t i = report->table_count; i-- > 0;)
		if (report->tables[i].err.code != ERR_OK)
			code = report->tables[i].err.code;
	if (code == ERR_USAGE)
		code = ERR_SHAPE;
	if (report->tables_failed > 0)
		return err_set(err, code, "%zu of %zu tables could not be cleaned; the others were",
			       report->tables_failed, report->table_count);
	if (report->results.failed > 0)
		return err_set(err, code, "%zu of the analyses failed; the others were answered",
			       report->results.failed);
	return ERR_OK;
}

static void batch_put_table(struct buf *out, const struct batch_table *table)
{
	json_put_string(out, slice_str(table->name)); /* a broken model's may be any file's */
	buf_addf(out,
		 ":{\"objects\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"rows\":%" PRIu64
		 ",\"dead\":%" PRIu64 ",\"unreadable\":%" PRIu64 ",\"commits\":%" PRIu64
		 ",\"total_rows\":%" PRIu64 ",\"ms\":%" PRId64,
		 table->objects, table->bytes, table->rows, table->dead,
		 table->unreadable, table->commits, table->total_rows, table->duration_ms);
	if (table->unknown.count > 0) {
		buf_add_str(out, ",\"unknown\":");
		unknown_fields_put(out, &table->unknown);
	}
	if (table->err.code != ERR_OK) {
		buf_add_str(out, ",\"error\":");
		json_put_string(out, slice_str(table->err.msg));
	}
	buf_add_char(out, '}');
}

static void put_result(struct buf *out, const struct result_report *result)
{
	json_put_string(out, slice_str(result->name));
	buf_addf(out, ":{\"rows\":%" PRIu64 ",\"ms\":%" PRId64, result->rows, result->duration_ms);
	if (result->err.code != ERR_OK) {
		buf_add_str(out, ",\"error\":");
		json_put_string(out, slice_str(result->err.msg));
	}
	buf_add_char(out, '}');
}

/* One that a signal ended has no status of its own. */
static void batch_put_verdict(struct buf *out, const struct batch_report *report)
{
	const struct err *verdict = &report->verdict;

	buf_addf(out, ",\"by\":\"%s\"", report->by ? report->by : "command");
	if (verdict->code == ERR_STOPPED)
		buf_add_str(out, ",\"outcome\":\"stopped\",\"exit\":null");
	else
		buf_addf(out, ",\"outcome\":\"%s\",\"exit\":%d",
			 verdict->code == ERR_OK ? "done" : "failed",
			 verdict->code == ERR_OK ? 0 : err_exit(verdict->code));
	if (verdict->code == ERR_OK)
		return;
	buf_add_str(out, ",\"error\":");
	json_put_string(out, slice_str(verdict->msg));
}

void batch_report_put(struct buf *out, const struct batch_report *report)
{
	bool any = false;

	buf_addf(out, "{\"run\":\"%s\"", report->results.run);
	batch_put_verdict(out, report);
	buf_addf(out, ",\"ms\":%" PRId64 ",\"clean_ms\":%" PRId64
		 ",\"analyses_ms\":%" PRId64 ",\"tables\":{",
		 report->duration_ms, report->clean_ms, report->results.duration_ms);
	for (size_t i = 0; i < report->table_count; i++) {
		if (!report->tables[i].name)	/* its turn did not come */
			continue;
		buf_add_str(out, any ? "," : "");
		batch_put_table(out, &report->tables[i]);
		any = true;
	}
	buf_add_str(out, "},\"analyses\":{");
	for (size_t i = 0; i < report->results.count; i++) {
		buf_add_str(out, i ? "," : "");
		put_result(out, &report->results.list[i]);
	}
	buf_add_str(out, "}}\n");
}

void batch_report_release(struct batch_report *report)
{
	for (size_t i = 0; i < report->table_count; i++)
		unknown_fields_release(&report->tables[i].unknown);
	free(report->tables);
	free(report->results.list);
	*report = (struct batch_report){ 0 };
}
