#include "engine/sql_at.h"

#include "base/mem.h"
#include "base/nearest.h"
#include "engine/read.h"

#include <ctype.h>
#include <strings.h>

enum { SQL_BYTES_MAX = 64 << 20, VERSION_DIGITS_MAX = 18, DATE_YEAR_DIGITS = 4 };

/* --- words ---------------------------------------------------------------------- */

static bool sql_at_begins_word(char c)
{
	return isalpha((unsigned char)c) || c == '_' || (c & 0x80);
}

static bool is_of_word(char c)
{
	return sql_at_begins_word(c) || isdigit((unsigned char)c) || c == '$';
}

static char sql_at_char(struct slice sql, size_t at) { return at < sql.len ? sql.ptr[at] : '\0'; }

static size_t word_end(struct slice sql, size_t at)
{
	while (at < sql.len && is_of_word(sql.ptr[at]))
		at++;
	return at;
}

/* Behind what is in quotes from `at` on; a quote in it is doubled, or escaped. */
static size_t quoted_end(struct slice sql, size_t at, bool escapes)
{
	char quote = sql.ptr[at++];

	for (; at < sql.len; at++) {
		bool ends = sql.ptr[at] == quote, doubled = sql_at_char(sql, at + 1) == quote;

		if ((escapes && sql.ptr[at] == '\\') || (ends && doubled))
			at++;
		else if (ends)
			return at + 1;
	}
	return sql.len;
}

/* Behind the comment that begins here; comments nest. */
static size_t comment_end(struct slice sql, size_t at)
{
	size_t depth = 0;

	do {
		if (sql.ptr[at] == '/' && sql_at_char(sql, at + 1) == '*') {
			depth++;
			at += 2;
		} else if (sql.ptr[at] == '*' && sql_at_char(sql, at + 1) == '/') {
			depth--;
			at += 2;
		} else {
			at++;
		}
	} while (depth > 0 && at < sql.len);
	return at < sql.len ? at : sql.len;
}

/* Behind $tag$…$tag$; behind the $ where none begins. */
static size_t dollars_end(struct slice sql, size_t at)
{
	size_t end = at + 1, len;

	if (sql_at_begins_word(sql_at_char(sql, end)))
		while (end < sql.len && sql.ptr[end] != '$' && is_of_word(sql.ptr[end]))
			end++;
	if (sql_at_char(sql, end) != '$')
		return at + 1;
	len = ++end - at;
	for (; end + len <= sql.len; end++)
		if (memcmp(sql.ptr + at, sql.ptr + end, len) == 0)
			return end + len;
	return sql.len;
}

static size_t line_end(struct slice sql, size_t at)
{
	while (at < sql.len && sql.ptr[at] != '\n' && sql.ptr[at] != '\r')
		at++;
	return at;
}

/* Behind what stands here and is neither a name nor a string with an escape before it. */
static size_t sql_at_skip(struct slice sql, size_t at)
{
	char c = sql.ptr[at], next = sql_at_char(sql, at + 1);

	if (c == '\'')
		return quoted_end(sql, at, false);
	if (c == '-' && next == '-')
		return line_end(sql, at);
	if (c == '/' && next == '*')
		return comment_end(sql, at);
	if (c == '$')
		return dollars_end(sql, at);
	return isdigit((unsigned char)c) ? word_end(sql, at) : at + 1;
}

/* --- versions ------------------------------------------------------------------- */

static bool sql_at_take_number(struct slice text, struct delta_at *ret)
{
	int64_t number = 0;

	if (text.len < 2 || text.len > 1 + VERSION_DIGITS_MAX ||
	    (text.ptr[0] != 'v' && text.ptr[0] != 'V'))
		return false;
	for (size_t i = 1; i < text.len; i++) {
		if (!isdigit((unsigned char)text.ptr[i]))
			return false;
		number = number * 10 + (text.ptr[i] - '0');
	}
	*ret = (struct delta_at){ DELTA_AT_VERSION, number };
	return true;
}

static bool sql_at_take_time(struct slice text, struct delta_at *ret)
{
	int64_t us;

	for (size_t i = 0; i < DATE_YEAR_DIGITS; i++)
		if (!isdigit((unsigned char)sql_at_char(text, i)))
			return false;
	if (sql_at_char(text, DATE_YEAR_DIGITS) != '-' ||
	    strchr(" \t\r\n", text.ptr[text.len - 1]) || !read_timestamp(text, &us))
		return false;
	*ret = (struct delta_at){ DELTA_AT_TIME, us / 1000 };
	return true;
}

