/*
 * config.h - every option of the program, declared once in config_options.h:
 * key, flag, type, default, help. The parser of pinpipe.yaml, the environment
 * (PINPIPE_<KEY, dots as _>), the flags, `--help`, `pinpipe config` and
 * docs/reference.md all come from that table.
 *
 * Which value wins: flag, then environment, then file, then default, in
 * whatever order the layers are loaded. Each layer refuses with ERR_USAGE what
 * it cannot read, and says which key, in which place, and what would be right;
 * an unknown key comes with the nearest known one.
 *
 * pinpipe.yaml is YAML: maps of maps down to one value an option, so that
 * "gateway.listen" is `listen` inside `gateway`. db_creds.yaml holds the
 * original's keys (HOST, USER, PASSWORD, DATABASE, PORT, URL, STREAMING_URL),
 * which set the options of the same meaning; both are the layer "file", and
 * db_creds.yaml wins.
 *
 * Options of a group have free names, which are another program's: librdkafka's,
 * Spark's. "kafka.security.protocol" is, whichever layer gives it,
 *	pinpipe.yaml	kafka:  with  security.protocol: …  below it (or maps of maps)
 *	environment	PINPIPE_KAFKA__SECURITY_PROTOCOL: what follows the two lines is the
 *			name, with _ for a dot, __ for _ and ___ for -; in lower case,
 *			unless it has a small letter: then as it is (spark's maxResultSize)
 *	flag		--kafka security.protocol=…, any number of times; not for what
 *			sounds like a secret, which `pinpipe config` masks
 * Each name is a setting of its own: the layers meet name by name. They mean nothing unless
 * the kind is chosen that reads them (config_check_groups()).
 *
 * Ownership: texts live as long as the config. Threads: read-only once loaded.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum config_type {
	CONFIG_TEXT,
	CONFIG_PATH,
	CONFIG_SECRET,		/* text, masked wherever it is printed; no flag sets it */
	CONFIG_BOOL,		/* true, false, yes, no, on, off, 1, 0; a flag alone means true */
	CONFIG_INT,
	CONFIG_BYTES,		/* 4096, 64KiB, 1MiB, 2GiB */
	CONFIG_MS,		/* 250ms, 10s, 5m, 24h, 7d; a bare number is seconds */
	CONFIG_CHOICE,		/* one of the words in `allowed` */
	CONFIG_SCHEDULE,	/* a time as MS, or else (0) a cron expression; empty: none */
	CONFIG_ZONE,		/* the name of a time zone */
};

enum config_origin { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENV, CONFIG_FROM_FLAG };

enum option {
#define X(id, key, flag, type, value, allowed, help) OPT_##id,
#include "base/config_options.h"
#undef X
	OPTION_COUNT
};

/* Of the kind of that name, once it is there and the option chooses it; `at_times`: for one command
 * it may, so a file or the environment has them for that.
 *	id      name     option  at_times  help */
#define OPTION_GROUP_TABLE(X) \
	X(KAFKA, "kafka", BROKER, false, "Settings of librdkafka, by its own names") \
	X(SPARK, "spark", ENGINE, true, "Settings of Spark, by its own names without their spark.")

enum option_group {
#define X(id, name, option, at_times, help) OPTION_GROUP_##id,
	OPTION_GROUP_TABLE(X)
#undef X
	OPTION_GROUPS
};

struct config_setting {
	const char *name;		/* without the group's */
	const char *text;
	const char *place;		/* as of config_place() */
	enum config_origin origin;
};

struct config;

/* A config of defaults. */
MUST_USE struct config *config_new(void);
void config_free(struct config *config);	/* accepts NULL */

MUST_USE enum err_code config_load_file(struct config *config, const char *path, struct err *err);
MUST_USE enum err_code config_load_creds(struct config *config, const char *path, struct err *err);
/* `environ`, or the like: ended by NULL. */
MUST_USE enum err_code config_load_env(struct config *config, char *const *environment,
				       struct err *err);
/*
 * Flags of a command, which takes those in `accepts` (ended by OPTION_COUNT)
 * and those of every command: `--x v`, `--x=v`, and for a boolean `--x`. What
 * is no flag, and all that follows a `--`, is left in argv[0 … *argc - 1].
 */
MUST_USE enum err_code config_load_flags(struct config *config, const enum option *accepts,
					 int *argc, char **argv, struct err *err);
/* The files named by --config and --creds, or else pinpipe.yaml and db_creds.yaml where they are
 * there, and the environment. Flags come first, because they name the files. */
MUST_USE enum err_code config_load_rest(struct config *config, struct err *err);

/* As if pinpipe.yaml, or what was loaded of it before, had said so at this place. */
MUST_USE enum err_code config_set_from_file(struct config *config, enum option option,
					    const char *text, const char *place, struct err *err);

const char *config_text(const struct config *config, enum option option);	/* "" if empty */
int64_t config_int(const struct config *config, enum option option);	/* INT, BYTES, MS */
bool config_bool(const struct config *config, enum option option);
enum config_origin config_origin(const struct config *config, enum option option);
/* Where the value was set: "default", "pinpipe.yaml:12", "PINPIPE_LAKE", "--lake". */
const char *config_place(const struct config *config, enum option option);
/* False: still the default. */
bool config_is_set(const struct config *config, enum option option);
/* As if a flag had said so, by the program itself; a text that
 * the option does not allow is a bug. */
void config_set_text(struct config *config, enum option option, const char *text);

/* The settings of a group, in the byte order of their names. */
const struct config_setting *config_settings(const struct config *config, enum option_group group,
					     size_t *ret_count);
/* ERR_USAGE: one is set that nothing reads, since another kind is chosen than the group's. */
MUST_USE enum err_code config_check_groups(const struct config *config, struct err *err);
const char *option_group_name(enum option_group group);
const char *option_group_help(enum option_group group);
/* The one that chooses the kind of the group's name. */
enum option option_group_option(enum option_group group);
/* The variable that sets it: "PINPIPE_KAFKA__SECURITY_PROTOCOL". */
void option_group_put_env(struct buf *out, enum option_group group, const char *name);
/* Its value is to be masked wherever it is printed. */
bool option_group_is_secret(const char *name);

const char *option_key(enum option option);
const char *option_flag(enum option option);
const char *option_help(enum option option);
const char *option_default(enum option option);
/* Words separated by | for CHOICE, "least..most" for INT, BYTES and MS, or "". */
const char *option_allowed(enum option option);
enum config_type option_type(enum option option);
/* The first with that flag, or OPTION_COUNT. */
enum option option_of_flag(struct slice flag);
/* Every command takes it. */
bool option_is_common(enum option option);
enum { OPTION_ENV_MAX = 64 };
/* "PINPIPE_GATEWAY_LISTEN"; "" if the environment cannot set it. */
void option_env_name(enum option option, char ret_name[OPTION_ENV_MAX]);
/* What stands for the value in a usage line: "PATH", "auto|table|json|csv"; nothing for BOOL. */
void option_put_value_name(struct buf *out, enum option option);
/* "--help" lines for these options (ended by OPTION_COUNT). */
void config_put_help(struct buf *out, const enum option *options);
/* The same for those of every command that are not among a command's own; NULL: it has none. */
void config_put_common_help(struct buf *out, const enum option *own);

#endif
