#include "engine/model_read.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/names.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

enum {
	MODEL_BYTES_MAX = 1 << 20,
	NAME_LEN_MAX = 100,
	WORDS_MAX = 1000, /* fields or columns of a model */
};

/* What a header may hold. */
enum word { TITLE, KEY, FIELDS, COLUMNS, TOPIC, STREAM, DESCRIPTION, CHART, WORD_COUNT };
static const char *const word_name[] = { "title", "key",    "fields",	   "columns",
					 "topic", "stream", "description", "chart" };

struct header {
	struct buf value[WORD_COUNT];	/* "": not given */
	int line[WORD_COUNT];
};

/* A file on its way to a model. */
struct draft {
	struct arena *memory;
	struct model_faults *faults;	/* NULL: the first one ends it */
	bool faulty;			/* one was told, … */
	const char *fault;		/* … this one first */
	const char *file;
	struct header header;
	struct model model;
};

/* The error of a header's line. */
#define broken(draft, line, err, ...) \
	(err_set(err, ERR_USAGE, __VA_ARGS__), err_prefix(err, "%s:%d", (draft)->file, line))

/* Goes on behind a fault that is told. */
static enum err_code tell_fault(struct draft *draft, enum err_code code, const struct err *err)
{
	if (code == ERR_OK || !draft->faults)
		return code;
	if (!draft->faulty)
		draft->fault = arena_str(draft->memory, slice_str(err->msg));
	draft->faulty = true;
	draft->faults->count++;
	draft->faults->tell(draft->faults->user, err->msg);
	return ERR_OK;
}

