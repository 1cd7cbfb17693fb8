/*
 * pipeline.h - `pinpipe run`: the whole pipeline once, each part a process of
 * its own, then the counts of every place and whether they agree.
 *
 *	gateway, sink, stream ─ start
 *	emulate ─ N posts to the topics, then the same N to the streams
 *	sink, stream ─ asked to stop: they drain the log into the lake
 *	gateway ─ stops
 *	batch ─ cleans, answers
 */
#ifndef CMD_PIPELINE_H
#define CMD_PIPELINE_H

#include "base/config.h"
#include "flow/census.h"

struct pipeline_counts {
	uint64_t posts;
	struct models models;
	uint64_t *posted[2]; /* acknowledged, by topic_kind; a count a row of `added` */
	uint64_t resent;			/* sent again after an answer that did not come: may
						   be in the log twice */
	struct census added;			/* by this run */
	struct buf answers;			/* the analyses, JSON */
	double seconds;
};

MUST_USE enum err_code pipeline_run(const struct config *config, struct pipeline_counts *ret_counts,
				    struct err *err);
/* Of what pipeline_run() gave, whether it failed or not. */
void pipeline_counts_release(struct pipeline_counts *counts);
/* ERR_CORRUPT, saying which counts differ, unless every record is accounted for. */
MUST_USE enum err_code pipeline_reconcile(const struct pipeline_counts *counts, struct err *err);

#endif
