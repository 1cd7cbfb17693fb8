/* pinpipe.yaml and db_creds.yaml, read by libyaml's events. */
#include "base/config_private.h"

#include "base/mem.h"
#include "base/nearest.h"
#include "base/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

enum {
	KEY_MAX = 128,		/* bytes of a dotted key */
	DEPTH_MAX = 4,		/* maps in maps */
	GROUP_DEPTH_MAX = 8,
	KEYS_MAX = 256,		/* of a file; more than there are options and sections */
	READ_BYTES = 4096,	/* at a time */
};

/* The original's keys. */
static const struct creds_key {
	const char *key;
	enum option option;
} creds_keys[] = {
	{ "HOST", OPT_MYSQL_HOST },
	{ "USER", OPT_MYSQL_USER },
	{ "PASSWORD", OPT_MYSQL_PASSWORD },
	{ "DATABASE", OPT_MYSQL_DATABASE },
	{ "PORT", OPT_MYSQL_PORT },
	{ "URL", OPT_URL },
	{ "STREAMING_URL", OPT_STREAMING_URL },
};

/* Keys that options had before. */
static const struct {
	const char *key;
	const char *now;
} old_keys[] = {
	{ "sink.flush_size", "sink.flush.size" },
};

struct loader {
	struct config *config;
	const char *path;
	bool creds;			/* db_creds.yaml, else pinpipe.yaml */
	yaml_parser_t parser;
	char *seen[KEYS_MAX];		/* every key so far, dotted */
	size_t seen_count;
};

static enum err_code refuse_at(const struct loader *loader, const yaml_mark_t *mark,
			       struct err *err, const char *fmt, ...) PRINTF(4, 5);

static enum err_code refuse_at(const struct loader *loader, const yaml_mark_t *mark,
			       struct err *err, const char *fmt, ...)
{
	va_list ap;
	char what[ERR_MSG_MAX];

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(err, ERR_USAGE, "%s:%zu: %s", loader->path, mark->line + 1, what);
}

static enum err_code next_event(struct loader *loader, yaml_event_t *ret_event, struct err *err)
{
	yaml_parser_t *parser = &loader->parser;
	const yaml_mark_t *mark = &parser->problem_mark;

	if (yaml_parser_parse(parser, ret_event))
		return ERR_OK;
	if (parser->buffer.pointer < parser->buffer.last && *parser->buffer.pointer == '\t')
		return refuse_at(loader, mark, err, "not YAML: a tab; indent with blanks");
	return refuse_at(loader, mark, err, "not YAML: %s",
			 parser->problem ? parser->problem : "it cannot be read");
}

