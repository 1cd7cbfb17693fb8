#include "cmd/children.h"

#include <stdlib.h>

enum { VARIABLE_MAX = 1 << 10 };

static enum err_code inherit_group(const struct config *config, enum option_group group,
				   struct err *err)
{
	size_t count;
	const struct config_setting *settings = config_settings(config, group, &count);

	for (size_t i = 0; i < count; i++) {
		struct buf variable;
		int failed = 0;

		if (settings[i].origin != CONFIG_FROM_FLAG)
			continue;
		buf_init(&variable, VARIABLE_MAX);
		option_group_put_env(&variable, group, settings[i].name);
		failed = setenv(buf_cstr(&variable), settings[i].text, 1);
		buf_release(&variable);
		if (failed)
			return err_errno(err, "could not set a variable for %s", settings[i].name);
	}
	return ERR_OK;
}

enum err_code children_inherit(const struct config *config, struct err *err)
{
	char name[OPTION_ENV_MAX];

	for (int i = 0; i < OPTION_COUNT; i++) {
		enum option option = (enum option)i;

		option_env_name(option, name);
		if (config_origin(config, option) != CONFIG_FROM_FLAG || !*name)
			continue;
		if (setenv(name, config_text(config, option), 1) < 0)
			return err_errno(err, "could not set %s", name);
	}
	for (int group = 0; group < OPTION_GROUPS; group++)
		if (inherit_group(config, (enum option_group)group, err) != ERR_OK)
			return err->code;
	return ERR_OK;
}
