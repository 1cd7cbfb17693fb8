/* Groups of options with free names: which there are, what a name may be, and the settings. */
#include "base/config_private.h"

#include "base/arena.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { NAME_LEN_MAX = 100, SETTINGS_MAX = 1000 };

static const struct {
	const char *name;
	enum option option;
	bool at_times;
	const char *help;
} groups[] = {
#define X(id, name, option, at_times, help) \
	[OPTION_GROUP_##id] = { name, OPT_##option, at_times, help },
	OPTION_GROUP_TABLE(X)
#undef X
};

const char *option_group_name(enum option_group group) { return groups[group].name; }
const char *option_group_help(enum option_group group) { return groups[group].help; }
enum option option_group_option(enum option_group group) { return groups[group].option; }

enum option_group option_group_of(struct slice name)
{
	int group = 0;

	while (group < OPTION_GROUPS && !slice_is(name, groups[group].name))
		group++;
	return (enum option_group)group;
}

enum option_group option_group_of_key(const char *key, const char **ret_name)
{
	size_t len = strcspn(key, ".");

	*ret_name = key[len] ? key + len + 1 : "";
	return option_group_of(slice_of(key, len));
}

/* As librdkafka, Spark and the JVM name their own. */
static enum err_code check_group_name(struct slice name, struct err *err)
{
	bool right = name.len > 0 && name.len <= NAME_LEN_MAX &&
		     isalnum((unsigned char)name.ptr[0]);

	for (size_t i = 0; i < name.len; i++)
		right &= isalnum((unsigned char)name.ptr[i]) ||
			 (name.ptr[i] && strchr("._-", name.ptr[i]));
	return right ? ERR_OK : err_set(err, ERR_USAGE, "\"%.*s\" is no name of a setting",
					(int)(name.len < 80 ? name.len : 80), name.ptr);
}

bool option_group_is_secret(const char *name)
{
	static const char *const words[] = { "password", "secret", "token", "credential", "jaas",
					     "key.pem" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasestr(name, words[i]))
			return true;
	return false;
}

/* The place of `name` among the settings, which are in order. */
static size_t setting_place(const struct config_settings *settings, const char *name)
{
	size_t at = 0;

	while (at < settings->count && strcmp(settings->list[at].name, name) < 0)
		at++;
	return at;
}

enum err_code config_group_set(struct config_settings *settings, struct arena *arena,
			       struct slice name, struct slice text, enum config_origin origin,
			       const char *place, struct err *err)
{
	struct config_setting setting = { .origin = origin };
	size_t at;

	if (check_group_name(name, err) != ERR_OK)
		return err->code;
	if (text.len > CONFIG_FILE_MAX || memchr(text.ptr, '\0', text.len))
		return err_set(err, ERR_USAGE, "the value holds a zero byte or is longer than 1 MiB");
	if (settings->count == SETTINGS_MAX)
		return err_set(err, ERR_USAGE, "more than %d settings", SETTINGS_MAX);
	setting.name = arena_str(arena, name);
	setting.text = arena_str(arena, text);
	setting.place = arena_str(arena, slice_str(place));
	at = setting_place(settings, setting.name);
	if (at < settings->count && strcmp(settings->list[at].name, setting.name) == 0) {
		if (origin >= settings->list[at].origin)
			settings->list[at] = setting;
		return ERR_OK;
	}
	settings->list = xreallocarray(settings->list, settings->count + 1, sizeof(setting));
	memmove(settings->list + at + 1, settings->list + at,
		(settings->count - at) * sizeof(setting));
	settings->list[at] = setting;
	settings->count++;
	return ERR_OK;
}

/* The first setting that nothing reads, or NULL. */
static const struct config_setting *unread_setting(const struct config *config, int group)
{
	size_t count;
	const struct config_setting *settings =
		config_settings(config, (enum option_group)group, &count);

	if (strcmp(config_text(config, groups[group].option), groups[group].name) == 0)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (!groups[group].at_times || settings[i].origin == CONFIG_FROM_FLAG)
			return &settings[i];
	return NULL;
}

enum err_code config_check_groups(const struct config *config, struct err *err)
{
	for (int i = 0; i < OPTION_GROUPS; i++) {
		const struct config_setting *unread = unread_setting(config, i);

		if (unread)
			return err_set(err, ERR_USAGE,
				       "%s: nothing reads \"%s.%s\" as long as \"%s\" is %s",
				       unread->place, groups[i].name, unread->name,
				       option_key(groups[i].option),
				       config_text(config, groups[i].option));
	}
	return ERR_OK;
}

enum option_group option_group_of_env(const char *variable, struct slice *ret_rest)
{
	static const char prefix[] = "PINPIPE_";
	const char *at = variable + strlen(prefix);

	if (strncmp(variable, prefix, strlen(prefix)) != 0)
		return OPTION_GROUPS;
	for (int group = 0; group < OPTION_GROUPS; group++) {
		size_t len = strlen(groups[group].name);

		if (strncasecmp(at, groups[group].name, len) == 0 && isupper((unsigned char)*at) &&
		    strncmp(at + len, "__", 2) == 0) {
			*ret_rest = slice_of(at + len + 2, strcspn(at + len + 2, "="));
			return (enum option_group)group;
		}
	}
	return OPTION_GROUPS;
}

void option_group_put_env_name(struct buf *out, struct slice rest)
{
	bool own_case = false;

	for (size_t i = 0; i < rest.len; i++)
		own_case |= islower((unsigned char)rest.ptr[i]) != 0;
	for (size_t i = 0; i < rest.len; i++) {
		size_t low = 0;

		while (i + low < rest.len && rest.ptr[i + low] == '_' && low < 3)
			low++;
		if (low > 0)
			buf_add_char(out, low == 1 ? '.' : low == 2 ? '_' : '-');
		else
			buf_add_char(out, own_case ? rest.ptr[i] :
						     (char)tolower((unsigned char)rest.ptr[i]));
		i += low > 0 ? low - 1 : 0;
	}
}

void option_group_put_env(struct buf *out, enum option_group group, const char *name)
{
	bool upper = true;

	for (const char *c = name; *c; c++)
		upper &= !isupper((unsigned char)*c);
	buf_add_str(out, "PINPIPE_");
	for (const char *c = groups[group].name; *c; c++)
		buf_add_char(out, (char)toupper((unsigned char)*c));
	buf_add_str(out, "__");
	for (const char *c = name; *c; c++) {
		if (strchr("._-", *c))
			buf_add_str(out, *c == '.' ? "_" : *c == '_' ? "__" : "___");
		else
			buf_add_char(out, upper ? (char)toupper((unsigned char)*c) : *c);
	}
}
