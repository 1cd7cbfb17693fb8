#include "cmd/children.h"

#include <stdlib.h>

enum err_code children_inherit(const struct config *config, struct err *err)
{
	char name[OPTION_ENV_MAX];

	for (int i = 0; i < OPTION_COUNT; i++) {
		enum option option = (enum option)i;

		if (config_origin(config, option) != CONFIG_FROM_FLAG || !*option_key(option))
			continue;
		option_env_name(option, name);
		if (setenv(name, config_text(config, option), 1) < 0)
			return err_errno(err, "could not set %s", name);
	}
	return ERR_OK;
}