static struct slice trimmed(struct slice s)
{
	while (s.len && isspace((unsigned char)s.ptr[0]))
		s = slice_from(s, 1);
	while (s.len && isspace((unsigned char)s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* Cuts the first line off `rest`. */
static struct slice model_next_line(struct slice *rest)
{
	const char *end = memchr(rest->ptr, '\n', rest->len);
	struct slice line = slice_of(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len);

	*rest = slice_from(*rest, line.len + (end != NULL));
	return line;
}

/* Cuts the first piece off `rest`, up to the separator. False: nothing is left. */
static bool next_piece(struct slice *rest, char separator, struct slice *ret_piece)
{
	const char *end;
	size_t len;

	*rest = trimmed(*rest);
	if (rest->len == 0)
		return false;
	end = memchr(rest->ptr, separator, rest->len);
	len = end ? (size_t)(end - rest->ptr) : rest->len;
	*ret_piece = trimmed(slice_of(rest->ptr, len));
	*rest = slice_from(*rest, len + (end != NULL));
	return true;
}

static enum err_code find_word(const struct draft *draft, struct slice name, int line,
			       enum word *ret_word, struct err *err)
{
	for (size_t i = 0; i < WORD_COUNT; i++)
		if (slice_is(name, word_name[i])) {
			*ret_word = (enum word)i;
			return ERR_OK;
		}
	return broken(draft, line, err,
		      "no such header line: \"%.*s\" (title, key, fields, columns, topic,"
		      " stream, description and chart are known)",
		      SLICE_ARG(name));
}

/* One line without its "--". `*word` is the one that a continuation belongs to. */
static enum err_code read_header_line(struct draft *draft, struct slice text, int line,
				      enum word *word, struct err *err)
{
	bool more = slice_starts(text, "  ") || slice_starts(text, " \t");
	struct slice value = trimmed(text);
	struct slice name = value;
	enum err_code code;

	if (value.len == 0)
		return ERR_OK;
	if (!more) {
		if (!memchr(value.ptr, ':', value.len))
			return broken(draft, line, err, "the header's lines are \"-- word: value\";"
				      " a value goes on in lines that begin with \"--\" and two blanks");
		(void)next_piece(&value, ':', &name);
		code = find_word(draft, name, line, word, err);
		if (code != ERR_OK)
			return code;
		if (draft->header.line[*word])
			return broken(draft, line, err, "\"%s\" was given before", word_name[*word]);
		draft->header.line[*word] = line;
		value = trimmed(value);
	} else if (*word == WORD_COUNT) {
		return broken(draft, line, err, "the header goes on before it began");
	} else {
		buf_add_char(&draft->header.value[*word], ' ');
	}
	buf_add_slice(&draft->header.value[*word], value);
	return ERR_OK;
}

static enum err_code model_read_header(struct draft *draft, struct slice *rest, struct err *err)
{
	enum word word = WORD_COUNT;
	enum err_code code;
	int line = 1;

	for (; slice_starts(*rest, "--"); line++) {
		code = read_header_line(draft, slice_from(model_next_line(rest), 2), line, &word,
					err);
		if (tell_fault(draft, code, err) != ERR_OK)
			return code;
	}
	for (; rest->len && isspace((unsigned char)rest->ptr[0]); *rest = slice_from(*rest, 1))
		line += rest->ptr[0] == '\n';
	draft->model.line = line;
	if (rest->len == 0)
		return broken(draft, line, err, "there is no SQL");
	if (draft->header.value[TITLE].len == 0)
		return tell_fault(draft, broken(draft, 1, err, "the header lacks \"-- title: …\""), err);
	return ERR_OK;
}

static enum err_code model_read_file(const char *path, struct buf *out, struct err *err)
{
	FILE *file = fopen(path, "re");
	enum err_code code = ERR_OK;
	char *room;
	size_t n;

	if (!file)
		return err_errno(err, "could not open \"%s\"", path);
	do {
		room = buf_room(out, BUFSIZ);
		n = room ? fread(room, 1, BUFSIZ, file) : 0;
		buf_grew(out, n);
	} while (n);
	if (ferror(file))
		code = err_errno(err, "could not read \"%s\"", path);
	else if (!room)
		code = err_set(err, ERR_LIMIT, "\"%s\" is too large for a model", path);
	(void)fclose(file);
	return code;
}

static void draft_init(struct draft *draft, struct arena *memory, struct model_faults *faults,
		       const char *path)
{
	*draft = (struct draft){ .memory = memory, .faults = faults,
				 .file = arena_str(memory, slice_str(path)) };
	draft->model.file = draft->file;
	for (size_t i = 0; i < WORD_COUNT; i++)
		buf_init(&draft->header.value[i], MODEL_BYTES_MAX);
}

static void draft_release(struct draft *draft)
{
	for (size_t i = 0; i < WORD_COUNT; i++)
		buf_release(&draft->header.value[i]);
}

static const char *kept(struct draft *draft, enum word word)
{
	return arena_str(draft->memory, buf_slice(&draft->header.value[word]));
}

/* "<dir>/<name>.sql", read as far as both kinds go. */
static enum err_code draft_read(struct draft *draft, struct err *err)
{
	struct buf text;
	struct slice rest;
	enum err_code code;

	buf_init(&text, MODEL_BYTES_MAX);
	code = model_read_file(draft->file, &text, err);
	rest = buf_slice(&text);
	if (slice_starts(rest, "\xEF\xBB\xBF")) /* what some editors begin a file with */
		rest = slice_from(rest, 3);
	if (code == ERR_OK && rest.len && memchr(rest.ptr, 0, rest.len))
		code = broken(draft, 1, err, "a NUL byte cannot stand in SQL");
	if (code == ERR_OK)
		code = model_read_header(draft, &rest, err);
	if (code == ERR_OK) {
		rest = trimmed(rest);
		while (rest.len && rest.ptr[rest.len - 1] == ';')
			rest = trimmed(slice_of(rest.ptr, rest.len - 1));
		draft->model.title = kept(draft, TITLE);
		draft->model.sql = arena_str(draft->memory, rest);
	}
	buf_release(&text);
	return code;
}

/* A word, or a text in quotes in which a quote is doubled; `out` is cleared first. */
static enum err_code take_word(struct draft *draft, int line, struct slice *rest, struct buf *out,
			       bool *ret_quoted, struct err *err)
{
	*rest = trimmed(*rest);
	buf_clear(out);
	*ret_quoted = rest->len && rest->ptr[0] == '"';
	if (!*ret_quoted) {
		struct slice word;

		if (next_piece(rest, ' ', &word))
			buf_add_slice(out, word);
		return ERR_OK;
	}
	for (size_t i = 1; i < rest->len; i++) {
		if (rest->ptr[i] != '"') {
			buf_add_char(out, rest->ptr[i]);
		} else if (i + 1 < rest->len && rest->ptr[i + 1] == '"') {
			buf_add_char(out, rest->ptr[i++]);
		} else {
			*rest = slice_from(*rest, i + 1);
			return ERR_OK;
		}
	}
	return broken(draft, line, err, "a quote is not closed");
}

/* Takes "AS alias" off the front of `rest`, where it stands there. */
static bool take_alias(struct slice *rest, struct slice *ret_alias)
{
	struct slice after = *rest;
	struct slice word;

	if (!next_piece(&after, ' ', &word) || word.len != 2 ||
	    strncasecmp(word.ptr, "AS", 2) != 0 || !next_piece(&after, ' ', ret_alias))
		return false;
	*rest = after;
	return true;
}

static bool is_identifier(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '_')
			return false;
	return name.len > 0 && !isdigit((unsigned char)name.ptr[0]);
}

static enum err_code read_field(struct draft *draft, struct slice *rest, struct clean_field *ret,
				struct err *err)
{
	int line = draft->header.line[FIELDS];
	struct slice alias;
	enum err_code code;
	struct buf name;
	bool quoted;

	buf_init(&name, MODEL_BYTES_MAX);
	code = take_word(draft, line, rest, &name, &quoted, err);
	if (code == ERR_OK) {
		ret->name = arena_str(draft->memory, buf_slice(&name));
		ret->alias = ret->name;
		if (take_alias(rest, &alias))
			ret->alias = arena_str(draft->memory, alias);
		if (!is_identifier(slice_str(ret->alias)))
			code = broken(draft, line, err,
				      "field \"%s\" wants a name that SQL takes: "
				      "\"%s\" AS some_name",
				      ret->name, ret->name);
	}
	buf_release(&name);
	return code;
}

static enum err_code read_fields(struct draft *draft, struct clean_model *clean, struct err *err)
{
	struct slice rest = trimmed(buf_slice(&draft->header.value[FIELDS]));
	struct clean_field *fields = arena_alloc(draft->memory, WORDS_MAX * sizeof(*fields));
	int line = draft->header.line[FIELDS];

	clean->fields = fields;
	for (; rest.len; rest = trimmed(rest)) {
		struct clean_field *field = &fields[clean->field_count];

		if (clean->field_count == WORDS_MAX)
			return broken(draft, line, err, "more than %d fields", WORDS_MAX);
		if (read_field(draft, &rest, field, err) != ERR_OK)
			return err->code;
		for (size_t i = 0; i < clean->field_count; i++)
			if (strcmp(fields[i].name, field->name) == 0 ||
			    strcasecmp(fields[i].alias, field->alias) == 0)
				return broken(draft, line, err, "field \"%s\" is named twice",
					      field->name);
		clean->field_count++;
	}
	return ERR_OK;
}

static size_t find_alias(const struct clean_model *clean, const char *alias)
{
	size_t i = 0;

	while (i < clean->field_count && strcmp(clean->fields[i].alias, alias) != 0)
		i++;
	return i;
}

static size_t find_column(const struct clean_model *clean, const char *name)
{
	size_t i = 0;

	while (i < clean->schema.count && strcasecmp(clean->schema.columns[i].name, name) != 0)
		i++;
	return i;
}

/* "index AS ind", or "id": the field, and the column that it becomes. */
static enum err_code read_key(struct draft *draft, struct clean_model *clean, struct err *err)
{
	struct slice rest = buf_slice(&draft->header.value[KEY]);
	int line = draft->header.line[KEY];
	struct slice field, alias;
	const char *column;
	enum delta_type type;

	if (!next_piece(&rest, ' ', &field))
		return ERR_OK;
	alias = field;
	(void)take_alias(&rest, &alias);
	if (trimmed(rest).len)
		return broken(draft, line, err,
			      "the key is one field: \"-- key: id\", or"
			      " \"-- key: id AS column\"");
	column = arena_str(draft->memory, alias);
	clean->key_field = find_alias(clean, arena_str(draft->memory, field));
	if (clean->key_field == clean->field_count)
		return broken(draft, line, err, "the key \"%.*s\" is none of the fields",
			      SLICE_ARG(field));
	clean->key = clean->fields[clean->key_field].name;
	clean->key_column = find_column(clean, column);
	if (clean->key_column == clean->schema.count)
		return broken(draft, line, err,
			      "the key \"%s\" is none of the columns; say \"-- key: %.*s"
			      " AS column\"",
			      column, SLICE_ARG(field));
	type = clean->schema.columns[clean->key_column].type;
	if (type != DELTA_INTEGER && type != DELTA_LONG && type != DELTA_STRING)
		return broken(draft, line, err,
			      "the key's column \"%s\" has to be an int, a long or a"
			      " string",
			      column);
	return ERR_OK;
}

static const char *const type_names[] = {
	[DELTA_INTEGER] = "int", [DELTA_LONG] = "long", [DELTA_DOUBLE] = "double",
	[DELTA_STRING] = "string", [DELTA_BOOLEAN] = "boolean", [DELTA_TIMESTAMP] = "timestamp",
	[DELTA_ARRAY_DOUBLE] = "array<double>",
};

const char *model_type_name(enum delta_type type) { return type_names[type]; }

static bool parse_type(struct slice name, enum delta_type *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
		if (slice_is(name, type_names[i])) {
			*ret = (enum delta_type)i;
			return true;
		}
	return false;
}

static enum err_code read_columns(struct draft *draft, struct clean_model *clean, struct err *err)
{
	struct slice rest = buf_slice(&draft->header.value[COLUMNS]);
	int line = draft->header.line[COLUMNS];
	struct delta_column *columns = arena_alloc(draft->memory, WORDS_MAX * sizeof(*columns));
	struct slice column;
	struct slice name = slice_of("", 0);
	size_t n = 0;

	while (next_piece(&rest, ',', &column)) {
		if (n + 2 == WORDS_MAX)
			return broken(draft, line, err, "more than %d columns", WORDS_MAX - 2);
		if (!next_piece(&column, ' ', &name) ||
		    !parse_type(trimmed(column), &columns[n].type))
			return broken(draft, line, err, "column \"%.*s\" has no type: int, long, double,"
				      " string, boolean, timestamp or array<double>", SLICE_ARG(name));
		if (slice_starts(name, "_"))
			return broken(draft, line, err,
				      "column \"%.*s\": names that begin with _ are"
				      " the pipeline's own",
				      SLICE_ARG(name));
		columns[n++].name = arena_str(draft->memory, name);
		for (size_t i = 0; i + 1 < n; i++)
			if (strcasecmp(columns[i].name, columns[n - 1].name) == 0)
				return broken(draft, line, err, "column \"%.*s\" is named twice",
					      SLICE_ARG(name));
	}
	columns[n++] = (struct delta_column){ .name = "_partition", .type = DELTA_STRING };
	columns[n++] = (struct delta_column){ .name = "_offset", .type = DELTA_STRING };
	clean->schema = (struct delta_schema){ .columns = columns, .count = n };
	return ERR_OK;
}

/* The topic's or stream's pattern: what the header says, or the usual one. */
static const char *pattern_of(struct draft *draft, enum word word, const char *before,
			      const char *after)
{
	struct slice given = buf_slice(&draft->header.value[word]);
	const char *pattern;
	struct buf usual;

	buf_init(&usual, MODEL_BYTES_MAX);
	buf_addf(&usual, "%s%s%s", before, after, draft->model.name);
	pattern = arena_str(draft->memory, given.len ? given : buf_slice(&usual));
	buf_release(&usual);
	return pattern;
}

void clean_name(struct buf *out, const char *pattern, const char *id)
{
	const char *mark;

	buf_clear(out);
	while ((mark = strstr(pattern, "{id}")) != NULL) {
		buf_add(out, pattern, (size_t)(mark - pattern));
		buf_add_str(out, id);
		pattern = mark + strlen("{id}");
	}
	buf_add_str(out, pattern);
}

/* With an id of ordinary length; what goes past a limit with a longer one is told where it is used.
 */
static enum err_code check_pattern(struct draft *draft, enum word word, const char *pattern,
				   struct err *err)
{
	struct buf name;
	enum err_code code;

	buf_init(&name, MODEL_BYTES_MAX);
	clean_name(&name, pattern, "123456789012");
	code = word == TOPIC ? name_check_topic(buf_slice(&name), err)
			     : name_check_stream(buf_slice(&name), err);
	if (code != ERR_OK) {
		err->code = code = ERR_USAGE;
		(void)err_prefix(err, "%s:%d: %s \"%s\"", draft->file,
				 draft->header.line[word] ? draft->header.line[word] : 1,
				 word_name[word], pattern);
	}
	buf_release(&name);
	return code;
}

/* What the engine calls its own, and what the analyses' views are called. */
static enum err_code check_table_name(struct draft *draft, struct err *err)
{
	static const char *const own[] = { "raw", "answer", "information_schema", "main", "temp" };
	const char *name = draft->model.name;

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strcasecmp(own[i], name) == 0)
			return broken(draft, 1, err, "a table cannot be called \"%s\"", name);
	return ERR_OK;
}

static enum err_code finish_clean(struct draft *draft, void *ret, struct err *err)
{
	struct clean_model clean = { .model = draft->model };
	enum err_code code = tell_fault(draft, check_table_name(draft, err), err);

