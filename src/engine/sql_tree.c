#include "engine/sql_tree.h"

#include "base/json.h"
#include "base/mem.h"
#include "sql/duck_rows.h"

#include <strings.h>

/* DuckDB nests no expression deeper than 1,000; each level is two or three of the JSON. */
enum { SQL_TREE_BYTES_MAX = 64 << 20, SQL_TREE_DEPTH_MAX = 8192 };

/* Of the members of an object those that tell what it is. */
struct sql_object {
	struct json type, class, key, function;
	struct json table_name, function_name, schema_name, catalog_name, query_location, value;
	struct json sample, select_list, materialized;
};

static const struct {
	const char *name;
	size_t at;
} sql_members[] = {
#define X(name) { #name, offsetof(struct sql_object, name) }
	X(type), X(class), X(key), X(function), X(table_name), X(function_name), X(schema_name),
	X(catalog_name), X(query_location), X(value), X(sample), X(select_list), X(materialized),
#undef X
};

static struct sql_object sql_object_of(struct json value)
{
	struct sql_object object = { 0 };
	struct json_iter members = json_iter(value);

	while (json_next(&members))
		for (size_t i = 0; i < ARRAY_LEN(sql_members); i++)
			if (slice_is(members.key, sql_members[i].name))
				memcpy((char *)&object + sql_members[i].at, &members.value,
				       sizeof(members.value));
	return object;
}

/* Was there such a member? */
static bool sql_has(struct json member) { return member.doc != NULL; }

/* The text of a member, or "". */
static const char *sql_text(struct sql_tree *tree, struct json member)
{
	struct slice text;

	return sql_has(member) && json_get_string(member, &text) ? arena_str(&tree->memory, text)
								 : "";
}

static bool sql_is_given(struct json member)
{
	struct slice text;

	return sql_has(member) && json_get_string(member, &text) && text.len > 0;
}

static struct sql_node *sql_add(struct sql_tree *tree, size_t *room)
{
	if (tree->count == *room) {
		*room = *room ? *room * 2 : 64;
		tree->nodes = xreallocarray(tree->nodes, *room, sizeof(*tree->nodes));
	}
	return &tree->nodes[tree->count++];
}

/* The name of a table, or of the function that makes one. */
static const char *sql_table_name(struct sql_tree *tree, const struct sql_object *object)
{
	struct json name;

	if (sql_has(object->table_name) && json_type(object->table_name) == JSON_STRING)
		return sql_text(tree, object->table_name);
	if (sql_has(object->function) && json_type(object->function) == JSON_OBJECT &&
	    json_member(object->function, "function_name", &name))
		return sql_text(tree, name);
	return "";
}

static void sql_take(struct sql_tree *tree, size_t *room, struct json value)
{
	struct sql_object object = sql_object_of(value);
	struct sql_node node = { .name = "", .type = sql_text(tree, object.type) };
	struct json within;

	if (sql_has(object.query_location))
		(void)json_get_i64(object.query_location, &node.at);
	if (sql_has(object.value) && json_type(object.value) == JSON_OBJECT &&
	    json_member(object.value, "materialized", &within)) {
		node.what = SQL_CTE;
		node.name = sql_text(tree, object.key);
		*sql_add(tree, room) = node;
	}
	if (sql_has(object.sample) && !sql_has(object.select_list)) {
		node.what = SQL_TABLE;
		node.name = sql_table_name(tree, &object);
		node.qualified = sql_is_given(object.schema_name) ||
				 sql_is_given(object.catalog_name);
		*sql_add(tree, room) = node;
	}
	if (strcmp(sql_text(tree, object.class), "FUNCTION") == 0) {
		node.what = SQL_FUNCTION;
		node.name = sql_text(tree, object.function_name);
		*sql_add(tree, room) = node;
	}
}

static void sql_walk(struct sql_tree *tree, struct json root)
{
	struct json_iter *open = xcalloc(SQL_TREE_DEPTH_MAX, sizeof(*open));
	size_t depth = 0, room = 0;

	open[depth++] = json_iter(root);
	while (depth > 0) {
		struct json value;
		enum json_type type;

		if (!json_next(&open[depth - 1])) {
			depth--;
			continue;
		}
		value = open[depth - 1].value;
		type = json_type(value);
		if (type == JSON_OBJECT)
			sql_take(tree, &room, value);
		if (type == JSON_OBJECT || type == JSON_ARRAY)
			open[depth++] = json_iter(value);
	}
	free(open);
}

static enum err_code sql_tree_parse(struct slice text, struct sql_tree *tree, struct err *err)
{
	struct json_parser *parser = json_parser_new_deep(SQL_TREE_BYTES_MAX, SQL_TREE_DEPTH_MAX);
	struct json root, member;
	enum err_code code = json_parse(parser, text, &root, err);

	if (code == ERR_OK) {
		if (json_member(root, "error_type", &member))
			tree->error = sql_text(tree, member);
		if (json_member(root, "statements", &member))
			tree->statements = json_count(member);
		sql_walk(tree, root);
	}
	json_parser_free(parser);
	return code == ERR_OK ? ERR_OK :
	       err_set(err, ERR_LIMIT, "the SQL is too long or nests too deeply");
}

enum err_code sql_tree_read(struct duck *duck, const char *sql, struct sql_tree *ret_tree,
			    struct err *err)
{
	struct duck_rows rows;
	struct buf text;
	enum err_code code;

	*ret_tree = (struct sql_tree){ 0 };
	arena_init(&ret_tree->memory, SIZE_MAX);	/* what is copied is less than the text */
	buf_init(&text, SQL_TREE_BYTES_MAX);
	buf_add_str(&text, "SELECT CAST(json_serialize_sql(");
	duck_put_literal(&text, slice_str(sql));
	buf_add_str(&text, ") AS VARCHAR)");
	code = buf_full(&text) ? err_set(err, ERR_LIMIT, "the SQL is too long")
			       : duck_rows_open(duck, buf_cstr(&text), &rows, err);
	buf_release(&text);
	if (code != ERR_OK)
		return code;
	if (duck_rows_next(&rows))
		code = sql_tree_parse(duck_slice(&rows, 0), ret_tree, err);
	duck_rows_close(&rows);
	return code;
}

void sql_tree_release(struct sql_tree *tree)
{
	free(tree->nodes);
	arena_release(&tree->memory);
}

bool sql_tree_reads(const struct sql_tree *tree, const char *name)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->nodes[i].what == SQL_TABLE && strcasecmp(tree->nodes[i].name, name) == 0)
			return true;
	return false;
}
