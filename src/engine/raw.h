/*
 * raw.h - reads one raw record: is it a row of this table, and which texts
 * stand in its fields?
 *
 * Dead, that is no row of the table, is what
 *	1. has no value (a tombstone), is not JSON, or is no JSON object;
 *	2. holds a name twice: which value was meant?
 *	3. has none of this table's fields but the key (unless it is nothing but the
 *	   key): another table's record, or one whose fields are all mistyped;
 *	4. lacks the model's key, or holds there what its column cannot hold.
 * Other unknown fields are counted by name (unknown.h), missing ones are null.
 *
 * Where several tables share a topic or a stream, a record belongs to the one
 * whose key it has and of whose fields it has most; if there is none, to the
 * one whose name its own key ends with ("…-clicks", "….clicks", "…_clicks"); if none
 * again, the first of them, in order of name, has it as a dead letter.
 *
 * Threads: one thread a reader.
 */
#ifndef ENGINE_RAW_H
#define ENGINE_RAW_H

#include "engine/model.h"
#include "engine/unknown.h"

enum { RAW_VALUE_BYTES_MAX = 64 << 20 };

enum raw_verdict { RAW_ROW, RAW_DEAD, RAW_OTHERS };

struct raw_reader;

/* `shared`: the tables that read the same records, `model` among them; NULL: it is alone. */
MUST_USE struct raw_reader *raw_reader_new(const struct clean_model *model,
					   const struct clean_shared *shared);
void raw_reader_free(struct raw_reader *reader);	/* accepts NULL */

/*
 * RAW_ROW: `ret_fields` (model->field_count) then holds the texts: a string unescaped, any other
 * value as it is written; null for what is absent, null or an empty string. RAW_DEAD: *ret_reason
 * says why. RAW_OTHERS: the record is another table's affair. All live until the next call.
 * `key`: the record's, may be null. `padded`: JSON_PADDING bytes after the value may be read.
 */
enum raw_verdict raw_read(struct raw_reader *reader, struct slice value, struct slice key,
			  bool padded, struct slice *ret_fields, const char **ret_reason);

/* Of the rows so far. */
const struct unknown_fields *raw_reader_unknown(const struct raw_reader *reader);

#endif
