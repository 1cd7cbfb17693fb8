#include "delta/delta_schema.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

enum { READER_VERSION_MAX = 1, WRITER_VERSION_MAX = 2 };

static const char *const type_json[] = {
	[DELTA_INTEGER] = "\"integer\"",
	[DELTA_LONG] = "\"long\"",
	[DELTA_DOUBLE] = "\"double\"",
	[DELTA_STRING] = "\"string\"",
	[DELTA_BOOLEAN] = "\"boolean\"",
	[DELTA_TIMESTAMP] = "\"timestamp\"",
	[DELTA_ARRAY_DOUBLE] = "{\"type\":\"array\",\"elementType\":\"double\",\"containsNull\":true}",
};

static void put_column(struct buf *out, const struct delta_column *column)
{
	buf_add_str(out, "{\"name\":");
	json_put_string(out, slice_str(column->name));
	buf_addf(out, ",\"type\":%s,\"nullable\":true,\"metadata\":{}}", type_json[column->type]);
}

void delta_schema_put(struct buf *out, const struct delta_schema *schema)
{
	buf_add_str(out, "{\"type\":\"struct\",\"fields\":[");
	for (size_t i = 0; i < schema->count; i++) {
		buf_add_str(out, i ? "," : "");
		put_column(out, &schema->columns[i]);
	}
	buf_add_str(out, "]}");
}

/* What came with a version, from before features had names in the table (PROTOCOL.md, "Valid
 * Feature Names in Table Features"). */
static const char *const writer_brought[] = {
	[0] = "",
	[1] = "",
	[2] = "",
	[3] = "checkConstraints",
	[4] = "changeDataFeed generatedColumns",
	[5] = "columnMapping",
	[6] = "identityColumns",
};

static enum err_code refuse_version(const char *side, int64_t asked, int known,
				    const char *features, struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED,
		       "the table asks for %s version %" PRId64
		       " of the Delta protocol%s%s%s, this program knows %d",
		       side, asked, *features ? " (" : "", features, *features ? ")" : "", known);
}

enum err_code delta_check_readable(const struct delta_protocol *protocol,
				   const struct delta_metadata *metadata, struct err *err)
{
	const char *mapping = delta_setting(metadata, "delta.columnMapping.mode");

	if (protocol->reader > READER_VERSION_MAX)
		return refuse_version(
			"reader", protocol->reader, READER_VERSION_MAX,
			protocol->reader == 2 ? "columnMapping" : protocol->reader_features, err);
	if (!metadata->provider || strcmp(metadata->provider, "parquet") != 0)
		return err_set(err, ERR_UNSUPPORTED, "the table's data files are \"%s\", not parquet",
			       metadata->provider ? metadata->provider : "");
	if (mapping && strcmp(mapping, "none") != 0)
		return err_set(err, ERR_UNSUPPORTED, "the table uses column mapping");
	if (metadata->partitioned_by)
		return err_set(err, ERR_UNSUPPORTED,
			       "the table is partitioned by \"%s\", so that its "
			       "data files lack this column: such tables are not read",
			       metadata->partitioned_by);
	return ERR_OK;
}

static bool same_type(struct json type, enum delta_type wanted)
{
	struct slice element = { 0 };
	struct json part;
	bool nulls = false;

	if (wanted != DELTA_ARRAY_DOUBLE)
		return slice_is(json_text(type), type_json[wanted]);
	return json_type(type) == JSON_OBJECT &&
		json_member(type, "type", &part) && slice_is(json_text(part), "\"array\"") &&
		json_member(type, "elementType", &part) && json_get_string(part, &element) &&
		slice_is(element, "double") &&
		json_member(type, "containsNull", &part) && json_get_bool(part, &nulls) && nulls;
}

/* Invariants, generated and identity columns, mapping: all are "delta." members of a field. */
static enum err_code check_field_rules(struct json field, struct slice name, struct err *err)
{
	bool nullable = false;
	struct json part;
	struct json_iter iter;

	if (!json_member(field, "nullable", &part) || !json_get_bool(part, &nullable) || !nullable)
		return err_set(err, ERR_UNSUPPORTED, "column \"%.*s\" is not nullable",
			       SLICE_ARG(name));
	if (!json_member(field, "metadata", &part) || json_type(part) != JSON_OBJECT)
		return ERR_OK;
	iter = json_iter(part);
	while (json_next(&iter))
		if (slice_starts(iter.key, "delta."))
			return err_set(err, ERR_UNSUPPORTED, "column \"%.*s\" has %.*s",
				       SLICE_ARG(name), SLICE_ARG(iter.key));
	return ERR_OK;
}

/* ---- The columns of a table, as its schemaString has them ---- */

struct field {
	struct slice name;
	struct json type;
	struct json whole;
};

