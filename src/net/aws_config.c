#include "net/aws_config.h"

#include "base/file.h"
#include "base/mem.h"
#include "net/aws_client.h"
#include "net/aws_endpoint.h"

#include <ctype.h>
#include <fcntl.h>
#include <strings.h>

enum { AWS_FILE_BYTES_MAX = 1 << 20, AWS_PATH_MAX = 1024, AWS_NAME_MAX = 256 };

enum aws_section { AWS_SECTION_PROFILE, AWS_SECTION_SERVICES, AWS_SECTION_OTHER };

struct aws_setting {
	enum aws_section section;
	char *owner;			/* "default" */
	char *name;			/* NULL: this says only that the section is there */
	char *value;
};

struct aws_config {
	struct aws_setting *list;	/* in order; the last of a name counts */
	size_t count;
	size_t room;
	char places[2 * AWS_PATH_MAX + 8];
};

/* A file that is being read. */
struct aws_reading {
	struct aws_config *config;
	bool credentials;		/* the file of that name: each section is a profile */
	const char *path;
	enum aws_section section;
	char owner[AWS_NAME_MAX + 1];	/* "": no section has begun */
	char parent[AWS_NAME_MAX + 1];	/* of indented settings; "": there is none */
};

const char *aws_env(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

const char *aws_profile_name(const char *profile)
{
	if (!profile)
		profile = aws_env("AWS_PROFILE");
	if (!profile)
		profile = aws_env("AWS_DEFAULT_PROFILE");
	return profile ? profile : "default";
}

static void aws_config_add(struct aws_reading *reading, const char *name, struct slice value)
{
	struct aws_config *config = reading->config;

	if (config->count == config->room) {
		config->room = config->room ? 2 * config->room : 32;
		config->list = xreallocarray(config->list, config->room, sizeof(config->list[0]));
	}
	config->list[config->count++] = (struct aws_setting){
		.section = reading->section, .owner = xstrdup(reading->owner),
		.name = name ? xstrdup(name) : NULL, .value = xstrndup(value.ptr, value.len),
	};
}

static struct slice aws_strip(struct slice text)
{
	while (text.len > 0 && isspace((unsigned char)text.ptr[0]))
		text = slice_from(text, 1);
	while (text.len > 0 && isspace((unsigned char)text.ptr[text.len - 1]))
		text.len--;
	return text;
}

static enum err_code aws_refuse_line(const struct aws_reading *reading, const char *why,
				     size_t line, struct err *err)
{
	return err_set(err, ERR_USAGE, "\"%s\": line %zu %s", reading->path, line, why);
}

/* "[profile NAME]", also with quotes around the name. */
static enum err_code aws_read_section(struct aws_reading *reading, struct slice text, size_t line,
				      struct err *err)
{
	const char *end = memchr(text.ptr, ']', text.len);
	const char *kinds[] = { "profile", "services", "" };
	struct slice name;
	size_t len = 0;

	if (!end)
		return aws_refuse_line(reading, "has no \"]\"", line, err);
	name = aws_strip(slice_of(text.ptr + 1, (size_t)(end - text.ptr) - 1));
	reading->section = AWS_SECTION_PROFILE;
	while (len < name.len && !isspace((unsigned char)name.ptr[len]))
		len++;
	if (!reading->credentials && !slice_is(name, "default")) {
		reading->section = AWS_SECTION_OTHER;
		for (int i = AWS_SECTION_PROFILE; i <= AWS_SECTION_SERVICES; i++)
			if (len < name.len && slice_is(slice_of(name.ptr, len), kinds[i]))
				reading->section = (enum aws_section)i;
		if (reading->section != AWS_SECTION_OTHER)
			name = aws_strip(slice_from(name, len));
	}
	if (name.len > 1 && strchr("\"'", name.ptr[0]) && name.ptr[name.len - 1] == name.ptr[0])
		name = slice_of(name.ptr + 1, name.len - 2);
	if (name.len == 0 || name.len > AWS_NAME_MAX)
		return aws_refuse_line(reading, "is no section", line, err);
	memcpy(reading->owner, name.ptr, name.len);
	reading->owner[name.len] = '\0';
	reading->parent[0] = '\0';
	aws_config_add(reading, NULL, slice_of("", 0));
	return ERR_OK;
}

static enum err_code aws_read_setting(struct aws_reading *reading, struct slice text,
				      bool indented, size_t line, struct err *err)
{
	const char *equals = memchr(text.ptr, '=', text.len);
	char name[2 * AWS_NAME_MAX + 2];
	struct slice key, value;
	int len;

	/* The rest of the value before, of which none is used here. */
	if (indented && !reading->parent[0])
		return ERR_OK;
	if (!equals)
		return aws_refuse_line(reading, "has no \"=\"", line, err);
	if (!reading->owner[0])
		return aws_refuse_line(reading, "is in no section", line, err);
	key = aws_strip(slice_of(text.ptr, (size_t)(equals - text.ptr)));
	value = aws_strip(slice_from(text, (size_t)(equals + 1 - text.ptr)));
	if (key.len == 0 || key.len > AWS_NAME_MAX || memchr(value.ptr, '\0', value.len))
		return aws_refuse_line(reading, "has no name, or one that is too long", line, err);
	len = snprintf(name, sizeof(name), "%s%s%.*s", indented ? reading->parent : "",
		       indented ? "." : "", SLICE_ARG(key));
	for (int i = 0; i < len; i++)
		name[i] = (char)tolower((unsigned char)name[i]);
	if (!indented)
		(void)snprintf(reading->parent, sizeof(reading->parent), "%s",
			       value.len > 0 ? "" : name);
	aws_config_add(reading, name, value);
	return ERR_OK;
}

static enum err_code aws_read_line(struct aws_reading *reading, struct slice line, size_t number,
				   struct err *err)
{
	bool indented = line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
	struct slice text = aws_strip(line);

	if (text.len == 0 || text.ptr[0] == '#' || text.ptr[0] == ';')
		return ERR_OK;
	if (text.ptr[0] == '[' && !indented)
		return aws_read_section(reading, text, number, err);
	return aws_read_setting(reading, text, indented, number, err);
}

static enum err_code aws_read_file(struct aws_config *config, const char *path, bool credentials,
				   struct err *err)
{
	struct aws_reading reading = { config, .credentials = credentials, .path = path };
	enum err_code code;
	struct slice rest;
	struct buf text;

	buf_init(&text, AWS_FILE_BYTES_MAX);
	code = file_read(AT_FDCWD, path, &text, path, err);
	rest = buf_slice(&text);
	if (code != ERR_OK && code != ERR_ABSENT)
		code = err->code = ERR_USAGE;
	else
		code = ERR_OK;
	for (size_t line = 1; rest.len > 0 && code == ERR_OK; line++) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end ? (size_t)(end - rest.ptr) : rest.len;

		code = aws_read_line(&reading, slice_of(rest.ptr, len), line, err);
		rest = slice_from(rest, end ? len + 1 : len);
	}
	buf_release(&text);
	return code;
}

