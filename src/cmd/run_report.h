/*
 * run_report.h - what `pinpipe run` shows a person in the end: the answers, the
 * first RUN_REPORT_ROWS rows of each; the counts; where things are, and what to
 * do next. Only cmd_run.c includes it.
 */
#ifndef CMD_RUN_REPORT_H
#define CMD_RUN_REPORT_H

#include "base/config.h"
#include "cmd/output.h"
#include "cmd/pipeline.h"

enum { RUN_REPORT_ROWS = 10 };

/* Of a clean model's table of one path: every row, and those that questions see. */
struct rows_now {
	bool known;
	uint64_t rows, current;
};

/* By kind, and by clean model in their order. */
struct run_now {
	struct rows_now *path[2];
};

/* Asks the tables of both paths. What cannot be asked is not known, which is no failure. */
void run_now_take(const struct models *models, struct run_now *ret_now);
void run_now_release(struct run_now *now);

/* `program`: what this one was called as. */
MUST_USE enum err_code run_report_put(struct buf *out, const struct config *config,
				      const struct pipeline_counts *counts,
				      const struct run_now *now, const char *program,
				      struct err *err);
/* The counts alone: a row for each path and table. */
void run_report_put_counts(struct buf *out, const struct pipeline_counts *counts,
			   enum output_format format);

#endif
