/* config_private.h - what option.c, config.c and config_file.c share. Nobody else includes it. */
#ifndef BASE_CONFIG_PRIVATE_H
#define BASE_CONFIG_PRIVATE_H

#include "base/config.h"

enum {
	CONFIG_FILE_MAX = 1 << 20,	/* bytes */
	CONFIG_TEXT_MAX = 16 << 20,	/* of all values of a config, replaced ones included */
};

/* The option with that key or flag, or OPTION_COUNT. */
enum option option_of_key(const char *key);
enum option option_of_flag(struct slice flag);
/* "gateway": there are keys in it. */
bool option_is_section(const char *name);
/* The key or section that a mistyped one was meant to be, or NULL; also found by its last part. */
const char *option_nearest_key(const char *key);

/* Checks a text; numbers, booleans and durations become *ret_number. */
MUST_USE enum err_code option_parse(enum option option, const char *text, int64_t *ret_number,
				    struct err *err);

/* One layer's value; it is dropped if a higher layer has set the option. `place` is copied. */
MUST_USE enum err_code config_set(struct config *config, enum option option, struct slice text,
				  enum config_origin origin, const char *place, struct err *err);

#endif
