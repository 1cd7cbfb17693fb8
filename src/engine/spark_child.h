/*
 * spark_child.h - the user's Spark as a process beside this one: spark-submit
 * with spark/engine.py, which is asked one thing at a time.
 *
 *	spark_child_new() ──► starting ──hello──► idle ◄──answer── at work
 *	                          └──────ended, silent, late──────────┴──► failed
 *
 * Requests and answers are JSON, an object a line, over a Unix socket that the
 * child finds by its name (spark/engine.py lists them); spark-submit passes on
 * neither stdin nor descriptors. While it lives it says so once a second. What
 * it prints is kept, and its end told where it fails.
 *
 * It starts in the background; the first spark_child_ask() waits for it. Once failed
 * it stays so, with the same words. In a process group of its own: Ctrl-C is
 * for us. It ends with us, however we end, as its socket does.
 *
 * Threads: one thread a child; spark_child_interrupt() and spark_child_progress() any.
 */
#ifndef ENGINE_SPARK_CHILD_H
#define ENGINE_SPARK_CHILD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct spark_setting {
	const char *name; /* "spark.master" */
	const char *text;
	bool secret; /* not for the command line, which others see */
};

struct spark_child_options {
	const char *program;   /* spark-submit: a path, or a name to be found on PATH */
	const char *script;    /* engine.py */
	const char *functions; /* the text of functions.sql */
	const char *exchange;  /* the URL of the place for files, as Spark has it */
	const struct spark_setting *settings;
	size_t setting_count;
	int64_t start_ms;     /* how long it may take to be ready */
	int64_t statement_ms; /* … and to answer; 0: no bound */
};

/* Where an error of Spark's is. */
struct spark_fault {
	int line;	  /* of the SQL that was sent, from 1; 0: not known */
	bool of_sql;	  /* it is the SQL's, or a value's that the SQL met */
	bool of_exchange; /* it names a file of the exchange */
};

struct spark_child;

/* ERR_USAGE: there is no such program. Copies what it needs of the options. */
MUST_USE enum err_code spark_child_new(const struct spark_child_options *options,
				       struct spark_child **ret_child, struct err *err);
/* Ends it: its session is closed, or it is killed. Accepts NULL. */
void spark_child_free(struct spark_child *child);

/*
 * Send one request, an object's text without its end of line, and wait for the answer. *ret_done
 * lives until the next one. What Spark finds wrong: ERR_USAGE the SQL, ERR_SHAPE a value, ERR_LIMIT
 * memory, ERR_SPACE, ERR_IO, ERR_UNSUPPORTED a file of a table is not there, ERR_STOPPED after
 * spark_child_interrupt(); of the child: ERR_USAGE it cannot do (too old), ERR_BUSY it ended or
 * could not be reached, ERR_TIMEOUT. *ret_fault is set where an error is returned.
 */
MUST_USE enum err_code spark_child_ask(struct spark_child *child, const struct buf *request,
				       struct json *ret_done, struct spark_fault *ret_fault,
				       struct err *err);
/* End what is at work, or is about to be while the child starts. */
void spark_child_interrupt(struct spark_child *child);
/* As engine_progress(). */
double spark_child_progress(struct spark_child *child);

#endif
