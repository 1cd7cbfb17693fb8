/* config_private.h - what option.c, config.c and config_file.c share. Nobody else includes it. */
#ifndef BASE_CONFIG_PRIVATE_H
#define BASE_CONFIG_PRIVATE_H

#include "base/config.h"

enum {
	CONFIG_FILE_MAX = 1 << 20,	/* bytes */
	CONFIG_TEXT_MAX = 16 << 20,	/* of all values of a config, replaced ones included */
};

/* The option with that key, or OPTION_COUNT. */
enum option option_of_key(const char *key);
/* "gateway": there are keys in it. */
bool option_is_section(const char *name);
/* The key or section that a mistyped one was meant to be, or NULL; also found by its last part. */
const char *option_nearest_key(const char *key);

struct arena;

struct config_settings {
	struct config_setting *list;	/* in order of name */
	size_t count;
};

/* OPTION_GROUPS: there is none of that name. */
enum option_group option_group_of(struct slice name);
/* Of "kafka.a.b" or "kafka"; *ret_name: "a.b", or "". */
enum option_group option_group_of_key(const char *key, const char **ret_name);
/* Of "PINPIPE_KAFKA__A_B=…"; *ret_rest: "A_B". */
enum option_group option_group_of_env(const char *variable, struct slice *ret_rest);
/* The name that "A_B" stands for: "a.b". */
void option_group_put_env_name(struct buf *out, struct slice rest);
/* As config_set(). */
MUST_USE enum err_code config_group_set(struct config_settings *settings, struct arena *arena,
					struct slice name, struct slice text,
					enum config_origin origin, const char *place,
					struct err *err);
MUST_USE enum err_code config_set_in_group(struct config *config, enum option_group group,
					   struct slice name, struct slice text,
					   enum config_origin origin, const char *place,
					   struct err *err);

/* Checks a text; numbers, booleans and durations become *ret_number. */
MUST_USE enum err_code option_parse(enum option option, const char *text, int64_t *ret_number,
				    struct err *err);

/* One layer's value; it is dropped if a higher layer has set the option. `place` is copied. */
MUST_USE enum err_code config_set(struct config *config, enum option option, struct slice text,
				  enum config_origin origin, const char *place, struct err *err);

#endif
