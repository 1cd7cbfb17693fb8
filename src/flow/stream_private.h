/*
 * stream_private.h - a running stream, for the files that it is made of:
 *
 *	stream.c	the loop: what is opened, flushed, drained, and when
 *	stream_read.c	what the reader says, and what it is told: where to go on,
 *			what to pause
 *	stream_tell.c	what others see of it
 */
#ifndef FLOW_STREAM_PRIVATE_H
#define FLOW_STREAM_PRIVATE_H

#include "flow/stream.h"
#include "flow/stream_source.h"
#include "flow/stream_table.h"

struct stream {
	const struct stream_options *options;
	struct stream_table_options table_options; /* but the place */
	struct stream_table *tables;		   /* one a model, in order of name */
	size_t table_count;
	struct stream_source *sources; /* of those that are not left out */
	size_t source_count;
	struct broker_reader *reader;
	size_t refused; /* of the tables */
	int64_t began_ms;
	bool heard;    /* all that is assigned at once was */
	bool draining; /* end when all that there was then is in the tables */
	int64_t told_ms; /* when others were told last how far it is; monotonic clock */
};

/* ---- stream.c ---- */

/* The first table of a stream, and the next of those that share it; NULL: there is none (left).
 * Those that are not open are none. */
struct stream_table *stream_next_table(const struct stream *stream,
				       const struct stream_source *source,
				       const struct stream_table *after);
struct stream_source *stream_source_of(const struct stream *stream, const char *topic);
/* The table is left out from now on, as *err says, and no other. */
void stream_refuse(struct stream *stream, struct stream_table *table, const struct err *err);
/* One try to commit what waits. It failed if it still does, and the table is held then; or the
 * table lost against another one, and is read again. */
MUST_USE enum err_code stream_flush(struct stream *stream, struct stream_table *table,
				    struct err *err);
/* Forget what waits, and read it again. */
MUST_USE enum err_code stream_drop(struct stream *stream, struct stream_table *table,
				   struct err *err);
/* Tell the group how far all tables are with a shard. That it does not hear it costs nothing but
 * what retention keeps longer. */
void stream_tell_group(struct stream *stream, struct stream_source *source,
		       struct stream_part *part);

/* ---- stream_tell.c ---- */

/* Some times a second, what others see of it (base/registry.h). */
void stream_tell(struct stream *stream);

/* ---- stream_read.c ---- */

/* Put the reader where the table goes on that is least far. */
MUST_USE enum err_code stream_seek(struct stream *stream, struct stream_source *source,
				   struct stream_part *part, struct err *err);
/* Whether a log that was behind its tables is so no more; give it up in the end. */
MUST_USE enum err_code stream_look_again(struct stream *stream, struct stream_source *source,
					 struct err *err);
MUST_USE enum err_code stream_apply_pauses(struct stream *stream, struct stream_source *source,
					   struct err *err);
MUST_USE enum err_code stream_take_event(struct stream *stream, const struct reader_event *event,
					 struct err *err);

#endif