/* NEWEST: it is none. */
static struct delta_at sql_at_version(struct slice text)
{
	struct delta_at at = { DELTA_AT_NEWEST, 0 };

	if (!sql_at_take_number(text, &at))
		(void)sql_at_take_time(text, &at);
	return at;
}

/* Where the version behind an @ ends that stands without quotes. */
static size_t version_end(struct slice sql, size_t at)
{
	if (!isdigit((unsigned char)sql_at_char(sql, at)))
		return word_end(sql, at);
	while (at < sql.len) {
		char c = sql.ptr[at], next = sql_at_char(sql, at + 1);
		bool joins = (c == '-' || c == '+' || c == '.' || c == ':') &&
			     isdigit((unsigned char)next);

		if (!joins && !is_of_word(c))
			break;
		at++;
	}
	return at;
}

/* --- names ---------------------------------------------------------------------- */

static bool take_plain(struct slice sql, size_t from, size_t end, struct sql_at_name *ret)
{
	size_t to;

	if (sql_at_char(sql, end) != '@')
		return false;
	to = version_end(sql, end + 1);
	if (to == end + 1)
		return false;
	*ret = (struct sql_at_name){ .from = from,
				     .to = to,
				     .name = slice_of(sql.ptr + from, end - from),
				     .version = slice_of(sql.ptr + end + 1, to - end - 1) };
	ret->at = sql_at_version(ret->version);
	return true;
}

static bool take_quoted(struct slice sql, size_t from, size_t to, struct sql_at_name *ret)
{
	struct slice text = slice_of(sql.ptr + from + 1, to - from > 2 ? to - from - 2 : 0);
	const char *at = text.len ? memchr(text.ptr, '@', text.len) : NULL;
	size_t len = at ? (size_t)(at - text.ptr) : 0;

	if (len == 0 || len + 1 == text.len || sql.ptr[to - 1] != '"')
		return false;
	*ret = (struct sql_at_name){ .from = from,
				     .to = to,
				     .quoted = true,
				     .name = slice_of(text.ptr, len),
				     .version = slice_from(text, len + 1) };
	ret->at = sql_at_version(ret->version);
	return true;
}

bool sql_at_next(struct slice sql, size_t *at, struct sql_at_name *ret)
{
	size_t from = *at;

	while (from < sql.len) {
		bool word = sql_at_begins_word(sql.ptr[from]), quoted = sql.ptr[from] == '"';
		size_t end = word     ? word_end(sql, from)
			     : quoted ? quoted_end(sql, from, false)
				      : sql_at_skip(sql, from);

		if ((word && take_plain(sql, from, end, ret)) ||
		    (quoted && take_quoted(sql, from, end, ret))) {
			*at = ret->to;
			return true;
		}
		/* E'…' */
		if (word && end - from == 1 && (sql.ptr[from] | 0x20) == 'e' &&
		    sql_at_char(sql, end) == '\'')
			end = quoted_end(sql, end, true);
		from = end;
	}
	*at = from;
	return false;
}

/* --- a text --------------------------------------------------------------------- */

static const char *model_at(const void *list, size_t n)
{
	const struct models *models = list;

	return n < models->clean_count ? models->clean[n].model.name : NULL;
}

/* `*ret_all`: its view of all rows. */
static bool sql_at_find_model(const struct models *models, struct slice name, size_t *ret_table,
			      bool *ret_all)
{
	static const char all[] = "_all";
	const size_t all_len = sizeof(all) - 1;

	for (size_t i = 0; i < models->clean_count; i++) {
		const char *its = models->clean[i].model.name;
		size_t len = strlen(its);

		if (name.len < len || strncasecmp(its, name.ptr, len) != 0)
			continue;
		*ret_table = i;
		*ret_all = name.len == len + all_len &&
			   strncasecmp(name.ptr + len, all, all_len) == 0;
		if (*ret_all || name.len == len)
			return true;
	}
	return false;
}

static int sql_at_line_of(const char *sql, size_t at)
{
	int line = 1;

	for (size_t i = 0; i < at; i++)
		line += sql[i] == '\n';
	return line;
}

