#include "base/config_private.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/nearest.h"

#include <unistd.h>

struct value {
	const char *text;	/* in the arena */
	const char *place;
	int64_t number;
	enum config_origin origin;
};

struct config {
	struct value values[OPTION_COUNT];
	struct config_settings groups[OPTION_GROUPS];
	struct arena arena;
};

struct config *config_new(void)
{
	struct config *config = xcalloc(1, sizeof(*config));
	struct err err;

	arena_init(&config->arena, CONFIG_TEXT_MAX);
	for (int i = 0; i < OPTION_COUNT; i++)
		if (config_set(config, (enum option)i, slice_str(option_default((enum option)i)),
			       CONFIG_FROM_DEFAULT, "default", &err) != ERR_OK)
			abort();	/* the table's own default is wrong: a bug */
	return config;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (int i = 0; i < OPTION_GROUPS; i++)
		free(config->groups[i].list);
	arena_release(&config->arena);
	free(config);
}

/* "~/data": a shell puts the home directory there, but not in a file, nor behind an equals sign. */
static char *config_expand_home(struct config *config, char *path)
{
	const char *home = getenv("HOME");
	char *whole;
	size_t room;

	if (path[0] != '~' || (path[1] != '/' && path[1] != '\0') || !home || *home != '/')
		return path;
	room = strlen(home) + strlen(path);
	whole = arena_alloc(&config->arena, room);
	(void)snprintf(whole, room, "%s%s", home, path + 1);
	return whole;
}

enum err_code config_set(struct config *config, enum option option, struct slice text,
			 enum config_origin origin, const char *place, struct err *err)
{
	struct value *value = &config->values[option];
	enum err_code code;
	int64_t number;
	char *copy;

	if (text.len > CONFIG_FILE_MAX || memchr(text.ptr, '\0', text.len))
		return err_set(err, ERR_USAGE, "the value holds a zero byte or is longer than 1 MiB");
	copy = arena_str(&config->arena, text);
	if (option_type(option) == CONFIG_PATH || option == OPT_LAKE)
		copy = config_expand_home(config, copy);
	code = option_parse(option, copy, &number, err);
	if (code != ERR_OK)
		return code;
	if (origin < value->origin)
		return ERR_OK;
	value->text = copy;
	value->place = arena_str(&config->arena, slice_str(place));
	value->number = number;
	value->origin = origin;
	return ERR_OK;
}

enum err_code config_set_from_file(struct config *config, enum option option, const char *text,
				   const char *place, struct err *err)
{
	return config_set(config, option, slice_str(text), CONFIG_FROM_FILE, place, err);
}

void config_set_text(struct config *config, enum option option, const char *text)
{
	struct err err;

	if (config_set(config, option, slice_str(text), CONFIG_FROM_FLAG, "program", &err) != ERR_OK)
		abort();	/* the caller's own text is wrong: a bug */
}

const char *config_text(const struct config *config, enum option option)
{
	return config->values[option].text;
}

int64_t config_int(const struct config *config, enum option option)
{
	return config->values[option].number;
}

bool config_bool(const struct config *config, enum option option)
{
	return config->values[option].number != 0;
}

enum config_origin config_origin(const struct config *config, enum option option)
{
	return config->values[option].origin;
}

const char *config_place(const struct config *config, enum option option)
{
	return config->values[option].place;
}

bool config_is_set(const struct config *config, enum option option)
{
	return config->values[option].origin != CONFIG_FROM_DEFAULT;
}

enum err_code config_set_in_group(struct config *config, enum option_group group, struct slice name,
				  struct slice text, enum config_origin origin, const char *place,
				  struct err *err)
{
	return config_group_set(&config->groups[group], &config->arena, name, text, origin, place,
				err);
}

const struct config_setting *config_settings(const struct config *config, enum option_group group,
					     size_t *ret_count)
{
	*ret_count = config->groups[group].count;
	return config->groups[group].list;
}

/* Flags */

static bool accepts_option(const enum option *accepts, enum option option)
{
	if (option == OPTION_COUNT)
		return false;
	for (; *accepts != OPTION_COUNT; accepts++)
		if (*accepts == option)
			return true;
	return option_is_common(option);
}

