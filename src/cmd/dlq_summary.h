/*
 * dlq_summary.h - how many dead letters there are of which kind, among millions of them: a letter
 * costs the same however many kinds there are, and of kinds past the first KINDS_MAX only the sum
 * is kept, in a row that says so.
 */
#ifndef CMD_DLQ_SUMMARY_H
#define CMD_DLQ_SUMMARY_H

#include "cmd/rows.h"
#include "flow/dlq.h"

struct dlq_summary {
	struct rows rows;
	uint32_t *slots; /* a row's number plus 1, found by its hash */
	int64_t others;	 /* letters of kinds that have no row */
};

void dlq_summary_init(struct dlq_summary *summary);
void dlq_summary_release(struct dlq_summary *summary);
void dlq_summary_add(struct dlq_summary *summary, const struct dlq_entry *entry);
MUST_USE enum err_code dlq_summary_print(struct dlq_summary *summary, const struct config *config,
					 struct err *err);

#endif
