/*
 * setup.h - from the configuration to the things that commands work with. Which
 * backend an interface has is decided here and nowhere else.
 *
 * Ownership: the caller frees what it gets, with each thing's own call.
 */
#ifndef CMD_SETUP_H
#define CMD_SETUP_H

#include "base/config.h"
#include "broker/broker.h"
#include "engine/engine.h"
#include "flow/compact.h"
#include "flow/emulate.h"
#include "flow/lake.h"
#include "flow/retain.h"
#include "source/mysql_link.h"
#include "source/source.h"
#include "store/store.h"

#include <limits.h>

/* The data directory, made if missing. */
MUST_USE enum err_code setup_dir(const struct config *config, const char **ret_dir,
				 struct err *err);
/* The same for who only reads: ERR_ABSENT, if there is no log and no lake in it. */
MUST_USE enum err_code setup_dir_there(const struct config *config, const char **ret_dir,
				       struct err *err);
/* Where objects and tables go: --lake, which must be there unless --create, else DIR/lake. */
MUST_USE enum err_code setup_store(const struct config *config, struct store **ret_store,
				   struct err *err);
/* The same for who only reads; a lake that nobody has made yet is an empty one. */
MUST_USE enum err_code setup_store_there(const struct config *config, struct store **ret_store,
					 struct err *err);
/* Any place for objects, by its URL, as the options say. Of a service nothing is kept here: for who
 * reads an object once. */
MUST_USE enum err_code setup_store_at(const struct config *config, const char *url,
				      struct store **ret_store, struct err *err);
enum { SINK_GROUP_MAX = 200 };
/* The group that the sinks of the lake are in: of a cluster, which may serve other lakes, too, one
 * that no other lake's are in. The lake must be there. ERR_USAGE: the name is not right. */
MUST_USE enum err_code setup_sink_group(const struct config *config, char ret_group[SINK_GROUP_MAX],
					struct err *err);
/* How long a micro-batch waits for more, which where it is not said depends on the lake. */
int64_t setup_stream_age_ms(const struct config *config);
/* How long tables of a path keep what they do not need. ERR_USAGE: too short to be safe. */
MUST_USE enum err_code setup_keep(const struct config *config, enum topic_kind kind,
				  struct lake_keep *ret_keep, struct err *err);
/* How long raw objects and dead letters are kept. */
static inline struct retain_keep setup_retain(const struct config *config)
{
	return (struct retain_keep){ .raw_ms = config_int(config, OPT_RAW_KEEP),
				     .letters_ms = config_int(config, OPT_LETTERS_KEEP) };
}
/* Whether rows to post come from the files of --data. */
bool setup_from_files(const struct config *config);
/* Whether each row of those files is to be posted once: unless --order draws them. */
bool setup_each_row_once(const struct config *config);
/* How the database is reached. ERR_USAGE: it is not said which one. */
MUST_USE enum err_code setup_mysql(const struct config *config, struct mysql_options *ret_options,
				   struct err *err);
/* How fast. ERR_USAGE: --rate is no such thing. */
MUST_USE enum err_code setup_pace(const struct config *config, enum emulate_pace *ret_pace,
				  double *ret_rate, struct err *err);
/* The rows to post. */
MUST_USE enum err_code setup_source(const struct config *config, struct source **ret_source,
				    struct err *err);
/* Topics and streams, of broker.kind and streams.kind, to be written: of the log of --dir by this
 * process alone, else ERR_LOCKED. */
MUST_USE enum err_code setup_log_writer(const struct config *config, broker_done_fn *done,
					void *done_user, struct broker **ret_broker,
					struct err *err);
/* The same only to make and remove topics, or streams. */
MUST_USE enum err_code setup_log_admin(const struct config *config, enum topic_kind kind,
				       struct broker **ret_broker, struct err *err);
/* The same to be read; another process writes. `make`: that one may come later, so an empty
 * log is made if there is none; else that is ERR_ABSENT. */
MUST_USE enum err_code setup_log_reader(const struct config *config, bool make,
					struct broker **ret_broker, struct err *err);
/* What there is to be read; nothing is made. Of a directory without data that is an error, unless
 * one of the kinds is elsewhere. */
MUST_USE enum err_code setup_log_there(const struct config *config, struct broker **ret_broker,
				       struct err *err);
/* The same of one kind. */
MUST_USE enum err_code setup_log_kind_there(const struct config *config, enum topic_kind kind,
					    struct broker **ret_broker, struct err *err);
/* They are of a log of our own, not of a service that others use. */
bool setup_topics_are_in_dir(const struct config *config);
/* The lake is named, and the data directory has not the log that it should: this may be a machine
 * that only looks. */
bool setup_lake_alone(const struct config *config);
/* As setup_log_there(); then a log without topics. */
MUST_USE enum err_code setup_log_if_there(const struct config *config, struct broker **ret_broker,
					  struct err *err);
/* --models, else "models" beside the program, in its source tree or its installation. Those that
 * are broken are told, and left out; ERR_USAGE: so are all tables. */
MUST_USE enum err_code setup_models(const struct config *config, struct models *ret_models,
				    struct err *err);
/* The same for who tells of the broken ones where it comes to them. */
MUST_USE enum err_code setup_models_untold(const struct config *config, struct models *ret_models,
					   struct err *err);
/* Where models are. */
MUST_USE enum err_code setup_models_dir(const struct config *config, char ret_dir[PATH_MAX],
					struct err *err);
/* Where the program's own files of this name are, "models" or "spark". ERR_ABSENT: nowhere. */
MUST_USE enum err_code setup_beside(const char *name, char ret_dir[PATH_MAX], struct err *err);
/* Of engine.kind, held to the files that the store gives it. It spills to DIR/tmp. */
MUST_USE enum err_code setup_engine(const struct config *config, struct store *store,
				    struct engine **ret_engine, struct err *err);
/* The same for who only asks: it spills if it may, and else does without. */
MUST_USE enum err_code setup_engine_there(const struct config *config, struct store *store,
					  struct engine **ret_engine, struct err *err);
/* In this process, whatever engine.kind says: for micro-batches, which cannot wait for a cluster.
 */
MUST_USE enum err_code setup_engine_here(const struct config *config, struct engine **ret_engine,
					 struct err *err);

/* The same for who reads a few rows, whatever engine.kind says: nothing is made, nothing spills. */
MUST_USE enum err_code setup_engine_for_rows(const struct config *config, struct store *store,
					     struct engine **ret_engine, struct err *err);

/* To merge files of tables. DIR is made, if missing. */
MUST_USE enum err_code setup_compact(const struct config *config, struct store *store,
				     struct compact_options *ret_options, struct err *err);

/* For questions that need no lake. */
MUST_USE enum err_code setup_engine_in_memory(const struct config *config,
					      struct engine **ret_engine, struct err *err);

#endif