/* The variable's, where "~/" is the home directory, or the usual one. "": there is no home. */
static void aws_file_path(const char *variable, const char *usual, char ret_path[AWS_PATH_MAX])
{
	const char *home = aws_env("HOME"), *path = aws_env(variable);

	ret_path[0] = '\0';
	if (!path)
		path = usual;
	if (strncmp(path, "~/", 2) != 0)
		(void)snprintf(ret_path, AWS_PATH_MAX, "%s", path);
	else if (home)
		(void)snprintf(ret_path, AWS_PATH_MAX, "%s/%s", home, path + 2);
}

enum err_code aws_config_load(struct aws_config **ret_config, struct err *err)
{
	struct aws_config *config = xcalloc(1, sizeof(*config));
	char credentials[AWS_PATH_MAX], settings[AWS_PATH_MAX];
	enum err_code code = ERR_OK;

	aws_file_path("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", credentials);
	aws_file_path("AWS_CONFIG_FILE", "~/.aws/config", settings);
	(void)snprintf(config->places, sizeof(config->places), "\"%s\", \"%s\"", credentials,
		       settings);
	/* The one that counts more comes last. */
	if (settings[0])
		code = aws_read_file(config, settings, false, err);
	if (credentials[0] && code == ERR_OK)
		code = aws_read_file(config, credentials, true, err);
	if (code != ERR_OK) {
		aws_config_free(config);
		return code;
	}
	*ret_config = config;
	return ERR_OK;
}

void aws_config_free(struct aws_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->count; i++) {
		struct aws_setting *setting = &config->list[i];

		explicit_bzero(setting->value, strlen(setting->value));
		free(setting->owner);
		free(setting->name);
		free(setting->value);
	}
	free(config->list);
	free(config);
}

