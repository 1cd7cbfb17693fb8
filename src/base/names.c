#include "base/names.h"

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>

static bool allowed(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

/* `also`: what may be in it besides. */
static enum err_code names_check(const char *what, const char *also, struct slice name,
				 size_t len_max, struct err *err)
{
	if (name.len == 0)
		return err_set(err, ERR_SHAPE, "a %s name may not be empty", what);
	if (name.len > len_max)
		return err_set(err, ERR_SHAPE, "a %s name has at most %zu bytes, this one has %zu",
			       what, len_max, name.len);
	for (size_t i = 0; i < name.len; i++)
		if (!allowed(name.ptr[i]) && !memchr(also, name.ptr[i], strlen(also)))
			return err_set(err, ERR_SHAPE,
				       "byte %zu (0x%02x) of the %s name is not one of "
				       "A-Z a-z 0-9 . _ -%s",
				       i + 1, (unsigned char)name.ptr[i], what,
				       *also ? " * ?" : "");
	if (slice_is(name, ".") || slice_is(name, ".."))
		return err_set(err, ERR_SHAPE, "\"%.*s\" is not a %s name", SLICE_ARG(name), what);
	return ERR_OK;
}

enum err_code name_check_topic(struct slice name, struct err *err)
{
	return names_check("topic", "", name, TOPIC_NAME_MAX, err);
}

enum err_code name_check_stream(struct slice name, struct err *err)
{
	return names_check("stream", "", name, STREAM_NAME_MAX, err);
}

enum err_code name_check_pattern(struct slice pattern, struct err *err)
{
	return names_check("topic", "*?", pattern, TOPIC_NAME_MAX, err);
}

bool name_is_pattern(const char *name) { return strpbrk(name, "*?") != NULL; }

bool name_matches(const char *pattern, const char *name)
{
	return fnmatch(pattern, name, FNM_NOESCAPE) == 0;
}