static enum err_code fields_begin(const struct delta_metadata *metadata, struct json_parser *parser,
				  struct json *ret_fields, struct err *err)
{
	struct json root;
	enum err_code code = json_parse(parser, slice_str(metadata->schema), &root, err);

	if (code != ERR_OK || json_type(root) != JSON_OBJECT ||
	    !json_member(root, "fields", ret_fields) || json_type(*ret_fields) != JSON_ARRAY)
		return err_set(err, ERR_CORRUPT, "the table's schemaString is no schema");
	return ERR_OK;
}

static enum err_code schema_read_field(struct json whole, struct field *ret_field, struct err *err)
{
	struct field field = { .whole = whole };
	struct json name;

	if (json_type(whole) != JSON_OBJECT || !json_member(whole, "name", &name) ||
	    !json_get_string(name, &field.name) || !json_member(whole, "type", &field.type))
		return err_set(err, ERR_CORRUPT, "a column of the schema has no name or no type");
	*ret_field = field;
	return ERR_OK;
}

/* Of a schema that was read through already. */
static bool schema_find_field(struct json fields, const char *name, struct field *ret_field)
{
	struct json_iter iter = json_iter(fields);
	struct err ignored;

	while (json_next(&iter))
		if (schema_read_field(iter.value, ret_field, &ignored) == ERR_OK &&
		    slice_is(ret_field->name, name))
			return true;
	return false;
}

/* Names are one ignoring case (PROTOCOL.md, "Schema Serialization Format"). */
static bool named_before(struct json fields, const struct field *field)
{
	struct json_iter iter = json_iter(fields);
	struct field other;
	struct err ignored;

	while (json_next(&iter) && iter.value.token != field->whole.token)
		if (schema_read_field(iter.value, &other, &ignored) == ERR_OK &&
		    other.name.len == field->name.len &&
		    strncasecmp(other.name.ptr, field->name.ptr, field->name.len) == 0)
			return true;
	return false;
}

static const struct delta_column *schema_find_column(const struct delta_schema *schema,
						     struct slice name)
{
	for (size_t i = 0; i < schema->count; i++)
		if (slice_is(name, schema->columns[i].name))
			return &schema->columns[i];
	return NULL;
}

/* ---- What is different ---- */

static void difference_set(struct delta_difference *difference, enum delta_change change,
			   const char *fmt, ...) PRINTF(3, 4);

/* The gravest is kept, and of those as grave the first. */
static void difference_set(struct delta_difference *difference, enum delta_change change,
			   const char *fmt, ...)
{
	va_list ap;

	if (difference->change >= change)
		return;
	difference->change = change;
	va_start(ap, fmt);
	(void)vsnprintf(difference->says, sizeof(difference->says), fmt, ap);
	va_end(ap);
}

/* A column that the table has. */
static void compare_field(const struct field *field, const struct delta_schema *wanted,
			  struct delta_difference *difference)
{
	const struct delta_column *column = schema_find_column(wanted, field->name);

	if (!column)
		difference_set(difference, DELTA_WENT,
			       "column \"%.*s\" (%.*s) is in the table and "
			       "not in the model",
			       SLICE_ARG(field->name), SLICE_ARG(json_text(field->type)));
	else if (!same_type(field->type, column->type))
		difference_set(difference, DELTA_RETYPED,
			       "column \"%s\" is %.*s in the table and %s "
			       "in the model",
			       column->name, SLICE_ARG(json_text(field->type)),
			       type_json[column->type]);
}

/* Columns that it lacks: all are named, as far as there is room. */
static void compare_added(struct json fields, const struct delta_schema *wanted,
			  struct delta_difference *difference)
{
	struct field field;

	for (size_t i = 0; i < wanted->count; i++) {
		const char *name = wanted->columns[i].name;
		size_t len;

		if (schema_find_field(fields, name, &field))
			continue;
		difference_set(difference, DELTA_ADDED, "the table has no column");
		difference->added++;
		len = strlen(difference->says);
		if (difference->change == DELTA_ADDED)
			(void)snprintf(difference->says + len, sizeof(difference->says) - len,
				       "%s \"%s\" (%s)", difference->added > 1 ? "," : "", name,
				       type_json[wanted->columns[i].type]);
	}
}

enum err_code delta_schema_compare(const struct delta_metadata *metadata,
				   const struct delta_schema *wanted, struct json_parser *parser,
				   struct delta_difference *ret_difference, struct err *err)
{
	struct delta_difference difference = { 0 };
	struct json fields;
	struct json_iter iter;
	enum err_code code = fields_begin(metadata, parser, &fields, err);