static const char *aws_config_find(const struct aws_config *config, enum aws_section section,
				   const char *owner, const char *name)
{
	for (size_t i = config->count; i-- > 0;) {
		const struct aws_setting *setting = &config->list[i];

		if (setting->section == section && setting->name &&
		    !strcmp(setting->owner, owner) && !strcmp(setting->name, name))
			return setting->value[0] ? setting->value : NULL;
	}
	return NULL;
}

const char *aws_config_get(const struct aws_config *config, const char *profile, const char *name)
{
	return aws_config_find(config, AWS_SECTION_PROFILE, profile, name);
}

const char *aws_config_service(const struct aws_config *config, const char *services,
			       const char *name)
{
	return aws_config_find(config, AWS_SECTION_SERVICES, services, name);
}

bool aws_config_has_profile(const struct aws_config *config, const char *profile)
{
	for (size_t i = 0; i < config->count; i++)
		if (config->list[i].section == AWS_SECTION_PROFILE &&
		    !strcmp(config->list[i].owner, profile))
			return true;
	return false;
}

const char *aws_config_places(const struct aws_config *config)
{
	return config->places;
}

enum err_code aws_region(const char *profile, char ret_region[AWS_REGION_MAX + 1],
			 struct err *err)
{
	const char *region = aws_env("AWS_REGION");
	struct aws_config *config = NULL;
	enum err_code code = ERR_OK;

	if (!region)
		region = aws_env("AWS_DEFAULT_REGION");
	if (!region) {
		code = aws_config_load(&config, err);
		if (code == ERR_OK)
			region = aws_config_get(config, aws_profile_name(profile), "region");
	}
	if (code == ERR_OK && !region)
		code = err_set(err, ERR_ABSENT, "no region is set: AWS_REGION, or \"region\" of the profile \"%s\"",
			       aws_profile_name(profile));
	if (code == ERR_OK)
		code = aws_check_region(region, err);
	if (code == ERR_OK)
		(void)snprintf(ret_region, AWS_REGION_MAX + 1, "%s", region);
	aws_config_free(config);
	return code;
}

enum err_code aws_ca_bundle(char **ret_path, struct err *err)
{
	const char *path = aws_env("AWS_CA_BUNDLE");
	struct aws_config *config = NULL;
	enum err_code code = ERR_OK;

	if (!path) {
		code = aws_config_load(&config, err);
		if (code == ERR_OK)
			path = aws_config_get(config, aws_profile_name(NULL), "ca_bundle");
	}
	if (code == ERR_OK)
		*ret_path = path ? xstrdup(path) : NULL;
	aws_config_free(config);
	return code;
}

static const char *aws_endpoint_of_profile(const struct aws_config *config, const char *profile,
					   const char *service)
{
	const char *services = aws_config_get(config, profile, "services"), *url = NULL;
	char name[AWS_NAME_MAX];

	(void)snprintf(name, sizeof(name), "%s.endpoint_url", service);
	if (services)
		url = aws_config_service(config, services, name);
	return url ? url : aws_config_get(config, profile, "endpoint_url");
}

static bool aws_ignores_endpoints(const struct aws_config *config, const char *profile)
{
	const char *said = aws_env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");

	if (!said)
		said = aws_config_get(config, profile, "ignore_configured_endpoint_urls");
	return said && !strcasecmp(said, "true");
}

enum err_code aws_endpoint_url(const char *profile, const char *service, struct buf *ret_url,
			       struct err *err)
{
	struct aws_config *config = NULL;
	char variable[AWS_NAME_MAX];
	const char *url = NULL;
	enum err_code code = aws_config_load(&config, err);

	if (code != ERR_OK)
		return code;
	profile = aws_profile_name(profile);
	(void)snprintf(variable, sizeof(variable), "AWS_ENDPOINT_URL_%s", service);
	for (char *c = variable; *c; c++)
		*c = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
	if (!aws_ignores_endpoints(config, profile)) {
		url = aws_env(variable);
		if (!url)
			url = aws_env("AWS_ENDPOINT_URL");
		if (!url)
			url = aws_endpoint_of_profile(config, profile, service);
	}
	if (url)
		buf_add_str(ret_url, url);
	else
		code = err_set(err, ERR_ABSENT, "no endpoint is set for \"%s\"", service);
	aws_config_free(config);
	return code;
}
