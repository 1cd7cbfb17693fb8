/*
 * raw.h - reads one raw record: is it a row of this table, and which texts
 * stand in its fields?
 *
 * Dead, that is no row of the table, is what
 *	1. has no value (a tombstone), is not JSON, or is no JSON object;
 *	2. holds a name twice: which value was meant?
 *	3. is another table's record: it has none of this table's fields but the
 *	   key, and at least one that only another table has;
 *	4. lacks the model's key, or holds there what is no 32-bit integer.
 * Unknown fields are ignored, missing ones are null.
 *
 * Threads: one thread a reader.
 */
#ifndef ENGINE_RAW_H
#define ENGINE_RAW_H

#include "engine/model.h"

enum { RAW_VALUE_BYTES_MAX = 64 << 20 };

struct raw_reader;

MUST_USE struct raw_reader *raw_reader_new(const struct clean_model *model);
void raw_reader_free(struct raw_reader *reader);	/* accepts NULL */

/*
 * True: a row. `ret_fields` (model->field_count) then holds the texts: a string unescaped, any
 * other value as it is written; null for what is absent, null or an empty string. False: dead,
 * *ret_reason says why. Both live until the next call. `padded`: JSON_PADDING bytes after the
 * value may be read.
 */
bool raw_read(struct raw_reader *reader, struct slice value, bool padded, struct slice *ret_fields,
	      const char **ret_reason);

#endif
