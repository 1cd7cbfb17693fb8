#include "cmd/children.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHILDREN_UP_PID "PINPIPE_UP_PID" /* config.c knows it, too */

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

enum err_code children_begin_up(struct err *err)
{
	char pid[32];

	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	if (setenv(CHILDREN_UP_PID, pid, 1) < 0)
		return err_errno(err, "could not set %s", CHILDREN_UP_PID);
	return ERR_OK;
}

/* Theirs have the variable, too, but another parent. */
bool children_has_up(void)
{
	const char *pid = getenv(CHILDREN_UP_PID);

	return pid && strtol(pid, NULL, 10) == getppid();
}