	for (int word = FIELDS; word <= COLUMNS && code == ERR_OK; word++)
		if (draft->header.value[word].len == 0)
			return broken(draft, 1, err, "the header lacks \"-- %s: …\"", word_name[word]);
	clean.topic = pattern_of(draft, TOPIC, "{id}", ".");
	clean.stream = pattern_of(draft, STREAM, "streaming-{id}", "-");
	if (code == ERR_OK)
		code = tell_fault(draft, check_pattern(draft, TOPIC, clean.topic, err), err);
	if (code == ERR_OK)
		code = tell_fault(draft, check_pattern(draft, STREAM, clean.stream, err), err);
	if (code == ERR_OK)
		code = tell_fault(draft, read_fields(draft, &clean, err), err);
	if (code == ERR_OK)
		code = tell_fault(draft, read_columns(draft, &clean, err), err);
	/* Of fields and columns that are cut short it would only say that it is not there. */
	if (code == ERR_OK && !draft->faulty)
		code = read_key(draft, &clean, err);
	if (code == ERR_OK)
		*(struct clean_model *)ret = clean;
	return code;
}

static const char *const chart_names[] = {
	[CHART_NONE] = "none", [CHART_BAR] = "bar", [CHART_LINE] = "line",
};

const char *chart_name(enum chart chart)
{
	return chart_names[chart];
}

static enum err_code finish_analysis(struct draft *draft, void *ret, struct err *err)
{
	struct analysis_model analysis = { .model = draft->model };
	struct slice chart = buf_slice(&draft->header.value[CHART]);

