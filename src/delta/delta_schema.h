/*
 * delta_schema.h - a table's schema and settings: whether we may read it,
 * whether we may write it (PROTOCOL.md, "Requirements for Writers"), and
 * whether it has the columns that a writer wants.
 */
#ifndef DELTA_DELTA_SCHEMA_H
#define DELTA_DELTA_SCHEMA_H

#include "delta/delta_action.h"

/* The schemaString, as JSON text (not yet quoted). */
void delta_schema_put(struct buf *out, const struct delta_schema *schema);

/* ERR_UNSUPPORTED: what of this table we do not know how to read. */
MUST_USE enum err_code delta_check_readable(const struct delta_protocol *protocol,
					    const struct delta_metadata *metadata, struct err *err);
/* As above, to write. With `schema`, the columns must be just those, in that order. */
MUST_USE enum err_code delta_check_writable(const struct delta_protocol *protocol,
					    const struct delta_metadata *metadata,
					    const struct delta_schema *schema,
					    struct json_parser *parser, struct err *err);

#endif
