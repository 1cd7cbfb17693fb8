#include "flow/batch_record.h"

#include "base/mem.h"
#include "base/time.h"
#include "base/trace.h"

#include <stdio.h>

enum { RUN_BYTES_MAX = 4 << 20 };

void batch_name(const struct batch_options *options, char name[RUN_NAME_MAX])
{
	if (options->ledger)
		(void)snprintf(name, RUN_NAME_MAX, "%s", options->ledger->run);
	else
		results_run_name(clock_wall_ms(), name);
}

enum err_code batch_record(const struct batch_options *options, struct batch_report *report,
			   bool idle, enum err_code code, struct err *err)
{
	enum err_code written;
	struct err why;
	struct buf text;

	if (code == ERR_OK)
		(void)batch_report_verdict(report, &report->verdict);
	else
		report->verdict = *err;
	buf_init(&text, RUN_BYTES_MAX);
	batch_report_put(&text, report);
	written = options->ledger ? run_ledger_record(options->ledger, options->store, idle,
						      buf_slice(&text), &why)
				  : results_write_run(options->store, report->results.run,
						      buf_slice(&text), STORE_REPLACE, &why);
	if (written != ERR_OK) {
		if (code != ERR_OK)
			trace_warn("this run is not in the history yet: %s", why.msg);
		else
			*err = why;
	}
	buf_release(&text);
	return code == ERR_OK ? written : code;
}

/* What a run reports that found nothing: the rows that are there. */
static void batch_put_idle(const struct batch_options *options, struct batch_report *report)
{
	const struct models *models = options->models;

	report->table_count = models->clean_count;
	report->tables = xcalloc(models->clean_count, sizeof(*report->tables));
	for (size_t i = 0; i < models->clean_count; i++) {
		report->tables[i].name = models->clean[i].model.name;
		report->tables[i].total_rows = answered_table_rows(options->answered, i);
	}
	report->results.count = models->analysis_count;
	report->results.list = xcalloc(models->analysis_count, sizeof(*report->results.list));
	for (size_t i = 0; i < models->analysis_count; i++) {
		report->results.list[i].name = models->analyses[i].model.name;
		report->results.list[i].rows = answered_analysis_rows(options->answered, i);
	}
}

enum err_code batch_run_idle(const struct batch_options *options, struct batch_report *ret_report,
			     struct err *err)
{
	struct batch_report report = { .by = options->ledger ? options->ledger->by : NULL };
	enum err_code code;

	batch_name(options, report.results.run);
	batch_put_idle(options, &report);
	report.duration_ms = report.clean_ms = clock_mono_ms() - options->start_ms;
	code = batch_record(options, &report, true, ERR_OK, err);
	if (code == ERR_OK)
		*ret_report = report;
	else
		batch_report_release(&report);
	return code;
}