/* Several options may have one flag: it is the one that the command takes. */
static enum option option_meant(const enum option *accepts, struct slice flag)
{
	for (; *accepts != OPTION_COUNT; accepts++)
		if (flag.len > 0 && slice_is(flag, option_flag(*accepts)))
			return *accepts;
	return option_of_flag(flag);
}

static const char *accepted_flag_at(const void *list, size_t n)
{
	const enum option *accepts = list;
	size_t count = 0;

	while (accepts[count] != OPTION_COUNT)
		count++;
	if (n < count)
		return option_flag(accepts[n]);
	for (int i = 0; i < OPTION_COUNT; i++)
		if (option_is_common((enum option)i) && n-- == count)
			return option_flag((enum option)i);
	return NULL;
}

static enum err_code unknown_flag(struct slice name, const enum option *accepts, struct err *err)
{
	char word[64];
	const char *meant;

	(void)snprintf(word, sizeof(word), "%.*s", SLICE_ARG(name));
	meant = nearest(word, accepted_flag_at, accepts);
	if (meant)
		return err_set(err, ERR_USAGE, "unknown option \"--%s\", did you mean \"--%s\"?",
			       word, meant);
	if (option_of_flag(name) != OPTION_COUNT)
		return err_set(err, ERR_USAGE, "this command takes no option \"--%s\"", word);
	return err_set(err, ERR_USAGE, "unknown option \"--%s\"", word);
}

/* "name=value" of --<group>. */
static enum err_code load_group_flag(struct config *config, enum option_group group,
				     const char *pair, struct err *err)
{
	const char *equals = strchr(pair, '=');
	char place[64];
	char name[OPTION_ENV_MAX * 2];

	(void)snprintf(place, sizeof(place), "--%s", option_group_name(group));
	if (!equals)
		return err_set(err, ERR_USAGE, "option \"%s\" wants name=value", place);
	(void)snprintf(name, sizeof(name), "%.*s", (int)(equals - pair), pair);
	if (option_group_is_secret(name))
		return err_set(err, ERR_USAGE, "\"%s\" is a secret, which others would see on the command"
			       " line: put it into pinpipe.yaml or the environment", name);
	if (config_set_in_group(config, group, slice_of(pair, (size_t)(equals - pair)),
				slice_str(equals + 1), CONFIG_FROM_FLAG, place, err) != ERR_OK)
		return err_prefix(err, "option \"%s\"", place);
	return ERR_OK;
}

/* The flag at argv[*i] with its value, which may be argv[*i + 1]. */
static enum err_code load_flag(struct config *config, const enum option *accepts, int argc,
			       char **argv, int *i, struct err *err)
{
	const char *text = argv[*i] + 2;
	size_t len = strcspn(text, "=");
	enum option option = option_meant(accepts, slice_of(text, len));
	enum option_group group = option_group_of(slice_of(text, len));
	const char *value = text[len] ? text + len + 1 : NULL;
	char place[64];

	if (group != OPTION_GROUPS && !value)
		value = *i + 1 < argc ? argv[++*i] : "";
	if (group != OPTION_GROUPS)
		return load_group_flag(config, group, value, err);
	if (!accepts_option(accepts, option))
		return unknown_flag(slice_of(text, len), accepts, err);
	(void)snprintf(place, sizeof(place), "--%s", option_flag(option));
	if (!value && option_type(option) == CONFIG_BOOL)
		value = "true";
	if (!value && *i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0)
		value = argv[++*i];
	if (!value)
		return err_set(err, ERR_USAGE, "option \"%s\" wants a value", place);
	if (config_set(config, option, slice_str(value), CONFIG_FROM_FLAG, place, err) != ERR_OK)
		return err_prefix(err, "option \"%s\"", place);
	return ERR_OK;
}

enum err_code config_load_flags(struct config *config, const enum option *accepts, int *argc,
				char **argv, struct err *err)
{
	int kept = 0;
	bool ended = false;

	for (int i = 0; i < *argc; i++) {
		enum err_code code = ERR_OK;

		if (!ended && strcmp(argv[i], "--") == 0)
			ended = true;
		else if (!ended && strncmp(argv[i], "--", 2) == 0)
			code = load_flag(config, accepts, *argc, argv, &i, err);
		else if (!ended && argv[i][0] == '-' && argv[i][1])
			code = err_set(err, ERR_USAGE, "unknown option \"%s\": options begin with two dashes",
				       argv[i]);
		else
			argv[kept++] = argv[i];
		if (code != ERR_OK)
			return code;
	}
	*argc = kept;
	return ERR_OK;
}

