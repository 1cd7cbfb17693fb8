/*
 * spark_text.h - SQL that DuckDB's parser and Spark's would cut into words at different places.
 *
 * What SQL may say is DuckDB's parser's to tell (engine.h); what is a text or a comment to the one
 * and SQL to the other would run unseen. The two agree but for
 *	\	in a text an escape to Spark; at the end of a comment's line it goes on
 *	`	a quote to Spark, an operator to DuckDB
 *	$	begins a text to DuckDB, and to Sparks that are new enough
 *	/ *+	a hint to Spark, which nests otherwise in comments
 * so none of these may be there, \ not even in a comment.
 * Threads: any.
 */
#ifndef ENGINE_SPARK_TEXT_H
#define ENGINE_SPARK_TEXT_H

#include "base/err.h"
#include "engine/model.h"

/* ERR_USAGE: has one of them; says which, file and line, and what to write instead. */
MUST_USE enum err_code spark_text_check(const struct model *model, struct err *err);

#endif
