#include "delta/delta_schema.h"

#include "base/mem.h"

#include <inttypes.h>

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

void delta_schema_put(struct buf *out, const struct delta_schema *schema)
{
	buf_add_str(out, "{\"type\":\"struct\",\"fields\":[");
	for (size_t i = 0; i < schema->count; i++) {
		buf_add_str(out, i ? ",{\"name\":" : "{\"name\":");
		json_put_string(out, slice_str(schema->columns[i].name));
		buf_addf(out, ",\"type\":%s,\"nullable\":true,\"metadata\":{}}",
			 type_json[schema->columns[i].type]);
	}
	buf_add_str(out, "]}");
}

static const char *setting(const struct delta_metadata *metadata, const char *key)
{
	for (size_t i = 0; i < metadata->setting_count; i++)
		if (strcmp(metadata->settings[i].key, key) == 0)
			return metadata->settings[i].value;
	return NULL;
}

enum err_code delta_check_readable(const struct delta_protocol *protocol,
				   const struct delta_metadata *metadata, struct err *err)
{
	const char *mapping = setting(metadata, "delta.columnMapping.mode");

	if (protocol->reader > READER_VERSION_MAX)
		return err_set(err, ERR_UNSUPPORTED, "the table asks for reader version %" PRId64
			       " of the Delta protocol, this program knows %d", protocol->reader,
			       READER_VERSION_MAX);
	if (!metadata->provider || strcmp(metadata->provider, "parquet") != 0)
		return err_set(err, ERR_UNSUPPORTED, "the table's data files are \"%s\", not parquet",
			       metadata->provider ? metadata->provider : "");
	if (mapping && strcmp(mapping, "none") != 0)
		return err_set(err, ERR_UNSUPPORTED, "the table uses column mapping");
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

/* `wanted` NULL: any column of a type that we have. */
static enum err_code check_field(struct json field, const struct delta_column *wanted,
				 struct err *err)
{
	struct slice name;
	struct json type;
	bool known = false;

	if (json_type(field) != JSON_OBJECT || !json_member(field, "name", &type) ||
	    !json_get_string(type, &name) || !json_member(field, "type", &type))
		return err_set(err, ERR_CORRUPT, "a column of the schema has no name or no type");
	if (wanted && !slice_is(name, wanted->name))
		return err_set(err, ERR_UNSUPPORTED,
			       "the table has column \"%.*s\" where \"%s\" is to be written",
			       SLICE_ARG(name), wanted->name);
	if (wanted && !same_type(type, wanted->type))
		return err_set(err, ERR_UNSUPPORTED,
			       "column \"%s\" of the table is %.*s, to be written is %s",
			       wanted->name, SLICE_ARG(json_text(type)), type_json[wanted->type]);
	for (size_t i = 0; i < ARRAY_LEN(type_json) && !wanted; i++)
		known = known || same_type(type, (enum delta_type)i);
	if (!wanted && !known)
		return err_set(err, ERR_UNSUPPORTED, "column \"%.*s\" is %.*s, which is not written",
			       SLICE_ARG(name), SLICE_ARG(json_text(type)));
	return check_field_rules(field, name, err);
}

static enum err_code check_columns(const struct delta_metadata *metadata,
				   const struct delta_schema *schema, struct json_parser *parser,
				   struct err *err)
{
	struct json root;
	struct json fields;
	struct json_iter iter;
	size_t i = 0;
	enum err_code code = json_parse(parser, slice_str(metadata->schema), &root, err);

	if (code != ERR_OK || json_type(root) != JSON_OBJECT ||
	    !json_member(root, "fields", &fields) || json_type(fields) != JSON_ARRAY)
		return err_set(err, ERR_CORRUPT, "the table's schemaString is no schema");
	iter = json_iter(fields);
	while (json_next(&iter)) {
		if (schema && i == schema->count)
			return err_set(err, ERR_UNSUPPORTED, "the table has more columns than the %zu "
				       "to be written", schema->count);
		code = check_field(iter.value, schema ? &schema->columns[i] : NULL, err);
		if (code != ERR_OK)
			return code;
		i++;
	}
	if (schema && i < schema->count)
		return err_set(err, ERR_UNSUPPORTED, "the table has no column \"%s\"",
			       schema->columns[i].name);
	return ERR_OK;
}

enum err_code delta_check_writable(const struct delta_protocol *protocol,
				   const struct delta_metadata *metadata,
				   const struct delta_schema *schema, struct json_parser *parser,
				   struct err *err)
{
	const char *const constraints = "delta.constraints.";

	if (protocol->writer > WRITER_VERSION_MAX)
		return err_set(err, ERR_UNSUPPORTED, "the table asks for writer version %" PRId64
			       " of the Delta protocol, this program knows %d", protocol->writer,
			       WRITER_VERSION_MAX);
	if (metadata->partition_column_count > 0)
		return err_set(err, ERR_UNSUPPORTED, "the table is partitioned");
	for (size_t i = 0; i < metadata->setting_count; i++)
		if (strncmp(metadata->settings[i].key, constraints, strlen(constraints)) == 0)
			return err_set(err, ERR_UNSUPPORTED, "the table has a constraint, %s",
				       metadata->settings[i].key);
	return check_columns(metadata, schema, parser, err);
}
