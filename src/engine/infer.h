/*
 * infer.h - a clean model out of sample records: which fields they have, of
 * which types, and what tells one from another.
 *
 * A sample is NDJSON (an object a line), an array of objects, or one object. A
 * column is as narrow as every value of its field allows: int (32 bits), long,
 * double, boolean, timestamp (texts that as_timestamp reads), else string, as
 * objects, arrays and mixed types are: such a column holds the JSON text. A
 * text stays a text, whatever stands in it: "01234" is no number. Null, "" and
 * a field that is not there say nothing about the type.
 *
 * The key is a field that is named as keys are, is in every record, differs in
 * all of them and is an int, a long or a string; or there is none.
 *
 * Ownership: infer_release(). Threads: any.
 */
#ifndef ENGINE_INFER_H
#define ENGINE_INFER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "delta/delta.h"

enum {
	INFER_BYTES_MAX = 64 << 20,	/* of a sample */
	INFER_FIELDS_MAX = 900,		/* a model may have little more */
};

struct infer_field {
	struct slice name;	/* as the records have it */
	const char *alias;	/* the column: an SQL name that needs no quotes, of its own */
	enum delta_type type;
	uint64_t present;	/* records in which it is neither null nor "" nor missing */
};

struct inferred {
	struct infer_field *fields;	/* in the order in which they were met */
	size_t count;
	const struct infer_field *key;	/* or NULL */
	uint64_t records;
	size_t left_out;	/* fields with a name that no header can hold (a line break …) */
	struct slice first;	/* the first record, compact */
	struct arena memory;
};

/* `table`: its model's name; "<table>_id" is a key's name. Codes: ERR_SYNTAX, ERR_SHAPE (the
 * record is named), ERR_LIMIT; ERR_USAGE: no record at all. On failure nothing to release. */
MUST_USE enum err_code infer_read(struct slice sample, const char *table,
				  struct inferred *ret_inferred, struct err *err);
void infer_release(struct inferred *inferred);
/* Whether a name may stand in SQL without quotes, in DuckDB and Spark. */
bool infer_name_is_free(const char *name);
/* The model file. */
void infer_put_model(struct buf *out, const struct inferred *inferred, const char *table);
/* A record as one may be posted, at most about 300 bytes: the key, and of the first one's other
 * scalars what there is room for. */
void infer_put_example(struct buf *out, const struct inferred *inferred);

/* --- between infer*.c --- */

/* Gives each of the fields its alias. */
void infer_name_all(struct inferred *inferred);

#endif