static enum err_code no_table(const struct models *models, struct slice name, struct err *err)
{
	char *text = xstrndup(name.ptr, name.len);
	const char *fault = models_fault(models, MODEL_CLEAN, text);
	const char *meant = nearest(text, model_at, models);

	if (fault)
		(void)err_set(err, ERR_USAGE, "table \"%s\" cannot be read: %s", text, fault);
	else
		(void)err_set(err, ERR_USAGE, "there is no table \"%s\"%s%s%s", text,
			      meant ? ", did you mean \"" : "", meant ? meant : "",
			      meant ? "\"?" : "");
	free(text);
	return err->code;
}

/* The view that stands for this name, made if it is a new one. */
static struct sql_version *sql_at_view(struct sql_at *at, const struct models *models, size_t table,
				       const struct sql_at_name *name)
{
	const struct clean_model *model = &models->clean[table];
	size_t room = strlen(model->model.name) + name->version.len + 2;
	char *view = xmalloc(room);

	(void)snprintf(view, room, "%s@%.*s", model->model.name, SLICE_ARG(name->version));
	for (size_t i = 0; i < at->count; i++)
		if (strcasecmp(at->list[i].model.model.name, view) == 0) {
			free(view);
			return &at->list[i];
		}
	at->list = xreallocarray(at->list, at->count + 1, sizeof(*at->list));
	at->list[at->count] = (struct sql_version){ *model, table, name->at };
	at->list[at->count].model.model.name = view;
	return &at->list[at->count++];
}

/* A name that is none of ours stays as it is. */
static enum err_code sql_at_take_name(struct sql_at *at, const struct models *models,
				      const char *sql, const struct sql_at_name *name,
				      struct err *err)
{
	bool known, all = false, is_version = name->at.kind != DELTA_AT_NEWEST;
	enum err_code code = ERR_OK;
	size_t table = 0;

	known = sql_at_find_model(models, name->name, &table, &all);
	if (!name->quoted && known && !is_version)
		code = err_set(err, ERR_USAGE,
			       "\"%.*s\" is neither a version, as v3, nor a time, as "
			       "2026-11-27T10:00",
			       SLICE_ARG(name->version));
	else if (!name->quoted && !known && is_version)
		code = no_table(models, name->name, err);
	if (code != ERR_OK)
		return err_prefix(err, "SQL:%d", sql_at_line_of(sql, name->from));
	if (known && is_version) {
		buf_addf(&at->sql, "\"%s%s\"",
			 sql_at_view(at, models, table, name)->model.model.name, all ? "_all" : "");
		return ERR_OK;
	}
	buf_add(&at->sql, sql + name->from, name->to - name->from);
	buf_add(&at->others, sql + name->from, name->to - name->from);
	return ERR_OK;
}

enum err_code sql_at_read(const char *sql, const struct models *models, struct sql_at *ret_at,
			  struct err *err)
{
	struct slice text = slice_str(sql);
	enum err_code code = ERR_OK;
	size_t at = 0, done = 0;
	struct sql_at_name name;

	*ret_at = (struct sql_at){ 0 };
	buf_init(&ret_at->sql, SQL_BYTES_MAX);
	buf_init(&ret_at->others, SQL_BYTES_MAX);
	while (code == ERR_OK && sql_at_next(text, &at, &name)) {
		buf_add(&ret_at->sql, sql + done, name.from - done);
		buf_add(&ret_at->others, sql + done, name.from - done);
		done = name.to;
		code = sql_at_take_name(ret_at, models, sql, &name, err);
	}
	buf_add(&ret_at->sql, sql + done, text.len - done);
	buf_add(&ret_at->others, sql + done, text.len - done);
	if (code == ERR_OK && buf_full(&ret_at->sql))
		code = err_set(err, ERR_LIMIT, "the SQL is too long");
	(void)buf_cstr(&ret_at->sql);
	(void)buf_cstr(&ret_at->others);
	return code;
}

void sql_at_release(struct sql_at *at)
{
	for (size_t i = 0; i < at->count; i++)
		free((void *)(uintptr_t)at->list[i].model.model.name);
	free(at->list);
	buf_release(&at->sql);
	buf_release(&at->others);
	*at = (struct sql_at){ 0 };
}
