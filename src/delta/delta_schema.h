/*
 * delta_schema.h - a table's schema and settings: whether we may read it,
 * whether we may write it (PROTOCOL.md, "Requirements for Writers"), and how
 * its columns differ from those that a writer wants.
 */
#ifndef DELTA_DELTA_SCHEMA_H
#define DELTA_DELTA_SCHEMA_H

#include "delta/delta_action.h"

/* The schemaString, as JSON text (not yet quoted). */
void delta_schema_put(struct buf *out, const struct delta_schema *schema);

/* ERR_UNSUPPORTED: what of this table we do not know how to read. */
MUST_USE enum err_code delta_check_readable(const struct delta_protocol *protocol,
					    const struct delta_metadata *metadata, struct err *err);
/* As above, to write, whichever columns it has. */
MUST_USE enum err_code delta_check_writable(const struct delta_protocol *protocol,
					    const struct delta_metadata *metadata,
					    struct json_parser *parser, struct err *err);

/* See delta_compare(). */
MUST_USE enum err_code delta_schema_compare(const struct delta_metadata *metadata,
					    const struct delta_schema *wanted,
					    struct json_parser *parser,
					    struct delta_difference *ret_difference,
					    struct err *err);
/* As delta_own_schema(), of a table that may be written. */
MUST_USE enum err_code delta_schema_read(const struct delta_metadata *metadata,
					 struct json_parser *parser,
					 struct delta_schema *ret_schema, struct err *err);
/* The schemaString with the wanted columns, in their order. What the table has of them stays as it
 * is written there, comments and all. */
MUST_USE enum err_code delta_schema_merge(struct buf *out, const struct delta_metadata *metadata,
					  const struct delta_schema *wanted,
					  struct json_parser *parser, struct err *err);

#endif