	if (code != ERR_OK)
		return code;
	iter = json_iter(fields);
	while (json_next(&iter)) {
		struct field field;

		code = schema_read_field(iter.value, &field, err);
		if (code != ERR_OK)
			return code;
		if (named_before(fields, &field))
			return err_set(err, ERR_CORRUPT, "two columns of the table are \"%.*s\"",
				       SLICE_ARG(field.name));
		compare_field(&field, wanted, &difference);
	}
	compare_added(fields, wanted, &difference);
	*ret_difference = difference;
	return ERR_OK;
}

enum err_code delta_schema_merge(struct buf *out, const struct delta_metadata *metadata,
				 const struct delta_schema *wanted, struct json_parser *parser,
				 struct err *err)
{
	struct json fields;
	struct field field;
	enum err_code code = fields_begin(metadata, parser, &fields, err);

	if (code != ERR_OK)
		return code;
	buf_add_str(out, "{\"type\":\"struct\",\"fields\":[");
	for (size_t i = 0; i < wanted->count; i++) {
		const struct delta_column *column = &wanted->columns[i];

		buf_add_str(out, i ? "," : "");
		if (schema_find_field(fields, column->name, &field) &&
		    same_type(field.type, column->type))
			json_put(out, field.whole);
		else
			put_column(out, column);
	}
	buf_add_str(out, "]}");
	return ERR_OK;
}

/* ---- As columns of ours ---- */

static enum err_code read_column(struct json whole, struct delta_column *ret_column,
				 struct err *err)
{
	struct field field;
	enum err_code code = schema_read_field(whole, &field, err);

	if (code != ERR_OK)
		return code;
	for (size_t type = 0; type < ARRAY_LEN(type_json); type++) {
		if (!same_type(field.type, (enum delta_type)type))
			continue;
		ret_column->name = xstrndup(field.name.ptr, field.name.len);
		ret_column->type = (enum delta_type)type;
		return ERR_OK;
	}
	return err_set(err, ERR_UNSUPPORTED, "column \"%.*s\" is %.*s, which is not written here",
		       SLICE_ARG(field.name), SLICE_ARG(json_text(field.type)));
}

enum err_code delta_schema_read(const struct delta_metadata *metadata, struct json_parser *parser,
				struct delta_schema *ret_schema, struct err *err)
{
	struct delta_column *columns = NULL;
	struct delta_schema schema = { 0 };
	struct json fields;
	struct json_iter iter;
	enum err_code code = fields_begin(metadata, parser, &fields, err);

	if (code != ERR_OK)
		return code;
	iter = json_iter(fields);
	while (json_next(&iter) && code == ERR_OK) {
		columns = xreallocarray(columns, schema.count + 1, sizeof(*columns));
		schema.columns = columns;
		code = read_column(iter.value, &columns[schema.count], err);
		schema.count += code == ERR_OK;
	}
	if (code == ERR_OK)
		*ret_schema = schema;
	else
		delta_schema_release(&schema);
	return code;
}

void delta_schema_release(struct delta_schema *schema)
{
	for (size_t i = 0; i < schema->count; i++)
		free((void *)(uintptr_t)schema->columns[i].name);
	free((void *)(uintptr_t)schema->columns);
	*schema = (struct delta_schema){ 0 };
}

/* ---- Whether it may be written ---- */

static enum err_code check_columns(const struct delta_metadata *metadata,
				   struct json_parser *parser, struct err *err)
{
	struct json fields;
	struct json_iter iter;
	enum err_code code = fields_begin(metadata, parser, &fields, err);

	if (code != ERR_OK)
		return code;
	iter = json_iter(fields);
	while (json_next(&iter) && code == ERR_OK) {
		struct field field;

		code = schema_read_field(iter.value, &field, err);
		if (code == ERR_OK)
			code = check_field_rules(iter.value, field.name, err);
	}
	return code;
}

enum err_code delta_check_writable(const struct delta_protocol *protocol,
				   const struct delta_metadata *metadata,
				   struct json_parser *parser, struct err *err)
{
	const char *const constraints = "delta.constraints.";
	const char *const forgets = "delta.setTransactionRetentionDuration";

	if (protocol->writer > WRITER_VERSION_MAX)
		return refuse_version("writer", protocol->writer, WRITER_VERSION_MAX,
				      protocol->writer < (int64_t)ARRAY_LEN(writer_brought)
					      ? writer_brought[protocol->writer]
					      : protocol->writer_features,
				      err);
	for (size_t i = 0; i < metadata->settings.count; i++)
		if (strncmp(metadata->settings.items[i].key, constraints, strlen(constraints)) == 0)
			return err_set(err, ERR_UNSUPPORTED, "the table has a constraint, %s",
				       metadata->settings.items[i].key);
	if (delta_setting(metadata, forgets))
		return err_set(err, ERR_UNSUPPORTED,
			       "the table lets its writers forget how far others are (%s), and "
			       "what is forgotten would be written again",
			       forgets);
	return check_columns(metadata, parser, err);
}
