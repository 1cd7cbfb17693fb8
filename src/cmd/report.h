/*
 * report.h - what a service counted, in its last words, as --format says.
 *
 * The report is one JSON object, of numbers and of objects by table. As a table
 * or csv it has a row for each number: what, table, count.
 */
#ifndef CMD_REPORT_H
#define CMD_REPORT_H

#include "base/buf.h"
#include "base/config.h"

/* Empties `report`. */
MUST_USE enum err_code report_print(const struct config *config, struct buf *report,
				    struct err *err);

#endif
