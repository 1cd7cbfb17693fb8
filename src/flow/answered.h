/*
 * answered.h - what the answers in the lake were made of: results/answered.
 *
 * A run of batch that would find nothing new, and would ask the same questions of the same tables,
 * is told so by it, without a look at a table or an engine (answered_is_now()):
 *
 *	{"format":1,"models":"<SHA-256 of program, id, engine and models, hex>",
 *	 "results":[["results/<analysis>.json",<bytes>,"<version>"],…],"answers":[<rows>,…],
 *	 "tables":[{"name":…,"version":<Delta's>,"commit":[<bytes>,"<version>"],"rows":<n>,
 *		    "txns":{"pinpipe/batch/…":<n>,…},
 *		    "partitions":[[<p>,<generation>,"<next>","<objects>","<manifests>","<until>"],…]}]}
 *
 *  1. It is removed before an answer is replaced, and written once all of them were, if every table
 *     was cleaned to its end and every analysis answered. So it is there only beside the answers
 *     that it is of, whatever was killed when; without it, or where it cannot be read, all is done
 *     as if it had never been.
 *  2. A table is what it was if its log ends with the same commit, or with others that change no
 *     row (compaction): then the version is brought up.
 *  3. <version>s, and what `partitions` has of folders (batch_find.h), are of one store: in a copy
 *     of the lake they fit nothing.
 *  4. An analysis that asks for the time, or for chance, is another question every time.
 *
 * Ownership: answered_free(). Threads: one, but answered_note() of different tables.
 */
#ifndef FLOW_ANSWERED_H
#define FLOW_ANSWERED_H

#include "flow/batch_find.h"
#include "flow/results.h"

struct answered;

/* All is borrowed. */
struct answered_options {
	struct store *store;
	const struct models *models;
	const char *id;
	const char *engine; /* of engine.kind */
};

/* What the lake has is read; what cannot be is as if there was nothing. */
MUST_USE struct answered *answered_new(const struct answered_options *options);
void answered_free(struct answered *answered); /* accepts NULL */
/* Whether a run would find nothing to do. What cannot be told is no. */
bool answered_is_now(struct answered *answered);
uint64_t answered_table_rows(const struct answered *answered, size_t table);
uint64_t answered_analysis_rows(const struct answered *answered, size_t analysis);

/* For who makes answers, in this order. Of clean model `table`, what to find new objects by. */
struct batch_known *answered_known(struct answered *answered, size_t table);
/* Answers are about to be replaced. */
MUST_USE enum err_code answered_forget(struct answered *answered, struct err *err);
/* As results_options.note: a table as the analyses have it. */
void answered_note(void *answered, size_t table, const struct delta_table *delta);
/* All of them are in the lake. */
MUST_USE enum err_code answered_write(struct answered *answered,
				      const struct results_report *results, struct err *err);

#endif