static bool is_null(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;

	return event->type == YAML_SCALAR_EVENT &&
	       event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (*text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static const char *creds_key_at(const void *list, size_t n)
{
	(void)list;
	return n < ARRAY_LEN(creds_keys) ? creds_keys[n].key : NULL;
}

static enum option option_in_file(const struct loader *loader, const char *key)
{
	if (!loader->creds)
		return option_of_key(key);
	for (size_t i = 0; i < ARRAY_LEN(creds_keys); i++)
		if (strcmp(creds_keys[i].key, key) == 0)
			return creds_keys[i].option;
	return OPTION_COUNT;
}

static enum err_code unknown_key(const struct loader *loader, const yaml_mark_t *mark,
				 const char *key, struct err *err)
{
	const char *meant = loader->creds ? nearest(key, creds_key_at, NULL)
					  : option_nearest_key(key);

	if (meant)
		return refuse_at(loader, mark, err, "unknown key \"%s\", did you mean \"%s\"?", key, meant);
	return refuse_at(loader, mark, err, "unknown key \"%s\"", key);
}

static enum err_code note_key(struct loader *loader, const yaml_mark_t *mark, const char *key,
			      struct err *err)
{
	for (size_t i = 0; i < loader->seen_count; i++)
		if (strcmp(loader->seen[i], key) == 0)
			return refuse_at(loader, mark, err, "\"%s\" is there twice", key);
	if (loader->seen_count == KEYS_MAX)
		return refuse_at(loader, mark, err, "more than %d keys", KEYS_MAX);
	loader->seen[loader->seen_count++] = xstrdup(key);
	return ERR_OK;
}

static enum err_code config_file_set_option(struct loader *loader, const yaml_event_t *event,
					    const char *key, enum option option, struct err *err)
{
	struct slice text = slice_of(event->data.scalar.value, event->data.scalar.length);
	size_t line = event->start_mark.line + 1;
	char place[PATH_MAX + 32];
	enum err_code code;

	if (is_null(event))
		return refuse_at(loader, &event->start_mark, err,
				 "\"%s\" has no value: give one, or leave the line out", key);
	(void)snprintf(place, sizeof(place), "%s:%zu", loader->path, line);
	code = config_set(loader->config, option, text, CONFIG_FROM_FILE, place, err);
	if (code == ERR_OK)
		return code;
	err_prefix(err, "%s:%zu: \"%s\"", loader->path, line, key);
	return code;
}

static enum err_code load_map(struct loader *loader, const char *prefix, int depth,
			      struct err *err);

/* A value in a group of free names: one text, or a map of names that go on. */
static enum err_code load_group_value(struct loader *loader, const yaml_event_t *event,
				      const char *key, int depth, struct err *err)
{
	const char *name;
	enum option_group group = option_group_of_key(key, &name);
	size_t line = event->start_mark.line + 1;
	char place[PATH_MAX + 32];

	if (event->type == YAML_MAPPING_START_EVENT && depth < GROUP_DEPTH_MAX)
		return load_map(loader, key, depth + 1, err);
	if (is_null(event) && !*name)
		return ERR_OK;	/* a group whose lines are all comments */
	if (event->type != YAML_SCALAR_EVENT || !*name)
		return refuse_at(loader, &event->start_mark, err, "\"%s\" wants %s", key,
				 *name ? "one value, no list or alias" : "names of its own below it, indented");
	if (is_null(event))
		return refuse_at(loader, &event->start_mark, err,
				 "\"%s\" has no value: give one, or leave the line out", key);
	(void)snprintf(place, sizeof(place), "%s:%zu", loader->path, line);
	if (config_set_in_group(loader->config, group, slice_str(name),
				slice_of(event->data.scalar.value, event->data.scalar.length),
				CONFIG_FROM_FILE, place, err) != ERR_OK)
		return err_prefix(err, "%s:%zu: \"%s\"", loader->path, line, key);
	return ERR_OK;
}

/* A key that was renamed is told, and taken. */
static const char *key_of_now(const struct loader *loader, const yaml_mark_t *mark, const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(old_keys) && !loader->creds; i++)
		if (strcmp(old_keys[i].key, key) == 0) {
			trace_warn("%s:%zu: \"%s\" is called \"%s\" now", loader->path,
				   mark->line + 1, key, old_keys[i].now);
			return old_keys[i].now;
		}
	return key;
}

/* The value of `key`, which stands at `mark`, and whose first event is given: one text, or a map of
 * more keys. */
static enum err_code load_value(struct loader *loader, const yaml_mark_t *mark,
				const yaml_event_t *event, const char *key, int depth,
				struct err *err)
{
	enum option option = option_in_file(loader, key);
	bool section = !loader->creds && option_is_section(key);
	const char *name;

	if (!loader->creds && option_group_of_key(key, &name) != OPTION_GROUPS)
		return load_group_value(loader, event, key, depth, err);
	if (option == OPTION_COUNT && !section)
		return unknown_key(loader, mark, key, err);
	if (event->type == YAML_SCALAR_EVENT && option != OPTION_COUNT)
		return config_file_set_option(loader, event, key, option, err);
	if (event->type == YAML_SCALAR_EVENT && is_null(event))
		return ERR_OK;	/* a section whose lines are all comments */
	if (event->type == YAML_MAPPING_START_EVENT && section && depth < DEPTH_MAX)
		return load_map(loader, key, depth + 1, err);
	return refuse_at(loader, &event->start_mark, err, "\"%s\" wants %s", key,
			 option != OPTION_COUNT ? "one value, no list, map or alias"
						: "keys of its own below it, indented");
}

static enum err_code load_pair(struct loader *loader, const char *prefix, const yaml_event_t *name,
			       int depth, struct err *err)
{
	char key[KEY_MAX];
	yaml_event_t event;
	enum err_code code;
	int len;

	if (name->type != YAML_SCALAR_EVENT)
		return refuse_at(loader, &name->start_mark, err, "a key must be a word");
	len = snprintf(key, sizeof(key), "%s%s%s", prefix, *prefix ? "." : "",
		       (const char *)name->data.scalar.value);
	if (len < 0 || len >= KEY_MAX)
		return refuse_at(loader, &name->start_mark, err, "a key is longer than %d bytes",
				 KEY_MAX - 1);
	code = note_key(loader, &name->start_mark, key, err);
	if (code == ERR_OK)
		code = next_event(loader, &event, err);
	if (code != ERR_OK)
		return code;
	code = load_value(loader, &name->start_mark, &event,
			  key_of_now(loader, &name->start_mark, key), depth, err);
	yaml_event_delete(&event);
	return code;
}

/* The pairs of a map whose start was read. */
static enum err_code load_map(struct loader *loader, const char *prefix, int depth, struct err *err)
{
	enum err_code code;
	yaml_event_t event;
	bool end = false;

	while (!end) {
		code = next_event(loader, &event, err);
		if (code != ERR_OK)
			return code;
		end = event.type == YAML_MAPPING_END_EVENT;
		if (!end)
			code = load_pair(loader, prefix, &event, depth, err);
		yaml_event_delete(&event);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

/* One document that is a map, or nothing at all. */
static enum err_code load_stream(struct loader *loader, struct err *err)
{
	bool document = false, end = false;
	enum err_code code;
	yaml_event_t event;

	while (!end) {
		code = next_event(loader, &event, err);
		if (code != ERR_OK)
			return code;
		end = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT && document)
			code = refuse_at(loader, &event.start_mark, err, "a second document begins");
		else if (event.type == YAML_DOCUMENT_START_EVENT)
			document = true;
		else if (event.type == YAML_MAPPING_START_EVENT)
			code = load_map(loader, "", 1, err);
		else if (event.type == YAML_SEQUENCE_START_EVENT ||
			 event.type == YAML_ALIAS_EVENT ||
			 (event.type == YAML_SCALAR_EVENT && !is_null(&event)))
			code = refuse_at(loader, &event.start_mark, err,
					 "expected keys and values, such as `id: 124df56aef51`");
		yaml_event_delete(&event);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

static enum err_code config_file_read_file(struct buf *out, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;
	char *room;

	if (fd < 0)
		goto failed;
	while ((room = buf_room(out, READ_BYTES)) && (got = read(fd, room, READ_BYTES)) > 0)
		buf_grew(out, (size_t)got);
	if (room && got < 0)
		goto failed;
	(void)close(fd);
	if (room)
		return ERR_OK;
	return err_set(err, ERR_USAGE, "%s is larger than a configuration may be (%d KiB)", path,
		       CONFIG_FILE_MAX >> 10);
failed:
	(void)err_errno(err, "could not read %s", path);
	if (fd >= 0)
		(void)close(fd);
	return err->code = ERR_USAGE;
}

/* Told and read all the same: where it lies may keep others out. */
static void warn_if_open(const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0 && (status.st_mode & S_IROTH))
		trace_warn("everybody on this machine may read the passwords in %s: chmod 600 it", path);
}

static enum err_code config_file_load(struct config *config, const char *path, bool creds,
				      struct err *err)
{
	struct loader loader = { .config = config, .path = path, .creds = creds };
	enum err_code code;
	struct buf text;

	buf_init(&text, CONFIG_FILE_MAX);
	code = config_file_read_file(&text, path, err);
	if (code != ERR_OK)
		goto out;
	if (creds)
		warn_if_open(path);
	if (!yaml_parser_initialize(&loader.parser))
		(void)mem_or_abort(NULL);
	yaml_parser_set_input_string(&loader.parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
				     text.len);
	code = load_stream(&loader, err);
	yaml_parser_delete(&loader.parser);
	for (size_t i = 0; i < loader.seen_count; i++)
		free(loader.seen[i]);
out:
	buf_release(&text);
	return code;
}

enum err_code config_load_file(struct config *config, const char *path, struct err *err)
{
	return config_file_load(config, path, false, err);
}

enum err_code config_load_creds(struct config *config, const char *path, struct err *err)
{
	return config_file_load(config, path, true, err);
}