/* Environment */

struct env_names {
	char name[OPTION_COUNT][OPTION_ENV_MAX];
};

static const char *env_at(const void *list, size_t n)
{
	const struct env_names *names = list;

	return n < OPTION_COUNT ? names->name[n] : NULL;
}

/* Variables of our prefix that are no options: Kubernetes' for a service called pinpipe, those of
 * test builds, and what `up` says to its children. */
static bool is_foreign(const char *name)
{
	static const char *const prefixes[] = {
		"PINPIPE_SERVICE_",
		"PINPIPE_PORT=",
		"PINPIPE_PORT_",
		"PINPIPE_FAILPOINTS=",
		"PINPIPE_FAILPOINT_TICKETS=",
		"PINPIPE_UP_PID=",
#ifdef PINPIPE_HOSTILE
		"PINPIPE_HOSTILE_CUT=",
#endif
	};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static enum err_code load_group_variable(struct config *config, enum option_group group,
					 struct slice rest, const char *variable, struct err *err)
{
	size_t len = strcspn(variable, "=");
	char place[OPTION_ENV_MAX * 4];
	enum err_code code;
	struct buf name;

	buf_init(&name, sizeof(place));
	(void)snprintf(place, sizeof(place), "%.*s", (int)len, variable);
	option_group_put_env_name(&name, rest);
	code = config_set_in_group(config, group, buf_slice(&name), slice_str(variable + len + 1),
				   CONFIG_FROM_ENV, place, err);
	buf_release(&name);
	return code == ERR_OK ? code : err_prefix(err, "environment variable %.80s", place);
}

static enum err_code load_variable(struct config *config, const struct env_names *names,
				   const char *variable, struct err *err)
{
	size_t len = strcspn(variable, "=");
	char name[OPTION_ENV_MAX];
	struct slice rest;
	enum option_group group = option_group_of_env(variable, &rest);
	const char *meant;

	if (group != OPTION_GROUPS)
		return load_group_variable(config, group, rest, variable, err);
	(void)snprintf(name, sizeof(name), "%.*s", (int)len, variable);
	for (int i = 0; i < OPTION_COUNT; i++) {
		if (strcmp(names->name[i], name) != 0)
			continue;
		if (config_set(config, (enum option)i, slice_str(variable + len + 1),
			       CONFIG_FROM_ENV, name, err) != ERR_OK)
			return err_prefix(err, "environment variable %s", name);
		return ERR_OK;
	}
	meant = nearest(name, env_at, names);
	return err_set(err, ERR_USAGE, "unknown environment variable %s%s%s%s", name,
		       meant ? ", did you mean " : "", meant ? meant : "", meant ? "?" : "");
}

enum err_code config_load_env(struct config *config, char *const *environment, struct err *err)
{
	struct env_names names;

	for (int i = 0; i < OPTION_COUNT; i++)
		option_env_name((enum option)i, names.name[i]);
	for (; *environment; environment++) {
		enum err_code code;

		if (strncmp(*environment, "PINPIPE_", 8) != 0 || !strchr(*environment, '=') ||
		    is_foreign(*environment))
			continue;
		code = load_variable(config, &names, *environment, err);
		if (code != ERR_OK)
			return code;
	}
	return ERR_OK;
}

/* All of it */

typedef enum err_code load_fn(struct config *config, const char *path, struct err *err);

static enum err_code load_or_skip(struct config *config, enum option option, const char *usual,
				  load_fn *load, struct err *err)
{
	const char *named = config_text(config, option);

	if (*named)
		return load(config, named, err);
	return access(usual, F_OK) == 0 ? load(config, usual, err) : ERR_OK;
}

enum err_code config_load_rest(struct config *config, struct err *err)
{
	enum err_code code = config_load_env(config, environ, err);

	if (code == ERR_OK)
		code = load_or_skip(config, OPT_CONFIG, "pinpipe.yaml", config_load_file, err);
	if (code == ERR_OK)
		code = load_or_skip(config, OPT_CREDS, "db_creds.yaml", config_load_creds, err);
	return code;
}