	for (size_t i = 0; i <= ARRAY_LEN(chart_names); i++) {
		if (i == ARRAY_LEN(chart_names))
			return broken(draft, draft->header.line[CHART], err,
				      "chart \"%.*s\": bar, line or none", SLICE_ARG(chart));
		analysis.chart = (enum chart)i;
		if (chart.len == 0 || slice_is(chart, chart_names[i]))
			break;
	}
	analysis.description = kept(draft, DESCRIPTION);
	*(struct analysis_model *)ret = analysis;
	return ERR_OK;
}

/* A name goes into file names, URLs and, of a table, into SQL. */
static bool name_ok(struct slice name)
{
	if (name.len == 0 || name.len > NAME_LEN_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '_' &&
		    name.ptr[i] != '-')
			return false;
	return true;
}

typedef enum err_code finish_fn(struct draft *draft, void *ret, struct err *err);

static enum err_code load_draft(struct draft *draft, struct slice name, finish_fn *finish,
				void *ret, struct err *err)
{
	enum err_code code;

	draft->model.name = arena_str(draft->memory, name);
	if (!name_ok(name))
		return err_set(err, ERR_USAGE, "%s:1: a model's name has letters, digits, _ and -,"
			       " at most %d", draft->file, NAME_LEN_MAX);
	code = draft_read(draft, err);
	return code == ERR_OK ? finish(draft, ret, err) : code;
}

/* What is known of one with faults: what it would be, had it none. */
static struct broken_model put_broken(struct draft *draft, enum model_kind kind)
{
	struct broken_model broken = {
		.kind = kind, .name = draft->model.name, .file = draft->file, .fault = draft->fault
	};

	if (kind == MODEL_CLEAN) {
		broken.topic = pattern_of(draft, TOPIC, "{id}", ".");
		broken.stream = pattern_of(draft, STREAM, "streaming-{id}", "-");
	}
	return broken;
}

enum err_code model_read(const struct model_source *source, enum model_kind kind, void *ret,
			 bool *ret_sound, struct broken_model *ret_broken, struct err *err)
{
	struct draft draft;
	enum err_code code;

	draft_init(&draft, source->memory, source->faults, source->path);
	code = load_draft(&draft, source->name,
			  kind == MODEL_CLEAN ? finish_clean : finish_analysis, ret, err);
	code = tell_fault(&draft, code, err);
	*ret_sound = code == ERR_OK && !draft.faulty;
	if (code == ERR_OK && draft.faulty)
		*ret_broken = put_broken(&draft, kind);
	draft_release(&draft);
	return code;
}
